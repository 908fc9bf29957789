//! Files that are whole or not there: written beside their target, then renamed over it.
//!
//! The name of the file in the making follows from the target's, so that one left over by
//! a killed run is found and used by the next; a lock tells it from that of a running one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file was not written; it is as it was.
#[derive(Debug, Error)]
pub(super) enum WriteError {
    #[error("the folder cannot be written to")]
    Denied,
    #[error("no room on the disk")]
    Full,
    #[error("the file is write-protected")]
    Protected,
    #[error("the file has other names (hard links), which would lead to the old one")]
    HardLinks,
    #[error("a link that leads nowhere")]
    DanglingLink,
    #[error("not a regular file")]
    NotAFile,
    #[error("another export is writing it")]
    Busy,
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// A file in the making. Dropped before [`Draft::commit`], it leaves nothing behind.
pub(super) struct Draft {
    file: File,
    temporary: Temporary,
    /// Where links lead to in the end.
    target: PathBuf,
    /// The permissions of the file whose place it takes.
    replaces: Option<fs::Permissions>,
}

struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Left over, it is used again or removed by the next run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Draft {
    /// Begins to write `target`; its folder is made if it is not there.
    pub fn begin(target: &Path) -> Result<Self, WriteError> {
        let target = resolved(target)?;
        let replaces = check(&target)?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let path = temporary(&target);
        let file = locked(&path)?;
        let temporary = Temporary { path, renamed: false };
        file.set_len(0)?;
        Ok(Self { file, temporary, target, replaces })
    }

    /// Puts the file in its place.
    pub fn commit(mut self) -> Result<(), WriteError> {
        if let Some(permissions) = self.replaces.take() {
            fs::set_permissions(&self.temporary.path, permissions)?;
            // A power cut must not leave an empty file where there was one; a new one can be made again.
            self.file.sync_all()?;
        }
        fs::rename(&self.temporary.path, &self.target)?;
        self.temporary.renamed = true;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole file.
pub(super) fn write(target: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut draft = Draft::begin(target)?;
    draft.write_all(bytes)?;
    draft.commit()
}

/// Whether [`write()`] would refuse, as far as that can be told without writing.
pub(super) fn refusal(target: &Path) -> Result<(), WriteError> {
    check(&resolved(target)?).map(drop)
}

/// Removes what a killed run left of a file that needs no writing now.
pub(super) fn remove_leftover(target: &Path) {
    let path = temporary(target);
    if path.symlink_metadata().is_ok() && locked(&path).is_ok() {
        let _ = fs::remove_file(&path);
    }
}

/// Follows links, so that they still lead to the same file afterwards.
fn resolved(target: &Path) -> Result<PathBuf, WriteError> {
    match target.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => target.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => WriteError::DanglingLink,
            _ => error.into(),
        }),
        _ => Ok(target.to_path_buf()),
    }
}

/// Whether the file may be replaced; its permissions if there is one.
fn check(target: &Path) -> Result<Option<fs::Permissions>, WriteError> {
    let meta = match target.metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !meta.is_file() {
        return Err(WriteError::NotAFile);
    }
    if meta.permissions().readonly() {
        return Err(WriteError::Protected);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if meta.nlink() > 1 {
            return Err(WriteError::HardLinks);
        }
    }
    Ok(Some(meta.permissions()))
}

/// Short whatever the target is called, and hidden.
fn temporary(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().as_encoded_bytes();
    let hash = blake3::hash(name).to_hex();
    target.with_file_name(format!(".{}.glimpse-tmp", &hash[..16]))
}

/// Opens the file in the making, new or left over, and keeps others from it.
fn locked(path: &Path) -> Result<File, WriteError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(WriteError::Busy),
        // A file system without locks: nobody else is expected.
        Err(TryLockError::Error(error)) => log::debug!("no lock on {}: {error}", path.display()),
    }
    // Whoever held the lock before may have renamed the file into its place meanwhile.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (held, named) = (file.metadata()?, fs::symlink_metadata(path));
        if named.map_or(true, |named| (named.dev(), named.ino()) != (held.dev(), held.ino())) {
            return Err(WriteError::Busy);
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_the_old_one_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.txt");
        fs::write(&target, "old").unwrap();
        let mut draft = Draft::begin(&target).unwrap();
        draft.write_all(b"half").unwrap();
        assert!(matches!(Draft::begin(&target), Err(WriteError::Busy)), "two at once");
        drop(draft);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn what_a_killed_run_left_is_used_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.txt");
        fs::write(temporary(&target), "much longer than the new text").unwrap();
        write(&target, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::write(temporary(&target), "x").unwrap();
        remove_leftover(&target);
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    #[cfg(unix)]
    fn links_and_modes() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("real.xmp"), "old").unwrap();
        fs::set_permissions(at("real.xmp"), fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.xmp", at("link.xmp")).unwrap();
        write(&at("link.xmp"), b"new").unwrap();
        assert!(at("link.xmp").symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read(at("real.xmp")).unwrap(), b"new");
        assert_eq!(fs::metadata(at("real.xmp")).unwrap().mode() & 0o777, 0o640);

        fs::hard_link(at("real.xmp"), at("hard.xmp")).unwrap();
        assert!(matches!(write(&at("hard.xmp"), b"x"), Err(WriteError::HardLinks)));
        fs::write(at("fixed.xmp"), "old").unwrap();
        fs::set_permissions(at("fixed.xmp"), fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(write(&at("fixed.xmp"), b"x"), Err(WriteError::Protected)));
        std::os::unix::fs::symlink("nowhere", at("lost.xmp")).unwrap();
        assert!(matches!(write(&at("lost.xmp"), b"x"), Err(WriteError::DanglingLink)));
        fs::create_dir(at("folder.xmp")).unwrap();
        assert!(matches!(write(&at("folder.xmp"), b"x"), Err(WriteError::NotAFile)));
    }
}
