//! Captions in the library: drafts by models, words of people.

use rusqlite::{Row, params};

use super::write::{Sync, now_s};
use super::{Reader, Store, StoreError};
use crate::domain::{Caption, CaptionId, CaptionSource, CaptionState, NewCaption, PhotoId};

const COLUMNS: &str = "id, photo, text, lang, source, model, model_version, settings, state, created_s";

impl Store {
    /// Keeps captions; on the disk when this returns. One id each, `None` where the photo is no longer there.
    pub fn add_captions(&mut self, captions: &[NewCaption]) -> Result<Vec<Option<CaptionId>>, StoreError> {
        use rusqlite::OptionalExtension as _;
        self.transaction(Sync::Full, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO captions (photo, text, lang, source, model, model_version, settings, state, created_s)
                 SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM photos WHERE id = ?1 RETURNING id",
            )?;
            let now = now_s();
            captions
                .iter()
                .map(|NewCaption { photo, text, lang, source, state }| {
                    let (source, model) = match source {
                        CaptionSource::Person => ("person", None),
                        CaptionSource::Model { pack, version, settings } => ("model", Some((pack, version, settings))),
                    };
                    let (pack, version, settings) = (model.map(|m| m.0), model.map(|m| m.1), model.map(|m| m.2));
                    insert
                        .query_row(params![photo, text, lang, source, pack, version, settings, state, now], |row| {
                            row.get(0)
                        })
                        .optional()
                })
                .collect()
        })
    }

    /// Accepts a draft, or takes that back. False: no such caption.
    pub fn set_caption_state(&mut self, caption: CaptionId, state: CaptionState) -> Result<bool, StoreError> {
        self.transaction(Sync::Full, |tx| {
            tx.execute("UPDATE captions SET state = ?2 WHERE id = ?1", params![caption, state]).map(|n| n > 0)
        })
    }

    /// Deletes a caption. False: no such caption.
    pub fn remove_caption(&mut self, caption: CaptionId) -> Result<bool, StoreError> {
        self.transaction(Sync::Full, |tx| tx.execute("DELETE FROM captions WHERE id = ?1", [caption]).map(|n| n > 0))
    }

    /// Deletes for good what people wrote about photos that are no longer in the library; says how many.
    pub fn purge_kept_captions(&mut self) -> Result<usize, StoreError> {
        self.transaction(Sync::Full, |tx| tx.execute("DELETE FROM captions WHERE photo IS NULL", []))
    }
}

impl Reader {
    /// A photo's captions, newest first.
    pub fn captions(&self, photo: PhotoId) -> Result<Vec<Caption>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM captions WHERE photo = ?1 ORDER BY id DESC");
            conn.prepare_cached(&sql)?.query_map([photo], caption_from_row)?.collect()
        })
    }

    /// What people wrote about photos that are no longer in the library.
    pub fn kept_captions(&self) -> Result<Vec<Caption>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM captions WHERE photo IS NULL ORDER BY id DESC");
            conn.prepare_cached(&sql)?.query_map([], caption_from_row)?.collect()
        })
    }
}

fn caption_from_row(row: &Row<'_>) -> rusqlite::Result<Caption> {
    let source = match row.get::<_, Option<String>>(5)? {
        None => CaptionSource::Person,
        Some(pack) => CaptionSource::Model { pack, version: row.get(6)?, settings: row.get(7)? },
    };
    Ok(Caption {
        id: row.get(0)?,
        photo: row.get(1)?,
        text: row.get(2)?,
        lang: row.get(3)?,
        source,
        state: row.get(8)?,
        created_s: row.get(9)?,
    })
}
