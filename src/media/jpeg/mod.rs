//! JPEG at the scale that is needed: a 24-megapixel photo becomes a small
//! picture without its full-size pixels ever existing.
//!
//! Why a decoder of our own: at 1/8 a block is its mean level, so most of the
//! work is passing over coefficients that nobody wants. Crates decode each of
//! them first (see `benches/decode.rs` for the figures); here whole groups are
//! passed over with one table look-up, and of a progressive file only the
//! scans that carry mean levels are read. It also says plainly when a file is
//! cut, where others fill up with grey, and bounds what a hostile one can cost.
//!
//! Reads baseline, extended and progressive Huffman files of 8 bits, grey, RGB,
//! YCbCr, CMYK and YCCK, any sampling. Not: 12 bits, arithmetic coding,
//! lossless, hierarchical. At full size its pixels equal libjpeg-turbo's.
//! What follows the first picture (a gain map, a video, padding) is not looked at.

mod frame;
mod huffman;
mod idct;
mod scan;
mod upsample;

use image::RgbImage;

use self::frame::Frame;
use self::huffman::{Huffman, end_of_scan};
use self::idct::last_needed;
use self::scan::{Scan, Source, Tables};
use self::upsample::{Colour, to_rgb};
use super::Fault;
use crate::domain::{CancelToken, SkippedReason};

/// Blocks that a progressive file's scans may visit in all, beyond twenty times the picture's own.
const FREE_BLOCK_VISITS: usize = 50_000_000;

/// Decodes a JPEG at 1/8, 1/4, 1/2 or full size: the smallest whose shorter
/// side is still `min_side`. Also gives the full size as stored.
pub(super) fn decode(bytes: &[u8], min_side: u32, cancel: &CancelToken) -> Result<(RgbImage, (u32, u32)), Fault> {
    let once = |dc_only| Decoder::new(bytes, min_side as usize, dc_only, cancel).run();
    match once(true) {
        Err(Stop::CutWhilePassingOver) => once(false),
        other => other,
    }
    .map_err(|stop| match stop {
        Stop::Fault(fault) => fault,
        Stop::CutWhilePassingOver => cut(),
    })
}

/// Why decoding ended early.
enum Stop {
    Fault(Fault),
    /// The data ended in a scan that was passed over: only reading it tells whether it is whole.
    CutWhilePassingOver,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn cut() -> Fault {
    Fault::damaged("The file is cut off: part of the picture is missing.")
}

/// What is known halfway through a file.
struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
    min_side: usize,
    /// Pass over progressive scans that a picture at 1/8 does not need.
    dc_only: bool,
    cancel: &'a CancelToken,
    tables: Tables,
    adobe_transform: Option<u8>,
    is_jfif: bool,
    frame: Option<Frame>,
    reduced: (usize, usize),
    block_visits: usize,
}

impl<'a> Decoder<'a> {
    fn new(data: &'a [u8], min_side: usize, dc_only: bool, cancel: &'a CancelToken) -> Self {
        Self {
            data,
            at: 2,
            min_side,
            dc_only,
            cancel,
            tables: Tables::default(),
            adobe_transform: None,
            is_jfif: false,
            frame: None,
            reduced: (0, 0),
            block_visits: 0,
        }
    }

    fn run(mut self) -> Result<(RgbImage, (u32, u32)), Stop> {
        let mut ended = false;
        while let Some(marker) = self.next_marker() {
            match marker {
                0xD9 => {
                    ended = true;
                    break;
                }
                // Start of image, restarts and TEM have no body.
                0x01 | 0xD0..=0xD8 => continue,
                _ => {}
            }
            let Some(body) = self.segment() else { break };
            match marker {
                0xC4 => self.define_huffman(body)?,
                0xDB => self.define_quantisation(body)?,
                0xDD => self.tables.restart_interval = body.first_chunk().map_or(0, |&b| u16::from_be_bytes(b).into()),
                0xE0 => self.is_jfif |= body.starts_with(b"JFIF\0"),
                0xEE if body.starts_with(b"Adobe") => self.adobe_transform = body.get(11).copied(),
                0xC0..=0xC2 => self.start_frame(body, marker == 0xC2)?,
                0xC3 | 0xC7 | 0xCB | 0xCF => return Err(unsupported("Lossless").into()),
                0xC5 | 0xC6 | 0xCD | 0xCE => return Err(unsupported("Hierarchical").into()),
                0xC9 | 0xCA => return Err(unsupported("Arithmetic-coded").into()),
                0xDA => {
                    self.scan(body)?;
                    // A sequential file has told all; what follows does not matter.
                    if self.frame.as_ref().is_some_and(|f| !f.progressive && f.is_complete()) {
                        break;
                    }
                }
                _ => {}
            }
        }
        self.finish(ended)
    }

    /// The next marker's code; rubbish before it is passed over, as others do.
    fn next_marker(&mut self) -> Option<u8> {
        self.at = end_of_scan(self.data, self.at);
        let marker = *self.data.get(self.at + 1)?;
        self.at += 2;
        Some(marker)
    }

    /// The body of the segment that starts here; `None` if the file ends in it.
    fn segment(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes(*self.data.get(self.at..)?.first_chunk()?));
        let body = self.data.get(self.at + 2..self.at + length)?;
        self.at += length;
        Some(body)
    }

    fn define_huffman(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        let damaged = || Fault::damaged("The file is damaged: a Huffman table makes no sense.");
        while let Some((&class, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
            let total = counts.iter().map(|&n| usize::from(n)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(damaged)?;
            let table = Huffman::new(counts, symbols).ok_or_else(damaged)?;
            let tables = if class >> 4 == 0 { &mut self.tables.dc } else { &mut self.tables.ac };
            *tables.get_mut(usize::from(class & 15)).ok_or_else(damaged)? = Some(table);
            body = rest;
        }
        Ok(())
    }

    fn define_quantisation(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        let damaged = || Fault::damaged("The file is damaged: a quantisation table makes no sense.");
        while let Some((&head, rest)) = body.split_first() {
            let wide = head >> 4 != 0;
            let (steps, rest) = rest.split_at_checked(if wide { 128 } else { 64 }).ok_or_else(damaged)?;
            let table = self.tables.quant.get_mut(usize::from(head & 15)).ok_or_else(damaged)?;
            *table = Some(std::array::from_fn(|i| match wide {
                true => u16::from_be_bytes([steps[2 * i], steps[2 * i + 1]]),
                false => u16::from(steps[i]),
            }));
            body = rest;
        }
        Ok(())
    }

    fn start_frame(&mut self, body: &[u8], progressive: bool) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err(Fault::damaged("The file is damaged: it has two picture headers."));
        }
        let mut frame = Frame::parse(body, progressive, || self.height_told_later())?;
        self.reduced = frame.prepare(self.min_side, self.dc_only)?;
        self.frame = Some(frame);
        Ok(())
    }

    /// The height in a DNL segment, which follows the first scan of files that were scanned line by line.
    fn height_told_later(&self) -> Option<usize> {
        let segments = self.data.windows(6).filter_map(|w| w.strip_prefix(&[0xFF, 0xDC, 0, 4]));
        segments.map(|height| usize::from(u16::from_be_bytes([height[0], height[1]]))).next()
    }

    fn scan(&mut self, body: &[u8]) -> Result<(), Stop> {
        let damaged = || Fault::damaged("The file is damaged: a scan makes no sense.");
        let frame = self.frame.as_mut().ok_or_else(damaged)?;
        let scan = Scan::parse(body, frame).ok_or_else(damaged)?;
        let not_wanted = scan.first > 0 && frame.components[scan.parts[0].0].per_block == 1;
        if not_wanted {
            self.at = end_of_scan(self.data, self.at);
            return if self.at < self.data.len() { Ok(()) } else { Err(Stop::CutWhilePassingOver) };
        }
        self.block_visits += scan.blocks(frame);
        let picture_blocks: usize = frame.components.iter().map(|c| c.stride_blocks * c.v * frame.mcus_high).sum();
        if self.block_visits > FREE_BLOCK_VISITS + 20 * picture_blocks {
            let detail = "The picture is stored in so many passes that reading it would take very long.";
            return Err(Fault::new(SkippedReason::TooLarge, detail).into());
        }
        let restart_interval = self.tables.restart_interval;
        let source = Source { data: self.data, start: self.at, restart_interval, cancel: self.cancel };
        if frame.progressive {
            self.at = scan::progressive(frame, &scan, &self.tables, &source)?;
        } else {
            for &(index, _, table) in &scan.parts {
                let passes_over = last_needed(frame.components[index].block_side) < 63;
                if let Some(Some(table)) = self.tables.ac.get_mut(table).filter(|_| passes_over) {
                    table.prepare_skip();
                }
            }
            self.at = scan::sequential(frame, &scan, &self.tables, &source)?;
        }
        Ok(())
    }

    fn finish(self, ended: bool) -> Result<(RgbImage, (u32, u32)), Stop> {
        let colour = self.colour();
        let Some(mut frame) = self.frame else {
            return Err(Fault::damaged("The file is cut off before its picture starts.").into());
        };
        // Without the end marker a file is whole only if nothing more could have come.
        if !frame.has_picture() || !ended && !frame.is_complete() {
            return Err(cut().into());
        }
        if frame.progressive {
            frame.components.iter_mut().for_each(|c| c.finish());
        }
        let (width, height) = self.reduced;
        let full = (frame.width as u32, frame.height as u32);
        let planes: Vec<_> = frame.components.into_iter().map(|c| c.plane).collect();
        RgbImage::from_raw(width as u32, height as u32, to_rgb(&planes, colour, width, height))
            .map(|image| (image, full))
            .ok_or_else(|| cut().into())
    }

    /// What the components mean: by JFIF's marker, else by Adobe's, else by their names, as libjpeg does.
    fn colour(&self) -> Colour {
        let components = self.frame.as_ref().map(|f| f.components.as_slice()).unwrap_or_default();
        match (components.len(), self.adobe_transform) {
            (1, _) => Colour::Grey,
            (3, _) if self.is_jfif => Colour::YCbCr,
            (3, Some(0)) => Colour::Rgb,
            (3, None) if components.iter().map(|c| c.id).eq(*b"RGB") => Colour::Rgb,
            (4, Some(2)) => Colour::Ycck,
            (4, _) => Colour::Cmyk,
            _ => Colour::YCbCr,
        }
    }
}

fn unsupported(kind: &str) -> Fault {
    Fault::unsupported(format!("{kind} JPEG cannot be read. Save a copy as ordinary JPEG or PNG."))
}

#[cfg(test)]
mod tests;
