//! Captions for many photos as a job: begun, taken a photo at a time, ended, and gone on
//! with after a crash. What is left of one stands in the library.
//!
//! Runs on the Fuse thread, between the person's questions. Must not load models.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::domain::{CaptionState, JobId, JobKind, JobState, JobStatus, Photo, PhotoId, PhotoState, Progress};
use crate::indexing::{JobControl, Observer as _, RateMeter};
use crate::models::fuse;
use crate::store::{Claim, JobRow, ListScope, Reader, StoreError};

use super::jobs::{Board, Telltale};
use super::outbox::Outbox;
use super::writer::{Writer, may_pass};
use super::{Candidate, CaptionOptions, Chosen, Event, Eyes, Failure, FailureKind, Scope, Writing, writing};

/// A longer time between two photos was a pause, and none of the model's doing.
const PAUSE: Duration = Duration::from_secs(1);

/// A batch that is to begin, or to go on.
pub(super) enum BatchStart {
    New { photos: Chosen, options: CaptionOptions, missing_only: bool },
    Resumed(JobRow, Claim),
}

/// The batch that is at work.
pub(super) struct Batch {
    /// Its row in the library.
    row: JobId,
    /// No other window takes it up meanwhile.
    _claim: Option<Claim>,
    id: JobId,
    control: Arc<JobControl>,
    lang: String,
    how: Writing,
    total: u64,
    /// What was done when this run of it began.
    before: u64,
    done: u64,
    failed: u64,
    meter: RateMeter,
    telltale: Telltale,
    /// When the last photo was done.
    last: Instant,
    /// The person knows that the library cannot be written.
    troubled: bool,
}

impl Batch {
    /// Whether there is anything to do for it now.
    pub fn is_due(&self) -> bool {
        !self.control.is_paused() || self.control.token().is_cancelled()
    }
}

/// How a step went.
pub(super) enum Stepped {
    On,
    Ended,
    /// The library cannot be written now.
    Later,
}

/// What batches need.
pub(super) struct Batches {
    pub library: PathBuf,
    pub writer: Writer,
    pub outbox: Outbox,
    pub board: Board,
    /// Set when the program closes: what is left is for the next start.
    pub closing: Arc<AtomicBool>,
}

impl Batches {
    /// Batches that never came to their end, and that no other window is at work on.
    pub fn broken_off(&self, reader: &Reader) -> Vec<BatchStart> {
        let unfinished = || -> Vec<JobRow> {
            let rows = reader.unfinished_jobs();
            rows.inspect_err(|error| log::debug!("unfinished batches are unknown: {error}")).unwrap_or_default()
        };
        let claimed: Vec<(JobId, Claim)> = unfinished()
            .into_iter()
            .filter(|row| row.task.is_some())
            .filter_map(|row| Some((row.id, Claim::take(&self.library, row.id)?)))
            .collect();
        // Asked again, as one may have been ended by its own window just before it was claimed.
        let mut rows = unfinished();
        let still = claimed.into_iter().filter_map(|(id, claim)| {
            let place = rows.iter().position(|row| row.id == id)?;
            Some(BatchStart::Resumed(rows.swap_remove(place), claim))
        });
        still.collect()
    }

    /// Begins, unless there is no model that could do it (`able`), or nothing to do.
    pub fn begin(&self, start: BatchStart, reader: &Reader, able: Result<&Eyes, Failure>) -> Option<Batch> {
        let id = self.board.fresh();
        let begun =
            self.prepare(start, reader).and_then(|prepared| match able.and_then(|eyes| check(eyes, &prepared.lang)) {
                Ok(()) => Ok(prepared),
                Err(failure) => {
                    self.note_end(prepared.row, &failure.detail);
                    Err(failure)
                }
            });
        let prepared = match begun {
            Ok(prepared) => prepared,
            Err(failure) => {
                let state = JobState::Failed(failure.detail.clone());
                let status = JobStatus { id, kind: JobKind::Caption(0), state, progress: Progress::default() };
                self.outbox.send(Event::Job(status));
                self.outbox.notice(failure);
                return None;
            }
        };
        let Prepared { row, claim, lang, how, total, done, failed } = prepared;
        let progress = Progress { done, total: Some(total), failed, ..Progress::default() };
        let kind = JobKind::Caption(total);
        let status = JobStatus { id, kind, state: JobState::Running, progress };
        let control = self.board.add(status.clone());
        self.outbox.send(Event::Job(status));
        let now = Instant::now();
        let (meter, before) = (RateMeter::new(now), done);
        let telltale = Telltale::new(&self.outbox, &self.board, id);
        Some(Batch {
            row,
            _claim: claim,
            id,
            control,
            lang,
            how,
            total,
            before,
            done,
            failed,
            meter,
            telltale,
            last: now,
            troubled: false,
        })
    }

    /// The next photo of the batch.
    pub fn step(&self, batch: &mut Batch, eyes: &Eyes, reader: &Reader) -> Stepped {
        if batch.control.token().is_cancelled() {
            if !self.closing.load(Ordering::Relaxed) {
                self.end(batch, JobState::Cancelled, "cancelled");
            }
            return Stepped::Ended;
        }
        let now = Instant::now();
        if now.duration_since(batch.last) > PAUSE {
            batch.meter.resume(now);
        }
        let stepped = match reader.next_of_batch(batch.row) {
            Ok(None) => {
                self.end(batch, JobState::Done, "done");
                return Stepped::Ended;
            }
            Ok(Some(photo)) => self.one(batch, photo, eyes, reader),
            Err(error) => Err(error),
        };
        batch.last = Instant::now();
        match stepped {
            Ok(()) => Stepped::On,
            Err(error) if may_pass(&error) => {
                if !std::mem::replace(&mut batch.troubled, true) {
                    self.outbox.notice(error);
                }
                Stepped::Later
            }
            Err(error) => {
                self.fail(batch, error.into());
                Stepped::Ended
            }
        }
    }

    /// The batch cannot go on.
    pub fn fail(&self, batch: &Batch, failure: Failure) {
        self.note_end(batch.row, &failure.detail);
        self.last_status(batch, JobState::Failed(failure.detail.clone()));
        self.outbox.notice(failure);
    }

    /// The program closes: what is left is for the next start.
    pub fn set_aside(&self, batch: &Batch) {
        self.board.remove(batch.id);
    }

    fn one(&self, batch: &mut Batch, id: PhotoId, eyes: &Eyes, reader: &Reader) -> Result<(), StoreError> {
        let photo = reader.photo(id)?.filter(|photo| photo.state == PhotoState::Present);
        let written = photo.map(|photo| write(batch, &photo, eyes));
        // A sentence that was cut short is none; the next step ends the batch.
        if batch.control.token().is_cancelled() {
            return Ok(());
        }
        let row = batch.row;
        let (draft, failed) = match &written {
            Some(Ok(candidate)) => (Some(candidate.clone().caption(id, CaptionState::Draft)), false),
            Some(Err(_)) => (None, true),
            // Forgotten or gone meanwhile: nothing to describe.
            None => (None, false),
        };
        self.writer.with(move |store| store.advance_batch(row, id, draft.as_ref(), failed))?;
        batch.troubled = false;
        batch.done += 1;
        batch.failed += u64::from(failed);
        if let Some(result) = written {
            let result = result.map(|candidate| candidate.text);
            self.outbox.send(Event::BatchCaption { job: batch.id, photo: id, result });
        }
        let Batch { total, before, done, failed, .. } = *batch;
        let progress = batch.meter.progress(done - before, Some(total - before), failed, Instant::now());
        batch.telltale.progress(Progress { done, total: Some(total), ..progress });
        Ok(())
    }

    fn end(&self, batch: &Batch, state: JobState, outcome: &str) {
        self.note_end(batch.row, outcome);
        self.outbox.send(Event::WordsChanged(None));
        self.last_status(batch, state);
    }

    fn last_status(&self, batch: &Batch, state: JobState) {
        if let Some(status) = self.board.remove(batch.id) {
            let mut progress = status.progress;
            (progress.done, progress.failed) = (batch.done, batch.failed);
            self.outbox.send(Event::Job(JobStatus { state, progress, ..status }));
        }
    }

    fn note_end(&self, row: JobId, outcome: &str) {
        let outcome = outcome.to_owned();
        // Of no weight beside what it is about; at worst the batch goes on at the next start.
        if let Err(error) = self.writer.with(move |store| store.end_batch(row, &outcome)) {
            log::debug!("the end of a batch was not noted: {error}");
        }
    }

    fn prepare(&self, start: BatchStart, reader: &Reader) -> Result<Prepared, Failure> {
        match start {
            BatchStart::New { photos, options: CaptionOptions { lang, how, .. }, missing_only } => {
                let photos = chosen(&photos, missing_only.then_some(lang.as_str()), reader)?;
                let total = photos.len() as u64;
                let task = json!({ "lang": lang, "how": how.settings() }).to_string();
                let what = format!("captions for {total} photos");
                let row = self.writer.with(move |store| store.begin_batch(&what, &task, &photos))?;
                let claim = Claim::take(&self.library, row);
                Ok(Prepared { row, claim, lang, how, total, done: 0, failed: 0 })
            }
            BatchStart::Resumed(row, claim) => {
                let task: Value = serde_json::from_str(row.task.as_deref().unwrap_or_default()).unwrap_or_default();
                let lang = task["lang"].as_str().unwrap_or("en").to_owned();
                let how = Writing::from_settings(&task["how"]);
                let total = row.done + reader.left_of_batch(row.id)?;
                let claim = Some(claim);
                Ok(Prepared { row: row.id, claim, lang, how, total, done: row.done, failed: row.failed })
            }
        }
    }
}

struct Prepared {
    row: JobId,
    claim: Option<Claim>,
    lang: String,
    how: Writing,
    total: u64,
    done: u64,
    failed: u64,
}

/// Fails where no photo at all could be described.
fn check(eyes: &Eyes, lang: &str) -> Result<(), Failure> {
    eyes.can_see()?;
    let spec = eyes.model.spec();
    if !spec.abilities.caption {
        return Err(Failure::new(FailureKind::Unable, format!("{} does not write captions", spec.id)));
    }
    if !spec.languages.iter().any(|known| known == lang) {
        return Err(fuse::writes_others_only(spec, lang).into());
    }
    Ok(())
}

fn write(batch: &Batch, photo: &Photo, eyes: &Eyes) -> Result<Candidate, Failure> {
    let token = batch.control.token();
    let picture = eyes.look_quickly(photo, token)?;
    let candidate = writing::write_one(eyes.model.as_ref(), &picture, &batch.lang, batch.how, token)?;
    if candidate.text.trim().is_empty() {
        return Err(Failure::new(FailureKind::Model, "the model found no words").at(&photo.path));
    }
    Ok(candidate)
}

/// The photos that are meant, each once; with `missing` those without a caption in that language.
pub(super) fn chosen(photos: &Chosen, missing: Option<&str>, reader: &Reader) -> Result<Vec<PhotoId>, StoreError> {
    let mut ids = match photos {
        Chosen::Photos(ids) => ids.clone(),
        Chosen::Scope(scope) => in_scope(*scope, reader)?,
    };
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if let Some(lang) = missing {
        let without: HashSet<PhotoId> = reader.without_caption(Some(lang))?.into_iter().collect();
        ids.retain(|id| without.contains(id));
    }
    Ok(ids)
}

/// The photos of a scope, newest first.
pub(super) fn in_scope(scope: Scope, reader: &Reader) -> Result<Vec<PhotoId>, StoreError> {
    reader.list(match scope {
        Scope::All => ListScope::All,
        Scope::Folder(folder) => ListScope::Folder(folder),
        Scope::Failed => ListScope::Failed,
        Scope::Missing => ListScope::Missing,
        Scope::WithoutCaption => return reader.without_caption(None),
    })
}
