//! Photos as files: walking folders, reading and decoding, metadata,
//! fingerprints, thumbnails. Must not touch SQL or models, and never writes to
//! a person's photo.
//!
//! Everything here expects hostile input: a file may be cut, lie about its
//! size, be of another kind than its name says, or change while it is read.
//! Whatever happens to one file ends as that file's [`Skipped`], never as a
//! panic or an absurd allocation.

mod decode;
mod fingerprint;
#[cfg(test)]
mod fixtures;
mod jpeg;
mod metadata;
mod orientation;
mod png;
mod resize;
mod thumbnail;
pub mod walk;
pub mod xmp;

use std::path::Path;

use image::RgbImage;

pub use fingerprint::hash_file;
pub use thumbnail::{SHORT_SIDE as THUMBNAIL_SIDE, ThumbnailCache};
pub use walk::supported;

use crate::domain::{CancelToken, ContentHash, PhotoMeta, Skipped, SkippedReason};

/// A photo as read from its file.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Upright, 8-bit RGB, reduced where the photo is much larger than asked for.
    pub image: RgbImage,
    /// Width and height are those of the whole upright photo.
    pub meta: PhotoMeta,
    /// Fingerprint of the very bytes that were decoded.
    pub content: ContentHash,
}

/// Why a file gives no picture; [`read_photo`] adds the path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    reason: SkippedReason,
    detail: String,
}

impl Fault {
    fn new(reason: SkippedReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn damaged(detail: impl Into<String>) -> Self {
        Self::new(SkippedReason::Damaged, detail)
    }

    fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(SkippedReason::Unsupported, detail)
    }

    fn cancelled() -> Self {
        Self::new(SkippedReason::Unreadable, "reading was cancelled")
    }

    fn at(self, path: &Path) -> Skipped {
        Skipped { path: path.to_owned(), reason: self.reason, detail: self.detail }
    }
}

/// Reads a photo in one pass over the file: fingerprint, metadata, pixels.
///
/// The picture comes reduced by a whole factor where that leaves its shorter
/// side at `min_side` or more; a smaller photo comes as it is. The kind is told
/// by the content, not by the name. Once `cancel` fires the result is an
/// `Unreadable` that means nothing about the file: ask the token first.
pub fn read_photo(path: &Path, min_side: u32, cancel: &CancelToken) -> Result<Decoded, Skipped> {
    let read = || {
        let bytes = fingerprint::read_whole(path, cancel)?;
        let content = ContentHash(*blake3::hash(&bytes).as_bytes());
        let (image, meta) = decode::decode(&bytes, min_side, cancel)?;
        Ok(Decoded { image, meta, content })
    };
    read().map_err(|fault: Fault| fault.at(path))
}
