//! Photos for tests, made on the spot: patches of one colour, each file different.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

/// The colours that `StubAlign` knows by name.
pub const RED: [u8; 3] = [220, 30, 30];
pub const GREEN: [u8; 3] = [30, 170, 40];
pub const BLUE: [u8; 3] = [40, 60, 220];

/// A picture of one colour with a small mark that makes its bytes unlike those of other seeds.
pub fn patch(colour: [u8; 3], seed: u32) -> RgbImage {
    let mut image = RgbImage::from_pixel(64, 48, Rgb(colour));
    for bit in 0..32 {
        let on = seed >> bit & 1 == 1;
        image.put_pixel(bit, 0, Rgb(if on { [255; 3] } else { [0; 3] }));
    }
    image
}

/// Writes a patch; the name's extension picks the format. Folders are made.
pub fn write(path: &Path, colour: [u8; 3], seed: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    patch(colour, seed).save(path).unwrap();
}
