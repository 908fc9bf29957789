//! Keeping the library true to the disk: survey the folders, plan, then run the pipeline.
//!
//! [`run`] is one indexing run from start to end, on the calling thread and a few of its
//! own. Must not know the window; photos are only ever read.

mod control;
mod pipeline;
mod plan;
mod rate;
mod survey;
mod words;

use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

use crate::domain::{ModelId, Progress, Skipped};
use crate::media::ThumbnailCache;
use crate::media::walk::WalkOptions;
use crate::models::ModelError;
use crate::models::align::AlignModel;
use crate::store::{Change, Reader, Store, StoreError};

pub use control::JobControl;
pub use pipeline::{BATCH, Encoder, StageTimes};
pub use plan::Root;
pub use rate::RateMeter;

use pipeline::Pipeline;

/// Where rows go. The engine puts its writer thread, and patience with a full disk, in between.
pub trait Library: Send {
    /// Writes the changes in one transaction.
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StoreError>;
}

impl Library for Store {
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        Self::apply(self, &changes).map(drop)
    }
}

/// What ends a run. Single files never do: they are in the [`Report`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// A folder that could not be looked through as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootProblem {
    /// It is not there: its photos stay as they are.
    Offline(PathBuf),
    /// Nothing of that name was ever a folder of the library, and nothing is there.
    NoFolder(PathBuf),
    /// It is there but cannot be read.
    Unreadable(Skipped),
    /// It is there and empty, where there were photos before: an unmounted drive? Its photos stay as they are.
    Emptied { path: PathBuf, photos: u64 },
}

impl RootProblem {
    /// The folder.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Offline(path) | Self::NoFolder(path) | Self::Emptied { path, .. } => path,
            Self::Unreadable(skipped) => &skipped.path,
        }
    }
}

impl std::fmt::Display for RootProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offline(path) => {
                write!(f, "this folder is not there, its photos stay in the library as they are: {}", path.display())
            }
            Self::NoFolder(path) => write!(f, "there is no such folder: {}", path.display()),
            Self::Unreadable(skipped) => {
                write!(f, "this folder cannot be read: {}: {}", skipped.detail, skipped.path.display())
            }
            Self::Emptied { path, photos } => write!(
                f,
                "all {photos} photos of this folder vanished at once (is a drive not mounted?), they stay in the \
                 library as they are; if they are gone for good, remove the folder: {}",
                path.display()
            ),
        }
    }
}

/// What a run works with.
pub struct Run<'a> {
    pub roots: &'a [Root],
    pub model: &'a dyn AlignModel,
    pub model_id: ModelId,
    pub walk: &'a WalkOptions,
    pub thumbnails: &'a ThumbnailCache,
    pub control: &'a JobControl,
    /// Threads that read and decode; 0 stands for as many as there are cores.
    pub decode_threads: usize,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Report {
    /// Photos that got an embedding in this run.
    pub indexed: u64,
    pub unchanged: u64,
    pub moved: u64,
    /// Photos of these folders that were not found, now or at an earlier run.
    pub missing: u64,
    /// Files that cannot be taken in, with those found bad at an earlier run and unchanged since.
    pub skipped: Vec<Skipped>,
    /// Service folders (recycle bins and the like) that were not entered.
    pub left_out: Vec<PathBuf>,
    pub problems: Vec<RootProblem>,
    pub cancelled: bool,
    pub stages: StageTimes,
    /// Wall time of the whole run and of its look at the disk.
    pub secs: f32,
    pub survey_secs: f32,
}

/// How a run ended, for the library's list of jobs: `done`, `cancelled`, or why not.
pub fn outcome(result: &Result<Report, IndexError>) -> String {
    match result {
        Ok(report) if report.cancelled => "cancelled".to_owned(),
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Sees a run as it goes. Called from the run's own threads.
pub trait Observer: Send {
    /// Photos done of those that need work; at most a few times a second.
    fn progress(&mut self, progress: Progress);
    /// A batch was committed: searches may find more.
    fn committed(&mut self) {}
}

impl Run<'_> {
    /// Brings the library up to date with the roots.
    pub fn run(
        &self,
        reader: &Reader,
        encoder: &mut dyn Encoder,
        library: &mut dyn Library,
        observer: &mut dyn Observer,
    ) -> Result<Report, IndexError> {
        let started = Instant::now();
        observer.progress(Progress::default());
        let survey = survey::survey(self, reader)?;
        let mut report = Report {
            unchanged: survey.plan.unchanged,
            moved: survey.plan.moved,
            missing: survey.plan.missing,
            skipped: survey.skipped,
            left_out: survey.left_out,
            problems: survey.problems,
            survey_secs: started.elapsed().as_secs_f32(),
            ..Report::default()
        };
        if self.control.token().is_cancelled() {
            return Ok(Report { cancelled: true, secs: started.elapsed().as_secs_f32(), ..report });
        }
        if !survey.plan.changes.is_empty() {
            library.apply(survey.plan.changes)?;
            observer.committed();
        }
        let total = survey.plan.tasks.len() as u64;
        if total > 0 {
            let (mut done, mut failed) = (0, 0);
            let mut meter = RateMeter::new(Instant::now());
            let skipped_list = &mut report.skipped;
            let mut committed = |photos: u64, skipped: Vec<Skipped>| {
                done += photos;
                failed += skipped.len() as u64;
                skipped_list.extend(skipped);
                observer.committed();
                observer.progress(meter.progress(done, Some(total), failed, Instant::now()));
            };
            let pipeline = Pipeline {
                model: self.model,
                model_id: self.model_id,
                thumbnails: self.thumbnails,
                control: self.control,
                decode_threads: match self.decode_threads {
                    0 => std::thread::available_parallelism().map_or(2, usize::from),
                    given => given,
                },
            };
            let outcome = pipeline.run(&survey.plan.tasks, encoder, library, &mut committed)?;
            report.indexed = outcome.indexed;
            report.stages = outcome.stages;
        }
        let walked: Vec<_> = self.roots.iter().map(|root| root.folder).collect();
        words::take_in(&walked, reader, library, self.control.token())?;
        report.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        report.cancelled = self.control.token().is_cancelled();
        report.secs = started.elapsed().as_secs_f32();
        Ok(report)
    }
}
