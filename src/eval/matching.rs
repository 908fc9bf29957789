//! Whether true pairs of picture and text score above false ones, and which false ones to ask about.

use crate::domain::Random;

/// How probable it is that a true pair scores above a false one, 0..1, equal scores
/// counting half: the area under the ROC curve. `None` without pairs of both sorts.
pub fn auc(right: &[f32], wrong: &[f32]) -> Option<f64> {
    let sorted = |scores: &[f32]| {
        // Not a number is below all.
        let mut scores: Vec<f32> = scores.iter().map(|s| if s.is_nan() { f32::NEG_INFINITY } else { *s }).collect();
        scores.sort_by(f32::total_cmp);
        scores
    };
    let wrong = sorted(wrong);
    let won = |score: f32| {
        let (below, not_above) = (wrong.partition_point(|w| *w < score), wrong.partition_point(|w| *w <= score));
        f64::midpoint(below as f64, not_above as f64)
    };
    let pairs = right.len() * wrong.len();
    (pairs > 0).then(|| sorted(right).into_iter().map(won).sum::<f64>() / pairs as f64)
}

/// `wanted` of the numbers below `n`, in rising order; all of them if there are no more.
pub fn sample(n: usize, wanted: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    let wanted = wanted.min(n);
    for i in 0..wanted {
        let other = i + random.below(n - i);
        all.swap(i, other);
    }
    all.truncate(wanted);
    all.sort_unstable();
    all
}

/// A text of another picture than `picture`; `None` if there is none. `owner[t]` is the
/// picture of text `t`.
pub fn text_of_another(owner: &[usize], picture: usize, random: &mut Random) -> Option<usize> {
    owner.iter().any(|own| *own != picture).then(|| {
        loop {
            let text = random.below(owner.len());
            if owner[text] != picture {
                return text;
            }
        }
    })
}

/// The `k` best by score but `right`, best first, ties by number.
pub fn best_wrong(scores: &[f32], right: usize, k: usize) -> Vec<usize> {
    let mut wrong: Vec<usize> = (0..scores.len()).filter(|&i| i != right).collect();
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if k < wrong.len() {
        wrong.select_nth_unstable_by(k, better);
        wrong.truncate(k);
    }
    wrong.sort_by(better);
    wrong
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counted_by_hand() {
        assert_eq!(auc(&[0.9, 0.4], &[0.5, 0.1]), Some(0.75));
        assert_eq!(auc(&[0.5, 0.5], &[0.5]), Some(0.5));
        assert_eq!(auc(&[f32::NAN], &[0.0]), Some(0.0));
        assert_eq!((auc(&[], &[0.1]), auc(&[0.1], &[])), (None, None));
        assert_eq!(best_wrong(&[0.9, 0.5, 0.7, 0.5], 0, 2), [2, 1]);
        assert_eq!(best_wrong(&[0.9], 0, 5), [0usize; 0]);
    }

    #[test]
    fn a_seed_decides() {
        let draw = |seed| sample(100, 10, &mut Random::new(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert_eq!(sample(3, 10, &mut Random::new(0)), [0, 1, 2]);
        let owner = [0, 0, 1, 2];
        let mut random = Random::new(1);
        let drawn: std::collections::BTreeSet<usize> =
            (0..50).filter_map(|_| text_of_another(&owner, 0, &mut random)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(text_of_another(&[1, 1], 1, &mut random), None);
    }

    proptest! {
        #[test]
        fn equals_the_count_of_won_pairs(
            right in prop::collection::vec(0u8..6, 1..30),
            wrong in prop::collection::vec(0u8..6, 1..30),
        ) {
            let (right, wrong): (Vec<f32>, Vec<f32>) =
                (right.into_iter().map(f32::from).collect(), wrong.into_iter().map(f32::from).collect());
            let won = |r: f32, w: f32| if r > w { 1.0 } else if r == w { 0.5 } else { 0.0 };
            let sum: f64 = right.iter().flat_map(|r| wrong.iter().map(move |w| won(*r, *w))).sum();
            let area = auc(&right, &wrong).unwrap();
            prop_assert!((area - sum / (right.len() * wrong.len()) as f64).abs() < 1e-12);
            prop_assert!((area + auc(&wrong, &right).unwrap() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn samples_are_distinct(n in 0usize..50, wanted in 0usize..60, seed: u64) {
            let drawn = sample(n, wanted, &mut Random::new(seed));
            prop_assert_eq!(drawn.len(), wanted.min(n));
            prop_assert!(drawn.is_sorted_by(|a, b| a < b) && drawn.iter().all(|i| *i < n));
        }
    }
}
