//! Changes to the library. Every call is one transaction under SQLite's write lock.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::codec::{PathBytes, stamp_values, vector_to_blob};
use super::history::{CaptionAct, CaptionStepId};
use super::open::{self, Access, Database};
use super::read::{Reader, dim, find_model, roots};
use super::rows::{Change, ModelRow, StoredVector, WordFile};
use super::{StoreError, captions, history};
use crate::domain::{ContentHash, Embedding, FileStamp, FolderId, ModelId, PhotoId, PhotoMeta, PhotoState, Skipped};

/// How far the log of changes reaches back. A search index further behind reads everything anew.
const LOG_KEPT: i64 = 100_000;

/// The writing connection: `Send`, one for each process is enough.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Database,
}

/// How far a commit has gone when the call returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// Survives the end of the program; a power cut may undo it, whole.
    Normal,
    /// Survives a power cut too: for what a person wrote or decided.
    Full,
}

impl Store {
    /// Opens a library, creating one where there is no file (and its folder).
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // A link that leads nowhere is not "no file": creating beside it would not help.
        if path.symlink_metadata().is_err() {
            Database::create(path)?;
        }
        let store = Self { db: Database::open(path, Access::Write)? };
        Ok(store)
    }

    /// A reading connection to the same library, for another thread.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.db.again(Access::Read).map(|db| Reader { db })
    }

    /// The library file, absolute.
    pub fn path(&self) -> &Path {
        &self.db.path
    }

    /// Watches a root; the same id again if it is watched already. Photos that outer
    /// roots have inside it become its own.
    pub fn add_folder(&mut self, path: &Path) -> Result<FolderId, StoreError> {
        let path = open::absolute(path)?;
        self.transaction(Sync::Full, |tx| {
            let bytes = PathBytes::encode(&path);
            let known =
                tx.query_row("SELECT id FROM folders WHERE path = ?1", [&bytes], |row| row.get(0)).optional()?;
            if let Some(id) = known {
                return Ok(id);
            }
            let id = tx.query_row(
                "INSERT INTO folders (path, added_s) VALUES (?1, ?2) RETURNING id",
                params![bytes, now_s()],
                |row| row.get(0),
            )?;
            // Only from roots around it: a photo of a root inside it is in better hands.
            for (outer, outer_path) in roots(tx)? {
                if outer != id && path.starts_with(&outer_path) {
                    hand_over(tx, outer, id, &path)?;
                }
            }
            Ok(id)
        })
    }

    /// Forgets a root and its photos; files on disk are not touched, and what people
    /// wrote is kept (see [`Store::purge_kept_captions`]). If the root lies inside
    /// another, its photos are handed to that one. False: it was not there.
    pub fn remove_folder(&mut self, folder: FolderId) -> Result<bool, StoreError> {
        self.transaction(Sync::Full, |tx| {
            let roots = roots(tx)?;
            let Some((_, path)) = roots.iter().find(|(id, _)| *id == folder) else { return Ok(false) };
            let outer = roots.iter().filter(|(id, root)| *id != folder && path.starts_with(root));
            if let Some((outer, _)) = outer.max_by_key(|(_, root)| root.as_os_str().len()) {
                tx.execute("UPDATE photos SET folder = ?1 WHERE folder = ?2", params![outer, folder])?;
            }
            tx.execute("DELETE FROM folders WHERE id = ?1", [folder])?;
            Ok(true)
        })
    }

    /// The id of an embedding space, new or known.
    pub fn model(&mut self, row: &ModelRow) -> Result<ModelId, StoreError> {
        self.transaction(Sync::Normal, |tx| match find_model(tx, row)? {
            Some(id) => Ok(id),
            None => tx.query_row(
                "INSERT INTO models (pack, weights_hash, preprocess_revision, dim) VALUES (?1, ?2, ?3, ?4) RETURNING id",
                params![row.pack_id, row.weights_hash, row.preprocess_revision, row.dim as i64],
                |row| row.get(0),
            ),
        })
    }

    /// Forgets an embedding space with all its vectors.
    pub fn remove_model(&mut self, model: ModelId) -> Result<(), StoreError> {
        self.transaction(Sync::Normal, |tx| {
            // By hand, so that the rows go by index order instead of one cascade each.
            tx.execute("DELETE FROM embeddings WHERE model = ?1", [model])?;
            tx.execute("DELETE FROM models WHERE id = ?1", [model]).map(drop)
        })
    }

    /// Deletes the vectors that searching has to leave out, so that the next run of an
    /// index makes them anew; says how many.
    pub fn drop_damaged_embeddings(&mut self, model: ModelId) -> Result<usize, StoreError> {
        let mut damaged = Vec::new();
        self.reader()?.vectors(model, |photo, vector| {
            if vector == StoredVector::Damaged {
                damaged.push(photo);
            }
        })?;
        if damaged.is_empty() {
            return Ok(0);
        }
        log::warn!("{} damaged vectors are made anew: {}", damaged.len(), self.db.path.display());
        self.transaction(Sync::Normal, |tx| {
            let mut delete = tx.prepare_cached("DELETE FROM embeddings WHERE photo = ?1 AND model = ?2")?;
            damaged.iter().map(|photo| delete.execute(params![photo, model])).sum()
        })
    }

    /// Chooses the pack that a family (`align`, `fuse`) uses in this library.
    pub fn set_active_model(&mut self, family: &str, pack: &str) -> Result<(), StoreError> {
        self.transaction(Sync::Full, |tx| {
            tx.execute(
                "INSERT INTO active_packs (family, pack) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET pack = excluded.pack",
                [family, pack],
            )
            .map(drop)
        })
    }

    /// Writes a batch, all or nothing. One answer for each change: the photo it
    /// concerned, or `None` where the change was void (see [`Change`]).
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Option<PhotoId>>, StoreError> {
        // A vector of the wrong length is a fault of the program: refused before anything is written.
        let mut dims: HashMap<ModelId, Option<usize>> = HashMap::new();
        for (model, embedding) in changes.iter().filter_map(Change::embedding) {
            let expected = match dims.get(&model) {
                Some(&known) => known,
                None => *dims.entry(model).or_insert(self.db.run(|conn| dim(conn, model))?),
            };
            if let Some(expected) = expected.filter(|&dim| dim != embedding.dim()) {
                return Err(StoreError::Dimension { expected, found: embedding.dim() });
            }
        }
        self.transaction(Sync::Normal, |tx| {
            for change in changes {
                if let Change::Moved { photo, .. } = change {
                    tx.prepare_cached("UPDATE photos SET path = ?1 WHERE id = ?2")?
                        .execute(params![parked(*photo), photo])?;
                }
            }
            let batch = Batch { tx, roots: roots(tx)?, models: dims, step: Cell::new(None) };
            let answers = changes.iter().map(|change| batch.apply(change)).collect();
            tx.prepare_cached("DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - ?1")?
                .execute([LOG_KEPT])?;
            answers
        })
    }

    /// One transaction that begins as a writer, so that it never has to be tried again half-way.
    pub(super) fn transaction<T>(
        &mut self,
        sync: Sync,
        f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.db.still_there()?;
        let run = |conn: &mut Connection| {
            let level = if sync == Sync::Full { "full" } else { "normal" };
            conn.pragma_update(None, "synchronous", level)?;
            let tx = Transaction::new(conn, TransactionBehavior::Immediate)?;
            let value = f(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run(&mut self.db.conn).map_err(|e| self.db.explain(e))
    }
}

impl Change {
    fn embedding(&self) -> Option<(ModelId, &Embedding)> {
        match self {
            Self::Indexed { embedding: Some((model, embedding)), .. } | Self::Embedded { model, embedding, .. } => {
                Some((*model, embedding))
            }
            _ => None,
        }
    }
}

/// A batch being written.
struct Batch<'a> {
    tx: &'a Transaction<'a>,
    roots: Vec<(FolderId, PathBuf)>,
    /// The models that the batch names; `None`: not in the library.
    models: HashMap<ModelId, Option<usize>>,
    /// All words that a batch takes in are undone as one.
    step: Cell<Option<CaptionStepId>>,
}

impl Batch<'_> {
    fn apply(&self, change: &Change) -> rusqlite::Result<Option<PhotoId>> {
        match change {
            Change::Indexed { folder, path, stamp, content, meta, embedding } => {
                let Some(folder) = self.owner(*folder, path) else { return Ok(None) };
                let id = self.indexed(folder, path, stamp, content, meta)?;
                if let Some((model, embedding)) = embedding {
                    self.embed(id, *model, embedding)?;
                }
                Ok(Some(id))
            }
            Change::Embedded { photo, model, embedding } => {
                let Some(id) = self.existing(*photo)? else { return Ok(None) };
                self.embed(id, *model, embedding)
            }
            Change::Moved { photo, folder, path, stamp } => self.moved(*photo, *folder, path, stamp),
            Change::Touched { photo, stamp } => self.update(
                "UPDATE photos SET size_bytes = ?2, modified_ns = ?3, changed_ns = ?4, inode = ?5 WHERE id = ?1 RETURNING id",
                *photo,
                stamp,
            ),
            Change::Returned { photo, stamp } => self.update(
                "UPDATE photos SET size_bytes = ?2, modified_ns = ?3, changed_ns = ?4, inode = ?5,
                     state = CASE WHEN failure IS NULL THEN 0 ELSE 2 END WHERE id = ?1 RETURNING id",
                *photo,
                stamp,
            ),
            Change::Missing { photo } => {
                let never_read = "DELETE FROM photos WHERE id = ?1 AND content IS NULL RETURNING id";
                let gone = "UPDATE photos SET state = 1 WHERE id = ?1 RETURNING id";
                for sql in [never_read, gone] {
                    let id = self.tx.prepare_cached(sql)?.query_row([photo], |row| row.get(0)).optional()?;
                    if id.is_some() {
                        return Ok(id);
                    }
                }
                Ok(None)
            }
            Change::Failed { folder, path, stamp, skipped } => self.failed(*folder, path, stamp, skipped),
            Change::Words { photo, file, stamp, captions, tags } => self.words(*photo, file, stamp, captions, tags),
        }
    }

    fn words(
        &self,
        photo: PhotoId,
        file: &Path,
        stamp: &WordFile,
        captions: &[(String, String)],
        tags: &[String],
    ) -> rusqlite::Result<Option<PhotoId>> {
        let Some(photo) = self.existing(photo)? else { return Ok(None) };
        if !captions.is_empty() {
            let step = match self.step.get() {
                Some(step) => step,
                None => history::begin(self.tx, CaptionAct::TookIn)?,
            };
            self.step.set(Some(step));
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            captions::take_in(self.tx, step, photo, &name, captions)?;
        }
        for tag in tags {
            self.tx
                .prepare_cached("INSERT OR IGNORE INTO tags (photo, tag) VALUES (?1, ?2)")?
                .execute(params![photo, tag])?;
        }
        self.tx
            .prepare_cached("INSERT OR REPLACE INTO word_files (path, size_bytes, modified_ns) VALUES (?1, ?2, ?3)")?
            .execute(params![PathBytes::encode(file), stamp.size_bytes.cast_signed(), stamp.modified_ns])?;
        Ok(Some(photo))
    }

    /// The innermost root around `path`; where no root is, the one that was named, if it is still watched.
    fn owner(&self, named: FolderId, path: &Path) -> Option<FolderId> {
        let around = self.roots.iter().filter(|(_, root)| path.starts_with(root));
        around
            .max_by_key(|(_, root)| root.as_os_str().len())
            .or_else(|| self.roots.iter().find(|(id, _)| *id == named))
            .map(|(id, _)| *id)
    }

    fn existing(&self, photo: PhotoId) -> rusqlite::Result<Option<PhotoId>> {
        self.tx.prepare_cached("SELECT id FROM photos WHERE id = ?1")?.query_row([photo], |row| row.get(0)).optional()
    }

    fn indexed(
        &self,
        folder: FolderId,
        path: &Path,
        stamp: &FileStamp,
        content: &ContentHash,
        meta: &PhotoMeta,
    ) -> rusqlite::Result<PhotoId> {
        let path = PathBytes::encode(path);
        let [size, modified, changed, inode] = stamp_values(stamp);
        let known: Option<(PhotoId, Option<ContentHash>)> = self
            .tx
            .prepare_cached("SELECT id, content FROM photos WHERE path = ?1")?
            .query_row([&path], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((id, _)) = known.filter(|(_, before)| *before != Some(*content)) {
            self.tx.prepare_cached("DELETE FROM embeddings WHERE photo = ?1")?.execute([id])?;
        }
        let id = self
            .tx
            .prepare_cached(
                "INSERT INTO photos (folder, path, state, size_bytes, modified_ns, changed_ns, inode, content,
                     width, height, taken, camera, latitude, longitude)
                 VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (path) DO UPDATE SET folder = excluded.folder, state = 0,
                     size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns,
                     changed_ns = excluded.changed_ns, inode = excluded.inode, content = excluded.content,
                     width = excluded.width, height = excluded.height, taken = excluded.taken,
                     camera = excluded.camera, latitude = excluded.latitude, longitude = excluded.longitude,
                     failure = NULL, failure_detail = NULL
                 RETURNING id",
            )?
            .query_row(
                params![
                    folder,
                    path,
                    size,
                    modified,
                    changed,
                    inode,
                    content,
                    meta.width,
                    meta.height,
                    meta.taken,
                    meta.camera,
                    meta.place.map(|p| p.latitude),
                    meta.place.map(|p| p.longitude)
                ],
                |row| row.get(0),
            )?;
        if known.is_none_or(|(_, before)| before.is_none()) {
            self.bring_words_home(id, content, &path)?;
        }
        Ok(id)
    }

    /// Captions and answers of a forgotten photo go to the photo that has its path and content, and
    /// till that comes, to the first one that has its content.
    fn bring_words_home(&self, id: PhotoId, content: &ContentHash, path: &[u8]) -> rusqlite::Result<()> {
        self.tx
            .prepare_cached(
                "UPDATE captions SET photo = ?1 WHERE home_content = ?2 AND (home_path = ?3 OR photo IS NULL)",
            )?
            .execute(params![id, content, path])?;
        self.tx
            .prepare_cached(
                "UPDATE answers SET photo = ?1 WHERE home_content = ?2 AND (home_path = ?3 OR photo IS NULL)",
            )?
            .execute(params![id, content, path])
            .map(drop)
    }

    /// `None`: the model is not in the library.
    fn embed(&self, photo: PhotoId, model: ModelId, embedding: &Embedding) -> rusqlite::Result<Option<PhotoId>> {
        if self.models.get(&model).copied().flatten().is_none() {
            return Ok(None);
        }
        self.tx
            .prepare_cached(
                "INSERT INTO embeddings (photo, model, vector) VALUES (?1, ?2, ?3)
                 ON CONFLICT (photo, model) DO UPDATE SET vector = excluded.vector",
            )?
            .execute(params![photo, model, vector_to_blob(embedding)])?;
        Ok(Some(photo))
    }

    fn moved(
        &self,
        photo: PhotoId,
        folder: FolderId,
        path: &Path,
        stamp: &FileStamp,
    ) -> rusqlite::Result<Option<PhotoId>> {
        if self.existing(photo)?.is_none() {
            return Ok(None);
        }
        let Some(folder) = self.owner(folder, path) else {
            // Its new place is no longer watched: forgotten with the root it moved to.
            self.tx.prepare_cached("DELETE FROM photos WHERE id = ?1")?.execute([photo])?;
            return Ok(None);
        };
        let path = PathBytes::encode(path);
        let [size, modified, changed, inode] = stamp_values(stamp);
        self.tx.prepare_cached("DELETE FROM photos WHERE path = ?1 AND id <> ?2")?.execute(params![path, photo])?;
        for sql in [
            "UPDATE captions SET home_path = NULL, home_content = NULL WHERE photo = ?1",
            "UPDATE answers SET home_path = NULL, home_content = NULL WHERE photo = ?1",
        ] {
            self.tx.prepare_cached(sql)?.execute([photo])?;
        }
        self.tx
            .prepare_cached(
                "UPDATE photos SET folder = ?2, path = ?3, size_bytes = ?4, modified_ns = ?5, changed_ns = ?6, inode = ?7,
                     state = CASE WHEN failure IS NULL THEN 0 ELSE 2 END WHERE id = ?1",
            )?
            .execute(params![photo, folder, path, size, modified, changed, inode])?;
        Ok(Some(photo))
    }

    fn update(&self, sql: &'static str, photo: PhotoId, stamp: &FileStamp) -> rusqlite::Result<Option<PhotoId>> {
        let [size, modified, changed, inode] = stamp_values(stamp);
        self.tx
            .prepare_cached(sql)?
            .query_row(params![photo, size, modified, changed, inode], |row| row.get(0))
            .optional()
    }

    fn failed(
        &self,
        folder: FolderId,
        path: &Path,
        stamp: &FileStamp,
        skipped: &Skipped,
    ) -> rusqlite::Result<Option<PhotoId>> {
        let Some(folder) = self.owner(folder, path) else { return Ok(None) };
        let [size, modified, changed, inode] = stamp_values(stamp);
        self.tx
            .prepare_cached(
                "INSERT INTO photos (folder, path, state, size_bytes, modified_ns, changed_ns, inode, failure, failure_detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (path) DO UPDATE SET folder = excluded.folder, state = excluded.state,
                     size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns,
                     changed_ns = excluded.changed_ns, inode = excluded.inode,
                     failure = excluded.failure, failure_detail = excluded.failure_detail
                 RETURNING id",
            )?
            .query_row(
                params![
                    folder,
                    PathBytes::encode(path),
                    PhotoState::Failed,
                    size,
                    modified,
                    changed,
                    inode,
                    skipped.reason,
                    skipped.detail
                ],
                |row| row.get(0),
            )
            .map(Some)
    }
}

/// Where a photo that is moving waits: no path begins with NUL.
fn parked(photo: PhotoId) -> Vec<u8> {
    [&[0], photo.0.to_be_bytes().as_slice()].concat()
}

/// Gives the photos of root `from` that lie in `path` to root `to`.
fn hand_over(tx: &Transaction<'_>, from: FolderId, to: FolderId, path: &Path) -> rusqlite::Result<()> {
    // In bytes: all that begins with the folder and a separator, up to the byte after the separator.
    let mut first = PathBytes::encode(path);
    let separator = std::path::MAIN_SEPARATOR as u8;
    if first.last() != Some(&separator) {
        first.push(separator);
    }
    let mut end = first.clone();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    tx.execute(
        "UPDATE photos SET folder = ?1 WHERE path >= ?2 AND path < ?3 AND folder = ?4",
        params![to, first, end, from],
    )
    .map(drop)
}

/// Seconds since 1970, UTC; 0 if the clock stands before.
pub(super) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_loses_nothing_and_is_got_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("library.db")).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let photo = |i: i64| Change::Indexed {
            folder: root,
            path: format!("/p/{i}.jpg").into(),
            stamp: FileStamp { size_bytes: 1, modified_ns: i, changed_ns: 1, inode: 1 },
            content: ContentHash([7; 32]),
            meta: PhotoMeta::default(),
            embedding: None,
        };
        store.apply(&[photo(1)]).unwrap();
        // SQLite's own limit gives the error that a full disk gives.
        let limit = |store: &Store, pages: i64| {
            store.db.conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        let pages: i64 = store.db.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit(&store, pages);
        let many: Vec<Change> = (2..2000).map(photo).collect();
        let reader = store.reader().unwrap();
        for _ in 0..2 {
            let error = store.apply(&many).unwrap_err();
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
            assert_eq!(reader.counts().unwrap().photos, 1);
        }
        limit(&store, 1 << 30);
        store.apply(&many).unwrap();
        assert_eq!(reader.counts().unwrap().photos, 1999);
        reader.verify().unwrap();
    }

    #[test]
    fn what_people_write_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("library.db")).unwrap();
        let level = |tx: &Transaction<'_>| tx.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
        assert_eq!(store.transaction(Sync::Full, level).unwrap(), 2);
        assert_eq!(store.transaction(Sync::Normal, level).unwrap(), 1);
    }
}
