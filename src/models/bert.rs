//! BERT: the text encoder of ALIGN and of `lite-align`, and the one transformer of the Fuse models.
//!
//! Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>; parameter names as in
//! Hugging Face's `BertModel`. Must not know tokenizers, pooling or heads.

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::models::ModelError;
use crate::models::ops::{Activation, Backend, Mask, Matrix, attention};
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
pub struct Bert<B: Backend = Device> {
    embeddings: BertEmbeddings<B>,
    layers: Vec<BertLayer<B>>,
}

impl<B: Backend> Bert<B> {
    /// Loads `embeddings` and `encoder.layer` below `view`.
    pub fn load(view: &View, config: &BertConfig, backend: &B) -> Result<Self, ModelError> {
        config.check().map_err(candle_core::Error::Msg)?;
        let layers = (0..config.num_hidden_layers)
            .map(|i| BertLayer::load(&view.pp("encoder.layer").pp(i), config, backend))
            .collect::<Result<_, _>>()?;
        Ok(Self { embeddings: BertEmbeddings::load(&view.pp("embeddings"), config, backend)?, layers })
    }

    /// Rows of the word table.
    pub fn vocab_size(&self) -> usize {
        self.embeddings.words.rows()
    }

    /// The longest sequence it can read.
    pub fn max_length(&self) -> usize {
        self.embeddings.max_length
    }

    /// What stands before the first layer.
    pub fn embeddings(&self) -> &BertEmbeddings<B> {
        &self.embeddings
    }

    /// The last hidden states `[batch, length, width]`.
    pub fn forward(&self, tokens: &Tokens) -> Result<B::Tensor, ModelError> {
        let mask = Mask::keys(&tokens.mask, tokens.batch, tokens.length);
        self.encode(self.embeddings.forward(tokens)?, &mask)
    }

    /// The same from rows that are embedded already, `[batch, length, width]`.
    pub fn encode(&self, rows: B::Tensor, mask: &Mask) -> Result<B::Tensor, ModelError> {
        let mut x = rows;
        for layer in &self.layers {
            x = layer.forward(&x, mask)?;
        }
        Ok(x)
    }
}

impl Bert {
    /// The same for rows that follow others: keys are those of `past` and then their
    /// own. Also gives the keys and values of these rows alone.
    pub fn encode_after(
        &self,
        rows: Tensor,
        past: Option<&KeyValues>,
        mask: &Mask,
    ) -> Result<(Tensor, KeyValues), ModelError> {
        let (mut x, mut own) = (rows, Vec::with_capacity(self.layers.len()));
        for (i, layer) in self.layers.iter().enumerate() {
            let past = past.and_then(|past| past.0.get(i));
            let (next, kept) = layer.forward_after(&x, past, mask)?;
            own.push(kept);
            x = next;
        }
        Ok((x, KeyValues(own)))
    }
}

/// What later rows need of earlier ones: keys and values `[batch, rows, width]` of each layer.
#[derive(Clone, Debug)]
pub struct KeyValues(Vec<(Tensor, Tensor)>);

impl KeyValues {
    /// The rows of the sequences `parents`, in that order (one may come several times).
    pub fn pick(&self, parents: &[usize]) -> Result<Self, ModelError> {
        let Some((first, _)) = self.0.first() else { return Ok(self.clone()) };
        if parents.iter().copied().eq(0..first.dims3()?.0) {
            return Ok(self.clone());
        }
        let index: Vec<u32> = parents.iter().map(|&p| p as u32).collect();
        let index = Tensor::from_vec(index, parents.len(), first.device())?;
        let pick = |x: &Tensor| x.contiguous()?.index_select(&index, 0);
        let layers: candle_core::Result<_> = self.0.iter().map(|(k, v)| Ok((pick(k)?, pick(v)?))).collect();
        Ok(Self(layers?))
    }

    /// These and the first `rows` rows of `new`.
    pub fn followed_by(&self, new: &Self, rows: usize) -> Result<Self, ModelError> {
        let join = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, &b.narrow(1, 0, rows)?], 1);
        let layers = self.0.iter().zip(&new.0);
        let joined: candle_core::Result<_> =
            layers.map(|((k, v), (nk, nv))| Ok((join(k, nk)?, join(v, nv)?))).collect();
        Ok(Self(joined?))
    }
}

/// A word where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub id: u32,
    pub position: usize,
    /// Sentence number.
    pub kind: u32,
}

/// Word, position and sentence embeddings, summed and normalised.
#[derive(Debug)]
pub struct BertEmbeddings<B: Backend = Device> {
    words: Table,
    positions: Vec<f32>,
    types: Vec<f32>,
    norm: B::LayerNorm,
    max_length: usize,
    first_position: usize,
    backend: B,
}

impl<B: Backend> BertEmbeddings<B> {
    /// Loads `word_embeddings`, `position_embeddings`, `token_type_embeddings` and `LayerNorm`.
    pub fn load(view: &View, config: &BertConfig, backend: &B) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        Ok(Self {
            words: view.table("word_embeddings.weight", config.vocab_size, width)?,
            positions: view.numbers("position_embeddings.weight", &[config.max_position_embeddings, width])?,
            types: view.numbers("token_type_embeddings.weight", &[config.type_vocab_size, width])?,
            norm: view.pp("LayerNorm").layer_norm(width, config.layer_norm_eps, backend)?,
            max_length: config.max_position_embeddings.saturating_sub(config.first_position),
            first_position: config.first_position,
            backend: backend.clone(),
        })
    }

    /// `[batch, length, width]`.
    pub fn forward(&self, tokens: &Tokens) -> Result<B::Tensor, ModelError> {
        let (width, length) = (self.words.cols(), tokens.length);
        if tokens.ids.len() != tokens.batch * length {
            return Err(candle_core::Error::Msg(format!("{} tokens for {length} columns", tokens.ids.len())).into());
        }
        let word = |(i, &id): (usize, &u32)| Word {
            id,
            position: i % length.max(1),
            kind: tokens.types.get(i).copied().unwrap_or(0),
        };
        let words: Vec<Word> = tokens.ids.iter().enumerate().map(word).collect();
        self.placed(&words, &[tokens.batch, length, width])
    }

    /// Words in any places, `[words, width]`.
    pub fn rows(&self, words: &[Word]) -> Result<B::Tensor, ModelError> {
        self.placed(words, &[words.len(), self.words.cols()])
    }

    /// The rows are summed here: a vocabulary's table is large, and a text needs few of its rows.
    fn placed(&self, words: &[Word], dims: &[usize]) -> Result<B::Tensor, ModelError> {
        let width = self.words.cols();
        let ids: Vec<u32> = words.iter().map(|word| word.id).collect();
        let mut sum = Vec::new();
        self.words.lookup(&ids, &mut sum)?;
        for (row, word) in sum.chunks_exact_mut(width.max(1)).zip(words) {
            if word.position >= self.max_length {
                let detail = format!("{} tokens where the encoder reads {}", word.position + 1, self.max_length);
                return Err(candle_core::Error::Msg(detail).into());
            }
            let position = &self.positions[(self.first_position + word.position) * width..][..width];
            for ((v, t), p) in row.iter_mut().zip(self.kind(word.kind)?).zip(position) {
                *v += t + p;
            }
        }
        B::normalise(&self.norm, &self.backend.tensor(sum, dims)?)
    }

    fn kind(&self, kind: u32) -> Result<&[f32], ModelError> {
        let (kind, width) = (kind as usize, self.words.cols());
        self.types
            .get(kind * width..(kind + 1) * width)
            .ok_or_else(|| candle_core::Error::Msg(format!("the encoder knows no sentence number {kind}")).into())
    }
}

impl BertEmbeddings {
    /// What stands for words without being any, `[.., width]`: the sentence number is added, then all is normalised.
    pub fn in_place_of_words(&self, content: &Tensor, kind: u32) -> Result<Tensor, ModelError> {
        Ok(self.norm.forward(&content.broadcast_add(&self.kind_row(kind)?)?)?)
    }

    /// The embedding of a sentence number, `[width]`.
    pub fn kind_row(&self, kind: u32) -> Result<Tensor, ModelError> {
        Ok(Tensor::from_slice(self.kind(kind)?, self.words.cols(), &self.backend)?)
    }
}

/// One transformer layer, normalised after each half.
#[derive(Debug)]
pub struct BertLayer<B: Backend = Device> {
    /// Query, key and value side by side.
    joint: B::Linear,
    output: B::Linear,
    attention_norm: B::LayerNorm,
    widen: B::Linear,
    narrow: B::Linear,
    norm: B::LayerNorm,
    heads: usize,
}

impl<B: Backend> BertLayer<B> {
    /// Loads `attention`, `intermediate` and `output` below `view`.
    pub fn load(view: &View, config: &BertConfig, backend: &B) -> Result<Self, ModelError> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let (attention, own) = (view.pp("attention"), view.pp("attention.self"));
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            weights.push(own.pp(part).matrix("weight", width, width)?);
            bias.extend(own.pp(part).vec("bias", width)?);
        }
        let output = view.pp("output");
        Ok(Self {
            joint: backend.linear(&Matrix::stack(weights), Some(&bias), Activation::None)?,
            output: attention.pp("output.dense").linear(width, width, Activation::None, backend)?,
            attention_norm: attention.pp("output.LayerNorm").layer_norm(width, eps, backend)?,
            widen: view.pp("intermediate.dense").linear(width, inner, config.hidden_act, backend)?,
            narrow: output.pp("dense").linear(inner, width, Activation::None, backend)?,
            norm: output.pp("LayerNorm").layer_norm(width, eps, backend)?,
            heads: config.num_attention_heads,
        })
    }

    /// `[batch, length, width]` to the same.
    pub fn forward(&self, x: &B::Tensor, mask: &Mask) -> Result<B::Tensor, ModelError> {
        let joint = B::product(&self.joint, x, None)?;
        self.after_attention(&B::attend(&joint, self.heads, mask)?, x)
    }

    /// What follows attention.
    fn after_attention(&self, seen: &B::Tensor, x: &B::Tensor) -> Result<B::Tensor, ModelError> {
        let x = B::normalise(&self.attention_norm, &B::product(&self.output, seen, Some(x))?)?;
        let wide = B::product(&self.widen, &x, None)?;
        B::normalise(&self.norm, &B::product(&self.narrow, &wide, Some(&x))?)
    }
}

impl BertLayer {
    /// The same where keys and values of earlier rows come first; also gives those of `x`.
    fn forward_after(
        &self,
        x: &Tensor,
        past: Option<&(Tensor, Tensor)>,
        mask: &Mask,
    ) -> Result<(Tensor, (Tensor, Tensor)), ModelError> {
        let width = self.output.out_dim();
        let joint = self.joint.forward(x)?;
        let part = |i: usize| joint.narrow(2, i * width, width);
        let (own_k, own_v) = (part(1)?, part(2)?);
        let (k, v) = match past {
            None => (own_k.clone(), own_v.clone()),
            Some((k, v)) => (Tensor::cat(&[k, &own_k], 1)?, Tensor::cat(&[v, &own_v], 1)?),
        };
        let scale = 1.0 / ((width / self.heads) as f32).sqrt();
        let seen = attention(&part(0)?, &k, &v, self.heads, scale, mask)?;
        Ok((self.after_attention(&seen, x)?, (own_k, own_v)))
    }
}
