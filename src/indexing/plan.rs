//! What has to be done: the disk held against the library, before any photo is decoded.
//!
//! Photos are told apart by content: a file that turns up elsewhere with the bytes of
//! one that went is that photo, moved. Nothing here deletes anything; a photo that was
//! not found is marked missing, and only where its folder could really be looked at.
//!
//! Cost: one `stat` a file. Files are read (hashed) only if their stamp changed, or if
//! they are new and as large as a photo that may have moved.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::domain::{ContentHash, FileStamp, FolderId, PhotoId, PhotoState, Skipped};
use crate::store::Change;

/// A folder to look through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    pub folder: FolderId,
    pub path: PathBuf,
}

/// A photo as the library remembers it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub id: PhotoId,
    pub folder: FolderId,
    pub state: PhotoState,
    pub stamp: FileStamp,
    pub content: Option<ContentHash>,
    /// It failed for a reason that may pass without a trace in the file (no permission, being copied).
    pub retry: bool,
}

/// What a walk over the roots found.
#[derive(Debug, Default)]
pub struct Disk {
    pub files: HashMap<PathBuf, (FolderId, FileStamp)>,
    /// Folders that could be looked at; photos elsewhere are not judged.
    pub walked: Vec<PathBuf>,
    /// Subfolders that could not be: their photos are not judged either.
    pub unreadable: Vec<Skipped>,
}

impl Disk {
    /// Whether the walk would have met this file if it were there.
    fn judges(&self, path: &Path) -> bool {
        self.walked.iter().any(|root| path.starts_with(root))
            && !self.unreadable.iter().any(|skipped| path.starts_with(&skipped.path))
    }
}

/// One file to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub folder: FolderId,
    pub path: PathBuf,
    pub stamp: FileStamp,
    /// The photo that only lacks this model's embedding; `None` for a new or changed file.
    pub embed_only: Option<PhotoId>,
}

/// The work of one run.
#[derive(Debug, Default)]
pub struct Plan {
    /// Book-keeping that needs no decoding. One transaction: a chain of renames holds together.
    pub changes: Vec<Change>,
    pub tasks: Vec<Task>,
    /// Photos that need nothing, or only a new time stamp.
    pub unchanged: u64,
    pub moved: u64,
    /// Photos that were not found, now or earlier.
    pub missing: u64,
    /// Files that failed before and have not changed since: not tried again.
    pub still_failed: Vec<PathBuf>,
}

/// What the plan may ask of the disk.
pub trait Probe {
    /// The contents of several files; `None` where one cannot be read now.
    fn hash(&self, paths: &[&Path]) -> Vec<Option<ContentHash>>;
    /// True only if it is certain that nothing is there.
    fn is_gone(&self, path: &Path) -> bool;
}

/// Holds the disk against the library. `lacking` are photos without the current model's embedding.
pub fn reconcile(disk: &Disk, known: &HashMap<PathBuf, Known>, lacking: &HashSet<PhotoId>, probe: &dyn Probe) -> Plan {
    let mut plan = Plan::default();
    let mut settled: Vec<(&Path, FileStamp, Known)> = Vec::new();
    // Files that may hold something else than the library believes, or that it never saw.
    let mut open: Vec<(&Path, FolderId, FileStamp, Option<&Known>)> = Vec::new();
    for (path, &(folder, stamp)) in &disk.files {
        match known.get(path) {
            Some(k) if k.stamp == stamp && k.state == PhotoState::Failed && !k.retry => {
                plan.still_failed.push(path.clone());
            }
            Some(k) if k.stamp == stamp && k.state != PhotoState::Failed => {
                if k.state == PhotoState::Missing {
                    plan.changes.push(Change::Returned { photo: k.id, stamp });
                }
                settled.push((path, stamp, *k));
            }
            other => open.push((path, folder, stamp, other)),
        }
    }
    open.sort_by_key(|&(path, ..)| path);

    let moves = Moves::among(disk, known, &open);
    let to_hash: Vec<&Path> = open.iter().filter(|o| moves.worth_hashing(o.2, o.3)).map(|o| o.0).collect();
    let hashes: HashMap<&Path, ContentHash> =
        to_hash.iter().zip(probe.hash(&to_hash)).filter_map(|(&path, hash)| Some((path, hash?))).collect();

    // First who stayed: their rows must not be taken by a copy of them.
    let mut left: Vec<(&Path, FolderId, FileStamp, Option<&Known>)> = Vec::new();
    for (path, folder, stamp, before) in open {
        match before.filter(|k| k.content.is_some() && k.content.as_ref() == hashes.get(path)) {
            Some(k) if k.state != PhotoState::Failed => {
                plan.changes.push(match k.state {
                    PhotoState::Missing => Change::Returned { photo: k.id, stamp },
                    _ => Change::Touched { photo: k.id, stamp },
                });
                settled.push((path, stamp, *k));
            }
            _ => left.push((path, folder, stamp, before)),
        }
    }
    let stayed: HashSet<PhotoId> = settled.iter().map(|(_, _, k)| k.id).collect();
    let sought: HashSet<ContentHash> = left.iter().filter_map(|o| hashes.get(o.0)).copied().collect();
    let mut vacant = moves.vacant(&stayed, &sought, probe);
    let mut gone_elsewhere: HashSet<PhotoId> = HashSet::new();
    let mut rest = Vec::new();
    for (path, folder, stamp, before) in left {
        let photo = hashes.get(path).and_then(|content| take_best(vacant.get_mut(content)?, path));
        match photo {
            Some((old, k)) if old != path => {
                plan.changes.push(Change::Moved { photo: k.id, folder, path: path.to_path_buf(), stamp });
                plan.moved += 1;
                gone_elsewhere.insert(k.id);
                settled.push((path, stamp, k));
            }
            _ => rest.push((path, folder, stamp, before)),
        }
    }
    for (path, folder, stamp, _) in rest {
        plan.tasks.push(Task { folder, path: path.to_path_buf(), stamp, embed_only: None });
    }
    for &(path, stamp, k) in &settled {
        if lacking.contains(&k.id) {
            let folder = disk.files.get(path).map_or(k.folder, |f| f.0);
            plan.tasks.push(Task { folder, path: path.to_path_buf(), stamp, embed_only: Some(k.id) });
        } else if !gone_elsewhere.contains(&k.id) {
            plan.unchanged += 1;
        }
    }
    for (path, k) in known {
        let absent = disk.judges(path) && !disk.files.contains_key(path);
        if absent && !gone_elsewhere.contains(&k.id) {
            plan.missing += u64::from(k.state != PhotoState::Failed);
            if k.state != PhotoState::Missing {
                plan.changes.push(Change::Missing { photo: k.id });
            }
        }
    }
    // Neighbours on disk are read one after the other, and every run does the same.
    plan.tasks.sort_by(|a, b| a.path.cmp(&b.path));
    plan.still_failed.sort();
    plan
}

/// Photos that may have moved: not where they were, or their place holds something else now.
struct Moves<'a> {
    candidates: Vec<(&'a Path, &'a Known, Whereabouts)>,
    sizes: HashSet<u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Whereabouts {
    /// The walk did not meet it.
    Absent,
    /// Its file has another stamp: perhaps another photo.
    InDoubt,
    /// In a folder that was not walked: to be asked for by name.
    Elsewhere,
}

impl<'a> Moves<'a> {
    fn among(
        disk: &Disk,
        known: &'a HashMap<PathBuf, Known>,
        open: &[(&Path, FolderId, FileStamp, Option<&Known>)],
    ) -> Self {
        let in_doubt: HashSet<PhotoId> = open.iter().filter_map(|o| o.3).map(|k| k.id).collect();
        let candidates: Vec<_> = known
            .iter()
            .filter(|(_, k)| k.content.is_some())
            .filter_map(|(path, k)| {
                let whereabouts = if in_doubt.contains(&k.id) {
                    Whereabouts::InDoubt
                } else if disk.files.contains_key(path) {
                    return None;
                } else if disk.judges(path) {
                    Whereabouts::Absent
                } else {
                    Whereabouts::Elsewhere
                };
                Some((path.as_path(), k, whereabouts))
            })
            .collect();
        let sizes = candidates.iter().map(|(_, k, _)| k.stamp.size_bytes).collect();
        Self { candidates, sizes }
    }

    /// A known file is read to see whether only its stamp changed; any file if a photo of its size is sought.
    fn worth_hashing(&self, stamp: FileStamp, before: Option<&Known>) -> bool {
        let perhaps_the_same = |k: &Known| k.content.is_some() && k.stamp.size_bytes == stamp.size_bytes;
        before.is_some_and(perhaps_the_same) || self.sizes.contains(&stamp.size_bytes)
    }

    fn vacant(
        self,
        stayed: &HashSet<PhotoId>,
        sought: &HashSet<ContentHash>,
        probe: &dyn Probe,
    ) -> HashMap<ContentHash, Vec<(&'a Path, Known)>> {
        let mut vacant: HashMap<ContentHash, Vec<(&Path, Known)>> = HashMap::new();
        for (path, k, whereabouts) in self.candidates {
            let Some(content) = k.content.filter(|content| sought.contains(content)) else { continue };
            let free = match whereabouts {
                Whereabouts::Absent => true,
                Whereabouts::InDoubt => !stayed.contains(&k.id),
                Whereabouts::Elsewhere => probe.is_gone(path),
            };
            if free {
                vacant.entry(content).or_default().push((path, *k));
            }
        }
        vacant
    }
}

/// Of several vacated photos with the same bytes: the one of the same name, then of the same folder, then the oldest.
fn take_best<'a>(vacated: &mut Vec<(&'a Path, Known)>, path: &Path) -> Option<(&'a Path, Known)> {
    let best = vacated
        .iter()
        .enumerate()
        .min_by_key(|(_, (old, k))| (old.file_name() != path.file_name(), old.parent() != path.parent(), k.id));
    let index = best.map(|(index, _)| index)?;
    Some(vacated.swap_remove(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SkippedReason;

    /// A disk and a library in a few letters: names, and contents of one byte each.
    #[derive(Default)]
    struct World {
        disk: Disk,
        known: HashMap<PathBuf, Known>,
        contents: HashMap<PathBuf, u8>,
        lacking: HashSet<PhotoId>,
        hashed: std::cell::RefCell<Vec<PathBuf>>,
    }

    fn content(byte: u8) -> ContentHash {
        ContentHash([byte; 32])
    }

    /// The size follows from the content, as it mostly does; `touch` tells two stamps of one content apart.
    fn stamp(byte: u8, touch: i64) -> FileStamp {
        FileStamp { size_bytes: u64::from(byte), modified_ns: touch, changed_ns: touch, inode: u64::from(byte) }
    }

    impl World {
        fn new() -> Self {
            let mut world = Self::default();
            world.disk.walked.push("/p".into());
            world
        }

        fn file(mut self, path: &str, byte: u8, touch: i64) -> Self {
            self.disk.files.insert(path.into(), (FolderId(1), stamp(byte, touch)));
            self.contents.insert(path.into(), byte);
            self
        }

        fn row(mut self, id: i64, path: &str, byte: u8, state: PhotoState) -> Self {
            let known = Known {
                id: PhotoId(id),
                folder: FolderId(1),
                state,
                stamp: stamp(byte, 0),
                content: (state != PhotoState::Failed).then(|| content(byte)),
                retry: false,
            };
            self.known.insert(path.into(), known);
            self
        }

        fn present(self, id: i64, path: &str, byte: u8) -> Self {
            self.row(id, path, byte, PhotoState::Present)
        }

        fn plan(&self) -> Plan {
            reconcile(&self.disk, &self.known, &self.lacking, self)
        }

        /// Moves as `(photo, new path)`, in order of the photos.
        fn moves(&self) -> Vec<(i64, String)> {
            let mut moves: Vec<_> = self
                .plan()
                .changes
                .iter()
                .filter_map(|change| match change {
                    Change::Moved { photo, path, .. } => Some((photo.0, path.display().to_string())),
                    _ => None,
                })
                .collect();
            moves.sort();
            moves
        }
    }

    impl Probe for World {
        fn hash(&self, paths: &[&Path]) -> Vec<Option<ContentHash>> {
            self.hashed.borrow_mut().extend(paths.iter().map(|p| p.to_path_buf()));
            paths.iter().map(|path| self.contents.get(*path).map(|&byte| content(byte))).collect()
        }

        fn is_gone(&self, path: &Path) -> bool {
            !self.contents.contains_key(path)
        }
    }

    fn at(moves: &[(i64, &str)]) -> Vec<(i64, String)> {
        moves.iter().map(|&(id, path)| (id, path.to_owned())).collect()
    }

    #[test]
    fn an_unchanged_folder_is_neither_read_nor_written() {
        let world = World::new().file("/p/a", 1, 0).file("/p/b", 2, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        let plan = world.plan();
        assert!(plan.changes.is_empty() && plan.tasks.is_empty());
        assert_eq!((plan.unchanged, plan.missing, plan.moved), (2, 0, 0));
        assert!(world.hashed.borrow().is_empty());
    }

    #[test]
    fn a_new_stamp_on_the_same_bytes_is_only_noted() {
        let plan = World::new().file("/p/a", 1, 9).present(1, "/p/a", 1).plan();
        assert!(matches!(plan.changes[..], [Change::Touched { photo: PhotoId(1), .. }]));
        assert_eq!((plan.tasks.len(), plan.unchanged), (0, 1));
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let plan = World::new().file("/p/a", 2, 9).present(1, "/p/a", 1).plan();
        assert!(plan.changes.is_empty());
        assert_eq!(plan.tasks[0].path, Path::new("/p/a"));
        assert_eq!((plan.unchanged, plan.missing), (0, 0));
    }

    #[test]
    fn a_new_file_is_not_hashed_without_need() {
        let world = World::new().file("/p/a", 1, 0).file("/p/new", 7, 0).present(1, "/p/a", 1);
        assert_eq!(world.plan().tasks.len(), 1);
        assert!(world.hashed.borrow().is_empty(), "no photo of that size is sought");
    }

    #[test]
    fn moved_and_renamed_files_keep_their_rows() {
        let world = World::new().file("/p/x/a", 1, 0).file("/p/c", 2, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        assert_eq!(world.moves(), at(&[(1, "/p/x/a"), (2, "/p/c")]));
        let plan = world.plan();
        assert_eq!((plan.moved, plan.missing, plan.unchanged, plan.tasks.len()), (2, 0, 0, 0));
    }

    #[test]
    fn chains_and_swaps_of_names() {
        let chain = World::new().file("/p/b", 1, 0).file("/p/c", 2, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        assert_eq!(chain.moves(), at(&[(1, "/p/b"), (2, "/p/c")]));
        let swap = World::new().file("/p/a", 2, 0).file("/p/b", 1, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        assert_eq!(swap.moves(), at(&[(1, "/p/b"), (2, "/p/a")]));
        for world in [chain, swap] {
            let plan = world.plan();
            assert_eq!((plan.tasks.len(), plan.missing), (0, 0));
        }
    }

    #[test]
    fn a_file_moved_over_another_takes_its_place() {
        let world = World::new().file("/p/b", 1, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        assert_eq!(world.moves(), at(&[(1, "/p/b")]));
        assert!(world.plan().tasks.is_empty());
    }

    #[test]
    fn a_copy_is_a_photo_of_its_own() {
        let world = World::new().file("/p/a", 1, 0).file("/p/copy", 1, 0).present(1, "/p/a", 1);
        let plan = world.plan();
        assert!(plan.changes.is_empty());
        assert_eq!((plan.tasks.len(), plan.unchanged, plan.moved), (1, 1, 0));
        let touched = World::new().file("/p/a", 1, 9).file("/p/copy", 1, 0).present(1, "/p/a", 1).plan();
        assert_eq!((touched.tasks.len(), touched.moved), (1, 0), "the original stayed, though its stamp changed");
    }

    #[test]
    fn of_equal_photos_the_one_of_the_same_name_moved() {
        let world = World::new().file("/q/b", 1, 0).file("/q/a", 1, 0).present(1, "/p/a", 1).present(2, "/p/b", 1);
        assert_eq!(world.moves(), at(&[(1, "/q/a"), (2, "/q/b")]));
    }

    #[test]
    fn what_is_gone_is_missing_and_comes_back() {
        let plan = World::new().present(1, "/p/a", 1).row(2, "/p/b", 2, PhotoState::Missing).plan();
        assert!(matches!(plan.changes[..], [Change::Missing { photo: PhotoId(1) }]), "the other is missing already");
        assert_eq!(plan.missing, 2);
        for touch in [0, 9] {
            let back = World::new().file("/p/a", 1, touch).row(1, "/p/a", 1, PhotoState::Missing).plan();
            assert!(matches!(back.changes[..], [Change::Returned { photo: PhotoId(1), .. }]));
            assert_eq!((back.tasks.len(), back.missing, back.unchanged), (0, 0, 1));
        }
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_missing() {
        let mut world = World::new().present(1, "/p/locked/a", 1).present(2, "/elsewhere/b", 2);
        world.disk.unreadable.push(Skipped {
            path: "/p/locked".into(),
            reason: SkippedReason::Unreadable,
            detail: String::new(),
        });
        let plan = world.plan();
        assert!(plan.changes.is_empty());
        assert_eq!(plan.missing, 0);
    }

    #[test]
    fn a_photo_from_a_folder_that_was_not_walked_moves_only_if_it_is_gone_there() {
        let there = World::new().file("/p/a", 1, 0).present(1, "/q/a", 1);
        let mut still = World::new().file("/p/a", 1, 0).present(1, "/q/a", 1);
        still.contents.insert("/q/a".into(), 1);
        assert_eq!(there.moves(), at(&[(1, "/p/a")]));
        assert!(still.moves().is_empty());
        assert_eq!(still.plan().tasks.len(), 1);
    }

    #[test]
    fn a_bad_file_waits_until_it_changes_unless_its_fault_may_pass() {
        let world = World::new().file("/p/bad", 1, 0).row(1, "/p/bad", 1, PhotoState::Failed);
        assert_eq!(world.plan().still_failed, [Path::new("/p/bad")]);
        assert!(world.plan().tasks.is_empty());
        let changed = World::new().file("/p/bad", 1, 9).row(1, "/p/bad", 1, PhotoState::Failed).plan();
        assert_eq!((changed.tasks.len(), changed.still_failed.len()), (1, 0));
        let mut may_pass = World::new().file("/p/bad", 1, 0).row(1, "/p/bad", 1, PhotoState::Failed);
        may_pass.known.values_mut().for_each(|known| known.retry = true);
        assert_eq!(may_pass.plan().tasks.len(), 1);
        let gone = World::new().row(1, "/p/bad", 1, PhotoState::Failed).plan();
        assert_eq!(gone.missing, 0, "it never was a photo");
    }

    #[test]
    fn photos_of_another_model_only_get_the_new_embedding() {
        let mut world =
            World::new().file("/p/a", 1, 0).file("/p/new", 2, 0).present(1, "/p/a", 1).present(2, "/p/b", 2);
        world.lacking = [PhotoId(1), PhotoId(2)].into();
        let plan = world.plan();
        let embeds: Vec<_> = plan.tasks.iter().map(|task| (task.embed_only, task.path.to_str().unwrap())).collect();
        assert_eq!(embeds, [(Some(PhotoId(1)), "/p/a"), (Some(PhotoId(2)), "/p/new")]);
        assert_eq!((plan.unchanged, plan.moved), (0, 1));
    }
}
