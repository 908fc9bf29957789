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

pub use actions::UiAction;
pub use link::EngineLink;
pub use run::{RunError, WindowConfig, run};
pub use runtime::{Notice, NoticeKind, Overlay, Runtime};
pub use services::{PickKind, PickStart, ServiceEvent, Services, SystemServices};
pub use shown::{Asked, Shown};
pub use state::{SavedState, WindowState};

use std::path::PathBuf;

use egui::Context;

use crate::config::Theme;
use crate::engine::{Command, Failure};

use i18n::Lang;
use panels::View;

/// The window's state and behaviour, whatever draws it.
pub struct GlimpseApp {
    engine: Box<dyn EngineLink>,
    services: Box<dyn Services>,
    saved: SavedState,
    /// What is on the disk, and when the difference is written.
    stored: SavedState,
    store_due: Option<f64>,
    rt: Runtime,
    lang: Lang,
}

impl GlimpseApp {
    /// Dresses the context and asks for what was shown last time. Without an engine the
    /// window says why there is none.
    pub fn new(
        ctx: &Context,
        engine: Result<Box<dyn EngineLink>, Failure>,
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
        let asked = match text.trim() {
            "" => Asked::Browse(saved.window.scope),
            query => Asked::Text(query.to_owned()),
        };
        let mut rt = Runtime::new(asked, text);
        rt.samples = services.asset("samples");
        let (engine, fatal) = match engine {
            Ok(engine) => (engine, None),
            Err(failure) => (Box::new(link::NoEngine) as Box<dyn EngineLink>, Some(failure)),
        };
        rt.fatal = fatal;
        let mut app = Self {
            engine,
            services,
            stored: saved.clone(),
            store_due: None,
            lang: Lang::choose(saved.settings.language.as_deref()),
            saved,
            rt,
        };
        app.ask();
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
        let view = View { saved: &self.saved, rt: &self.rt, lang: self.lang, tokens: tokens::Tokens::get(&ctx) };
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

fn theme_preference(theme: Theme) -> egui::ThemePreference {
    match theme {
        Theme::System => egui::ThemePreference::System,
        Theme::Light => egui::ThemePreference::Light,
        Theme::Dark => egui::ThemePreference::Dark,
    }
}
