//! CPU time (of this thread, whatever else the machine does) of one frame of the window:
//! logic, layout and tessellation, without a GPU.
//!
//! `cargo bench --bench frame` scrolls through 100,000 photos at 1920x1200, thumbnails
//! arriving all the while, and prints the median and the slow end in milliseconds for
//! scrolling, for resting, and for a search whose answers come in. The bound is 4 ms.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cpu_time::ThreadTime;
use egui::{Event as Input, Modifiers, MouseWheelUnit, Pos2, RawInput, Rect, TouchPhase, vec2};
use glimpse::app::{EngineLink, GlimpseApp, Opened, PickKind, PickStart, SavedState, ServiceEvent, Services};
use glimpse::domain::{FolderId, Hit, PhotoId, SearchCost};
use glimpse::engine::{Command, Event, Failure, FailureKind, FolderStatus, LibraryStatus, SearchResults, Thumb};
use image::RgbaImage;

const PHOTOS: i64 = 100_000;
const SIZE: egui::Vec2 = vec2(1920.0, 1200.0);
const BOUND_MS: f64 = 4.0;

/// Answers everything at once, from memory.
struct Instantly {
    events: RefCell<VecDeque<Event>>,
    picture: Arc<RgbaImage>,
}

impl EngineLink for Instantly {
    fn send(&self, command: Command) -> bool {
        let event = match command {
            Command::List { request, .. } => Event::Listed { request, result: Ok((0..PHOTOS).map(PhotoId).collect()) },
            Command::Search { request, limit, .. } => {
                let hits =
                    (0..limit as i64).map(|i| Hit { photo: PhotoId(i * 7), score: 1.0 / (i + 3) as f32 }).collect();
                let cost = SearchCost::default();
                Event::SearchDone {
                    request,
                    result: Ok(SearchResults { hits, cost, nothing_likely: false, likely: 30 }),
                }
            }
            Command::Thumbnail(photo) => {
                let name = format!("IMG_{}.jpg", photo.0);
                let thumb = Thumb { image: Arc::clone(&self.picture), name, caption: None };
                Event::Thumbnail { photo, result: Ok(thumb) }
            }
            _ => return true,
        };
        self.events.borrow_mut().push_back(event);
        true
    }

    fn poll(&self) -> Option<Event> {
        self.events.borrow_mut().pop_front()
    }
}

struct NoSystem;

impl Services for NoSystem {
    fn pick(&mut self, _kind: PickKind, _title: &str) -> PickStart {
        PickStart::Busy
    }
    fn dropped(&mut self, _paths: Vec<PathBuf>) {}
    fn poll(&mut self) -> Option<ServiceEvent> {
        None
    }
    fn asset(&self, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name))
    }
    fn save(&mut self, _state: &SavedState, _last: bool) {}
}

struct Bench {
    ctx: egui::Context,
    app: GlimpseApp,
    time: f64,
}

impl Bench {
    /// Milliseconds of one frame with these events.
    fn frame(&mut self, events: Vec<Input>) -> f64 {
        self.time += 1.0 / 60.0;
        let screen_rect = Some(Rect::from_min_size(Pos2::ZERO, SIZE));
        let input = RawInput { screen_rect, time: Some(self.time), events, ..RawInput::default() };
        let since = ThreadTime::now();
        let mut output = self.ctx.run_ui(input, |ui| {
            let ctx = ui.ctx().clone();
            self.app.step(&ctx);
            self.app.paint(ui);
        });
        let meshes = self.ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point);
        let took = since.elapsed().as_secs_f64() * 1e3;
        assert!(!meshes.is_empty());
        output.drop_without_applying_deltas();
        took
    }

    fn run(&mut self, name: &str, frames: usize, events: impl Fn(usize) -> Vec<Input>) {
        let mut times: Vec<f64> = (0..frames).map(|i| self.frame(events(i))).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let verdict = if at(0.95) <= BOUND_MS { "within" } else { "OVER" };
        println!(
            "{name:<28} median {:.2} ms, 95 % {:.2} ms, slowest {:.2} ms ({verdict} {BOUND_MS} ms)",
            at(0.5),
            at(0.95),
            at(1.0)
        );
    }
}

fn main() {
    let picture = RgbaImage::from_fn(438, 292, |x, y| image::Rgba([x as u8, y as u8, 99, 255]));
    let engine = Instantly { events: RefCell::default(), picture: Arc::new(picture) };
    let folder = FolderStatus {
        id: FolderId(1),
        path: "/photos".into(),
        photos: PHOTOS as u64,
        missing: 0,
        failed: 0,
        offline: false,
    };
    let status =
        LibraryStatus { photos: PHOTOS as u64, folders: vec![folder], device: "cpu".into(), ..Default::default() };
    engine.events.borrow_mut().push_back(Event::Library(status));
    let ctx = egui::Context::default();
    let engine = Mutex::new(Some(engine));
    let open = move || -> Opened {
        let engine = engine.lock().ok().and_then(|mut engine| engine.take());
        Ok(Box::new(engine.ok_or_else(|| Failure::new(FailureKind::System, "opened twice"))?))
    };
    let app = GlimpseApp::new(&ctx, open, Box::new(NoSystem), SavedState::default());
    let mut bench = Bench { ctx, app, time: 0.0 };
    let middle = Input::PointerMoved(Pos2::new(900.0, 600.0));
    for _ in 0..120 {
        bench.frame(vec![middle.clone()]);
    }
    let wheel = |points: f32| Input::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, points),
        phase: TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    };
    bench.run("at rest", 600, |_| Vec::new());
    bench.run("scrolling slowly", 600, |_| vec![wheel(-40.0)]);
    bench.run("scrolling fast", 600, |_| vec![wheel(-1200.0)]);
    bench.run("pointer over the photos", 600, |i| {
        vec![Input::PointerMoved(Pos2::new(300.0 + (i * 7 % 1200) as f32, 100.0 + (i * 3 % 1000) as f32))]
    });
}
