//! `lite-align`: an EfficientNet-Lite2 and a small multilingual BERT under trained
//! heads, as `training/align` exports them.
//!
//! A photo's vector is two channels side by side. The first attends over the grid
//! and projects; the second averages the names of the most probable ImageNet
//! classes (ConSE, Norouzi et al. 2013, <https://arxiv.org/abs/1312.5650>). A text's
//! vector is its sentence vector through projections of its own, so that one
//! dot product adds both channels; the nearer the text is to a class's name, the more
//! the second counts. Two numbers more hold back photos that are near to every text
//! (`hubs`). The towers are `efficientnet` and `bert`; this
//! file must not hold what they share with ALIGN.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use serde::Deserialize;

use crate::domain::{Calibration, Embedding};
use crate::models::ModelError;
use crate::models::json::read_json;
use crate::models::ops::{Activation, Backend, Linear, with_slice};
use crate::models::pack::{MANIFEST, Pack};
use crate::models::tokenizer::Tokenizer;
use crate::models::weights::Weights;

use super::{AlignModel, AlignSpec, Encoded, Pixels, Started};
use crate::models::bert::{Bert, BertConfig, Tokens};

mod heads;
mod hubs;
mod tower;

pub use tower::{CLASSES, ImageTower};

use heads::{Heads, add_scaled, unit, unit_rows};
use hubs::Hubs;

/// Width of a sentence vector, of a class name and of the channel of names; the first channel is
/// narrower by what [`Hubs`] adds.
const WIDTH: usize = 384;
const MERGED: usize = WIDTH - hubs::EXTRA;
/// How many of the most probable classes speak for a photo.
const BEST_CLASSES: usize = 10;
/// The class channel's share of a photo's vector.
const CLASS_SHARE: f32 = 0.3 / 1.3;
/// Its share of a text's vector: from that of a text far from every class's name to that
/// of one near (by cosine). The channel serves names, and is noise to sentences.
const TEXT_SHARES: (f32, f32) = (0.07, 0.35);
const NEAR_NAMES: (f32, f32) = (0.5, 0.75);

/// What the manifest says beyond [`crate::models::pack::PackManifest`].
#[derive(Deserialize)]
struct Extra {
    text: TextSettings,
    text_config: BertConfig,
    /// Pairs of projections that speak side by side.
    members: usize,
}

#[derive(Deserialize)]
struct TextSettings {
    /// Stands before every text.
    prefix: String,
    /// Tokens that a text is cut to, special ones included.
    max_tokens: usize,
    pad_token: String,
}

/// The built-in model. Its heads are small and stay on the CPU, wherever the towers are.
#[derive(Debug)]
pub struct LiteAlign<B: Backend = Device> {
    spec: AlignSpec,
    image: ImageTower<B>,
    text: Bert<B>,
    tokenizer: Tokenizer,
    prefix: String,
    pad: u32,
    heads: Heads,
    hubs: Hubs,
    class_names: Vec<f32>,
    class_map: Linear,
    calibration: Option<Calibration>,
}

impl<B: Backend> LiteAlign<B> {
    /// Loads a pack whose architecture is `lite-align`; strict about every tensor.
    pub fn load(pack: &Pack, backend: &B) -> Result<Self, ModelError> {
        let manifest = &pack.manifest;
        let path = pack.folder.join(MANIFEST);
        let config = |detail: String| ModelError::Config { path: path.clone(), detail };
        let extra: Extra = read_json(&path, "the pack's text settings")?;
        if extra.text_config.hidden_size != WIDTH || manifest.dim != 2 * WIDTH {
            return Err(config(format!(
                "the pack's sizes are not those of the architecture `{}`",
                manifest.architecture
            )));
        }

        let files = ["image.safetensors", "text.safetensors", "heads.safetensors"];
        let weights = Weights::open(&files.map(|f| pack.file(f)).into_iter().collect::<Result<Vec<_>, _>>()?)?;
        let root = weights.root();
        let image = ImageTower::load(pack, &root, backend)?;
        let text = Bert::load(&root.pp("text_model"), &extra.text_config, backend)?;
        let tokenizer =
            Tokenizer::from_file(&pack.file("tokenizer.json")?, extra.text.max_tokens.min(text.max_length()))?;
        tokenizer.check_rows(text.vocab_size())?;
        let pad = tokenizer.id(&extra.text.pad_token);
        let pad = pad.ok_or_else(|| config(format!("the tokenizer has no `{}`", extra.text.pad_token)))?;
        let classes = root.pp("classes");
        let model = Self {
            heads: Heads::load(&root, extra.members, image.channels(), &Device::Cpu)?,
            hubs: Hubs::load(&root, MERGED + WIDTH)?,
            class_names: classes.numbers("names", &[CLASSES, WIDTH])?,
            class_map: classes.pp("map").linear(WIDTH, WIDTH, Activation::None, &Device::Cpu)?,
            spec: AlignSpec {
                id: manifest.id.clone(),
                weights_hash: pack.weights_hash(),
                preprocess_revision: manifest.preprocess_revision,
                dim: manifest.dim,
                languages: manifest.languages.clone(),
                min_side: image.min_side(),
            },
            calibration: manifest.calibration,
            prefix: extra.text.prefix,
            tokenizer,
            pad,
            image,
            text,
        };
        weights.finish()?;
        Ok(model)
    }

    /// Names of the most probable classes, averaged by probability: `[batch, 384]`, unit length.
    fn class_channel(&self, pooled: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        let logits = self.image.class_scores(pooled)?;
        Ok(with_slice(&logits, |logits, _| {
            Ok(logits
                .par_chunks(CLASSES)
                .map(|logits| {
                    let mut best: Vec<usize> = (0..CLASSES).collect();
                    best.select_nth_unstable_by(BEST_CLASSES, |&a, &b| logits[b].total_cmp(&logits[a]));
                    best.truncate(BEST_CLASSES);
                    let top = best.iter().map(|&i| logits[i]).fold(f32::NEG_INFINITY, f32::max);
                    let mut sum = vec![0f32; WIDTH];
                    for i in best {
                        let weight = (logits[i] - top).exp();
                        add_scaled(&mut sum, &self.class_names[i * WIDTH..][..WIDTH], weight);
                    }
                    unit(sum)
                })
                .collect())
        })?)
    }

    /// The vector of the photo that the tower saw as `grid` `[height, width, channels]`, square.
    pub fn vector_of(&self, grid: &[f32]) -> Result<Embedding, ModelError> {
        let channels = self.image.channels();
        let (cells, side) = (grid.len() / channels, (grid.len() / channels).isqrt());
        if cells == 0 || side * side * channels != grid.len() {
            return Err(ModelError::Picture(format!("a grid of {} numbers is not the tower's", grid.len())));
        }
        let mut mean = vec![0.0; channels];
        grid.chunks_exact(channels).for_each(|cell| add_scaled(&mut mean, cell, 1.0 / cells as f32));
        let grid = Tensor::from_slice(grid, (1, side, side, channels), &Device::Cpu)?;
        let mean = Tensor::from_vec(mean, (1, channels), &Device::Cpu)?;
        let photo = self.photos(&grid, &mean)?.pop();
        photo.unwrap_or_else(|| Err(ModelError::Picture("the grid has no picture".into())))
    }

    /// The vectors of photos from their grids `[batch, height, width, channels]` and those's means.
    fn photos(&self, grid: &Tensor, mean: &Tensor) -> Result<Encoded, ModelError> {
        let (first, second) = (self.heads.image(grid, mean)?, self.class_channel(mean)?);
        self.hubs.photos(first.into_iter().zip(second).map(|(u, c)| joint(u, &c, CLASS_SHARE)).collect())
    }

    /// The class channel's share of a text whose part of that channel is `c`.
    fn share_of(&self, c: &[f32]) -> f32 {
        let dot = |name: &[f32]| name.iter().zip(c).map(|(a, b)| a * b).sum::<f32>();
        share(self.class_names.chunks(WIDTH).map(dot).fold(f32::NEG_INFINITY, f32::max))
    }
}

impl<B: Backend> AlignModel for LiteAlign<B> {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        self.image.prepare(photo)
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Encoded, ModelError> {
        self.start_images(batch)?()
    }

    fn start_images<'a>(&'a self, batch: &[Pixels]) -> Result<Started<'a>, ModelError> {
        if batch.is_empty() {
            return Ok(Box::new(|| Ok(Vec::new())));
        }
        let features = self.image.features(batch)?;
        let fetch = B::fetch(&[&features.grid, &features.pooled])?;
        Ok(Box::new(move || {
            let [grid, pooled] = &fetch.wait()?[..] else { return Ok(Vec::new()) };
            self.photos(grid, pooled)
        }))
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Result<Vec<_>, _> =
            texts.iter().map(|t| self.tokenizer.encode(&format!("{}{t}", self.prefix))).collect();
        let tokens = Tokens::padded(&ids?, self.pad);
        let hidden = B::fetch(&[&self.text.forward(&tokens)?])?.one()?;
        let sentences = with_slice(&hidden, |hidden, _| {
            let rows = hidden.chunks(tokens.length * WIDTH).zip(tokens.mask.chunks(tokens.length));
            Ok(rows.flat_map(|(states, mask)| sentence(states, mask)).collect::<Vec<f32>>())
        })?;
        let first = self.heads.text(&sentences, &Device::Cpu)?;
        let second = self.class_map.forward(&Tensor::from_vec(sentences, (texts.len(), WIDTH), &Device::Cpu)?)?;
        let second = unit_rows(&second)?;
        first.into_iter().zip(second).map(|(u, c)| hubs::text(joint(u, &c, self.share_of(&c)))).collect()
    }

    fn device(&self) -> &str {
        self.image.device()
    }

    fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }
}

/// Mean of the real tokens' states, to unit length.
fn sentence(states: &[f32], mask: &[u32]) -> Vec<f32> {
    let mut sum = vec![0f32; WIDTH];
    for (state, _) in states.chunks(WIDTH).zip(mask).filter(|(_, seen)| **seen != 0) {
        add_scaled(&mut sum, state, 1.0);
    }
    unit(sum)
}

/// From a text's cosine to the nearest class's name to the class channel's share of it.
fn share(near: f32) -> f32 {
    let ((low, high), (far, close)) = (TEXT_SHARES, NEAR_NAMES);
    low + (high - low) * ((near - far) / (close - far)).clamp(0.0, 1.0)
}

/// Both channels as one unit vector, the second with `share` of its square.
fn joint(first: Vec<f32>, second: &[f32], share: f32) -> Vec<f32> {
    let (a, b) = ((1.0 - share).sqrt(), share.sqrt());
    first.iter().map(|v| v * a).chain(second.iter().map(|v| v * b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_count_in_a_sentence() {
        let mut states = vec![0.0; 3 * WIDTH];
        (states[0], states[WIDTH + 1], states[2 * WIDTH + 2]) = (1.0, 1.0, 9.0);
        let x = sentence(&states, &[1, 1, 0]);
        let half = 0.5f32.sqrt();
        assert_eq!(x[..3], [half, half, 0.0]);
    }

    #[test]
    fn channels_add_up_by_their_shares() {
        let along = |i: usize| (0..WIDTH).map(|j| f32::from(u8::from(i == j))).collect::<Vec<f32>>();
        let of = |first, second| Embedding::new(joint(along(first), &along(second), 0.2)).unwrap();
        let photo = of(0, 1);
        assert!((photo.cosine(&of(2, 1)).unwrap() - 0.2).abs() < 1e-6);
        assert!((photo.cosine(&of(0, 2)).unwrap() - 0.8).abs() < 1e-6);
    }

    #[test]
    fn a_name_has_more_of_the_class_channel_than_a_sentence() {
        assert_eq!(share(-1.0), TEXT_SHARES.0);
        assert_eq!(share(1.0), TEXT_SHARES.1);
        let between = share(f32::midpoint(NEAR_NAMES.0, NEAR_NAMES.1));
        assert!((between - f32::midpoint(TEXT_SHARES.0, TEXT_SHARES.1)).abs() < 1e-6);
    }
}
