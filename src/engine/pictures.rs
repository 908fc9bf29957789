//! Thumbnails and previews, made on threads of their own: previews first, then the newest
//! thumbnail, since that is what the person looks at now.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::domain::{CancelSource, CancelToken, ContentHash, Photo, PhotoId, RequestId};
use crate::media::{self, ThumbnailCache};
use crate::store::{Reader, StoreError};

use super::outbox::Outbox;
use super::threads;
use super::{Event, Failure, FailureKind, Thumb};

const THREADS: usize = 2;
/// Thumbnails that may wait: more than any screen shows. The oldest give way.
const WAITING: usize = 4096;
/// Previews that may wait: the one that is looked at and its neighbours.
const PREVIEWS: usize = 8;
/// Decoded thumbnails kept in memory.
const KEPT_BYTES: usize = 96 << 20;

/// A handle to the picture threads. They end when it is dropped.
pub(super) struct Pictures {
    shared: Arc<Shared>,
    /// Ends decoding that is under way when the program closes.
    _cancel: CancelSource,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    kept: Mutex<Lru>,
}

#[derive(Default)]
struct Queue {
    thumbnails: Vec<PhotoId>,
    waiting: HashSet<PhotoId>,
    previews: Vec<Preview>,
    closed: bool,
}

struct Preview {
    request: RequestId,
    photo: PhotoId,
    max_side: u32,
}

enum Work {
    Thumbnail(PhotoId),
    Preview(Preview),
}

impl Pictures {
    /// Starts the threads, each with a reader of its own.
    pub fn start(
        library: &Path,
        cache: &Arc<ThumbnailCache>,
        outbox: &Outbox,
        alive: &Sender<()>,
    ) -> Result<Self, Failure> {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), kept: Mutex::default() });
        let cancel = CancelSource::default();
        let token = cancel.restart();
        for n in 0..THREADS {
            let painter = Painter {
                shared: Arc::clone(&shared),
                cache: Arc::clone(cache),
                reader: Reader::open(library)?,
                outbox: outbox.clone(),
                token: token.clone(),
            };
            threads::begin(&format!("pictures-{n}"), alive.clone(), move || painter.run())
                .map_err(|error| Failure::new(FailureKind::System, error.to_string()))?;
        }
        Ok(Self { shared, _cancel: cancel })
    }

    /// Wants a thumbnail, before all that were wanted earlier.
    pub fn thumbnail(&self, photo: PhotoId) {
        let mut queue = self.shared.queue();
        if queue.waiting.insert(photo) {
            if queue.thumbnails.len() == WAITING {
                let oldest = queue.thumbnails.remove(0);
                queue.waiting.remove(&oldest);
            }
        } else if let Some(at) = queue.thumbnails.iter().rposition(|&p| p == photo) {
            queue.thumbnails.remove(at);
        }
        queue.thumbnails.push(photo);
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Wants a large picture. False when too many are wanted already.
    pub fn preview(&self, request: RequestId, photo: PhotoId, max_side: u32) -> bool {
        let mut queue = self.shared.queue();
        if queue.previews.len() == PREVIEWS {
            return false;
        }
        queue.previews.push(Preview { request, photo, max_side });
        drop(queue);
        self.shared.filled.notify_one();
        true
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.filled.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work, the newest first; `None` once closed.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(preview) = queue.previews.pop() {
                return Some(Work::Preview(preview));
            }
            if let Some(photo) = queue.thumbnails.pop() {
                queue.waiting.remove(&photo);
                return Some(Work::Thumbnail(photo));
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Painter {
    shared: Arc<Shared>,
    cache: Arc<ThumbnailCache>,
    reader: Reader,
    outbox: Outbox,
    token: CancelToken,
}

impl Painter {
    fn run(&self) {
        while let Some(work) = self.shared.next() {
            let heard = match work {
                Work::Thumbnail(photo) => {
                    let result = self.thumbnail(photo);
                    self.outbox.send(Event::Thumbnail { photo, result })
                }
                Work::Preview(Preview { request, photo, max_side }) => {
                    let result = self.preview(photo, max_side);
                    self.outbox.send(Event::Preview { request, photo, result })
                }
            };
            if !heard {
                return;
            }
        }
    }

    fn photo(&self, id: PhotoId) -> Result<Photo, Failure> {
        let found: Result<_, StoreError> = self.reader.photo(id);
        found?.ok_or_else(|| Failure::new(FailureKind::Photo, "this photo is no longer in the library"))
    }

    fn thumbnail(&self, id: PhotoId) -> Result<Thumb, Failure> {
        let photo = self.photo(id)?;
        let name = photo.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = photo.content.and_then(|content| self.kept().get(&content));
        let image = match kept {
            Some(image) => image,
            None => self.paint(&photo)?,
        };
        Ok(Thumb { image, name, caption: self.reader.accepted_caption(id)? })
    }

    /// From the cache on disk, else from the photo itself.
    fn paint(&self, photo: &Photo) -> Result<Arc<RgbaImage>, Failure> {
        let cached = photo.content.and_then(|content| Some((content, self.cache.get(&content)?)));
        let (content, small) = match cached {
            Some(cached) => cached,
            None => {
                let decoded = self.read(photo, media::THUMBNAIL_SIDE)?;
                if let Err(error) = self.cache.put(&decoded.content, &decoded.image) {
                    log::debug!("no thumbnail: {error}: {}", photo.path.display());
                }
                // What the cache keeps is smaller than what was decoded; without it the decoded picture has to do.
                let small = self.cache.get(&decoded.content).unwrap_or(decoded.image);
                (decoded.content, small)
            }
        };
        let image = Arc::new(DynamicImage::ImageRgb8(small).into_rgba8());
        self.kept().put(content, Arc::clone(&image));
        Ok(image)
    }

    fn preview(&self, id: PhotoId, max_side: u32) -> Result<Arc<RgbaImage>, Failure> {
        let photo = self.photo(id)?;
        let image = self.read(&photo, max_side)?.image;
        Ok(Arc::new(DynamicImage::ImageRgb8(fit(image, max_side)).into_rgba8()))
    }

    fn read(&self, photo: &Photo, min_side: u32) -> Result<media::Decoded, Failure> {
        media::read_photo(&photo.path, min_side, &self.token)
            .map_err(|skipped| Failure::new(FailureKind::Photo, skipped.detail).at(&photo.path))
    }

    fn kept(&self) -> MutexGuard<'_, Lru> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scaled down to at most `max_side` pixels a side; never up.
fn fit(image: RgbImage, max_side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= max_side.max(1) {
        return image;
    }
    let scaled = |side: u32| ((u64::from(side) * u64::from(max_side.max(1)) / u64::from(longer)) as u32).max(1);
    DynamicImage::ImageRgb8(image)
        .resize_exact(scaled(width), scaled(height), image::imageops::FilterType::Triangle)
        .into_rgb8()
}

/// The thumbnails used last, up to a number of bytes.
#[derive(Default)]
struct Lru {
    images: HashMap<ContentHash, (Arc<RgbaImage>, u64)>,
    bytes: usize,
    clock: u64,
}

impl Lru {
    fn get(&mut self, content: &ContentHash) -> Option<Arc<RgbaImage>> {
        self.clock += 1;
        let (image, used) = self.images.get_mut(content)?;
        *used = self.clock;
        Some(Arc::clone(image))
    }

    fn put(&mut self, content: ContentHash, image: Arc<RgbaImage>) {
        self.clock += 1;
        self.bytes += image.as_raw().len();
        if let Some((old, _)) = self.images.insert(content, (image, self.clock)) {
            self.bytes -= old.as_raw().len();
        }
        if self.bytes <= KEPT_BYTES {
            return;
        }
        // A quarter at a time, so that a full cache is not sorted for every picture.
        let mut by_age: Vec<_> = self.images.iter().map(|(content, (_, used))| (*used, *content)).collect();
        by_age.sort_unstable_by_key(|&(used, _)| used);
        for (_, content) in by_age {
            if self.bytes <= KEPT_BYTES * 3 / 4 {
                break;
            }
            if let Some((old, _)) = self.images.remove(&content) {
                self.bytes -= old.as_raw().len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lru_keeps_what_was_used_last_within_its_bytes() {
        let mut lru = Lru::default();
        let image = || Arc::new(RgbaImage::new(1024, 1024));
        let key = |n: u8| ContentHash([n; 32]);
        for n in 0..20 {
            lru.put(key(n), image());
        }
        assert!(lru.get(&key(0)).is_some());
        for n in 20..40 {
            lru.put(key(n), image());
        }
        assert!(lru.bytes <= KEPT_BYTES, "{}", lru.bytes);
        assert_eq!(lru.bytes, lru.images.values().map(|(i, _)| i.as_raw().len()).sum::<usize>());
        assert!(lru.get(&key(39)).is_some());
        assert!(lru.get(&key(1)).is_none(), "the oldest went");
        lru.put(key(39), image());
        assert!(lru.bytes <= KEPT_BYTES);
    }

    #[test]
    fn previews_are_scaled_down_only() {
        assert_eq!(fit(RgbImage::new(400, 100), 200).dimensions(), (200, 50));
        assert_eq!(fit(RgbImage::new(40, 10), 200).dimensions(), (40, 10));
        assert_eq!(fit(RgbImage::new(30_000, 8), 200).dimensions(), (200, 1));
    }

    #[test]
    fn the_newest_thumbnail_comes_first_and_each_only_once() {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), kept: Mutex::default() });
        let pictures = Pictures { shared: Arc::clone(&shared), _cancel: CancelSource::default() };
        for id in [1, 2, 3, 1] {
            pictures.thumbnail(PhotoId(id));
        }
        assert!(pictures.preview(RequestId(7), PhotoId(9), 100));
        assert!(matches!(shared.next(), Some(Work::Preview(p)) if p.photo == PhotoId(9)));
        let order: Vec<i64> = (0..3)
            .map(|_| match shared.next() {
                Some(Work::Thumbnail(PhotoId(id))) => id,
                _ => panic!("a thumbnail was due"),
            })
            .collect();
        assert_eq!(order, [1, 3, 2]);
        drop(pictures);
        assert!(shared.next().is_none(), "closed");
    }
}
