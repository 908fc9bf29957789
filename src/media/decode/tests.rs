//! Every kind of file, sound and odd: what pixels come out, or which reason.

use std::path::Path;

use exif::Tag;
use image::{ImageFormat, Rgb};

use super::super::fixtures::{Field, encode, jpeg, png_chunk, quarters, tiff, with_exif};
use super::*;

fn read(bytes: &[u8], min_side: u32) -> Result<(RgbImage, PhotoMeta), Fault> {
    decode(bytes, min_side, &CancelToken::never())
}

fn pixels(bytes: &[u8]) -> RgbImage {
    read(bytes, u32::MAX).unwrap().0
}

fn reason(bytes: &[u8]) -> SkippedReason {
    read(bytes, u32::MAX).unwrap_err().reason
}

/// Asserts that the four quarters have the colours of [`quarters`], within `tolerance`.
fn assert_quarters(image: &RgbImage, tolerance: u8, what: &str) {
    let (width, height) = image.dimensions();
    let want = quarters(width, height);
    for (x, y) in [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| (width * x / 4, height * y / 4)) {
        let (got, want) = (image.get_pixel(x, y), want.get_pixel(x, y));
        assert!(got.0.iter().zip(want.0).all(|(a, b)| a.abs_diff(b) <= tolerance), "{what} at {x}, {y}: {got:?}");
    }
}

#[test]
fn golden_pictures_equal_the_reference() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/preprocess");
    let mut seen = 0;
    for file in std::fs::read_dir(folder.join("images")).unwrap() {
        let path = file.unwrap().path();
        let png = folder.join("decoded_rgb").join(path.with_extension("png").file_name().unwrap());
        let want = image::open(png).unwrap().into_rgb8();
        assert!(pixels(&std::fs::read(&path).unwrap()) == want, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn kinds_are_told_by_content() {
    let picture = quarters(40, 30);
    for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = encode(picture.clone(), format);
        assert_quarters(&pixels(&bytes), 0, &format!("{format:?}"));
    }
    assert_quarters(&pixels(&jpeg(&picture)), 30, "JPEG");
    let headerless = &encode(picture, ImageFormat::Bmp)[14..];
    assert_quarters(&pixels(headerless), 0, "DIB");
}

#[test]
fn what_is_no_picture_says_so() {
    for bytes in [b"hello".as_slice(), &[0; 4096], b"%PDF-1.7", b"\xFF", b""] {
        assert_eq!(reason(bytes), SkippedReason::Unsupported);
    }
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let avif = b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1";
    for (bytes, name) in [(heic.as_slice(), "HEIC"), (avif, "AVIF")] {
        let fault = read(bytes, 1).unwrap_err();
        assert_eq!(fault.reason, SkippedReason::Unsupported);
        assert!(fault.detail.contains(name) && fault.detail.contains("JPEG"), "{}", fault.detail);
    }
}

#[test]
fn cut_files_are_damaged() {
    // Noise, so that a cut always costs pixels.
    let mut seed = 1u32;
    let noise = RgbImage::from_fn(64, 64, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(seed >> 24) as u8, (seed >> 16) as u8, (seed >> 8) as u8])
    });
    for format in
        [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Jpeg]
    {
        let bytes = encode(noise.clone(), format);
        for percent in [20, 50, 90] {
            let result = read(&bytes[..bytes.len() * percent / 100], u32::MAX);
            assert!(result.is_err_and(|f| f.reason == SkippedReason::Damaged), "{format:?} cut to {percent} %");
        }
        assert!(read(&bytes[..3], 1).is_err());
    }
}

#[test]
fn damage_never_panics() {
    let mut seed = 5u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = encode(quarters(24, 18), format);
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
            let _ = read(&bytes, 8);
        }
    }
}

#[test]
fn all_orientations_look_alike() {
    let upright = quarters(64, 48);
    for value in 0..=9u16 {
        // The inverse turn of each orientation is its own, but for 6 and 8.
        let inverse = match value {
            6 => 8,
            8 => 6,
            other => other,
        };
        let stored = super::super::orientation::Orientation::from_exif(u32::from(inverse)).apply(upright.clone());
        let red = jpeg(&RgbImage::from_pixel(16, 16, Rgb([255, 0, 0])));
        let file = with_exif(&jpeg(&stored), &tiff(&[(Tag::Orientation, Field::Short(value))], Some(&red)));
        for min_side in [12, 48] {
            let (image, meta) = read(&file, min_side).unwrap();
            assert_eq!((meta.width, meta.height), (64, 48), "{value}");
            assert_eq!(image.dimensions(), (64 * min_side / 48, min_side), "{value}");
            assert_quarters(&image, 30, &format!("orientation {value}"));
        }
    }
}

#[test]
fn orientation_counts_in_other_formats_too() {
    let stored = image::imageops::rotate270(&quarters(64, 48));
    let exif = tiff(&[(Tag::Orientation, Field::Short(6))], None);
    let mut png = encode(stored, ImageFormat::Png);
    png.splice(33..33, png_chunk(b"eXIf", &exif));
    let (image, meta) = read(&png, u32::MAX).unwrap();
    assert_eq!((meta.width, meta.height), (64, 48));
    assert_quarters(&image, 0, "PNG");
}

#[test]
fn extreme_shapes() {
    for (width, height) in [(1, 1), (1, 4000), (4000, 1), (30_000, 8), (645, 730), (730, 645), (3, 1000)] {
        let picture = quarters(width, height);
        for bytes in [encode(picture.clone(), ImageFormat::Png), jpeg(&picture)] {
            let (image, meta) = read(&bytes, 292).unwrap();
            assert_eq!((meta.width, meta.height), (width, height));
            assert!(image.width().min(image.height()) >= width.min(height).min(292));
        }
    }
}

#[test]
fn large_pictures_are_reduced() {
    let bytes = encode(quarters(1000, 700), ImageFormat::Png);
    let (image, meta) = read(&bytes, 200).unwrap();
    assert_eq!((image.dimensions(), (meta.width, meta.height)), ((334, 234), (1000, 700)));
    assert_quarters(&image, 1, "reduced");
    assert_eq!(read(&bytes, 351).unwrap().0.dimensions(), (1000, 700));
}

#[test]
fn absurd_sizes_are_refused() {
    let picture = quarters(8, 8);
    let mut png = encode(picture.clone(), ImageFormat::Png);
    let header = [&40_000u32.to_be_bytes(), &40_000u32.to_be_bytes(), [8, 2, 0, 0, 0].as_slice()].concat();
    png.splice(8..33, png_chunk(b"IHDR", &header));
    assert_eq!(reason(&png), SkippedReason::TooLarge);
    let mut bmp = encode(picture, ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x00, 0x9C, 0, 0, 0x00, 0x9C, 0, 0]);
    assert_eq!(reason(&bmp), SkippedReason::TooLarge);
}

#[test]
fn png_with_bad_extras_is_read() {
    let clean = encode(quarters(20, 20), ImageFormat::Png);
    let profile = png_chunk(b"iCCP", b"x\0\0not a profile");
    let mut bad_checksum = profile.clone();
    *bad_checksum.last_mut().unwrap() ^= 1;
    let extras: [Vec<u8>; 4] = [
        bad_checksum.clone(),
        [png_chunk(b"sRGB", &[0]), png_chunk(b"gAMA", &45_455u32.to_be_bytes())].concat(),
        [profile.clone(), profile].concat(),
        png_chunk(b"prVt", &[0xFF; 9]),
    ];
    for (index, extra) in extras.iter().enumerate() {
        let mut bytes = clean.clone();
        bytes.splice(33..33, extra.iter().copied());
        assert_eq!(pixels(&bytes), pixels(&clean), "{index}");
    }
    assert_eq!(pixels(&clean[..clean.len() - 12]), pixels(&clean), "no end chunk");
}

#[test]
fn sixteen_bits_become_eight() {
    let wide = |v: u8| u16::from(v) * 257;
    let grey =
        image::ImageBuffer::<image::Luma<u16>, _>::from_fn(16, 16, |x, y| image::Luma([wide((16 * y + x) as u8)]));
    let got = pixels(&encode(grey, ImageFormat::Png));
    assert!(got.pixels().zip(0u8..=255).all(|(p, v)| p.0 == [v; 3]));
    let colour = image::ImageBuffer::<Rgb<u16>, _>::from_fn(16, 16, |x, _| Rgb([wide(x as u8), 0, wide(200)]));
    let got = pixels(&encode(colour, ImageFormat::Tiff));
    assert!(got.enumerate_pixels().all(|(x, _, p)| p.0 == [x as u8, 0, 200]));
}

#[test]
fn alpha_is_dropped_not_blended() {
    let clear = image::RgbaImage::from_pixel(8, 8, image::Rgba([200, 100, 50, 0]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        assert_eq!(pixels(&encode(clear.clone(), format)).get_pixel(3, 3).0, [200, 100, 50], "{format:?}");
    }
}

#[test]
fn bitmaps_stored_from_the_top() {
    let picture = quarters(8, 6);
    let mut bytes = encode(picture.clone(), ImageFormat::Bmp);
    let rows = u32::from_le_bytes(bytes[10..14].try_into().unwrap()) as usize;
    bytes[22..26].copy_from_slice(&(-6i32).to_le_bytes());
    let turned: Vec<u8> = bytes[rows..].chunks_exact(24).rev().flatten().copied().collect();
    bytes.splice(rows.., turned);
    assert_eq!(pixels(&bytes), picture);
}

#[test]
fn animated_webp_with_a_small_first_frame() {
    let small = encode(quarters(50, 50), ImageFormat::WebP);
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut bytes = [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let size = |v: u32| (v - 1).to_le_bytes()[..3].to_vec();
    let header = [vec![2, 0, 0, 0], size(100), size(100)].concat();
    let frame = [vec![0; 6], size(50), size(50), vec![100, 0, 0, 2], small[12..].to_vec()].concat();
    let chunks = [chunk(b"VP8X", &header), chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &frame)].concat();
    let file = [b"RIFF".as_slice(), &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", &chunks].concat();
    let image = pixels(&file);
    assert_eq!(image.dimensions(), (100, 100));
    let first = image::imageops::crop_imm(&image, 0, 0, 50, 50).to_image();
    assert_quarters(&first, 0, "first frame");
}

#[test]
fn animations_show_their_first_frame() {
    let mut gif = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
        let white = RgbImage::from_pixel(40, 30, Rgb([255; 3]));
        for frame in [quarters(40, 30), white] {
            encoder.encode_frame(image::Frame::new(DynamicImage::from(frame).into_rgba8())).unwrap();
        }
    }
    assert_quarters(&pixels(&gif), 0, "GIF");
}
