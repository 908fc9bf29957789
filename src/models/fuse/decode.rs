//! Choosing words one after the other: greedy, beam search, or sampling with a seed.
//!
//! Generic over whatever gives the scores of the next token. Must not know models.

use std::collections::HashSet;

use crate::domain::{CancelToken, Random};
use crate::models::ModelError;

/// What decoding asks of a model. Sequences are rows; the model keeps what it needs of them.
pub trait NextToken {
    /// Most tokens that it has places for.
    fn room(&self) -> usize;

    /// Scores of all words for the first token of the one row that there is.
    fn start(&mut self) -> Result<Vec<f32>, ModelError>;

    /// Row `i` now continues row `rows[i].0` of the last call with the token `rows[i].1`.
    /// Scores of all words for each row's next token.
    fn next(&mut self, rows: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// Drawing words by their probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the scores; below 1 for likelier words.
    pub temperature: f32,
    /// Only the likeliest words that together have this probability.
    pub top_p: f32,
    pub seed: u64,
}

/// Sequences that ended are kept, so many times those of a beam: whoever wants several chooses among them.
const KEPT: usize = 3;

/// How to decode.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoding {
    /// Sequences held at once; 1 is greedy.
    pub beam: usize,
    pub max_tokens: usize,
    /// The token that ends a sequence, once it has a word.
    pub end: u32,
    /// Tokens that are never chosen.
    pub banned: Vec<u32>,
    /// Tokens that no sequence begins with.
    pub no_opening: Vec<u32>,
    /// No run of this many tokens comes twice (0: no limit).
    pub no_repeat: usize,
    /// Sequences are compared by their log probability over length to this power.
    pub length_penalty: f32,
    /// Draws instead of taking the best; then `beam` does not count.
    pub sampling: Option<Sampling>,
}

impl Decoding {
    /// Greedy up to `max_tokens`.
    pub fn greedy(end: u32, max_tokens: usize) -> Self {
        Self {
            beam: 1,
            max_tokens,
            end,
            banned: Vec::new(),
            no_opening: Vec::new(),
            no_repeat: 0,
            length_penalty: 1.0,
            sampling: None,
        }
    }
}

/// A decoded sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Without the end token.
    pub ids: Vec<u32>,
    /// Sum of the tokens' log probabilities, the end token's among them.
    pub log_prob: f32,
    /// Tokens that the sum is over.
    pub counted: usize,
    /// It ended by itself and not by the limit or a cancel.
    pub ended: bool,
}

impl Decoded {
    /// The geometric mean of the tokens' probabilities, 0..1.
    pub fn mean_probability(&self) -> f32 {
        if self.counted == 0 { 0.0 } else { (self.log_prob / self.counted as f32).exp() }
    }

    fn rank(&self, penalty: f32) -> f32 {
        self.log_prob / (self.counted.max(1) as f32).powf(penalty)
    }

    fn with(&self, token: u32, log_prob: f32, end: bool) -> Self {
        let mut next = self.clone();
        next.log_prob += log_prob;
        next.counted += 1;
        next.ended = end;
        if !end {
            next.ids.push(token);
        }
        next
    }
}

/// The best sequence of [`decode_several`].
pub fn decode(
    model: &mut dyn NextToken,
    how: &Decoding,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(&[u32]),
) -> Result<Decoded, ModelError> {
    Ok(decode_several(model, how, cancel, progress)?.into_iter().next().unwrap_or_default())
}

/// The sequences that ended, best first; where none did, those that a limit or a cancel left.
/// `progress` sees the best one so far after each step.
pub fn decode_several(
    model: &mut dyn NextToken,
    how: &Decoding,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(&[u32]),
) -> Result<Vec<Decoded>, ModelError> {
    let mut random = how.sampling.map(|sampling| Random::new(sampling.seed));
    let beam = if random.is_some() { 1 } else { how.beam.max(1) };
    let later: HashSet<u32> = how.banned.iter().copied().collect();
    let first = later.iter().chain(&how.no_opening).chain([&how.end]).copied().collect();
    let banned = [first, later];
    let (mut live, mut ended) = (vec![Decoded::default()], Vec::<Decoded>::new());
    let mut scores = Vec::new();
    let steps = how.max_tokens.min(model.room());
    for step in 0..steps {
        if cancel.is_cancelled() {
            break;
        }
        scores = if step == 0 { vec![model.start()?] } else { scores };
        let mut choices = Vec::new();
        for (parent, (row, so_far)) in scores.iter().zip(&live).enumerate() {
            let allowed = allowed(row, so_far, how, &banned);
            match (&how.sampling, &mut random) {
                (Some(sampling), Some(random)) => {
                    choices.extend(draw(&allowed, sampling, random).map(|choice| (parent, choice)));
                }
                _ => choices.extend(best(allowed, 2 * beam).into_iter().map(|choice| (parent, choice))),
            }
        }
        let total = |&(parent, (_, log_prob)): &(usize, (u32, f32))| live[parent].log_prob + log_prob;
        choices.sort_by(|a, b| total(b).total_cmp(&total(a)).then_with(|| (a.0, a.1.0).cmp(&(b.0, b.1.0))));
        let (mut next, mut rows) = (Vec::new(), Vec::new());
        for (rank, &(parent, (token, log_prob))) in choices.iter().enumerate() {
            if token == how.end {
                if rank < beam {
                    ended.push(live[parent].with(token, log_prob, true));
                }
            } else if next.len() < beam {
                next.push(live[parent].with(token, log_prob, false));
                rows.push((parent, token));
            }
        }
        let by_rank = |a: &Decoded, b: &Decoded| b.rank(how.length_penalty).total_cmp(&a.rank(how.length_penalty));
        ended.sort_by(by_rank);
        ended.truncate(KEPT * beam);
        live = next;
        if let Some(best) = live.iter().chain(&ended).min_by(|a, b| by_rank(a, b)) {
            progress(&best.ids);
        }
        let hopeless = |worst: &Decoded| live.iter().all(|l| by_rank(worst, l).is_le());
        let settled = ended.get(beam - 1).is_some_and(|worst| beam == 1 || hopeless(worst));
        if live.is_empty() || settled || step + 1 == steps {
            break;
        }
        scores = model.next(&rows)?;
    }
    let mut all = if ended.is_empty() { live } else { ended };
    all.sort_by(|a, b| b.rank(how.length_penalty).total_cmp(&a.rank(how.length_penalty)));
    Ok(all)
}

/// Tokens that may come next with their log probabilities among all; `banned` first and `banned` later.
fn allowed(scores: &[f32], so_far: &Decoded, how: &Decoding, banned: &[HashSet<u32>; 2]) -> Vec<(u32, f32)> {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let total = scores.iter().map(|s| (s - most).exp()).sum::<f32>().ln() + most;
    let ids = &so_far.ids;
    let banned = &banned[usize::from(!ids.is_empty())];
    let wanted = |&token: &u32| !(banned.contains(&token) || repeats(ids, token, how.no_repeat));
    (0..).zip(scores).filter(|(token, _)| wanted(token)).map(|(token, score)| (token, score - total)).collect()
}

/// Whether `token` completes a run of `n` tokens that `ids` has already.
fn repeats(ids: &[u32], token: u32, n: usize) -> bool {
    if n == 0 || ids.len() < n {
        return false;
    }
    let tail = &ids[ids.len() + 1 - n..];
    ids.windows(n).any(|run| run[..n - 1] == *tail && run[n - 1] == token)
}

/// The `n` likeliest, ties by id.
fn best(mut choices: Vec<(u32, f32)>, n: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if n < choices.len() {
        choices.select_nth_unstable_by(n, order);
        choices.truncate(n);
    }
    choices.sort_by(order);
    choices
}

/// One token by its probability; the log probability given is the one before temperature.
fn draw(choices: &[(u32, f32)], how: &Sampling, random: &mut Random) -> Option<(u32, f32)> {
    let sorted = best(choices.to_vec(), choices.len());
    let most = sorted.first()?.1;
    let temperature = how.temperature.max(1e-3);
    let weights: Vec<f32> = sorted.iter().map(|(_, l)| ((l - most) / temperature).exp()).collect();
    let total: f32 = weights.iter().sum();
    let mut sum = 0.0;
    let kept = weights.iter().take_while(|&&w| {
        let before = sum;
        sum += w;
        before < how.top_p * total
    });
    let kept = kept.count().max(1);
    let mut at = random.fraction() * weights[..kept].iter().sum::<f32>();
    for (choice, weight) in sorted.iter().zip(&weights[..kept]) {
        at -= weight;
        if at < 0.0 {
            return Some(*choice);
        }
    }
    sorted.get(kept - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model over four words whose scores depend on the last token alone; 0 ends.
    struct Chain {
        scores: [[f32; 4]; 4],
        rows: usize,
    }

    impl NextToken for Chain {
        fn room(&self) -> usize {
            50
        }

        fn start(&mut self) -> Result<Vec<f32>, ModelError> {
            Ok(self.scores[0].to_vec())
        }

        fn next(&mut self, rows: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, ModelError> {
            assert!(rows.iter().all(|(parent, _)| *parent < self.rows.max(1)));
            self.rows = rows.len();
            Ok(rows.iter().map(|(_, token)| self.scores[*token as usize].to_vec()).collect())
        }
    }

    /// Probabilities in place of scores.
    fn chain(p: [[f32; 4]; 4]) -> Chain {
        Chain { scores: p.map(|row| row.map(f32::ln)), rows: 1 }
    }

    fn run(p: [[f32; 4]; 4], how: &Decoding) -> Decoded {
        decode(&mut chain(p), how, &CancelToken::never(), &mut |_| ()).unwrap()
    }

    /// Greedy takes 1 (0.5) and must then end at 0.3; 2 (0.4) ends at 0.9.
    const TRAP: [[f32; 4]; 4] =
        [[0.0, 0.5, 0.4, 0.1], [0.3, 0.2, 0.25, 0.25], [0.9, 0.02, 0.04, 0.04], [0.1, 0.3, 0.3, 0.3]];

    #[test]
    fn beam_search_finds_what_greedy_misses() {
        let greedy = run(TRAP, &Decoding::greedy(0, 10));
        assert_eq!((greedy.ids.as_slice(), greedy.ended), (&[1][..], true));
        assert!((greedy.log_prob.exp() - 0.15).abs() < 1e-5 && greedy.counted == 2);
        let beam = run(TRAP, &Decoding { beam: 3, ..Decoding::greedy(0, 10) });
        assert_eq!(beam.ids, [2]);
        assert!((beam.mean_probability() - (0.4f32 * 0.9).sqrt()).abs() < 1e-5);
    }

    /// 1 leads to 1 for ever.
    const LOOP: [[f32; 4]; 4] =
        [[0.0, 0.9, 0.05, 0.05], [0.01, 0.9, 0.05, 0.04], [0.1, 0.7, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]];

    #[test]
    fn it_ends_and_does_not_repeat() {
        let endless = run(LOOP, &Decoding::greedy(0, 12));
        assert_eq!((endless.ids.len(), endless.ended), (12, false));
        for beam in [1, 3, 5] {
            let ids = run(LOOP, &Decoding { beam, no_repeat: 3, ..Decoding::greedy(0, 30) }).ids;
            let runs: Vec<&[u32]> = ids.windows(3).collect();
            assert!(runs.iter().enumerate().all(|(i, run)| !runs[..i].contains(run)), "{ids:?}");
        }
    }

    #[test]
    fn never_empty_and_never_a_banned_word() {
        let shy = [[0.97, 0.01, 0.01, 0.01]; 4];
        assert_eq!(run(shy, &Decoding { banned: vec![1, 2], ..Decoding::greedy(0, 9) }).ids, [3]);
        assert_eq!(run(shy, &Decoding { beam: 4, ..Decoding::greedy(0, 9) }).ids.len(), 1);
        // Where it does not open it may follow.
        let ids = run(LOOP, &Decoding::greedy(0, 4)).ids;
        let other = run(LOOP, &Decoding { no_opening: ids[..1].to_vec(), ..Decoding::greedy(0, 4) }).ids;
        assert!(other[0] != ids[0] && other[1..].contains(&ids[0]), "{ids:?} {other:?}");
    }

    #[test]
    fn a_seed_is_a_sentence() {
        let how = |seed, temperature, top_p| Decoding {
            sampling: Some(Sampling { temperature, top_p, seed }),
            ..Decoding::greedy(0, 20)
        };
        assert_eq!(run(TRAP, &how(7, 1.0, 1.0)), run(TRAP, &how(7, 1.0, 1.0)));
        let seen: std::collections::BTreeSet<u32> =
            (0..200).map(|seed| run(TRAP, &how(seed, 1.0, 1.0)).ids[0]).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        // The narrowest nucleus and the lowest temperature are greedy.
        assert_eq!(run(TRAP, &how(1, 1.0, 0.0)).ids, [1]);
        assert_eq!(run(TRAP, &how(2, 0.0, 1.0)).ids, [1]);
    }

    #[test]
    fn a_cancel_keeps_what_is_there() {
        let source = crate::domain::CancelSource::default();
        let token = source.restart();
        let mut steps = 0;
        let stop = &mut |_: &[u32]| {
            steps += 1;
            if steps == 4 {
                source.cancel();
            }
        };
        let cut = decode(&mut chain(LOOP), &Decoding::greedy(0, 40), &token, stop).unwrap();
        assert_eq!((cut.ids.len(), cut.ended), (4, false));
        let none = decode(&mut chain(LOOP), &Decoding::greedy(0, 40), &token, &mut |_| ()).unwrap();
        assert_eq!((none.ids.len(), none.mean_probability()), (0, 0.0));
    }
}
