//! A window without an engine: a scripted link that answers from a made-up library, a
//! system that only takes notes, and the one place where test windows are built.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use egui::{Theme, Vec2};
use egui_kittest::Harness;
use glimpse::app::{EngineLink, GlimpseApp, Opened, PickKind, PickStart, SavedState, ServiceEvent, Services};
use glimpse::domain::{
    FileStamp, FolderId, Hit, LatLon, Photo, PhotoId, PhotoMeta, PhotoState, Query, ReadFailure, RequestId, SearchCost,
    SkippedReason,
};
use glimpse::engine::{
    Command, Details, Event, Failure, FailureKind, FolderStatus, FuseInfo, FuseStatus, LibraryStatus, ModelStatus,
    Reranked, Scope, SearchResults, Thumb,
};
use glimpse::models::fuse::{Abilities, Sees};
use glimpse::search::rerank::rerank;
use image::RgbaImage;

use super::ledger::Ledger;

/// What the scripted engine answers with, and what it was asked.
#[derive(Default)]
pub struct Script {
    pub events: VecDeque<Event>,
    pub sent: Vec<Command>,
    /// Photos of the made-up library; questions about them are answered at once.
    pub photos: Vec<PhotoId>,
    pub names: HashMap<PhotoId, String>,
    pub thumbs: Vec<Arc<RgbaImage>>,
    pub pictures: Vec<Arc<RgbaImage>>,
    pub failed: Vec<PhotoId>,
    /// Searches and lists are left to the test.
    pub silent: bool,
    pub likely: usize,
    pub nothing_likely: bool,
    pub room: Option<usize>,
    /// Captions, answers and what else is about words.
    pub ledger: Ledger,
    /// Judging the best hits is left to the test.
    pub judges_late: bool,
}

/// The window's end of the script.
#[derive(Clone, Default)]
pub struct ScriptedLink(pub Arc<Mutex<Script>>);

impl EngineLink for ScriptedLink {
    fn send(&self, command: Command) -> bool {
        let mut script = self.0.lock().unwrap();
        if let Some(room) = &mut script.room {
            if *room == 0 {
                return false;
            }
            *room -= 1;
        }
        script.answer(&command);
        script.sent.push(command);
        true
    }

    fn poll(&self) -> Option<Event> {
        self.0.lock().unwrap().events.pop_front()
    }
}

impl ScriptedLink {
    /// A library of so many photos in two folders.
    pub fn with_photos(n: i64) -> Self {
        let link = Self::default();
        {
            let mut script = link.0.lock().unwrap();
            script.photos = (1..=n).map(PhotoId).collect();
            script.likely = 5;
            script.thumbs = (0..12).map(|i| Arc::new(made_up_picture(i))).collect();
            script.pictures = script.thumbs.clone();
            script.events.push_back(Event::Library(library(n as u64)));
        }
        link
    }

    pub fn push(&self, event: Event) {
        self.0.lock().unwrap().events.push_back(event);
    }

    pub fn sent(&self) -> Vec<Command> {
        self.0.lock().unwrap().sent.clone()
    }

    pub fn script<R>(&self, change: impl FnOnce(&mut Script) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }

    /// The texts that were searched for, in order, with their requests.
    pub fn searches(&self) -> Vec<(RequestId, String)> {
        self.sent()
            .into_iter()
            .filter_map(|command| match command {
                Command::Search { request, query: Query::Text(text), .. } => Some((request, text)),
                _ => None,
            })
            .collect()
    }
}

impl Script {
    pub fn name(&self, photo: PhotoId) -> String {
        self.names.get(&photo).cloned().unwrap_or_else(|| format!("IMG_{:04}.jpg", photo.0))
    }

    fn answer(&mut self, command: &Command) {
        let event = match command {
            Command::List { request, scope } if !self.silent => Event::Listed {
                request: *request,
                result: Ok(match scope {
                    Scope::Failed => self.failed.clone(),
                    Scope::Missing => Vec::new(),
                    Scope::WithoutCaption => {
                        let has_none = |photo: &PhotoId| self.ledger.captions.get(photo).is_none_or(Vec::is_empty);
                        self.photos.iter().copied().filter(has_none).collect()
                    }
                    _ => self.photos.clone(),
                }),
            },
            Command::Search { request, limit, rerank, .. } if !self.silent => {
                let results = self.results(*limit);
                if let Some(most) = rerank.filter(|_| !self.judges_late) {
                    let judged = Event::Reranked { request: *request, result: Ok(reranked(&results, most)) };
                    self.events.push_back(Event::SearchDone { request: *request, result: Ok(results) });
                    judged
                } else {
                    Event::SearchDone { request: *request, result: Ok(results) }
                }
            }
            Command::Details { request, photo } => {
                Event::Details { request: *request, result: Ok(Box::new(self.details(*photo))) }
            }
            Command::Thumbnail(photo) => {
                let Some(image) = pick(&self.thumbs, *photo) else { return };
                let thumb = Thumb { image, name: self.name(*photo), caption: self.ledger.accepted(*photo) };
                Event::Thumbnail { photo: *photo, result: Ok(thumb) }
            }
            Command::Preview { request, photo, .. } => {
                let Some(image) = pick(&self.pictures, *photo) else { return };
                Event::Preview { request: *request, photo: *photo, result: Ok(image) }
            }
            command => {
                let answers = self.ledger.answer(command);
                self.events.extend(answers);
                return;
            }
        };
        self.events.push_back(event);
    }

    pub fn results(&self, limit: usize) -> SearchResults {
        let hits = self.photos.iter().take(limit.min(40)).enumerate();
        let hits = hits.map(|(i, &photo)| Hit { photo, score: 0.34 - 0.007 * i as f32 }).collect();
        let cost = SearchCost { scanned: self.photos.len(), encode_ms: 7.2, scan_ms: 0.4 };
        SearchResults { hits, cost, nothing_likely: self.nothing_likely, likely: self.likely }
    }

    fn details(&self, photo: PhotoId) -> Details {
        let failed = self.failed.contains(&photo);
        Details {
            photo: Photo {
                id: photo,
                folder: FolderId(1),
                path: Path::new("/home/ada/Pictures/holiday").join(self.name(photo)),
                state: if failed { PhotoState::Failed } else { PhotoState::Present },
                stamp: FileStamp { size_bytes: 3_440_120, modified_ns: 0, changed_ns: 0, inode: 0 },
                content: None,
                meta: PhotoMeta {
                    width: if failed { 0 } else { 4032 },
                    height: if failed { 0 } else { 3024 },
                    taken: Some("2024-05-03T14:22:10".into()),
                    camera: Some("Fujifilm X-T4".into()),
                    place: Some(LatLon { latitude: 47.3769, longitude: 8.5417 }),
                },
                failure: failed.then(|| ReadFailure {
                    reason: SkippedReason::Damaged,
                    detail: "the file ends in the middle of the picture".into(),
                }),
            },
        }
    }
}

/// The best so many hits, judged: every second one fits.
pub fn reranked(results: &SearchResults, most: usize) -> Reranked {
    let scores: Vec<Option<f32>> = (0..results.hits.len())
        .map(|place| {
            (place < most).then_some(if place % 2 == 1 {
                0.95 - 0.01 * place as f32
            } else {
                0.3 - 0.01 * place as f32
            })
        })
        .collect();
    let judged = most.min(results.hits.len());
    Reranked { hits: rerank(&results.hits, &scores, 0.0), judged, known: 0, unseen: 0, judge_ms: 912.0 }
}

fn pick(pictures: &[Arc<RgbaImage>], photo: PhotoId) -> Option<Arc<RgbaImage>> {
    pictures.get(photo.0 as usize % pictures.len().max(1)).cloned()
}

/// The state of a library of so many photos.
pub fn library(photos: u64) -> LibraryStatus {
    let folder = |id, path: &str, photos| FolderStatus {
        id: FolderId(id),
        path: path.into(),
        photos,
        missing: 0,
        failed: 0,
        offline: false,
    };
    LibraryStatus {
        photos,
        missing: 0,
        failed: 0,
        folders: vec![
            folder(1, "/home/ada/Pictures/holiday", photos - photos / 3),
            folder(2, "/home/ada/下载", photos / 3),
        ],
        models: vec![ModelStatus {
            pack: "lite-align".into(),
            name: "Lite Align".into(),
            family: "align".into(),
            good_at: "Finds photos by a sentence in English or Chinese".into(),
            active: true,
            model: None,
            embedded: photos,
        }],
        without_caption: photos,
        fuse: FuseStatus::AtHand(FuseInfo {
            pack: "lite-fuse".into(),
            name: "Lite Fuse".into(),
            languages: vec!["en".into(), "zh".into()],
            abilities: Some(Abilities { caption: true, answer: true, matching: true }),
            sees: Some(Sees::Pixels),
        }),
        device: "cpu".into(),
        device_note: None,
        read_only: false,
    }
}

pub fn failure(kind: FailureKind, path: &str, detail: &str) -> Failure {
    let path = (!path.is_empty()).then(|| path.into());
    Failure { kind, path, detail: detail.into(), skipped: Vec::new() }
}

/// A picture with a shape and colours of its own for each number: sky, hills, sun.
pub fn made_up_picture(i: u32) -> RgbaImage {
    let (w, h) = if i.is_multiple_of(3) { (292, 389) } else { (438, 292) };
    let hue = |k: u32| (i * 37 + k * 80) as f32 % 255.0 / 255.0;
    let (sun_x, sun_y, sun_r) = (w as f32 * (0.2 + 0.6 * hue(1)), h as f32 * 0.3, h as f32 * 0.12);
    RgbaImage::from_fn(w, h, |x, y| {
        let (fx, fy) = (x as f32 / w as f32, y as f32 / h as f32);
        let hill = 0.62 + 0.12 * (fx * 5.0 + i as f32).sin() + 0.05 * (fx * 13.0).cos();
        let to_sun = (x as f32 - sun_x).hypot(y as f32 - sun_y);
        let shade = |r: f32, g: f32, b: f32| image::Rgba([r as u8, g as u8, b as u8, 255]);
        if fy > hill {
            let depth = (fy - hill) / (1.0 - hill);
            shade(40.0 + 60.0 * hue(0), 70.0 + 80.0 * hue(2) - 40.0 * depth, 50.0 + 60.0 * hue(1))
        } else if to_sun < sun_r {
            shade(255.0, 230.0, 150.0)
        } else {
            shade(90.0 + 120.0 * hue(0) * fy, 130.0 + 80.0 * fy, 220.0 - 90.0 * hue(2) * fy)
        }
    })
}

/// What the system was asked for, and what it is made to answer.
#[derive(Default)]
pub struct Notes {
    pub picks: Vec<PickKind>,
    pub busy: bool,
    pub answers: VecDeque<ServiceEvent>,
    pub saved: Vec<SavedState>,
}

/// A system that only takes notes.
#[derive(Clone, Default)]
pub struct NotedServices(pub Arc<Mutex<Notes>>);

impl Services for NotedServices {
    fn pick(&mut self, kind: PickKind, _title: &str) -> PickStart {
        let mut notes = self.0.lock().unwrap();
        notes.picks.push(kind);
        if notes.busy { PickStart::Busy } else { PickStart::Opened }
    }

    fn dropped(&mut self, paths: Vec<PathBuf>) {
        let mut notes = self.0.lock().unwrap();
        for path in paths {
            let is_folder = path.extension().is_none();
            notes.answers.push_back(ServiceEvent::Dropped { path, is_folder });
        }
    }

    fn poll(&mut self) -> Option<ServiceEvent> {
        self.0.lock().unwrap().answers.pop_front()
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        // The samples need not be there for their button to be.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name);
        (path.exists() || name == "samples").then_some(path)
    }

    fn save(&mut self, state: &SavedState, _last: bool) {
        self.0.lock().unwrap().saved.push(state.clone());
    }
}

/// English unless a test wants otherwise, whatever machine it runs on.
pub fn english() -> SavedState {
    let mut saved = SavedState::default();
    saved.settings.language = Some("en".into());
    saved
}

/// How a test's window is.
pub struct Setup {
    pub size: Vec2,
    pub theme: Theme,
    pub saved: SavedState,
    pub services: NotedServices,
    pub any_glyph: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            size: egui::vec2(1280.0, 800.0),
            theme: Theme::Dark,
            saved: english(),
            services: NotedServices::default(),
            any_glyph: false,
        }
    }
}

/// A window on a scripted engine.
pub fn window(link: &ScriptedLink, setup: Setup) -> Harness<'static, GlimpseApp> {
    let link = link.clone();
    window_on(move || Ok(Box::new(link.clone())), setup)
}

/// A window on any engine, or on none.
pub fn window_on(open: impl Fn() -> Opened + Send + Sync + 'static, setup: Setup) -> Harness<'static, GlimpseApp> {
    let Setup { size, theme, mut saved, services, any_glyph } = setup;
    saved.settings.theme = match theme {
        Theme::Dark => glimpse::config::Theme::Dark,
        Theme::Light => glimpse::config::Theme::Light,
    };
    let mut builder =
        Harness::builder().with_size(size).with_theme(theme).with_max_steps(12).with_render_options(Default::default());
    if any_glyph {
        builder = builder.allow_missing_glyphs();
    }
    builder.build_eframe(move |cc| GlimpseApp::new(&cc.egui_ctx, open, Box::new(services), saved))
}

/// Lets so much time pass (seconds): 0.25 a step.
pub fn pass(harness: &mut Harness<'_, GlimpseApp>, secs: f32) {
    for _ in 0..(secs / 0.25).ceil() as usize {
        harness.step();
    }
}

/// Steps until nothing asks for another frame soon.
pub fn settle(harness: &mut Harness<'_, GlimpseApp>) {
    for _ in 0..200 {
        harness.step();
        let wait = harness.output().viewport_output.values().map(|viewport| viewport.repaint_delay).min();
        if wait.is_none_or(|wait| wait > std::time::Duration::from_millis(300)) {
            return;
        }
    }
}

/// True where pictures can be rendered; says why not otherwise.
pub fn can_render() -> bool {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut found = std::pin::pin!(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let adapters = loop {
        if let std::task::Poll::Ready(adapters) = found.as_mut().poll(&mut context) {
            break adapters;
        }
        std::thread::yield_now();
    };
    if adapters.is_empty() {
        println!("skipped: no graphics adapter here, not even a software one (Debian: mesa-vulkan-drivers)");
    }
    !adapters.is_empty()
}
