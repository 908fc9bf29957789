//! Captions as they are searched: a copy with its words apart, in an FTS5 table of the
//! stock tokenizer, so that any sqlite3 still opens the library.
//!
//! `unicode61` takes a Chinese sentence for one word. The copy therefore holds each run
//! of characters that are written without spaces as overlapping pairs, then its last
//! character alone: 海边的狗 becomes `海边 边的 的狗 狗`. A query is cut the same way and
//! asked as a phrase; a single character is the beginning of a pair or stands last.
//! Width and composition do not matter (NFKC), case and accents neither.

use rusqlite::{Connection, Transaction, params};
use unicode_normalization::UnicodeNormalization as _;

use super::{Reader, StoreError};
use crate::domain::{PhotoId, PhotoState};

/// Words of a query beyond these are not looked for: each costs a look-up.
const MAX_WORDS: usize = 64;

/// Photos whose captions hold what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptionMatches {
    /// Present photos, each once; the newest caption first.
    pub photos: Vec<PhotoId>,
    /// The query was longer than is looked for.
    pub cut: bool,
}

impl Reader {
    /// Photos with a caption that holds all words of `query`, in any order; what stands
    /// together in it (`t-shirt`, 海边) has to stand together. Never an error of syntax:
    /// all that FTS5 gives a meaning is taken as it is written.
    pub fn find_captions(&self, query: &str, limit: usize) -> Result<CaptionMatches, StoreError> {
        let query = Query::new(query);
        let mut found = CaptionMatches { photos: Vec::new(), cut: query.cut };
        if query.phrases.is_empty() {
            return Ok(found);
        }
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(
                "SELECT c.photo, c.text FROM caption_words w
                 CROSS JOIN captions c ON c.id = w.rowid CROSS JOIN photos p ON p.id = c.photo
                 WHERE w.words MATCH ?1 AND p.state = ?2 ORDER BY w.rowid DESC",
            )?;
            let mut rows = select.query(params![query.phrases, PhotoState::Present])?;
            let mut seen = std::collections::HashSet::new();
            while let Some(row) = rows.next()? {
                let photo: PhotoId = row.get(0)?;
                let literal = query.literal.is_empty() || query.is_in(row.get_ref(1)?.as_str()?);
                if literal && seen.insert(photo) {
                    found.photos.push(photo);
                    if found.photos.len() >= limit {
                        break;
                    }
                }
            }
            Ok(found)
        })
    }
}

/// Makes a caption findable by its present text.
pub(super) fn put(tx: &Transaction<'_>, caption: i64, text: &str) -> rusqlite::Result<()> {
    remove(tx, caption)?;
    tx.prepare_cached("INSERT INTO caption_words (rowid, words) VALUES (?1, ?2)")?
        .execute(params![caption, segmented(text)])
        .map(drop)
}

/// A caption that was deleted; the schema's trigger does the same for the ways that do not come by here.
pub(super) fn remove(tx: &Transaction<'_>, caption: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM caption_words WHERE rowid = ?1")?.execute([caption]).map(drop)
}

/// Takes in the captions that were written before there was a copy.
pub(super) fn put_all(conn: &Connection) -> rusqlite::Result<()> {
    let mut insert = conn.prepare("INSERT INTO caption_words (rowid, words) VALUES (?1, ?2)")?;
    let mut select = conn.prepare("SELECT id, text FROM captions")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        insert.execute(params![row.get::<_, i64>(0)?, segmented(row.get_ref(1)?.as_str()?)])?;
    }
    Ok(())
}

fn segmented(text: &str) -> String {
    let mut words = String::with_capacity(text.len() * 2);
    for piece in pieces(text) {
        cut(&piece, &mut words);
    }
    words
}

/// A query as FTS5 reads it, and what has to be looked for by hand.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    /// Phrases that all have to be there; empty: nothing that can be looked for.
    phrases: String,
    /// Pieces with signs that the tokenizer drops (`C++`, `50%`): looked for in the text itself.
    literal: Vec<String>,
    cut: bool,
}

impl Query {
    fn new(text: &str) -> Self {
        let mut query = Self { phrases: String::new(), literal: Vec::new(), cut: false };
        for (n, piece) in pieces(text).enumerate() {
            if n == MAX_WORDS {
                query.cut = true;
                break;
            }
            if piece.chars().any(|c| !c.is_alphanumeric() && !is_pictograph(c) && !is_mark(c)) {
                query.literal.push(piece.to_lowercase());
            }
            if !piece.chars().any(|c| c.is_alphanumeric() || is_pictograph(c)) {
                continue;
            }
            let mut words = String::new();
            let last_run = cut(&piece, &mut words);
            // The last character of a run stands alone in the copy only where the run ends.
            let prefix = match last_run {
                0 => "",
                1 => "*",
                _ => {
                    words.truncate(words.trim_end().rfind(' ').unwrap_or(words.len()));
                    ""
                }
            };
            let words = words.replace('"', " ");
            query.phrases += &format!("\"{}\"{prefix} ", words.trim());
        }
        query
    }

    /// Whether the pieces with signs are in a caption.
    fn is_in(&self, caption: &str) -> bool {
        let caption = pieces(caption).collect::<Vec<_>>().join(" ").to_lowercase();
        self.literal.iter().all(|piece| caption.contains(piece.as_str()))
    }
}

/// What stands between spaces, in normal form. Spaces between characters that are
/// written without any are none.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let mut joined = String::with_capacity(text.len());
    let mut blank = false;
    for c in text.nfkc() {
        if c.is_whitespace() || c.is_control() || matches!(c, '\u{200B}' | '\u{FEFF}') {
            blank = true;
            continue;
        }
        if blank && !(is_unspaced(c) && joined.chars().next_back().is_some_and(is_unspaced)) {
            joined.push(' ');
        }
        blank = false;
        joined.push(c);
    }
    let pieces: Vec<String> = joined.split_whitespace().map(str::to_owned).collect();
    pieces.into_iter()
}

/// Appends a piece's words, each with a space after it. Returns how many characters the
/// run has that the piece ends with; 0: it ends with something else.
fn cut(piece: &str, words: &mut String) -> usize {
    let mut run: Vec<char> = Vec::new();
    let flush = |run: &mut Vec<char>, words: &mut String| {
        if let Some(&last) = run.last() {
            for pair in run.windows(2) {
                words.extend(pair);
                words.push(' ');
            }
            words.extend([last, ' ']);
            run.clear();
        }
    };
    for c in piece.chars() {
        if is_unspaced(c) {
            if run.is_empty() && !words.is_empty() && !words.ends_with(' ') {
                words.push(' ');
            }
            run.push(c);
            continue;
        }
        flush(&mut run, words);
        if is_pictograph(c) {
            // The tokenizer drops symbols, so they get a word of letters.
            words.push_str(&format!(" u{:x} ", u32::from(c)));
        } else {
            words.push(c);
        }
    }
    let last_run = run.len();
    flush(&mut run, words);
    if !words.ends_with(' ') {
        words.push(' ');
    }
    last_run
}

/// Han, kana, hangul and bopomofo.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Symbols that are looked for as words.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Joins and varies what it stands by, and is nothing to look for.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_apart_and_characters_in_pairs() {
        assert_eq!(segmented("海边的狗").split_whitespace().collect::<Vec<_>>(), ["海边", "边的", "的狗", "狗"]);
        assert_eq!(
            segmented("用iPhone拍的 海边🙂").split_whitespace().collect::<Vec<_>>(),
            ["用", "iPhone", "拍的", "的海", "海边", "边", "u1f642"]
        );
        assert_eq!(segmented("ｉＰｈｏｎｅ").trim(), "iPhone");
        assert_eq!(segmented("a dog, two"), "a dog, two ");
    }

    #[test]
    fn a_query_is_phrases_and_never_syntax() {
        let phrases = |text| Query::new(text).phrases.trim().to_owned();
        assert_eq!(phrases("狗"), "\"狗\"*");
        assert_eq!(phrases("海边奔跑"), "\"海边 边奔 奔跑\"");
        assert_eq!(phrases("海 边"), "\"海边\"");
        assert_eq!(phrases("dog NEAR(cat"), "\"dog\" \"NEAR(cat\"");
        assert_eq!(phrases("say \"hi\""), "\"say\" \"hi\"");
        for nothing in ["", " \u{3000}", "*", "\"", "-", "。！", "\u{200B}"] {
            assert_eq!(phrases(nothing), "", "{nothing:?}");
        }
        assert_eq!(Query::new("C++ 50% off").literal, ["c++", "50%"]);
        let long = "word ".repeat(10_000);
        assert!(Query::new(&long).cut && !Query::new("word").cut);
    }
}
