//! What every command needs: paths, settings, the library and the model that were asked for.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{Paths, Settings};
use crate::device::DeviceRequest;
use crate::domain::CancelToken;
use crate::engine::{ALIGN_FAMILY, BUILT_IN_ALIGN, EngineConfig, FuseLoader, FuseSource, ModelLoader, ModelSource};
use crate::gpu::Precision;
use crate::models::align::AlignModel;
use crate::models::fuse::{self, FuseModel};
use crate::models::{ModelError, catalogue, folder};
use crate::store::{Reader, Store, StoreError};

use super::args::Global;

/// One run of the program.
pub struct Session {
    pub paths: Paths,
    pub settings: Settings,
    pub library: PathBuf,
    pub models: Vec<String>,
    pub device: DeviceRequest,
    /// Ends on an interrupt.
    pub cancel: CancelToken,
    quiet: bool,
}

impl Session {
    /// Settles where everything is.
    pub fn new(global: &Global, paths: Paths, cancel: CancelToken) -> Self {
        let library = match &global.library {
            Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            None => paths.library(),
        };
        let settings = Settings::load(&paths.settings());
        let Global { model, device, quiet, .. } = global.clone();
        Self { paths, settings, library, models: model, device, cancel, quiet }
    }

    /// Whether somebody watches who would like to see a progress line.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// An error once the person asked the program to stop.
    pub fn stop_if_interrupted(&self) -> Result<()> {
        if self.cancel.is_cancelled() { bail!("stopped") } else { Ok(()) }
    }

    /// The library for writing; made if it is not there.
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.library)
    }

    /// The library for writing, if it is there.
    pub fn store_that_is_there(&self) -> Result<Store, StoreError> {
        self.reader()?;
        self.store()
    }

    /// The library for reading; an error if it is not there.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.library)
    }

    /// The Align model that was asked for, else the library's, else the built-in one.
    pub fn align(&self, reader: Option<&Reader>) -> Result<Arc<dyn AlignModel>> {
        self.align_with(reader, Precision::F16)
    }

    fn align_with(&self, reader: Option<&Reader>, precision: Precision) -> Result<Arc<dyn AlignModel>> {
        let loader = ModelLoader { precision, ..self.loader() };
        Ok(match (&loader.source, reader) {
            (ModelSource::Active, None) => loader.load_pack(BUILT_IN_ALIGN)?,
            (ModelSource::Active, Some(reader)) => loader.load(reader)?,
            (ModelSource::Pack(pack), _) => loader.load_pack(pack)?,
            (ModelSource::Ready(model), _) => Arc::clone(model),
        })
    }

    /// The same where the library may not be there yet, and need not be.
    pub fn align_or_built_in(&self) -> Result<Arc<dyn AlignModel>> {
        self.align_in(Precision::F16)
    }

    /// The same with weights in that precision on a graphics card.
    pub fn align_in(&self, precision: Precision) -> Result<Arc<dyn AlignModel>> {
        match self.reader() {
            Ok(reader) => self.align_with(Some(&reader), precision),
            Err(StoreError::Absent { .. }) => self.align_with(None, precision),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder of the same model.
    pub fn align_folder(&self) -> Result<PathBuf> {
        let pack = match self.source() {
            ModelSource::Pack(pack) => pack,
            _ => match self.reader() {
                Ok(reader) => reader.active_model(ALIGN_FAMILY)?.unwrap_or_else(|| BUILT_IN_ALIGN.to_owned()),
                Err(StoreError::Absent { .. }) => BUILT_IN_ALIGN.to_owned(),
                Err(error) => return Err(error.into()),
            },
        };
        Ok(catalogue::find(&self.paths, &pack)?)
    }

    fn loader(&self) -> ModelLoader {
        ModelLoader { paths: self.paths.clone(), source: self.source(), device: self.device, precision: Precision::F16 }
    }

    /// The Align model of `--model`, else what the library says. What cannot be read is
    /// taken for one: loading it says what is wrong.
    pub fn source(&self) -> ModelSource {
        let pack = self.models.iter().find(|pack| self.family(pack).map_or(true, |family| family == ALIGN_FAMILY));
        pack.map_or(ModelSource::Active, |pack| ModelSource::Pack(pack.clone()))
    }

    /// The Fuse model of `--model`, else the library's, else the built-in one.
    pub fn fuse(&self) -> Result<Arc<dyn FuseModel>> {
        // What cannot be read is no model of either family: said before anything else is tried.
        for model in &self.models {
            self.family(model)?;
        }
        let reader = match self.reader() {
            Err(StoreError::Absent { .. }) => None,
            // Of no matter where the model was named.
            Err(_) if matches!(self.fuse_source(), FuseSource::Pack(_)) => None,
            reader => Some(reader?),
        };
        let loader = FuseLoader { paths: self.paths.clone(), source: self.fuse_source(), device: self.device };
        Ok(loader.load(reader.as_ref())?)
    }

    /// The Fuse model of `--model`, else what the library says.
    fn fuse_source(&self) -> FuseSource {
        let is_fuse = |pack: &&String| self.family(pack).is_ok_and(|family| family == fuse::FAMILY);
        self.models.iter().find(is_fuse).map_or(FuseSource::Active, |pack| FuseSource::Pack(pack.clone()))
    }

    /// `align` or `fuse`.
    fn family(&self, pack: &str) -> Result<String, ModelError> {
        Ok(folder::describe(&catalogue::find(&self.paths, pack)?)?.family)
    }

    /// What an engine for a window over this library starts from.
    pub fn engine_config(&self) -> EngineConfig {
        EngineConfig {
            paths: self.paths.clone(),
            library: self.library.clone(),
            settings: self.settings.clone(),
            align: self.source(),
            fuse: self.fuse_source(),
            device: self.device,
        }
    }
}
