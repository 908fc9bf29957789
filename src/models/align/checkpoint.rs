//! CLIP and ALIGN folders as Hugging Face publishes them: towers, tokenizer and
//! preprocessing, each from the folder's own files.
//!
//! Must not know the towers' insides.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use image::RgbImage;

use crate::domain::Embedding;
use crate::models::ModelError;
use crate::models::folder::{ModelFolder, fingerprint};
use crate::models::ops::{Backend, Fetch};
use crate::models::pack::PackManifest;
use crate::models::preprocess::{self, Preprocess};
use crate::models::tokenizer::Tokenizer;
use crate::models::weights::View;

use super::align_model::AlignTowers;
use super::clip::Clip;
use super::{AlignModel, AlignSpec, Encoded, Pixels, Started};

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
    /// Starts on `[batch, 3, side, side]`; one tensor comes back, `[batch, dim]`, not normalised.
    fn images(&self, batch: &[Pixels]) -> Result<Fetch, ModelError>;
    /// Starts on rows of ids; one tensor comes back, `[batch, dim]`, not normalised.
    fn texts(&self, rows: &[Vec<u32>]) -> Result<Fetch, ModelError>;
    /// Where they run.
    fn device(&self) -> &'static str;
}

/// CLIP or ALIGN with their tokenizer and preprocessing.
struct Checkpoint<T> {
    spec: AlignSpec,
    towers: T,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
}

/// Loads a folder of an architecture of the Align family. A pack's manifest, where
/// there is one, names it.
pub fn load<B: Backend>(
    folder: &Path,
    manifest: Option<&PackManifest>,
    backend: &B,
) -> Result<Box<dyn AlignModel>, ModelError> {
    let model = ModelFolder::open(folder)?;
    match model.kind.as_str() {
        "clip" => checkpoint(&model, manifest, |view| Clip::load(view, model.config()?, backend)),
        "align" => checkpoint(&model, manifest, |view| AlignTowers::load(view, model.config()?, backend)),
        other => Err(ModelError::Architecture { path: folder.to_owned(), name: other.to_owned() }),
    }
}

fn checkpoint<T: Towers + 'static>(
    model: &ModelFolder,
    manifest: Option<&PackManifest>,
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
    Ok(Box::new(Checkpoint { spec, towers, tokenizer, preprocess }))
}

impl<T: Towers> AlignModel for Checkpoint<T> {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        Ok(Pixels(self.preprocess.apply(photo)?))
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Encoded, ModelError> {
        self.start_images(batch)?()
    }

    fn start_images<'a>(&'a self, batch: &[Pixels]) -> Result<Started<'a>, ModelError> {
        if batch.is_empty() {
            return Ok(Box::new(|| Ok(Vec::new())));
        }
        let fetch = self.towers.images(batch)?;
        Ok(Box::new(move || embeddings(&fetch.one()?)))
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = texts.iter().map(|text| self.tokenizer.encode(text)).collect::<Result<Vec<_>, _>>()?;
        embeddings(&self.towers.texts(&rows)?.one()?)?.into_iter().collect()
    }

    fn device(&self) -> &str {
        self.towers.device()
    }
}

/// Each row `[batch, dim]` scaled to unit length, or why it cannot be.
pub fn embeddings(rows: &Tensor) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
    let rows: Vec<Vec<f32>> = rows.to_vec2()?;
    Ok(rows.into_iter().map(|row| Embedding::new(row).map_err(ModelError::from)).collect())
}
