//! The library file: what is kept, what is refused, who may write at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use glimpse::domain::{
    CaptionSource, CaptionState, ContentHash, Embedding, FileStamp, FolderId, LatLon, ModelId, NewCaption, PhotoId,
    PhotoMeta, PhotoState, Skipped, SkippedReason,
};
use glimpse::store::{Change, Counts, ListScope, ModelRow, Reader, Store, StoreError, StoredVector};
use rusqlite::Connection;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn library(dir: &TempDir) -> PathBuf {
    dir.path().join("library.db")
}

fn stamp(n: i64) -> FileStamp {
    FileStamp { size_bytes: 1000, modified_ns: n * 1_000_000_000, changed_ns: n, inode: u64::MAX - 1 }
}

fn content(n: u8) -> ContentHash {
    ContentHash([n; 32])
}

fn model_row(pack: &str, dim: usize) -> ModelRow {
    ModelRow { pack_id: pack.into(), weights_hash: format!("hash of {pack}"), preprocess_revision: 1, dim }
}

fn vector(numbers: &[f32]) -> Embedding {
    Embedding::new(numbers.to_vec()).unwrap()
}

fn indexed(folder: FolderId, path: impl AsRef<Path>, n: u8, embedding: Option<(ModelId, Embedding)>) -> Change {
    Change::Indexed {
        folder,
        path: path.as_ref().into(),
        stamp: stamp(i64::from(n)),
        content: content(n),
        meta: PhotoMeta { width: 40, height: 30, ..PhotoMeta::default() },
        embedding,
    }
}

fn failed(folder: FolderId, path: impl AsRef<Path>) -> Change {
    let path = path.as_ref().to_path_buf();
    let skipped = Skipped { path: path.clone(), reason: SkippedReason::Damaged, detail: "cut off".into() };
    Change::Failed { folder, path, stamp: stamp(1), skipped }
}

fn apply_one(store: &mut Store, change: Change) -> Option<PhotoId> {
    store.apply(&[change]).unwrap()[0]
}

fn person_says(photo: PhotoId, text: &str) -> NewCaption {
    let (source, state) = (CaptionSource::Person, CaptionState::Accepted);
    NewCaption { photo, text: text.into(), lang: "en".into(), source, state }
}

fn paths(reader: &Reader, folder: FolderId) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = reader.known_files(folder).unwrap().into_iter().map(|(path, _)| path).collect();
    paths.sort();
    paths
}

#[path = "store/keeping.rs"]
mod keeping;

#[path = "store/refusing.rs"]
mod refusing;

#[path = "store/together.rs"]
mod together;

/// On a disk of 8 MB that fills up: `mount -t tmpfs -o size=8m none DIR`, then
/// `GLIMPSE_TEST_SMALL_DISK=DIR cargo test --release --test it -- --ignored small_disk`.
#[test]
#[ignore = "needs a small disk"]
fn small_disk() {
    let Some(disk) = std::env::var_os("GLIMPSE_TEST_SMALL_DISK").map(PathBuf::from) else { return };
    let path = disk.join("library.db");
    let mut store = Store::open(&path).unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let model = store.model(&model_row("a", 768)).unwrap();
    let batch = |round: usize| -> Vec<Change> {
        let photo = |i| indexed(root, format!("/p/{round}-{i}.jpg"), i, Some((model, vector(&[1.0; 768]))));
        (0..100).map(photo).collect()
    };
    let (mut round, reader) = (0, store.reader().unwrap());
    let error = loop {
        match store.apply(&batch(round)) {
            Ok(_) => round += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(round > 0);
    // What the program keeps beside the library takes the rest.
    let filler = disk.join("thumbnails");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    assert!(matches!(store.apply(&batch(round)), Err(StoreError::DiskFull { .. })));
    let count = |reader: &Reader| reader.for_each_embedding(model, |_, _| ()).map(|_| reader.counts().unwrap().photos);
    assert_eq!(count(&reader).unwrap(), 100 * round as u64, "searching goes on, no row is lost");
    assert_eq!(count(&Reader::open(&path).unwrap()).unwrap(), 100 * round as u64);
    // Room again: the same connections go on.
    std::fs::remove_file(&filler).unwrap();
    let small = indexed(root, "/p/one more.jpg", 1, None);
    store.apply(std::slice::from_ref(&small)).unwrap();
    // A new process on a full disk.
    drop((store, reader));
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    assert_eq!(count(&Reader::open(&path).unwrap()).unwrap(), 100 * round as u64 + 1);
    if let Err(error) = Store::open(&path) {
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    }
    std::fs::remove_file(&filler).unwrap();
    Store::open(&path).unwrap().apply(&[small]).unwrap();
    Reader::open(&path).unwrap().verify().unwrap();
}

/// Opening, scanning, listing: what the window does at its start.
#[test]
fn a_large_library_is_comfortable() {
    const N: usize = 50_000;
    let dir = folder();
    let mut store = Store::open(&library(&dir)).unwrap();
    let root = store.add_folder(Path::new("/home/someone/Pictures")).unwrap();
    let model = store.model(&model_row("a", 16)).unwrap();
    let ids: Vec<usize> = (0..N).collect();
    for chunk in ids.chunks(5000) {
        let photo = |&i: &usize| {
            let path = format!("/home/someone/Pictures/{}/{}/IMG_{i:06}.jpg", 2000 + i % 25, i % 365);
            let Change::Indexed { folder, path, stamp, mut content, meta, embedding } =
                indexed(root, path, 1, Some((model, vector(&[(i % 97) as f32 + 1.0; 16]))))
            else {
                unreachable!()
            };
            content.0[..8].copy_from_slice(&i.to_le_bytes());
            Change::Indexed { folder, path, stamp, content, meta, embedding }
        };
        store.apply(&chunk.iter().map(photo).collect::<Vec<_>>()).unwrap();
    }
    drop(store);
    let mut times = HashMap::new();
    let mut timed = |name: &'static str, f: &mut dyn FnMut()| {
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                f();
                start.elapsed()
            })
            .min()
            .unwrap();
        println!("{name}: {:.1} ms", best.as_secs_f64() * 1e3);
        times.insert(name, best);
    };
    timed("open", &mut || drop(Store::open(&library(&dir)).unwrap()));
    let reader = Reader::open(&library(&dir)).unwrap();
    timed("counts", &mut || assert_eq!(reader.counts().unwrap().photos as usize, N));
    timed("folders", &mut || assert_eq!(reader.folders().unwrap()[0].photos as usize, N));
    timed("list all", &mut || assert_eq!(reader.list(ListScope::All).unwrap().len(), N));
    timed("list folder", &mut || assert_eq!(reader.list(ListScope::Folder(root)).unwrap().len(), N));
    timed("known files", &mut || assert_eq!(reader.known_files(root).unwrap().len(), N));
    timed("models", &mut || assert_eq!(reader.models().unwrap()[0].embedded as usize, N));
    timed("without embedding", &mut || assert_eq!(reader.without_embedding(model).unwrap().len(), 0));
    // The figures are printed; what is asserted is only that nothing is out of all proportion,
    // on however busy a machine.
    for (name, time) in times {
        assert!(time < Duration::from_secs(20), "{name} took {time:?}");
    }
}

#[path = "store/against_a_simple_model.rs"]
mod against_a_simple_model;
