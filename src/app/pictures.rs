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
        let best = of_photo().filter(|slot| slot.picture.value().is_some()).max_by_key(|slot| slot.max_side);
        best.or_else(|| of_photo().max_by_key(|slot| slot.max_side)).map(|slot| &slot.picture)
    }

    /// Asks for a picture of at least this side unless it is there or on its way.
    /// `ask` gives the request's id, or `None` when the engine takes no more.
    pub fn want(&mut self, photo: PhotoId, max_side: u32, ask: impl FnOnce() -> Option<RequestId>) {
        self.round += 1;
        let round = self.round;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.photo == photo && slot.max_side >= max_side) {
            slot.used = round;
            return;
        }
        let Some(request) = ask() else { return };
        let mut picture = Remote::Idle;
        picture.start();
        self.slots.push(Slot { photo, max_side, request, picture, used: round });
        if self.slots.len() > KEPT
            && let Some(oldest) = (0..self.slots.len()).min_by_key(|&i| self.slots[i].used)
        {
            self.slots.swap_remove(oldest);
        }
    }

    /// The engine's answer.
    pub fn arrive(&mut self, ctx: &Context, request: RequestId, result: Result<Arc<RgbaImage>, Failure>) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.request == request) else { return };
        slot.picture.finish(result.map(|image| {
            let size = [image.width() as usize, image.height() as usize];
            let pixels = ColorImage::from_rgba_unmultiplied(size, image.as_raw());
            Picture { texture: ctx.load_texture("picture", pixels, TextureOptions::LINEAR), image }
        }));
    }

    /// The library was looked at anew: ask again for what is shown.
    pub fn clear(&mut self) {
        self.slots.clear();
    }
}
