//! What can be wrong with a model.

use std::path::PathBuf;

use thiserror::Error;

use crate::domain::EmbeddingError;
use crate::gpu::GpuError;

/// Each message is one sentence that names the file and what is wrong with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file system said no.
    #[error("{} could not be read: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Nothing by that name, or a folder that holds no model.
    #[error("{detail}: {}", path.display())]
    NotAModel { path: PathBuf, detail: String },
    /// A model of a kind this program does not know.
    #[error("the architecture `{name}` is not supported: {}", path.display())]
    Architecture { path: PathBuf, name: String },
    /// A file that is there, but not what it should be.
    #[error("the file {detail}: {}", path.display())]
    Damaged { path: PathBuf, detail: String },
    /// A settings file that says something impossible or unknown.
    #[error("{detail}: {}", path.display())]
    Config { path: PathBuf, detail: String },
    #[error("the weights have no tensor `{name}`: {}", path.display())]
    MissingTensor { path: PathBuf, name: String },
    #[error("the weights hold a tensor that the model has no place for, `{name}`: {}", path.display())]
    SurplusTensor { path: PathBuf, name: String },
    #[error("the tensor `{name}` has the shape {found:?} where the model needs {expected:?}: {}", path.display())]
    TensorShape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },
    /// NaN or infinity among the weights.
    #[error("the tensor `{name}` holds a number that is not finite: {}", path.display())]
    NotFinite { path: PathBuf, name: String },
    /// Words and embedding table do not belong together.
    #[error("the tokenizer knows the id {id}, the model's word table ends at {rows}")]
    Vocabulary { id: u32, rows: usize },
    /// The device asked for cannot be had, or not for this model.
    #[error("{0}")]
    Device(String),
    /// The graphics card could not go on.
    #[error("the graphics card could not compute: {0}")]
    Card(#[from] GpuError),
    /// Something that this model is not made for, and what would work.
    #[error("{0}")]
    Unable(String),
    /// A picture that cannot be brought into the model's size.
    #[error("{0}")]
    Picture(String),
    /// What the model gave is not an embedding.
    #[error("the model gave no usable embedding: {0}")]
    Embedding(#[from] EmbeddingError),
    #[error("the model could not compute: {0}")]
    Compute(#[source] candle_core::Error),
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(without_trace(error))
    }
}

/// Under RUST_BACKTRACE candle prints a stack trace as part of its sentences; people get the sentence.
pub(super) fn without_trace(error: candle_core::Error) -> candle_core::Error {
    use candle_core::Error as E;
    match error {
        E::WithBacktrace { inner, .. } => without_trace(*inner),
        E::WithPath { inner, path } => E::WithPath { inner: Box::new(without_trace(*inner)), path },
        E::Context { inner, context } => E::Context { inner: Box::new(without_trace(*inner)), context },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Error;

    use super::*;

    #[test]
    fn a_trace_is_not_for_people() {
        let traced = |inner: Error| Error::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let error = ModelError::from(traced(traced(Error::Msg("no".into())).with_path("a.bin")));
        let text = error.to_string();
        assert!(text.starts_with("the model could not compute: ") && text.contains("no"), "{text}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(!text.contains('\n') && !source.contains('\n'), "{text} {source}");
    }
}
