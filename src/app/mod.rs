//! The window: what it knows, how it looks, and the one place where wishes become deeds.
//!
//! Each frame runs `logic` (take in what the engine and the system said, ask for what is
//! due) and `ui` (panels read the state and return [`UiAction`]s, which are applied after
//! the layout). Nothing here reads files, decodes, runs a model or knows SQL; whatever takes
//! time is asked of the engine through an [`EngineLink`] and answered by an event.

mod actions;
mod apply;
pub mod commands;
mod fonts;
pub mod i18n;
mod link;
mod logic;
mod panels;
mod pictures;
mod remote;
mod run;
mod runtime;
mod selection;
mod services;
mod shown;
mod state;
mod thumbs;
mod tokens;
mod widgets;
pub mod words;

pub use actions::UiAction;
pub use link::{EngineLink, Opened};
pub use run::{RunError, WindowConfig, run};
pub use runtime::{Notice, NoticeKind, Overlay, Runtime};
pub use services::{PickKind, PickStart, ServiceEvent, Services, SystemServices};
pub use shown::{Asked, Question, Shown};
pub use state::{SavedState, WindowState};

use std::path::PathBuf;
use std::time::Duration;

use egui::Context;

use crate::config::Theme;
use crate::engine::Command;

use i18n::Lang;
use link::Opener;
use panels::View;
use words::{Typing, Words};

/// The first frame waits this long for the library, which is nearly always there at once.
const FIRST_FRAME: Duration = Duration::from_millis(300);

/// The window's state and behaviour, whatever draws it.
pub struct GlimpseApp {
    /// `None` while the library is being opened, or could not be.
    engine: Option<Box<dyn EngineLink>>,
    opener: Opener,
    services: Box<dyn Services>,
    saved: SavedState,
    /// What is on the disk, and when the difference is written.
    stored: SavedState,
    store_due: Option<f64>,
    rt: Runtime,
    lang: Lang,
}

impl GlimpseApp {
    /// Dresses the context, opens the library and asks for what was shown last time. Where it
    /// cannot be opened the window says why, and calls `open` again when the person wants to.
    pub fn new(
        ctx: &Context,
        open: impl Fn() -> Opened + Send + Sync + 'static,
        services: Box<dyn Services>,
        saved: SavedState,
    ) -> Self {
        fonts::install(ctx, |name| {
            let path = services.asset(name)?;
            std::fs::read(&path).inspect_err(|error| log::warn!("{error}: {}", path.display())).ok()
        });
        tokens::install(ctx, saved.window.reduced_motion);
        ctx.set_theme(theme_preference(saved.settings.theme));
        // Zooming the whole window is not one of our commands: ctrl-+ enlarges thumbnails.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);

        let text = saved.window.query.clone();
        let mut rt = Runtime::new(Asked::typed(&text, saved.window.scope), text);
        rt.words = Words::with(Typing::restore(&saved.window.unsaved));
        rt.samples = services.asset("samples");
        let mut app = Self {
            engine: None,
            opener: Opener::new(open),
            services,
            stored: saved.clone(),
            store_due: None,
            lang: Lang::choose(saved.settings.language.as_deref()),
            saved,
            rt,
        };
        app.ask();
        app.open(ctx);
        app.take_engine(FIRST_FRAME);
        app
    }

    /// Adds folders that were named at the start.
    pub fn add_folders(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            self.send(Command::AddFolder(folder.clone()));
        }
    }

    /// The part of a frame that paints nothing.
    pub fn step(&mut self, ctx: &Context) {
        self.take_in(ctx);
        self.keep_up(ctx);
    }

    /// Lays the window out, then does what the person wants.
    pub fn paint(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        let mut actions = self.keys(&ctx);
        let view = View {
            saved: &self.saved,
            rt: &self.rt,
            lang: self.lang,
            now_s: now_s(),
            tokens: tokens::Tokens::get(&ctx),
        };
        panels::window(ui, &view, &mut actions);
        for action in actions {
            self.apply(&ctx, action);
        }
        self.fetch_pictures(&ctx);
    }

    /// What the window knows.
    pub fn runtime(&self) -> &Runtime {
        &self.rt
    }

    /// What will be there at the next start.
    pub fn saved(&self) -> &SavedState {
        &self.saved
    }

    /// The language of the window.
    pub fn lang(&self) -> Lang {
        self.lang
    }
}

impl eframe::App for GlimpseApp {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.step(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.paint(ui);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.services.save(&self.saved, true);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

/// What the clock says, for "3 minutes ago".
fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn theme_preference(theme: Theme) -> egui::ThemePreference {
    match theme {
        Theme::System => egui::ThemePreference::System,
        Theme::Light => egui::ThemePreference::Light,
        Theme::Dark => egui::ThemePreference::Dark,
    }
}
