//! What the store is told, and what it tells: plain data.

use std::path::PathBuf;

use half::f16;

use crate::domain::{
    ContentHash, Embedding, FileStamp, FolderId, JobId, ModelId, PhotoId, PhotoMeta, PhotoState, Skipped, SkippedReason,
};

/// One thing that happened to a file. A batch of them is one transaction.
///
/// An id or a folder that is no longer in the library (removed meanwhile) makes a
/// change void, not the batch.
#[derive(Clone, Debug)]
pub enum Change {
    /// Read as a picture: inserts or updates the row of `path` and clears its failure.
    /// Other content than before drops the embeddings of all other models.
    Indexed {
        folder: FolderId,
        path: PathBuf,
        stamp: FileStamp,
        content: ContentHash,
        meta: PhotoMeta,
        embedding: Option<(ModelId, Embedding)>,
    },
    /// One more model has seen the photo.
    Embedded { photo: PhotoId, model: ModelId, embedding: Embedding },
    /// The file is now elsewhere. All moves of a batch leave their old paths before
    /// anything else is written, so that names can be swapped. A photo that the new
    /// path had before is forgotten: its file is gone.
    Moved { photo: PhotoId, folder: FolderId, path: PathBuf, stamp: FileStamp },
    /// The same content under a new stamp.
    Touched { photo: PhotoId, stamp: FileStamp },
    /// Not there. A file that never was a picture is forgotten instead.
    Missing { photo: PhotoId },
    /// There again, unchanged.
    Returned { photo: PhotoId, stamp: FileStamp },
    /// Could not be read as a picture. What is known from before is kept.
    Failed { folder: FolderId, path: PathBuf, stamp: FileStamp, skipped: Skipped },
    /// A file beside the photo holds words. Captions (language, text) that the photo has
    /// already are not doubled; one that came from this file before gets its new text.
    Words { photo: PhotoId, file: PathBuf, stamp: WordFile, captions: Vec<(String, String)>, tags: Vec<String> },
}

/// By what a file with words is known to be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordFile {
    pub size_bytes: u64,
    /// Nanoseconds since 1970; 0 before.
    pub modified_ns: i64,
}

/// What makes an embedding space; two rows that differ anywhere are never compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRow {
    pub pack_id: String,
    /// SHA-256 (hex) over the weight files.
    pub weights_hash: String,
    pub preprocess_revision: u32,
    /// Numbers in a vector.
    pub dim: usize,
}

/// A model with what the library holds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    pub id: ModelId,
    pub row: ModelRow,
    /// Present photos that have an embedding of it.
    pub embedded: u64,
}

/// What the library holds of a photo in a model's space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StoredVector<'a> {
    /// As many numbers as the model's dimension, of norm 1 to half precision.
    Unit(&'a [f16]),
    /// Not that: a damaged file or a foreign tool. Searching leaves it out.
    Damaged,
    /// No embedding, or the photo is not present.
    Absent,
}

/// A watched root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRow {
    pub id: FolderId,
    pub path: PathBuf,
    /// Present photos.
    pub photos: u64,
    pub missing: u64,
    pub failed: u64,
}

/// Photos of the library by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Present: neither missing nor failed.
    pub photos: u64,
    pub missing: u64,
    pub failed: u64,
}

/// What a scan compares a file on disk with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    pub id: PhotoId,
    pub state: PhotoState,
    pub stamp: FileStamp,
    /// `None`: never read as a picture.
    pub content: Option<ContentHash>,
    /// Why it last failed under this stamp; such a file is tried again only when it changes.
    pub failed: Option<SkippedReason>,
}

/// Which photos a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListScope {
    /// Present photos.
    All,
    /// Present photos of one root.
    Folder(FolderId),
    Failed,
    Missing,
}

/// A job as the library remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    pub id: JobId,
    /// What it was about, for a person.
    pub what: String,
    /// Seconds since 1970, UTC.
    pub started_s: i64,
    pub done: u64,
    pub failed: u64,
    /// What is to be done with the photos of a batch, as its owner wrote it; `None`: it is none.
    pub task: Option<String>,
}
