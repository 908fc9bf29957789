//! A sentence about a photo: who or what wrote it, and whether a person stands behind it.

use super::PhotoId;

/// Who wrote a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptionSource {
    Person,
    /// Read from a file beside the photo: a person's words, or another program's.
    File {
        /// The file's name, without its folder.
        name: String,
    },
    Model {
        /// Pack id.
        pack: String,
        /// The pack's weights hash: tells an old draft from one of the present weights.
        version: String,
        /// Prompt and decoding settings as JSON, enough to write the same draft again.
        settings: String,
    },
}

/// Whether a person stands behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionState {
    Draft,
    Accepted,
}

/// A caption to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCaption {
    pub photo: PhotoId,
    pub text: String,
    /// BCP 47 code.
    pub lang: String,
    pub source: CaptionSource,
    pub state: CaptionState,
}

/// Whether a language code is of a language: `zh-CN` is of `zh`.
pub fn is_of(code: &str, lang: &str) -> bool {
    let prefix = code.get(..lang.len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(lang))
        && (code.len() == lang.len() || code.as_bytes()[lang.len()] == b'-')
}

/// A caption as the library holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    pub id: super::CaptionId,
    /// `None`: the photo was forgotten, and the words are kept until it is indexed again.
    pub photo: Option<PhotoId>,
    pub text: String,
    pub lang: String,
    pub source: CaptionSource,
    pub state: CaptionState,
    /// Seconds since 1970, UTC.
    pub created_s: i64,
}

impl Caption {
    /// Whether it is in this language; `zh` stands for `zh-CN` too.
    pub fn is_in(&self, lang: &str) -> bool {
        is_of(&self.lang, lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_its_language_alone() {
        assert!(is_of("zh-CN", "zh") && is_of("EN", "en"));
        assert!(!is_of("zha", "zh") && !is_of("z", "zh") && !is_of("狗", "zh"));
    }
}
