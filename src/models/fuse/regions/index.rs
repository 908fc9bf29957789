//! Finds a photo among keys without keeping them: hashes and numbers of keys, with the
//! place of each. Who looks up compares the key itself. Must not read files.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

/// No number in the key.
const NO_ID: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    id: u64,
    at: u64,
}

/// Keys by hash and by number. [`Index::finish`] makes it ready for look-ups.
#[derive(Debug, Default)]
pub struct Index {
    /// By hash, then place.
    entries: Vec<Entry>,
    /// Places in `entries` of those with a number, by number.
    by_id: Vec<u64>,
}

impl Index {
    pub fn push(&mut self, key: &[u8], at: u64) {
        let id = std::str::from_utf8(key).ok().and_then(|key| image_id(stem(key))).unwrap_or(NO_ID);
        self.entries.push(Entry { hash: hash(key), id, at });
    }

    pub fn finish(mut self) -> Self {
        self.entries.sort_unstable_by_key(|e| (e.hash, e.at));
        self.entries.shrink_to_fit();
        self.by_id = (0u64..).zip(&self.entries).filter(|(_, e)| e.id != NO_ID).map(|(i, _)| i).collect();
        self.by_id.sort_by_key(|&i| self.entries[i as usize].id);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Places of what may be `key`, the last in the file first: a later row replaces an
    /// earlier one, as in the authors' readers.
    pub fn places(&self, key: &[u8]) -> impl Iterator<Item = u64> {
        let hash = hash(key);
        let from = self.entries.partition_point(|e| e.hash < hash);
        let to = self.entries.partition_point(|e| e.hash <= hash);
        self.entries[from..to].iter().rev().map(|e| e.at)
    }

    /// Place of the only key with this number, `None` if there is none or more than one.
    pub fn place_of_id(&self, id: u64) -> Option<u64> {
        let entry = |i: &u64| &self.entries[*i as usize];
        let from = self.by_id.partition_point(|i| entry(i).id < id);
        let to = self.by_id.partition_point(|i| entry(i).id <= id);
        let found = &self.by_id[from..to];
        let last = found.iter().map(entry).max_by_key(|e| e.at)?;
        found.iter().all(|i| entry(i).hash == last.hash).then_some(last.at)
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A name without its extension.
fn stem(name: &str) -> &str {
    Path::new(name).file_stem().and_then(|s| s.to_str()).unwrap_or(name)
}

/// What to look for, best first.
#[derive(Debug)]
pub struct Wanted {
    /// File name, then stem.
    pub names: Vec<String>,
    pub id: Option<u64>,
}

impl Wanted {
    /// Names that are not UTF-8 are in no region file.
    pub fn of(photo: &Path) -> Self {
        let name = photo.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let mut names = vec![name.to_owned(), stem(name).to_owned()];
        names.dedup();
        names.retain(|n| !n.is_empty());
        Self { names, id: image_id(stem(name)) }
    }
}

/// The image number in a name of digits alone or with twelve digits after its last `_`, as
/// COCO names its files and UNITER names those of other sets after it.
pub fn image_id(stem: &str) -> Option<u64> {
    let digits = match stem.rsplit_once('_') {
        Some((_, tail)) if tail.len() == 12 => tail,
        Some(_) => return None,
        None => stem,
    };
    // `parse` takes a sign, a photo's number has none.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten().filter(|&id| id != NO_ID)
}
