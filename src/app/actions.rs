//! What a panel wants done. Panels only read; [`super::apply`] is the one place that acts.

use std::path::PathBuf;

use egui::Vec2;

use crate::config::Theme;
use crate::domain::{FolderId, JobId, PhotoId};
use crate::engine::Scope;

use super::commands::UserCommand;
use super::i18n::Lang;
use super::runtime::{Overlay, ScrollTo};
use super::services::PickKind;
use super::words::WordsAction;

/// A wish of the person's, without effect until it is applied.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum UiAction {
    Run(UserCommand),

    // Search
    /// The text in the search field, and whether an input method is still composing it.
    Typed {
        text: String,
        composing: bool,
    },
    /// Enter: do not wait for a pause in the typing.
    SearchNow,
    ClearSearch,
    ShowScope(Scope),
    /// The same question, to all photos.
    Widen,
    SearchByPicture(PathBuf),
    FindSimilar(PhotoId),

    // Grid
    /// What the grid painted, so that its thumbnails can be fetched and its place kept.
    GridSeen {
        first: usize,
        last: usize,
        columns: usize,
        rows_a_page: usize,
        offset: f32,
        place: Option<(PhotoId, f32)>,
        /// Where it was told to go, and went.
        went: Option<ScrollTo>,
    },
    Select(PhotoId),
    Toggle(PhotoId),
    SelectTo(PhotoId),
    BandStart {
        add: bool,
    },
    Band(Vec<PhotoId>),
    SelectNone,
    Step {
        by: isize,
        extend: bool,
    },
    View(PhotoId),

    // Viewer
    ViewStep(isize),
    CloseViewer,
    /// Times the present zoom, around a point given from the picture's middle in points.
    Zoom {
        by: f32,
        around: Vec2,
    },
    Pan(Vec2),
    ZoomFit,

    // Photos
    Open(PathBuf),
    Reveal(PathBuf),
    Copy(String),
    CopyPicture(PhotoId),
    TryAgain(Vec<PhotoId>),
    /// These rows of the failed list are on the screen.
    NeedDetails(Vec<PhotoId>),

    /// Captions, answers, matches; batches, exports.
    Words(WordsAction),

    // Folders and jobs
    AddFolder(PathBuf),
    AddSamples,
    RemoveFolder(FolderId),
    RescanFolder(FolderId),
    PauseJob(JobId),
    ResumeJob(JobId),
    CancelJob(JobId),
    DismissJob(JobId),
    UseModel(String),

    // Window
    /// Opens the library again.
    Reopen,
    Show(Overlay),
    /// A sheet about many photos, set to those that are most likely meant.
    OpenForm(Overlay),
    CloseOverlay,
    OverlayText(String),
    /// A path was typed by hand.
    PathTyped {
        kind: PickKind,
        text: String,
    },
    /// The sheet was painted once and its field has the cursor.
    OverlayShown,
    /// The search field has the cursor.
    SearchFocused,
    Dismiss(u64),
    ToggleNoticeDetails(u64),
    SetTheme(Theme),
    SetLanguage(Option<Lang>),
    SetThumbnailSize(f32),
    SetReducedMotion(bool),
    SetServiceFolders(bool),
}

impl From<WordsAction> for UiAction {
    fn from(action: WordsAction) -> Self {
        Self::Words(action)
    }
}
