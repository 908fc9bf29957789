//! Making a picture smaller. Sizes only; colours, formats and files are others' work.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::Fault;

/// `image` at `width` x `height`, antialiased.
pub(super) fn resize(image: &RgbImage, (width, height): (u32, u32), filter: FilterType) -> Result<RgbImage, Fault> {
    let failed = |e: &dyn std::fmt::Display| Fault::damaged(format!("The picture could not be made smaller: {e}."));
    let source =
        ImageRef::new(image.width(), image.height(), image.as_raw(), PixelType::U8x3).map_err(|e| failed(&e))?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    RgbImage::from_raw(width, height, target.into_vec()).ok_or_else(|| failed(&"wrong buffer size"))
}

/// Reduces by a whole factor, as the JPEG decoder does, where the shorter side stays `min_side` or longer.
pub(super) fn reduce(image: RgbImage, min_side: u32) -> Result<RgbImage, Fault> {
    let (width, height) = image.dimensions();
    let factor = width.min(height) / min_side.max(1);
    if factor < 2 {
        return Ok(image);
    }
    resize(&image, (width.div_ceil(factor), height.div_ceil(factor)), FilterType::Box)
}
