//! Commands into the engine, events out of it. Plain data: no channels, no egui.
//!
//! A command that asks for something carries a [`RequestId`]; its answer carries
//! the same one back, so that the window can drop a late answer to an old question.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbaImage;

use crate::device::DeviceNote;
use crate::domain::{FolderId, Hit, JobId, JobStatus, ModelId, Photo, PhotoId, Query, RequestId, SearchCost, Skipped};

/// What the window may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Watch a folder and index it.
    AddFolder(PathBuf),
    /// Forget a folder's photos; files on disk are not touched.
    RemoveFolder(FolderId),
    /// Look at the disk again; `None` means every folder.
    Rescan(Option<FolderId>),
    /// Read these failed files again although they have not changed.
    TryAgain(Vec<PhotoId>),
    PauseJob(JobId),
    ResumeJob(JobId),
    CancelJob(JobId),
    /// The photos most like the query, best first, of one folder or of all. A newer search
    /// cancels an older one.
    Search {
        request: RequestId,
        query: Query,
        within: Option<FolderId>,
        limit: usize,
    },
    /// All photos of a scope, newest first.
    List {
        request: RequestId,
        scope: Scope,
    },
    /// Everything about one photo.
    Details {
        request: RequestId,
        photo: PhotoId,
    },
    /// Grid thumbnail and name; the newest requests are served first.
    Thumbnail(PhotoId),
    /// A picture for the large view, at most `max_side` pixels a side.
    Preview {
        request: RequestId,
        photo: PhotoId,
        max_side: u32,
    },
    /// Make this pack the active Align model, indexing in the background what it lacks.
    UseModel(String),
    /// Check and keep a model folder as a pack of the user's.
    ImportModel(PathBuf),
    /// Open the photo in the system's viewer.
    OpenExternally(PathBuf),
    /// Select the photo in the system's file manager.
    ShowInFolder(PathBuf),
}

/// What a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Scope {
    All,
    Folder(FolderId),
    /// Photos that could not be read.
    Failed,
    /// Photos that are not where they were.
    Missing,
}

/// What the engine tells the window.
#[derive(Clone, Debug)]
pub enum Event {
    /// The library's state changed (also sent once at start).
    Library(LibraryStatus),
    /// A job moved on.
    Job(JobStatus),
    /// Photos were added, changed or removed: lists and results may be stale.
    PhotosChanged,
    SearchDone {
        request: RequestId,
        result: Result<SearchResults, Failure>,
    },
    Listed {
        request: RequestId,
        result: Result<Vec<PhotoId>, Failure>,
    },
    Details {
        request: RequestId,
        result: Result<Box<Details>, Failure>,
    },
    Thumbnail {
        photo: PhotoId,
        result: Result<Thumb, Failure>,
    },
    Preview {
        request: RequestId,
        photo: PhotoId,
        result: Result<Arc<RgbaImage>, Failure>,
    },
    /// Something the person should know that answers no question of theirs.
    Notice(Failure),
}

/// A ranked answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResults {
    /// Best first.
    pub hits: Vec<Hit>,
    pub cost: SearchCost,
    /// True when even the best hit scores like an unrelated picture.
    pub nothing_likely: bool,
    /// How many leading hits are likely; the rest are "less likely below".
    pub likely: usize,
}

/// One grid cell's picture.
#[derive(Clone, Debug)]
pub struct Thumb {
    pub image: Arc<RgbaImage>,
    /// File name for the label, lossy where it is not UTF-8.
    pub name: String,
    /// The accepted caption, if a person accepted or wrote one.
    pub caption: Option<String>,
}

/// One photo in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub photo: Photo,
}

/// The library in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LibraryStatus {
    pub photos: u64,
    pub missing: u64,
    pub failed: u64,
    pub folders: Vec<FolderStatus>,
    pub models: Vec<ModelStatus>,
    /// Where indexing and searching run (`cpu`, …) and, if it is not what was asked for, why.
    pub device: String,
    pub device_note: Option<DeviceNote>,
    /// The library can be read but not written (another program has it, read-only disk).
    pub read_only: bool,
}

/// One watched folder.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderStatus {
    pub id: FolderId,
    pub path: PathBuf,
    pub photos: u64,
    pub missing: u64,
    pub failed: u64,
    /// The folder itself is not there at present (an unplugged drive).
    pub offline: bool,
}

/// One pack, built in or added.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStatus {
    pub pack: String,
    pub name: String,
    pub family: String,
    pub good_at: String,
    pub active: bool,
    pub model: Option<ModelId>,
    /// Photos that have an embedding of this model.
    pub embedded: u64,
}

/// Something that could not be done, for a person: the kind picks the sentence
/// in their language, `detail` is shown behind a click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub path: Option<PathBuf>,
    pub detail: String,
    /// Files concerned, where there are several.
    pub skipped: Vec<Skipped>,
}

/// The sentences of the window's catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The query is blank.
    EmptyQuery,
    /// There are no photos yet.
    EmptyLibrary,
    /// Photos are there, but not indexed with the active model.
    NotIndexed,
    /// The model could not be loaded.
    Model,
    /// The library could not be opened, read or written.
    Library,
    /// The library was written by a newer Glimpse.
    LibraryNewer,
    /// Another program holds the library.
    LibraryLocked,
    /// The library's file does not hold together.
    LibraryDamaged,
    /// The file is something else.
    NotALibrary,
    /// The file was deleted or replaced while it was open: it must be opened anew.
    LibraryReplaced,
    /// The library can be read but not written.
    LibraryReadOnly,
    /// The library lies where files cannot be locked.
    LibraryCannotLock,
    /// No room on the disk.
    DiskFull,
    /// A folder is not there or cannot be read.
    Folder,
    /// Everything in a folder vanished at once (an empty mount point?).
    FolderEmptied,
    /// One photo cannot be shown.
    Photo,
    /// The picture that was to be searched by cannot be read.
    QueryPicture,
    /// The system offers no way to do it (no viewer, no dialog).
    System,
}
