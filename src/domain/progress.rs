//! How far a job is.

use super::JobId;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Indexing one folder, by its name.
    Index(String),
    /// Indexing so many folders.
    IndexAll(usize),
    /// Captioning so many photos.
    Caption(u64),
    /// Writing captions into files.
    Export,
    /// Looking what an export would write.
    ExportPreview,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    Running,
    Paused,
    Cancelled,
    /// Done; single files may have failed (see the counts).
    Done,
    /// Could not go on: a sentence for a person.
    Failed(String),
}

/// Counts of a running job. `total` is `None` until it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    pub failed: u64,
    /// Items a second, smoothed.
    pub per_second: f32,
    pub secs_left: Option<f32>,
}

/// A job as the status bar shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    pub id: JobId,
    pub kind: JobKind,
    pub state: JobState,
    pub progress: Progress,
}
