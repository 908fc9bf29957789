//! The pre-norm transformer layer of CLIP's two towers (and of the vision towers
//! that came after it). Must not know embeddings or pooling.

use candle_core::Device;

use crate::models::ModelError;
use crate::models::ops::{Activation, Backend, Mask, Matrix};
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
    pub fn check(&self) -> Result<(), String> {
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
pub struct Transformer<B: Backend = Device>(Vec<Layer<B>>);

impl<B: Backend> Transformer<B> {
    /// Loads `layers.0`, `layers.1`, … below `view`, by the names of `CLIPEncoder`.
    pub fn load(view: &View, sizes: LayerSizes, backend: &B) -> Result<Self, ModelError> {
        sizes.check().map_err(candle_core::Error::Msg)?;
        let load = |i| Layer::load(&view.pp("layers").pp(i), sizes, backend);
        Ok(Self((0..sizes.layers).map(load).collect::<Result<_, _>>()?))
    }

    /// `[batch, length, width]` to the same.
    pub fn forward(&self, x: &B::Tensor, mask: &Mask) -> Result<B::Tensor, ModelError> {
        self.0.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, mask))
    }
}

#[derive(Debug)]
struct Layer<B: Backend> {
    norm1: B::LayerNorm,
    /// Query, key and value side by side.
    joint: B::Linear,
    output: B::Linear,
    norm2: B::LayerNorm,
    widen: B::Linear,
    narrow: B::Linear,
    heads: usize,
}

impl<B: Backend> Layer<B> {
    fn load(view: &View, s: LayerSizes, backend: &B) -> Result<Self, ModelError> {
        let (attention, mlp) = (view.pp("self_attn"), view.pp("mlp"));
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for part in ["q_proj", "k_proj", "v_proj"] {
            weights.push(attention.pp(part).matrix("weight", s.width, s.width)?);
            bias.extend(attention.pp(part).vec("bias", s.width)?);
        }
        Ok(Self {
            norm1: view.pp("layer_norm1").layer_norm(s.width, s.eps, backend)?,
            joint: backend.linear(&Matrix::stack(weights), Some(&bias), Activation::None)?,
            output: attention.pp("out_proj").linear(s.width, s.width, Activation::None, backend)?,
            norm2: view.pp("layer_norm2").layer_norm(s.width, s.eps, backend)?,
            widen: mlp.pp("fc1").linear(s.width, s.inner, s.act, backend)?,
            narrow: mlp.pp("fc2").linear(s.inner, s.width, Activation::None, backend)?,
            heads: s.heads,
        })
    }

    fn forward(&self, x: &B::Tensor, mask: &Mask) -> Result<B::Tensor, ModelError> {
        let joint = B::product(&self.joint, &B::normalise(&self.norm1, x)?, None)?;
        let x = B::product(&self.output, &B::attend(&joint, self.heads, mask)?, Some(x))?;
        drop(joint);
        let wide = B::product(&self.widen, &B::normalise(&self.norm2, &x)?, None)?;
        B::product(&self.narrow, &wide, Some(&x))
    }
}
