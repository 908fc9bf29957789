//! The files that could not be read: which, why, and what can be done about each.

use egui::{Align, Align2, FontId, Layout, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

use crate::app::actions::UiAction;
use crate::app::fonts;
use crate::app::i18n::Msg;
use crate::app::tokens::{space, text};
use crate::app::widgets::{button, elided, icons, message, strong};
use crate::domain::{PhotoId, SkippedReason};

use super::View;

const ROW: f32 = 64.0;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let ids = view.rt.ids();
    if ids.is_empty() {
        if !view.rt.shown.is_loading() {
            message(ui, icons::CHECK_CIRCLE, view.lang.text(Msg::FailedNone), "", |_| {});
        }
        return;
    }
    egui::Frame::new().inner_margin(space::L).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if button(ui, icons::ARROW_CLOCKWISE, view.lang.text(Msg::TryAllAgain)).clicked() {
                    out.push(UiAction::TryAgain(ids.to_vec()));
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    ui.label(strong(view.lang.text(Msg::FailedTitle), text::LARGE));
                    ui.label(RichText::new(view.lang.text(Msg::FailedBody)).color(view.tokens.text_weak));
                });
            });
        });
        ui.add_space(space::M);
        let mut unknown = Vec::new();
        ui.spacing_mut().item_spacing.y = 0.0;
        ScrollArea::vertical().id_salt("failed").auto_shrink([false, false]).show_rows(
            ui,
            ROW,
            ids.len(),
            |ui, rows| {
                for &photo in &ids[rows.start.min(ids.len())..rows.end.min(ids.len())] {
                    ui.push_id(photo, |ui| row(ui, view, photo, out));
                    if !view.rt.details.contains_key(&photo) {
                        unknown.push(photo);
                    }
                }
            },
        );
        if !unknown.is_empty() {
            out.push(UiAction::NeedDetails(unknown));
        }
    });
}

fn row(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let t = view.tokens;
    ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, t.line));
    let Some(details) = view.rt.details.get(&photo).and_then(|details| details.value()) else { return };
    let path = &details.photo.path;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let folder = path.parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    let failure = details.photo.failure.as_ref();
    let reason = view.lang.skipped(failure.map_or(SkippedReason::Unreadable, |failure| failure.reason));

    let glyph = FontId::new(text::TITLE, fonts::icons());
    let at = pos2(rect.left() + space::M, rect.center().y);
    ui.painter().text(at, Align2::CENTER_CENTER, icons::IMAGE_BROKEN, glyph, t.warn);

    // The buttons first: what they leave is the text's.
    let right = Rect::from_min_max(pos2(rect.left() + rect.width() * 0.4, rect.top()), rect.max);
    let builder = egui::UiBuilder::new().max_rect(right).layout(Layout::right_to_left(Align::Center)).id_salt("deeds");
    let buttons = ui.scope_builder(builder, |ui| {
        if button(ui, icons::FOLDER, view.lang.text(Msg::ShowInFolder)).clicked() {
            out.push(UiAction::Reveal(path.clone()));
        }
        if button(ui, icons::ARROW_CLOCKWISE, view.lang.text(Msg::TryAgain)).clicked() {
            out.push(UiAction::TryAgain(vec![photo]));
        }
    });
    let left = rect.left() + space::XXL;
    let width = buttons.response.rect.left() - left - space::M;
    let (small, body) = (FontId::proportional(text::SMALL), FontId::new(text::BODY, fonts::strong()));
    let response = ui.interact(
        Rect::from_min_size(pos2(left, rect.top()), vec2(width.max(0.0), ROW)),
        ui.scope_id().with("text"),
        Sense::hover(),
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name}: {reason}")));
    elided(ui, pos2(left, rect.top() + space::L), &name, width, body, t.text);
    elided(ui, pos2(left, rect.top() + 2.0 * space::L + 2.0), reason, width, small.clone(), t.warn);
    elided(ui, pos2(left, rect.top() + 3.0 * space::L + space::XS), &folder, width, small, t.text_weak);
    // The exact words are one hover away.
    let exact = failure.map_or(reason, |failure| &failure.detail);
    response.on_hover_text(format!("{}\n{exact}", path.display()));
}
