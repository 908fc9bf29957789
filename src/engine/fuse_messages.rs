//! What commands and events about words carry: captions, answers, judged scores, exports.
//!
//! Plain data, as in [`super::messages`].

use crate::domain::{Answer, AnswerId, Caption, CaptionId, PhotoAnswer, PhotoId};
use crate::export;
use crate::models::fuse::{Abilities, Refusal, Sampling, Sees};
use crate::search::rerank::Judged;
use crate::store::CaptionSteps;

use super::{Failure, Scope};

/// How captions are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionOptions {
    /// BCP 47 code: `en`, `zh`.
    pub lang: String,
    pub how: Writing,
    /// How many different sentences for one photo; what batches write is the first.
    pub candidates: usize,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self { lang: "en".into(), how: Writing::default(), candidates: 1 }
    }
}

/// How words are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Writing {
    /// Always the likeliest.
    Greedy,
    /// So many sentences weighed against each other.
    Beam(usize),
    /// Drawn by their probability; the same seed gives the same sentences.
    Sampling(Sampling),
}

impl Default for Writing {
    fn default() -> Self {
        Self::Beam(3)
    }
}

/// A sentence that a model offers. It is kept nowhere until it is told to
/// ([`super::Command::KeepCaption`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub text: String,
    pub lang: String,
    /// Mean probability of its words, 0..1.
    pub score: f32,
    /// False if it was stopped or came to the limit.
    pub ended: bool,
    /// Pack id, weights hash and settings of the model that wrote it.
    pub pack: String,
    pub version: String,
    pub settings: String,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub question: String,
    /// Best first; empty where it was refused.
    pub ranked: Vec<Answer>,
    /// The best one is not likely enough to be relied on.
    pub unsure: bool,
    /// Why it was not asked at all.
    pub refused: Option<Refusal>,
    /// Where it stands in the library; `None` where it was refused or could not be written.
    pub id: Option<AnswerId>,
}

/// How well a text describes a photo, by both families. One may fail without the other.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchScores {
    pub text: String,
    pub align: Result<Closeness, Failure>,
    /// Probability by the Fuse model, 0..1.
    pub fuse: Result<f32, Failure>,
}

/// How near a text is to a photo in the Align model's joint space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closeness {
    /// Their cosine.
    pub score: f32,
    /// Where it stands, 0..1, see [`crate::domain::Calibration::closeness`].
    pub share: f32,
}

/// A search's hits after the Fuse model judged the best of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranked {
    /// All hits of the search, the judged ones ordered anew among themselves; each with
    /// its Align score and, where it was judged, its match score.
    pub hits: Vec<Judged>,
    /// Pairs that the model judged now.
    pub judged: usize,
    /// Pairs whose score was known from before.
    pub known: usize,
    /// Photos that could not be looked at; they keep their place.
    pub unseen: usize,
    /// From the search's end to the scores, looking at the photos included.
    pub judge_ms: f32,
}

/// All words about a photo.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhotoWords {
    /// Newest first.
    pub captions: Vec<Caption>,
    /// Questions and their answers, oldest first: as a conversation.
    pub answers: Vec<PhotoAnswer>,
    pub tags: Vec<String>,
    /// What the next undo and redo would be about.
    pub steps: CaptionSteps,
}

/// Which photos a batch is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// A selection, or what a search found.
    Photos(Vec<PhotoId>),
    Scope(Scope),
}

/// A caption as a rewording changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reworded {
    pub caption: CaptionId,
    pub photo: PhotoId,
    pub before: String,
    pub after: String,
}

/// What a rewording did, or in a dry run would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewordReport {
    /// Captions that change.
    pub changed: usize,
    /// Captions that were looked at.
    pub looked_at: usize,
    /// The first of those that change.
    pub shown: Vec<Reworded>,
}

/// What an export did, or in a dry run would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    pub report: export::Report,
    /// What happened to single files: all failures, and the first of everything else
    /// but photos without a caption.
    pub files: Vec<export::Event>,
    /// Events that are not among `files`.
    pub left_out: usize,
}

/// The Fuse model of the library.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FuseStatus {
    /// Not looked for yet.
    #[default]
    Unknown,
    /// There is none, or it cannot be loaded.
    Absent(Failure),
    /// At hand; loaded when it is first needed.
    AtHand(FuseInfo),
}

/// What is known of a Fuse model.
#[derive(Clone, Debug, PartialEq)]
pub struct FuseInfo {
    /// Pack id, or the folder that was named.
    pub pack: String,
    pub name: String,
    /// BCP 47 codes.
    pub languages: Vec<String>,
    /// Known once it is loaded.
    pub abilities: Option<Abilities>,
    /// What it looks at: known once it is loaded.
    pub sees: Option<Sees>,
}
