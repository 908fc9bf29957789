//! Jobs: one at a time on a thread of its own, each with a status and a handle to steer it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::{Paths, Settings};
use crate::domain::{FileStamp, FolderId, JobId, JobKind, JobState, JobStatus, PhotoId, Progress};
use crate::indexing::{self, IndexError, JobControl, Observer, Report, Root, Run};
use crate::media::ThumbnailCache;
use crate::media::walk::WalkOptions;
use crate::models::align::AlignModel;
use crate::models::fuse::FAMILY as FUSE_FAMILY;
use crate::store::{Change, ModelRow, Reader, StoreError};

use super::compute::Compute;
use super::fuse::Fuse;
use super::library::{Look, roots};
use super::model::{ALIGN_FAMILY, ModelLoader};
use super::outbox::Outbox;
use super::threads;
use super::writer::{PatientLibrary, Writer};
use super::{Event, Failure, FailureKind};

/// Jobs that may wait.
const QUEUE: usize = 64;

/// Work for the jobs thread.
pub(super) enum Request {
    /// Watch the folder, then index it.
    Add(PathBuf),
    /// Index a folder, or all.
    Index(Option<FolderId>),
    /// Index all, these failed files as if they had changed.
    TryAgain(Vec<PhotoId>),
    Remove(FolderId),
    /// Index everything with this pack, then search with it.
    Use(String),
    /// Check a model folder and keep it as a pack.
    Import(PathBuf),
}

/// The jobs that are at work, as others may steer them.
#[derive(Clone, Default)]
pub(super) struct Board {
    jobs: Arc<Mutex<Vec<Job>>>,
    last: Arc<AtomicU64>,
}

/// A job's status, and the handle that steers it.
type Job = (JobStatus, Arc<JobControl>);

impl Board {
    /// Holds the job or lets it go on; the changed status is for the window.
    pub fn pause(&self, job: JobId, paused: bool) -> Option<JobStatus> {
        self.steer(job, |status, control| {
            control.pause(paused);
            status.state = if paused { JobState::Paused } else { JobState::Running };
        })
    }

    /// Asks the job to end; its thread says when it has.
    pub fn cancel(&self, job: JobId) {
        self.steer(job, |_, control| control.cancel());
    }

    /// Ends whatever runs.
    pub fn cancel_all(&self) {
        for (_, control) in self.jobs().iter() {
            control.cancel();
        }
    }

    /// An id that no job had.
    pub fn fresh(&self) -> JobId {
        JobId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A job begins; the handle that steers it.
    pub fn add(&self, status: JobStatus) -> Arc<JobControl> {
        let control = Arc::new(JobControl::new());
        self.jobs().push((status, Arc::clone(&control)));
        control
    }

    /// A job has ended: how it stood last.
    pub fn remove(&self, job: JobId) -> Option<JobStatus> {
        let mut jobs = self.jobs();
        let at = jobs.iter().position(|(status, _)| status.id == job)?;
        Some(jobs.remove(at).0)
    }

    fn steer(&self, job: JobId, act: impl FnOnce(&mut JobStatus, &JobControl)) -> Option<JobStatus> {
        let mut jobs = self.jobs();
        let (status, control) = jobs.iter_mut().find(|(status, _)| status.id == job)?;
        act(status, control);
        Some(status.clone())
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the jobs thread needs.
pub(super) struct Jobs {
    pub paths: Paths,
    pub settings: Settings,
    pub library: PathBuf,
    pub loader: ModelLoader,
    pub writer: Writer,
    pub compute: Compute,
    pub fuse: Fuse,
    pub thumbnails: Arc<ThumbnailCache>,
    pub looks: Sender<Look>,
    pub outbox: Outbox,
    pub board: Board,
    /// Set when the program closes: queued jobs are not begun any more.
    pub closing: Arc<AtomicBool>,
}

impl Jobs {
    /// Starts the thread; it ends with the last sender.
    pub fn start(self, alive: Sender<()>) -> std::io::Result<Sender<Request>> {
        let (requests, incoming) = bounded(QUEUE);
        threads::begin("jobs", alive, move || self.run(&incoming))?;
        Ok(requests)
    }

    fn run(&self, requests: &Receiver<Request>) {
        let resumed = self.broken_off().then_some(Request::Index(None));
        for request in resumed.into_iter().chain(requests) {
            if self.closing.load(Ordering::Relaxed) {
                return;
            }
            if let Err(failure) = self.perform(request, self.board.fresh()) {
                self.outbox.notice(failure);
            }
        }
    }

    /// Whether an indexing run never came to its end: a crash, a power cut. Asked once; what is resumed is noted as ended.
    fn broken_off(&self) -> bool {
        let noted = Reader::open(&self.library).and_then(|reader| reader.unfinished_jobs());
        let mut jobs = noted.unwrap_or_default();
        // Batches are the Fuse thread's.
        jobs.retain(|job| job.task.is_none());
        for job in &jobs {
            let id = job.id;
            if let Err(error) = self.writer.with(move |store| store.job_finished(id, "broken off")) {
                log::debug!("a broken-off run could not be noted: {error}");
            }
        }
        !jobs.is_empty()
    }

    fn perform(&self, request: Request, id: JobId) -> Result<(), Failure> {
        match request {
            Request::Add(path) => {
                if !path.is_dir() {
                    return Err(Failure::new(FailureKind::Folder, "there is no such folder").at(path));
                }
                let path = path.canonicalize().unwrap_or(path);
                let added = path.clone();
                let folder = self.writer.with(move |store| store.add_folder(&added))?;
                self.index(id, Some(folder), self.compute.model()?).map(drop)
            }
            Request::Index(folder) => self.index(id, folder, self.compute.model()?).map(drop),
            Request::TryAgain(photos) => {
                // A stamp that no file has: the next look takes each for changed.
                let stamp = FileStamp { size_bytes: 0, modified_ns: 0, changed_ns: 0, inode: 0 };
                let changes: Vec<Change> = photos.into_iter().map(|photo| Change::Touched { photo, stamp }).collect();
                self.writer.with(move |store| store.apply(&changes).map(drop))?;
                self.index(id, None, self.compute.model()?).map(drop)
            }
            Request::Remove(folder) => Ok(self.writer.with(move |store| store.remove_folder(folder).map(drop))?),
            Request::Import(folder) => {
                let pack = self.loader.import(&folder)?;
                log::info!("imported as {pack}");
                // A library thread that is gone has nobody to tell.
                let _ = self.looks.send(Look::Status);
                Ok(())
            }
            Request::Use(pack) if self.loader.family(&pack)? == FUSE_FAMILY => {
                self.writer.with(move |store| store.set_active_model(FUSE_FAMILY, &pack))?;
                self.fuse.reload();
                Ok(())
            }
            Request::Use(pack) => {
                let model = self.loader.load_pack(&pack)?;
                if self.index(id, None, Arc::clone(&model))? {
                    self.writer.with(move |store| store.set_active_model(ALIGN_FAMILY, &pack).map(drop))?;
                    self.compute.use_model(model);
                    self.outbox.send(Event::PhotosChanged);
                }
                Ok(())
            }
        }
    }

    /// One indexing run as a job; true if it went through to the end.
    fn index(&self, id: JobId, only: Option<FolderId>, model: Arc<dyn AlignModel>) -> Result<bool, Failure> {
        let reader = Reader::open(&self.library)?;
        let mut chosen: Vec<Root> = roots(&reader)?.into_iter().map(|(folder, path)| Root { folder, path }).collect();
        chosen.retain(|root| only.is_none_or(|only| root.folder == only));
        chosen.sort_by(|a, b| a.path.cmp(&b.path));
        let kind = match chosen.as_slice() {
            [] => return Ok(true),
            [one] => {
                JobKind::Index(one.path.file_name().unwrap_or(one.path.as_os_str()).to_string_lossy().into_owned())
            }
            several => JobKind::IndexAll(several.len()),
        };
        let status = JobStatus { id, kind, state: JobState::Running, progress: Progress::default() };
        let control = self.board.add(status.clone());
        self.outbox.send(Event::Job(status.clone()));
        // A job that began while the program closes has missed its call to end.
        if self.closing.load(Ordering::Relaxed) {
            control.cancel();
        }
        let result = self.run_index(&chosen, model, &reader, &control, &status);
        let mut status = self.board.remove(id).unwrap_or(status);
        let went_through = matches!(&result, Ok(report) if !report.cancelled);
        status.state = match &result {
            Ok(report) if report.cancelled => JobState::Cancelled,
            Ok(_) => JobState::Done,
            Err(_) if control.token().is_cancelled() => JobState::Cancelled,
            Err(error) => JobState::Failed(error.to_string()),
        };
        if let Ok(report) = &result {
            status.progress.failed = report.skipped.len() as u64;
        }
        let failed = status.state == JobState::Cancelled;
        self.outbox.send(Event::Job(status));
        match result {
            Ok(report) => {
                for problem in &report.problems {
                    self.outbox.notice(problem);
                }
            }
            Err(_) if failed => {}
            Err(error) => return Err(error.into()),
        }
        Ok(went_through)
    }

    fn run_index(
        &self,
        roots: &[Root],
        model: Arc<dyn AlignModel>,
        reader: &Reader,
        control: &JobControl,
        status: &JobStatus,
    ) -> Result<Report, IndexError> {
        let row = ModelRow::from(model.spec());
        let model_id = self.writer.with(move |store| {
            let model = store.model(&row)?;
            store.drop_damaged_embeddings(model)?;
            Ok(model)
        })?;
        let what = match &status.kind {
            JobKind::Index(name) => name.clone(),
            _ => format!("{} folders", roots.len()),
        };
        let noted = self.writer.with(move |store| store.job_started(&what))?;
        let mut trouble = |error: Option<&StoreError>| match error {
            Some(error) => self.outbox.notice(error),
            None => log::info!("the library can be written again"),
        };
        let wait = |pause: Duration| {
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if control.token().is_cancelled() {
                    return false;
                }
                thread::sleep(Duration::from_millis(50));
            }
            true
        };
        let mut library = PatientLibrary { writer: self.writer.clone(), trouble: &mut trouble, wait: &wait };
        let mut observer = Telltale::new(&self.outbox, &self.board, status.id);
        let run = Run {
            roots,
            model: model.as_ref(),
            model_id,
            walk: &WalkOptions {
                include_service_folders: self.settings.include_service_folders,
                exclude: vec![self.paths.data.clone(), self.paths.cache.clone()],
            },
            thumbnails: &self.thumbnails,
            control,
            decode_threads: 0,
        };
        let mut encoder = self.compute.encoder(Arc::clone(&model));
        let result = run.run(reader, &mut encoder, &mut library, &mut observer);
        let outcome = indexing::outcome(&result);
        // Of no weight beside the run's own result.
        if let Err(error) = self.writer.with(move |store| store.job_finished(noted, &outcome)) {
            log::debug!("the end of the run was not noted: {error}");
        }
        result
    }
}

/// Puts progress on the board and, now and then, into the window.
pub(super) struct Telltale {
    outbox: Outbox,
    board: Board,
    id: JobId,
    last: Option<Instant>,
}

impl Telltale {
    const EVERY: Duration = Duration::from_millis(150);

    pub fn new(outbox: &Outbox, board: &Board, id: JobId) -> Self {
        Self { outbox: outbox.clone(), board: board.clone(), id, last: None }
    }
}

impl Observer for Telltale {
    fn progress(&mut self, progress: Progress) {
        let status = self.board.steer(self.id, |status, _| status.progress = progress);
        let finished = progress.total == Some(progress.done);
        if let Some(status) = status
            && (finished || self.last.is_none_or(|last| last.elapsed() >= Self::EVERY))
        {
            self.last = Some(Instant::now());
            self.outbox.offer(Event::Job(status));
        }
    }
}
