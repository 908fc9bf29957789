//! What can be wrong with a library, each as one sentence with the way out.

use std::path::{Path, PathBuf};

use rusqlite::{Error as SqlError, ErrorCode, ffi};
use thiserror::Error;

use super::open::BUSY_TIMEOUT;

/// Each message names the library file, last. None of these states is mended by
/// overwriting: a library that cannot be used is left as it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error(
        "this library was written by a newer Glimpse (its format is {found}, this program reads up to {supported}): \
         update Glimpse, or choose another library: {}", path.display()
    )]
    Newer { path: PathBuf, found: i64, supported: i64 },
    #[error("this file is not a Glimpse library ({detail}): choose another file; it was left as it is: {}", path.display())]
    NotALibrary { path: PathBuf, detail: String },
    #[error(
        "this library is damaged ({detail}): put a backup in its place, or move it away and index again; \
         it was left as it is: {}", path.display()
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "another program has held this library for {} seconds: close it, then try again: {}",
        BUSY_TIMEOUT.as_secs(), path.display()
    )]
    Locked { path: PathBuf },
    #[error("the file system cannot lock files here: keep the library on a local disk: {}", path.display())]
    CannotLock { path: PathBuf },
    #[error("no room on the disk: nothing was lost; free some space and go on: {}", path.display())]
    DiskFull { path: PathBuf },
    #[error("this library can be read but not written (a read-only file, folder or disk): {}", path.display())]
    ReadOnly { path: PathBuf },
    #[error("there is no library yet: index a folder first: {}", path.display())]
    Absent { path: PathBuf },
    #[error("the library was deleted or replaced while it was open: close Glimpse and start it again: {}", path.display())]
    Replaced { path: PathBuf },
    #[error("an embedding of {found} numbers was offered to a model of {expected}")]
    Dimension { expected: usize, found: usize },
    #[error("the library could not be opened: {source}: {}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the library could not be used: {source}: {}", path.display())]
    Sql { path: PathBuf, source: SqlError },
}

impl StoreError {
    /// The library file, where the error concerns one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Newer { path, .. }
            | Self::NotALibrary { path, .. }
            | Self::Damaged { path, .. }
            | Self::Locked { path }
            | Self::CannotLock { path }
            | Self::DiskFull { path }
            | Self::ReadOnly { path }
            | Self::Absent { path }
            | Self::Replaced { path }
            | Self::Io { path, .. }
            | Self::Sql { path, .. } => Some(path),
            Self::Dimension { .. } => None,
        }
    }

    /// Sorts what SQLite reports into what a person can act on.
    pub(super) fn from_sql(path: &Path, source: SqlError) -> Self {
        let path = path.to_path_buf();
        let detail = source.to_string();
        let SqlError::SqliteFailure(failure, _) = &source else {
            return match source {
                // A value that no version of this program writes.
                SqlError::FromSqlConversionFailure(..) | SqlError::InvalidColumnType(..) => {
                    Self::Damaged { path, detail }
                }
                source => Self::Sql { path, source },
            };
        };
        match (failure.code, failure.extended_code) {
            (ErrorCode::DatabaseCorrupt, _) => Self::Damaged { path, detail },
            (ErrorCode::NotADatabase, _) => Self::NotALibrary { path, detail },
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Locked { path },
            (ErrorCode::FileLockingProtocolFailed | ErrorCode::PermissionDenied, _)
            | (_, ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_RDLOCK | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
            | (_, ffi::SQLITE_IOERR_SHMLOCK) => Self::CannotLock { path },
            // The wal-index is extended by writing zeros: failing there means no room.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::DiskFull { path },
            // A read past the end: the file is shorter than it says.
            (_, ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS) => Self::Damaged { path, detail },
            (_, ffi::SQLITE_READONLY_DBMOVED | ffi::SQLITE_IOERR_VNODE) => Self::Replaced { path },
            (ErrorCode::ReadOnly, _) => Self::ReadOnly { path },
            _ => Self::Sql { path, source },
        }
    }

    /// Names `path` in an I/O failure, telling the ones that have a sentence of their own.
    pub(super) fn from_io(path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let path = path.to_path_buf();
        match source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Self::DiskFull { path },
            Kind::ReadOnlyFilesystem => Self::ReadOnly { path },
            Kind::NotFound => Self::Absent { path },
            _ => Self::Io { path, source },
        }
    }
}
