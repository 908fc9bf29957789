//! Files that a job could not take in, each with its reason: the job goes on, the person sees the list.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why a file was left out. The kind is for programs and translations, `detail` for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkippedReason {
    /// Could not be opened or read (permissions, I/O).
    Unreadable,
    /// No bytes.
    Empty,
    /// Cut off or damaged.
    Damaged,
    /// Not a picture, or of a kind that is not supported.
    Unsupported,
    /// Declares more pixels, or costs more to decode, than is sensible.
    TooLarge,
    /// The model gave numbers that are not finite.
    NotFinite,
    /// Changed while it was read.
    Changing,
}

/// One file left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: SkippedReason,
    /// A sentence that a person can act on.
    pub detail: String,
}
