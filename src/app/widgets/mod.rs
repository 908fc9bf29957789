//! Small controls that the panels share. They know the tokens and nothing of the program.

mod forms;
pub mod icons;

use egui::{
    Align, Align2, Button, Color32, CornerRadius, CursorIcon, FontId, Frame, Layout, Painter, Rect, Response, RichText,
    Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::fonts;
use super::tokens::{RADIUS, TARGET, Tokens, space, text};

pub use forms::{card, choice, field, menu_button, share_row};

/// An icon as rich text.
pub fn icon(glyph: &str, size: f32) -> RichText {
    RichText::new(glyph).family(fonts::icons()).size(size)
}

/// A heading.
pub fn strong(words: impl Into<String>, size: f32) -> RichText {
    RichText::new(words).family(fonts::strong()).size(size)
}

/// Small, quiet text.
pub fn weak(words: impl Into<String>, tokens: &Tokens) -> RichText {
    RichText::new(words).size(text::SMALL).color(tokens.text_weak)
}

/// A square button with an icon alone; its name is a tooltip, and what a screen reader says.
pub fn icon_button(ui: &mut Ui, glyph: &str, name: &str) -> Response {
    icon_button_sized(ui, glyph, name, TARGET, true)
}

/// The same, of another size; one that is not `shown` is there all the same, for keyboard and screen reader.
pub fn icon_button_sized(ui: &mut Ui, glyph: &str, name: &str, size: Vec2, shown: bool) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let tokens = Tokens::get(ui.ctx());
    let fill = match () {
        () if response.is_pointer_button_down_on() => tokens.pressed,
        () if response.hovered() || response.has_focus() => tokens.hover,
        () => Color32::TRANSPARENT,
    };
    let painter = ui.painter();
    painter.rect_filled(rect, CornerRadius::same(RADIUS), fill);
    focus_ring(painter, rect, &response, tokens);
    if shown || response.has_focus() {
        let ink = if ui.is_enabled() { tokens.text } else { tokens.text_weak };
        painter.text(rect.center(), Align2::CENTER_CENTER, glyph, FontId::new(text::ICON, fonts::icons()), ink);
    }
    response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(name)
}

/// A button with an icon and words.
pub fn button(ui: &mut Ui, glyph: &str, words: &str) -> Response {
    let content = (icon(glyph, text::ICON), RichText::new(words));
    ui.add(Button::new(content)).accessible_name(words)
}

/// The one button of a view that is most likely wanted.
pub fn primary_button(ui: &mut Ui, glyph: &str, words: &str) -> Response {
    let tokens = Tokens::get(ui.ctx());
    let ink = tokens.on_accent;
    let content = (icon(glyph, text::ICON).color(ink), RichText::new(words).color(ink));
    let button = Button::new(content).fill(tokens.accent_fill).stroke(Stroke::NONE).min_size(vec2(0.0, space::XXL));
    ui.add(button).accessible_name(words)
}

/// The room of a menu: as wide as it is told, its rows with air at both ends.
pub fn menu_room(ui: &mut Ui, width: f32) {
    ui.set_width(width);
    ui.spacing_mut().button_padding = vec2(space::S, space::XS);
}

/// Text or a form in a menu: with air around it, and lines that end where they end.
pub fn menu_text<R>(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.set_width(width);
    Frame::new().inner_margin(space::S).show(ui, |ui| ui.with_layout(Layout::top_down(Align::Min), add).inner).inner
}

/// Shows where the keyboard is.
pub fn focus_ring(painter: &Painter, rect: Rect, response: &Response, tokens: &Tokens) {
    if response.has_focus() {
        let stroke = Stroke::new(2.0, tokens.accent);
        painter.rect_stroke(rect, CornerRadius::same(RADIUS), stroke, StrokeKind::Inside);
    }
}

/// How well something matches: a filled share of a line.
pub fn match_bar(painter: &Painter, rect: Rect, share: f32, tokens: &Tokens, strong: bool) {
    let radius = CornerRadius::same((rect.height() / 2.0) as u8);
    painter.rect_filled(rect, radius, tokens.line);
    let full = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0), rect.height()));
    painter.rect_filled(full, radius, if strong { tokens.accent } else { tokens.text_weak });
}

/// How far a job is; `None` while nobody knows.
pub fn progress_bar(ui: &mut Ui, width: f32, share: Option<f32>, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, space::XS), Sense::hover());
    let tokens = Tokens::get(ui.ctx());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = share.map(f64::from);
        info
    });
    match_bar(ui.painter(), rect, share.unwrap_or(0.0), tokens, true);
    response
}

/// What a row of the rail shows.
pub struct RailRow<'a> {
    pub glyph: &'a str,
    pub name: &'a str,
    pub count: Option<String>,
    pub selected: bool,
    /// A signal instead of the count: its icon, colour and meaning.
    pub signal: Option<(&'a str, Color32, &'a str)>,
    /// Room on the right for a menu button.
    pub menu: bool,
}

/// A row of the rail: icon, name, count.
pub fn rail_row(ui: &mut Ui, row: &RailRow<'_>) -> Response {
    let tokens = Tokens::get(ui.ctx());
    let size = vec2(ui.available_width(), super::tokens::layout::ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, row.selected, row.name));
    let painter = ui.painter_at(rect);
    let fill = match () {
        () if row.selected => tokens.selected,
        () if response.hovered() => tokens.hover,
        () => Color32::TRANSPARENT,
    };
    painter.rect_filled(rect, CornerRadius::same(RADIUS), fill);
    focus_ring(&painter, rect, &response, tokens);
    let middle = rect.center().y;
    let glyph_at = pos2(rect.left() + space::L + 2.0, middle);
    let glyph_font = FontId::new(text::ICON, fonts::icons());
    painter.text(glyph_at, Align2::CENTER_CENTER, row.glyph, glyph_font.clone(), tokens.text_weak);

    // The menu button takes the right end while the pointer is near.
    let menu_open = row.menu && (response.contains_pointer() || row.selected);
    let mut right = rect.right() - if menu_open { TARGET.x } else { space::M };
    if let Some((glyph, ink, _)) = row.signal {
        let at = pos2(right - text::ICON / 2.0, middle);
        painter.text(at, Align2::CENTER_CENTER, glyph, glyph_font, ink);
        right -= text::ICON + space::S;
    }
    if let Some(count) = &row.count {
        let font = FontId::proportional(text::SMALL);
        let drawn = painter.text(pos2(right, middle), Align2::RIGHT_CENTER, count, font, tokens.text_weak);
        right = drawn.left() - space::S;
    }
    let left = rect.left() + space::XL + space::S + 2.0;
    elided(ui, pos2(left, middle), row.name, right - left, FontId::proportional(text::BODY), tokens.text);
    match row.signal {
        Some((_, _, meaning)) => response.on_hover_text(meaning),
        None => response,
    }
}

/// One line of text that ends with dots where it does not fit; vertically centred on `at`.
pub fn elided(ui: &Ui, at: egui::Pos2, words: &str, width: f32, font: FontId, ink: Color32) -> Rect {
    let mut job = egui::text::LayoutJob::simple_singleline(words.to_owned(), font, ink);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(0.0));
    let galley = ui.painter().layout_job(job);
    let rect = Rect::from_min_size(pos2(at.x, at.y - galley.size().y / 2.0), galley.size());
    ui.painter().galley(rect.min, galley, ink);
    rect
}

/// A message in the middle of an empty space: icon, heading, sentence.
pub fn message(ui: &mut Ui, glyph: &str, heading: &str, body: &str, more: impl FnOnce(&mut Ui)) {
    let tokens = Tokens::get(ui.ctx());
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.28).max(space::L));
        ui.set_max_width(420.0_f32.min(ui.available_width() - space::XL));
        ui.label(icon(glyph, 40.0).color(tokens.text_weak));
        ui.add_space(space::S);
        for words in [strong(heading, text::LARGE), RichText::new(body).color(tokens.text_weak)] {
            if !words.is_empty() {
                ui.label(words);
            }
        }
        ui.add_space(space::M);
        more(ui);
    });
}
