//! Small JSON files of a model's folder. Must not know what they say.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::ModelError;

/// Reads a file whole; `what` it holds is named in the error: "the pack's manifest".
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| ModelError::Config { path: path.to_owned(), detail: format!("{what} cannot be read ({e})") })
}
