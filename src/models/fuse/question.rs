//! Which questions are turned down before a model is asked: empty ones, and those in a
//! script that it never saw. Grammar and question marks are nobody's business.

use std::fmt;

use crate::domain::is_han;

/// Why a question cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoWords,
    /// The model reads these languages only (BCP 47 codes).
    Languages(Vec<String>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWords => f.write_str("the question has no words"),
            Self::Languages(languages) => {
                let names: Vec<&str> = languages.iter().map(|code| language(code)).collect();
                write!(f, "the model reads {} only", names.join(" and "))
            }
        }
    }
}

/// Why a question cannot be asked of a model of these languages; `None` if it can.
pub fn refusal(question: &str, languages: &[String]) -> Option<Refusal> {
    if !question.chars().any(char::is_alphanumeric) {
        return Some(Refusal::NoWords);
    }
    let reads = |code: &str| languages.iter().any(|lang| lang.split('-').next() == Some(code));
    let known =
        |c: char| if is_han(c) { reads("zh") } else { is_latin(c) && languages.iter().any(|l| !l.starts_with("zh")) };
    let letters: Vec<char> = question.chars().filter(|c| c.is_alphabetic()).collect();
    let readable = letters.iter().filter(|&&c| known(c)).count();
    (2 * readable < letters.len()).then(|| Refusal::Languages(languages.to_vec()))
}

/// Full-width letters among them.
fn is_latin(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '\u{AA}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' | '\u{FF21}'..='\u{FF5A}')
}

fn language(code: &str) -> &str {
    match code.split('-').next() {
        Some("en") => "English",
        Some("zh") => "Chinese",
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_questions_and_unknown_scripts_are_refused() {
        let (en, both) = (vec!["en".to_owned()], vec!["en".to_owned(), "zh".to_owned()]);
        for question in ["what color", "is it dog cat", "HOW MANY??", "2", "naïve café?", "what is 狗", "ｗｈａｔ"]
        {
            assert_eq!(refusal(question, &en), None, "{question}");
            assert_eq!(refusal(question, &both), None, "{question}");
        }
        for question in ["", "  ", "\u{3000}", "？！", "🙂"] {
            assert!(refusal(question, &both).unwrap().to_string().contains("no words"), "{question}");
        }
        assert_eq!(refusal("狗是什么颜色的", &both), None);
        assert!(refusal("狗是什么颜色的", &en).unwrap().to_string().contains("English only"));
        for question in ["что это", "これは何ですか", "ما هذا", "무엇"] {
            assert!(refusal(question, &both).unwrap().to_string().contains("English and Chinese"), "{question}");
        }
    }
}
