//! The Fuse family: one transformer that attends over words and picture together.
//!
//! [`FuseModel`] is all that the rest of the program knows of it. OSCAR, VinVL, UNITER
//! and VLP are one BERT with four ways to embed regions, four masks and a few heads
//! ([`transformer`]). Must not touch SQL, the window or people's folders.

mod config;
pub mod decode;
mod embed;
pub mod evidence;
pub(super) mod golden;
mod heads;
mod labels;
mod look;
mod question;
pub mod regions;
mod stub;
mod system;
pub mod transformer;
mod trust;

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use crate::device::{DeviceKind, DeviceRequest};
use crate::domain::CancelToken;

use super::ModelError;
use super::pack::{MANIFEST, Pack};

pub use crate::domain::Answer;
pub use config::Recipe;
pub use decode::Sampling;
pub use question::{Refusal, refusal};
pub use regions::Regions;
pub use stub::StubFuse;

/// The family's name in a library and in a pack's manifest.
pub const FAMILY: &str = "fuse";

/// What a model can be asked for: what its checkpoint has heads for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    pub caption: bool,
    pub answer: bool,
    pub matching: bool,
}

/// What a model looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Features that a detector computed beforehand; the program has none of its own.
    Features,
    /// The photo itself.
    Pixels,
}

/// What a model is, as read from its folder.
#[derive(Clone, Debug, PartialEq)]
pub struct FuseSpec {
    /// Pack id, or the folder's name.
    pub id: String,
    /// Names the weights: tells an old draft from one of these.
    pub weights_hash: String,
    /// Names all that a match score hangs on: the weights, how the folder's configuration has evidence weighed, and the
    /// Align pack that is listened to.
    pub judge_hash: String,
    /// `oscar`, `vinvl`, `uniter`, `vlp`, …
    pub architecture: String,
    /// BCP 47 codes of the languages that it reads and writes.
    pub languages: Vec<String>,
    pub abilities: Abilities,
    pub sees: Sees,
    /// The shorter side, in pixels, below which a decoded photo loses detail it would see.
    pub min_side: u32,
    /// What a cosine of the Align model counts beside this model's log-odds when hits are ordered anew;
    /// 0 where this model judges better alone.
    pub align_weight: f32,
}

/// How a caption is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionRequest {
    /// BCP 47 code.
    pub lang: String,
    /// Sequences held at once; 1 is greedy.
    pub beam: usize,
    /// Draws words instead; then `beam` does not count.
    pub sampling: Option<Sampling>,
}

impl Default for CaptionRequest {
    fn default() -> Self {
        Self { lang: "en".into(), beam: 3, sampling: None }
    }
}

/// A caption as a model gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub text: String,
    /// What share of it is likely to be borne out, 0..1; of a model that was not measured so, the mean
    /// probability of its words.
    pub score: f32,
    /// False if the limit or a cancel ended it.
    pub ended: bool,
}

/// Ranked answers, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    pub ranked: Vec<Answer>,
    /// The best one is not likely enough to be relied on.
    pub unsure: bool,
}

/// One model over words and picture. What it cannot do is [`ModelError::Unable`].
pub trait FuseModel: Send + Sync {
    /// What this model is.
    fn spec(&self) -> &FuseSpec;

    /// The picture as this model sees it, for those that look at the photo itself.
    fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError>;

    /// Describes the picture. `sink` gets the text as it stands, each time it grows or
    /// changes; a cancel ends it with what there is.
    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError>;

    /// The `top` likeliest answers. Questions that [`refusal`] turns down are not asked.
    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError>;

    /// How likely each text describes its picture, 0..1, in order.
    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError>;
}

/// Why another device cannot be had.
pub(super) fn on_cpu_only(device: &str) -> ModelError {
    ModelError::Device(format!(
        "the device `{device}` cannot be had for this model: those that caption, answer and match run on the CPU only"
    ))
}

/// Why a model of features alone cannot look at a photo, and what would work.
pub fn needs_features(spec: &FuseSpec) -> ModelError {
    ModelError::Unable(format!(
        "{} looks at region features that its authors' detector computed, not at photos: name a file of them with --regions FILE, or use the built-in model",
        spec.id
    ))
}

/// Why a model does not write captions in this language.
pub fn writes_others_only(spec: &FuseSpec, lang: &str) -> ModelError {
    ModelError::Unable(format!("{} writes {} only, not {lang}", spec.id, spec.languages.join(" and ")))
}

/// Loads a pack, or a model folder of one of the published systems. `align` is the Align pack that
/// the manifest names, for a model that looks through its tower (`catalogue::load_fuse` finds it).
pub fn load(folder: &Path, align: Option<&Path>, device: DeviceRequest) -> Result<Arc<dyn FuseModel>, ModelError> {
    // Nobody who leaves the choice to the program need know of a card here.
    if device != DeviceRequest::Auto
        && device.choose().map_err(|e| ModelError::Device(e.to_string()))?.kind != DeviceKind::Cpu
    {
        return Err(on_cpu_only(device.name()));
    }
    if !folder.join(MANIFEST).is_file() {
        return Ok(Arc::new(system::System::load(folder, None, None)?));
    }
    let pack = Pack::open(folder)?;
    let manifest = &pack.manifest;
    if manifest.family != FAMILY {
        let detail = format!(
            "the pack `{}` is of the {} family and can neither caption nor answer",
            manifest.id, manifest.family
        );
        return Err(ModelError::NotAModel { path: folder.to_owned(), detail });
    }
    for file in &manifest.files {
        pack.file(&file.name)?;
    }
    Ok(Arc::new(system::System::load(folder, Some(manifest), align)?))
}
