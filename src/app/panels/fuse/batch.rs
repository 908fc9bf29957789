//! Captions for many photos: the sheet that starts a batch, and the list of what it writes.

use egui::{Color32, CornerRadius, Label, RichText, Sense, Stroke, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::tokens::{RADIUS, space, text};
use crate::app::widgets::{icon, icon_button_sized, icons, primary_button, strong, weak};
use crate::app::words::{Among, Batch, BatchForm, WordsAction};
use crate::engine::Scope;

use super::super::grid::cropped;
use super::super::{View, sheets};
use super::{Need, caption, unable};

/// What the sheet asks.
pub fn sheet(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    sheets::title(ui, view, lang.text(Msg::BatchTitle), out);
    ui.add(Label::new(RichText::new(lang.text(Msg::BatchBody)).color(view.tokens.text_weak)).wrap());
    ui.add_space(space::S);
    let form = &view.rt.words.forms.batch;
    if let Some(among) =
        among(ui, view, form.among, &[Among::Selected, Among::Shown, Among::All, Among::WithoutCaption])
    {
        out.push(WordsAction::SetBatch(BatchForm { among, ..form.clone() }).into());
    }
    ui.add_space(space::S);
    ui.label(lang.text(Msg::BatchLanguage));
    caption::wishes(ui, view, out);
    ui.add_space(space::S);
    let mut missing_only = form.missing_only || form.among == Among::WithoutCaption;
    let open = form.among != Among::WithoutCaption;
    let tick = |ui: &mut Ui| checkbox(ui, view, &mut missing_only, Msg::BatchMissingOnly);
    if ui.add_enabled_ui(open, tick).inner {
        out.push(WordsAction::SetBatch(BatchForm { missing_only, ..form.clone() }).into());
    }
    ui.add_space(space::M);
    if unable(ui, view, Need::Caption, out) {
        return;
    }
    let n = view.rt.count_among(form.among);
    let words = lang.fill(Msg::BatchStart, &[("photos", &lang.photos(n))]);
    let press = |ui: &mut Ui| primary_button(ui, icons::SPARKLE, &words).clicked();
    if ui.add_enabled_ui(n > 0, press).inner {
        out.push(WordsAction::StartBatch.into());
    }
}

/// Which photos are meant, each with its number; gives a new choice.
pub(in crate::app::panels) fn among(ui: &mut Ui, view: &View<'_>, now: Among, offered: &[Among]) -> Option<Among> {
    let mut chosen = None;
    // What is shown may be one of the others.
    let same = view.rt.asked.question.is_none() && matches!(view.rt.asked.scope, Scope::All | Scope::WithoutCaption);
    ui.scope(|ui| {
        outline(ui, view);
        ui.spacing_mut().item_spacing.y = 0.0;
        for &among in offered.iter().filter(|&&among| among != Among::Shown || !same) {
            let n = view.rt.count_among(among);
            let name = match among {
                Among::Selected => view.lang.text(Msg::AmongSelected).to_owned(),
                Among::Shown if view.rt.asked.question.is_some() => view.lang.text(Msg::AmongFound).to_owned(),
                Among::Shown => view.lang.fill(Msg::AmongShown, &[("name", &view.scope_name(view.rt.asked.scope))]),
                Among::All => view.lang.text(Msg::AllPhotos).to_owned(),
                Among::WithoutCaption => view.lang.text(Msg::AmongWithoutCaption).to_owned(),
            };
            let words = format!("{name} · {}", view.lang.number(n));
            let radio = |ui: &mut Ui| ui.push_id(among, |ui| ui.radio(now == among, words)).inner;
            if ui.add_enabled_ui(n > 0, radio).inner.clicked() {
                chosen = Some(among);
            }
        }
    });
    chosen
}

/// A box to tick; true if it was.
pub(in crate::app::panels) fn checkbox(ui: &mut Ui, view: &View<'_>, now: &mut bool, msg: Msg) -> bool {
    let tick = |ui: &mut Ui| {
        outline(ui, view);
        ui.checkbox(now, view.lang.text(msg)).changed()
    };
    ui.scope(tick).inner
}

/// The outline of what can be ticked, so that it is seen while it is empty.
pub(super) fn outline(ui: &mut Ui, view: &View<'_>) {
    ui.visuals_mut().widgets.inactive.bg_stroke = Stroke::new(1.0, view.tokens.text_weak);
}

/// What a batch wrote last, as it comes in.
pub fn progress(ui: &mut Ui, view: &View<'_>, batch: &Batch, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    ui.add_space(space::M);
    ui.horizontal(|ui| {
        ui.label(strong(lang.text(Msg::BatchWritten), text::BODY));
        let mut counts = lang.number(batch.written);
        if batch.failed > 0 {
            counts += &format!(" · {}", lang.fill(Msg::BatchFailed, &[("n", &lang.number(batch.failed))]));
        }
        ui.label(weak(counts, view.tokens));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let size = vec2(space::XL, space::XL);
            if icon_button_sized(ui, icons::X, lang.text(Msg::Close), size, true).clicked() {
                out.push(WordsAction::CloseBatch.into());
            }
        });
    });
    for (photo, result) in &batch.latest {
        ui.push_id(photo, |ui| {
            ui.horizontal(|ui| {
                let (rect, response) = ui.allocate_exact_size(vec2(space::XXL, space::XXL), Sense::click());
                let thumb = view.rt.thumbs.get(*photo);
                match thumb.and_then(|thumb| thumb.texture()) {
                    Some((texture, _)) => {
                        let shape = cropped(texture, rect, CornerRadius::same(RADIUS), Color32::WHITE);
                        ui.painter().add(shape);
                    }
                    None => {
                        ui.painter().rect_filled(rect, CornerRadius::same(RADIUS), view.tokens.placeholder);
                    }
                }
                if response.clicked() {
                    out.push(UiAction::Select(*photo));
                }
                match result {
                    Ok(words) => {
                        ui.add(Label::new(words).wrap());
                    }
                    Err(failure) => {
                        ui.label(icon(icons::WARNING, text::BODY).color(view.tokens.warn));
                        let said = ui.add(Label::new(weak(lang.failure(failure), view.tokens)).wrap());
                        said.on_hover_text(&failure.detail);
                    }
                }
            });
        });
    }
}
