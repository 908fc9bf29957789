//! Captions against what people wrote: BLEU and CIDEr as pycocoevalcap computes them.
//!
//! Over words that are there already: see [`super::words`]. Sums run in a fixed order, so
//! the figures are the same to the last digit every time.

use std::collections::{BTreeMap, BTreeSet};

/// Longest run of words that is looked at.
const N: usize = 4;

/// A caption and what people wrote about the same picture, as words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub caption: Vec<String>,
    pub references: Vec<Vec<String>>,
}

/// Runs of words and how often each comes.
type Counts<'a> = BTreeMap<&'a [String], usize>;

fn counts(words: &[String], n: usize) -> Counts<'_> {
    let mut counts = Counts::new();
    for run in words.windows(n) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// BLEU-1 to BLEU-4 of all captions together, 0..1 (Papineni et al. 2002); the length
/// that counts is that of the reference closest to the caption's, the shorter of two.
pub fn bleu(all: &[Described]) -> [f64; N] {
    // pycocoevalcap's guards against division by zero.
    const SMALL: f64 = 1e-9;
    const TINY: f64 = 1e-15;
    let (mut length, mut wanted) = (0, 0);
    let (mut right, mut made) = ([0; N], [0; N]);
    for Described { caption, references } in all {
        let own = caption.len();
        length += own;
        wanted += references.iter().map(Vec::len).min_by_key(|&l| (l.abs_diff(own), l)).unwrap_or(0);
        for n in 1..=N {
            let theirs: Vec<Counts> = references.iter().map(|words| counts(words, n)).collect();
            let most = |run: &[String]| theirs.iter().filter_map(|counts| counts.get(run)).max().copied();
            right[n - 1] += counts(caption, n).iter().map(|(run, &k)| k.min(most(run).unwrap_or(0))).sum::<usize>();
            made[n - 1] += (own + 1).saturating_sub(n);
        }
    }
    let ratio = (length as f64 + TINY) / (wanted as f64 + SMALL);
    let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
    let mut product = 1.0;
    std::array::from_fn(|i| {
        product *= (right[i] as f64 + TINY) / (made[i] as f64 + SMALL);
        product.powf(1.0 / (i + 1) as f64) * brevity
    })
}

/// CIDEr-D, 0..10 (Vedantam et al. 2015): runs of words that few pictures share weigh
/// most. How many share them is counted over the references of `all`.
pub fn cider(all: &[Described]) -> f64 {
    let weight = rarity(all, N);
    let of_one = |Described { caption, references }: &Described| {
        let own = Vector::of(caption, &weight);
        let sum: f64 = references.iter().map(|words| own.likeness(&Vector::of(words, &weight))).sum();
        10.0 * sum / (N * references.len().max(1)) as f64
    };
    all.iter().map(of_one).sum::<f64>() / all.len().max(1) as f64
}

/// Of each caption the share of its words, each by its rarity, that its references have, too, 0..1. A word that
/// the references of all pictures have weighs nothing.
pub fn borne_out(all: &[Described]) -> Vec<f64> {
    let rarity = rarity(all, 1);
    let of_one = |Described { caption, references }: &Described| {
        let known: BTreeSet<&String> = references.iter().flatten().collect();
        let (mut right, mut whole) = (0.0, 0.0);
        for word in caption {
            let weight = rarity(std::slice::from_ref(word));
            whole += weight;
            right += if known.contains(word) { weight } else { 0.0 };
        }
        if whole > 0.0 { right / whole } else { 0.0 }
    };
    all.iter().map(of_one).collect()
}

/// Of a run of up to `longest` words: the logarithm of the number of pictures for each whose references have it.
fn rarity(all: &[Described], longest: usize) -> impl Fn(&[String]) -> f64 {
    let mut pictures = Counts::new();
    for Described { references, .. } in all {
        let runs: BTreeSet<&[String]> =
            references.iter().flat_map(|words| (1..=longest).flat_map(|n| words.windows(n))).collect();
        for run in runs {
            *pictures.entry(run).or_default() += 1;
        }
    }
    let most = (all.len() as f64).ln();
    move |run| most - (pictures.get(run).copied().unwrap_or(0).max(1) as f64).ln()
}

/// A sentence as weights of its runs of words.
struct Vector<'a> {
    weights: [BTreeMap<&'a [String], f64>; N],
    norms: [f64; N],
    /// Its pairs of words: what pycocoevalcap takes for the length.
    length: f64,
}

impl<'a> Vector<'a> {
    fn of(words: &'a [String], weight: &dyn Fn(&[String]) -> f64) -> Self {
        let weights: [BTreeMap<_, f64>; N] = std::array::from_fn(|i| {
            counts(words, i + 1).into_iter().map(|(run, k)| (run, k as f64 * weight(run))).collect()
        });
        let norms = std::array::from_fn(|i| weights[i].values().map(|w| w * w).sum::<f64>().sqrt());
        Self { weights, norms, length: words.len().saturating_sub(1) as f64 }
    }

    /// Sum over the run lengths of the cosine, in which no run counts more often than the
    /// reference has it, less for sentences of unlike length.
    fn likeness(&self, reference: &Self) -> f64 {
        const SIGMA: f64 = 6.0;
        let unlike = (self.length - reference.length).powi(2);
        let of_length = |i: usize| {
            let theirs = |run| reference.weights[i].get(run).copied().unwrap_or(0.0);
            let product: f64 = self.weights[i].iter().map(|(run, &own)| own.min(theirs(run)) * theirs(run)).sum();
            let norms = self.norms[i] * reference.norms[i];
            if norms > 0.0 { product / norms } else { 0.0 }
        };
        (0..N).map(of_length).sum::<f64>() * (-unlike / (2.0 * SIGMA * SIGMA)).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn described(caption: &str, references: &[&str]) -> Described {
        Described { caption: words(caption), references: references.iter().map(|r| words(r)).collect() }
    }

    #[test]
    fn bleu_by_hand() {
        // Papineni's example: "the" counts twice, as often as one reference has it.
        let [one, ..] =
            bleu(&[described("the the the the the the the", &["the cat is on the mat", "there is a cat on the mat"])]);
        assert!((one - 2.0 / 7.0).abs() < 1e-6);
        // All words right, half as long: e^(1 - 2).
        let [one, two, ..] = bleu(&[described("a b", &["a b c d"])]);
        assert!((one - (-1f64).exp()).abs() < 1e-6 && (two - (-1f64).exp()).abs() < 1e-6);
        // Of two references equally far away the shorter one counts: no penalty.
        assert!((bleu(&[described("a b c", &["a b c d", "a b"])])[0] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn cider_by_hand() {
        let two = [described("a b c d", &["a b c d"]), described("x y", &["e f g h"])];
        // The first is perfect, the second has nothing in common with its reference.
        assert!((cider(&two) - 5.0).abs() < 1e-9);
        // What every picture shares tells nothing.
        assert_eq!(cider(&[described("a", &["a"]), described("a", &["a"])]), 0.0);
    }

    #[test]
    fn nothing_at_all() {
        assert_eq!(cider(&[]), 0.0);
        for all in [vec![], vec![described("", &["a b"])], vec![described("a", &[])], vec![Described::default()]] {
            assert!(bleu(&all).iter().all(|b| (0.0..=1.0).contains(b)), "{all:?}");
            assert_eq!(cider(&all), 0.0);
        }
    }

    fn sentence() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-e]", 0..9)
    }

    fn set() -> impl Strategy<Value = Vec<Described>> {
        let one = (sentence(), prop::collection::vec(sentence(), 1..4));
        prop::collection::vec(one.prop_map(|(caption, references)| Described { caption, references }), 1..6)
    }

    #[test]
    fn borne_out_by_hand() {
        let all = [
            described("a dog runs", &["a dog sleeps", "a dog"]),
            described("a dog runs", &["a cat runs"]),
            described("a", &["a bird"]),
            described("", &["a bird"]),
        ];
        // "a" is said of all four; "dog" and "runs" of one each.
        let shares = borne_out(&all);
        assert!((shares[0] - 0.5).abs() < 1e-9 && (shares[1] - 0.5).abs() < 1e-9, "{shares:?}");
        assert_eq!(shares[2..], [0.0, 0.0]);
        assert_eq!(borne_out(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn bounded_and_blind_to_order(all in set()) {
            let (b, c) = (bleu(&all), cider(&all));
            prop_assert!(b.iter().all(|b| (0.0..=1.0).contains(b)), "{:?}", b);
            prop_assert!((0.0..=10.0 + 1e-9).contains(&c), "{}", c);
            let mut turned = all;
            turned.reverse();
            turned.iter_mut().for_each(|d| d.references.reverse());
            prop_assert!(bleu(&turned).iter().zip(b).all(|(t, b)| (t - b).abs() < 1e-12));
            prop_assert!((cider(&turned) - c).abs() < 1e-9);
            prop_assert!(borne_out(&turned).iter().all(|share| (0.0..=1.0 + 1e-9).contains(share)));
        }

        #[test]
        fn a_reference_repeated_is_perfect(mut all in set()) {
            for d in &mut all {
                d.references = vec![words("a b c d e f")];
                d.caption = d.references[0].clone();
            }
            prop_assert!(bleu(&all).iter().all(|b| *b > 0.999));
        }
    }
}
