//! The sheet that writes captions into files: first it says what would be written, then it writes.

use std::path::Path;

use egui::{Align, Align2, Label, Layout, RichText, ScrollArea, Sense, TextEdit, Ui, UiBuilder, vec2};

use crate::app::actions::UiAction;
use crate::app::i18n::{Lang, Msg};
use crate::app::tokens::{layout, space, text};
use crate::app::widgets::{button, choice, icon, icons, primary_button, weak};
use crate::app::words::{Among, ExportForm, WordsAction, caption_code};
use crate::engine::ExportReport;
use crate::export::{Event, FileChange, Format, XmpName};

use super::fuse::batch::{among, checkbox};
use super::{View, sheets};

/// The width of what stands at the left.
const NAMES: f32 = 96.0;

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    sheets::title(ui, view, lang.text(Msg::ExportTitle), out);
    let room = ui.ctx().content_rect().height() - 220.0;
    let area = ScrollArea::vertical().id_salt("export").max_height(room.max(200.0)).auto_shrink([false, true]);
    area.show(ui, |ui| {
        let mut form = view.rt.words.forms.export.clone();
        ask(ui, view, &mut form, out);
        if form != view.rt.words.forms.export {
            out.push(WordsAction::SetExport(form).into());
        }
        ui.add_space(space::S);
        answer(ui, view);
    });
    ui.add_space(space::M);
    buttons(ui, view, out);
}

/// What, how and where.
fn ask(ui: &mut Ui, view: &View<'_>, form: &mut ExportForm, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    let text = |msg| lang.text(msg);
    row(ui, view, Msg::ExportWhich, |ui| {
        if let Some(chosen) = among(ui, view, form.among, &[Among::Selected, Among::Shown, Among::All]) {
            form.among = chosen;
        }
    });
    row(ui, view, Msg::ExportFormat, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = space::XS;
            for (format, msg) in [
                (Format::Txt, Msg::FormatTxt),
                (Format::Csv, Msg::FormatCsv),
                (Format::Jsonl, Msg::FormatJsonl),
                (Format::Xmp, Msg::FormatXmp),
            ] {
                if choice(ui, form.format == format, text(msg)) {
                    form.format = format;
                }
            }
        });
        let about = match form.format {
            Format::Txt => Msg::FormatTxtTip,
            Format::Csv => Msg::FormatCsvTip,
            Format::Jsonl => Msg::FormatJsonlTip,
            Format::Xmp => Msg::FormatXmpTip,
        };
        ui.add(Label::new(weak(text(about), view.tokens)).wrap());
    });
    row(ui, view, Msg::ExportPlace, |ui| place(ui, view, form, out));
    row(ui, view, Msg::ExportCaptions, |ui| captions(ui, view, form));
}

/// A question of the form: what it is about at the left, its answers at the right.
fn row(ui: &mut Ui, view: &View<'_>, msg: Msg, add: impl FnOnce(&mut Ui)) {
    ui.horizontal_top(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(NAMES, layout::ROW), Sense::hover());
        let name = UiBuilder::new().max_rect(rect).layout(Layout::left_to_right(Align::Center));
        // A child of its own: a scope would take back the width that the name does not need.
        ui.new_child(name).label(view.lang.text(msg));
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            add(ui);
        });
    });
    ui.add_space(space::XS);
}

/// Beside the photos, or in a folder.
fn place(ui: &mut Ui, view: &View<'_>, form: &mut ExportForm, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    let in_folder = form.is_table() || !form.beside;
    if !form.is_table() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = space::XS;
            for (beside, msg) in [(false, Msg::ExportInFolder), (true, Msg::ExportBeside)] {
                if choice(ui, form.beside == beside, lang.text(msg)) {
                    form.beside = beside;
                }
            }
        });
    }
    if in_folder {
        ui.horizontal(|ui| {
            let browse = lang.text(Msg::ExportBrowse);
            let width = (ui.available_width() - 132.0).max(120.0);
            let edit =
                TextEdit::singleline(&mut form.folder).id(egui::Id::unique("export folder")).desired_width(width);
            let edit = edit.align(Align2::LEFT_CENTER).hint_text(lang.text(Msg::ExportFolderHint));
            ui.add(edit).accessible_name(lang.text(Msg::ExportFolder));
            if button(ui, icons::FOLDER, browse).clicked() {
                out.push(WordsAction::ChooseExportFolder.into());
            }
        });
        if form.is_table() && !form.folder.trim().is_empty() {
            let file = form.file(Path::new(form.folder.trim()));
            let words = lang.fill(Msg::ExportIntoFile, &[("file", &file.to_string_lossy())]);
            ui.add(Label::new(weak(words, view.tokens)).wrap());
        }
    } else {
        ui.add(Label::new(weak(lang.text(Msg::ExportBesideTip), view.tokens)).wrap());
    }
}

fn captions(ui: &mut Ui, view: &View<'_>, form: &mut ExportForm) {
    ui.spacing_mut().item_spacing.y = space::XS;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        if choice(ui, form.lang.is_none(), view.lang.text(Msg::ExportAnyLanguage)) {
            form.lang = None;
        }
        for other in Lang::ALL {
            let code = caption_code(other);
            if choice(ui, form.lang.as_deref() == Some(code), other.own_name()) {
                form.lang = Some(code.to_owned());
            }
        }
    });
    checkbox(ui, view, &mut form.accepted_only, Msg::ExportAcceptedOnly);
    match form.format {
        Format::Xmp => {
            let mut full = form.xmp_name == XmpName::Full;
            if checkbox(ui, view, &mut full, Msg::ExportXmpFull) {
                form.xmp_name = if full { XmpName::Full } else { XmpName::Stem };
            }
        }
        Format::Csv => {
            checkbox(ui, view, &mut form.bom, Msg::ExportBom);
        }
        Format::Txt | Format::Jsonl => {}
    }
    if form.format != Format::Txt {
        checkbox(ui, view, &mut form.gps, Msg::ExportGps);
    }
}

/// What would be written, or was.
fn answer(ui: &mut Ui, view: &View<'_>) {
    let exported = &view.rt.words.forms.exported;
    if let Some(failure) = exported.answer.error() {
        ui.horizontal_top(|ui| {
            ui.label(icon(icons::WARNING, text::BODY).color(view.tokens.error));
            ui.add(Label::new(view.lang.failure(failure)).wrap()).on_hover_text(&failure.detail);
        });
        // The reason is more telling than that there is one.
        ui.add(Label::new(weak(failure.detail.clone(), view.tokens)).wrap());
        return;
    }
    let Some(report) = exported.done() else { return };
    let (lang, counts) = (view.lang, &report.report);
    let n = lang.number(counts.exported);
    let (glyph, ink, msg) = match () {
        () if counts.cancelled => (icons::INFO, view.tokens.warn, Msg::ExportCancelled),
        () if counts.failed > 0 => (icons::WARNING, view.tokens.warn, Msg::ExportPartly),
        () if !exported.for_real => (icons::INFO, view.tokens.text_weak, Msg::ExportWould),
        () => (icons::CHECK_CIRCLE, view.tokens.good, Msg::ExportDone),
    };
    let photos = lang.photos(counts.exported);
    let gaps = [("photos", photos.as_str()), ("n", &n), ("failed", &lang.number(counts.failed))];
    ui.horizontal_top(|ui| {
        ui.label(icon(glyph, text::BODY).color(ink));
        let mut words = lang.fill(msg, &gaps);
        if counts.skipped > 0 {
            words += &format!(" {}", lang.fill(Msg::ExportSkipped, &[("photos", &lang.photos(counts.skipped))]));
        }
        ui.add(Label::new(words).wrap());
    });
    files(ui, view, report);
}

/// The single files, failures first.
fn files(ui: &mut Ui, view: &View<'_>, report: &ExportReport) {
    if report.files.is_empty() {
        return;
    }
    let rank = |event: &&Event| match event {
        Event::Failed { .. } => 0,
        Event::Note { .. } => 1,
        Event::File { .. } => 2,
        Event::Skipped { .. } => 3,
    };
    let mut events: Vec<&Event> = report.files.iter().collect();
    events.sort_by_key(rank);
    let tokens = view.tokens;
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.spacing_mut().interact_size.y = space::XL;
    let list = ScrollArea::vertical().id_salt("files").max_height(200.0).min_scrolled_height(120.0);
    list.auto_shrink([false, true]).show_rows(ui, space::XL, events.len(), |ui, rows| {
        for event in &events[rows] {
            let (glyph, ink, file, said, more) = match event {
                Event::Failed { file, detail, .. } => {
                    (icons::WARNING, tokens.error, file, view.lang.text(Msg::FileFailed).to_owned(), Some(detail))
                }
                Event::Note { file, detail, .. } => {
                    (icons::INFO, tokens.warn, file, view.lang.text(Msg::FileNote).to_owned(), Some(detail))
                }
                Event::File { file, change, .. } => {
                    let msg = match change {
                        FileChange::Created => Msg::FileCreated,
                        FileChange::Changed => Msg::FileChanged,
                        FileChange::Unchanged => Msg::FileUnchanged,
                    };
                    (icons::CHECK, tokens.text_weak, file, view.lang.text(msg).to_owned(), None)
                }
                Event::Skipped { photo, file, reason } => {
                    let file = file.as_ref().unwrap_or(photo);
                    (icons::MINUS, tokens.text_weak, file, view.lang.skip_reason(*reason).to_owned(), None)
                }
            };
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            ui.horizontal(|ui| {
                ui.set_height(space::XL);
                ui.spacing_mut().item_spacing.x = space::S;
                ui.label(icon(glyph, text::BODY).color(ink));
                let words = more.map_or(said.clone(), |detail| format!("{said}: {detail}"));
                let row = ui.add(Label::new(RichText::new(format!("{name}  ·  {words}")).size(text::SMALL)).truncate());
                row.on_hover_text(format!("{}\n{words}", file.display()));
            });
        }
    });
    if report.left_out > 0 {
        let n = view.lang.number(report.left_out as u64);
        ui.label(weak(view.lang.fill(Msg::AndMore, &[("n", &n)]), tokens));
    }
}

/// First look, then write.
fn buttons(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let (lang, forms) = (view.lang, &view.rt.words.forms);
    let form = &forms.export;
    let has_place = form.has_place();
    let busy = forms.exported.answer.is_loading();
    let checked = forms.exported.done().filter(|_| !forms.exported.for_real);
    ui.horizontal_wrapped(|ui| {
        if busy {
            let msg = if forms.exported.for_real { Msg::ExportWriting } else { Msg::ExportLooking };
            ui.label(weak(lang.text(msg), view.tokens));
            return;
        }
        if let Some(report) = checked.filter(|report| report.report.exported > 0) {
            let words = lang.fill(Msg::ExportWrite, &[("photos", &lang.photos(report.report.exported))]);
            if primary_button(ui, icons::EXPORT, &words).clicked() {
                out.push(WordsAction::Export { dry_run: false }.into());
            }
            return;
        }
        let look = |ui: &mut Ui| primary_button(ui, icons::MAGNIFYING_GLASS, lang.text(Msg::ExportLook)).clicked();
        if ui.add_enabled_ui(has_place && view.rt.count_among(form.among) > 0, look).inner {
            out.push(WordsAction::Export { dry_run: true }.into());
        }
        if !has_place {
            ui.label(weak(lang.text(Msg::ExportNeedsFolder), view.tokens));
        }
    });
}
