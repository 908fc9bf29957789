//! BERT: the text encoder of ALIGN, of `lite-align` and of the Fuse models.
//!
//! Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>; parameter names as in
//! Hugging Face's `BertModel`. Must not know tokenizers, pooling or heads.

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear, Mask, Matrix, attention};
use crate::models::weights::{Table, View};

/// Sizes and habits of one encoder; names and defaults are those of `BertConfig`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub hidden_act: Activation,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f64,
    /// Position of the first token (2 in the XLM-R family, whose table is longer by that).
    #[serde(skip)]
    pub first_position: usize,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            first_position: 0,
        }
    }
}

impl BertConfig {
    fn check(&self) -> Result<(), String> {
        let sane = [
            self.vocab_size,
            self.hidden_size,
            self.num_attention_heads,
            self.intermediate_size,
            self.max_position_embeddings,
        ];
        if sane.iter().any(|&n| n == 0 || n > 1 << 24) || self.num_hidden_layers > 1000 {
            return Err("the text configuration holds a number out of range".into());
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "a width of {} cannot be shared by {} attention heads",
                self.hidden_size, self.num_attention_heads
            ));
        }
        Ok(())
    }
}

/// Sequences of one length, padded at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// `[batch, length]`, row by row.
    pub ids: Vec<u32>,
    /// 1 where `ids` holds a token, 0 where it is padding.
    pub mask: Vec<u32>,
    /// Sentence numbers, or empty for all 0.
    pub types: Vec<u32>,
    pub batch: usize,
    pub length: usize,
}

impl Tokens {
    /// Pads `rows` with `pad` to the longest of them.
    pub fn padded(rows: &[Vec<u32>], pad: u32) -> Self {
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = Self { batch: rows.len(), length, ..Self::default() };
        for row in rows {
            tokens.ids.extend(row);
            tokens.mask.extend(std::iter::repeat_n(1, row.len()));
            tokens.ids.resize(tokens.ids.len() + length - row.len(), pad);
            tokens.mask.resize(tokens.ids.len(), 0);
        }
        tokens
    }
}

/// The encoder.
#[derive(Debug)]
pub struct Bert {
    embeddings: BertEmbeddings,
    layers: Vec<BertLayer>,
}

impl Bert {
    /// Loads `embeddings` and `encoder.layer` below `view`.
    pub fn load(view: &View, config: &BertConfig, device: &Device) -> Result<Self, ModelError> {
        config.check().map_err(candle_core::Error::Msg)?;
        let layers = (0..config.num_hidden_layers)
            .map(|i| BertLayer::load(&view.pp("encoder.layer").pp(i), config, device))
            .collect::<Result<_, _>>()?;
        Ok(Self { embeddings: BertEmbeddings::load(&view.pp("embeddings"), config, device)?, layers })
    }

    /// Rows of the word table.
    pub fn vocab_size(&self) -> usize {
        self.embeddings.words.rows()
    }

    /// The longest sequence it can read.
    pub fn max_length(&self) -> usize {
        self.embeddings.max_length
    }

    /// The last hidden states `[batch, length, width]`.
    pub fn forward(&self, tokens: &Tokens) -> Result<Tensor, ModelError> {
        let mask = Mask::keys(&tokens.mask, tokens.batch, tokens.length);
        let mut x = self.embeddings.forward(tokens)?;
        for layer in &self.layers {
            x = layer.forward(&x, &mask)?;
        }
        Ok(x)
    }
}

/// Word, position and sentence embeddings, summed and normalised.
#[derive(Debug)]
pub struct BertEmbeddings {
    words: Table,
    positions: Vec<f32>,
    types: Vec<f32>,
    norm: LayerNorm,
    max_length: usize,
    first_position: usize,
    device: Device,
}

impl BertEmbeddings {
    /// Loads `word_embeddings`, `position_embeddings`, `token_type_embeddings` and `LayerNorm`.
    pub fn load(view: &View, config: &BertConfig, device: &Device) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        Ok(Self {
            words: view.table("word_embeddings.weight", config.vocab_size, width)?,
            positions: view.numbers("position_embeddings.weight", &[config.max_position_embeddings, width])?,
            types: view.numbers("token_type_embeddings.weight", &[config.type_vocab_size, width])?,
            norm: view.pp("LayerNorm").layer_norm(width, config.layer_norm_eps, device)?,
            max_length: config.max_position_embeddings.saturating_sub(config.first_position),
            first_position: config.first_position,
            device: device.clone(),
        })
    }

    /// `[batch, length, width]`.
    pub fn forward(&self, tokens: &Tokens) -> Result<Tensor, ModelError> {
        let (width, length) = (self.words.cols(), tokens.length);
        if tokens.ids.len() != tokens.batch * length || length > self.max_length {
            return Err(candle_core::Error::Msg(format!(
                "{} tokens where the encoder reads {}",
                length, self.max_length
            ))
            .into());
        }
        let mut sum = Vec::new();
        self.words.lookup(&tokens.ids, &mut sum)?;
        for (i, row) in sum.chunks_exact_mut(width.max(1)).enumerate() {
            let kind = tokens.types.get(i).copied().unwrap_or(0) as usize;
            let Some(kind) = self.types.get(kind * width..(kind + 1) * width) else {
                return Err(candle_core::Error::Msg(format!("the encoder knows no sentence number {kind}")).into());
            };
            let position = &self.positions[(self.first_position + i % length) * width..][..width];
            for ((v, t), p) in row.iter_mut().zip(kind).zip(position) {
                *v += t + p;
            }
        }
        let x = Tensor::from_vec(sum, (tokens.batch, length, width), &self.device)?;
        Ok(self.norm.forward(&x)?)
    }
}

/// One transformer layer, normalised after each half.
#[derive(Debug)]
pub struct BertLayer {
    /// Query, key and value side by side.
    joint: Linear,
    output: Linear,
    attention_norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl BertLayer {
    /// Loads `attention`, `intermediate` and `output` below `view`.
    pub fn load(view: &View, config: &BertConfig, device: &Device) -> Result<Self, ModelError> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let (attention, own) = (view.pp("attention"), view.pp("attention.self"));
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            weights.push(own.pp(part).matrix("weight", width, width)?);
            bias.extend(own.pp(part).vec("bias", width)?);
        }
        let output = view.pp("output");
        Ok(Self {
            joint: Linear::new(&Matrix::stack(weights), Some(&bias), Activation::None, device)?,
            output: attention.pp("output.dense").linear(width, width, Activation::None, device)?,
            attention_norm: attention.pp("output.LayerNorm").layer_norm(width, eps, device)?,
            widen: view.pp("intermediate.dense").linear(width, inner, config.hidden_act, device)?,
            narrow: output.pp("dense").linear(inner, width, Activation::None, device)?,
            norm: output.pp("LayerNorm").layer_norm(width, eps, device)?,
            heads: config.num_attention_heads,
        })
    }

    /// `[batch, length, width]` to the same.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> candle_core::Result<Tensor> {
        let width = self.output.out_dim();
        let joint = self.joint.forward(x)?;
        let part = |i: usize| joint.narrow(2, i * width, width);
        let scale = 1.0 / ((width / self.heads) as f32).sqrt();
        let seen = attention(&part(0)?, &part(1)?, &part(2)?, self.heads, scale, mask)?;
        let x = self.attention_norm.forward(&self.output.forward_add(&seen, x)?)?;
        self.norm.forward(&self.narrow.forward_add(&self.widen.forward(&x)?, &x)?)
    }
}
