//! How captions are wanted: the panel's choices, kept for the next start.

use serde::{Deserialize, Serialize};

use crate::app::i18n::Lang;
use crate::engine::{CaptionOptions, Writing};
use crate::models::fuse::Sampling;

/// How words are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum How {
    /// Always the likeliest word.
    Greedy,
    /// Several sentences weighed against each other.
    #[default]
    Beam,
    /// Drawn by their probability.
    Sampling,
}

impl How {
    pub const ALL: [Self; 3] = [Self::Beam, Self::Greedy, Self::Sampling];
}

/// The person's choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// `en` or `zh`; `None`: the window's.
    pub lang: Option<String>,
    pub how: How,
    /// The same seed draws the same sentences.
    pub seed: u64,
    /// Sentences for one photo.
    pub candidates: usize,
}

impl Default for Wish {
    fn default() -> Self {
        Self { lang: None, how: How::default(), seed: 1, candidates: 3 }
    }
}

/// Sentences weighed against each other.
const BEAM: usize = 3;
/// Drawing stays near what is likely, so that sentences differ and still make sense.
const DRAW: (f32, f32) = (0.8, 0.9);
/// The most sentences for one photo.
pub const CANDIDATES_MAX: usize = 5;

impl Wish {
    /// The caption's language: the chosen one, else the window's.
    pub fn code(&self, window: Lang) -> &str {
        self.lang.as_deref().unwrap_or(caption_code(window))
    }

    /// What the engine is asked for one photo.
    pub fn options(&self, window: Lang) -> CaptionOptions {
        // The likeliest words make one sentence.
        let candidates = if self.how == How::Greedy { 1 } else { self.candidates.clamp(1, CANDIDATES_MAX) };
        CaptionOptions { lang: self.code(window).to_owned(), how: self.writing(candidates), candidates }
    }

    /// What the engine is asked for each of many photos.
    pub fn for_many(&self, window: Lang) -> CaptionOptions {
        CaptionOptions { lang: self.code(window).to_owned(), how: self.writing(1), candidates: 1 }
    }

    fn writing(&self, candidates: usize) -> Writing {
        match self.how {
            How::Greedy => Writing::Greedy,
            How::Beam => Writing::Beam(BEAM.max(candidates)),
            How::Sampling => {
                let (temperature, top_p) = DRAW;
                Writing::Sampling(Sampling { temperature, top_p, seed: self.seed })
            }
        }
    }
}

/// The code under which captions in the window's language are kept.
pub fn caption_code(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Zh => "zh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_become_options() {
        let mut wish = Wish { candidates: 99, ..Wish::default() };
        let options = wish.options(Lang::Zh);
        assert_eq!((options.lang.as_str(), options.candidates, options.how), ("zh", 5, Writing::Beam(5)));
        wish.how = How::Greedy;
        wish.lang = Some("en".into());
        let options = wish.options(Lang::Zh);
        assert_eq!((options.lang.as_str(), options.candidates, options.how), ("en", 1, Writing::Greedy));
        (wish.how, wish.seed) = (How::Sampling, 42);
        assert!(matches!(wish.options(Lang::En).how, Writing::Sampling(Sampling { seed: 42, .. })));
        assert_eq!(wish.for_many(Lang::En).candidates, 1);
    }
}
