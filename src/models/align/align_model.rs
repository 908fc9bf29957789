//! ALIGN: EfficientNet and BERT in one space.
//!
//! Jia et al. 2021, <https://arxiv.org/abs/2102.05918>; parameter names and
//! configuration as in Hugging Face's `AlignModel`. Must not know files.

use candle_core::Device;
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, Backend, Fetch};
use crate::models::weights::View;

use super::Pixels;
use super::checkpoint::Towers;
use super::efficientnet::{EfficientNet, EfficientNetConfig, Features};
use crate::models::bert::{Bert, BertConfig, Tokens};

/// `config.json`; absent keys have the reference's defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct AlignConfig {
    pub projection_dim: usize,
    pub text_config: BertConfig,
    pub vision_config: EfficientNetConfig,
}

impl Default for AlignConfig {
    fn default() -> Self {
        Self { projection_dim: 640, text_config: BertConfig::default(), vision_config: EfficientNetConfig::default() }
    }
}

/// The texts that ALIGN was trained on had at most this many tokens.
const TEXT_LIMIT: usize = 64;

/// Both towers; the image tower has no projection, the text tower's leads to its width.
#[derive(Debug)]
pub struct AlignTowers<B: Backend = Device> {
    vision: EfficientNet<B>,
    text: Bert<B>,
    projection: B::Linear,
    temperature: f32,
    config: AlignConfig,
    backend: B,
}

impl<B: Backend> AlignTowers<B> {
    /// Loads all tensors of an `AlignModel`.
    pub fn load(view: &View, config: AlignConfig, backend: &B) -> Result<Self, ModelError> {
        let dim = config.projection_dim;
        if dim != config.vision_config.grid_channels() {
            let message = format!(
                "a joint space of {dim} numbers, where the image tower gives {}",
                config.vision_config.grid_channels()
            );
            return Err(candle_core::Error::Msg(message).into());
        }
        // Text is taken from the first token's state; the pooler of the file is not used.
        let text = view.pp("text_model");
        text.ignore("pooler.dense.weight");
        text.ignore("pooler.dense.bias");
        Ok(Self {
            vision: EfficientNet::load(&view.pp("vision_model"), config.vision_config.clone(), backend)?,
            text: Bert::load(&text, &config.text_config, backend)?,
            projection: view.pp("text_projection").linear(
                config.text_config.hidden_size,
                dim,
                Activation::None,
                backend,
            )?,
            temperature: view.scalar("temperature")?,
            config,
            backend: backend.clone(),
        })
    }

    /// Pixels `[batch, 3, height, width]`; the pooled vector is the image's feature.
    pub fn image(&self, pixels: &B::Tensor) -> Result<Features<B::Tensor>, ModelError> {
        self.vision.forward(pixels)
    }

    /// Last hidden states and the projected vector.
    pub fn text(&self, tokens: &Tokens) -> Result<(B::Tensor, B::Tensor), ModelError> {
        let hidden = self.text.forward(tokens)?;
        let first: Vec<u32> = (0..tokens.batch).map(|row| (row * tokens.length) as u32).collect();
        let features = B::product(&self.projection, &B::pick(&hidden, &first)?, None)?;
        Ok((hidden, features))
    }

    /// What cosines are divided by.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }
}

impl<B: Backend> Towers for AlignTowers<B> {
    fn dim(&self) -> usize {
        self.config.projection_dim
    }

    fn image_side(&self) -> usize {
        self.config.vision_config.image_size
    }

    fn vocab_size(&self) -> usize {
        self.text.vocab_size()
    }

    fn text_limit(&self) -> usize {
        self.text.max_length().min(TEXT_LIMIT)
    }

    fn images(&self, batch: &[Pixels]) -> Result<Fetch, ModelError> {
        let pixels = Pixels::stack(batch, self.image_side(), &self.backend)?;
        B::fetch(&[&self.image(&pixels)?.pooled])
    }

    fn texts(&self, rows: &[Vec<u32>]) -> Result<Fetch, ModelError> {
        B::fetch(&[&self.text(&Tokens::padded(rows, 0))?.1])
    }

    fn device(&self) -> &'static str {
        self.backend.name()
    }
}
