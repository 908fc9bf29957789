//! The inspector: the selected photo, what is known of it, and what can be done with it.

use egui::{
    Button, Color32, CornerRadius, Frame, Image, Label, Margin, RichText, ScrollArea, Sense, Ui, load::SizedTexture,
    vec2,
};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::Msg;
use crate::app::tokens::{RADIUS, layout, space, text};
use crate::app::widgets::{icon, icons, match_bar, message, strong, weak};
use crate::app::words::{Batch, Tab};
use crate::domain::{PhotoId, PhotoState};
use crate::engine::Details;

use super::grid::{cropped, match_msg};
use super::{View, fuse};

/// The picture is at most this high.
const PICTURE_HEIGHT: f32 = 260.0;
/// And so high where words are what counts.
const HEAD_HEIGHT: f32 = 132.0;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let selection = &view.rt.selection;
    match (selection.len(), selection.lead()) {
        (2.., _) => scrolled(ui, |ui| many(ui, view, out)),
        (_, Some(photo)) => one(ui, view, photo, out),
        _ => scrolled(ui, |ui| match listed_batch(view) {
            Some(batch) => fuse::batch::progress(ui, view, batch, out),
            None => message(ui, icons::IMAGE, "", view.lang.text(Msg::SelectAPhoto), |_| {}),
        }),
    }
}

/// The batch whose captions are listed.
fn listed_batch<'a>(view: &View<'a>) -> Option<&'a Batch> {
    view.rt.words.batch.as_ref().filter(|batch| !batch.hidden)
}

fn scrolled(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ScrollArea::vertical().id_salt("inspector").auto_shrink([false, false]).show(ui, |ui| {
        Frame::new().inner_margin(space::L).show(ui, add);
    });
}

fn many(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let n = view.lang.number(view.rt.selection.len() as u64);
    ui.label(strong(view.lang.fill(Msg::SelectedMany, &[("n", &n)]), text::LARGE));
    // A strip of the first few, so that one sees what is meant.
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::XS, space::XS);
        for photo in view.rt.selection.in_order(view.rt.ids()).take(12) {
            if let Some((texture, _)) = view.rt.thumbs.get(photo).and_then(|thumb| thumb.texture()) {
                let (rect, _) = ui.allocate_exact_size(vec2(space::XXL * 1.5, space::XXL * 1.5), Sense::hover());
                ui.painter().add(cropped(texture, rect, CornerRadius::same(RADIUS), Color32::WHITE));
            }
        }
    });
    ui.add_space(space::S);
    ui.spacing_mut().item_spacing.y = space::XS;
    for command in [UserCommand::CaptionMany, UserCommand::Reword, UserCommand::Export] {
        super::top_bar::command_row(ui, view, command, out);
    }
    // Only paths that are known can be copied; they are fetched when a few are selected.
    let photos: Vec<PhotoId> = view.rt.selection.in_order(view.rt.ids()).take(200).collect();
    let paths: Vec<String> = photos
        .iter()
        .filter_map(|&photo| view.rt.path_of(photo))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let pending = |photo: &PhotoId| view.rt.details.get(photo).is_none_or(|details| details.is_loading());
    if photos.iter().any(pending) {
        out.push(UiAction::NeedDetails(photos));
    } else {
        let words = view.lang.text(Msg::CopyPaths);
        let row = Button::new(words).min_size(vec2(ui.available_width(), layout::ROW)).frame_when_inactive(false);
        if ui.add(row.right_text("")).accessible_name(words).clicked() {
            out.push(UiAction::Copy(paths.join("\n")));
        }
    }
    if let Some(batch) = listed_batch(view) {
        fuse::batch::progress(ui, view, batch, out);
    }
}

/// One photo: its tabs, and what the open one shows.
fn one(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    let side = Margin { left: space::S as i8, right: space::S as i8, top: space::XS as i8, bottom: 0 };
    Frame::new().inner_margin(side).show(ui, |ui| fuse::tabs(ui, view, out));
    match view.saved.window.tab {
        Tab::Info => scrolled(ui, |ui| info(ui, view, photo, out)),
        Tab::Caption => scrolled(ui, |ui| {
            head(ui, view, photo, out);
            fuse::caption::show(ui, view, photo, out);
        }),
        Tab::Match => scrolled(ui, |ui| {
            head(ui, view, photo, out);
            fuse::match_tab::show(ui, view, photo, out);
        }),
        Tab::Ask => {
            let mut above = Vec::new();
            fuse::ask::show(ui, view, photo, |ui| head(ui, view, photo, &mut above), out);
            out.append(&mut above);
        }
    }
}

/// What a tab is about: the photo, smaller than on its own tab.
fn head(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.y = space::XS;
    picture(ui, view, photo, HEAD_HEIGHT, out);
    if let Some(thumb) = view.rt.thumbs.get(photo) {
        ui.vertical_centered(|ui| ui.add(Label::new(weak(&thumb.name, view.tokens)).truncate()));
    }
    ui.add_space(space::S);
}

fn info(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.y = space::XS;
    picture(ui, view, photo, PICTURE_HEIGHT, out);
    ui.add_space(space::S);
    let details = view.rt.lead_details();
    let thumb = view.rt.thumbs.get(photo);
    let name = details
        .and_then(|details| details.photo.path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .or_else(|| thumb.map(|thumb| thumb.name.clone()))
        .unwrap_or_default();
    ui.add(Label::new(strong(name, text::LARGE)).wrap());
    score(ui, view, photo);
    let Some(details) = details else {
        if view.rt.details.get(&photo).is_some_and(|details| details.error().is_some()) {
            ui.label(weak(view.lang.text(Msg::DetailsFailed), view.tokens));
        }
        return;
    };
    ui.add_space(space::S);
    deeds(ui, view, photo, details, out);
    ui.add_space(space::S);
    ui.separator();
    if let Some(caption) = thumb.and_then(|thumb| thumb.caption.as_deref()) {
        field(ui, view, Msg::InfoCaption, caption);
    }
    facts(ui, view, details);
}

fn picture(ui: &mut Ui, view: &View<'_>, photo: PhotoId, height: f32, out: &mut Vec<UiAction>) {
    let large = view.rt.pictures.get(photo).and_then(|picture| picture.value()).map(|picture| &picture.texture);
    let small = || view.rt.thumbs.get(photo).and_then(|thumb| thumb.texture()).map(|(texture, _)| texture);
    let texture = large.or_else(small);
    // The photo's own shape, known from its metadata before the picture is there.
    let size =
        view.rt.lead_details().map(|details| vec2(details.photo.meta.width as f32, details.photo.meta.height as f32));
    let size = size.filter(|size| size.min_elem() > 0.0).or(texture.map(|texture| texture.size_vec2()));
    let size = size.unwrap_or(vec2(4.0, 3.0));
    let room = vec2(ui.available_width(), height);
    let fit = size * (room / size).min_elem();
    ui.vertical_centered(|ui| match texture {
        Some(texture) => {
            let image = Image::from_texture(SizedTexture::new(texture.id(), fit)).corner_radius(RADIUS);
            let image = image.alt_text(view.lang.text(Msg::Inspector)).sense(Sense::click());
            if ui.add(image).on_hover_text(view.lang.text(Msg::CmdView)).double_clicked() {
                out.push(UiAction::View(photo));
            }
        }
        None => {
            let (rect, _) = ui.allocate_exact_size(fit, Sense::hover());
            ui.painter().rect_filled(rect, CornerRadius::same(RADIUS), view.tokens.placeholder);
        }
    });
}

/// How well it matches, in words and as a bar; the figure is one hover away.
fn score(ui: &mut Ui, view: &View<'_>, photo: PhotoId) {
    let Some(shown) = view.rt.shown.value() else { return };
    let Some(place) = shown.ids.iter().position(|&id| id == photo) else { return };
    let (Some(share), Some(word), Some(score)) = (shown.bar(place), shown.word(place), shown.score(place)) else {
        return;
    };
    let row = ui.horizontal(|ui| {
        let likely = word != crate::app::shown::MatchWord::Less;
        let (rect, _) = ui.allocate_exact_size(vec2(96.0, space::XS), Sense::hover());
        match_bar(ui.painter(), rect, share, view.tokens, likely);
        ui.label(weak(view.lang.text(match_msg(word)), view.tokens));
    });
    let exact = view.lang.fill(Msg::ExactScore, &[("score", &format!("{score:.4}"))]);
    let judged =
        shown.match_score(place).map(|share| view.lang.fill(Msg::JudgedScore, &[("share", &view.lang.percent(share))]));
    let lines = [view.lang.text(Msg::HowWell).to_owned()].into_iter().chain(judged.clone()).chain([exact.clone()]);
    row.response.on_hover_text(lines.collect::<Vec<_>>().join("\n"));
    // Both scores of a judged photo are there to be compared.
    if let Some(judged) = judged {
        ui.add(Label::new(weak(format!("{judged} · {exact}"), view.tokens)).wrap());
    }
}

fn deeds(ui: &mut Ui, view: &View<'_>, photo: PhotoId, details: &Details, out: &mut Vec<UiAction>) {
    let path = &details.photo.path;
    let present = details.photo.state != PhotoState::Missing;
    ui.spacing_mut().item_spacing = vec2(space::XS, space::XS);
    // The icons stand under the name; the rows' grounds reach a little further.
    let reach = -(space::S as i8);
    let rows = Frame::new().outer_margin(Margin { left: reach, right: reach, ..Margin::ZERO });
    rows.show(ui, |ui| {
        ui.spacing_mut().button_padding.x = space::S;
        ui.set_width(ui.available_width());
        let deed = |ui: &mut Ui, glyph, msg, enabled: bool, action, out: &mut Vec<UiAction>| {
            let words = view.lang.text(msg);
            let content = (icon(glyph, text::ICON).color(view.tokens.text_weak), RichText::new(words));
            let row = Button::new(content).min_size(vec2(ui.available_width(), layout::ROW)).frame_when_inactive(false);
            if ui.add_enabled(enabled, row.right_text("")).accessible_name(words).clicked() {
                out.push(action);
            }
        };
        deed(ui, icons::SPARKLE, Msg::FindSimilar, true, UiAction::FindSimilar(photo), out);
        deed(ui, icons::ARROW_SQUARE_OUT, Msg::Open, present, UiAction::Open(path.clone()), out);
        deed(ui, icons::FOLDER, Msg::ShowInFolder, present, UiAction::Reveal(path.clone()), out);
        deed(ui, icons::IMAGE, Msg::CopyPicture, present, UiAction::CopyPicture(photo), out);
        deed(ui, icons::COPY, Msg::CopyPath, true, UiAction::Copy(path.to_string_lossy().into_owned()), out);
    });
}

fn facts(ui: &mut Ui, view: &View<'_>, details: &Details) {
    let (photo, lang) = (&details.photo, view.lang);
    if photo.state == PhotoState::Missing {
        ui.add(Label::new(RichText::new(lang.text(Msg::StateMissing)).color(view.tokens.warn)).wrap());
        ui.add_space(space::S);
    }
    if let Some(failure) = &photo.failure {
        field(ui, view, Msg::InfoReason, lang.skipped(failure.reason));
    }
    let meta = &photo.meta;
    if meta.width > 0 && meta.height > 0 {
        let megapixels = f64::from(meta.width) * f64::from(meta.height) / 1e6;
        let size =
            format!("{} × {} · {megapixels:.1} MP\n{}", meta.width, meta.height, lang.bytes(photo.stamp.size_bytes));
        field(ui, view, Msg::InfoSize, &size);
    } else {
        field(ui, view, Msg::InfoSize, &lang.bytes(photo.stamp.size_bytes));
    }
    let taken = meta.taken.as_deref().map(|taken| lang.date(taken));
    field(ui, view, Msg::InfoTaken, taken.as_deref().unwrap_or(lang.text(Msg::NotRecorded)));
    if let Some(camera) = &meta.camera {
        field(ui, view, Msg::InfoCamera, camera);
    }
    if let Some(place) = meta.place {
        let (ns, ew) = (if place.latitude < 0.0 { 'S' } else { 'N' }, if place.longitude < 0.0 { 'W' } else { 'E' });
        let words = format!("{:.4}° {ns}, {:.4}° {ew}", place.latitude.abs(), place.longitude.abs());
        field(ui, view, Msg::InfoPlace, &words);
    }
    if let Some(folder) = photo.path.parent() {
        field(ui, view, Msg::InfoFolder, &folder.to_string_lossy());
    }
}

fn field(ui: &mut Ui, view: &View<'_>, name: Msg, value: &str) {
    ui.add_space(space::XS);
    ui.label(weak(view.lang.text(name), view.tokens));
    ui.add(Label::new(value).wrap().selectable(true));
}
