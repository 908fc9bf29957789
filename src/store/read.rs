//! Questions to the library. Every query here is served by an index, which
//! a test below holds against SQLite's own plans.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::f16;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::codec::{PHOTO_COLUMNS, PathBytes, blob_to_vector, photo_from_row, stamp_from_row};
use super::open::{Access, Database};
use super::rows::{Counts, FolderRow, KnownFile, ListScope, ModelInfo, ModelRow, StoredVector};
use super::{StoreError, open};
use crate::domain::{ContentHash, Embedding, FolderId, ModelId, Photo, PhotoId, PhotoState, SkippedReason};

/// A reading connection: `Send`, one for each thread, each call one short read.
#[derive(Debug)]
pub struct Reader {
    pub(super) db: Database,
}

impl Reader {
    /// Opens an existing library; never creates one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Database::open(path, Access::Read).map(|db| Self { db })
    }

    /// The library file, absolute.
    pub fn path(&self) -> &Path {
        &self.db.path
    }

    /// Bytes on disk, SQLite's log included.
    pub fn size_bytes(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        size(self.path()) + size(&open::sibling(self.path(), "-wal"))
    }

    /// Reads the whole file and checks that it holds together. On a connection of its own: one that has
    /// looked into the words before takes what others wrote into them since for damage (FTS5's checksum).
    pub fn verify(&self) -> Result<(), StoreError> {
        Self::open(self.path())?.db.quick_check()
    }

    /// All watched roots, in the order of their paths.
    pub fn folders(&self) -> Result<Vec<FolderRow>, StoreError> {
        self.db.run(|conn| {
            let mut counts: HashMap<FolderId, Counts> = HashMap::new();
            let mut select = conn.prepare_cached(sql::COUNTS_BY_FOLDER)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                counts.entry(row.get(0)?).or_default().add(row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned());
            }
            let roots = roots(conn)?;
            Ok(roots
                .into_iter()
                .map(|(id, path)| {
                    let Counts { photos, missing, failed } = counts.get(&id).copied().unwrap_or_default();
                    FolderRow { id, path, photos, missing, failed }
                })
                .collect())
        })
    }

    /// Watched roots inside a root: their photos are theirs, so a scan of the outer one leaves them out.
    pub fn roots_within(&self, folder: FolderId) -> Result<Vec<PathBuf>, StoreError> {
        let roots = self.db.run(roots)?;
        let Some(outer) = roots.iter().find(|(id, _)| *id == folder).map(|(_, path)| path.clone()) else {
            return Ok(Vec::new());
        };
        Ok(roots.into_iter().filter(|(id, path)| *id != folder && path.starts_with(&outer)).map(|(_, p)| p).collect())
    }

    /// Photos of the whole library by state.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.db.run(|conn| {
            let mut counts = Counts::default();
            let mut select = conn.prepare_cached(sql::COUNTS)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                counts.add(row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned());
            }
            Ok(counts)
        })
    }

    /// Everything that a scan of a root compares the disk with, each path once, in no particular order.
    pub fn known_files(&self, folder: FolderId) -> Result<Vec<(PathBuf, KnownFile)>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(sql::KNOWN_FILES)?;
            let rows = select.query_map([folder], |row| {
                let known = KnownFile {
                    id: row.get(1)?,
                    state: row.get(2)?,
                    content: row.get(3)?,
                    failed: row.get(4)?,
                    stamp: stamp_from_row(row, 5)?,
                };
                Ok((row.get::<_, PathBytes>(0)?.0, known))
            })?;
            rows.collect()
        })
    }

    /// All photos with this content, present or not.
    pub fn by_content(&self, content: &ContentHash) -> Result<Vec<Photo>, StoreError> {
        self.db.run(|conn| {
            let sql = format!("SELECT {PHOTO_COLUMNS} FROM photos WHERE content = ?1 ORDER BY id");
            conn.prepare_cached(&sql)?.query_map([content], photo_from_row)?.collect()
        })
    }

    /// One photo.
    pub fn photo(&self, id: PhotoId) -> Result<Option<Photo>, StoreError> {
        self.db.run(|conn| photo_by(conn, "id", id))
    }

    /// The photo whose path is this one, byte for byte.
    pub fn photo_by_path(&self, path: &Path) -> Result<Option<Photo>, StoreError> {
        self.db.run(|conn| photo_by(conn, "path", PathBytes::encode(path)))
    }

    /// Photos in the order asked for; forgotten ones are left out.
    pub fn photos(&self, ids: &[PhotoId]) -> Result<Vec<Photo>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(&format!("SELECT {PHOTO_COLUMNS} FROM photos WHERE id = ?1"))?;
            ids.iter().filter_map(|id| select.query_row([id], photo_from_row).optional().transpose()).collect()
        })
    }

    /// Newest first: by the time taken, else modified; ties by falling id.
    pub fn list(&self, scope: ListScope) -> Result<Vec<PhotoId>, StoreError> {
        let by_state = |state: PhotoState| {
            self.db.run(|conn| {
                let mut select = conn.prepare_cached(sql::LIST_BY_STATE)?;
                select.query_map([state], |row| row.get(0))?.collect()
            })
        };
        match scope {
            ListScope::All => by_state(PhotoState::Present),
            ListScope::Missing => by_state(PhotoState::Missing),
            ListScope::Failed => by_state(PhotoState::Failed),
            ListScope::Folder(folder) => self.db.run(|conn| {
                let mut select = conn.prepare_cached(sql::LIST_OF_FOLDER)?;
                select.query_map(params![folder, PhotoState::Present], |row| row.get(0))?.collect()
            }),
        }
    }

    /// Files that could not be read as pictures, in the order of their paths.
    pub fn failures(&self) -> Result<Vec<(PathBuf, SkippedReason, String)>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(sql::FAILURES)?;
            let rows = select
                .query_map([PhotoState::Failed], |row| Ok((row.get::<_, PathBytes>(0)?.0, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })
    }

    /// Calls `f` with each present photo's vector in a model's space, by rising id.
    /// Returns how many rows were left out because they are [`StoredVector::Damaged`].
    pub fn for_each_embedding(&self, model: ModelId, mut f: impl FnMut(PhotoId, &[f16])) -> Result<usize, StoreError> {
        let mut left_out = 0;
        self.vectors(model, |photo, vector| match vector {
            StoredVector::Unit(vector) => f(photo, vector),
            _ => left_out += 1,
        })?;
        Ok(left_out)
    }

    /// As [`Reader::for_each_embedding`], naming the damaged ones too.
    pub fn vectors(&self, model: ModelId, mut f: impl FnMut(PhotoId, StoredVector<'_>)) -> Result<(), StoreError> {
        self.db.run(|conn| {
            let Some(dim) = dim(conn, model)? else { return Ok(()) };
            let (mut halves, mut floats) = (Vec::new(), Vec::new());
            let mut select = conn.prepare_cached(sql::VECTORS)?;
            let mut rows = select.query(params![model, PhotoState::Present])?;
            while let Some(row) = rows.next()? {
                let good = blob_to_vector(row.get_ref(1)?, dim, &mut halves, &mut floats);
                f(row.get(0)?, if good { StoredVector::Unit(&halves) } else { StoredVector::Damaged });
            }
            Ok(())
        })
    }

    /// Calls `f` once for each of `photos`: what a search index has to hold of it now.
    pub fn vectors_of(
        &self,
        model: ModelId,
        photos: &[PhotoId],
        mut f: impl FnMut(PhotoId, StoredVector<'_>),
    ) -> Result<(), StoreError> {
        self.db.run(|conn| {
            let dim = dim(conn, model)?.unwrap_or(0);
            let (mut halves, mut floats) = (Vec::new(), Vec::new());
            let mut select = conn.prepare_cached(sql::VECTOR_OF)?;
            for &photo in photos {
                let good = select
                    .query_row(params![photo, model, PhotoState::Present], |row| {
                        Ok(blob_to_vector(row.get_ref(0)?, dim, &mut halves, &mut floats))
                    })
                    .optional()?;
                f(
                    photo,
                    match good {
                        None => StoredVector::Absent,
                        Some(true) => StoredVector::Unit(&halves),
                        Some(false) => StoredVector::Damaged,
                    },
                );
            }
            Ok(())
        })
    }

    /// A photo's vector in a model's space, present or not; `None` also for a damaged one.
    pub fn embedding(&self, photo: PhotoId, model: ModelId) -> Result<Option<Embedding>, StoreError> {
        self.db.run(|conn| {
            let Some(dim) = dim(conn, model)? else { return Ok(None) };
            let (mut halves, mut floats) = (Vec::new(), Vec::new());
            let good = conn
                .prepare_cached("SELECT vector FROM embeddings WHERE photo = ?1 AND model = ?2")?
                .query_row(params![photo, model], |row| {
                    Ok(blob_to_vector(row.get_ref(0)?, dim, &mut halves, &mut floats))
                })
                .optional()?;
            Ok(good.filter(|&good| good).and_then(|_| Embedding::new(floats).ok()))
        })
    }

    /// Present photos that a model has not seen, by rising id.
    pub fn without_embedding(&self, model: ModelId) -> Result<Vec<PhotoId>, StoreError> {
        self.db.run(|conn| {
            let mut select = conn.prepare_cached(sql::WITHOUT_EMBEDDING)?;
            select.query_map(params![PhotoState::Present, model], |row| row.get(0))?.collect()
        })
    }

    /// Present photos that have an embedding of a model.
    pub fn embedded(&self, model: ModelId) -> Result<u64, StoreError> {
        self.db.run(|conn| embedded(conn, model))
    }

    /// All embedding spaces of the library.
    pub fn models(&self) -> Result<Vec<ModelInfo>, StoreError> {
        self.db.run(|conn| {
            let mut select =
                conn.prepare_cached("SELECT id, pack, weights_hash, preprocess_revision, dim FROM models ORDER BY id")?;
            let rows = select.query_map([], |row| {
                let id = row.get(0)?;
                let row = ModelRow {
                    pack_id: row.get(1)?,
                    weights_hash: row.get(2)?,
                    preprocess_revision: row.get(3)?,
                    dim: row.get::<_, u32>(4)? as usize,
                };
                Ok(ModelInfo { id, row, embedded: embedded(conn, id)? })
            })?;
            rows.collect()
        })
    }

    /// The id of an embedding space, if the library has it.
    pub fn find_model(&self, row: &ModelRow) -> Result<Option<ModelId>, StoreError> {
        self.db.run(|conn| find_model(conn, row))
    }

    /// The pack that a family (`align`, `fuse`) uses in this library, if one was chosen.
    pub fn active_model(&self, family: &str) -> Result<Option<String>, StoreError> {
        self.db.run(|conn| {
            conn.prepare_cached("SELECT pack FROM active_packs WHERE family = ?1")?
                .query_row([family], |row| row.get(0))
                .optional()
        })
    }

    /// Changes whenever another connection, of any process, has written.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.db.run(|conn| conn.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    /// The newest entry of the log of changes, for [`Reader::changed_since`].
    pub fn revision(&self) -> Result<i64, StoreError> {
        self.db.run(|conn| log_ends(conn).map(|(_, newest)| newest))
    }

    /// Photos whose embedding or state changed after `revision`, each once, by rising
    /// id; `None` when the log does not reach back so far, or the library is not the
    /// one that `revision` came from: then read everything.
    pub fn changed_since(&self, revision: i64) -> Result<Option<Vec<PhotoId>>, StoreError> {
        self.db.run(|conn| {
            let (oldest, newest) = log_ends(conn)?;
            if revision + 1 < oldest || revision > newest {
                return Ok(None);
            }
            let mut select = conn.prepare_cached(sql::CHANGED)?;
            select.query_map([revision], |row| row.get(0))?.collect::<rusqlite::Result<_>>().map(Some)
        })
    }
}

impl Counts {
    fn add(&mut self, state: PhotoState, n: u64) {
        match state {
            PhotoState::Present => self.photos += n,
            PhotoState::Missing => self.missing += n,
            PhotoState::Failed => self.failed += n,
        }
    }
}

/// The oldest and the newest entry of the log.
fn log_ends(conn: &Connection) -> rusqlite::Result<(i64, i64)> {
    conn.prepare_cached(
        "SELECT coalesce((SELECT min(seq) FROM changes), 0), coalesce((SELECT max(seq) FROM changes), 0)",
    )?
    .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// All watched roots by path.
pub(super) fn roots(conn: &Connection) -> rusqlite::Result<Vec<(FolderId, PathBuf)>> {
    let mut select = conn.prepare_cached("SELECT id, path FROM folders ORDER BY path")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get::<_, PathBytes>(1)?.0)))?.collect()
}

pub(super) fn find_model(conn: &Connection, row: &ModelRow) -> rusqlite::Result<Option<ModelId>> {
    conn.prepare_cached(
        "SELECT id FROM models WHERE pack = ?1 AND weights_hash = ?2 AND preprocess_revision = ?3 AND dim = ?4",
    )?
    .query_row(params![row.pack_id, row.weights_hash, row.preprocess_revision, row.dim as i64], |row| row.get(0))
    .optional()
}

/// Numbers in a vector of this model; `None` for an unknown model.
pub(super) fn dim(conn: &Connection, model: ModelId) -> rusqlite::Result<Option<usize>> {
    conn.prepare_cached("SELECT dim FROM models WHERE id = ?1")?
        .query_row([model], |row| row.get::<_, u32>(0))
        .optional()
        .map(|dim| dim.map(|d| d as usize))
}

fn embedded(conn: &Connection, model: ModelId) -> rusqlite::Result<u64> {
    conn.prepare_cached(sql::EMBEDDED)?
        .query_row(params![model, PhotoState::Present], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn photo_by(conn: &Connection, column: &'static str, value: impl rusqlite::ToSql) -> rusqlite::Result<Option<Photo>> {
    conn.prepare_cached(&format!("SELECT {PHOTO_COLUMNS} FROM photos WHERE {column} = ?1"))?
        .query_row([value], photo_from_row)
        .optional()
}

/// The queries whose cost grows with the library.
mod sql {
    pub const COUNTS_BY_FOLDER: &str = "SELECT folder, state, count(*) FROM photos GROUP BY folder, state";
    pub const COUNTS: &str = "SELECT state, count(*) FROM photos GROUP BY state";
    pub const KNOWN_FILES: &str = "SELECT path, id, state, content, failure, size_bytes, modified_ns, changed_ns, inode
         FROM photos INDEXED BY photos_by_folder WHERE folder = ?1";
    pub const FAILURES: &str =
        "SELECT path, failure, coalesce(failure_detail, '') FROM photos WHERE state = ?1 ORDER BY path";
    pub const VECTORS: &str = "SELECT e.photo, e.vector FROM embeddings e CROSS JOIN photos p ON p.id = e.photo
         WHERE e.model = ?1 AND p.state = ?2 ORDER BY e.photo";
    pub const VECTOR_OF: &str = "SELECT e.vector FROM embeddings e JOIN photos p ON p.id = e.photo
         WHERE e.photo = ?1 AND e.model = ?2 AND p.state = ?3";
    pub const WITHOUT_EMBEDDING: &str = "SELECT id FROM photos p WHERE state = ?1
         AND NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.photo = p.id AND e.model = ?2) ORDER BY id";
    pub const EMBEDDED: &str =
        "SELECT count(*) FROM embeddings e CROSS JOIN photos p ON p.id = e.photo WHERE e.model = ?1 AND p.state = ?2";
    pub const CHANGED: &str = "SELECT DISTINCT photo FROM changes WHERE seq > ?1 ORDER BY photo";
    pub const LIST_BY_STATE: &str = "SELECT id FROM photos WHERE state = ?1 ORDER BY newest_s DESC, id DESC";
    pub const LIST_OF_FOLDER: &str =
        "SELECT id FROM photos WHERE folder = ?1 AND state = ?2 ORDER BY newest_s DESC, id DESC";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn plan(conn: &Connection, sql: &str) -> String {
        let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>();
        steps.unwrap().join("; ")
    }

    /// With and without statistics: a plan must not depend on whether the file was analysed.
    #[test]
    fn each_growing_query_is_served_by_its_index() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, schema::VERSION).unwrap();
        for analysed in [false, true] {
            if analysed {
                fill(&conn);
                conn.execute_batch("ANALYZE").unwrap();
            }
            for (sql, expected) in [
                (sql::COUNTS_BY_FOLDER, "COVERING INDEX photos_by_folder_newest"),
                (sql::COUNTS, "COVERING INDEX photos_by_newest"),
                (sql::KNOWN_FILES, "INDEX photos_by_folder (folder=?)"),
                (sql::LIST_BY_STATE, "INDEX photos_by_newest (state=?)"),
                (sql::LIST_OF_FOLDER, "INDEX photos_by_folder_newest (folder=? AND state=?)"),
                (sql::VECTORS, "INDEX embeddings_by_model (model=?)"),
                (sql::VECTOR_OF, "INDEX embeddings_by_"),
                (sql::WITHOUT_EMBEDDING, "COVERING INDEX embeddings_by_"),
                (sql::EMBEDDED, "COVERING INDEX embeddings_by_model (model=?)"),
                (sql::CHANGED, "PRIMARY KEY (rowid>?)"),
                (sql::FAILURES, "INDEX photos_by_newest (state=?)"),
                ("SELECT * FROM photos WHERE path = ?", "INDEX sqlite_autoindex_photos_1 (path=?)"),
                ("SELECT * FROM photos WHERE content = ?", "INDEX photos_by_content (content=?)"),
                ("SELECT * FROM captions WHERE photo = ?", "INDEX captions_by_photo (photo=?)"),
                (
                    "UPDATE captions SET photo = ?1 WHERE home_content = ?2 AND (home_path = ?3 OR photo IS NULL)",
                    "INDEX captions_by_home (home_content=?)",
                ),
            ] {
                let plan = plan(&conn, sql);
                assert!(plan.contains(expected), "analysed {analysed}: {sql}: {plan}");
                let sorts = plan.contains("TEMP B-TREE");
                assert_eq!(
                    sorts,
                    [sql::CHANGED, sql::FAILURES, sql::WITHOUT_EMBEDDING].contains(&sql),
                    "{sql}: {plan}"
                );
            }
        }
    }

    fn fill(conn: &Connection) {
        conn.execute_batch(
            "INSERT INTO folders (id, path, added_s) VALUES (1, x'2f61', 0);
             INSERT INTO models (id, pack, weights_hash, preprocess_revision, dim) VALUES (1, 'a', 'b', 1, 2);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO photos (folder, path, state, size_bytes, modified_ns, changed_ns, inode, content)
                 SELECT 1, CAST('/a/' || i AS BLOB), i % 20 = 0, 1, i, 1, 1, randomblob(32) FROM n;
             INSERT INTO embeddings (photo, model, vector) SELECT id, 1, zeroblob(4) FROM photos;",
        )
        .unwrap();
    }
}
