//! Inverse DCT of one block at 8, 4, 2 or 1 pixels a side.
//!
//! At 8 it is libjpeg's accurate integer method, bit for bit, so that pixels
//! equal those of most other programs. Smaller sizes use the lowest N x N
//! coefficients, which is a sharp antialiased reduction by itself.
//! Arithmetic wraps: damaged coefficients give wrong pixels, nothing worse.

use std::num::Wrapping;

type W = Wrapping<i32>;

/// Fraction bits of the constants, and those kept between the two passes.
const CONST_BITS: usize = 13;
const PASS_BITS: usize = 2;

/// Dequantised coefficients of a block, row by row.
pub(super) type Block = [i32; 64];

/// Row-by-row position of each zigzag index.
pub(super) const NATURAL: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Last zigzag index that a block of `size` pixels a side needs.
pub(super) fn last_needed(size: usize) -> usize {
    match size {
        1 => 0,
        2 => 4,
        4 => 24,
        _ => 63,
    }
}

/// Writes the block's `size` x `size` pixels to `out`, whose rows are `stride` apart.
pub(super) fn inverse(block: &Block, size: usize, only_dc: bool, out: &mut [u8], stride: usize) {
    if only_dc || size == 1 {
        let value = pixel(dc(block[0]));
        for row in out.chunks_mut(stride).take(size) {
            row[..size].fill(value);
        }
        return;
    }
    match size {
        2 => {
            let [a, b, c, d] = [block[0], block[1], block[8], block[9]].map(Wrapping);
            let round = Wrapping(4);
            let (sum, difference) = (a + round + c, a + round - c);
            out[0] = pixel((sum + b + d) >> 3);
            out[1] = pixel((sum - b - d) >> 3);
            out[stride] = pixel((difference + b - d) >> 3);
            out[stride + 1] = pixel((difference - b + d) >> 3);
        }
        4 => two_passes::<4>(block, out, stride, line4),
        _ => two_passes::<8>(block, out, stride, line8),
    }
}

/// A block's mean level.
fn dc(value: i32) -> W {
    (Wrapping(value) + Wrapping(4)) >> 3
}

/// A level around 0 as a pixel.
fn pixel(level: W) -> u8 {
    level.0.saturating_add(128).clamp(0, 255) as u8
}

#[inline(always)]
fn two_passes<const N: usize>(block: &Block, out: &mut [u8], stride: usize, line: impl Fn([W; N]) -> [W; N]) {
    let down = CONST_BITS - PASS_BITS;
    let round = Wrapping(1 << (down - 1));
    let mut middle = [[Wrapping(0); N]; N];
    for x in 0..N {
        let column: [W; N] = std::array::from_fn(|y| Wrapping(block[y * 8 + x]));
        if column[1..].iter().all(|v| v.0 == 0) {
            let level = column[0] << PASS_BITS;
            middle.iter_mut().for_each(|row| row[x] = level);
        } else {
            let column = line(column);
            (0..N).for_each(|y| middle[y][x] = (column[y] + round) >> down);
        }
    }
    let down = CONST_BITS + PASS_BITS + 3;
    let round = Wrapping(1 << (down - 1));
    for (row, out) in middle.into_iter().zip(out.chunks_mut(stride)) {
        let row = line(row);
        (0..N).for_each(|x| out[x] = pixel((row[x] + round) >> down));
    }
}

/// Eight points, scaled up by `CONST_BITS` (Loeffler, Ligtenberg and Moschytz as in jidctint.c).
#[inline(always)]
fn line8(v: [W; 8]) -> [W; 8] {
    let z1 = (v[2] + v[6]) * Wrapping(4433);
    let (low, high) = (z1 + v[2] * Wrapping(6270), z1 - v[6] * Wrapping(15137));
    let (sum, difference) = ((v[0] + v[4]) << CONST_BITS, (v[0] - v[4]) << CONST_BITS);
    let even = [sum + low, difference + high, difference - high, sum - low];

    let z5 = (v[7] + v[3] + v[5] + v[1]) * Wrapping(9633);
    let z1 = (v[7] + v[1]) * Wrapping(-7373);
    let z2 = (v[5] + v[3]) * Wrapping(-20995);
    let z3 = (v[7] + v[3]) * Wrapping(-16069) + z5;
    let z4 = (v[5] + v[1]) * Wrapping(-3196) + z5;
    let odd = [
        v[1] * Wrapping(12299) + z1 + z4,
        v[3] * Wrapping(25172) + z2 + z3,
        v[5] * Wrapping(16819) + z2 + z4,
        v[7] * Wrapping(2446) + z1 + z3,
    ];
    std::array::from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

/// Four points, scaled up by `CONST_BITS`.
#[inline(always)]
fn line4(v: [W; 4]) -> [W; 4] {
    let z1 = (v[1] + v[3]) * Wrapping(4433);
    let (outer, inner) = (z1 + v[1] * Wrapping(6270), z1 - v[3] * Wrapping(15137));
    let (sum, difference) = ((v[0] + v[2]) << CONST_BITS, (v[0] - v[2]) << CONST_BITS);
    [sum + outer, difference + inner, difference - inner, sum - outer]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in f64, over the lowest N x N coefficients.
    fn slow(block: &Block, n: usize) -> Vec<u8> {
        let scale = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
        let angle = |x: usize, k: usize| ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / (2 * n) as f64).cos();
        let mut pixels = Vec::new();
        for y in 0..n {
            for x in 0..n {
                let mut sum = 0.0;
                for v in 0..n {
                    for u in 0..n {
                        sum += scale(u) * scale(v) * f64::from(block[v * 8 + u]) * angle(x, u) * angle(y, v);
                    }
                }
                pixels.push((sum / 4.0 + 128.0).round().clamp(0.0, 255.0) as u8);
            }
        }
        pixels
    }

    #[test]
    fn agrees_with_the_definition() {
        let mut seed = 1u32;
        for _ in 0..200 {
            let block: Block = std::array::from_fn(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let size = if i == 0 { 800 } else { 240 / (1 + i as i32 / 4) };
                (seed >> 16) as i32 % (2 * size) - size
            });
            for n in [1, 2, 4, 8] {
                let mut out = [0; 64];
                inverse(&block, n, false, &mut out, n);
                for (got, want) in out.iter().zip(slow(&block, n)) {
                    assert!(got.abs_diff(want) <= 1, "{n}: {got} for {want}");
                }
            }
        }
    }

    #[test]
    fn absurd_coefficients_do_no_harm() {
        for n in [1, 2, 4, 8] {
            let mut out = [0; 64];
            inverse(&[i32::MAX; 64], n, false, &mut out, n);
            inverse(&[i32::MIN; 64], n, true, &mut out, n);
        }
    }
}
