//! What speaks for a text and a picture belonging together, of a model that both matches and writes.
//!
//! The matching head on `[CLS]`; the gain, by which the picture makes the text a likelier caption than it is
//! without one: `log p(text | picture) - log p(text)`; and how near the two are in the space of the Align pack
//! that the model looks through. A small model's head has one bit to learn from each pair, its captions a
//! word at every step; together they judge better than each alone. How much each counts is fitted when the
//! model is made (`training/fuse/evaluate.py`). Must not know tokenizers.

use std::collections::HashMap;

use candle_core::Tensor;
use serde::Deserialize;

use crate::models::ModelError;

use super::regions::Regions;
use super::transformer::{RegionTransformer, Special};

/// The log-odds of a match: each part of the evidence by its weight, and a bias.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    pub head: f32,
    pub gain: f32,
    /// Of Align's cosine.
    #[serde(default)]
    pub near: f32,
    pub bias: f32,
}

impl Judge {
    /// Of one pair.
    pub fn log_odds(&self, Evidence { head, gain }: Evidence, near: f32) -> f32 {
        self.head * head + self.gain * gain + self.near * near + self.bias
    }
}

/// What the model itself says; both in natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub head: f32,
    pub gain: f32,
}

/// A text beside a picture, as ids.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// With its special tokens.
    pub text: Vec<u32>,
    /// As a caption: the token that begins it, then its words.
    pub said: Vec<u32>,
    pub tags: Vec<u32>,
    pub picture: &'a Regions,
}

/// Log-likelihoods of captions without a picture, so that each is computed once.
#[derive(Debug, Default)]
pub struct Alone(HashMap<Vec<u32>, f32>);

impl RegionTransformer {
    /// What speaks for each pair. [`ModelError::Unable`] if a head is missing.
    pub fn evidence(&self, pairs: &[Pair], special: Special, alone: &mut Alone) -> Result<Vec<Evidence>, ModelError> {
        let Some(itm) = &self.heads.itm else {
            return Err(ModelError::Unable("the checkpoint has no head that matches".into()));
        };
        let sequences = pairs.iter().map(|pair| {
            let texts = [(pair.text.as_slice(), false), (pair.said.as_slice(), true)];
            self.beside(&texts, Some((&pair.tags, pair.picture)), special)
        });
        let hidden = self.encode(&sequences.collect::<Result<Vec<_>, _>>()?)?;
        let heads: Vec<Vec<f32>> = itm.forward(&self.heads.pool(&hidden)?)?.to_vec2()?;
        let captions: Vec<(usize, &[u32])> = pairs.iter().map(|pair| (pair.text.len(), pair.said.as_slice())).collect();
        let seen = self.likelihoods(&hidden, &captions, special.sep)?;
        let mut evidence = Vec::with_capacity(pairs.len());
        for ((pair, head), seen) in pairs.iter().zip(heads).zip(seen) {
            let [against, for_it] = head[..] else {
                return Err(ModelError::Unable("the head that matches has other than two classes".into()));
            };
            let gain = seen - self.alone(&pair.said, special, alone)?;
            evidence.push(Evidence { head: for_it - against, gain });
        }
        Ok(evidence)
    }

    /// log p of a caption without a picture.
    fn alone(&self, said: &[u32], special: Special, known: &mut Alone) -> Result<f32, ModelError> {
        if let Some(&known) = known.0.get(said) {
            return Ok(known);
        }
        let hidden = self.encode(&[self.beside(&[(said, true)], None, special)?])?;
        let likelihood = self.likelihoods(&hidden, &[(0, said)], special.sep)?.remove(0);
        known.0.insert(said.to_owned(), likelihood);
        Ok(likelihood)
    }

    /// log p of each sequence's caption, whose rows begin at the number beside it in `hidden` `[batch, length, width]`;
    /// words that captions never say are not counted.
    fn likelihoods(&self, hidden: &Tensor, captions: &[(usize, &[u32])], end: u32) -> Result<Vec<f32>, ModelError> {
        let Some(words) = &self.heads.words else {
            return Err(ModelError::Unable("the checkpoint has no head for words".into()));
        };
        let rows = captions.iter().enumerate().map(|(i, (at, said))| hidden.get(i)?.narrow(0, *at, said.len()));
        let rows = Tensor::cat(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
        let scores: Vec<f32> = words.forward(&rows)?.flatten_all()?.to_vec1()?;
        let count = self.config.written();
        let mut scores = scores.chunks_exact(count);
        Ok(captions
            .iter()
            .map(|(_, said)| {
                let following = said.iter().skip(1).copied().chain([end]);
                following.zip(&mut scores).map(|(next, row)| log_probability(row, next as usize)).sum()
            })
            .collect())
    }
}

/// Of one word among all by their scores; 0 for a word that has none.
fn log_probability(scores: &[f32], word: usize) -> f32 {
    let Some(own) = scores.get(word) else { return 0.0 };
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    own - most - scores.iter().map(|score| (score - most).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_are_probabilities() {
        let scores = [0.5, 2.0, -1.0, 700.0];
        let total: f32 = (0..4).map(|word| log_probability(&scores, word).exp()).sum();
        assert!((total - 1.0).abs() < 1e-6);
        assert_eq!(log_probability(&scores, 9), 0.0);
    }

    #[test]
    fn odds_are_weighed() {
        let judge: Judge = serde_json::from_str(r#"{"head": 0.5, "gain": 0.25, "bias": -1.0, "near": 10.0}"#).unwrap();
        assert!((judge.log_odds(Evidence { head: 2.0, gain: 8.0 }, 0.3) - 5.0).abs() < 1e-6);
        assert!(serde_json::from_str::<Judge>(r#"{"head": 0.5, "gain": 0.25}"#).is_err());
    }
}
