//! Scans: the entropy-coded data of one or more components.

use super::super::Fault;
use super::frame::{Component, Frame};
use super::huffman::{Bits, Corrupt, Huffman, Segment};
use super::idct::{self, Block, NATURAL};
use crate::domain::CancelToken;

/// The tables that the file has defined so far.
#[derive(Default)]
pub(super) struct Tables {
    pub quant: [Option<[u16; 64]>; 4],
    pub dc: [Option<Huffman>; 4],
    pub ac: [Option<Huffman>; 4],
    /// MCUs between restart markers; 0 for none.
    pub restart_interval: usize,
}

/// A scan header (SOS).
#[derive(Debug)]
pub(super) struct Scan {
    /// Index of each component with its DC and AC table.
    pub parts: Vec<(usize, usize, usize)>,
    /// Zigzag band.
    pub first: usize,
    pub last: usize,
    /// Successive approximation: bits already known, and bits still missing afterwards.
    pub high: u8,
    pub low: u8,
}

impl Scan {
    /// From a SOS segment's body.
    pub fn parse(body: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let (selectors, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let mut parts: Vec<(usize, usize, usize)> = Vec::new();
        for selector in selectors.chunks_exact(2) {
            let index = frame.components.iter().position(|c| c.id == selector[0])?;
            if parts.iter().any(|&(earlier, ..)| earlier == index) {
                return None;
            }
            parts.push((index, usize::from(selector[1] >> 4), usize::from(selector[1] & 15)));
        }
        let [first, last, bits, ..] = *rest else { return None };
        let mut scan = Self { parts, first: first.into(), last: last.into(), high: bits >> 4, low: bits & 15 };
        if frame.progressive {
            let band = if scan.first == 0 { scan.last == 0 } else { scan.first <= scan.last && scan.parts.len() == 1 };
            let bits = scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1);
            (band && bits && scan.last < 64 && !scan.parts.is_empty()).then_some(scan)
        } else {
            // Some writers leave rubbish here; a sequential scan has one meaning only.
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
            (!scan.parts.is_empty()).then_some(scan)
        }
    }

    /// Blocks that decoding this scan visits.
    pub fn blocks(&self, frame: &Frame) -> usize {
        let blocks = |c: &Component| c.stride_blocks * c.v * frame.mcus_high;
        self.parts.iter().map(|&(index, ..)| blocks(&frame.components[index])).sum()
    }

    /// How the scan's blocks lie: units across, units down, and whether a unit is an MCU of several blocks.
    fn layout(&self, frame: &Frame) -> (usize, usize, bool) {
        match self.parts[..] {
            [(index, ..)] => {
                let c = &frame.components[index];
                (c.blocks_wide, c.blocks_high, false)
            }
            _ => (frame.mcus_wide, frame.mcus_high, true),
        }
    }
}

/// Where the entropy-coded data lies, and who may stop the work.
pub(super) struct Source<'a> {
    pub data: &'a [u8],
    pub start: usize,
    pub restart_interval: usize,
    pub cancel: &'a CancelToken,
}

impl Source<'_> {
    /// Runs `unit` for each of `wide * high` units with the bits it stands at;
    /// `restart` before the first and after each restart marker. Gives the
    /// position of the marker that ends the scan.
    fn each_unit<S>(
        &self,
        (wide, high): (usize, usize),
        state: &mut S,
        mut restart: impl FnMut(&mut S),
        mut unit: impl FnMut(&mut S, &mut Bits<'_>, usize, usize) -> Result<(), Corrupt>,
    ) -> Result<usize, Fault> {
        let total = wide * high;
        let interval = if self.restart_interval == 0 { total } else { self.restart_interval };
        let mut segment = Segment::default();
        let (mut at, mut next) = (self.start, 0);
        let (mut x, mut y) = (0, 0);
        loop {
            let end = segment.fill(self.data, at);
            let mut bits = segment.bits();
            let stop = (next + interval).min(total);
            restart(state);
            while next < stop {
                let until = stop.min(next + wide - x);
                for _ in next..until {
                    unit(state, &mut bits, x, y).map_err(|Corrupt| Fault::damaged("The picture's data is damaged."))?;
                    x += 1;
                }
                next = until;
                if x == wide {
                    (x, y) = (0, y + 1);
                }
                if bits.overrun() {
                    return Err(Fault::damaged("The file is cut off: part of the picture is missing."));
                }
                if self.cancel.is_cancelled() {
                    return Err(Fault::cancelled());
                }
            }
            if next == total {
                return Ok(end);
            }
            match self.data.get(end + 1) {
                Some(0xD0..=0xD7) => at = end + 2,
                _ => return Err(Fault::damaged("The file is cut off: part of the picture is missing.")),
            }
        }
    }
}

/// What a sequential scan keeps of one component between blocks.
struct Part<'a> {
    index: usize,
    dc: &'a Huffman,
    ac: &'a Huffman,
    quant: [u16; 64],
    last_needed: usize,
    h: usize,
    v: usize,
    level: i32,
}

/// Decodes a sequential scan straight into pixels.
pub(super) fn sequential(frame: &mut Frame, scan: &Scan, tables: &Tables, source: &Source<'_>) -> Result<usize, Fault> {
    let (wide, high, interleaved) = scan.layout(frame);
    let mut parts = Vec::new();
    for &(index, dc, ac) in &scan.parts {
        let c = &mut frame.components[index];
        let table = |tables: &'_ [Option<Huffman>; 4], i: usize| tables.get(i).and_then(Option::as_ref).is_some();
        if !table(&tables.dc, dc) || !table(&tables.ac, ac) {
            return Err(missing_table());
        }
        c.quant = c.quant.or(tables.quant[c.quant_table]);
        let (Some(dc), Some(ac), Some(quant)) = (&tables.dc[dc], &tables.ac[ac], c.quant) else {
            return Err(missing_table());
        };
        let last_needed = idct::last_needed(c.block_side);
        let (h, v) = if interleaved { (c.h, c.v) } else { (1, 1) };
        parts.push(Part { index, dc, ac, quant, last_needed, h, v, level: 0 });
        c.missing_bits = [0; 64];
    }
    let components = &mut frame.components;
    source.each_unit(
        (wide, high),
        &mut parts,
        |parts| parts.iter_mut().for_each(|part| part.level = 0),
        |parts, bits, x, y| {
            let mut block: Block = [0; 64];
            for part in parts {
                for v in 0..part.v {
                    for h in 0..part.h {
                        let only_dc = part.block(bits, &mut block)?;
                        components[part.index].put(x * part.h + h, y * part.v + v, &block, only_dc);
                        if !only_dc {
                            block = [0; 64];
                        }
                    }
                }
            }
            Ok(())
        },
    )
}

impl Part<'_> {
    /// Decodes one block into a cleared `block`; true where it has its mean level alone.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits<'_>, block: &mut Block) -> Result<bool, Corrupt> {
        self.level = self.level.wrapping_add(self.dc.difference(bits)?);
        block[0] = self.level.wrapping_mul(i32::from(self.quant[0]));
        let mut only_dc = true;
        let mut k = 1;
        while k <= self.last_needed {
            let (run, size, value) = self.ac.run_and_value(bits)?;
            if size == 0 {
                if run < 15 {
                    return Ok(only_dc);
                }
                k += 16;
                continue;
            }
            k += run;
            if k <= self.last_needed {
                block[usize::from(NATURAL[k])] = value.wrapping_mul(i32::from(self.quant[k]));
                only_dc = false;
            }
            k += 1;
        }
        self.ac.skip_block(bits, k)?;
        Ok(only_dc)
    }
}

/// Decodes a progressive scan into the components' coefficients.
pub(super) fn progressive(
    frame: &mut Frame,
    scan: &Scan,
    tables: &Tables,
    source: &Source<'_>,
) -> Result<usize, Fault> {
    let (wide, high, interleaved) = scan.layout(frame);
    for &(index, ..) in &scan.parts {
        let c = &mut frame.components[index];
        c.quant = c.quant.or(tables.quant[c.quant_table]);
        if c.quant.is_none() {
            return Err(missing_table());
        }
        c.missing_bits[scan.first..=scan.last].fill(scan.low);
    }
    let components = &mut frame.components;
    if scan.first > 0 {
        let (index, _, table) = scan.parts[0];
        let Some(Some(table)) = tables.ac.get(table) else { return Err(missing_table()) };
        let c = &mut components[index];
        let mut band = Band { table, first: scan.first, last: scan.last, low: scan.low, zero_blocks: 0 };
        return source.each_unit(
            (wide, high),
            &mut band,
            |band| band.zero_blocks = 0,
            |band, bits, x, y| {
                let start = (y * c.stride_blocks + x) * c.per_block;
                let block = &mut c.coefficients[start..start + c.per_block];
                if scan.high == 0 { band.first_bits(bits, block) } else { band.refine(bits, block) }
            },
        );
    }
    let mut levels = vec![0; scan.parts.len()];
    let refines = scan.high != 0;
    let dc_table = |i: usize| tables.dc.get(i).and_then(Option::as_ref);
    if !refines && scan.parts.iter().any(|&(_, dc, _)| dc_table(dc).is_none()) {
        return Err(missing_table());
    }
    source.each_unit(
        (wide, high),
        &mut levels,
        |levels| levels.fill(0),
        |levels, bits, x, y| {
            for (&(index, table, _), level) in scan.parts.iter().zip(levels) {
                let c = &mut components[index];
                let (h, v) = if interleaved { (c.h, c.v) } else { (1, 1) };
                for by in y * v..y * v + v {
                    for bx in x * h..x * h + h {
                        let coefficient = &mut c.coefficients[(by * c.stride_blocks + bx) * c.per_block];
                        if refines {
                            *coefficient |= (bits.take(1) << scan.low) as i16;
                        } else {
                            let difference = dc_table(table).ok_or(Corrupt)?.difference(bits)?;
                            *level = i32::wrapping_add(*level, difference);
                            *coefficient = (*level << scan.low) as i16;
                        }
                    }
                }
            }
            Ok(())
        },
    )
}

/// A band of AC coefficients in a progressive scan.
struct Band<'a> {
    table: &'a Huffman,
    first: usize,
    last: usize,
    low: u8,
    /// Blocks to come, this one included, that have no new coefficient.
    zero_blocks: u32,
}

impl Band<'_> {
    /// The highest bits of a block's band.
    fn first_bits(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<(), Corrupt> {
        if self.zero_blocks > 0 {
            self.zero_blocks -= 1;
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let (run, size, value) = self.table.run_and_value(bits)?;
            if size == 0 {
                if run < 15 {
                    self.zero_blocks = (1 << run) + bits.take(run as u32) - 1;
                    return Ok(());
                }
                k += 16;
                continue;
            }
            k += run;
            if k > self.last {
                return Err(Corrupt);
            }
            block[k] = (value << self.low) as i16;
            k += 1;
        }
        Ok(())
    }

    /// One more bit of a block's band.
    fn refine(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<(), Corrupt> {
        let one = 1i16 << self.low;
        let mut k = self.first;
        while self.zero_blocks == 0 && k <= self.last {
            let (mut zeros, size, value) = self.table.run_and_value(bits)?;
            if size > 1 {
                return Err(Corrupt);
            }
            if size == 0 && zeros < 15 {
                self.zero_blocks = (1 << zeros) + bits.take(zeros as u32);
                break;
            }
            // Coefficients that are not zero yet take a bit each and do not count as the run's zeros.
            while k <= self.last {
                if block[k] != 0 {
                    Self::refine_one(bits, &mut block[k], one);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size == 1 {
                if k > self.last {
                    return Err(Corrupt);
                }
                block[k] = value as i16 * one;
            }
            k += 1;
        }
        if self.zero_blocks > 0 {
            for coefficient in block[k.min(self.last + 1)..=self.last].iter_mut().filter(|c| **c != 0) {
                Self::refine_one(bits, coefficient, one);
            }
            self.zero_blocks -= 1;
        }
        Ok(())
    }

    fn refine_one(bits: &mut Bits<'_>, coefficient: &mut i16, one: i16) {
        if bits.take(1) == 1 && *coefficient & one == 0 {
            *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { one } else { -one });
        }
    }
}

fn missing_table() -> Fault {
    Fault::damaged("The file is damaged: a table that the picture needs is missing.")
}
