//! Buffers that activations lie in, reused from layer to layer and from batch to batch.
//!
//! Must not know what is in them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use super::{GpuError, lock};

/// Free buffers by size, and how much is allowed.
#[derive(Debug)]
pub(super) struct Pool {
    free: BTreeMap<u64, Vec<wgpu::Buffer>>,
    /// Bytes in the free buffers and in leased ones.
    held: u64,
    most: u64,
    largest: u64,
}

/// A buffer in use; it goes back to the pool with its last owner.
#[derive(Debug)]
pub(super) struct Lease {
    pub buffer: wgpu::Buffer,
    pool: Weak<Mutex<Pool>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            lock(&pool).free.entry(self.buffer.size()).or_default().push(self.buffer.clone());
        }
    }
}

impl Pool {
    pub fn new(most: u64, largest: u64) -> Self {
        Self { free: BTreeMap::new(), held: 0, most, largest }
    }

    /// An error if no kernel could see a buffer of that size.
    pub fn fits(&self, size: u64) -> Result<(), GpuError> {
        if size > self.largest { Err(GpuError::OutOfMemory) } else { Ok(()) }
    }

    /// A buffer of at least `size` bytes, at most a quarter larger.
    pub fn lease(pool: &Arc<Mutex<Self>>, device: &wgpu::Device, size: u64) -> Result<Lease, GpuError> {
        let mut this = lock(pool);
        this.fits(size)?;
        let size = size.max(4).next_multiple_of(if size > 1 << 16 { 1 << 12 } else { 1 << 8 }).min(this.largest);
        let buffer = match this.reuse(size) {
            Some(buffer) => buffer,
            None => {
                if this.held.saturating_add(size) > this.most {
                    this.clear();
                    if this.held.saturating_add(size) > this.most {
                        return Err(GpuError::OutOfMemory);
                    }
                }
                this.held += size;
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            }
        };
        Ok(Lease { buffer, pool: Arc::downgrade(pool) })
    }

    fn reuse(&mut self, size: u64) -> Option<wgpu::Buffer> {
        let (&fitting, buffers) =
            self.free.range_mut(size..=size + size / 4).find(|(_, buffers)| !buffers.is_empty())?;
        debug_assert!(fitting >= size);
        buffers.pop()
    }

    /// Gives free buffers back to the driver.
    pub fn clear(&mut self) {
        for (size, buffers) in std::mem::take(&mut self.free) {
            self.held -= size * buffers.len() as u64;
        }
    }
}
