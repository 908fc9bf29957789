//! Finding photos: the vector index and what is built on it.
//!
//! Reads the library, never writes it; runs no thread of its own but rayon's.

pub mod index;
mod placement;
mod query;
pub mod rerank;
mod searcher;

use thiserror::Error;

pub use index::{FlatIndex, IndexError, VectorIndex};
pub use query::{asks_for_captions, asks_for_captions_only, is_blank};
pub use searcher::{Found, Searcher};

use crate::domain::{PhotoId, Skipped};
use crate::models::ModelError;
use crate::models::align::AlignSpec;
use crate::store::{ModelRow, StoreError};

/// Why a search has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    #[error("the query says nothing: type a word, a sentence or an emoji")]
    EmptyQuery,
    #[error("there are no photos in the library yet: index a folder first")]
    EmptyLibrary,
    #[error("no photo is indexed with the model {model} yet: index again with it, or go back to the model used before")]
    NotIndexed { model: String },
    #[error("photo {} is not indexed with the model {model}: index again", photo.0)]
    PhotoNotIndexed { photo: PhotoId, model: String },
    /// The picture that was to be searched with could not be read.
    #[error("{}: {}", skipped.detail, skipped.path.display())]
    Image { skipped: Skipped },
    /// A newer query took over. Nobody waits for the answer.
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model's vectors do not have the length that it declares.
    #[error(transparent)]
    Index(IndexError),
}

impl From<IndexError> for SearchError {
    fn from(error: IndexError) -> Self {
        if error == IndexError::Cancelled { Self::Cancelled } else { Self::Index(error) }
    }
}

/// A model's row in a library: its embedding space.
impl From<&AlignSpec> for ModelRow {
    fn from(spec: &AlignSpec) -> Self {
        Self {
            pack_id: spec.id.clone(),
            weights_hash: spec.weights_hash.clone(),
            preprocess_revision: spec.preprocess_revision,
            dim: spec.dim,
        }
    }
}
