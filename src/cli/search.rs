//! `glimpse search` and `glimpse similar`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::domain::{Hit, Photo, PhotoId, Query, score_text};
use crate::engine::{self, Judgement};
use crate::models::align::AlignModel;
use crate::search::rerank::{Judged, rerank};
use crate::search::{Found, SearchError, Searcher};
use crate::store::Reader;

use super::args::{SearchArgs, SimilarArgs};
use super::fuse::Beholder;
use super::output::{Output, absolute, with_path};
use super::session::Session;
use super::{Done, lines, plural};

/// Searches the library for one sentence or for a file of them.
pub fn search(session: &Session, args: &SearchArgs, out: &mut Output) -> Result<Done> {
    let mut desk = Desk::open(session)?;
    if let Some(best) = args.rerank {
        desk.judge = Some((Beholder::open(session, args.features.regions.as_deref())?, best as usize));
    }
    let limit = args.top.top as usize;
    if let Some(text) = &args.text {
        print_hits(&desk.find(&Query::Text(text.clone()), limit)?, out)?;
        return Ok(Done::Fully);
    }
    let file = args.queries.clone().unwrap_or_default();
    let queries = lines::read(&file).with_context(|| format!("the queries could not be read: {}", file.display()))?;
    let mut complete = true;
    for line in queries {
        let (query, result) = match line {
            Ok(query) => {
                let result = desk.find(&Query::Text(query.clone()), limit).map_err(|error| error.to_string());
                (Some(query), result)
            }
            Err(error) => (None, Err(error.to_owned())),
        };
        complete &= result.is_ok();
        print_line(query.as_deref(), result, out)?;
    }
    Ok(Done::from(complete))
}

/// Searches the library for what looks like a picture.
pub fn similar(session: &Session, args: &SimilarArgs, out: &mut Output) -> Result<Done> {
    let mut desk = Desk::open(session)?;
    let path = absolute(&args.image);
    // A photo of the library has its embedding already, unless its file changed since.
    let known = desk
        .reader
        .photo_by_path(&path)?
        .filter(|photo| crate::media::walk::stamp(&path).is_ok_and(|stamp| stamp == photo.stamp));
    let limit = args.top.top as usize;
    let found = match known {
        Some(photo) => match desk.find(&Query::Photo(photo.id), limit) {
            Err(error) if not_indexed(&error) => desk.find(&Query::Image(path), limit)?,
            result => result?,
        },
        None => desk.find(&Query::Image(path), limit)?,
    };
    print_hits(&found, out)?;
    Ok(Done::Fully)
}

/// A library opened for searching.
pub struct Desk<'a> {
    session: &'a Session,
    reader: Reader,
    searcher: Searcher,
    /// Judges the best hits, and how many.
    judge: Option<(Beholder<'a>, usize)>,
}

impl<'a> Desk<'a> {
    /// The library, with the model that it is searched with.
    pub fn open(session: &'a Session) -> Result<Self> {
        let model = session.align(Some(&session.reader()?))?;
        Self::with_model(session, model)
    }

    /// The same with a model that is loaded already.
    pub fn with_model(session: &'a Session, model: Arc<dyn AlignModel>) -> Result<Self> {
        let reader = session.reader()?;
        let searcher = Searcher::load(model, &reader)?;
        Ok(Self { session, reader, searcher, judge: None })
    }

    /// Hits with the paths they stand for.
    fn find(&mut self, query: &Query, limit: usize) -> Result<Vec<(PathBuf, Judged)>> {
        let wanted = self.judge.as_ref().map_or(limit, |(_, best)| limit.max(*best));
        let hits = self.hits(query, wanted)?;
        let ids: Vec<_> = hits.iter().map(|hit| hit.photo).collect();
        let photos = self.reader.photos(&ids)?;
        let photo_of = |hit: &Hit| photos.iter().find(|photo| photo.id == hit.photo);
        let scores = match (&self.judge, query) {
            (Some((eyes, best)), Query::Text(text)) => {
                let best: Vec<Option<&Photo>> = hits.iter().take(*best).map(photo_of).collect();
                judge(self.session, &self.reader, eyes, &best, text)?
            }
            _ => Vec::new(),
        };
        let weight = self.judge.as_ref().map_or(0.0, |(eyes, _)| eyes.model.spec().align_weight);
        let ranked = rerank(&hits, &scores, weight).into_iter();
        let located = ranked.filter_map(|judged| Some((photo_of(&judged.hit)?.path.clone(), judged)));
        Ok(located.take(limit).collect())
    }

    /// The photos found, best first; not judged.
    pub fn photos(&mut self, query: &Query, limit: usize) -> Result<Vec<PhotoId>> {
        Ok(self.hits(query, limit)?.into_iter().map(|hit| hit.photo).collect())
    }

    fn hits(&mut self, query: &Query, limit: usize) -> Result<Vec<Hit>> {
        let Found { hits, cost, left_out, .. } =
            self.searcher.search(&self.reader, query, limit, &self.session.cancel)?;
        if left_out > 0 {
            log::warn!(
                "{} left out: the stored vector is damaged; index again",
                plural(left_out as u64, "photo was", "photos were")
            );
        }
        log::info!(
            "{} photos looked at, {:.1} ms to encode, {:.1} ms to scan",
            cost.scanned,
            cost.encode_ms,
            cost.scan_ms
        );
        Ok(hits)
    }

    /// Hits of a query, as `search` prints them for one and, with JSON, for each of a file.
    pub fn print_query(&mut self, query: &Query, shown: &str, limit: usize, out: &mut Output) -> Result<()> {
        if out.is_json() {
            let hits = self.find(query, limit)?;
            return print_line(Some(shown), Ok(hits), out);
        }
        print_hits(&self.find(query, limit)?, out)
    }
}

/// How well the text describes each photo; `None` for one that the model cannot see. What
/// the model says is kept where the library can be written.
fn judge(
    session: &Session,
    reader: &Reader,
    eyes: &Beholder<'_>,
    photos: &[Option<&Photo>],
    text: &str,
) -> Result<Vec<Option<f32>>> {
    let started = Instant::now();
    eyes.eyes.can_see()?;
    let Judgement { scores, fresh, judged, known, .. } =
        engine::judge(&eyes.eyes, reader, photos, text, &session.cancel)?;
    session.stop_if_interrupted()?;
    if !fresh.is_empty() {
        let hash = &eyes.model.spec().judge_hash;
        let kept = session.store().and_then(|mut store| store.keep_match_scores(hash, text.trim(), &fresh));
        if let Err(error) = kept {
            log::debug!("the scores were not kept: {error}");
        }
    }
    log::info!("{judged} judged in {:.0} ms, {known} known from before", started.elapsed().as_secs_f64() * 1e3);
    Ok(scores)
}

/// The photo is in the library, but this model has not seen it.
fn not_indexed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SearchError::PhotoNotIndexed { .. }))
}

fn print_hits(found: &[(PathBuf, Judged)], out: &mut Output) -> Result<()> {
    for (rank, (path, judged)) in (1..).zip(found) {
        out.line(
            || {
                let mut fields = scores(judged);
                fields["rank"] = json!(rank);
                with_path(path, fields)
            },
            || format!("{rank:>3}  {}  {}", score_text(judged.score), path.display()),
        )?;
    }
    Ok(())
}

/// What a hit is ranked by and, for one that was judged, what each family says.
fn scores(judged: &Judged) -> Value {
    let mut fields = json!({ "score": judged.score });
    if let Some(score) = judged.match_score {
        fields["align_score"] = json!(judged.hit.score);
        fields["match_score"] = json!(score);
    }
    fields
}

fn print_line(query: Option<&str>, result: Result<Vec<(PathBuf, Judged)>, String>, out: &mut Output) -> Result<()> {
    let value = |hits: &[(PathBuf, Judged)]| -> Value {
        hits.iter().map(|(path, judged)| with_path(path, scores(judged))).collect()
    };
    match result {
        Ok(hits) => out.line(
            || json!({ "query": query, "hits": value(&hits) }),
            || {
                let mut text = query.unwrap_or_default().to_owned();
                for (path, judged) in &hits {
                    text += &format!("\n  {}  {}", score_text(judged.score), path.display());
                }
                text
            },
        )?,
        Err(error) => {
            let shown = query.unwrap_or("(not text)");
            out.line(|| json!({ "query": query, "hits": [], "error": error }), || format!("{shown}\n  {error}"))?;
        }
    }
    Ok(())
}
