//! The first start: what this is, and three ways in. Also the hint while something is dragged over.

use egui::{Align2, Area, Context, CornerRadius, FontId, Id, Order, RichText, Stroke, StrokeKind, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::fonts;
use crate::app::i18n::Msg;
use crate::app::tokens::{RADIUS_LARGE, space, text};
use crate::app::widgets::{button, icon, icons, primary_button, strong, weak};

use super::View;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.24).max(space::L));
        ui.set_max_width(460.0);
        ui.label(icon(icons::IMAGES, 56.0).color(view.tokens.accent));
        ui.add_space(space::M);
        ui.label(strong(view.lang.text(Msg::WelcomeTitle), text::TITLE + space::XS));
        ui.add_space(space::XS);
        ui.label(RichText::new(view.lang.text(Msg::WelcomeBody)).size(text::BODY + 1.0).color(view.tokens.text_weak));
        ui.add_space(space::XL);
        if primary_button(ui, icons::FOLDER_PLUS, view.lang.text(Msg::AddFolder)).clicked() {
            out.push(UiAction::Run(UserCommand::AddFolder));
        }
        ui.add_space(space::XS);
        ui.label(weak(view.lang.text(Msg::WelcomeDrop), view.tokens));
        ui.add_space(space::XL);
        if view.rt.samples.is_some() && button(ui, icons::SPARKLE, view.lang.text(Msg::TrySamples)).clicked() {
            out.push(UiAction::AddSamples);
        }
    });
}

/// Something is dragged over the window: what letting go will do.
pub fn drop_hint(ctx: &Context, view: &View<'_>) {
    let screen = ctx.content_rect();
    Area::new(Id::unique("drop hint")).order(Order::Foreground).fixed_pos(screen.min).interactable(false).show(
        ctx,
        |ui| {
            ui.set_min_size(screen.size());
            let (painter, t) = (ui.painter(), view.tokens);
            painter.rect_filled(screen, 0.0, t.canvas.gamma_multiply(0.88));
            let frame = screen.shrink(space::L);
            painter.rect_stroke(
                frame,
                CornerRadius::same(RADIUS_LARGE),
                Stroke::new(2.0, t.accent),
                StrokeKind::Inside,
            );
            let (glyph, middle) = (FontId::new(48.0, fonts::icons()), screen.center());
            painter.text(middle - vec2(0.0, space::XXL), Align2::CENTER_CENTER, icons::FOLDER_PLUS, glyph, t.accent);
            let font = FontId::proportional(text::LARGE);
            painter.text(
                middle + vec2(0.0, space::S),
                Align2::CENTER_CENTER,
                view.lang.text(Msg::DropHere),
                font,
                t.text,
            );
        },
    );
}
