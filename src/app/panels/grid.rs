//! The photos: only what is on the screen is laid out, however many there are.

use std::ops::Range;

use egui::{
    Align, Align2, Color32, CornerRadius, FontId, Frame, Id, Label, Layout, Margin, Pos2, Rect, Response, RichText,
    Role, ScrollArea, Sense, Shape, Slider, Stroke, StrokeKind, TextureHandle, Ui, Vec2, WidgetInfo, epaint::RectShape,
    pos2, vec2,
};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::fonts;
use crate::app::i18n::Msg;
use crate::app::runtime::ScrollTo;
use crate::app::shown::{GridLayout, MatchWord, Question, Shown};
use crate::app::tokens::{RADIUS, layout, space, text, time};
use crate::app::widgets::{button, elided, icon, icons, match_bar, menu_room, message, strong, weak};
use crate::domain::{FolderId, PhotoId};
use crate::engine::Scope;

use super::{View, notices};

/// What a title leaves for the count behind it.
const COUNT_ROOM: f32 = 120.0;

/// The one stop of the keyboard in the grid; arrow keys move within.
pub fn grid_id() -> Id {
    Id::unique("photo grid")
}

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    header(ui, view, out);
    if let Some(failure) = view.rt.shown.error() {
        return notices::question_failed(ui, view, failure, out);
    }
    let Some(shown) = view.rt.shown.value() else { return };
    if shown.ids.is_empty() {
        return nothing(ui, view, out);
    }
    if let Some(folder) = view.rt.asked.narrowed() {
        narrowed(ui, view, folder, out);
    }
    if shown.ranking.as_ref().is_some_and(|ranking| ranking.nothing_likely) {
        nothing_likely(ui, view);
    }
    photos(ui, view, shown, out);
}

/// One line over the photos: what they are, and how large they are drawn.
fn header(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.allocate_ui_with_layout(vec2(ui.available_width(), space::XXL), Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_height(space::XXL);
        ui.add_space(space::L);
        let shown = view.rt.shown.value();
        let count = shown.map(|shown| shown.ids.len() as u64);
        let title = title(view);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(space::L);
            size_slider(ui, view, out);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let selected = view.rt.selection.len() as u64;
                let words = match (count, &view.rt.asked.question) {
                    _ if selected > 1 => view.lang.fill(Msg::SelectedMany, &[("n", &view.lang.number(selected))]),
                    (None | Some(0), _) if view.rt.shown.is_loading() => view.lang.text(Msg::LoadingPhotos).to_owned(),
                    (None | Some(0), _) => String::new(),
                    (Some(count), None) => view.lang.photos(count),
                    (Some(count), Some(_)) => view.lang.results(count),
                };
                // The title gives way, the count does not.
                ui.scope(|ui| {
                    ui.set_max_width((ui.available_width() - COUNT_ROOM).max(0.0));
                    ui.add(Label::new(strong(title, text::BODY)).truncate());
                });
                if !words.is_empty() {
                    ui.add(Label::new(weak(words, view.tokens)).truncate());
                }
            });
        });
    });
}

fn title(view: &View<'_>) -> String {
    match &view.rt.asked.question {
        None => view.scope_name(view.rt.asked.scope),
        Some(Question::Text(query)) => query.clone(),
        Some(Question::Picture(path)) => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            view.lang.fill(Msg::LikePhoto, &[("name", &name)])
        }
        Some(Question::Similar(_, name)) => view.lang.fill(Msg::LikePhoto, &[("name", name)]),
    }
}

fn size_slider(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.label(icon(icons::IMAGE, text::LARGE).color(view.tokens.text_weak));
    thumbnail_slider(ui, view, 88.0, out);
    ui.label(icon(icons::SQUARES_FOUR, text::SMALL).color(view.tokens.text_weak));
}

/// How large the photos are drawn.
pub(super) fn thumbnail_slider(ui: &mut Ui, view: &View<'_>, width: f32, out: &mut Vec<UiAction>) {
    let mut side = view.saved.settings.thumbnail_size;
    let name = view.lang.text(Msg::ThumbnailSize);
    let response = ui.scope(|ui| {
        let spacing = ui.spacing_mut();
        (spacing.slider_width, spacing.slider_rail_height, spacing.interact_size.y) = (width, space::XS, space::L);
        ui.visuals_mut().selection.bg_fill = view.tokens.accent;
        let slider = Slider::new(&mut side, layout::THUMB_MIN..=layout::THUMB_MAX).show_value(false);
        ui.add(slider).accessible_name(name)
    });
    if response.inner.on_hover_text(name).changed() {
        out.push(UiAction::SetThumbnailSize(side));
    }
}

/// A search that looked through one folder says so, and how to look further.
fn narrowed(ui: &mut Ui, view: &View<'_>, folder: FolderId, out: &mut Vec<UiAction>) {
    let side = space::L as i8;
    Frame::new().inner_margin(Margin { left: side, right: side, top: 0, bottom: space::S as i8 }).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(icon(icons::FOLDER, text::BODY).color(view.tokens.text_weak));
            let name = view.scope_name(Scope::Folder(folder));
            ui.label(weak(view.lang.fill(Msg::OnlyInFolder, &[("name", &name)]), view.tokens));
            let further = RichText::new(view.lang.text(Msg::SearchAll)).size(text::SMALL);
            if ui.link(further).clicked() {
                out.push(UiAction::Widen);
            }
        });
    });
}

/// Even the best hit is a poor one: said before the photos are looked at.
fn nothing_likely(ui: &mut Ui, view: &View<'_>) {
    let words = match &view.rt.asked.question {
        Some(Question::Text(query)) => view.lang.fill(Msg::NothingLikely, &[("query", query)]),
        _ => view.lang.text(Msg::NothingLikelyPicture).to_owned(),
    };
    let side = space::L as i8;
    Frame::new().inner_margin(Margin { left: side, right: side, top: 0, bottom: space::M as i8 }).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.label(icon(icons::INFO, text::LARGE).color(view.tokens.warn));
            ui.add(Label::new(words).wrap());
        });
    });
}

/// An empty list, and why.
fn nothing(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    if view.rt.shown.is_loading() {
        return;
    }
    let text = |msg| view.lang.text(msg);
    if let Some(folder) = view.rt.asked.narrowed() {
        let name = view.scope_name(Scope::Folder(folder));
        let body = view.lang.fill(Msg::NothingFoundIn, &[("name", &name)]);
        return message(ui, icons::MAGNIFYING_GLASS, text(Msg::NothingFound), &body, |ui| {
            if button(ui, icons::IMAGES, text(Msg::SearchAll)).clicked() {
                out.push(UiAction::Widen);
            }
        });
    }
    let (glyph, heading, body) = match (&view.rt.asked.question, view.rt.asked.scope) {
        (Some(_), _) => (icons::MAGNIFYING_GLASS, Msg::NothingFound, Msg::NothingFoundBody),
        (None, Scope::WithoutCaption) => (icons::CHECK_CIRCLE, Msg::AllCaptioned, Msg::AllCaptionedBody),
        (None, Scope::Missing) => (icons::CHECK_CIRCLE, Msg::NoMissing, Msg::NoMissingBody),
        (None, _) => (icons::IMAGES, Msg::EmptyFolder, Msg::EmptyFolderBody),
    };
    message(ui, glyph, text(heading), text(body), |_| {});
}

fn photos(ui: &mut Ui, view: &View<'_>, shown: &Shown, out: &mut Vec<UiAction>) {
    let inset = space::L;
    let width = ui.available_width() - 2.0 * inset;
    let grid = GridLayout::new(width, view.saved.settings.thumbnail_size, shown);
    let page = f64::from(ui.available_height());
    let mut area = ScrollArea::vertical().id_salt("photos").auto_shrink([false, false]).animated(false);
    if let Some(to) = view.rt.grid.scroll_to
        && let Some(offset) = scroll_offset(to, &grid, f64::from(view.rt.grid.offset), page)
    {
        area = area.vertical_scroll_offset(offset as f32);
    }
    area.show_viewport(ui, |ui, viewport| {
        ui.set_height((grid.height() + f64::from(inset)) as f32);
        let clip = ui.clip_rect();
        // Where the content begins on the screen; kept in f64, since it lies millions of points above.
        let origin = (ui.max_rect().left() + inset, f64::from(clip.top()) - f64::from(viewport.min.y));
        let (top, bottom) = (f64::from(viewport.min.y), f64::from(viewport.max.y));
        let places = grid.places(top, bottom);

        let back = ui.interact(clip, grid_id(), Sense::click_and_drag());
        back.widget_info(|| WidgetInfo::labeled(Role::Group, true, view.lang.text(Msg::Grid)));
        if back.has_focus() {
            // Arrow keys move within the grid, not to the next control.
            let filter = egui::EventFilter { horizontal_arrows: true, vertical_arrows: true, ..Default::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(grid_id(), filter));
        }
        if back.clicked() {
            back.request_focus();
            out.push(UiAction::SelectNone);
        }

        if let Some(y) = grid.divider() {
            let y = (origin.1 + y) as f32;
            divider(ui, view, Rect::from_min_size(pos2(origin.0, y), vec2(width, layout::DIVIDER)));
        }
        for place in places.clone() {
            let (x, y) = grid.origin(place);
            let min = pos2(origin.0 + x, (origin.1 + y) as f32).round();
            let rect = Rect::from_min_size(min, Vec2::splat(grid.side));
            cell(ui, view, shown, place, rect, out);
        }
        rubber_band(ui, view, &back, &grid, shown, origin, out);

        let first = places.start;
        out.push(UiAction::GridSeen {
            first,
            last: places.end,
            columns: grid.columns,
            rows_a_page: (page / grid.pitch) as usize,
            offset: viewport.min.y,
            place: anchor(shown, &grid, &places, top),
            went: view.rt.grid.scroll_to,
        });
    });
}

/// The first photo whose row is wholly on the screen, and how far it is from the top.
fn anchor(shown: &Shown, grid: &GridLayout, places: &Range<usize>, top: f64) -> Option<(PhotoId, f32)> {
    let place = places.clone().step_by(grid.columns).find(|&place| grid.origin(place).1 >= top).unwrap_or(places.start);
    Some((*shown.ids.get(place)?, (grid.origin(place).1 - top) as f32))
}

/// Where to scroll; `None` where it is already right.
fn scroll_offset(to: ScrollTo, grid: &GridLayout, offset: f64, page: f64) -> Option<f64> {
    let most = (grid.height() + f64::from(space::L) - page).max(0.0);
    let wanted = match to {
        ScrollTo::Top => 0.0,
        ScrollTo::Keep(place, from_top) => grid.origin(place).1 - f64::from(from_top),
        ScrollTo::Show(place) => {
            let y = grid.origin(place).1;
            if y < offset {
                y
            } else if y + grid.pitch > offset + page {
                y + grid.pitch - page
            } else {
                return None;
            }
        }
    };
    Some(wanted.clamp(0.0, most))
}

fn divider(ui: &Ui, view: &View<'_>, rect: Rect) {
    let painter = ui.painter();
    let words = view.lang.text(Msg::LessLikely);
    let y = rect.center().y - space::XS;
    let font = FontId::proportional(text::SMALL);
    let drawn = painter.text(pos2(rect.left(), y), Align2::LEFT_CENTER, words, font, view.tokens.text_weak);
    painter.hline(drawn.right() + space::M..=rect.right(), y, Stroke::new(1.0, view.tokens.line));
}

fn cell(ui: &Ui, view: &View<'_>, shown: &Shown, place: usize, rect: Rect, out: &mut Vec<UiAction>) {
    let Some(&photo) = shown.ids.get(place) else { return };
    let (tokens, radius) = (view.tokens, CornerRadius::same(RADIUS));
    let thumb = view.rt.thumbs.get(photo);
    // The identity is the photo's: what moves under the pointer never takes another's click.
    let response = ui.interact(rect, Id::unique(("photo", photo)), Sense::CLICK);
    let selected = view.rt.selection.contains(photo);
    let name = thumb.map_or("", |thumb| thumb.label());
    response.widget_info(|| {
        let label = if name.is_empty() { view.lang.text(Msg::LoadingPhotos) } else { name };
        WidgetInfo::selected(Role::ListBoxOption, true, selected, label)
    });
    if !ui.is_rect_visible(rect) {
        return;
    }
    let painter = ui.painter();
    let picture = if selected { rect.shrink(space::XS) } else { rect };
    let mut whole = false;
    if let Some((texture, born)) = thumb.and_then(|thumb| thumb.texture()) {
        let opacity = fade(ui, view, born);
        whole = opacity >= 1.0;
        if !whole {
            painter.rect_filled(picture, radius, tokens.placeholder);
        }
        painter.add(cropped(texture, picture, radius, Color32::WHITE.gamma_multiply(opacity)));
    } else {
        painter.rect_filled(picture, radius, tokens.placeholder);
    }
    if !whole && thumb.is_some_and(|thumb| thumb.has_failed()) {
        let font = FontId::new(text::TITLE, fonts::icons());
        painter.text(picture.center(), Align2::CENTER_CENTER, icons::IMAGE_BROKEN, font, tokens.text_weak);
    }
    if let Some(share) = shown.bar(place) {
        let likely = shown.word(place) != Some(MatchWord::Less);
        let bar = Rect::from_min_size(pos2(rect.left(), rect.bottom() + space::XS), vec2(rect.width(), space::XS));
        match_bar(painter, bar, share, tokens, likely);
    }
    let is_lead = view.rt.selection.lead() == Some(photo);
    if selected {
        let width = if is_lead { 3.0 } else { 2.0 };
        painter.rect_stroke(
            rect,
            CornerRadius::same(RADIUS + 2),
            Stroke::new(width, tokens.accent),
            StrokeKind::Inside,
        );
    }
    if thumb.is_some_and(|thumb| thumb.caption.is_some()) {
        badge(ui, view, picture);
    }
    if response.hovered() {
        caption_strip(ui, view, picture, name, shown.word(place), shown.match_score(place));
    }
    clicks(ui, view, photo, &response, out);
}

/// How much of a new thumbnail shows.
fn fade(ui: &Ui, view: &View<'_>, born: f64) -> f32 {
    if view.saved.window.reduced_motion {
        return 1.0;
    }
    let age = (ui.ctx().time() - born) as f32;
    if age < time::FADE {
        ui.ctx().request_repaint();
    }
    (age / time::FADE).clamp(0.0, 1.0)
}

/// The middle of a picture, so that it fills the square.
pub(super) fn cropped(texture: &TextureHandle, rect: Rect, radius: CornerRadius, tint: Color32) -> Shape {
    let size = texture.size_vec2();
    let part = rect.size() / rect.size().max_elem() * size.min_elem() / size;
    let uv = Rect::from_center_size(pos2(0.5, 0.5), part.min(Vec2::splat(1.0)));
    RectShape::filled(rect, radius, tint).with_texture(texture.id(), uv).into()
}

/// The sign of a photo that has an accepted caption.
fn badge(ui: &Ui, view: &View<'_>, picture: Rect) {
    let middle = pos2(picture.right() - space::L, picture.top() + space::L);
    ui.painter().circle_filled(middle, space::M - 1.0, view.tokens.scrim);
    let font = FontId::new(text::BODY, fonts::icons());
    ui.painter().text(middle, Align2::CENTER_CENTER, icons::CLOSED_CAPTIONING, font, view.tokens.on_scrim);
}

/// File name and match over the foot of a picture.
fn caption_strip(ui: &Ui, view: &View<'_>, picture: Rect, name: &str, word: Option<MatchWord>, judged: Option<f32>) {
    let tokens = view.tokens;
    let lines = if word.is_some() { 2.0 } else { 1.0 };
    let height = (lines * space::L + space::S).min(picture.height());
    let strip = Rect::from_min_max(pos2(picture.left(), picture.bottom() - height), picture.max);
    let radius = CornerRadius { nw: 0, ne: 0, sw: RADIUS, se: RADIUS };
    ui.painter().rect_filled(strip, radius, tokens.scrim);
    let font = FontId::proportional(text::SMALL);
    let (left, width) = (strip.left() + space::S, strip.width() - 2.0 * space::S);
    elided(ui, pos2(left, strip.top() + space::S + space::XS), name, width, font.clone(), tokens.on_scrim);
    if let Some(word) = word {
        let at = pos2(left, strip.top() + space::XL + space::XS);
        let word = view.lang.text(match_msg(word));
        let words = judged.map_or(word.to_owned(), |share| format!("{word} · {}", view.lang.percent(share)));
        elided(ui, at, &words, width, font, tokens.on_scrim);
    }
}

pub(super) fn match_msg(word: MatchWord) -> Msg {
    match word {
        MatchWord::VeryGood => Msg::MatchVeryGood,
        MatchWord::Good => Msg::MatchGood,
        MatchWord::Less => Msg::MatchLess,
    }
}

fn clicks(ui: &Ui, view: &View<'_>, photo: PhotoId, response: &Response, out: &mut Vec<UiAction>) {
    if response.double_clicked() {
        out.push(UiAction::View(photo));
    } else if response.clicked() {
        ui.memory_mut(|memory| memory.request_focus(grid_id()));
        let modifiers = ui.input(|input| input.modifiers);
        out.push(match () {
            () if modifiers.command => UiAction::Toggle(photo),
            () if modifiers.shift => UiAction::SelectTo(photo),
            () => UiAction::Select(photo),
        });
    } else if response.secondary_clicked() && !view.rt.selection.contains(photo) {
        out.push(UiAction::Select(photo));
    }
    response.context_menu(|ui| {
        menu_room(ui, 280.0);
        for command in [
            UserCommand::View,
            UserCommand::OpenExternally,
            UserCommand::ShowInFolder,
            UserCommand::CopyPicture,
            UserCommand::CopyPath,
            UserCommand::FindSimilar,
            UserCommand::Caption,
            UserCommand::Ask,
            UserCommand::Match,
        ] {
            super::top_bar::command_row(ui, view, command, out);
        }
    });
}

/// A drag over the photos selects what it touches. The start is kept in content
/// coordinates, so that the band grows when the grid is scrolled meanwhile.
fn rubber_band(
    ui: &Ui,
    view: &View<'_>,
    back: &Response,
    grid: &GridLayout,
    shown: &Shown,
    origin: (f32, f64),
    out: &mut Vec<UiAction>,
) {
    let key = back.id.with("band start");
    let content = |at: Pos2| (at.x - origin.0, f64::from(at.y) - origin.1);
    if back.drag_started()
        && let Some(start) = ui.input(|input| input.pointer.press_origin())
    {
        ui.data_mut(|data| data.insert_temp(key, content(start)));
        back.request_focus();
        out.push(UiAction::BandStart { add: ui.input(|input| input.modifiers.command || input.modifiers.shift) });
    }
    if !back.dragged() {
        return;
    }
    let start = ui.data(|data| data.get_temp::<(f32, f64)>(key));
    let (Some((x0, y0)), Some(pointer)) = (start, back.interact_pointer_pos()) else { return };
    let (x1, y1) = content(pointer);
    let places = grid.places_in(x0.min(x1)..x0.max(x1), y0.min(y1)..y0.max(y1));
    out.push(UiAction::Band(places.filter_map(|place| shown.ids.get(place)).copied().collect()));
    let start = pos2(x0 + origin.0, (y0 + origin.1) as f32);
    let band = Rect::from_two_pos(start, pointer);
    let fill = view.tokens.accent.gamma_multiply(0.15);
    let stroke = Stroke::new(1.0, view.tokens.accent);
    ui.painter().rect(band, 0.0, fill, stroke, StrokeKind::Inside);
    // Near an edge the grid moves along.
    let clip = ui.clip_rect();
    let pull = (clip.top() + space::XL - pointer.y).max(0.0) - (pointer.y - clip.bottom() + space::XL).max(0.0);
    if pull != 0.0 {
        ui.scroll_with_delta(vec2(0.0, pull));
        ui.ctx().request_repaint();
    }
}
