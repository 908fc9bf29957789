//! Entropy-coded bits: byte stuffing, the bit reader, Huffman tables.
//!
//! Reads past the end give zero bits and are counted, so that the caller can
//! tell a cut file from a whole one without a check at each bit.

use memchr::memchr;

/// Zero bytes after a segment, so that the reader loads eight at a time up to its end.
const PADDING: usize = 8;
/// Bits that the first look at a code takes; longer codes take a second one.
const LOOK_BITS: u32 = 10;
/// Bits that a look takes when coefficients are only passed over.
const SKIP_BITS: u32 = 12;

/// Entropy-coded bytes between two markers, stuffing removed.
#[derive(Debug, Default)]
pub(super) struct Segment {
    bytes: Vec<u8>,
}

impl Segment {
    /// Takes the bytes from `start` up to the next marker; gives the marker's
    /// position, or the data's length where there is none.
    pub fn fill(&mut self, data: &[u8], start: usize) -> usize {
        self.bytes.clear();
        let mut at = start;
        let end = loop {
            let Some(found) = memchr(0xFF, &data[at..]) else {
                self.bytes.extend_from_slice(&data[at..]);
                break data.len();
            };
            self.bytes.extend_from_slice(&data[at..at + found]);
            at += found;
            match data.get(at + 1) {
                Some(0) => {
                    self.bytes.push(0xFF);
                    at += 2;
                }
                Some(0xFF) => at += 1,
                _ => break at,
            }
        };
        self.bytes.extend_from_slice(&[0; PADDING]);
        end
    }

    pub fn bits(&self) -> Bits<'_> {
        Bits { bytes: &self.bytes, at: 0, window: 0, held: 0 }
    }
}

/// Position of the next marker that is no restart, or the data's length.
pub(super) fn end_of_scan(data: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr(0xFF, &data[at..]) {
        at += found;
        match data.get(at + 1) {
            Some(0 | 0xD0..=0xD7) => at += 2,
            Some(0xFF) => at += 1,
            Some(_) => return at,
            None => break,
        }
    }
    data.len()
}

/// Reads bits from the most significant on.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Next bits, at the top.
    window: u64,
    /// How many of them count.
    held: u32,
}

impl Bits<'_> {
    /// Makes at least 56 bits ready: a code of 16 and its value of 16, and more.
    #[inline(always)]
    fn refill(&mut self) {
        let next = match self.bytes.get(self.at..self.at + 8) {
            Some(eight) => u64::from_be_bytes(eight.try_into().unwrap_or_default()),
            None => self.last_bytes(),
        };
        self.window |= next >> self.held;
        let taken = (63 - self.held) >> 3;
        self.at += taken as usize;
        self.held += taken * 8;
    }

    #[cold]
    fn last_bytes(&self) -> u64 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().enumerate().fold(0, |bits, (i, &byte)| bits | u64::from(byte) << (56 - 8 * i))
    }

    #[inline(always)]
    fn peek(&self, count: u32) -> u32 {
        (self.window >> (64 - count)) as u32
    }

    #[inline(always)]
    fn consume(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    /// The next `count` bits, 0 to 16 of them.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> u32 {
        if self.held < 32 {
            self.refill();
        }
        self.take_ready(count)
    }

    #[inline(always)]
    fn take_ready(&mut self, count: u32) -> u32 {
        // Two shifts: one by 64 would be none.
        let bits = ((self.window >> 1) >> (63 - count)) as u32;
        self.consume(count);
        bits
    }

    /// True once more bits were taken than there are.
    pub fn overrun(&self) -> bool {
        self.at * 8 - self.held as usize > (self.bytes.len() - PADDING) * 8
    }
}

/// The value of `count` bits in JPEG's signed notation.
#[inline(always)]
fn extend(bits: u32, count: u32) -> i32 {
    let bits = bits as i32;
    if count == 0 {
        0
    } else if bits < 1 << (count - 1) {
        bits - (1 << count) + 1
    } else {
        bits
    }
}

/// One Huffman table, of either class.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next `LOOK_BITS` bits: symbol, and code length above it; 0 for longer codes.
    look: Box<[u16; 1 << LOOK_BITS]>,
    /// By the next `SKIP_BITS` bits: what a run of whole coefficients there amounts to.
    skip: Option<Box<[Skip; 1 << SKIP_BITS]>>,
    /// Per code length: one more than the last code, left-aligned to 16 bits.
    limit: [u32; 17],
    /// Per code length: symbol index of the first code, less that code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

/// Coefficients that a look passes over; none where `bits` is 0.
#[derive(Clone, Copy, Default)]
struct Skip {
    bits: u8,
    advance: u8,
    ends_block: bool,
}

/// A code that the table does not have, or a coefficient outside its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

impl Huffman {
    /// From a DHT segment's counts per length and symbols; `None` if they make no prefix code.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            look: Box::new([0; 1 << LOOK_BITS]),
            skip: None,
            limit: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16 {
            let count = usize::from(counts[length - 1]);
            table.offset[length] = index as i32 - code as i32;
            for &symbol in symbols.get(index..index + count)? {
                if length as u32 <= LOOK_BITS {
                    let spare = LOOK_BITS - length as u32;
                    let first = (code << spare) as usize;
                    let entry = u16::from(symbol) | (length as u16) << 8;
                    table.look.get_mut(first..first + (1 << spare))?.fill(entry);
                }
                code += 1;
            }
            if code > 1 << length {
                return None;
            }
            index += count;
            table.limit[length] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// Gets an AC table ready for [`Self::skip_block`].
    pub fn prepare_skip(&mut self) {
        if self.skip.is_some() {
            return;
        }
        let skip = (0..1u32 << SKIP_BITS).map(|bits| self.skips_in(bits)).collect::<Vec<_>>();
        self.skip = skip.into_boxed_slice().try_into().ok();
    }

    /// Whole coefficients at the start of `SKIP_BITS` bits.
    fn skips_in(&self, bits: u32) -> Skip {
        let mut skip = Skip::default();
        loop {
            let left = SKIP_BITS - u32::from(skip.bits);
            let next = bits << (16 - left) & 0xFFFF;
            let Some((symbol, length)) = self.find(next) else { return skip };
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            let advance = skip.advance + run + 1;
            if length + size > left || advance > 63 {
                return skip;
            }
            skip.bits += (length + size) as u8;
            if size == 0 && run != 15 {
                skip.ends_block = true;
                return skip;
            }
            skip.advance = advance;
            if left == length + size {
                return skip;
            }
        }
    }

    /// Symbol and code length of a code at the top of 16 bits.
    #[inline(always)]
    fn find(&self, bits: u32) -> Option<(u8, u32)> {
        let entry = self.look[(bits >> (16 - LOOK_BITS)) as usize];
        if entry != 0 { Some((entry as u8, u32::from(entry >> 8))) } else { self.find_long(bits) }
    }

    /// The same for codes that are longer than `LOOK_BITS`, or none.
    #[cold]
    fn find_long(&self, bits: u32) -> Option<(u8, u32)> {
        let length = (LOOK_BITS as usize + 1..=16).find(|&length| bits < self.limit[length])?;
        let index = (bits >> (16 - length)) as i32 + self.offset[length];
        self.symbols.get(usize::try_from(index).ok()?).map(|&symbol| (symbol, length as u32))
    }

    /// The next symbol; afterwards at least 16 bits are ready.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Corrupt> {
        if bits.held < 32 {
            bits.refill();
        }
        let (symbol, length) = self.find(bits.peek(16)).ok_or(Corrupt)?;
        bits.consume(length);
        Ok(symbol)
    }

    /// A DC difference.
    #[inline(always)]
    pub fn difference(&self, bits: &mut Bits<'_>) -> Result<i32, Corrupt> {
        let size = u32::from(self.symbol(bits)?);
        if size > 15 {
            return Err(Corrupt);
        }
        Ok(extend(bits.take_ready(size), size))
    }

    /// An AC symbol: run of zeros, size, and the value of that size (0 for size 0).
    #[inline(always)]
    pub fn run_and_value(&self, bits: &mut Bits<'_>) -> Result<(usize, u32, i32), Corrupt> {
        let symbol = self.symbol(bits)?;
        let size = u32::from(symbol & 15);
        Ok((usize::from(symbol >> 4), size, extend(bits.take_ready(size), size)))
    }

    /// Passes over the rest of a block, from zigzag index `k` on.
    #[inline(always)]
    pub fn skip_block(&self, bits: &mut Bits<'_>, mut k: usize) -> Result<(), Corrupt> {
        while k < 64 {
            if bits.held < 32 {
                bits.refill();
            }
            if let Some(table) = &self.skip {
                let skip = table[bits.peek(SKIP_BITS) as usize];
                // Beyond index 63 the bits would be the next block's.
                if skip.bits != 0 && k + usize::from(skip.advance) <= 63 {
                    bits.consume(u32::from(skip.bits));
                    if skip.ends_block {
                        return Ok(());
                    }
                    k += usize::from(skip.advance);
                    continue;
                }
            }
            let (run, size, _) = self.run_and_value(bits)?;
            if size == 0 && run != 15 {
                return Ok(());
            }
            k += run + 1;
        }
        if k == 64 { Ok(()) } else { Err(Corrupt) }
    }
}
