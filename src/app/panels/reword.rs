//! The sheet that changes many captions at once, with each change before it is made.

use egui::{Align2, Id, Label, RichText, ScrollArea, TextEdit, Ui};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::tokens::{space, text};
use crate::app::widgets::{choice, icons, primary_button, weak};
use crate::app::words::{Among, RewordForm, RewordKind, WordsAction};

use super::fuse::batch::{among, checkbox};
use super::{View, sheets};

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    let lang = view.lang;
    sheets::title(ui, view, lang.text(Msg::RewordTitle), out);
    let mut form = view.rt.words.forms.reword.clone();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        for (kind, msg) in [
            (RewordKind::Replace, Msg::RewordReplace),
            (RewordKind::Before, Msg::RewordBefore),
            (RewordKind::Behind, Msg::RewordBehind),
        ] {
            if choice(ui, form.kind == kind, lang.text(msg)) {
                form.kind = kind;
            }
        }
    });
    ui.add_space(space::XS);
    fields(ui, view, &mut form);
    ui.add_space(space::XS);
    if let Some(chosen) = among(ui, view, form.among, &[Among::Selected, Among::Shown, Among::All]) {
        form.among = chosen;
    }
    if form != view.rt.words.forms.reword {
        out.push(WordsAction::SetReword(form).into());
    }
    ui.add_space(space::S);
    preview(ui, view);
    ui.add_space(space::M);
    let forms = &view.rt.words.forms;
    // What is shown must be what would be done.
    let ready = forms.reworded.done().filter(|report| report.changed > 0 && forms.reword_due.is_none());
    let n = lang.number(ready.map_or(0, |report| report.changed as u64));
    let words = lang.fill(Msg::RewordApply, &[("n", &n)]);
    let press = |ui: &mut Ui| primary_button(ui, icons::CHECK, &words).clicked();
    if ui.add_enabled_ui(ready.is_some(), press).inner {
        out.push(WordsAction::Reword.into());
    }
}

fn fields(ui: &mut Ui, view: &View<'_>, form: &mut RewordForm) {
    let line = |ui: &mut Ui, id: &str, text: &mut String, name: Msg| {
        let words = view.lang.text(name);
        let edit = TextEdit::singleline(text).id(Id::unique(("reword", id))).desired_width(f32::INFINITY);
        ui.add(edit.align(Align2::LEFT_CENTER).hint_text(words)).accessible_name(words)
    };
    let name = match form.kind {
        RewordKind::Replace => Msg::RewordFind,
        RewordKind::Before => Msg::RewordPrefix,
        RewordKind::Behind => Msg::RewordSuffix,
    };
    let first = line(ui, "text", &mut form.text, name);
    if view.rt.overlay_is_new {
        first.request_focus();
    }
    if form.kind == RewordKind::Replace {
        line(ui, "with", &mut form.with, Msg::RewordWith);
        checkbox(ui, view, &mut form.match_case, Msg::RewordCase);
    }
}

/// The first captions as they are and as they would be.
fn preview(ui: &mut Ui, view: &View<'_>) {
    let (lang, reworded) = (view.lang, &view.rt.words.forms.reworded);
    if let Some(failure) = reworded.answer.error() {
        ui.add(Label::new(RichText::new(lang.failure(failure)).color(view.tokens.warn)).wrap());
        return;
    }
    let Some(report) = reworded.answer.value() else {
        ui.label(weak(lang.text(Msg::RewordNothingTyped), view.tokens));
        return;
    };
    let (n, total) = (lang.number(report.changed as u64), lang.number(report.looked_at as u64));
    ui.label(weak(lang.fill(Msg::RewordWould, &[("n", &n), ("total", &total)]), view.tokens));
    let list = ScrollArea::vertical().id_salt("reworded").max_height(220.0).auto_shrink([false, true]);
    list.show(ui, |ui| {
        for change in &report.shown {
            ui.push_id(change.caption, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                let before = RichText::new(&change.before).size(text::SMALL).color(view.tokens.text_weak);
                ui.add(Label::new(before.strikethrough()).wrap());
                ui.add(Label::new(RichText::new(&change.after)).wrap());
                ui.add_space(space::S);
            });
        }
        let rest = report.changed.saturating_sub(report.shown.len());
        if rest > 0 {
            ui.label(weak(lang.fill(Msg::AndMore, &[("n", &lang.number(rest as u64))]), view.tokens));
        }
    });
}
