//! One path for all queries: encode, scan, judge.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::index::{FlatIndex, VectorIndex as _};
use super::placement::Placement;
use super::query::CaptionQuery;
use super::{SearchError, is_blank};
use crate::domain::{CancelToken, Embedding, Hit, Judgement, ModelId, PhotoId, Query, SearchCost};
use crate::media;
use crate::models::align::AlignModel;
use crate::store::{ModelRow, Reader, StoreError, StoredVector};

/// A ranking with what it cost and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    pub cost: SearchCost,
    /// Only texts are judged, and only by a model whose pack holds a calibration.
    pub judgement: Judgement,
    /// Photos that could not be compared because their stored vector is damaged.
    pub left_out: usize,
}

/// A model with the vectors that a library holds of it. The vectors are read at the
/// first search, and brought up to date by what changed since at each later one.
pub struct Searcher {
    model: Arc<dyn AlignModel>,
    loaded: Option<Loaded>,
    placement: Placement,
}

struct Loaded {
    id: ModelId,
    index: FlatIndex,
    damaged: HashSet<PhotoId>,
    /// Of the library's log of changes.
    revision: i64,
}

impl Searcher {
    /// Reads nothing yet.
    pub fn new(model: Arc<dyn AlignModel>) -> Self {
        Self { model, loaded: None, placement: Placement::default() }
    }

    /// As [`Searcher::new`], with the vectors read at once.
    pub fn load(model: Arc<dyn AlignModel>, reader: &Reader) -> Result<Self, StoreError> {
        let mut searcher = Self::new(model);
        searcher.refresh(reader)?;
        Ok(searcher)
    }

    /// The model that queries are encoded with.
    pub fn model(&self) -> &Arc<dyn AlignModel> {
        &self.model
    }

    /// Photos that can be found.
    pub fn len(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.index.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings the vectors up to date with the library; a few microseconds when nothing changed.
    pub fn refresh(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let spec = self.model.spec();
        let Some(id) = reader.find_model(&ModelRow::from(spec))? else {
            self.loaded = None;
            return Ok(());
        };
        // Before the vectors: what is written meanwhile is looked at again next time.
        let revision = reader.revision()?;
        let loaded = match self.loaded.take_if(|loaded| loaded.id == id) {
            Some(mut loaded) => {
                if loaded.revision != revision {
                    match reader.changed_since(loaded.revision)? {
                        Some(changed) => loaded.update(reader, &changed)?,
                        None => loaded = Loaded::all(id, spec.dim, reader)?,
                    }
                    loaded.revision = revision;
                }
                loaded
            }
            None => Loaded { revision, ..Loaded::all(id, spec.dim, reader)? },
        };
        self.loaded = Some(loaded);
        Ok(())
    }

    /// The photos most like the query, best first.
    pub fn search(
        &mut self,
        reader: &Reader,
        query: &Query,
        limit: usize,
        cancel: &CancelToken,
    ) -> Result<Found, SearchError> {
        self.search_among(reader, query, limit, None, cancel)
    }

    /// As [`Searcher::search`], looking at these photos only.
    pub fn search_among(
        &mut self,
        reader: &Reader,
        query: &Query,
        limit: usize,
        among: Option<&HashSet<PhotoId>>,
        cancel: &CancelToken,
    ) -> Result<Found, SearchError> {
        if matches!(query, Query::Text(text) if is_blank(text)) {
            return Err(SearchError::EmptyQuery);
        }
        if let Query::Text(text) = query
            && let Some(asked) = CaptionQuery::new(text)
        {
            return self.search_captions(reader, asked, limit, among, cancel);
        }
        self.refresh(reader)?;
        let model = &self.model.spec().id;
        let Some(Loaded { id, index, damaged, .. }) = self.loaded.as_ref().filter(|l| !l.index.is_empty()) else {
            return Err(match reader.counts()?.photos {
                0 => SearchError::EmptyLibrary,
                _ => SearchError::NotIndexed { model: model.clone() },
            });
        };
        let start = Instant::now();
        let embedding = match query {
            Query::Text(text) => self.encode_text(text)?,
            Query::Image(path) => self.encode_image(path, cancel)?,
            Query::Photo(photo) => reader
                .embedding(*photo, *id)?
                .ok_or_else(|| SearchError::PhotoNotIndexed { photo: *photo, model: model.clone() })?,
        };
        let encoded = Instant::now();
        let hits = match among {
            Some(photos) => index.search(&embedding, limit, Some(&|photo| photos.contains(&photo)), cancel)?,
            None => self.placement.search(self.model.as_ref(), index, &embedding, limit, cancel)?,
        };
        let scan_ms = encoded.elapsed().as_secs_f32() * 1e3;
        let scanned = among.map_or(index.len(), |photos| photos.iter().filter(|&&photo| index.contains(photo)).count());
        let cost = SearchCost { scanned, encode_ms: (encoded - start).as_secs_f32() * 1e3, scan_ms };
        let judgement = match (query, self.model.calibration()) {
            (Query::Text(_), Some(calibration)) => calibration.judge(&hits, scanned),
            _ => Judgement::unknown(hits.len()),
        };
        Ok(Found { hits, cost, judgement, left_out: damaged.len() })
    }

    /// Moves the scan to the model's graphics card if it is faster there. Takes as long as an upload and a few
    /// scans, so it is for the time after an answer.
    pub fn settle(&mut self) {
        if let Some(loaded) = &self.loaded {
            self.placement.settle(self.model.as_ref(), &loaded.index);
        }
    }

    /// Whether scans run on a graphics card now.
    pub fn is_on_card(&self) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| self.placement.is_on_card(&loaded.index))
    }

    /// Photos whose captions hold some words, by the sentence that is left, else newest caption first.
    fn search_captions(
        &mut self,
        reader: &Reader,
        CaptionQuery { words, sentence }: CaptionQuery,
        limit: usize,
        among: Option<&HashSet<PhotoId>>,
        cancel: &CancelToken,
    ) -> Result<Found, SearchError> {
        let sentence_only = is_blank(&words);
        if !is_blank(&sentence) {
            let query = Query::Text(sentence);
            if sentence_only {
                return self.search_among(reader, &query, limit, among, cancel);
            }
            let mut photos: HashSet<PhotoId> = reader.find_captions(&words, usize::MAX)?.photos.into_iter().collect();
            photos.retain(|photo| among.is_none_or(|among| among.contains(photo)));
            return self.search_among(reader, &query, limit, Some(&photos), cancel);
        }
        if sentence_only {
            return Err(SearchError::EmptyQuery);
        }
        let start = Instant::now();
        let found = reader.find_captions(&words, among.map_or(limit, |_| usize::MAX))?;
        if found.cut {
            log::warn!("the query is long: only its first words were looked for");
        }
        let wanted = found.photos.into_iter().filter(|photo| among.is_none_or(|among| among.contains(photo)));
        let hits: Vec<Hit> = wanted.take(limit).map(|photo| Hit { photo, score: 1.0 }).collect();
        let scan_ms = start.elapsed().as_secs_f32() * 1e3;
        let cost = SearchCost { scanned: hits.len(), encode_ms: 0.0, scan_ms };
        Ok(Found { judgement: Judgement::unknown(hits.len()), hits, cost, left_out: 0 })
    }

    fn encode_text(&self, text: &str) -> Result<Embedding, SearchError> {
        // One text in, one vector out; a model that breaks this is treated as having none.
        self.model.encode_texts(&[text])?.pop().ok_or_else(|| self.no_vector())
    }

    fn encode_image(&self, path: &Path, cancel: &CancelToken) -> Result<Embedding, SearchError> {
        let decoded = media::read_photo(path, self.model.spec().min_side, cancel).map_err(|skipped| {
            if cancel.is_cancelled() { SearchError::Cancelled } else { SearchError::Image { skipped } }
        })?;
        let pixels = self.model.prepare(&decoded.image)?;
        Ok(self.model.encode_images(&[pixels])?.pop().ok_or_else(|| self.no_vector())??)
    }

    fn no_vector(&self) -> SearchError {
        SearchError::Index(super::IndexError::Dimension { expected: self.model.spec().dim, found: 0 })
    }
}

impl Loaded {
    fn all(id: ModelId, dim: usize, reader: &Reader) -> Result<Self, StoreError> {
        let mut loaded = Self { id, index: FlatIndex::new(dim), damaged: HashSet::new(), revision: 0 };
        loaded.index.reserve(reader.embedded(id)? as usize);
        reader.vectors(id, |photo, vector| loaded.set(photo, &vector))?;
        if !loaded.damaged.is_empty() {
            log::info!("{} stored vectors are damaged", loaded.damaged.len());
        }
        Ok(loaded)
    }

    fn update(&mut self, reader: &Reader, changed: &[PhotoId]) -> Result<(), StoreError> {
        reader.vectors_of(self.id, changed, |photo, vector| self.set(photo, &vector))
    }

    fn set(&mut self, photo: PhotoId, vector: &StoredVector<'_>) {
        let good = match vector {
            StoredVector::Unit(numbers) => self.index.insert_f16(photo, numbers).is_ok(),
            StoredVector::Damaged | StoredVector::Absent => false,
        };
        if good {
            self.damaged.remove(&photo);
            return;
        }
        self.index.remove(photo);
        if matches!(vector, StoredVector::Absent) {
            self.damaged.remove(&photo);
        } else {
            self.damaged.insert(photo);
        }
    }
}
