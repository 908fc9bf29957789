//! Region features that a detector computed beforehand, in the layouts that the
//! authors of the region models publish, matched to photos by file name.
//!
//! | layout | told by |
//! |---|---|
//! | bottom-up attention `.tsv` | six columns: `image_id`, `image_w`, `image_h`, `num_boxes`, `boxes`, `features` |
//! | OSCAR and VinVL `.tsv` | three columns: key, `num_boxes`, `features`; or two: key, JSON with both |
//! | VinVL's detector `.tsv` | two columns: key, JSON with `objects`, each with its `feature` and `rect` |
//! | UNITER `.npz` | `features`, `norm_bb`, `conf`, `soft_labels`; one file a photo, alone or in a folder |
//!
//! Every file is taken for hostile: what it declares is compared with what it holds
//! before memory is asked for, and any doubt is an error. Must not know the models, nor
//! look at pixels. Two photos of one name in different folders cannot be told apart.

mod index;
mod npz;
mod tsv;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use tsv::TsvFile;

/// Most regions a photo may have; the authors' files hold at most 100.
const MAX_REGIONS: usize = 1024;
/// Longest feature that is read; the authors' have 2,048 or 2,054 numbers.
const MAX_WIDTH: usize = 1 << 14;
/// Numbers that tell a box beside a feature: x1, y1, x2, y2, width, height as fractions.
const BOX_NUMBERS: usize = 6;

/// Each message is one sentence that names the file and what is wrong with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegionsError {
    /// The file system said no.
    #[error("{} could not be read: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The file as a whole is no region file.
    #[error("the region file {detail}: {}", path.display())]
    File { path: PathBuf, detail: String },
    /// What the file says of one photo cannot be used.
    #[error("the regions of `{key}` {detail}: {}", path.display())]
    Photo { path: PathBuf, key: String, detail: String },
    /// Features of another detector than the model was trained with.
    #[error("the region features have {found} numbers each where the model needs {wanted}")]
    Width { found: usize, wanted: usize },
}

/// The regions of one photo, the detector's best first as in the authors' files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// `[n, width]`, row by row, as the file holds them.
    pub features: Vec<f32>,
    /// Numbers of one feature.
    pub width: usize,
    /// x1, y1, x2, y2 in pixels of [`Regions::image_size`].
    pub boxes: Vec<[f32; 4]>,
    /// Width and height. (1, 1) where a file tells boxes as fractions only.
    pub image_size: (f32, f32),
    /// Object names, best first; not always one for each region. Empty where the file has none.
    pub tags: Vec<String>,
    /// Class probabilities `[n, k]`, row by row; may be empty.
    pub classes: Vec<f32>,
    /// The detector's confidence `[n]`; may be empty.
    pub confidences: Vec<f32>,
    /// The whole grid `[height, width, channels]` of the tower that a model looked through, square; else empty.
    pub grid: Vec<f32>,
}

impl Regions {
    /// How many regions.
    pub fn len(&self) -> usize {
        self.boxes.len()
    }

    /// Never true of what a store gives.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// The same places with nothing in them: no features, names or classes. What a model
    /// says of these it says from the text alone.
    pub fn blinded(&self) -> Self {
        let mut features = self.features.clone();
        let place = if fractions(&features, self.width).is_some() { BOX_NUMBERS } else { 0 };
        for row in features.chunks_exact_mut(self.width.max(1)) {
            row[..self.width - place].fill(0.0);
        }
        let classes = vec![0.0; self.classes.len()];
        Self { features, tags: Vec::new(), classes, grid: Vec::new(), ..self.clone() }
    }

    /// x1, y1, x2, y2, width, height, area of each box as fractions of the photo: UNITER's
    /// seven numbers, of which the first six are OSCAR's.
    pub fn geometry(&self) -> impl Iterator<Item = [f32; 7]> {
        let (width, height) = self.image_size;
        self.boxes.iter().map(move |&[x1, y1, x2, y2]| {
            let (x1, y1, x2, y2) = (x1 / width, y1 / height, x2 / width, y2 / height);
            let (w, h) = (x2 - x1, y2 - y1);
            [x1, y1, x2, y2, w, h, w * h]
        })
    }

    /// Features `[n, wanted]`: as they are, or with the six numbers of the box appended
    /// (what OSCAR and VinVL make of 2,048 numbers), or with those six taken off.
    pub fn features_as(&self, wanted: usize) -> Result<Cow<'_, [f32]>, RegionsError> {
        if wanted == self.width {
            Ok(Cow::Borrowed(&self.features))
        } else if wanted == self.width + BOX_NUMBERS {
            let rows = self.features.chunks_exact(self.width).zip(self.geometry());
            let longer = rows.flat_map(|(row, g)| row.iter().copied().chain(g.into_iter().take(BOX_NUMBERS)));
            Ok(Cow::Owned(longer.collect()))
        } else if wanted > 0 && wanted + BOX_NUMBERS == self.width && fractions(&self.features, self.width).is_some() {
            let rows = self.features.chunks_exact(self.width);
            Ok(Cow::Owned(rows.flat_map(|row| &row[..wanted]).copied().collect()))
        } else {
            Err(RegionsError::Width { found: self.width, wanted })
        }
    }

    /// Itself if all parts belong together and every number is one; else what is wrong.
    fn checked(self) -> Result<Self, String> {
        let n = self.boxes.len();
        check_count(n, self.width)?;
        if self.features.len() != n * self.width {
            return Err(format!("hold {} numbers for {n} features of {}", self.features.len(), self.width));
        }
        if !self.classes.len().is_multiple_of(n) {
            return Err(format!("hold {} class probabilities for {n} boxes", self.classes.len()));
        }
        if !self.confidences.is_empty() && self.confidences.len() != n {
            return Err(format!("hold {} confidences for {n} boxes", self.confidences.len()));
        }
        let (width, height) = self.image_size;
        if !(width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0) {
            return Err(format!("tell an impossible image size, {width} x {height}"));
        }
        let numbers = self.features.iter().chain(self.boxes.as_flattened()).chain(&self.classes);
        if !numbers.chain(&self.confidences).all(|v| v.is_finite()) {
            return Err("hold a number that is not finite".into());
        }
        Ok(self)
    }
}

/// Refuses counts that no detector gives, before memory is asked for.
fn check_count(regions: usize, width: usize) -> Result<(), String> {
    match (regions, width) {
        (0, _) => Err("are none".into()),
        (1..=MAX_REGIONS, 1..=MAX_WIDTH) => Ok(()),
        _ => Err(format!("are {regions} of {width} numbers, more than this program reads")),
    }
}

/// The boxes as fractions that the last six numbers of each feature tell; `None` if those
/// are no box (OSCAR's 2,054 numbers have one, bottom-up attention's 2,048 do not).
fn fractions(features: &[f32], width: usize) -> Option<Vec<[f32; 4]>> {
    const SLACK: f32 = 1e-2;
    if width <= BOX_NUMBERS {
        return None;
    }
    let tails = features.chunks_exact(width).map(|row| &row[width - BOX_NUMBERS..]);
    tails
        .map(|tail| {
            let &[x1, y1, x2, y2, w, h] = tail else { return None };
            let inside = tail.iter().all(|v| (-SLACK..=1.0 + SLACK).contains(v));
            (inside && (x2 - x1 - w).abs() < SLACK && (y2 - y1 - h).abs() < SLACK).then_some([x1, y1, x2, y2])
        })
        .collect()
}

/// Where the regions of photos are looked up.
#[derive(Debug)]
pub struct RegionStore(Source);

#[derive(Debug)]
enum Source {
    Tsv(TsvFile),
    Npz(npz::NpzFiles),
}

impl RegionStore {
    /// Opens a `.tsv`, an `.npz` of one photo, a folder of `.npz` files named after their
    /// photos, or a folder with a `features.tsv`. Features stay on disk: of a `.tsv` this
    /// keeps 32 bytes a photo, found through the authors' `.lineidx` if it lies beside,
    /// else by one pass over the file.
    pub fn open(path: &Path) -> Result<Self, RegionsError> {
        let io = |source| RegionsError::Io { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            let files = npz::NpzFiles::folder(path)?;
            let table =
                ["features.tsv", "predictions.tsv"].map(|name| path.join(name)).into_iter().find(|p| p.is_file());
            return match table {
                Some(table) if files.is_empty() => TsvFile::open(&table).map(Source::Tsv).map(Self),
                _ if files.is_empty() => {
                    let detail = "is a folder with neither .npz files nor a features.tsv".into();
                    Err(RegionsError::File { path: path.to_owned(), detail })
                }
                _ => Ok(Self(Source::Npz(files))),
            };
        }
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
            return npz::NpzFiles::one(path).map(Source::Npz).map(Self);
        }
        TsvFile::open(path).map(Source::Tsv).map(Self)
    }

    /// The regions of a photo: those under its file name, else under its name without the
    /// extension, else under its number (`COCO_val2014_000000123456.jpg` is 123456).
    /// `None` if the file knows no such photo.
    pub fn get(&self, photo: &Path) -> Result<Option<Regions>, RegionsError> {
        match &self.0 {
            Source::Tsv(file) => file.get(photo),
            Source::Npz(files) => files.get(photo),
        }
    }
}

#[cfg(test)]
mod tests;
