//! Paths as the library keeps them: bytes, never text, so that a name that is
//! not Unicode, or two that look alike (é composed and decomposed, `Trip` and
//! `trip`), stay what they are on disk.
//!
//! Unix: the bytes of the path as they are. Windows: the path's UTF-16 as
//! generalised UTF-8 (WTF-8), in which a lone surrogate, which UTF-8 cannot hold,
//! takes three bytes. A folder is a prefix of its photos' paths in both.

use std::path::{Path, PathBuf};

/// The bytes that stand for `path`.
#[cfg(unix)]
pub(super) fn to_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

/// The path that `bytes` stand for; `None` for bytes that no path has.
#[cfg(unix)]
pub(super) fn from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    (!bytes.contains(&0)).then(|| std::ffi::OsStr::from_bytes(bytes).into())
}

/// The bytes that stand for `path`.
#[cfg(windows)]
pub(super) fn to_bytes(path: &Path) -> Vec<u8> {
    use std::os::windows::ffi::OsStrExt as _;
    wtf8::encode(path.as_os_str().encode_wide())
}

/// The path that `bytes` stand for; `None` for bytes that no path has.
#[cfg(windows)]
pub(super) fn from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::windows::ffi::OsStringExt as _;
    wtf8::decode(bytes).map(|wide| std::ffi::OsString::from_wide(&wide).into())
}

/// UTF-16 that may hold lone surrogates, as bytes. Built everywhere so that it is tested everywhere.
#[cfg(any(windows, test))]
mod wtf8 {
    pub fn encode(wide: impl Iterator<Item = u16>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for unit in char::decode_utf16(wide) {
            match unit {
                Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(lone) => {
                    let unit = lone.unpaired_surrogate();
                    bytes.extend([0xE0 | (unit >> 12) as u8, continuation(unit >> 6), continuation(unit)]);
                }
            }
        }
        bytes
    }

    pub fn decode(mut bytes: &[u8]) -> Option<Vec<u16>> {
        let mut wide = Vec::with_capacity(bytes.len());
        loop {
            let valid = match std::str::from_utf8(bytes) {
                Ok(rest) => {
                    wide.extend(rest.encode_utf16());
                    return Some(wide);
                }
                Err(error) => error.valid_up_to(),
            };
            let (text, rest) = bytes.split_at(valid);
            wide.extend(std::str::from_utf8(text).ok()?.encode_utf16());
            // Only a surrogate (ED A0..BF 80..BF) may stand where UTF-8 ends.
            let &[0xED, high @ 0xA0..=0xBF, low @ 0x80..=0xBF, ref rest @ ..] = rest else { return None };
            wide.push(0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F));
            bytes = rest;
        }
    }

    fn continuation(unit: u16) -> u8 {
        0x80 | (unit & 0x3F) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unicode_keeps_its_utf8() {
        let path = Path::new("/照片/é e\u{301} 𠮷.jpg");
        assert_eq!(to_bytes(path), path.to_str().unwrap().as_bytes());
        assert_eq!(wtf8::encode("照𠮷".encode_utf16()), "照𠮷".as_bytes());
    }

    #[test]
    fn what_no_path_holds_is_refused() {
        #[cfg(unix)]
        assert_eq!(from_bytes(b"/a\0b"), None);
        assert_eq!(wtf8::decode(b"\xFF"), None);
        assert_eq!(wtf8::decode(b"ab\xED\xA0"), None);
    }

    proptest! {
        #[test]
        #[cfg(unix)]
        fn any_unix_path_comes_back(bytes in prop::collection::vec(1u8..=255, 0..64)) {
            let path = from_bytes(&bytes).unwrap();
            prop_assert_eq!(to_bytes(&path), bytes);
        }

        #[test]
        fn any_windows_path_comes_back(
            // Surrogates are drawn often enough to meet lone ones and pairs.
            wide in prop::collection::vec(prop_oneof![1u16..=0x7F, 0xD7F0u16..=0xE010, any::<u16>()], 0..64),
        ) {
            prop_assert_eq!(wtf8::decode(&wtf8::encode(wide.iter().copied())), Some(wide));
        }
    }
}
