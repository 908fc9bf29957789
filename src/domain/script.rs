//! Scripts that tell languages apart.

/// Chinese characters: CJK ideographs with their extensions, those for compatibility too. Kana and
/// Hangul are not among them.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_and_its_neighbours() {
        assert!("狗㐂豈𠀀".chars().all(is_han));
        assert!(!"aé。、ひカ한🐕〇".chars().any(is_han));
    }
}
