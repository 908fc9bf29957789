//! `lite-align`: an EfficientNet-Lite2 and a small multilingual BERT under trained
//! heads, as `training/align` exports them.
//!
//! A photo's vector is two channels side by side. The first attends over the grid
//! and projects; the second averages the names of the most probable ImageNet
//! classes (ConSE, Norouzi et al. 2013, <https://arxiv.org/abs/1312.5650>). A text's
//! vector is its sentence vector through two projections of its own, so that one
//! dot product adds both channels. The towers are `efficientnet` and `bert`; this
//! file must not hold what they share with ALIGN.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use serde::Deserialize;

use crate::device::DeviceKind;
use crate::domain::{Calibration, Embedding};
use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear, with_slice};
use crate::models::pack::{MANIFEST, Pack};
use crate::models::preprocess::Preprocess;
use crate::models::tokenizer::Tokenizer;
use crate::models::weights::{View, Weights};

use super::efficientnet::{EfficientNet, EfficientNetConfig};
use super::{AlignModel, AlignSpec, Pixels};
use crate::models::bert::{Bert, BertConfig, Tokens};

/// Width of each channel, of a sentence vector and of a class name.
const WIDTH: usize = 384;
/// Width of the projections' inner layer.
const INNER: usize = 1024;
/// Attention pools over the grid; each gathers its part of the channels.
const POOLS: usize = 4;
const CLASSES: usize = 1000;
/// How many of the most probable classes speak for a photo.
const BEST_CLASSES: usize = 10;
/// The class channel's share of a score: weight 0.3 beside a first channel of weight 1.
const CLASS_SHARE: f32 = 0.3 / 1.3;

/// What the manifest says beyond [`crate::models::pack::PackManifest`].
#[derive(Deserialize)]
struct Extra {
    text: TextSettings,
    text_config: BertConfig,
}

#[derive(Deserialize)]
struct TextSettings {
    /// Stands before every text.
    prefix: String,
    /// Tokens that a text is cut to, special ones included.
    max_tokens: usize,
    pad_token: String,
}

/// The built-in model.
#[derive(Debug)]
pub struct LiteAlign {
    spec: AlignSpec,
    preprocess: Preprocess,
    side: usize,
    image: EfficientNet,
    classifier: Linear,
    image_head: ImageHead,
    text: Bert,
    tokenizer: Tokenizer,
    prefix: String,
    pad: u32,
    text_head: TextHead,
    class_names: Vec<f32>,
    class_map: Linear,
    calibration: Option<Calibration>,
    device: Device,
}

impl LiteAlign {
    /// Loads a pack whose architecture is `lite-align`; strict about every tensor.
    pub fn load(pack: &Pack, device: &Device) -> Result<Self, ModelError> {
        let manifest = &pack.manifest;
        let path = pack.folder.join(MANIFEST);
        let config = |detail: String| ModelError::Config { path: path.clone(), detail };
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let extra: Extra = serde_json::from_slice(&bytes)
            .map_err(|e| config(format!("the pack's text settings cannot be read ({e})")))?;
        let wanted = manifest.preprocessing.as_ref().ok_or_else(|| config("the pack has no preprocessing".into()))?;
        let preprocess = Preprocess::try_from(wanted).map_err(&config)?;
        let vision = EfficientNetConfig::lite2();
        if extra.text_config.hidden_size != WIDTH
            || manifest.dim != 2 * WIDTH
            || wanted.size as usize != vision.image_size
        {
            return Err(config(format!(
                "the pack's sizes are not those of the architecture `{}`",
                manifest.architecture
            )));
        }

        let files = ["image.safetensors", "text.safetensors", "heads.safetensors"];
        let weights = Weights::open(&files.map(|f| pack.file(f)).into_iter().collect::<Result<Vec<_>, _>>()?)?;
        let root = weights.root();
        let (side, channels) = (vision.image_size, vision.grid_channels());
        let image = EfficientNet::load(&root.pp("vision_model"), vision, device)?;
        let classifier = root.pp("classifier").linear(channels, CLASSES, Activation::None, device)?;
        let text = Bert::load(&root.pp("text_model"), &extra.text_config, device)?;
        let tokenizer =
            Tokenizer::from_file(&pack.file("tokenizer.json")?, extra.text.max_tokens.min(text.max_length()))?;
        tokenizer.check_rows(text.vocab_size())?;
        let pad = tokenizer.id(&extra.text.pad_token);
        let pad = pad.ok_or_else(|| config(format!("the tokenizer has no `{}`", extra.text.pad_token)))?;
        let classes = root.pp("classes");
        let model = Self {
            image_head: ImageHead::load(&root.pp("image"), channels, device)?,
            text_head: TextHead::load(&root.pp("text"), device)?,
            class_names: classes.numbers("names", &[CLASSES, WIDTH])?,
            class_map: classes.pp("map").linear(WIDTH, WIDTH, Activation::None, device)?,
            spec: AlignSpec {
                id: manifest.id.clone(),
                weights_hash: pack.weights_hash(),
                preprocess_revision: manifest.preprocess_revision,
                dim: manifest.dim,
                languages: manifest.languages.clone(),
                min_side: preprocess.min_side(),
            },
            calibration: manifest.calibration,
            prefix: extra.text.prefix,
            tokenizer,
            pad,
            device: device.clone(),
            preprocess,
            side,
            image,
            classifier,
            text,
        };
        weights.finish()?;
        Ok(model)
    }

    /// Names of the most probable classes, averaged by probability: `[batch, 384]`, unit length.
    fn class_channel(&self, pooled: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        let logits = self.classifier.forward(pooled)?;
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
}

impl AlignModel for LiteAlign {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        Ok(Pixels(self.preprocess.apply(photo)?))
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let shape = (batch.len(), 3, self.side, self.side);
        let pixels: Vec<f32> = batch.iter().flat_map(|p| &p.0).copied().collect();
        let features = self.image.forward(&Tensor::from_vec(pixels, shape, &self.device)?)?;
        let first = self.image_head.forward(&features.grid, &features.pooled)?;
        let second = self.class_channel(&features.pooled)?;
        Ok(first.into_iter().zip(second).map(|(u, c)| joint(u, &c)).collect())
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Result<Vec<_>, _> =
            texts.iter().map(|t| self.tokenizer.encode(&format!("{}{t}", self.prefix))).collect();
        let tokens = Tokens::padded(&ids?, self.pad);
        let hidden = self.text.forward(&tokens)?;
        let sentences = with_slice(&hidden, |hidden, _| {
            let rows = hidden.chunks(tokens.length * WIDTH).zip(tokens.mask.chunks(tokens.length));
            Ok(rows.flat_map(|(states, mask)| sentence(states, mask)).collect::<Vec<f32>>())
        })?;
        let first = self.text_head.forward(&sentences, &self.device)?;
        let second = self.class_map.forward(&Tensor::from_vec(sentences, (texts.len(), WIDTH), &self.device)?)?;
        let second =
            with_slice(&second, |rows, _| Ok(rows.chunks(WIDTH).map(|r| unit(r.to_vec())).collect::<Vec<_>>()))?;
        first.into_iter().zip(second).map(|(u, c)| joint(u, &c)).collect()
    }

    fn device(&self) -> &str {
        DeviceKind::Cpu.name()
    }

    fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }
}

/// A linear path and a two-layer path side by side, to unit length.
#[derive(Debug)]
struct Projection {
    skip: Linear,
    inner: Linear,
    outer: Linear,
}

impl Projection {
    fn load(view: &View, width: usize, device: &Device) -> Result<Self, ModelError> {
        Ok(Self {
            skip: view.pp("skip").linear(width, WIDTH, Activation::None, device)?,
            inner: view.pp("inner").linear(width, INNER, Activation::Gelu, device)?,
            outer: view.pp("outer").linear(INNER, WIDTH, Activation::None, device)?,
        })
    }

    /// `[batch, width]` to unit vectors.
    fn forward(&self, x: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        let y = self.outer.forward_add(&self.inner.forward(x)?, &self.skip.forward(x)?)?;
        Ok(with_slice(&y, |rows, _| Ok(rows.chunks(WIDTH).map(|r| unit(r.to_vec())).collect()))?)
    }
}

/// From the grid to the first channel.
#[derive(Debug)]
struct ImageHead {
    pool: Linear,
    norm: LayerNorm,
    project: Projection,
}

impl ImageHead {
    fn load(view: &View, channels: usize, device: &Device) -> Result<Self, ModelError> {
        Ok(Self {
            pool: view.pp("pool").linear(channels, POOLS, Activation::None, device)?,
            norm: view.pp("norm").layer_norm(channels, 1e-5, device)?,
            project: Projection::load(&view.pp("project"), channels, device)?,
        })
    }

    /// Grid `[batch, height, width, channels]` and its mean `[batch, channels]` to unit vectors.
    fn forward(&self, grid: &Tensor, mean: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        let (batch, h, w, channels) = grid.dims4()?;
        let cells = h * w;
        let scores = self.pool.forward(&grid.reshape((batch * cells, channels))?)?;
        let gathered = with_slice(grid, |grid, _| {
            with_slice(&scores, |scores, _| {
                with_slice(mean, |mean, _| {
                    let mut out = mean.to_vec();
                    let images = grid.par_chunks(cells * channels).zip(scores.par_chunks(cells * POOLS));
                    out.par_chunks_mut(channels)
                        .zip(images)
                        .for_each(|(out, (grid, scores))| attend(grid, scores, out));
                    Ok(out)
                })
            })
        })?;
        let gathered = Tensor::from_vec(gathered, (batch, channels), grid.device())?;
        self.project.forward(&self.norm.forward(&gathered)?)
    }
}

/// Adds to `out` `[channels]` what the pools gather from `grid` `[cells, channels]` by
/// the softmax of `scores` `[cells, POOLS]` over the cells.
fn attend(grid: &[f32], scores: &[f32], out: &mut [f32]) {
    let (channels, part) = (out.len(), out.len() / POOLS);
    for (pool, out) in out.chunks_mut(part).enumerate() {
        let top = scores.iter().skip(pool).step_by(POOLS).copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores.iter().skip(pool).step_by(POOLS).map(|s| (s - top).exp()).collect();
        let sum: f32 = weights.iter().sum();
        for (weight, cell) in weights.iter().zip(grid.chunks(channels)) {
            add_scaled(out, &cell[pool * part..][..part], weight / sum);
        }
    }
}

/// From sentence vectors to the first channel.
#[derive(Debug)]
struct TextHead {
    mean: Vec<f32>,
    project: Projection,
}

impl TextHead {
    fn load(view: &View, device: &Device) -> Result<Self, ModelError> {
        Ok(Self { mean: view.vec("mean", WIDTH)?, project: Projection::load(&view.pp("project"), WIDTH, device)? })
    }

    /// Sentence vectors, row by row, to unit vectors.
    fn forward(&self, sentences: &[f32], device: &Device) -> Result<Vec<Vec<f32>>, ModelError> {
        // They lie in a narrow cone: centred and scaled they fill the space.
        let scale = (WIDTH as f32).sqrt();
        let centred: Vec<f32> =
            sentences.chunks(WIDTH).flat_map(|row| row.iter().zip(&self.mean).map(|(x, m)| (x - m) * scale)).collect();
        self.project.forward(&Tensor::from_vec(centred, (sentences.len() / WIDTH, WIDTH), device)?)
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

/// Both channels by their shares, as one unit vector.
fn joint(first: Vec<f32>, second: &[f32]) -> Result<Embedding, ModelError> {
    let (a, b) = ((1.0 - CLASS_SHARE).sqrt(), CLASS_SHARE.sqrt());
    Ok(Embedding::new(first.iter().map(|v| v * a).chain(second.iter().map(|v| v * b)).collect())?)
}

fn add_scaled(sum: &mut [f32], x: &[f32], weight: f32) {
    for (s, v) in sum.iter_mut().zip(x) {
        *s += weight * v;
    }
}

/// Scaled to length 1; what has no direction stays (and is refused as an embedding later).
fn unit(mut x: Vec<f32>) -> Vec<f32> {
    let norm = x.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    for v in &mut x {
        *v /= norm;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_weighs_cells_by_softmax_of_their_scores() {
        // Two cells of four channels, one channel a pool: equal scores give the mean, a high score the cell.
        let grid = [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0];
        let scores = [0.0, 50.0, 0.0, 0.0, 0.0, 0.0, 50.0, 0.0];
        let mut out = [0.0, 0.0, 0.0, 10.0];
        attend(&grid, &scores, &mut out);
        assert_eq!(out, [2.0, 1.0, 3.0, 12.0]);
    }

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
        let photo = joint(along(0), &along(1)).unwrap();
        let same_names = joint(along(2), &along(1)).unwrap();
        let same_grid = joint(along(0), &along(2)).unwrap();
        assert!((photo.cosine(&same_names).unwrap() - CLASS_SHARE).abs() < 1e-6);
        assert!((photo.cosine(&same_grid).unwrap() - (1.0 - CLASS_SHARE)).abs() < 1e-6);
    }
}
