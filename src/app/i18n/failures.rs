//! What could not be done, in a sentence that says what to do now.

use crate::engine::{Failure, FailureKind};

use super::{Lang, Msg};

impl Lang {
    /// One sentence for a failure; its detail is shown behind a click.
    pub fn failure(self, failure: &Failure) -> String {
        let path = failure.path.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let msg = match failure.kind {
            FailureKind::EmptyQuery => Msg::FailureEmptyQuery,
            FailureKind::EmptyLibrary => Msg::FailureEmptyLibrary,
            FailureKind::NotIndexed => Msg::FailureNotIndexed,
            FailureKind::Model => Msg::FailureModel,
            FailureKind::NoFuseModel => Msg::FailureNoFuseModel,
            FailureKind::Unable => Msg::FailureUnable,
            FailureKind::Export => Msg::FailureExport,
            FailureKind::Library => Msg::FailureLibrary,
            FailureKind::LibraryNewer => Msg::FailureLibraryNewer,
            FailureKind::LibraryLocked => Msg::FailureLibraryLocked,
            FailureKind::LibraryDamaged => Msg::FailureLibraryDamaged,
            FailureKind::NotALibrary => Msg::FailureNotALibrary,
            FailureKind::LibraryReplaced => Msg::FailureLibraryReplaced,
            FailureKind::LibraryReadOnly => Msg::FailureLibraryReadOnly,
            FailureKind::LibraryCannotLock => Msg::FailureLibraryCannotLock,
            FailureKind::DiskFull => Msg::FailureDiskFull,
            FailureKind::Folder => Msg::FailureFolder,
            FailureKind::FolderEmptied => Msg::FailureFolderEmptied,
            FailureKind::Photo => Msg::FailurePhoto,
            FailureKind::QueryPicture => Msg::FailureQueryPicture,
            FailureKind::System => Msg::FailureSystem,
        };
        let reason = failure.skipped.first().map_or("", |skipped| self.skipped(skipped.reason));
        self.fill(msg, &[("path", &path), ("reason", reason)]).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_file() {
        let failure = Failure {
            kind: FailureKind::Folder,
            path: Some("/photos/holiday".into()),
            detail: String::new(),
            skipped: Vec::new(),
        };
        for lang in Lang::ALL {
            assert!(lang.failure(&failure).contains("/photos/holiday"));
        }
    }
}
