//! The window on a real engine: a folder of real files, a model that knows colours, real threads.

use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::{GlimpseApp, Opened, PickKind, ServiceEvent};
use glimpse::config::{Paths, Settings};
use glimpse::device::DeviceRequest;
use glimpse::engine::{Engine, EngineConfig, FuseSource, ModelSource};
use glimpse::models::align::StubAlign;
use glimpse::models::fuse::StubFuse;
use glimpse::store::Store;

use super::support::{NotedServices, Setup, window_on};

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 170, 40]), ("blue", [40, 60, 220]), ("yellow", [240, 220, 40])];

pub fn photos(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, colour) in COLOURS {
        for shade in 0..3u8 {
            let picture = image::RgbImage::from_fn(640, 480, |x, y| {
                let dither = ((x / 8 + y / 8) % 2) as u8 * 6 + shade * 3;
                image::Rgb(colour.map(|channel| channel.saturating_add(dither)))
            });
            picture.save(folder.join(format!("{name}-{shade}.jpg"))).unwrap();
        }
    }
    std::fs::write(folder.join("broken.jpg"), b"\xff\xd8\xff\xe0 no picture").unwrap();
}

pub fn config(own: &Path) -> EngineConfig {
    let paths = Paths::in_folder(own);
    EngineConfig {
        library: paths.library(),
        paths,
        settings: Settings::default(),
        align: ModelSource::Ready(Arc::new(StubAlign::default())),
        fuse: FuseSource::Ready(Arc::new(StubFuse::default())),
        device: DeviceRequest::Cpu,
    }
}

/// Steps in real time until it is so.
pub fn wait(w: &mut Harness<'static, GlimpseApp>, what: &str, is_so: impl Fn(&Harness<'static, GlimpseApp>) -> bool) {
    let since = Instant::now();
    while !is_so(w) {
        assert!(since.elapsed() < Duration::from_secs(120), "waited in vain: {what}; the window: {:#?}", w.root());
        std::thread::sleep(Duration::from_millis(20));
        w.step();
    }
}

#[test]
fn add_a_folder_find_a_photo_open_it_and_remove_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("holiday");
    photos(&folder);
    let config = config(&dir.path().join("own"));
    let services = NotedServices::default();
    let setup = Setup { services: services.clone(), ..Setup::default() };
    let mut w = window_on(move || Ok(Box::new(Engine::start(config.clone(), Waker::noop().clone())?)), setup);

    wait(&mut w, "the first start", |w| w.query_by_label("Find photos by describing them").is_some());
    w.get_by_label("Add folder…").click();
    w.step();
    let picked = ServiceEvent::Picked { kind: PickKind::Folder, path: folder.clone() };
    services.0.lock().unwrap().answers.push_back(picked);
    wait(&mut w, "twelve photos", |w| w.state().runtime().ids().len() == 12);
    wait(&mut w, "the job's end", |w| w.query_by_label_contains("Up to date: holiday").is_some());
    wait(&mut w, "a thumbnail", |w| w.query_by_label("red-0.jpg").is_some());

    w.get_by_label("Search photos").focus();
    w.step();
    w.get_by_label("Search photos").type_text("red");
    wait(&mut w, "an answer", |w| w.state().runtime().shown.value().is_some_and(|shown| shown.ranking.is_some()));
    let best = w.state().runtime().ids()[0];
    let name =
        |w: &Harness<'_, GlimpseApp>| w.state().runtime().thumbs.get(best).map(|t| t.name.clone()).unwrap_or_default();
    wait(&mut w, "the best hit's name", |w| !name(w).is_empty());
    assert!(name(&w).starts_with("red-"), "{}", name(&w));

    w.get_by_label(&name(&w)).click();
    wait(&mut w, "its details", |w| w.query_by_label_contains("640 × 480").is_some());
    w.key_press(Key::Enter);
    wait(&mut w, "the large view", |w| w.query_by_label("Back to the photos").is_some());
    let large = |w: &Harness<'_, GlimpseApp>| {
        w.state().runtime().pictures.get(best).is_some_and(|picture| picture.value().is_some())
    };
    wait(&mut w, "the large picture", large);
    w.key_press(Key::Escape);
    w.step();

    w.get_by_label("Unreadable").click();
    wait(&mut w, "the bad file", |w| w.query_by_label_contains("broken.jpg: ").is_some());

    w.get_by_label("More for holiday").click();
    wait(&mut w, "the folder's menu", |w| w.query_by_label("Remove folder…").is_some());
    w.run_steps(2);
    w.get_by_label("Remove folder…").click();
    wait(&mut w, "the question", |w| w.query_by_label("Remove folder").is_some());
    w.run_steps(2);
    w.get_by_label("Remove folder").click();
    wait(&mut w, "the first start again", |w| w.query_by_label("Find photos by describing them").is_some());
    assert!(folder.join("red-0.jpg").is_file(), "the files on the disk stay");
}

/// A library that this version cannot use is named; once a usable one lies there, the open window takes it.
#[test]
fn a_library_of_a_newer_version_and_then_one_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    drop(Store::open(&config.library).unwrap());
    let ours = std::fs::read(&config.library).unwrap();
    let newer = rusqlite::Connection::open(&config.library).unwrap();
    newer.pragma_update(None, "user_version", 9999).unwrap();
    newer.close().unwrap();
    let library = config.library.clone();
    let open = move || -> Opened { Ok(Box::new(Engine::start(config.clone(), Waker::noop().clone())?)) };
    let mut w = window_on(open, Setup::default());
    wait(&mut w, "the sentence", |w| w.query_by_label_contains("written by a newer version").is_some());

    std::fs::write(&library, &ours[..ours.len() / 2]).unwrap();
    w.get_by_label("Try again").click();
    wait(&mut w, "another sentence", |w| w.query_by_label_contains("This library is damaged").is_some());
    std::fs::write(&library, &ours).unwrap();
    w.get_by_label("Try again").click();
    wait(&mut w, "the first start", |w| w.query_by_label("Find photos by describing them").is_some());
}
