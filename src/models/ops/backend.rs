//! Where a tower's weights lie and its operations run: on one of candle's devices, or on a
//! graphics card through [`crate::gpu`]. Towers are written once, over this trait.
//!
//! Must not know towers. Layers are made by the methods that take `&self`; what works on
//! tensors is a function of the back end's type.

use std::fmt::Debug;

use candle_core::{D, Device, Tensor};

use crate::models::ModelError;

use super::{Activation, Depthwise, LayerNorm, Linear, Mask, Matrix, MbConv, Padding, attention, mean_pool, patches};

type Result<T> = std::result::Result<T, ModelError>;

/// Tensors are dense f32; images are `[b, h, w, c]`.
pub trait Backend: Clone + Debug + Send + Sync + 'static {
    type Tensor: Clone + Debug + Send + Sync;
    type Linear: Debug + Send + Sync;
    type LayerNorm: Debug + Send + Sync;
    type Depthwise: Debug + Send + Sync;

    /// The name used in output.
    fn name(&self) -> &'static str;

    /// `act(x W^T + b)` from a matrix `[out, in]` and a bias of `out` numbers.
    fn linear(&self, matrix: &Matrix, bias: Option<&[f32]>, act: Activation) -> Result<Self::Linear>;

    /// Layer norm from as many weights as the last dimension has.
    fn layer_norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> Result<Self::LayerNorm>;

    /// A depthwise convolution from weights `[channels, kernel, kernel]` and `channels` biases.
    fn depthwise(
        &self,
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        stride: usize,
        act: Activation,
    ) -> Result<Self::Depthwise>;

    /// Numbers that come from elsewhere.
    fn tensor(&self, numbers: Vec<f32>, dims: &[usize]) -> Result<Self::Tensor>;

    /// The same from several parts, one after the other.
    fn stacked(&self, parts: &[&[f32]], dims: &[usize]) -> Result<Self::Tensor> {
        self.tensor(parts.concat(), dims)
    }

    /// The shape.
    fn dims(x: &Self::Tensor) -> &[usize];

    /// `[.., in]` to `[.., out]`, plus `residual` where there is one.
    fn product(layer: &Self::Linear, x: &Self::Tensor, residual: Option<&Self::Tensor>) -> Result<Self::Tensor>;

    /// Normalises each row of `[.., dim]`.
    fn normalise(layer: &Self::LayerNorm, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// Self-attention from queries, keys and values side by side: `[b, t, 3 * width]` to `[b, t, width]`.
    fn attend(joint: &Self::Tensor, heads: usize, mask: &Mask) -> Result<Self::Tensor>;

    /// `[b, c, h, w]` to `[b, h', w', c * kernel * kernel]`, see [`patches`].
    fn patches(x: &Self::Tensor, kernel: usize, stride: usize, pad: Padding) -> Result<Self::Tensor>;

    /// `[b, h, w, c]` to `[b, h * w, c]`, with the rows of `table` `[t, c]` added; where it has
    /// more rows, its first ones stand before.
    fn on_positions(grid: &Self::Tensor, table: &Self::Tensor) -> Result<Self::Tensor>;

    /// The rows of that number, counted through all leading dimensions: `[rows, width]`.
    fn pick(x: &Self::Tensor, rows: &[u32]) -> Result<Self::Tensor>;

    /// An inverted residual block.
    fn mbconv(block: &MbConv<Self>, x: &Self::Tensor, pad: Padding) -> Result<Self::Tensor>;

    /// Mean (or largest number) over all pixels: `[b, h, w, c]` to `[b, c]`.
    fn pool(x: &Self::Tensor, largest: bool) -> Result<Self::Tensor>;

    /// Runs `f` over as many leading rows of `x` at a time as suit the device.
    fn in_groups(x: &Self::Tensor, f: &dyn Fn(&Self::Tensor) -> Result<Self::Tensor>) -> Result<Self::Tensor> {
        f(x)
    }

    /// Starts what was asked for so far; the numbers arrive as tensors of the CPU.
    fn fetch(tensors: &[&Self::Tensor]) -> Result<Fetch>;
}

/// Results that a device may still be at work on.
#[must_use]
pub struct Fetch(Box<dyn FnOnce() -> Result<Vec<Tensor>> + Send>);

impl Fetch {
    /// From what waits for the numbers.
    pub fn new(wait: impl FnOnce() -> Result<Vec<Tensor>> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// The tensors, in the order in which they were asked for.
    pub fn wait(self) -> Result<Vec<Tensor>> {
        self.0()
    }

    /// The only tensor.
    pub fn one(self) -> Result<Tensor> {
        self.wait()?.pop().ok_or_else(|| candle_core::Error::Msg("nothing was fetched".into()).into())
    }
}

impl Backend for Device {
    type Tensor = Tensor;
    type Linear = Linear;
    type LayerNorm = LayerNorm;
    type Depthwise = Depthwise;

    fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Metal(_) => "metal",
        }
    }

    fn linear(&self, matrix: &Matrix, bias: Option<&[f32]>, act: Activation) -> Result<Linear> {
        Ok(Linear::new(matrix, bias, act, self)?)
    }

    fn layer_norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> Result<LayerNorm> {
        Ok(LayerNorm::new(weight, bias, eps, self)?)
    }

    fn depthwise(
        &self,
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        stride: usize,
        act: Activation,
    ) -> Result<Depthwise> {
        Ok(Depthwise::new(weight, bias, kernel, stride, act, self)?)
    }

    fn tensor(&self, numbers: Vec<f32>, dims: &[usize]) -> Result<Tensor> {
        Ok(Tensor::from_vec(numbers, dims, self)?)
    }

    fn dims(x: &Tensor) -> &[usize] {
        x.dims()
    }

    fn product(layer: &Linear, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        Ok(match residual {
            Some(residual) => layer.forward_add(x, residual)?,
            None => layer.forward(x)?,
        })
    }

    fn normalise(layer: &LayerNorm, x: &Tensor) -> Result<Tensor> {
        Ok(layer.forward(x)?)
    }

    fn attend(joint: &Tensor, heads: usize, mask: &Mask) -> Result<Tensor> {
        let width = joint.dim(D::Minus1)? / 3;
        let part = |i: usize| joint.narrow(2, i * width, width);
        let scale = 1.0 / ((width / heads.max(1)) as f32).sqrt();
        Ok(attention(&part(0)?, &part(1)?, &part(2)?, heads, scale, mask)?)
    }

    fn patches(x: &Tensor, kernel: usize, stride: usize, pad: Padding) -> Result<Tensor> {
        Ok(patches(x, kernel, stride, pad)?)
    }

    fn on_positions(grid: &Tensor, table: &Tensor) -> Result<Tensor> {
        let rows = grid.flatten(1, 2)?;
        let (batch, n, width) = rows.dims3()?;
        let first = table.dim(0)?.saturating_sub(n);
        let placed = rows.broadcast_add(&table.narrow(0, first, n)?)?;
        let before = table.narrow(0, 0, first)?.unsqueeze(0)?.expand((batch, first, width))?;
        Ok(Tensor::cat(&[&before, &placed], 1)?)
    }

    fn pick(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        let flat = x.contiguous()?.reshape(((), x.dim(D::Minus1)?))?;
        Ok(flat.index_select(&Tensor::from_slice(rows, rows.len(), x.device())?, 0)?)
    }

    fn mbconv(block: &MbConv, x: &Tensor, pad: Padding) -> Result<Tensor> {
        Ok(block.forward(x, pad)?)
    }

    fn pool(x: &Tensor, largest: bool) -> Result<Tensor> {
        Ok(if largest { x.flatten(1, 2)?.max(1)? } else { mean_pool(x)? })
    }

    /// A few images at a time: what one layer leaves is still in the cache for the next.
    fn in_groups(x: &Tensor, f: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let batch = x.dim(0)?;
        let group = if x.device().is_cpu() { rayon::current_num_threads().max(2) } else { batch };
        let mut parts = Vec::new();
        for start in (0..batch).step_by(group.max(1)) {
            parts.push(f(&x.narrow(0, start, group.min(batch - start))?)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0)? })
    }

    fn fetch(tensors: &[&Tensor]) -> Result<Fetch> {
        let here: candle_core::Result<Vec<Tensor>> = tensors.iter().map(|x| x.to_device(&Self::Cpu)).collect();
        let here = here?;
        Ok(Fetch::new(move || Ok(here)))
    }
}
