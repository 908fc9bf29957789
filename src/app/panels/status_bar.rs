//! The bar below: what the program is doing, how fast, how long still; what a search cost; the device.

use egui::{Align, Label, Layout, RichText, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::runtime::JobView;
use crate::app::tokens::{layout, space, text};
use crate::app::widgets::{icon, icon_button_sized, icons, progress_bar, weak};
use crate::domain::{JobKind, JobState};

use super::{View, rerank};

pub fn show(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.x = space::S;
    ui.spacing_mut().interact_size.y = space::XL;
    ui.horizontal_centered(|ui| {
        ui.set_min_height(layout::STATUS_BAR);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.push_id("right", |ui| ui.with_layout(Layout::right_to_left(Align::Center), |ui| facts(ui, view)));
            ui.push_id("left", |ui| {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| match view.rt.jobs.last() {
                    Some(job) => show_job(ui, view, job, out),
                    None => resting(ui, view),
                });
            });
        });
    });
}

/// Nothing is being done: what there is.
fn resting(ui: &mut Ui, view: &View<'_>) {
    if let Some(library) = &view.rt.library
        && !view.rt.is_first_start()
    {
        ui.label(weak(view.lang.photos(library.photos), view.tokens));
    }
}

/// What the last search cost, where things run.
fn facts(ui: &mut Ui, view: &View<'_>) {
    let lang = view.lang;
    if let Some(library) = &view.rt.library {
        let device = lang.fill(Msg::DeviceRunsOn, &[("device", &library.device)]);
        let shown = ui.label(weak(library.device.to_uppercase(), view.tokens));
        shown.on_hover_text(match &library.device_note {
            Some(note) => format!("{device}\n{}", lang.device_note(note)),
            None => device,
        });
        ui.label(icon(icons::CPU, text::BODY).color(view.tokens.text_weak));
        if library.read_only {
            let words = RichText::new(lang.text(Msg::ReadOnly)).size(text::SMALL).color(view.tokens.warn);
            ui.label(words).on_hover_text(lang.text(Msg::ReadOnlyBody));
            ui.label(icon(icons::LOCK_SIMPLE, text::BODY).color(view.tokens.warn));
        }
    }
    let Some(ranking) = view.rt.shown.value().and_then(|shown| shown.ranking.as_ref()) else { return };
    let cost = ranking.cost;
    let (photos, time) = (lang.photos(cost.scanned as u64), lang.millis(cost.encode_ms + cost.scan_ms));
    let mut words = lang.fill(Msg::SearchCost, &[("photos", &photos), ("time", &time)]);
    let (encode, scan) = (lang.millis(cost.encode_ms), lang.millis(cost.scan_ms));
    let mut detail = lang.fill(Msg::SearchCostDetail, &[("encode", &encode), ("scan", &scan)]);
    if let Some(more) = rerank::cost(view, ranking) {
        words = format!("{words} · {}", more.words);
        detail = format!("{detail}\n{}", more.detail);
    }
    ui.add_space(space::S);
    ui.label(weak(words, view.tokens)).on_hover_text(detail);
}

fn show_job(ui: &mut Ui, view: &View<'_>, job: &JobView, out: &mut Vec<UiAction>) {
    let (lang, status) = (view.lang, &job.status);
    let progress = &status.progress;
    let small = |words: String| RichText::new(words).size(text::SMALL);
    let headline = lang.job_state(&status.kind, &status.state);
    let headline = match status.state {
        JobState::Done => [headline].into_iter().chain(unreadable(view, job)).collect::<Vec<_>>().join(" · "),
        _ => headline,
    };
    let button =
        |ui: &mut Ui, glyph, msg| icon_button_sized(ui, glyph, lang.text(msg), vec2(28.0, 28.0), true).clicked();
    match &status.state {
        JobState::Running | JobState::Paused => {
            // The buttons come first, so that they stay where they are while the numbers change.
            let (glyph, msg, action) = match status.state {
                JobState::Paused => (icons::PLAY, Msg::Resume, UiAction::ResumeJob(status.id)),
                _ => (icons::PAUSE, Msg::Pause, UiAction::PauseJob(status.id)),
            };
            ui.push_id((status.id, "pause"), |ui| button(ui, glyph, msg).then(|| out.push(action)));
            ui.push_id((status.id, "cancel"), |ui| {
                button(ui, icons::X, Msg::Cancel).then(|| out.push(UiAction::CancelJob(status.id)))
            });
            let share = progress.total.filter(|&total| total > 0).map(|total| progress.done as f32 / total as f32);
            progress_bar(ui, 96.0, share, &headline);
            ui.label(small(headline));
            ui.add(Label::new(weak(numbers(view, job), view.tokens)).truncate());
        }
        JobState::Failed(reason) => {
            ui.label(icon(icons::WARNING_CIRCLE, text::BODY).color(view.tokens.error));
            if button(ui, icons::X, Msg::Dismiss) {
                out.push(UiAction::DismissJob(status.id));
            }
            // A notice says why in the window's language; the exact words are one hover away.
            ui.add(Label::new(small(headline)).truncate()).on_hover_text(reason.as_str());
        }
        JobState::Done | JobState::Cancelled => {
            let (glyph, ink) = match status.state {
                JobState::Done if progress.failed == 0 => (icons::CHECK_CIRCLE, view.tokens.good),
                JobState::Done => (icons::WARNING, view.tokens.warn),
                _ => (icons::INFO, view.tokens.text_weak),
            };
            ui.label(icon(glyph, text::BODY).color(ink));
            ui.add(Label::new(small(headline)).truncate());
        }
    }
}

/// "1,204 of 8,091 · 43/s · 2 min left".
fn numbers(view: &View<'_>, job: &JobView) -> String {
    let (lang, progress) = (view.lang, &job.status.progress);
    let done = lang.number(progress.done);
    let mut parts = vec![match progress.total {
        Some(total) => lang.fill(Msg::CountOf, &[("done", &done), ("total", &lang.number(total))]),
        None if progress.done == 0 => lang.text(Msg::Counting).to_owned(),
        None => format!("{done} · {}", lang.text(Msg::Counting)),
    }];
    if job.status.state == JobState::Running && progress.per_second > 0.0 {
        let rate = progress.per_second;
        let n = if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
        parts.push(lang.fill(Msg::PerSecond, &[("n", &n)]));
        parts.extend(progress.secs_left.map(|secs| lang.time_left(secs)).filter(|words| !words.is_empty()));
    }
    parts.extend(unreadable(view, job));
    parts.join(" · ")
}

/// "3 unreadable", "3 failed", if any.
fn unreadable(view: &View<'_>, job: &JobView) -> Option<String> {
    let n = job.status.progress.failed;
    let msg = match job.status.kind {
        JobKind::Index(_) | JobKind::IndexAll(_) => Msg::FolderFailedCount,
        JobKind::Caption(_) | JobKind::Export | JobKind::ExportPreview => Msg::BatchFailed,
    };
    (n > 0).then(|| view.lang.fill(msg, &[("n", &view.lang.number(n))]))
}
