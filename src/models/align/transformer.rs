//! The pre-norm transformer layer of CLIP's two towers (and of the vision towers
//! that came after it). Must not know embeddings or pooling.

use candle_core::{Device, Result, Tensor};

use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear, Mask, Matrix, attention};
use crate::models::weights::View;

/// Sizes of a stack of layers.
#[derive(Clone, Copy, Debug)]
pub struct LayerSizes {
    pub width: usize,
    pub inner: usize,
    pub heads: usize,
    pub layers: usize,
    pub act: Activation,
    pub eps: f64,
}

impl LayerSizes {
    /// Says what cannot be.
    pub fn check(&self) -> std::result::Result<(), String> {
        let sane =
            [self.width, self.inner, self.heads].iter().all(|&n| (1..=1 << 16).contains(&n)) && self.layers <= 1000;
        if !sane {
            return Err("the configuration holds a number out of range".into());
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(format!("a width of {} cannot be shared by {} attention heads", self.width, self.heads));
        }
        Ok(())
    }
}

/// Layers one after the other.
#[derive(Debug)]
pub struct Transformer(Vec<Layer>);

impl Transformer {
    /// Loads `layers.0`, `layers.1`, … below `view`, by the names of `CLIPEncoder`.
    pub fn load(view: &View, sizes: LayerSizes, device: &Device) -> std::result::Result<Self, ModelError> {
        sizes.check().map_err(candle_core::Error::Msg)?;
        let load = |i| Layer::load(&view.pp("layers").pp(i), sizes, device);
        Ok(Self((0..sizes.layers).map(load).collect::<std::result::Result<_, _>>()?))
    }

    /// `[batch, length, width]` to the same.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, mask))
    }
}

#[derive(Debug)]
struct Layer {
    norm1: LayerNorm,
    /// Query, key and value side by side.
    joint: Linear,
    output: Linear,
    norm2: LayerNorm,
    widen: Linear,
    narrow: Linear,
    heads: usize,
}

impl Layer {
    fn load(view: &View, s: LayerSizes, device: &Device) -> std::result::Result<Self, ModelError> {
        let (attention, mlp) = (view.pp("self_attn"), view.pp("mlp"));
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for part in ["q_proj", "k_proj", "v_proj"] {
            weights.push(attention.pp(part).matrix("weight", s.width, s.width)?);
            bias.extend(attention.pp(part).vec("bias", s.width)?);
        }
        Ok(Self {
            norm1: view.pp("layer_norm1").layer_norm(s.width, s.eps, device)?,
            joint: Linear::new(&Matrix::stack(weights), Some(&bias), Activation::None, device)?,
            output: attention.pp("out_proj").linear(s.width, s.width, Activation::None, device)?,
            norm2: view.pp("layer_norm2").layer_norm(s.width, s.eps, device)?,
            widen: mlp.pp("fc1").linear(s.width, s.inner, s.act, device)?,
            narrow: mlp.pp("fc2").linear(s.inner, s.width, Activation::None, device)?,
            heads: s.heads,
        })
    }

    fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let width = self.output.out_dim();
        let joint = self.joint.forward(&self.norm1.forward(x)?)?;
        let part = |i: usize| joint.narrow(2, i * width, width);
        let scale = 1.0 / ((width / self.heads) as f32).sqrt();
        let seen = attention(&part(0)?, &part(1)?, &part(2)?, self.heads, scale, mask)?;
        let x = self.output.forward_add(&seen, x)?;
        self.narrow.forward_add(&self.widen.forward(&self.norm2.forward(&x)?)?, &x)
    }
}
