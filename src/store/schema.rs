//! The library's tables, as an append-only list of migrations.
//!
//! A migration that has been released is never edited: a change is a new one at
//! the end. `PRAGMA user_version` counts how many a file has been through.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::words;

/// `PRAGMA application_id` of a library ("GLPS"): tells it from other programs' SQLite files.
pub(super) const APPLICATION_ID: i32 = 0x474C_5053;

/// Each entry is one transaction; its index + 1 is the version it leads to.
pub(super) const MIGRATIONS: &[&str] = &[
    // 1: folders, photos, models, embeddings, captions, jobs, active packs, the log of changes.
    "
    CREATE TABLE folders (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        path    BLOB NOT NULL UNIQUE,
        added_s INTEGER NOT NULL
    ) STRICT;

    -- Ids are never used twice: a late answer about a forgotten photo must not name another one.
    CREATE TABLE photos (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        folder         INTEGER NOT NULL REFERENCES folders(id) ON DELETE CASCADE,
        path           BLOB NOT NULL UNIQUE,
        state          INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- present, missing, failed
        size_bytes     INTEGER NOT NULL,
        modified_ns    INTEGER NOT NULL,
        changed_ns     INTEGER NOT NULL,
        inode          INTEGER NOT NULL,
        content        BLOB CHECK (length(content) = 32),           -- NULL: never read as a picture
        width          INTEGER NOT NULL DEFAULT 0,
        height         INTEGER NOT NULL DEFAULT 0,
        taken          TEXT,
        camera         TEXT,
        latitude       REAL,
        longitude      REAL,
        failure        TEXT,
        failure_detail TEXT,
        -- Where it stands in 'newest first': when taken, else when modified; seconds since 1970. Read from the
        -- indexes: the plans say INDEX, not COVERING INDEX, yet rows are sought only when another column is asked for.
        newest_s       INTEGER GENERATED ALWAYS AS (coalesce(unixepoch(taken), modified_ns / 1000000000)) VIRTUAL
    ) STRICT;
    -- known_files: rows of a folder in the order of the table.
    CREATE INDEX photos_by_folder ON photos(folder);
    -- list of a folder, counts of the folders.
    CREATE INDEX photos_by_folder_newest ON photos(folder, state, newest_s);
    -- list of all, missing and failed photos; counts.
    CREATE INDEX photos_by_newest ON photos(state, newest_s);
    -- by_content: where a moved file was before.
    CREATE INDEX photos_by_content ON photos(content) WHERE content IS NOT NULL;

    -- One embedding space. Rows of different spaces are never compared.
    CREATE TABLE models (
        id                  INTEGER PRIMARY KEY AUTOINCREMENT,
        pack                TEXT NOT NULL,
        weights_hash        TEXT NOT NULL,
        preprocess_revision INTEGER NOT NULL,
        dim                 INTEGER NOT NULL,
        UNIQUE (pack, weights_hash, preprocess_revision, dim)
    ) STRICT;
    CREATE TABLE active_packs (
        family TEXT PRIMARY KEY,
        pack   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- A rowid table: vectors of a model lie together in the order they were made.
    CREATE TABLE embeddings (
        id     INTEGER PRIMARY KEY,
        photo  INTEGER NOT NULL REFERENCES photos(id) ON DELETE CASCADE,
        model  INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE,
        vector BLOB NOT NULL                                        -- dim f16, little-endian
    ) STRICT;
    -- one photo's embedding; forgetting a photo.
    CREATE UNIQUE INDEX embeddings_by_photo ON embeddings(photo, model);
    -- all embeddings of a model, counts.
    CREATE INDEX embeddings_by_model ON embeddings(model, photo);

    CREATE TABLE captions (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        photo         INTEGER REFERENCES photos(id) ON DELETE SET NULL,
        text          TEXT NOT NULL,
        lang          TEXT NOT NULL,
        source        TEXT NOT NULL CHECK (source IN ('person', 'model')),
        model         TEXT,
        model_version TEXT,
        settings      TEXT,
        state         TEXT NOT NULL CHECK (state IN ('draft', 'accepted')),
        created_s     INTEGER NOT NULL,
        -- Where it belongs, from when its photo was forgotten until that is moved.
        home_path     BLOB,
        home_content  BLOB
    ) STRICT;
    -- captions of a photo; those without one.
    CREATE INDEX captions_by_photo ON captions(photo);
    -- captions whose photo has come back.
    CREATE INDEX captions_by_home ON captions(home_content, home_path) WHERE home_content IS NOT NULL;
    -- However a photo is forgotten, what a person wrote or accepted outlives it.
    CREATE TRIGGER photo_forgotten BEFORE DELETE ON photos BEGIN
        DELETE FROM captions WHERE photo = old.id AND source = 'model' AND state = 'draft';
        UPDATE captions SET photo = NULL, home_path = old.path, home_content = old.content WHERE photo = old.id;
    END;

    CREATE TABLE jobs (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        what       TEXT NOT NULL,
        started_s  INTEGER NOT NULL,
        finished_s INTEGER,                                         -- NULL: running, or broken off
        outcome    TEXT,
        done       INTEGER NOT NULL DEFAULT 0,
        failed     INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    -- jobs that never finished.
    CREATE INDEX jobs_unfinished ON jobs(id) WHERE finished_s IS NULL;

    -- Which photos a vector index has to look at again. Written by triggers, so that
    -- no way of changing an embedding is missed; its old end is cut off now and then.
    CREATE TABLE changes (
        seq   INTEGER PRIMARY KEY AUTOINCREMENT,
        photo INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER embedding_added   AFTER INSERT ON embeddings BEGIN INSERT INTO changes(photo) VALUES (new.photo); END;
    CREATE TRIGGER embedding_changed AFTER UPDATE ON embeddings BEGIN INSERT INTO changes(photo) VALUES (new.photo); END;
    CREATE TRIGGER embedding_removed AFTER DELETE ON embeddings BEGIN INSERT INTO changes(photo) VALUES (old.photo); END;
    CREATE TRIGGER photo_state AFTER UPDATE OF state ON photos WHEN old.state <> new.state BEGIN
        INSERT INTO changes(photo) VALUES (new.id);
    END;
    ",
    // 2: captions found by their words, what was done to them, tags, files written and read.
    "
    -- A copy of the captions with their words apart (see words.rs); rowid = caption.
    -- prefix: one Chinese character is looked for as the beginning of a pair.
    CREATE VIRTUAL TABLE caption_words USING fts5(words, tokenize = 'unicode61 remove_diacritics 2', prefix = 1);
    CREATE TRIGGER caption_removed AFTER DELETE ON captions BEGIN
        DELETE FROM caption_words WHERE rowid = old.id;
    END;

    -- Both only ever grow (see history.rs).
    CREATE TABLE caption_steps (
        id        INTEGER PRIMARY KEY,
        act       TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        reverses  INTEGER REFERENCES caption_steps(id),             -- NULL: neither an undo nor a redo
        below     INTEGER REFERENCES caption_steps(id),             -- in its own stack
        undo_top  INTEGER REFERENCES caption_steps(id),
        redo_top  INTEGER REFERENCES caption_steps(id)
    ) STRICT;
    CREATE TABLE caption_edits (
        step          INTEGER NOT NULL REFERENCES caption_steps(id),
        caption       INTEGER NOT NULL,
        existed       INTEGER NOT NULL,
        -- As the step found it; NULL where it did not exist.
        photo         INTEGER,
        text          TEXT,
        lang          TEXT,
        source        TEXT,
        model         TEXT,
        model_version TEXT,
        settings      TEXT,
        state         TEXT,
        created_s     INTEGER,
        PRIMARY KEY (step, caption)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tags (
        photo INTEGER NOT NULL REFERENCES photos(id) ON DELETE CASCADE,
        tag   TEXT NOT NULL,
        PRIMARY KEY (photo, tag)
    ) STRICT, WITHOUT ROWID;

    -- Files that this program wrote, to tell them from people's own.
    CREATE TABLE exports (
        path   BLOB PRIMARY KEY,
        digest BLOB NOT NULL CHECK (length(digest) = 32)            -- BLAKE3 of the whole file
    ) STRICT, WITHOUT ROWID;
    -- Files beside photos whose words were taken in, as they were then.
    CREATE TABLE word_files (
        path        BLOB PRIMARY KEY,
        size_bytes  INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    ",
    // 3: answers, judged scores, batches that go on after a crash.
    "
    CREATE TABLE answers (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        photo         INTEGER REFERENCES photos(id) ON DELETE SET NULL,
        question      TEXT NOT NULL,
        ranked        TEXT NOT NULL,                                -- JSON: [[answer, probability], ...], best first
        unsure        INTEGER NOT NULL,
        model         TEXT NOT NULL,
        model_version TEXT NOT NULL,
        created_s     INTEGER NOT NULL,
        -- Where it belongs while its photo is forgotten, as with captions.
        home_path     BLOB,
        home_content  BLOB
    ) STRICT;
    -- answers about a photo; those without one.
    CREATE INDEX answers_by_photo ON answers(photo);
    -- answers whose photo has come back.
    CREATE INDEX answers_by_home ON answers(home_content, home_path) WHERE home_content IS NOT NULL;
    -- What a person asked outlives the photo.
    CREATE TRIGGER photo_forgotten_answers BEFORE DELETE ON photos BEGIN
        UPDATE answers SET photo = NULL, home_path = old.path, home_content = old.content WHERE photo = old.id;
    END;

    -- What a Fuse model of these weights said of a text about this content. May be lost at any time.
    CREATE TABLE match_scores (
        id      INTEGER PRIMARY KEY,
        content BLOB NOT NULL CHECK (length(content) = 32),
        model   TEXT NOT NULL,                                      -- hash of the weights
        text    TEXT NOT NULL,
        score   REAL NOT NULL,
        -- the score of a photo and a text.
        UNIQUE (content, model, text)
    ) STRICT;
    CREATE TRIGGER photo_forgotten_scores AFTER DELETE ON photos WHEN old.content IS NOT NULL BEGIN
        DELETE FROM match_scores WHERE content = old.content
            AND NOT EXISTS (SELECT 1 FROM photos WHERE content = old.content);
    END;

    -- A batch: what is to be done with the photos of job_photos, and the step that undoes it.
    ALTER TABLE jobs ADD COLUMN task TEXT;                          -- JSON; NULL: not a batch
    ALTER TABLE jobs ADD COLUMN step INTEGER REFERENCES caption_steps(id);
    -- What is left of a batch, in order.
    CREATE TABLE job_photos (
        job   INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        photo INTEGER NOT NULL,
        PRIMARY KEY (job, place)
    ) STRICT, WITHOUT ROWID;
    ",
];

/// What SQL alone cannot do to the rows that a migration finds.
fn fill(conn: &Connection, version: i64) -> rusqlite::Result<()> {
    if version == 2 { words::put_all(conn) } else { Ok(()) }
}

/// How many migrations this program knows.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The format of an open library.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a library up to `target`. Safe to call again, and from two processes at
/// once: each step looks at the version anew under the write lock.
pub(super) fn migrate(conn: &mut Connection, target: i64) -> rusqlite::Result<()> {
    while version(conn)? < target {
        let tx = Transaction::new(conn, TransactionBehavior::Immediate)?;
        let from = version(&tx)?;
        if from < target {
            tx.execute_batch(MIGRATIONS[from as usize])?;
            fill(&tx, from + 1)?;
            tx.pragma_update(None, "user_version", from + 1)?;
        }
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table, index and trigger, with the version.
    fn described(conn: &Connection) -> (i64, Vec<String>) {
        let mut select = conn
            .prepare("SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        (version(conn).unwrap(), rows)
    }

    #[test]
    fn every_old_version_arrives_at_the_same_tables_and_stays_there() {
        let mut fresh = Connection::open_in_memory().unwrap();
        migrate(&mut fresh, VERSION).unwrap();
        let expected = described(&fresh);
        assert_eq!(expected.0, VERSION);
        for old in 0..=VERSION {
            let mut conn = Connection::open_in_memory().unwrap();
            migrate(&mut conn, old).unwrap();
            for _ in 0..2 {
                migrate(&mut conn, VERSION).unwrap();
                assert_eq!(described(&conn), expected, "from version {old}");
            }
        }
    }

    #[test]
    fn captions_of_an_old_library_are_found_by_their_words() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, 1).unwrap();
        conn.execute_batch(
            "INSERT INTO captions (text, lang, source, state, created_s) VALUES ('海边的狗', 'zh', 'person', 'accepted', 0)",
        )
        .unwrap();
        migrate(&mut conn, VERSION).unwrap();
        let hits = |conn: &Connection| {
            let sql = "SELECT count(*) FROM caption_words WHERE caption_words MATCH '\"海边\"'";
            conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(hits(&conn), 1);
        conn.execute_batch("DELETE FROM captions").unwrap();
        assert_eq!(hits(&conn), 0);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version_whole() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE jobs (x)").unwrap();
        let before = described(&conn);
        assert!(migrate(&mut conn, VERSION).is_err());
        assert_eq!(described(&conn), before);
    }
}
