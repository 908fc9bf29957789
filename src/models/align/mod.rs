//! The Align family: two towers, one joint space, a dot product.
//!
//! [`AlignModel`] is all that the rest of the program knows of it; one file an
//! architecture implements it. Must not touch SQL, the window or people's folders.

pub mod align_model;
pub mod checkpoint;
pub mod clip;
pub mod efficientnet;
pub mod lite;
pub(in crate::models) mod stub;
pub mod transformer;

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use image::RgbImage;

use crate::device::{DeviceKind, DeviceRequest};
use crate::domain::{Calibration, Embedding};

use super::ModelError;
use super::pack::{MANIFEST, Pack};

pub use stub::StubAlign;

/// What a model is, as read from its pack.
#[derive(Clone, Debug, PartialEq)]
pub struct AlignSpec {
    /// Pack id (`lite-align`) or, for a model folder, its folder name.
    pub id: String,
    /// SHA-256 (hex) over the weight files' own hashes: other weights, other space.
    pub weights_hash: String,
    /// Raised whenever the way pixels are prepared changes: other pixels, other space.
    pub preprocess_revision: u32,
    /// Width of the joint space.
    pub dim: usize,
    /// BCP 47 codes of the languages that queries may be in.
    pub languages: Vec<String>,
    /// The shorter side, in pixels, below which a decoded photo loses detail the tower would see.
    pub min_side: u32,
}

/// Pixels as one tower wants them: `[3, side, side]` f32 in planes, normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels(pub Vec<f32>);

impl Pixels {
    /// One tensor `[batch, 3, side, side]`.
    pub fn stack(batch: &[Self], side: usize, device: &Device) -> Result<Tensor, ModelError> {
        let mut all = Vec::with_capacity(batch.len() * 3 * side * side);
        for Self(pixels) in batch {
            if pixels.len() != 3 * side * side {
                let detail = format!("{} numbers for a picture of {side}x{side} pixels", pixels.len());
                return Err(candle_core::Error::Msg(detail).into());
            }
            all.extend_from_slice(pixels);
        }
        Ok(Tensor::from_vec(all, (batch.len(), 3, side, side), device)?)
    }
}

/// Two towers into one joint space. Implementations are `Sync`: preparing runs
/// on the decode threads, encoding on the compute thread.
pub trait AlignModel: Send + Sync {
    /// What this model is.
    fn spec(&self) -> &AlignSpec;

    /// Resize, crop and normalise one upright photo, as the model's own files say.
    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError>;

    /// One embedding for each image, in order. A vector that is not finite is an
    /// error of that image alone.
    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError>;

    /// One embedding for each text, in order. Over-long texts are cut to the model's limit.
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError>;

    /// How its text-to-image scores are distributed, where its pack says.
    fn calibration(&self) -> Option<&Calibration> {
        None
    }

    /// Where it really runs: `cpu`, `wgpu`, `cuda`, `metal`.
    fn device(&self) -> &str;
}

/// Loads a pack, or a model folder as Hugging Face publishes it, of the Align family.
pub fn load(folder: &Path, device: DeviceRequest) -> Result<Arc<dyn AlignModel>, ModelError> {
    let DeviceKind::Cpu = device.choose().map_err(|e| ModelError::Device(e.to_string()))?.kind;
    let cpu = candle_core::Device::Cpu;
    if !folder.join(MANIFEST).is_file() {
        return Ok(Arc::from(checkpoint::load(folder, None, &cpu)?));
    }
    let pack = Pack::open(folder)?;
    let manifest = &pack.manifest;
    if manifest.family != "align" {
        let detail = format!("the pack `{}` is of the {} family and cannot index photos", manifest.id, manifest.family);
        return Err(ModelError::NotAModel { path: folder.to_owned(), detail });
    }
    match manifest.architecture.as_str() {
        "clip" | "align" => {
            for file in &manifest.files {
                pack.file(&file.name)?;
            }
            Ok(Arc::from(checkpoint::load(folder, Some(manifest), &cpu)?))
        }
        "lite-align" => Ok(Arc::new(lite::LiteAlign::load(&pack, &cpu)?)),
        other => Err(ModelError::Architecture { path: folder.to_owned(), name: other.to_owned() }),
    }
}
