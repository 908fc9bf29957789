//! The words of the program as types: photos, embeddings, queries, hits,
//! progress and cancellation.
//!
//! Must not touch files, threads, models, SQL or the window.

mod answer;
mod calibration;
mod cancel;
mod caption;
mod embedding;
mod ids;
mod photo;
mod progress;
mod query;
mod random;
mod report;
mod rewording;
mod script;

pub use answer::{Answer, NewAnswer, PhotoAnswer};
pub use calibration::{BestUnrelated, Calibration, Judgement, Matching, Unrelated};
pub use cancel::{CancelSource, CancelToken};
pub use caption::{Caption, CaptionSource, CaptionState, NewCaption, is_of};
pub use embedding::{Embedding, EmbeddingError};
pub use ids::{AnswerId, CaptionId, FolderId, JobId, ModelId, PhotoId, RequestId};
pub use photo::{ContentHash, FileStamp, LatLon, Photo, PhotoMeta, PhotoState, ReadFailure};
pub use progress::{JobKind, JobState, JobStatus, Progress};
pub use query::{Hit, Query, SearchCost, score_text};
pub use random::Random;
pub use report::{Skipped, SkippedReason};
pub use rewording::Rewording;
pub use script::is_han;
