//! What share of a caption the photo is likely to bear out.
//!
//! A model that was trained on what its captions are worth is surer of its words than it is right. How sure it
//! is and how near Align finds the caption tell more together; how much each counts is fitted when the model is
//! made (`training/fuse/evaluate.py`). Must not know models.

use serde::Deserialize;

/// Logistic regression on a caption's mean log probability and its cosine to the photo.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    pub said: f32,
    pub near: f32,
    pub bias: f32,
}

impl Trust {
    /// The share of its words, each by its rarity, that people would say of the photo, too, 0..1.
    pub fn share(self, mean_probability: f32, near: f32) -> f32 {
        let odds = self.said * mean_probability.max(f32::MIN_POSITIVE).ln() + self.near * near + self.bias;
        1.0 / (1.0 + (-odds).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_words_near_the_photo_are_trusted_more() {
        let trust: Trust = serde_json::from_str(r#"{"said": 0.5, "near": 4.0, "bias": -1.0}"#).unwrap();
        let even = trust.share((-1.0f32).exp(), 0.375);
        assert!((even - 0.5).abs() < 1e-6);
        assert!(trust.share(0.9, 0.375) > even && trust.share(0.1, 0.375) < even);
        assert!(trust.share((-1.0f32).exp(), 0.5) > even && trust.share((-1.0f32).exp(), 0.1) < even);
        assert!((0.0..0.01).contains(&trust.share(0.0, 0.0)));
    }
}
