//! What was done to captions, so that it can be undone and done again, also tomorrow.
//!
//! Nothing here is ever changed or taken out (but see [`Store::purge_kept_captions`]).
//! A *step* is what a person sees as one act: an edit, an acceptance, a whole batch run.
//! Its edits keep each caption as it was before. Undoing a step is a step of its own,
//! which keeps the captions as they were before *that*; so is redoing.
//!
//! What can be undone and redone are two stacks, kept as linked lists: a step knows the
//! tops of both after it, and what lies below it in its own.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::write::{Sync, now_s};
use super::{Reader, Store, StoreError, words};
use crate::domain::CaptionId;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionAct {
    /// Drafts of a model.
    Drafted,
    /// A person wrote captions.
    Wrote,
    Edited,
    /// Accepted a draft, or took that back.
    Judged,
    Removed,
    /// Words from files beside the photos.
    TookIn,
    /// One change to many texts.
    Reworded,
}

/// A step that may grow until its batch run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionStepId(pub(super) i64);

/// A step that was undone or redone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionStep {
    pub act: CaptionAct,
    /// Captions that it changed back.
    pub captions: usize,
}

/// What the next undo and the next redo would be about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptionSteps {
    pub undo: Option<CaptionAct>,
    pub redo: Option<CaptionAct>,
}

impl Store {
    /// Takes back the newest step that has not been taken back. `None`: there is none.
    pub fn undo_captions(&mut self) -> Result<Option<CaptionStep>, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let tops = Tops::now(tx)?;
            let Some(step) = filled(tx, tops.undo)? else { return Ok(None) };
            let id = tops.next;
            add(
                tx,
                &Row { id, act: step.act, reverses: Some(step.id), below: tops.redo, undo: step.below, redo: Some(id) },
            )?;
            reverse(tx, &step, id).map(Some)
        })
    }

    /// Does again what was last taken back; nothing is left to redo once something new was done.
    pub fn redo_captions(&mut self) -> Result<Option<CaptionStep>, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let tops = Tops::now(tx)?;
            let Some(step) = filled(tx, tops.redo)? else { return Ok(None) };
            let id = tops.next;
            add(
                tx,
                &Row { id, act: step.act, reverses: Some(step.id), below: tops.undo, undo: Some(id), redo: step.below },
            )?;
            reverse(tx, &step, id).map(Some)
        })
    }
}

impl Reader {
    /// What can be undone and redone now.
    pub fn caption_steps(&self) -> Result<CaptionSteps, StoreError> {
        self.db.run(|conn| {
            let tops = Tops::now(conn)?;
            Ok(CaptionSteps {
                undo: filled(conn, tops.undo)?.map(|step| step.act),
                redo: filled(conn, tops.redo)?.map(|step| step.act),
            })
        })
    }
}

/// Begins a step; nothing can be redone from here on.
pub(super) fn begin(tx: &Transaction<'_>, act: CaptionAct) -> rusqlite::Result<CaptionStepId> {
    let Tops { next: id, undo: below, .. } = Tops::now(tx)?;
    add(tx, &Row { id, act, reverses: None, below, undo: Some(id), redo: None })?;
    Ok(CaptionStepId(id))
}

/// Keeps a caption (or its absence) as it is now, unless this step has done so before.
pub(super) fn note(tx: &Transaction<'_>, step: CaptionStepId, caption: CaptionId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO caption_edits
             (step, caption, existed, photo, text, lang, source, model, model_version, settings, state, created_s)
         SELECT ?1, ?2, c.id IS NOT NULL, photo, text, lang, source, model, model_version, settings, state, created_s
         FROM (SELECT 1) LEFT JOIN captions c ON c.id = ?2",
    )?
    .execute(params![step.0, caption])
    .map(drop)
}

/// Forgets for good how captions were that no photo has any more.
pub(super) fn purge_homeless(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM caption_edits WHERE caption IN (SELECT id FROM captions WHERE photo IS NULL)", []).map(drop)
}

/// The stacks after the newest step.
struct Tops {
    /// The id of the next step.
    next: i64,
    undo: Option<i64>,
    redo: Option<i64>,
}

impl Tops {
    fn now(conn: &rusqlite::Connection) -> rusqlite::Result<Self> {
        let newest = conn
            .prepare_cached("SELECT id, undo_top, redo_top FROM caption_steps ORDER BY id DESC LIMIT 1")?
            .query_row([], |row| Ok(Self { next: row.get::<_, i64>(0)? + 1, undo: row.get(1)?, redo: row.get(2)? }))
            .optional()?;
        Ok(newest.unwrap_or(Self { next: 1, undo: None, redo: None }))
    }
}

/// A step as it is written.
struct Row {
    id: i64,
    act: CaptionAct,
    reverses: Option<i64>,
    below: Option<i64>,
    undo: Option<i64>,
    redo: Option<i64>,
}

fn add(tx: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO caption_steps (id, act, created_s, reverses, below, undo_top, redo_top)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![row.id, row.act, now_s(), row.reverses, row.below, row.undo, row.redo])
    .map(drop)
}

/// A step that can be reversed.
struct Step {
    id: i64,
    act: CaptionAct,
    below: Option<i64>,
}

/// The first step from `top` down that changed anything: a run may end before it wrote a line.
fn filled(conn: &rusqlite::Connection, mut top: Option<i64>) -> rusqlite::Result<Option<Step>> {
    let mut select = conn.prepare_cached(
        "SELECT act, below, EXISTS (SELECT 1 FROM caption_edits e WHERE e.step = s.id) FROM caption_steps s WHERE id = ?1",
    )?;
    while let Some(id) = top {
        let (act, below, filled) = select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if filled {
            return Ok(Some(Step { id, act, below }));
        }
        top = below;
    }
    Ok(None)
}

/// Brings all captions of `step` back to what they were before it, noting under `by` how they are now.
fn reverse(tx: &Transaction<'_>, step: &Step, by: i64) -> rusqlite::Result<CaptionStep> {
    let captions: Vec<(CaptionId, bool)> = tx
        .prepare_cached("SELECT caption, existed FROM caption_edits WHERE step = ?1 ORDER BY caption")?
        .query_map([step.id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut changed = 0;
    for (caption, existed) in captions {
        note(tx, CaptionStepId(by), caption)?;
        let done = if existed {
            restore(tx, step.id, caption)?
        } else {
            tx.prepare_cached("DELETE FROM captions WHERE id = ?1")?.execute([caption])? > 0
        };
        changed += usize::from(done);
    }
    Ok(CaptionStep { act: step.act, captions: changed })
}

/// Writes a caption as a step found it. Where its photo stands now is left as it is; a
/// deleted one comes back to its photo, and a model's draft only if that is still there.
fn restore(tx: &Transaction<'_>, step: i64, caption: CaptionId) -> rusqlite::Result<bool> {
    let updated = tx
        .prepare_cached(
            "UPDATE captions SET (text, lang, source, model, model_version, settings, state, created_s) =
                 (SELECT text, lang, source, model, model_version, settings, state, created_s
                  FROM caption_edits WHERE step = ?1 AND caption = ?2)
             WHERE id = ?2 RETURNING text",
        )?
        .query_row(params![step, caption], |row| row.get::<_, String>(0))
        .optional()?;
    let text = match updated {
        Some(text) => Some(text),
        None => tx
            .prepare_cached(
                "INSERT INTO captions (id, photo, text, lang, source, model, model_version, settings, state, created_s)
                 SELECT caption, p.id, text, lang, source, model, model_version, settings, e.state, created_s
                 FROM caption_edits e LEFT JOIN photos p ON p.id = e.photo
                 WHERE step = ?1 AND caption = ?2
                     AND (p.id IS NOT NULL OR source = 'person' OR e.state = 'accepted') RETURNING text",
            )?
            .query_row(params![step, caption], |row| row.get::<_, String>(0))
            .optional()?,
    };
    if let Some(text) = &text {
        words::put(tx, caption.0, text)?;
    }
    Ok(text.is_some())
}
