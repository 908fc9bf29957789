//! Which models are meant, and loading them. Shared by the window's engine and the command line.

use std::path::Path;
use std::sync::Arc;

use crate::config::Paths;
use crate::device::DeviceRequest;
use crate::gpu::Precision;
use crate::models::align::{self, AlignModel};
use crate::models::fuse::{self, FuseModel};
use crate::models::{ModelError, catalogue, folder};
use crate::store::Reader;

use super::{Failure, FailureKind, FuseInfo, FuseSource, FuseStatus, ModelSource};

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
    /// Of the weights, where a graphics card is chosen.
    pub precision: Precision,
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
        align::load_in(&folder, self.device, self.precision)
    }

    /// `align` or `fuse`.
    pub fn family(&self, pack: &str) -> Result<String, ModelError> {
        Ok(folder::describe(&catalogue::find(&self.paths, pack)?)?.family)
    }

    /// Checks a model folder and keeps it as a pack; its id.
    pub fn import(&self, folder: &Path) -> Result<String, ModelError> {
        catalogue::import(&self.paths, folder).map(|pack| pack.id)
    }
}

/// Loads the Fuse model that was asked for.
#[derive(Clone)]
pub struct FuseLoader {
    pub paths: Paths,
    pub source: FuseSource,
    pub device: DeviceRequest,
}

impl FuseLoader {
    /// The model asked for, else the library's active one, else the built-in one.
    pub fn load(&self, reader: Option<&Reader>) -> Result<Arc<dyn FuseModel>, Failure> {
        if let FuseSource::Ready(model) = &self.source {
            return Ok(Arc::clone(model));
        }
        let pack = self.pack(reader)?;
        let folder = catalogue::find(&self.paths, &pack)?;
        log::info!("model {pack}: {}", folder.display());
        Ok(catalogue::load_fuse(&self.paths, &folder, self.device)?)
    }

    /// What there is, without loading it.
    pub fn describe(&self, reader: Option<&Reader>) -> FuseStatus {
        self.info(reader).map_or_else(FuseStatus::Absent, FuseStatus::AtHand)
    }

    fn info(&self, reader: Option<&Reader>) -> Result<FuseInfo, Failure> {
        if let FuseSource::Ready(model) = &self.source {
            let spec = model.spec();
            let (pack, name, languages) = (spec.id.clone(), spec.id.clone(), spec.languages.clone());
            return Ok(FuseInfo { pack, name, languages, abilities: Some(spec.abilities), sees: Some(spec.sees) });
        }
        let pack = self.pack(reader)?;
        let manifest = folder::describe(&catalogue::find(&self.paths, &pack)?)?;
        let name = if manifest.name.is_empty() { manifest.id } else { manifest.name };
        Ok(FuseInfo { pack, name, languages: manifest.languages, abilities: None, sees: None })
    }

    /// Its id or folder.
    fn pack(&self, reader: Option<&Reader>) -> Result<String, Failure> {
        if let FuseSource::Pack(pack) = &self.source {
            return Ok(pack.clone());
        }
        let active = reader.map(|reader| reader.active_model(fuse::FAMILY)).transpose()?.flatten();
        let built_in = || catalogue::list(&self.paths).into_iter().find(|pack| pack.id == BUILT_IN_FUSE).map(|p| p.id);
        active.or_else(built_in).ok_or_else(|| {
            Failure::new(
                FailureKind::NoFuseModel,
                "there is no model at hand that captions, answers or matches, and none is built into this version: convert a checkpoint of OSCAR, VinVL, UNITER or VLP with training/convert.py and name its folder with --model FOLDER",
            )
        })
    }
}
