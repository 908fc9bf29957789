//! What is asked of a search, and what comes back.

use std::path::PathBuf;

use super::PhotoId;

/// A question to the index.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// A sentence, in any language that the model knows.
    Text(String),
    /// A picture file, in the library or not.
    Image(PathBuf),
    /// A photo of the library: its stored embedding is the query.
    Photo(PhotoId),
}

/// One photo found. Hits are ordered by falling score, ties by id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub photo: PhotoId,
    /// Cosine in the Align model's joint space; 1 where a caption was asked for and found.
    pub score: f32,
}

/// A score as people read it: three decimals, and no minus before what rounds to nothing.
pub fn score_text(score: f32) -> String {
    // A negative zero and a positive one make a positive one.
    format!("{:.3}", (score * 1000.0).round() / 1000.0 + 0.0)
}

/// What a search cost, for the status bar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchCost {
    /// Photos whose embedding was compared.
    pub scanned: usize,
    pub encode_ms: f32,
    pub scan_ms: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_next_to_nothing_has_no_sign() {
        assert_eq!(score_text(-0.0004), "0.000");
        assert_eq!(score_text(-0.0), "0.000");
        assert_eq!(score_text(-0.0006), "-0.001");
        assert_eq!(score_text(0.12345), "0.123");
    }
}
