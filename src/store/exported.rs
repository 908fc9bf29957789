//! What an export asks of the library: photos in the order of their paths, their tags,
//! and which files were written by this program.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension as _, params};

use super::codec::{PHOTO_COLUMNS, PathBytes, photo_from_row};
use super::write::Sync;
use super::{Reader, Store, StoreError, WordFile};
use crate::domain::{FolderId, Photo, PhotoId, PhotoState};

impl Store {
    /// Remembers files that were written, each with the BLAKE3 of its contents.
    pub fn note_exports(&mut self, files: &[(PathBuf, [u8; 32])]) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO exports (path, digest) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET digest = excluded.digest",
            )?;
            files.iter().try_for_each(|(path, digest)| {
                insert.execute(params![PathBytes::encode(path), digest.as_slice()]).map(drop)
            })
        })
    }

    /// Adds tags to a photo that is there; those it has stay.
    pub fn add_tags(&mut self, photo: PhotoId, tags: &[String]) -> Result<(), StoreError> {
        self.transaction(Sync::Full, |tx| {
            let mut insert =
                tx.prepare_cached("INSERT OR IGNORE INTO tags (photo, tag) SELECT id, ?2 FROM photos WHERE id = ?1")?;
            tags.iter().try_for_each(|tag| insert.execute(params![photo, tag]).map(drop))
        })
    }
}

impl Reader {
    /// Present photos by rising path (in bytes), those after `path` only; at most `limit`.
    pub fn photos_after(&self, path: Option<&Path>, limit: usize) -> Result<Vec<Photo>, StoreError> {
        self.db.run(|conn| {
            // The plus keeps SQLite from going by the state and sorting all of it for each page.
            let sql =
                format!("SELECT {PHOTO_COLUMNS} FROM photos WHERE path > ?1 AND +state = ?2 ORDER BY path LIMIT ?3");
            let after = path.map(PathBytes::encode).unwrap_or_default();
            conn.prepare_cached(&sql)?
                .query_map(params![after, PhotoState::Present, limit as i64], photo_from_row)?
                .collect()
        })
    }

    /// Files of the library in the same folder whose names differ from this one in the extension alone, itself included.
    pub fn namesakes(&self, path: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut first = PathBytes::encode(&path.with_extension(""));
        first.push(b'.');
        let mut end = first.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let paths: Vec<PathBuf> = self.db.run(|conn| {
            conn.prepare_cached("SELECT path FROM photos WHERE path >= ?1 AND path < ?2 ORDER BY path")?
                .query_map(params![first, end], |row| row.get::<_, PathBytes>(0).map(|path| path.0))?
                .collect()
        })?;
        let same = |other: &PathBuf| other.parent() == path.parent() && other.file_stem() == path.file_stem();
        Ok(paths.into_iter().filter(same).collect())
    }

    /// The tags of each of these photos, in their order.
    pub fn tags_of(&self, photos: &[PhotoId]) -> Result<Vec<Vec<String>>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached("SELECT tag FROM tags WHERE photo = ?1 ORDER BY tag")?;
            photos.iter().map(|photo| select.query_map([photo], |row| row.get(0))?.collect()).collect()
        })
    }

    /// Calls `f` with each present photo of a root and its path, in no order.
    pub fn for_each_path(&self, folder: FolderId, mut f: impl FnMut(PhotoId, &Path)) -> Result<(), StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached("SELECT id, path FROM photos WHERE folder = ?1 AND state = ?2")?;
            let mut rows = select.query(params![folder, PhotoState::Present])?;
            while let Some(row) = rows.next()? {
                f(row.get(0)?, &row.get::<_, PathBytes>(1)?.0);
            }
            Ok(())
        })
    }

    /// A file whose words were taken in, as it was then.
    pub fn word_file(&self, file: &Path) -> Result<Option<WordFile>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT size_bytes, modified_ns FROM word_files WHERE path = ?1")?
                .query_row([PathBytes::encode(file)], |row| {
                    Ok(WordFile { size_bytes: row.get::<_, i64>(0)?.cast_unsigned(), modified_ns: row.get(1)? })
                })
                .optional()
        })
    }

    /// The BLAKE3 of a file as this program last wrote it.
    pub fn exported(&self, file: &Path) -> Result<Option<[u8; 32]>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT digest FROM exports WHERE path = ?1")?
                .query_row([PathBytes::encode(file)], |row| row.get(0))
                .optional()
        })
    }
}
