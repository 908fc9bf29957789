//! Sheets over the window: settings, keys, a path typed by hand, "remove this folder?".

use egui::{
    Align, Align2, Context, Frame, Grid, Id, Key, Label, Layout, Modal, RichText, ScrollArea, Stroke, TextEdit, Ui,
};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::{Lang, Msg};
use crate::app::runtime::Overlay;
use crate::app::services::PickKind;
use crate::app::tokens::{space, text};
use crate::app::widgets::{button, choice, icon_button, icons, primary_button, strong, weak};
use crate::config::Theme;
use crate::domain::FolderId;

use super::{View, export, fuse, grid, palette, rail, reword};

/// Shows the sheet that is open.
pub fn show(ctx: &Context, view: &View<'_>, out: &mut Vec<UiAction>) {
    let Some(overlay) = &view.rt.overlay else { return };
    let frame = Frame::window(&ctx.global_style()).inner_margin(space::XL);
    let room = ctx.content_rect().width() - 2.0 * space::XXL;
    let modal = Modal::new(Id::unique("sheet")).frame(frame).show(ctx, |ui| {
        // What stands on a sheet must stand out from it.
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = view.tokens.hover;
        widgets.hovered.weak_bg_fill = view.tokens.pressed;
        let wide = matches!(overlay, Overlay::Help | Overlay::Reword | Overlay::Export);
        ui.set_width(room.min(if wide { 560.0 } else { 480.0 }));
        match overlay {
            Overlay::Settings => settings(ui, view, out),
            Overlay::Help => help(ui, view, out),
            Overlay::Palette { typed } => palette::show(ui, view, typed, out),
            Overlay::TypePath { kind, typed, dialog_is_open } => {
                type_path(ui, view, *kind, typed, *dialog_is_open, out)
            }
            Overlay::Batch => fuse::batch::sheet(ui, view, out),
            Overlay::Reword => reword::show(ui, view, out),
            Overlay::Export => export::show(ui, view, out),
            Overlay::RemoveFolder(folder) => remove_folder(ui, view, *folder, out),
        }
    });
    if view.rt.overlay_is_new {
        out.push(UiAction::OverlayShown);
    }
    if modal.backdrop_response.clicked() {
        out.push(UiAction::CloseOverlay);
    }
}

/// A sheet's title, and the cross that closes it.
pub(super) fn title(ui: &mut Ui, view: &View<'_>, words: &str, out: &mut Vec<UiAction>) {
    ui.horizontal(|ui| {
        ui.label(strong(words, text::TITLE));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::X, view.lang.text(Msg::Close)).clicked() {
                out.push(UiAction::CloseOverlay);
            }
        });
    });
    ui.add_space(space::S);
}

fn settings(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let (lang, saved) = (view.lang, view.saved);
    title(ui, view, lang.text(Msg::Settings), out);
    Grid::new("settings").num_columns(2).spacing([space::XL, space::L]).min_col_width(112.0).show(ui, |ui| {
        ui.label(lang.text(Msg::SettingsTheme));
        ui.horizontal(|ui| {
            for (theme, msg) in
                [(Theme::System, Msg::ThemeSystem), (Theme::Light, Msg::ThemeLight), (Theme::Dark, Msg::ThemeDark)]
            {
                if ui.push_id(msg, |ui| choice(ui, saved.settings.theme == theme, lang.text(msg))).inner {
                    out.push(UiAction::SetTheme(theme));
                }
            }
        });
        ui.end_row();

        ui.label(lang.text(Msg::SettingsLanguage));
        ui.horizontal(|ui| {
            let chosen = saved.settings.language.as_deref().map(Lang::of_code);
            if ui.push_id("system", |ui| choice(ui, chosen.is_none(), lang.text(Msg::LanguageSystem))).inner {
                out.push(UiAction::SetLanguage(None));
            }
            for other in Lang::ALL {
                if choice(ui, chosen == Some(other), other.own_name()) {
                    out.push(UiAction::SetLanguage(Some(other)));
                }
            }
        });
        ui.end_row();

        ui.label(lang.text(Msg::ThumbnailSize));
        grid::thumbnail_slider(ui, view, 200.0, out);
        ui.end_row();
    });
    ui.add_space(space::M);
    // The boxes' outlines, so that an empty one is seen.
    ui.visuals_mut().widgets.inactive.bg_stroke = Stroke::new(1.0, view.tokens.text_weak);
    let mut reduced = saved.window.reduced_motion;
    if ui.checkbox(&mut reduced, lang.text(Msg::SettingsMotion)).changed() {
        out.push(UiAction::SetReducedMotion(reduced));
    }
    let mut service = saved.settings.include_service_folders;
    if ui.checkbox(&mut service, lang.text(Msg::SettingsServiceFolders)).changed() {
        out.push(UiAction::SetServiceFolders(service));
    }
    ui.horizontal(|ui| {
        ui.add_space(space::XL + space::XS);
        ui.label(weak(lang.text(Msg::SettingsNextStart), view.tokens));
    });
    if let Some(library) = &view.rt.library {
        ui.separator();
        let device = lang.fill(Msg::DeviceRunsOn, &[("device", &library.device.to_uppercase())]);
        ui.label(weak(device, view.tokens));
        if let Some(note) = &library.device_note {
            ui.add(Label::new(weak(view.lang.device_note(note), view.tokens)).wrap());
        }
    }
}

fn help(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    title(ui, view, view.lang.text(Msg::HelpTitle), out);
    let height = ui.ctx().content_rect().height() - 240.0;
    let room =
        ScrollArea::vertical().id_salt("help").max_height(height.max(160.0)).min_scrolled_height(height.max(160.0));
    room.show(ui, |ui| {
        for command in UserCommand::ALL.into_iter().filter(|command| !command.shortcuts().is_empty()) {
            let (label, tip) = command.words();
            ui.horizontal(|ui| {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.add_space(space::S);
                    let keys = command.key_texts(ui.ctx());
                    ui.label(RichText::new(keys.join("   ")).color(view.tokens.text_weak));
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.spacing_mut().item_spacing.y = 0.0;
                        ui.label(view.lang.text(label));
                        ui.add(Label::new(weak(view.lang.text(tip), view.tokens)).truncate());
                    });
                });
            });
        }
    });
    ui.separator();
    ui.add(Label::new(weak(view.lang.text(Msg::HelpMouse), view.tokens)).wrap());
}

fn type_path(ui: &mut Ui, view: &View<'_>, kind: PickKind, typed: &str, dialog_is_open: bool, out: &mut Vec<UiAction>) {
    let (heading, verb) = match kind {
        PickKind::Folder | PickKind::ExportFolder => (Msg::PathTitle, Msg::PathAdd),
        PickKind::Picture => (Msg::PathPictureTitle, Msg::PathSearch),
    };
    title(ui, view, view.lang.text(heading), out);
    let why = if dialog_is_open { Msg::PathStillOpen } else { Msg::PathNoDialog };
    ui.add(Label::new(RichText::new(view.lang.text(why)).color(view.tokens.text_weak)).wrap());
    ui.add_space(space::S);
    let mut text = typed.to_owned();
    let edit = TextEdit::singleline(&mut text).id(Id::unique("path field")).desired_width(f32::INFINITY);
    let edit = edit.align(Align2::LEFT_CENTER);
    let edit = edit.hint_text(if cfg!(windows) { r"C:\Users\…\Pictures" } else { "~/Pictures" });
    let response = ui.add(edit).accessible_name(view.lang.text(Msg::PathField));
    if view.rt.overlay_is_new {
        response.request_focus();
    }
    if response.changed() {
        out.push(UiAction::OverlayText(text.clone()));
    }
    let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    ui.add_space(space::M);
    let enabled = !text.trim().is_empty();
    let pressed =
        ui.add_enabled_ui(enabled, |ui| primary_button(ui, icons::CHECK, view.lang.text(verb)).clicked()).inner;
    if enabled && (pressed || entered) {
        out.push(UiAction::PathTyped { kind, text });
    }
}

fn remove_folder(ui: &mut Ui, view: &View<'_>, id: FolderId, out: &mut Vec<UiAction>) {
    let folders = view.rt.library.as_ref().map_or(&[][..], |library| &library.folders);
    let Some(folder) = folders.iter().find(|folder| folder.id == id) else {
        out.push(UiAction::CloseOverlay);
        return;
    };
    let name = rail::folder_name(folder);
    title(ui, view, &view.lang.fill(Msg::RemoveFolderTitle, &[("name", &name)]), out);
    let photos = view.lang.photos(folder.photos + folder.missing);
    let words = view.lang.fill(Msg::RemoveFolderBody, &[("photos", &photos)]);
    ui.add(Label::new(RichText::new(words).color(view.tokens.text_weak)).wrap());
    ui.add_space(space::L);
    ui.horizontal(|ui| {
        if primary_button(ui, icons::TRASH, view.lang.text(Msg::RemoveFolderConfirm)).clicked() {
            out.push(UiAction::RemoveFolder(id));
        }
        if button(ui, icons::X, view.lang.text(Msg::Keep)).clicked() {
            out.push(UiAction::CloseOverlay);
        }
    });
}
