//! Numbers on the card.

use std::sync::Arc;

use super::pool::{Lease, Pool};
use super::{Gpu, GpuError};

/// A dense tensor of f32, row by row. Cloning it is cheap; its numbers do not change.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub(super) gpu: Gpu,
    lease: Arc<Lease>,
    dims: Vec<usize>,
}

impl Tensor {
    /// Room for numbers that a kernel is about to write.
    pub(super) fn room(gpu: &Gpu, dims: &[usize]) -> Result<Self, GpuError> {
        let count: usize = dims.iter().product();
        if count == 0 || count > u32::MAX as usize {
            return Err(GpuError::Shape(format!("a tensor of shape {dims:?}")));
        }
        let lease = Pool::lease(&gpu.0.pool, &gpu.0.device, 4 * count as u64)?;
        gpu.check()?;
        Ok(Self { gpu: gpu.clone(), lease: Arc::new(lease), dims: dims.to_vec() })
    }

    /// Uploads `numbers`; what was recorded before still sees what it saw.
    pub fn new(gpu: &Gpu, numbers: &[f32], dims: &[usize]) -> Result<Self, GpuError> {
        Self::stacked(gpu, &[numbers], dims)
    }

    /// The same from several parts, one after the other.
    pub fn stacked(gpu: &Gpu, parts: &[&[f32]], dims: &[usize]) -> Result<Self, GpuError> {
        let count: usize = parts.iter().map(|part| part.len()).sum();
        if count != dims.iter().product::<usize>() {
            return Err(GpuError::Shape(format!("{count} numbers for {dims:?}")));
        }
        let new = Self::room(gpu, dims)?;
        let bytes: Vec<&[u8]> = parts.iter().map(|part| bytemuck::cast_slice(part)).collect();
        let uploaded = gpu.tape().upload(&gpu.0.device, &bytes, new.buffer());
        // A lost device or full memory says more than that a buffer could not be had.
        gpu.check().and(uploaded)?;
        Ok(new)
    }

    /// Its shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The same numbers in another shape.
    pub fn reshape(&self, dims: &[usize]) -> Result<Self, GpuError> {
        if dims.iter().product::<usize>() != self.count() {
            return Err(GpuError::Shape(format!("{:?} as {dims:?}", self.dims)));
        }
        Ok(Self { dims: dims.to_vec(), ..self.clone() })
    }

    /// How many numbers it holds.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Rows and their width, all leading dimensions taken together.
    pub(super) fn rows(&self) -> (usize, usize) {
        let width = self.dims.last().copied().unwrap_or(1);
        (self.count() / width.max(1), width)
    }

    /// Where it lies.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        &self.lease.buffer
    }

    /// Exactly `N` dimensions.
    pub(super) fn shape<const N: usize>(&self) -> Result<[usize; N], GpuError> {
        let wrong = || GpuError::Shape(format!("{:?} where {N} dimensions are wanted", self.dims));
        self.dims.as_slice().try_into().map_err(|_| wrong())
    }
}
