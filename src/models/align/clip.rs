//! CLIP: a vision transformer and a causal text transformer.
//!
//! Radford et al. 2021, <https://arxiv.org/abs/2103.00020>; parameter names and
//! configuration as in Hugging Face's `CLIPModel`. Must not know files.

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear, Mask, Padding, patches};
use crate::models::weights::{Table, View};

use super::checkpoint::Towers;
use super::transformer::{LayerSizes, Transformer};
use crate::models::bert::Tokens;

/// `config.json`; absent keys have the reference's defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    pub projection_dim: usize,
    pub text_config: ClipTextConfig,
    pub vision_config: ClipVisionConfig,
}

/// The text tower's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// 2 in OpenAI's own files, where the end token is the one with the highest id.
    pub eos_token_id: u32,
}

/// The image tower's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self { projection_dim: 512, text_config: ClipTextConfig::default(), vision_config: ClipVisionConfig::default() }
    }
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

/// Both towers with their projections.
#[derive(Debug)]
pub struct Clip {
    vision: VisionTower,
    text: TextTower,
    image_projection: Linear,
    text_projection: Linear,
    /// Natural logarithm of what cosines are multiplied by.
    logit_scale: f32,
    config: ClipConfig,
    device: Device,
}

/// A tower's last hidden states `[batch, length, width]` and its projected,
/// not yet normalised vector `[batch, dim]`.
#[derive(Clone, Debug)]
pub struct TowerOutput {
    pub hidden: Tensor,
    pub features: Tensor,
}

impl Clip {
    /// Loads all tensors of a `CLIPModel`.
    pub fn load(view: &View, config: ClipConfig, device: &Device) -> Result<Self, ModelError> {
        let (text, vision, dim) = (&config.text_config, &config.vision_config, config.projection_dim);
        if dim == 0 || dim > 1 << 16 {
            return Err(candle_core::Error::Msg("the configuration holds a number out of range".into()).into());
        }
        Ok(Self {
            vision: VisionTower::load(&view.pp("vision_model"), vision, device)?,
            text: TextTower::load(&view.pp("text_model"), text, device)?,
            image_projection: view.pp("visual_projection").linear_no_bias(vision.hidden_size, dim, device)?,
            text_projection: view.pp("text_projection").linear_no_bias(text.hidden_size, dim, device)?,
            logit_scale: view.scalar("logit_scale")?,
            config,
            device: device.clone(),
        })
    }

    /// Pixels `[batch, 3, side, side]`.
    pub fn image(&self, pixels: &Tensor) -> Result<TowerOutput, ModelError> {
        let hidden = self.vision.forward(pixels)?;
        let pooled = self.vision.post_norm.forward(&hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        Ok(TowerOutput { features: self.image_projection.forward(&pooled)?, hidden })
    }

    /// Token ids, cut to the tower's length already.
    pub fn text(&self, tokens: &Tokens) -> Result<TowerOutput, ModelError> {
        let hidden = self.text.forward(tokens, &self.device)?;
        let ends: Vec<u32> = tokens
            .ids
            .chunks(tokens.length.max(1))
            .enumerate()
            .map(|(row, ids)| (row * tokens.length + self.end(ids)) as u32)
            .collect();
        let flat = hidden.flatten(0, 1)?;
        let pooled = flat.index_select(&Tensor::from_vec(ends, tokens.batch, &self.device)?, 0)?;
        Ok(TowerOutput { features: self.text_projection.forward(&pooled)?, hidden })
    }

    /// What cosines are multiplied by.
    pub fn scale(&self) -> f32 {
        self.logit_scale.exp()
    }

    /// Position of the token whose state stands for the text.
    fn end(&self, ids: &[u32]) -> usize {
        let eos = self.config.text_config.eos_token_id;
        if eos == 2 {
            // The first of the highest ids.
            let highest = ids.iter().max();
            ids.iter().position(|id| Some(id) == highest).unwrap_or(0)
        } else {
            ids.iter().position(|&id| id == eos).unwrap_or(0)
        }
    }
}

impl Towers for Clip {
    fn dim(&self) -> usize {
        self.config.projection_dim
    }

    fn image_side(&self) -> usize {
        self.config.vision_config.image_size
    }

    fn vocab_size(&self) -> usize {
        self.config.text_config.vocab_size
    }

    fn text_limit(&self) -> usize {
        self.config.text_config.max_position_embeddings
    }

    fn images(&self, pixels: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.image(pixels)?.features)
    }

    fn texts(&self, rows: &[Vec<u32>]) -> Result<Tensor, ModelError> {
        // What stands behind the end token has no influence: attention is causal.
        let mut tokens = Tokens::padded(rows, 0);
        tokens.mask.fill(1);
        Ok(self.text(&tokens)?.features)
    }
}

#[derive(Debug)]
struct VisionTower {
    patch: Linear,
    patch_size: usize,
    image_size: usize,
    class: Tensor,
    positions: Tensor,
    pre_norm: LayerNorm,
    layers: Transformer,
    post_norm: LayerNorm,
}

impl VisionTower {
    fn load(view: &View, c: &ClipVisionConfig, device: &Device) -> Result<Self, ModelError> {
        let sane =
            c.num_channels == 3 && (1..=1 << 13).contains(&c.image_size) && (1..=c.image_size).contains(&c.patch_size);
        if !sane {
            return Err(candle_core::Error::Msg("the vision configuration holds a number out of range".into()).into());
        }
        let (width, eps, grid) = (c.hidden_size, c.layer_norm_eps, c.image_size / c.patch_size);
        let sizes = LayerSizes {
            width,
            inner: c.intermediate_size,
            heads: c.num_attention_heads,
            layers: c.num_hidden_layers,
            act: c.hidden_act,
            eps,
        };
        let embeddings = view.pp("embeddings");
        let kernel =
            embeddings.kernel("patch_embedding.weight", &[width, c.num_channels, c.patch_size, c.patch_size])?;
        Ok(Self {
            patch: Linear::new(&kernel, None, Activation::None, device)?,
            patch_size: c.patch_size,
            image_size: c.image_size,
            class: embeddings.tensor("class_embedding", &[width], device)?,
            positions: embeddings.tensor("position_embedding.weight", &[grid * grid + 1, width], device)?,
            pre_norm: view.pp("pre_layrnorm").layer_norm(width, eps, device)?,
            layers: Transformer::load(&view.pp("encoder"), sizes, device)?,
            post_norm: view.pp("post_layernorm").layer_norm(width, eps, device)?,
        })
    }

    fn forward(&self, pixels: &Tensor) -> Result<Tensor, ModelError> {
        let (batch, _, h, w) = pixels.dims4()?;
        if (h, w) != (self.image_size, self.image_size) {
            let message = format!("pictures of {w}x{h} where the tower wants {0}x{0}", self.image_size);
            return Err(candle_core::Error::Msg(message).into());
        }
        let grid = self
            .patch
            .forward(&patches(pixels, self.patch_size, self.patch_size, Padding::default())?)?
            .flatten(1, 2)?;
        let class = self.class.reshape((1, 1, ()))?.expand((batch, 1, self.patch.out_dim()))?;
        let x = Tensor::cat(&[&class, &grid], 1)?.broadcast_add(&self.positions)?;
        Ok(self.layers.forward(&self.pre_norm.forward(&x)?, &Mask::none())?)
    }
}

#[derive(Debug)]
struct TextTower {
    words: Table,
    positions: Vec<f32>,
    max_length: usize,
    layers: Transformer,
    norm: LayerNorm,
}

impl TextTower {
    fn load(view: &View, c: &ClipTextConfig, device: &Device) -> Result<Self, ModelError> {
        let width = c.hidden_size;
        let sizes = LayerSizes {
            width,
            inner: c.intermediate_size,
            heads: c.num_attention_heads,
            layers: c.num_hidden_layers,
            act: c.hidden_act,
            eps: c.layer_norm_eps,
        };
        let embeddings = view.pp("embeddings");
        Ok(Self {
            words: embeddings.table("token_embedding.weight", c.vocab_size, width)?,
            positions: embeddings.numbers("position_embedding.weight", &[c.max_position_embeddings, width])?,
            max_length: c.max_position_embeddings,
            layers: Transformer::load(&view.pp("encoder"), sizes, device)?,
            norm: view.pp("final_layer_norm").layer_norm(width, c.layer_norm_eps, device)?,
        })
    }

    fn forward(&self, tokens: &Tokens, device: &Device) -> Result<Tensor, ModelError> {
        let (width, length) = (self.words.cols(), tokens.length);
        if length == 0 || length > self.max_length || tokens.ids.len() != tokens.batch * length {
            return Err(candle_core::Error::Msg(format!(
                "{length} tokens where the text tower reads 1 to {}",
                self.max_length
            ))
            .into());
        }
        let mut sum = Vec::new();
        self.words.lookup(&tokens.ids, &mut sum)?;
        for (i, row) in sum.chunks_exact_mut(width).enumerate() {
            for (v, p) in row.iter_mut().zip(&self.positions[i % length * width..]) {
                *v += p;
            }
        }
        let x = Tensor::from_vec(sum, (tokens.batch, length, width), device)?;
        let mask = Mask::keys(&tokens.mask, tokens.batch, length).and_causal();
        Ok(self.norm.forward(&self.layers.forward(&x, &mask)?)?)
    }
}
