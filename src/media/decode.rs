//! Bytes to pixels: tells the kind of a file by its content, decodes it within
//! limits, turns it upright and makes it smaller.
//!
//! Decoders of other people run inside `catch_unwind`: a panic in one file is
//! that file's damage. Colour is taken as it stands: no profile is applied,
//! alpha is dropped (not blended), 16-bit values are rounded to 8.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError, Limits, RgbImage};

use super::{Fault, jpeg, metadata, png, resize};
use crate::domain::{CancelToken, PhotoMeta, SkippedReason};

/// A photo that declares more is refused before anything is allocated.
pub(super) const MAX_PIXELS: u64 = 512 << 20;
/// Largest decoded size, in bytes, of a format that has to be decoded whole.
const MAX_DECODED_BYTES: u64 = 2 << 30;
/// Pictures larger than this are decoded one at a time, whatever the number of threads.
const LARGE_DECODED_BYTES: u64 = 256 << 20;

static ONE_LARGE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The kinds of file, by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Jpeg,
    Png,
    Gif,
    Bmp,
    /// A bitmap without the file header (`.dib`).
    Dib,
    Tiff,
    WebP,
    Heif,
    Avif,
}

fn kind(bytes: &[u8]) -> Option<Kind> {
    Some(match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Kind::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => Kind::Png,
        [b'G', b'I', b'F', b'8', ..] => Kind::Gif,
        [b'B', b'M', ..] => Kind::Bmp,
        [40 | 108 | 124, 0, 0, 0, _, _, _, _, _, _, _, _, 1, 0, ..] => Kind::Dib,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Kind::Tiff,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Kind::WebP,
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Kind::Avif,
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', b'e' | b'i', ..] => Kind::Heif,
        _ => return None,
    })
}

/// Decodes a photo: upright, reduced where its shorter side stays `min_side` or longer.
pub(super) fn decode(bytes: &[u8], min_side: u32, cancel: &CancelToken) -> Result<(RgbImage, PhotoMeta), Fault> {
    let Some(kind) = kind(bytes) else {
        return Err(Fault::unsupported("The file is no picture, or of a kind that Glimpse does not know."));
    };
    let (orientation, mut meta) = guarded(|| Ok(metadata::read(bytes))).unwrap_or_default();
    let (image, size) = guarded(|| match kind {
        Kind::Jpeg => jpeg::decode(bytes, min_side, cancel),
        Kind::Heif | Kind::Avif => Err(Fault::unsupported(format!(
            "{} pictures cannot be read yet. Save a copy as JPEG or PNG beside it.",
            if kind == Kind::Heif { "HEIC" } else { "AVIF" }
        ))),
        _ => {
            let (image, size) = decode_whole(kind, bytes)?;
            Ok((resize::reduce(image, min_side)?, size))
        }
    })?;
    (meta.width, meta.height) = orientation.upright_size(size);
    Ok((orientation.apply(image), meta))
}

/// Runs a decoder; its panic is the file's damage.
fn guarded<T>(decoder: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(decoder))
        .unwrap_or_else(|_| Err(Fault::damaged("The file is damaged in a way that its decoder did not expect.")))
}

/// Formats that can only be decoded at full size.
fn decode_whole(kind: Kind, bytes: &[u8]) -> Result<(RgbImage, (u32, u32)), Fault> {
    match kind {
        Kind::Png => {
            let essential = png::essential_chunks(bytes)?;
            through(PngDecoder::with_limits(Cursor::new(&essential), limits()))
        }
        Kind::Gif => through(GifDecoder::new(Cursor::new(bytes))),
        Kind::Bmp => through(BmpDecoder::new(Cursor::new(bytes))),
        Kind::Dib => through(BmpDecoder::new_without_file_header(Cursor::new(bytes))),
        Kind::Tiff => through(TiffDecoder::new(Cursor::new(bytes))),
        Kind::WebP => through(WebPDecoder::new(Cursor::new(bytes))),
        Kind::Jpeg | Kind::Heif | Kind::Avif => Err(Fault::unsupported("not a format that is decoded whole")),
    }
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits
}

/// Decodes with one of the `image` crate's decoders, after looking at what it declares.
fn through<D: ImageDecoder>(decoder: Result<D, ImageError>) -> Result<(RgbImage, (u32, u32)), Fault> {
    let mut decoder = decoder.map_err(fault)?;
    let size = decoder.dimensions();
    check_size(size)?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        let detail = format!("Decoding {} x {} pixels of this kind takes too much memory.", size.0, size.1);
        return Err(Fault::new(SkippedReason::TooLarge, detail));
    }
    decoder.set_limits(limits()).map_err(fault)?;
    let _turn = (decoder.total_bytes() > LARGE_DECODED_BYTES)
        .then(|| ONE_LARGE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((DynamicImage::from_decoder(decoder).map_err(fault)?.into_rgb8(), size))
}

/// Refuses sizes that no photo has, and those without a pixel.
pub(super) fn check_size((width, height): (u32, u32)) -> Result<(), Fault> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Fault::damaged("The picture says that it has no pixels."));
    }
    if pixels > MAX_PIXELS {
        let detail = format!("The picture says that it has {width} x {height} pixels, more than can be read.");
        return Err(Fault::new(SkippedReason::TooLarge, detail));
    }
    Ok(())
}

fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::Limits(_) => Fault::new(SkippedReason::TooLarge, format!("The picture is too large: {error}.")),
        ImageError::Unsupported(_) => Fault::unsupported(format!("This kind of picture cannot be read: {error}.")),
        _ => Fault::damaged(format!("The file is cut off or damaged: {error}.")),
    }
}

#[cfg(test)]
mod tests;
