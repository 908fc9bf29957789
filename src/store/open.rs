//! Opening and creating the library file: what is looked at first, how long locks are waited for.
//!
//! A file that exists is never created anew: an empty, foreign, damaged or newer
//! one is refused with its own name. A new library is built under another name
//! and linked into place, so that no crash leaves half of one.
//!
//! Locks: SQLite sleeps between its tries (up to 100 ms each) for [`BUSY_TIMEOUT`]
//! in all, then gives up; nothing spins. In WAL mode readers and the one writer do
//! not wait for each other.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::StoreError;
use super::schema::{self, APPLICATION_ID, VERSION};

/// How long another program's lock is waited for before [`StoreError::Locked`].
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Libraries up to this size are checked through when opened (about 20 ms); in
/// larger ones damage is found, and named, when it is met.
const CHECKED_BYTES: u64 = 16 << 20;

/// One connection, with the file it belongs to.
#[derive(Debug)]
pub(super) struct Database {
    pub conn: Connection,
    /// Absolute, so that a change of the current folder does not matter.
    pub path: PathBuf,
    identity: Option<Identity>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

impl Database {
    /// Opens an existing library, bringing an older format up to date.
    pub fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let path = absolute(path)?;
        check_header(&path)?;
        let db = Self::connect(&path, access).and_then(Self::prepared).or_else(|error| match error {
            // No room or no right for the files that SQLite keeps beside a library in use:
            // where no other program can be writing, it can be read without them.
            StoreError::DiskFull { .. } | StoreError::ReadOnly { .. } | StoreError::Sql { .. }
                if access == Access::Read && fs::metadata(sibling(&path, "-wal")).map_or(0, |m| m.len()) == 0 =>
            {
                Self::connect_immutable(&path).map_err(|_| error)
            }
            StoreError::Locked { .. } if !can_lock(&path) => Err(StoreError::CannotLock { path: path.clone() }),
            error => Err(error),
        })?;
        match db.version()? {
            found if found > VERSION => Err(StoreError::Newer { path, found, supported: VERSION }),
            VERSION => Ok(db),
            _ if access == Access::Write => {
                let mut db = db;
                db.quick_check()?;
                schema::migrate(&mut db.conn, VERSION).map_err(|e| StoreError::from_sql(&path, e))?;
                Ok(db)
            }
            _ => {
                drop(db);
                drop(Self::open(&path, Access::Write)?);
                Self::open(&path, access)
            }
        }
    }

    /// Another connection to the same file, without the checks of the first.
    pub fn again(&self, access: Access) -> Result<Self, StoreError> {
        self.still_there()?;
        Self::connect(&self.path, access)
    }

    /// Builds a new library at `path`; fine if another process is faster.
    pub fn create(path: &Path) -> Result<(), StoreError> {
        let path = absolute(path)?;
        let io = |e| StoreError::from_io(&path, e);
        let sql = |e| StoreError::from_sql(&path, e);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => StoreError::Io { path: path.clone(), source: e },
                _ => StoreError::from_io(&path, e),
            })?;
        }
        let draft = sibling(&path, &format!(".new-{}", std::process::id()));
        let remove_draft = Removed([draft.clone(), sibling(&draft, "-wal"), sibling(&draft, "-shm")]);
        let _ = fs::remove_file(&draft);
        let built = Connection::open_with_flags(&draft, flags(Access::Write) | OpenFlags::SQLITE_OPEN_CREATE).and_then(
            |mut conn| {
                conn.busy_timeout(Duration::ZERO)?;
                // Larger pages than SQLite's own: an f16 vector of 768 numbers fills two fifths of 4096 bytes.
                conn.pragma_update(None, "page_size", 8192)?;
                conn.pragma_update(None, "application_id", APPLICATION_ID)?;
                schema::migrate(&mut conn, VERSION)?;
                conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
                conn.close().map_err(|(_, e)| e)
            },
        );
        match built.map_err(sql) {
            // Nobody else knows this file: who cannot lock it cannot lock at all.
            Err(StoreError::Locked { .. }) => return Err(StoreError::CannotLock { path: path.clone() }),
            other => other?,
        }
        File::open(&draft).and_then(|f| f.sync_all()).map_err(io)?;
        // A log left behind by a deleted library would be replayed into the new one.
        for stale in ["-wal", "-shm"] {
            if !path.exists() {
                let _ = fs::remove_file(sibling(&path, stale));
            }
        }
        match fs::hard_link(&draft, &path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            // File systems without links (FAT).
            Err(_) if !path.exists() => fs::rename(&draft, &path).map_err(io)?,
            Err(e) => return Err(io(e)),
        }
        drop(remove_draft);
        Ok(())
    }

    fn connect(path: &Path, access: Access) -> Result<Self, StoreError> {
        let sql = |e| StoreError::from_sql(path, e);
        let conn = Connection::open_with_flags(path, flags(access)).map_err(|e| match &e {
            // SQLite does not say why it could not open a file; the file system does.
            rusqlite::Error::SqliteFailure(f, _) if f.code == ErrorCode::CannotOpen => match File::open(path) {
                Err(io) => StoreError::from_io(path, io),
                Ok(_) => sql(e),
            },
            _ => sql(e),
        })?;
        conn.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
        conn.set_prepared_statement_cache_capacity(64);
        if access == Access::Write && conn.is_readonly("main").map_err(sql)? {
            return Err(StoreError::ReadOnly { path: path.to_path_buf() });
        }
        let identity = Identity::of(path);
        let db = Self { conn, path: path.to_path_buf(), identity };
        db.settings(access).map_err(sql)?;
        Ok(db)
    }

    fn connect_immutable(path: &Path) -> Result<Self, StoreError> {
        let uri: String = super::path::to_bytes(path).iter().map(|byte| format!("%{byte:02x}")).collect();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let conn = Connection::open_with_flags(format!("file:{uri}?immutable=1"), flags)
            .map_err(|e| StoreError::from_sql(path, e))?;
        Self { conn, path: path.to_path_buf(), identity: Identity::of(path) }.prepared()
    }

    fn settings(&self, access: Access) -> rusqlite::Result<()> {
        let conn = &self.conn;
        conn.pragma_update(None, "foreign_keys", true)?;
        // Temporary tables and sorters never need room on a disk that may be full.
        conn.pragma_update(None, "temp_store", "memory")?;
        // KiB. New paths land all over their index, which a writer had better hold in memory.
        conn.pragma_update(None, "cache_size", if access == Access::Write { -32_000 } else { -8000 })?;
        if access == Access::Write {
            // Where the file system cannot do WAL, SQLite keeps its rollback journal: slower, as safe.
            conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
            conn.pragma_update(None, "synchronous", "normal")?;
        }
        Ok(())
    }

    /// First looks at the contents: is it ours, and whole?
    fn prepared(self) -> Result<Self, StoreError> {
        let id: i32 = self.run(|conn| conn.pragma_query_value(None, "application_id", |row| row.get(0)))?;
        let path = self.path.clone();
        if id != APPLICATION_ID {
            return Err(StoreError::NotALibrary { path, detail: "an SQLite file of another program".into() });
        }
        if fs::metadata(&path).map_or(0, |m| m.len()) <= CHECKED_BYTES && self.version()? <= VERSION {
            self.quick_check()?;
        }
        Ok(self)
    }

    pub fn version(&self) -> Result<i64, StoreError> {
        self.run(schema::version)
    }

    /// Reads every page and checks that the trees hold together.
    pub fn quick_check(&self) -> Result<(), StoreError> {
        let said: String = self.run(|conn| conn.pragma_query_value(None, "quick_check", |row| row.get(0)))?;
        if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: self.path.clone(), detail: said }) }
    }

    /// Runs typed SQL on a file that is still the one that was opened.
    pub fn run<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.still_there()?;
        f(&self.conn).map_err(|e| self.explain(e))
    }

    /// As [`StoreError::from_sql`], telling a held lock from a file system that cannot lock.
    pub fn explain(&self, error: rusqlite::Error) -> StoreError {
        match StoreError::from_sql(&self.path, error) {
            StoreError::Locked { path } if !can_lock(&path) => StoreError::CannotLock { path },
            error => error,
        }
    }

    /// SQLite goes on with a deleted or replaced file as if nothing had happened, and
    /// what is written then is lost: one look at the file system before each use tells.
    pub fn still_there(&self) -> Result<(), StoreError> {
        if self.identity.is_some() && Identity::of(&self.path) == self.identity {
            return Ok(());
        }
        Err(StoreError::Replaced { path: self.path.clone() })
    }
}

/// Device and inode. Elsewhere an open file can be neither deleted nor replaced, so being there is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Some(Self(meta.dev(), meta.ino()))
        }
        #[cfg(not(unix))]
        {
            meta.is_file().then_some(Self(0, 0))
        }
    }
}

/// Removes its files when dropped, whatever happened meanwhile.
struct Removed<const N: usize>([PathBuf; N]);

impl<const N: usize> Drop for Removed<N> {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

fn flags(access: Access) -> OpenFlags {
    // One thread at a time owns a connection: SQLite's own mutexes are not needed.
    OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match access {
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        }
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|e| StoreError::from_io(path, e))
}

/// `library.db` + `-wal`.
pub(super) fn sibling(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What can be told from the first hundred bytes, before SQLite (which would take an
/// empty file for a new database) is let near the file.
fn check_header(path: &Path) -> Result<(), StoreError> {
    let io = |e| StoreError::from_io(path, e);
    let meta = fs::metadata(path).map_err(io)?;
    let foreign = |detail: &str| Err(StoreError::NotALibrary { path: path.into(), detail: detail.into() });
    let damaged = |detail: &str| Err(StoreError::Damaged { path: path.into(), detail: detail.into() });
    if !meta.is_file() {
        return foreign("not a regular file");
    }
    let mut header = Vec::with_capacity(100);
    File::open(path).and_then(|f| f.take(100).read_to_end(&mut header)).map_err(io)?;
    let word = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    match header.len() {
        0 => damaged("the file is empty"),
        _ if !header.starts_with(b"SQLite format 3\0") => foreign("it does not begin as an SQLite file does"),
        100 if word(68) != APPLICATION_ID.cast_unsigned() => foreign("an SQLite file of another program"),
        100 => {
            // The page count is valid when the two change counters agree; a log may hold the rest.
            let page_size = u64::from(header[16]) << 8 | u64::from(header[17]);
            let declared = page_size * u64::from(word(28));
            let whole = word(24) != word(92) || meta.len() >= declared;
            if whole || sibling(path, "-wal").exists() {
                Ok(())
            } else {
                damaged(&format!("cut off: {} of {declared} bytes are there", meta.len()))
            }
        }
        _ => damaged("cut off within its header"),
    }
}

/// Whether a file that nobody else knows can be locked beside the library: SQLite
/// reports a lock that is held and a file system without locks alike.
fn can_lock(library: &Path) -> bool {
    let probe = sibling(library, &format!(".lock-{}", std::process::id()));
    let _remove = Removed([probe.clone(), sibling(&probe, "-journal")]);
    let tried = Connection::open(&probe).and_then(|conn| {
        conn.busy_timeout(Duration::ZERO)?;
        conn.execute_batch("BEGIN EXCLUSIVE; COMMIT")
    });
    // Any other failure (a full or read-only disk) says nothing about locks.
    !matches!(tried, Err(rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::DatabaseBusy, .. }, _)))
}
