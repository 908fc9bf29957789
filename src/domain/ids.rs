//! Newtypes for the numbers that name things, so that one cannot be taken for another.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta] $name:ident($inner:ty)),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);
    )+};
}

id! {
    /// A photo's row in the library.
    PhotoId(i64),
    /// A watched root folder's row in the library.
    FolderId(i64),
    /// One embedding space: a pack with its weights hash and preprocessing revision.
    ModelId(i64),
    /// A caption's row in the library.
    CaptionId(i64),
    /// A question's row in the library.
    AnswerId(i64),
    /// A long-running job.
    JobId(u64),
    /// A question the window put to the engine; answers carry it back.
    RequestId(u64),
}
