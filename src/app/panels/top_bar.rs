//! The bar on top: the search field, the model menu, the main menu.

use egui::{
    Align, Button, CornerRadius, EventFilter, Frame, Id, Key, Label, Layout, Margin, Modifiers, Popup, RichText,
    Stroke, TextEdit, Ui, vec2,
};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::Msg;
use crate::app::shown::Question;
use crate::app::tokens::{RADIUS_LARGE, layout, space, text};
use crate::app::widgets::{icon, icon_button, icon_button_sized, icons, menu_room, strong, weak};
use crate::engine::Scope;

use super::{View, rerank};

const FIELD_HEIGHT: f32 = 36.0;
const FIELD_WIDTH: f32 = 640.0;

/// The search field's id: it keeps the cursor whatever appears around it.
pub(in crate::app) fn field_id() -> Id {
    Id::unique("search field")
}

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.x = space::S;
    ui.horizontal_centered(|ui| {
        ui.set_min_height(layout::TOP_BAR);
        let rail = view.lang.text(UserCommand::ToggleRail.words().0);
        if view.rt.is_first_start() {
            ui.add_space(space::XS);
        } else if icon_button(ui, icons::SIDEBAR_SIMPLE, rail).clicked() {
            out.push(UiAction::Run(UserCommand::ToggleRail));
        }
        ui.label(strong(view.lang.text(Msg::AppName), text::LARGE));
        // The menus stand at the right edge; the field takes what is left, in the middle.
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            main_menu(ui, view, out);
            model_menu(ui, view, out);
            rerank::button(ui, view, out);
            let room = ui.available_width() - space::L;
            ui.allocate_ui_with_layout(vec2(room, FIELD_HEIGHT), Layout::left_to_right(Align::Center), |ui| {
                let width = room.min(FIELD_WIDTH);
                ui.add_space((room - width) / 2.0);
                field(ui, view, width, out);
            });
        });
    });
}

fn field(ui: &mut Ui, view: &View<'_>, width: f32, out: &mut Vec<UiAction>) {
    let id = field_id();
    let has_focus = ui.memory(|memory| memory.has_focus(id));
    // Down leads from the field to the photos.
    let down = has_focus
        && !view.rt.search.composing
        && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::ArrowDown));
    if down && !view.rt.ids().is_empty() {
        ui.memory_mut(|memory| memory.surrender_focus(id));
        out.push(UiAction::Step { by: 0, extend: false });
    }
    let ring = if has_focus { view.tokens.accent } else { view.tokens.line };
    let frame = Frame::new()
        .fill(view.tokens.raised)
        .stroke(Stroke::new(1.0, ring))
        .corner_radius(CornerRadius::same(RADIUS_LARGE))
        .inner_margin(Margin::symmetric(space::S as i8, 0));
    frame.show(ui, |ui| {
        ui.set_height(FIELD_HEIGHT - 2.0);
        ui.set_width(width - 2.0 * space::S - 2.0);
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = space::XS;
            ui.label(icon(icons::MAGNIFYING_GLASS, text::ICON).color(view.tokens.text_weak));
            // A scope of its own, so that the field's neighbours never change its place in the tree.
            ui.scope(|ui| chip(ui, view, out));
            let busy = view.rt.search.text.is_empty() && !is_by_picture(view);
            let clear_width = if busy { 0.0 } else { 28.0 };
            let mut typed = view.rt.search.text.clone();
            let edit = TextEdit::singleline(&mut typed)
                .id(id)
                .frame(Frame::NONE)
                .margin(Margin::symmetric(space::XS as i8, 0))
                .align(egui::Align2::LEFT_CENTER)
                .min_size(vec2(0.0, FIELD_HEIGHT - 2.0))
                .font(egui::FontId::proportional(text::LARGE))
                .hint_text(RichText::new(hint(view)).color(view.tokens.text_weak))
                .desired_width(ui.available_width() - clear_width - space::XS)
                // Escape is ours: it clears, and the cursor stays.
                .event_filter(EventFilter { escape: true, horizontal_arrows: true, ..EventFilter::default() })
                .char_limit(4096);
            let response = ui.add(edit).accessible_name(view.lang.text(Msg::SearchField));
            let response = response.on_hover_text(view.lang.text(Msg::SearchTip));
            if view.rt.search.take_focus {
                response.request_focus();
                out.push(UiAction::SearchFocused);
            }
            if response.changed() || typed != view.rt.search.text {
                out.push(UiAction::Typed { text: typed, composing: view.rt.search.composing });
            }
            if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                out.push(UiAction::SearchNow);
            }
            if !busy
                && icon_button_sized(ui, icons::X, view.lang.text(Msg::ClearSearch), vec2(28.0, 28.0), true).clicked()
            {
                out.push(UiAction::ClearSearch);
            }
        });
    });
}

/// What may be typed, and where it will be looked for.
fn hint(view: &View<'_>) -> String {
    match view.saved.window.scope {
        scope @ Scope::Folder(_) => view.lang.fill(Msg::SearchHintIn, &[("name", &view.scope_name(scope))]),
        _ => view.lang.text(Msg::SearchHint).to_owned(),
    }
}

fn is_by_picture(view: &View<'_>) -> bool {
    matches!(view.rt.asked.question, Some(Question::Picture(_) | Question::Similar(..)))
}

/// What picture is searched by.
fn chip(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let name = match &view.rt.asked.question {
        Some(Question::Picture(path)) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Some(Question::Similar(_, name)) => name.clone(),
        Some(Question::Text(_)) | None => return,
    };
    let words = view.lang.fill(Msg::LikePhoto, &[("name", &name)]);
    let chip = Button::new((icon(icons::IMAGE, text::ICON), RichText::new(&words))).selected(true).truncate();
    ui.set_max_width(ui.available_width() * 0.6);
    if ui.add(chip).accessible_name(&words).on_hover_text(view.lang.text(Msg::ClearSearch)).clicked() {
        out.push(UiAction::ClearSearch);
    }
}

fn model_menu(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let models = view.rt.library.as_ref().map_or(&[][..], |library| &library.models);
    let active = models.iter().find(|model| model.active).or(models.first());
    let name = active.map_or(view.lang.text(Msg::ModelNone), |model| &model.name);
    let words = RichText::new(name).color(view.tokens.text_weak);
    let content =
        (icon(icons::CUBE, text::ICON).color(view.tokens.text_weak), words, icon(icons::CARET_DOWN, text::SMALL));
    let label = format!("{}: {name}", view.lang.text(Msg::ModelMenu));
    let response = ui.add(Button::new(content).frame_when_inactive(false)).accessible_name(label);
    Popup::menu(&response).show(|ui| {
        menu_room(ui, 300.0);
        if models.is_empty() {
            ui.label(weak(view.lang.text(Msg::ModelNone), view.tokens));
        }
        for model in models {
            ui.push_id(&model.pack, |ui| {
                let glyph = if model.active { icons::CHECK } else { icons::CUBE };
                let row = Button::new((icon(glyph, text::ICON), RichText::new(&model.name))).selected(model.active);
                let response =
                    ui.add(row.min_size(vec2(ui.available_width(), layout::ROW))).accessible_name(&model.name);
                if response.clicked() && !model.active {
                    out.push(UiAction::UseModel(model.pack.clone()));
                }
                let indexed = view.lang.fill(Msg::ModelPhotos, &[("n", &view.lang.number(model.embedded))]);
                let state =
                    if model.active { format!("{} · {indexed}", view.lang.text(Msg::ModelInUse)) } else { indexed };
                let about = Margin { left: space::XL as i8 + space::S as i8, bottom: space::XS as i8, ..Margin::ZERO };
                Frame::new().inner_margin(about).show(ui, |ui| {
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.add(Label::new(weak(view.lang.good_at(model), view.tokens)).wrap());
                        ui.label(weak(state, view.tokens));
                    });
                });
            });
        }
    });
}

fn main_menu(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let response = icon_button(ui, icons::DOTS_THREE, view.lang.text(Msg::MainMenu));
    Popup::menu(&response).show(|ui| {
        menu_room(ui, 280.0);
        for group in [
            &[UserCommand::AddFolder, UserCommand::Rescan, UserCommand::SearchByPicture][..],
            &[UserCommand::CaptionMany, UserCommand::Reword, UserCommand::Export],
            &[UserCommand::Undo, UserCommand::Redo],
            &[UserCommand::ToggleRail, UserCommand::ToggleInspector, UserCommand::ToggleTheme],
            &[UserCommand::Settings, UserCommand::Palette, UserCommand::Help],
        ] {
            for &command in group {
                command_row(ui, view, command, out);
            }
            if group.last() != Some(&UserCommand::Help) {
                ui.separator();
            }
        }
    });
}

/// A command in a menu: its label, and its key at the right.
pub(super) fn command_row(ui: &mut Ui, view: &View<'_>, command: UserCommand, out: &mut Vec<UiAction>) {
    let (label, tip) = command.words();
    let label = view.lang.text(label);
    // What would be taken back, or done again.
    let step = match command {
        UserCommand::Undo => Some(view.rt.words.steps.undo),
        UserCommand::Redo => Some(view.rt.words.steps.redo),
        _ => None,
    };
    let words = match step.flatten() {
        Some(act) => format!("{label}: {}", view.lang.act(act)),
        None => label.to_owned(),
    };
    let mut button = Button::new(words).min_size(vec2(ui.available_width(), layout::ROW)).frame_when_inactive(false);
    if let Some(keys) = command.key_text(ui.ctx()) {
        button = button.shortcut_text(RichText::new(keys).size(text::SMALL));
    }
    let row = ui.add_enabled(step.is_none_or(|step| step.is_some()), button).accessible_name(label);
    if row.on_hover_text(view.lang.text(tip)).clicked() {
        out.push(UiAction::Run(command));
        ui.close();
    }
}
