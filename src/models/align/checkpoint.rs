//! Model folders as Hugging Face publishes them: configuration, weights, tokenizer
//! and preprocessing, each from the folder's own files.
//!
//! Must not know the towers' insides.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use image::RgbImage;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::domain::Embedding;
use crate::models::ModelError;
use crate::models::pack::{PackFile, PackManifest, hex};
use crate::models::preprocess::{self, Preprocess};
use crate::models::tokenizer::Tokenizer;
use crate::models::weights::{View, Weights};

use super::align_model::AlignTowers;
use super::clip::Clip;
use super::{AlignModel, AlignSpec, Pixels};

/// The two towers of one architecture.
pub trait Towers: Send + Sync {
    /// Width of the joint space.
    fn dim(&self) -> usize;
    /// Side of the input in pixels.
    fn image_side(&self) -> usize;
    /// Rows of the word table.
    fn vocab_size(&self) -> usize;
    /// Most ids in a text.
    fn text_limit(&self) -> usize;
    /// `[batch, 3, side, side]` to `[batch, dim]`, not normalised.
    fn images(&self, pixels: &Tensor) -> Result<Tensor, ModelError>;
    /// Rows of ids to `[batch, dim]`, not normalised.
    fn texts(&self, rows: &[Vec<u32>]) -> Result<Tensor, ModelError>;
}

/// The configuration of a model folder and what it names.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    pub path: PathBuf,
    pub config: Value,
    /// `model_type`: `clip`, `align`, `bert`, …
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
        let bytes = std::fs::read(&file).map_err(|source| ModelError::Io { path: file.clone(), source })?;
        let config: Value = serde_json::from_slice(&bytes).map_err(|e| ModelError::Config {
            path: file.clone(),
            detail: format!("the model's configuration cannot be read ({e})"),
        })?;
        let mut kind = config["model_type"].as_str().unwrap_or_default().to_owned();
        if kind.is_empty() {
            // The oldest files name the class alone.
            let class = config["architectures"][0].as_str().unwrap_or_default();
            kind = class.strip_suffix("Model").unwrap_or(class).to_lowercase();
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
        let family = if matches!(self.kind.as_str(), "clip" | "align") { "align" } else { "fuse" };
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let id = absolute.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| self.kind.clone());
        const BESIDE: [&str; 9] = [
            "config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.json",
            "merges.txt",
            "vocab.txt",
            "generation_config.json",
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
            metrics: Value::Null,
            calibration: None,
        })
    }
}

/// A name for the weights of a folder that states no hashes: SHA-256 over their
/// sizes, headers and 64 samples of each file. Reading gigabytes at every start to
/// learn the same would cost seconds; other weights of one shape differ all over.
fn fingerprint(files: &[PathBuf]) -> Result<String, ModelError> {
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

/// CLIP or ALIGN with their tokenizer and preprocessing.
struct Checkpoint<T> {
    spec: AlignSpec,
    towers: T,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    device: Device,
}

/// Loads a folder of an architecture of the Align family. A pack's manifest, where
/// there is one, names it.
pub fn load(
    folder: &Path,
    manifest: Option<&PackManifest>,
    device: &Device,
) -> Result<Box<dyn AlignModel>, ModelError> {
    let model = ModelFolder::open(folder)?;
    match model.kind.as_str() {
        "clip" => checkpoint(&model, manifest, device, |view| Clip::load(view, model.config()?, device)),
        "align" => checkpoint(&model, manifest, device, |view| AlignTowers::load(view, model.config()?, device)),
        other => Err(ModelError::Architecture { path: folder.to_owned(), name: other.to_owned() }),
    }
}

fn checkpoint<T: Towers + 'static>(
    model: &ModelFolder,
    manifest: Option<&PackManifest>,
    device: &Device,
    towers: impl FnOnce(&View) -> Result<T, ModelError>,
) -> Result<Box<dyn AlignModel>, ModelError> {
    // The small files first: what is missing there is said before gigabytes are read.
    let settings = model.path.join("preprocessor_config.json");
    if !settings.is_file() {
        let detail =
            "the folder has no preprocessor_config.json, so it is not known how pictures must be prepared".into();
        return Err(ModelError::NotAModel { path: model.path.clone(), detail });
    }
    let preprocess = Preprocess::from_hf(&settings)?;
    Tokenizer::open(&model.path, 1 << 10)?;
    let weights = model.weights()?;
    let towers = towers(&weights.root())?;
    weights.finish()?;
    let tokenizer = Tokenizer::open(&model.path, towers.text_limit())?;
    tokenizer.check_rows(towers.vocab_size())?;
    let side = towers.image_side() as u32;
    if preprocess.out_size() != Some((side, side)) {
        let detail =
            format!("the preprocessing settings do not lead to the {side}x{side} pixels that the image tower wants");
        return Err(ModelError::Config { path: settings, detail });
    }
    let files: Vec<PathBuf> = model.weight_files()?.iter().map(|name| model.path.join(name)).collect();
    let described = match manifest {
        Some(m) => m.clone(),
        None => model.describe()?,
    };
    let spec = AlignSpec {
        id: described.id,
        weights_hash: fingerprint(&files)?,
        preprocess_revision: preprocess::REVISION,
        dim: towers.dim(),
        languages: described.languages,
        min_side: preprocess.min_side(),
    };
    Ok(Box::new(Checkpoint { spec, towers, tokenizer, preprocess, device: device.clone() }))
}

impl<T: Towers> AlignModel for Checkpoint<T> {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        Ok(Pixels(self.preprocess.apply(photo)?))
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let pixels = stack(batch, self.towers.image_side(), &self.device)?;
        embeddings(&self.towers.images(&pixels)?)
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = texts.iter().map(|text| self.tokenizer.encode(text)).collect::<Result<Vec<_>, _>>()?;
        embeddings(&self.towers.texts(&rows)?)?.into_iter().collect()
    }

    fn device(&self) -> &str {
        match self.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        }
    }
}

/// One tensor `[batch, 3, side, side]`.
pub fn stack(batch: &[Pixels], side: usize, device: &Device) -> Result<Tensor, ModelError> {
    let mut all = Vec::with_capacity(batch.len() * 3 * side * side);
    for Pixels(pixels) in batch {
        if pixels.len() != 3 * side * side {
            return Err(candle_core::Error::Msg(format!(
                "{} numbers for a picture of {side}x{side} pixels",
                pixels.len()
            ))
            .into());
        }
        all.extend_from_slice(pixels);
    }
    Ok(Tensor::from_vec(all, (batch.len(), 3, side, side), device)?)
}

/// Each row `[batch, dim]` scaled to unit length, or why it cannot be.
pub fn embeddings(rows: &Tensor) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
    let rows: Vec<Vec<f32>> = rows.to_vec2()?;
    Ok(rows.into_iter().map(|row| Embedding::new(row).map_err(ModelError::from)).collect())
}
