//! From the typed errors of the layers below to what the window says.

use std::path::PathBuf;

use crate::indexing::{IndexError, RootProblem};
use crate::models::ModelError;
use crate::search::SearchError;
use crate::store::StoreError;

use super::{Failure, FailureKind};

impl Failure {
    /// A failure that concerns no file.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, path: None, detail: detail.into(), skipped: Vec::new() }
    }

    /// The same about a file or folder.
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Newer { .. } => FailureKind::LibraryNewer,
            StoreError::Locked { .. } => FailureKind::LibraryLocked,
            StoreError::Damaged { .. } => FailureKind::LibraryDamaged,
            StoreError::NotALibrary { .. } => FailureKind::NotALibrary,
            StoreError::Replaced { .. } => FailureKind::LibraryReplaced,
            StoreError::ReadOnly { .. } => FailureKind::LibraryReadOnly,
            StoreError::CannotLock { .. } => FailureKind::LibraryCannotLock,
            StoreError::DiskFull { .. } => FailureKind::DiskFull,
            _ => FailureKind::Library,
        };
        Self { path: error.path().map(Into::into), ..Self::new(kind, error.to_string()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let kind = if matches!(error, ModelError::Unable(_)) { FailureKind::Unable } else { FailureKind::Model };
        Self::new(kind, error.to_string())
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        let kind = match error {
            SearchError::EmptyQuery => FailureKind::EmptyQuery,
            SearchError::EmptyLibrary => FailureKind::EmptyLibrary,
            SearchError::NotIndexed { .. } | SearchError::PhotoNotIndexed { .. } => FailureKind::NotIndexed,
            SearchError::Store(error) => return error.into(),
            SearchError::Model(error) => return error.into(),
            SearchError::Image { skipped } => {
                let failure = Self::new(FailureKind::QueryPicture, "").at(&skipped.path);
                return Self { skipped: vec![skipped], ..failure };
            }
            _ => FailureKind::Photo,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Store(error) => error.into(),
            IndexError::Model(error) => error.into(),
            other => Self::new(FailureKind::System, other.to_string()),
        }
    }
}

impl From<&RootProblem> for Failure {
    fn from(problem: &RootProblem) -> Self {
        let kind = match problem {
            RootProblem::Emptied { .. } => FailureKind::FolderEmptied,
            _ => FailureKind::Folder,
        };
        Self::new(kind, problem.to_string()).at(problem.path())
    }
}
