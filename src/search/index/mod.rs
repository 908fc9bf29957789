//! Vectors in memory, and the ones most like a query.
//!
//! An index holds one model's vectors: mixing spaces is impossible because the
//! dimension is checked and one index belongs to one model.

mod card;
mod dot;
mod flat;
mod topk;

use thiserror::Error;

pub use card::{CardError, CardRows};
pub use dot::Kernel;
pub use flat::FlatIndex;

use crate::domain::{CancelToken, Embedding, Hit, PhotoId};

/// Why an index did not answer.
#[derive(Debug, Error, PartialEq)]
pub enum IndexError {
    #[error("a vector of {found} numbers does not belong in a space of {expected}")]
    Dimension { expected: usize, found: usize },
    /// A newer query took over. Nobody waits for the answer.
    #[error("cancelled")]
    Cancelled,
}

/// Which photos may be among the hits.
pub type Filter<'a> = &'a (dyn Fn(PhotoId) -> bool + Sync);

/// A set of unit vectors by photo.
pub trait VectorIndex: Send + Sync {
    /// Numbers in a vector.
    fn dim(&self) -> usize;

    /// Vectors held.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a photo's vector, or replaces it.
    fn insert(&mut self, photo: PhotoId, embedding: &Embedding) -> Result<(), IndexError>;

    /// Forgets a photo; nothing happens if it is not there.
    fn remove(&mut self, photo: PhotoId);

    /// At most `limit` photos that `keep` lets through, by falling cosine, ties by
    /// rising id: the same question to the same vectors has one answer, whatever
    /// the order in which they came and the threads that looked.
    fn search(
        &self,
        query: &Embedding,
        limit: usize,
        keep: Option<Filter<'_>>,
        cancel: &CancelToken,
    ) -> Result<Vec<Hit>, IndexError>;
}
