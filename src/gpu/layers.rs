//! Layers with weights: products, depthwise convolutions, layer norm.

use half::f16;

use super::operations::{Sides, span};
use super::{Gpu, GpuError, Kernel, Precision, Tensor};

/// What follows a product or convolution; numbered as in `common.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Act {
    #[default]
    None,
    Relu,
    Relu6,
    /// `x * sigmoid(x)`.
    Swish,
    /// With the error function.
    Gelu,
    /// The tanh approximation.
    GeluNew,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    Sigmoid,
    Tanh,
}

/// `act(x W^T + b) + residual`.
#[derive(Debug)]
pub struct Linear {
    gpu: Gpu,
    weights: wgpu::Buffer,
    bias: Option<wgpu::Buffer>,
    inputs: usize,
    outputs: usize,
    act: Act,
}

impl Linear {
    /// From weights `[outputs, inputs]`, row by row.
    pub fn new(gpu: &Gpu, weights: &[f32], inputs: usize, bias: Option<&[f32]>, act: Act) -> Result<Self, GpuError> {
        let outputs = weights.len() / inputs.max(1);
        if outputs * inputs != weights.len() || outputs == 0 || bias.is_some_and(|bias| bias.len() != outputs) {
            return Err(GpuError::Shape(format!("{} weights for {inputs} inputs", weights.len())));
        }
        let weights = match gpu.precision() {
            Precision::F32 => gpu.constant(bytemuck::cast_slice(weights))?,
            Precision::F16 => {
                let narrow: Vec<u16> = weights.iter().map(|&w| f16::from_f32(w).to_bits()).collect();
                gpu.constant(bytemuck::cast_slice(&narrow))?
            }
        };
        let bias = bias.map(|bias| gpu.constant(bytemuck::cast_slice(bias))).transpose()?;
        Ok(Self { gpu: gpu.clone(), weights, bias, inputs, outputs, act })
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor, GpuError> {
        let (rows, width) = x.rows();
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.outputs;
        }
        if width != self.inputs || residual.is_some_and(|r| r.dims() != dims) {
            let residual = residual.map(Tensor::dims);
            return Err(GpuError::Shape(format!("{:?} (+ {residual:?}) into {} inputs", x.dims(), self.inputs)));
        }
        let out = Tensor::room(&self.gpu, &dims)?;
        let flag = |there: bool| u32::from(there);
        let parameters = [
            rows as u32,
            self.outputs as u32,
            self.inputs as u32,
            self.act as u32,
            flag(self.bias.is_some()),
            flag(residual.is_some()),
        ];
        let bias = self.bias.as_ref().unwrap_or(&self.gpu.0.kernels.nothing);
        let mut inputs = vec![x.buffer(), &self.weights, bias];
        inputs.extend(residual.map(Tensor::buffer));
        let tile = 4 * self.gpu.0.kernels.side as usize;
        let groups = [self.outputs.div_ceil(tile) as u32, rows.div_ceil(tile) as u32, 1];
        self.gpu.record(Kernel::Matmul, &parameters, &inputs, out.buffer(), groups)?;
        Ok(out)
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    gpu: Gpu,
    weights: wgpu::Buffer,
    bias: wgpu::Buffer,
    width: usize,
    eps: f32,
}

impl LayerNorm {
    /// From as many weights as the last dimension has.
    pub fn new(gpu: &Gpu, weights: &[f32], bias: &[f32], eps: f32) -> Result<Self, GpuError> {
        Ok(Self {
            gpu: gpu.clone(),
            weights: gpu.constant(bytemuck::cast_slice(weights))?,
            bias: gpu.constant(bytemuck::cast_slice(bias))?,
            width: weights.len(),
            eps,
        })
    }

    /// Normalises each row.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, GpuError> {
        let (rows, width) = x.rows();
        if width != self.width {
            return Err(GpuError::Shape(format!("layer norm over {} numbers was given {:?}", self.width, x.dims())));
        }
        let out = Tensor::room(&self.gpu, x.dims())?;
        let inputs = [x.buffer(), &self.weights, &self.bias];
        let parameters = [rows as u32, width as u32, self.eps.to_bits()];
        self.gpu.record(Kernel::LayerNorm, &parameters, &inputs, out.buffer(), span(rows))?;
        Ok(out)
    }
}

/// A depthwise convolution over `[b, h, w, channels]`, with its activation.
#[derive(Debug)]
pub struct Depthwise {
    gpu: Gpu,
    /// `[kernel * kernel, channels]`.
    weights: wgpu::Buffer,
    bias: wgpu::Buffer,
    channels: usize,
    kernel: usize,
    stride: usize,
    act: Act,
}

impl Depthwise {
    /// From weights `[channels, kernel, kernel]`.
    pub fn new(
        gpu: &Gpu,
        weights: &[f32],
        bias: &[f32],
        kernel: usize,
        stride: usize,
        act: Act,
    ) -> Result<Self, GpuError> {
        let (channels, taps) = (bias.len(), kernel * kernel);
        if weights.len() != channels * taps || stride == 0 {
            return Err(GpuError::Shape(format!("{} weights for {channels} channels of {taps}", weights.len())));
        }
        let by_tap: Vec<f32> = (0..taps).flat_map(|t| (0..channels).map(move |c| weights[c * taps + t])).collect();
        Ok(Self {
            gpu: gpu.clone(),
            weights: gpu.constant(bytemuck::cast_slice(&by_tap))?,
            bias: gpu.constant(bytemuck::cast_slice(bias))?,
            channels,
            kernel,
            stride,
            act,
        })
    }

    /// `[b, h, w, channels]` to `[b, h', w', channels]`.
    pub fn forward(&self, x: &Tensor, pad: Sides) -> Result<Tensor, GpuError> {
        let [b, h, w, c] = x.shape()?;
        let (oh, ow) = pad.out_size((h, w), self.kernel, self.stride);
        if c != self.channels || oh * ow == 0 {
            return Err(GpuError::Shape(format!("{} channels over {:?}", self.channels, x.dims())));
        }
        let out = Tensor::room(&self.gpu, &[b, oh, ow, c])?;
        let numbers = [h, w, c, oh, ow, self.kernel, self.stride, pad.top, pad.left, self.act as usize, out.count()];
        let inputs = [x.buffer(), &self.weights, &self.bias];
        self.gpu.each(Kernel::Depthwise, &numbers.map(|n| n as u32), &inputs, &out)?;
        Ok(out)
    }
}
