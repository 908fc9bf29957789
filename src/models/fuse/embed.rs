//! The ways to make rows of a transformer out of regions of a picture.
//!
//! A region is a feature of the detector, a box, and for VLP the probabilities of
//! its classes. Must not know words or heads.

use candle_core::{Device, Tensor};

use crate::models::ModelError;
use crate::models::bert::BertEmbeddings;
use crate::models::ops::{Activation, LayerNorm, Linear};
use crate::models::weights::View;

use super::config::{FuseConfig, Recipe};
use super::regions::Regions;

/// Numbers of a box as UNITER has them: x1, y1, x2, y2, w, h, area.
const UNITER_BOX: usize = 7;
/// VLP's: x1, y1, x2, y2, area, confidence; the classes follow.
const VLP_BOX: usize = 6;
/// Of the layer norm over VLP's geometry, which has no parameters.
const VLP_EPS: f32 = 1e-5;

/// From features `[.., feature]` and geometry `[.., place]` to rows `[.., width]`.
#[derive(Debug)]
pub struct RegionEmbedding {
    kind: Kind,
    /// Numbers that go in: of a feature and of a place (0: none).
    feature_width: usize,
    place_width: usize,
}

#[derive(Debug)]
enum Kind {
    /// OSCAR: one layer; VinVL: and a layer norm.
    Linear { linear: Linear, norm: Option<LayerNorm> },
    /// UNITER: `LN(LN(W feature) + LN(W place) + sentence number)`; Lite: the feature normed first.
    Geometric {
        input_norm: Option<LayerNorm>,
        feature: Linear,
        feature_norm: LayerNorm,
        place: Linear,
        place_norm: LayerNorm,
        norm: LayerNorm,
    },
    /// VLP: the feature in place of a word, the geometry in place of a position.
    InPlaceOfWords { feature: [Linear; 2], place: Linear },
}

impl RegionEmbedding {
    /// Loads the recipe's parameters from the root of the weights.
    pub fn load(root: &View, config: &FuseConfig, device: &Device) -> Result<Self, ModelError> {
        let (width, eps) = (config.bert.hidden_size, config.bert.layer_norm_eps);
        let columns = |name: &str| root.shape(name).and_then(|shape| shape.get(1)).copied().unwrap_or(0);
        let features = |name: &str| config.feature_width().unwrap_or_else(|| columns(name));
        Ok(match config.recipe {
            Recipe::Oscar | Recipe::Vinvl => {
                let feature_width = features("bert.img_embedding.weight");
                let bert = root.pp("bert");
                let linear = bert.pp("img_embedding").linear(feature_width, width, Activation::None, device)?;
                let norm = (config.recipe == Recipe::Vinvl)
                    .then(|| bert.pp("LayerNorm").layer_norm(width, config.own.img_layer_norm_eps, device))
                    .transpose()?;
                Self { kind: Kind::Linear { linear, norm }, feature_width, place_width: 0 }
            }
            Recipe::Uniter | Recipe::Lite => {
                let own = root.pp(config.recipe.encoder()).pp("img_embeddings");
                let feature_width = features(&format!("{}.img_embeddings.img_linear.weight", config.recipe.encoder()));
                if config.recipe == Recipe::Uniter {
                    // Stands for regions that pre-training hides.
                    own.ignore("mask_embedding.weight");
                }
                let normed = config.recipe == Recipe::Lite;
                let kind = Kind::Geometric {
                    input_norm: normed
                        .then(|| own.pp("feature_norm").layer_norm(feature_width, eps, device))
                        .transpose()?,
                    feature: own.pp("img_linear").linear(feature_width, width, Activation::None, device)?,
                    feature_norm: own.pp("img_layer_norm").layer_norm(width, eps, device)?,
                    place: own.pp("pos_linear").linear(UNITER_BOX, width, Activation::None, device)?,
                    place_norm: own.pp("pos_layer_norm").layer_norm(width, eps, device)?,
                    norm: own.pp("LayerNorm").layer_norm(width, eps, device)?,
                };
                Self { kind, feature_width, place_width: UNITER_BOX }
            }
            Recipe::Vlp => {
                let feature_width = features("vis_embed.0.weight");
                let place_width = match config.own.num_classes {
                    Some(classes) => VLP_BOX + classes,
                    None => columns("vis_pe_embed.0.weight"),
                };
                let inner = root.shape("vis_embed.0.weight").and_then(|shape| shape.first()).copied().unwrap_or(0);
                let feature = root.pp("vis_embed");
                let kind = Kind::InPlaceOfWords {
                    feature: [
                        feature.pp(0).linear(feature_width, inner, Activation::Relu, device)?,
                        feature.pp(2).linear(inner, width, Activation::Relu, device)?,
                    ],
                    place: root.pp("vis_pe_embed.0").linear(place_width, width, Activation::Relu, device)?,
                };
                Self { kind, feature_width, place_width }
            }
        })
    }

    /// `kind` is the regions' sentence number, where the recipe gives them one.
    pub fn forward(
        &self,
        words: &BertEmbeddings,
        features: &Tensor,
        places: Option<&Tensor>,
        kind: u32,
    ) -> Result<Tensor, ModelError> {
        let places = || places.ok_or_else(|| candle_core::Error::Msg("the regions come without boxes".into()));
        Ok(match &self.kind {
            Kind::Linear { linear, norm } => {
                let rows = linear.forward(features)?;
                norm.as_ref().map_or(Ok(rows.clone()), |norm| norm.forward(&rows))?
            }
            Kind::Geometric { input_norm, feature, feature_norm, place, place_norm, norm } => {
                let features = input_norm.as_ref().map_or(Ok(features.clone()), |norm| norm.forward(features))?;
                let rows = feature_norm.forward(&feature.forward(&features)?)?;
                let rows = (rows + place_norm.forward(&place.forward(places()?)?)?)?;
                norm.forward(&rows.broadcast_add(&words.kind_row(kind)?)?)?
            }
            Kind::InPlaceOfWords { feature: [first, second], place } => {
                let rows = second.forward(&first.forward(features)?)?;
                words.in_place_of_words(&(rows + place.forward(places()?)?)?, kind)?
            }
        })
    }

    /// The numbers that this recipe wants of at most `limit` regions: features
    /// `[n, feature]` and geometry `[n, place]`.
    pub fn inputs(&self, regions: &Regions, limit: usize) -> Result<(Tensor, Option<Tensor>), ModelError> {
        let count = regions.boxes.len().min(limit);
        if count == 0 {
            return Err(ModelError::Unable("the picture has no regions".into()));
        }
        let features = regions.features_as(self.feature_width).map_err(|e| ModelError::Unable(e.to_string()))?;
        let features = features[..count * self.feature_width].to_vec();
        let places: Vec<f32> = match &self.kind {
            Kind::Linear { .. } => Vec::new(),
            Kind::Geometric { .. } => regions.geometry().take(count).flatten().collect(),
            Kind::InPlaceOfWords { .. } => self.vlp_places(regions, count)?,
        };
        let features = Tensor::from_vec(features, (count, self.feature_width), &Device::Cpu)?;
        let places = (self.place_width > 0)
            .then(|| Tensor::from_vec(places, (count, self.place_width), &Device::Cpu))
            .transpose()?;
        Ok((features, places))
    }

    fn vlp_places(&self, regions: &Regions, count: usize) -> Result<Vec<f32>, ModelError> {
        let classes = self.place_width.saturating_sub(VLP_BOX);
        if regions.classes.len() != regions.boxes.len() * classes {
            return Err(ModelError::Unable(format!(
                "the model also looks at the probabilities of {classes} classes a region, and the features come with {}",
                regions.classes.len() / regions.boxes.len().max(1)
            )));
        }
        let classes: Vec<&[f32]> = regions.classes.chunks_exact(classes.max(1)).take(count).collect();
        // Without the detector's own confidence: the likeliest class but the first, the background.
        let likeliest = |row: &&[f32]| row.iter().skip(1).copied().fold(0.0, f32::max);
        let confidences = match &regions.confidences[..] {
            [] => classes.iter().map(likeliest).collect(),
            own => own.to_vec(),
        };
        Ok(vlp_places(&regions.boxes[..count], &confidences, &classes))
    }
}

/// VLP's geometry: boxes as parts of the largest coordinate, area and confidence, then
/// the classes, each part normalised by itself.
fn vlp_places(boxes: &[[f32; 4]], confidences: &[f32], classes: &[&[f32]]) -> Vec<f32> {
    let most = |axis: usize| boxes.iter().flat_map(|b| [b[axis], b[axis + 2]]).fold(f32::MIN, f32::max) + 1e-5;
    let (w, h) = (most(0), most(1));
    let mut places = Vec::new();
    for ((b, &confidence), classes) in boxes.iter().zip(confidences).zip(classes) {
        let [x1, y1, x2, y2] = [b[0] / w, b[1] / h, b[2] / w, b[3] / h];
        normalised(&[x1, y1, x2, y2, ((x2 - x1) * (y2 - y1)).max(0.0), confidence], &mut places);
        normalised(classes, &mut places);
    }
    places
}

/// Appends `(x - mean) / sqrt(var + eps)`.
fn normalised(row: &[f32], out: &mut Vec<f32>) {
    let n = row.len().max(1) as f32;
    let mean = row.iter().sum::<f32>() / n;
    let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
    out.extend(row.iter().map(|x| (x - mean) / (var + VLP_EPS).sqrt()));
}
