//! The thread through which a person's words reach the library: written, edited, accepted,
//! removed, reworded, undone; and by which they are read.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::domain::{AnswerId, CaptionId, CaptionSource, CaptionState, NewCaption, PhotoId, RequestId, Rewording};
use crate::search::is_blank;
use crate::store::{Reader, StoreError};

use super::batch::chosen;
use super::outbox::Outbox;
use super::threads;
use super::writer::Writer;
use super::{Candidate, Chosen, Event, Failure, FailureKind, PhotoWords, RewordReport, Reworded};

/// Commands that may wait.
const QUEUE: usize = 256;
/// Captions that a preview lists.
const SHOWN: usize = 500;
/// Photos whose captions are in memory at once.
const PAGE: usize = 512;

/// What a person does with words.
pub(super) enum Act {
    Words { request: RequestId, photo: PhotoId },
    Keep { photo: PhotoId, candidate: Box<Candidate>, state: CaptionState },
    Write { photo: PhotoId, lang: String, text: String },
    Edit { caption: CaptionId, text: String },
    Judge { caption: CaptionId, state: CaptionState },
    Remove(CaptionId),
    RemoveAnswer(AnswerId),
    Undo,
    Redo,
    Reword(Reword),
}

/// One change to many captions.
pub(super) struct Reword {
    pub request: RequestId,
    pub photos: Chosen,
    pub lang: Option<String>,
    pub rewording: Rewording,
    pub dry_run: bool,
}

/// What the thread needs.
pub(super) struct Ledger {
    pub reader: Reader,
    pub writer: Writer,
    pub outbox: Outbox,
}

impl Ledger {
    /// Starts the thread; it ends with the last sender.
    pub fn start(self, alive: Sender<()>) -> std::io::Result<Sender<Act>> {
        let (acts, incoming) = bounded(QUEUE);
        threads::begin("words", alive, move || self.run(&incoming))?;
        Ok(acts)
    }

    fn run(&self, acts: &Receiver<Act>) {
        for act in acts {
            let reads = matches!(act, Act::Words { .. });
            if let Err(failure) = self.perform(act) {
                self.outbox.notice(failure);
            }
            if !reads {
                tell_steps(&self.reader, &self.outbox);
            }
        }
    }

    fn perform(&self, act: Act) -> Result<(), Failure> {
        match act {
            Act::Words { request, photo } => {
                let result = self.words(photo).map(Box::new).map_err(Failure::from);
                self.outbox.send(Event::Words { request, photo, result });
                Ok(())
            }
            Act::Keep { photo, candidate, state } => self.add(candidate.caption(photo, state)),
            Act::Write { photo, lang, text } => {
                let (source, state) = (CaptionSource::Person, CaptionState::Accepted);
                self.add(NewCaption { photo, text, lang, source, state })
            }
            Act::Edit { caption, text } => {
                let text = worded(&text)?;
                self.on(caption, move |store| store.edit_captions(&[(caption, text)]).map(drop))
            }
            Act::Judge { caption, state } => {
                self.on(caption, move |store| store.set_caption_state(caption, state).map(drop))
            }
            Act::Remove(caption) => self.on(caption, move |store| store.remove_caption(caption).map(drop)),
            Act::RemoveAnswer(answer) => {
                let photo = self.writer.with(move |store| store.remove_answer(answer))?.flatten();
                self.changed(photo.map(|photo| vec![photo]));
                Ok(())
            }
            Act::Undo => self.reverse(false),
            Act::Redo => self.reverse(true),
            Act::Reword(Reword { request, photos, lang, rewording, dry_run }) => {
                let result = self.reword(&photos, lang.as_deref(), rewording, dry_run).map_err(Failure::from);
                self.outbox.send(Event::RewordDone { request, result });
                Ok(())
            }
        }
    }

    fn words(&self, photo: PhotoId) -> Result<PhotoWords, StoreError> {
        Ok(PhotoWords {
            captions: self.reader.captions(photo)?,
            answers: self.reader.answers(photo)?,
            tags: self.reader.tags_of(&[photo])?.pop().unwrap_or_default(),
            steps: self.reader.caption_steps()?,
        })
    }

    fn add(&self, caption: NewCaption) -> Result<(), Failure> {
        let (photo, text) = (caption.photo, worded(&caption.text)?);
        let kept = self.writer.with(move |store| store.add_captions(&[NewCaption { text, ..caption }]))?;
        if kept.first().copied().flatten().is_none() {
            return Err(Failure::new(FailureKind::Photo, "this photo is no longer in the library"));
        }
        self.changed(Some(vec![photo]));
        Ok(())
    }

    /// One change to one caption.
    fn on(
        &self,
        caption: CaptionId,
        change: impl FnOnce(&mut crate::store::Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Failure> {
        let photo = self.reader.photo_of_caption(caption)?;
        self.writer.with(change)?;
        self.changed(photo.map(|photo| vec![photo]));
        Ok(())
    }

    fn changed(&self, photos: Option<Vec<PhotoId>>) {
        self.outbox.send(Event::WordsChanged(photos));
    }

    fn reverse(&self, redo: bool) -> Result<(), Failure> {
        let step = self.writer.with(move |store| if redo { store.redo_captions() } else { store.undo_captions() })?;
        if step.is_some() {
            self.changed(None);
        }
        self.outbox.send(Event::StepReversed { redone: redo, step });
        Ok(())
    }

    fn reword(
        &self,
        photos: &Chosen,
        lang: Option<&str>,
        rewording: Rewording,
        dry_run: bool,
    ) -> Result<RewordReport, StoreError> {
        let photos = chosen(photos, None, &self.reader)?;
        let mut report = RewordReport::default();
        let mut captions: Vec<CaptionId> = Vec::new();
        for page in photos.chunks(PAGE) {
            for (photo, captions_of) in page.iter().zip(self.reader.captions_of(page)?) {
                for caption in captions_of.into_iter().filter(|caption| lang.is_none_or(|lang| caption.is_in(lang))) {
                    report.looked_at += 1;
                    let Some(after) = rewording.of(&caption.text) else { continue };
                    captions.push(caption.id);
                    if report.shown.len() < SHOWN {
                        report.shown.push(Reworded { caption: caption.id, photo: *photo, before: caption.text, after });
                    }
                }
            }
        }
        report.changed = captions.len();
        if !dry_run && !captions.is_empty() {
            let changed = self.writer.with(move |store| store.reword_captions(&captions, &rewording))?;
            report.changed = changed.len();
            self.changed(None);
        }
        Ok(report)
    }
}

/// Says what can be undone now; false once nobody listens any more.
pub(super) fn tell_steps(reader: &Reader, outbox: &Outbox) -> bool {
    match reader.caption_steps() {
        Ok(steps) => outbox.send(Event::Steps(steps)),
        Err(error) => {
            log::debug!("what can be undone is unknown: {error}");
            true
        }
    }
}

/// A text that says something.
fn worded(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if is_blank(text) {
        return Err(Failure::new(FailureKind::EmptyQuery, "the caption is blank"));
    }
    Ok(text.to_owned())
}
