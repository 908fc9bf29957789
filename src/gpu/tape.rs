//! What is recorded until the next submission.
//!
//! Parameters of all kernels lie in one buffer, a slot each; a full one is submitted early.
//! Must not know shapes.

use super::GpuError;
use super::kernel::{Kernel, Kernels};
use super::uploads::Uploads;

/// Bytes of a kernel's parameters: the coarsest alignment that any adapter asks for.
const SLOT: usize = 256;
/// Runs of kernels in one submission, at most: more than a B7 tower needs.
const SLOTS: usize = 1024;

/// Kernel, parameters, inputs, output, workgroups.
pub(super) type Run<'a> = (Kernel, &'a [u32], &'a [&'a wgpu::Buffer], &'a wgpu::Buffer, [u32; 3]);

#[derive(Debug)]
pub(super) struct Tape {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    slots: Vec<u8>,
    parameters: wgpu::Buffer,
    uploads: Uploads,
}

impl Tape {
    pub fn new(device: &wgpu::Device) -> Self {
        let parameters = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (SLOT * SLOTS) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { encoder: None, pass: None, slots: Vec::new(), parameters, uploads: Uploads::new() }
    }

    /// Forgets what was recorded.
    pub fn clear(&mut self) {
        self.pass = None;
        self.encoder = None;
        self.slots.clear();
        self.uploads.clear();
    }

    pub fn dispatch(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, kernels: &Kernels, run: Run<'_>) {
        let (kernel, parameters, inputs, out, [x, y, z]) = run;
        if self.slots.len() == SLOT * SLOTS {
            self.submit(device, queue);
        }
        let offset = self.slots.len() as u32;
        self.slots.extend(bytemuck::cast_slice(parameters));
        self.slots.resize(offset as usize + SLOT, 0);
        let group = kernels.bind(device, &self.parameters, SLOT as u64, inputs, out);
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        let pass = self.pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime());
        pass.set_pipeline(kernels.pipeline(device, kernel));
        pass.set_bind_group(0, &group, &[offset]);
        pass.dispatch_workgroups(x, y, z);
    }

    /// Records that `to` begins with `parts`, one after the other.
    pub fn upload(&mut self, device: &wgpu::Device, parts: &[&[u8]], to: &wgpu::Buffer) -> Result<(), GpuError> {
        let from = self.uploads.filled(device, parts)?;
        self.copy(device, &from, (to, 0), parts.iter().map(|part| part.len() as u64).sum());
        Ok(())
    }

    pub fn copy(&mut self, device: &wgpu::Device, from: &wgpu::Buffer, to: (&wgpu::Buffer, u64), bytes: u64) {
        self.pass = None;
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        encoder.copy_buffer_to_buffer(from, 0, to.0, to.1, bytes);
    }

    /// Hands all that was recorded to the card. Later submissions may use the same slots:
    /// the queue writes them when the earlier ones have run.
    pub fn submit(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) -> wgpu::SubmissionIndex {
        self.pass = None;
        let encoder = self.encoder.take().unwrap_or_else(|| device.create_command_encoder(&Default::default()));
        if !self.slots.is_empty() {
            queue.write_buffer(&self.parameters, 0, &self.slots);
            self.slots.clear();
        }
        let submission = queue.submit([encoder.finish()]);
        self.uploads.submitted();
        submission
    }
}
