//! The engine from outside: commands in, events out, with a model that needs no weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use glimpse::config::{Paths, Settings};
use glimpse::device::DeviceRequest;
use glimpse::domain::{Embedding, EmbeddingError, JobId, JobState, PhotoId, Query, RequestId, SkippedReason};
use glimpse::engine::{
    Command, Engine, EngineConfig, Event, Failure, FailureKind, FuseSource, ModelSource, Scope, SearchResults,
};
use glimpse::models::ModelError;
use glimpse::models::align::{AlignModel, AlignSpec, Pixels, StubAlign};
use glimpse::store::{ListScope, Reader, Store};
use image::RgbImage;

use super::photos::{self, BLUE, GREEN, RED};

const PATIENCE: Duration = Duration::from_secs(60);

/// Counts how often the front end was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stub that can be held up: images while `closed`, the text "sea" for a while.
struct Slow {
    inner: StubAlign,
    closed: AtomicBool,
    /// Gives no usable embedding of any picture.
    blind: AtomicBool,
    batches: AtomicUsize,
}

impl Slow {
    fn new(closed: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: StubAlign::default(),
            closed: closed.into(),
            blind: false.into(),
            batches: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        self.closed.store(false, Ordering::Relaxed);
    }
}

impl AlignModel for Slow {
    fn spec(&self) -> &AlignSpec {
        self.inner.spec()
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        self.inner.prepare(photo)
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        // A batch is short: the thread looks for questions in between.
        if self.closed.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(150));
        }
        if self.blind.load(Ordering::Relaxed) {
            return Ok(batch.iter().map(|_| Err(EmbeddingError::NotFinite.into())).collect());
        }
        self.inner.encode_images(batch)
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        if texts.contains(&"sea") {
            thread::sleep(Duration::from_millis(400));
        }
        self.inner.encode_texts(texts)
    }

    fn device(&self) -> &str {
        "cpu"
    }
}

struct World {
    dir: tempfile::TempDir,
    woken: Arc<Woken>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), woken: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn library(&self) -> PathBuf {
        self.path("data/library.db")
    }

    /// Photos of three colours, `n` of each.
    fn photos(&self, n: u32) -> PathBuf {
        for (name, colour) in [("red", RED), ("green", GREEN), ("blue", BLUE)] {
            for i in 0..n {
                photos::write(&self.path(&format!("photos/{name}-{i:03}.png")), colour, i);
            }
        }
        self.path("photos")
    }

    fn try_start(&self, model: Arc<dyn AlignModel>) -> Result<Engine, Failure> {
        let paths = Paths::in_folder(self.dir.path());
        let library = self.library();
        let (settings, device) = (Settings::default(), DeviceRequest::Cpu);
        let config = EngineConfig {
            paths,
            library,
            settings,
            align: ModelSource::Ready(model),
            fuse: FuseSource::default(),
            device,
        };
        Engine::start(config, Waker::from(Arc::clone(&self.woken)))
    }

    fn start(&self) -> Engine {
        self.try_start(Arc::new(StubAlign::default())).unwrap()
    }
}

/// Takes events until one is wanted.
fn wait<T>(engine: &Engine, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match engine.poll() {
            Some(event) => {
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    panic!("no such event in {PATIENCE:?}");
}

/// The end of the running job.
fn job_end(engine: &Engine) -> JobState {
    wait(engine, |event| match event {
        Event::Job(status) if !matches!(status.state, JobState::Running | JobState::Paused) => Some(status.state),
        _ => None,
    })
}

fn job_begin(engine: &Engine) -> JobId {
    wait(engine, |event| match event {
        Event::Job(status) if status.state == JobState::Running => Some(status.id),
        _ => None,
    })
}

fn search(engine: &Engine, id: u64, text: &str) -> Result<SearchResults, Failure> {
    let request = RequestId(id);
    assert!(engine.send(Command::Search {
        request,
        query: Query::Text(text.into()),
        within: None,
        limit: 10,
        rerank: None
    }));
    wait(engine, |event| match event {
        Event::SearchDone { request: answered, result } if answered == request => Some(result),
        _ => None,
    })
}

fn name_of(library: &Path, photo: PhotoId) -> String {
    let photo = Reader::open(library).unwrap().photo(photo).unwrap().unwrap();
    photo.path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_folder_is_added_searched_listed_and_shown() {
    let world = World::new();
    let photos = world.photos(2);
    let engine = world.start();
    let empty = wait(&engine, |event| if let Event::Library(status) = event { Some(status) } else { None });
    assert_eq!((empty.photos, empty.read_only), (0, false));
    assert_eq!(search(&engine, 1, "red").unwrap_err().kind, FailureKind::EmptyLibrary);

    assert!(engine.send(Command::AddFolder(photos.clone())));
    assert_eq!(job_end(&engine), JobState::Done);
    let status = wait(&engine, |event| match event {
        Event::Library(status) if status.photos == 6 => Some(status),
        _ => None,
    });
    assert_eq!((status.folders.len(), &status.folders[0].path, status.folders[0].offline), (1, &photos, false));
    assert!(world.woken.0.load(Ordering::Relaxed) > 0, "the front end was woken");

    let found = search(&engine, 2, "red").unwrap();
    assert_eq!(found.hits.len(), 6);
    assert_eq!(found.cost.scanned, 6);
    assert!(name_of(&world.library(), found.hits[0].photo).starts_with("red"));
    assert_eq!(search(&engine, 3, " \u{3000}").unwrap_err().kind, FailureKind::EmptyQuery);

    let request = RequestId(4);
    engine.send(Command::List { request, scope: Scope::All });
    let listed = wait(&engine, |event| match event {
        Event::Listed { request: answered, result } if answered == request => Some(result.unwrap()),
        _ => None,
    });
    assert_eq!(listed.len(), 6);
    let photo = found.hits[0].photo;
    engine.send(Command::Details { request, photo });
    let details = wait(&engine, |event| if let Event::Details { result, .. } = event { Some(result) } else { None });
    assert_eq!(details.unwrap().photo.meta.width, 64);
    engine.send(Command::Thumbnail(photo));
    let thumb = wait(&engine, |event| if let Event::Thumbnail { result, .. } = event { Some(result) } else { None });
    assert_eq!(thumb.unwrap().image.dimensions(), (64, 48));
    engine.send(Command::Preview { request, photo, max_side: 32 });
    let preview = wait(&engine, |event| if let Event::Preview { result, .. } = event { Some(result) } else { None });
    assert_eq!(preview.unwrap().dimensions(), (32, 24));
}

#[test]
fn a_photo_that_is_gone_still_has_its_thumbnail_and_says_so_in_the_large_view() {
    let world = World::new();
    let photos = world.photos(1);
    let engine = world.start();
    engine.send(Command::AddFolder(photos.clone()));
    job_end(&engine);
    fs::remove_dir_all(&photos).unwrap();
    let photo = Reader::open(&world.library()).unwrap().list(ListScope::All).unwrap()[0];
    engine.send(Command::Thumbnail(photo));
    wait(&engine, |event| if let Event::Thumbnail { result, .. } = event { Some(result) } else { None }).unwrap();
    engine.send(Command::Preview { request: RequestId(1), photo, max_side: 100 });
    let preview = wait(&engine, |event| if let Event::Preview { result, .. } = event { Some(result) } else { None });
    assert_eq!(preview.unwrap_err().kind, FailureKind::Photo);
    // And a rescan of the absent folder marks nothing.
    engine.send(Command::Rescan(None));
    let notice = wait(&engine, |event| if let Event::Notice(failure) = event { Some(failure) } else { None });
    assert_eq!((notice.kind, notice.path), (FailureKind::Folder, Some(photos)));
    assert_eq!(Reader::open(&world.library()).unwrap().counts().unwrap().missing, 0);
}

#[test]
fn only_the_newest_search_is_answered() {
    let world = World::new();
    let photos = world.photos(1);
    let engine = world.try_start(Slow::new(false)).unwrap();
    engine.send(Command::AddFolder(photos));
    job_end(&engine);
    for (id, text) in [(1, "sea"), (2, "sear"), (3, "red")] {
        let (request, query) = (RequestId(id), Query::Text(text.into()));
        engine.send(Command::Search { request, query, within: None, limit: 3, rerank: None });
        thread::sleep(Duration::from_millis(20));
    }
    let mut answered = Vec::new();
    wait(&engine, |event| {
        if let Event::SearchDone { request, .. } = event {
            answered.push(request.0);
        }
        (answered.last() == Some(&3)).then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    while let Some(event) = engine.poll() {
        assert!(!matches!(event, Event::SearchDone { .. }), "a late answer");
    }
    assert_eq!(answered, [3]);
}

#[test]
fn a_search_goes_before_the_indexing() {
    let world = World::new();
    let photos = world.photos(60);
    let model = Slow::new(true);
    let engine = world.try_start(model.clone()).unwrap();
    engine.send(Command::AddFolder(photos));
    // Results come from what is there already, and grow.
    let early = loop {
        if let Ok(found) = search(&engine, 1, "red") {
            break found;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(early.hits.len() <= 10 && early.cost.scanned < 180, "{:?}", early.cost);
    model.open();
    assert_eq!(job_end(&engine), JobState::Done);
    assert_eq!(search(&engine, 2, "red").unwrap().cost.scanned, 180);
}

#[test]
fn a_job_pauses_resumes_and_is_cancelled() {
    let world = World::new();
    let photos = world.photos(80);
    let model = Slow::new(true);
    let engine = world.try_start(model.clone()).unwrap();
    engine.send(Command::AddFolder(photos));
    let job = job_begin(&engine);
    engine.send(Command::PauseJob(job));
    wait(&engine, |event| matches!(event, Event::Job(s) if s.state == JobState::Paused).then_some(()));
    // What was decoded already may still pass, late on a busy machine; then it stands still.
    let before = loop {
        let now = model.batches.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1500));
        if model.batches.load(Ordering::Relaxed) == now {
            break now;
        }
    };
    assert!(before < 15, "all of it passed");
    engine.send(Command::ResumeJob(job));
    wait(&engine, |event| matches!(event, Event::Job(s) if s.state == JobState::Running).then_some(()));
    engine.send(Command::CancelJob(job));
    assert_eq!(job_end(&engine), JobState::Cancelled);
    let kept = Reader::open(&world.library()).unwrap().counts().unwrap().photos;
    assert!(kept < 240);
    model.open();
    engine.send(Command::Rescan(None));
    assert_eq!(job_end(&engine), JobState::Done);
    assert_eq!(Reader::open(&world.library()).unwrap().counts().unwrap().photos, 240);
}

#[test]
fn closing_in_the_middle_of_a_job_is_quick_and_keeps_whole_batches() {
    let world = World::new();
    let photos = world.photos(100);
    let engine = world.try_start(Slow::new(true)).unwrap();
    engine.send(Command::AddFolder(photos));
    wait(&engine, |event| matches!(event, Event::Job(s) if s.progress.done >= 32).then_some(()));
    let closing = Instant::now();
    drop(engine);
    assert!(closing.elapsed() < Duration::from_secs(5), "{:?}", closing.elapsed());
    let reader = Reader::open(&world.library()).unwrap();
    reader.verify().unwrap();
    let kept = reader.counts().unwrap().photos;
    assert!((32..300).contains(&kept), "{kept}");
}

#[test]
fn what_another_program_writes_is_noticed() {
    let world = World::new();
    let photos = world.photos(1);
    let engine = world.start();
    engine.send(Command::AddFolder(photos));
    job_end(&engine);
    wait(&engine, |event| matches!(event, Event::Library(s) if s.photos == 3).then_some(()));
    let mut other = Store::open(&world.library()).unwrap();
    let folder = other.reader().unwrap().folders().unwrap()[0].id;
    other.remove_folder(folder).unwrap();
    wait(&engine, |event| matches!(event, Event::Library(s) if s.photos == 0).then_some(()));
    wait(&engine, |event| matches!(event, Event::PhotosChanged).then_some(()));
    assert_eq!(search(&engine, 1, "red").unwrap_err().kind, FailureKind::EmptyLibrary);
}

#[test]
fn a_locked_library_is_waited_for() {
    let world = World::new();
    let photos = world.photos(20);
    let model = Slow::new(true);
    let engine = world.try_start(model.clone()).unwrap();
    engine.send(Command::AddFolder(photos));
    wait(&engine, |event| matches!(event, Event::Job(s) if s.progress.done >= 16).then_some(()));
    let other = rusqlite::Connection::open(world.library()).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    model.open();
    let notice = wait(&engine, |event| if let Event::Notice(failure) = event { Some(failure) } else { None });
    assert_eq!((notice.kind, notice.path), (FailureKind::LibraryLocked, Some(world.library())));
    wait(&engine, |event| matches!(event, Event::Library(s) if s.read_only).then_some(()));
    assert!(search(&engine, 1, "red").is_ok(), "searching goes on");
    other.execute_batch("COMMIT").unwrap();
    let (mut ended, mut writable) = (None, false);
    wait(&engine, |event| {
        match event {
            Event::Job(status) if status.state != JobState::Running => ended = Some(status.state),
            Event::Library(status) => writable = !status.read_only,
            _ => {}
        }
        (ended.is_some() && writable).then_some(())
    });
    assert_eq!(ended, Some(JobState::Done));
    assert_eq!(Reader::open(&world.library()).unwrap().counts().unwrap().photos, 60);
}

#[test]
fn a_folder_can_be_removed_and_one_that_is_not_there_is_refused() {
    let world = World::new();
    let photos = world.photos(1);
    let engine = world.start();
    engine.send(Command::AddFolder(world.path("nowhere")));
    let notice = wait(&engine, |event| if let Event::Notice(failure) = event { Some(failure) } else { None });
    assert_eq!(notice.kind, FailureKind::Folder);
    engine.send(Command::AddFolder(photos));
    job_end(&engine);
    let folder = Reader::open(&world.library()).unwrap().folders().unwrap()[0].id;
    engine.send(Command::RemoveFolder(folder));
    wait(&engine, |event| matches!(event, Event::Library(s) if s.folders.is_empty()).then_some(()));
}

/// What has not changed is not read again, unless a person asks for just that.
#[test]
fn files_that_failed_are_tried_again_when_a_person_wants() {
    let world = World::new();
    let photos = world.photos(1);
    let model = Slow::new(false);
    model.blind.store(true, Ordering::Relaxed);
    let engine = world.try_start(model.clone()).unwrap();
    engine.send(Command::AddFolder(photos));
    assert_eq!(job_end(&engine), JobState::Done);
    let reader = Reader::open(&world.library()).unwrap();
    let failed = reader.list(ListScope::Failed).unwrap();
    assert_eq!(failed.len(), 3);
    let why = reader.photo(failed[0]).unwrap().unwrap().failure.unwrap();
    assert_eq!(why.reason, SkippedReason::NotFinite);

    model.blind.store(false, Ordering::Relaxed);
    engine.send(Command::Rescan(None));
    assert_eq!(job_end(&engine), JobState::Done);
    assert_eq!(reader.counts().unwrap().failed, 3, "nothing has changed");

    engine.send(Command::TryAgain(failed[..2].to_vec()));
    assert_eq!(job_end(&engine), JobState::Done);
    let counts = reader.counts().unwrap();
    assert_eq!((counts.photos, counts.failed), (2, 1));
    assert_eq!(reader.list(ListScope::Failed).unwrap(), failed[2..]);
    assert_eq!(search(&engine, 1, "red").unwrap().cost.scanned, 2);
    // One that went away meanwhile is no obstacle.
    engine.send(Command::TryAgain(vec![PhotoId(9999), failed[2]]));
    assert_eq!(job_end(&engine), JobState::Done);
    assert_eq!(reader.counts().unwrap().photos, 3);
}

#[test]
fn a_search_looks_through_one_folder_or_all() {
    let world = World::new();
    world.photos(2);
    let apart = world.path("apart");
    photos::write(&apart.join("red-apart.png"), RED, 7);
    photos::write(&apart.join("green-apart.png"), GREEN, 7);
    let engine = world.start();
    for folder in [world.path("photos"), apart.clone()] {
        engine.send(Command::AddFolder(folder));
        assert_eq!(job_end(&engine), JobState::Done);
    }
    let folders = Reader::open(&world.library()).unwrap().folders().unwrap();
    let id = |path: &Path| folders.iter().find(|folder| folder.path == path).unwrap().id;
    let find = |request: u64, query: Query, within| {
        let request = RequestId(request);
        engine.send(Command::Search { request, query, within, limit: 10, rerank: None });
        wait(&engine, |event| match event {
            Event::SearchDone { request: answered, result } if answered == request => Some(result.unwrap()),
            _ => None,
        })
    };
    let names = |found: &SearchResults| -> Vec<String> {
        found.hits.iter().map(|hit| name_of(&world.library(), hit.photo)).collect()
    };
    let red = || Query::Text("red".into());
    assert_eq!(find(1, red(), None).hits.len(), 8);
    let found = find(2, red(), Some(id(&apart)));
    assert_eq!(names(&found), ["red-apart.png", "green-apart.png"]);
    assert_eq!(found.cost.scanned, 2);
    // Like a photo of another folder, in this one.
    let other = find(3, red(), Some(id(&world.path("photos")))).hits[0].photo;
    assert_eq!(names(&find(4, Query::Photo(other), Some(id(&apart))))[0], "red-apart.png");

    // The folder grows, then goes.
    photos::write(&apart.join("blue-apart.png"), BLUE, 7);
    engine.send(Command::Rescan(None));
    assert_eq!(job_end(&engine), JobState::Done);
    assert_eq!(find(5, red(), Some(id(&apart))).cost.scanned, 3);
    engine.send(Command::RemoveFolder(id(&apart)));
    wait(&engine, |event| matches!(event, Event::Library(s) if s.folders.len() == 1).then_some(()));
    let gone = find(6, red(), Some(id(&apart)));
    assert_eq!((gone.hits.len(), gone.cost.scanned), (0, 0));
}

#[test]
fn a_picture_that_cannot_be_searched_by_is_named() {
    let world = World::new();
    let photos = world.photos(1);
    let engine = world.start();
    engine.send(Command::AddFolder(photos));
    job_end(&engine);
    let empty = world.path("empty.jpg");
    fs::write(&empty, b"").unwrap();
    let (request, query) = (RequestId(1), Query::Image(empty.clone()));
    engine.send(Command::Search { request, query, within: None, limit: 3, rerank: None });
    let failure = wait(&engine, |event| match event {
        Event::SearchDone { result, .. } => Some(result.unwrap_err()),
        _ => None,
    });
    assert_eq!((failure.kind, failure.path), (FailureKind::QueryPicture, Some(empty)));
    assert_eq!(failure.skipped[0].reason, SkippedReason::Empty);
}

#[test]
fn a_file_that_is_no_library_is_refused_and_left_alone() {
    let world = World::new();
    fs::create_dir_all(world.library().parent().unwrap()).unwrap();
    fs::write(world.library(), "a shopping list").unwrap();
    let failure = world.try_start(Arc::new(StubAlign::default())).map(drop).unwrap_err();
    assert_eq!((failure.kind, failure.path), (FailureKind::NotALibrary, Some(world.library())));
    assert_eq!(fs::read(world.library()).unwrap(), b"a shopping list");
}
