//! A conversation about one photo: questions, ranked answers with their bars, and plain
//! words where the model is not sure or a question cannot be asked.

use egui::{Align, CornerRadius, Frame, Label, Layout, Margin, Panel, RichText, ScrollArea, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::tokens::{RADIUS, space, text};
use crate::app::widgets::{field, icon, icon_button_sized, icons, share_row, weak};
use crate::app::words::{Field, Slot, Unkept, WordsAction};
use crate::domain::{Answer, PhotoId};

use super::super::View;
use super::{Need, field_id, heading, sentence_button, unable};

/// Answers that are shown of each question.
const SHOWN: usize = 4;
/// Answers less likely than this say nothing.
const LEAST: f32 = 0.01;

/// The tab: what was said above, the field below, always in sight.
pub fn show(ui: &mut Ui, view: &View<'_>, photo: PhotoId, above: impl FnOnce(&mut Ui), out: &mut Vec<UiAction>) {
    let frame = Frame::new().fill(view.tokens.panel).inner_margin(Margin::symmetric(space::L as i8, space::M as i8));
    Panel::bottom("ask field").frame(frame).show(ui, |ui| question(ui, view, photo, out));
    ScrollArea::vertical().id_salt("conversation").auto_shrink([false, false]).stick_to_bottom(true).show(ui, |ui| {
        Frame::new().inner_margin(space::L).show(ui, |ui| {
            above(ui);
            ui.spacing_mut().item_spacing.y = space::S;
            ui.add_space(space::S);
            conversation(ui, view, photo, out);
        });
    });
}

fn conversation(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    let words = &view.rt.words;
    let kept = words.known(photo).map_or(&[][..], |words| &words.answers);
    let unkept = words.unkept.get(&photo).map_or(&[][..], Vec::as_slice);
    let asking = words.asking.as_ref().filter(|asking| asking.photo == photo);
    if unable(ui, view, Need::Answer, out) && kept.is_empty() {
        return;
    }
    if kept.is_empty() && unkept.is_empty() && asking.is_none() {
        return suggestions(ui, view, photo, out);
    }
    for answer in kept {
        ui.push_id(answer.id, |ui| {
            if asked(ui, view, &answer.question, true) {
                out.push(WordsAction::RemoveAnswer(answer.id).into());
            }
            answers(ui, view, &answer.ranked, answer.unsure);
        });
    }
    for (place, Unkept { question, reply }) in unkept.iter().enumerate() {
        ui.push_id(("unkept", place), |ui| {
            if asked(ui, view, question, true) {
                out.push(WordsAction::DropUnkept { photo, place }.into());
            }
            match reply {
                Ok(reply) => match &reply.refused {
                    Some(refusal) => said(ui, view, &view.lang.refusal(refusal)),
                    None => answers(ui, view, &reply.ranked, reply.unsure),
                },
                Err(failure) => said(ui, view, &view.lang.failure(failure)),
            }
        });
    }
    if let Some(asking) = asking {
        asked(ui, view, &asking.question, false);
        ui.label(weak(view.lang.text(Msg::Thinking), view.tokens));
    }
}

/// A question, as the person's side of the conversation; true if it is to go.
fn asked(ui: &mut Ui, view: &View<'_>, question: &str, can_go: bool) -> bool {
    ui.add_space(space::XS);
    ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let frame = Frame::new().fill(view.tokens.selected).corner_radius(CornerRadius::same(RADIUS));
        frame.inner_margin(Margin::symmetric(space::M as i8, space::S as i8)).show(ui, |ui| {
            ui.set_max_width((ui.available_width() - space::XXL).max(80.0));
            ui.add(Label::new(question).wrap().selectable(true));
        });
        let size = vec2(space::XL, space::XL);
        can_go && icon_button_sized(ui, icons::X, view.lang.text(Msg::RemoveQuestion), size, true).clicked()
    })
    .inner
}

/// Ranked answers: the best one large, the others as bars below it.
fn answers(ui: &mut Ui, view: &View<'_>, ranked: &[Answer], unsure: bool) {
    if unsure {
        said(ui, view, view.lang.text(Msg::Unsure));
    }
    let shown = ranked.iter().enumerate().take(SHOWN).filter(|(place, answer)| *place == 0 || answer.score >= LEAST);
    for (place, answer) in shown {
        let words = answer.text.replace('_', " ");
        let best = place == 0 && !unsure;
        let row = share_row(ui, &words, answer.score, &view.lang.percent(answer.score), best);
        row.on_hover_text(view.lang.text(Msg::AnswerTip));
    }
}

fn said(ui: &mut Ui, view: &View<'_>, words: &str) {
    ui.horizontal_top(|ui| {
        ui.label(icon(icons::QUESTION, text::LARGE).color(view.tokens.warn));
        ui.add(Label::new(RichText::new(words)).wrap());
    });
}

/// Nothing was asked yet: what one could ask.
fn suggestions(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    heading(ui, view.lang.text(Msg::AskFirst));
    ui.spacing_mut().item_spacing.y = space::XS;
    for msg in [Msg::AskWhat, Msg::AskColour, Msg::AskMany, Msg::AskWhere, Msg::AskDoing] {
        let question = view.lang.text(msg);
        if sentence_button(ui, view, question) {
            out.push(WordsAction::Ask { photo, question: question.to_owned() }.into());
        }
    }
}

fn question(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    let slot = Slot { photo, field: Field::Question };
    let now = view.rt.words.typing.get(slot).unwrap_or_default();
    let busy = view.rt.words.asking.as_ref().is_some_and(|asking| asking.photo == photo);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let send = |ui: &mut Ui| {
            let size = vec2(space::XL + space::S, space::XL + space::S);
            icon_button_sized(ui, icons::PAPER_PLANE_RIGHT, view.lang.text(Msg::AskSend), size, true).clicked()
        };
        let pressed = ui.add_enabled_ui(!now.trim().is_empty() && !busy, send).inner;
        let id = field_id(photo, Field::Question);
        let edited = field(ui, id, view.lang.text(Msg::AskField), view.lang.text(Msg::AskHint), now, 1);
        if view.rt.words.focus == Some(Field::Question) {
            edited.response.request_focus();
            out.push(WordsAction::Focused.into());
        }
        if let Some(text) = edited.text {
            out.push(WordsAction::Typed(slot, text).into());
        }
        if (edited.entered || pressed) && !busy {
            out.push(WordsAction::Ask { photo, question: now.to_owned() }.into());
        }
    });
}
