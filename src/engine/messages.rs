//! Commands into the engine, events out of it. Plain data: no channels, no egui.
//!
//! A command that asks for something carries a [`RequestId`]; its answer carries
//! the same one back, so that the window can drop a late answer to an old question.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbaImage;

use crate::device::DeviceNote;
use crate::domain::{
    AnswerId, CaptionId, CaptionState, FolderId, Hit, JobId, JobStatus, ModelId, Photo, PhotoId, Query, RequestId,
    Rewording, SearchCost, Skipped,
};
use crate::export;
use crate::store::{CaptionStep, CaptionSteps};

use super::fuse_messages::{
    Candidate, CaptionOptions, Chosen, ExportReport, FuseStatus, MatchScores, PhotoWords, Reply, Reranked, RewordReport,
};

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
    /// cancels an older one. With `rerank`, [`Event::SearchDone`] comes as without; the Fuse
    /// model then judges the best so many, and [`Event::Reranked`] brings the new order.
    Search {
        request: RequestId,
        query: Query,
        within: Option<FolderId>,
        limit: usize,
        rerank: Option<usize>,
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
    /// Describe a photo; nothing is kept. [`Event::CaptionGrew`] while it is written. A newer
    /// one ends an older one.
    Caption {
        request: RequestId,
        photo: PhotoId,
        options: CaptionOptions,
    },
    /// Ends the caption that is being written; what there is of it is its answer.
    StopCaption,
    /// Ask something about a photo. Question and answers are kept in the library.
    Ask {
        request: RequestId,
        photo: PhotoId,
        question: String,
    },
    /// How well a sentence describes a photo, by both families. Of several only the newest is answered.
    Match {
        request: RequestId,
        photo: PhotoId,
        text: String,
    },
    /// All captions and answers of a photo.
    Words {
        request: RequestId,
        photo: PhotoId,
    },
    /// Keep what a model offered, as a draft or accepted.
    KeepCaption {
        photo: PhotoId,
        candidate: Box<Candidate>,
        state: CaptionState,
    },
    /// A person's own words about a photo, beside those that it has.
    WriteCaption {
        photo: PhotoId,
        lang: String,
        text: String,
    },
    /// A new text for a caption, by a person, who stands behind it.
    EditCaption {
        caption: CaptionId,
        text: String,
    },
    /// Accept a draft, or take that back.
    SetCaptionState {
        caption: CaptionId,
        state: CaptionState,
    },
    RemoveCaption(CaptionId),
    /// Take back the newest change to captions; answered with [`Event::StepReversed`].
    UndoCaptions,
    RedoCaptions,
    /// Remove a question with its answers from the library.
    RemoveAnswer(AnswerId),
    /// Write drafts for many photos: a job that can be paused and cancelled, goes on after a
    /// crash, and is undone as one. [`Event::BatchCaption`] for each photo.
    CaptionPhotos {
        photos: Chosen,
        options: CaptionOptions,
        /// Only photos that have no caption in that language.
        missing_only: bool,
    },
    /// Change the texts of many captions as one step; a dry run says what it would be.
    Reword {
        request: RequestId,
        photos: Chosen,
        /// Captions of this language alone; `zh` stands for `zh-CN` too.
        lang: Option<String>,
        rewording: Rewording,
        dry_run: bool,
    },
    /// Write captions into files: a job. A dry run says what it would write.
    Export {
        request: RequestId,
        options: export::Options,
    },
    /// Make this pack the active one of its family; for an Align model, index in the
    /// background what it lacks.
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
    /// Photos without any caption.
    WithoutCaption,
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
    /// The best hits of a search in the Fuse model's order; an error leaves the hits of
    /// [`Event::SearchDone`] as they are.
    Reranked {
        request: RequestId,
        result: Result<Reranked, Failure>,
    },
    /// A caption as it stands; may be left out while much else happens.
    CaptionGrew {
        request: RequestId,
        /// Which of the sentences asked for, from 0.
        candidate: usize,
        text: String,
    },
    /// The sentences, best first; fewer than asked for where it was stopped or the model
    /// has no more to say.
    CaptionDone {
        request: RequestId,
        photo: PhotoId,
        result: Result<Vec<Candidate>, Failure>,
    },
    AskDone {
        request: RequestId,
        photo: PhotoId,
        result: Result<Reply, Failure>,
    },
    MatchDone {
        request: RequestId,
        photo: PhotoId,
        result: Result<MatchScores, Failure>,
    },
    Words {
        request: RequestId,
        photo: PhotoId,
        result: Result<Box<PhotoWords>, Failure>,
    },
    /// Captions or answers of these photos changed; `None`: of any.
    WordsChanged(Option<Vec<PhotoId>>),
    /// What the next undo and redo would be about; sent at start and whenever it changes.
    Steps(CaptionSteps),
    /// An undo or redo; `None`: there was nothing.
    StepReversed {
        redone: bool,
        step: Option<CaptionStep>,
    },
    /// A batch came past a photo: its new draft, or why there is none.
    BatchCaption {
        job: JobId,
        photo: PhotoId,
        result: Result<String, Failure>,
    },
    RewordDone {
        request: RequestId,
        result: Result<RewordReport, Failure>,
    },
    ExportDone {
        request: RequestId,
        result: Result<ExportReport, Failure>,
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
    /// Present photos without any caption.
    pub without_caption: u64,
    pub folders: Vec<FolderStatus>,
    pub models: Vec<ModelStatus>,
    pub fuse: FuseStatus,
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
    /// There is no model at hand that captions, answers and matches.
    NoFuseModel,
    /// The Fuse model cannot do this, or not in this language.
    Unable,
    /// The captions could not be exported.
    Export,
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
