//! The best few of many, without sorting the many.

use std::cmp::Ordering;

use crate::domain::Hit;

/// Better first: higher score, then lower id. Total, so that no number can upset a sort.
pub fn ranked(a: &Hit, b: &Hit) -> Ordering {
    b.score.total_cmp(&a.score).then(a.photo.cmp(&b.photo))
}

/// Collects up to twice `limit` hits, then throws the worse half away: linear time
/// for any limit, where a heap takes a logarithm for each hit that gets in.
#[derive(Debug)]
pub struct TopK {
    limit: usize,
    hits: Vec<Hit>,
    /// Scores below cannot get in. `NEG_INFINITY` until `limit` hits were seen.
    floor: f32,
}

impl TopK {
    pub fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), floor: if limit == 0 { f32::INFINITY } else { f32::NEG_INFINITY } }
    }

    /// A quick no; a hit for which this is true may still be thrown away later.
    pub fn may_enter(&self, score: f32) -> bool {
        score >= self.floor
    }

    pub fn push(&mut self, hit: Hit) {
        if self.limit == 0 || !self.may_enter(hit.score) {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= self.limit.saturating_mul(2) {
            self.shrink();
        }
    }

    pub fn merge(mut self, other: Self) -> Self {
        other.hits.into_iter().for_each(|hit| self.push(hit));
        self
    }

    /// Best first.
    pub fn into_ranked(mut self) -> Vec<Hit> {
        self.shrink();
        self.hits.sort_unstable_by(ranked);
        self.hits
    }

    fn shrink(&mut self) {
        if self.limit == 0 || self.hits.len() < self.limit {
            return;
        }
        let (_, worst, _) = self.hits.select_nth_unstable_by(self.limit - 1, ranked);
        self.floor = worst.score;
        self.hits.truncate(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PhotoId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_whole_sort(
            // Few distinct scores, so that ties are common.
            scores in prop::collection::vec(-3i8..3, 0..200),
            limit in 0usize..40,
            cut in 0usize..200,
        ) {
            let hits: Vec<Hit> = scores.iter().enumerate()
                .map(|(i, &s)| Hit { photo: PhotoId(((i * 7919) % 1009) as i64), score: f32::from(s) })
                .collect();
            let collect = |hits: &[Hit]| {
                let mut top = TopK::new(limit);
                hits.iter().for_each(|&hit| top.push(hit));
                top
            };
            let cut = cut.min(hits.len());
            let found = collect(&hits[..cut]).merge(collect(&hits[cut..])).into_ranked();
            let mut naive = hits;
            naive.sort_by(ranked);
            naive.truncate(limit);
            prop_assert_eq!(found, naive);
        }
    }
}
