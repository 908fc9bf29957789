//! Words that stand beside photos already: sidecars and text files of people and other
//! programs, taken in with the name of the file they come from.
//!
//! What this program exported itself and nobody changed since is passed over: a draft must
//! not come back as a person's text. The files are only ever read.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::domain::{CancelToken, FolderId, is_han};
use crate::media::xmp;
use crate::store::{Change, Reader, StoreError, WordFile};

use super::Library;

/// A longer text beside a photo is no caption.
const MAX_TXT_BYTES: u64 = 64 << 10;
/// Files whose words are written in one transaction.
const BATCH: usize = 256;

/// Takes in what is new in the files beside these roots' photos.
pub(super) fn take_in(
    roots: &[FolderId],
    reader: &Reader,
    library: &mut dyn Library,
    cancel: &CancelToken,
) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    for candidate in candidates(roots, reader, cancel)? {
        if cancel.is_cancelled() {
            break;
        }
        if let Some(change) = look_at(candidate, reader)? {
            batch.push(change);
        }
        if batch.len() == BATCH {
            library.apply(std::mem::take(&mut batch))?;
        }
    }
    if batch.is_empty() { Ok(()) } else { library.apply(batch) }
}

/// A file that may hold a photo's words.
struct Candidate {
    photo: crate::domain::PhotoId,
    photo_path: PathBuf,
    file: PathBuf,
    /// `IMG_1.txt`, which another photo could claim as well; not `IMG_1.jpg.txt`.
    by_stem: bool,
}

/// Looks at each folder once, however many photos it has.
fn candidates(roots: &[FolderId], reader: &Reader, cancel: &CancelToken) -> Result<Vec<Candidate>, StoreError> {
    let mut listed: HashMap<PathBuf, HashSet<OsString>> = HashMap::new();
    let mut found = Vec::new();
    for root in roots {
        reader.for_each_path(*root, |photo, path| {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
            if cancel.is_cancelled() {
                return;
            }
            if !listed.contains_key(folder) {
                listed.insert(folder.to_path_buf(), words_files(folder));
            }
            let names = &listed[folder];
            if names.is_empty() {
                return;
            }
            for extension in ["xmp", "txt"] {
                let mut full = name.to_os_string();
                full.push(".");
                full.push(extension);
                let stem = Path::new(name).with_extension(extension).into_os_string();
                for (name, by_stem) in [(full, false), (stem, true)] {
                    if names.contains(&name) {
                        let file = folder.join(name);
                        found.push(Candidate { photo, photo_path: path.to_path_buf(), file, by_stem });
                    }
                }
            }
        })?;
    }
    Ok(found)
}

fn words_files(folder: &Path) -> HashSet<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |name: &OsString| Path::new(name).extension().is_some_and(|e| e == "xmp" || e == "txt");
    entries.map(|entry| entry.file_name()).filter(is_one).collect()
}

/// `None`: nothing new. What cannot be read is passed over with a word in the log.
fn look_at(candidate: Candidate, reader: &Reader) -> Result<Option<Change>, StoreError> {
    let Candidate { photo, photo_path, file, by_stem } = candidate;
    if by_stem && reader.namesakes(&photo_path)?.len() > 1 {
        return Ok(None);
    }
    let is_xmp = file.extension().is_some_and(|extension| extension == "xmp");
    let max = if is_xmp { xmp::MAX_BYTES } else { MAX_TXT_BYTES };
    let known = reader.word_file(&file)?;
    let (stamp, bytes) = match read(&file, max, known.as_ref()) {
        Ok(Some(read)) => read,
        Ok(None) => return Ok(None),
        Err(error) => {
            log::warn!("the words beside a photo were not read: {error}: {}", file.display());
            return Ok(None);
        }
    };
    let digest = *blake3::hash(&bytes).as_bytes();
    let ours = reader.exported(&file)? == Some(digest);
    let (mut captions, mut tags) = (Vec::new(), Vec::new());
    if !ours {
        let words = if is_xmp { xmp::read(&bytes).map_err(|error| error.to_string()) } else { text(&bytes) };
        match words {
            Ok(words) => (captions, tags) = (by_language(words.captions), words.tags),
            Err(error) => log::warn!("the words beside a photo were not read: {error}: {}", file.display()),
        }
    }
    Ok(Some(Change::Words { photo, file, stamp, captions, tags }))
}

/// `None` when it is as it was.
fn read(file: &Path, max: u64, known: Option<&WordFile>) -> io::Result<Option<(WordFile, Vec<u8>)>> {
    let opened = File::open(file)?;
    let meta = opened.metadata()?;
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
    let stamp = WordFile { size_bytes: meta.len(), modified_ns: modified };
    if !meta.is_file() || known == Some(&stamp) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    opened.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        log::debug!("too long for a caption: {}", file.display());
        return Ok(None);
    }
    Ok(Some((stamp, bytes)))
}

/// A text file as one caption: UTF-8, or UTF-16 with its mark.
fn text(bytes: &[u8]) -> Result<xmp::Words, String> {
    let utf16 = |from: fn([u8; 2]) -> u16, rest: &[u8]| {
        let (pairs, _) = rest.as_chunks::<2>();
        String::from_utf16(&pairs.iter().map(|&pair| from(pair)).collect::<Vec<_>>()).ok()
    };
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => utf16(u16::from_be_bytes, rest),
        bytes => std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).ok().map(str::to_owned),
    };
    let text = text.ok_or("it is not UTF-8 text")?;
    let captions = vec![(xmp::DEFAULT_LANG.to_owned(), text)];
    Ok(xmp::Words { captions, ..xmp::Words::default() })
}

/// One caption a language, without those that repeat another; one in no language is told
/// by its script: Chinese, else unknown (`und`).
fn by_language(captions: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_default = |lang: &str| lang.eq_ignore_ascii_case(xmp::DEFAULT_LANG);
    let mut found: Vec<(String, String)> = Vec::new();
    let (unnamed, named): (Vec<_>, Vec<_>) = captions.into_iter().partition(|(lang, _)| is_default(lang));
    for (lang, text) in named.into_iter().chain(unnamed) {
        let text = text.trim().to_owned();
        if text.is_empty() || found.iter().any(|(_, other)| *other == text) {
            continue;
        }
        let kana = |c: char| matches!(c, '\u{3040}'..='\u{30FF}');
        let lang = match lang.as_str() {
            lang if is_default(lang) && text.contains(is_han) && !text.contains(kana) => "zh".to_owned(),
            lang if is_default(lang) => "und".to_owned(),
            "zh-CN" => "zh".to_owned(),
            lang => lang.to_owned(),
        };
        found.push((lang, text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_several_codes() {
        let said = |bytes: &[u8]| text(bytes).map(|words| words.captions[0].1.clone());
        assert_eq!(said("\u{FEFF}海边".as_bytes()).unwrap(), "海边");
        assert_eq!(said(b"\xFF\xFEa\0b\0").unwrap(), "ab");
        assert!(said(b"\xBA\xA3\xB1\xDF").is_err());
    }

    #[test]
    fn a_text_that_repeats_another_is_no_second_caption() {
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let said = by_language(own(&[("x-default", "a dog"), ("en", "a dog"), ("zh-CN", "狗")]));
        assert_eq!(said, own(&[("en", "a dog"), ("zh", "狗")]));
        assert_eq!(by_language(own(&[("x-default", " 狗 ")])), own(&[("zh", "狗")]));
        assert_eq!(by_language(own(&[("x-default", "ein Hund"), ("x-default", "")])), own(&[("und", "ein Hund")]));
    }
}
