//! What was being done, so that a job which was broken off is known at the next start.

use rusqlite::params;

use super::write::{Sync, now_s};
use super::{JobRow, Reader, Store, StoreError};
use crate::domain::JobId;

impl Store {
    /// Notes that a job begins.
    pub fn job_started(&mut self, what: &str) -> Result<JobId, StoreError> {
        self.transaction(Sync::Normal, |tx| {
            tx.query_row(
                "INSERT INTO jobs (what, started_s) VALUES (?1, ?2) RETURNING id",
                params![what, now_s()],
                |row| row.get::<_, i64>(0),
            )
        })
        .map(|id| JobId(id.cast_unsigned()))
    }

    /// Notes how far a running job is.
    pub fn job_progress(&mut self, job: JobId, done: u64, failed: u64) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            tx.prepare_cached("UPDATE jobs SET done = ?2, failed = ?3 WHERE id = ?1")?
                .execute([job.0.cast_signed(), done.cast_signed(), failed.cast_signed()])
                .map(drop)
        })
    }

    /// Notes that a job has ended: `done`, `cancelled`, or a sentence why not.
    pub fn job_finished(&mut self, job: JobId, outcome: &str) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            tx.execute(
                "UPDATE jobs SET finished_s = ?2, outcome = ?3 WHERE id = ?1",
                params![job.0.cast_signed(), now_s(), outcome],
            )
            .map(drop)
        })
    }
}

impl Reader {
    /// Jobs that began and never ended: broken off, or running in another process.
    pub fn unfinished_jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(
                "SELECT id, what, started_s, done, failed, task FROM jobs WHERE finished_s IS NULL ORDER BY id",
            )?;
            let unsigned = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let rows = select.query_map([], |row| {
                Ok(JobRow {
                    id: JobId(unsigned(row, 0)?),
                    what: row.get(1)?,
                    started_s: row.get(2)?,
                    done: unsigned(row, 3)?,
                    failed: unsigned(row, 4)?,
                    task: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }
}
