//! Questions that were asked of photos, with what a model answered.

use rusqlite::{OptionalExtension as _, Row, params};

use super::write::{Sync, now_s};
use super::{Reader, Store, StoreError};
use crate::domain::{Answer, AnswerId, NewAnswer, PhotoAnswer, PhotoId};

const COLUMNS: &str = "id, photo, question, ranked, unsure, model, model_version, created_s";

impl Store {
    /// Keeps a question with its answers; `None` if the photo is no longer there.
    pub fn add_answer(&mut self, answer: &NewAnswer) -> Result<Option<AnswerId>, StoreError> {
        let NewAnswer { photo, question, ranked, unsure, pack, version } = answer;
        let pairs: Vec<(&str, f32)> = ranked.iter().map(|a| (a.text.as_str(), a.score)).collect();
        // Pairs of a text and a number: nothing that JSON could not hold.
        let ranked = serde_json::to_string(&pairs).unwrap_or_default();
        self.transaction(Sync::Full, |tx| {
            tx.prepare_cached(
                "INSERT INTO answers (photo, question, ranked, unsure, model, model_version, created_s)
                 SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM photos WHERE id = ?1 RETURNING id",
            )?
            .query_row(params![photo, question, ranked, unsure, pack, version, now_s()], |row| row.get(0))
            .optional()
        })
    }

    /// Deletes a question with its answers; the photo it was about, if there was such a question.
    pub fn remove_answer(&mut self, answer: AnswerId) -> Result<Option<Option<PhotoId>>, StoreError> {
        self.transaction(Sync::Full, |tx| {
            tx.prepare_cached("DELETE FROM answers WHERE id = ?1 RETURNING photo")?
                .query_row([answer], |row| row.get(0))
                .optional()
        })
    }
}

impl Reader {
    /// What was asked of a photo, oldest first.
    pub fn answers(&self, photo: PhotoId) -> Result<Vec<PhotoAnswer>, StoreError> {
        Ok(self.answers_of(&[photo])?.pop().unwrap_or_default())
    }

    /// What was asked of each of these photos, oldest first.
    pub fn answers_of(&self, photos: &[PhotoId]) -> Result<Vec<Vec<PhotoAnswer>>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM answers WHERE photo = ?1 ORDER BY id");
            let mut select = conn.prepare_cached(&sql)?;
            photos.iter().map(|photo| select.query_map([photo], answer_from_row)?.collect()).collect()
        })
    }
}

fn answer_from_row(row: &Row<'_>) -> rusqlite::Result<PhotoAnswer> {
    // Written by this program alone; what another tool broke is no answer, and no reason to fail.
    let ranked: Vec<(String, f32)> = serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default();
    Ok(PhotoAnswer {
        id: row.get(0)?,
        photo: row.get(1)?,
        question: row.get(2)?,
        ranked: ranked.into_iter().map(|(text, score)| Answer { text, score }).collect(),
        unsure: row.get(4)?,
        pack: row.get(5)?,
        version: row.get(6)?,
        created_s: row.get(7)?,
    })
}
