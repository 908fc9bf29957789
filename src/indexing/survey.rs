//! The look at the disk and at the library that a plan is made from.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::domain::{CancelToken, ContentHash, PhotoState, Skipped, SkippedReason};
use crate::media;
use crate::media::walk::{WalkItem, walk};
use crate::store::{Reader, StoreError};

use super::plan::{Disk, Known, Plan, Probe, Root, reconcile};
use super::{RootProblem, Run};

/// Threads that hash files that may have moved. Few: on a disk that spins, more are slower.
const HASH_THREADS: usize = 2;

pub(super) struct Survey {
    pub plan: Plan,
    /// Subfolders that could not be read, and files that failed earlier and have not changed.
    pub skipped: Vec<Skipped>,
    pub left_out: Vec<PathBuf>,
    pub problems: Vec<RootProblem>,
}

/// Walks the roots and plans. Cut short (and then of no use) when the job is cancelled.
pub(super) fn survey(run: &Run<'_>, reader: &Reader) -> Result<Survey, StoreError> {
    let failures: HashMap<PathBuf, Skipped> = reader
        .failures()?
        .into_iter()
        .map(|(path, reason, detail)| (path.clone(), Skipped { path, reason, detail }))
        .collect();
    let mut known = HashMap::new();
    for folder in reader.folders()? {
        let files = reader.known_files(folder.id)?;
        // Room for all at once: growing would hash every path again, which costs as much as reading them.
        known.reserve(files.len());
        for (path, file) in files {
            let entry = Known {
                id: file.id,
                folder: folder.id,
                state: file.state,
                stamp: file.stamp,
                content: file.content,
                retry: matches!(file.failed, Some(SkippedReason::Unreadable | SkippedReason::Changing)),
            };
            known.insert(path, entry);
        }
    }

    let mut disk = Disk::default();
    let mut left_out = Vec::new();
    let mut problems = Vec::new();
    for root in with_inner_roots(run.roots, reader)? {
        match look_through(&root, run, reader, &known, &mut disk, &mut left_out)? {
            Ok(()) => disk.walked.push(root.path),
            Err(problem) => problems.push(problem),
        }
    }
    let lacking = reader.without_embedding(run.model_id)?.into_iter().collect();
    let plan = reconcile(&disk, &known, &lacking, &FileProbe { cancel: run.control.token() });
    let mut skipped = disk.unreadable;
    skipped.extend(plan.still_failed.iter().filter_map(|path| failures.get(path).cloned()));
    Ok(Survey { plan, skipped, left_out, problems })
}

/// The roots with those inside them: a photo belongs to the innermost, and a person who
/// indexes the outer one means them all.
fn with_inner_roots(roots: &[Root], reader: &Reader) -> Result<Vec<Root>, StoreError> {
    let all = reader.folders()?;
    let mut wanted: Vec<Root> = roots.to_vec();
    for root in roots {
        for path in reader.roots_within(root.folder)? {
            let inner = all.iter().find(|row| row.path == path);
            wanted.extend(inner.map(|row| Root { folder: row.id, path }));
        }
    }
    wanted.sort_by(|a, b| a.path.cmp(&b.path));
    wanted.dedup();
    Ok(wanted)
}

/// Walks one root, without those inside it, into `disk`; a problem leaves no trace of it there.
fn look_through(
    root: &Root,
    run: &Run<'_>,
    reader: &Reader,
    known: &HashMap<PathBuf, Known>,
    disk: &mut Disk,
    left_out: &mut Vec<PathBuf>,
) -> Result<Result<(), RootProblem>, StoreError> {
    let offline = || FileProbe { cancel: run.control.token() }.is_gone(&root.path);
    let trouble =
        |skipped| if offline() { RootProblem::Offline(root.path.clone()) } else { RootProblem::Unreadable(skipped) };
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    let mut options = run.walk.clone();
    options.exclude.extend(reader.roots_within(root.folder)?);
    let items = match walk(&root.path, &options) {
        Ok(items) => items,
        Err(skipped) => return Ok(Err(trouble(skipped))),
    };
    for item in items {
        if run.control.token().is_cancelled() {
            break;
        }
        match item {
            WalkItem::File { path, stamp } => files.push((path, (root.folder, stamp))),
            WalkItem::Unreadable { path, detail } => {
                unreadable.push(Skipped { path, reason: SkippedReason::Unreadable, detail });
            }
            WalkItem::LeftOut { path } => left_out.push(path),
        }
    }
    // The drive may have gone while it was walked.
    if offline() {
        return Ok(Err(RootProblem::Offline(root.path.clone())));
    }
    if files.is_empty() && unreadable.is_empty() {
        let present = |k: &&Known| k.state == PhotoState::Present && k.folder == root.folder;
        let photos = known.values().filter(present).count() as u64;
        if photos > 0 {
            return Ok(Err(RootProblem::Emptied { path: root.path.clone(), photos }));
        }
    }
    disk.files.extend(files);
    disk.unreadable.extend(unreadable);
    Ok(Ok(()))
}

/// The real disk.
struct FileProbe<'a> {
    cancel: &'a CancelToken,
}

impl Probe for FileProbe<'_> {
    fn hash(&self, paths: &[&Path]) -> Vec<Option<ContentHash>> {
        let next = AtomicUsize::new(0);
        let hashes = Mutex::new(vec![None; paths.len()]);
        let work = || {
            while let Some((index, path)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, paths.get(i)?)))
            {
                if self.cancel.is_cancelled() {
                    return;
                }
                // A file that cannot be read is found out again, and reported, when it is decoded.
                if let (Ok(hash), Ok(mut hashes)) = (media::hash_file(path), hashes.lock()) {
                    hashes[index] = Some(hash);
                }
            }
        };
        thread::scope(|scope| {
            for n in 1..HASH_THREADS.min(paths.len()) {
                let helper = thread::Builder::new().name(format!("glimpse-hash-{n}")).spawn_scoped(scope, work);
                if let Err(error) = helper {
                    log::debug!("hashing on one thread: {error}");
                }
            }
            work();
        });
        hashes.into_inner().unwrap_or_default()
    }

    fn is_gone(&self, path: &Path) -> bool {
        path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}
