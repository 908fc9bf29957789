//! The tabs beside a photo that a Fuse model works for: caption, ask, match. And what they
//! say where it cannot.

pub mod ask;
pub mod batch;
pub mod caption;
pub mod match_tab;

use egui::{Button, CornerRadius, Id, Label, RichText, Sense, Stroke, Ui, WidgetInfo, vec2};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::Msg;
use crate::app::tokens::{RADIUS, layout, space, text};
use crate::app::widgets::{button, card, icon, icons, strong};
use crate::app::words::{Field, Tab, WordsAction};
use crate::domain::PhotoId;
use crate::engine::{BUILT_IN_FUSE, FailureKind, FuseInfo};
use crate::models::fuse::Sees;

use super::View;

/// The tabs over the inspector.
pub fn tabs(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let open = view.saved.window.tab;
    ui.spacing_mut().item_spacing.x = 0.0;
    ui.horizontal(|ui| {
        let width = ui.available_width() / Tab::ALL.len() as f32;
        for tab in Tab::ALL {
            let (msg, command) = match tab {
                Tab::Info => (Msg::TabInfo, UserCommand::Info),
                Tab::Caption => (Msg::TabCaption, UserCommand::Caption),
                Tab::Ask => (Msg::TabAsk, UserCommand::Ask),
                Tab::Match => (Msg::TabMatch, UserCommand::Match),
            };
            let words = view.lang.text(msg);
            let (rect, response) = ui.allocate_exact_size(vec2(width, layout::ROW + space::XS), Sense::click());
            response.widget_info(|| WidgetInfo::selected(egui::Role::Tab, true, tab == open, words));
            let painter = ui.painter();
            if response.hovered() || response.has_focus() {
                painter.rect_filled(rect, CornerRadius::same(RADIUS), view.tokens.hover);
            }
            let ink = if tab == open { view.tokens.text } else { view.tokens.text_weak };
            let font = egui::FontId::proportional(text::BODY);
            painter.text(rect.center(), egui::Align2::CENTER_CENTER, words, font, ink);
            if tab == open {
                painter.hline(
                    rect.x_range().shrink(space::S),
                    rect.bottom() - 1.0,
                    Stroke::new(2.0, view.tokens.accent),
                );
            }
            crate::app::widgets::focus_ring(painter, rect, &response, view.tokens);
            let keys = command.key_text(ui.ctx()).map_or(String::new(), |key| format!(" ({key})"));
            let tip = format!("{}{keys}", view.lang.text(command.words().1));
            if response.on_hover_text(tip).clicked() {
                out.push(WordsAction::ShowTab(tab).into());
            }
        }
    });
}

/// What a tab needs of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Caption,
    Answer,
    Match,
}

/// One sentence where no model can do it, with a button where one would; true if none can.
pub fn unable(ui: &mut Ui, view: &View<'_>, need: Need, out: &mut Vec<UiAction>) -> bool {
    let Some((words, mends)) = why_unable(view, need) else { return false };
    card(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.label(icon(icons::INFO, text::LARGE).color(view.tokens.text_weak));
            ui.add(Label::new(RichText::new(words)).wrap());
        });
        if mends && button(ui, icons::CUBE, view.lang.text(Msg::UseBuiltInModel)).clicked() {
            out.push(UiAction::UseModel(BUILT_IN_FUSE.to_owned()));
        }
    });
    true
}

/// Why the model cannot do it, and whether the built-in one could.
fn why_unable(view: &View<'_>, need: Need) -> Option<(String, bool)> {
    let lang = view.lang;
    let built_in = has_built_in(view);
    match view.rt.fuse()? {
        Err(failure) if failure.kind == FailureKind::NoFuseModel => Some((
            lang.text(match need {
                Need::Caption => Msg::NoModelCaption,
                Need::Answer => Msg::NoModelAsk,
                Need::Match => Msg::NoModelMatch,
            })
            .to_owned(),
            false,
        )),
        Err(failure) => Some((lang.failure(failure), built_in)),
        Ok(info) => {
            let able = info.abilities.is_none_or(|able| match need {
                Need::Caption => able.caption,
                Need::Answer => able.answer,
                Need::Match => able.matching,
            });
            let mends = built_in && info.pack != BUILT_IN_FUSE;
            if !able {
                let msg = match need {
                    Need::Caption => Msg::CannotCaption,
                    Need::Answer => Msg::CannotAsk,
                    Need::Match => Msg::CannotMatch,
                };
                return Some((lang.fill(msg, &[("name", &info.name)]), mends));
            }
            (info.sees == Some(Sees::Features)).then(|| (lang.fill(Msg::SeesFeatures, &[("name", &info.name)]), mends))
        }
    }
}

/// The pack that comes with the program is among the library's models.
fn has_built_in(view: &View<'_>) -> bool {
    view.rt.library.as_ref().is_some_and(|library| library.models.iter().any(|model| model.pack == BUILT_IN_FUSE))
}

/// A model that can be asked, as far as is known.
fn model<'a>(view: &View<'a>) -> Option<&'a FuseInfo> {
    view.rt.fuse().and_then(Result::ok)
}

/// The identity of a photo's field: its cursor and its undo are its own.
fn field_id(photo: PhotoId, field: Field) -> Id {
    Id::unique(("words field", photo, field))
}

/// A quiet heading.
fn heading(ui: &mut Ui, words: &str) {
    ui.label(strong(words, text::BODY));
}

/// A wide button that a sentence stands on, as it would be typed.
fn sentence_button(ui: &mut Ui, view: &View<'_>, words: &str) -> bool {
    let content = RichText::new(words).color(view.tokens.accent);
    let row = Button::new(content).wrap().frame_when_inactive(false).min_size(vec2(ui.available_width(), layout::ROW));
    ui.add(row.right_text("")).accessible_name(words).clicked()
}
