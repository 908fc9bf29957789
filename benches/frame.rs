//! CPU time (of this thread, whatever else the machine does) of one frame of the window:
//! logic, layout and tessellation, without a GPU.
//!
//! `cargo bench --bench frame` scrolls through 100,000 photos at 1920x1200, thumbnails
//! arriving all the while, and prints the median and the slow end in milliseconds for
//! scrolling, for resting, and for a search whose answers come in. The bound is 4 ms.
//!
//! `cargo bench --bench frame -- --indexing FOLDER [--device wgpu]` runs the real engine on the built-in model instead:
//! frames at 60 Hz on the wall's clock, with nothing to do and then while the folder is indexed, so that whatever waits
//! for the processor counts. What a card's queue holds up is not seen: nothing is drawn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use anyhow::Result;
use cpu_time::ThreadTime;
use egui::{Event as Input, Modifiers, MouseWheelUnit, Pos2, RawInput, Rect, TouchPhase, vec2};
use glimpse::app::{EngineLink, GlimpseApp, Opened, PickKind, PickStart, SavedState, ServiceEvent, Services};
use glimpse::config::{Paths, Settings};
use glimpse::device::DeviceRequest;
use glimpse::domain::{FolderId, Hit, PhotoId, SearchCost};
use glimpse::engine::{
    Command, Engine, EngineConfig, Event, Failure, FailureKind, FolderStatus, FuseSource, LibraryStatus, ModelSource,
    SearchResults, Thumb,
};
use image::RgbaImage;

const PHOTOS: i64 = 100_000;
const SIZE: egui::Vec2 = vec2(1920.0, 1200.0);
const BOUND_MS: f64 = 4.0;
/// Of one frame at 60 Hz.
const FRAME: Duration = Duration::from_micros(16_667);

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
        let times: Vec<f64> = (0..frames).map(|i| self.frame(events(i))).collect();
        let at = print(name, times);
        println!("  ({} {BOUND_MS} ms)", if at <= BOUND_MS { "within" } else { "OVER" });
    }

    /// Frames in real time, as long as `goes_on` of what the app has; the pointer moves and the wheel turns all the while.
    fn in_real_time(&mut self, name: &str, goes_on: impl Fn(&GlimpseApp, Duration) -> bool) {
        let (start, mut times, mut late) = (Instant::now(), Vec::new(), 0);
        while goes_on(&self.app, start.elapsed()) {
            let due = start + FRAME * (times.len() as u32 + late + 1);
            let turned = if times.len() / 240 % 2 == 0 { -30.0 } else { 30.0 };
            let before = Instant::now();
            self.frame(vec![Input::PointerMoved(Pos2::new(400.0 + (times.len() % 900) as f32, 500.0)), wheel(turned)]);
            times.push(before.elapsed().as_secs_f64() * 1e3);
            let left = due.saturating_duration_since(Instant::now());
            // Whole frames that were missed.
            late += (Instant::now().saturating_duration_since(due).as_secs_f64() / FRAME.as_secs_f64()).ceil() as u32;
            std::thread::sleep(left);
        }
        let (frames, took) = (times.len(), start.elapsed().as_secs_f64());
        print(name, times);
        println!("; {frames} frames in {took:.1} s, {late} missed");
    }
}

/// Prints median, 95 % (which is returned) and slowest.
fn print(name: &str, mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at =
        |share: f64| times.get((times.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or_default();
    print!("{name:<28} median {:.2} ms, 95 % {:.2} ms, slowest {:.2} ms", at(0.5), at(0.95), at(1.0));
    at(0.95)
}

fn wheel(points: f32) -> Input {
    Input::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, points),
        phase: TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    }
}

/// See the module.
fn while_indexing(folder: &Path, device: DeviceRequest) -> Result<()> {
    let own = tempfile::tempdir()?;
    let paths = Paths::in_folder(own.path());
    let config = EngineConfig {
        library: paths.library(),
        paths,
        settings: Settings::default(),
        align: ModelSource::Active,
        fuse: FuseSource::Active,
        device,
    };
    let ctx = egui::Context::default();
    let open = move || -> Opened { Ok(Box::new(Engine::start(config.clone(), Waker::noop().clone())?)) };
    let app = GlimpseApp::new(&ctx, open, Box::new(NoSystem), SavedState::default());
    let mut bench = Bench { ctx, app, time: 0.0 };
    // Opening, loading the model, trying the device.
    bench.in_real_time("opening", |app, since| {
        let ready = app.runtime().library.as_ref().is_some_and(|library| !library.device.is_empty());
        (!ready || since < Duration::from_secs(3)) && since < Duration::from_secs(120)
    });
    bench.in_real_time("nothing to do", |_, since| since < Duration::from_secs(10));
    bench.app.add_folders(&[folder.to_owned()]);
    let embedded = |app: &GlimpseApp| {
        let library = app.runtime().library.as_ref();
        library.map_or(0, |library| library.models.iter().map(|model| model.embedded).sum::<u64>())
    };
    bench.in_real_time("indexing", |app, since| {
        let busy = !app.runtime().jobs.is_empty() || embedded(app) == 0;
        since < Duration::from_secs(5) || busy && since < Duration::from_secs(60)
    });
    let library = bench.app.runtime().library.clone().unwrap_or_default();
    println!(
        "{} photos known, {} encoded, on {} {:?}",
        library.photos,
        embedded(&bench.app),
        library.device,
        library.device_note
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    if let Some(folder) = after("--indexing") {
        let device = after("--device").map_or(Ok(DeviceRequest::Cpu), |name| name.parse())?;
        return while_indexing(Path::new(folder), device);
    }
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
    bench.run("at rest", 600, |_| Vec::new());
    bench.run("scrolling slowly", 600, |_| vec![wheel(-40.0)]);
    bench.run("scrolling fast", 600, |_| vec![wheel(-1200.0)]);
    bench.run("pointer over the photos", 600, |i| {
        vec![Input::PointerMoved(Pos2::new(300.0 + (i * 7 % 1200) as f32, 100.0 + (i * 3 % 1000) as f32))]
    });
    Ok(())
}
