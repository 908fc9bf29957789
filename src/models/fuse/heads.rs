//! What is read off the last hidden states: a class, an answer, the word behind a mask.
//!
//! Heads are what a checkpoint has of them. Must not know how a sequence was made.

use candle_core::{Device, Tensor};

use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear};
use crate::models::weights::View;

use super::config::{FuseConfig, Recipe};

/// A classifier of one of the three forms.
#[derive(Debug)]
pub enum Classifier {
    /// OSCAR.
    Linear(Linear),
    /// OSCAR's and VLP's `mlp`: ReLU between two layers.
    Mlp(Linear, Linear),
    /// UNITER and Lite: GELU and layer norm between two layers.
    Normed(Linear, LayerNorm, Linear),
}

impl Classifier {
    /// `[.., width]` to `[.., labels]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match self {
            Self::Linear(last) => last.forward(x)?,
            Self::Mlp(first, last) => last.forward(&first.forward(x)?)?,
            Self::Normed(first, norm, last) => last.forward(&norm.forward(&first.forward(x)?)?)?,
        })
    }

    /// Classes it tells apart.
    pub fn labels(&self) -> usize {
        match self {
            Self::Linear(last) | Self::Mlp(_, last) | Self::Normed(_, _, last) => last.out_dim(),
        }
    }
}

/// Scores of all words for hidden states behind masks.
#[derive(Debug)]
pub struct WordHead {
    transform: Linear,
    norm: LayerNorm,
    decoder: Linear,
}

impl WordHead {
    /// `[.., width]` to `[.., words]`: all of the vocabulary, or those that captions say.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.decoder.forward(&self.norm.forward(&self.transform.forward(x)?)?)?)
    }

    /// `predictions` of BERT; the decoder may be the word table itself, which files then leave out.
    fn load(root: &View, words: &str, config: &FuseConfig, device: &Device) -> Result<Self, ModelError> {
        let bert = &config.bert;
        let (width, vocabulary, written) = (bert.hidden_size, bert.vocab_size, config.written());
        let (view, decoder) = (root.pp("cls.predictions"), root.pp("cls.predictions.decoder"));
        let weight = if decoder.contains("weight") {
            decoder.matrix("weight", written, width)?
        } else {
            root.matrix(words, vocabulary, width)?.first_rows(written)
        };
        // Newer files repeat the bias under the decoder.
        decoder.ignore("bias");
        let bias = view.vec("bias", written)?;
        Ok(Self {
            transform: view.pp("transform.dense").linear(width, width, bert.hidden_act, device)?,
            norm: view.pp("transform.LayerNorm").layer_norm(width, bert.layer_norm_eps, device)?,
            decoder: Linear::new(&weight, Some(&bias), Activation::None, device)?,
        })
    }
}

/// The heads of one checkpoint.
#[derive(Debug)]
pub struct Heads {
    /// `tanh(W h_CLS)`.
    pooler: Linear,
    /// Answers; with OSCAR's two labels: match or not.
    pub classifier: Option<Classifier>,
    /// UNITER and Lite: match or not.
    pub itm: Option<Linear>,
    /// UNITER: one number that ranks.
    pub rank: Option<Linear>,
    pub words: Option<WordHead>,
}

impl Heads {
    /// Loads the heads that there are; at least one.
    pub fn load(root: &View, encoder: &str, config: &FuseConfig, device: &Device) -> Result<Self, ModelError> {
        let width = config.bert.hidden_size;
        let labels = |name: String| {
            config.labels().or_else(|| root.shape(&name).and_then(|shape| shape.first()).copied()).unwrap_or(0)
        };
        let linear = |view: View, inputs, outputs, act| view.linear(inputs, outputs, act, device);
        let relu = Activation::Relu;
        let pooler = linear(root.pp(encoder).pp("pooler.dense"), width, width, Activation::Tanh)?;
        let mlp = |at: &str, inner: usize, end: &str| -> Result<Classifier, ModelError> {
            let view = root.pp(at);
            let out = labels(format!("{at}.{end}.weight"));
            Ok(Classifier::Mlp(
                linear(view.pp(0), width, inner, relu)?,
                linear(view.pp(end), inner, out, Activation::None)?,
            ))
        };
        let there = |name: &str| !root.pp(name).is_empty();
        let classifier = match config.recipe {
            Recipe::Oscar | Recipe::Vinvl if there("classifier") => Some(if config.own.classifier == "mlp" {
                mlp("classifier", width * config.own.cls_hidden_scale, "2")?
            } else {
                let out = labels("classifier.weight".into());
                Classifier::Linear(linear(root.pp("classifier"), width, out, Activation::None)?)
            }),
            Recipe::Uniter | Recipe::Lite if there("vqa_output") => {
                let (view, out) = (root.pp("vqa_output"), labels("vqa_output.3.weight".into()));
                Some(Classifier::Normed(
                    linear(view.pp(0), width, 2 * width, Activation::Gelu)?,
                    view.pp(2).layer_norm(2 * width, config.bert.layer_norm_eps, device)?,
                    linear(view.pp(3), 2 * width, out, Activation::None)?,
                ))
            }
            Recipe::Vlp if there("ans_classifier") => Some(mlp("ans_classifier", 2 * width, "2")?),
            _ => None,
        };
        let uniter = |name: &str, outputs: usize| {
            let wanted = matches!(config.recipe, Recipe::Uniter | Recipe::Lite) && there(name);
            wanted.then(|| linear(root.pp(name), width, outputs, Activation::None)).transpose()
        };
        let (itm, rank) = (uniter("itm_output", 2)?, uniter("rank_output", 1)?);
        let words = (config.recipe != Recipe::Uniter && there("cls.predictions"))
            .then(|| WordHead::load(root, &format!("{encoder}.embeddings.word_embeddings.weight"), config, device))
            .transpose()?;
        // Heads of pre-training that no ability needs.
        root.pp("cls.seq_relationship").ignore_all();
        if config.recipe == Recipe::Uniter {
            for name in ["cls", "feat_regress", "region_classifier"] {
                root.pp(name).ignore_all();
            }
        }
        Ok(Self { pooler, classifier, itm, rank, words })
    }

    /// `[batch, length, width]` to `[batch, width]`: the first row, pooled.
    pub fn pool(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.pooler.forward(&row(hidden, 0)?)?)
    }
}

/// Row `i` of each sequence, `[batch, width]`.
pub fn row(hidden: &Tensor, i: usize) -> Result<Tensor, ModelError> {
    Ok(hidden.narrow(1, i, 1)?.squeeze(1)?.contiguous()?)
}
