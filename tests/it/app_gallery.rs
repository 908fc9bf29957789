//! Every state of the window as a picture, to be looked at by a person:
//! `GLIMPSE_GALLERY=/tmp/gallery cargo test --release --test it app_gallery -- --ignored`.
//! With `GLIMPSE_GALLERY_PHOTOS=FOLDER` the pictures in it take the place of made-up ones.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use egui::{Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::GlimpseApp;
use glimpse::device::DeviceNote;
use glimpse::domain::{JobId, JobKind, JobState, JobStatus, PhotoId, Progress};
use glimpse::engine::{Event, FailureKind};
use image::RgbaImage;

use super::support::{ScriptedLink, Setup, can_render, failure, library, pass, settle, window, window_on};

type Window = Harness<'static, GlimpseApp>;

type Pictures = Vec<Arc<RgbaImage>>;

/// Thumbnails and larger pictures of the folder that was named, read once.
fn real_pictures() -> &'static (Pictures, Pictures) {
    static PICTURES: OnceLock<(Pictures, Pictures)> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let Some(folder) = std::env::var_os("GLIMPSE_GALLERY_PHOTOS") else { return Default::default() };
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let pictures: Vec<_> = files.iter().filter_map(|file| image::open(file).ok()).take(24).collect();
        let scaled = |side| pictures.iter().map(|p| Arc::new(p.thumbnail(side, side).to_rgba8())).collect();
        (scaled(400), scaled(1200))
    })
}

pub fn photos() -> ScriptedLink {
    let link = ScriptedLink::with_photos(312);
    let (thumbs, pictures) = real_pictures();
    if !thumbs.is_empty() {
        link.script(|script| (script.thumbs, script.pictures) = (thumbs.clone(), pictures.clone()));
    }
    link
}

fn job(state: JobState, failed: u64) -> Event {
    let progress = Progress { done: 1204, total: Some(8091), failed, per_second: 43.2, secs_left: Some(130.0) };
    Event::Job(JobStatus { id: JobId(1), kind: JobKind::Index("holiday".into()), state, progress })
}

pub type Make = fn(Setup) -> Window;

/// The states by name; each makes its window at the size, theme and language it is given.
fn states() -> Vec<(&'static str, Make)> {
    fn type_in(w: &mut Window, text: &str) {
        let label = w.state().lang().text(glimpse::app::i18n::Msg::SearchField);
        w.get_by_label(label).focus();
        w.step();
        w.get_by_label(label).type_text(text);
        settle(w);
    }
    fn photo(w: &Window, name: &str) -> egui::Pos2 {
        w.get_by_label(name).rect().center()
    }
    vec![
        ("browse", |s| window(&photos(), s)),
        ("search", |s| {
            let link = photos();
            let zh = s.saved.settings.language.as_deref() == Some("zh-CN");
            link.script(|script| script.likely = 7);
            let mut w = window(&link, s);
            type_in(&mut w, if zh { "一只狗在海边奔跑" } else { "a dog running on the beach" });
            w.get_by_label("IMG_0003.jpg").click();
            pass(&mut w, 0.5);
            let at = photo(&w, "IMG_0006.jpg");
            w.hover_at(at);
            w
        }),
        ("indexing", |s| {
            let link = photos();
            let mut status = library(312);
            (status.failed, status.missing) = (3, 12);
            (status.folders[0].failed, status.folders[1].offline) = (3, true);
            status.device_note = Some(DeviceNote::NoAdapter);
            link.push(Event::Library(status));
            link.push(job(JobState::Running, 3));
            window(&link, s)
        }),
        ("first-start", |s| {
            let link = ScriptedLink::default();
            let mut status = library(0);
            status.folders.clear();
            link.push(Event::Library(status));
            window(&link, s)
        }),
        ("nothing-likely", |s| {
            let link = photos();
            link.script(|script| script.nothing_likely = true);
            let mut w = window(&link, s);
            type_in(&mut w, "a purple zebra");
            w
        }),
        ("failed", |s| {
            let link = photos();
            link.script(|script| {
                script.failed = (1..=7).map(PhotoId).collect();
                script.names.insert(
                    PhotoId(2),
                    "a photo with a very long name that will not fit into the row at any width.jpeg".into(),
                );
            });
            let mut status = library(312);
            status.failed = 7;
            link.push(Event::Library(status));
            let w = window(&link, s);
            w.get_by_label(w.state().lang().text(glimpse::app::i18n::Msg::FailedFiles)).click();
            w
        }),
        ("viewer", |s| {
            let mut w = window(&photos(), s);
            w.get_by_label("IMG_0002.jpg").click();
            w.step();
            w.key_press(egui::Key::Enter);
            w
        }),
        ("notices", |s| {
            let link = photos();
            link.push(Event::Notice(failure(FailureKind::FolderEmptied, "/home/ada/下载", "12 photos are gone")));
            link.push(Event::Notice(failure(
                FailureKind::Model,
                "/opt/glimpse/models/lite-align",
                "image.safetensors is 3 bytes short",
            )));
            let w = window(&link, s);
            w.get_all_by_label(w.state().lang().text(glimpse::app::i18n::Msg::Details)).last().unwrap().click();
            w
        }),
        ("settings", |s| {
            let w = window(&photos(), s);
            w.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Comma);
            w
        }),
        ("help", |s| {
            let w = window(&photos(), s);
            w.key_press(egui::Key::F1);
            w
        }),
        ("palette", |s| {
            let w = window(&photos(), s);
            w.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
            w
        }),
        ("remove-folder", |s| {
            let mut w = window(&photos(), s);
            let name = w.state().lang().fill(glimpse::app::i18n::Msg::FolderMenu, &[("name", "holiday")]);
            w.get_by_label(&name).click();
            pass(&mut w, 0.5);
            w.get_by_label(w.state().lang().text(glimpse::app::i18n::Msg::RemoveFolder)).click();
            w
        }),
        ("menu", |s| {
            let w = window(&photos(), s);
            w.get_by_label(w.state().lang().text(glimpse::app::i18n::Msg::MainMenu)).click();
            w
        }),
        ("model-menu", |s| {
            let w = window(&photos(), s);
            let name = format!("{}: Lite Align", w.state().lang().text(glimpse::app::i18n::Msg::ModelMenu));
            w.get_by_label(&name).click();
            w
        }),
        ("context-menu", |s| {
            let w = window(&photos(), s);
            w.get_by_label("IMG_0002.jpg").click_secondary();
            w
        }),
        ("folder-menu", |s| {
            let link = photos();
            let mut status = library(312);
            status.missing = 12;
            (status.folders[1].offline, status.folders[1].missing) = (true, 12);
            link.push(Event::Library(status));
            let mut w = window(&link, s);
            let name = w.state().lang().fill(glimpse::app::i18n::Msg::FolderMenu, &[("name", "下载")]);
            let at = w.get_by_label(&name).rect().center();
            w.hover_at(at);
            w.step();
            w.get_by_label(&name).click();
            w
        }),
        ("in-a-folder", |s| {
            let mut w = window(&photos(), s);
            w.get_by_label("holiday").click();
            settle(&mut w);
            type_in(&mut w, "sunset over the hills");
            w
        }),
        ("in-a-folder-nothing", |s| {
            let link = photos();
            let mut w = window(&link, s);
            w.get_by_label("holiday").click();
            settle(&mut w);
            link.script(|script| script.photos.clear());
            type_in(&mut w, "submarine");
            w
        }),
        ("folder-hint", |s| {
            let w = window(&photos(), s);
            w.get_by_label("holiday").click();
            w
        }),
        ("type-path", |s| {
            let services = s.services.clone();
            services.0.lock().unwrap().busy = true;
            let w = window(&photos(), s);
            w.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::O);
            w
        }),
        ("not-indexed", |s| {
            let link = photos();
            link.script(|script| script.silent = true);
            let mut w = window(&link, s);
            type_in(&mut w, "sea");
            let request = link.searches()[0].0;
            let error = failure(FailureKind::NotIndexed, "", "no photo is indexed with the model lite-align yet");
            link.push(Event::SearchDone { request, result: Err(error) });
            w
        }),
        ("job-failed", |s| {
            let link = photos();
            link.push(job(JobState::Failed("no room on the disk: nothing was lost".into()), 0));
            link.push(Event::Notice(failure(
                FailureKind::DiskFull,
                "/home/ada/.local/share/glimpse/library.db",
                "no room",
            )));
            window(&link, s)
        }),
        ("missing", |s| {
            let link = photos();
            let mut status = library(312);
            status.missing = 1;
            link.push(Event::Library(status));
            let w = window(&link, s);
            w.get_by_label(w.state().lang().text(glimpse::app::i18n::Msg::MissingPhotos)).click();
            w
        }),
        ("opening", |s| {
            window_on(
                || loop {
                    std::thread::park();
                },
                s,
            )
        }),
        ("locked", |s| {
            let locked = failure(
                FailureKind::LibraryLocked,
                "/home/ada/.local/share/glimpse/library.db",
                "another program has held this library for 10 seconds: close it, then try again: /home/ada/.local/share/glimpse/library.db",
            );
            window_on(move || Err(locked.clone()), s)
        }),
        ("several", |s| {
            let w = window(&photos(), s);
            w.get_by_label("IMG_0002.jpg").click();
            w.get_by_label("IMG_0009.jpg").click_modifiers(egui::Modifiers::SHIFT);
            w
        }),
        ("newer", |s| {
            let newer = failure(
                FailureKind::LibraryNewer,
                "/home/ada/.local/share/glimpse/library.db",
                "format 9, this program knows 1",
            );
            window_on(move || Err(newer.clone()), s)
        }),
    ]
}

#[test]
#[ignore = "draws pictures for a person to look at"]
fn app_gallery() {
    let Some(out) = std::env::var_os("GLIMPSE_GALLERY").map(PathBuf::from) else { return };
    if !can_render() {
        return;
    }
    std::fs::create_dir_all(&out).unwrap();
    let only = std::env::var("GLIMPSE_GALLERY_ONLY").unwrap_or_default();
    for (name, make) in states().into_iter().chain(super::gallery_words::states()) {
        for (size, lang, theme) in [
            (vec2(1280.0, 800.0), "en", Theme::Dark),
            (vec2(1280.0, 800.0), "zh-CN", Theme::Light),
            (vec2(900.0, 600.0), "en", Theme::Light),
            (vec2(1920.0, 1200.0), "zh-CN", Theme::Dark),
        ] {
            let file = format!("{name}-{}x{}-{lang}-{theme:?}.png", size.x, size.y);
            if !file.contains(&only) {
                continue;
            }
            println!("{file}");
            let mut setup = Setup { size, theme, ..Setup::default() };
            setup.saved.settings.language = Some(lang.into());
            let mut w = make(setup);
            settle(&mut w);
            w.render().unwrap().save(out.join(file)).unwrap();
        }
    }
}
