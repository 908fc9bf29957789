//! Align finds, Fuse judges: the best hits of a search in the order of a Fuse model's scores.
//!
//! Must not run models; whoever has one brings its scores.

use crate::domain::Hit;

/// A hit as both families see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub hit: Hit,
    /// The Fuse model's, 0..1; `None` where it was not asked or could not see the photo.
    pub match_score: Option<f32>,
    /// What it is ranked by, 0..1 where it was judged: see [`combined`]; else the Align score.
    pub score: f32,
}

/// The odds of a match as both families see it: the Fuse model's own, times `exp(weight * (align - best))`,
/// with the cosines of this hit and of the best one. With weight 0 the Fuse model decides alone; how much a small model should
/// listen to the other is measured when it is made ([`FuseSpec::align_weight`](crate::models::fuse::FuseSpec)).
fn combined(match_score: f32, align: f32, best: f32, weight: f32) -> f32 {
    1.0 / (1.0 + (-log_odds(match_score, align, best, weight)).exp())
}

/// The logarithm of those odds, which orders hits that are all next to impossible, too.
pub fn log_odds(match_score: f32, align: f32, best: f32, weight: f32) -> f32 {
    // Beyond these an f32 cannot tell likely from certain.
    let p = match_score.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln() + weight * (align - best)
}

/// Orders those that have a match score by [`combined`], ties as they were. Hits without one keep
/// their place: nothing that Align found is lost because Fuse could not look.
pub fn rerank(hits: &[Hit], match_scores: &[Option<f32>], weight: f32) -> Vec<Judged> {
    let best = hits.iter().map(|hit| hit.score).fold(f32::MIN, f32::max);
    let scores = match_scores.iter().copied().chain(std::iter::repeat(None));
    let judge = |(&hit, match_score): (&Hit, Option<f32>)| {
        let score = match_score.map_or(hit.score, |judged| combined(judged, hit.score, best, weight));
        Judged { hit, match_score, score }
    };
    let mut judged: Vec<Judged> = hits.iter().zip(scores).map(judge).collect();
    let places: Vec<usize> = (0..judged.len()).filter(|&i| judged[i].match_score.is_some()).collect();
    let mut sorted: Vec<Judged> = places.iter().map(|&i| judged[i]).collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    for (place, item) in places.into_iter().zip(sorted) {
        judged[place] = item;
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PhotoId;

    fn order(match_scores: &[Option<f32>]) -> Vec<i64> {
        let hits: Vec<Hit> = (0..4).map(|i| Hit { photo: PhotoId(i), score: 0.3 - i as f32 / 100.0 }).collect();
        rerank(&hits, match_scores, 0.0).iter().map(|judged| judged.hit.photo.0).collect()
    }

    #[test]
    fn alone_or_together() {
        // Alone: the Fuse model's own score.
        assert!((combined(0.8, 0.1, 0.3, 0.0) - 0.8).abs() < 1e-6);
        assert!(combined(0.0, 0.3, 0.3, 0.0) > 0.0 && combined(1.0, 0.3, 0.3, 0.0) < 1.0);
        // Together: what Align saw much better needs a strong judgement to be passed.
        let hits = [0.30, 0.20].map(|score| Hit { photo: PhotoId((score * 100.0) as i64), score });
        let first = |second: f32| rerank(&hits, &[Some(0.5), Some(second)], 20.0)[0].hit.photo.0;
        assert_eq!((first(0.6), first(0.95)), (30, 20));
        let ranked = rerank(&hits, &[Some(0.5), Some(0.95)], 20.0);
        assert!(ranked[0].score > ranked[1].score && ranked.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
    }

    #[test]
    fn judged_hits_change_places_among_themselves() {
        assert_eq!(order(&[Some(0.1), Some(0.9), Some(0.5)]), [1, 2, 0, 3]);
        assert_eq!(order(&[Some(0.1), None, Some(0.5), Some(0.9)]), [3, 1, 2, 0]);
        assert_eq!(order(&[Some(0.5), Some(0.5)]), [0, 1, 2, 3]);
        assert_eq!(order(&[]), [0, 1, 2, 3]);
    }
}
