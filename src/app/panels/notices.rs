//! What could not be done, said where it is seen and with the way out: over the window for
//! news, in the middle for a question that failed, on its own page where nothing can start.

use egui::{Align, Align2, Area, Context, Frame, Id, Label, Layout, Order, RichText, ScrollArea, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::Msg;
use crate::app::runtime::{Notice, NoticeKind};
use crate::app::tokens::{layout, space, text};
use crate::app::widgets::{button, icon, icon_button_sized, icons, message, primary_button};
use crate::engine::{BUILT_IN_ALIGN, Failure, FailureKind};

use super::View;

const WIDTH: f32 = 380.0;
/// More at once is a wall.
const SHOWN: usize = 3;

/// News over the lower right corner.
pub fn show(ctx: &Context, view: &View<'_>, out: &mut Vec<UiAction>) {
    if view.rt.notices.is_empty() {
        return;
    }
    let offset = vec2(-space::L, -layout::STATUS_BAR - space::L);
    Area::new(Id::unique("notices")).order(Order::Foreground).anchor(Align2::RIGHT_BOTTOM, offset).show(ctx, |ui| {
        ui.set_max_width(WIDTH);
        ui.spacing_mut().item_spacing.y = space::S;
        let newest = view.rt.notices.len().saturating_sub(SHOWN);
        for notice in &view.rt.notices[newest..] {
            ui.push_id(notice.id, |ui| {
                Frame::window(ui.style()).inner_margin(space::M).show(ui, |ui| one(ui, view, notice, out));
            });
        }
    });
}

fn one(ui: &mut Ui, view: &View<'_>, notice: &Notice, out: &mut Vec<UiAction>) {
    let (glyph, ink, words) = match &notice.kind {
        NoticeKind::Failure(failure) => (icons::WARNING, view.tokens.warn, view.lang.failure(failure)),
        NoticeKind::Copied => (icons::CHECK, view.tokens.good, view.lang.text(Msg::NewsCopied).to_owned()),
        NoticeKind::Step { redone, act, captions } => {
            let (glyph, msg) = match redone {
                true => (icons::ARROW_U_UP_RIGHT, Msg::NewsRedone),
                false => (icons::ARROW_U_UP_LEFT, Msg::NewsUndone),
            };
            let captions = view.lang.captions(*captions as u64);
            let words = view.lang.fill(msg, &[("what", view.lang.act(*act)), ("captions", &captions)]);
            (glyph, view.tokens.good, words)
        }
        NoticeKind::NoStep { redone } => {
            let msg = if *redone { Msg::NewsNothingToRedo } else { Msg::NewsNothingToUndo };
            (icons::INFO, view.tokens.text_weak, view.lang.text(msg).to_owned())
        }
        NoticeKind::Reworded(n) => {
            let captions = view.lang.captions(*n as u64);
            (icons::CHECK, view.tokens.good, view.lang.fill(Msg::NewsReworded, &[("captions", &captions)]))
        }
        NoticeKind::NoDialog => (icons::INFO, view.tokens.warn, view.lang.text(Msg::NewsNoDialog).to_owned()),
    };
    ui.horizontal_top(|ui| {
        ui.label(icon(glyph, text::LARGE).color(ink));
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            if icon_button_sized(ui, icons::X, view.lang.text(Msg::Dismiss), vec2(24.0, 24.0), true).clicked() {
                out.push(UiAction::Dismiss(notice.id));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.add(Label::new(words).wrap());
            });
        });
    });
    if let NoticeKind::Step { redone: false, .. } | NoticeKind::Reworded(_) = &notice.kind {
        // The way back, at hand.
        let command =
            if matches!(notice.kind, NoticeKind::Reworded(_)) { UserCommand::Undo } else { UserCommand::Redo };
        let words = view.lang.text(command.words().0);
        if ui.push_id("back", |ui| ui.button(words)).inner.clicked() {
            out.extend([UiAction::Dismiss(notice.id), UiAction::Run(command)]);
        }
    }
    let NoticeKind::Failure(failure) = &notice.kind else { return };
    let has_details = !failure.detail.is_empty() || !failure.skipped.is_empty();
    ui.horizontal(|ui| {
        ui.push_id("way out", |ui| way_out(ui, view, failure, false, out));
        if has_details {
            let msg = if notice.details_open { Msg::HideDetails } else { Msg::Details };
            if ui.push_id("details", |ui| ui.button(view.lang.text(msg))).inner.clicked() {
                out.push(UiAction::ToggleNoticeDetails(notice.id));
            }
        }
    });
    if notice.details_open && has_details {
        details(ui, view, failure, out);
    }
}

/// What is behind the click: the exact words, the files, and a way to copy them.
fn details(ui: &mut Ui, view: &View<'_>, failure: &Failure, out: &mut Vec<UiAction>) {
    let mut lines = vec![failure.detail.clone()];
    lines.extend(failure.skipped.iter().map(|skipped| {
        format!("{}: {} ({})", skipped.path.display(), view.lang.skipped(skipped.reason), skipped.detail)
    }));
    lines.retain(|line| !line.is_empty());
    let text = lines.join("\n");
    ScrollArea::vertical().id_salt("details").max_height(160.0).show(ui, |ui| {
        ui.add(Label::new(RichText::new(&text).monospace().color(view.tokens.text_weak)).wrap().selectable(true));
    });
    if button(ui, icons::COPY, view.lang.text(Msg::CopyDetails)).clicked() {
        out.push(UiAction::Copy(text));
    }
}

/// The button that mends it, where there is one.
fn way_out(ui: &mut Ui, view: &View<'_>, failure: &Failure, primary: bool, out: &mut Vec<UiAction>) {
    let (glyph, msg, action) = match failure.kind {
        FailureKind::EmptyLibrary => (icons::FOLDER_PLUS, Msg::AddFolder, UiAction::Run(UserCommand::AddFolder)),
        FailureKind::NotIndexed => (icons::ARROW_CLOCKWISE, Msg::IndexNow, UiAction::Run(UserCommand::Rescan)),
        FailureKind::Model => (icons::CUBE, Msg::UseBuiltInModel, UiAction::UseModel(BUILT_IN_ALIGN.to_owned())),
        FailureKind::LibraryReplaced => (icons::ARROW_CLOCKWISE, Msg::OpenAgain, UiAction::Reopen),
        FailureKind::Folder
        | FailureKind::FolderEmptied
        | FailureKind::DiskFull
        | FailureKind::LibraryLocked
        | FailureKind::LibraryReadOnly => (icons::ARROW_CLOCKWISE, Msg::TryAgain, UiAction::Run(UserCommand::Rescan)),
        _ => return,
    };
    let words = view.lang.text(msg);
    let pressed = if primary { primary_button(ui, glyph, words) } else { button(ui, glyph, words) };
    if pressed.clicked() {
        out.push(action);
    }
}

/// A question that failed, in the place of its answer.
pub fn question_failed(ui: &mut Ui, view: &View<'_>, failure: &Failure, out: &mut Vec<UiAction>) {
    message(ui, icons::WARNING_CIRCLE, &view.lang.failure(failure), "", |ui| {
        way_out(ui, view, failure, true, out);
        if !failure.detail.is_empty() {
            ui.add_space(space::M);
            let id = ui.scope_id().with("details are open");
            let open = ui.data(|data| data.get_temp(id)).unwrap_or(false);
            if ui.button(view.lang.text(if open { Msg::HideDetails } else { Msg::Details })).clicked() {
                ui.data_mut(|data| data.insert_temp(id, !open));
            }
            if open {
                details(ui, view, failure, out);
            }
        }
    });
}

/// The library is being opened, or could not be: nothing else can be shown.
pub fn no_library(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let text = |msg| view.lang.text(msg);
    if view.rt.opening {
        return message(ui, icons::IMAGES, text(Msg::Opening), text(Msg::OpeningBody), |_| {});
    }
    let Some(failure) = &view.rt.fatal else { return };
    message(ui, icons::LOCK_SIMPLE, text(Msg::StartFailedTitle), &view.lang.failure(failure), |ui| {
        if primary_button(ui, icons::ARROW_CLOCKWISE, text(Msg::TryAgain)).clicked() {
            out.push(UiAction::Reopen);
        }
        if !failure.detail.is_empty() {
            ui.add_space(space::L);
            details(ui, view, failure, out);
        }
    });
}
