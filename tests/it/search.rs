//! Searching a library: one path for texts, pictures and photos, kept fresh while others write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use glimpse::domain::{
    BestUnrelated, Calibration, CancelSource, CancelToken, ContentHash, Embedding, FileStamp, FolderId, Matching,
    ModelId, PhotoId, PhotoMeta, Query, Unrelated,
};
use glimpse::models::ModelError;
use glimpse::models::align::{AlignModel, AlignSpec, Pixels, StubAlign};
use glimpse::search::{SearchError, Searcher};
use glimpse::store::{Change, ModelRow, Reader, Store};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A library of one-coloured pictures, and what it takes to search it.
struct Desk {
    _dir: TempDir,
    store: Store,
    reader: Reader,
    root: FolderId,
    searcher: Searcher,
    model: Arc<dyn AlignModel>,
    pictures: PathBuf,
}

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 170, 40]), ("blue", [40, 60, 220]), ("black", [8, 8, 8])];

impl Desk {
    fn empty(model: Arc<dyn AlignModel>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("library.db")).unwrap();
        let pictures = dir.path().join("pictures");
        std::fs::create_dir(&pictures).unwrap();
        let root = store.add_folder(&pictures).unwrap();
        let reader = store.reader().unwrap();
        let searcher = Searcher::new(Arc::clone(&model));
        Self { _dir: dir, store, reader, root, searcher, model, pictures }
    }

    fn with_colours() -> Self {
        let mut desk = Self::empty(Arc::new(StubAlign::default()));
        for (name, colour) in COLOURS {
            desk.add(name, colour);
        }
        desk
    }

    fn model_id(&mut self) -> ModelId {
        self.store.model(&ModelRow::from(self.model.spec())).unwrap()
    }

    fn add(&mut self, name: &str, colour: [u8; 3]) -> PhotoId {
        let path = self.pictures.join(format!("{name}.png"));
        let picture = RgbImage::from_pixel(32, 24, Rgb(colour));
        picture.save(&path).unwrap();
        let pixels = self.model.prepare(&picture).unwrap();
        let embedding = self.model.encode_images(&[pixels]).unwrap().pop().unwrap().unwrap();
        let change = Change::Indexed {
            folder: self.root,
            path,
            stamp: FileStamp { size_bytes: 1, modified_ns: 1, changed_ns: 1, inode: 1 },
            content: ContentHash(*blake3::hash(name.as_bytes()).as_bytes()),
            meta: PhotoMeta::default(),
            embedding: Some((self.model_id(), embedding)),
        };
        self.store.apply(&[change]).unwrap()[0].unwrap()
    }

    fn find(&mut self, query: &Query) -> Result<Vec<String>, SearchError> {
        let found = self.searcher.search(&self.reader, query, 10, &CancelToken::never())?;
        let ids: Vec<PhotoId> = found.hits.iter().map(|hit| hit.photo).collect();
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        Ok(self.reader.photos(&ids).unwrap().iter().map(|photo| stem(&photo.path)).collect())
    }

    fn text(&mut self, text: &str) -> Result<Vec<String>, SearchError> {
        self.find(&Query::Text(text.into()))
    }
}

#[test]
fn words_pictures_and_photos_take_one_path() {
    let mut desk = Desk::with_colours();
    assert_eq!(desk.text("a red wall").unwrap()[0], "red");
    assert_eq!(desk.text("蓝").unwrap()[0], "blue");
    assert_eq!(desk.text("red").unwrap().len(), 4, "always as many hits as there are");
    let elsewhere = desk.pictures.parent().unwrap().join("not in the library.png");
    RgbImage::from_pixel(40, 40, Rgb([30, 165, 40])).save(&elsewhere).unwrap();
    assert_eq!(desk.find(&Query::Image(elsewhere)).unwrap()[0], "green");
    let black = desk.reader.photo_by_path(&desk.pictures.join("black.png")).unwrap().unwrap().id;
    assert_eq!(desk.find(&Query::Photo(black)).unwrap()[0], "black");
    let found = desk.searcher.search(&desk.reader, &Query::Photo(black), 1, &CancelToken::never()).unwrap();
    assert_eq!((found.hits.len(), found.cost.scanned), (1, 4));
    assert!((found.hits[0].score - 1.0).abs() < 1e-2);
}

#[test]
fn what_cannot_be_answered_says_why() {
    let mut desk = Desk::empty(Arc::new(StubAlign::default()));
    for blank in ["", " ", "\u{3000}", "\u{200B}", "。！", "\""] {
        assert!(matches!(desk.text(blank), Err(SearchError::EmptyQuery)), "{blank:?}");
    }
    assert!(matches!(desk.text("red"), Err(SearchError::EmptyLibrary)));
    let red = desk.add("red", [220, 30, 30]);
    assert_eq!(desk.text("red").unwrap(), ["red"]);

    let nowhere = desk.pictures.join("nowhere.jpg");
    match desk.find(&Query::Image(nowhere.clone())) {
        Err(SearchError::Image { skipped }) => assert_eq!(skipped.path, nowhere),
        other => panic!("{other:?}"),
    }
    assert!(matches!(desk.find(&Query::Photo(PhotoId(99))), Err(SearchError::PhotoNotIndexed { .. })));

    // Another model knows nothing of it, even one whose vectors are as long.
    desk.searcher = Searcher::new(Arc::new(StubAlign::new("other")));
    for query in [Query::Text("red".into()), Query::Photo(red)] {
        let error = desk.find(&query).unwrap_err();
        assert!(matches!(&error, SearchError::NotIndexed { model } if model == "other"), "{error:?}");
        assert!(error.to_string().contains("index again"));
    }
    // And back: nothing was lost, nothing has to be done.
    desk.searcher = Searcher::new(Arc::clone(&desk.model));
    assert_eq!(desk.text("red").unwrap(), ["red"]);

    let source = CancelSource::default();
    let old = source.restart();
    source.cancel();
    let cancelled = desk.searcher.search(&desk.reader, &Query::Text("red".into()), 1, &old);
    assert!(matches!(cancelled, Err(SearchError::Cancelled)));
}

#[test]
fn results_follow_what_others_write() {
    let mut desk = Desk::with_colours();
    assert_eq!(desk.text("yellow").unwrap().len(), 4);
    let yellow = desk.add("yellow", [240, 220, 40]);
    assert_eq!(desk.text("yellow").unwrap()[0], "yellow");
    desk.store.apply(&[Change::Missing { photo: yellow }]).unwrap();
    assert!(!desk.text("yellow").unwrap().contains(&"yellow".into()));
    let stamp = FileStamp { size_bytes: 1, modified_ns: 1, changed_ns: 1, inode: 1 };
    desk.store.apply(&[Change::Returned { photo: yellow, stamp }]).unwrap();
    assert_eq!(desk.text("yellow").unwrap()[0], "yellow");
    // Overwritten by another picture.
    let model = desk.model_id();
    let white = desk.model.encode_texts(&["white"]).unwrap().remove(0);
    desk.store.apply(&[Change::Embedded { photo: yellow, model, embedding: white }]).unwrap();
    assert_eq!(desk.text("white").unwrap()[0], "yellow");
    desk.store.remove_folder(desk.root).unwrap();
    assert!(matches!(desk.text("red"), Err(SearchError::EmptyLibrary)));
    assert!(desk.searcher.is_empty());
}

#[test]
fn a_searcher_that_slept_too_long_reads_everything_anew() {
    let mut desk = Desk::with_colours();
    desk.text("red").unwrap();
    let foreign = rusqlite::Connection::open(desk.store.path()).unwrap();
    desk.add("yellow", [240, 220, 40]);
    foreign
        .execute_batch("INSERT INTO changes(seq, photo) VALUES (500000, 1); DELETE FROM changes WHERE seq < 500000")
        .unwrap();
    assert_eq!(desk.text("yellow").unwrap()[0], "yellow");
}

#[test]
fn a_damaged_vector_is_left_out_and_counted() {
    let mut desk = Desk::with_colours();
    desk.text("red").unwrap();
    let red = desk.reader.photo_by_path(&desk.pictures.join("red.png")).unwrap().unwrap().id;
    let dim = desk.model.spec().dim;
    let not_a_number = "7E".repeat(2 * dim);
    let foreign = rusqlite::Connection::open(desk.store.path()).unwrap();
    let sql = format!("UPDATE embeddings SET vector = x'{not_a_number}' WHERE photo = {}", red.0);
    foreign.execute_batch(&sql).unwrap();
    for searcher in [None, Some(Searcher::new(Arc::clone(&desk.model)))] {
        // The one that had it in memory, and one that starts now.
        desk.searcher =
            searcher.unwrap_or_else(|| std::mem::replace(&mut desk.searcher, Searcher::new(Arc::clone(&desk.model))));
        let found = desk.searcher.search(&desk.reader, &Query::Text("red".into()), 9, &CancelToken::never()).unwrap();
        assert_eq!((found.hits.len(), found.left_out), (3, 1));
        assert!(found.hits.iter().all(|hit| hit.photo != red && hit.score.is_finite()));
    }
    assert!(matches!(desk.find(&Query::Photo(red)), Err(SearchError::PhotoNotIndexed { .. })));
}

/// The stub with the calibration that a pack would bring.
struct Calibrated(StubAlign, Calibration);

impl AlignModel for Calibrated {
    fn spec(&self) -> &AlignSpec {
        self.0.spec()
    }
    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        self.0.prepare(photo)
    }
    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        self.0.encode_images(batch)
    }
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        self.0.encode_texts(texts)
    }
    fn calibration(&self) -> Option<&Calibration> {
        Some(&self.1)
    }
    fn device(&self) -> &str {
        "cpu"
    }
}

#[test]
fn a_nonsense_query_does_not_look_confident() {
    let calibration = Calibration {
        unrelated: Unrelated { mean: 0.05, std: 0.05, p99: 0.2 },
        best_of_1000_unrelated: BestUnrelated { p50: 0.5, p95: 0.6 },
        matching: Matching { p5: 0.55, p50: 0.8 },
    };
    let mut desk = Desk::empty(Arc::new(Calibrated(StubAlign::default(), calibration)));
    for (name, colour) in COLOURS {
        desk.add(name, colour);
    }
    let mut judge = |query: Query| desk.searcher.search(&desk.reader, &query, 9, &CancelToken::never()).unwrap();
    let (sense, nonsense) = (judge(Query::Text("red".into())), judge(Query::Text("qwertz asdf".into())));
    assert!(!sense.judgement.nothing_likely && sense.judgement.likely == 1, "{sense:?}");
    assert!(nonsense.judgement.nothing_likely && nonsense.judgement.likely == 0, "{nonsense:?}");
    assert_eq!(nonsense.hits.len(), 4, "the closest are shown all the same");
    // Pictures have scores of their own, which this calibration says nothing about.
    let photo = sense.hits[3].photo;
    assert_eq!(judge(Query::Photo(photo)).judgement.likely, 4);
}
