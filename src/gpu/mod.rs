//! Neural network layers on any vendor's graphics card, through wgpu.
//!
//! ```text
//! Gpu (device, queue, kernels, pool) <- tensors hold a lease of a pooled buffer
//!   layers and operations record dispatches on one tape
//!   fetch: one submission for all that was recorded, then an answer that is waited for later
//! ```
//!
//! A tensor that is dropped gives its buffer back at once, and the next operation may be
//! given it: on one queue, what was recorded first runs first. Weights are uploaded once and
//! stay. The device is the program's own, not the window's: what is lost or full here costs
//! a batch, not the window.
//!
//! Knows shapes and numbers; must not know models, files or who falls back to what.
//! Kernels are in `assets/shaders`, compiled into the program.

mod error;
mod fetch;
mod kernel;
mod layers;
mod operations;
mod peak;
mod pool;
pub mod scan;
mod tape;
mod tensor;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::device::Adapter;

pub use error::GpuError;
pub use fetch::Fetch;
pub use layers::{Act, Depthwise, LayerNorm, Linear};
pub use operations::{Heads, Sides};
pub use peak::{Peak, peak, secs_per_run};
pub use scan::Rows;
pub use tensor::Tensor;

use kernel::{Kernel, Kernels};
use pool::Pool;
use tape::Tape;

/// In how many bits weights are stored. Sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    F32,
    /// Where the adapter has it; f32 elsewhere.
    F16,
}

impl Precision {
    /// What models run in on an adapter: f32 on software ones, which gain nothing by halves.
    pub fn on(self, adapter: &Adapter) -> Self {
        if adapter.is_software() { Self::F32 } else { self }
    }
}

/// An open device with everything that is kept on it.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    adapter: Adapter,
    precision: Precision,
    device: wgpu::Device,
    queue: wgpu::Queue,
    kernels: Kernels,
    pool: Arc<Mutex<Pool>>,
    tape: Mutex<Tape>,
    /// The first fault since it was last asked for.
    fault: Arc<Mutex<Option<GpuError>>>,
}

impl Gpu {
    /// Opens the adapter.
    pub fn open(adapter: &Adapter, precision: Precision) -> Result<Self, GpuError> {
        Self::with_memory(adapter, precision, u64::MAX)
    }

    /// The same with at most `bytes` for tensors (weights not counted).
    pub fn with_memory(adapter: &Adapter, precision: Precision, bytes: u64) -> Result<Self, GpuError> {
        let f16 = precision == Precision::F16 && adapter.f16;
        let request = wgpu::DeviceDescriptor {
            label: Some("glimpse"),
            required_features: if f16 { wgpu::Features::SHADER_F16 } else { wgpu::Features::empty() },
            required_limits: adapter.handle().limits(),
            ..Default::default()
        };
        let opened = pollster::block_on(adapter.handle().request_device(&request));
        let (device, queue) = opened.map_err(|error| GpuError::Open(error.to_string()))?;
        let fault = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error| note(&seen, error.into())));
        let seen = Arc::clone(&fault);
        device.set_device_lost_callback(move |reason, message| {
            note(&seen, GpuError::Lost(format!("{reason:?}: {message}")));
        });
        let limits = device.limits();
        let largest = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let kernels = Kernels::new(&device, if f16 { Precision::F16 } else { Precision::F32 });
        let tape = Mutex::new(Tape::new(&device));
        let pool = Arc::new(Mutex::new(Pool::new(bytes, largest)));
        let adapter = adapter.clone();
        let precision = if f16 { Precision::F16 } else { Precision::F32 };
        let gpu = Self(Arc::new(Shared { adapter, precision, device, queue, kernels, pool, tape, fault }));
        gpu.check()?;
        Ok(gpu)
    }

    /// What it was opened on.
    pub fn adapter(&self) -> &Adapter {
        &self.0.adapter
    }

    /// How weights are stored.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Ends the device as a lost driver would: for tests of what comes after.
    pub fn lose(&self) {
        self.0.device.destroy();
    }

    /// What is recorded and not submitted is forgotten, free buffers are given back, and a
    /// fault other than a lost device is over: the next attempt starts afresh.
    pub fn reset(&self) {
        self.tape().clear();
        lock(&self.0.pool).clear();
        let mut fault = lock(&self.0.fault);
        if !matches!(*fault, Some(GpuError::Lost(_))) {
            *fault = None;
        }
    }

    /// The first fault since the last reset.
    fn check(&self) -> Result<(), GpuError> {
        lock(&self.0.fault).clone().map_or(Ok(()), Err)
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        lock(&self.0.tape)
    }

    /// A buffer that stays as it is, with these numbers.
    fn constant(&self, bytes: &[u8]) -> Result<wgpu::Buffer, GpuError> {
        let size = (bytes.len() as u64).next_multiple_of(4).max(4);
        lock(&self.0.pool).fits(size)?;
        let buffer = self.0.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        self.check()?;
        match buffer.get_mapped_range_mut(0..size) {
            Ok(mut range) => range.slice(..bytes.len()).copy_from_slice(bytes),
            Err(error) => return Err(GpuError::Failed(error.to_string())),
        }
        buffer.unmap();
        Ok(buffer)
    }

    /// Records one run of a kernel over `groups` workgroups.
    fn record(
        &self,
        kernel: Kernel,
        parameters: &[u32],
        inputs: &[&wgpu::Buffer],
        out: &wgpu::Buffer,
        groups: [u32; 3],
    ) -> Result<(), GpuError> {
        let limit = self.0.device.limits().max_compute_workgroups_per_dimension;
        if groups.iter().any(|&n| n == 0 || n > limit) {
            return Err(GpuError::Shape(format!("{groups:?} workgroups of {kernel:?}")));
        }
        let Shared { device, queue, kernels, .. } = &*self.0;
        self.tape().dispatch(device, queue, kernels, (kernel, parameters, inputs, out, groups));
        self.check()
    }
}

/// Keeps the first fault; a lost device replaces any other.
fn note(seen: &Mutex<Option<GpuError>>, error: GpuError) {
    let mut seen = lock(seen);
    if seen.is_none() || matches!((&*seen, &error), (Some(old), GpuError::Lost(_)) if !matches!(old, GpuError::Lost(_)))
    {
        *seen = Some(error);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
