//! Cross-modal retrieval: how far up the right picture stands for a text, and the right text for a picture.

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

/// Ranks every image for every text and the other way round. `owner[t]` is the image that text `t` describes.
/// An answer that scores the same as the right one is taken to stand before it, so that
/// a model that gives all pairs the same score gets no credit.
pub fn rank_images_by_texts(images: &[Embedding], texts: &[Embedding], owner: &[usize]) -> Ranking {
    let score = |image: &Embedding, text: &Embedding| image.cosine(text).unwrap_or(f32::NEG_INFINITY);
    let per_text: Vec<usize> = texts
        .par_iter()
        .zip(owner)
        .map(|(text, &right)| {
            let bar = score(&images[right], text);
            1 + images.iter().enumerate().filter(|&(i, image)| i != right && score(image, text) >= bar).count()
        })
        .collect();
    let described: Vec<usize> = {
        let mut described = owner.to_vec();
        described.sort_unstable();
        described.dedup();
        described
    };
    let per_image: Vec<usize> = described
        .par_iter()
        .map(|&image| {
            let scores: Vec<f32> = texts.iter().map(|text| score(&images[image], text)).collect();
            let right = scores.iter().zip(owner).filter(|&(_, &o)| o == image).map(|(&s, _)| s);
            let bar = right.fold(f32::NEG_INFINITY, f32::max);
            1 + scores.iter().zip(owner).filter(|&(&s, &o)| o != image && s >= bar).count()
        })
        .collect();
    Ranking { text_to_image: recall(per_text), image_to_text: recall(per_image) }
}

fn recall(mut ranks: Vec<usize>) -> Recall {
    if ranks.is_empty() {
        return Recall::default();
    }
    ranks.sort_unstable();
    let share = |k: usize| 100.0 * ranks.partition_point(|&rank| rank <= k) as f64 / ranks.len() as f64;
    let middle = ranks.len() / 2;
    let median_rank = if ranks.len().is_multiple_of(2) {
        (ranks[middle - 1] + ranks[middle]) as f64 / 2.0
    } else {
        ranks[middle] as f64
    };
    Recall { queries: ranks.len(), at_1: share(1), at_5: share(5), at_10: share(10), median_rank }
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
    fn a_model_that_sees_no_difference_gets_no_credit() {
        let images = vec![e(&[1.0, 1.0]); 20];
        let texts = vec![e(&[1.0, 0.0]); 20];
        let owner: Vec<usize> = (0..20).collect();
        let ranking = rank_images_by_texts(&images, &texts, &owner);
        assert_eq!((ranking.text_to_image.at_10, ranking.image_to_text.at_10), (0.0, 0.0));
        assert_eq!(ranking.text_to_image.median_rank, 20.0);
    }

    #[test]
    fn nothing_to_rank() {
        assert_eq!(rank_images_by_texts(&[], &[], &[]), Ranking::default());
    }
}
