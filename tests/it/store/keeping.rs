//! What goes in comes back: rows, paths, captions, vectors, roots.

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
    let files = reader.known_files(root).unwrap();
    let (_, known) = files.iter().find(|(path, _)| path == Path::new("/p/2.jpg")).unwrap();
    assert_eq!((known.failed, known.content, known.stamp), (Some(SkippedReason::Damaged), None, stamp(1)));
    assert_eq!(reader.list(ListScope::Failed).unwrap(), [bad]);
    let failure = reader.photo(bad).unwrap().unwrap().failure.unwrap();
    assert_eq!((failure.reason, failure.detail.as_str()), (SkippedReason::Damaged, "cut off"));

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
