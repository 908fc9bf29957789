//! Text to ids, by the model's own files: `tokenizer.json`, CLIP's
//! `vocab.json` + `merges.txt`, or BERT's `vocab.txt`.
//!
//! Truncation and padding are ours: what a `tokenizer.json` says about them is
//! turned off. Must not know towers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::ModelError;

/// One text, or a pair of them, as ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub ids: Vec<u32>,
    /// Sentence number of each id.
    pub types: Vec<u32>,
}

/// A tokenizer with the model's special tokens and length limit.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
}

impl Tokenizer {
    /// Whatever the folder holds: `tokenizer.json` first, as Hugging Face does.
    /// Texts are cut to `max_length` ids, special tokens included.
    pub fn open(folder: &Path, max_length: usize) -> Result<Self, ModelError> {
        let has = |name: &str| folder.join(name).is_file();
        if has("tokenizer.json") {
            Self::from_file(&folder.join("tokenizer.json"), max_length)
        } else if has("vocab.json") && has("merges.txt") {
            Self::clip_bpe(&folder.join("vocab.json"), &folder.join("merges.txt"), max_length)
        } else if has("vocab.txt") {
            let vocab = folder.join("vocab.txt");
            let settings = std::fs::read(folder.join("tokenizer_config.json")).unwrap_or_default();
            let settings: Value = serde_json::from_slice(&settings).unwrap_or_default();
            let lower_case = settings["do_lower_case"].as_bool().unwrap_or(!is_cased(&read(&vocab)?));
            Self::wordpiece(&vocab, lower_case, max_length)
        } else {
            Err(ModelError::NotAModel {
                path: folder.to_owned(),
                detail: "the folder has no tokenizer (tokenizer.json, vocab.json with merges.txt, or vocab.txt)".into(),
            })
        }
    }

    /// From a `tokenizer.json`.
    pub fn from_file(path: &Path, max_length: usize) -> Result<Self, ModelError> {
        let bytes = read(path)?;
        if bytes.trim_ascii().is_empty() {
            return Err(ModelError::Damaged { path: path.to_owned(), detail: "is empty".into() });
        }
        Self::from_bytes(&bytes, path, max_length)
    }

    /// CLIP's byte-pair encoding.
    pub fn clip_bpe(vocab: &Path, merges: &Path, max_length: usize) -> Result<Self, ModelError> {
        let words: Value = serde_json::from_slice(&read(vocab)?).map_err(|e| damaged(vocab, &e))?;
        let text = String::from_utf8(read(merges)?).map_err(|e| damaged(merges, &e))?;
        let merges: Vec<&str> = text.lines().filter(|l| !l.is_empty() && !l.starts_with("#version")).collect();
        let id = |token: &str| words[token].as_u64().ok_or_else(|| damaged(vocab, &format!("it has no `{token}`")));
        let (start, end) = ("<|startoftext|>", "<|endoftext|>");
        let (start_id, end_id) = (id(start)?, id(end)?);
        let special = |token: &str, id: u64| json!({"id": id, "content": token, "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false});
        let pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let whole = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [special(start, start_id), special(end, end_id)],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": true}, byte_level]},
            "post_processor": {"type": "RobertaProcessing", "sep": [end, end_id], "cls": [start, start_id], "trim_offsets": false, "add_prefix_space": false},
            "decoder": null,
            "model": {"type": "BPE", "dropout": null, "unk_token": end, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": words, "merges": merges},
        });
        Self::from_bytes(whole.to_string().as_bytes(), vocab, max_length)
    }

    /// BERT's word pieces.
    pub fn wordpiece(vocab: &Path, lower_case: bool, max_length: usize) -> Result<Self, ModelError> {
        let text = String::from_utf8(read(vocab)?).map_err(|e| damaged(vocab, &e))?;
        let words: serde_json::Map<String, Value> =
            text.lines().enumerate().map(|(id, word)| (word.to_owned(), id.into())).collect();
        let id = |token: &str| {
            words.get(token).and_then(Value::as_u64).ok_or_else(|| damaged(vocab, &format!("it has no `{token}`")))
        };
        let (cls, sep, unknown) = (id("[CLS]")?, id("[SEP]")?, id("[UNK]")?);
        let mut added = Vec::new();
        for (token, id) in
            [("[PAD]", id("[PAD]")?), ("[UNK]", unknown), ("[CLS]", cls), ("[SEP]", sep), ("[MASK]", id("[MASK]")?)]
        {
            added.push(json!({"id": id, "content": token, "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false}));
        }
        let part = |what: &str, id: &str, kind: u32| json!({what: {"id": id, "type_id": kind}});
        let token = |name: &str, id: u64| json!({"id": name, "ids": [id], "tokens": [name]});
        let (cls_part, sep_part) = (part("SpecialToken", "[CLS]", 0), part("SpecialToken", "[SEP]", 0));
        let whole = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": lower_case},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing",
                "single": [cls_part, part("Sequence", "A", 0), sep_part],
                "pair": [cls_part, part("Sequence", "A", 0), sep_part, part("Sequence", "B", 1), part("SpecialToken", "[SEP]", 1)],
                "special_tokens": {"[CLS]": token("[CLS]", cls), "[SEP]": token("[SEP]", sep)}},
            "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": words},
        });
        Self::from_bytes(whole.to_string().as_bytes(), vocab, max_length)
    }

    fn from_bytes(bytes: &[u8], path: &Path, max_length: usize) -> Result<Self, ModelError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| damaged(path, &e))?;
        inner.with_padding(None);
        let limit = tokenizers::TruncationParams { max_length, ..Default::default() };
        inner.with_truncation(Some(limit)).map_err(|e| damaged(path, &e))?;
        Ok(Self { inner, path: path.to_owned() })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Ids of all tokens that `wanted` picks.
    pub fn ids_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<u32> {
        self.inner.get_vocab(true).into_iter().filter(|(token, _)| wanted(token)).map(|(_, id)| id).collect()
    }

    /// Fails if it knows an id that a table of `rows` rows does not have.
    pub fn check_rows(&self, rows: usize) -> Result<(), ModelError> {
        match self.inner.get_vocab(true).into_values().max() {
            Some(id) if id as usize >= rows => Err(ModelError::Vocabulary { id, rows }),
            _ => Ok(()),
        }
    }

    /// Ids of one text with the special tokens around it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        Ok(self.encode_input(text.into())?.ids)
    }

    /// Ids of one text without special tokens.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        Ok(self.inner.encode(text, false).map_err(|e| damaged(&self.path, &e))?.get_ids().to_vec())
    }

    /// Words of word pieces, written as people do: no space before a comma, none
    /// between Chinese characters. Special tokens are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for piece in ids.iter().filter_map(|&id| self.inner.id_to_token(id)) {
            if piece.len() > 2 && piece.starts_with('[') && piece.ends_with(']') {
                continue;
            }
            let (rest, word) = match piece.strip_prefix("##") {
                Some(rest) => (true, rest),
                None => (false, piece.as_str()),
            };
            let closes = |c: char| ",.!?;:)]%'’-/".contains(c) || is_wide(c);
            let opens = |c: char| "([#$'’-/".contains(c) || is_wide(c);
            let joined = rest || word.starts_with(closes) || text.ends_with(opens) || text.is_empty();
            if !joined {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// Ids of two texts as one sequence.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Encoded, ModelError> {
        self.encode_input((first, second).into())
    }

    fn encode_input(&self, input: tokenizers::EncodeInput) -> Result<Encoded, ModelError> {
        let encoding = self.inner.encode(input, true).map_err(|e| damaged(&self.path, &e))?;
        if !encoding.get_overflowing().is_empty() {
            log::warn!("a text is longer than the model reads: only its first {} tokens count", encoding.len());
        }
        Ok(Encoded { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec() })
    }
}

/// Whether a vocabulary tells capitals apart; its special tokens, in brackets, do not count.
fn is_cased(vocab: &[u8]) -> bool {
    vocab.split(|&b| b == b'\n').any(|word| !word.starts_with(b"[") && word.iter().any(u8::is_ascii_uppercase))
}

/// Chinese characters and the marks among them.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303F}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{323AF}')
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> ModelError {
    ModelError::Damaged { path: path.to_owned(), detail: format!("cannot be used as a tokenizer ({why})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(words: &[&str]) -> (tempfile::TempDir, Tokenizer) {
        let dir = tempfile::tempdir().unwrap();
        let all = [&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], words].concat();
        std::fs::write(dir.path().join("vocab.txt"), all.join("\n")).unwrap();
        let tokenizer = Tokenizer::open(dir.path(), 32).unwrap();
        (dir, tokenizer)
    }

    #[test]
    fn words_are_written_as_people_write_them() {
        let (_dir, tokenizer) =
            tokenizer(&["a", "dog", "##s", "'", "s", "t", "-", "shirt", ",", ".", "一", "只", "狗", "（", "，"]);
        for text in ["a dogs", "a dog's t-shirt, a dog.", "一只狗，一只a"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids), text);
            assert_eq!(tokenizer.encode_plain(text).unwrap(), ids[1..ids.len() - 1]);
        }
        assert_eq!(tokenizer.decode(&[]), "");
    }

    #[test]
    fn a_vocabulary_with_capitals_keeps_them() {
        let (_dir, cased) = tokenizer(&["Dog", "dog"]);
        assert_eq!(cased.encode_plain("Dog dog").unwrap(), [5, 6]);
        let (_dir, plain) = tokenizer(&["dog"]);
        assert_eq!(plain.encode_plain("Dog dog").unwrap(), [5, 5]);
    }
}
