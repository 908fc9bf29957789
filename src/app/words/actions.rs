//! What the panels about words want done.

use crate::domain::{AnswerId, CaptionId, CaptionState, PhotoId};

use super::{BatchForm, ExportForm, RewordForm, Slot, Tab, Wish};

/// A wish of the person's about words, without effect until it is applied.
#[derive(Clone, Debug, PartialEq)]
pub enum WordsAction {
    ShowTab(Tab),
    /// A field took the cursor.
    Focused,
    Typed(Slot, String),
    /// Turn down what was typed.
    Forget(Slot),
    SetWish(Wish),

    // Captions of one photo
    Suggest(PhotoId),
    Stop,
    /// Keep the offered sentence at a place.
    Keep {
        photo: PhotoId,
        place: usize,
        state: CaptionState,
    },
    /// Turn the offered sentences down.
    TurnDown(PhotoId),
    Edit {
        photo: PhotoId,
        caption: CaptionId,
    },
    /// Hand what was typed to the library.
    Save(Slot),
    Judge {
        caption: CaptionId,
        state: CaptionState,
    },
    Remove(CaptionId),

    // Questions and sentences about one photo
    Ask {
        photo: PhotoId,
        question: String,
    },
    RemoveAnswer(AnswerId),
    /// Drop a question that is not kept in the library.
    DropUnkept {
        photo: PhotoId,
        place: usize,
    },
    Match(PhotoId),

    // Many photos
    SetBatch(BatchForm),
    StartBatch,
    /// Put the list of what a batch wrote away.
    CloseBatch,
    SetReword(RewordForm),
    Reword,
    SetExport(ExportForm),
    ChooseExportFolder,
    Export {
        dry_run: bool,
    },

    /// Judge the best so many hits of a search, or none.
    SetRerank(Option<usize>),
}
