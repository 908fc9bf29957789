//! Layer normalisation over the last dimension.
#![allow(unsafe_code, reason = "part of the vector kernels")]

use candle_core::{D, DType, Device, Result, Tensor};
use rayon::prelude::*;

use super::gemm::Shared;
use super::simd::{Backend, Kernel, Simd};

/// `(x - mean) / sqrt(var + eps) * weight + bias`.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
    /// The same on another device.
    device: Option<(Tensor, Tensor)>,
}

impl LayerNorm {
    /// From as many weights as the last dimension has.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, eps: f64, device: &Device) -> Result<Self> {
        let on_device = if device.is_cpu() {
            None
        } else {
            Some((Tensor::from_slice(&weight, weight.len(), device)?, Tensor::from_slice(&bias, bias.len(), device)?))
        };
        Ok(Self { weight, bias, eps: eps as f32, device: on_device })
    }

    /// Normalises each row of `[.., dim]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dim = self.weight.len();
        if x.dims().last() != Some(&dim) {
            candle_core::bail!("layer norm over {dim} numbers was given {:?}", x.dims())
        }
        if let Some((weight, bias)) = &self.device {
            return plain(x, weight, bias, self.eps);
        }
        super::map_cpu("layer_norm", x, |values, dims| Ok((self.rows(Backend::best(), values), dims.to_vec())))
    }

    fn rows(&self, backend: Backend, values: &[f32]) -> Vec<f32> {
        let dim = self.weight.len();
        super::fill(values.len(), |out| {
            let out = Shared(out);
            let block = (1 << 14) / dim.max(1) + 1;
            let run = |(i, part): (usize, &[f32])| {
                // SAFETY: each task writes the rows it reads, within `values.len()`.
                let c = unsafe { out.get().add(i * block * dim) };
                backend.run(Rows { norm: self, x: part, out: c });
            };
            if values.len() <= block * dim {
                values.chunks(block * dim).enumerate().for_each(run);
            } else {
                values.par_chunks(block * dim).enumerate().for_each(run);
            }
        })
    }
}

/// The same by candle's own operations.
fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    let x = x.to_dtype(DType::F32)?;
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(var + f64::from(eps))?.sqrt()?)?.broadcast_mul(weight)?.broadcast_add(bias)
}

struct Rows<'a> {
    norm: &'a LayerNorm,
    x: &'a [f32],
    out: *mut f32,
}

impl Kernel for Rows<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let LayerNorm { weight, bias, eps, .. } = self.norm;
        let dim = weight.len();
        let whole = dim / S::LANES * S::LANES;
        for (r, row) in self.x.chunks_exact(dim).enumerate() {
            // SAFETY: whole vectors stay below `dim`; `out` has the rows of `x`.
            unsafe {
                let (x, out) = (row.as_ptr(), self.out.add(r * dim));
                let mut sum = S::splat(0.0);
                for i in (0..whole).step_by(S::LANES) {
                    sum = S::add(sum, S::load(x.add(i)));
                }
                let mean = (total::<S>(sum) + row[whole..].iter().sum::<f32>()) / dim as f32;
                let m = S::splat(mean);
                let mut sum = S::splat(0.0);
                for i in (0..whole).step_by(S::LANES) {
                    let d = S::sub(S::load(x.add(i)), m);
                    sum = S::fma(d, d, sum);
                }
                let rest: f32 = row[whole..].iter().map(|v| (v - mean) * (v - mean)).sum();
                let scale = 1.0 / ((total::<S>(sum) + rest) / dim as f32 + eps).sqrt();
                let s = S::splat(scale);
                for i in (0..whole).step_by(S::LANES) {
                    let d = S::mul(S::sub(S::load(x.add(i)), m), s);
                    S::store(out.add(i), S::fma(d, S::load(weight.as_ptr().add(i)), S::load(bias.as_ptr().add(i))));
                }
                for i in whole..dim {
                    *out.add(i) = (row[i] - mean) * scale * weight[i] + bias[i];
                }
            }
        }
    }
}

/// The sum of a vector's numbers.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn total<S: Simd>(v: S::V) -> f32 {
    let mut numbers = [0f32; 16];
    // SAFETY: no vector is wider than the buffer.
    unsafe { S::store(numbers.as_mut_ptr(), v) };
    numbers[..S::LANES].iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ops::tests::noise;

    #[test]
    fn odd_shapes_agree_with_candle() {
        for (rows, dim) in [(1, 1), (3, 7), (5, 16), (4, 33), (70, 384), (2, 770)] {
            let (x, w, b) = (noise(1, rows * dim), noise(2, dim), noise(3, dim));
            let norm = LayerNorm::new(w.clone(), b.clone(), 1e-5, &Device::Cpu).unwrap();
            let cpu = Device::Cpu;
            let tensor = Tensor::from_slice(&x, (rows, dim), &cpu).unwrap();
            let weight = Tensor::from_vec(w, dim, &cpu).unwrap();
            let bias = Tensor::from_vec(b, dim, &cpu).unwrap();
            let want: Vec<f32> =
                plain(&tensor, &weight, &bias, 1e-5).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            for backend in Backend::available() {
                for (g, w) in norm.rows(backend, &x).iter().zip(&want) {
                    assert!((g - w).abs() < 1e-5, "{backend:?} {rows}x{dim}: {g} {w}");
                }
            }
            assert_eq!(norm.forward(&tensor).unwrap().dims(), [rows, dim]);
        }
    }

    #[test]
    fn another_width_is_an_error() {
        let norm = LayerNorm::new(vec![1.0; 4], vec![0.0; 4], 1e-5, &Device::Cpu).unwrap();
        assert!(norm.forward(&Tensor::zeros((2, 5), DType::F32, &Device::Cpu).unwrap()).is_err());
    }
}
