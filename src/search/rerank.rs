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
}

impl Judged {
    /// What it is ranked by: the match score, else the Align score.
    pub fn score(&self) -> f32 {
        self.match_score.unwrap_or(self.hit.score)
    }
}

/// Orders those that have a match score by it, ties as they were. Hits without one keep
/// their place: nothing that Align found is lost because Fuse could not look.
pub fn rerank(hits: &[Hit], match_scores: &[Option<f32>]) -> Vec<Judged> {
    let scores = match_scores.iter().copied().chain(std::iter::repeat(None));
    let mut judged: Vec<Judged> =
        hits.iter().zip(scores).map(|(&hit, match_score)| Judged { hit, match_score }).collect();
    let places: Vec<usize> = (0..judged.len()).filter(|&i| judged[i].match_score.is_some()).collect();
    let mut sorted: Vec<Judged> = places.iter().map(|&i| judged[i]).collect();
    sorted.sort_by(|a, b| b.score().total_cmp(&a.score()));
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
        rerank(&hits, match_scores).iter().map(|judged| judged.hit.photo.0).collect()
    }

    #[test]
    fn judged_hits_change_places_among_themselves() {
        assert_eq!(order(&[Some(0.1), Some(0.9), Some(0.5)]), [1, 2, 0, 3]);
        assert_eq!(order(&[Some(0.1), None, Some(0.5), Some(0.9)]), [3, 1, 2, 0]);
        assert_eq!(order(&[Some(0.5), Some(0.5)]), [0, 1, 2, 3]);
        assert_eq!(order(&[]), [0, 1, 2, 3]);
    }
}
