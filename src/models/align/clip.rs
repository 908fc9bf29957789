//! CLIP: a vision transformer and a causal text transformer.
//!
//! Radford et al. 2021, <https://arxiv.org/abs/2103.00020>; parameter names and
//! configuration as in Hugging Face's `CLIPModel`. Must not know files.

use candle_core::Device;
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, Backend, Fetch, Mask, Padding};
use crate::models::weights::{Table, View};

use super::Pixels;
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
pub struct Clip<B: Backend = Device> {
    vision: VisionTower<B>,
    text: TextTower<B>,
    image_projection: B::Linear,
    text_projection: B::Linear,
    /// Natural logarithm of what cosines are multiplied by.
    logit_scale: f32,
    config: ClipConfig,
    backend: B,
}

/// A tower's last hidden states `[batch, length, width]` and its projected,
/// not yet normalised vector `[batch, dim]`.
#[derive(Clone, Debug)]
pub struct TowerOutput<T> {
    pub hidden: T,
    pub features: T,
}

impl<B: Backend> Clip<B> {
    /// Loads all tensors of a `CLIPModel`.
    pub fn load(view: &View, config: ClipConfig, backend: &B) -> Result<Self, ModelError> {
        let (text, vision, dim) = (&config.text_config, &config.vision_config, config.projection_dim);
        if dim == 0 || dim > 1 << 16 {
            return Err(candle_core::Error::Msg("the configuration holds a number out of range".into()).into());
        }
        Ok(Self {
            vision: VisionTower::load(&view.pp("vision_model"), vision, backend)?,
            text: TextTower::load(&view.pp("text_model"), text, backend)?,
            image_projection: view.pp("visual_projection").linear_no_bias(vision.hidden_size, dim, backend)?,
            text_projection: view.pp("text_projection").linear_no_bias(text.hidden_size, dim, backend)?,
            logit_scale: view.scalar("logit_scale")?,
            config,
            backend: backend.clone(),
        })
    }

    /// Pixels `[batch, 3, side, side]`.
    pub fn image(&self, pixels: &B::Tensor) -> Result<TowerOutput<B::Tensor>, ModelError> {
        let hidden = self.vision.forward(pixels)?;
        let (batch, length) = (B::dims(&hidden)[0] as u32, B::dims(&hidden)[1] as u32);
        let classes: Vec<u32> = (0..batch).map(|i| i * length).collect();
        let pooled = B::normalise(&self.vision.post_norm, &B::pick(&hidden, &classes)?)?;
        Ok(TowerOutput { features: B::product(&self.image_projection, &pooled, None)?, hidden })
    }

    /// Token ids, cut to the tower's length already.
    pub fn text(&self, tokens: &Tokens) -> Result<TowerOutput<B::Tensor>, ModelError> {
        let hidden = self.text.forward(tokens, &self.backend)?;
        let ends: Vec<u32> = tokens
            .ids
            .chunks(tokens.length.max(1))
            .enumerate()
            .map(|(row, ids)| (row * tokens.length + self.end(ids)) as u32)
            .collect();
        let pooled = B::pick(&hidden, &ends)?;
        Ok(TowerOutput { features: B::product(&self.text_projection, &pooled, None)?, hidden })
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

impl<B: Backend> Towers for Clip<B> {
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

    fn images(&self, batch: &[Pixels]) -> Result<Fetch, ModelError> {
        let pixels = Pixels::stack(batch, self.image_side(), &self.backend)?;
        B::fetch(&[&self.image(&pixels)?.features])
    }

    fn texts(&self, rows: &[Vec<u32>]) -> Result<Fetch, ModelError> {
        // What stands behind the end token has no influence: attention is causal.
        let mut tokens = Tokens::padded(rows, 0);
        tokens.mask.fill(1);
        B::fetch(&[&self.text(&tokens)?.features])
    }

    fn device(&self) -> &'static str {
        self.backend.name()
    }
}

#[derive(Debug)]
struct VisionTower<B: Backend> {
    patch: B::Linear,
    patch_size: usize,
    image_size: usize,
    /// Positions `[1 + patches, width]`, the class embedding added to the first.
    positions: B::Tensor,
    pre_norm: B::LayerNorm,
    layers: Transformer<B>,
    post_norm: B::LayerNorm,
}

impl<B: Backend> VisionTower<B> {
    fn load(view: &View, c: &ClipVisionConfig, backend: &B) -> Result<Self, ModelError> {
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
        let mut positions = embeddings.numbers("position_embedding.weight", &[grid * grid + 1, width])?;
        for (position, class) in positions.iter_mut().zip(embeddings.vec("class_embedding", width)?) {
            *position += class;
        }
        Ok(Self {
            patch: backend.linear(&kernel, None, Activation::None)?,
            patch_size: c.patch_size,
            image_size: c.image_size,
            positions: backend.tensor(positions, &[grid * grid + 1, width])?,
            pre_norm: view.pp("pre_layrnorm").layer_norm(width, eps, backend)?,
            layers: Transformer::load(&view.pp("encoder"), sizes, backend)?,
            post_norm: view.pp("post_layernorm").layer_norm(width, eps, backend)?,
        })
    }

    fn forward(&self, pixels: &B::Tensor) -> Result<B::Tensor, ModelError> {
        let side = self.image_size;
        if !matches!(B::dims(pixels), [_, 3, h, w] if (*h, *w) == (side, side)) {
            let message = format!("pixels of {:?} where the tower wants {side}x{side}", B::dims(pixels));
            return Err(candle_core::Error::Msg(message).into());
        }
        let size = self.patch_size;
        let grid = B::product(&self.patch, &B::patches(pixels, size, size, Padding::default())?, None)?;
        let x = B::on_positions(&grid, &self.positions)?;
        drop(grid);
        self.layers.forward(&B::normalise(&self.pre_norm, &x)?, &Mask::none())
    }
}

#[derive(Debug)]
struct TextTower<B: Backend> {
    words: Table,
    positions: Vec<f32>,
    max_length: usize,
    layers: Transformer<B>,
    norm: B::LayerNorm,
}

impl<B: Backend> TextTower<B> {
    fn load(view: &View, c: &ClipTextConfig, backend: &B) -> Result<Self, ModelError> {
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
            layers: Transformer::load(&view.pp("encoder"), sizes, backend)?,
            norm: view.pp("final_layer_norm").layer_norm(width, c.layer_norm_eps, backend)?,
        })
    }

    fn forward(&self, tokens: &Tokens, backend: &B) -> Result<B::Tensor, ModelError> {
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
        let x = backend.tensor(sum, &[tokens.batch, length, width])?;
        let mask = Mask::keys(&tokens.mask, tokens.batch, length).and_causal();
        B::normalise(&self.norm, &self.layers.forward(&x, &mask)?)
    }
}
