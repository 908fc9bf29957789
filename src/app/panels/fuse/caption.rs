//! The captions of one photo: what there is and who wrote it, what a model suggests while
//! it writes, and a field for one's own words.

use egui::{Align, DragValue, Label, Layout, Popup, PopupCloseBehavior, RichText, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::{Lang, Msg};
use crate::app::tokens::{space, text};
use crate::app::widgets::{
    button, card, choice, field, icon, icon_button_sized, icons, menu_button, menu_text, primary_button, share_row,
    weak,
};
use crate::app::words::{Field, How, Slot, Wish, WordsAction, Writing, caption_code};
use crate::domain::{Caption, CaptionState, PhotoId};
use crate::engine::Candidate;

use super::super::View;
use super::{Need, field_id, heading, unable};

/// The share of a caption that is likely right from which on it is no guess.
const CONFIDENT: f32 = 0.6;
const HALF_SURE: f32 = 0.45;

pub fn show(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.y = space::S;
    head(ui, view, out);
    match view.rt.words.known(photo) {
        Some(words) if words.captions.is_empty() => {
            ui.label(weak(view.lang.text(Msg::NoCaptionYet), view.tokens));
        }
        Some(words) => {
            for caption in &words.captions {
                ui.push_id(caption.id, |ui| card(ui, |ui| one(ui, view, photo, caption, out)));
            }
        }
        None => {
            if let Some(failure) = view.rt.words.of.get(&photo).and_then(|known| known.error()) {
                ui.add(Label::new(RichText::new(view.lang.failure(failure)).color(view.tokens.warn)).wrap());
            }
        }
    }
    ui.add_space(space::XS);
    own_words(ui, view, photo, out);
    ui.add_space(space::S);
    heading(ui, view.lang.text(Msg::SuggestTitle));
    if !unable(ui, view, Need::Caption, out) {
        suggest(ui, view, photo, out);
    }
}

/// The heading, and at its right what can be taken back.
fn head(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.horizontal(|ui| {
        heading(ui, view.lang.text(Msg::CaptionsTitle));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let steps = view.rt.words.steps;
            for (glyph, command, act) in [
                (icons::ARROW_U_UP_RIGHT, UserCommand::Redo, steps.redo),
                (icons::ARROW_U_UP_LEFT, UserCommand::Undo, steps.undo),
            ] {
                let label = view.lang.text(command.words().0);
                let name = act.map_or(label.to_owned(), |act| format!("{label}: {}", view.lang.act(act)));
                let size = vec2(space::XL + space::XS, space::XL + space::XS);
                let pressed = ui.add_enabled_ui(act.is_some(), |ui| icon_button_sized(ui, glyph, &name, size, true));
                if pressed.inner.clicked() {
                    out.push(UiAction::Run(command));
                }
            }
        });
    });
}

fn one(ui: &mut Ui, view: &View<'_>, photo: PhotoId, caption: &Caption, out: &mut Vec<UiAction>) {
    let slot = Slot { photo, field: Field::Caption(caption.id) };
    if view.rt.words.typing.get(slot).is_some() {
        return edit(ui, view, slot, out);
    }
    ui.add(Label::new(&caption.text).wrap().selectable(true));
    let accepted = caption.state == CaptionState::Accepted;
    let origin = view.lang.origin(caption, super::model(view), view.now_s);
    let small = vec2(space::XL + space::XS, space::XL + space::XS);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = space::XS;
            if icon_button_sized(ui, icons::TRASH, view.lang.text(Msg::RemoveCaption), small, true).clicked() {
                out.push(WordsAction::Remove(caption.id).into());
            }
            if icon_button_sized(ui, icons::PENCIL_SIMPLE, view.lang.text(Msg::EditCaption), small, true).clicked() {
                out.push(WordsAction::Edit { photo, caption: caption.id }.into());
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if accepted {
                    ui.label(icon(icons::CHECK_CIRCLE, text::BODY).color(view.tokens.good));
                }
                let exactly = format!("{origin}\n{}", view.lang.origin_exactly(caption));
                ui.add(Label::new(weak(origin, view.tokens)).truncate()).on_hover_text(exactly);
            });
        });
    });
    if !accepted && button(ui, icons::CHECK, view.lang.text(Msg::Accept)).clicked() {
        out.push(WordsAction::Judge { caption: caption.id, state: CaptionState::Accepted }.into());
    }
}

/// A caption's text in a field.
fn edit(ui: &mut Ui, view: &View<'_>, slot: Slot, out: &mut Vec<UiAction>) {
    typed_field(ui, view, slot, Msg::CaptionField, Msg::CaptionField, out);
    saving_row(ui, view, slot, out);
}

/// A field for one's own words beside those that there are.
fn own_words(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    let slot = Slot { photo, field: Field::NewCaption };
    typed_field(ui, view, slot, Msg::OwnWords, Msg::OwnWordsHint, out);
    if view.rt.words.typing.get(slot).is_some() {
        saving_row(ui, view, slot, out);
    }
}

fn typed_field(ui: &mut Ui, view: &View<'_>, slot: Slot, name: Msg, hint: Msg, out: &mut Vec<UiAction>) {
    let now = view.rt.words.typing.get(slot).unwrap_or_default();
    let id = field_id(slot.photo, slot.field);
    let edited = field(ui, id, view.lang.text(name), view.lang.text(hint), now, 2);
    if view.rt.words.focus == Some(slot.field) {
        edited.response.request_focus();
        out.push(WordsAction::Focused.into());
    }
    if let Some(text) = edited.text {
        out.push(WordsAction::Typed(slot, text).into());
    }
    if edited.entered {
        out.push(WordsAction::Save(slot).into());
    }
}

fn saving_row(ui: &mut Ui, view: &View<'_>, slot: Slot, out: &mut Vec<UiAction>) {
    let typing = &view.rt.words.typing;
    let has_words = typing.get(slot).is_some_and(|text| !text.trim().is_empty());
    ui.horizontal(|ui| {
        let save = |ui: &mut Ui| button(ui, icons::CHECK, view.lang.text(Msg::SaveCaption)).clicked();
        if ui.add_enabled_ui(has_words && !typing.is_saving(slot), save).inner {
            out.push(WordsAction::Save(slot).into());
        }
        if ui.button(view.lang.text(Msg::Discard)).clicked() {
            out.push(WordsAction::Forget(slot).into());
        }
    });
}

/// How a suggestion is wanted, the button, and what came of it.
fn suggest(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    wishes(ui, view, out);
    let words = &view.rt.words;
    match words.writing_of(photo) {
        Some(writing) => {
            let stop = |ui: &mut Ui| button(ui, icons::STOP, view.lang.text(Msg::StopWriting)).clicked();
            if ui.add_enabled_ui(!writing.stopping, stop).inner {
                out.push(WordsAction::Stop.into());
            }
            being_written(ui, view, writing);
        }
        None => {
            let again = words.offers.contains_key(&photo);
            let (glyph, msg) =
                if again { (icons::ARROW_CLOCKWISE, Msg::SuggestAgain) } else { (icons::SPARKLE, Msg::Suggest) };
            let pressed = match again {
                true => button(ui, glyph, view.lang.text(msg)),
                false => primary_button(ui, glyph, view.lang.text(msg)),
            };
            if pressed.clicked() {
                out.push(WordsAction::Suggest(photo).into());
            }
        }
    }
    match words.offers.get(&photo) {
        Some(Ok(offers)) if offers.is_empty() => {
            ui.add(Label::new(weak(view.lang.text(Msg::NothingSuggested), view.tokens)).wrap());
        }
        Some(Ok(offers)) => {
            for (place, offer) in offers.iter().enumerate() {
                ui.push_id(("offer", place), |ui| card(ui, |ui| offered(ui, view, photo, place, offer, out)));
            }
            if ui.link(RichText::new(view.lang.text(Msg::TurnDown)).size(text::SMALL)).clicked() {
                out.push(WordsAction::TurnDown(photo).into());
            }
        }
        Some(Err(failure)) => {
            let said = ui.add(Label::new(RichText::new(view.lang.failure(failure)).color(view.tokens.warn)).wrap());
            said.on_hover_text(&failure.detail);
        }
        None => {}
    }
}

fn being_written(ui: &mut Ui, view: &View<'_>, writing: &Writing) {
    if writing.texts.is_empty() {
        ui.label(weak(view.lang.text(Msg::LookingAtPhoto), view.tokens));
    }
    for (place, words) in writing.texts.iter().enumerate() {
        ui.push_id(("writing", place), |ui| {
            card(ui, |ui| ui.add(Label::new(format!("{words}…")).wrap()));
        });
    }
}

fn offered(ui: &mut Ui, view: &View<'_>, photo: PhotoId, place: usize, offer: &Candidate, out: &mut Vec<UiAction>) {
    ui.add(Label::new(&offer.text).wrap().selectable(true));
    ui.add_space(space::XS);
    let msg = match offer.score {
        score if score >= CONFIDENT => Msg::Confident,
        score if score >= HALF_SURE => Msg::HalfSure,
        _ => Msg::Guess,
    };
    let row = share_row(ui, view.lang.text(msg), offer.score, &view.lang.percent(offer.score), false);
    let unfinished = if offer.ended { "" } else { view.lang.text(Msg::BrokenOff) };
    row.on_hover_text(format!("{}\n{unfinished}", view.lang.text(Msg::ConfidenceTip)).trim_end());
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::XS, space::XS);
        for (glyph, msg, state) in [
            (icons::CHECK, Msg::Accept, CaptionState::Accepted),
            (icons::PENCIL_SIMPLE, Msg::KeepDraft, CaptionState::Draft),
        ] {
            if button(ui, glyph, view.lang.text(msg)).clicked() {
                out.push(WordsAction::Keep { photo, place, state }.into());
            }
        }
    });
}

/// Language and way of writing: for one photo here, for many in the sheet.
pub(super) fn wishes(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        language_choice(ui, view, out);
        how_menu(ui, view, out);
    });
}

fn language_choice(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let wish = &view.saved.window.wish;
    for other in Lang::ALL {
        let code = caption_code(other);
        let reads = super::model(view).is_none_or(|info| info.languages.iter().any(|known| known.starts_with(code)));
        let taken = ui.add_enabled_ui(reads, |ui| choice(ui, wish.code(view.lang) == code, other.own_name()));
        if taken.inner {
            out.push(WordsAction::SetWish(Wish { lang: Some(code.to_owned()), ..wish.clone() }).into());
        }
    }
}

fn how_words(how: How) -> (Msg, Msg) {
    match how {
        How::Beam => (Msg::HowBeam, Msg::HowBeamTip),
        How::Greedy => (Msg::HowGreedy, Msg::HowGreedyTip),
        How::Sampling => (Msg::HowSampling, Msg::HowSamplingTip),
    }
}

fn how_menu(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let (lang, wish) = (view.lang, &view.saved.window.wish);
    let shown = menu_button(ui, lang.text(Msg::HowTitle), lang.text(how_words(wish.how).0));
    let stays = PopupCloseBehavior::CloseOnClickOutside;
    Popup::menu(&shown).close_behavior(stays).show(|ui| {
        // A form, not a list of commands: its controls look as they do elsewhere.
        ui.reset_style();
        menu_text(ui, 280.0, |ui| how_form(ui, view, out));
    });
}

fn how_form(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let (lang, wish) = (view.lang, &view.saved.window.wish);
    super::batch::outline(ui, view);
    for how in How::ALL {
        let (label, tip) = how_words(how);
        ui.push_id(how, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            if ui.radio(wish.how == how, lang.text(label)).clicked() {
                out.push(WordsAction::SetWish(Wish { how, ..wish.clone() }).into());
            }
            ui.add(Label::new(weak(lang.text(tip), view.tokens)).wrap());
        });
    }
    ui.separator();
    if wish.how != How::Greedy {
        ui.horizontal(|ui| {
            ui.label(lang.text(Msg::Sentences));
            for candidates in [1, 3, 5] {
                if choice(ui, wish.candidates == candidates, &candidates.to_string()) {
                    out.push(WordsAction::SetWish(Wish { candidates, ..wish.clone() }).into());
                }
            }
        });
    }
    if wish.how == How::Sampling {
        ui.horizontal(|ui| {
            ui.label(lang.text(Msg::Seed)).on_hover_text(lang.text(Msg::SeedTip));
            let mut seed = wish.seed;
            let drag = DragValue::new(&mut seed).range(0..=u64::from(u32::MAX)).speed(1.0);
            if ui.add(drag).accessible_name(lang.text(Msg::Seed)).changed() {
                out.push(WordsAction::SetWish(Wish { seed, ..wish.clone() }).into());
            }
        });
    }
}
