//! A few pictures of the window that must not change unnoticed: both themes, both languages,
//! two sizes. `UPDATE_SNAPSHOTS=true cargo test` draws them anew; look at them before you commit.

use egui::{Theme, vec2};
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotOptions};
use glimpse::app::GlimpseApp;
use glimpse::app::i18n::Msg;
use glimpse::domain::{JobId, JobKind, JobState, JobStatus, PhotoId, Progress};
use glimpse::engine::Event;

use super::support::{ScriptedLink, Setup, can_render, library, settle, window};

const LARGE: egui::Vec2 = vec2(1280.0, 800.0);
const SMALL: egui::Vec2 = vec2(900.0, 600.0);

fn setup(size: egui::Vec2, theme: Theme, lang: &str) -> Setup {
    let mut setup = Setup { size, theme, ..Setup::default() };
    setup.saved.settings.language = Some(lang.into());
    setup
}

fn compare(mut w: Harness<'static, GlimpseApp>, name: &str) {
    settle(&mut w);
    w.set_render_cursor(false);
    // Software rasterisers of different versions differ in single pixels of an edge.
    w.snapshot_options(name, &SnapshotOptions::new().max_failed_pixels(64));
}

#[test]
fn browsing_dark() {
    if !can_render() {
        return;
    }
    let link = ScriptedLink::with_photos(312);
    let progress = Progress { done: 1204, total: Some(8091), failed: 0, per_second: 43.2, secs_left: Some(130.0) };
    let (id, kind, state) = (JobId(1), JobKind::Index("holiday".into()), JobState::Running);
    link.push(Event::Job(JobStatus { id, kind, state, progress }));
    compare(window(&link, setup(LARGE, Theme::Dark, "en")), "browsing_dark");
}

#[test]
fn searching_in_chinese() {
    if !can_render() {
        return;
    }
    let link = ScriptedLink::with_photos(312);
    let mut setup = setup(LARGE, Theme::Light, "zh-CN");
    setup.saved.window.query = "海边奔跑的狗".into();
    let mut w = window(&link, setup);
    settle(&mut w);
    w.get_by_label("IMG_0003.jpg").click();
    settle(&mut w);
    w.event(egui::Event::PointerGone);
    compare(w, "searching_in_chinese");
}

#[test]
fn first_start_small() {
    if !can_render() {
        return;
    }
    let link = ScriptedLink::default();
    let mut status = library(0);
    status.folders.clear();
    link.push(Event::Library(status));
    compare(window(&link, setup(SMALL, Theme::Dark, "zh-CN")), "first_start_small");
}

#[test]
fn failed_files_small() {
    if !can_render() {
        return;
    }
    let link = ScriptedLink::with_photos(12);
    link.script(|script| script.failed = (1..=4).map(PhotoId).collect());
    let mut status = library(12);
    (status.failed, status.folders[0].failed) = (4, 4);
    link.push(Event::Library(status));
    let w = window(&link, setup(SMALL, Theme::Light, "en"));
    w.get_by_label(w.state().lang().text(Msg::FailedFiles)).click();
    w.event(egui::Event::PointerGone);
    compare(w, "failed_files_small");
}

/// A state of the panels about words.
fn words(name: &str, size: egui::Vec2, theme: Theme, lang: &str) {
    if !can_render() {
        return;
    }
    let states = super::gallery_words::states();
    let make = states.iter().find(|(state, _)| *state == name).unwrap().1;
    let mut w = make(setup(size, theme, lang));
    w.event(egui::Event::PointerGone);
    settle(&mut w);
    compare(w, &name.replace('-', "_"));
}

#[test]
fn words_caption() {
    words("words-caption", LARGE, Theme::Dark, "en");
}

#[test]
fn words_caption_offers() {
    words("words-caption-offers", LARGE, Theme::Light, "zh-CN");
}

#[test]
fn words_ask() {
    words("words-ask", LARGE, Theme::Light, "en");
}

#[test]
fn words_match() {
    words("words-match", LARGE, Theme::Dark, "zh-CN");
}

#[test]
fn words_batch_sheet() {
    words("words-batch-sheet", LARGE, Theme::Light, "zh-CN");
}

#[test]
fn words_batch() {
    words("words-batch", LARGE, Theme::Dark, "en");
}

#[test]
fn words_rerank() {
    words("words-rerank", LARGE, Theme::Light, "en");
}

#[test]
fn words_reword() {
    words("words-reword", LARGE, Theme::Dark, "zh-CN");
}

#[test]
fn words_export_look() {
    words("words-export-look", SMALL, Theme::Dark, "en");
}

#[test]
fn words_export_xmp() {
    words("words-export-xmp", LARGE, Theme::Light, "zh-CN");
}
