//! The library: one SQLite file. The only place with SQL; must not touch photos, models or the window.
//!
//! [`Store`] is the one writer of a process, [`Reader`] a short-lived look from any
//! thread; both work while another process does. A batch of [`Change`]s is one
//! transaction: a crash loses at most the batch in flight. What a person wrote is
//! on the disk (`synchronous=FULL`) before the call returns.
//!
//! A photo belongs to exactly one root, the innermost that contains it: adding a
//! root inside another takes its photos over, removing it hands them back. So a
//! scan of the outer root leaves the inner ones out ([`Reader::roots_within`]).

mod answers;
mod batches;
mod captions;
mod claim;
mod codec;
mod error;
mod exported;
mod history;
mod jobs;
mod open;
mod path;
mod read;
mod rows;
mod schema;
mod scores;
mod words;
mod write;

pub use claim::Claim;
pub use error::StoreError;
pub use history::{CaptionAct, CaptionStep, CaptionStepId, CaptionSteps};
pub use open::BUSY_TIMEOUT;
pub use read::Reader;
pub use rows::{Change, Counts, FolderRow, JobRow, KnownFile, ListScope, ModelInfo, ModelRow, StoredVector, WordFile};
pub use words::CaptionMatches;
pub use write::Store;
