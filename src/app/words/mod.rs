//! What the window knows about the words of photos: captions and who wrote them, answers,
//! matches, batches, and the forms of the sheets about many photos.
//!
//! State and what changes it; nothing is drawn here and no model is known.

mod actions;
mod apply;
mod batch;
mod events;
mod forms;
mod many;
mod typed;
mod wish;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::domain::{PhotoId, RequestId};
use crate::engine::{Candidate, Failure, MatchScores, PhotoWords, Reply};
use crate::store::CaptionSteps;

use super::remote::Remote;

pub use actions::WordsAction;
pub use batch::Batch;
pub use forms::{Among, BatchForm, Checked, ExportForm, Forms, RewordForm, RewordKind};
pub use typed::{Field, Slot, Typing};
pub use wish::{CANDIDATES_MAX, How, Wish, caption_code};

/// What the inspector shows of a photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tab {
    #[default]
    Info,
    Caption,
    Ask,
    Match,
}

impl Tab {
    pub const ALL: [Self; 4] = [Self::Info, Self::Caption, Self::Ask, Self::Match];
}

/// Captions that are being written now.
#[derive(Clone, Debug)]
pub struct Writing {
    pub request: RequestId,
    pub photo: PhotoId,
    /// The sentences as they stand.
    pub texts: Vec<String>,
    /// Stop was pressed.
    pub stopping: bool,
}

/// A question that waits for its answer.
#[derive(Clone, Debug)]
pub struct Asking {
    pub request: RequestId,
    pub photo: PhotoId,
    pub question: String,
}

/// A question that the library does not keep: refused, or gone wrong.
#[derive(Clone, Debug)]
pub struct Unkept {
    pub question: String,
    pub reply: Result<Reply, Failure>,
}

/// Photos whose words and results are remembered.
const KEPT: usize = 512;

/// All of it.
#[derive(Default)]
pub struct Words {
    pub of: HashMap<PhotoId, Remote<PhotoWords, Failure>>,
    requests: HashMap<RequestId, PhotoId>,
    pub typing: Typing,
    pub writing: Option<Writing>,
    /// What a model offered and nobody has taken or turned down yet.
    pub offers: HashMap<PhotoId, Result<Vec<Candidate>, Failure>>,
    pub asking: Option<Asking>,
    pub unkept: HashMap<PhotoId, Vec<Unkept>>,
    pub matches: HashMap<PhotoId, Remote<MatchScores, Failure>>,
    /// The match that is awaited.
    matching: Option<RequestId>,
    pub steps: CaptionSteps,
    pub batch: Option<Batch>,
    pub forms: Forms,
    /// This field takes the cursor in the next frame.
    pub focus: Option<Field>,
}

impl Words {
    /// Nothing known, but what was typed before.
    pub fn with(typing: Typing) -> Self {
        Self { typing, ..Self::default() }
    }

    /// The captions and answers of a photo, as far as they are known.
    pub fn known(&self, photo: PhotoId) -> Option<&PhotoWords> {
        self.of.get(&photo)?.value()
    }

    /// What was typed into a field about a photo.
    pub fn typed(&self, photo: PhotoId, field: Field) -> Option<&str> {
        self.typing.get(Slot { photo, field })
    }

    /// Captions of this photo are being written.
    pub fn writing_of(&self, photo: PhotoId) -> Option<&Writing> {
        self.writing.as_ref().filter(|writing| writing.photo == photo)
    }

    /// Forgets what may have changed; what is on show stays until its successor is there.
    pub fn forget_all_but(&mut self, shown: Option<PhotoId>) {
        self.of.retain(|&photo, _| Some(photo) == shown);
    }

    /// So many photos' words are remembered, no more.
    fn bound(&mut self, shown: PhotoId) {
        if self.of.len() > KEPT {
            self.forget_all_but(Some(shown));
        }
        if self.offers.len() > KEPT {
            self.offers.retain(|&photo, _| photo == shown);
        }
        if self.matches.len() > KEPT {
            self.matches.retain(|&photo, _| photo == shown);
        }
        if self.unkept.len() > KEPT {
            self.unkept.retain(|&photo, _| photo == shown);
        }
    }
}
