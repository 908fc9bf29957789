//! One photo, large: fit, zoom, pan, next and previous. The inspector stays.

use egui::{
    Align, CornerRadius, FontId, Frame, Image, Key, Label, Layout, Margin, Panel, Rect, Role, Sense, Ui, WidgetInfo,
    load::SizedTexture, vec2,
};

use crate::app::actions::UiAction;
use crate::app::fonts;
use crate::app::i18n::Msg;
use crate::app::runtime::Viewer;
use crate::app::tokens::{space, text};
use crate::app::widgets::{icon_button, icon_button_sized, icons, strong, weak};

use super::View;

/// One press of "zoom in".
const STEP: f32 = 1.4;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let Some(viewer) = view.rt.viewer else { return };
    let ids = view.rt.ids();
    let place = ids.iter().position(|&id| id == viewer.photo);
    let bar = Frame::new().fill(view.tokens.canvas).inner_margin(Margin::symmetric(space::S as i8, 0));
    Panel::top("viewer bar").exact_size(space::XXL).frame(bar).show_separator_line(false).show(ui, |ui| {
        ui.horizontal_centered(|ui| {
            let text = |msg| view.lang.text(msg);
            if icon_button(ui, icons::ARROW_LEFT, text(Msg::ViewerBack)).clicked() {
                out.push(UiAction::CloseViewer);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let zoom = |by| UiAction::Zoom { by, around: egui::Vec2::ZERO };
                for (glyph, msg, action) in [
                    (icons::FRAME_CORNERS, Msg::ZoomFit, UiAction::ZoomFit),
                    (icons::PLUS, Msg::ZoomIn, zoom(STEP)),
                    (icons::MINUS, Msg::ZoomOut, zoom(STEP.recip())),
                ] {
                    if icon_button(ui, glyph, text(msg)).clicked() {
                        out.push(action);
                    }
                }
                if let Some(place) = place {
                    let (n, total) = (view.lang.number(place as u64 + 1), view.lang.number(ids.len() as u64));
                    ui.label(weak(view.lang.fill(Msg::PositionOf, &[("n", &n), ("total", &total)]), view.tokens));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let name = view.rt.thumbs.get(viewer.photo).map_or("", |thumb| thumb.name.as_str());
                    ui.add(Label::new(strong(name, text::BODY)).truncate());
                });
            });
        });
    });
    picture(ui, view, viewer, out);
    if place.is_some_and(|place| place > 0) {
        arrow(ui, view, -1, out);
    }
    if place.is_some_and(|place| place + 1 < ids.len()) {
        arrow(ui, view, 1, out);
    }
}

fn picture(ui: &mut Ui, view: &View<'_>, viewer: Viewer, out: &mut Vec<UiAction>) {
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let thumb = view.rt.thumbs.get(viewer.photo);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, thumb.map_or("", |thumb| thumb.label())));
    let picture = view.rt.pictures.get(viewer.photo);
    let large = picture.and_then(|picture| picture.value()).map(|picture| &picture.texture);
    let small = thumb.and_then(|thumb| thumb.texture()).map(|(texture, _)| texture);
    let Some(texture) = large.or(small) else {
        let failed = picture.is_some_and(|picture| picture.error().is_some());
        if failed {
            let font = FontId::new(space::XXL, fonts::icons());
            ui.painter().text(
                rect.center() - vec2(0.0, space::XXL),
                egui::Align2::CENTER_CENTER,
                icons::IMAGE_BROKEN,
                font,
                view.tokens.text_weak,
            );
            let words = view.lang.text(Msg::PictureUnavailable);
            let font = FontId::proportional(text::BODY);
            ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, words, font, view.tokens.text_weak);
        }
        return;
    };
    let room = rect.shrink2(vec2(space::XXL + space::S, space::S)).size();
    let size = texture.size_vec2();
    let fit = size * (room / size).min_elem();
    let drawn = Rect::from_center_size(rect.center() + viewer.pan, fit * viewer.zoom);
    let mut painter_ui = ui.new_child(egui::UiBuilder::new().max_rect(rect));
    painter_ui.set_clip_rect(rect.intersect(ui.clip_rect()));
    let radius = if viewer.zoom > 1.0 { CornerRadius::ZERO } else { CornerRadius::same(2) };
    Image::from_texture(SizedTexture::from_handle(texture)).corner_radius(radius).paint_at(&painter_ui, drawn);

    if response.dragged() {
        out.push(UiAction::Pan(response.drag_delta()));
    }
    let around = |at: Option<egui::Pos2>| at.map_or(egui::Vec2::ZERO, |at| at - rect.center());
    if response.double_clicked() {
        let at = around(response.interact_pointer_pos());
        out.push(if viewer.zoom > 1.0 { UiAction::ZoomFit } else { UiAction::Zoom { by: 2.5, around: at } });
    }
    if response.contains_pointer() {
        let (wheel, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let by = pinch * (wheel / 240.0).exp();
        if by != 1.0 {
            out.push(UiAction::Zoom { by, around: around(response.hover_pos()) });
        }
    }
    for (key, by) in [(Key::Plus, STEP), (Key::Equals, STEP), (Key::Minus, STEP.recip())] {
        if ui.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key)) {
            out.push(UiAction::Zoom { by, around: egui::Vec2::ZERO });
        }
    }
}

/// Next or previous, at the picture's side.
fn arrow(ui: &mut Ui, view: &View<'_>, by: isize, out: &mut Vec<UiAction>) {
    let area = ui.min_rect();
    let size = vec2(space::XXL, space::XXL * 1.6);
    let x = if by < 0 { area.left() + size.x / 2.0 + space::XS } else { area.right() - size.x / 2.0 - space::XS };
    let rect = Rect::from_center_size(egui::pos2(x, area.center().y), size);
    let (glyph, msg) =
        if by < 0 { (icons::CARET_LEFT, Msg::PreviousPhoto) } else { (icons::CARET_RIGHT, Msg::NextPhoto) };
    let builder = egui::UiBuilder::new().max_rect(rect).id_salt(("viewer arrow", by));
    let clicked =
        ui.scope_builder(builder, |ui| icon_button_sized(ui, glyph, view.lang.text(msg), size, true)).inner.clicked();
    if clicked {
        out.push(UiAction::ViewStep(by));
    }
}
