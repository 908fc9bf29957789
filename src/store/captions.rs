//! Captions in the library: drafts by models, words of people, who wrote which.
//!
//! Every change is a step that can be undone (see `history.rs`), and keeps the copy in
//! step by which captions are found (`words.rs`). A model only ever adds drafts, and
//! replaces none but its own: what a person wrote, edited or accepted stays.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::history::{self, CaptionAct, CaptionStepId};
use super::write::{Sync, now_s};
use super::{Reader, Store, StoreError, words};
use crate::domain::{Caption, CaptionId, CaptionSource, CaptionState, NewCaption, PhotoId, PhotoState, Rewording};

const COLUMNS: &str = "id, photo, text, lang, source, model, model_version, settings, state, created_s";

impl Store {
    /// Keeps captions as one step; on the disk when this returns. One id each, `None`
    /// where the photo is no longer there. A model's draft takes the place of the draft
    /// that the same pack wrote of the photo in that language.
    pub fn add_captions(&mut self, captions: &[NewCaption]) -> Result<Vec<Option<CaptionId>>, StoreError> {
        let by_model = captions.iter().all(|caption| matches!(caption.source, CaptionSource::Model { .. }));
        let act = if by_model { CaptionAct::Drafted } else { CaptionAct::Wrote };
        self.transaction(Sync::Full, |tx| {
            let step = history::begin(tx, act)?;
            captions.iter().map(|caption| add(tx, step, caption)).collect()
        })
    }

    /// Begins a batch run, whose drafts are undone as one: see [`Store::add_drafts`].
    pub fn begin_drafts(&mut self) -> Result<CaptionStepId, StoreError> {
        self.transaction(Sync::Normal, |tx| history::begin(tx, CaptionAct::Drafted))
    }

    /// As [`Store::add_captions`], as part of a batch run. A draft that a power cut takes
    /// back can be made again, so the disk is not waited for.
    pub fn add_drafts(
        &mut self,
        run: CaptionStepId,
        drafts: &[NewCaption],
    ) -> Result<Vec<Option<CaptionId>>, StoreError> {
        self.transaction(Sync::Normal, |tx| drafts.iter().map(|draft| add(tx, run, draft)).collect())
    }

    /// Gives captions a new text by a person, who stands behind it, as one step. Says how
    /// many were changed: those that are there and read otherwise.
    pub fn edit_captions(&mut self, edits: &[(CaptionId, String)]) -> Result<usize, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let step = history::begin(tx, CaptionAct::Edited)?;
            let mut changed = 0;
            for (caption, text) in edits {
                let known = tx
                    .prepare_cached("SELECT 1 FROM captions WHERE id = ?1 AND text <> ?2")?
                    .exists(params![caption, text])?;
                if known {
                    history::note(tx, step, *caption)?;
                    tx.prepare_cached(
                        "UPDATE captions SET text = ?2, source = 'person', model = NULL, model_version = NULL,
                             settings = NULL, state = ?3, created_s = ?4 WHERE id = ?1",
                    )?
                    .execute(params![caption, text, CaptionState::Accepted, now_s()])?;
                    words::put(tx, caption.0, text)?;
                    changed += 1;
                }
            }
            Ok(changed)
        })
    }

    /// One change to many texts, as one step: those of `captions` that [`Rewording::of`]
    /// changes. They become a person's; a draft stays one. Says which were changed.
    pub fn reword_captions(
        &mut self,
        captions: &[CaptionId],
        rewording: &Rewording,
    ) -> Result<Vec<CaptionId>, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let step = history::begin(tx, CaptionAct::Reworded)?;
            let mut changed = Vec::new();
            for &caption in captions {
                let text: Option<String> = tx
                    .prepare_cached("SELECT text FROM captions WHERE id = ?1")?
                    .query_row([caption], |row| row.get(0))
                    .optional()?;
                let Some(new) = text.and_then(|text| rewording.of(&text)) else { continue };
                history::note(tx, step, caption)?;
                tx.prepare_cached(
                    "UPDATE captions SET text = ?2, source = 'person', model = NULL, model_version = NULL,
                         settings = NULL, created_s = ?3 WHERE id = ?1",
                )?
                .execute(params![caption, new, now_s()])?;
                words::put(tx, caption.0, &new)?;
                changed.push(caption);
            }
            Ok(changed)
        })
    }

    /// Accepts a draft, or takes that back. False: no such caption.
    pub fn set_caption_state(&mut self, caption: CaptionId, state: CaptionState) -> Result<bool, StoreError> {
        self.step_on(CaptionAct::Judged, caption, |tx| {
            tx.execute("UPDATE captions SET state = ?2 WHERE id = ?1", params![caption, state])
        })
    }

    /// Deletes a caption. False: no such caption.
    pub fn remove_caption(&mut self, caption: CaptionId) -> Result<bool, StoreError> {
        self.step_on(CaptionAct::Removed, caption, |tx| tx.execute("DELETE FROM captions WHERE id = ?1", [caption]))
    }

    /// Deletes for good what people wrote and asked about photos that are no longer in the
    /// library, with its history; says how many captions.
    pub fn purge_kept_captions(&mut self) -> Result<usize, StoreError> {
        self.transaction(Sync::Full, |tx| {
            history::purge_homeless(tx)?;
            tx.execute("DELETE FROM answers WHERE photo IS NULL", [])?;
            tx.execute("DELETE FROM captions WHERE photo IS NULL", [])
        })
    }

    /// One change to one caption. False: it is not there.
    fn step_on(
        &mut self,
        act: CaptionAct,
        caption: CaptionId,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
    ) -> Result<bool, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let known = tx.prepare_cached("SELECT 1 FROM captions WHERE id = ?1")?.exists([caption])?;
            if known {
                let step = history::begin(tx, act)?;
                history::note(tx, step, caption)?;
                change(tx)?;
            }
            Ok(known)
        })
    }
}

/// Adds one caption as part of a step.
pub(super) fn add(
    tx: &Transaction<'_>,
    step: CaptionStepId,
    caption: &NewCaption,
) -> rusqlite::Result<Option<CaptionId>> {
    let NewCaption { photo, text, lang, source, state } = caption;
    let (source, model) = match source {
        CaptionSource::Person => ("person", [None; 3]),
        CaptionSource::File { name } => ("person", [None, None, Some(name)]),
        CaptionSource::Model { pack, version, settings } => ("model", [Some(pack), Some(version), Some(settings)]),
    };
    let [pack, version, settings] = model;
    if *state == CaptionState::Draft && pack.is_some() {
        let own: Vec<CaptionId> = tx
            .prepare_cached(
                "SELECT id FROM captions WHERE photo = ?1 AND lang = ?2 AND model = ?3 AND state = 'draft' AND source = 'model'",
            )?
            .query_map(params![photo, lang, pack], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in own {
            history::note(tx, step, id)?;
            tx.prepare_cached("DELETE FROM captions WHERE id = ?1")?.execute([id])?;
        }
    }
    let id = tx
        .prepare_cached(
            "INSERT INTO captions (photo, text, lang, source, model, model_version, settings, state, created_s)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM photos WHERE id = ?1 RETURNING id",
        )?
        .query_row(params![photo, text, lang, source, pack, version, settings, state, now_s()], |row| {
            row.get::<_, CaptionId>(0)
        })
        .optional()?;
    if let Some(id) = id {
        tx.prepare_cached("INSERT OR IGNORE INTO caption_edits (step, caption, existed) VALUES (?1, ?2, 0)")?
            .execute(params![step.0, id])?;
        words::put(tx, id.0, text)?;
    }
    Ok(id)
}

/// Takes in the captions that a file beside a photo holds: see [`super::Change::Words`].
pub(super) fn take_in(
    tx: &Transaction<'_>,
    step: CaptionStepId,
    photo: PhotoId,
    file: &str,
    captions: &[(String, String)],
) -> rusqlite::Result<()> {
    for (lang, text) in captions {
        let known =
            tx.prepare_cached("SELECT 1 FROM captions WHERE photo = ?1 AND text = ?2")?.exists(params![photo, text])?;
        if known {
            continue;
        }
        let before: Option<CaptionId> = tx
            .prepare_cached(
                "SELECT id FROM captions WHERE photo = ?1 AND source = 'person' AND settings = ?2 AND lang = ?3
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![photo, file, lang], |row| row.get(0))
            .optional()?;
        if let Some(id) = before {
            history::note(tx, step, id)?;
            tx.prepare_cached("UPDATE captions SET text = ?2, created_s = ?3 WHERE id = ?1")?.execute(params![
                id,
                text,
                now_s()
            ])?;
            words::put(tx, id.0, text)?;
            continue;
        }
        let source = CaptionSource::File { name: file.to_owned() };
        let (text, lang) = (text.clone(), lang.clone());
        add(tx, step, &NewCaption { photo, text, lang, source, state: CaptionState::Accepted })?;
    }
    Ok(())
}

impl Reader {
    /// A photo's captions, newest first.
    pub fn captions(&self, photo: PhotoId) -> Result<Vec<Caption>, StoreError> {
        Ok(self.captions_of(&[photo])?.pop().unwrap_or_default())
    }

    /// The captions of each of these photos, newest first.
    pub fn captions_of(&self, photos: &[PhotoId]) -> Result<Vec<Vec<Caption>>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM captions WHERE photo = ?1 ORDER BY id DESC");
            let mut select = conn.prepare_cached(&sql)?;
            photos.iter().map(|photo| select.query_map([photo], caption_from_row)?.collect()).collect()
        })
    }

    /// The text that stands for a photo: its newest accepted caption.
    pub fn accepted_caption(&self, photo: PhotoId) -> Result<Option<String>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached(
                "SELECT text FROM captions WHERE photo = ?1 AND state = 'accepted' ORDER BY id DESC LIMIT 1",
            )?
            .query_row([photo], |row| row.get(0))
            .optional()
        })
    }

    /// The photo of a caption, if it is there and has one.
    pub fn photo_of_caption(&self, caption: CaptionId) -> Result<Option<PhotoId>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT photo FROM captions WHERE id = ?1")?
                .query_row([caption], |row| row.get::<_, Option<PhotoId>>(0))
                .optional()
                .map(Option::flatten)
        })
    }

    /// How many present photos have no caption at all.
    pub fn count_without_caption(&self) -> Result<u64, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached(
                "SELECT count(*) FROM photos p WHERE state = ?1
                     AND NOT EXISTS (SELECT 1 FROM captions c WHERE c.photo = p.id)",
            )?
            .query_row([PhotoState::Present], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
        })
    }

    /// What people wrote about photos that are no longer in the library.
    pub fn kept_captions(&self) -> Result<Vec<Caption>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM captions WHERE photo IS NULL ORDER BY id DESC");
            conn.prepare_cached(&sql)?.query_map([], caption_from_row)?.collect()
        })
    }

    /// Present photos that have no caption, of any language or of `lang` (`zh` stands for
    /// `zh-CN` too); newest first.
    pub fn without_caption(&self, lang: Option<&str>) -> Result<Vec<PhotoId>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(
                "SELECT id FROM photos p WHERE state = ?1 AND NOT EXISTS (SELECT 1 FROM captions c WHERE c.photo = p.id
                     AND (?2 IS NULL OR c.lang = ?2 OR substr(c.lang, 1, length(?2) + 1) = ?2 || '-'))
                 ORDER BY newest_s DESC, id DESC",
            )?;
            select.query_map(params![PhotoState::Present, lang], |row| row.get(0))?.collect()
        })
    }
}

fn caption_from_row(row: &Row<'_>) -> rusqlite::Result<Caption> {
    let source = match row.get::<_, Option<String>>(5)? {
        None => row.get::<_, Option<String>>(7)?.map_or(CaptionSource::Person, |name| CaptionSource::File { name }),
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
