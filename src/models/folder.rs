//! Model folders as their authors publish them: configuration, weights and the
//! files beside them, whatever the family.
//!
//! Must not load a model.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::ModelError;
use super::fuse::{self, Recipe};
use super::json::read_json;
use super::pack::{MANIFEST, Pack, PackFile, PackManifest, hex};
use super::weights::Weights;

/// The configuration of a model folder and what it names.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    pub path: PathBuf,
    pub config: Value,
    /// `model_type`: `clip`, `align`, `bert`, …; a Fuse system's name where its tensors tell.
    pub kind: String,
}

impl ModelFolder {
    /// Reads `config.json`.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = path.join("config.json");
        if !file.is_file() {
            return Err(ModelError::NotAModel {
                path: path.to_owned(),
                detail: "the folder holds no model (neither pack.json nor config.json)".into(),
            });
        }
        let config: Value = read_json(&file, "the model's configuration")?;
        let mut kind = config["model_type"].as_str().unwrap_or_default().to_owned();
        if kind.is_empty() {
            // The oldest files name the class alone.
            let class = config["architectures"][0].as_str().unwrap_or_default();
            kind = class.strip_suffix("Model").unwrap_or(class).to_lowercase();
        }
        if kind.is_empty() || kind == "bert" {
            // The Fuse systems name nothing, or the encoder alone; their tensors have names of their own.
            let open = Self { path: path.to_owned(), config: config.clone(), kind: kind.clone() };
            match open.weights() {
                Ok(weights) => {
                    if let Some(recipe) = Recipe::told_from(weights.shapes().map(|(name, _)| name)) {
                        kind = recipe.name().to_owned();
                    }
                }
                Err(e) if kind.is_empty() => return Err(e),
                Err(_) => {}
            }
        }
        if kind.is_empty() {
            return Err(ModelError::Config {
                path: file,
                detail: "the model's configuration names no architecture".into(),
            });
        }
        Ok(Self { path: path.to_owned(), config, kind })
    }

    /// The configuration as an architecture's own type. Parts that old files
    /// repeat under `…_config_dict` win, as in the reference.
    pub fn config<T: serde::de::DeserializeOwned>(&self) -> Result<T, ModelError> {
        let mut config = self.config.clone();
        for part in ["text_config", "vision_config"] {
            if let Some(old) = self.config[format!("{part}_dict")].as_object()
                && let Some(new) = config[part].as_object_mut()
            {
                new.extend(old.clone());
            }
            if config[part].is_null()
                && let Some(whole) = config.as_object_mut()
            {
                whole.remove(part);
            }
        }
        serde_json::from_value(config).map_err(|e| ModelError::Config {
            path: self.path.join("config.json"),
            detail: format!("the model's configuration cannot be used ({e})"),
        })
    }

    /// Names of the weight files: safetensors, whole or in parts, else PyTorch's.
    pub fn weight_files(&self) -> Result<Vec<String>, ModelError> {
        for (whole, index) in [
            ("model.safetensors", "model.safetensors.index.json"),
            ("pytorch_model.bin", "pytorch_model.bin.index.json"),
        ] {
            if self.path.join(whole).is_file() {
                return Ok(vec![whole.to_owned()]);
            }
            let index = self.path.join(index);
            if index.is_file() {
                let bytes = std::fs::read(&index).map_err(|source| ModelError::Io { path: index.clone(), source })?;
                let map: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let parts: BTreeSet<String> = map["weight_map"]
                    .as_object()
                    .into_iter()
                    .flat_map(|m| m.values())
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect();
                if parts.is_empty() || parts.iter().any(|p| p.contains(['/', '\\'])) {
                    return Err(ModelError::Damaged {
                        path: index,
                        detail: "does not list the parts of the weights".into(),
                    });
                }
                return Ok(parts.into_iter().collect());
            }
        }
        Err(ModelError::NotAModel {
            path: self.path.clone(),
            detail: "the folder holds no weights (model.safetensors or pytorch_model.bin)".into(),
        })
    }

    /// Opens the weights.
    pub fn weights(&self) -> Result<Weights, ModelError> {
        let files: Vec<PathBuf> = self.weight_files()?.iter().map(|name| self.path.join(name)).collect();
        Weights::open(&files)
    }

    /// A manifest for the folder as it stands; hashes of files are left empty.
    pub fn describe(&self) -> Result<PackManifest, ModelError> {
        let family = match self.kind.as_str() {
            "clip" | "align" => "align",
            kind if Recipe::named(kind).is_some() => fuse::FAMILY,
            _ => return Err(ModelError::Architecture { path: self.path.clone(), name: self.kind.clone() }),
        };
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let id = absolute.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| self.kind.clone());
        const BESIDE: [&str; 10] = [
            "config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.json",
            "merges.txt",
            "vocab.txt",
            "generation_config.json",
            "labels.json",
        ];
        let names =
            BESIDE.iter().map(|n| (*n).to_owned()).filter(|n| self.path.join(n).is_file()).chain(self.weight_files()?);
        let files = names
            .map(|name| {
                let size = std::fs::metadata(self.path.join(&name)).map_or(0, |m| m.len());
                PackFile { name, size, sha256: String::new() }
            })
            .collect();
        Ok(PackManifest {
            name: id.clone(),
            id,
            family: family.into(),
            architecture: self.kind.clone(),
            good_at: String::new(),
            languages: vec!["en".into()],
            licence: String::new(),
            source: absolute.display().to_string(),
            files,
            preprocessing: None,
            preprocess_revision: 1,
            dim: 0,
            align: None,
            metrics: Value::Null,
            calibration: None,
        })
    }
}

/// A name for the weights of a folder that states no hashes: SHA-256 over their
/// sizes, headers and 64 samples of each file. Reading gigabytes at every start to
/// learn the same would cost seconds; other weights of one shape differ all over.
pub fn fingerprint(files: &[PathBuf]) -> Result<String, ModelError> {
    const SAMPLES: u64 = 64;
    let mut hash = Sha256::new();
    for path in files {
        let io = |source| ModelError::Io { path: path.clone(), source };
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        hash.update(size.to_le_bytes());
        let mut sample = Vec::new();
        for i in 0..=SAMPLES {
            file.seek(SeekFrom::Start(size.saturating_sub(1 << 12) / SAMPLES * i)).map_err(io)?;
            sample.clear();
            file.by_ref().take(1 << 12).read_to_end(&mut sample).map_err(io)?;
            hash.update(&sample);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// What a pack or model folder is, without loading it.
pub fn describe(folder: &Path) -> Result<PackManifest, ModelError> {
    if folder.join(MANIFEST).is_file() {
        Ok(Pack::open(folder)?.manifest)
    } else {
        ModelFolder::open(folder)?.describe()
    }
}
