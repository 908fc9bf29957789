//! Takes the words out of the library: text files, a table, JSON lines, XMP sidecars.
//!
//! Photos are never touched, and no file is left half-written: each is made beside its
//! target and renamed over it. What other programs or people wrote into a file stays (see
//! [`files`]). Goes through the library page by page, in the order of the paths, so that
//! memory does not grow with it. Must not search and must not run models.

mod choice;
mod files;
mod names;
mod run;
mod table;
mod write;

use std::path::PathBuf;

use thiserror::Error;

pub use run::export;

use crate::domain::{PhotoId, Progress};
use crate::store::{Store, StoreError};

/// What kind of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One file a photo with the caption alone, as caption-training tools expect.
    Txt,
    /// One table, one row a photo.
    Csv,
    /// One file, one object a line and photo.
    Jsonl,
    /// Sidecars, as Lightroom, darktable and digiKam read them.
    Xmp,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One file: for [`Format::Csv`] and [`Format::Jsonl`].
    File(PathBuf),
    /// A folder, made if it is not there, in which the folders of the photos are
    /// mirrored: for [`Format::Txt`] and [`Format::Xmp`].
    Folder(PathBuf),
    /// Next to each photo: for [`Format::Txt`] and [`Format::Xmp`].
    Beside,
}

/// How a new sidecar is called; one that is there keeps its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XmpName {
    /// `photo.xmp`
    #[default]
    Stem,
    /// `photo.jpg.xmp`
    Full,
}

/// Which photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that are present.
    All,
    /// These, as far as they are present.
    Photos(Vec<PhotoId>),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub format: Format,
    pub target: Target,
    pub which: Which,
    /// No drafts, not even where there is nothing else.
    pub accepted_only: bool,
    /// Captions of this language alone; `zh` stands for `zh-CN` too.
    pub lang: Option<String>,
    pub xmp_name: XmpName,
    /// A mark at the beginning by which Excel knows a csv file as UTF-8.
    pub bom: bool,
    /// Where the photos were taken goes out too.
    pub gps: bool,
    /// Say what would be written, and write nothing.
    pub dry_run: bool,
}

impl Options {
    /// All photos, accepted captions or else drafts, nothing special.
    pub fn new(format: Format, target: Target) -> Self {
        Self {
            format,
            target,
            which: Which::All,
            accepted_only: false,
            lang: None,
            xmp_name: XmpName::default(),
            bom: false,
            gps: false,
            dry_run: false,
        }
    }
}

/// What happens, or would happen, to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    Created,
    Changed,
    /// It says all already.
    Unchanged,
}

/// Why a photo gives nothing, though nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SkipReason {
    #[error("no caption")]
    NoCaption,
    #[error("this file holds other words, which Glimpse did not write: move it away to have it written anew")]
    ForeignFile,
    #[error("this sidecar holds other words; accept the caption to put it in their place")]
    ForeignWords,
}

/// One thing that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file was written, or in a dry run would be. `photo` is `None` for a table.
    File {
        photo: Option<PathBuf>,
        file: PathBuf,
        change: FileChange,
    },
    Skipped {
        photo: PathBuf,
        file: Option<PathBuf>,
        reason: SkipReason,
    },
    /// A file could not be written, or a photo's words not put into it.
    Failed {
        photo: Option<PathBuf>,
        file: PathBuf,
        detail: String,
    },
    /// Something about a file that was written: a sentence.
    Note {
        photo: PathBuf,
        file: PathBuf,
        detail: String,
    },
}

/// Sees an export as it goes.
pub trait Observer {
    fn event(&mut self, event: Event);
    /// After each page of photos.
    fn progress(&mut self, _progress: Progress) {}
}

/// Remembers which files this program wrote, so that they are told from people's own.
pub trait Memory {
    fn wrote(&mut self, files: &[(PathBuf, [u8; 32])]) -> Result<(), StoreError>;
}

impl Memory for Store {
    fn wrote(&mut self, files: &[(PathBuf, [u8; 32])]) -> Result<(), StoreError> {
        self.note_exports(files)
    }
}

/// What an export did; counts are of photos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Also those whose file says all already.
    pub exported: u64,
    pub skipped: u64,
    pub failed: u64,
    pub cancelled: bool,
}

/// Why nothing can be exported at all. What happens to single files is an [`Event`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    #[error("{0} goes into one file: name it with its path")]
    NeedsFile(&'static str),
    #[error("{0} goes into many files: name a folder, or have them put beside the photos")]
    NeedsFolder(&'static str),
    #[error("an export must not take the place of a photo or of the library: {}", .0.display())]
    Precious(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
}
