//! Which Align model is meant, and loading it. Shared by the window's engine and the command line.

use std::path::Path;
use std::sync::Arc;

use crate::config::Paths;
use crate::device::DeviceRequest;
use crate::models::align::{self, AlignModel};
use crate::models::{ModelError, catalogue};
use crate::store::Reader;

use super::{Failure, ModelSource};

/// The pack that comes with the program.
pub const BUILT_IN_ALIGN: &str = "lite-align";
/// The Fuse pack that comes with the program, where a version has one.
pub const BUILT_IN_FUSE: &str = "lite-fuse";
/// The family's name in a library and in a pack's manifest.
pub const ALIGN_FAMILY: &str = "align";

/// Loads the model that was asked for.
#[derive(Clone)]
pub struct ModelLoader {
    pub paths: Paths,
    pub source: ModelSource,
    pub device: DeviceRequest,
}

impl ModelLoader {
    /// The model asked for, else the library's active one, else the built-in one.
    pub fn load(&self, reader: &Reader) -> Result<Arc<dyn AlignModel>, Failure> {
        match &self.source {
            ModelSource::Ready(model) => Ok(Arc::clone(model)),
            ModelSource::Pack(pack) => Ok(self.load_pack(pack)?),
            ModelSource::Active => {
                let active = reader.active_model(ALIGN_FAMILY)?;
                Ok(self.load_pack(active.as_deref().unwrap_or(BUILT_IN_ALIGN))?)
            }
        }
    }

    /// A pack by id or folder.
    pub fn load_pack(&self, pack: &str) -> Result<Arc<dyn AlignModel>, ModelError> {
        let folder = catalogue::find(&self.paths, pack)?;
        log::info!("model {pack}: {}", folder.display());
        align::load(&folder, self.device)
    }

    /// Checks a model folder and keeps it as a pack; its id.
    pub fn import(&self, folder: &Path) -> Result<String, ModelError> {
        catalogue::import(&self.paths, folder).map(|pack| pack.id)
    }
}
