//! A linear layer: product, bias, activation or residual in one pass.

use candle_core::{Device, Result, Tensor};

use super::gemm::{Matrix, Panels};
use super::simd::Backend;
use super::{Activation, map_cpu, with_slice};

/// `act(x W^T + b)`, with the weights packed for the CPU or lying on a device.
#[derive(Debug)]
pub struct Linear {
    weights: Weights,
    act: Activation,
}

#[derive(Debug)]
enum Weights {
    Packed(Panels),
    /// `[in, out]` and bias.
    Device(Tensor, Option<Tensor>),
}

impl Linear {
    /// From a matrix `[out, in]` and a bias of `out` numbers.
    pub fn new(matrix: &Matrix, bias: Option<&[f32]>, act: Activation, device: &Device) -> Result<Self> {
        let weights = if device.is_cpu() {
            Weights::Packed(Panels::pack(Backend::best(), matrix, bias))
        } else {
            let bias = bias.map(|b| Tensor::from_slice(b, b.len(), device)).transpose()?;
            let w = Tensor::from_vec(matrix.to_f32(), (matrix.rows, matrix.cols), device)?;
            Weights::Device(w.t()?.contiguous()?, bias)
        };
        Ok(Self { weights, act })
    }

    /// Number of outputs.
    pub fn out_dim(&self) -> usize {
        match &self.weights {
            Weights::Packed(p) => p.n(),
            Weights::Device(w, _) => w.dims()[1],
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// The same plus `residual` `[.., out]`. Layers with an activation have no residual.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual))
    }

    /// On plain numbers (CPU only): `[m, in]` to `[m, out]`.
    pub(super) fn panels(&self) -> Option<(&Panels, Activation)> {
        match &self.weights {
            Weights::Packed(p) => Some((p, self.act)),
            Weights::Device(..) => None,
        }
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.weights {
            Weights::Packed(panels) => {
                if x.dims().last() != Some(&panels.k()) {
                    candle_core::bail!("linear layer of {} inputs was given {:?}", panels.k(), x.dims())
                }
                map_cpu("linear", x, |values, dims| {
                    let mut dims = dims.to_vec();
                    if let Some(last) = dims.last_mut() {
                        *last = panels.n();
                    }
                    let out = match residual {
                        None => panels.matmul(values, self.act, None),
                        Some(r) if r.dims() == dims => {
                            with_slice(r, |r, _| Ok(panels.matmul(values, self.act, Some(r))))?
                        }
                        Some(r) => candle_core::bail!("residual of shape {:?} for {dims:?}", r.dims()),
                    };
                    Ok((out, dims))
                })
            }
            Weights::Device(w, bias) => {
                let y = x.contiguous()?.broadcast_matmul(w)?;
                let y = match bias {
                    Some(b) => y.broadcast_add(b)?,
                    None => y,
                };
                let y = self.act.plain(&y)?;
                match residual {
                    Some(r) => y + r,
                    None => Ok(y),
                }
            }
        }
    }
}
