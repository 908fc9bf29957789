//! Files with one entry a line, as people's editors write them: UTF-8 with or without BOM,
//! UTF-16, any line end. A line that cannot be decoded is an error of that line alone.

use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};

/// One line without its end; the error is a sentence.
pub type Line = Result<String, &'static str>;

/// Reads a file's lines. An unfinished last line counts, an empty rest does not.
pub fn read(file: &Path) -> io::Result<Vec<Line>> {
    fs::read(file).map(|bytes| split(&bytes))
}

/// An image that a file names: relative to the file's folder.
pub fn beside(file: &Path, image: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(image)
}

/// Entries of one key together, keys in the order in which they first come: what is asked about
/// one picture costs one look at it.
pub fn grouped<K: Eq + Hash + Clone, T>(entries: impl IntoIterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    let mut places = HashMap::new();
    for (key, entry) in entries {
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(entry);
    }
    groups
}

fn split(bytes: &[u8]) -> Vec<Line> {
    if let Some(big_endian) = utf16(bytes) {
        return split_utf16(bytes, big_endian);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut lines: Vec<Line> = bytes
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .map(|line| std::str::from_utf8(line).map(str::to_owned).map_err(|_| "this line is not UTF-8 text"))
        .collect();
    drop_empty_rest(&mut lines);
    lines
}

/// `Some(big_endian)` for UTF-16: by its mark, or because text in UTF-8 never holds a zero byte.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xFF, 0xFE, ..] => Some(false),
        [0xFE, 0xFF, ..] => Some(true),
        _ => {
            let zeros = |parity| bytes.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
            let (even, odd) = (zeros(0), zeros(1));
            (bytes.len().is_multiple_of(2) && even + odd > 0).then_some(even > odd)
        }
    }
}

fn split_utf16(bytes: &[u8], big_endian: bool) -> Vec<Line> {
    let from_bytes = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| from_bytes([pair[0], pair[1]])).collect();
    let units = units.strip_prefix(&[0xFEFF]).unwrap_or(&units);
    let mut lines: Vec<Line> = units
        .split(|&u| u == u16::from(b'\n'))
        .map(|line| line.strip_suffix(&[u16::from(b'\r')]).unwrap_or(line))
        .map(|line| String::from_utf16(line).map_err(|_| "this line is not UTF-16 text"))
        .collect();
    drop_empty_rest(&mut lines);
    lines
}

fn drop_empty_rest(lines: &mut Vec<Line>) {
    if lines.last().is_some_and(|line| line.as_deref() == Ok("")) {
        lines.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(lines: &[&str]) -> Vec<Line> {
        lines.iter().map(|l| Ok((*l).to_owned())).collect()
    }

    #[test]
    fn marks_line_ends_and_blank_lines() {
        assert_eq!(split(b"\xEF\xBB\xBFa dog\r\n\r\n\xE7\x8C\xAB\nlast"), ok(&["a dog", "", "猫", "last"]));
        assert_eq!(split(b"one\n"), ok(&["one"]));
        assert_eq!(split(b""), ok(&[]));
        assert_eq!(split(b"\n\n"), ok(&["", ""]));
    }

    #[test]
    fn a_line_in_another_code_page_is_an_error_of_its_own() {
        let lines = split(b"cat\n\xC3\xA8\xB9\xB7\xFE\ndog\n");
        assert_eq!(lines.len(), 3);
        assert!(lines[1].is_err());
        assert_eq!((&lines[0], &lines[2]), (&Ok("cat".into()), &Ok("dog".into())));
    }

    #[test]
    fn utf16_in_both_orders_with_and_without_mark() {
        let text = "cat\r\n海边\nend";
        for big_endian in [false, true] {
            let encode = |t: &str| -> Vec<u8> {
                t.encode_utf16().flat_map(|u| if big_endian { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
            };
            assert_eq!(split(&encode(&format!("\u{FEFF}{text}"))), ok(&["cat", "海边", "end"]));
            assert_eq!(split(&encode(text)), ok(&["cat", "海边", "end"]));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_an_error_of_its_line() {
        let lines = split(&[0xFF, 0xFE, b'a', 0, b'\n', 0, 0x3D, 0xD8, b'\n', 0]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].is_ok() && lines[1].is_err());
    }
}
