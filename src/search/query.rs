//! What a typed query asks for, and whether it says anything.
//!
//! `caption:word` and `caption:"some words"` ask for photos whose caption holds them; the
//! rest is the sentence that a model looks for.

/// True for text without a letter, a digit or a pictograph: blanks of any width,
/// invisible characters, punctuation. A model would answer it with some twenty
/// photos all the same, always the same ones.
pub fn is_blank(text: &str) -> bool {
    !text.chars().any(|c| (c.is_alphanumeric() && !is_filler(c)) || is_pictograph(c))
}

/// Hangul fillers are letters by Unicode's classes, and show nothing.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// Symbols that mean something on their own: ☀, ✈, 🙂, 🇨.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Whether a query asks for words of captions and nothing else: its hits are all that
/// hold them, not the best of many.
pub fn asks_for_captions_only(text: &str) -> bool {
    CaptionQuery::new(text).is_some_and(|asked| is_blank(&asked.sentence))
}

/// Whether a query asks for words of captions, among other things or not.
pub fn asks_for_captions(text: &str) -> bool {
    CaptionQuery::new(text).is_some()
}

/// A query that asks for words of captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CaptionQuery {
    /// What captions have to hold.
    pub words: String,
    /// The sentence that is left.
    pub sentence: String,
}

impl CaptionQuery {
    /// `None`: the query has no `caption:`.
    pub fn new(text: &str) -> Option<Self> {
        const KEY: &str = "caption";
        let (mut words, mut sentence) = (String::new(), String::new());
        let mut found = false;
        let mut rest = text;
        while !rest.is_empty() {
            let value = rest
                .get(..KEY.len())
                .filter(|key| key.eq_ignore_ascii_case(KEY))
                .and_then(|_| rest[KEY.len()..].strip_prefix([':', '：']));
            if let Some(value) = value {
                found = true;
                let (value, after) = match value.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
                    Some(quoted) => quoted,
                    None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
                };
                words.push_str(value);
                words.push(' ');
                rest = after.trim_start();
                continue;
            }
            // On to the next word.
            let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let next = rest[blank..].find(|c: char| !c.is_whitespace()).map_or(rest.len(), |at| blank + at);
            sentence.push_str(&rest[..next]);
            rest = &rest[next..];
        }
        found.then(|| Self { words: words.trim().to_owned(), sentence: sentence.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{CaptionQuery, is_blank};

    #[test]
    fn captions_are_asked_for_by_their_words() {
        let asked = |text| CaptionQuery::new(text).map(|asked| (asked.words, asked.sentence));
        let some = |words: &str, sentence: &str| Some((words.to_owned(), sentence.to_owned()));
        assert_eq!(asked("caption:dog"), some("dog", ""));
        assert_eq!(asked("Caption：海边"), some("海边", ""));
        assert_eq!(
            asked("a red  car caption:\"two dogs\" at night caption:x"),
            some("two dogs x", "a red  car at night")
        );
        assert_eq!(asked("caption:"), some("", ""));
        assert_eq!(asked("caption:\"open"), some("\"open", ""));
        for plain in ["", "a dog", "recaption:x", "caption of a dog", "x:y", "说caption:x"] {
            assert_eq!(asked(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn nothing_said() {
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{3000}",
            "\u{200B}\u{FEFF}",
            "。！",
            "\"",
            "*",
            "-",
            "…?!",
            "\u{3164}",
            "\u{FE0F}\u{200D}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn something_said() {
        for text in [
            "a",
            "狗",
            " 海边 ",
            "7",
            "C++",
            "50% off",
            "🙂",
            "☀\u{FE0F}",
            "é",
            "e\u{301}",
            "the of a",
            "'; DROP TABLE photos;--",
        ] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
