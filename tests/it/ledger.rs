//! Captions as a ledger: who wrote what, undone and redone, found by their words.

use std::path::{Path, PathBuf};
use std::time::Instant;

use glimpse::domain::{
    Answer, CancelToken, Caption, CaptionSource, CaptionState, ContentHash, FileStamp, FolderId, NewAnswer, NewCaption,
    PhotoId, PhotoMeta,
};
use glimpse::export::{self, Format, Options, Target};
use glimpse::store::{CaptionAct, Change, Store};

fn indexed(folder: FolderId, n: i64) -> Change {
    Change::Indexed {
        folder,
        path: PathBuf::from(format!("/p/{n:06}.jpg")),
        stamp: FileStamp { size_bytes: 7, modified_ns: n, changed_ns: 1, inode: 1 },
        content: ContentHash(*blake3::hash(&n.to_le_bytes()).as_bytes()),
        meta: PhotoMeta::default(),
        embedding: None,
    }
}

fn library(dir: &Path, photos: i64) -> (Store, Vec<PhotoId>) {
    let mut store = Store::open(&dir.join("library.db")).unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let changes: Vec<Change> = (0..photos).map(|n| indexed(root, n)).collect();
    let ids = store.apply(&changes).unwrap().into_iter().map(Option::unwrap).collect();
    (store, ids)
}

fn person(photo: PhotoId, lang: &str, text: &str) -> NewCaption {
    let (source, state) = (CaptionSource::Person, CaptionState::Accepted);
    NewCaption { photo, text: text.into(), lang: lang.into(), source, state }
}

fn draft(photo: PhotoId, pack: &str, text: &str) -> NewCaption {
    let source = CaptionSource::Model { pack: pack.into(), version: "1".into(), settings: "{}".into() };
    NewCaption { source, state: CaptionState::Draft, ..person(photo, "en", text) }
}

fn texts(store: &Store, photo: PhotoId) -> Vec<String> {
    store.reader().unwrap().captions(photo).unwrap().into_iter().map(|caption| caption.text).collect()
}

fn all(store: &Store, photos: &[PhotoId]) -> Vec<Vec<Caption>> {
    store.reader().unwrap().captions_of(photos).unwrap()
}

#[test]
fn a_machine_replaces_its_own_drafts_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 1);
    let photo = photos[0];
    store.add_captions(&[person(photo, "en", "by hand")]).unwrap();
    let ids = store.add_captions(&[draft(photo, "a", "liked"), draft(photo, "b", "other")]).unwrap();
    store.set_caption_state(ids[0].unwrap(), CaptionState::Accepted).unwrap();
    store.add_captions(&[draft(photo, "a", "again"), draft(photo, "b", "newer")]).unwrap();
    assert_eq!(texts(&store, photo), ["newer", "again", "liked", "by hand"]);
    // Edited by a person, it is a person's.
    let newest = store.reader().unwrap().captions(photo).unwrap()[0].id;
    assert_eq!(store.edit_captions(&[(newest, "mended".into())]).unwrap(), 1);
    let mended = store.reader().unwrap().captions(photo).unwrap()[0].clone();
    assert_eq!((mended.source, mended.state), (CaptionSource::Person, CaptionState::Accepted));
    store.add_captions(&[draft(photo, "b", "once more")]).unwrap();
    assert_eq!(texts(&store, photo), ["once more", "mended", "again", "liked", "by hand"]);
}

#[test]
fn steps_are_undone_and_redone_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 3);
    let mut states = vec![all(&store, &photos)];
    let mut note = |store: &Store| states.push(all(store, &photos));

    store.add_captions(&[person(photos[0], "en", "one")]).unwrap();
    note(&store);
    let run = store.begin_drafts().unwrap();
    for photo in &photos {
        store.add_drafts(run, &[draft(*photo, "a", "first")]).unwrap();
    }
    note(&store);
    let id = |store: &Store, n: usize| store.reader().unwrap().captions(photos[n]).unwrap()[0].id;
    store.edit_captions(&[(id(&store, 0), "x".into()), (id(&store, 1), "y".into())]).unwrap();
    note(&store);
    store.set_caption_state(id(&store, 2), CaptionState::Accepted).unwrap();
    note(&store);
    store.remove_caption(id(&store, 1)).unwrap();
    note(&store);
    store.begin_drafts().unwrap(); // A run that was stopped before it wrote anything is no step.

    let acts = [CaptionAct::Removed, CaptionAct::Judged, CaptionAct::Edited, CaptionAct::Drafted, CaptionAct::Wrote];
    let path = store.path().to_path_buf();
    for round in 0..2 {
        for (n, act) in acts.iter().enumerate() {
            drop(store);
            store = Store::open(&path).unwrap();
            assert_eq!(store.reader().unwrap().caption_steps().unwrap().undo, Some(*act), "round {round}");
            assert_eq!(store.undo_captions().unwrap().unwrap().act, *act);
            assert_eq!(all(&store, &photos), states[acts.len() - 1 - n], "undone {act:?}, round {round}");
        }
        assert_eq!(store.undo_captions().unwrap(), None);
        for (n, act) in acts.iter().rev().enumerate() {
            let step = store.redo_captions().unwrap().unwrap();
            assert_eq!(step.act, *act);
            assert_eq!(all(&store, &photos), states[n + 1], "redone {act:?}, round {round}");
        }
        assert_eq!(store.redo_captions().unwrap(), None);
    }
    // Found by what they say now.
    let found = |store: &Store, query: &str| store.reader().unwrap().find_captions(query, 10).unwrap().photos;
    assert_eq!(found(&store, "x"), [photos[0]]);
    store.undo_captions().unwrap();
    store.undo_captions().unwrap();
    store.undo_captions().unwrap();
    assert!(found(&store, "x").is_empty());
    assert_eq!(found(&store, "first").len(), 3);
    // Something new: what was undone cannot be redone over it.
    store.add_captions(&[person(photos[2], "zh", "新")]).unwrap();
    assert_eq!(store.redo_captions().unwrap(), None);
    assert_eq!(store.undo_captions().unwrap().unwrap().captions, 1);
    assert_eq!(store.undo_captions().unwrap().unwrap().captions, 3);
    assert_eq!(texts(&store, photos[0]), ["one"]);
}

#[test]
fn captions_are_found_in_both_languages_and_taken_literally() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 8);
    let said = [
        "一只狗在海边奔跑",
        "用iPhone拍的海边",
        "a blue t-shirt, 50% off",
        "rock'n'roll in C++",
        "a café by the sea 🙂",
        "a dog",
        "c",
        "dogs NEAR(cat)",
    ];
    let captions: Vec<NewCaption> = said.iter().zip(&photos).map(|(text, photo)| person(*photo, "en", text)).collect();
    store.add_captions(&captions).unwrap();
    let reader = store.reader().unwrap();
    let found = |query: &str| -> Vec<usize> {
        let mut found: Vec<usize> = reader
            .find_captions(query, 100)
            .unwrap()
            .photos
            .iter()
            .map(|id| photos.iter().position(|photo| photo == id).unwrap())
            .collect();
        found.sort_unstable();
        found
    };
    for (query, expected) in [
        ("狗", &[0][..]),
        ("跑", &[0]),
        ("海边", &[0, 1]),
        ("海边奔跑", &[0]),
        ("海 边", &[0, 1]),
        ("海狗", &[]),
        ("iPhone", &[1]),
        ("ｉＰｈｏｎｅ", &[1]),
        ("iphone拍", &[1]),
        ("边 iPhone", &[1]),
        ("t-shirt", &[2]),
        ("50% off", &[2]),
        ("50", &[2]),
        ("rock'n'roll", &[3]),
        ("C++", &[3]),
        ("CAFE sea", &[4]),
        ("🙂", &[4]),
        ("dog", &[5]),
        ("NEAR(cat", &[7]),
        ("x:y", &[]),
        ("'; DROP TABLE photos;--", &[]),
    ] {
        assert_eq!(found(query), expected, "{query:?}");
    }
    for blank in ["", " ", "\u{3000}", "\u{200B}", "。！", "\"", "*", "-"] {
        assert!(found(blank).is_empty(), "{blank:?}");
    }
    assert!(reader.find_captions(&"dog ".repeat(10_000), 10).unwrap().cut);

    store.edit_captions(&[(reader.captions(photos[5]).unwrap()[0].id, "a cat".into())]).unwrap();
    assert_eq!(found("dog"), [0usize; 0]);
    assert_eq!(found("cat"), [5, 7]);
    store.remove_caption(reader.captions(photos[5]).unwrap()[0].id).unwrap();
    assert_eq!(found("cat"), [7]);
    assert_eq!(reader.without_caption(None).unwrap(), [photos[5]]);
    assert_eq!(reader.without_caption(Some("zh")).unwrap().len(), 8);
    assert_eq!(reader.without_caption(Some("en")).unwrap(), [photos[5]]);
}

#[test]
fn any_sqlite3_opens_the_library() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 1);
    store.add_captions(&[person(photos[0], "zh", "海边的狗")]).unwrap();
    let sql =
        "SELECT text FROM captions WHERE id IN (SELECT rowid FROM caption_words WHERE caption_words MATCH '\"海边\"')";
    let Ok(output) = std::process::Command::new("sqlite3").arg(store.path()).arg(sql).output() else {
        println!("skipped: sqlite3 is not installed");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "海边的狗", "{output:?}");
}

/// `cargo test --release --test it ledger -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: takes a minute"]
fn two_hundred_thousand_captions() {
    const N: i64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), N);
    let nouns = ["dog", "cat", "beach", "mountain", "car", "child", "boat", "tree", "house", "bird", "snow", "bridge"];
    let han = ["海边", "山上", "城市", "公园", "雪地", "河边", "房间", "街道", "草地", "天空", "小狗", "孩子"];
    let start = Instant::now();
    let run = store.begin_drafts().unwrap();
    for (chunk, ids) in photos.chunks(1000).enumerate() {
        let drafts: Vec<NewCaption> = ids
            .iter()
            .enumerate()
            .map(|(i, photo)| {
                let n = chunk * 1000 + i;
                let (a, b, c) = (n % 12, n / 12 % 12, n / 144 % 12);
                let text = if n.is_multiple_of(2) {
                    format!("a {} and a {} near the {}, picture {}", nouns[a], nouns[b], nouns[c], n % 5000)
                } else {
                    format!("一张{}和{}的照片，{}里有{}个人", han[a], han[b], han[c], n % 5000)
                };
                draft(*photo, "m", &text)
            })
            .collect();
        store.add_drafts(run, &drafts).unwrap();
    }
    println!(
        "written in {:.1} s; {:.0} MB",
        start.elapsed().as_secs_f64(),
        store.reader().unwrap().size_bytes() as f64 / 1e6
    );
    let reader = store.reader().unwrap();
    for query in
        ["dog", "picture", "a", "dog beach", "4321", "海边", "的", "照片", "海边 小狗", "张小狗和", "nothing", "C++"]
    {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let start = Instant::now();
                let found = reader.find_captions(query, 200).unwrap();
                assert!(found.photos.len() <= 200);
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let start = Instant::now();
        let whole = reader.find_captions(query, usize::MAX).unwrap().photos.len();
        println!(
            "{query}: first 200 in {:.2} ms (median of 5), all {whole} in {:.1} ms",
            times[2],
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    // What the panel reads of a photo when it opens.
    let mut opened: Vec<f64> = (0..200)
        .map(|i| {
            let photo = photos[i * 997 % photos.len()];
            let start = Instant::now();
            let captions = reader.captions(photo).unwrap().len();
            reader.answers(photo).unwrap();
            reader.tags_of(&[photo]).unwrap();
            reader.caption_steps().unwrap();
            assert_eq!(captions, 1);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    opened.sort_by(f64::total_cmp);
    println!("opening the panel: median {:.2} ms, slowest {:.2} ms of 200 photos", opened[100], opened[199]);
    for format in [Format::Jsonl, Format::Csv] {
        let options = Options::new(format, Target::File(dir.path().join("all.out")));
        let (before, start) = (memory_mb("VmRSS"), Instant::now());
        // Linux forgets the peak so far; elsewhere no memory is told.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let report = export::export(&reader, &mut store, &options, &CancelToken::never(), &mut Deaf).unwrap();
        assert_eq!((report.exported, report.failed), (N as u64, 0));
        println!(
            "{format:?}: {:.1} MB in {:.1} s; memory {before:.0} MB before, {:.0} MB at most",
            std::fs::metadata(dir.path().join("all.out")).unwrap().len() as f64 / 1e6,
            start.elapsed().as_secs_f64(),
            memory_mb("VmHWM")
        );
    }
}

struct Deaf;

impl export::Observer for Deaf {
    fn event(&mut self, _: export::Event) {}
}

/// A line of this process's status.
fn memory_mb(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1e3
}

#[test]
fn answers_follow_their_photo_and_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 2);
    let ask = |question: &str| NewAnswer {
        photo: photos[0],
        question: question.into(),
        ranked: vec![Answer { text: "a \"red\" 狗".into(), score: 0.75 }, Answer { text: "no".into(), score: 0.125 }],
        unsure: true,
        pack: "m".into(),
        version: "1".into(),
    };
    store.add_answer(&ask("first")).unwrap().unwrap();
    let second = store.add_answer(&ask("那是什么？")).unwrap().unwrap();
    let reader = store.reader().unwrap();
    let answers = reader.answers(photos[0]).unwrap();
    assert_eq!((answers.len(), answers[1].id, &answers[1].ranked), (2, second, &ask("").ranked));
    assert!(answers[1].unsure && answers[1].question == "那是什么？");
    assert!(reader.answers(photos[1]).unwrap().is_empty());
    assert_eq!(store.remove_answer(second).unwrap(), Some(Some(photos[0])));
    assert_eq!(store.remove_answer(second).unwrap(), None);

    // The folder is forgotten, and comes back.
    let root = reader.folders().unwrap()[0].id;
    store.remove_folder(root).unwrap();
    assert_eq!(store.add_answer(&ask("of nothing")).unwrap(), None);
    let root = store.add_folder(Path::new("/p")).unwrap();
    let back = store.apply(&[indexed(root, 0)]).unwrap()[0].unwrap();
    assert_eq!(reader.answers(back).unwrap()[0].question, "first");
    store.remove_folder(root).unwrap();
    store.purge_kept_captions().unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let back = store.apply(&[indexed(root, 0)]).unwrap()[0].unwrap();
    assert!(reader.answers(back).unwrap().is_empty(), "purged");
}

#[test]
fn a_score_is_of_content_text_and_weights() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, photos) = library(dir.path(), 2);
    let reader = store.reader().unwrap();
    let content = |n: usize| reader.photo(photos[n]).unwrap().unwrap().content;
    let (first, second) = (content(0).unwrap(), content(1));
    store.keep_match_scores("w1", "a dog", &[(first, 0.5)]).unwrap();
    store.keep_match_scores("w1", "a dog", &[(first, 0.25)]).unwrap();
    let known = |weights: &str, text: &str| reader.match_scores(weights, text, &[Some(first), second, None]).unwrap();
    assert_eq!(known("w1", "a dog"), [Some(0.25), None, None]);
    assert_eq!(known("w2", "a dog"), [None; 3]);
    assert_eq!(known("w1", "a Dog"), [None; 3]);
    // Nothing is kept about photos that are forgotten.
    let root = reader.folders().unwrap()[0].id;
    store.remove_folder(root).unwrap();
    assert_eq!(known("w1", "a dog"), [None; 3]);
}
