//! PNG without its ancillary chunks: a wrong checksum in a colour profile or a
//! chunk out of order must not cost the whole picture.

use super::Fault;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Length, type and checksum around a chunk's data.
const FRAME_BYTES: usize = 12;

/// The file's chunks that make pixels, in order. A missing end chunk is
/// supplied; where pixels are missing too, the decoder still notices.
pub(super) fn essential_chunks(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(SIGNATURE);
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| Fault::damaged("The PNG header is damaged."))?;
    while let Some((length, kind)) = rest.first_chunk::<8>().map(|head| {
        (u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize, [head[4], head[5], head[6], head[7]])
    }) {
        let Some(chunk) = length.checked_add(FRAME_BYTES).and_then(|whole| rest.get(..whole)) else {
            // Cut inside a chunk: what there is of the pixels goes to the decoder, which will miss the rest.
            if &kind == b"IDAT" {
                kept.extend_from_slice(rest);
            }
            return Ok(kept);
        };
        match &kind {
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" => kept.extend_from_slice(chunk),
            // Bit 5 of the first letter marks a chunk as ancillary.
            _ if kind[0] & 0x20 != 0 => {}
            _ => kept.extend_from_slice(chunk),
        }
        rest = &rest[chunk.len()..];
        if &kind == b"IEND" {
            return Ok(kept);
        }
    }
    kept.extend_from_slice(b"\0\0\0\0IEND\xAE\x42\x60\x82");
    Ok(kept)
}
