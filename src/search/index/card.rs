//! The same search with the rows on a graphics card, which finds candidates; the processor has the last word.
//!
//! The card tells the best rows of each chunk. Where a chunk may hold more of the best than it told, the processor
//! scans that chunk; and it computes the scores of all that may be among the hits anew, so that the
//! answer is the very one that it would give alone.

use thiserror::Error;

use crate::domain::{CancelToken, Embedding, Hit};
use crate::gpu::{Gpu, GpuError, Rows, scan};

use super::flat::FlatIndex;
use super::{IndexError, VectorIndex as _};

/// A card's score of unit vectors is nearer than this to the processor's.
const APART: f32 = 1e-4;

/// Why the card did not answer.
#[derive(Debug, Error)]
pub enum CardError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

/// A copy of an index's rows, good as long as the index stays as it was.
#[derive(Debug)]
pub struct CardRows {
    rows: Rows,
    generation: u64,
}

impl CardRows {
    /// Uploads the rows; an error where they do not fit.
    pub fn of(index: &FlatIndex, gpu: &Gpu) -> Result<Self, GpuError> {
        Ok(Self { rows: Rows::new(gpu, index.halves(), index.stride())?, generation: index.generation() })
    }

    /// Whether the index is still what was uploaded.
    pub fn is_current(&self, index: &FlatIndex) -> bool {
        self.generation == index.generation()
    }

    /// As [`FlatIndex::search`](super::VectorIndex::search) without a filter.
    pub fn search(
        &self,
        index: &FlatIndex,
        query: &Embedding,
        limit: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Hit>, CardError> {
        if !self.is_current(index) {
            return Err(GpuError::Shape("the index has changed since its rows were uploaded".into()).into());
        }
        let padded = index.padded(query)?;
        let chunks = self.rows.best(&padded)?;
        if cancel.is_cancelled() {
            return Err(IndexError::Cancelled.into());
        }
        let mut scores: Vec<f32> = chunks.iter().flatten().map(|scored| scored.score).collect();
        let floor = match limit.checked_sub(1) {
            None => return Ok(Vec::new()),
            Some(last) if last < scores.len() => {
                let (_, worst, _) = scores.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
                *worst - APART
            }
            Some(_) => f32::MIN,
        };
        let mut places = Vec::new();
        for (chunk, told) in chunks.iter().enumerate() {
            let hides_more = told.len() == scan::BEST && told.last().is_some_and(|last| last.score >= floor);
            if hides_more {
                let first = chunk * scan::CHUNK;
                places.extend(first..(first + scan::CHUNK).min(index.len()));
            } else {
                places.extend(told.iter().filter(|scored| scored.score >= floor).map(|scored| scored.row));
            }
        }
        Ok(index.best_of(&places, &padded, limit))
    }
}
