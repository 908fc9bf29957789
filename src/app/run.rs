//! Opens the window: the renderer that works, the last size and place, the engine behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Wake, Waker};

use egui::{Context, ViewportBuilder};
use thiserror::Error;

use crate::engine::{Engine, EngineConfig};

use super::{EngineLink, GlimpseApp, SavedState, SystemServices};

/// The smallest window in which everything has its place.
const SMALLEST: [f32; 2] = [720.0, 520.0];

/// What the window is opened with.
pub struct WindowConfig {
    pub engine: EngineConfig,
    /// Folders to add at once (`glimpse FOLDER`).
    pub folders: Vec<PathBuf>,
}

/// Why no window could be opened.
#[derive(Debug, Error)]
pub enum RunError {
    /// Neither renderer works here.
    #[error("no window can be opened here: {wgpu}; and with OpenGL: {glow}")]
    NoRenderer { wgpu: String, glow: String },
    /// The one that was asked for does not work.
    #[error("no window can be opened with the {renderer} renderer")]
    Renderer {
        renderer: eframe::Renderer,
        #[source]
        source: eframe::Error,
    },
}

/// The engine wakes the window when an event waits.
struct Repaint(Context);

impl Wake for Repaint {
    fn wake(self: Arc<Self>) {
        self.0.request_repaint();
    }
}

/// Opens the window and stays until it is closed. `GLIMPSE_RENDERER` (`wgpu` or `glow`)
/// insists on one renderer; without it OpenGL takes over where wgpu finds no adapter.
pub fn run(config: &WindowConfig) -> Result<(), RunError> {
    let insisted = std::env::var("GLIMPSE_RENDERER").ok().and_then(|name| name.parse().ok());
    if let Some(renderer) = insisted {
        return open(config, renderer).map_err(|source| RunError::Renderer { renderer, source });
    }
    let wgpu = match open(config, eframe::Renderer::Wgpu) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    log::warn!("the window falls back to OpenGL: {wgpu}");
    open(config, eframe::Renderer::Glow)
        .map_err(|glow| RunError::NoRenderer { wgpu: wgpu.to_string(), glow: glow.to_string() })
}

fn open(config: &WindowConfig, renderer: eframe::Renderer) -> Result<(), eframe::Error> {
    let saved = SavedState::load(&config.engine.paths, &config.engine.library);
    let window = &saved.window;
    let mut viewport = ViewportBuilder::default()
        .with_title("Glimpse")
        .with_app_id("glimpse")
        .with_inner_size(window.size)
        .with_min_inner_size(SMALLEST)
        .with_clamp_size_to_monitor_size(true)
        .with_maximized(window.maximized)
        .with_drag_and_drop(true);
    if let Some(position) = window.position {
        viewport = viewport.with_position(position);
    }
    match eframe::icon_data::from_png_bytes(include_bytes!("../../resources/icon-256.png")) {
        Ok(icon) => viewport = viewport.with_icon(icon),
        Err(error) => log::warn!("the window's icon cannot be read: {error}"),
    }
    let options = eframe::NativeOptions { viewport, renderer, ..Default::default() };
    eframe::run_native(
        "glimpse",
        options,
        Box::new(move |cc| {
            let ctx = &cc.egui_ctx;
            let waker = Waker::from(Arc::new(Repaint(ctx.clone())));
            let engine = config.engine.clone();
            let open = move || Ok(Box::new(Engine::start(engine.clone(), waker.clone())?) as Box<dyn EngineLink>);
            let wake = ctx.clone();
            let services = SystemServices::new(config.engine.paths.clone(), move || wake.request_repaint());
            let mut app = GlimpseApp::new(ctx, open, Box::new(services), saved);
            app.add_folders(&config.folders);
            Ok(Box::new(app))
        }),
    )
}
