//! The trained part of `lite-align`: members, each a pair of projections into a space
//! of its own, and the part that their spaces have in common.
//!
//! Must not know towers, files or the class channel.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::models::ModelError;
use crate::models::ops::{Activation, LayerNorm, Linear, with_slice};
use crate::models::weights::View;

use super::{MERGED, WIDTH};

/// Width of the projections' inner layer.
const INNER: usize = 512;
/// Attention pools over the grid; each gathers its part of the channels.
const POOLS: usize = 4;

/// Members trained with different seeds, side by side, then merged into one space.
#[derive(Debug)]
pub(super) struct Heads {
    members: Vec<Member>,
    merge: Linear,
}

#[derive(Debug)]
struct Member {
    image: ImageHead,
    text: TextHead,
}

impl Heads {
    /// Loads `members` pairs for grids of `channels`.
    pub(super) fn load(view: &View, members: usize, channels: usize, device: &Device) -> Result<Self, ModelError> {
        let member = |i| {
            let view = view.pp("members").pp(i);
            Ok(Member {
                image: ImageHead::load(&view.pp("image"), channels, device)?,
                text: TextHead::load(&view.pp("text"), device)?,
            })
        };
        Ok(Self {
            members: (0..members).map(member).collect::<Result<_, ModelError>>()?,
            merge: view.pp("merge").linear_no_bias(WIDTH * members, MERGED, device)?,
        })
    }

    /// Grid `[batch, height, width, channels]` and its mean `[batch, channels]` to unit vectors.
    pub(super) fn image(&self, grid: &Tensor, mean: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        self.merged(self.members.iter().map(|m| m.image.forward(grid, mean)), grid.device())
    }

    /// Sentence vectors, row by row, to unit vectors.
    pub(super) fn text(&self, sentences: &[f32], device: &Device) -> Result<Vec<Vec<f32>>, ModelError> {
        self.merged(self.members.iter().map(|m| m.text.forward(sentences, device)), device)
    }

    fn merged(
        &self,
        parts: impl Iterator<Item = Result<Vec<Vec<f32>>, ModelError>>,
        device: &Device,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let batch = parts.first().map_or(0, Vec::len);
        let rows: Vec<f32> = (0..batch).flat_map(|i| parts.iter().flat_map(move |p| &p[i])).copied().collect();
        let width = WIDTH * self.members.len();
        unit_rows(&self.merge.forward(&Tensor::from_vec(rows, (batch, width), device)?)?)
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
        unit_rows(&y)
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

/// The rows of `[batch, width]`, each to length 1.
pub(super) fn unit_rows(x: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
    let (_, width) = x.dims2()?;
    Ok(with_slice(x, |rows, _| Ok(rows.chunks(width).map(|r| unit(r.to_vec())).collect()))?)
}

pub(super) fn add_scaled(sum: &mut [f32], x: &[f32], weight: f32) {
    for (s, v) in sum.iter_mut().zip(x) {
        *s += weight * v;
    }
}

/// Scaled to length 1; what has no direction stays (and is refused as an embedding later).
pub(super) fn unit(mut x: Vec<f32>) -> Vec<f32> {
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
}
