//! Some photos are near to whatever is asked and stand before the right ones: hubs (Radovanovic
//! et al. 2010). A photo's mean cosine to the nearest of a few thousand texts tells them, and counts
//! against it, as in CSLS (Conneau et al. 2018, <https://arxiv.org/abs/1710.04087>) and QB-Norm
//! (Bogolin et al. 2022, <https://arxiv.org/abs/2112.12777>). With two numbers more in each vector
//! that is still one dot product of unit vectors:
//!
//! ```text
//! photo [x, -SHARE / LEVER * mean, what is missing to REACH] / REACH
//! text  [y, LEVER, 0] / its length      their product: (x y - SHARE * mean) / (REACH * length)
//! ```
//!
//! Must not know how the vectors `x` and `y` were made.

use candle_core::{Device, Tensor};

use crate::domain::Embedding;
use crate::models::ModelError;
use crate::models::align::Encoded;
use crate::models::ops::{Activation, Linear, with_slice};
use crate::models::weights::View;

/// Numbers that this adds to a vector.
pub(super) const EXTRA: usize = 2;
/// Texts that a pack brings.
const TEXTS: usize = 2048;
/// How many of them, the nearest, are averaged.
const NEAREST: usize = 20;
/// How much of that mean counts against a photo.
const SHARE: f32 = 0.5;
const LEVER: f32 = 0.7;
const REACH: f32 = 1.1;

/// The texts.
#[derive(Debug)]
pub(super) struct Hubs {
    texts: Linear,
}

impl Hubs {
    /// Loads them for vectors of `width`.
    pub(super) fn load(view: &View, width: usize) -> Result<Self, ModelError> {
        Ok(Self { texts: Linear::new(&view.matrix("hubs", TEXTS, width)?, None, Activation::None, &Device::Cpu)? })
    }

    /// The vectors of photos from their unit vectors `x`.
    pub(super) fn photos(&self, photos: Vec<Vec<f32>>) -> Result<Encoded, ModelError> {
        let Some(width) = photos.first().map(Vec::len) else { return Ok(Vec::new()) };
        let shape = (photos.len(), width);
        let cosines = self.texts.forward(&Tensor::from_vec(photos.concat(), shape, &Device::Cpu)?)?;
        let means: Vec<f32> = with_slice(&cosines, |all, _| Ok(all.chunks(TEXTS).map(nearest).collect()))?;
        Ok(photos.into_iter().zip(means).map(|(x, mean)| photo(x, mean)).collect())
    }
}

/// The mean of the largest cosines.
fn nearest(cosines: &[f32]) -> f32 {
    let mut cosines = cosines.to_vec();
    let (largest, last, _) = cosines.select_nth_unstable_by(NEAREST - 1, |a, b| b.total_cmp(a));
    (largest.iter().sum::<f32>() + *last) / NEAREST as f32
}

fn photo(x: Vec<f32>, mean: f32) -> Result<Embedding, ModelError> {
    let room = REACH * REACH - 1.0;
    let against = (-SHARE / LEVER * mean).clamp(-room.sqrt(), 0.0);
    extended(x, [against, (room - against * against).max(0.0).sqrt()])
}

/// The vector of a text from its unit vector `y`.
pub(super) fn text(y: Vec<f32>) -> Result<Embedding, ModelError> {
    extended(y, [LEVER, 0.0])
}

/// What has no direction, or is not finite, is refused before it gets one from what is added.
fn extended(x: Vec<f32>, more: [f32; EXTRA]) -> Result<Embedding, ModelError> {
    let unit = Embedding::new(x)?;
    Ok(Embedding::new(unit.as_slice().iter().copied().chain(more).collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_near_to_everything_is_held_back_by_its_share_of_that() {
        let (x, y) = (vec![0.6, 0.8], vec![1.0, 0.0]);
        let scale = REACH * (1.0 + LEVER * LEVER).sqrt();
        for mean in [0.0, 0.2, 0.4] {
            let score = photo(x.clone(), mean).unwrap().cosine(&text(y.clone()).unwrap()).unwrap();
            assert!((score * scale - (0.6 - SHARE * mean)).abs() < 1e-6, "{mean}: {score}");
        }
    }

    #[test]
    fn a_mean_beyond_all_measure_leaves_a_unit_vector() {
        for mean in [-1.0, 1.0] {
            let x = photo(vec![1.0, 0.0], mean).unwrap();
            assert!((x.cosine(&x).unwrap() - 1.0).abs() < 1e-6);
            assert!(x.as_slice().iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        for x in [vec![0.0, 0.0], vec![f32::NAN, 1.0]] {
            assert!(photo(x.clone(), 0.2).is_err());
            assert!(text(x).is_err());
        }
    }

    #[test]
    fn the_nearest_texts_are_averaged() {
        let cosines: Vec<f32> = (0..100).map(|i| i as f32).collect();
        assert_eq!(nearest(&cosines), 89.5);
    }
}
