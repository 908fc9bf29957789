//! `glimpse match`: how well texts describe pictures, by both families.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

use crate::domain::{Embedding, Photo, score_text};
use crate::engine::embed;
use crate::media::walk;
use crate::models::ModelError;
use crate::models::align::AlignModel;
use crate::models::fuse::Regions;
use crate::search::is_blank;
use crate::store::Reader;

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
        reader: session.reader().ok(),
    };
    if let (Some(image), Some(text)) = (&args.image, &args.text) {
        return Ok(Done::from(judge.run(&[Ok((absolute(image), text.clone()))], out)?));
    }
    let file = args.pairs.clone().unwrap_or_default();
    let pairs: Vec<Task<Pair>> =
        tasks(&file).with_context(|| format!("the pairs could not be read: {}", file.display()))?;
    let located = |pair: Task<Pair>| pair.map(|Pair { image, text }| (absolute(&lines::beside(&file, &image)), text));
    let pairs: Vec<Task<(PathBuf, String)>> = pairs.into_iter().map(located).collect();
    Ok(Done::from(judge.run(&pairs, out)?))
}

type Pairs<'a> = &'a [Task<(PathBuf, String)>];

/// What both families say, or why they do not.
type Verdict = Result<Scores, String>;

#[derive(Clone, Copy)]
struct Scores {
    align: f32,
    fuse: f32,
}

/// A pair whose picture was looked at.
struct Seen<'a> {
    /// Which pair of the file.
    at: usize,
    text: &'a str,
    image: Rc<Embedding>,
    judged: Judged,
}

/// Half of the verdict.
enum Judged {
    /// From an earlier search.
    Known(f32),
    By(Rc<Regions>),
}

struct Judge<'a> {
    session: &'a Session,
    eyes: Beholder<'a>,
    align: Arc<dyn AlignModel>,
    /// The library, where there is one: it may know scores from before.
    reader: Option<Reader>,
}

impl Judge<'_> {
    /// One line for each pair, in order; false if one could not be judged. Each picture is
    /// looked at once, wherever its pairs stand; texts are judged in batches.
    fn run(&self, pairs: Pairs<'_>, out: &mut Output) -> Result<bool> {
        let mut lines = Lines { pairs, verdicts: vec![None; pairs.len()], next: 0, complete: true };
        let mut waiting: Vec<Seen<'_>> = Vec::new();
        for (path, places) in by_picture(pairs, &mut lines.verdicts) {
            self.session.stop_if_interrupted()?;
            let texts: Vec<&str> = places.iter().map(|&(_, text)| text).collect();
            match self.look(path, &texts) {
                Ok((image, judged)) => {
                    let seen = places.iter().zip(judged);
                    waiting.extend(seen.map(|(&(at, text), judged)| Seen {
                        at,
                        text,
                        image: Rc::clone(&image),
                        judged,
                    }));
                }
                Err(error) => places.iter().for_each(|&(at, _)| lines.verdicts[at] = Some(Err(error.clone()))),
            }
            while waiting.len() >= BATCH {
                let batch: Vec<Seen<'_>> = waiting.drain(..BATCH).collect();
                self.judge(&batch, &mut lines.verdicts);
            }
            lines.print(out)?;
        }
        self.judge(&waiting, &mut lines.verdicts);
        lines.print(out)?;
        Ok(lines.complete)
    }

    /// The picture in the one family's space, and for each text a score from before or the
    /// picture as the other family sees it.
    fn look(&self, path: &Path, texts: &[&str]) -> Result<(Rc<Embedding>, Vec<Judged>), String> {
        let known = self.known(path, texts);
        let picture = match known.iter().all(Option::is_some) {
            true => None,
            false => Some(Rc::new(self.eyes.look(path)?)),
        };
        let image = embed(self.align.as_ref(), path, &self.session.cancel).map_err(|failure| failure.detail)?;
        let judged = known.into_iter().filter_map(|known| match (known, &picture) {
            (Some(score), _) => Some(Judged::Known(score)),
            (None, Some(picture)) => Some(Judged::By(Rc::clone(picture))),
            (None, None) => None,
        });
        Ok((Rc::new(image), judged.collect()))
    }

    /// Scores of earlier searches, where the file is as it was then.
    fn known(&self, path: &Path, texts: &[&str]) -> Vec<Option<f32>> {
        let unchanged = |photo: &Photo| walk::stamp(path).is_ok_and(|stamp| stamp == photo.stamp);
        let photo = self.reader.as_ref().and_then(|reader| reader.photo_by_path(path).ok()?.filter(unchanged));
        let hash = &self.eyes.model.spec().judge_hash;
        let score = |text: &&str| {
            let content = photo.as_ref()?.content;
            self.reader.as_ref()?.match_scores(hash, text, &[content]).ok()?.first().copied().flatten()
        };
        texts.iter().map(score).collect()
    }

    fn judge(&self, batch: &[Seen<'_>], verdicts: &mut [Option<Verdict>]) {
        let texts: Vec<&str> = batch.iter().map(|seen| seen.text).collect();
        let pairs: Vec<(&Regions, &str)> = batch
            .iter()
            .filter_map(|seen| match &seen.judged {
                Judged::By(picture) => Some((picture.as_ref(), seen.text)),
                Judged::Known(_) => None,
            })
            .collect();
        let scores = || -> Result<Vec<Option<Scores>>, ModelError> {
            let texts = self.align.encode_texts(&texts)?;
            let mut fresh = self.eyes.model.match_scores(&pairs)?.into_iter();
            let score = |(seen, text): (&Seen<'_>, &Embedding)| {
                let fuse = match seen.judged {
                    Judged::Known(score) => Some(score),
                    Judged::By(_) => fresh.next(),
                };
                Some(Scores { align: seen.image.cosine(text)?, fuse: fuse? })
            };
            Ok(batch.iter().zip(&texts).map(score).collect())
        };
        if batch.is_empty() {
            return;
        }
        let scores = scores().map_err(|error| error.to_string());
        for (n, seen) in batch.iter().enumerate() {
            let score = scores.as_ref().map(|scores| scores.get(n).copied().flatten());
            verdicts[seen.at] = Some(match score {
                Ok(Some(score)) => Ok(score),
                Ok(None) => Err("the model gave no score".to_owned()),
                Err(error) => Err(error.clone()),
            });
        }
    }
}

/// The pairs that can be judged (place, text) by their picture, in the order in which the
/// pictures first come; the others have their verdict.
fn by_picture<'a>(pairs: Pairs<'a>, verdicts: &mut [Option<Verdict>]) -> Vec<(&'a Path, Vec<(usize, &'a str)>)> {
    let mut refuse = |at: usize, error: &str| {
        verdicts[at] = Some(Err(error.to_owned()));
        None
    };
    lines::grouped(pairs.iter().enumerate().filter_map(|(at, task)| match task {
        Err(error) => refuse(at, error),
        Ok((_, text)) if is_blank(text) => refuse(at, "the text is blank"),
        Ok((path, text)) => Some((path.as_path(), (at, text.trim()))),
    }))
}

/// Lines in the order of the file, each as soon as all before it are known.
struct Lines<'a> {
    pairs: Pairs<'a>,
    verdicts: Vec<Option<Verdict>>,
    next: usize,
    complete: bool,
}

impl Lines<'_> {
    fn print(&mut self, out: &mut Output) -> Result<()> {
        while let Some(verdict) = self.verdicts.get_mut(self.next).and_then(Option::take) {
            let (path, text) = match &self.pairs[self.next] {
                Ok((path, text)) => (Some(path.as_path()), Some(text)),
                Err(_) => (None, None),
            };
            self.next += 1;
            match (verdict, path, text) {
                (Ok(Scores { align, fuse }), Some(path), Some(text)) => out.line(
                    || with_path(path, json!({ "text": text, "align_score": align, "match_score": fuse })),
                    || {
                        format!(
                            "{}\n  {text}\n  match {}, align {}",
                            path.display(),
                            score_text(fuse),
                            score_text(align)
                        )
                    },
                )?,
                (Ok(_), ..) => {}
                (Err(error), ..) => {
                    self.complete = false;
                    print_failure(path, json!({ "text": text }), &error, out)?;
                }
            }
        }
        Ok(())
    }
}
