//! The operations that towers spend their time in, vectorised by hand.
//!
//! Each takes and gives candle tensors of f32; on the CPU it runs the kernels
//! below, on other devices candle's own operations (its `plain` twin), which are
//! also what the tests hold the kernels against. Nothing here knows a model.

pub mod act;
mod attention;
mod backend;
mod card;
mod depthwise;
mod gemm;
mod linear;
mod mbconv;
mod norm;
mod patches;
pub(crate) mod simd;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

pub use act::Activation;
pub use attention::{Mask, attention};
pub use backend::{Backend, Fetch};
pub use depthwise::{Depthwise, Padding};
pub use gemm::{BLOCK, Matrix, MatrixData};
pub use linear::Linear;
pub use mbconv::{MbConv, SqueezeExcite, mean_pool};
pub use norm::LayerNorm;
pub use patches::patches;

/// `n` numbers that `write` fills.
#[allow(unsafe_code, reason = "zeroing first costs a tenth of a ViT's time")]
fn fill(n: usize, write: impl FnOnce(*mut f32)) -> Vec<f32> {
    let mut out = Vec::with_capacity(n);
    write(out.as_mut_ptr());
    // SAFETY: the capacity is `n`, and each caller's kernel writes every number.
    unsafe { out.set_len(n) };
    out
}

/// Has the C library keep freed memory (64 MB at most) for the next large result. Otherwise it goes back to the
/// system, which zeroes it page by page for the next operation: a tenth of a ViT's time. For the start of a
/// program; where the C library is not glibc it does nothing.
#[allow(unsafe_code, reason = "the allocator's settings are C's")]
pub fn keep_freed_memory() {
    // SAFETY: two numbers are set; what the allocator refuses stays as it was.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}

/// `f(first index, chunk)` over all chunks of `values`, on the pool.
fn par_chunks(values: &mut [f32], chunk: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    if values.len() <= chunk {
        return f(0, values);
    }
    values.par_chunks_mut(chunk).enumerate().for_each(|(i, part)| f(i * chunk, part));
}

/// A function over the numbers of one dense CPU tensor as a candle operation.
struct CpuOp<F>(&'static str, F);

impl<F: Fn(&[f32], &[usize]) -> Result<(Vec<f32>, Vec<usize>)>> CustomOp1 for CpuOp<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((from, to)) = layout.contiguous_offsets() else {
            candle_core::bail!("{} needs a dense tensor", self.0)
        };
        let (values, dims) = self.1(&storage.as_slice::<f32>()?[from..to], layout.dims())?;
        Ok((CpuStorage::F32(values), Shape::from(dims)))
    }
}

/// Runs `f(numbers, shape) -> (numbers, shape)` on a CPU tensor.
fn map_cpu(
    name: &'static str,
    x: &Tensor,
    f: impl Fn(&[f32], &[usize]) -> Result<(Vec<f32>, Vec<usize>)>,
) -> Result<Tensor> {
    x.contiguous()?.apply_op1_no_bwd(&CpuOp(name, f))
}

/// The numbers of a dense CPU tensor of f32 while `f` looks at them.
pub fn with_slice<T>(x: &Tensor, f: impl FnOnce(&[f32], &[usize]) -> Result<T>) -> Result<T> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(cpu) = &*storage else { candle_core::bail!("not a CPU tensor") };
    let from = layout.start_offset();
    f(&cpu.as_slice::<f32>()?[from..from + layout.shape().elem_count()], layout.dims())
}

#[cfg(test)]
pub(crate) mod tests {
    /// Repeatable numbers in -1..1.
    pub fn noise(seed: u64, n: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1);
        (0..n)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }
}
