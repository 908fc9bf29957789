//! Which process is at work on a job: several windows may have one library open, and what one of them
//! is busy with was not broken off.
//!
//! A lock on a file beside the library, which the system lets go of when the process ends, however it ends.
//! Must not read or write the library.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::domain::JobId;

/// A job that is this process's as long as this lives.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// `None` where locks cannot be had (some network drives): better two at one job than none.
    _lock: Option<File>,
}

impl Claim {
    /// `None`: another process, or another engine of this one, is at work on the job.
    pub fn take(library: &Path, job: JobId) -> Option<Self> {
        let mut name = library.file_name().unwrap_or_default().to_owned();
        name.push(format!(".job-{}", job.0));
        let path = library.with_file_name(name);
        let lock = match File::create(&path).map(|file| (file.try_lock(), file)) {
            Ok((Ok(()), file)) => Some(file),
            Ok((Err(TryLockError::WouldBlock), _)) => return None,
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
                log::debug!("no lock for job {}: {error}", job.0);
                None
            }
        };
        Some(Self { path, _lock: lock })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Before the lock is gone, so that nobody else's file is taken away.
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("{} stays: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("照片.db");
        let first = Claim::take(&library, JobId(3)).unwrap();
        assert!(Claim::take(&library, JobId(3)).is_none());
        assert!(Claim::take(&library, JobId(4)).is_some());
        drop(first);
        assert!(Claim::take(&library, JobId(3)).is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file stays");
    }

    #[test]
    fn a_folder_that_takes_no_files_hinders_nobody() {
        let nowhere = Path::new("/nowhere/at/all/library.db");
        assert!(Claim::take(nowhere, JobId(1)).is_some());
    }
}
