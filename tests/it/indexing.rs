//! Whole indexing runs over real files, with a model that needs no weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use glimpse::domain::{Embedding, PhotoId, Progress, Query, SkippedReason};
use glimpse::indexing::{Encoder, IndexError, JobControl, Library, Observer, Report, Root, RootProblem, Run};
use glimpse::media::ThumbnailCache;
use glimpse::media::walk::WalkOptions;
use glimpse::models::ModelError;
use glimpse::models::align::{AlignModel, Pixels, StubAlign};
use glimpse::search::Searcher;
use glimpse::store::{Change, ListScope, ModelRow, Reader, Store, StoreError};

use super::photos::{self, BLUE, GREEN, RED};

struct Quiet;

impl Observer for Quiet {
    fn progress(&mut self, _: Progress) {}
}

/// A library and a photo folder in a temporary place.
struct World {
    dir: tempfile::TempDir,
    store: Store,
    model: StubAlign,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("photos")).unwrap();
        let store = Store::open(&dir.path().join("library.db")).unwrap();
        Self { dir, store, model: StubAlign::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn photo(&self, name: &str, colour: [u8; 3], seed: u32) -> PathBuf {
        let path = self.path("photos").join(name);
        photos::write(&path, colour, seed);
        path
    }

    fn index(&mut self) -> Report {
        let roots = [self.path("photos")];
        self.index_with(&roots, &JobControl::new(), None).unwrap()
    }

    fn index_with(
        &mut self,
        roots: &[PathBuf],
        control: &JobControl,
        encoder: Option<&mut dyn Encoder>,
    ) -> Result<Report, IndexError> {
        let roots: Vec<Root> = roots
            .iter()
            .map(|path| Root { folder: self.store.add_folder(path).unwrap(), path: path.clone() })
            .collect();
        let model: &dyn AlignModel = &self.model;
        let model_id = self.store.model(&ModelRow::from(model.spec())).unwrap();
        let reader = self.store.reader().unwrap();
        let run = Run {
            roots: &roots,
            model,
            model_id,
            walk: &WalkOptions::default(),
            thumbnails: &ThumbnailCache::new(self.dir.path().join("thumbnails")),
            control,
            decode_threads: 2,
        };
        let mut plain = model;
        match encoder {
            Some(encoder) => run.run(&reader, encoder, &mut self.store, &mut Quiet),
            None => run.run(&reader, &mut plain, &mut self.store, &mut Quiet),
        }
    }

    fn reader(&self) -> Reader {
        self.store.reader().unwrap()
    }

    fn id(&self, path: &Path) -> PhotoId {
        self.reader().photo_by_path(path).unwrap().unwrap().id
    }

    /// The best photo for a text, by path.
    fn best(&self, text: &str) -> PathBuf {
        let reader = self.reader();
        let mut searcher = Searcher::load(std::sync::Arc::new(self.model.clone()), &reader).unwrap();
        let never = glimpse::domain::CancelToken::never();
        let found = searcher.search(&reader, &Query::Text(text.into()), 1, &never).unwrap();
        reader.photo(found.hits[0].photo).unwrap().unwrap().path
    }
}

fn counts(report: &Report) -> [u64; 5] {
    [report.indexed, report.unchanged, report.moved, report.missing, report.skipped.len() as u64]
}

#[test]
fn a_folder_is_taken_in_once_and_found_by_words() {
    let mut world = World::new();
    let red = world.photo("red.png", RED, 1);
    let blue = world.photo("deep/below/blue.jpg", BLUE, 2);
    world.photo(".hidden.png", GREEN, 3);
    assert_eq!(counts(&world.index()), [2, 0, 0, 0, 0]);
    assert_eq!((world.best("red"), world.best("蓝")), (red, blue));
    let again = world.index();
    assert_eq!(counts(&again), [0, 2, 0, 0, 0]);
    assert_eq!(again.stages.encode, 0.0, "nothing went through the tower");
}

#[test]
fn changes_moves_and_disappearances_are_followed() {
    let mut world = World::new();
    let (a, b, c) = (world.photo("a.png", RED, 1), world.photo("b.png", BLUE, 2), world.photo("c.png", GREEN, 3));
    world.index();
    let ids = [&a, &b, &c].map(|path| world.id(path));

    photos::write(&a, GREEN, 9);
    let moved = world.path("photos/sub/renamed.png");
    fs::create_dir(moved.parent().unwrap()).unwrap();
    fs::rename(&b, &moved).unwrap();
    let away = world.path("c.away");
    fs::rename(&c, &away).unwrap();
    assert_eq!(counts(&world.index()), [1, 0, 1, 1, 0]);
    assert_eq!([world.id(&a), world.id(&moved)], [ids[0], ids[1]]);
    assert_eq!(world.best("blue"), moved);
    assert_eq!(world.reader().list(ListScope::Missing).unwrap(), [ids[2]]);

    fs::rename(&away, &c).unwrap();
    assert_eq!(counts(&world.index()), [0, 3, 0, 0, 0]);
    assert_eq!(world.id(&c), ids[2]);
}

#[test]
fn names_in_a_ring_are_turned_without_a_new_embedding() {
    let mut world = World::new();
    let paths: Vec<_> = (0..3).map(|n| world.photo(&format!("{n}.png"), RED, n)).collect();
    world.index();
    let ids: Vec<_> = paths.iter().map(|path| world.id(path)).collect();
    let aside = world.path("aside");
    fs::rename(&paths[0], &aside).unwrap();
    fs::rename(&paths[1], &paths[0]).unwrap();
    fs::rename(&paths[2], &paths[1]).unwrap();
    fs::rename(&aside, &paths[2]).unwrap();
    assert_eq!(counts(&world.index()), [0, 0, 3, 0, 0]);
    let turned: Vec<_> = paths.iter().map(|path| world.id(path)).collect();
    assert_eq!(turned, [ids[1], ids[2], ids[0]]);
}

#[test]
#[cfg(unix)]
fn names_that_look_alike_stay_apart() {
    let mut world = World::new();
    // é composed and decomposed; two folders that differ in case alone.
    let composed = world.photo("\u{e9}.png", RED, 1);
    world.photo("e\u{301}.png", GREEN, 2);
    world.photo("Trip/1.png", BLUE, 3);
    world.photo("trip/1.png", BLUE, 4);
    assert_eq!(world.index().indexed, 4);
    let id = world.id(&composed);
    fs::remove_file(world.path("photos/e\u{301}.png")).unwrap();
    world.index();
    fs::rename(&composed, world.path("photos/e\u{301}.png")).unwrap();
    let report = world.index();
    assert_eq!((report.moved, report.indexed), (1, 0));
    assert_eq!(world.id(&world.path("photos/e\u{301}.png")), id);
}

#[test]
fn an_absent_or_emptied_root_costs_nothing() {
    let mut world = World::new();
    for n in 0..3 {
        world.photo(&format!("{n}.png"), RED, n);
    }
    let other = world.path("other/x.png");
    photos::write(&other, BLUE, 9);
    let roots = [world.path("photos"), world.path("other")];
    let index = |world: &mut World| world.index_with(&roots, &JobControl::new(), None).unwrap();
    assert_eq!(index(&mut world).indexed, 4);

    let away = world.path("away");
    fs::rename(&roots[0], &away).unwrap();
    let report = index(&mut world);
    assert_eq!(counts(&report), [0, 1, 0, 0, 0]);
    assert_eq!(report.problems, [RootProblem::Offline(roots[0].clone())]);

    fs::create_dir(&roots[0]).unwrap();
    let report = index(&mut world);
    assert_eq!(counts(&report), [0, 1, 0, 0, 0]);
    assert_eq!(report.problems, [RootProblem::Emptied { path: roots[0].clone(), photos: 3 }]);
    assert_eq!(world.reader().counts().unwrap().missing, 0);

    fs::remove_dir(&roots[0]).unwrap();
    fs::rename(&away, &roots[0]).unwrap();
    let report = index(&mut world);
    assert_eq!(counts(&report), [0, 4, 0, 0, 0]);
    assert!(report.problems.is_empty());
}

#[test]
fn a_root_that_was_renamed_takes_its_photos_along() {
    let mut world = World::new();
    for n in 0..3 {
        world.photo(&format!("{n}.png"), RED, n);
    }
    world.index();
    let renamed = world.path("renamed");
    fs::rename(world.path("photos"), &renamed).unwrap();
    let report = world.index_with(&[renamed], &JobControl::new(), None).unwrap();
    assert_eq!(counts(&report), [0, 0, 3, 0, 0]);
}

#[test]
fn a_root_inside_another_is_looked_through_once() {
    let mut world = World::new();
    world.photo("a.png", RED, 1);
    world.photo("inner/b.png", BLUE, 2);
    world.index();
    let inner = world.path("photos/inner");
    assert_eq!(counts(&world.index_with(&[inner], &JobControl::new(), None).unwrap()), [0, 1, 0, 0, 0]);
    world.photo("inner/c.png", GREEN, 3);
    assert_eq!(counts(&world.index()), [1, 2, 0, 0, 0], "the outer root means the inner one too");
}

#[test]
fn bad_files_are_listed_and_wait_until_they_change() {
    let mut world = World::new();
    world.photo("good.png", RED, 1);
    let bad = world.path("photos/bad.jpg");
    fs::write(world.path("photos/empty.jpg"), b"").unwrap();
    fs::write(&bad, b"no picture at all, only words").unwrap();
    let whole = fs::read(world.photo("cut.jpg", BLUE, 2)).unwrap();
    fs::write(world.path("photos/cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    let report = world.index();
    assert_eq!(counts(&report), [1, 0, 0, 0, 3]);
    let reasons: Vec<_> = report.skipped.iter().map(|s| (s.path.file_name().unwrap().to_owned(), s.reason)).collect();
    assert_eq!(reasons[0], ("bad.jpg".into(), SkippedReason::Unsupported));
    assert_eq!(reasons[1], ("cut.jpg".into(), SkippedReason::Damaged));
    assert_eq!(reasons[2], ("empty.jpg".into(), SkippedReason::Empty));

    let again = world.index();
    assert_eq!(counts(&again), [0, 1, 0, 0, 3]);
    assert_eq!(again.stages.decode, 0.0, "nothing was tried again");

    fs::copy(world.path("photos/good.png"), &bad).unwrap();
    assert_eq!(counts(&world.index()), [1, 1, 0, 0, 2], "a PNG is read by its content, whatever its name");
}

#[test]
fn two_models_live_side_by_side() {
    let mut world = World::new();
    for n in 0..3 {
        world.photo(&format!("{n}.png"), RED, n);
    }
    world.index();
    let reader = world.reader();
    let first = ModelRow::from(world.model.spec());
    world.model = StubAlign::new("other");
    let report = world.index();
    assert_eq!((report.indexed, report.unchanged), (3, 0));
    let embedded: Vec<_> = reader.models().unwrap().iter().map(|m| m.embedded).collect();
    assert_eq!(embedded, [3, 3]);
    assert!(reader.find_model(&first).unwrap().is_some());
    world.model = StubAlign::default();
    assert_eq!(counts(&world.index()), [0, 3, 0, 0, 0], "going back costs nothing");
}

/// Cancels, or fails, after some batches.
struct Faulty<'a> {
    model: &'a StubAlign,
    calls: usize,
    then: &'a dyn Fn(usize) -> Option<ModelError>,
}

impl Encoder for Faulty<'_> {
    fn encode(&mut self, batch: Vec<Pixels>) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        self.calls += 1;
        match (self.then)(self.calls) {
            Some(error) => Err(error),
            None => self.model.encode_images(&batch),
        }
    }
}

#[test]
fn a_cancelled_run_keeps_what_it_has_and_the_next_goes_on() {
    let mut world = World::new();
    for n in 0..100 {
        world.photo(&format!("{n:03}.png"), RED, n);
    }
    let roots = [world.path("photos")];
    let control = JobControl::new();
    let model = world.model.clone();
    let cancel_third = |call| {
        if call == 3 {
            control.cancel();
        }
        None
    };
    let mut faulty = Faulty { model: &model, calls: 0, then: &cancel_third };
    let report = world.index_with(&roots, &control, Some(&mut faulty)).unwrap();
    assert!(report.cancelled);
    assert!((1..=48).contains(&report.indexed), "{}", report.indexed);
    let kept = world.reader().counts().unwrap();
    assert_eq!((kept.photos, kept.missing), (report.indexed, 0));
    let rest = world.index();
    assert_eq!((rest.indexed, rest.unchanged), (100 - report.indexed, report.indexed));
}

#[test]
fn a_failing_model_ends_the_run_with_its_reason() {
    let mut world = World::new();
    for n in 0..40 {
        world.photo(&format!("{n:03}.png"), RED, n);
    }
    let roots = [world.path("photos")];
    let model = world.model.clone();
    let fail_second = |call| (call == 2).then(|| ModelError::Device("gone".into()));
    let mut faulty = Faulty { model: &model, calls: 0, then: &fail_second };
    let error = world.index_with(&roots, &JobControl::new(), Some(&mut faulty)).unwrap_err();
    assert!(matches!(error, IndexError::Model(_)), "{error}");
    let kept = world.reader().counts().unwrap().photos;
    assert!((1..=16).contains(&kept), "the first batch was committed: {kept}");
}

/// Gives NaN for one picture.
struct NotFinite<'a>(&'a StubAlign, AtomicUsize);

impl Encoder for NotFinite<'_> {
    fn encode(&mut self, batch: Vec<Pixels>) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        let mut vectors = self.0.encode_images(&batch)?;
        if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
            vectors[0] = Embedding::new(vec![f32::NAN]).map_err(ModelError::from);
        }
        Ok(vectors)
    }
}

#[test]
fn a_vector_that_is_not_finite_is_never_stored() {
    let mut world = World::new();
    world.photo("a.png", RED, 1);
    let roots = [world.path("photos")];
    let model = world.model.clone();
    let report =
        world.index_with(&roots, &JobControl::new(), Some(&mut NotFinite(&model, AtomicUsize::new(0)))).unwrap();
    assert_eq!(report.skipped[0].reason, SkippedReason::NotFinite);
    assert_eq!(world.reader().counts().unwrap().failed, 1);
}

/// A disk that is full from the start.
struct Full;

impl Library for Full {
    fn apply(&mut self, _: Vec<Change>) -> Result<(), StoreError> {
        Err(StoreError::DiskFull { path: "library.db".into() })
    }
}

#[test]
fn a_full_disk_ends_the_run_and_does_not_hang_it() {
    let mut world = World::new();
    for n in 0..200 {
        world.photo(&format!("{n:03}.png"), RED, n);
    }
    let path = world.path("photos");
    let roots = [Root { folder: world.store.add_folder(&path).unwrap(), path }];
    let model: &dyn AlignModel = &world.model;
    let run = Run {
        roots: &roots,
        model,
        model_id: world.store.model(&ModelRow::from(model.spec())).unwrap(),
        walk: &WalkOptions::default(),
        thumbnails: &ThumbnailCache::new(world.path("thumbnails")),
        control: &JobControl::new(),
        decode_threads: 2,
    };
    let mut encoder = model;
    let error = run.run(&world.reader(), &mut encoder, &mut Full, &mut Quiet).unwrap_err();
    assert!(matches!(error, IndexError::Store(StoreError::DiskFull { .. })), "{error}");
}
