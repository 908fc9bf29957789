//! What counts as a word when captions are compared.
//!
//! English as pycocoevalcap has it: the tokens of Stanford's PTBTokenizer (CoreNLP 3.4.1) in
//! lower case, without those that are punctuation. Written from its behaviour, for captions
//! and not for all of English: addresses and emoticons are not known. Chinese by the
//! character. Must not know the models' own tokenizers.

/// Brackets stay words: pycocoevalcap drops `-LRB-`, but looks for it after lower-casing.
const BRACKETS: [(char, &str); 6] =
    [('(', "-lrb-"), (')', "-rrb-"), ('[', "-lsb-"), (']', "-rsb-"), ('{', "-lcb-"), ('}', "-rcb-")];

/// Words that keep their full stop.
const ABBREVIATIONS: [&str; 48] = [
    "mr", "mrs", "ms", "dr", "st", "jr", "sr", "prof", "rev", "gen", "col", "capt", "lt", "sgt", "gov", "sen", "rep",
    "pres", "mt", "ft", "ave", "blvd", "rd", "dept", "univ", "corp", "inc", "co", "ltd", "bros", "etc", "vs", "al",
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "tel", "est", "ext",
];

/// What follows an apostrophe that begins a word of its own.
const CLITICS: [&str; 6] = ["s", "m", "d", "re", "ve", "ll"];

/// Two words written as one, and where the second begins.
const JOINED: [(&str, usize); 6] =
    [("cannot", 3), ("gonna", 3), ("gotta", 3), ("wanna", 3), ("gimme", 3), ("lemme", 3)];

/// The words of an English sentence, lower case, without punctuation.
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for chunk in text.replace("&amp;", "&").split_whitespace() {
        let chunk: Vec<char> = chunk.chars().collect();
        let mut at = 0;
        while at < chunk.len() {
            at += next(&chunk, at, &mut found);
        }
    }
    found
}

/// The characters of a Chinese sentence, lower case, without spaces and punctuation.
pub fn characters(text: &str) -> Vec<String> {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).map(String::from).collect()
}

/// Takes one token off `chunk[at..]`; how many characters it has.
fn next(chunk: &[char], at: usize, found: &mut Vec<String>) -> usize {
    let rest = &chunk[at..];
    let run = |wanted: &[char]| rest.iter().take_while(|c| wanted.contains(c)).count();
    match rest[0] {
        c if is_part(c) => {
            let length = word_length(rest);
            push_word(&lower(&rest[..length]), found);
            length
        }
        '\'' | '’' => {
            let length = 1 + rest[1..].iter().take_while(|c| is_part(**c)).count();
            let tail = lower(&rest[1..length]);
            let short = CLITICS.contains(&tail.as_str()) || ["em", "t"].contains(&tail.as_str()) || is_decade(&tail);
            match (short, rest.get(length)) {
                (false, Some('\'' | '’')) if tail == "n" => {
                    found.push("'n'".into());
                    length + 1
                }
                (true, _) => {
                    found.push(format!("'{tail}"));
                    length
                }
                _ => 1,
            }
        }
        '!' | '?' => {
            let length = run(&['!', '?']);
            if length > 1 {
                found.push(rest[..length].iter().collect());
            }
            length
        }
        '.' | ',' | ':' | ';' | '-' | '–' | '—' | '…' | '"' | '“' | '”' | '‘' | '`' => 1,
        c => {
            let bracket = BRACKETS.iter().find(|(own, _)| *own == c);
            found.push(bracket.map_or_else(|| c.to_string(), |(_, name)| (*name).to_owned()));
            1
        }
    }
}

/// How far the word reaches that `rest` begins with, inner marks and the full stop of an abbreviation included.
fn word_length(rest: &[char]) -> usize {
    let mut end = 1;
    while let Some(&c) = rest.get(end) {
        let after = rest.get(end + 1).copied().unwrap_or(' ');
        let before = rest[end - 1];
        let inner = match c {
            '-' | '.' | '/' => is_part(before) && is_part(after),
            ',' | ':' => before.is_ascii_digit() && after.is_ascii_digit(),
            '\'' | '’' => before.is_alphabetic() && after.is_alphabetic(),
            '&' => before.is_uppercase() && after.is_uppercase(),
            c => is_part(c),
        };
        if !inner {
            break;
        }
        end += 1;
    }
    let dots = rest[end..].iter().take_while(|c| **c == '.').count();
    if dots == 1 && keeps_its_stop(&lower(&rest[..end])) { end + 1 } else { end }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn lower(chars: &[char]) -> String {
    chars.iter().collect::<String>().replace('’', "'").to_lowercase()
}

/// Abbreviations, initials, and single letters with full stops between them.
fn keeps_its_stop(word: &str) -> bool {
    ABBREVIATIONS.contains(&word)
        || word.split('.').all(|part| part.chars().count() == 1 && !part.contains(|c: char| c.is_ascii_digit()))
}

/// `80s`, `90s`, as after an apostrophe.
fn is_decade(word: &str) -> bool {
    matches!(word.as_bytes(), [a, b'0', b's'] if a.is_ascii_digit())
}

/// `don't` is two words, and so is `cannot`.
fn push_word(word: &str, found: &mut Vec<String>) {
    let cut = match word.rsplit_once('\'') {
        Some((stem, "t")) if stem.len() > 1 && stem.ends_with('n') => stem.len() - 1,
        Some((stem, tail)) if CLITICS.contains(&tail) => stem.len(),
        _ => JOINED.iter().find(|(joined, _)| *joined == word).map_or(word.len(), |(_, cut)| *cut),
    };
    let (stem, tail) = word.split_at(cut);
    found.extend([stem, tail].into_iter().filter(|part| !part.is_empty()).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        words(text).join(" ")
    }

    #[test]
    fn punctuation_goes_and_words_stay_whole() {
        for (text, expected) in [
            ("A man , a \"plan\" -- and ... a Canal !", "a man a plan and a canal"),
            ("the boys' t-shirt, half-naked ice - cream", "the boys t-shirt half-naked ice cream"),
            ("It's 4:30; he doesn't pay $2.50 or 1,000.", "it 's 4:30 he does n't pay $ 2.50 or 1,000"),
            ("Mr. Smith cannot see the U.S. flag at 5 o'clock.", "mr. smith can not see the u.s. flag at 5 o'clock"),
            ("one (of two) dogs", "one -lrb- of two -rrb- dogs"),
            ("Texas A&amp;M & friends", "texas a&m & friends"),
            ("beach--kite and/or #6 at 50%", "beach kite and/or # 6 at 50 %"),
            ("what!? rock 'n' roll in the '80s", "what !? rock 'n' roll in the '80s"),
            ("  ", ""),
            ("...", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn chinese_by_the_character() {
        assert_eq!(characters("一只狗， 在海边。").join(" "), "一 只 狗 在 海 边");
        assert_eq!(characters("T恤 2").join(""), "t恤2");
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_words_without_spaces_or_capitals(text in ".{0,40}") {
            for word in words(&text) {
                assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{word:?}");
            }
        }
    }
}
