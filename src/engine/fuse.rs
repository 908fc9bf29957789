//! The ways to the thread that owns the Fuse model: questions of the person first, then one
//! photo after the other of a batch.
//!
//! Nothing here waits: of several searches, captions or matches only the newest is served,
//! questions in their order. Searches never wait for the thread.

mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use crate::domain::{CancelSource, CancelToken, Hit, PhotoId, RequestId};
use crate::media::ThumbnailCache;
use crate::store::Reader;

use super::batch::{BatchStart, Batches};
use super::compute::Compute;
use super::library::Look;
use super::model::FuseLoader;
use super::outbox::Outbox;
use super::threads;
use super::writer::Writer;
use super::{CaptionOptions, FuseStatus};

use worker::Worker;

/// Questions and batches that may wait.
const QUEUE: usize = 32;

/// The best hits of a search, to be judged.
pub(super) struct JudgeHits {
    pub request: RequestId,
    pub text: String,
    pub hits: Vec<Hit>,
    /// How many of them.
    pub best: usize,
    /// The search's own.
    pub token: CancelToken,
}

struct Describe {
    request: RequestId,
    photo: PhotoId,
    options: CaptionOptions,
    token: CancelToken,
}

struct Question {
    request: RequestId,
    photo: PhotoId,
    question: String,
}

struct Pair {
    request: RequestId,
    photo: PhotoId,
    text: String,
}

/// What the thread is asked, in the order in which it is served.
enum Work {
    Judge(JudgeHits),
    Ask(Question),
    Match(Pair),
    Caption(Describe),
    /// Look for the model anew.
    Reload,
    Begin(BatchStart),
    /// One more photo of the batch.
    Step,
}

#[derive(Default)]
struct Queue {
    judge: Option<JudgeHits>,
    questions: VecDeque<Question>,
    pair: Option<Pair>,
    caption: Option<Describe>,
    reload: bool,
    batches: VecDeque<BatchStart>,
    closed: bool,
}

impl Queue {
    fn next(&mut self) -> Option<Work> {
        if std::mem::take(&mut self.reload) {
            return Some(Work::Reload);
        }
        None.or_else(|| self.judge.take().map(Work::Judge))
            .or_else(|| self.questions.pop_front().map(Work::Ask))
            .or_else(|| self.pair.take().map(Work::Match))
            .or_else(|| self.caption.take().map(Work::Caption))
    }
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    status: Mutex<FuseStatus>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, change: impl FnOnce(&mut Queue) -> bool) -> bool {
        let taken = change(&mut self.queue());
        self.filled.notify_one();
        taken
    }
}

/// The ways in. The thread ends when [`Fuse::close`] was called.
#[derive(Clone)]
pub(super) struct Fuse {
    shared: Arc<Shared>,
    captions: Arc<CancelSource>,
}

/// What the thread needs.
pub(super) struct FuseParts {
    pub loader: FuseLoader,
    pub reader: Reader,
    pub writer: Writer,
    pub compute: Compute,
    pub thumbnails: Arc<ThumbnailCache>,
    pub looks: Sender<Look>,
    pub outbox: Outbox,
    pub batches: Batches,
}

impl Fuse {
    /// The ways in, before there is a thread: others hold them.
    pub fn new() -> Self {
        let (queue, filled, status) = Default::default();
        Self { shared: Arc::new(Shared { queue, filled, status }), captions: Arc::default() }
    }

    /// Starts the thread.
    pub fn start(&self, parts: FuseParts, alive: Sender<()>) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        threads::begin("fuse", alive, move || Worker::new(shared, parts).run())
    }

    /// The newest search's hits; older ones are given up.
    pub fn judge(&self, hits: JudgeHits) {
        self.shared.put(|queue| {
            queue.judge = Some(hits);
            true
        });
    }

    /// A newer caption ends an older one.
    pub fn caption(&self, request: RequestId, photo: PhotoId, options: CaptionOptions) -> bool {
        let token = self.captions.restart();
        self.shared.put(|queue| {
            queue.caption = Some(Describe { request, photo, options, token });
            true
        })
    }

    /// Ends the caption that is being written.
    pub fn stop_caption(&self) {
        self.captions.cancel();
    }

    /// False when too many questions wait.
    pub fn ask(&self, request: RequestId, photo: PhotoId, question: String) -> bool {
        self.shared.put(|queue| {
            let room = queue.questions.len() < QUEUE;
            if room {
                queue.questions.push_back(Question { request, photo, question });
            }
            room
        })
    }

    /// Of several only the newest is answered.
    pub fn match_text(&self, request: RequestId, photo: PhotoId, text: String) -> bool {
        self.shared.put(|queue| {
            queue.pair = Some(Pair { request, photo, text });
            true
        })
    }

    /// False when too many batches wait.
    pub fn begin(&self, batch: BatchStart) -> bool {
        self.shared.put(|queue| {
            let room = queue.batches.len() < QUEUE;
            if room {
                queue.batches.push_back(batch);
            }
            room
        })
    }

    /// Another model was chosen.
    pub fn reload(&self) {
        self.shared.put(|queue| {
            queue.reload = true;
            true
        });
    }

    /// A batch was held, let go on or cancelled: have a look.
    pub fn wake(&self) {
        self.shared.filled.notify_one();
    }

    /// What is known of the model.
    pub fn status(&self) -> FuseStatus {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread after what it does now. A batch goes on at the next start.
    pub fn close(&self) {
        self.captions.cancel();
        self.shared.queue().closed = true;
        self.shared.filled.notify_all();
    }
}
