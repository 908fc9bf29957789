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
    let mut paths: Vec<PathBuf> = reader.known_files(folder).unwrap().into_keys().collect();
    paths.sort();
    paths
}

mod keeping {
    use super::*;

    #[test]
    fn a_photo_comes_back_as_it_went_in() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/photos")).unwrap();
        assert_eq!(store.add_folder(Path::new("/photos")).unwrap(), root);
        let model = store.model(&model_row("a", 2)).unwrap();
        assert_eq!(store.model(&model_row("a", 2)).unwrap(), model);
        let meta = PhotoMeta {
            width: 4000,
            height: 3000,
            taken: Some("2019-07-01T12:00:00".into()),
            camera: Some("Canon EOS".into()),
            place: Some(LatLon { latitude: -33.5, longitude: 151.25 }),
        };
        let change = Change::Indexed {
            folder: root,
            path: "/photos/照片/三月.jpg".into(),
            stamp: FileStamp { size_bytes: u64::MAX, modified_ns: -5, changed_ns: 7, inode: u64::MAX },
            content: content(9),
            meta: meta.clone(),
            embedding: Some((model, vector(&[3.0, 4.0]))),
        };
        let id = apply_one(&mut store, change).unwrap();
        let reader = Reader::open(&library(&dir)).unwrap();
        let photo = reader.photo(id).unwrap().unwrap();
        assert_eq!(photo.meta, meta);
        assert_eq!((photo.stamp.size_bytes, photo.stamp.inode, photo.stamp.modified_ns), (u64::MAX, u64::MAX, -5));
        assert_eq!(photo.state, PhotoState::Present);
        assert_eq!(reader.photo_by_path(Path::new("/photos/照片/三月.jpg")).unwrap().as_ref(), Some(&photo));
        assert_eq!(reader.by_content(&content(9)).unwrap(), std::slice::from_ref(&photo));
        assert_eq!(reader.photos(&[PhotoId(99), id]).unwrap(), [photo]);
        let stored = reader.embedding(id, model).unwrap().unwrap();
        assert!(stored.cosine(&vector(&[3.0, 4.0])).unwrap() > 0.9999);
        assert_eq!(reader.models().unwrap()[0].embedded, 1);
        assert!(reader.size_bytes() > 0);
        reader.verify().unwrap();
    }

    #[test]
    fn newest_first_by_taken_else_modified() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let photo = |name: &str, taken: Option<&str>, modified_s: i64| Change::Indexed {
            folder: root,
            path: Path::new("/p").join(name),
            stamp: stamp(modified_s),
            content: content(1),
            meta: PhotoMeta { taken: taken.map(Into::into), ..PhotoMeta::default() },
            embedding: None,
        };
        let ids = store
            .apply(&[
                photo("2001 taken", Some("2001-01-01T00:00:00"), 0),
                photo("2020 modified", None, 1_577_836_800),
                photo("1965 taken", Some("1965-05-05T05:05:05"), 1_600_000_000),
                photo("impossible date", Some("2020-99-99T00:00:00"), 10),
                photo("same moment as the one before", None, 10),
            ])
            .unwrap();
        let expected: Vec<PhotoId> = [1, 0, 4, 3, 2].iter().map(|&i: &usize| ids[i].unwrap()).collect();
        let reader = store.reader().unwrap();
        assert_eq!(reader.list(ListScope::All).unwrap(), expected);
        assert_eq!(reader.list(ListScope::Folder(root)).unwrap(), expected);
    }

    #[test]
    fn what_looks_alike_is_not_the_same() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let (upper, lower) =
            (store.add_folder(Path::new("/p/Trip")).unwrap(), store.add_folder(Path::new("/p/trip")).unwrap());
        let changes = [
            indexed(upper, "/p/Trip/\u{e9}.jpg", 1, None),
            indexed(upper, "/p/Trip/e\u{301}.jpg", 2, None),
            indexed(upper, "/p/Trip/1.jpg", 3, None),
            indexed(lower, "/p/trip/1.jpg", 4, None),
        ];
        let ids = store.apply(&changes).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(reader.counts().unwrap().photos, 4);
        assert!(store.remove_folder(lower).unwrap());
        assert!(!store.remove_folder(lower).unwrap());
        assert_eq!(reader.photos(&[ids[0].unwrap(), ids[1].unwrap(), ids[2].unwrap()]).unwrap().len(), 3);
        assert_eq!(reader.counts().unwrap().photos, 3);
    }

    #[test]
    #[cfg(unix)]
    fn names_that_are_not_unicode() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        for name in [&b"/p/\xff\xfe.jpg"[..], b"/p/M\xe4rz/1.jpg", b"/p/a%20b.jpg", b"/p/new\nline ", b"/p/#1?.jpg"] {
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            let id = apply_one(&mut store, indexed(root, path, 1, None));
            let reader = store.reader().unwrap();
            let photo = reader.photo_by_path(path).unwrap().unwrap();
            assert_eq!((Some(photo.id), photo.path.as_os_str().as_bytes()), (id, name));
        }
    }

    #[test]
    fn failures_are_told_until_mended_and_missing_ones_come_back() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 2)).unwrap();
        let with = |n| indexed(root, "/p/1.jpg", n, Some((model, vector(&[1.0, 0.0]))));
        let id = apply_one(&mut store, with(1)).unwrap();
        let bad = apply_one(&mut store, failed(root, "/p/2.jpg")).unwrap();
        let reader = store.reader().unwrap();
        let told = ("/p/2.jpg".into(), SkippedReason::Damaged, "cut off".into());
        assert_eq!(reader.failures().unwrap(), [told]);
        assert_eq!(reader.counts().unwrap(), Counts { photos: 1, missing: 0, failed: 1 });
        let known = &reader.known_files(root).unwrap()[Path::new("/p/2.jpg")];
        assert_eq!((known.failed, known.content, known.stamp), (Some(SkippedReason::Damaged), None, stamp(1)));
        assert_eq!(reader.list(ListScope::Failed).unwrap(), [bad]);

        // A photo that breaks and is mended to what it was keeps its embedding.
        apply_one(&mut store, failed(root, "/p/1.jpg"));
        assert_eq!(reader.without_embedding(model).unwrap(), []);
        apply_one(&mut store, indexed(root, "/p/1.jpg", 1, None));
        assert!(reader.embedding(id, model).unwrap().is_some());
        assert_eq!(reader.photo(id).unwrap().unwrap().failure, None);

        apply_one(&mut store, Change::Missing { photo: id });
        assert_eq!(apply_one(&mut store, Change::Missing { photo: bad }), Some(bad));
        assert_eq!(reader.photo(bad).unwrap(), None, "a file that never was a photo is forgotten");
        assert_eq!(reader.counts().unwrap(), Counts { photos: 0, missing: 1, failed: 0 });
        assert_eq!(reader.list(ListScope::Missing).unwrap(), [id]);
        assert_eq!(reader.for_each_embedding(model, |_, _| panic!("missing photos are not found")).unwrap(), 0);
        apply_one(&mut store, Change::Returned { photo: id, stamp: stamp(4) });
        assert_eq!(reader.counts().unwrap(), Counts { photos: 1, missing: 0, failed: 0 });
        assert!(reader.embedding(id, model).unwrap().is_some());

        // Other content: every space has to look again.
        apply_one(&mut store, indexed(root, "/p/1.jpg", 7, None));
        assert_eq!(reader.without_embedding(model).unwrap(), [id]);
    }

    #[test]
    fn moves_keep_the_photo_and_may_swap_names() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let one = apply_one(&mut store, indexed(root, "/p/1.jpg", 1, None)).unwrap();
        let two = apply_one(&mut store, indexed(root, "/p/2.jpg", 2, None)).unwrap();
        store.add_captions(&[person_says(one, "one"), person_says(two, "two")]).unwrap();
        let moved = |photo, path: &str| Change::Moved { photo, folder: root, path: path.into(), stamp: stamp(9) };
        store.apply(&[moved(one, "/p/2.jpg"), moved(two, "/p/1.jpg")]).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(reader.photo_by_path(Path::new("/p/2.jpg")).unwrap().unwrap().id, one);
        assert_eq!(reader.photo_by_path(Path::new("/p/1.jpg")).unwrap().unwrap().id, two);
        assert_eq!(reader.captions(one).unwrap()[0].text, "one");

        // Over another photo: that one is gone, its words are not.
        store.apply(&[moved(one, "/p/1.jpg")]).unwrap();
        assert_eq!(reader.photo(two).unwrap(), None);
        assert_eq!(reader.kept_captions().unwrap()[0].text, "two");
        // A change that comes too late is void, and the rest of its batch is not.
        let answers = store.apply(&[Change::Touched { photo: two, stamp: stamp(1) }, moved(one, "/p/3.jpg")]).unwrap();
        assert_eq!(answers, [None, Some(one)]);
        // The content turns up again: so do the words.
        let back = apply_one(&mut store, indexed(root, "/p/4.jpg", 2, None)).unwrap();
        assert_eq!(reader.captions(back).unwrap()[0].text, "two");
    }

    #[test]
    fn words_of_people_outlive_their_folder() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        // Two copies of one photo with words of their own, and a draft that nobody accepted.
        let ids = store.apply(&[indexed(root, "/p/1.jpg", 1, None), indexed(root, "/p/2.jpg", 1, None)]).unwrap();
        let (one, two) = (ids[0].unwrap(), ids[1].unwrap());
        let source = CaptionSource::Model { pack: "f".into(), version: "1".into(), settings: "{}".into() };
        let draft = NewCaption { source, state: CaptionState::Draft, ..person_says(one, "draft") };
        let accepted = NewCaption { state: CaptionState::Accepted, text: "good draft".into(), ..draft.clone() };
        let said =
            store.add_captions(&[person_says(one, "one"), person_says(two, "two"), draft, accepted.clone()]).unwrap();
        assert!(said.iter().all(Option::is_some));
        assert_eq!(store.add_captions(&[person_says(PhotoId(999), "nobody")]).unwrap(), [None]);
        let reader = store.reader().unwrap();
        assert_eq!(reader.captions(one).unwrap().len(), 3);
        assert_eq!(reader.captions(one).unwrap()[0].source, accepted.source);

        store.remove_folder(root).unwrap();
        assert_eq!(reader.counts().unwrap(), Counts::default());
        assert_eq!(reader.kept_captions().unwrap().len(), 3);
        let root = store.add_folder(Path::new("/p")).unwrap();
        // In whatever order they come back, each goes where it was.
        let two = apply_one(&mut store, indexed(root, "/p/2.jpg", 1, None)).unwrap();
        let one = apply_one(&mut store, indexed(root, "/p/1.jpg", 1, None)).unwrap();
        let texts = |id| reader.captions(id).unwrap().into_iter().map(|c| c.text).collect::<Vec<_>>();
        assert_eq!(texts(two), ["two"]);
        assert_eq!(texts(one), ["good draft", "one"]);

        store.remove_folder(root).unwrap();
        assert_eq!(store.purge_kept_captions().unwrap(), 3);
        assert!(reader.kept_captions().unwrap().is_empty());
    }

    #[test]
    fn a_photo_belongs_to_the_innermost_root() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let outer = store.add_folder(Path::new("/p")).unwrap();
        store
            .apply(&[
                indexed(outer, "/p/1.jpg", 1, None),
                indexed(outer, "/p/in/2.jpg", 2, None),
                indexed(outer, "/p/in/deep/3.jpg", 3, None),
                indexed(outer, "/p/inn/4.jpg", 4, None),
            ])
            .unwrap();
        let deep = store.add_folder(Path::new("/p/in/deep")).unwrap();
        let inner = store.add_folder(Path::new("/p/in")).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(paths(&reader, outer), [Path::new("/p/1.jpg"), Path::new("/p/inn/4.jpg")]);
        assert_eq!(paths(&reader, inner), [Path::new("/p/in/2.jpg")]);
        assert_eq!(paths(&reader, deep), [Path::new("/p/in/deep/3.jpg")]);
        assert_eq!(reader.roots_within(outer).unwrap(), [Path::new("/p/in"), Path::new("/p/in/deep")]);
        // Whoever reports it.
        apply_one(&mut store, indexed(outer, "/p/in/deep/5.jpg", 5, None));
        assert_eq!(paths(&reader, deep).len(), 2);
        // Removing a root inside another hands its photos on.
        store.remove_folder(deep).unwrap();
        assert_eq!(paths(&reader, inner).len(), 3);
        store.remove_folder(outer).unwrap();
        assert_eq!(reader.counts().unwrap().photos, 3);
        let answer = apply_one(&mut store, indexed(outer, "/p/6.jpg", 6, None));
        assert_eq!(answer, None, "a root removed meanwhile takes nothing in");
        // The root of all.
        let all = store.add_folder(Path::new("/")).unwrap();
        store.remove_folder(inner).unwrap();
        assert_eq!(paths(&reader, all).len(), 3);
    }

    #[test]
    fn models_live_side_by_side() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let (a, b) = (store.model(&model_row("a", 2)).unwrap(), store.model(&model_row("b", 3)).unwrap());
        let same_pack_new_weights = ModelRow { weights_hash: "other".into(), ..model_row("a", 2) };
        assert_ne!(store.model(&same_pack_new_weights).unwrap(), a);
        let photo = apply_one(&mut store, indexed(root, "/p/1.jpg", 1, Some((a, vector(&[1.0, 0.0]))))).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(reader.without_embedding(b).unwrap(), [photo]);
        apply_one(&mut store, Change::Embedded { photo, model: b, embedding: vector(&[0.0, 1.0, 0.0]) });
        assert!(reader.embedding(photo, a).unwrap().is_some() && reader.embedding(photo, b).unwrap().is_some());
        let wrong = store.apply(&[Change::Embedded { photo, model: a, embedding: vector(&[0.0, 1.0, 0.0]) }]);
        assert!(matches!(wrong, Err(StoreError::Dimension { expected: 2, found: 3 })));
        let unknown = Change::Embedded { photo, model: ModelId(99), embedding: vector(&[1.0]) };
        assert_eq!(apply_one(&mut store, unknown), None);
        assert_eq!(reader.active_model("align").unwrap(), None);
        store.set_active_model("align", "a").unwrap();
        store.set_active_model("align", "b").unwrap();
        assert_eq!(reader.active_model("align").unwrap().as_deref(), Some("b"));
        store.remove_model(b).unwrap();
        assert_eq!(reader.embedding(photo, b).unwrap(), None);
        assert!(reader.embedding(photo, a).unwrap().is_some());
    }

    #[test]
    fn damaged_vectors_are_left_out_and_counted() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 4)).unwrap();
        let photo = |i: u8| indexed(root, format!("/p/{i}.jpg"), i, Some((model, vector(&[1.0, 1.0, 1.0, 1.0]))));
        let ids = store.apply(&(1..=6).map(photo).collect::<Vec<_>>()).unwrap();
        let foreign = Connection::open(library(&dir)).unwrap();
        for (i, blob) in [
            "x'007e007e007e007e'", // NaN
            "zeroblob(8)",         // no direction
            "x'0038'",             // one number
            "x'007c000000000000'", // infinity
            "x'0048004800480048'", // 8, 8, 8, 8: would win every search
        ]
        .iter()
        .enumerate()
        {
            let sql = format!("UPDATE embeddings SET vector = {blob} WHERE photo = {}", ids[i].unwrap().0);
            foreign.execute_batch(&sql).unwrap();
        }
        let reader = store.reader().unwrap();
        let mut good = Vec::new();
        assert_eq!(reader.for_each_embedding(model, |id, _| good.push(id)).unwrap(), 5);
        assert_eq!(good, [ids[5].unwrap()]);
        assert_eq!(reader.embedding(ids[0].unwrap(), model).unwrap(), None);
        assert_eq!(store.drop_damaged_embeddings(model).unwrap(), 5);
        assert_eq!(reader.without_embedding(model).unwrap().len(), 5);
    }

    #[test]
    fn the_log_names_what_changed_for_an_index() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 2)).unwrap();
        let photo = |i: u8| indexed(root, format!("/p/{i}.jpg"), i, Some((model, vector(&[1.0, 0.0]))));
        let ids: Vec<PhotoId> = store.apply(&[photo(1), photo(2), photo(3)]).unwrap().into_iter().flatten().collect();
        let reader = store.reader().unwrap();
        let (version, revision) = (reader.data_version().unwrap(), reader.revision().unwrap());
        assert_eq!(reader.changed_since(revision).unwrap().unwrap(), []);
        store.apply(&[Change::Missing { photo: ids[0] }, photo(2)]).unwrap();
        assert_ne!(reader.data_version().unwrap(), version);
        assert_eq!(reader.changed_since(revision).unwrap().unwrap(), [ids[0], ids[1]]);
        let mut seen = Vec::new();
        reader.vectors_of(model, &ids, |id, v| seen.push((id, matches!(v, StoredVector::Unit(_))))).unwrap();
        assert_eq!(seen, [(ids[0], false), (ids[1], true), (ids[2], true)]);
        store.remove_folder(root).unwrap();
        assert_eq!(reader.changed_since(revision).unwrap().unwrap(), ids);
        assert_eq!(reader.changed_since(i64::MAX).unwrap(), None, "another library's revision");
    }

    #[test]
    fn a_job_that_never_ended_is_known() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let job = store.job_started("holiday").unwrap();
        store.job_progress(job, 12, 1).unwrap();
        drop(store);
        let mut store = Store::open(&library(&dir)).unwrap();
        let left = store.reader().unwrap().unfinished_jobs().unwrap();
        assert_eq!((left.len(), left[0].id, left[0].done, left[0].failed), (1, job, 12, 1));
        store.job_finished(job, "done").unwrap();
        assert!(store.reader().unwrap().unfinished_jobs().unwrap().is_empty());
    }
}

mod refusing {
    use super::*;

    /// Neither writer nor reader may take the file, and neither may touch it.
    fn refused(path: &Path) -> (StoreError, StoreError) {
        let before = std::fs::read(path).unwrap();
        let errors = (Store::open(path).unwrap_err(), Reader::open(path).unwrap_err());
        assert!(std::fs::read(path).unwrap() == before, "the file was changed");
        for error in [&errors.0, &errors.1] {
            assert!(error.to_string().ends_with(&path.display().to_string()), "{error}");
        }
        errors
    }

    fn filled(dir: &TempDir) -> PathBuf {
        let mut store = Store::open(&library(dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 512)).unwrap();
        let changes: Vec<Change> = (0..200u8)
            .map(|i| indexed(root, format!("/p/{i}.jpg"), i, Some((model, vector(&[f32::from(i) + 1.0; 512])))))
            .collect();
        store.apply(&changes).unwrap();
        drop(store);
        let wal = dir.path().join("library.db-wal");
        assert!(!wal.exists(), "the last writer to leave folds the log in");
        library(dir)
    }

    #[test]
    fn files_that_are_no_library() {
        let dir = folder();
        let foreign = dir.path().join("foreign.sqlite");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(x); PRAGMA user_version = 3").unwrap();
        let text = dir.path().join("notes.txt");
        std::fs::write(&text, "not a database\n".repeat(99)).unwrap();
        let jpeg = dir.path().join("a.jpg");
        std::fs::write(&jpeg, [0xFF, 0xD8, 0xFF, 0xE0, 0, 16]).unwrap();
        for path in [&foreign, &text, &jpeg] {
            let (write, read) = refused(path);
            assert!(matches!(write, StoreError::NotALibrary { .. }), "{write:?}");
            assert!(matches!(read, StoreError::NotALibrary { .. }), "{read:?}");
        }
        assert!(matches!(Store::open(dir.path()), Err(StoreError::NotALibrary { .. })));
        assert!(matches!(Reader::open(&library(&dir)), Err(StoreError::Absent { .. })));
        assert!(!library(&dir).exists(), "a reader creates nothing");
        let empty = dir.path().join("empty.db");
        std::fs::write(&empty, "").unwrap();
        let (write, read) = refused(&empty);
        assert!(matches!((write, read), (StoreError::Damaged { .. }, StoreError::Damaged { .. })));
    }

    #[test]
    fn damaged_libraries_are_named_and_left_alone() {
        let damage: [fn(&mut Vec<u8>); 4] = [
            |bytes| (4096..12288).for_each(|i| bytes[i] = ((i * 2_654_435_761) >> 7) as u8),
            |bytes| bytes.truncate(bytes.len() / 2),
            |bytes| bytes.truncate(bytes.len() - 1),
            |bytes| bytes.truncate(60),
        ];
        for (i, damage) in damage.iter().enumerate() {
            let dir = folder();
            let path = filled(&dir);
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
            let (write, read) = refused(&path);
            assert!(matches!(write, StoreError::Damaged { .. }), "{i}: {write:?}");
            assert!(matches!(read, StoreError::Damaged { .. }), "{i}: {read:?}");
        }
    }

    #[test]
    fn newer_libraries_are_left_to_newer_programs() {
        let dir = folder();
        let path = filled(&dir);
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 999").unwrap();
        let (write, read) = refused(&path);
        for error in [write, read] {
            assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
            assert!(error.to_string().contains("newer Glimpse"));
        }
    }

    #[test]
    fn a_log_left_by_a_deleted_library_does_not_haunt_the_next() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        store.add_folder(Path::new("/old")).unwrap();
        let log = std::fs::read(dir.path().join("library.db-wal")).unwrap();
        assert!(!log.is_empty());
        drop(store);
        std::fs::remove_file(library(&dir)).unwrap();
        std::fs::write(dir.path().join("library.db-wal"), log).unwrap();
        let store = Store::open(&library(&dir)).unwrap();
        assert_eq!(store.reader().unwrap().folders().unwrap(), []);
        assert_eq!(
            std::fs::read_dir(dir.path())
                .unwrap()
                .filter(|f| { f.as_ref().unwrap().file_name().to_string_lossy().contains(".new-") })
                .count(),
            0
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_library_deleted_or_replaced_while_open_is_noticed() {
        let dir = folder();
        let path = library(&dir);
        let mut store = Store::open(&path).unwrap();
        let reader = store.reader().unwrap();
        std::fs::rename(&path, dir.path().join("away.db")).unwrap();
        assert!(matches!(store.add_folder(Path::new("/p")), Err(StoreError::Replaced { .. })));
        assert!(matches!(reader.counts(), Err(StoreError::Replaced { .. })));
        let other = folder();
        std::fs::copy(filled(&other), &path).unwrap();
        assert!(matches!(store.apply(&[]), Err(StoreError::Replaced { .. })));
        assert!(matches!(store.reader(), Err(StoreError::Replaced { .. })));
        drop((store, reader));
        assert_eq!(Reader::open(&path).unwrap().counts().unwrap().photos, 200);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_and_its_target_are_one_library() {
        let dir = folder();
        let path = filled(&dir);
        let link = dir.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut by_link = Store::open(&link).unwrap();
        let by_name = Reader::open(&path).unwrap();
        by_link.add_folder(Path::new("/q")).unwrap();
        assert_eq!(by_name.folders().unwrap().len(), 2);
        // A link that leads nowhere is said to be so; nothing is created.
        let broken = dir.path().join("broken.db");
        std::os::unix::fs::symlink("nowhere.db", &broken).unwrap();
        assert!(matches!(Store::open(&broken), Err(StoreError::Absent { .. })));
    }
}

mod together {
    use super::*;

    const CHILD: &str = "GLIMPSE_TEST_CHILD_LIBRARY";

    /// This very test binary, running one ignored test as a process of its own.
    fn child(test: &str, library: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([&format!("store::together::{test}"), "--exact", "--ignored", "--nocapture"]);
        command.env(CHILD, library).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn batch(root: FolderId, model: ModelId, round: usize, who: &str) -> Vec<Change> {
        (0..20)
            .map(|i| {
                let path = format!("/p/{who}-{round}-{i}.jpg");
                indexed(root, path, (round % 251) as u8, Some((model, vector(&[1.0; 64]))))
            })
            .collect()
    }

    /// Writes batches of twenty until it is killed, or forty of them.
    #[test]
    #[ignore = "run by other tests as a process of its own"]
    fn child_writes() {
        let Some(path) = std::env::var_os(CHILD) else { return };
        let mut store = Store::open(Path::new(&path)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 64)).unwrap();
        let who = std::process::id().to_string();
        for round in 0..40 {
            store.apply(&batch(root, model, round, &who)).unwrap();
        }
    }

    #[test]
    fn two_processes_write_while_a_third_reads() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let model = store.model(&model_row("a", 64)).unwrap();
        let mut children = [(); 2].map(|()| child("child_writes", &library(&dir)).spawn().unwrap());
        let reader = Reader::open(&library(&dir)).unwrap();
        let mut seen = 0;
        for round in 0..40 {
            store.apply(&batch(root, model, round, "parent")).unwrap();
            let now = reader.counts().unwrap().photos;
            assert!(now >= seen && now.is_multiple_of(20), "batches come whole: {now}");
            seen = now;
        }
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(reader.counts().unwrap().photos, 3 * 40 * 20);
        assert_eq!(reader.models().unwrap()[0].embedded, 3 * 40 * 20);
        reader.verify().unwrap();
    }

    #[test]
    fn a_killed_writer_loses_at_most_its_batch() {
        let dir = folder();
        let mut before = 0;
        for wait_ms in [30, 60, 90, 120, 150] {
            let mut child = child("child_writes", &library(&dir)).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait_ms));
            child.kill().unwrap();
            child.wait().unwrap();
            if !library(&dir).exists() {
                continue;
            }
            let reader = Store::open(&library(&dir)).unwrap().reader().unwrap();
            reader.verify().unwrap();
            let now = reader.counts().unwrap().photos;
            assert!(now >= before && now.is_multiple_of(20), "{now}");
            assert!(reader.models().unwrap().iter().all(|m| m.embedded == now));
            before = now;
        }
    }

    #[test]
    fn a_lock_is_waited_for_as_long_as_documented() {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let reader = store.reader().unwrap();
        let holder = Connection::open(library(&dir)).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                holder.execute_batch("COMMIT").unwrap();
            });
            reader.counts().unwrap();
            store.add_folder(Path::new("/p")).unwrap();
        });
        let holder = Connection::open(library(&dir)).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let start = Instant::now();
        let error = store.add_folder(Path::new("/q")).unwrap_err();
        let waited = start.elapsed();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        assert!(waited >= glimpse::store::BUSY_TIMEOUT - Duration::from_secs(1) && waited < Duration::from_secs(20));
        assert_eq!(reader.folders().unwrap().len(), 1, "reading goes on meanwhile");
        holder.execute_batch("COMMIT").unwrap();
        store.add_folder(Path::new("/q")).unwrap();
    }

    /// Opens, or creates, a library where locks fail, and expects that to be said.
    #[test]
    #[ignore = "run by other tests as a process of its own"]
    fn child_cannot_lock() {
        let Some(path) = std::env::var_os(CHILD) else { return };
        let error = Store::open(Path::new(&path)).unwrap_err();
        assert!(matches!(error, StoreError::CannotLock { .. }), "{error:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_system_without_locks_is_named_as_such() {
        let dir = folder();
        let shim = dir.path().join("shim.so");
        let source = dir.path().join("shim.c");
        std::fs::write(&source, SHIM).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).arg("-ldl").status();
        if !built.is_ok_and(|status| status.success()) {
            eprintln!("no C compiler: not tested");
            return;
        }
        let existing = folder();
        drop(Store::open(&library(&existing)).unwrap());
        for path in [library(&dir), library(&existing)] {
            for errno in ["37", "11"] {
                let mut child = child("child_cannot_lock", &path);
                let output = child.env("LD_PRELOAD", &shim).env("SHIM_ERRNO", errno).output().unwrap();
                assert!(output.status.success(), "{errno}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }

    /// Every lock fails with the given errno (37: ENOLCK, 11: EAGAIN).
    #[cfg(target_os = "linux")]
    const SHIM: &str = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdlib.h>
        static int call(const char *name, int fd, int command, void *argument) {
            if (command == F_SETLK || command == F_SETLKW) {
                if (((struct flock *)argument)->l_type != F_UNLCK) {
                    errno = atoi(getenv("SHIM_ERRNO"));
                    return -1;
                }
            }
            int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
            return real(fd, command, argument);
        }
        #define WRAP(name) int name(int fd, int command, ...) { \
            va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list); \
            return call(#name, fd, command, argument); }
        WRAP(fcntl)
        WRAP(fcntl64)
    "#;
}

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

mod against_a_simple_model {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// What the library should hold, in the plainest form.
    #[derive(Clone, Debug, PartialEq)]
    struct Row {
        path: String,
        state: PhotoState,
        stamp: i64,
        content: Option<u8>,
        embedded: BTreeSet<i64>,
        broken: bool,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Indexed { path: u8, stamp: i64, content: u8, model: Option<bool> },
        Embedded { photo: usize, model: bool },
        Moved { photo: usize, path: u8, stamp: i64 },
        Touched { photo: usize, stamp: i64 },
        Missing { photo: usize },
        Returned { photo: usize, stamp: i64 },
        Failed { path: u8 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let (path, photo, stamp) = (0u8..6, 0usize..8, 1i64..50);
        prop_oneof![
            4 => (path.clone(), stamp.clone(), 0u8..4, any::<Option<bool>>())
                .prop_map(|(path, stamp, content, model)| Step::Indexed { path, stamp, content, model }),
            1 => (photo.clone(), any::<bool>()).prop_map(|(photo, model)| Step::Embedded { photo, model }),
            2 => (photo.clone(), path.clone(), stamp.clone())
                .prop_map(|(photo, path, stamp)| Step::Moved { photo, path, stamp }),
            1 => (photo.clone(), stamp.clone()).prop_map(|(photo, stamp)| Step::Touched { photo, stamp }),
            1 => photo.clone().prop_map(|photo| Step::Missing { photo }),
            1 => (photo, stamp).prop_map(|(photo, stamp)| Step::Returned { photo, stamp }),
            1 => path.prop_map(|path| Step::Failed { path }),
        ]
    }

    fn name(path: u8) -> String {
        format!("/p/{path}.jpg")
    }

    #[derive(Default)]
    struct Simple {
        rows: BTreeMap<i64, Row>,
    }

    impl Simple {
        fn at(&self, path: &str) -> Option<i64> {
            self.rows.iter().find(|(_, row)| row.path == path).map(|(id, _)| *id)
        }

        /// What a step should do, given the id that the store gave a new row.
        fn apply(&mut self, step: &Step, photo_ids: &[i64], models: [i64; 2], answer: Option<i64>) -> Option<i64> {
            let known = |i: usize| photo_ids.get(i).copied().filter(|id| self.rows.contains_key(id));
            match *step {
                Step::Indexed { path, stamp, content, model } => {
                    let id = self.at(&name(path)).or(answer)?;
                    let row = self.rows.entry(id).or_insert_with(|| Row::new(name(path)));
                    if row.content != Some(content) {
                        row.embedded.clear();
                    }
                    row.embedded.extend(model.map(|m| models[usize::from(m)]));
                    (row.state, row.stamp, row.content, row.broken) =
                        (PhotoState::Present, stamp, Some(content), false);
                    Some(id)
                }
                Step::Embedded { photo, model } => {
                    let id = known(photo)?;
                    self.rows.get_mut(&id)?.embedded.insert(models[usize::from(model)]);
                    Some(id)
                }
                Step::Moved { photo, path, stamp } => {
                    let id = known(photo)?;
                    if let Some(other) = self.at(&name(path)).filter(|&other| other != id) {
                        self.rows.remove(&other);
                    }
                    let row = self.rows.get_mut(&id)?;
                    (row.path, row.stamp) = (name(path), stamp);
                    row.state = if row.broken { PhotoState::Failed } else { PhotoState::Present };
                    Some(id)
                }
                Step::Touched { photo, stamp } => {
                    let id = known(photo)?;
                    self.rows.get_mut(&id)?.stamp = stamp;
                    Some(id)
                }
                Step::Missing { photo } => {
                    let id = known(photo)?;
                    if self.rows[&id].content.is_none() {
                        self.rows.remove(&id);
                    } else {
                        self.rows.get_mut(&id)?.state = PhotoState::Missing;
                    }
                    Some(id)
                }
                Step::Returned { photo, stamp } => {
                    let id = known(photo)?;
                    let row = self.rows.get_mut(&id)?;
                    row.stamp = stamp;
                    row.state = if row.broken { PhotoState::Failed } else { PhotoState::Present };
                    Some(id)
                }
                Step::Failed { path } => {
                    let id = self.at(&name(path)).or(answer)?;
                    let row = self.rows.entry(id).or_insert_with(|| Row::new(name(path)));
                    (row.state, row.stamp, row.broken) = (PhotoState::Failed, 1, true);
                    Some(id)
                }
            }
        }
    }

    impl Row {
        fn new(path: String) -> Self {
            let (state, stamp) = (PhotoState::Present, 0);
            Self { path, state, stamp, content: None, embedded: BTreeSet::new(), broken: false }
        }
    }

    fn read_all(reader: &Reader, root: FolderId, models: [ModelId; 2]) -> BTreeMap<i64, Row> {
        let rows = reader.known_files(root).unwrap().into_iter().map(|(path, known)| {
            let embedded = models.iter().filter(|m| reader.embedding(known.id, **m).unwrap().is_some());
            let row = Row {
                path: path.to_str().unwrap().into(),
                state: known.state,
                stamp: known.stamp.changed_ns,
                content: known.content.map(|c| c.0[0]),
                embedded: embedded.map(|m| m.0).collect(),
                broken: known.failed.is_some(),
            };
            (known.id.0, row)
        });
        rows.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Steps one by one here; batches of moves are tested above.
        #[test]
        fn any_sequence_of_changes(steps in prop::collection::vec(step(), 1..60)) {
            let dir = folder();
            let mut store = Store::open(&library(&dir)).unwrap();
            let root = store.add_folder(Path::new("/p")).unwrap();
            let models = [store.model(&model_row("a", 2)).unwrap(), store.model(&model_row("b", 3)).unwrap()];
            let vectors = [vector(&[1.0, 0.0]), vector(&[0.0, 1.0, 0.0])];
            let embedding = |m: bool| (models[usize::from(m)], vectors[usize::from(m)].clone());
            let reader = store.reader().unwrap();
            let mut simple = Simple::default();
            let mut ids: Vec<i64> = Vec::new();
            for step in steps {
                let photo = |i: usize| PhotoId(ids.get(i).copied().unwrap_or(9_999));
                let path = |p: u8| PathBuf::from(name(p));
                let change = match step {
                    Step::Indexed { path: p, stamp: s, content: c, model } => Change::Indexed {
                        folder: root, path: path(p), stamp: stamp(s), content: content(c),
                        meta: PhotoMeta::default(), embedding: model.map(embedding),
                    },
                    Step::Embedded { photo: i, model } => {
                        let (model, embedding) = embedding(model);
                        Change::Embedded { photo: photo(i), model, embedding }
                    }
                    Step::Moved { photo: i, path: p, stamp: s } =>
                        Change::Moved { photo: photo(i), folder: root, path: path(p), stamp: stamp(s) },
                    Step::Touched { photo: i, stamp: s } => Change::Touched { photo: photo(i), stamp: stamp(s) },
                    Step::Missing { photo: i } => Change::Missing { photo: photo(i) },
                    Step::Returned { photo: i, stamp: s } => Change::Returned { photo: photo(i), stamp: stamp(s) },
                    Step::Failed { path: p } => failed(root, path(p)),
                };
                let answer = apply_one(&mut store, change).map(|id| id.0);
                let expected = simple.apply(&step, &ids, models.map(|m| m.0), answer);
                prop_assert_eq!(answer, expected, "{:?}", step);
                if let Some(id) = answer.filter(|id| !ids.contains(id)) {
                    ids.push(id);
                }
                prop_assert_eq!(&read_all(&reader, root, models), &simple.rows, "{:?}", step);
            }
            let present = simple.rows.values().filter(|row| row.state == PhotoState::Present).count();
            prop_assert_eq!(reader.counts().unwrap().photos as usize, present);
            prop_assert_eq!(reader.list(ListScope::All).unwrap().len(), present);
        }
    }
}
