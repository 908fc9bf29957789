//! Small pictures on disk, by content: a moved photo keeps its thumbnail, a
//! changed one gets a new one. A cache: losing any part of it costs time only.
//!
//! Files are JPEG, 256 shards, written whole or not at all. Hashes spread
//! evenly, so each shard is held to its 256th of the limit by itself: a put
//! looks at one small folder at most, and only when that shard has grown.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use fast_image_resize::FilterType;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::{decode, resize};
use crate::domain::{CancelToken, ContentHash};

/// Shorter side of a thumbnail in pixels.
pub const SHORT_SIDE: u32 = 320;
/// Longer side at most, which leaves less for the shorter side of panoramas.
const LONG_SIDE: u32 = 2048;
const QUALITY: u8 = 85;
const SHARDS: usize = 256;
/// A shard over its share is cut back to this part of it, so that the next cut is not due at once.
const KEPT_AFTER_EVICTION: f64 = 0.9;
/// Bytes on disk unless told otherwise: room for some 100,000 photos.
const DEFAULT_LIMIT_BYTES: u64 = 4 << 30;
/// Marks a shard whose size on disk has not been looked up in this run.
const UNKNOWN: u64 = u64::MAX;

/// The thumbnails' folder. Shared between threads; two processes may use one folder.
#[derive(Debug)]
pub struct ThumbnailCache {
    dir: PathBuf,
    shard_limit_bytes: u64,
    shard_bytes: Vec<AtomicU64>,
}

impl ThumbnailCache {
    /// A cache in `dir`, which is made when the first thumbnail is put.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::with_limit(dir, DEFAULT_LIMIT_BYTES)
    }

    /// A cache that keeps its files to about `limit_bytes` in all, oldest out first.
    pub fn with_limit(dir: impl Into<PathBuf>, limit_bytes: u64) -> Self {
        Self {
            dir: dir.into(),
            shard_limit_bytes: limit_bytes / SHARDS as u64,
            shard_bytes: (0..SHARDS).map(|_| AtomicU64::new(UNKNOWN)).collect(),
        }
    }

    /// Keeps a thumbnail of `image` (upright, as [`super::read_photo`] gives it).
    pub fn put(&self, content: &ContentHash, image: &RgbImage) -> io::Result<()> {
        let size = thumbnail_size(image.dimensions());
        let small = if size == image.dimensions() {
            Cow::Borrowed(image)
        } else {
            let small = resize::resize(image, size, FilterType::CatmullRom);
            Cow::Owned(small.map_err(|fault| io::Error::other(fault.detail))?)
        };
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
        encoder.encode_image(small.as_ref()).map_err(io::Error::other)?;

        let path = self.path(content);
        let shard = self.shard(content);
        fs::create_dir_all(&shard)?;
        write_whole(&path, &jpeg)?;
        self.keep_within_limit(content, &shard, jpeg.len() as u64)
    }

    /// The thumbnail, if there is a sound one.
    pub fn get(&self, content: &ContentHash) -> Option<RgbImage> {
        let bytes = fs::read(self.path(content)).ok()?;
        decode::decode(&bytes, u32::MAX, &CancelToken::never()).ok().map(|(image, _)| image)
    }

    /// Forgets a thumbnail; it is no error if there is none.
    pub fn remove(&self, content: &ContentHash) -> io::Result<()> {
        match fs::remove_file(self.path(content)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn shard(&self, content: &ContentHash) -> PathBuf {
        self.dir.join(format!("{:02x}", content.0[0]))
    }

    fn path(&self, content: &ContentHash) -> PathBuf {
        let name: String = content.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.shard(content).join(name + ".jpg")
    }

    /// Counts `added` bytes to the shard and evicts its oldest files if it is over its share.
    fn keep_within_limit(&self, content: &ContentHash, shard: &Path, added: u64) -> io::Result<()> {
        let counter = &self.shard_bytes[usize::from(content.0[0])];
        let known = counter.load(Ordering::Relaxed);
        if known != UNKNOWN && known.saturating_add(added) <= self.shard_limit_bytes {
            // Two puts at once may lose one's bytes; the next look at the folder mends it.
            counter.store(known + added, Ordering::Relaxed);
            return Ok(());
        }
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(shard)?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let meta = entry.metadata().ok()?;
                Some((meta.modified().ok()?, meta.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        if total > self.shard_limit_bytes {
            files.sort_unstable();
            let target = (self.shard_limit_bytes as f64 * KEPT_AFTER_EVICTION) as u64;
            // The newest stays whatever its size: it was put to be shown.
            for (_, bytes, path) in &files[..files.len() - 1] {
                if total <= target {
                    break;
                }
                if fs::remove_file(path).is_ok() {
                    total -= bytes;
                }
            }
        }
        counter.store(total, Ordering::Relaxed);
        Ok(())
    }
}

/// Size of a thumbnail: the shorter side 320 or what there is, the longer side bounded, never zero.
fn thumbnail_size((width, height): (u32, u32)) -> (u32, u32) {
    let (short, long) = (f64::from(width.min(height)), f64::from(width.max(height)));
    let scale = (f64::from(SHORT_SIDE) / short).min(f64::from(LONG_SIDE) / long).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    (side(width), side(height))
}

/// Writes beside the target and renames: readers see a whole file or none.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = format!("{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(unique);
    let written = File::create(&temporary).and_then(|mut file| file.write_all(bytes));
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        // Best effort: the error that is reported is the first one.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::fixtures::quarters;
    use super::*;

    fn content(first: u8, second: u8) -> ContentHash {
        let mut hash = [0; 32];
        (hash[0], hash[1]) = (first, second);
        ContentHash(hash)
    }

    #[test]
    fn kept_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ThumbnailCache::new(folder.path().join("not there yet"));
        let hash = content(1, 2);
        assert!(cache.get(&hash).is_none());
        cache.put(&hash, &quarters(900, 640)).unwrap();
        let thumbnail = cache.get(&hash).unwrap();
        assert_eq!(thumbnail.dimensions(), (450, 320));
        assert!(thumbnail.get_pixel(20, 20).0[0] > 220 && thumbnail.get_pixel(20, 20).0[1] < 40);
        assert!(ThumbnailCache::new(folder.path().join("not there yet")).get(&hash).is_some());
        cache.remove(&hash).unwrap();
        assert!(cache.get(&hash).is_none());
        cache.remove(&hash).unwrap();
    }

    #[test]
    fn sizes() {
        assert_eq!(thumbnail_size((750, 500)), (480, 320));
        assert_eq!(thumbnail_size((300, 200)), (300, 200));
        assert_eq!(thumbnail_size((20_000, 2000)), (2048, 205));
        assert_eq!(thumbnail_size((30_000, 8)), (2048, 1));
        assert_eq!(thumbnail_size((1, 1)), (1, 1));
    }

    #[test]
    fn a_broken_file_is_no_thumbnail() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ThumbnailCache::new(folder.path());
        let hash = content(1, 2);
        cache.put(&hash, &quarters(40, 40)).unwrap();
        fs::write(cache.path(&hash), b"half a thumb").unwrap();
        assert!(cache.get(&hash).is_none());
        cache.put(&hash, &quarters(40, 40)).unwrap();
        assert!(cache.get(&hash).is_some());
    }

    #[test]
    fn the_oldest_go_when_room_is_short() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ThumbnailCache::with_limit(folder.path(), 10_000 * SHARDS as u64);
        let picture = quarters(320, 320);
        for second in 0..20 {
            let hash = content(9, second);
            cache.put(&hash, &picture).unwrap();
            if let Ok(file) = File::options().write(true).open(cache.path(&hash)) {
                file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000 + u64::from(second))).unwrap();
            }
        }
        let files = fs::read_dir(cache.shard(&content(9, 0))).unwrap().map(|f| f.unwrap().metadata().unwrap().len());
        assert!(files.sum::<u64>() <= 10_000);
        assert!(cache.get(&content(9, 19)).is_some() && cache.get(&content(9, 0)).is_none());
        // Other shards are not concerned, and one file larger than the limit still shows.
        let tiny = ThumbnailCache::with_limit(folder.path(), 0);
        tiny.put(&content(8, 0), &picture).unwrap();
        tiny.put(&content(8, 1), &picture).unwrap();
        assert!(tiny.get(&content(8, 1)).is_some() && tiny.get(&content(8, 0)).is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(ThumbnailCache::new(file).put(&content(1, 1), &quarters(8, 8)).is_err());
    }
}
