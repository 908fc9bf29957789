//! The rail on the left: everything, the folders with their state, what needs attention.

use egui::{Align, Button, Frame, Layout, Margin, Panel, Popup, Rect, ScrollArea, Ui, UiBuilder, vec2};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::Msg;
use crate::app::runtime::Overlay;
use crate::app::tokens::{layout, space};
use crate::app::widgets::{RailRow, button, icon_button_sized, icons, menu_room, rail_row, weak};
use crate::domain::JobKind;
use crate::engine::{FolderStatus, Scope};

use super::View;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    // The button stays in sight however many folders there are.
    let foot = Frame::new().inner_margin(Margin { top: space::S as i8, ..Margin::ZERO });
    Panel::bottom("rail foot").frame(foot).show_separator_line(false).show(ui, |ui| {
        ui.with_layout(Layout::top_down_justified(Align::Min), |ui| {
            if button(ui, icons::FOLDER_PLUS, view.lang.text(Msg::AddFolder)).clicked() {
                out.push(UiAction::Run(UserCommand::AddFolder));
            }
        });
    });
    ScrollArea::vertical().id_salt("rail rows").auto_shrink([false, false]).show(ui, |ui| rows(ui, view, out));
}

fn rows(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.y = 2.0;
    let Some(library) = &view.rt.library else { return };
    let scope_row = |ui: &mut Ui, glyph, name, count: u64, scope, signal, out: &mut Vec<UiAction>| {
        let row = RailRow {
            glyph,
            name,
            count: Some(view.lang.number(count)),
            selected: view.rt.asked.scope == scope,
            signal,
            menu: false,
        };
        if ui.push_id(scope, |ui| rail_row(ui, &row)).inner.clicked() {
            out.push(UiAction::ShowScope(scope));
        }
    };
    scope_row(ui, icons::IMAGES, view.lang.text(Msg::AllPhotos), library.photos, Scope::All, None, out);
    let name = view.lang.text(Msg::WithoutCaption);
    scope_row(ui, icons::CLOSED_CAPTIONING, name, library.without_caption, Scope::WithoutCaption, None, out);

    heading(ui, view, Msg::Folders);
    for folder in &library.folders {
        ui.push_id(folder.id, |ui| folder_row(ui, view, folder, out));
    }
    if library.failed + library.missing > 0 {
        heading(ui, view, Msg::NeedsAttention);
    }
    // Each in a scope of its own: what appears above moves no other row's identity.
    if library.failed > 0 {
        let name = view.lang.text(Msg::FailedFiles);
        scope_row(ui, icons::WARNING, name, library.failed, Scope::Failed, None, out);
    }
    if library.missing > 0 {
        let name = view.lang.text(Msg::MissingPhotos);
        scope_row(ui, icons::LINK_BREAK, name, library.missing, Scope::Missing, None, out);
    }
}

fn heading(ui: &mut Ui, view: &View<'_>, msg: Msg) {
    ui.add_space(space::M);
    ui.horizontal(|ui| {
        ui.add_space(space::S);
        ui.label(weak(view.lang.text(msg), view.tokens));
    });
}

/// A folder's name: its last part, or the whole where it has none.
pub(super) fn folder_name(folder: &FolderStatus) -> String {
    folder.path.file_name().unwrap_or(folder.path.as_os_str()).to_string_lossy().into_owned()
}

fn folder_row(ui: &mut Ui, view: &View<'_>, folder: &FolderStatus, out: &mut Vec<UiAction>) {
    let name = folder_name(folder);
    let scope = Scope::Folder(folder.id);
    let indexing = view.rt.current_job().is_some_and(|job| match &job.kind {
        JobKind::Index(what) => *what == name,
        JobKind::IndexAll(_) => true,
        JobKind::Caption(_) | JobKind::Export | JobKind::ExportPreview => false,
    });
    let unreadable = view.lang.fill(Msg::FolderFailedCount, &[("n", &view.lang.number(folder.failed))]);
    let signal = if folder.offline {
        Some((icons::HARD_DRIVE, view.tokens.warn, view.lang.text(Msg::FolderOffline)))
    } else if indexing {
        Some((icons::ARROW_CLOCKWISE, view.tokens.accent, view.lang.text(Msg::FolderIndexing)))
    } else if folder.failed > 0 {
        Some((icons::WARNING, view.tokens.warn, unreadable.as_str()))
    } else {
        None
    };
    let row = RailRow {
        glyph: icons::FOLDER,
        name: &name,
        count: Some(view.lang.number(folder.photos)),
        selected: view.rt.asked.scope == scope,
        signal,
        menu: true,
    };
    let response = rail_row(ui, &row);
    let response = response.on_hover_text(folder.path.to_string_lossy());
    if response.clicked() {
        out.push(UiAction::ShowScope(scope));
    }
    // The menu button stands on the row, and shows when the pointer is near.
    let near = ui.rect_contains_pointer(response.rect) || row.selected;
    let side = 28.0;
    let at = Rect::from_center_size(
        egui::pos2(response.rect.right() - side / 2.0 - 2.0, response.rect.center().y),
        vec2(side, side),
    );
    let label = view.lang.fill(Msg::FolderMenu, &[("name", &name)]);
    let menu = ui
        .scope_builder(UiBuilder::new().max_rect(at).id_salt("menu"), |ui| {
            icon_button_sized(ui, icons::DOTS_THREE, &label, vec2(side, side), near)
        })
        .inner;
    let items = |ui: &mut Ui, out: &mut Vec<UiAction>| {
        menu_room(ui, 200.0);
        for (msg, action) in [
            (Msg::RescanFolder, UiAction::RescanFolder(folder.id)),
            (Msg::ShowInFolder, UiAction::Reveal(folder.path.clone())),
            (Msg::CopyPath, UiAction::Copy(folder.path.to_string_lossy().into_owned())),
            (Msg::RemoveFolder, UiAction::Show(Overlay::RemoveFolder(folder.id))),
        ] {
            let row = Button::new(view.lang.text(msg)).min_size(vec2(ui.available_width(), layout::ROW));
            if ui.add(row.frame_when_inactive(false)).clicked() {
                out.push(action);
                ui.close();
            }
        }
    };
    Popup::menu(&menu).show(|ui| items(ui, out));
    response.context_menu(|ui| items(ui, out));
}
