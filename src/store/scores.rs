//! Match scores that a Fuse model gave before, so that no pair is judged twice.
//!
//! A score belongs to the content of a photo, a text, and all that the model's judgement hangs on (its
//! `judge_hash`): where one of them is another, there is no score. May be lost without harm.

use rusqlite::{OptionalExtension as _, params};

use super::write::Sync;
use super::{Reader, Store, StoreError};
use crate::domain::ContentHash;

/// Scores kept; the oldest give way.
const KEPT: i64 = 200_000;

impl Store {
    /// Keeps what the model of this `judge_hash` said of `text` about each content.
    pub fn keep_match_scores(
        &mut self,
        judge_hash: &str,
        text: &str,
        scores: &[(ContentHash, f32)],
    ) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO match_scores (content, model, text, score) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (content, model, text) DO UPDATE SET score = excluded.score",
            )?;
            for (content, score) in scores {
                insert.execute(params![content, judge_hash, text, score])?;
            }
            tx.prepare_cached("DELETE FROM match_scores WHERE id <= (SELECT max(id) FROM match_scores) - ?1")?
                .execute([KEPT])
                .map(drop)
        })
    }
}

impl Reader {
    /// What the model of this `judge_hash` said before; `None` where it was not asked.
    pub fn match_scores(
        &self,
        judge_hash: &str,
        text: &str,
        contents: &[Option<ContentHash>],
    ) -> Result<Vec<Option<f32>>, StoreError> {
        self.db.run(|conn| {
            let mut select =
                conn.prepare_cached("SELECT score FROM match_scores WHERE content = ?1 AND model = ?2 AND text = ?3")?;
            let mut known = |content: &Option<ContentHash>| match content {
                Some(content) => select.query_row(params![content, judge_hash, text], |row| row.get(0)).optional(),
                None => Ok(None),
            };
            contents.iter().map(&mut known).collect()
        })
    }
}
