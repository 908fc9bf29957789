//! Batches of captions: what is left of one, so that it goes on after a crash.
//!
//! Each photo's draft is written in the transaction that takes the photo off the list:
//! none is captioned twice, none is lost.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::history::{self, CaptionAct, CaptionStepId};
use super::write::{Sync, now_s};
use super::{Reader, Store, StoreError, captions};
use crate::domain::{JobId, NewCaption, PhotoId};

impl Store {
    /// Begins a batch over these photos. `task` is what its owner needs to go on with it.
    pub fn begin_batch(&mut self, what: &str, task: &str, photos: &[PhotoId]) -> Result<JobId, StoreError> {
        self.transaction(Sync::Normal, |tx| {
            let step = history::begin(tx, CaptionAct::Drafted)?;
            let job: i64 = tx.query_row(
                "INSERT INTO jobs (what, started_s, task, step) VALUES (?1, ?2, ?3, ?4) RETURNING id",
                params![what, now_s(), task, step.0],
                |row| row.get(0),
            )?;
            let mut insert = tx.prepare_cached("INSERT INTO job_photos (job, place, photo) VALUES (?1, ?2, ?3)")?;
            for (place, photo) in (0_i64..).zip(photos) {
                insert.execute(params![job, place, photo])?;
            }
            Ok(JobId(job.cast_unsigned()))
        })
    }

    /// Takes the batch's next photo off its list, keeping its draft; `None`: there is none
    /// to keep, which `failed` says whether it is a failure.
    pub fn advance_batch(
        &mut self,
        job: JobId,
        photo: PhotoId,
        draft: Option<&NewCaption>,
        failed: bool,
    ) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            if let Some(draft) = draft {
                let step = open_step(tx, job)?;
                captions::add(tx, step, draft)?;
            }
            let id = job.0.cast_signed();
            tx.prepare_cached(
                "DELETE FROM job_photos WHERE job = ?1 AND place = (SELECT min(place) FROM job_photos WHERE job = ?1)
                     AND photo = ?2",
            )?
            .execute(params![id, photo])?;
            tx.prepare_cached("UPDATE jobs SET done = done + 1, failed = failed + ?2 WHERE id = ?1")?
                .execute(params![id, failed])
                .map(drop)
        })
    }

    /// Notes that a batch has ended, and forgets what was left of it.
    pub fn end_batch(&mut self, job: JobId, outcome: &str) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            let id = job.0.cast_signed();
            tx.execute("DELETE FROM job_photos WHERE job = ?1", [id])?;
            tx.execute("UPDATE jobs SET finished_s = ?2, outcome = ?3 WHERE id = ?1", params![id, now_s(), outcome])
                .map(drop)
        })
    }
}

/// The step that the batch's next draft belongs to: a new one if the person has undone or
/// redone anything since, as what is undone already cannot grow.
fn open_step(tx: &Transaction<'_>, job: JobId) -> rusqlite::Result<CaptionStepId> {
    let job = job.0.cast_signed();
    let step: Option<i64> = tx
        .prepare_cached("SELECT step FROM jobs WHERE id = ?1")?
        .query_row([job], |row| row.get(0))
        .optional()?
        .flatten();
    if let Some(step) = step
        && !tx.prepare_cached("SELECT 1 FROM caption_steps WHERE id > ?1 AND reverses IS NOT NULL")?.exists([step])?
    {
        return Ok(CaptionStepId(step));
    }
    let step = history::begin(tx, CaptionAct::Drafted)?;
    tx.execute("UPDATE jobs SET step = ?2 WHERE id = ?1", params![job, step.0])?;
    Ok(step)
}

impl Reader {
    /// The next photo of a batch; `None`: it is through.
    pub fn next_of_batch(&self, job: JobId) -> Result<Option<PhotoId>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT photo FROM job_photos WHERE job = ?1 ORDER BY place LIMIT 1")?
                .query_row([job.0.cast_signed()], |row| row.get(0))
                .optional()
        })
    }

    /// How many photos a batch still has before it.
    pub fn left_of_batch(&self, job: JobId) -> Result<u64, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT count(*) FROM job_photos WHERE job = ?1")?
                .query_row([job.0.cast_signed()], |row| row.get::<_, i64>(0))
                .map(i64::cast_unsigned)
        })
    }
}
