//! `glimpse eval vqa`: answers against the right ones, beside what the question alone gives.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::args::EvalVqa;
use crate::cli::fuse::Beholder;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::eval::{ByKind, Tally, calibration_error, same_answer};
use crate::models::fuse::{Regions, refusal};

use super::{entries, lines, look, timed};

/// One line of the dataset.
#[derive(Deserialize)]
struct Entry {
    image: PathBuf,
    question: String,
    answer: String,
    kind: Option<String>,
    lang: Option<String>,
}

/// What came of the questions, asked in one way.
#[derive(Default)]
struct Marks {
    all: Tally,
    by_kind: ByKind,
    /// Of those that the model was sure of.
    sure: Tally,
    refused: usize,
    /// Probability of the best answer, and whether it was right.
    answers: Vec<(f32, f64)>,
    secs: f64,
}

/// Asks every question; with `--blind` also without the picture.
pub fn run(session: &Session, args: &EvalVqa, out: &mut Output) -> Result<()> {
    let spoken = |entry: &Entry| args.lang.is_none() || entry.lang.is_none() || entry.lang == args.lang;
    let entries: Vec<Entry> = entries(&args.dataset)?.into_iter().filter(spoken).collect();
    if entries.is_empty() {
        bail!("the dataset has no questions: {}", args.dataset.display());
    }
    let asked = entries.len();
    let pictures = lines::grouped(entries.into_iter().map(|entry| (entry.image.clone(), entry)));

    let started = Instant::now();
    let eyes = Beholder::open(session, args.features.regions.as_deref())?;
    let load_secs = started.elapsed().as_secs_f64();
    let (mut seeing, mut blind) = (Marks::default(), args.blind.then(Marks::default));
    let mut look_secs = 0.0;
    // One for all photos, so that not even the places of its regions tell them apart.
    let mut nothing: Option<Regions> = None;
    for (image, entries) in &pictures {
        session.stop_if_interrupted()?;
        let picture = timed(&mut look_secs, || look(&eyes, &lines::beside(&args.dataset, image)))?;
        let nothing = nothing.get_or_insert_with(|| picture.blinded());
        for entry in entries {
            let about = |error: anyhow::Error| anyhow!("{error}: {}: {}", image.display(), entry.question);
            seeing.ask(&eyes, &picture, entry).map_err(about)?;
            if let Some(blind) = &mut blind {
                blind.ask(&eyes, nothing, entry).map_err(about)?;
            }
        }
    }

    let spec = eyes.model.spec();
    let per_answer_ms = 1e3 * seeing.secs / asked as f64;
    out.line(
        || {
            let mut line = seeing.json();
            line["task"] = json!("vqa");
            line["model"] = json!(spec.id);
            line["lang"] = json!(args.lang);
            line["questions"] = json!(asked);
            line["images"] = json!(pictures.len());
            line["ms_per_answer"] = json!(per_answer_ms);
            line["blind"] = json!(blind.as_ref().map(Marks::json));
            let blind_secs = blind.as_ref().map(|blind| blind.secs);
            line["seconds"] =
                json!({ "load": load_secs, "look": look_secs, "answer": seeing.secs, "blind": blind_secs });
            line
        },
        || {
            let mut text =
                format!("{} on {} pictures and {asked} questions\n{}", spec.id, pictures.len(), seeing.text());
            if let Some(blind) = &blind {
                text += &format!("\n  without the picture\n{}", blind.text());
            }
            let secs = seeing.secs;
            text + &format!(
                "\n  seconds: load {load_secs:.2}, look {look_secs:.2}, answer {secs:.2} ({per_answer_ms:.0} ms each)"
            )
        },
    )?;
    Ok(())
}

impl Marks {
    /// A question that is refused counts as answered wrongly.
    fn ask(&mut self, eyes: &Beholder, picture: &Regions, entry: &Entry) -> Result<()> {
        let mut right = false;
        if refusal(&entry.question, &eyes.model.spec().languages).is_some() {
            self.refused += 1;
        } else {
            let answers = timed(&mut self.secs, || eyes.model.answer(picture, &entry.question, 1))?;
            if let Some(best) = answers.ranked.first() {
                right = same_answer(&best.text, &entry.answer);
                self.answers.push((best.score, f64::from(u8::from(right))));
                log::debug!("{}: {}: {} ({})", entry.image.display(), entry.question, best.text, entry.answer);
            }
            if !answers.unsure {
                self.sure.add(right);
            }
        }
        self.all.add(right);
        if let Some(kind) = &entry.kind {
            self.by_kind.entry(kind.clone()).or_default().add(right);
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let kinds = self
            .by_kind
            .iter()
            .map(|(kind, tally)| (kind.clone(), json!({ "questions": tally.asked, "accuracy": tally.accuracy() })));
        json!({
            "accuracy": self.all.accuracy(),
            "by_kind": kinds.collect::<serde_json::Map<_, _>>(),
            "sure": { "questions": self.sure.asked, "accuracy": self.sure.accuracy() },
            "refused": self.refused,
            "ece": calibration_error(&self.answers),
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "  accuracy {:.3}, calibration error {:.3}; sure of {}, of these {:.3}; {} refused",
            self.all.accuracy(),
            calibration_error(&self.answers),
            self.sure.asked,
            self.sure.accuracy(),
            self.refused,
        );
        for (kind, tally) in &self.by_kind {
            text += &format!("\n    {kind}  {:.3} of {}", tally.accuracy(), tally.asked);
        }
        text
    }
}
