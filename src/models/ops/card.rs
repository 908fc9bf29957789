//! The same operations on a graphics card.

use candle_core::{Device, Tensor};

use crate::gpu::{self, Act, Gpu, Heads, Sides};
use crate::models::ModelError;

use super::backend::{Backend, Fetch};
use super::{Activation, Mask, Matrix, MbConv, Padding, SqueezeExcite};

type Result<T> = std::result::Result<T, ModelError>;

impl From<Activation> for Act {
    fn from(act: Activation) -> Self {
        match act {
            Activation::None => Self::None,
            Activation::Relu => Self::Relu,
            Activation::Relu6 => Self::Relu6,
            Activation::Swish => Self::Swish,
            Activation::Gelu => Self::Gelu,
            Activation::GeluNew => Self::GeluNew,
            Activation::QuickGelu => Self::QuickGelu,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Tanh => Self::Tanh,
        }
    }
}

impl From<Padding> for Sides {
    fn from(pad: Padding) -> Self {
        Self { top: pad.top, bottom: pad.bottom, left: pad.left, right: pad.right }
    }
}

impl Backend for Gpu {
    type Tensor = gpu::Tensor;
    type Linear = gpu::Linear;
    type LayerNorm = gpu::LayerNorm;
    type Depthwise = gpu::Depthwise;

    fn name(&self) -> &'static str {
        "wgpu"
    }

    fn linear(&self, matrix: &Matrix, bias: Option<&[f32]>, act: Activation) -> Result<gpu::Linear> {
        Ok(gpu::Linear::new(self, &matrix.to_f32(), matrix.cols, bias, act.into())?)
    }

    fn layer_norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> Result<gpu::LayerNorm> {
        Ok(gpu::LayerNorm::new(self, &weight, &bias, eps as f32)?)
    }

    fn depthwise(
        &self,
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        stride: usize,
        act: Activation,
    ) -> Result<gpu::Depthwise> {
        Ok(gpu::Depthwise::new(self, weight, bias, kernel, stride, act.into())?)
    }

    fn tensor(&self, numbers: Vec<f32>, dims: &[usize]) -> Result<gpu::Tensor> {
        Ok(gpu::Tensor::new(self, &numbers, dims)?)
    }

    fn stacked(&self, parts: &[&[f32]], dims: &[usize]) -> Result<gpu::Tensor> {
        Ok(gpu::Tensor::stacked(self, parts, dims)?)
    }

    fn dims(x: &gpu::Tensor) -> &[usize] {
        x.dims()
    }

    fn product(layer: &gpu::Linear, x: &gpu::Tensor, residual: Option<&gpu::Tensor>) -> Result<gpu::Tensor> {
        Ok(layer.forward(x, residual)?)
    }

    fn normalise(layer: &gpu::LayerNorm, x: &gpu::Tensor) -> Result<gpu::Tensor> {
        Ok(layer.forward(x)?)
    }

    fn attend(joint: &gpu::Tensor, heads: usize, mask: &Mask) -> Result<gpu::Tensor> {
        let width = joint.dims().last().copied().unwrap_or(0) / 3;
        let scale = 1.0 / ((width / heads.max(1)) as f32).sqrt();
        let (mask, causal) = mask.by_key()?;
        Ok(joint.attend(&Heads { count: heads, scale, causal, mask })?)
    }

    fn patches(x: &gpu::Tensor, kernel: usize, stride: usize, pad: Padding) -> Result<gpu::Tensor> {
        Ok(x.patches(kernel, stride, pad.into())?)
    }

    fn on_positions(grid: &gpu::Tensor, table: &gpu::Tensor) -> Result<gpu::Tensor> {
        let rows = match *grid.dims() {
            [b, h, w, c] => grid.reshape(&[b, h * w, c])?,
            _ => grid.clone(),
        };
        Ok(rows.on_positions(table)?)
    }

    fn pick(x: &gpu::Tensor, rows: &[u32]) -> Result<gpu::Tensor> {
        Ok(x.pick(rows)?)
    }

    fn mbconv(block: &MbConv<Self>, x: &gpu::Tensor, pad: Padding) -> Result<gpu::Tensor> {
        let wide = match &block.expand {
            Some(expand) => expand.forward(x, None)?,
            None => x.clone(),
        };
        let mut y = block.depthwise.forward(&wide, pad.into())?;
        drop(wide);
        if let Some(SqueezeExcite { reduce, expand }) = &block.squeeze {
            let mean = y.pool(false)?;
            y = y.scale_channels(&expand.forward(&reduce.forward(&mean, None)?, None)?)?;
        }
        Ok(block.project.forward(&y, block.residual.then_some(x))?)
    }

    fn pool(x: &gpu::Tensor, largest: bool) -> Result<gpu::Tensor> {
        Ok(x.pool(largest)?)
    }

    fn fetch(tensors: &[&gpu::Tensor]) -> Result<Fetch> {
        let Some(first) = tensors.first() else { return Ok(Fetch::new(|| Ok(Vec::new()))) };
        let shapes: Vec<Vec<usize>> = tensors.iter().map(|x| x.dims().to_vec()).collect();
        let started = gpu::Fetch::start(first.gpu(), tensors)?;
        Ok(Fetch::new(move || {
            let fetched = started.wait()?.into_iter().zip(shapes);
            fetched.map(|(numbers, dims)| Ok(Tensor::from_vec(numbers, dims, &Device::Cpu)?)).collect()
        }))
    }
}
