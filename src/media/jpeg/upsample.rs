//! From component planes to RGB rows: chroma upsampling and colour conversion,
//! both as libjpeg does them.

use super::frame::Plane;

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    /// Inks stored inverted (255 is none), as Adobe's and all common programs do.
    Cmyk,
    /// The same with the complements of the three colour inks as YCbCr.
    Ycck,
}

/// The picture's rows as RGB bytes.
pub(super) fn to_rgb(planes: &[Plane], colour: Colour, width: usize, height: usize) -> Vec<u8> {
    let mut rgb = vec![0; width * height * 3];
    let mut rows = vec![vec![0; width + 2]; planes.len()];
    for (y, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
        for (plane, row) in planes.iter().zip(&mut rows) {
            upsample_row(plane, y, width, height, row);
        }
        match (colour, rows.as_slice()) {
            (Colour::Grey, [grey, ..]) => {
                for (out, &v) in out.chunks_exact_mut(3).zip(grey) {
                    out.fill(v);
                }
            }
            (Colour::YCbCr, [y, cb, cr]) => {
                for (((out, &y), &cb), &cr) in out.chunks_exact_mut(3).zip(y).zip(cb).zip(cr) {
                    out.copy_from_slice(&rgb_of(y, cb, cr));
                }
            }
            (Colour::Rgb, [r, g, b]) => {
                for (((out, &r), &g), &b) in out.chunks_exact_mut(3).zip(r).zip(g).zip(b) {
                    out.copy_from_slice(&[r, g, b]);
                }
            }
            (Colour::Cmyk | Colour::Ycck, [c, m, y, k]) => {
                for ((((out, &c), &m), &y), &k) in out.chunks_exact_mut(3).zip(c).zip(m).zip(y).zip(k) {
                    let inks = if colour == Colour::Ycck { rgb_of(c, m, y).map(|v| 255 - v) } else { [c, m, y] };
                    out.copy_from_slice(&inks.map(|level| without_ink(level, k)));
                }
            }
            _ => {}
        }
    }
    rgb
}

/// JFIF's YCbCr to RGB in 16-bit fixed point.
#[inline(always)]
fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + ((91_881 * cr + HALF) >> 16),
        y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16),
        y + ((116_130 * cb + HALF) >> 16),
    ]
    .map(|v| v.clamp(0, 255) as u8)
}

/// An inverted ink level under inverted black: their product, rounded as Pillow does.
#[inline(always)]
fn without_ink(level: u8, black: u8) -> u8 {
    let product = u32::from(255 - level) * u32::from(black) + 128;
    black.saturating_sub((((product >> 8) + product) >> 8) as u8)
}

/// Row `y` of the picture from a plane of any lower resolution.
fn upsample_row(plane: &Plane, y: usize, width: usize, height: usize, out: &mut Vec<u8>) {
    out.resize(width + 2, 0);
    match (plane.across, plane.down) {
        ((1, 1), (1, 1)) => out[..width].copy_from_slice(&plane.row(y)[..width]),
        ((2, 1), (1, 1)) if plane.width > 2 => double_across(plane.row(y), plane.width, out),
        ((2, 1), (2, 1)) if plane.width > 2 => double_both(plane, y, out),
        ((1, 1), (2, 1)) => {
            let (near, far) = nearest_rows(plane, y);
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            for ((out, &near), &far) in out.iter_mut().zip(near).zip(far).take(width) {
                *out = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
            }
        }
        ((across, per), (down, of)) => {
            let row = plane.row((y * of / down).min(plane.height - 1));
            for (x, out) in out.iter_mut().take(width).enumerate() {
                *out = row[(x * per / across).min(plane.width - 1)];
            }
        }
    }
    debug_assert!(y < height);
}

/// The plane's rows nearest and second nearest to row `y` of a picture twice as high.
fn nearest_rows(plane: &Plane, y: usize) -> (&[u8], &[u8]) {
    let near = y / 2;
    let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(plane.height - 1) };
    (plane.row(near), plane.row(far))
}

/// Twice the width: each sample weighs 3/4 in its two pixels, its neighbour 1/4.
fn double_across(row: &[u8], width: usize, out: &mut Vec<u8>) {
    out.resize(width * 2, 0);
    let at = |x: usize| u16::from(row[x]);
    for x in 0..width {
        let (left, right) = (at(x.saturating_sub(1)), at((x + 1).min(width - 1)));
        out[2 * x] = ((3 * at(x) + left + 1) >> 2) as u8;
        out[2 * x + 1] = ((3 * at(x) + right + 2) >> 2) as u8;
    }
}

/// Twice the width and height.
fn double_both(plane: &Plane, y: usize, out: &mut Vec<u8>) {
    let width = plane.width;
    out.resize(width * 2, 0);
    let (near, far) = nearest_rows(plane, y);
    let at = |x: usize| u16::from(near[x]) * 3 + u16::from(far[x]);
    let mut left = at(0);
    let mut here = left;
    for x in 0..width {
        let right = at((x + 1).min(width - 1));
        out[2 * x] = ((3 * here + left + 8) >> 4) as u8;
        out[2 * x + 1] = ((3 * here + right + 7) >> 4) as u8;
        (left, here) = (here, right);
    }
}
