//! What a JPEG frame declares, and the memory that its components take at the
//! chosen scale.

use super::super::Fault;
use super::super::decode::check_size;
use super::idct::{self, Block, NATURAL};
use crate::domain::SkippedReason;

/// Coefficients, planes and picture together may take this much.
const MAX_WORKING_BYTES: usize = 1 << 30;
/// Not yet known coefficient bits: no scan has brought any.
const NOTHING: u8 = u8::MAX;

/// A frame header (SOF), checked.
#[derive(Debug)]
pub(super) struct Frame {
    pub width: usize,
    pub height: usize,
    pub progressive: bool,
    pub mcus_wide: usize,
    pub mcus_high: usize,
    pub components: Vec<Component>,
}

/// One component with what is known of it so far.
#[derive(Debug)]
pub(super) struct Component {
    pub id: u8,
    /// Blocks per MCU.
    pub h: usize,
    pub v: usize,
    /// Blocks that hold samples, without the padding to whole MCUs.
    pub blocks_wide: usize,
    pub blocks_high: usize,
    /// Blocks a row, with that padding.
    pub stride_blocks: usize,
    pub quant_table: usize,
    /// Taken at the component's first scan: tables may be redefined later.
    pub quant: Option<[u16; 64]>,
    /// Pixels a side that each block becomes: 8, 4, 2 or 1.
    pub block_side: usize,
    pub plane: Plane,
    /// Progressive only: zigzag coefficients of all blocks, `per_block` each.
    pub coefficients: Vec<i16>,
    pub per_block: usize,
    /// Per zigzag index, how many low bits are still to come.
    pub missing_bits: [u8; 64],
}

/// Samples of one component, in rows of `stride`.
#[derive(Debug, Default)]
pub(super) struct Plane {
    pub samples: Vec<u8>,
    pub stride: usize,
    /// Samples that belong to the picture.
    pub width: usize,
    pub height: usize,
    /// How many picture pixels across lie on how many samples; and down.
    pub across: (usize, usize),
    pub down: (usize, usize),
}

impl Plane {
    pub fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..(y + 1) * self.stride]
    }
}

impl Frame {
    /// From a SOF segment's body. `height` replaces a height of 0, which says "told later".
    pub fn parse(body: &[u8], progressive: bool, told_later: impl FnOnce() -> Option<usize>) -> Result<Self, Fault> {
        let damaged = || Fault::damaged("The picture's header is damaged.");
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else { return Err(damaged()) };
        if *precision != 8 {
            let detail = format!("JPEG with {precision} bits a colour cannot be read. Save a copy with 8 bits.");
            return Err(Fault::unsupported(detail));
        }
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        let height = match usize::from(u16::from_be_bytes([*h1, *h0])) {
            0 => told_later().unwrap_or(0),
            height => height,
        };
        check_size((width as u32, height as u32))?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(Fault::unsupported(format!("JPEG with {count} colour components cannot be read.")));
        }
        let declared: Vec<_> = rest.chunks_exact(3).take(usize::from(*count)).collect();
        let sampling = |c: &[u8]| (usize::from(c[1] >> 4), usize::from(c[1] & 15));
        let valid = |c: &&[u8]| (1..=4).contains(&sampling(c).0) && (1..=4).contains(&sampling(c).1) && c[2] < 4;
        if declared.len() < usize::from(*count) || !declared.iter().all(valid) {
            return Err(damaged());
        }
        let h_max = declared.iter().map(|c| sampling(c).0).max().unwrap_or(1);
        let v_max = declared.iter().map(|c| sampling(c).1).max().unwrap_or(1);
        let (mcus_wide, mcus_high) = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let components = declared.iter().map(|c| {
            let (h, v) = sampling(c);
            Component {
                id: c[0],
                h,
                v,
                blocks_wide: (width * h).div_ceil(8 * h_max),
                blocks_high: (height * v).div_ceil(8 * v_max),
                stride_blocks: mcus_wide * h,
                quant_table: usize::from(c[2]),
                quant: None,
                block_side: 8,
                plane: Plane::default(),
                coefficients: Vec::new(),
                per_block: 64,
                missing_bits: [NOTHING; 64],
            }
        });
        Ok(Self { width, height, progressive, mcus_wide, mcus_high, components: components.collect() })
    }

    /// Width and height of the picture with `side` pixels to a block.
    pub fn scaled(&self, side: usize) -> (usize, usize) {
        ((self.width * side).div_ceil(8), (self.height * side).div_ceil(8))
    }

    /// Chooses the block side that `min_side` asks for and allocates for it.
    /// With `dc_only`, a progressive file of which 1/8 is wanted keeps mean levels alone;
    /// the picture is the same without, but all coefficients can be read.
    /// Gives the picture's reduced size.
    pub fn prepare(&mut self, min_side: usize, dc_only: bool) -> Result<(usize, usize), Fault> {
        let side = [1, 2, 4].into_iter().find(|&side| {
            let (width, height) = self.scaled(side);
            width.min(height) >= min_side
        });
        let side = side.unwrap_or(8);
        let (width, height) = self.scaled(side);
        let h_max = self.components.iter().map(|c| c.h).max().unwrap_or(1);
        let v_max = self.components.iter().map(|c| c.v).max().unwrap_or(1);
        let mut bytes = width * height * 3;
        for c in &mut self.components {
            c.block_side = side;
            let levels_suffice = self.progressive && side == 1;
            c.per_block = if levels_suffice && dc_only { 1 } else { 64 };
            // Subsampled chroma is worth its finer coefficients: then nothing need be enlarged.
            // Only not where that would mean reading scans that can be passed over.
            let fits = |c: &Component, side: usize, side_max: usize| {
                (h_max * side_max).is_multiple_of(c.h * side) && (v_max * side_max).is_multiple_of(c.v * side)
            };
            while !levels_suffice && c.block_side < 8 && fits(c, c.block_side * 2, side) {
                c.block_side *= 2;
            }
            let ratio = |most: usize, own: usize, block_side: usize| {
                let (picture, plane) = (most * side, own * block_side);
                let divisor = gcd(picture, plane);
                (picture / divisor, plane / divisor)
            };
            c.plane = Plane {
                samples: Vec::new(),
                stride: c.stride_blocks * c.block_side,
                width: (self.width * c.h * c.block_side).div_ceil(8 * h_max),
                height: (self.height * c.v * c.block_side).div_ceil(8 * v_max),
                across: ratio(h_max, c.h, c.block_side),
                down: ratio(v_max, c.v, c.block_side),
            };
            let blocks = c.stride_blocks * self.mcus_high * c.v;
            bytes += blocks * (c.block_side * c.block_side + if self.progressive { 2 * c.per_block } else { 0 });
        }
        if bytes > MAX_WORKING_BYTES {
            let detail =
                format!("Decoding {} x {} pixels of this kind takes too much memory.", self.width, self.height);
            return Err(Fault::new(SkippedReason::TooLarge, detail));
        }
        for c in &mut self.components {
            let blocks = c.stride_blocks * self.mcus_high * c.v;
            c.plane.samples = vec![0; blocks * c.block_side * c.block_side];
            if self.progressive {
                c.coefficients = vec![0; blocks * c.per_block];
            }
        }
        Ok((width, height))
    }

    /// True once every bit of every coefficient has come.
    pub fn is_complete(&self) -> bool {
        self.components.iter().all(|c| c.missing_bits.iter().all(|&bits| bits == 0))
    }

    /// True once there is at least a mean level for each block of each component.
    pub fn has_picture(&self) -> bool {
        self.components.iter().all(|c| c.missing_bits[0] != NOTHING)
    }
}

impl Component {
    /// Writes one block's pixels.
    #[inline(always)]
    pub fn put(&mut self, bx: usize, by: usize, block: &Block, only_dc: bool) {
        let (side, stride) = (self.block_side, self.plane.stride);
        let start = by * side * stride + bx * side;
        idct::inverse(block, side, only_dc, &mut self.plane.samples[start..], stride);
    }

    /// Progressive: turns the gathered coefficients into pixels and frees them.
    pub fn finish(&mut self) {
        let Some(quant) = self.quant else { return };
        let coefficients = std::mem::take(&mut self.coefficients);
        let last = idct::last_needed(self.block_side).min(self.per_block - 1);
        for (index, block) in coefficients.chunks_exact(self.per_block).enumerate() {
            let mut dequantised = [0; 64];
            for ((&value, &step), &at) in block.iter().zip(&quant).zip(&NATURAL).take(last + 1) {
                dequantised[usize::from(at)] = i32::from(value).wrapping_mul(i32::from(step));
            }
            let only_dc = block[1..=last].iter().all(|&v| v == 0);
            self.put(index % self.stride_blocks, index / self.stride_blocks, &dequantised, only_dc);
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
