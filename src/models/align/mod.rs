//! The Align family: two towers, one joint space, a dot product.
//!
//! [`AlignModel`] is all that the rest of the program knows of it; one file an
//! architecture implements it. Must not touch SQL, the window or people's folders.

pub mod align_model;
mod card;
pub mod checkpoint;
pub mod clip;
pub mod efficientnet;
pub mod lite;
pub(in crate::models) mod stub;
pub mod transformer;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use image::RgbImage;

use crate::device::{DeviceKind, DeviceNote, DeviceRequest};
use crate::domain::{Calibration, Embedding};
use crate::gpu::{Gpu, Precision};

use super::ModelError;
use super::ops::Backend;
use super::pack::{MANIFEST, Pack};

pub use card::{Placed, least_cosine, self_test};
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
    pub fn stack<B: Backend>(batch: &[Self], side: usize, backend: &B) -> Result<B::Tensor, ModelError> {
        if let Some(Self(wrong)) = batch.iter().find(|Self(pixels)| pixels.len() != 3 * side * side) {
            let detail = format!("{} numbers for a picture of {side}x{side} pixels", wrong.len());
            return Err(candle_core::Error::Msg(detail).into());
        }
        let parts: Vec<&[f32]> = batch.iter().map(|Self(pixels)| pixels.as_slice()).collect();
        backend.stacked(&parts, &[batch.len(), 3, side, side])
    }
}

/// One embedding for each image, in order. A vector that is not finite is an error of that
/// image alone.
pub type Encoded = Vec<Result<Embedding, ModelError>>;

/// Images that a device may still be at work on; calling it waits for them.
pub type Started<'a> = Box<dyn FnOnce() -> Result<Encoded, ModelError> + 'a>;

/// Two towers into one joint space. Implementations are `Sync`: preparing runs
/// on the decode threads, encoding on the compute thread.
pub trait AlignModel: Send + Sync {
    /// What this model is.
    fn spec(&self) -> &AlignSpec;

    /// Resize, crop and normalise one upright photo, as the model's own files say.
    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError>;

    /// Images to embeddings.
    fn encode_images(&self, batch: &[Pixels]) -> Result<Encoded, ModelError>;

    /// The same, where the device lets the caller prepare the next batch meanwhile.
    fn start_images<'a>(&'a self, batch: &[Pixels]) -> Result<Started<'a>, ModelError> {
        let done = self.encode_images(batch)?;
        Ok(Box::new(move || Ok(done)))
    }

    /// Images that one call is best given, where so many are there.
    fn appetite(&self) -> usize {
        16
    }

    /// One embedding for each text, in order. Over-long texts are cut to the model's limit.
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError>;

    /// How its text-to-image scores are distributed, where its pack says.
    fn calibration(&self) -> Option<&Calibration> {
        None
    }

    /// Where it really runs: `cpu`, `wgpu`, `cuda`, `metal`.
    fn device(&self) -> &str;

    /// Why it does not run on something better.
    fn device_note(&self) -> Option<DeviceNote> {
        None
    }

    /// Lets `work` use the graphics card that the model runs on, if it runs on one; the model waits meanwhile.
    fn with_card(&self, _work: &mut dyn FnMut(&Gpu)) {}
}

/// Loads a pack, or a model folder as Hugging Face publishes it, of the Align family.
pub fn load(folder: &Path, device: DeviceRequest) -> Result<Arc<dyn AlignModel>, ModelError> {
    load_in(folder, device, Precision::F16)
}

/// The same with weights in that precision on a graphics card (where it has it).
pub fn load_in(folder: &Path, device: DeviceRequest, precision: Precision) -> Result<Arc<dyn AlignModel>, ModelError> {
    let choice = device.choose().map_err(|e| ModelError::Device(e.to_string()))?;
    match (choice.kind, choice.adapter) {
        (DeviceKind::Wgpu, Some(adapter)) => card::load(folder, device, adapter, precision),
        (kind, _) => {
            let model = load_on(folder, &candle_device(kind)?)?;
            Ok(match choice.note {
                Some(note) => Arc::new(Placed::on_cpu(folder, model, Some(note))),
                None => model,
            })
        }
    }
}

/// Loads onto one back end, come what may.
pub fn load_on<B: Backend>(folder: &Path, backend: &B) -> Result<Arc<dyn AlignModel>, ModelError> {
    if !folder.join(MANIFEST).is_file() {
        return Ok(Arc::from(checkpoint::load(folder, None, backend)?));
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
            Ok(Arc::from(checkpoint::load(folder, Some(manifest), backend)?))
        }
        "lite-align" => Ok(Arc::new(lite::LiteAlign::load(&pack, backend)?)),
        other => Err(ModelError::Architecture { path: folder.to_owned(), name: other.to_owned() }),
    }
}

/// The device of candle's that stands behind a kind; `wgpu` is none of them.
pub(super) fn candle_device(kind: DeviceKind) -> Result<Device, ModelError> {
    let opened = match kind {
        DeviceKind::Cpu | DeviceKind::Wgpu => Ok(Device::Cpu),
        DeviceKind::Cuda => Device::new_cuda(0),
        DeviceKind::Metal => Device::new_metal(0),
    };
    opened.map_err(|error| ModelError::Device(format!("the device `{}` cannot be had: {error}", kind.name())))
}
