//! The thread that owns the model and the index: searches before indexing batches.
//!
//! Between two batches it looks for questions, so that a search waits for one batch of
//! the tower at most. Only the newest search is answered; older ones were given up by the
//! person who typed on.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select_biased};

use crate::domain::{CancelToken, Embedding, FolderId, PhotoId, Query, RequestId};
use crate::indexing::Encoder;
use crate::models::ModelError;
use crate::models::align::{AlignModel, Pixels};
use crate::search::{Searcher, asks_for_captions_only};
use crate::store::{ListScope, Reader, StoreError};

use super::fuse::{Fuse, JudgeHits};
use super::model::ModelLoader;
use super::outbox::Outbox;
use super::threads;
use super::{Event, Failure, FailureKind, SearchResults};

/// Questions that may wait; all but the newest are skipped anyway.
const QUESTIONS: usize = 256;

/// A search that somebody waits for.
pub(super) struct Search {
    pub request: RequestId,
    pub query: Query,
    /// One folder's photos only.
    pub within: Option<FolderId>,
    pub limit: usize,
    /// How many of the best the Fuse model is to judge.
    pub rerank: Option<usize>,
    pub token: CancelToken,
}

enum Ask {
    Search(Search),
    /// The library changed: look again before the next search.
    Changed,
    /// Which model is in use.
    Model {
        reply: Sender<Result<Arc<dyn AlignModel>, Failure>>,
    },
    /// Use another one from now on.
    Use(Arc<dyn AlignModel>),
}

type Encoded = Result<Vec<Result<Embedding, ModelError>>, ModelError>;

/// A batch of the pipeline.
struct Batch {
    model: Arc<dyn AlignModel>,
    pixels: Vec<Pixels>,
    reply: Sender<Encoded>,
}

/// A handle to the compute thread; the thread ends with the last handle.
#[derive(Clone)]
pub(super) struct Compute {
    asks: Sender<Ask>,
    batches: Sender<Batch>,
    current: Current,
}

/// The model in use, once there is one.
type Current = Arc<RwLock<Option<Arc<dyn AlignModel>>>>;

impl Compute {
    /// Starts the thread; it loads the model first.
    pub fn start(
        loader: ModelLoader,
        reader: Reader,
        fuse: Fuse,
        outbox: Outbox,
        alive: Sender<()>,
    ) -> std::io::Result<Self> {
        let (asks, questions) = bounded(QUESTIONS);
        let (batches, incoming) = bounded(0);
        let current = Current::default();
        let shown = Arc::clone(&current);
        threads::begin("compute", alive, move || {
            let model = loader.load(&reader);
            let mut worker =
                Worker { model, reader, searcher: None, folder: None, fuse, outbox, shown, unsettled: false };
            worker.show();
            if let Err(failure) = &worker.model {
                worker.outbox.notice(failure.clone());
            }
            worker.run(&questions, &incoming);
        })?;
        Ok(Self { asks, batches, current })
    }

    /// The model in use, or `None` while it is loaded; does not wait.
    pub fn current(&self) -> Option<Arc<dyn AlignModel>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a search in; false when the queue is full.
    pub fn search(&self, search: Search) -> bool {
        self.asks.try_send(Ask::Search(search)).is_ok()
    }

    /// The library changed. Lost in a full queue without harm: the next search looks anyway.
    pub fn changed(&self) {
        let _ = self.asks.try_send(Ask::Changed);
    }

    /// The model in use; waits until it is loaded.
    pub fn model(&self) -> Result<Arc<dyn AlignModel>, Failure> {
        let (reply, answer) = bounded(1);
        let ended = || Failure::new(FailureKind::Model, "the program is closing");
        self.asks.send(Ask::Model { reply }).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?
    }

    /// Searches with this model from now on.
    pub fn use_model(&self, model: Arc<dyn AlignModel>) {
        let _ = self.asks.send(Ask::Use(model));
    }

    /// The pipeline's way to the tower.
    pub fn encoder(&self, model: Arc<dyn AlignModel>) -> BatchEncoder {
        BatchEncoder { batches: self.batches.clone(), model }
    }
}

/// Sends each batch to the compute thread and waits for it.
pub(super) struct BatchEncoder {
    batches: Sender<Batch>,
    model: Arc<dyn AlignModel>,
}

impl Encoder for BatchEncoder {
    fn encode(&mut self, pixels: Vec<Pixels>) -> Encoded {
        let (reply, answer) = bounded(1);
        let batch = Batch { model: Arc::clone(&self.model), pixels, reply };
        // Without a compute thread the engine is closing, and the run was cancelled: no rows, then.
        if self.batches.send(batch).is_err() {
            return Ok(Vec::new());
        }
        answer.recv().unwrap_or_else(|_| Ok(Vec::new()))
    }
}

/// The best hits of a sentence, for the Fuse model. Words of captions were looked for and
/// found: there is nothing to judge.
fn to_judge(search: &Search, result: &Result<SearchResults, Failure>) -> Option<JudgeHits> {
    let (Some(best), Query::Text(text), Ok(results)) = (search.rerank, &search.query, result) else { return None };
    let (request, hits, token) = (search.request, results.hits.clone(), search.token.clone());
    (!asks_for_captions_only(text)).then(|| JudgeHits { request, text: text.clone(), hits, best, token })
}

/// So long after a question nobody is typing.
const IDLE: Duration = Duration::from_secs(2);

struct Worker {
    model: Result<Arc<dyn AlignModel>, Failure>,
    reader: Reader,
    /// Loaded at the first search or change.
    searcher: Option<Searcher>,
    /// The folder that was searched last.
    folder: Option<Folder>,
    /// Judges what was found.
    fuse: Fuse,
    outbox: Outbox,
    shown: Current,
    /// Something was searched since scans were last put where they are fastest.
    unsettled: bool,
}

/// The photos of a folder, as they were at a version of the library.
struct Folder {
    id: FolderId,
    version: i64,
    photos: HashSet<PhotoId>,
}

impl Worker {
    fn run(&mut self, questions: &Receiver<Ask>, batches: &Receiver<Batch>) {
        loop {
            let idle = if self.unsettled { after(IDLE) } else { never() };
            select_biased! {
                recv(questions) -> ask => match ask {
                    Ok(ask) => self.answer(ask),
                    Err(_) => return,
                },
                recv(batches) -> batch => match batch {
                    Ok(Batch { model, pixels, reply }) => {
                        // A run that was cancelled meanwhile does not wait for the answer.
                        let _ = reply.send(model.encode_images(&pixels));
                    }
                    Err(_) => return,
                },
                recv(idle) -> _ => {
                    self.unsettled = false;
                    if let Some(searcher) = &mut self.searcher {
                        searcher.settle();
                    }
                },
            }
        }
    }

    /// Lets others see which model is in use.
    fn show(&self) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = self.model.as_ref().ok().cloned();
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Search(search) => {
                if search.token.is_cancelled() {
                    return;
                }
                let result = self.search(&search);
                self.unsettled = true;
                if !search.token.is_cancelled() {
                    let judged = to_judge(&search, &result);
                    self.outbox.send(Event::SearchDone { request: search.request, result });
                    if let Some(hits) = judged {
                        self.fuse.judge(hits);
                    }
                }
            }
            Ask::Changed => {
                if let Some(searcher) = &mut self.searcher
                    && let Err(error) = searcher.refresh(&self.reader)
                {
                    log::warn!("the index could not be brought up to date: {error}");
                }
            }
            Ask::Model { reply } => {
                let _ = reply.send(self.model.clone());
            }
            Ask::Use(model) => {
                self.model = Ok(model);
                self.searcher = None;
                self.show();
            }
        }
    }

    fn search(&mut self, search: &Search) -> Result<SearchResults, Failure> {
        let model = self.model.clone()?;
        if let Some(folder) = search.within {
            self.look_at(folder)?;
        }
        let among = search.within.and(self.folder.as_ref()).map(|folder| &folder.photos);
        let searcher = match &mut self.searcher {
            Some(searcher) => {
                searcher.refresh(&self.reader)?;
                searcher
            }
            none => none.insert(Searcher::load(model, &self.reader)?),
        };
        let found = searcher.search_among(&self.reader, &search.query, search.limit, among, &search.token)?;
        Ok(SearchResults {
            hits: found.hits,
            cost: found.cost,
            nothing_likely: found.judgement.nothing_likely,
            likely: found.judgement.likely,
        })
    }

    /// Makes sure that `folder` holds this folder's photos, as they are now.
    fn look_at(&mut self, id: FolderId) -> Result<(), StoreError> {
        // Before the photos: what is written meanwhile is looked at again next time.
        let version = self.reader.data_version()?;
        if self.folder.as_ref().is_none_or(|folder| (folder.id, folder.version) != (id, version)) {
            let photos = self.reader.list(ListScope::Folder(id))?.into_iter().collect();
            self.folder = Some(Folder { id, version, photos });
        }
        Ok(())
    }
}
