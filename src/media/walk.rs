//! Finds the photos below a folder, one at a time, without opening any.
//!
//! Each photo comes once: links that lead back into the tree, or above it, are
//! not followed; a linked folder elsewhere is walked after the tree itself,
//! under the link's name. Hidden files and folders are passed over in silence;
//! the service folders of systems and NAS boxes are left out and said so.
//! A folder that cannot be looked into is reported and the walk goes on.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use walkdir::{DirEntry, WalkDir};

use super::Fault;
use crate::domain::{FileStamp, Skipped, SkippedReason};

/// Extensions of pictures that can be read.
const READABLE: [&str; 13] =
    ["jpg", "jpeg", "jpe", "jfif", "mpo", "png", "gif", "bmp", "dib", "tif", "tiff", "webp", "apng"];

/// Extensions of pictures that people do have and that cannot be read: the
/// walk yields them so that they are listed with a reason instead of ignored.
const KNOWN_UNREADABLE: [&str; 6] = ["heic", "heif", "hif", "avif", "heics", "avifs"];

/// Folders in which systems keep copies, thumbnails or deleted files.
const SERVICE_FOLDERS: [&str; 8] = [
    "@eaDir",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    "__MACOSX",
];

/// What a walk takes in.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    /// Also look into recycle bins, NAS thumbnail folders and the like.
    pub include_service_folders: bool,
    /// Folders never entered: the program's own data and cache, other roots.
    pub exclude: Vec<PathBuf>,
}

/// One thing that a walk met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkItem {
    /// A file that by its name is a photo.
    File { path: PathBuf, stamp: FileStamp },
    /// A folder or file that could not be looked at; nothing is known of what is below it.
    Unreadable { path: PathBuf, detail: String },
    /// A service folder or system file that was passed over.
    LeftOut { path: PathBuf },
}

/// True where the name says that this is a picture which can be read.
pub fn supported(path: &Path) -> bool {
    has_extension(path, &READABLE)
}

/// What the file system says of a file, links followed.
pub fn stamp(path: &Path) -> io::Result<FileStamp> {
    fs::metadata(path).map(|meta| stamp_of(&meta))
}

/// The stamp in a file's metadata.
pub(super) fn stamp_of(meta: &Metadata) -> FileStamp {
    #[cfg(unix)]
    let (changed_ns, inode) = {
        use std::os::unix::fs::MetadataExt as _;
        (meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec()), meta.ino())
    };
    #[cfg(not(unix))]
    let (changed_ns, inode) = (0, 0);
    FileStamp { size_bytes: meta.len(), modified_ns: meta.modified().map_or(0, unix_ns), changed_ns, inode }
}

/// Nanoseconds since 1970, negative before, held at the ends of what 64 bits can say (1677 to 2262).
fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Starts a walk over everything below `root`. `Err` when the root itself
/// cannot be looked into (not there, not a folder, no permission).
pub fn walk(root: &Path, options: &WalkOptions) -> Result<Walk, Skipped> {
    let canonical = fs::read_dir(root)
        .and_then(|_| fs::canonicalize(root))
        .map_err(|e| Fault::new(SkippedReason::Unreadable, sentence(&e)).at(root))?;
    let exclude: Vec<_> = options.exclude.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let mut walk = Walk {
        include_service_folders: options.include_service_folders,
        trees: Vec::new(),
        exclude,
        here: None,
        not_entered: Vec::new(),
        linked_folders: VecDeque::new(),
        linked_files: VecDeque::new(),
        linked_targets: HashSet::new(),
    };
    if !walk.is_excluded(&canonical) {
        walk.enter(root, canonical);
    }
    Ok(walk)
}

/// The iterator that [`walk`] starts. Holds one folder's names at a time, not the whole tree.
#[derive(Debug)]
pub struct Walk {
    include_service_folders: bool,
    /// Canonical roots walked so far: the root first, then linked folders.
    trees: Vec<PathBuf>,
    /// Canonical folders never entered.
    exclude: Vec<PathBuf>,
    here: Option<walkdir::IntoIter>,
    /// Folders inside the present tree, under the name it shows, that are excluded or walked already.
    not_entered: Vec<PathBuf>,
    linked_folders: VecDeque<PathBuf>,
    linked_files: VecDeque<PathBuf>,
    linked_targets: HashSet<PathBuf>,
}

impl Walk {
    fn enter(&mut self, shown: &Path, canonical: PathBuf) {
        self.not_entered = (self.exclude.iter().chain(&self.trees))
            .filter_map(|path| path.strip_prefix(&canonical).ok())
            .map(|below| shown.join(below))
            .collect();
        self.trees.push(canonical);
        self.here = Some(WalkDir::new(shown).sort_by_file_name().into_iter());
    }

    fn is_excluded(&self, canonical: &Path) -> bool {
        self.exclude.iter().any(|path| canonical.starts_with(path))
    }

    /// True where the walk of a tree comes past this canonical path by itself.
    fn is_reached(&self, canonical: &Path) -> bool {
        self.is_excluded(canonical)
            || self.trees.iter().filter_map(|tree| canonical.strip_prefix(tree).ok()).any(|below| {
                below.iter().all(|name| !is_hidden(name) && (self.include_service_folders || !is_service(name)))
            })
    }

    /// What an entry of the present tree amounts to; `None` for what is passed over in silence.
    fn look_at(&mut self, entry: &DirEntry) -> Option<WalkItem> {
        let (path, name) = (entry.path(), entry.file_name());
        let is_root = entry.depth() == 0;
        if entry.file_type().is_dir() {
            let service = is_service(name);
            let enter = is_root
                || !self.not_entered.iter().any(|folder| folder == path)
                    && if service { self.include_service_folders } else { !is_hidden(name) };
            if !enter {
                self.skip_folder();
                return (service && !is_root).then(|| WalkItem::LeftOut { path: path.to_owned() });
            }
            return None;
        }
        if is_hidden(name) {
            let apple_double = name.as_encoded_bytes().starts_with(b"._") && is_photo(path);
            return apple_double.then(|| WalkItem::LeftOut { path: path.to_owned() });
        }
        if entry.file_type().is_symlink() {
            return self.look_at_link(path);
        }
        if !entry.file_type().is_file() || !is_photo(path) {
            return None;
        }
        Some(match entry.metadata() {
            Ok(meta) => WalkItem::File { path: path.to_owned(), stamp: stamp_of(&meta) },
            Err(e) => WalkItem::Unreadable { path: path.to_owned(), detail: sentence(&e.into()) },
        })
    }

    /// Links wait until the trees are done: only then is it known what they would repeat.
    fn look_at_link(&mut self, path: &Path) -> Option<WalkItem> {
        match fs::metadata(path) {
            Ok(target) if target.is_dir() => self.linked_folders.push_back(path.to_owned()),
            Ok(target) if target.is_file() && is_photo(path) => self.linked_files.push_back(path.to_owned()),
            Err(e) if is_photo(path) => {
                return Some(WalkItem::Unreadable { path: path.to_owned(), detail: sentence(&e) });
            }
            _ => {}
        }
        None
    }

    fn skip_folder(&mut self) {
        if let Some(here) = &mut self.here {
            here.skip_current_dir();
        }
    }

    /// Enters the next linked folder that shows something new; false when there is none.
    fn enter_linked_folder(&mut self) -> bool {
        while let Some(link) = self.linked_folders.pop_front() {
            let Ok(target) = fs::canonicalize(&link) else { continue };
            let holds_the_root = self.trees.first().is_some_and(|root| root.starts_with(&target));
            if !holds_the_root && !self.is_reached(&target) && !self.trees.contains(&target) {
                self.enter(&link, target);
                return true;
            }
        }
        false
    }

    fn next_linked_file(&mut self) -> Option<WalkItem> {
        while let Some(path) = self.linked_files.pop_front() {
            match fs::canonicalize(&path).and_then(|target| Ok((stamp(&target)?, target))) {
                Ok((stamp, target)) => {
                    let repeated = is_photo(&target) && self.is_reached(&target);
                    if !repeated && self.linked_targets.insert(target) {
                        return Some(WalkItem::File { path, stamp });
                    }
                }
                Err(e) => return Some(WalkItem::Unreadable { path, detail: sentence(&e) }),
            }
        }
        None
    }
}

impl Iterator for Walk {
    type Item = WalkItem;

    fn next(&mut self) -> Option<WalkItem> {
        loop {
            match self.here.as_mut().and_then(Iterator::next) {
                Some(Ok(entry)) => {
                    if let Some(item) = self.look_at(&entry) {
                        return Some(item);
                    }
                }
                Some(Err(e)) => {
                    let path = e.path().map(Path::to_owned).or_else(|| self.trees.last().cloned())?;
                    return Some(WalkItem::Unreadable { path, detail: sentence(&e.into()) });
                }
                None if self.enter_linked_folder() => {}
                None => {
                    self.here = None;
                    return self.next_linked_file();
                }
            }
        }
    }
}

fn is_photo(path: &Path) -> bool {
    supported(path) || has_extension(path, &KNOWN_UNREADABLE)
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension().is_some_and(|found| known.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_service(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".Trash")
        || SERVICE_FOLDERS.iter().any(|service| name.eq_ignore_ascii_case(service))
}

/// An I/O error as a person can read it.
pub(super) fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "It is not there (an unplugged drive, or a link that leads nowhere).".into(),
        io::ErrorKind::PermissionDenied => "There is no permission to read it.".into(),
        io::ErrorKind::NotADirectory => "It is not a folder.".into(),
        io::ErrorKind::InvalidFilename => "Its path is too long to be opened.".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes empty files (and their folders) below a temporary root.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    fn items(root: &Path, options: &WalkOptions) -> Vec<WalkItem> {
        walk(root, options).unwrap().collect()
    }

    /// Files found, relative to the root, sorted.
    fn found(root: &Path, options: &WalkOptions) -> Vec<String> {
        let mut found: Vec<_> = items(root, options)
            .into_iter()
            .filter_map(|item| match item {
                WalkItem::File { path, .. } => Some(path.strip_prefix(root).unwrap().to_string_lossy().into_owned()),
                _ => None,
            })
            .collect();
        found.sort();
        found
    }

    fn left_out(root: &Path, options: &WalkOptions) -> Vec<String> {
        items(root, options)
            .into_iter()
            .filter_map(|item| match item {
                WalkItem::LeftOut { path } => Some(path.file_name().unwrap().to_string_lossy().into_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn photos_by_extension_whatever_their_case() {
        let root = tree(&["a.JPG", "b/c.Tiff", "b/d.txt", "e", "f.heic", "PXL.MP.jpg", "x..jpg", "notes.jpg.bak"]);
        let all = found(root.path(), &WalkOptions::default());
        assert_eq!(all, ["PXL.MP.jpg", "a.JPG", "b/c.Tiff", "f.heic", "x..jpg"]);
        assert!(supported(Path::new("x.WebP")) && !supported(Path::new("x.heic")) && !supported(Path::new(".jpg")));
    }

    #[test]
    fn odd_names_are_kept() {
        let names =
            ["a%20b.jpg", "a b.jpg", "#1?.jpg", "CZ | Prag/1.jpg", "~/1.jpg", "-rf.jpg", "new\nline.jpg", " s.jpg"];
        let root = tree(&names);
        let mut names = names.to_vec();
        names.sort();
        assert_eq!(found(root.path(), &WalkOptions::default()), names);
    }

    #[test]
    fn hidden_and_service_folders() {
        let hidden = [".jpeg", ".h/1.jpg", "._1.jpg"];
        let service = ["@eaDir/1.jpg", "#recycle/1.jpg", ".Trash-1000/1.jpg", "$RECYCLE.BIN/1.jpg", "__MACOSX/1.jpg"];
        let root = tree(&[&["1.jpg"], hidden.as_slice(), service.as_slice()].concat());
        let mut options = WalkOptions::default();
        assert_eq!(found(root.path(), &options), ["1.jpg"]);
        assert_eq!(
            left_out(root.path(), &options),
            ["#recycle", "$RECYCLE.BIN", ".Trash-1000", "._1.jpg", "@eaDir", "__MACOSX"]
        );
        options.include_service_folders = true;
        assert_eq!(found(root.path(), &options).len(), 6);
        assert_eq!(left_out(root.path(), &options), ["._1.jpg"]);
    }

    #[test]
    fn a_root_is_entered_whatever_its_name() {
        let root = tree(&[".hidden/1.jpg", "@eaDir/2.jpg"]);
        assert_eq!(found(&root.path().join(".hidden"), &WalkOptions::default()), ["1.jpg"]);
        assert_eq!(found(&root.path().join("@eaDir"), &WalkOptions::default()), ["2.jpg"]);
    }

    #[test]
    fn excluded_folders_are_never_entered() {
        let root = tree(&["1.jpg", "cache/2.jpg", "a/cache/3.jpg"]);
        let exclude = vec![root.path().join("a/../cache"), root.path().join("not there")];
        let options = WalkOptions { exclude, ..Default::default() };
        assert_eq!(found(root.path(), &options), ["1.jpg", "a/cache/3.jpg"]);
        assert!(found(&root.path().join("cache"), &options).is_empty());
    }

    #[test]
    fn a_root_that_cannot_be_looked_into() {
        let root = tree(&["1.jpg"]);
        for path in [root.path().join("gone"), root.path().join("1.jpg")] {
            let skipped = walk(&path, &WalkOptions::default()).unwrap_err();
            assert_eq!((skipped.reason, &skipped.path), (SkippedReason::Unreadable, &path));
        }
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn links_repeat_nothing() {
            let outside = tree(&["far/9.jpg", "far/8.jpg"]);
            let root = tree(&["a/1.jpg", "b/2.jpg", ".store/3.jpg"]);
            let at = |name: &str| root.path().join(name);
            symlink("..", at("loop")).unwrap();
            symlink(".", at("a/self")).unwrap();
            symlink("../b", at("a/sibling")).unwrap();
            symlink("a/1.jpg", at("again.jpg")).unwrap();
            symlink(".store/3.jpg", at("annexed.jpg")).unwrap();
            symlink(".store/3.jpg", at("annexed too.jpg")).unwrap();
            symlink(outside.path().join("far"), at("elsewhere")).unwrap();
            symlink(outside.path().join("far"), at("elsewhere too")).unwrap();
            symlink(outside.path().join("far/8.jpg"), at("0.jpg")).unwrap();
            symlink(root.path(), outside.path().join("far/back")).unwrap();
            let all = found(root.path(), &WalkOptions::default());
            assert_eq!(all, ["a/1.jpg", "annexed too.jpg", "b/2.jpg", "elsewhere/8.jpg", "elsewhere/9.jpg"]);
        }

        #[test]
        fn links_that_lead_nowhere_are_reported() {
            let root = tree(&[]);
            symlink("gone.jpg", root.path().join("x.jpg")).unwrap();
            symlink("y.jpg", root.path().join("y.jpg")).unwrap();
            symlink("gone", root.path().join("z")).unwrap();
            let items = items(root.path(), &WalkOptions::default());
            assert!(items.len() == 2 && items.iter().all(|i| matches!(i, WalkItem::Unreadable { .. })), "{items:?}");
        }

        #[test]
        fn names_that_are_not_utf8() {
            let root = tree(&[]);
            let name = OsStr::from_bytes(b"\xff\xfe.jpg");
            let folder = root.path().join(OsStr::from_bytes(b"M\xe4rz"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(name), "x").unwrap();
            let items = items(root.path(), &WalkOptions::default());
            assert!(matches!(&items[..], [WalkItem::File { path, .. }] if *path == folder.join(name)));
        }

        #[test]
        fn pipes_are_no_photos() {
            let root = tree(&[]);
            let made = std::process::Command::new("mkfifo").arg(root.path().join("p.jpg")).status();
            if made.is_ok_and(|status| status.success()) {
                assert!(items(root.path(), &WalkOptions::default()).is_empty());
            }
        }
    }

    #[test]
    fn times_outside_the_usual() {
        use std::time::Duration;
        assert_eq!(unix_ns(UNIX_EPOCH + Duration::new(4_294_967_296, 5)), 4_294_967_296_000_000_005);
        assert_eq!(unix_ns(UNIX_EPOCH - Duration::new(2_177_452_800, 0)), -2_177_452_800_000_000_000);
        assert_eq!(unix_ns(UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 8)), i64::MAX);
        let root = tree(&["old.jpg"]);
        let path = root.path().join("old.jpg");
        let file = fs::File::options().write(true).open(&path).unwrap();
        // Back to 1935, before which some file systems cannot go.
        file.set_modified(UNIX_EPOCH - Duration::from_secs(1_100_000_000)).unwrap();
        assert_eq!(stamp(&path).unwrap().modified_ns, -1_100_000_000_000_000_000);
    }
}
