//! Thumbnails on their way to the screen: asked for only where the grid is, kept within a bound.
//!
//! Nothing is decoded here. What the engine sends becomes a texture, a few a frame, so
//! that no frame is late; what was not seen for longest goes first.

use std::collections::HashMap;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};

use crate::domain::PhotoId;
use crate::engine::{Failure, Thumb};

/// Texture memory that may be held, unless the screen itself shows more.
const BUDGET_BYTES: usize = 192 << 20;
/// Bytes turned into textures in one frame.
const UPLOAD_BYTES: usize = 2 << 20;
/// An answer that has not come after this long is asked for again (seconds).
const ASK_AGAIN: f64 = 3.0;
/// Frames after which what has left the screen and its surroundings is not waited for.
const LINGER: u64 = 30;
/// Photos that are remembered at all, with or without a picture.
const KEEP_NAMES: usize = 4096;

/// One thumbnail as the grid paints it.
pub struct Entry {
    state: State,
    pub name: String,
    pub caption: Option<String>,
    seen: u64,
    /// A newer picture may be there: ask, and show this one meanwhile.
    stale: bool,
}

enum State {
    Asked { at: f64 },
    Ready { texture: TextureHandle, born: f64 },
    Failed,
}

impl Entry {
    /// The texture and when it came.
    pub fn texture(&self) -> Option<(&TextureHandle, f64)> {
        match &self.state {
            State::Ready { texture, born } => Some((texture, *born)),
            _ => None,
        }
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed)
    }

    /// What a screen reader calls the photo.
    pub fn label(&self) -> &str {
        self.caption.as_deref().unwrap_or(&self.name)
    }

    fn bytes(&self) -> usize {
        self.texture().map_or(0, |(texture, _)| texture.byte_size())
    }
}

/// All thumbnails that are known.
#[derive(Default)]
pub struct Thumbs {
    entries: HashMap<PhotoId, Entry>,
    /// Arrived, not yet a texture.
    arrived: Vec<(PhotoId, Result<Thumb, Failure>)>,
    round: u64,
    bytes: usize,
}

impl Thumbs {
    /// What is known of a photo's thumbnail.
    pub fn get(&self, photo: PhotoId) -> Option<&Entry> {
        self.entries.get(&photo)
    }

    /// Bytes of texture memory held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many textures are held.
    pub fn textures(&self) -> usize {
        self.entries.values().filter(|entry| entry.texture().is_some()).count()
    }

    /// The grid shows these now (least wanted first, since the engine serves the newest
    /// request first). `ask` is false when the engine takes no more; gives true when all were asked.
    pub fn want(
        &mut self,
        photos: impl Iterator<Item = PhotoId>,
        now: f64,
        mut ask: impl FnMut(PhotoId) -> bool,
    ) -> bool {
        self.round += 1;
        let mut all_asked = true;
        for photo in photos {
            let entry = self.entries.get_mut(&photo);
            let due = match &entry {
                None => true,
                Some(Entry { state: State::Asked { at }, .. }) => now - at > ASK_AGAIN,
                Some(entry) => entry.stale,
            };
            if due && !ask(photo) {
                all_asked = false;
            } else if due {
                match entry {
                    Some(entry) => {
                        entry.stale = false;
                        if let State::Asked { at } = &mut entry.state {
                            *at = now;
                        }
                    }
                    None => {
                        let state = State::Asked { at: now };
                        let fresh = Entry { state, name: String::new(), caption: None, seen: 0, stale: false };
                        self.entries.insert(photo, fresh);
                    }
                }
            }
            if let Some(entry) = self.entries.get_mut(&photo) {
                entry.seen = self.round;
            }
        }
        self.evict();
        all_asked
    }

    /// Something visible is still awaited.
    pub fn is_waiting(&self) -> bool {
        self.entries.values().any(|e| e.seen == self.round && matches!(e.state, State::Asked { .. }))
    }

    /// The library was looked at anew: pictures may have changed.
    pub fn make_stale(&mut self) {
        for entry in self.entries.values_mut() {
            entry.stale = !matches!(entry.state, State::Asked { .. });
        }
    }

    /// One photo's picture or caption may have changed.
    pub fn make_one_stale(&mut self, photo: PhotoId) {
        if let Some(entry) = self.entries.get_mut(&photo) {
            entry.stale = !matches!(entry.state, State::Asked { .. });
        }
    }

    /// The engine's answer; it becomes a texture in [`Self::upload`].
    pub fn arrive(&mut self, photo: PhotoId, result: Result<Thumb, Failure>) {
        self.arrived.push((photo, result));
    }

    /// Turns what arrived into textures, within a frame's share; true when more is left.
    pub fn upload(&mut self, ctx: &Context, now: f64) -> bool {
        let mut left = UPLOAD_BYTES;
        // The newest first: what came earlier may have been scrolled past.
        while let Some((photo, result)) = self.arrived.pop() {
            let Some(entry) = self.entries.get_mut(&photo) else { continue };
            if entry.seen + LINGER < self.round && entry.texture().is_none() {
                // Not worth a texture; asked for again should it come back.
                self.entries.remove(&photo);
                continue;
            }
            let before = entry.bytes();
            match result {
                Ok(thumb) => {
                    let size = [thumb.image.width() as usize, thumb.image.height() as usize];
                    let image = ColorImage::from_rgba_unmultiplied(size, thumb.image.as_raw());
                    let born = entry.texture().map_or(now, |(_, born)| born);
                    let texture = ctx.load_texture("thumbnail", image, TextureOptions::LINEAR);
                    entry.state = State::Ready { texture, born };
                    (entry.name, entry.caption) = (thumb.name, thumb.caption);
                }
                Err(failure) => {
                    if let Some(name) = failure.path.as_deref().and_then(|path| path.file_name()) {
                        entry.name = name.to_string_lossy().into_owned();
                    }
                    if entry.texture().is_none() {
                        entry.state = State::Failed;
                    }
                }
            }
            let after = entry.bytes();
            self.bytes = self.bytes + after - before;
            left = left.saturating_sub(after);
            if left == 0 {
                break;
            }
        }
        !self.arrived.is_empty()
    }

    /// Lets go of what was not seen for longest, never of what is on the screen.
    fn evict(&mut self) {
        let round = self.round;
        if self.entries.len() > KEEP_NAMES {
            self.entries.retain(|_, e| e.seen == round || matches!(e.state, State::Ready { .. }));
        }
        if self.bytes <= BUDGET_BYTES && self.entries.len() <= KEEP_NAMES {
            return;
        }
        let mut old: Vec<(u64, PhotoId)> =
            self.entries.iter().filter(|(_, e)| e.seen != round).map(|(&id, e)| (e.seen, id)).collect();
        old.sort_unstable();
        // A little below the bound, so that this is not done every frame.
        for (_, id) in old {
            if self.bytes <= BUDGET_BYTES * 9 / 10 && self.entries.len() <= KEEP_NAMES * 9 / 10 {
                break;
            }
            if let Some(gone) = self.entries.remove(&id) {
                self.bytes -= gone.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use image::RgbaImage;

    use super::*;

    fn thumb() -> Result<Thumb, Failure> {
        let image = Arc::new(RgbaImage::from_pixel(292, 292, image::Rgba([9, 9, 9, 255])));
        Ok(Thumb { image, name: "a.jpg".into(), caption: None })
    }

    /// Scrolls through everything, answering each request.
    fn scroll(thumbs: &mut Thumbs, ctx: &Context, ids: impl Iterator<Item = i64>) {
        for first in ids {
            let mut asked = Vec::new();
            thumbs.want((first..first + 60).map(PhotoId), 0.0, |id| {
                asked.push(id);
                true
            });
            for id in asked {
                thumbs.arrive(id, thumb());
            }
            while thumbs.upload(ctx, 0.0) {}
        }
    }

    #[test]
    fn memory_is_bounded_and_what_went_comes_back() {
        let (ctx, mut thumbs) = (Context::default(), Thumbs::default());
        scroll(&mut thumbs, &ctx, (0..6000).step_by(40));
        assert!(thumbs.bytes() <= BUDGET_BYTES, "{}", thumbs.bytes());
        assert!(thumbs.get(PhotoId(0)).is_none());
        scroll(&mut thumbs, &ctx, std::iter::once(0));
        assert!(thumbs.get(PhotoId(0)).and_then(Entry::texture).is_some());
        assert_eq!(thumbs.bytes(), thumbs.textures() * 292 * 292 * 4);
    }

    #[test]
    fn what_was_scrolled_past_before_it_came_is_dropped_and_asked_again() {
        let (ctx, mut thumbs) = (Context::default(), Thumbs::default());
        thumbs.want((0..60).map(PhotoId), 0.0, |_| true);
        for _ in 0..=LINGER {
            thumbs.want((1000..1060).map(PhotoId), 0.0, |_| true);
        }
        for id in (0..60).chain(1000..1060) {
            thumbs.arrive(PhotoId(id), thumb());
        }
        while thumbs.upload(&ctx, 0.0) {}
        assert_eq!(thumbs.textures(), 60);
        let mut asked = 0;
        thumbs.want((0..60).map(PhotoId), 0.0, |_| {
            asked += 1;
            true
        });
        assert_eq!(asked, 60);
    }

    #[test]
    fn a_full_queue_is_asked_again_and_so_is_a_lost_answer() {
        let mut thumbs = Thumbs::default();
        assert!(!thumbs.want([PhotoId(1)].into_iter(), 0.0, |_| false));
        let mut asked = 0;
        for now in [0.0, 1.0, 2.0, 4.0, 5.0] {
            assert!(thumbs.want([PhotoId(1)].into_iter(), now, |_| {
                asked += 1;
                true
            }));
        }
        assert_eq!(asked, 2);
        assert!(thumbs.is_waiting());
    }

    #[test]
    fn a_stale_picture_stays_until_the_new_one_is_there() {
        let (ctx, mut thumbs) = (Context::default(), Thumbs::default());
        scroll(&mut thumbs, &ctx, std::iter::once(0));
        thumbs.make_stale();
        let mut asked = 0;
        for _ in 0..2 {
            thumbs.want((0..60).map(PhotoId), 0.0, |_| {
                asked += 1;
                true
            });
        }
        assert_eq!(asked, 60);
        assert!(thumbs.get(PhotoId(0)).and_then(Entry::texture).is_some());
    }
}
