//! One change to many texts: find and replace, something put before or behind.
//!
//! Literal: no character of what is looked for has a meaning of its own.

/// What is done to each text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewording {
    Replace {
        find: String,
        with: String,
        /// `Dog` does not find `dog`.
        match_case: bool,
    },
    /// Put before each text that does not begin with it.
    Prefix(String),
    /// Put behind each text that does not end with it.
    Suffix(String),
}

impl Rewording {
    /// The text as it would be; `None` where nothing would change, or nothing be left.
    pub fn of(&self, text: &str) -> Option<String> {
        let new = match self {
            Self::Replace { find, .. } if find.is_empty() => return None,
            Self::Replace { find, with, match_case: true } => text.replace(find, with),
            Self::Replace { find, with, match_case: false } => replace_any_case(text, find, with),
            Self::Prefix(prefix) if text.starts_with(prefix.as_str()) => return None,
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::Suffix(suffix) if text.ends_with(suffix.as_str()) => return None,
            Self::Suffix(suffix) => format!("{text}{suffix}"),
        };
        (new != text && !new.trim().is_empty()).then_some(new)
    }
}

/// Compares in small letters, character by character: whole characters of `text` are replaced.
fn replace_any_case(text: &str, find: &str, with: &str) -> String {
    let find: Vec<char> = find.chars().flat_map(char::to_lowercase).collect();
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match matched(rest, &find) {
            Some(bytes) => {
                new.push_str(with);
                rest = &rest[bytes..];
            }
            None => {
                new.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    new
}

/// How many bytes of `text` are `find` (in small letters), if it begins with that.
fn matched(text: &str, find: &[char]) -> Option<usize> {
    let mut wanted = find.iter();
    for (at, c) in text.char_indices() {
        if wanted.as_slice().is_empty() {
            return Some(at);
        }
        for small in c.to_lowercase() {
            if wanted.next() != Some(&small) {
                return None;
            }
        }
    }
    wanted.as_slice().is_empty().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(find: &str, with: &str, match_case: bool) -> Rewording {
        Rewording::Replace { find: find.into(), with: with.into(), match_case }
    }

    #[test]
    fn literal_with_and_without_case() {
        let of = |find, with, case, text| replace(find, with, case).of(text);
        assert_eq!(of("dog", "cat", true, "a dog, a Dog").as_deref(), Some("a cat, a Dog"));
        assert_eq!(of("dog", "cat", false, "a dog, a DOG").as_deref(), Some("a cat, a cat"));
        assert_eq!(of("DOG.", "$1", false, "dog. dogs").as_deref(), Some("$1 dogs"));
        assert_eq!(of("狗", "猫", false, "海边的狗").as_deref(), Some("海边的猫"));
        assert_eq!(of("É", "e", false, "café 🐕").as_deref(), Some("cafe 🐕"));
        // A dotted capital I has two small characters: half of it is not found.
        assert_eq!(of("i", "x", false, "İ"), None);
        assert_eq!(of("aa", "b", false, "aaa").as_deref(), Some("ba"));
        for nothing in ["", "z", "dogs"] {
            assert_eq!(of(nothing, "cat", true, "a dog"), None);
        }
        assert_eq!(of("dog", "dog", true, "a dog"), None);
        assert_eq!(of("a dog", " ", true, "a dog"), None, "no caption is emptied");
    }

    #[test]
    fn before_and_behind_once() {
        let prefix = Rewording::Prefix("photo of ".into());
        let once = prefix.of("a dog").unwrap();
        assert_eq!((once.as_str(), prefix.of(&once)), ("photo of a dog", None));
        let suffix = Rewording::Suffix("。".into());
        assert_eq!(suffix.of("一只狗").as_deref(), Some("一只狗。"));
        assert_eq!(suffix.of("一只狗。"), None);
        assert_eq!(Rewording::Suffix(String::new()).of("x"), None);
    }
}
