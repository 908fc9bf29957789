//! What the window remembers from one start to the next. Old or damaged files cost only themselves.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Paths, Settings, write_json};
use crate::engine::Scope;

use super::words::{Slot, Tab, Wish};

/// Everything that is saved: the person's choices, and where the window stood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedState {
    pub settings: Settings,
    pub window: WindowState,
    /// Whose photos the unsaved texts are about: photos of several libraries have the same numbers.
    pub library: PathBuf,
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
    /// Captions that were typed and not saved, of this library; in a file of their own.
    #[serde(skip_serializing)]
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
    /// Reads the files, for a window on `library`; what cannot be read is logged and keeps its default.
    pub fn load(paths: &Paths, library: &Path) -> Self {
        let file = window_file(paths);
        let mut window = match std::fs::read(&file) {
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
        match all_unsaved(paths) {
            Ok(mut unsaved) => window.unsaved = unsaved.remove(&key(library)).unwrap_or(window.unsaved),
            Err(error) => {
                log::warn!("texts that were not saved cannot be read: {error}: {}", unsaved_file(paths).display())
            }
        }
        Self { settings: Settings::load(&paths.settings()), window, library: library.to_owned() }
    }

    /// Writes the files, each whole or not at all.
    pub fn store(&self, paths: &Paths) -> io::Result<()> {
        // First what a person typed; if that fails the rest is written all the same.
        let typed = self.store_unsaved(paths);
        self.settings.save(&paths.settings())?;
        write_json(&window_file(paths), &self.window)?;
        typed
    }

    fn store_unsaved(&self, paths: &Paths) -> io::Result<()> {
        let mut unsaved = match all_unsaved(paths) {
            Ok(unsaved) => unsaved,
            Err(_) if self.window.unsaved.is_empty() => return Ok(()),
            // Damaged; whatever else keeps it from being read may pass.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                set_aside(&unsaved_file(paths))?;
                Unsaved::new()
            }
            Err(error) => return Err(error),
        };
        let before = match &self.window.unsaved[..] {
            [] => unsaved.remove(&key(&self.library)),
            own => unsaved.insert(key(&self.library), own.to_vec()),
        };
        if before.as_deref().unwrap_or_default() != self.window.unsaved {
            write_json(&unsaved_file(paths), &unsaved)?;
        }
        Ok(())
    }
}

/// Unsaved texts of all libraries.
type Unsaved = BTreeMap<String, Vec<(Slot, String)>>;

/// Empty where there is no file; an error where there is one that cannot be read.
fn all_unsaved(paths: &Paths) -> io::Result<Unsaved> {
    match std::fs::read(unsaved_file(paths)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Unsaved::new()),
        Err(error) => Err(error),
    }
}

/// Keeps a file that cannot be read beside its place, under a name that nothing has: it may hold what a person typed.
fn set_aside(file: &Path) -> io::Result<()> {
    let name = |n: u32| file.with_extension(format!("unreadable-{n}.json"));
    let free = (1..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
    log::warn!("a file that cannot be read is kept as {}", free.display());
    std::fs::rename(file, free)
}

/// A library by its path, however it was written.
fn key(library: &Path) -> String {
    library.canonicalize().unwrap_or_else(|_| library.to_owned()).to_string_lossy().into_owned()
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

fn window_file(paths: &Paths) -> PathBuf {
    Path::new(&paths.data).join("window.json")
}

fn unsaved_file(paths: &Paths) -> PathBuf {
    Path::new(&paths.data).join("unsaved.json")
}

#[cfg(test)]
mod tests {
    use super::super::words::Field;
    use super::*;
    use crate::domain::PhotoId;

    #[test]
    fn round_trip_and_old_files() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path());
        let library = dir.path().join("library.db");
        let mut saved = SavedState { library: library.clone(), ..SavedState::default() };
        assert_eq!(SavedState::load(&paths, &library), saved);
        saved.window.query = "海边".into();
        saved.window.scope = Scope::Missing;
        saved.store(&paths).unwrap();
        assert_eq!(SavedState::load(&paths, &library), saved);

        // A file of an older version lacks fields, one of a newer has more.
        std::fs::write(window_file(&paths), r#"{"query":"sea","from_the_future":1,"size":[1e9,-4]}"#).unwrap();
        let old = SavedState::load(&paths, &library).window;
        assert_eq!((old.query.as_str(), old.size), ("sea", [16_384.0, 480.0]));
        std::fs::write(window_file(&paths), b"\xff{").unwrap();
        assert_eq!(SavedState::load(&paths, &library).window, WindowState::default());
    }

    #[test]
    fn unsaved_texts_stay_with_their_library() {
        let dir = tempfile::tempdir().unwrap();
        let (paths, here) = (Paths::in_folder(dir.path()), dir.path().join("库.db"));
        std::fs::write(&here, b"").unwrap();
        let there = dir.path().join("there.db");
        let slot = Slot { photo: PhotoId(5), field: Field::NewCaption };
        let mut saved = SavedState::load(&paths, &here);
        saved.window.unsaved = vec![(slot, "海边".into())];
        saved.store(&paths).unwrap();
        let mut other = SavedState::load(&paths, &there);
        assert!(other.window.unsaved.is_empty());
        other.window.unsaved = vec![(slot, "a hill".into())];
        other.store(&paths).unwrap();
        // Written another way, it is the same file.
        let again = SavedState::load(&paths, &dir.path().join("./库.db"));
        assert_eq!(again.window.unsaved, saved.window.unsaved);
        saved.window.unsaved.clear();
        saved.store(&paths).unwrap();
        assert!(SavedState::load(&paths, &here).window.unsaved.is_empty());
        assert_eq!(SavedState::load(&paths, &there).window.unsaved[0].1, "a hill");

        // A file that cannot be read is not written over.
        std::fs::write(unsaved_file(&paths), b"{\xff").unwrap();
        assert!(SavedState::load(&paths, &there).window.unsaved.is_empty());
        // Who has nothing to write leaves it where it is.
        saved.store(&paths).unwrap();
        assert_eq!(std::fs::read(unsaved_file(&paths)).unwrap(), b"{\xff");
        other.store(&paths).unwrap();
        assert_eq!(SavedState::load(&paths, &there).window.unsaved[0].1, "a hill");
        assert_eq!(std::fs::read(unsaved_file(&paths).with_extension("unreadable-1.json")).unwrap(), b"{\xff");

        // What cannot be read for now is not touched, and the rest is written.
        std::fs::remove_file(unsaved_file(&paths)).unwrap();
        std::fs::create_dir(unsaved_file(&paths)).unwrap();
        std::fs::remove_file(window_file(&paths)).unwrap();
        other.store(&paths).unwrap_err();
        assert!(unsaved_file(&paths).is_dir() && window_file(&paths).exists());
        std::fs::remove_dir(unsaved_file(&paths)).unwrap();

        // Of a version that had one list for all.
        let old = serde_json::json!({ "unsaved": other.window.unsaved });
        std::fs::write(window_file(&paths), old.to_string()).unwrap();
        assert_eq!(SavedState::load(&paths, &here).window.unsaved[0].1, "a hill");
    }
}
