//! The thread that owns the Fuse model.
//!
//! The model is loaded when it is first needed. The picture that was looked at last is kept
//! as the model sees it, so that a second question about it costs no image pass.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{CancelToken, ContentHash, NewAnswer, Photo, PhotoId};
use crate::engine::batch::{Batch, Stepped};
use crate::engine::library::Look;
use crate::engine::{
    Closeness, Event, Eyes, Failure, FailureKind, FuseInfo, FuseStatus, MatchScores, Reply, Reranked, embed, judge,
    writing,
};
use crate::models::fuse::{FuseModel, Regions, refusal};
use crate::search::is_blank;
use crate::search::rerank::rerank;
use crate::store::ModelRow;

use super::{Describe, FuseParts, JudgeHits, Pair, Question, Shared, Work};

/// Answers that are kept of each question.
const ANSWERS: usize = 5;
/// How long to wait before the library is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Cannot be: said where the types do not say it.
fn gone() -> Failure {
    Failure::new(FailureKind::NoFuseModel, "the model is gone")
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    parts: FuseParts,
    /// The model, once it was needed.
    eyes: Option<Eyes>,
    /// The photo that was looked at last.
    last: Option<(Photo, Arc<Regions>)>,
    batch: Option<Batch>,
    /// What is not cancelled otherwise.
    token: CancelToken,
    /// The library could not be written: the batch waits till then.
    not_before: Option<Instant>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, parts: FuseParts) -> Self {
        let token = CancelToken::never();
        Self { shared, parts, eyes: None, last: None, batch: None, token, not_before: None }
    }

    /// Until it is closed.
    pub fn run(&mut self) {
        self.look_for_model();
        // What was begun before comes before what was asked for meanwhile.
        for resumed in self.parts.batches.broken_off(&self.parts.reader).into_iter().rev() {
            self.shared.queue().batches.push_front(resumed);
        }
        while let Some(work) = self.next() {
            match work {
                Work::Judge(hits) => self.judge(hits),
                Work::Ask(Question { request, photo, question }) => {
                    let result = self.ask(photo, &question);
                    self.parts.outbox.send(Event::AskDone { request, photo, result });
                }
                Work::Match(Pair { request, photo, text }) => {
                    let result = self.pair(photo, &text);
                    self.parts.outbox.send(Event::MatchDone { request, photo, result });
                }
                Work::Caption(describe) => self.caption(&describe),
                Work::Reload => {
                    (self.eyes, self.last) = (None, None);
                    self.look_for_model();
                }
                Work::Begin(start) => {
                    let loaded = self.eyes().map(drop);
                    let able = loaded.and_then(|()| self.eyes.as_ref().ok_or_else(gone));
                    self.batch = self.parts.batches.begin(start, &self.parts.reader, able);
                }
                Work::Step => self.step(),
            }
        }
        if let Some(batch) = self.batch.take() {
            self.parts.batches.set_aside(&batch);
        }
    }

    /// Waits for work; `None` once closed.
    fn next(&mut self) -> Option<Work> {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = queue.next() {
                return Some(work);
            }
            let mut wait = None;
            match &self.batch {
                None => {
                    if let Some(start) = queue.batches.pop_front() {
                        return Some(Work::Begin(start));
                    }
                }
                Some(batch) if batch.is_due() => {
                    match self.not_before.map(|at| at.saturating_duration_since(Instant::now())) {
                        Some(left) if !left.is_zero() => wait = Some(left),
                        _ => return Some(Work::Step),
                    }
                }
                Some(_) => {}
            }
            queue = match wait {
                Some(left) => shared.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Says what model there is, without loading it.
    fn look_for_model(&self) {
        let status = self.parts.loader.describe(Some(&self.parts.reader));
        self.set_status(status);
    }

    fn set_status(&self, status: FuseStatus) {
        let mut known = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != status {
            *known = status;
            drop(known);
            // Without a library thread the program is closing.
            let _ = self.parts.looks.try_send(Look::Status);
        }
    }

    /// The model, loaded now if it was not needed before.
    fn eyes(&mut self) -> Result<&Eyes, Failure> {
        if self.eyes.is_none() {
            let model = self.parts.loader.load(Some(&self.parts.reader)).inspect_err(|failure| {
                self.set_status(FuseStatus::Absent(failure.clone()));
            })?;
            self.set_status(FuseStatus::AtHand(self.info(&model)));
            self.eyes = Some(Eyes::new(model, None, Arc::clone(&self.parts.thumbnails)));
        }
        self.eyes.as_ref().ok_or_else(gone)
    }

    /// What is known of the model now that it is loaded.
    fn info(&self, model: &Arc<dyn FuseModel>) -> FuseInfo {
        let spec = model.spec();
        let (pack, name) = match self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            FuseStatus::AtHand(FuseInfo { pack, name, .. }) => (pack, name),
            _ => (spec.id.clone(), spec.id.clone()),
        };
        let (languages, abilities, sees) = (spec.languages.clone(), Some(spec.abilities), Some(spec.sees));
        FuseInfo { pack, name, languages, abilities, sees }
    }

    fn photo(&self, id: PhotoId) -> Result<Photo, Failure> {
        let found = self.parts.reader.photo(id)?;
        found.ok_or_else(|| Failure::new(FailureKind::Photo, "this photo is no longer in the library"))
    }

    /// The photo as the model sees it; looked at once while it is the one that is asked about.
    fn picture(&mut self, id: PhotoId) -> Result<(Photo, Arc<Regions>), Failure> {
        let photo = self.photo(id)?;
        if let Some((known, picture)) = &self.last
            && (known.id, known.content, known.stamp) == (photo.id, photo.content, photo.stamp)
        {
            return Ok((photo, Arc::clone(picture)));
        }
        let token = self.token.clone();
        let picture = Arc::new(self.eyes()?.look_quickly(&photo, &token)?);
        self.last = Some((photo.clone(), Arc::clone(&picture)));
        Ok((photo, picture))
    }

    fn caption(&mut self, wanted: &Describe) {
        let &Describe { request, photo, ref options, ref token } = wanted;
        // Nobody waits for one that was stopped before it began.
        let result = match token.is_cancelled() {
            true => Ok(Vec::new()),
            false => self.picture(photo).and_then(|(_, picture)| {
                let outbox = self.parts.outbox.clone();
                let model = Arc::clone(&self.eyes()?.model);
                let grew = |candidate, text: &str| {
                    outbox.offer(Event::CaptionGrew { request, candidate, text: text.to_owned() });
                };
                Ok(writing::write_several(model.as_ref(), &picture, options, token, grew)?)
            }),
        };
        self.parts.outbox.send(Event::CaptionDone { request, photo, result });
    }

    fn ask(&mut self, photo: PhotoId, question: &str) -> Result<Reply, Failure> {
        let question = question.trim();
        let model = Arc::clone(&self.eyes()?.model);
        let spec = model.spec();
        let asked = question.to_owned();
        if let Some(refused) = refusal(question, &spec.languages) {
            return Ok(Reply { question: asked, ranked: Vec::new(), unsure: true, refused: Some(refused), id: None });
        }
        let (_, picture) = self.picture(photo)?;
        let answers = model.answer(&picture, question, ANSWERS)?;
        let kept = NewAnswer {
            photo,
            question: asked.clone(),
            ranked: answers.ranked.clone(),
            unsure: answers.unsure,
            pack: spec.id.clone(),
            version: spec.weights_hash.clone(),
        };
        let id = match self.parts.writer.with(move |store| store.add_answer(&kept)) {
            Ok(id) => id,
            // The answer is worth having all the same.
            Err(error) => {
                self.parts.outbox.notice(error);
                None
            }
        };
        self.parts.outbox.send(Event::WordsChanged(Some(vec![photo])));
        Ok(Reply { question: asked, ranked: answers.ranked, unsure: answers.unsure, refused: None, id })
    }

    fn pair(&mut self, photo: PhotoId, text: &str) -> Result<MatchScores, Failure> {
        let text = text.trim();
        if is_blank(text) {
            return Err(Failure::new(FailureKind::EmptyQuery, "the text is blank"));
        }
        let photo = self.photo(photo)?;
        Ok(MatchScores {
            text: text.to_owned(),
            align: self.align_score(&photo, text),
            fuse: self.fuse_score(&photo, text),
        })
    }

    /// By the vector that the library holds, else by one made now.
    fn align_score(&self, photo: &Photo, text: &str) -> Result<Closeness, Failure> {
        let model = self.parts.compute.model()?;
        let space = self.parts.reader.find_model(&ModelRow::from(model.spec()))?;
        let known = space.map(|space| self.parts.reader.embedding(photo.id, space)).transpose()?.flatten();
        let image = known.map_or_else(|| embed(model.as_ref(), &photo.path, &self.token), Ok)?;
        let texts = model.encode_texts(&[text])?;
        let cosine = texts.first().and_then(|text| image.cosine(text));
        let score = cosine.ok_or_else(|| Failure::new(FailureKind::Model, "the model gave no vector"))?;
        let share = model.calibration().map_or(score.max(0.0), |calibration| calibration.closeness(score));
        Ok(Closeness { score, share })
    }

    fn fuse_score(&mut self, photo: &Photo, text: &str) -> Result<f32, Failure> {
        let model = Arc::clone(&self.eyes()?.model);
        let hash = model.spec().judge_hash.clone();
        if let Some(known) = self.parts.reader.match_scores(&hash, text, &[photo.content])?.first().copied().flatten() {
            return Ok(known);
        }
        let (_, picture) = self.picture(photo.id)?;
        let score = model.match_scores(&[(&picture, text)])?.first().copied();
        let score = score.ok_or_else(|| Failure::new(FailureKind::Model, "the model gave no score"))?;
        self.keep_scores(hash, text, photo.content.map(|content| (content, score)).into_iter().collect());
        Ok(score)
    }

    /// Scores can be made again: a library that cannot be written is no failure.
    fn keep_scores(&self, hash: String, text: &str, fresh: Vec<(ContentHash, f32)>) {
        if fresh.is_empty() {
            return;
        }
        let text = text.to_owned();
        if let Err(error) = self.parts.writer.with(move |store| store.keep_match_scores(&hash, &text, &fresh)) {
            log::debug!("the scores were not kept: {error}");
        }
    }

    fn judge(&mut self, wanted: JudgeHits) {
        if wanted.token.is_cancelled() {
            return;
        }
        let result = self.judged(&wanted);
        if !wanted.token.is_cancelled() {
            self.parts.outbox.send(Event::Reranked { request: wanted.request, result });
        }
    }

    fn judged(&mut self, wanted: &JudgeHits) -> Result<Reranked, Failure> {
        let started = Instant::now();
        self.eyes()?;
        let eyes = self.eyes.as_ref().ok_or_else(gone)?;
        eyes.can_see()?;
        let ids: Vec<PhotoId> = wanted.hits.iter().take(wanted.best).map(|hit| hit.photo).collect();
        let photos = self.parts.reader.photos(&ids)?;
        let found: Vec<Option<&Photo>> = ids.iter().map(|id| photos.iter().find(|photo| photo.id == *id)).collect();
        let judgement = judge(eyes, &self.parts.reader, &found, &wanted.text, &wanted.token)?;
        self.keep_scores(eyes.model.spec().judge_hash.clone(), wanted.text.trim(), judgement.fresh);
        Ok(Reranked {
            hits: rerank(&wanted.hits, &judgement.scores, eyes.model.spec().align_weight),
            judged: judgement.judged,
            known: judgement.known,
            unseen: judgement.unseen,
            judge_ms: started.elapsed().as_secs_f32() * 1e3,
        })
    }

    /// One photo of the batch.
    fn step(&mut self) {
        let (Some(batch), Some(eyes)) = (&mut self.batch, &self.eyes) else {
            // The model was changed meanwhile: the batch goes on with the new one.
            if let Err(failure) = self.eyes().map(drop)
                && let Some(batch) = self.batch.take()
            {
                self.parts.batches.fail(&batch, failure);
            }
            return;
        };
        self.not_before = None;
        match self.parts.batches.step(batch, eyes, &self.parts.reader) {
            Stepped::On => {}
            Stepped::Ended => self.batch = None,
            Stepped::Later => self.not_before = Some(Instant::now() + PATIENCE),
        }
    }
}
