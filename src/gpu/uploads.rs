//! Buffers that numbers pass through on their way to the card, mapped again when it has read them:
//! fresh ones cost a page fault for each 4 KiB, which took most of a batch's time on a fast card.
//!
//! Must not know what is in them.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::GpuError;

/// Free buffers beyond this many bytes are given back to the driver.
const KEPT: u64 = 256 << 20;
/// Buffers on their way back, at most; others are let go.
const RETURNING: usize = 256;

/// Buffers that are mapped and free, filled and not yet submitted, or on their way back.
#[derive(Debug)]
pub(super) struct Uploads {
    free: Vec<wgpu::Buffer>,
    filled: Vec<wgpu::Buffer>,
    back: (Sender<wgpu::Buffer>, Receiver<wgpu::Buffer>),
}

impl Uploads {
    pub fn new() -> Self {
        Self { free: Vec::new(), filled: Vec::new(), back: bounded(RETURNING) }
    }

    /// A buffer that holds `parts` one after the other, to be copied from before the next submission. All of them
    /// together are not empty, and a multiple of four bytes long.
    pub fn filled(&mut self, device: &wgpu::Device, parts: &[&[u8]]) -> Result<wgpu::Buffer, GpuError> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        self.free.extend(self.back.1.try_iter());
        let fits = |buffer: &wgpu::Buffer| (size as u64..=2 * size as u64 + 4096).contains(&buffer.size());
        let buffer = match self.free.iter().position(fits) {
            Some(i) => self.free.swap_remove(i),
            None => device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("upload"),
                size: (size as u64).next_multiple_of(4096),
                usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            }),
        };
        let mut range =
            buffer.get_mapped_range_mut(0..size as u64).map_err(|error| GpuError::Failed(error.to_string()))?;
        let mut at = 0;
        for part in parts {
            range.slice(at..at + part.len()).copy_from_slice(part);
            at += part.len();
        }
        drop(range);
        buffer.unmap();
        self.filled.push(buffer.clone());
        Ok(buffer)
    }

    /// After a submission: what was filled comes back when the card has read it.
    pub fn submitted(&mut self) {
        for buffer in self.filled.drain(..) {
            let (back, own) = (self.back.0.clone(), buffer.clone());
            buffer.map_async(wgpu::MapMode::Write, .., move |mapped| {
                if mapped.is_ok() {
                    // Nobody uploads any more, or there are enough: nothing is lost.
                    let _ = back.try_send(own);
                }
            });
        }
        let mut bytes = 0;
        self.free.retain(|buffer| {
            bytes += buffer.size();
            bytes <= KEPT
        });
    }

    /// Gives free buffers back to the driver and forgets those that were filled.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}
