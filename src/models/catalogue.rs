//! Which packs there are: those that come with the program and those that a
//! person added, by id or by folder.
//!
//! Must not load towers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Paths;
use crate::device::DeviceRequest;

use super::fuse::FuseModel;
use super::pack::{MANIFEST, Pack, PackFile, PackManifest, is_weights, sha256};
use super::weights::Weights;
use super::{ModelError, align, folder, fuse};

/// Where the built-in packs are among the assets.
const BUILT_IN: &str = "models";

/// A pack as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub name: String,
    /// `align` or `fuse`.
    pub family: String,
    pub good_at: String,
    pub folder: PathBuf,
    /// Comes with the program and cannot be removed.
    pub built_in: bool,
}

/// All packs whose manifest can be read, built-in ones first, each part by id. A
/// person's pack with the id of a built-in one is left out.
pub fn list(paths: &Paths) -> Vec<Listed> {
    let mut all: Vec<Listed> = paths.asset(BUILT_IN).map(|folder| packs(&folder, true)).unwrap_or_default();
    for pack in packs(&paths.user_packs(), false) {
        if !all.iter().any(|known| known.id == pack.id) {
            all.push(pack);
        }
    }
    all
}

fn packs(folder: &Path, built_in: bool) -> Vec<Listed> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Listed> = entries
        .filter(|entry| entry.path().join(MANIFEST).is_file())
        .filter_map(|entry| match Pack::open(&entry.path()) {
            Ok(pack) => Some(listed(pack, built_in)),
            Err(e) => {
                log::warn!("a pack was left out: {e}");
                None
            }
        })
        .collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

fn listed(pack: Pack, built_in: bool) -> Listed {
    let PackManifest { id, name, family, good_at, .. } = pack.manifest;
    Listed { name: if name.is_empty() { id.clone() } else { name }, id, family, good_at, folder: pack.folder, built_in }
}

/// The folder of a pack, by its id or by the folder itself.
pub fn find(paths: &Paths, pack: &str) -> Result<PathBuf, ModelError> {
    if let Some(known) = list(paths).into_iter().find(|known| known.id == pack) {
        return Ok(known.folder);
    }
    let folder = PathBuf::from(pack);
    if folder.is_dir() {
        return std::path::absolute(&folder).map_err(|source| ModelError::Io { path: folder, source });
    }
    let known: Vec<String> = list(paths).into_iter().map(|known| known.id).collect();
    let detail = if known.is_empty() {
        "there is no pack or folder of that name, and no pack is installed".to_owned()
    } else {
        format!("there is no pack or folder of that name; the packs are {}", known.join(", "))
    };
    Err(ModelError::NotAModel { path: folder, detail })
}

/// Loads a Fuse model, with the Align pack that it looks through where its manifest names one.
pub fn load_fuse(paths: &Paths, folder: &Path, device: DeviceRequest) -> Result<Arc<dyn FuseModel>, ModelError> {
    let tower = if folder.join(MANIFEST).is_file() { Pack::open(folder)?.manifest.align } else { None };
    let align = tower.map(|tower| find(paths, &tower.pack)).transpose()?;
    fuse::load(folder, align.as_deref(), device)
}

/// Copies a model folder (a pack, or one as Hugging Face publishes it) among the
/// person's packs, after it has proved that it loads. PyTorch files become safetensors.
pub fn import(paths: &Paths, folder: &Path) -> Result<Listed, ModelError> {
    let described = folder::describe(folder)?;
    if list(paths).iter().any(|known| known.id == described.id) {
        let detail = format!("there is a pack `{}` already; remove it first", described.id);
        return Err(ModelError::NotAModel { path: folder.to_owned(), detail });
    }
    match described.family.as_str() {
        fuse::FAMILY => drop(load_fuse(paths, folder, DeviceRequest::Cpu)?),
        _ => drop(align::load(folder, DeviceRequest::Cpu)?),
    }
    let packs = paths.user_packs();
    let (target, staging) = (packs.join(&described.id), packs.join(format!(".{}.new", described.id)));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(io(&staging))?;
    }
    std::fs::create_dir_all(&staging).map_err(io(&staging))?;
    let mut manifest = described;
    let copied = copy_model(folder, &staging, &mut manifest);
    let done = copied.and_then(|()| std::fs::rename(&staging, &target).map_err(io(&target)));
    if let Err(e) = done {
        let _ = std::fs::remove_dir_all(&staging);
        return Err(e);
    }
    Ok(listed(Pack { folder: target, manifest }, false))
}

fn copy_model(folder: &Path, staging: &Path, manifest: &mut PackManifest) -> Result<(), ModelError> {
    let mut files = Vec::new();
    for name in manifest.files.iter().map(|f| f.name.clone()) {
        let from = folder.join(&name);
        let pickled = is_weights(&name) && from.extension().is_some_and(|e| e == "bin");
        let name = if pickled { "model.safetensors".to_owned() } else { name };
        let to = staging.join(&name);
        let io = |source| ModelError::Io { path: from.clone(), source };
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        if pickled {
            Weights::open(&[from])?.save_safetensors(&to)?;
        } else {
            std::fs::copy(&from, &to).map_err(io)?;
        }
        let size = std::fs::metadata(&to).map_err(|source| ModelError::Io { path: to.clone(), source })?.len();
        files.push(PackFile { name, size, sha256: sha256(&to)? });
    }
    manifest.files = files;
    let path = staging.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|e| ModelError::Config { path: path.clone(), detail: e.to_string() })?;
    std::fs::write(&path, text).map_err(|source| ModelError::Io { path, source })
}

/// Deletes a pack that a person added.
pub fn remove(paths: &Paths, id: &str) -> Result<(), ModelError> {
    let Some(pack) = list(paths).into_iter().find(|known| known.id == id) else {
        return Err(ModelError::NotAModel { path: id.into(), detail: "there is no pack of that name".into() });
    };
    if pack.built_in {
        return Err(ModelError::NotAModel {
            path: pack.folder,
            detail: "the pack comes with the program and cannot be removed".into(),
        });
    }
    std::fs::remove_dir_all(&pack.folder).map_err(|source| ModelError::Io { path: pack.folder, source })
}
