//! How the built-in model looks at a photo: through the image tower of an Align pack,
//! whose grid becomes regions and whose most probable classes become tags; and how that pack
//! says which of several sentences is nearest to the photo.
//!
//! Must not know words or the transformer.

use std::collections::HashMap;
use std::sync::OnceLock;

use candle_core::Device;
use image::RgbImage;

use crate::domain::Embedding;
use crate::models::ModelError;
use crate::models::align::AlignModel as _;
use crate::models::align::lite::{CLASSES, ImageTower, LiteAlign};
use crate::models::ops::with_slice;
use crate::models::pack::{Pack, TowerOf};
use crate::models::weights::Weights;

use super::Regions;
use super::config::OwnConfig;
use super::system::softmax;

/// The tower's weights within its pack.
const TOWER: &str = "image.safetensors";
/// Most classes of a photo that become tags.
const MOST_TAGS: usize = 3;

/// A tower that gives regions.
#[derive(Debug)]
pub struct Eye {
    tower: ImageTower,
    /// The whole pack, loaded when sentences are first compared; `None` if that failed.
    align: OnceLock<Option<LiteAlign>>,
    pack: Pack,
    /// What each class is called as a tag.
    names: Vec<String>,
    /// Cells a side that the grid is averaged to.
    side: usize,
    threshold: f32,
}

impl Eye {
    /// Opens the tower of `align`, which must be the very one that the model was trained with.
    pub fn open(align: &Pack, wanted: &TowerOf, names: Vec<String>, config: &OwnConfig) -> Result<Self, ModelError> {
        let unusable = |detail: String| ModelError::NotAModel { path: align.folder.clone(), detail };
        if names.len() != CLASSES {
            return Err(unusable(format!("the model names {} classes, the tower has {CLASSES}", names.len())));
        }
        let weights = align.file(TOWER)?;
        let listed = align.manifest.files.iter().find(|file| file.name == TOWER);
        if !listed.is_some_and(|file| !wanted.tower.is_empty() && file.sha256.starts_with(&wanted.tower)) {
            return Err(unusable(format!(
                "the pack `{}` has another image tower than the one that the model was trained with; take the two packs of one version",
                align.manifest.id
            )));
        }
        let weights = Weights::open(&[weights])?;
        let tower = ImageTower::load(align, &weights.root(), &Device::Cpu)?;
        weights.finish()?;
        let (align, pack) = (OnceLock::new(), align.clone());
        Ok(Self { tower, align, pack, names, side: config.grid_side, threshold: config.tag_threshold })
    }

    /// The shorter side below which a photo loses detail.
    pub fn min_side(&self) -> u32 {
        self.tower.min_side()
    }

    /// Cells of the photo's grid with the names of what the tower takes it for.
    pub fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError> {
        let features = self.tower.features(&[self.tower.prepare(photo)?])?;
        let scores: Vec<f32> = self.tower.class_scores(&features.pooled)?.flatten_all()?.to_vec1()?;
        let (_, height, width, channels) = features.grid.dims4()?;
        let grid = with_slice(&features.grid, |grid, _| Ok(grid.to_vec()))?;
        Ok(Regions {
            features: averaged(&grid, (height, width), channels, self.side),
            grid,
            width: channels,
            boxes: places(self.side),
            image_size: (1.0, 1.0),
            tags: self.tags(scores),
            ..Regions::default()
        })
    }

    /// The cosine of each pair in the Align pack's space; an error where it cannot say.
    pub fn closeness(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        let load = || LiteAlign::load(&self.pack, &Device::Cpu).inspect_err(|error| log::warn!("{error}")).ok();
        let align = self.align.get_or_init(load).as_ref();
        let align = align.ok_or_else(|| ModelError::Unable(format!("`{}` cannot be loaded", self.pack.manifest.id)))?;
        // Often one text with many photos, or one photo with many texts.
        let mut texts: Vec<&str> = pairs.iter().map(|&(_, text)| text).collect();
        texts.sort_unstable();
        texts.dedup();
        let vectors: HashMap<&str, Embedding> = texts.iter().copied().zip(align.encode_texts(&texts)?).collect();
        let mut last: Option<(&Regions, Embedding)> = None;
        let mut near = Vec::with_capacity(pairs.len());
        for &(picture, text) in pairs {
            let photo = match last.take() {
                Some((known, vector)) if std::ptr::eq(known, picture) => vector,
                _ => align.vector_of(&picture.grid)?,
            };
            near.push(vectors.get(text).and_then(|text| text.cosine(&photo)).unwrap_or_default());
            last = Some((picture, photo));
        }
        Ok(near)
    }

    fn tags(&self, scores: Vec<f32>) -> Vec<String> {
        let mut likely: Vec<(usize, f32)> = softmax(&scores).into_iter().enumerate().collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        likely.truncate(MOST_TAGS);
        likely.retain(|&(_, p)| p >= self.threshold);
        likely.into_iter().filter_map(|(class, _)| self.names.get(class).cloned()).collect()
    }
}

/// Boxes of `side` x `side` cells as parts of the picture, row by row.
fn places(side: usize) -> Vec<[f32; 4]> {
    let at = |i: usize| i as f32 / side as f32;
    (0..side * side)
        .map(|i| {
            let (x, y) = (at(i % side), at(i / side));
            [x, y, x + at(1), y + at(1)]
        })
        .collect()
}

/// Means over `side` x `side` cells of a grid `[height, width, channels]`; where a size
/// does not divide, neighbours share a row (PyTorch's `adaptive_avg_pool2d`).
fn averaged(grid: &[f32], (height, width): (usize, usize), channels: usize, side: usize) -> Vec<f32> {
    let range = |cell: usize, size: usize| cell * size / side..((cell + 1) * size).div_ceil(side);
    let mut out = vec![0.0; side * side * channels];
    for (i, sum) in out.chunks_exact_mut(channels.max(1)).enumerate() {
        let (rows, columns) = (range(i / side, height), range(i % side, width));
        let count = (rows.len() * columns.len()).max(1) as f32;
        for (y, x) in rows.flat_map(|y| columns.clone().map(move |x| (y, x))) {
            let cell = &grid[(y * width + x) * channels..][..channels];
            sum.iter_mut().zip(cell).for_each(|(sum, v)| *sum += v / count);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_means_and_may_share_rows() {
        // 3x3 cells of one channel, to 2x2: the middle row and column count in both.
        let grid: Vec<f32> = (0..9).map(|v| v as f32).collect();
        assert_eq!(averaged(&grid, (3, 3), 1, 2), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(averaged(&grid, (3, 3), 1, 1), [4.0]);
        assert_eq!(averaged(&grid, (3, 3), 1, 3), grid);
        let two: Vec<f32> = (0..8).map(|v| v as f32).collect();
        assert_eq!(averaged(&two, (2, 2), 2, 1), [3.0, 4.0]);
    }

    #[test]
    fn places_cover_the_picture() {
        assert_eq!(places(1), [[0.0, 0.0, 1.0, 1.0]]);
        let four = places(2);
        assert_eq!(four[1], [0.5, 0.0, 1.0, 0.5]);
        assert_eq!(four[2], [0.0, 0.5, 0.5, 1.0]);
    }
}
