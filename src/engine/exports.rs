//! Exports, one at a time on a thread of their own: a long index does not hold them up.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::domain::{JobKind, JobState, JobStatus, Progress, RequestId};
use crate::export::{self, ExportError, Memory, Options, SkipReason};
use crate::indexing::{JobControl, Observer as _};
use crate::store::{Reader, StoreError};

use super::jobs::{Board, Telltale};
use super::outbox::Outbox;
use super::threads;
use super::writer::Writer;
use super::{Event, ExportReport, Failure, FailureKind};

/// Exports that may wait.
const QUEUE: usize = 16;
/// Events that a report lists, failures aside.
const SHOWN: usize = 1000;
/// Failures that a report lists.
const FAILURES: usize = 10_000;

/// An export that was asked for.
pub(super) struct Wanted {
    pub request: RequestId,
    pub options: Options,
}

/// What the thread needs.
pub(super) struct Exports {
    pub reader: Reader,
    pub writer: Writer,
    pub outbox: Outbox,
    pub board: Board,
    pub closing: Arc<AtomicBool>,
}

impl Exports {
    /// Starts the thread; it ends with the last sender.
    pub fn start(self, alive: Sender<()>) -> std::io::Result<Sender<Wanted>> {
        let (wanted, incoming): (_, Receiver<Wanted>) = bounded(QUEUE);
        threads::begin("export", alive, move || {
            for Wanted { request, options } in incoming {
                if self.closing.load(Ordering::Relaxed) {
                    break;
                }
                let result = self.export(&options);
                self.outbox.send(Event::ExportDone { request, result });
            }
        })?;
        Ok(wanted)
    }

    fn export(&self, options: &Options) -> Result<ExportReport, Failure> {
        let id = self.board.fresh();
        let kind = if options.dry_run { JobKind::ExportPreview } else { JobKind::Export };
        let status = JobStatus { id, kind, state: JobState::Running, progress: Progress::default() };
        let control = self.board.add(status.clone());
        self.outbox.send(Event::Job(status));
        let telltale = Telltale::new(&self.outbox, &self.board, id);
        let mut watch = Watch { control: &control, telltale, report: ExportReport::default(), shown: 0, failures: 0 };
        let mut memory = Remembered(self.writer.clone());
        let result = export::export(&self.reader, &mut memory, options, control.token(), &mut watch);
        let state = match &result {
            Ok(report) if report.cancelled => JobState::Cancelled,
            Ok(_) => JobState::Done,
            Err(error) => JobState::Failed(error.to_string()),
        };
        if let Some(status) = self.board.remove(id) {
            self.outbox.send(Event::Job(JobStatus { state, ..status }));
        }
        let report = result?;
        Ok(ExportReport { report, ..watch.report })
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            ExportError::Precious(path) => {
                let detail = ExportError::Precious(path.clone()).to_string();
                Self::new(FailureKind::Export, detail).at(path)
            }
            other => Self::new(FailureKind::Export, other.to_string()),
        }
    }
}

struct Remembered(Writer);

impl Memory for Remembered {
    fn wrote(&mut self, files: &[(PathBuf, [u8; 32])]) -> Result<(), StoreError> {
        let files = files.to_vec();
        self.0.with(move |store| store.note_exports(&files))
    }
}

/// Gathers what is to be told, and holds the export while it is paused.
struct Watch<'a> {
    control: &'a JobControl,
    telltale: Telltale,
    report: ExportReport,
    shown: usize,
    failures: usize,
}

impl export::Observer for Watch<'_> {
    fn event(&mut self, event: export::Event) {
        self.control.may_go_on();
        let room = match &event {
            export::Event::Skipped { reason: SkipReason::NoCaption, .. } => false,
            export::Event::Failed { .. } => {
                self.failures += 1;
                self.failures <= FAILURES
            }
            _ => {
                self.shown += 1;
                self.shown <= SHOWN
            }
        };
        match room {
            true => self.report.files.push(event),
            false => self.report.left_out += 1,
        }
    }

    fn progress(&mut self, progress: Progress) {
        self.telltale.progress(progress);
    }
}
