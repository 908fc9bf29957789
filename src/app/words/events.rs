//! What the engine says about words, taken into the state. Late answers are dropped.

use egui::Context;

use crate::app::GlimpseApp;
use crate::app::remote::Remote;
use crate::app::runtime::NoticeKind;
use crate::app::tokens::time;
use crate::domain::{CaptionState, JobKind, JobStatus, PhotoId, RequestId};
use crate::engine::{Candidate, Event, Failure, PhotoWords, Reply, Scope};

use super::{Batch, Field, Slot, Unkept};

impl GlimpseApp {
    /// Takes in an event about words.
    pub(in crate::app) fn words_said(&mut self, ctx: &Context, event: Event) {
        let now = ctx.time();
        let words = &mut self.rt.words;
        match event {
            Event::Reranked { request, result } => self.reranked(request, result),
            Event::CaptionGrew { request, candidate, text } => {
                if let Some(writing) = words.writing.as_mut().filter(|writing| writing.request == request) {
                    if writing.texts.len() <= candidate {
                        writing.texts.resize(candidate + 1, String::new());
                    }
                    writing.texts[candidate] = text;
                }
            }
            // A suggestion that a newer one ended is nobody's any more.
            Event::CaptionDone { request, photo, result }
                if words.writing.as_ref().is_some_and(|writing| writing.request == request) =>
            {
                words.writing = None;
                words.offers.insert(photo, result.map(distinct));
            }
            Event::AskDone { request, photo, result } => self.answered(request, photo, result),
            Event::MatchDone { request, photo, result } if words.matching == Some(request) => {
                words.matching = None;
                words.matches.entry(photo).or_default().finish(result);
            }
            Event::Words { request, photo, result } if words.requests.remove(&request) == Some(photo) => {
                self.words_came(photo, result);
            }
            Event::WordsChanged(photos) => self.words_changed(photos, now),
            Event::Steps(steps) => words.steps = steps,
            Event::StepReversed { redone, step } => {
                let news = match step {
                    Some(step) => NoticeKind::Step { redone, act: step.act, captions: step.captions },
                    None => NoticeKind::NoStep { redone },
                };
                self.rt.notify(news, now);
            }
            Event::BatchCaption { job, photo, result } => {
                let batch = words.batch.take().filter(|batch| batch.job == job);
                words.batch.insert(batch.unwrap_or_else(|| Batch::new(job))).came(photo, result);
                ctx.request_repaint();
            }
            Event::RewordDone { request, result } => {
                let reworded = &mut words.forms.reworded;
                let changed = result.as_ref().map_or(0, |report| report.changed);
                if reworded.finish(request, result) && reworded.for_real && reworded.answer.error().is_none() {
                    self.rt.overlay = None;
                    self.rt.notify(NoticeKind::Reworded(changed), now);
                }
            }
            Event::ExportDone { request, result } => {
                words.forms.exported.finish(request, result);
            }
            _ => {}
        }
    }

    /// A job about words moved on.
    pub(in crate::app) fn words_job(&mut self, status: &JobStatus) {
        let words = &mut self.rt.words;
        if matches!(status.kind, JobKind::Caption(_)) && words.batch.as_ref().is_none_or(|b| b.job != status.id) {
            words.batch = Some(Batch::new(status.id));
        }
    }

    fn answered(&mut self, request: RequestId, photo: PhotoId, result: Result<Reply, Failure>) {
        let words = &mut self.rt.words;
        let Some(asking) = words.asking.take_if(|asking| asking.request == request) else { return };
        let slot = Slot { photo, field: Field::Question };
        // What could not be asked stays in the field.
        let answered = result.as_ref().is_ok_and(|reply| reply.refused.is_none());
        if answered && words.typing.get(slot).is_some_and(|typed| typed.trim() == asking.question) {
            words.typing.forget(slot);
        }
        if result.as_ref().is_ok_and(|reply| reply.id.is_some()) {
            self.ask_words(photo);
        } else {
            let question = asking.question;
            words.unkept.entry(photo).or_default().push(Unkept { question, reply: result });
        }
    }

    fn words_came(&mut self, photo: PhotoId, result: Result<Box<PhotoWords>, Failure>) {
        let words = &mut self.rt.words;
        if let Ok(known) = &result {
            words.typing.compare(photo, &known.captions);
            words.steps = known.steps;
            if let Some(Ok(offers)) = words.offers.get_mut(&photo) {
                let kept = |offer: &Candidate, state| {
                    known.captions.iter().any(|c| c.text == offer.text && c.lang == offer.lang && c.state == state)
                };
                if offers.iter().any(|offer| kept(offer, CaptionState::Accepted)) {
                    offers.clear();
                }
                offers.retain(|offer| !kept(offer, CaptionState::Draft));
                if offers.is_empty() {
                    words.offers.remove(&photo);
                }
            }
        }
        words.of.entry(photo).or_default().finish(result.map(|known| *known));
        self.note_typing();
    }

    fn words_changed(&mut self, photos: Option<Vec<PhotoId>>, now: f64) {
        let rt = &mut self.rt;
        let lead = rt.selection.lead();
        match &photos {
            Some(photos) => {
                for photo in photos {
                    rt.thumbs.make_one_stale(*photo);
                    if Some(*photo) != lead {
                        rt.words.of.remove(photo);
                    }
                }
            }
            None => {
                rt.thumbs.make_stale();
                rt.words.forget_all_but(lead);
            }
        }
        // Lists that depend on captions may be stale.
        if rt.asked.scope == Scope::WithoutCaption || rt.asked.asks_for_captions() {
            rt.refresh.get_or_insert(now + time::REFRESH);
        }
        let concerns = |photo: &PhotoId| photos.as_ref().is_none_or(|photos| photos.contains(photo));
        if let Some(lead) = lead.filter(concerns)
            && rt.words.of.get(&lead).is_some_and(|known| !matches!(known, Remote::Idle))
        {
            self.ask_words(lead);
        }
    }
}

/// Each sentence once, the best first; one without words is none.
fn distinct(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen: Vec<Candidate> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if !candidate.text.trim().is_empty() && !seen.iter().any(|other| other.text == candidate.text) {
            seen.push(candidate);
        }
    }
    seen
}
