//! What a score means: cosines of one model are high at 0.3, of another at 0.8, so
//! "likely" is read off distributions that were measured on that very model.

use serde::{Deserialize, Serialize};

use super::Hit;

/// Measured distributions of text-to-image cosines, kept in a pack's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// A text with a photo that has nothing to do with it.
    pub unrelated: Unrelated,
    /// The best of 1,000 photos for a text that fits none of them.
    pub best_of_1000_unrelated: BestUnrelated,
    /// A text with the photo that it describes.
    pub matching: Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unrelated {
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
    /// Quantile: 99 % lie below.
    pub p99: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestUnrelated {
    pub p50: f32,
    pub p95: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    pub p5: f32,
    pub p50: f32,
}

/// What a ranking is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Even the best hit scores as the best of unrelated photos does.
    pub nothing_likely: bool,
    /// So many leading hits score above what unrelated photos usually reach here.
    pub likely: usize,
}

impl Judgement {
    /// Without a calibration nothing is called unlikely.
    pub fn unknown(hits: usize) -> Self {
        Self { nothing_likely: false, likely: hits }
    }
}

impl Calibration {
    /// False for numbers that cannot have been measured (not finite, quantiles out of order).
    pub fn is_sensible(&self) -> bool {
        let Self { unrelated, best_of_1000_unrelated: best, matching } = self;
        let all = [unrelated.mean, unrelated.std, unrelated.p99, best.p50, best.p95, matching.p5, matching.p50];
        all.iter().all(|v| v.is_finite() && v.abs() <= 1.0)
            && unrelated.std > 0.0
            && unrelated.mean <= unrelated.p99
            && best.p50 <= best.p95
            && matching.p5 <= matching.p50
    }

    /// Where a score stands between that of an unrelated photo, 0, and that of most texts with their own photo, 1.
    pub fn closeness(&self, score: f32) -> f32 {
        let span = self.matching.p50 - self.unrelated.mean;
        if self.is_sensible() && span > 0.0 {
            ((score - self.unrelated.mean) / span).clamp(0.0, 1.0)
        } else {
            score.max(0.0)
        }
    }

    /// Judges a ranking (best first) over `photos` photos.
    ///
    /// The best of many unrelated photos scores higher than the best of few, so both
    /// bounds are moved from 1,000 photos to the library's size by as much as the
    /// largest of that many draws of a normal distribution of the measured spread
    /// moves. A query is called hopeless when its best hit is below what 95 of 100
    /// unrelated queries stay below, but never above the median of true matches: a
    /// model whose two distributions overlap must not call everything unlikely.
    pub fn judge(&self, hits: &[Hit], photos: usize) -> Judgement {
        let Some(best) = hits.first() else { return Judgement { nothing_likely: true, likely: 0 } };
        if !self.is_sensible() {
            return Judgement::unknown(hits.len());
        }
        let shift = self.unrelated.std * (expected_maximum(photos) - expected_maximum(1000));
        let bound = |quantile: f32| (quantile + shift).min(self.matching.p50);
        if best.score < bound(self.best_of_1000_unrelated.p95) {
            return Judgement { nothing_likely: true, likely: 0 };
        }
        let usual = bound(self.best_of_1000_unrelated.p50);
        Judgement { nothing_likely: false, likely: hits.partition_point(|hit| hit.score >= usual) }
    }
}

/// Where the largest of `n` standard normal draws is to be expected, in standard
/// deviations: the mode of its limiting Gumbel distribution (Cramér 1946, §28.6).
fn expected_maximum(n: usize) -> f32 {
    let twice_log = 2.0 * (n.max(2) as f64).ln();
    let correction = ((twice_log / 2.0).ln() + (4.0 * std::f64::consts::PI).ln()) / (2.0 * twice_log.sqrt());
    (twice_log.sqrt() - correction).max(0.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PhotoId;

    fn calibration() -> Calibration {
        Calibration {
            unrelated: Unrelated { mean: 0.0, std: 0.05, p99: 0.12 },
            best_of_1000_unrelated: BestUnrelated { p50: 0.17, p95: 0.22 },
            matching: Matching { p5: 0.15, p50: 0.35 },
        }
    }

    #[test]
    fn closeness_goes_from_unrelated_to_matching() {
        let known = calibration();
        assert_eq!([-0.2, 0.0, 0.35, 0.9].map(|score| known.closeness(score)), [0.0, 0.0, 1.0, 1.0]);
        assert!((known.closeness(0.175) - 0.5).abs() < 1e-6);
        let broken = Calibration { matching: Matching { p5: 0.5, p50: -0.5 }, ..known };
        assert_eq!([-0.3, 0.3].map(|score| broken.closeness(score)), [0.0, 0.3]);
    }

    fn hits(scores: &[f32]) -> Vec<Hit> {
        scores.iter().zip(1..).map(|(&score, id)| Hit { photo: PhotoId(id), score }).collect()
    }

    #[test]
    fn unrelated_queries_look_hopeless_and_matching_ones_do_not() {
        let judge = |scores: &[f32]| calibration().judge(&hits(scores), 1000);
        assert_eq!(judge(&[0.21, 0.1]), Judgement { nothing_likely: true, likely: 0 });
        assert_eq!(judge(&[0.35, 0.18, 0.16]), Judgement { nothing_likely: false, likely: 2 });
        assert_eq!(judge(&[]), Judgement { nothing_likely: true, likely: 0 });
    }

    #[test]
    fn more_photos_ask_for_more_and_never_for_more_than_a_true_match_has() {
        let scores = hits(&[0.24]);
        assert!(!calibration().judge(&scores, 1000).nothing_likely);
        assert!(calibration().judge(&scores, 100_000).nothing_likely);
        assert!(!calibration().judge(&hits(&[0.15]), 10).nothing_likely);
        let mut overlapping = calibration();
        overlapping.matching = Matching { p5: 0.05, p50: 0.2 };
        assert_eq!(overlapping.judge(&hits(&[0.2]), 1_000_000), Judgement { nothing_likely: false, likely: 1 });
    }

    #[test]
    fn the_largest_of_many_normal_draws() {
        // Means of the maximum from tables: 2.51 of 100, 3.24 of 1,000, 4.38 of 100,000; the mode lies just below.
        for (n, mean) in [(100, 2.51), (1000, 3.24), (100_000, 4.38)] {
            assert!((expected_maximum(n) - mean).abs() < 0.2, "{n}: {}", expected_maximum(n));
        }
        assert!(expected_maximum(0) >= 0.0);
    }

    #[test]
    fn nonsense_is_not_used() {
        let mut broken = calibration();
        broken.unrelated.std = f32::NAN;
        assert_eq!(broken.judge(&hits(&[0.0]), 1000), Judgement::unknown(1));
    }

    #[test]
    fn reads_what_a_manifest_holds() {
        let json = r#"{"unrelated": {"mean": 0.01, "std": 0.05, "p99": 0.13, "n": 5},
            "best_of_1000_unrelated": {"p50": 0.2, "p95": 0.25}, "matching": {"p5": 0.1, "p50": 0.3}}"#;
        let read: Calibration = serde_json::from_str(json).unwrap();
        assert_eq!(read.best_of_1000_unrelated.p95, 0.25);
        assert!(read.is_sensible());
    }
}
