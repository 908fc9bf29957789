//! Turning a picture upright, as the EXIF orientation (TIFF tag 274) says.

use image::{RgbImage, imageops};

/// One of the eight EXIF orientations; anything else counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Default for Orientation {
    fn default() -> Self {
        Self(1)
    }
}

impl Orientation {
    pub fn from_exif(value: u32) -> Self {
        u8::try_from(value).ok().filter(|v| (1..=8).contains(v)).map_or_else(Self::default, Self)
    }

    /// Width and height once upright.
    pub fn upright_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.0 >= 5 { (height, width) } else { (width, height) }
    }

    pub fn apply(self, mut image: RgbImage) -> RgbImage {
        // 5 and 7 are a quarter turn and then a mirror.
        let turned = match self.0 {
            5 | 6 => imageops::rotate90(&image),
            7 | 8 => imageops::rotate270(&image),
            _ => {
                match self.0 {
                    2 => imageops::flip_horizontal_in_place(&mut image),
                    3 => imageops::rotate180_in_place(&mut image),
                    4 => imageops::flip_vertical_in_place(&mut image),
                    _ => {}
                }
                return image;
            }
        };
        image = turned;
        if matches!(self.0, 5 | 7) {
            imageops::flip_horizontal_in_place(&mut image);
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_come_out_upright() {
        // What a camera stores for each value when the scene is [1 2 3 / 4 5 6].
        let stored: [(u32, u32, [u8; 6]); 8] = [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [3, 6, 2, 5, 1, 4]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [4, 1, 5, 2, 6, 3]),
        ];
        for (value, width, pixels) in stored {
            let raw = pixels.iter().flat_map(|&v| [v; 3]).collect();
            let orientation = Orientation::from_exif(value);
            let stored = RgbImage::from_raw(width, 6 / width, raw).unwrap();
            assert_eq!(orientation.upright_size(stored.dimensions()), (3, 2), "{value}");
            let upright = orientation.apply(stored);
            assert_eq!(upright.dimensions(), (3, 2), "{value}");
            assert_eq!(upright.pixels().map(|p| p[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "{value}");
        }
    }

    #[test]
    fn unknown_values_count_as_upright() {
        for value in [0, 9, 65_535] {
            assert_eq!(Orientation::from_exif(value), Orientation::from_exif(1));
        }
    }
}
