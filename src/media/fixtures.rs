//! Files that tests make themselves: pictures in every format, EXIF tables by hand.

use std::io::Cursor;

use exif::{Context, Tag};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture that is different in each corner and survives lossy coding: top
/// left red, top right green, bottom left blue, bottom right white.
pub(super) fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x < width / 2, y < height / 2) {
            (true, true) => [250, 10, 10],
            (false, true) => [10, 250, 10],
            (true, false) => [10, 10, 250],
            (false, false) => [245, 245, 245],
        })
    })
}

pub(super) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn jpeg(image: &RgbImage) -> Vec<u8> {
    encode(image.clone(), ImageFormat::Jpeg)
}

/// A value in an EXIF table.
#[derive(Clone)]
pub(super) enum Field {
    Short(u16),
    Ascii(&'static str),
    Rationals(Vec<(u32, u32)>),
}

/// A little-endian TIFF structure with the main, Exif and GPS tables, and a
/// thumbnail table with `thumbnail` as its JPEG where there is one.
pub(super) fn tiff(fields: &[(Tag, Field)], thumbnail: Option<&[u8]>) -> Vec<u8> {
    let of = |context: Context| fields.iter().filter(move |(tag, _)| tag.context() == context);
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let has = |context| of(context).next().is_some();
    let pointers = [(34_665, Context::Exif), (34_853, Context::Gps)];
    let pointers: Vec<_> = pointers.into_iter().filter(|&(_, context)| has(context)).collect();
    let mut pointer_at = Vec::new();
    let main: Vec<_> = of(Context::Tiff).collect();
    table(&mut bytes, &main, &pointers.iter().map(|&(tag, _)| tag).collect::<Vec<_>>(), &mut pointer_at);
    let next_at = 8 + 2 + 12 * (main.len() + pointers.len());
    for ((_, context), at) in pointers.iter().zip(pointer_at) {
        patch(&mut bytes, at);
        table(&mut bytes, &of(*context).collect::<Vec<_>>(), &[], &mut Vec::new());
    }
    if let Some(thumbnail) = thumbnail {
        patch(&mut bytes, next_at);
        let data_at = bytes.len() as u32 + 2 + 24 + 4;
        bytes.extend(2u16.to_le_bytes());
        for (tag, value) in [(0x201u16, data_at), (0x202, thumbnail.len() as u32)] {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(thumbnail);
    }
    bytes
}

/// Points the offset at `at` to the end of what there is.
fn patch(bytes: &mut [u8], at: usize) {
    let end = bytes.len() as u32;
    bytes[at..at + 4].copy_from_slice(&end.to_le_bytes());
}

fn table(bytes: &mut Vec<u8>, fields: &[&(Tag, Field)], pointers: &[u16], pointer_at: &mut Vec<usize>) {
    bytes.extend(((fields.len() + pointers.len()) as u16).to_le_bytes());
    let mut long = Vec::new();
    for (tag, field) in fields {
        let (kind, count, value) = match field {
            Field::Short(v) => (3u16, 1, v.to_le_bytes().to_vec()),
            Field::Ascii(text) => (2, text.len() + 1, [text.as_bytes(), &[0]].concat()),
            Field::Rationals(parts) => {
                (5, parts.len(), parts.iter().flat_map(|&(n, d)| [n.to_le_bytes(), d.to_le_bytes()].concat()).collect())
            }
        };
        bytes.extend(tag.number().to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend((count as u32).to_le_bytes());
        if value.len() <= 4 {
            bytes.extend(value.iter().copied().chain([0; 4]).take(4));
        } else {
            long.push((bytes.len(), value));
            bytes.extend([0; 4]);
        }
    }
    for tag in pointers {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4u16.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        pointer_at.push(bytes.len());
        bytes.extend([0; 4]);
    }
    bytes.extend([0; 4]);
    for (at, value) in long {
        patch(bytes, at);
        bytes.extend(value);
    }
}

/// A JPEG with this EXIF block right after its start marker.
pub(super) fn with_exif(jpeg: &[u8], tiff: &[u8]) -> Vec<u8> {
    let length = (tiff.len() as u16 + 8).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, b"Exif\0\0", tiff, &jpeg[2..]].concat()
}

/// A PNG chunk, its checksum right.
pub(super) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let mut crc = u32::MAX;
    for &byte in &body {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &(!crc).to_be_bytes()].concat()
}
