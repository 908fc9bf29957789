//! Controls of forms: choices side by side, fields of several lines, shares as bars, cards.

use egui::{
    Align2, Button, CornerRadius, EventFilter, FontId, Frame, Id, Key, KeyboardShortcut, Modifiers, Response, RichText,
    Role, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2,
};

use crate::app::fonts;
use crate::app::tokens::{RADIUS, Tokens, layout, space, text};

use super::{elided, icon, match_bar};

/// One of several choices that stand side by side; true when it was taken.
pub fn choice(ui: &mut Ui, selected: bool, words: &str) -> bool {
    ui.add(Button::new(words).selected(selected).min_size(vec2(0.0, layout::ROW))).clicked() && !selected
}

/// A button that opens a menu, with what is chosen at present; `name` says what the choice is about.
pub fn menu_button(ui: &mut Ui, name: &str, chosen: &str) -> Response {
    let content = (RichText::new(chosen), icon(super::icons::CARET_DOWN, text::SMALL));
    let button = Button::new(content).min_size(vec2(0.0, layout::ROW)).truncate();
    ui.add(button).accessible_name(format!("{name}: {chosen}")).on_hover_text(name)
}

/// What was done in a field.
pub struct Edited {
    /// The new text, if it changed.
    pub text: Option<String>,
    /// Enter was pressed.
    pub entered: bool,
    pub response: Response,
}

/// A field for a few lines: Enter is for the caller, shift-Enter begins a new line.
pub fn field(ui: &mut Ui, id: Id, name: &str, hint: &str, now: &str, rows: usize) -> Edited {
    let tokens = Tokens::get(ui.ctx());
    let mut typed = now.to_owned();
    let edit = TextEdit::multiline(&mut typed)
        .id(id)
        .desired_width(f32::INFINITY)
        .desired_rows(rows)
        .margin(vec2(space::S, space::S - 2.0))
        .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
        .hint_text(RichText::new(hint).color(tokens.text_weak))
        // Escape is the window's: it leaves the field, and nothing else goes with it.
        .event_filter(EventFilter {
            escape: true,
            horizontal_arrows: true,
            vertical_arrows: true,
            ..Default::default()
        })
        .char_limit(4096);
    let response = ui.add(edit).accessible_name(name);
    let entered = response.has_focus() && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter));
    Edited { text: (typed != now).then_some(typed), entered, response }
}

/// A named share: what it is, its figure, and a bar. One answer, one score.
pub fn share_row(ui: &mut Ui, name: &str, share: f32, figure: &str, strong: bool) -> Response {
    let tokens = Tokens::get(ui.ctx());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), space::XL + space::XS), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Meter, true, format!("{name}: {figure}"));
        info.value = Some(f64::from(share));
        info
    });
    let middle = rect.top() + space::S + 1.0;
    let small = FontId::proportional(text::SMALL);
    let at = pos2(rect.right(), middle);
    let drawn = ui.painter().text(at, Align2::RIGHT_CENTER, figure, small, tokens.text_weak);
    let font = if strong { FontId::new(text::BODY, fonts::strong()) } else { FontId::proportional(text::BODY) };
    elided(ui, pos2(rect.left(), middle), name, drawn.left() - rect.left() - space::S, font, tokens.text);
    let bar = egui::Rect::from_min_size(pos2(rect.left(), rect.bottom() - space::S), vec2(rect.width(), space::XS));
    match_bar(ui.painter(), bar, share, tokens, strong);
    response
}

/// A ground that holds together what belongs together.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let tokens = Tokens::get(ui.ctx());
    let frame = Frame::new().fill(tokens.raised).corner_radius(CornerRadius::same(RADIUS)).inner_margin(space::M);
    frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = space::XS;
            add(ui)
        })
        .inner
}
