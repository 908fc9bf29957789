//! What can be wrong with a model.

use std::path::PathBuf;

use thiserror::Error;

/// Each message is one sentence that names the file and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    #[error("{} could not be read: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the model could not compute: {0}")]
    Compute(#[from] candle_core::Error),
}
