//! `glimpse match`: how well texts describe pictures, by both families.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

use crate::media;
use crate::models::ModelError;
use crate::models::align::AlignModel;
use crate::models::fuse::Regions;

use super::Done;
use super::args::MatchArgs;
use super::fuse::{Beholder, Task, print_failure, tasks};
use super::lines;
use super::output::{Output, absolute, with_path};
use super::session::Session;

/// Pairs that are judged at once.
const BATCH: usize = 20;

/// One line of a file of pairs.
#[derive(Deserialize)]
struct Pair {
    image: PathBuf,
    text: String,
}

/// Prints one line for each pair, in order, also for those that failed.
pub fn matching(session: &Session, args: &MatchArgs, out: &mut Output) -> Result<Done> {
    let judge = Judge {
        session,
        eyes: Beholder::open(session, args.features.regions.as_deref())?,
        align: session.align_or_built_in()?,
    };
    if let (Some(image), Some(text)) = (&args.image, &args.text) {
        return Ok(Done::from(judge.print(&[Ok((absolute(image), text.clone()))], out)?));
    }
    let file = args.pairs.clone().unwrap_or_default();
    let pairs: Vec<Task<Pair>> =
        tasks(&file).with_context(|| format!("the pairs could not be read: {}", file.display()))?;
    let located = |pair: Task<Pair>| pair.map(|Pair { image, text }| (absolute(&lines::beside(&file, &image)), text));
    let pairs: Vec<Task<(PathBuf, String)>> = pairs.into_iter().map(located).collect();
    let mut complete = true;
    for batch in pairs.chunks(BATCH) {
        session.stop_if_interrupted()?;
        complete &= judge.print(batch, out)?;
    }
    Ok(Done::from(complete))
}

struct Judge<'a> {
    session: &'a Session,
    eyes: Beholder<'a>,
    align: Arc<dyn AlignModel>,
}

impl Judge<'_> {
    /// One line for each; false if one could not be judged.
    fn print(&self, tasks: &[Task<(PathBuf, String)>], out: &mut Output) -> Result<bool> {
        let seen: Vec<Result<(Regions, f32), String>> = tasks
            .iter()
            .map(|task| task.as_ref().map_err(Clone::clone).and_then(|(path, text)| self.look(path, text)))
            .collect();
        let pairs: Vec<(&Regions, &str)> = tasks
            .iter()
            .zip(&seen)
            .filter_map(|(task, seen)| Some((&seen.as_ref().ok()?.0, task.as_ref().ok()?.1.as_str())))
            .collect();
        let mut scores = match self.eyes.model.match_scores(&pairs) {
            Ok(scores) => scores.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error.to_string()); pairs.len()],
        }
        .into_iter();
        let mut complete = true;
        for (task, seen) in tasks.iter().zip(seen) {
            let judged = seen.and_then(|(_, align)| {
                let score = scores.next().unwrap_or_else(|| Err("the model gave no score".into()));
                Ok((align, score?))
            });
            let (path, text) = match task {
                Ok((path, text)) => (Some(path.as_path()), Some(text)),
                Err(_) => (None, None),
            };
            match (judged, path, text) {
                (Ok((align, score)), Some(path), Some(text)) => out.line(
                    || with_path(path, json!({ "text": text, "align_score": align, "match_score": score })),
                    || format!("{}\n  {text}\n  match {score:.3}, align {align:.3}", path.display()),
                )?,
                (Err(error), ..) => {
                    complete = false;
                    print_failure(path, json!({ "text": text }), &error, out)?;
                }
                (Ok(_), ..) => {}
            }
        }
        Ok(complete)
    }

    /// The picture for the one family and the cosine of the other.
    fn look(&self, path: &Path, text: &str) -> Result<(Regions, f32), String> {
        if text.trim().is_empty() {
            return Err("the text is blank".into());
        }
        let picture = self.eyes.look(path)?;
        let photo = media::read_photo(path, self.align.spec().min_side, &self.session.cancel);
        let photo = photo.map_err(|skipped| skipped.detail)?;
        let cosine = || {
            let pixels = self.align.prepare(&photo.image)?;
            let (images, texts) = (self.align.encode_images(&[pixels])?, self.align.encode_texts(&[text])?);
            let image = images.into_iter().next().transpose()?;
            Ok(image.zip(texts.into_iter().next()).and_then(|(image, text)| image.cosine(&text)))
        };
        let cosine = cosine().map_err(|error: ModelError| error.to_string())?;
        Ok((picture, cosine.ok_or("the model gave no vector")?))
    }
}
