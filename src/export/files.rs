//! One file a photo: text and sidecars, and what becomes of those that are there.
//!
//! A text file is replaced only if this program wrote it and nobody changed it since. A
//! sidecar is merged; words of others in it give way only to a caption that a person
//! accepted, or wrote.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::domain::{Caption, Photo};
use crate::media::xmp::{self, Words};
use crate::store::{Reader, StoreError};

use super::names::Names;
use super::{FileChange, Format, Options, SkipReason, choice, write};

/// A longer text file is none that this program wrote.
const MAX_TXT_BYTES: u64 = 1 << 20;

/// One photo's file.
pub(super) struct Outcome {
    pub file: PathBuf,
    pub result: Result<Done, Fault>,
    pub notes: Vec<String>,
}

pub(super) enum Done {
    Written { change: FileChange, digest: [u8; 32] },
    Skipped(SkipReason),
}

/// A sentence.
pub(super) struct Fault(pub String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Writes the file of a photo that has captions to go out.
pub(super) fn file(
    photo: &Photo,
    captions: &[&Caption],
    tags: &[String],
    names: &Names,
    reader: &Reader,
    options: &Options,
) -> Result<Outcome, StoreError> {
    let file = match options.format {
        Format::Xmp => names.xmp(photo, reader, options.xmp_name)?,
        _ => names.txt(photo, reader)?,
    };
    let max = if options.format == Format::Xmp { xmp::MAX_BYTES } else { MAX_TXT_BYTES };
    let mut notes = Vec::new();
    let old = match read(&file, max) {
        Ok(old) => old,
        Err(error) => return Ok(Outcome { file, result: Err(error.into()), notes }),
    };
    let ours = match &old {
        Old::File(bytes) => reader.exported(&file)? == Some(*blake3::hash(bytes).as_bytes()),
        Old::Absent | Old::TooLarge => false,
    };
    let result = match options.format {
        Format::Xmp => sidecar(photo, captions, tags, old, ours, options, &mut notes),
        _ => Ok(text(captions, old, ours)),
    };
    let result = result.and_then(|planned| finish(&file, planned, options.dry_run));
    Ok(Outcome { file, result, notes })
}

/// What stands where a file is to go.
enum Old {
    Absent,
    File(Vec<u8>),
    TooLarge,
}

fn read(file: &Path, max: u64) -> io::Result<Old> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Old::Absent),
        opened => opened?,
    };
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    opened.take(max + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > max { Old::TooLarge } else { Old::File(bytes) })
}

/// What is to be done.
enum Planned {
    Skip(SkipReason),
    Write { bytes: Vec<u8>, change: FileChange },
}

fn planned(bytes: Vec<u8>, old: Option<&[u8]>) -> Planned {
    let change = match old {
        None => FileChange::Created,
        Some(old) if old == bytes => FileChange::Unchanged,
        Some(_) => FileChange::Changed,
    };
    Planned::Write { bytes, change }
}

fn text(captions: &[&Caption], old: Old, ours: bool) -> Planned {
    let Some(caption) = captions.first() else { return Planned::Skip(SkipReason::NoCaption) };
    let bytes = caption.text.clone().into_bytes();
    match old {
        Old::Absent => planned(bytes, None),
        Old::File(old) if ours || old == bytes => planned(bytes, Some(&old)),
        Old::File(_) | Old::TooLarge => Planned::Skip(SkipReason::ForeignFile),
    }
}

fn sidecar(
    photo: &Photo,
    captions: &[&Caption],
    tags: &[String],
    old: Old,
    ours: bool,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Planned, Fault> {
    let old = match old {
        Old::Absent => None,
        Old::File(bytes) => Some(bytes),
        Old::TooLarge => return Err(Fault("this sidecar is too large to be added to".to_owned())),
    };
    let chosen = choice::one_a_language(captions);
    let words = Words {
        captions: chosen.iter().map(|caption| (caption.lang.clone(), caption.text.clone())).collect(),
        tags: tags.to_vec(),
        place: photo.meta.place.filter(|_| options.gps),
    };
    let may_replace = ours || chosen.iter().all(|caption| choice::is_by_a_person(caption));
    let merged = xmp::merge(old.as_deref(), &words, may_replace)?;
    if merged.left_out > 0 {
        notes.push(format!("characters that XML cannot hold were left out: {}", merged.left_out));
    }
    if !ours {
        notes.extend(merged.replaced.iter().map(|text| format!("took the place of: {text}")));
    }
    let planned = planned(merged.bytes, old.as_deref());
    if let (Planned::Write { change: FileChange::Unchanged, .. }, false) = (&planned, merged.kept.is_empty()) {
        return Ok(Planned::Skip(SkipReason::ForeignWords));
    }
    Ok(planned)
}

fn finish(file: &Path, planned: Planned, dry_run: bool) -> Result<Done, Fault> {
    let (bytes, change) = match planned {
        Planned::Skip(reason) => return Ok(Done::Skipped(reason)),
        Planned::Write { bytes, change } => (bytes, change),
    };
    match change {
        FileChange::Unchanged if dry_run => {}
        FileChange::Unchanged => write::remove_leftover(file),
        FileChange::Created | FileChange::Changed if dry_run => write::refusal(file)?,
        FileChange::Created | FileChange::Changed => write::write(file, &bytes)?,
    }
    Ok(Done::Written { change, digest: *blake3::hash(&bytes).as_bytes() })
}
