//! Larger pictures: one for the inspector, and the viewer's with its neighbours.

use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::RgbaImage;

use crate::domain::{PhotoId, RequestId};
use crate::engine::Failure;

use super::remote::Remote;

/// The viewer's photo, the next, the one before, the inspector's, and one to spare.
const KEPT: usize = 5;

/// A picture and its texture.
pub struct Picture {
    pub texture: TextureHandle,
    /// For "copy picture".
    pub image: Arc<RgbaImage>,
}

struct Slot {
    photo: PhotoId,
    max_side: u32,
    request: RequestId,
    picture: Remote<Picture, Failure>,
    used: u64,
    /// The file may have changed since: asked for anew when it is next wanted, shown until then.
    stale: bool,
}

impl Slot {
    fn serves(&self, photo: PhotoId, max_side: u32) -> bool {
        self.photo == photo && self.max_side >= max_side && !self.stale
    }
}

/// The few large pictures that are kept.
#[derive(Default)]
pub struct Pictures {
    slots: Vec<Slot>,
    round: u64,
}

impl Pictures {
    /// The largest picture there is of a photo.
    pub fn get(&self, photo: PhotoId) -> Option<&Remote<Picture, Failure>> {
        let of_photo = || self.slots.iter().filter(|slot| slot.photo == photo);
        let rank = |slot: &&Slot| (!slot.stale, slot.max_side);
        let best = of_photo().filter(|slot| slot.picture.value().is_some()).max_by_key(rank);
        best.or_else(|| of_photo().max_by_key(rank)).map(|slot| &slot.picture)
    }

    /// The picture of at least this side, where it was asked for.
    pub fn of_side(&self, photo: PhotoId, max_side: u32) -> Option<&Remote<Picture, Failure>> {
        self.slots.iter().find(|slot| slot.serves(photo, max_side)).map(|slot| &slot.picture)
    }

    /// Asks for a picture of at least this side unless it is there or on its way.
    /// `ask` gives the request's id, or `None` when the engine takes no more.
    pub fn want(&mut self, photo: PhotoId, max_side: u32, ask: impl FnOnce() -> Option<RequestId>) {
        self.round += 1;
        let round = self.round;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.serves(photo, max_side)) {
            slot.used = round;
            return;
        }
        let Some(request) = ask() else { return };
        let mut picture = Remote::Idle;
        picture.start();
        self.slots.push(Slot { photo, max_side, request, picture, used: round, stale: false });
        if self.slots.len() > KEPT
            && let Some(oldest) = (0..self.slots.len()).min_by_key(|&i| self.slots[i].used)
        {
            self.slots.swap_remove(oldest);
        }
    }

    /// The engine's answer.
    pub fn arrive(&mut self, ctx: &Context, request: RequestId, result: Result<Arc<RgbaImage>, Failure>) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.request == request) else { return };
        slot.picture.finish(result.map(|image| Picture {
            texture: ctx.load_texture("picture", color_image(&image), TextureOptions::LINEAR),
            image,
        }));
    }

    /// The library was looked at anew: ask again for what is wanted.
    pub fn make_stale(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.stale = true);
    }
}

/// A picture as egui takes it.
pub(super) fn color_image(image: &RgbaImage) -> ColorImage {
    let size = [image.width() as usize, image.height() as usize];
    ColorImage::from_rgba_unmultiplied(size, image.as_raw())
}
