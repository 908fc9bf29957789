//! What `caption`, `ask` and `match` share: the Fuse model, and how it gets to see a photo.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::engine::{Eyes, Failure};
use crate::media::ThumbnailCache;
use crate::models::fuse::regions::RegionStore;
use crate::models::fuse::{FuseModel, Regions, Sees};

use super::lines::{self, Line};
use super::output::{Output, with_path};
use super::session::Session;

/// A model with eyes: features of a file, or photos decoded for it.
pub struct Beholder<'a> {
    session: &'a Session,
    pub model: Arc<dyn FuseModel>,
    pub eyes: Eyes,
}

impl<'a> Beholder<'a> {
    /// Loads the model and opens the feature file, where one was named.
    pub fn open(session: &'a Session, regions: Option<&Path>) -> Result<Self> {
        let model = session.fuse()?;
        let features = regions.map(RegionStore::open).transpose()?;
        if features.is_some() && model.spec().sees == Sees::Pixels {
            log::warn!("{} looks at the photos themselves: --regions is not needed", model.spec().id);
        }
        let thumbnails = Arc::new(ThumbnailCache::new(session.paths.thumbnails()));
        Ok(Self { session, eyes: Eyes::new(Arc::clone(&model), features, thumbnails), model })
    }

    /// The photo as the model sees it, or a sentence why it cannot.
    pub fn look(&self, path: &Path) -> Result<Regions, String> {
        self.eyes.look(path, &self.session.cancel).map_err(|Failure { detail, .. }| detail)
    }
}

/// One line of a file of tasks, or why it is none.
pub type Task<T> = Result<T, String>;

/// Reads a file with one JSON object a line.
pub fn tasks<T: DeserializeOwned>(file: &Path) -> std::io::Result<Vec<Task<T>>> {
    let parse = |line: Line| match line {
        Ok(line) if line.trim().is_empty() => Err("this line is empty".to_owned()),
        Ok(line) => serde_json::from_str(&line).map_err(|error| format!("this line cannot be used: {error}")),
        Err(error) => Err(error.to_owned()),
    };
    Ok(lines::read(file)?.into_iter().map(parse).collect())
}

/// The line of a task that failed; `path` is `None` where the task could not be read.
pub fn print_failure(path: Option<&Path>, mut fields: Value, error: &str, out: &mut Output) -> Result<()> {
    let shown = path.map_or_else(|| "(no path)".into(), |path| path.to_string_lossy());
    log::error!("{error}: {shown}");
    fields["error"] = json!(error);
    let value = || match path {
        Some(path) => with_path(path, fields),
        None => {
            fields["path"] = Value::Null;
            fields
        }
    };
    Ok(out.line(value, || format!("{shown}\n  ({error})"))?)
}
