//! How a Fuse model gets to see a photo: decoded for it, as a thumbnail where that will do,
//! or as the features that a file holds. One piece for the window and the command line.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use crate::domain::{CancelToken, Photo};
use crate::media::{self, THUMBNAIL_SIDE, ThumbnailCache};
use crate::models::ModelError;
use crate::models::align::AlignModel;
use crate::models::fuse::regions::RegionStore;
use crate::models::fuse::{self, FuseModel, Regions, Sees};

use super::{Failure, FailureKind};

/// A model with eyes.
pub struct Eyes {
    pub model: Arc<dyn FuseModel>,
    /// What a model of features looks at.
    features: Option<RegionStore>,
    thumbnails: Arc<ThumbnailCache>,
}

impl Eyes {
    /// A model that looks at photos, or at `features`.
    pub fn new(model: Arc<dyn FuseModel>, features: Option<RegionStore>, thumbnails: Arc<ThumbnailCache>) -> Self {
        Self { model, features, thumbnails }
    }

    /// Fails where there is nothing that the model could look at, whatever the photo.
    pub fn can_see(&self) -> Result<(), ModelError> {
        match (self.model.spec().sees, &self.features) {
            (Sees::Features, None) => Err(fuse::needs_features(self.model.spec())),
            _ => Ok(()),
        }
    }

    /// A photo file as the model sees it.
    pub fn look(&self, path: &Path, cancel: &CancelToken) -> Result<Regions, Failure> {
        self.can_see()?;
        let spec = self.model.spec();
        match &self.features {
            Some(store) if spec.sees == Sees::Features => {
                if !path.is_file() {
                    return Err(Failure::new(FailureKind::Photo, "there is no such file").at(path));
                }
                let known = store.get(path).map_err(|error| Failure::new(FailureKind::Unable, error.to_string()))?;
                known.ok_or_else(|| {
                    let id = &spec.id;
                    let detail = format!("the file named with --regions has no features of this photo, and {id} looks at nothing else: add them there, or use the built-in model");
                    Failure::new(FailureKind::Unable, detail).at(path)
                })
            }
            _ => self.see(&read(path, spec.min_side, cancel)?),
        }
    }

    /// The same for a photo of the library: a thumbnail will do where there is one.
    pub fn look_quickly(&self, photo: &Photo, cancel: &CancelToken) -> Result<Regions, Failure> {
        let spec = self.model.spec();
        let small_will_do = spec.sees == Sees::Pixels && spec.min_side <= THUMBNAIL_SIDE;
        match photo.content.filter(|_| small_will_do).and_then(|content| self.thumbnails.get(&content)) {
            Some(thumbnail) => self.see(&thumbnail),
            None => self.look(&photo.path, cancel),
        }
    }

    fn see(&self, image: &RgbImage) -> Result<Regions, Failure> {
        Ok(self.model.look(image)?)
    }
}

/// A photo file in an Align model's joint space.
pub fn embed(model: &dyn AlignModel, path: &Path, cancel: &CancelToken) -> Result<crate::domain::Embedding, Failure> {
    let image = read(path, model.spec().min_side, cancel)?;
    let pixels = model.prepare(&image)?;
    let embedding = model.encode_images(&[pixels])?.into_iter().next().transpose()?;
    embedding.ok_or_else(|| Failure::new(FailureKind::Model, "the model gave no vector"))
}

fn read(path: &Path, min_side: u32, cancel: &CancelToken) -> Result<RgbImage, Failure> {
    match media::read_photo(path, min_side, cancel) {
        Ok(decoded) => Ok(decoded.image),
        Err(skipped) => Err(Failure::new(FailureKind::Photo, skipped.detail).at(path)),
    }
}
