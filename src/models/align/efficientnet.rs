//! EfficientNet: the image tower of ALIGN (B7) and, without squeeze-and-excite and
//! with relu6, of `lite-align` (Lite2).
//!
//! Tan and Le 2019, <https://arxiv.org/abs/1905.11946>; parameter names as in
//! Hugging Face's `EfficientNetModel` and `AlignVisionModel`. Batch norm is folded
//! into the convolutions at load. Must not know heads or preprocessing.

use candle_core::Device;
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, Backend, Matrix, MbConv, Padding, SqueezeExcite};
use crate::models::weights::View;

/// Sizes and habits of one EfficientNet; the names and defaults are those of `AlignVisionConfig`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct EfficientNetConfig {
    /// Shorter side of the input in pixels.
    pub image_size: usize,
    pub num_channels: usize,
    pub width_coefficient: f64,
    pub depth_coefficient: f64,
    pub depth_divisor: usize,
    pub kernel_sizes: Vec<usize>,
    pub in_channels: Vec<usize>,
    pub out_channels: Vec<usize>,
    /// Numbers of the blocks that pad all sides alike where they reduce.
    pub depthwise_padding: Vec<usize>,
    pub strides: Vec<usize>,
    pub num_block_repeats: Vec<usize>,
    pub expand_ratios: Vec<usize>,
    /// Width of squeeze-and-excite as a part of the block's input; 0 for none.
    pub squeeze_expansion_ratio: f64,
    pub hidden_act: Activation,
    pub batch_norm_eps: f64,
    pub pooling_type: Pooling,
    /// Stem, first and last stage keep their size at any coefficient (the Lite variants).
    #[serde(skip)]
    pub fixed_ends: bool,
    /// Pads as TensorFlow's "same" does, by the size of the input (the Lite variants).
    #[serde(skip)]
    pub same_padding: bool,
    /// Width of a 1x1 convolution after the last block (ALIGN has none).
    #[serde(skip)]
    pub top: Option<usize>,
}

/// How the final grid becomes one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    Mean,
    Max,
}

impl Default for EfficientNetConfig {
    fn default() -> Self {
        Self {
            image_size: 600,
            num_channels: 3,
            width_coefficient: 2.0,
            depth_coefficient: 3.1,
            depth_divisor: 8,
            kernel_sizes: vec![3, 3, 5, 3, 5, 5, 3],
            in_channels: vec![32, 16, 24, 40, 80, 112, 192],
            out_channels: vec![16, 24, 40, 80, 112, 192, 320],
            depthwise_padding: Vec::new(),
            strides: vec![1, 2, 2, 2, 1, 2, 1],
            num_block_repeats: vec![1, 2, 2, 3, 3, 4, 1],
            expand_ratios: vec![1, 6, 6, 6, 6, 6, 6],
            squeeze_expansion_ratio: 0.25,
            hidden_act: Activation::Swish,
            batch_norm_eps: 1e-3,
            pooling_type: Pooling::Mean,
            fixed_ends: false,
            same_padding: false,
            top: None,
        }
    }
}

/// One block, with all coefficients applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockSize {
    inputs: usize,
    outputs: usize,
    expand: usize,
    kernel: usize,
    stride: usize,
    residual: bool,
}

impl EfficientNetConfig {
    /// EfficientNet-Lite2: 260 pixels, no squeeze-and-excite, relu6, a top of 1280.
    pub fn lite2() -> Self {
        Self {
            image_size: 260,
            width_coefficient: 1.1,
            depth_coefficient: 1.2,
            squeeze_expansion_ratio: 0.0,
            hidden_act: Activation::Relu6,
            fixed_ends: true,
            same_padding: true,
            top: Some(1280),
            ..Self::default()
        }
    }

    /// Channels of the final grid.
    pub fn grid_channels(&self) -> usize {
        self.top.unwrap_or_else(|| self.round(self.out_channels.last().copied().unwrap_or(0)))
    }

    fn stem(&self) -> usize {
        if self.fixed_ends { 32 } else { self.round(32) }
    }

    /// Channels scaled by the width, to the nearest multiple of the divisor, at most 10 % down.
    fn round(&self, channels: usize) -> usize {
        let wanted = channels as f64 * self.width_coefficient;
        let divisor = self.depth_divisor as f64;
        let near = divisor.max(((wanted + divisor / 2.0) / divisor).floor() * divisor);
        (if near < 0.9 * wanted { near + divisor } else { near }) as usize
    }

    fn check(&self) -> Result<(), String> {
        let stages = self.in_channels.len();
        let lists =
            [&self.kernel_sizes, &self.out_channels, &self.strides, &self.num_block_repeats, &self.expand_ratios];
        if stages == 0 || lists.iter().any(|l| l.len() != stages) {
            return Err("the lists of the vision configuration differ in length".into());
        }
        let sane = |v: &[usize], max: usize| v.iter().all(|&n| (1..=max).contains(&n));
        let fits = sane(&self.kernel_sizes, 7)
            && self.kernel_sizes.iter().all(|k| k % 2 == 1)
            && sane(&self.strides, 2)
            && sane(&self.num_block_repeats, 1000)
            && sane(&self.expand_ratios, 64)
            && sane(&self.in_channels, 1 << 16)
            && sane(&self.out_channels, 1 << 16)
            && (1..=1 << 12).contains(&self.depth_divisor)
            && (0.01..100.0).contains(&self.width_coefficient)
            && (0.01..100.0).contains(&self.depth_coefficient)
            && (0.0..=1.0).contains(&self.squeeze_expansion_ratio)
            && (1..=1 << 14).contains(&self.image_size)
            && self.num_channels == 3;
        if fits { Ok(()) } else { Err("the vision configuration holds a number out of range".into()) }
    }

    fn blocks(&self) -> Vec<BlockSize> {
        let last = self.in_channels.len() - 1;
        let mut blocks = Vec::new();
        for i in 0..=last {
            let end = self.fixed_ends && (i == 0 || i == last);
            let repeats = self.num_block_repeats[i];
            let repeats = if end { repeats } else { (self.depth_coefficient * repeats as f64).ceil() as usize };
            let outputs = self.round(self.out_channels[i]);
            let mut inputs = if self.fixed_ends && i == 0 { 32 } else { self.round(self.in_channels[i]) };
            for j in 0..repeats {
                let stride = if j == 0 { self.strides[i] } else { 1 };
                blocks.push(BlockSize {
                    inputs,
                    outputs,
                    expand: self.expand_ratios[i],
                    kernel: self.kernel_sizes[i],
                    stride,
                    residual: stride == 1 && j > 0,
                });
                inputs = outputs;
            }
        }
        blocks
    }
}

/// What the tower sees in a batch of images.
#[derive(Clone, Debug)]
pub struct Features<T> {
    /// `[batch, height, width, channels]` after the last layer.
    pub grid: T,
    /// `[batch, channels]`: the grid's mean (or largest numbers, as configured).
    pub pooled: T,
}

/// The tower.
#[derive(Debug)]
pub struct EfficientNet<B: Backend = Device> {
    stem: B::Linear,
    blocks: Vec<(MbConv<B>, BlockSize, bool)>,
    top: Option<B::Linear>,
    config: EfficientNetConfig,
}

impl<B: Backend> EfficientNet<B> {
    /// Loads the tensors below `vision_model` (or wherever `view` points):
    /// `embeddings`, `encoder.blocks` and, with a top, `encoder.top_conv` and `encoder.top_bn`.
    pub fn load(view: &View, config: EfficientNetConfig, backend: &B) -> Result<Self, ModelError> {
        config.check().map_err(candle_core::Error::Msg)?;
        let (act, eps) = (config.hidden_act, config.batch_norm_eps);
        let embeddings = view.pp("embeddings");
        let stem = folded(
            &embeddings,
            "convolution.weight",
            "batchnorm",
            &[config.stem(), config.num_channels, 3, 3],
            eps,
            act,
            backend,
        )?;
        let encoder = view.pp("encoder");
        let mut blocks = Vec::new();
        for (i, size) in config.blocks().into_iter().enumerate() {
            let symmetric = config.depthwise_padding.contains(&i);
            let loaded = load_block(&encoder.pp("blocks").pp(i), size, &config, backend)?;
            blocks.push((loaded, size, symmetric));
        }
        let channels = config.round(config.out_channels.last().copied().unwrap_or(0));
        let top = match config.top {
            Some(n) => Some(folded(&encoder, "top_conv.weight", "top_bn", &[n, channels, 1, 1], eps, act, backend)?),
            None => None,
        };
        Ok(Self { stem, blocks, top, config })
    }

    /// Sizes and habits.
    pub fn config(&self) -> &EfficientNetConfig {
        &self.config
    }

    /// Normalised pixels `[batch, 3, height, width]` to features.
    pub fn forward(&self, pixels: &B::Tensor) -> Result<Features<B::Tensor>, ModelError> {
        let grid = B::in_groups(pixels, &|group| self.grid(group))?;
        let pooled = B::pool(&grid, self.config.pooling_type == Pooling::Max)?;
        Ok(Features { grid, pooled })
    }

    fn grid(&self, pixels: &B::Tensor) -> Result<B::Tensor, ModelError> {
        let &[_, _, h, w] = B::dims(pixels) else {
            return Err(candle_core::Error::Msg(format!("pixels of shape {:?}", B::dims(pixels))).into());
        };
        let pad = if self.config.same_padding { Padding::same((h, w), 3, 2) } else { Padding::sides(0, 1) };
        let mut x = B::product(&self.stem, &B::patches(pixels, 3, 2, pad)?, None)?;
        for (block, size, symmetric) in &self.blocks {
            let half = size.kernel / 2;
            let (h, w) = (B::dims(&x)[1], B::dims(&x)[2]);
            let pad = if self.config.same_padding {
                Padding::same((h, w), size.kernel, size.stride)
            } else if size.stride == 1 || *symmetric {
                Padding::all(half)
            } else {
                Padding::sides(half.saturating_sub(1), half)
            };
            x = B::mbconv(block, &x, pad)?;
        }
        Ok(match &self.top {
            Some(top) => B::product(top, &x, None)?,
            None => x,
        })
    }
}

fn load_block<B: Backend>(
    view: &View,
    size: BlockSize,
    config: &EfficientNetConfig,
    backend: &B,
) -> Result<MbConv<B>, ModelError> {
    let (act, eps) = (config.hidden_act, config.batch_norm_eps);
    let wide = size.inputs * size.expand;
    let expand = if size.expand == 1 {
        None
    } else {
        let shape = [wide, size.inputs, 1, 1];
        Some(folded(&view.pp("expansion"), "expand_conv.weight", "expand_bn", &shape, eps, act, backend)?)
    };
    let dw = view.pp("depthwise_conv");
    let mut kernel = dw.numbers("depthwise_conv.weight", &[wide, 1, size.kernel, size.kernel])?;
    let (scale, shift) = batch_norm(&dw.pp("depthwise_norm"), wide, eps)?;
    scale_rows(&mut kernel, &scale);
    let squeeze = if config.squeeze_expansion_ratio > 0.0 {
        let se = view.pp("squeeze_excite");
        let narrow = ((size.inputs as f64 * config.squeeze_expansion_ratio) as usize).max(1);
        let layer = |name: &str, n: usize, k: usize, act| -> Result<B::Linear, ModelError> {
            let weight = se.kernel(&format!("{name}.weight"), &[n, k, 1, 1])?;
            backend.linear(&weight, Some(&se.vec(&format!("{name}.bias"), n)?), act)
        };
        Some(SqueezeExcite {
            reduce: layer("reduce", narrow, wide, act)?,
            expand: layer("expand", wide, narrow, Activation::Sigmoid)?,
        })
    } else {
        None
    };
    let shape = [size.outputs, wide, 1, 1];
    let project =
        folded(&view.pp("projection"), "project_conv.weight", "project_bn", &shape, eps, Activation::None, backend)?;
    let depthwise = backend.depthwise(&kernel, &shift, size.kernel, size.stride, act)?;
    Ok(MbConv { expand, depthwise, squeeze, project, residual: size.residual })
}

/// A convolution without bias and the batch norm after it, as one layer.
fn folded<B: Backend>(
    view: &View,
    conv: &str,
    norm: &str,
    shape: &[usize],
    eps: f64,
    act: Activation,
    backend: &B,
) -> Result<B::Linear, ModelError> {
    let kernel = view.kernel(conv, shape)?;
    let (scale, shift) = batch_norm(&view.pp(norm), shape[0], eps)?;
    let mut numbers = kernel.to_f32();
    scale_rows(&mut numbers, &scale);
    backend.linear(&Matrix::f32(kernel.rows, kernel.cols, numbers), Some(&shift), act)
}

fn scale_rows(numbers: &mut [f32], scale: &[f32]) {
    let width = numbers.len() / scale.len().max(1);
    for (row, s) in numbers.chunks_exact_mut(width.max(1)).zip(scale) {
        row.iter_mut().for_each(|w| *w *= s);
    }
}

/// Batch norm in use: `x * scale + shift`.
fn batch_norm(view: &View, channels: usize, eps: f64) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let read = |name| view.vec(name, channels);
    let (weight, bias, mean, var) = (read("weight")?, read("bias")?, read("running_mean")?, read("running_var")?);
    let scale: Vec<f32> =
        weight.iter().zip(&var).map(|(&w, &v)| (f64::from(w) / (f64::from(v) + eps).sqrt()) as f32).collect();
    let shift = bias.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    Ok((scale, shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lite2_has_the_published_shape() {
        let config = EfficientNetConfig::lite2();
        config.check().unwrap();
        let blocks = config.blocks();
        let outputs: Vec<usize> = blocks.iter().map(|b| b.outputs).collect();
        assert_eq!(
            outputs,
            [16, 24, 24, 24, 48, 48, 48, 88, 88, 88, 88, 120, 120, 120, 120, 208, 208, 208, 208, 208, 352]
        );
        assert_eq!((blocks[0].inputs, config.stem(), config.grid_channels()), (32, 32, 1280));
    }

    #[test]
    fn b7_has_the_published_shape() {
        let config = EfficientNetConfig::default();
        assert_eq!(config.blocks().len(), 55);
        assert_eq!((config.stem(), config.grid_channels()), (64, 640));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for change in [
            r#"{"strides":[1]}"#,
            r#"{"image_size":0}"#,
            r#"{"kernel_sizes":[3,3,4,3,5,5,3]}"#,
            r#"{"depth_coefficient":1e9}"#,
        ] {
            let config: EfficientNetConfig = serde_json::from_str(change).unwrap();
            assert!(config.check().is_err(), "{change}");
        }
    }
}
