//! How fast things are on an adapter, and what it can do at best: the yardstick of the benches.

use std::time::{Duration, Instant};

use super::operations::span;
use super::{Fetch, Gpu, GpuError, Kernel, Tensor};

/// An adapter's own peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Bytes a second that a plain copy reads and writes.
    pub bytes_per_sec: f64,
    /// Multiplications and additions a second in registers.
    pub flops_per_sec: f64,
}

/// Runs a plain copy and a kernel of nothing but multiply-adds, for about `budget` each.
pub fn peak(gpu: &Gpu, budget: Duration) -> Result<Peak, GpuError> {
    let software = gpu.adapter().is_software();
    let threads = (gpu.0.kernels.side * gpu.0.kernels.side) as usize;
    // Beyond any cache of a card's; a software adapter's memory is the processor's.
    let numbers: usize = if software { 1 << 22 } else { 1 << 26 };
    let from = Tensor::new(gpu, &vec![1.0; numbers], &[numbers])?;
    let to = Tensor::room(gpu, &[numbers])?;
    let copy = secs_per_run(budget, || {
        let groups = span((numbers / 4).div_ceil(threads));
        gpu.record(Kernel::Copy, &[numbers as u32 / 4], &[from.buffer()], to.buffer(), groups)?;
        Ok(to.clone())
    })?;

    let (steps, workers): (usize, usize) = if software { (1 << 8, 1 << 14) } else { (1 << 12, 1 << 20) };
    let half = Tensor::new(gpu, &[0.5], &[1])?;
    let sums = Tensor::room(gpu, &[workers])?;
    let fma = secs_per_run(budget, || {
        let groups = span(workers.div_ceil(threads));
        gpu.record(Kernel::Fma, &[steps as u32, workers as u32], &[half.buffer()], sums.buffer(), groups)?;
        Ok(sums.clone())
    })?;
    Ok(Peak { bytes_per_sec: 8.0 * numbers as f64 / copy, flops_per_sec: 32.0 * steps as f64 * workers as f64 / fma })
}

/// Seconds that what `record` records takes when run again and again: submissions grow until
/// one takes half of `budget`. Only one row comes back, so that the way to the processor is not measured.
pub fn secs_per_run(budget: Duration, record: impl Fn() -> Result<Tensor, GpuError>) -> Result<f64, GpuError> {
    let mut runs = 1;
    loop {
        let started = Instant::now();
        let mut last = record()?;
        for _ in 1..runs {
            last = record()?;
        }
        let row = last.reshape(&[last.count(), 1])?.pick(&[0])?;
        Fetch::start(row.gpu(), &[&row])?.wait()?;
        let took = started.elapsed();
        // The first run also compiles the kernel.
        if runs > 1 && took * 2 > budget || runs >= 512 {
            return Ok(took.as_secs_f64() / f64::from(runs));
        }
        runs *= 2;
    }
}
