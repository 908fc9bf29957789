//! A question about a photo and what a model answered.

use super::{AnswerId, PhotoId};

/// One answer with its probability, 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    pub score: f32,
}

/// A question that was answered, to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswer {
    pub photo: PhotoId,
    /// As it was typed.
    pub question: String,
    /// Best first.
    pub ranked: Vec<Answer>,
    /// The best one was not likely enough to be relied on.
    pub unsure: bool,
    /// Pack id.
    pub pack: String,
    /// The pack's weights hash.
    pub version: String,
}

/// A question with its answers as the library holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoAnswer {
    pub id: AnswerId,
    /// `None`: the photo was forgotten, and the question is kept until it is indexed again.
    pub photo: Option<PhotoId>,
    pub question: String,
    /// Best first.
    pub ranked: Vec<Answer>,
    pub unsure: bool,
    /// Pack id.
    pub pack: String,
    /// The pack's weights hash.
    pub version: String,
    /// Seconds since 1970, UTC.
    pub created_s: i64,
}
