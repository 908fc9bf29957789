//! Results on their way back.

use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::{Gpu, GpuError, Tensor};

/// A card that says nothing for this long is taken for lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers that the card is working on; the caller may do something else meanwhile.
#[derive(Debug)]
#[must_use]
pub struct Fetch {
    gpu: Gpu,
    staging: wgpu::Buffer,
    counts: Vec<usize>,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<bool>,
}

impl Fetch {
    /// Submits all that was recorded and asks for the numbers of `tensors`.
    pub fn start(gpu: &Gpu, tensors: &[&Tensor]) -> Result<Self, GpuError> {
        let counts: Vec<usize> = tensors.iter().map(|tensor| tensor.count()).collect();
        let staging = gpu.0.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * counts.iter().sum::<usize>() as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.check()?;
        let mut tape = gpu.tape();
        let mut at = 0;
        for (tensor, &count) in tensors.iter().zip(&counts) {
            tape.copy(&gpu.0.device, tensor.buffer(), (&staging, at), 4 * count as u64);
            at += 4 * count as u64;
        }
        let submission = tape.submit(&gpu.0.device, &gpu.0.queue);
        drop(tape);
        gpu.check()?;
        let (done, mapped) = bounded(1);
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody waits any more: nothing is lost.
            let _ = done.try_send(result.is_ok());
        });
        Ok(Self { gpu: gpu.clone(), staging, counts, submission, mapped })
    }

    /// Waits for the numbers, in the order of the tensors.
    pub fn wait(self) -> Result<Vec<Vec<f32>>, GpuError> {
        let lost = |detail: String| GpuError::Lost(detail);
        let wait = wgpu::PollType::Wait { submission_index: Some(self.submission), timeout: Some(PATIENCE) };
        let polled = self.gpu.0.device.poll(wait);
        self.gpu.check()?;
        polled.map_err(|error| lost(error.to_string()))?;
        if !matches!(self.mapped.recv_timeout(PATIENCE), Ok(true)) {
            self.gpu.check()?;
            return Err(lost("its results cannot be read".to_owned()));
        }
        let view = self.staging.get_mapped_range(..).map_err(|error| GpuError::Failed(error.to_string()))?;
        let (mut rest, mut all) = (&view[..], Vec::with_capacity(self.counts.len()));
        for count in &self.counts {
            let (own, others) = rest.split_at(4 * count);
            all.push(bytemuck::pod_collect_to_vec(own));
            rest = others;
        }
        Ok(all)
    }
}
