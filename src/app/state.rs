//! What the window remembers from one start to the next. Old or damaged files cost only themselves.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Paths, Settings};
use crate::engine::Scope;

use super::words::{Slot, Tab, Wish};

/// Everything that is saved: the person's choices, and where the window stood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedState {
    pub settings: Settings,
    pub window: WindowState,
}

/// Where the window stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowState {
    /// Inner size in points.
    pub size: [f32; 2],
    /// Outer position in points; `None` lets the system choose.
    pub position: Option<[f32; 2]>,
    pub maximized: bool,
    pub scope: Scope,
    pub query: String,
    pub rail_open: bool,
    pub inspector_open: bool,
    /// What the inspector shows of a photo.
    pub tab: Tab,
    /// How captions are wanted.
    pub wish: Wish,
    /// The best so many hits of a search are judged by the Fuse model.
    pub rerank: Option<usize>,
    /// Captions that were typed and not saved.
    pub unsaved: Vec<(Slot, String)>,
    /// No fades and slides.
    pub reduced_motion: bool,
}

impl Default for WindowState {
    fn default() -> Self {
        Self {
            size: [1280.0, 800.0],
            position: None,
            maximized: false,
            scope: Scope::All,
            query: String::new(),
            rail_open: true,
            inspector_open: true,
            tab: Tab::default(),
            wish: Wish::default(),
            rerank: None,
            unsaved: Vec::new(),
            reduced_motion: false,
        }
    }
}

impl SavedState {
    /// Reads both files; what cannot be read is logged and keeps its default.
    pub fn load(paths: &Paths) -> Self {
        let file = window_file(paths);
        let window = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice::<WindowState>(&bytes).map(WindowState::sane).unwrap_or_else(|error| {
                log::warn!("the window's last state is not usable: {error}: {}", file.display());
                WindowState::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    log::warn!("the window's last state could not be read: {error}: {}", file.display());
                }
                WindowState::default()
            }
        };
        Self { settings: Settings::load(&paths.settings()), window }
    }

    /// Writes both files, each whole or not at all.
    pub fn store(&self, paths: &Paths) -> io::Result<()> {
        self.settings.save(&paths.settings())?;
        let file = window_file(paths);
        let fresh = file.with_extension("json.new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(&self.window)?)?;
        std::fs::rename(fresh, file)
    }
}

impl WindowState {
    /// A size that a window can have, whatever the file said.
    fn sane(mut self) -> Self {
        for (side, least) in self.size.iter_mut().zip([640.0, 480.0]) {
            *side = if side.is_finite() { side.clamp(least, 16_384.0) } else { least };
        }
        self.position = self.position.filter(|p| p.iter().all(|v| v.is_finite()));
        self
    }
}

fn window_file(paths: &Paths) -> std::path::PathBuf {
    Path::new(&paths.data).join("window.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_old_files() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path());
        assert_eq!(SavedState::load(&paths), SavedState::default());
        let mut saved = SavedState::default();
        saved.window.query = "海边".into();
        saved.window.scope = Scope::Missing;
        saved.store(&paths).unwrap();
        assert_eq!(SavedState::load(&paths), saved);

        // A file of an older version lacks fields, one of a newer has more.
        std::fs::write(window_file(&paths), r#"{"query":"sea","from_the_future":1,"size":[1e9,-4]}"#).unwrap();
        let old = SavedState::load(&paths).window;
        assert_eq!((old.query.as_str(), old.size), ("sea", [16_384.0, 480.0]));
        std::fs::write(window_file(&paths), b"\xff{").unwrap();
        assert_eq!(SavedState::load(&paths).window, WindowState::default());
    }
}
