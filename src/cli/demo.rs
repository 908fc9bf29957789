//! `glimpse demo`: the main job on the bundled samples, in a library that vanishes afterwards.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::domain::Query;

use super::index::{index_folders, print_report};
use super::output::Output;
use super::search::Desk;
use super::session::Session;
use super::{Window, plural};

/// What is asked of the samples, in both languages.
const QUERIES: [&str; 6] =
    ["a kite in the sky", "two dogs at a window", "a boat on a lake", "一只鸟", "日落", "林间的溪流"];
/// Photos shown for each.
const SHOWN: usize = 3;

/// Indexes the samples and searches them. A window on them, where there is a display and it is wanted.
pub fn demo(mut session: Session, no_window: bool, out: &mut Output) -> Result<Option<Window>> {
    let samples = session.paths.asset("samples").context(
        "the sample photos are not there: they lie in the program's assets folder (set GLIMPSE_ASSETS to it)",
    )?;
    // Before the folders change: `--model` may name a pack of the person's.
    let model = session.align(None)?;
    let temporary = TemporaryFolder::new("glimpse-demo")?;
    session.paths.data = temporary.path().join("data");
    session.paths.cache = temporary.path().join("cache");
    session.library = session.paths.library();

    out.text(format!("Indexing the sample photos: {}", samples.display()))?;
    let report = index_folders(&session, std::slice::from_ref(&samples), false, model.as_ref())?;
    print_report(&report, model.device(), out)?;
    let mut desk = Desk::with_model(&session, model)?;
    for query in QUERIES {
        out.text(format!("\nSearching for “{query}”"))?;
        desk.print_query(&Query::Text(query.into()), query, SHOWN, out)?;
    }
    drop(desk);
    if no_window {
        return Ok(None);
    }
    if !cfg!(feature = "gui") {
        out.text("\nThis build has no window.")?;
        return Ok(None);
    }
    if !has_display() {
        out.text("\nThere is no display here (DISPLAY and WAYLAND_DISPLAY are not set), so no window is opened.")?;
        return Ok(None);
    }
    let config = session.engine_config();
    out.text(format!("\nOpening the window on {}.", plural(report.indexed, "photo", "photos")))?;
    Ok(Some(Window { config, folder: None, temporary: Some(temporary) }))
}

/// Whether a window can be shown.
fn has_display() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// A new folder in the system's temporary one, removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(name: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("no temporary folder: {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("the temporary folder could not be removed: {error}: {}", self.0.display());
        }
    }
}
