//! From an upright photo to the numbers a tower wants: resize, crop, normalise,
//! exactly as the model's own files say.
//!
//! Resizing is Pillow's, bit for bit (two passes, horizontal first, fixed-point
//! weights, rounded and clamped after each): that is what the models were trained
//! with. Nothing is guessed: an unknown mode or filter is an error.
#![allow(unsafe_code, reason = "the two passes run on the decode threads and are compiled for the machine's vectors")]

use std::path::Path;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::ops::simd::{Backend, Kernel, Simd};

/// Raised whenever the same settings would give other numbers.
pub const REVISION: u32 = 1;

/// How a photo becomes square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter side to this many pixels, the longer in proportion (rounded down).
    ShortEdge(u32),
    /// Width and height to this size, whatever the proportions.
    Squash { width: u32, height: u32 },
}

/// Weights of source pixels; the names are Pillow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

/// All settings of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    pub resize: Option<(Resize, Filter)>,
    /// Side of the square cut from the middle: (width, height).
    pub crop: Option<(u32, u32)>,
    /// A pixel value is multiplied by this, then `mean` is taken off and the rest divided by `std`.
    pub rescale: f64,
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

impl Preprocess {
    /// Size of the result in pixels, (width, height); `None` if it depends on the photo.
    pub fn out_size(&self) -> Option<(u32, u32)> {
        match (self.crop, self.resize) {
            (Some(size), _) => Some(size),
            (None, Some((Resize::Squash { width, height }, _))) => Some((width, height)),
            _ => None,
        }
    }

    /// The shorter side below which a photo loses detail.
    pub fn min_side(&self) -> u32 {
        match self.resize {
            Some((Resize::ShortEdge(n), _)) => n,
            Some((Resize::Squash { width, height }, _)) => width.max(height),
            None => self.crop.map_or(0, |(w, h)| w.max(h)),
        }
    }

    /// `[3, height, width]` in planes.
    pub fn apply(&self, photo: &RgbImage) -> Result<Vec<f32>, ModelError> {
        let (w, h) = photo.dimensions();
        if w == 0 || h == 0 {
            return Err(ModelError::Picture("the picture has no pixels".into()));
        }
        let (size, filter) = match self.resize {
            None => ((w, h), None),
            Some((Resize::Squash { width, height }, filter)) => ((width, height), Some(filter)),
            Some((Resize::ShortEdge(side), filter)) => {
                let long =
                    |a: u32, b: u32| u32::try_from(u64::from(a) * u64::from(side) / u64::from(b)).unwrap_or(u32::MAX);
                (if w <= h { (side, long(h, w)) } else { (long(w, h), side) }, Some(filter))
            }
        };
        let (cw, ch) = self.crop.unwrap_or(size);
        if cw > size.0 || ch > size.1 {
            return Err(ModelError::Picture(format!(
                "a crop of {cw}x{ch} is larger than the picture of {}x{}",
                size.0, size.1
            )));
        }
        let (left, top) = ((size.0 - cw) / 2, (size.1 - ch) / 2);
        let resized;
        let (bytes, stride, offset) = match filter {
            Some(filter) if size != (w, h) => {
                resized = resize(photo, size, (left, top, cw, ch), filter);
                (resized.as_slice(), cw as usize, 0)
            }
            _ => (photo.as_raw().as_slice(), w as usize, (top as usize * w as usize + left as usize) * 3),
        };
        let (cw, ch) = (cw as usize, ch as usize);
        let mut out = vec![0f32; 3 * cw * ch];
        for channel in 0..3 {
            let table: [f32; 256] =
                std::array::from_fn(|v| ((v as f64 * self.rescale - self.mean[channel]) / self.std[channel]) as f32);
            for (y, row) in out[channel * cw * ch..(channel + 1) * cw * ch].chunks_exact_mut(cw).enumerate() {
                let from = &bytes[offset + y * stride * 3..][..cw * 3];
                for (v, pixel) in row.iter_mut().zip(from.chunks_exact(3)) {
                    *v = table[pixel[channel] as usize];
                }
            }
        }
        Ok(out)
    }

    /// From a Hugging Face `preprocessor_config.json`.
    pub fn from_hf(path: &Path) -> Result<Self, ModelError> {
        let config = |detail: String| ModelError::Config { path: path.to_owned(), detail };
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        let hf: HfProcessor = serde_json::from_str(&text)
            .map_err(|e| config(format!("the preprocessing settings cannot be read ({e})")))?;
        hf.settings().map_err(config)
    }
}

/// The `preprocessing` part of a pack's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `crop`: shorter side to `resize`, then the middle `size`; `squash`: both sides to `size`.
    pub mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<u32>,
    pub size: u32,
    pub filter: Filter,
    pub rescale: f64,
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

/// See [`Manifest::mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Crop,
    Squash,
}

impl TryFrom<&Manifest> for Preprocess {
    type Error = String;

    fn try_from(m: &Manifest) -> Result<Self, String> {
        let resize = match (m.mode, m.resize) {
            (Mode::Crop, Some(n)) if n >= m.size => Resize::ShortEdge(n),
            (Mode::Crop, _) => return Err("preprocessing mode `crop` needs a `resize` of at least `size`".into()),
            (Mode::Squash, None) => Resize::Squash { width: m.size, height: m.size },
            (Mode::Squash, Some(_)) => return Err("preprocessing mode `squash` takes no `resize`".into()),
        };
        let crop = (m.mode == Mode::Crop).then_some((m.size, m.size));
        checked(Self { resize: Some((resize, m.filter)), crop, rescale: m.rescale, mean: m.mean, std: m.std })
    }
}

fn checked(p: Preprocess) -> Result<Preprocess, String> {
    let sides = [p.crop.map_or((1, 1), |c| c), p.out_size().unwrap_or((1, 1)), (p.min_side().max(1), 1)];
    if sides.iter().any(|&(w, h)| w == 0 || h == 0 || w > 1 << 13 || h > 1 << 13) {
        return Err("the preprocessing settings hold a size out of range".into());
    }
    if p.std.iter().chain(&p.mean).chain([&p.rescale]).any(|v| !v.is_finite()) || p.std.contains(&0.0) {
        return Err("the preprocessing settings hold a mean or deviation that cannot be used".into());
    }
    Ok(p)
}

#[derive(Deserialize)]
struct HfProcessor {
    #[serde(alias = "feature_extractor_type")]
    image_processor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<HfSize>,
    resample: Option<u8>,
    do_center_crop: Option<bool>,
    crop_size: Option<HfSize>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    rescale_offset: Option<bool>,
    include_top: Option<bool>,
    do_normalize: Option<bool>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum HfSize {
    Number(u32),
    Short { shortest_edge: u32 },
    Both { height: u32, width: u32 },
}

impl HfProcessor {
    fn settings(self) -> Result<Preprocess, String> {
        let missing = |key: &str| format!("the preprocessing settings have no `{key}`");
        let efficientnet = self.image_processor_type.as_deref().is_some_and(|t| t.starts_with("EfficientNet"));
        let resize = if self.do_resize.unwrap_or(true) {
            let filter = match self.resample.ok_or_else(|| missing("resample"))? {
                1 => Filter::Lanczos,
                2 => Filter::Bilinear,
                3 => Filter::Bicubic,
                4 => Filter::Box,
                5 => Filter::Hamming,
                n => {
                    return Err(format!(
                        "the preprocessing settings ask for the resampling filter {n}, which is not supported"
                    ));
                }
            };
            let resize = match self.size.ok_or_else(|| missing("size"))? {
                HfSize::Number(n) | HfSize::Short { shortest_edge: n } => Resize::ShortEdge(n),
                HfSize::Both { height, width } => Resize::Squash { width, height },
            };
            Some((resize, filter))
        } else {
            None
        };
        let cropped = self.do_center_crop.unwrap_or(self.crop_size.is_some());
        let crop = match self.crop_size {
            _ if !cropped => None,
            Some(HfSize::Number(n) | HfSize::Short { shortest_edge: n }) => Some((n, n)),
            Some(HfSize::Both { height, width }) => Some((width, height)),
            None => return Err(missing("crop_size")),
        };
        let rescale = if self.do_rescale.unwrap_or(true) { self.rescale_factor.unwrap_or(1.0 / 255.0) } else { 1.0 };
        let offset = if efficientnet && self.rescale_offset.unwrap_or(false) { 1.0 } else { 0.0 };
        let (mut mean, mut std) = ([offset; 3], [1.0; 3]);
        if self.do_normalize.unwrap_or(true) {
            let (m, s) = (
                self.image_mean.ok_or_else(|| missing("image_mean"))?,
                self.image_std.ok_or_else(|| missing("image_std"))?,
            );
            (mean, std) = (m.map(|v| v + offset), s);
        }
        // EfficientNet's processor divides by the deviation once more for its classifier.
        if efficientnet && self.include_top.unwrap_or(true) {
            let extra = self.image_std.ok_or_else(|| missing("image_std"))?;
            std = std::array::from_fn(|i| std[i] * extra[i]);
        }
        checked(Preprocess { resize, crop, rescale, mean, std })
    }
}

/// Pillow's fixed point: 8 bits of pixel, 2 of overshoot, the rest weights.
const PRECISION: u32 = 32 - 8 - 2;

/// For each output position the first source position and the weights.
struct Weights {
    first: Vec<usize>,
    count: Vec<usize>,
    /// `width` weights a position.
    values: Vec<i32>,
    width: usize,
}

impl Weights {
    /// For output positions `from..from + n` of `out` positions over `len` source positions.
    fn new(len: u32, out: u32, from: u32, n: u32, filter: Filter) -> Self {
        let (support, weight): (f64, fn(f64) -> f64) = match filter {
            Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
            Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
            Filter::Hamming => (1.0, |x| match x.abs() {
                0.0 => 1.0,
                x if x >= 1.0 => 0.0,
                x => {
                    (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI)
                        * (0.54 + 0.46 * (x * std::f64::consts::PI).cos())
                }
            }),
            Filter::Bicubic => (2.0, |x| {
                let (x, a) = (x.abs(), -0.5);
                match x {
                    x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
                    x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
                    _ => 0.0,
                }
            }),
            Filter::Lanczos => (3.0, |x| {
                let sinc =
                    |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
                if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
            }),
        };
        let scale = f64::from(len) / f64::from(out);
        let stretch = scale.max(1.0);
        let support = support * stretch;
        let width = support.ceil() as usize * 2 + 1;
        let mut w = Self { first: Vec::new(), count: Vec::new(), values: Vec::new(), width };
        for x in from..from + n {
            let centre = (f64::from(x) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let last = ((centre + support + 0.5) as usize).min(len as usize);
            let raw: Vec<f64> = (first..last).map(|i| weight((i as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = raw.iter().sum();
            let start = w.values.len();
            w.values.extend(raw.iter().map(|v| {
                let v = if sum == 0.0 { *v } else { v / sum } * f64::from(1 << PRECISION);
                (if v < 0.0 { v - 0.5 } else { v + 0.5 }) as i32
            }));
            w.values.resize(start + width, 0);
            w.first.push(first);
            w.count.push(last - first);
        }
        w
    }
}

/// The part `(left, top, width, height)` of `photo` resized to `size`, RGB.
fn resize(photo: &RgbImage, size: (u32, u32), part: (u32, u32, u32, u32), filter: Filter) -> Vec<u8> {
    let (w, h) = photo.dimensions();
    let (left, top, cw, ch) = part;
    let x = (w != size.0).then(|| Weights::new(w, size.0, left, cw, filter));
    let y = (h != size.1).then(|| Weights::new(h, size.1, top, ch, filter));
    // Only the rows that the second pass will look at.
    let rows = match &y {
        None => top as usize..(top + ch) as usize,
        Some(y) => y.first[0]..y.first.iter().zip(&y.count).map(|(f, c)| f + c).max().unwrap_or(0),
    };
    let (source, stride) = (photo.as_raw(), w as usize * 3);
    let narrow = cw as usize * 3;
    let mut middle = vec![0u8; rows.len() * narrow];
    match &x {
        Some(x) => Backend::best().run(Horizontal {
            source,
            stride,
            first_row: rows.start,
            weights: x,
            out: &mut middle,
            width: cw as usize,
        }),
        None => {
            for (out, row) in middle.chunks_exact_mut(narrow).zip(rows.clone()) {
                out.copy_from_slice(&source[row * stride + left as usize * 3..][..narrow]);
            }
        }
    }
    let Some(y) = &y else { return middle };
    let mut out = vec![0u8; ch as usize * narrow];
    Backend::best().run(Vertical { source: &middle, width: narrow, first_row: rows.start, weights: y, out: &mut out });
    out
}

fn clamp(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

struct Horizontal<'a> {
    source: &'a [u8],
    stride: usize,
    first_row: usize,
    weights: &'a Weights,
    out: &'a mut [u8],
    width: usize,
}

impl Kernel for Horizontal<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { source, stride, first_row, weights, out, width } = self;
        for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
            let row = &source[(first_row + y) * stride..][..stride];
            for (x, out) in out.chunks_exact_mut(3).enumerate() {
                let (first, count) = (weights.first[x], weights.count[x]);
                let ws = &weights.values[x * weights.width..][..count];
                // Four at a time, the fourth unused: that is one vector operation a pixel.
                let mut sum = [HALF; 4];
                let (most, last) = row[first * 3..(first + count) * 3].split_at((count.max(1) - 1) * 3);
                for (i, &w) in ws.iter().enumerate().take(count.max(1) - 1) {
                    let pixel: [u8; 4] = match most.get(i * 3..i * 3 + 4) {
                        Some(p) => [p[0], p[1], p[2], p[3]],
                        None => [most[i * 3], most[i * 3 + 1], most[i * 3 + 2], 0],
                    };
                    for c in 0..4 {
                        sum[c] = sum[c].wrapping_add(i32::from(pixel[c]).wrapping_mul(w));
                    }
                }
                if let (Some(&w), [r, g, b]) = (ws.last(), last) {
                    for (s, &v) in sum.iter_mut().zip([r, g, b]) {
                        *s = s.wrapping_add(i32::from(v).wrapping_mul(w));
                    }
                }
                for (o, s) in out.iter_mut().zip(sum) {
                    *o = clamp(s);
                }
            }
        }
    }
}

struct Vertical<'a> {
    source: &'a [u8],
    /// Bytes in a row.
    width: usize,
    /// The source's first row in the picture.
    first_row: usize,
    weights: &'a Weights,
    out: &'a mut [u8],
}

impl Kernel for Vertical<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { source, width, first_row, weights, out } = self;
        let mut sums = vec![0i32; width];
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            sums.fill(HALF);
            let ws = &weights.values[y * weights.width..][..weights.count[y]];
            for (i, &w) in ws.iter().enumerate() {
                let row = &source[(weights.first[y] - first_row + i) * width..][..width];
                for (s, &v) in sums.iter_mut().zip(row) {
                    *s = s.wrapping_add(i32::from(v).wrapping_mul(w));
                }
            }
            for (o, &s) in out.iter_mut().zip(&sums) {
                *o = clamp(s);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(json: &str) -> Result<Preprocess, String> {
        let m: Manifest = serde_json::from_str(json).map_err(|e| e.to_string())?;
        Preprocess::try_from(&m)
    }

    #[test]
    fn manifest_modes() {
        let crop = r#"{"mode":"crop","resize":292,"size":260,"filter":"bicubic","rescale":1,"mean":[127,127,127],"std":[128,128,128]}"#;
        let p = manifest(crop).unwrap();
        assert_eq!((p.out_size(), p.min_side()), (Some((260, 260)), 292));
        let squash =
            manifest(r#"{"mode":"squash","size":64,"filter":"bilinear","rescale":1,"mean":[0,0,0],"std":[1,1,1]}"#)
                .unwrap();
        assert_eq!(squash.out_size(), Some((64, 64)));
        for (bad, word) in [
            (crop.replace("\"crop\"", "\"letterbox\""), "letterbox"),
            (crop.replace("bicubic", "sinc"), "sinc"),
            (crop.replace("292", "200"), "resize"),
            (crop.replace("\"std\":[128", "\"std\":[0"), "deviation"),
            (crop.replace("\"size\":260", "\"size\":0"), "range"),
            (crop.replace("\"mode\"", "\"pad\":1,\"mode\""), "pad"),
        ] {
            assert!(manifest(&bad).unwrap_err().contains(word), "{bad}");
        }
    }

    #[test]
    fn values_and_planes() {
        let p = Preprocess { resize: None, crop: None, rescale: 1.0, mean: [127.0; 3], std: [128.0; 3] };
        let photo = RgbImage::from_raw(2, 1, vec![0, 127, 255, 10, 20, 30]).unwrap();
        assert_eq!(p.apply(&photo).unwrap(), [-127.0 / 128.0, -117.0 / 128.0, 0.0, -107.0 / 128.0, 1.0, -97.0 / 128.0]);
    }

    #[test]
    fn a_flat_picture_stays_flat_at_any_size() {
        let photo = RgbImage::from_pixel(97, 31, image::Rgb([200, 3, 90]));
        for filter in [Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos] {
            for size in [(1, 1), (40, 40), (300, 20), (97, 60)] {
                let out = resize(&photo, size, (0, 0, size.0, size.1), filter);
                assert!(out.chunks_exact(3).all(|p| p == [200, 3, 90]), "{filter:?} {size:?}");
            }
        }
    }

    #[test]
    fn only_the_part_asked_for() {
        let photo = RgbImage::from_fn(61, 47, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, (x * y) as u8]));
        let all = resize(&photo, (40, 30), (0, 0, 40, 30), Filter::Bicubic);
        let part = resize(&photo, (40, 30), (7, 5, 20, 11), Filter::Bicubic);
        for y in 0..11 {
            assert_eq!(part[y * 60..(y + 1) * 60], all[((y + 5) * 40 + 7) * 3..][..60]);
        }
    }

    #[test]
    fn impossible_pictures_are_errors() {
        let p = Preprocess { resize: None, crop: Some((8, 8)), rescale: 1.0, mean: [0.0; 3], std: [1.0; 3] };
        assert!(p.apply(&RgbImage::new(4, 9)).is_err());
        assert!(p.apply(&RgbImage::new(0, 0)).is_err());
    }
}
