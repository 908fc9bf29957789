//! `glimpse eval caption`: what a model writes about pictures against what people wrote.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow};
use serde_json::json;

use crate::cli::args::EvalCaption;
use crate::cli::fuse::Beholder;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::eval::{Described, bleu, borne_out, calibration_error, characters, cider, words};
use crate::models::fuse::CaptionRequest;

use super::{Captions, look, timed};

/// One caption a picture, by words in English and by characters in Chinese.
pub fn run(session: &Session, args: &EvalCaption, out: &mut Output) -> Result<()> {
    let lang = &args.captioned.lang;
    let split: fn(&str) -> Vec<String> = if lang == "zh" { characters } else { words };
    let Captions { images, texts, owner } = Captions::read(&args.captioned.dataset, lang)?;
    let started = Instant::now();
    let eyes = Beholder::open(session, args.features.regions.as_deref())?;
    let load_secs = started.elapsed().as_secs_f64();
    let request = CaptionRequest { lang: lang.clone(), beam: args.beam as usize, sampling: None };
    let (mut look_secs, mut caption_secs) = (0.0, 0.0);
    let (mut all, mut trusted) = (Vec::new(), Vec::new());
    let mut at = 0;
    for own in owner.chunk_by(|a, b| a == b) {
        let references = &texts[at..at + own.len()];
        at += own.len();
        let path: &Path = &images[own[0]];
        let picture = timed(&mut look_secs, || look(&eyes, path))?;
        let draft = timed(&mut caption_secs, || eyes.model.caption(&picture, &request, &mut |_| (), &session.cancel));
        let draft = draft.map_err(|error| anyhow!("{error}: {}", path.display()))?;
        session.stop_if_interrupted()?;
        log::debug!("{}: {}", path.display(), draft.text);
        trusted.push(draft.score);
        all.push(Described {
            caption: split(&draft.text),
            references: references.iter().map(|text| split(text)).collect(),
        });
    }
    let started = Instant::now();
    let (bleu, cider, right) = (bleu(&all), cider(&all), borne_out(&all));
    let ece = calibration_error(&trusted.into_iter().zip(right.iter().copied()).collect::<Vec<_>>());
    let right = right.iter().sum::<f64>() / right.len().max(1) as f64;
    let score_secs = started.elapsed().as_secs_f64();

    let spec = eyes.model.spec();
    let per_second = all.len() as f64 / caption_secs.max(f64::EPSILON);
    let mean_length = all.iter().map(|d| d.caption.len()).sum::<usize>() as f64 / all.len() as f64;
    let mut distinct: Vec<&[String]> = all.iter().map(|d| &d.caption[..]).collect();
    distinct.sort_unstable();
    distinct.dedup();
    out.line(
        || {
            json!({
                "task": "caption", "model": spec.id, "lang": lang, "beam": args.beam, "images": all.len(), "references": texts.len(),
                "unit": if lang == "zh" { "characters" } else { "words" },
                "BLEU-1": bleu[0], "BLEU-2": bleu[1], "BLEU-3": bleu[2], "BLEU-4": bleu[3], "CIDEr": cider,
                "borne_out": right, "ece": ece,
                "mean_length": mean_length, "distinct": distinct.len(), "captions_per_second": per_second,
                "seconds": { "load": load_secs, "look": look_secs, "caption": caption_secs, "score": score_secs },
            })
        },
        || {
            format!(
                "{} on {} pictures and {} references ({lang}), beam {}\n  BLEU-1 {:.3}  BLEU-2 {:.3}  BLEU-3 {:.3}  BLEU-4 {:.3}  CIDEr {cider:.3}\n  \
                 {:.1} % of their words borne out, told with an error of {ece:.3}\n  \
                 {} different captions, {mean_length:.1} long, {per_second:.1} a second\n  \
                 seconds: load {load_secs:.2}, look {look_secs:.2}, caption {caption_secs:.2}, score {score_secs:.2}",
                spec.id, all.len(), texts.len(), args.beam, bleu[0], bleu[1], bleu[2], bleu[3], 100.0 * right, distinct.len(),
            )
        },
    )?;
    Ok(())
}
