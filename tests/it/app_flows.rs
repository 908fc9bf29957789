//! What people do in the window, by label and by key, each state of the design among it.

use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::i18n::Lang;
use glimpse::app::{GlimpseApp, PickKind, ServiceEvent};
use glimpse::domain::{FolderId, JobId, JobKind, JobState, JobStatus, PhotoId, Progress, Skipped, SkippedReason};
use glimpse::engine::{Command, Event, FailureKind, Scope};

use super::support::{NotedServices, ScriptedLink, Setup, failure, library, pass, window};

type Window = Harness<'static, GlimpseApp>;

fn empty_library() -> ScriptedLink {
    let link = ScriptedLink::default();
    let mut status = library(0);
    status.folders.clear();
    link.push(Event::Library(status));
    link
}

fn photos(n: i64) -> (ScriptedLink, Window) {
    let link = ScriptedLink::with_photos(n);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.5);
    (link, w)
}

fn click(w: &mut Window, label: &str) {
    w.get_by_label(label).click();
    // A popup or a notice needs a frame to find its size and another to find its place.
    pass(w, 1.0);
}

fn selected(w: &Window) -> usize {
    w.state().runtime().selection.len()
}

fn job(state: JobState, done: u64, failed: u64) -> Event {
    let progress = Progress { done, total: Some(8091), failed, per_second: 43.2, secs_left: Some(130.0) };
    Event::Job(JobStatus { id: JobId(7), kind: JobKind::Index("holiday".into()), state, progress })
}

#[test]
fn first_start_has_three_ways_in() {
    let services = NotedServices::default();
    let link = empty_library();
    let mut w = window(&link, Setup { services: services.clone(), ..Setup::default() });
    w.get_by_label("Find photos by describing them");
    w.get_by_label_contains("drop a folder");
    click(&mut w, "Try the sample photos");
    assert!(link.sent().iter().any(|c| matches!(c, Command::AddFolder(path) if path.ends_with("samples"))));

    click(&mut w, "Add folder…");
    assert_eq!(services.0.lock().unwrap().picks, [PickKind::Folder]);
    let path = std::path::PathBuf::from("/photos/holiday");
    services.0.lock().unwrap().answers.push_back(ServiceEvent::Picked { kind: PickKind::Folder, path: path.clone() });
    pass(&mut w, 0.5);
    assert!(link.sent().contains(&Command::AddFolder(path)));
}

/// U2: without a dialog there is a field and a sentence why; a dialog that never answers stacks no second.
#[test]
fn no_dialog_no_dead_end() {
    let services = NotedServices::default();
    let link = empty_library();
    let mut w = window(&link, Setup { services: services.clone(), ..Setup::default() });
    services.0.lock().unwrap().answers.push_back(ServiceEvent::NoDialog(PickKind::Folder));
    pass(&mut w, 0.5);
    w.get_by_label_contains("offers no folder dialog");
    assert!(w.get_by_label("Path").is_focused());
    w.get_by_label("Path").type_text("/photos/a b");
    pass(&mut w, 0.5);
    click(&mut w, "Add");
    assert!(link.sent().contains(&Command::AddFolder("/photos/a b".into())));

    services.0.lock().unwrap().busy = true;
    click(&mut w, "Add folder…");
    w.get_by_label_contains("has not answered yet");
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert!(w.query_by_label_contains("has not answered yet").is_none());
}

#[test]
fn selecting_as_in_a_file_manager() {
    let (_, mut w) = photos(40);
    click(&mut w, "IMG_0003.jpg");
    assert_eq!(selected(&w), 1);
    // The inspector fills: metadata, and what can be done.
    w.get_by_label("3 May 2024, 14:22");
    w.get_by_label("Fujifilm X-T4");
    w.get_by_label("47.3769° N, 8.5417° E");
    w.get_by_label("IMG_0006.jpg").click_modifiers(Modifiers::SHIFT);
    pass(&mut w, 0.5);
    assert_eq!(selected(&w), 4);
    w.get_by_label("IMG_0004.jpg").click_modifiers(Modifiers::COMMAND);
    pass(&mut w, 0.5);
    assert_eq!(selected(&w), 3);
    w.key_press_modifiers(Modifiers::COMMAND, Key::A);
    pass(&mut w, 0.5);
    assert_eq!(selected(&w), 40);
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert_eq!(selected(&w), 0);
}

#[test]
fn a_rubber_band_selects_what_it_touches() {
    let (_, mut w) = photos(40);
    let (first, last) = (w.get_by_label("IMG_0001.jpg").rect(), w.get_by_label("IMG_0006.jpg").rect());
    w.drag_at(first.center());
    w.step();
    w.hover_at(first.center() + vec2(30.0, 30.0));
    w.step();
    w.hover_at(last.center());
    pass(&mut w, 0.5);
    w.drop_at(last.center());
    pass(&mut w, 0.5);
    // Four a row at this size: the first two of two rows.
    assert_eq!(selected(&w), 4);
    assert!(w.state().runtime().viewer.is_none());
}

#[test]
fn keys_move_open_and_come_back() {
    let (_, mut w) = photos(40);
    w.key_press(Key::ArrowRight);
    w.key_press(Key::ArrowRight);
    w.key_press(Key::ArrowDown);
    pass(&mut w, 0.5);
    let columns = w.state().runtime().grid.columns as i64;
    assert_eq!(w.state().runtime().selection.lead(), Some(PhotoId(2 + columns)));
    w.key_press(Key::Space);
    pass(&mut w, 0.5);
    w.get_by_label("Back to the photos");
    w.key_press(Key::ArrowRight);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().viewer.map(|viewer| viewer.photo), Some(PhotoId(3 + columns)));
    click(&mut w, "Zoom in");
    assert!(w.state().runtime().viewer.is_some_and(|viewer| viewer.zoom > 1.0));
    click(&mut w, "Fit to the window");
    click(&mut w, "Previous photo");
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert!(w.query_by_label("Back to the photos").is_none());
    w.key_press(Key::End);
    pass(&mut w, 1.0);
    assert_eq!(w.state().runtime().selection.lead(), Some(PhotoId(40)));
    assert_eq!(w.get_all_by_label("IMG_0040.jpg").count(), 2, "in the grid and in the inspector");
}

#[test]
fn a_double_click_opens_large() {
    let (link, mut w) = photos(12);
    w.get_by_label("IMG_0002.jpg").click();
    w.step();
    w.get_by_label("IMG_0002.jpg").click();
    pass(&mut w, 0.25);
    // Steps are a quarter of a second apart, too slow for a double click: Enter does the same.
    w.key_press(Key::Enter);
    pass(&mut w, 0.5);
    w.get_by_label("2 of 12");
    assert!(link.sent().iter().any(|c| matches!(c, Command::Preview { photo: PhotoId(2), .. })));
}

#[test]
fn what_the_inspector_offers_reaches_the_engine() {
    let (link, mut w) = photos(12);
    click(&mut w, "IMG_0005.jpg");
    let path = std::path::PathBuf::from("/home/ada/Pictures/holiday/IMG_0005.jpg");
    click(&mut w, "Open");
    click(&mut w, "Show in folder");
    let sent = link.sent();
    assert!(sent.contains(&Command::OpenExternally(path.clone())) && sent.contains(&Command::ShowInFolder(path)));
    click(&mut w, "Copy path");
    w.get_by_label("Copied");
    pass(&mut w, 3.0);
    assert!(w.query_by_label("Copied").is_none());
}

#[test]
fn a_job_can_be_watched_paused_and_cancelled() {
    let (link, mut w) = photos(12);
    link.push(job(JobState::Running, 1204, 0));
    pass(&mut w, 0.5);
    w.get_all_by_label("Indexing holiday").next().unwrap();
    w.get_by_label("1,204 of 8,091 · 43/s · 2 min left");
    click(&mut w, "Pause");
    assert!(link.sent().contains(&Command::PauseJob(JobId(7))));
    link.push(job(JobState::Paused, 1204, 0));
    pass(&mut w, 0.5);
    w.get_all_by_label("Paused: holiday").next().unwrap();
    click(&mut w, "Go on");
    click(&mut w, "Cancel");
    let sent = link.sent();
    assert!(sent.contains(&Command::ResumeJob(JobId(7))) && sent.contains(&Command::CancelJob(JobId(7))));

    link.push(job(JobState::Cancelled, 1204, 0));
    pass(&mut w, 0.5);
    w.get_by_label_contains("What was read so far is kept");
    pass(&mut w, 8.0);
    assert_eq!(w.get_all_by_label("12 photos").count(), 2, "over the photos, and in the status bar again");
    link.push(job(JobState::Done, 8091, 3));
    pass(&mut w, 0.5);
    w.get_by_label("Up to date: holiday · 3 unreadable");
    link.push(job(JobState::Failed("the disk is full".into()), 9, 0));
    pass(&mut w, 9.0);
    // The notice that comes with it says why; the exact words are one hover away.
    w.get_by_label("Indexing holiday could not go on").hover();
    pass(&mut w, 2.0);
    w.get_by_label("the disk is full");
    click(&mut w, "Dismiss");
    assert!(w.query_by_label("Indexing holiday could not go on").is_none());

    let (kind, progress) = (JobKind::IndexAll(2), Progress::default());
    link.push(Event::Job(JobStatus { id: JobId(8), kind, state: JobState::Running, progress }));
    pass(&mut w, 0.5);
    w.get_all_by_label("Indexing 2 folders").next().unwrap();
}

#[test]
fn results_grow_while_indexing() {
    let (link, mut w) = photos(12);
    link.push(job(JobState::Running, 12, 0));
    link.script(|script| script.photos.extend((13..=20).map(PhotoId)));
    link.push(Event::PhotosChanged);
    pass(&mut w, 2.0);
    assert_eq!(w.state().runtime().ids().len(), 20);
    w.get_by_label("Search photos").focus();
    w.step();
    w.get_by_label("Search photos").type_text("sea");
    pass(&mut w, 1.0);
    link.script(|script| script.photos.push(PhotoId(21)));
    link.push(Event::PhotosChanged);
    pass(&mut w, 2.0);
    assert_eq!(w.state().runtime().ids().len(), 21);
    assert_eq!(link.searches().len(), 2);
}

#[test]
fn a_folder_is_removed_after_one_question() {
    let (link, mut w) = photos(312);
    click(&mut w, "More for holiday");
    click(&mut w, "Remove folder…");
    w.get_by_label("Remove “holiday” from Glimpse?");
    w.get_by_label_contains("208 photos will no longer be found");
    click(&mut w, "Keep it");
    assert!(!link.sent().contains(&Command::RemoveFolder(FolderId(1))));
    click(&mut w, "More for holiday");
    click(&mut w, "Remove folder…");
    click(&mut w, "Remove folder");
    assert!(link.sent().contains(&Command::RemoveFolder(FolderId(1))));
}

#[test]
fn a_folder_that_is_shown_and_removed_gives_way_to_everything() {
    let (link, mut w) = photos(12);
    click(&mut w, "holiday");
    assert_eq!(w.state().saved().window.scope, Scope::Folder(FolderId(1)));
    let mut status = library(4);
    status.folders.remove(0);
    link.push(Event::Library(status));
    pass(&mut w, 0.5);
    assert_eq!(w.state().saved().window.scope, Scope::All);
    assert!(matches!(link.sent().last(), Some(Command::List { scope: Scope::All, .. } | Command::Thumbnail(_))));
}

#[test]
fn failed_files_say_why_and_can_be_tried_again() {
    let link = ScriptedLink::with_photos(30);
    link.script(|script| script.failed = (1..=3).map(PhotoId).collect());
    let mut status = library(30);
    status.failed = 3;
    link.push(Event::Library(status));
    let mut w = window(&link, Setup::default());
    click(&mut w, "Unreadable");
    pass(&mut w, 0.5);
    w.get_by_label("IMG_0002.jpg: Cut off or damaged").hover();
    pass(&mut w, 2.0);
    w.get_by_label_contains("the file ends in the middle of the picture");
    w.get_all_by_label("Try again").nth(1).unwrap().click();
    pass(&mut w, 0.5);
    click(&mut w, "Try all again");
    let sent = link.sent();
    assert!(sent.contains(&Command::TryAgain(vec![PhotoId(2)])));
    assert!(sent.contains(&Command::TryAgain((1..=3).map(PhotoId).collect())));
    w.get_all_by_label("Show in folder").next().unwrap().click();
    pass(&mut w, 0.5);
    assert!(link.sent().iter().any(|c| matches!(c, Command::ShowInFolder(path) if path.ends_with("IMG_0001.jpg"))));
}

/// What the engine reports is said in the window's language, whatever the words of its layers.
#[test]
fn reasons_and_failures_speak_the_windows_language() {
    let link = ScriptedLink::with_photos(30);
    link.script(|script| script.failed = vec![PhotoId(1)]);
    let mut status = library(30);
    (status.failed, status.device_note) = (1, Some(glimpse::device::DeviceNote::NoAdapter));
    link.push(Event::Library(status));
    let mut setup = Setup::default();
    setup.saved.settings.language = Some("zh-CN".into());
    let mut w = window(&link, setup);
    click(&mut w, "无法读取");
    w.get_by_label("IMG_0001.jpg: 文件不完整或已损坏");
    let (kind, progress) = (JobKind::IndexAll(3), Progress::default());
    link.push(Event::Job(JobStatus { id: JobId(8), kind, state: JobState::Running, progress }));
    pass(&mut w, 0.5);
    w.get_all_by_label("正在索引 3 个文件夹").next().unwrap();
    click(&mut w, "搜索模型: Lite Align");
    w.get_by_label_contains("日常照片");
    w.key_press(Key::Escape);
    w.key_press_modifiers(Modifiers::COMMAND, Key::Comma);
    pass(&mut w, 0.5);
    w.get_by_label("模型在处理器上运行：未找到带驱动程序的显卡。");
    let mut picture = failure(FailureKind::QueryPicture, "/tmp/a.jpg", "");
    picture.skipped.push(Skipped { path: "/tmp/a.jpg".into(), reason: SkippedReason::Empty, detail: "0 bytes".into() });
    link.push(Event::Notice(picture));
    pass(&mut w, 0.5);
    w.get_by_label("无法用这张图片搜索。文件为空。\n/tmp/a.jpg");
}

#[test]
fn nothing_likely_and_nothing_found() {
    let link = ScriptedLink::with_photos(12);
    link.script(|script| script.nothing_likely = true);
    let mut w = window(&link, Setup::default());
    w.get_by_label("Search photos").focus();
    w.step();
    w.get_by_label("Search photos").type_text("zebra");
    pass(&mut w, 1.0);
    w.get_by_label("Nothing here looks like “zebra”. The closest photos are below.");
    link.script(|script| script.photos.clear());
    w.get_by_label("Search photos").type_text("s");
    pass(&mut w, 1.0);
    w.get_by_label("No photos found");
}

#[test]
fn a_question_that_fails_says_the_way_out() {
    for (kind, words, button, mends) in [
        (FailureKind::NotIndexed, "not been looked at with this model", "Index now", Command::Rescan(None)),
        (FailureKind::Model, "could not be loaded", "Use the built-in model", Command::UseModel("lite-align".into())),
    ] {
        let (link, mut w) = photos(12);
        link.script(|script| script.silent = true);
        w.get_by_label("Search photos").focus();
        w.step();
        w.get_by_label("Search photos").type_text("sea");
        pass(&mut w, 1.0);
        let request = link.searches()[0].0;
        link.push(Event::SearchDone { request, result: Err(failure(kind, "", "the exact words")) });
        pass(&mut w, 0.5);
        w.get_by_label_contains(words);
        click(&mut w, button);
        assert!(link.sent().contains(&mends));
    }
}

#[test]
fn notices_say_it_once_and_keep_the_details_behind_a_click() {
    let (link, mut w) = photos(12);
    let mut news = failure(FailureKind::FolderEmptied, "/photos/下载", "12 photos vanished");
    let skipped = Skipped { path: "/photos/a.jpg".into(), reason: SkippedReason::Damaged, detail: "cut".into() };
    news.skipped.push(skipped);
    link.push(Event::Notice(news.clone()));
    link.push(Event::Notice(news));
    pass(&mut w, 0.5);
    w.get_by_label_contains("Is its drive connected?");
    assert!(w.query_by_label_contains("12 photos vanished").is_none());
    click(&mut w, "Details");
    w.get_by_label_contains("/photos/a.jpg: Cut off or damaged (cut)");
    click(&mut w, "Dismiss");
    assert!(w.query_by_label_contains("Is its drive connected?").is_none());
}

#[test]
fn a_click_is_not_lost_when_something_appears_above() {
    let (link, mut w) = photos(12);
    let at = w.get_by_label("IMG_0002.jpg").rect().center();
    w.hover_at(at);
    w.step();
    w.drag_at(at);
    w.step();
    // Between press and release a job starts, a notice comes and the rail grows.
    let mut status = library(12);
    (status.failed, status.folders[0].failed) = (2, 2);
    link.push(Event::Library(status));
    link.push(job(JobState::Running, 1, 0));
    link.push(Event::Notice(failure(FailureKind::Folder, "/photos", "")));
    pass(&mut w, 0.25);
    w.drop_at(at);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().selection.lead(), Some(PhotoId(2)));
}

#[test]
fn read_only_and_offline_are_said() {
    let link = ScriptedLink::with_photos(12);
    let mut status = library(12);
    (status.read_only, status.folders[1].offline) = (true, true);
    link.push(Event::Library(status));
    let w = window(&link, Setup::default());
    w.get_by_label("Read only");
    w.get_by_label("下载");
}

#[test]
fn chinese_and_themes_switch_at_once() {
    let (_, mut w) = photos(12);
    w.key_press_modifiers(Modifiers::COMMAND, Key::Comma);
    pass(&mut w, 0.5);
    click(&mut w, "简体中文");
    w.get_by_label("设置");
    assert_eq!(w.state().lang(), Lang::Zh);
    click(&mut w, "浅色");
    assert_eq!(w.ctx.theme(), Theme::Light);
    click(&mut w, "关闭");
    assert_eq!(w.get_all_by_label("12 张照片").count(), 2);
    w.get_by_label("添加文件夹…");
    assert_eq!(w.state().saved().settings.language.as_deref(), Some("zh-CN"));
}

#[test]
fn commands_by_name_and_help() {
    let (link, mut w) = photos(12);
    w.key_press_modifiers(Modifiers::COMMAND, Key::K);
    pass(&mut w, 0.5);
    w.get_by_label("Type a command").type_text("changes");
    pass(&mut w, 0.5);
    w.key_press(Key::Enter);
    pass(&mut w, 0.5);
    assert!(link.sent().contains(&Command::Rescan(None)));
    assert!(w.query_by_label("Type a command").is_none());
    w.key_press(Key::F1);
    pass(&mut w, 0.5);
    w.get_by_label("Find photos that look like the selected one");
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    w.key_press(Key::F5);
    pass(&mut w, 0.5);
    assert_eq!(link.sent().iter().filter(|c| **c == Command::Rescan(None)).count(), 2);
}

#[test]
fn the_window_is_back_where_it_was() {
    let services = NotedServices::default();
    let link = ScriptedLink::with_photos(12);
    let mut w = window(&link, Setup { services: services.clone(), ..Setup::default() });
    w.get_by_label("Search photos").focus();
    w.step();
    w.get_by_label("Search photos").type_text("sea");
    pass(&mut w, 1.0);
    w.key_press_modifiers(Modifiers::COMMAND, Key::Plus);
    w.key_press_modifiers(Modifiers::COMMAND, Key::B);
    pass(&mut w, 3.0);
    let saved = services.0.lock().unwrap().saved.pop().unwrap();
    assert_eq!(saved.window.query, "sea");
    assert!(!saved.window.rail_open && saved.settings.thumbnail_size > 168.0);

    let again = ScriptedLink::with_photos(12);
    let w = window(&again, Setup { saved, ..Setup::default() });
    assert_eq!(again.searches().len(), 1);
    assert_eq!(w.get_by_label("Search photos").value().as_deref(), Some("sea"));
    assert!(w.query_by_label("下载").is_none());
}

#[test]
fn nothing_is_painted_when_nothing_changes() {
    let (_, mut w) = photos(40);
    w.run();
    for _ in 0..8 {
        w.step();
        let wait = w.output().viewport_output.values().map(|v| v.repaint_delay).min().unwrap();
        assert!(wait > std::time::Duration::from_secs(1), "another frame is wanted after {wait:?}");
    }
}
