//! `glimpse eval match`: whether a model tells true pairs from false ones, also from those
//! that an Align model takes for true, and what it makes of that model's ranking.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::cli::args::EvalMatch;
use crate::cli::fuse::Beholder;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::domain::Random;
use crate::eval::{Place, Recall, auc, best_wrong, sample, text_of_another};
use crate::models::fuse::Regions;
use crate::search::rerank::log_odds;

use super::retrieval::{encode_images, encode_texts, recall_json, recall_text};
use super::{Captions, look, timed};

/// Pairs that are judged at once.
const BATCH: usize = 20;
/// So many wrong pictures that the Align model likes best are asked about for each text.
const HARD: usize = 5;

/// Scores of (picture, text) pairs.
type Scores = BTreeMap<(usize, usize), f32>;

/// What is asked about one text.
struct Case {
    text: usize,
    /// Its own picture.
    picture: usize,
    /// A text about another picture.
    stranger: usize,
    /// How the Align model scores every picture for the text.
    align: Vec<f32>,
    /// Pictures that it takes for the best, wrong ones only.
    hard: Vec<usize>,
    /// Its best pictures, to be ordered anew.
    best: Vec<usize>,
}

/// Judges pairs drawn with the seed.
pub fn run(session: &Session, args: &EvalMatch, out: &mut Output) -> Result<()> {
    let lang = &args.captioned.lang;
    let data = Captions::read(&args.captioned.dataset, lang)?;
    if data.owner.first() == data.owner.last() {
        bail!("the dataset has texts of one picture only in `{lang}`: {}", args.captioned.dataset.display());
    }
    let (mut load_secs, mut rank_secs, mut look_secs, mut match_secs) = (0.0, 0.0, 0.0, 0.0);
    let eyes = timed(&mut load_secs, || Beholder::open(session, args.features.regions.as_deref()))?;
    let align = timed(&mut load_secs, || session.align_or_built_in())?;

    let started = Instant::now();
    let mut random = Random::new(args.seed);
    let drawn = sample(data.texts.len(), args.texts as usize, &mut random);
    let texts: Vec<&str> = drawn.iter().map(|&t| data.texts[t].as_str()).collect();
    let (images, ..) = encode_images(session, align.as_ref(), &data.images)?;
    let texts = encode_texts(session, align.as_ref(), &texts)?;
    let mut cases = Vec::with_capacity(drawn.len());
    for (text, vector) in drawn.into_iter().zip(&texts) {
        let picture = data.owner[text];
        let stranger = text_of_another(&data.owner, picture, &mut random).context("there is no other text")?;
        let align: Vec<f32> = images.iter().map(|image| image.cosine(vector).unwrap_or(f32::MIN)).collect();
        let hard = best_wrong(&align, picture, HARD);
        let best = args.rerank.map_or_else(Vec::new, |k| best_wrong(&align, usize::MAX, k as usize));
        cases.push(Case { text, picture, stranger, align, hard, best });
    }
    rank_secs += started.elapsed().as_secs_f64();

    let mut scores = wanted(&cases);
    let mut last: Option<(usize, Regions)> = None;
    let mut pairs: Vec<(&(usize, usize), &mut f32)> = scores.iter_mut().collect();
    for batch in pairs.chunks_mut(BATCH) {
        session.stop_if_interrupted()?;
        // Sorted by picture: each is looked at once.
        let mut seen: Vec<(usize, Regions)> = last.take().into_iter().collect();
        for ((picture, _), _) in batch.iter() {
            if seen.last().is_none_or(|(known, _)| known != picture) {
                seen.push((*picture, timed(&mut look_secs, || look(&eyes, &data.images[*picture]))?));
            }
        }
        let regions = |picture: usize| seen.iter().find(|(known, _)| *known == picture).map(|(_, regions)| regions);
        let asked: Vec<(&Regions, &str)> = batch
            .iter()
            .filter_map(|((picture, text), _)| Some((regions(*picture)?, data.texts[*text].as_str())))
            .collect();
        let given = timed(&mut match_secs, || eyes.model.match_scores(&asked)).map_err(|error| anyhow!("{error}"))?;
        batch.iter_mut().zip(given).for_each(|((_, score), given)| **score = given);
        last = seen.pop();
    }

    let figures = Figures::of(&cases, &scores, eyes.model.spec().align_weight);
    let pair_ms = 1e3 * match_secs / scores.len() as f64;
    let (spec, align) = (eyes.model.spec(), &align.spec().id);
    out.line(
        || {
            let mut line = figures.json(args.rerank);
            line["task"] = json!("match");
            line["model"] = json!(spec.id);
            line["align_model"] = json!(align);
            line["lang"] = json!(lang);
            line["seed"] = json!(args.seed);
            line["images"] = json!(data.images.len());
            line["texts"] = json!(cases.len());
            line["pairs"] = json!(scores.len());
            line["ms_per_pair"] = json!(pair_ms);
            line["seconds"] = json!({ "load": load_secs, "align": rank_secs, "look": look_secs, "match": match_secs });
            line
        },
        || {
            format!(
                "{} on {} pictures and {} texts ({lang}), seed {}\n{}\n  seconds: load {load_secs:.2}, align {rank_secs:.2}, \
                 look {look_secs:.2}, match {match_secs:.2} ({pair_ms:.1} ms a pair)",
                spec.id,
                data.images.len(),
                cases.len(),
                args.seed,
                figures.text(align),
            )
        },
    )?;
    Ok(())
}

/// All pairs that are to be judged, each once.
fn wanted(cases: &[Case]) -> Scores {
    let mut pairs = Scores::new();
    for case in cases {
        let shown = case.hard.iter().chain(&case.best).map(|&picture| (picture, case.text));
        pairs.extend(shown.chain([(case.picture, case.text), (case.picture, case.stranger)]).map(|pair| (pair, 0.0)));
    }
    pairs
}

struct Figures {
    /// True pairs against pictures with a text about another one.
    random: Option<f64>,
    /// True pairs against the Align model's best wrong pictures, all texts together.
    hard: Option<f64>,
    /// The same within each text, averaged: what counts in a ranking.
    hard_within_text: Option<f64>,
    /// The right picture's place as the Align model ranks, and ordered anew.
    ranked: Option<(Recall, Recall)>,
}

impl Figures {
    /// `weight`: the Fuse model's for the Align model's cosines.
    fn of(cases: &[Case], scores: &Scores, weight: f32) -> Self {
        let score = |picture, text| scores.get(&(picture, text)).copied().unwrap_or(f32::NAN);
        let right: Vec<f32> = cases.iter().map(|case| score(case.picture, case.text)).collect();
        let random: Vec<f32> = cases.iter().map(|case| score(case.picture, case.stranger)).collect();
        let hard = |case: &Case| case.hard.iter().map(|&picture| score(picture, case.text)).collect::<Vec<f32>>();
        let within: Vec<f64> =
            cases.iter().zip(&right).filter_map(|(case, right)| auc(&[*right], &hard(case))).collect();
        let places = |scores: &dyn Fn(&Case) -> Vec<f32>| {
            let place = |case: &Case| Place::of(&scores(case), |picture| picture == case.picture);
            Recall::of(&cases.iter().filter_map(place).collect::<Vec<_>>())
        };
        let anew = |case: &Case| {
            let mut ranked = case.align.clone();
            let best = case.align.iter().copied().fold(f32::MIN, f32::max);
            // Far above all cosines: what was judged stays above what was not.
            for &picture in &case.best {
                ranked[picture] = 1e3 + log_odds(score(picture, case.text), case.align[picture], best, weight);
            }
            ranked
        };
        let reranks = cases.iter().any(|case| !case.best.is_empty());
        Self {
            random: auc(&right, &random),
            hard: auc(&right, &cases.iter().flat_map(hard).collect::<Vec<_>>()),
            hard_within_text: (!within.is_empty()).then(|| within.iter().sum::<f64>() / within.len() as f64),
            ranked: reranks.then(|| (places(&|case| case.align.clone()), places(&anew))),
        }
    }

    fn json(&self, k: Option<u32>) -> Value {
        let ranked = self
            .ranked
            .as_ref()
            .map(|(before, after)| json!({ "k": k, "align": recall_json(before), "reranked": recall_json(after) }));
        json!({
            "auc_random": self.random,
            "auc_align_top5": self.hard,
            "auc_align_top5_within_text": self.hard_within_text,
            "rerank": ranked,
        })
    }

    fn text(&self, align: &str) -> String {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let mut text = format!(
            "  AUC against random texts {}, against the best wrong pictures of {align} {} ({} within a text)",
            shown(self.random),
            shown(self.hard),
            shown(self.hard_within_text),
        );
        if let Some((before, after)) = &self.ranked {
            text += &format!("\n  {align}     {}\n  reranked  {}", recall_text(before), recall_text(after));
        }
        text
    }
}
