//! What the window knows at present; none of it is saved.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use egui::Vec2;

use crate::domain::{FolderId, JobState, JobStatus, PhotoId, RequestId};
use crate::engine::{Command, Details, Failure, FuseInfo, FuseStatus, LibraryStatus};
use crate::store::CaptionAct;

use super::pictures::Pictures;
use super::remote::Remote;
use super::selection::Selection;
use super::services::PickKind;
use super::shown::{Asked, Shown};
use super::thumbs::Thumbs;
use super::tokens::time;
use super::words::Words;

/// A sheet over the window; one at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    Settings,
    Help,
    /// Every command by name, with what was typed.
    Palette {
        typed: String,
    },
    /// A path typed by hand, since there is no dialog (or it does not answer).
    TypePath {
        kind: PickKind,
        typed: String,
        dialog_is_open: bool,
    },
    /// Captions for many photos.
    Batch,
    /// A change to many captions.
    Reword,
    Export,
    /// Asks once before a folder is forgotten.
    RemoveFolder(FolderId),
}

/// News that answers no question.
#[derive(Clone, Debug)]
pub struct Notice {
    pub id: u64,
    pub kind: NoticeKind,
    /// Goes by itself then; `None` stays until it is dismissed.
    pub until: Option<f64>,
    pub details_open: bool,
}

/// What the news is.
#[derive(Clone, Debug)]
pub enum NoticeKind {
    Failure(Failure),
    Copied,
    /// Something done to captions was taken back, or done again.
    Step {
        redone: bool,
        act: CaptionAct,
        captions: usize,
    },
    /// There was nothing to take back, or to do again.
    NoStep {
        redone: bool,
    },
    /// So many captions were changed at once.
    Reworded(usize),
    /// The system has no dialog, or one that is open and does not answer.
    NoDialog,
}

/// A job and when its end, if it has ended, leaves the status bar.
#[derive(Clone, Debug)]
pub struct JobView {
    pub status: JobStatus,
    pub until: Option<f64>,
}

/// The search field.
#[derive(Clone, Debug, Default)]
pub struct SearchBox {
    pub text: String,
    /// An input method is composing: what stands in the field is not yet what is meant.
    pub composing: bool,
    /// When the search is due, once the typing pauses.
    pub due: Option<f64>,
    /// The cursor goes there in the next frame.
    pub take_focus: bool,
}

/// The large view of one photo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewer {
    pub photo: PhotoId,
    /// 1 fits the window.
    pub zoom: f32,
    /// Where the picture's middle is, from the window's, in points.
    pub pan: Vec2,
}

/// The grid's place.
#[derive(Clone, Copy, Debug, Default)]
pub struct GridView {
    pub columns: usize,
    pub rows_a_page: usize,
    pub offset: f32,
    /// A photo on the screen and how far its row is from the top, to keep the place when the list grows.
    pub place: Option<(PhotoId, f32)>,
    /// Go there in the next frame.
    pub scroll_to: Option<ScrollTo>,
}

/// Where the grid goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScrollTo {
    Top,
    /// So far that this place can be seen.
    Show(usize),
    /// So that this place stands that far from the top.
    Keep(usize, f32),
}

/// All that is known and not saved.
pub struct Runtime {
    /// The library could not be opened at all.
    pub fatal: Option<Failure>,
    /// It is being opened.
    pub opening: bool,
    /// `None` until the engine has said so for the first time.
    pub library: Option<LibraryStatus>,
    pub jobs: Vec<JobView>,
    pub search: SearchBox,
    pub asked: Asked,
    pub shown: Remote<Shown, Failure>,
    /// The request whose answer is awaited; all others come too late.
    pub awaited: Option<RequestId>,
    /// The search whose best hits are being judged.
    pub judging: Option<RequestId>,
    /// Why the hits on show could not be judged.
    pub judge_failed: Option<Failure>,
    /// A newer answer to the question on show, which waits to be judged as that was.
    pub unjudged: Option<Shown>,
    /// The list in `shown` answers this.
    pub shown_for: Option<Asked>,
    /// When a list that may be stale is asked for anew.
    pub refresh: Option<f64>,
    pub grid: GridView,
    pub selection: Selection,
    pub thumbs: Thumbs,
    pub pictures: Pictures,
    pub details: HashMap<PhotoId, Remote<Details, Failure>>,
    pub detail_requests: HashMap<RequestId, PhotoId>,
    /// The photo whose picture goes to the clipboard as soon as it is there.
    pub copying: Option<PhotoId>,
    pub viewer: Option<Viewer>,
    pub overlay: Option<Overlay>,
    /// The sheet was opened in this frame: its field takes the cursor.
    pub overlay_is_new: bool,
    pub notices: Vec<Notice>,
    /// Files hover over the window.
    pub drop_hover: bool,
    /// Commands that the engine's queue had no room for.
    pub outbox: VecDeque<Command>,
    pub samples: Option<PathBuf>,
    pub words: Words,
    next: u64,
}

impl Runtime {
    /// Nothing known yet.
    pub fn new(asked: Asked, text: String) -> Self {
        Self {
            fatal: None,
            opening: false,
            library: None,
            jobs: Vec::new(),
            search: SearchBox { text, ..SearchBox::default() },
            asked,
            shown: Remote::Idle,
            awaited: None,
            judging: None,
            judge_failed: None,
            unjudged: None,
            shown_for: None,
            refresh: None,
            grid: GridView::default(),
            selection: Selection::default(),
            thumbs: Thumbs::default(),
            pictures: Pictures::default(),
            details: HashMap::new(),
            detail_requests: HashMap::new(),
            copying: None,
            viewer: None,
            overlay: None,
            overlay_is_new: false,
            notices: Vec::new(),
            drop_hover: false,
            outbox: VecDeque::new(),
            samples: None,
            words: Words::default(),
            next: 0,
        }
    }

    /// Forgets all that came from the library, which is opened anew. What was typed stays.
    pub fn start_over(&mut self) {
        let (asked, search) = (self.asked.clone(), std::mem::take(&mut self.search));
        let (outbox, samples) = (std::mem::take(&mut self.outbox), self.samples.take());
        let words = Words::with(std::mem::take(&mut self.words.typing));
        *self = Self { search, outbox, samples, words, next: self.next, ..Self::new(asked, String::new()) };
    }

    /// A number never used before.
    pub fn fresh_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The photos of the grid, in order.
    pub fn ids(&self) -> &[PhotoId] {
        self.shown.value().map_or(&[], |shown| &shown.ids)
    }

    /// True when the library holds no folder: the first start.
    pub fn is_first_start(&self) -> bool {
        self.fatal.is_none() && self.library.as_ref().is_some_and(|library| library.folders.is_empty())
    }

    /// The model that captions, answers and judges, or why there is none; `None` while nobody knows.
    pub fn fuse(&self) -> Option<Result<&FuseInfo, &Failure>> {
        match &self.library.as_ref()?.fuse {
            FuseStatus::Unknown => None,
            FuseStatus::Absent(failure) => Some(Err(failure)),
            FuseStatus::AtHand(info) => Some(Ok(info)),
        }
    }

    /// Hits of a search can be judged, as far as is known.
    pub fn can_judge(&self) -> bool {
        self.fuse().is_none_or(|fuse| fuse.is_ok_and(|info| info.abilities.is_none_or(|able| able.matching)))
    }

    /// What is known of the photo that the inspector shows.
    pub fn lead_details(&self) -> Option<&Details> {
        self.details.get(&self.selection.lead()?)?.value()
    }

    /// The file of a photo, where it is known.
    pub fn path_of(&self, photo: PhotoId) -> Option<PathBuf> {
        Some(self.details.get(&photo)?.value()?.photo.path.clone())
    }

    /// The job that keys and buttons without another target mean.
    pub fn current_job(&self) -> Option<&JobStatus> {
        let active = |job: &&JobView| matches!(job.status.state, JobState::Running | JobState::Paused);
        self.jobs.iter().rev().find(active).map(|job| &job.status)
    }

    /// A job moved on.
    pub fn job_moved(&mut self, status: JobStatus, now: f64) {
        let until = match status.state {
            JobState::Running | JobState::Paused | JobState::Failed(_) => None,
            JobState::Done | JobState::Cancelled => Some(now + time::NEWS),
        };
        match self.jobs.iter_mut().find(|job| job.status.id == status.id) {
            Some(job) => *job = JobView { status, until },
            None => self.jobs.push(JobView { status, until }),
        }
    }

    /// Tells the person something.
    pub fn notify(&mut self, kind: NoticeKind, now: f64) {
        if let NoticeKind::Failure(new) = &kind {
            // The same news twice is one piece of news.
            let same =
                |old: &Notice| matches!(&old.kind, NoticeKind::Failure(f) if f.kind == new.kind && f.path == new.path);
            self.notices.retain(|old| !same(old));
        }
        let until = match &kind {
            NoticeKind::Failure(_) => None,
            NoticeKind::Copied | NoticeKind::NoStep { .. } => Some(now + time::NEWS / 3.0),
            NoticeKind::Step { .. } | NoticeKind::Reworded(_) | NoticeKind::NoDialog => Some(now + time::NEWS),
        };
        if !matches!(kind, NoticeKind::Failure(_)) {
            // One word of news at a time: what is older is known by now.
            self.notices.retain(|old| matches!(old.kind, NoticeKind::Failure(_)));
        }
        let id = self.fresh_id();
        self.notices.push(Notice { id, kind, until, details_open: false });
    }

    /// Drops news and finished jobs whose time is over; gives when the next one's is.
    pub fn expire(&mut self, now: f64) -> Option<f64> {
        self.notices.retain(|notice| notice.until.is_none_or(|until| until > now));
        self.jobs.retain(|job| job.until.is_none_or(|until| until > now));
        let notices = self.notices.iter().filter_map(|notice| notice.until);
        let jobs = self.jobs.iter().filter_map(|job| job.until);
        notices.chain(jobs).min_by(f64::total_cmp)
    }
}
