//! Commands in, events out: the threads, queues and jobs between a front end and the library.
//!
//! ```text
//! send ──┬─ searches ──> compute thread (model, index) <── batches ──┐
//!        ├─ lists ─────> library thread (figures, changes by others)  ├── jobs thread (one run at a time,
//!        ├─ pictures ──> picture threads (thumbnails, previews)       │   with its decode threads)
//!        ├─ jobs ───────────────────────────────────────────────────> ┘
//!        ├─ questions ─> Fuse thread (its model; batches of captions between two questions)
//!        ├─ words ─────> words thread (a person's edits, undo, rewording)
//!        └─ exports ───> export thread
//!                        writer thread (the only one that writes) <── rows of all of these
//! poll <── one bounded queue of events, and a waker
//! ```
//!
//! Knows a `std::task::Waker`, never egui. Every queue is bounded; every thread has a name.

mod batch;
mod compute;
mod exports;
mod eyes;
mod failure;
mod fuse;
mod fuse_messages;
mod jobs;
mod judge;
mod ledger;
mod library;
mod messages;
mod model;
mod outbox;
mod pictures;
mod system;
mod threads;
mod writer;
mod writing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::config::{Paths, Settings};
use crate::device::DeviceRequest;
use crate::domain::CancelSource;
use crate::gpu::Precision;
use crate::media::ThumbnailCache;
use crate::models::align::AlignModel;
use crate::models::fuse::FuseModel;
use crate::store::{Reader, Store};

pub use eyes::{Eyes, embed};
pub use fuse_messages::{
    Candidate, CaptionOptions, Chosen, Closeness, ExportReport, FuseInfo, FuseStatus, MatchScores, PhotoWords, Reply,
    Reranked, RewordReport, Reworded, Writing,
};
pub use judge::{Judgement, judge};
pub use library::model_statuses;
pub use messages::{
    Command, Details, Event, Failure, FailureKind, FolderStatus, LibraryStatus, ModelStatus, Scope, SearchResults,
    Thumb,
};
pub use model::{ALIGN_FAMILY, BUILT_IN_ALIGN, BUILT_IN_FUSE, FuseLoader, ModelLoader};
pub use writing::write_one;

use batch::{BatchStart, Batches};
use compute::{Compute, Search};
use exports::{Exports, Wanted};
use fuse::{Fuse, FuseParts};
use jobs::{Board, Jobs, Request};
use ledger::{Act, Ledger, Reword};
use library::{Librarian, Look};
use outbox::Outbox;
use pictures::Pictures;
use writer::{Writer, may_pass};

/// Events that may wait for a front end that is slow to poll.
const EVENTS: usize = 4096;
/// How long a closing engine waits for its threads: a batch of the tower and a commit take less.
const CLOSING: Duration = Duration::from_secs(10);

/// Where the Align model comes from.
#[derive(Clone)]
pub enum ModelSource {
    /// The library's active pack, else the built-in one.
    Active,
    /// A pack's id, or a folder.
    Pack(String),
    /// Already in memory: tests and benches.
    Ready(Arc<dyn AlignModel>),
}

/// Where the Fuse model comes from.
#[derive(Clone, Default)]
pub enum FuseSource {
    /// The library's active pack, else the built-in one.
    #[default]
    Active,
    /// A pack's id, or a folder.
    Pack(String),
    /// Already in memory: tests and benches.
    Ready(Arc<dyn FuseModel>),
}

/// All that an engine needs to know; nothing is read from the environment.
#[derive(Clone)]
pub struct EngineConfig {
    pub paths: Paths,
    /// The library file; made if it is not there.
    pub library: PathBuf,
    pub settings: Settings,
    pub align: ModelSource,
    pub fuse: FuseSource,
    pub device: DeviceRequest,
}

/// The engine's front. Its methods never block. Dropping it cancels the jobs,
/// commits the last batch and waits a while for the threads.
pub struct Engine {
    /// `None` only while it is dropped.
    front: Option<Front>,
    events: Option<Receiver<Event>>,
    outbox: Outbox,
    board: Board,
    closing: Arc<AtomicBool>,
    /// Disconnected once the last thread has ended.
    ended: Receiver<()>,
}

/// The ways in; the threads end when these are dropped.
struct Front {
    compute: Compute,
    searches: CancelSource,
    looks: Sender<Look>,
    jobs: Sender<Request>,
    pictures: Pictures,
    fuse: Fuse,
    words: Sender<Act>,
    exports: Sender<Wanted>,
}

impl Engine {
    /// Opens the library and starts the threads. The model is loaded by its thread, so that
    /// this returns at once; the waker is called whenever an event waits.
    pub fn start(config: EngineConfig, waker: Waker) -> Result<Self, Failure> {
        let EngineConfig { paths, library, settings, align, fuse, device } = config;
        let (sender, events) = bounded(EVENTS);
        let outbox = Outbox::new(sender, waker);
        let (alive, ended) = bounded(0);
        let read_only = Arc::new(AtomicBool::new(false));
        let closing = Arc::new(AtomicBool::new(false));
        let board = Board::default();

        let store = match Store::open(&library) {
            // It can still be looked at; writing is tried again when there is something to write.
            Err(error) if may_pass(&error) && Reader::open(&library).is_ok() => {
                read_only.store(true, Ordering::Relaxed);
                outbox.notice(error);
                None
            }
            result => Some(result?),
        };
        let reader = || Reader::open(&library);
        let threads = |error: std::io::Error| Failure::new(FailureKind::System, format!("no thread: {error}"));
        let fuse_loader = FuseLoader { paths: paths.clone(), source: fuse, device };
        let loader = ModelLoader { paths: paths.clone(), source: align, device, precision: Precision::F16 };
        let writer = Writer::start(library.clone(), store, Arc::clone(&read_only), alive.clone()).map_err(threads)?;
        let fuse = Fuse::new();
        let compute = Compute::start(loader.clone(), reader()?, fuse.clone(), outbox.clone(), alive.clone());
        let compute = compute.map_err(threads)?;
        let librarian = Librarian {
            paths: paths.clone(),
            reader: reader()?,
            compute: compute.clone(),
            fuse: fuse.clone(),
            outbox: outbox.clone(),
            device,
            read_only,
        };
        let looks = librarian.start(alive.clone()).map_err(threads)?;
        let cache_bytes = u64::from(settings.thumbnail_cache_mib) << 20;
        let thumbnails = Arc::new(ThumbnailCache::with_limit(paths.thumbnails(), cache_bytes));
        let pictures = Pictures::start(&library, &thumbnails, &outbox, &alive)?;
        let ledger = Ledger { reader: reader()?, writer: writer.clone(), outbox: outbox.clone() };
        let words = ledger.start(alive.clone()).map_err(threads)?;
        let exports = Exports {
            reader: reader()?,
            writer: writer.clone(),
            outbox: outbox.clone(),
            board: board.clone(),
            closing: Arc::clone(&closing),
        };
        let exports = exports.start(alive.clone()).map_err(threads)?;
        let parts = FuseParts {
            loader: fuse_loader,
            reader: reader()?,
            writer: writer.clone(),
            compute: compute.clone(),
            thumbnails: Arc::clone(&thumbnails),
            looks: looks.clone(),
            outbox: outbox.clone(),
            batches: Batches {
                library: library.clone(),
                writer: writer.clone(),
                outbox: outbox.clone(),
                board: board.clone(),
                closing: Arc::clone(&closing),
            },
        };
        fuse.start(parts, alive.clone()).map_err(threads)?;
        let jobs = Jobs {
            paths,
            settings,
            library,
            loader,
            writer,
            compute: compute.clone(),
            fuse: fuse.clone(),
            thumbnails,
            looks: looks.clone(),
            outbox: outbox.clone(),
            board: board.clone(),
            closing: Arc::clone(&closing),
        };
        let jobs = jobs.start(alive).map_err(threads)?;
        let front = Front { compute, searches: CancelSource::default(), looks, jobs, pictures, fuse, words, exports };
        Ok(Self { front: Some(front), events: Some(events), outbox, board, closing, ended })
    }

    /// Hands a command over; false when its queue is full.
    pub fn send(&self, command: Command) -> bool {
        let Some(front) = &self.front else { return false };
        match command {
            Command::AddFolder(path) => front.jobs.try_send(Request::Add(path)).is_ok(),
            Command::RemoveFolder(folder) => front.jobs.try_send(Request::Remove(folder)).is_ok(),
            Command::TryAgain(photos) => front.jobs.try_send(Request::TryAgain(photos)).is_ok(),
            Command::Rescan(folder) => front.jobs.try_send(Request::Index(folder)).is_ok(),
            Command::UseModel(pack) => front.jobs.try_send(Request::Use(pack)).is_ok(),
            Command::ImportModel(folder) => front.jobs.try_send(Request::Import(folder)).is_ok(),
            Command::PauseJob(job) => self.tell(self.board.pause(job, true)),
            Command::ResumeJob(job) => {
                let status = self.board.pause(job, false);
                front.fuse.wake();
                self.tell(status)
            }
            Command::CancelJob(job) => {
                self.board.cancel(job);
                front.fuse.wake();
                true
            }
            Command::Search { request, query, within, limit, rerank } => {
                let token = front.searches.restart();
                front.compute.search(Search { request, query, within, limit, rerank, token })
            }
            Command::List { request, scope } => front.looks.try_send(Look::List { request, scope }).is_ok(),
            Command::Details { request, photo } => front.looks.try_send(Look::Details { request, photo }).is_ok(),
            Command::Thumbnail(photo) => {
                front.pictures.thumbnail(photo);
                true
            }
            Command::Preview { request, photo, max_side } => front.pictures.preview(request, photo, max_side),
            Command::Caption { request, photo, options } => front.fuse.caption(request, photo, options),
            Command::StopCaption => {
                front.fuse.stop_caption();
                true
            }
            Command::Ask { request, photo, question } => front.fuse.ask(request, photo, question),
            Command::Match { request, photo, text } => front.fuse.match_text(request, photo, text),
            Command::CaptionPhotos { photos, options, missing_only } => {
                front.fuse.begin(BatchStart::New { photos, options, missing_only })
            }
            Command::Export { request, options } => front.exports.try_send(Wanted { request, options }).is_ok(),
            Command::Words { request, photo } => front.write(Act::Words { request, photo }),
            Command::KeepCaption { photo, candidate, state } => front.write(Act::Keep { photo, candidate, state }),
            Command::WriteCaption { photo, lang, text } => front.write(Act::Write { photo, lang, text }),
            Command::EditCaption { caption, text } => front.write(Act::Edit { caption, text }),
            Command::SetCaptionState { caption, state } => front.write(Act::Judge { caption, state }),
            Command::RemoveCaption(caption) => front.write(Act::Remove(caption)),
            Command::RemoveAnswer(answer) => front.write(Act::RemoveAnswer(answer)),
            Command::UndoCaptions => front.write(Act::Undo),
            Command::RedoCaptions => front.write(Act::Redo),
            Command::Reword { request, photos, lang, rewording, dry_run } => {
                front.write(Act::Reword(Reword { request, photos, lang, rewording, dry_run }))
            }
            Command::OpenExternally(path) => self.try_system(system::open(&path)),
            Command::ShowInFolder(path) => self.try_system(system::show_in_folder(&path)),
        }
    }

    /// The next event, if one waits.
    pub fn poll(&self) -> Option<Event> {
        self.events.as_ref()?.try_recv().ok()
    }

    /// Puts a job's new status among the events. Never waits: the caller is the one who polls.
    fn tell(&self, status: Option<crate::domain::JobStatus>) -> bool {
        if let Some(status) = status {
            self.outbox.offer(Event::Job(status));
        }
        true
    }

    fn try_system(&self, result: Result<(), Failure>) -> bool {
        if let Err(failure) = result {
            self.outbox.offer(Event::Notice(failure));
        }
        true
    }
}

impl Front {
    fn write(&self, act: Act) -> bool {
        self.words.try_send(act).is_ok()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.fuse.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.board.cancel_all();
        // No more questions; and threads that wait to be heard find nobody listening.
        drop((self.front.take(), self.events.take()));
        if self.ended.recv_timeout(CLOSING) == Err(RecvTimeoutError::Timeout) {
            log::warn!("closing although a thread is still busy");
        }
    }
}
