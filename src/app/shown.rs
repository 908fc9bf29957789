//! What the grid shows, and where each photo stands in it. Pure arithmetic: nothing is drawn here.

use std::ops::Range;
use std::path::PathBuf;

use crate::domain::{FolderId, PhotoId, SearchCost};
use crate::engine::{Reranked, Scope, SearchResults};
use crate::search::asks_for_captions;

use super::tokens::layout;

/// What the person asked to see: a scope, newest first, or what in it answers a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub scope: Scope,
    pub question: Option<Question>,
}

/// What photos are ranked by.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// They look like a sentence.
    Text(String),
    /// They look like a picture file.
    Picture(PathBuf),
    /// They look like one of the library's photos, with its name.
    Similar(PhotoId, String),
}

impl Asked {
    /// Everything in a scope.
    pub fn browse(scope: Scope) -> Self {
        Self { scope, question: None }
    }

    /// What answers a question. Only a folder narrows a search: missing and unreadable photos cannot be found.
    pub fn search(question: Question, scope: Scope) -> Self {
        let scope = if matches!(scope, Scope::Folder(_)) { scope } else { Scope::All };
        Self { scope, question: Some(question) }
    }

    /// What the text in the search field asks: nothing typed shows the scope.
    pub fn typed(text: &str, scope: Scope) -> Self {
        match text.trim() {
            "" => Self::browse(scope),
            text => Self::search(Question::Text(text.to_owned()), scope),
        }
    }

    /// A question whose answer depends on captions.
    pub fn asks_for_captions(&self) -> bool {
        matches!(&self.question, Some(Question::Text(text)) if asks_for_captions(text))
    }

    /// The folder that a search looks through, where it does not look through all.
    pub fn narrowed(&self) -> Option<FolderId> {
        match (self.scope, &self.question) {
            (Scope::Folder(folder), Some(_)) => Some(folder),
            _ => None,
        }
    }
}

/// An answer: photos in order, ranked or not.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub ids: Vec<PhotoId>,
    pub ranking: Option<Ranking>,
}

/// What a search adds to a list.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Cosines, in the order of the ids.
    scores: Vec<f32>,
    pub likely: usize,
    pub nothing_likely: bool,
    pub cost: SearchCost,
    /// Match scores of the hits that were judged, in the order of the ids; empty before that.
    matches: Vec<Option<f32>>,
    pub judged: Option<JudgeCost>,
}

/// What judging the best hits cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgeCost {
    /// Pairs that were judged, now or before.
    pub pairs: usize,
    /// Of these, pairs whose score was known from before.
    pub known: usize,
    /// Photos that could not be looked at.
    pub unseen: usize,
    pub ms: f32,
}

/// From this match score on a sentence describes a photo more likely than not.
const MATCHES: f32 = 0.5;
/// From here on there is hardly a doubt.
const SURELY: f32 = 0.8;

/// How well a photo matches, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchWord {
    VeryGood,
    Good,
    Less,
}

impl MatchWord {
    /// What a Fuse model's probability means.
    pub fn of_match(score: f32) -> Self {
        match score {
            s if s >= SURELY => Self::VeryGood,
            s if s >= MATCHES => Self::Good,
            _ => Self::Less,
        }
    }
}

impl From<SearchResults> for Shown {
    fn from(results: SearchResults) -> Self {
        Self {
            ids: results.hits.iter().map(|hit| hit.photo).collect(),
            ranking: Some(Ranking {
                scores: results.hits.iter().map(|hit| hit.score).collect(),
                likely: if results.nothing_likely { 0 } else { results.likely.min(results.hits.len()) },
                nothing_likely: results.nothing_likely,
                cost: results.cost,
                matches: Vec::new(),
                judged: None,
            }),
        }
    }
}

impl Shown {
    /// Where the "less likely below" line stands, if there is one.
    pub fn split(&self) -> Option<usize> {
        let likely = self.ranking.as_ref()?.likely;
        (likely > 0 && likely < self.ids.len()).then_some(likely)
    }

    /// The cosine of the photo at a place.
    pub fn score(&self, place: usize) -> Option<f32> {
        self.ranking.as_ref()?.scores.get(place).copied()
    }

    /// How full the match bar is, 0 to 1: where the score stands between the last hit's and the best one's.
    pub fn bar(&self, place: usize) -> Option<f32> {
        if let Some(score) = self.match_score(place) {
            return Some(score.clamp(0.04, 1.0));
        }
        let ranking = self.ranking.as_ref()?;
        // Judged hits stand in another order than that of these scores.
        let best = ranking.scores.iter().copied().max_by(f32::total_cmp)?;
        let last = *ranking.scores.last()?;
        let score = *ranking.scores.get(place)?;
        let share = if best > last { (score - last) / (best - last) } else { 1.0 };
        // Nothing likely: even the best is a weak match, and its bar must say so.
        Some(share.clamp(0.04, 1.0) * if ranking.nothing_likely { 0.3 } else { 1.0 })
    }

    /// The Fuse model's score of the photo at a place, 0 to 1, where it was judged.
    pub fn match_score(&self, place: usize) -> Option<f32> {
        self.ranking.as_ref()?.matches.get(place).copied().flatten()
    }

    /// The best hits were judged: their new order, with both scores.
    pub fn rerank(&mut self, judged: &Reranked) {
        let Some(ranking) = &mut self.ranking else { return };
        self.ids = judged.hits.iter().map(|judged| judged.hit.photo).collect();
        ranking.scores = judged.hits.iter().map(|judged| judged.hit.score).collect();
        ranking.matches = judged.hits.iter().map(|judged| judged.match_score).collect();
        // What both families call likely stays above the line.
        let matching = ranking.matches.iter().take_while(|score| score.is_some_and(|s| s >= MATCHES)).count();
        ranking.likely = ranking.likely.max(matching);
        ranking.nothing_likely &= matching == 0;
        ranking.judged = Some(JudgeCost {
            pairs: judged.judged + judged.known,
            known: judged.known,
            unseen: judged.unseen,
            ms: judged.judge_ms,
        });
    }

    /// The same in words.
    pub fn word(&self, place: usize) -> Option<MatchWord> {
        if let Some(score) = self.match_score(place) {
            return Some(MatchWord::of_match(score));
        }
        let likely = self.ranking.as_ref()?.likely;
        Some(match self.bar(place)? {
            _ if place >= likely => MatchWord::Less,
            bar if bar > 0.7 => MatchWord::VeryGood,
            _ => MatchWord::Good,
        })
    }
}

/// Where each cell of the grid stands, in points from the top left of the content.
/// Heights are `f64`: 100,000 photos are millions of points high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridLayout {
    pub columns: usize,
    /// Side of the square picture.
    pub side: f32,
    /// From one row to the next.
    pub pitch: f64,
    pub total: usize,
    split: Option<usize>,
}

impl GridLayout {
    /// Fills the width with cells of about the wanted side.
    pub fn new(width: f32, wanted_side: f32, shown: &Shown) -> Self {
        let gap = layout::GRID_GAP;
        let columns = (((width + gap) / (wanted_side + gap)).round() as usize).max(1);
        let side = ((width + gap) / columns as f32 - gap).floor().max(16.0);
        let bar = if shown.ranking.is_some() { layout::MATCH_BAR } else { 0.0 };
        Self { columns, side, pitch: f64::from(side + bar + gap), total: shown.ids.len(), split: shown.split() }
    }

    /// Top left of the cell at a place.
    pub fn origin(&self, place: usize) -> (f32, f64) {
        let (row, column, below) = match self.split {
            Some(split) if place >= split => {
                let row = split.div_ceil(self.columns) + (place - split) / self.columns;
                (row, (place - split) % self.columns, f64::from(layout::DIVIDER))
            }
            _ => (place / self.columns, place % self.columns, 0.0),
        };
        (column as f32 * (self.side + layout::GRID_GAP), row as f64 * self.pitch + below)
    }

    /// Top of the line between likely and less likely.
    pub fn divider(&self) -> Option<f64> {
        self.split.map(|split| split.div_ceil(self.columns) as f64 * self.pitch)
    }

    /// Height of everything.
    pub fn height(&self) -> f64 {
        self.total.checked_sub(1).map_or(0.0, |last| self.origin(last).1 + self.pitch)
    }

    /// The places whose cells touch the band from `top` to `bottom`.
    pub fn places(&self, top: f64, bottom: f64) -> Range<usize> {
        let first = self.first_at(top - self.pitch);
        let end = self.first_at(bottom);
        first..end.max(first)
    }

    /// The places whose pictures touch a rectangle (a rubber band).
    pub fn places_in(&self, x: Range<f32>, y: Range<f64>) -> impl Iterator<Item = usize> + '_ {
        let side = self.side;
        self.places(y.start, y.end).filter(move |&place| {
            let (left, top) = self.origin(place);
            left < x.end && left + side > x.start && top < y.end && top + f64::from(side) > y.start
        })
    }

    /// The first place whose row begins below `y`.
    fn first_at(&self, y: f64) -> usize {
        let after = |y: f64| if y < 0.0 { 0 } else { ((y / self.pitch).floor() as usize + 1) * self.columns };
        match (self.split, self.divider()) {
            (Some(split), Some(divider)) => {
                let below = y - divider - f64::from(layout::DIVIDER);
                if below < 0.0 { after(y).min(split) } else { (split + after(below)).min(self.total) }
            }
            _ => after(y).min(self.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Hit;

    fn ranked(n: usize, likely: usize) -> Shown {
        let hits = (0..n).map(|i| Hit { photo: PhotoId(i as i64), score: 1.0 - i as f32 / n as f32 }).collect();
        Shown::from(SearchResults { hits, cost: SearchCost::default(), nothing_likely: false, likely })
    }

    fn browse(n: usize) -> Shown {
        Shown { ids: (0..n as i64).map(PhotoId).collect(), ranking: None }
    }

    #[test]
    fn places_agree_with_origins() {
        for shown in [browse(0), browse(1), browse(100), ranked(100, 7), ranked(100, 8), ranked(5, 1), ranked(5, 5)] {
            let grid = GridLayout::new(800.0, 160.0, &shown);
            assert!(grid.side * grid.columns as f32 <= 800.0);
            for top in (-50..3000).step_by(37).map(f64::from) {
                let bottom = top + 333.0;
                let seen = grid.places(top, bottom);
                for place in 0..grid.total {
                    let y = grid.origin(place).1;
                    let touches = y < bottom && y + grid.pitch > top;
                    assert!(
                        !touches || seen.contains(&place),
                        "{place} at {y} is missing in {top}..{bottom}: {seen:?}"
                    );
                }
                assert!(seen.len() <= grid.columns * 6);
            }
        }
    }

    #[test]
    fn the_last_of_a_hundred_thousand_stands_to_the_point() {
        let grid = GridLayout::new(801.0, 160.0, &browse(100_000));
        let (_, y) = grid.origin(99_999);
        assert!((grid.height() - y - grid.pitch).abs() < 1e-6);
        assert!(grid.places(y, y + 10.0).contains(&99_999));
    }

    #[test]
    fn a_band_takes_what_it_touches() {
        let grid = GridLayout::new(800.0, 160.0, &browse(30));
        let all: Vec<usize> = grid.places_in(0.0..800.0, 0.0..1e6).collect();
        assert_eq!(all.len(), 30);
        let (x, y) = grid.origin(7);
        assert_eq!(grid.places_in(x + 1.0..x + 2.0, y + 1.0..y + 2.0).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn bars_and_words() {
        let shown = ranked(10, 4);
        assert_eq!((shown.split(), shown.bar(0), shown.word(0)), (Some(4), Some(1.0), Some(MatchWord::VeryGood)));
        assert_eq!(shown.word(9), Some(MatchWord::Less));
        assert_eq!((browse(3).bar(0), browse(3).split()), (None, None));
        let same = Shown::from(SearchResults {
            hits: vec![Hit { photo: PhotoId(1), score: 0.1 }],
            cost: SearchCost::default(),
            nothing_likely: true,
            likely: 1,
        });
        assert_eq!(same.split(), None);
        assert!(same.bar(0).unwrap() < 0.5 && same.word(0) == Some(MatchWord::Less));
    }
}
