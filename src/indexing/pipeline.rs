//! From files to rows: read and decode > encode > write, each stage working while the others do.
//!
//! ```text
//! tasks --> decode threads --[bounded]--> this thread: batches through the tower --[bounded]--> writer thread
//! ```
//!
//! Memory is bounded by the two queues: at most `QUEUE_BATCHES` passes of prepared pixels
//! wait for the tower, and two batches of rows for the writer. Each batch is one
//! transaction, so that whatever ends the program costs at most the batch in flight.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::domain::{ContentHash, Embedding, FileStamp, ModelId, PhotoMeta, Skipped, SkippedReason};
use crate::media::{self, Decoded, ThumbnailCache};
use crate::models::ModelError;
use crate::models::align::{AlignModel, Pixels};
use crate::store::Change;

use super::control::JobControl;
use super::plan::Task;
use super::{IndexError, Library};

/// Images that a tower pass waits for: large enough for its matrix products, small enough to answer a search in between.
pub const BATCH: usize = 16;
/// Passes of prepared pixels, as large as the model likes them, that may wait for it.
const QUEUE_BATCHES: usize = 2;
/// A batch that does not fill up in this time (a slow disk) is encoded as it is.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Runs a batch through a tower. The engine puts its compute thread in between.
pub trait Encoder {
    /// As [`AlignModel::encode_images`].
    fn encode(&mut self, batch: Vec<Pixels>) -> Result<Vec<Result<Embedding, ModelError>>, ModelError>;
}

impl Encoder for &dyn AlignModel {
    fn encode(&mut self, batch: Vec<Pixels>) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        self.encode_images(&batch)
    }
}

/// Time spent in each stage, summed over its threads, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Reading, hashing, metadata and decoding.
    pub decode: f32,
    /// Writing thumbnails.
    pub thumbnail: f32,
    /// Resizing and normalising for the tower.
    pub prepare: f32,
    /// The image tower.
    pub encode: f32,
    /// Transactions.
    pub write: f32,
    /// The tower waiting for photos.
    pub starved: f32,
}

/// Counts of what went through.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    pub indexed: u64,
    pub failed: u64,
    pub stages: StageTimes,
}

/// What the pipeline works with.
pub struct Pipeline<'a> {
    pub model: &'a dyn AlignModel,
    pub model_id: ModelId,
    pub thumbnails: &'a ThumbnailCache,
    pub control: &'a JobControl,
    pub decode_threads: usize,
}

/// Told about each committed batch: how many photos, and the files that could not be read.
pub type Committed<'a> = dyn FnMut(u64, Vec<Skipped>) + Send + 'a;

/// A file that was read as a picture.
struct Photo {
    stamp: FileStamp,
    content: ContentHash,
    meta: PhotoMeta,
    pixels: Pixels,
}

/// Rows for one transaction, and the failures among them.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    indexed: u64,
    skipped: Vec<Skipped>,
}

impl Pipeline<'_> {
    /// Works off the tasks. When the job is cancelled it stops early, with what is encoded committed.
    pub fn run(
        &self,
        tasks: &[Task],
        encoder: &mut dyn Encoder,
        library: &mut dyn Library,
        committed: &mut Committed<'_>,
    ) -> Result<Outcome, IndexError> {
        let next = AtomicUsize::new(0);
        let clocks = DecodeClocks::default();
        let mut outcome = thread::scope(|scope| {
            let (decoded, incoming) = bounded(QUEUE_BATCHES * self.model.appetite().max(BATCH));
            for n in 0..self.decode_threads.max(1) {
                let (decoded, next, clocks) = (decoded.clone(), &next, &clocks);
                thread::Builder::new()
                    .name(format!("glimpse-decode-{n}"))
                    .spawn_scoped(scope, move || self.decode_all(tasks, next, clocks, &decoded))
                    .map_err(IndexError::Thread)?;
            }
            drop(decoded);
            let (batches, to_write) = bounded(2);
            let writer = thread::Builder::new()
                .name("glimpse-commit".into())
                .spawn_scoped(scope, move || write_all(library, &to_write, committed))
                .map_err(IndexError::Thread)?;
            let encoded = self.encode_all(encoder, &incoming, &batches);
            // Hang up on both sides: decoders that still push stop, the writer finishes what it has.
            drop((incoming, batches));
            let mut outcome = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            (outcome.stages.encode, outcome.stages.starved) = encoded?;
            Ok::<_, IndexError>(outcome)
        })?;
        let secs = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) as f32 / 1e9;
        outcome.stages.decode = secs(&clocks.decode);
        outcome.stages.thumbnail = secs(&clocks.thumbnail);
        outcome.stages.prepare = secs(&clocks.prepare);
        Ok(outcome)
    }

    /// One decode thread: takes the next task until there is none, or nobody wants the result.
    fn decode_all<'t>(
        &self,
        tasks: &'t [Task],
        next: &AtomicUsize,
        clocks: &DecodeClocks,
        decoded: &Sender<(&'t Task, Result<Photo, Skipped>)>,
    ) {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !self.control.may_go_on() {
                return;
            }
            // A decoder that panics on odd input costs that file, not the run.
            let read = catch_unwind(AssertUnwindSafe(|| self.decode(task, clocks))).unwrap_or_else(|_| {
                Some(Err(skipped(&task.path, SkippedReason::Damaged, "the decoder crashed on it".into())))
            });
            let Some(result) = read else { continue };
            if self.control.token().is_cancelled() || decoded.send((task, result)).is_err() {
                return;
            }
        }
    }

    /// `None` if the file went away since it was planned: the next run will see that.
    fn decode(&self, task: &Task, clocks: &DecodeClocks) -> Option<Result<Photo, Skipped>> {
        let before = match media::walk::stamp(&task.path) {
            Ok(stamp) => stamp,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Err(skipped(&task.path, SkippedReason::Unreadable, error.to_string()))),
        };
        let min_side = self.model.spec().min_side.max(media::THUMBNAIL_SIDE);
        let read = clocks.time(&clocks.decode, || media::read_photo(&task.path, min_side, self.control.token()));
        if media::walk::stamp(&task.path).ok() != Some(before) {
            let detail = "it changed while it was read; it is tried again at the next run".into();
            return Some(Err(skipped(&task.path, SkippedReason::Changing, detail)));
        }
        let Decoded { image, meta, content } = match read {
            Ok(decoded) => decoded,
            Err(skipped) => return Some(Err(skipped)),
        };
        // Thumbnails can be made again at any time: a full cache disk does not stop the indexing.
        if let Err(error) = clocks.time(&clocks.thumbnail, || self.thumbnails.put(&content, &image)) {
            log::debug!("no thumbnail: {error}: {}", task.path.display());
        }
        Some(match clocks.time(&clocks.prepare, || self.model.prepare(&image)) {
            Ok(pixels) => Ok(Photo { stamp: before, content, meta, pixels }),
            Err(error) => Err(skipped(&task.path, SkippedReason::Unsupported, error.to_string())),
        })
    }

    /// The tower: gathers batches, encodes them, hands rows to the writer. Returns seconds busy and seconds starved.
    fn encode_all(
        &self,
        encoder: &mut dyn Encoder,
        incoming: &Receiver<(&Task, Result<Photo, Skipped>)>,
        batches: &Sender<Batch>,
    ) -> Result<(f32, f32), IndexError> {
        let (mut busy, mut starved) = (Duration::ZERO, Duration::ZERO);
        let mut photos: Vec<(&Task, Photo)> = Vec::with_capacity(BATCH);
        let mut batch = Batch::default();
        let mut open = true;
        while open {
            let waiting = Instant::now();
            match incoming.recv_timeout(LONGEST_WAIT) {
                Ok((task, Ok(photo))) => photos.push((task, photo)),
                Ok((task, Err(skipped))) => batch.fail(task, skipped),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
            let waited = waiting.elapsed();
            starved += waited;
            if self.control.token().is_cancelled() {
                break;
            }
            let due = !open || waited >= LONGEST_WAIT || batch.changes.len() >= BATCH;
            let more = photos.len() < self.model.appetite() && !incoming.is_empty();
            if (photos.len() < BATCH || more) && !due {
                continue;
            }
            if !photos.is_empty() {
                let started = Instant::now();
                self.encode(encoder, &mut photos, &mut batch)?;
                busy += started.elapsed();
            }
            if !batch.changes.is_empty() && batches.send(std::mem::take(&mut batch)).is_err() {
                break; // The writer failed; its error is the one to report.
            }
        }
        Ok((busy.as_secs_f32(), starved.as_secs_f32()))
    }

    fn encode(
        &self,
        encoder: &mut dyn Encoder,
        photos: &mut Vec<(&Task, Photo)>,
        batch: &mut Batch,
    ) -> Result<(), IndexError> {
        let (rows, pixels): (Vec<_>, Vec<_>) =
            photos.drain(..).map(|(task, p)| ((task, p.stamp, p.content, p.meta), p.pixels)).unzip();
        for ((task, stamp, content, meta), embedding) in rows.into_iter().zip(encoder.encode(pixels)?) {
            match embedding {
                Ok(embedding) => batch.changes.push(match task.embed_only {
                    Some(photo) if stamp == task.stamp => Change::Embedded { photo, model: self.model_id, embedding },
                    _ => Change::Indexed {
                        folder: task.folder,
                        path: task.path.clone(),
                        stamp,
                        content,
                        meta,
                        embedding: Some((self.model_id, embedding)),
                    },
                }),
                Err(error) => {
                    batch.fail(task, skipped(&task.path, SkippedReason::NotFinite, error.to_string()));
                    continue;
                }
            }
            batch.indexed += 1;
        }
        Ok(())
    }
}

impl Batch {
    fn fail(&mut self, task: &Task, skipped: Skipped) {
        self.skipped.push(skipped.clone());
        self.changes.push(Change::Failed { folder: task.folder, path: task.path.clone(), stamp: task.stamp, skipped });
    }
}

/// The writer: one transaction a batch, in order.
fn write_all(
    library: &mut dyn Library,
    batches: &Receiver<Batch>,
    committed: &mut Committed<'_>,
) -> Result<Outcome, IndexError> {
    let mut outcome = Outcome::default();
    let mut busy = Duration::ZERO;
    for batch in batches {
        let started = Instant::now();
        library.apply(batch.changes)?;
        busy += started.elapsed();
        outcome.indexed += batch.indexed;
        outcome.failed += batch.skipped.len() as u64;
        committed(batch.indexed + batch.skipped.len() as u64, batch.skipped);
    }
    outcome.stages.write = busy.as_secs_f32();
    Ok(outcome)
}

/// Nanoseconds, summed over the decode threads.
#[derive(Default)]
struct DecodeClocks {
    decode: AtomicU64,
    thumbnail: AtomicU64,
    prepare: AtomicU64,
}

impl DecodeClocks {
    fn time<T>(&self, clock: &AtomicU64, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        clock.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

fn skipped(path: &Path, reason: SkippedReason, detail: String) -> Skipped {
    Skipped { path: path.to_path_buf(), reason, detail }
}
