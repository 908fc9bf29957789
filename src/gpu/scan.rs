//! Rows of halves that a query is held against: dot products and a partial top list in one pass.
//!
//! Must not know photos; whoever asks makes the answer whole.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::{Fetch, Gpu, GpuError, Kernel, Tensor};

/// Rows of which only the best are told. As in `scan.wgsl`.
pub const CHUNK: usize = 1024;
/// Rows that are told of each chunk.
pub const BEST: usize = 32;
/// Places come back as f32, which tells so many whole numbers apart.
const MOST: usize = 1 << 24;

/// A matrix `[count, width]` on the card, two bytes a number.
#[derive(Debug)]
pub struct Rows {
    gpu: Gpu,
    halves: wgpu::Buffer,
    count: usize,
    width: usize,
}

/// A row by its place in the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub score: f32,
    pub row: usize,
}

impl Rows {
    /// Uploads rows of `width` numbers, an even one. [`GpuError::OutOfMemory`] where no kernel could see so many.
    pub fn new(gpu: &Gpu, halves: &[f16], width: usize) -> Result<Self, GpuError> {
        let count = halves.len() / width.max(1);
        if width == 0 || !width.is_multiple_of(2) || count * width != halves.len() || count == 0 {
            return Err(GpuError::Shape(format!("{} halves in rows of {width}", halves.len())));
        }
        if count > MOST {
            return Err(GpuError::OutOfMemory);
        }
        let bits: &[u16] = halves.reinterpret_cast();
        Ok(Self { gpu: gpu.clone(), halves: gpu.constant(bytemuck::cast_slice(bits))?, count, width })
    }

    /// Of each [`CHUNK`] of rows the [`BEST`] that have the largest dot product with `query`, best first.
    /// Sums are f32 in another order than the processor's.
    pub fn best(&self, query: &[f32]) -> Result<Vec<Vec<Scored>>, GpuError> {
        if query.len() != self.width {
            return Err(GpuError::Shape(format!("a query of {} numbers for rows of {}", query.len(), self.width)));
        }
        let chunks = self.count.div_ceil(CHUNK);
        let query = Tensor::new(&self.gpu, query, &[self.width])?;
        let out = Tensor::room(&self.gpu, &[chunks, BEST, 2])?;
        let parameters = [self.count as u32, (self.width / 2) as u32];
        let groups = [chunks as u32, 1, 1];
        self.gpu.record(Kernel::Scan, &parameters, &[&self.halves, query.buffer()], out.buffer(), groups)?;
        let found = Fetch::start(&self.gpu, &[&out])?.wait()?.remove(0);
        let scored = |pair: &[f32]| Scored { score: pair[0], row: pair[1] as usize };
        let real = |scored: &Scored| scored.score > f32::MIN && scored.row < self.count;
        Ok(found.chunks_exact(2 * BEST).map(|part| part.chunks_exact(2).map(scored).filter(real).collect()).collect())
    }
}
