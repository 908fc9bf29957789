//! The decoder against libjpeg-turbo's pixels, against cut and damaged files,
//! and against files made to be costly.

use std::path::{Path, PathBuf};

use fast_image_resize::FilterType;
use image::RgbImage;

use super::*;
use crate::domain::CancelSource;
use crate::media::resize::resize;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap()
}

fn at_least(bytes: &[u8], min_side: u32) -> Result<RgbImage, Fault> {
    decode(bytes, min_side, &CancelToken::never()).map(|(image, _)| image)
}

fn full(bytes: &[u8]) -> Result<RgbImage, Fault> {
    at_least(bytes, u32::MAX)
}

/// Largest and mean difference of two pictures of one size.
fn difference(a: &RgbImage, b: &RgbImage) -> (u8, f64) {
    assert_eq!(a.dimensions(), b.dimensions());
    let each = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b));
    (each.clone().max().unwrap(), each.map(f64::from).sum::<f64>() / a.as_raw().len() as f64)
}

const SHAPES: [&str; 9] = ["444", "422", "420", "420_restarts", "420_progressive", "440", "411", "rgb", "ycck"];

#[test]
fn full_size_equals_libjpeg_turbo() {
    for name in SHAPES {
        let want = image::open(golden(&format!("media/{name}.png"))).unwrap().into_rgb8();
        let got = full(&file(&format!("media/{name}.jpg"))).unwrap();
        assert_eq!(difference(&got, &want), (0, 0.0), "{name}");
    }
}

#[test]
fn reduced_sizes_look_like_the_whole() {
    for name in ["rocket_progressive", "astronaut", "rocket_gray", "china_cmyk"] {
        let bytes = file(&format!("preprocess/images/{name}.jpg"));
        let whole = full(&bytes).unwrap();
        for factor in [2, 4, 8] {
            let small = at_least(&bytes, whole.height() / factor).unwrap();
            assert_eq!(small.dimensions(), (whole.width().div_ceil(factor), whole.height().div_ceil(factor)), "{name}");
            // Without the last row and column, which the picture does not fill.
            let (width, height) = (whole.width() / factor, whole.height() / factor);
            let crop = |image: &RgbImage, scale| {
                image::imageops::crop_imm(image, 0, 0, width * scale, height * scale).to_image()
            };
            let want = resize(&crop(&whole, factor), (width, height), FilterType::CatmullRom).unwrap();
            let (_, mean) = difference(&crop(&small, 1), &want);
            assert!(mean < 6.0, "{name} at 1/{factor}: {mean}");
        }
    }
}

#[test]
fn the_smallest_scale_that_is_large_enough() {
    let bytes = file("media/420.jpg");
    let size = |min_side| at_least(&bytes, min_side).unwrap().dimensions();
    assert_eq!(size(1), (9, 6));
    assert_eq!(size(6), (9, 6));
    assert_eq!(size(7), (18, 11));
    assert_eq!(size(12), (36, 22));
    assert_eq!(size(23), (71, 43));
    assert_eq!(size(44), (71, 43));
    assert_eq!(decode(&bytes, 1, &CancelToken::never()).unwrap().1, (71, 43));
}

#[test]
fn a_cut_anywhere_is_noticed() {
    for name in SHAPES {
        let bytes = file(&format!("media/{name}.jpg"));
        for (skew, min_side) in [1, 12, 23, 44].into_iter().enumerate() {
            for end in (2 + skew..bytes.len() - 3).step_by(11) {
                let result = at_least(&bytes[..end], min_side);
                assert!(result.is_err_and(|f| f.reason == SkippedReason::Damaged), "{name} cut at {end}, {min_side}");
            }
            // Only the end marker is lacking: nothing of the picture is.
            for end in [bytes.len() - 2, bytes.len() - 1] {
                assert_eq!(at_least(&bytes[..end], min_side), at_least(&bytes, min_side), "{name}");
            }
        }
    }
}

#[test]
fn what_follows_the_picture_does_not_matter() {
    for name in ["420", "420_progressive"] {
        let bytes = file(&format!("media/{name}.jpg"));
        let glued = [bytes.as_slice(), &file("media/444.jpg")].concat();
        let padded = [bytes.as_slice(), &[0xA5; 5000]].concat();
        for min_side in [1, 44] {
            assert_eq!(at_least(&glued, min_side), at_least(&bytes, min_side));
            assert_eq!(at_least(&padded, min_side), at_least(&bytes, min_side));
        }
    }
}

#[test]
fn damage_never_panics() {
    let mut seed = 7u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for name in SHAPES {
        let bytes = file(&format!("media/{name}.jpg"));
        for round in 0..600 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + round % 4 {
                let at = 2 + random(bytes.len() - 2);
                bytes[at] = random(256) as u8;
            }
            // Either outcome is right: many changes only change pixels.
            let _ = at_least(&bytes, [1, 12, 23, 44][round % 4]);
        }
    }
}

/// Where a marker stands first, or last.
fn find(bytes: &[u8], marker: u8) -> impl DoubleEndedIterator<Item = usize> {
    bytes.windows(2).enumerate().filter_map(move |(at, w)| (w == [0xFF, marker]).then_some(at))
}

#[test]
fn other_kinds_of_jpeg_are_named() {
    let bytes = file("media/420.jpg");
    let frame = find(&bytes, 0xC0).next().unwrap();
    for (marker, word) in [(0xC3, "Lossless"), (0xC9, "Arithmetic"), (0xC5, "Hierarchical")] {
        let mut other = bytes.clone();
        other[frame + 1] = marker;
        let fault = full(&other).unwrap_err();
        assert_eq!(fault.reason, SkippedReason::Unsupported);
        assert!(fault.detail.starts_with(word), "{}", fault.detail);
    }
    let mut twelve_bits = bytes.clone();
    twelve_bits[frame + 1] = 0xC1;
    twelve_bits[frame + 4] = 12;
    assert_eq!(full(&twelve_bits).unwrap_err().reason, SkippedReason::Unsupported);
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let mut bytes = file("media/420.jpg");
    let frame = find(&bytes, 0xC0).next().unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    assert_eq!(full(&bytes).unwrap_err().reason, SkippedReason::TooLarge);
    bytes[frame + 5..frame + 9].fill(0);
    assert_eq!(full(&bytes).unwrap_err().reason, SkippedReason::Damaged);
}

#[test]
fn a_height_told_later_is_found() {
    let bytes = file("media/420.jpg");
    let frame = find(&bytes, 0xC0).next().unwrap();
    let mut later = bytes.clone();
    let height = [later[frame + 5], later[frame + 6]];
    later[frame + 5..frame + 7].fill(0);
    let end = later.len() - 2;
    later.splice(end..end, [0xFF, 0xDC, 0, 4, height[0], height[1]]);
    assert_eq!(full(&later).unwrap(), full(&bytes).unwrap());
}

#[test]
fn thousands_of_scans_cost_little() {
    let bytes = file("media/flat_progressive.jpg");
    let last = find(&bytes, 0xDA).next_back().unwrap();
    let scan = bytes[last..bytes.len() - 2].to_vec();
    let times = |count| [&bytes[..bytes.len() - 2], &scan.repeat(count), &[0xFF, 0xD9]].concat();
    // Passed over at 1/8; read at full size, which a small picture may cost.
    for min_side in [1, u32::MAX] {
        assert_eq!(at_least(&times(3000), min_side).unwrap(), at_least(&bytes, min_side).unwrap());
    }
    assert_eq!(full(&times(200_000)).unwrap_err().reason, SkippedReason::TooLarge);
}

#[test]
fn cancelling_ends_it() {
    let source = CancelSource::default();
    let token = source.restart();
    source.cancel();
    assert_eq!(decode(&file("media/444.jpg"), 1, &token).unwrap_err(), Fault::cancelled());
}
