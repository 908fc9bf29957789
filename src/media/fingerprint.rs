//! A file's bytes and their BLAKE3 hash. Reads are bounded, and a file that
//! changes meanwhile is noticed: half of the old and half of the new is no photo.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::Fault;
use super::walk::{sentence, stamp_of};
use crate::domain::{CancelToken, ContentHash, SkippedReason};

/// More than any photo; a sparse or mislabelled giant is refused before it is read.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Between looks at the cancel token.
const CHUNK_BYTES: usize = 4 << 20;

/// BLAKE3 of a file's content, read in pieces.
pub fn hash_file(path: &Path) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(ContentHash(*hasher.finalize().as_bytes()))
}

/// The whole file, if it is an ordinary one of sensible size that holds still.
pub(super) fn read_whole(path: &Path, cancel: &CancelToken) -> Result<Vec<u8>, Fault> {
    let unreadable = |e: io::Error| Fault::new(SkippedReason::Unreadable, sentence(&e));
    // Asked before opening: opening a pipe would wait for its writer.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(Fault::new(SkippedReason::Unreadable, "It is not an ordinary file."));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let before = stamp_of(&file.metadata().map_err(unreadable)?);
    if before.size_bytes == 0 {
        return Err(Fault::new(SkippedReason::Empty, "The file is empty."));
    }
    if before.size_bytes > MAX_FILE_BYTES {
        let detail = format!("The file has {} MB, more than any photo that can be read.", before.size_bytes >> 20);
        return Err(Fault::new(SkippedReason::TooLarge, detail));
    }
    let mut bytes = Vec::new();
    // One byte more than there should be shows that the file grew.
    let mut left = before.size_bytes as usize + 1;
    if bytes.try_reserve_exact(left).is_err() {
        return Err(Fault::new(SkippedReason::TooLarge, "There is not enough memory for this file."));
    }
    while left > 0 {
        if cancel.is_cancelled() {
            return Err(Fault::cancelled());
        }
        let step = left.min(CHUNK_BYTES);
        let read = file.by_ref().take(step as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        left -= read;
        if read < step {
            break;
        }
    }
    let after = stamp_of(&file.metadata().map_err(unreadable)?);
    if bytes.len() as u64 != before.size_bytes || after != before {
        return Err(Fault::new(
            SkippedReason::Changing,
            "The file changed while it was read; it is tried again later.",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn reason(path: &Path) -> SkippedReason {
        read_whole(path, &CancelToken::never()).unwrap_err().reason
    }

    #[test]
    fn both_ways_to_hash_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, vec![7; 10_000_001]).unwrap();
        let bytes = read_whole(&path, &CancelToken::never()).unwrap();
        assert_eq!(hash_file(&path).unwrap().0, *blake3::hash(&bytes).as_bytes());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(reason(&at("gone")), SkippedReason::Unreadable);
        assert_eq!(reason(folder.path()), SkippedReason::Unreadable);
        std::fs::write(at("empty"), "").unwrap();
        assert_eq!(reason(&at("empty")), SkippedReason::Empty);
        // Sparse: ten gigabytes that take no room.
        File::create(at("sparse")).unwrap().set_len(10 << 30).unwrap();
        assert_eq!(reason(&at("sparse")), SkippedReason::TooLarge);
        assert_eq!(reason(Path::new(&"x/".repeat(3000))), SkippedReason::Unreadable);
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, vec![1; 64 << 20]).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        // Grows until it has been read.
        let result = std::thread::scope(|scope| {
            let reading = scope.spawn(|| read_whole(&path, &CancelToken::never()));
            while !reading.is_finished() {
                file.write_all(b"more").unwrap();
            }
            reading.join().unwrap()
        });
        assert_eq!(result.unwrap_err().reason, SkippedReason::Changing);
    }

    #[test]
    fn cancelling_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let source = crate::domain::CancelSource::default();
        let token = source.restart();
        source.cancel();
        assert_eq!(read_whole(&path, &token).unwrap_err(), Fault::cancelled());
    }
}
