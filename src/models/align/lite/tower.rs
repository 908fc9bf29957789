//! The image side that both families look through: EfficientNet-Lite2 with its own
//! ImageNet classifier, and the pixels it wants. Must not know what is made of what it sees.

use candle_core::{Device, Tensor};
use image::RgbImage;

use crate::models::ModelError;
use crate::models::align::Pixels;
use crate::models::align::efficientnet::{EfficientNet, EfficientNetConfig, Features};
use crate::models::ops::{Activation, Backend, Linear};
use crate::models::pack::{MANIFEST, Pack};
use crate::models::preprocess::Preprocess;
use crate::models::weights::View;

/// Classes of ImageNet.
pub const CLASSES: usize = 1000;

/// The tower of a `lite-align` pack. Its classifier stays on the CPU, wherever the tower is.
#[derive(Debug)]
pub struct ImageTower<B: Backend = Device> {
    preprocess: Preprocess,
    side: usize,
    net: EfficientNet<B>,
    classifier: Linear,
    backend: B,
}

impl<B: Backend> ImageTower<B> {
    /// Loads `vision_model` and `classifier` below `root`, with the preprocessing of the pack.
    pub fn load(pack: &Pack, root: &View, backend: &B) -> Result<Self, ModelError> {
        let config = |detail: &str| ModelError::Config { path: pack.folder.join(MANIFEST), detail: detail.to_owned() };
        let wanted = pack.manifest.preprocessing.as_ref().ok_or_else(|| config("the pack has no preprocessing"))?;
        let preprocess = Preprocess::try_from(wanted).map_err(|detail| config(&detail))?;
        let vision = EfficientNetConfig::lite2();
        if wanted.size as usize != vision.image_size {
            return Err(config("the pack's pictures are not of the size that its tower wants"));
        }
        let (side, channels) = (vision.image_size, vision.grid_channels());
        Ok(Self {
            preprocess,
            side,
            net: EfficientNet::load(&root.pp("vision_model"), vision, backend)?,
            classifier: root.pp("classifier").linear(channels, CLASSES, Activation::None, &Device::Cpu)?,
            backend: backend.clone(),
        })
    }

    /// Where it runs.
    pub fn device(&self) -> &'static str {
        self.backend.name()
    }

    /// Numbers of a cell of the grid.
    pub fn channels(&self) -> usize {
        self.net.config().grid_channels()
    }

    /// The shorter side below which a photo loses detail.
    pub fn min_side(&self) -> u32 {
        self.preprocess.min_side()
    }

    /// Resized, cropped, normalised.
    pub fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        Ok(Pixels(self.preprocess.apply(photo)?))
    }

    /// The grid `[batch, 9, 9, 1280]` and its mean.
    pub fn features(&self, batch: &[Pixels]) -> Result<Features<B::Tensor>, ModelError> {
        self.net.forward(&Pixels::stack(batch, self.side, &self.backend)?)
    }

    /// Scores of the ImageNet classes `[batch, 1000]` for means of grids.
    pub fn class_scores(&self, pooled: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.classifier.forward(pooled)?)
    }
}
