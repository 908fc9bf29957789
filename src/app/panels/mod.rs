//! What stands where. Panels read a [`View`] and push [`UiAction`]s; they change nothing.

mod export;
mod failed;
mod first_start;
pub(super) mod fuse;
mod grid;
mod inspector;
mod notices;
mod palette;
mod rail;
mod rerank;
mod reword;
mod sheets;
mod status_bar;
mod top_bar;
mod viewer;

use egui::{CentralPanel, Frame, Margin, Panel, Ui};

use crate::engine::{FolderStatus, Scope};

use super::actions::UiAction;
use super::i18n::{Lang, Msg};
use super::runtime::Runtime;
use super::state::SavedState;
use super::tokens::{Tokens, layout, space};

pub use grid::grid_id;
pub(super) use top_bar::field_id as search_field_id;

/// All that a panel may look at.
pub struct View<'a> {
    pub saved: &'a SavedState,
    pub rt: &'a Runtime,
    pub lang: Lang,
    /// Seconds since 1970, UTC.
    pub now_s: i64,
    pub tokens: &'static Tokens,
}

impl<'a> View<'a> {
    /// The library's folders, as far as they are known.
    fn folders(&self) -> &'a [FolderStatus] {
        self.rt.library.as_ref().map_or(&[], |library| &library.folders)
    }

    /// What a scope is called.
    fn scope_name(&self, scope: Scope) -> String {
        let text = |msg| self.lang.text(msg).to_owned();
        match scope {
            Scope::All => text(Msg::AllPhotos),
            Scope::Failed => text(Msg::FailedFiles),
            Scope::WithoutCaption => text(Msg::WithoutCaption),
            Scope::Missing => text(Msg::MissingPhotos),
            Scope::Folder(id) => {
                self.folders().iter().find(|folder| folder.id == id).map(rail::folder_name).unwrap_or_default()
            }
        }
    }
}

/// Below this width the side panels are narrower.
const NARROW: f32 = 1040.0;

/// The whole window.
pub fn window(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    if view.rt.fatal.is_some() || view.rt.opening {
        let frame = Frame::new().fill(view.tokens.canvas);
        CentralPanel::default().frame(frame).show(ui, |ui| notices::no_library(ui, view, out));
        return;
    }
    let narrow = ui.available_width() < NARROW;
    let bar = Frame::new().fill(view.tokens.panel).inner_margin(Margin::symmetric(space::M as i8, 0));
    Panel::top("top bar").exact_size(layout::TOP_BAR).frame(bar).show(ui, |ui| top_bar::show(ui, view, out));
    Panel::bottom("status bar")
        .exact_size(layout::STATUS_BAR)
        .frame(bar)
        .show(ui, |ui| status_bar::show(ui, view, out));
    let first_start = view.rt.is_first_start();
    if view.saved.window.rail_open && !first_start {
        let frame = Frame::new().fill(view.tokens.panel).inner_margin(Margin::same(space::S as i8));
        Panel::left("rail")
            .exact_size(if narrow { layout::RAIL_NARROW } else { layout::RAIL })
            .resizable(false)
            .frame(frame)
            .show(ui, |ui| rail::show(ui, view, out));
    }
    if view.saved.window.inspector_open && !first_start && !shows_failed(view) {
        let frame = Frame::new().fill(view.tokens.panel);
        Panel::right("inspector")
            .default_size(if narrow { layout::INSPECTOR_NARROW } else { layout::INSPECTOR })
            .size_range(232.0..=480.0)
            .frame(frame)
            .show(ui, |ui| inspector::show(ui, view, out));
    }
    CentralPanel::default().frame(Frame::new().fill(view.tokens.canvas)).show(ui, |ui| {
        if first_start {
            first_start::show(ui, view, out);
        } else if view.rt.viewer.is_some() {
            viewer::show(ui, view, out);
        } else if shows_failed(view) {
            failed::show(ui, view, out);
        } else {
            grid::show(ui, view, out);
        }
    });
    notices::show(ui.ctx(), view, out);
    sheets::show(ui.ctx(), view, out);
    if view.rt.drop_hover {
        first_start::drop_hint(ui.ctx(), view);
    }
}

fn shows_failed(view: &View<'_>) -> bool {
    view.rt.asked.scope == Scope::Failed
}
