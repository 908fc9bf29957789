//! The one place where a wish about words changes the state or becomes a command.

use egui::Context;

use crate::app::GlimpseApp;
use crate::app::apply::home_expanded;
use crate::app::i18n::Msg;
use crate::app::runtime::{NoticeKind, Overlay};
use crate::app::services::{PickKind, PickStart};
use crate::domain::{CaptionState, PhotoId, RequestId};
use crate::engine::Command;

use super::{Asking, Checked, ExportForm, Field, Slot, Tab, Words, WordsAction, Writing};

/// A change to many captions is tried out once the typing pauses so long (seconds).
const TRY_AFTER: f64 = 0.25;

impl GlimpseApp {
    /// Does what the person wants.
    pub(in crate::app) fn apply_words(&mut self, ctx: &Context, action: WordsAction) {
        let words = &mut self.rt.words;
        match action {
            WordsAction::ShowTab(tab) => self.show_tab(tab),
            WordsAction::Focused => words.focus = None,
            WordsAction::Typed(slot, text) => {
                words.typing.set(slot, text);
                self.note_typing();
            }
            WordsAction::Forget(slot) => {
                words.typing.forget(slot);
                self.note_typing();
            }
            WordsAction::SetWish(wish) => self.saved.window.wish = wish,

            WordsAction::Suggest(photo) => self.suggest(photo),
            WordsAction::Stop => {
                if let Some(writing) = &mut words.writing {
                    writing.stopping = true;
                    self.send(Command::StopCaption);
                }
            }
            WordsAction::Keep { photo, place, state } => {
                let offer = words.offers.get(&photo).and_then(|offers| offers.as_ref().ok()?.get(place)).cloned();
                if let Some(candidate) = offer {
                    // It is shown until the library has it.
                    self.send(Command::KeepCaption { photo, candidate: Box::new(candidate), state });
                }
            }
            WordsAction::TurnDown(photo) => drop(words.offers.remove(&photo)),
            WordsAction::Edit { photo, caption } => {
                let known = words.known(photo).and_then(|w| w.captions.iter().find(|c| c.id == caption));
                let Some(text) = known.map(|caption| caption.text.clone()) else { return };
                let slot = Slot { photo, field: Field::Caption(caption) };
                if words.typing.get(slot).is_none() {
                    words.typing.set(slot, text);
                }
                words.focus = Some(slot.field);
                self.note_typing();
            }
            WordsAction::Save(slot) => self.save_typed(slot),
            WordsAction::Judge { caption, state } => self.send(Command::SetCaptionState { caption, state }),
            WordsAction::Remove(caption) => self.send(Command::RemoveCaption(caption)),

            WordsAction::Ask { photo, question } => {
                let question = question.trim().to_owned();
                let busy = words.asking.as_ref().is_some_and(|asking| asking.photo == photo);
                if !question.is_empty() && !busy {
                    let request = RequestId(self.rt.fresh_id());
                    self.rt.words.asking = Some(Asking { request, photo, question: question.clone() });
                    self.rt.words.focus = Some(Field::Question);
                    self.send(Command::Ask { request, photo, question });
                }
            }
            WordsAction::RemoveAnswer(answer) => self.send(Command::RemoveAnswer(answer)),
            WordsAction::DropUnkept { photo, place } => {
                if let Some(unkept) = words.unkept.get_mut(&photo).filter(|unkept| place < unkept.len()) {
                    unkept.remove(place);
                }
            }
            WordsAction::Match(photo) => {
                let text = words.typed(photo, Field::Sentence).unwrap_or_default().trim().to_owned();
                if !text.is_empty() {
                    let request = RequestId(self.rt.fresh_id());
                    let words = &mut self.rt.words;
                    words.matches.entry(photo).or_default().start();
                    words.matching = Some(request);
                    self.send(Command::Match { request, photo, text });
                }
            }

            WordsAction::SetBatch(form) => words.forms.batch = form,
            WordsAction::StartBatch => {
                let form = words.forms.batch.clone();
                let photos = self.rt.chosen(form.among);
                let options = self.saved.window.wish.for_many(self.lang);
                self.rt.overlay = None;
                self.rt.words.batch = None;
                self.send(Command::CaptionPhotos { photos, options, missing_only: form.missing_only });
            }
            WordsAction::CloseBatch => {
                if let Some(batch) = &mut words.batch {
                    batch.hidden = true;
                }
            }
            WordsAction::SetReword(form) => {
                if words.forms.reword != form {
                    words.forms.reword = form;
                    words.forms.reword_due = Some(ctx.time() + TRY_AFTER);
                }
            }
            WordsAction::Reword => self.reword(false),
            WordsAction::SetExport(form) => {
                if words.forms.export != form {
                    words.forms.export = form;
                    words.forms.exported = Checked::default();
                }
            }
            WordsAction::ChooseExportFolder => {
                if self.services.pick(PickKind::ExportFolder, self.lang.text(Msg::ExportChoose)) == PickStart::Busy {
                    self.rt.notify(NoticeKind::NoDialog, ctx.time());
                }
            }
            WordsAction::Export { dry_run } => {
                let form = words.forms.export.clone();
                let (which, folder) = (self.rt.which(form.among), home_expanded(form.folder.trim()));
                if let Some(options) = form.options(which, &folder, dry_run) {
                    let request = RequestId(self.rt.fresh_id());
                    self.rt.words.forms.exported.start(request, !dry_run);
                    self.send(Command::Export { request, options });
                }
            }
            WordsAction::SetRerank(most) => {
                self.saved.window.rerank = most;
                if self.rt.asked.question.is_some() {
                    self.ask();
                }
            }
        }
    }

    /// Opens the inspector at a tab, the cursor where one begins there.
    pub(in crate::app) fn show_tab(&mut self, tab: Tab) {
        self.saved.window.inspector_open = true;
        self.saved.window.tab = tab;
        self.rt.words.focus = match tab {
            Tab::Info | Tab::Caption => None,
            Tab::Ask => Some(Field::Question),
            Tab::Match => Some(Field::Sentence),
        };
    }

    /// Opens a sheet about many photos, set to those that are most likely meant.
    pub(in crate::app) fn open_form(&mut self, ctx: &Context, overlay: Overlay) {
        let among = self.rt.likely_among();
        let forms = &mut self.rt.words.forms;
        match overlay {
            Overlay::Batch => forms.batch.among = among,
            Overlay::Reword => {
                forms.reword.among = among;
                forms.reworded = Checked::default();
                forms.reword_due = Some(ctx.time());
            }
            Overlay::Export => {
                forms.export.among = among;
                if forms.exported.request.is_none() {
                    forms.exported = Checked::default();
                }
            }
            _ => {}
        }
        self.apply(ctx, crate::app::UiAction::Show(overlay));
    }

    /// A folder was chosen for the export.
    pub(in crate::app) fn export_into(&mut self, ctx: &Context, folder: &std::path::Path) {
        let form = ExportForm {
            folder: folder.to_string_lossy().into_owned(),
            beside: false,
            ..self.rt.words.forms.export.clone()
        };
        self.rt.overlay = Some(Overlay::Export);
        self.apply_words(ctx, WordsAction::SetExport(form));
    }

    fn suggest(&mut self, photo: PhotoId) {
        let request = RequestId(self.rt.fresh_id());
        let options = self.saved.window.wish.options(self.lang);
        let words = &mut self.rt.words;
        words.offers.remove(&photo);
        words.writing = Some(Writing { request, photo, texts: Vec::new(), stopping: false });
        self.send(Command::Caption { request, photo, options });
    }

    fn save_typed(&mut self, slot: Slot) {
        let Slot { photo, field } = slot;
        let Some(text) = self.rt.words.typing.save(slot).filter(|text| !text.is_empty()) else { return };
        match field {
            Field::NewCaption => {
                let lang = language_of(&text).to_owned();
                self.send(Command::WriteCaption { photo, lang, text });
            }
            Field::Caption(caption) => {
                let known = self.rt.words.known(photo);
                let same = known.and_then(|words| words.captions.iter().find(|c| c.id == caption && c.text == text));
                match same.map(|caption| caption.state) {
                    None => self.send(Command::EditCaption { caption, text }),
                    Some(CaptionState::Draft) => {
                        self.send(Command::SetCaptionState { caption, state: CaptionState::Accepted });
                    }
                    // Nothing was changed.
                    Some(CaptionState::Accepted) => {
                        self.rt.words.typing.forget(slot);
                        self.note_typing();
                    }
                }
            }
            Field::Question | Field::Sentence => {}
        }
    }

    /// Tries the change to many captions out, or makes it.
    pub(in crate::app) fn reword(&mut self, dry_run: bool) {
        self.rt.words.forms.reword_due = None;
        let form = self.rt.words.forms.reword.clone();
        let Some(rewording) = form.rewording() else {
            self.rt.words.forms.reworded = Checked::default();
            return;
        };
        let request = RequestId(self.rt.fresh_id());
        self.rt.words.forms.reworded.start(request, !dry_run);
        let photos = self.rt.chosen(form.among);
        self.send(Command::Reword { request, photos, lang: None, rewording, dry_run });
    }

    /// What was typed outlives the window.
    pub(in crate::app) fn note_typing(&mut self) {
        self.saved.window.unsaved = self.rt.words.typing.unsaved();
    }

    /// Asks for the words of the photo that the inspector shows, unless they are there or on their way.
    pub(in crate::app) fn need_words(&mut self) {
        let Some(photo) = self.rt.selection.lead().filter(|_| self.saved.window.inspector_open) else { return };
        if self.rt.words.of.get(&photo).is_none_or(|known| matches!(known, crate::app::remote::Remote::Idle)) {
            self.ask_words(photo);
        }
    }

    /// Asks for the words of a photo; what is known of them stays until the answer is there.
    pub(in crate::app) fn ask_words(&mut self, photo: PhotoId) {
        let request = RequestId(self.rt.fresh_id());
        let words: &mut Words = &mut self.rt.words;
        words.bound(photo);
        words.of.entry(photo).or_default().start();
        words.requests.retain(|_, other| *other != photo);
        words.requests.insert(request, photo);
        self.send(Command::Words { request, photo });
    }
}

/// The language of a person's own words: Chinese where they hold a Chinese character.
fn language_of(text: &str) -> &'static str {
    if text.chars().any(|c| ('\u{3400}'..='\u{9fff}').contains(&c)) { "zh" } else { "en" }
}
