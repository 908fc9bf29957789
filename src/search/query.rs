//! Whether a typed query says anything.

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

#[cfg(test)]
mod tests {
    use super::is_blank;

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
