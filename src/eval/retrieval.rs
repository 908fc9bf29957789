//! Cross-modal retrieval: how far up the right picture stands for a text, and the right text for a picture.
//!
//! Ties are counted as if shuffled: what is reported is the expectation over all
//! orders of equal scores. So a model that gives all pairs the same score gets what
//! guessing gets, and two copies of a photo in a dataset share the credit.

use rayon::prelude::*;

use crate::domain::Embedding;

/// Share of queries, in per cent, whose first right answer is among the first k; and its median rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recall {
    pub queries: usize,
    pub at_1: f64,
    pub at_5: f64,
    pub at_10: f64,
    /// 1 is best.
    pub median_rank: f64,
}

/// Both directions over the same pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranking {
    pub text_to_image: Recall,
    pub image_to_text: Recall,
}

/// Ranks every image for every text and the other way round. `owner[t]` is the image that text `t` describes;
/// an image without a text is an answer, but no query.
pub fn rank_images_by_texts(images: &[Embedding], texts: &[Embedding], owner: &[usize]) -> Ranking {
    let per_text = texts.par_iter().zip(owner).map(|(text, &right)| Place::of(&scores(text, images), |i| i == right));
    let per_image = images.par_iter().enumerate();
    let per_image = per_image.map(|(i, image)| Place::of(&scores(image, texts), |t| owner.get(t) == Some(&i)));
    Ranking {
        text_to_image: Recall::of(&per_text.flatten().collect::<Vec<_>>()),
        image_to_text: Recall::of(&per_image.flatten().collect::<Vec<_>>()),
    }
}

/// Where the best of the right answers stands in one query's ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Wrong answers that score higher.
    above: usize,
    /// Wrong answers that score the same.
    tied: usize,
    /// Right answers that share the best right score.
    right: usize,
}

impl Place {
    /// `None` when no answer is right. A score that is NaN stands below all others.
    pub fn of(scores: &[f32], is_right: impl Fn(usize) -> bool) -> Option<Self> {
        let scores = || scores.iter().map(|s| if s.is_nan() { f32::NEG_INFINITY } else { *s }).enumerate();
        let best = scores().filter(|&(i, _)| is_right(i)).map(|(_, s)| s).reduce(f32::max)?;
        let mut place = Self { above: 0, tied: 0, right: 0 };
        for (i, score) in scores() {
            match is_right(i) {
                true if score == best => place.right += 1,
                false if score == best => place.tied += 1,
                false if score > best => place.above += 1,
                _ => {}
            }
        }
        Some(place)
    }

    /// How probable it is that a right answer is among the first `k`, equal scores being shuffled.
    pub fn within(&self, k: usize) -> f64 {
        let draws = k.saturating_sub(self.above);
        if draws > self.tied {
            return 1.0;
        }
        // All draws from the tied ones miss.
        let all_miss = |j| (self.tied - j) as f64 / (self.tied + self.right - j) as f64;
        1.0 - (0..draws).map(all_miss).product::<f64>()
    }

    /// Expected rank of the first right answer, equal scores being shuffled; 1 is best.
    pub fn rank(&self) -> f64 {
        self.above as f64 + (self.tied + self.right + 1) as f64 / (self.right + 1) as f64
    }
}

impl Recall {
    /// Over the queries that have a right answer.
    pub fn of(places: &[Place]) -> Self {
        if places.is_empty() {
            return Self::default();
        }
        let share = |k| 100.0 * places.iter().map(|place| place.within(k)).sum::<f64>() / places.len() as f64;
        let mut ranks: Vec<f64> = places.iter().map(Place::rank).collect();
        ranks.sort_by(f64::total_cmp);
        let middle = ranks.len() / 2;
        let even = ranks.len().is_multiple_of(2);
        let median_rank = if even { f64::midpoint(ranks[middle - 1], ranks[middle]) } else { ranks[middle] };
        Self { queries: places.len(), at_1: share(1), at_5: share(5), at_10: share(10), median_rank }
    }
}

/// Cosines of one vector with many; of another space: below all.
fn scores(query: &Embedding, answers: &[Embedding]) -> Vec<f32> {
    answers
        .iter()
        .map(|answer| if answer.dim() == query.dim() { dot(query.as_slice(), answer.as_slice()) } else { f32::NAN })
        .collect()
}

/// Sixteen sums side by side: millions of pairs take a second instead of ten.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e(values: &[f32]) -> Embedding {
        Embedding::new(values.to_vec()).unwrap()
    }

    #[test]
    fn counted_by_hand() {
        let images = [e(&[1.0, 0.0, 0.0]), e(&[0.0, 1.0, 0.0]), e(&[0.0, 0.0, 1.0])];
        // Two texts of image 0 (one right at once, one that prefers image 1), one of image 1.
        let texts = [e(&[1.0, 0.1, 0.0]), e(&[0.5, 1.0, 0.1]), e(&[0.1, 1.0, 0.0])];
        let ranking = rank_images_by_texts(&images, &texts, &[0, 0, 1]);
        assert_eq!(ranking.text_to_image.queries, 3);
        assert!((ranking.text_to_image.at_1 - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!(ranking.text_to_image.at_5, 100.0);
        assert_eq!(ranking.text_to_image.median_rank, 1.0);
        // Image 2 has no text, so it is no query.
        assert_eq!(ranking.image_to_text.queries, 2);
        assert_eq!(ranking.image_to_text.at_1, 100.0);
    }

    #[test]
    fn a_matrix_by_hand() {
        // Rows are queries, the right answers of row i are in `right[i]`.
        let matrix: [(&[f32], &[usize]); 4] = [
            (&[0.9, 0.1, 0.5], &[0]),    // first
            (&[0.9, 0.1, 0.5], &[1]),    // last
            (&[0.9, 0.1, 0.5], &[1, 2]), // the better of two is second
            (&[0.9, 0.1, 0.5], &[]),     // no query
        ];
        let places: Vec<Place> = matrix.iter().filter_map(|(row, own)| Place::of(row, |i| own.contains(&i))).collect();
        assert_eq!(places.iter().map(Place::rank).collect::<Vec<_>>(), [1.0, 3.0, 2.0]);
        let recall = Recall::of(&places);
        assert_eq!((recall.queries, recall.median_rank, recall.at_5), (3, 2.0, 100.0));
        assert!((recall.at_1 - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn ties_are_shuffled() {
        // One better answer, then three equal ones of which one is right: ranks 2, 3, 4, each as probable.
        let place = Place::of(&[0.9, 0.5, 0.5, 0.5, 0.1], |i| i == 2).unwrap();
        assert_eq!(place.rank(), 3.0);
        assert_eq!(place.within(1), 0.0);
        for (k, expected) in [(2, 1.0 / 3.0), (3, 2.0 / 3.0), (4, 1.0), (9, 1.0)] {
            assert!((place.within(k) - expected).abs() < 1e-12, "{k}");
        }
        // Two right among four equal ones: both miss the first two places in 1 of 6 orders.
        let place = Place::of(&[0.5; 4], |i| i < 2).unwrap();
        assert!((place.within(2) - 5.0 / 6.0).abs() < 1e-12);
        assert!((place.rank() - 5.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_sees_no_difference_is_as_good_as_guessing() {
        let images = vec![e(&[1.0, 1.0]); 20];
        let texts = vec![e(&[1.0, 0.0]); 20];
        let owner: Vec<usize> = (0..20).collect();
        let ranking = rank_images_by_texts(&images, &texts, &owner);
        assert!((ranking.text_to_image.at_10 - 50.0).abs() < 1e-9 && (ranking.image_to_text.at_1 - 5.0).abs() < 1e-9);
        assert_eq!(ranking.text_to_image.median_rank, 10.5);
    }

    #[test]
    fn not_a_number_is_last() {
        let place = Place::of(&[f32::NAN, 0.1, -0.5], |i| i == 0).unwrap();
        assert_eq!(place.rank(), 3.0);
    }

    #[test]
    fn nothing_to_rank() {
        assert_eq!(rank_images_by_texts(&[], &[], &[]), Ranking::default());
    }
}
