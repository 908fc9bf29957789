//! What the file of a photo is called and where it stands.
//!
//! Names depend on the library alone, never on what else is exported or on the order:
//! the next run finds the same ones. Photos that differ in the extension alone would
//! share a name, so each of them keeps its extension in it (`IMG_1.jpg.txt`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::domain::{FolderId, Photo};
use crate::media;
use crate::store::{Reader, StoreError};

use super::{Target, XmpName};

/// The places of an export's files.
pub(super) struct Names {
    place: Place,
    /// Each root's path, and the folder that stands for it in the target.
    roots: HashMap<FolderId, (PathBuf, PathBuf)>,
}

enum Place {
    Beside,
    Folder(PathBuf),
}

impl Names {
    pub fn new(target: &Target, reader: &Reader) -> Result<Self, StoreError> {
        let place = match target {
            Target::Folder(folder) => Place::Folder(folder.clone()),
            Target::File(_) | Target::Beside => Place::Beside,
        };
        let folders = reader.folders()?;
        // One root is the target itself; of several, each has a folder of its own.
        let mut taken: Vec<OsString> = Vec::new();
        let mut own = |path: &Path| {
            let name = path.file_name().map_or_else(|| OsString::from("root"), OsString::from);
            let mut unique = name.clone();
            for n in 2.. {
                if !taken.contains(&unique) {
                    break;
                }
                unique = name.clone();
                unique.push(format!("-{n}"));
            }
            taken.push(unique.clone());
            PathBuf::from(unique)
        };
        let several = folders.len() > 1;
        let roots = folders
            .into_iter()
            .map(|row| {
                let within = if several { own(&row.path) } else { PathBuf::new() };
                (row.id, (row.path, within))
            })
            .collect();
        Ok(Self { place, roots })
    }

    /// The photo's path, moved into the target.
    fn moved(&self, photo: &Photo) -> PathBuf {
        let Place::Folder(target) = &self.place else { return photo.path.clone() };
        let within = self
            .roots
            .get(&photo.folder)
            .and_then(|(root, within)| photo.path.strip_prefix(root).ok().map(|relative| within.join(relative)));
        target.join(within.unwrap_or_else(|| photo.path.file_name().map(PathBuf::from).unwrap_or_default()))
    }

    /// The text file of a photo.
    pub fn txt(&self, photo: &Photo, reader: &Reader) -> Result<PathBuf, StoreError> {
        let moved = self.moved(photo);
        Ok(if shares_its_stem(photo, reader)? { full(&moved, "txt") } else { moved.with_extension("txt") })
    }

    /// The sidecar of a photo: one that is there, else a new one.
    pub fn xmp(&self, photo: &Photo, reader: &Reader, name: XmpName) -> Result<PathBuf, StoreError> {
        let moved = self.moved(photo);
        let (stem, full) = (moved.with_extension("xmp"), full(&moved, "xmp"));
        if shares_its_stem(photo, reader)? {
            return Ok(full);
        }
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let (first, second) = if name == XmpName::Stem { (stem, full) } else { (full, stem) };
        Ok(if !is_there(&first) && is_there(&second) { second } else { first })
    }
}

/// `IMG_1.jpg` with `txt` is `IMG_1.jpg.txt`.
fn full(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Whether another photo has as good a claim to `stem.txt`: one of another extension, or
/// one whose whole name is this one's stem (`a.jpg` beside `a.jpg.png`).
fn shares_its_stem(photo: &Photo, reader: &Reader) -> Result<bool, StoreError> {
    let stem = photo.path.with_extension("");
    Ok(reader.namesakes(&photo.path)?.len() > 1 || media::supported(&stem) && reader.photo_by_path(&stem)?.is_some())
}
