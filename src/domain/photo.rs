//! A photo as the library knows it.

use std::path::PathBuf;

use super::{FolderId, PhotoId, SkippedReason};

/// BLAKE3 of a file's bytes: tells a moved photo from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// What the file system says of a file without opening it. Two equal stamps
/// mean "unchanged": the change time and inode catch a replacement that kept
/// the old modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    pub size_bytes: u64,
    /// Nanoseconds since 1970; negative before.
    pub modified_ns: i64,
    /// Inode change time in nanoseconds; 0 where the platform has none.
    pub changed_ns: i64,
    /// Inode or file index; 0 where the platform has none.
    pub inode: u64,
}

/// WGS 84 degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatLon {
    pub latitude: f64,
    pub longitude: f64,
}

/// What was read out of the photo file itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhotoMeta {
    /// Upright size in pixels (after the EXIF orientation).
    pub width: u32,
    pub height: u32,
    /// Local time as the camera wrote it, `YYYY-MM-DDTHH:MM:SS`; `None` if absent or impossible.
    pub taken: Option<String>,
    /// Maker and model.
    pub camera: Option<String>,
    pub place: Option<LatLon>,
}

/// Where a photo stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhotoState {
    /// On disk when last looked at.
    Present,
    /// Not there when last looked for; comes back when its drive does.
    Missing,
    /// On disk, but could not be read as a picture.
    Failed,
}

/// Why a file could not be read as a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    /// For programs and translations.
    pub reason: SkippedReason,
    /// The exact words.
    pub detail: String,
}

/// A row of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    pub id: PhotoId,
    pub folder: FolderId,
    /// Absolute, byte for byte as on disk.
    pub path: PathBuf,
    pub state: PhotoState,
    pub stamp: FileStamp,
    pub content: Option<ContentHash>,
    pub meta: PhotoMeta,
    /// Why it failed, where it did.
    pub failure: Option<ReadFailure>,
}
