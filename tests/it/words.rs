//! Words through the engine: captions, answers, matches, batches, undo; with a stub model.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use glimpse::config::{Paths, Settings};
use glimpse::device::DeviceRequest;
use glimpse::domain::{
    CancelToken, CaptionSource, CaptionState, JobId, JobKind, JobState, PhotoId, Query, RequestId, Rewording,
};
use glimpse::engine::{
    CaptionOptions, Chosen, Command, Engine, EngineConfig, Event, FailureKind, FuseSource, FuseStatus, ModelSource,
    PhotoWords, Scope,
};
use glimpse::export::{Format, Options, Target};
use glimpse::models::ModelError;
use glimpse::models::align::StubAlign;
use glimpse::models::fuse::{Answers, CaptionRequest, Draft, FuseModel, FuseSpec, Regions, StubFuse};
use glimpse::store::{CaptionAct, Reader};
use image::RgbImage;

use super::photos::{self, BLUE, GREEN, RED};

const PATIENCE: Duration = Duration::from_secs(60);
/// How a child of a test knows its folder.
const FOLDER: &str = "GLIMPSE_TEST_FOLDER";

/// The stub, counting and taking its time.
#[derive(Default)]
struct Slow {
    inner: StubFuse,
    delay: Duration,
    looks: AtomicUsize,
    pairs: AtomicUsize,
}

impl FuseModel for Slow {
    fn spec(&self) -> &FuseSpec {
        self.inner.spec()
    }

    fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.look(photo)
    }

    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError> {
        let mut slowly = |text: &str| {
            sink(text);
            thread::sleep(self.delay / 3);
        };
        self.inner.caption(picture, request, &mut slowly, cancel)
    }

    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError> {
        self.inner.answer(picture, question, top)
    }

    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        self.pairs.fetch_add(pairs.len(), Ordering::Relaxed);
        self.inner.match_scores(pairs)
    }
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

fn start(folder: &std::path::Path, fuse: FuseSource) -> Engine {
    let paths = Paths::in_folder(folder);
    let (settings, device) = (Settings::default(), DeviceRequest::Cpu);
    let library = folder.join("data/library.db");
    let align = ModelSource::Ready(Arc::new(StubAlign::default()));
    Engine::start(EngineConfig { paths, library, settings, align, fuse, device }, Waker::from(Arc::new(Nothing)))
        .unwrap()
}

/// A library with photos, an engine over it, and its model.
struct World {
    dir: tempfile::TempDir,
    model: Arc<Slow>,
    engine: Option<Engine>,
    ids: Vec<PhotoId>,
}

impl World {
    /// `n` photos each of red, green and blue.
    fn new(n: u32, delay: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, colour) in [("red", RED), ("green", GREEN), ("blue", BLUE)] {
            for i in 0..n {
                photos::write(&dir.path().join(format!("photos/{name}-{i:03}.png")), colour, i);
            }
        }
        let model = Arc::new(Slow { delay, ..Slow::default() });
        let mut world = Self { dir, model, engine: None, ids: Vec::new() };
        world.restart();
        assert!(world.send(Command::AddFolder(world.dir.path().join("photos"))));
        world.job_end();
        let reader = world.reader();
        let mut photos: Vec<_> = reader.photos_after(None, 10_000).unwrap();
        photos.sort_by_key(|photo| photo.path.clone());
        world.ids = photos.into_iter().map(|photo| photo.id).collect();
        assert_eq!(world.ids.len(), 3 * n as usize);
        world
    }

    fn restart(&mut self) {
        self.engine = None;
        self.engine = Some(start(self.dir.path(), FuseSource::Ready(self.model.clone())));
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.dir.path().join("data/library.db")).unwrap()
    }

    fn send(&self, command: Command) -> bool {
        self.engine.as_ref().unwrap().send(command)
    }

    /// Takes events until one is wanted.
    fn wait<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.engine.as_ref().unwrap().poll() {
                Some(event) => {
                    if let Some(found) = wanted(event) {
                        return found;
                    }
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("no such event in {PATIENCE:?}");
    }

    fn job_end(&self) -> JobState {
        self.wait(|event| match event {
            Event::Job(status) if !matches!(status.state, JobState::Running | JobState::Paused) => Some(status.state),
            _ => None,
        })
    }

    fn job_begin(&self) -> JobId {
        self.wait(|event| match event {
            Event::Job(status) if status.state == JobState::Running && matches!(status.kind, JobKind::Caption(_)) => {
                Some(status.id)
            }
            _ => None,
        })
    }

    fn words(&self, photo: PhotoId) -> PhotoWords {
        self.send(Command::Words { request: RequestId(999), photo });
        self.wait(|event| match event {
            Event::Words { request: RequestId(999), result, .. } => Some(*result.unwrap()),
            _ => None,
        })
    }

    /// A command that changes words, done.
    fn change(&self, command: Command) {
        self.send(command);
        self.wait(|event| matches!(event, Event::WordsChanged(_)).then_some(()));
    }

    fn all(&self, missing_only: bool) -> Command {
        let photos = Chosen::Scope(Scope::All);
        Command::CaptionPhotos { photos, options: CaptionOptions::default(), missing_only }
    }

    fn drafts(&self) -> usize {
        self.reader().captions_of(&self.ids).unwrap().iter().map(Vec::len).sum()
    }
}

fn done<T>(world: &World, wanted: impl Fn(Event) -> Option<T>) -> T {
    world.wait(wanted)
}

#[test]
fn a_caption_grows_is_accepted_edited_and_undone_after_a_restart() {
    let mut world = World::new(1, Duration::ZERO);
    let (request, photo) = (RequestId(1), world.ids[2]);
    world.send(Command::Caption {
        request,
        photo,
        options: CaptionOptions { lang: "en".into(), ..Default::default() },
    });
    let mut grown = Vec::new();
    let candidates = world.wait(|event| match event {
        Event::CaptionGrew { request: RequestId(1), text, .. } => {
            grown.push(text);
            None
        }
        Event::CaptionDone { request: RequestId(1), result, .. } => Some(result.unwrap()),
        _ => None,
    });
    assert_eq!(grown, ["a", "a red", "a red picture"]);
    assert_eq!((candidates.len(), candidates[0].text.as_str()), (1, "a red picture"));
    assert!(world.words(photo).captions.is_empty(), "nothing is kept unasked");

    let candidate = Box::new(candidates[0].clone());
    world.change(Command::KeepCaption { photo, candidate, state: CaptionState::Draft });
    let draft = world.words(photo).captions[0].clone();
    assert!(
        matches!(&draft.source, CaptionSource::Model { pack, settings, .. } if pack == "stub-fuse" && settings.contains("beam"))
    );
    world.change(Command::SetCaptionState { caption: draft.id, state: CaptionState::Accepted });
    world.change(Command::EditCaption { caption: draft.id, text: " my red wall ".into() });
    let mine = world.words(photo).captions[0].clone();
    assert_eq!(
        (mine.text.as_str(), &mine.source, mine.state),
        ("my red wall", &CaptionSource::Person, CaptionState::Accepted)
    );
    world.send(Command::Thumbnail(photo));
    let shown =
        done(&world, |event| if let Event::Thumbnail { result, .. } = event { result.unwrap().caption } else { None });
    assert_eq!(shown, "my red wall");

    world.restart();
    let steps = done(&world, |event| if let Event::Steps(steps) = event { Some(steps) } else { None });
    assert_eq!((steps.undo, steps.redo), (Some(CaptionAct::Edited), None));
    world.change(Command::UndoCaptions);
    assert_eq!(world.words(photo).captions[0].text, "a red picture");
    world.change(Command::RedoCaptions);
    assert_eq!(world.words(photo).captions[0].text, "my red wall");
    world.send(Command::WriteCaption { photo, lang: "zh".into(), text: " \u{3000}".into() });
    let blank = done(&world, |event| if let Event::Notice(failure) = event { Some(failure.kind) } else { None });
    assert_eq!(blank, FailureKind::EmptyQuery);
    world.change(Command::RemoveCaption(mine.id));
    assert!(world.words(photo).captions.is_empty());
}

#[test]
fn a_stopped_caption_keeps_what_is_there() {
    let world = World::new(1, Duration::from_millis(600));
    let (request, photo) = (RequestId(1), world.ids[0]);
    world.send(Command::Caption { request, photo, options: CaptionOptions::default() });
    world.wait(|event| matches!(event, Event::CaptionGrew { .. }).then_some(()));
    world.send(Command::StopCaption);
    let kept =
        done(&world, |event| if let Event::CaptionDone { result, .. } = event { Some(result.unwrap()) } else { None });
    assert!(kept.len() == 1 && !kept[0].ended && kept[0].text.starts_with('a'), "{kept:?}");
}

#[test]
fn two_questions_cost_one_look_and_are_kept_as_a_conversation() {
    let mut world = World::new(1, Duration::ZERO);
    let photo = world.ids[0];
    let ask = |world: &World, question: &str| {
        world.send(Command::Ask { request: RequestId(5), photo, question: question.into() });
        done(world, |event| if let Event::AskDone { result, .. } = event { Some(result.unwrap()) } else { None })
    };
    let first = ask(&world, "what colour is it");
    assert_eq!((first.ranked[0].text.as_str(), first.unsure, first.refused), ("blue", false, None));
    assert!(ask(&world, "who is it").unsure);
    assert_eq!(world.model.looks.load(Ordering::Relaxed), 1, "one image pass serves both");
    let refused = ask(&world, "что это");
    assert!(refused.refused.is_some() && refused.ranked.is_empty() && refused.id.is_none());
    world.restart();
    let answers = world.words(photo).answers;
    let questions: Vec<&str> = answers.iter().map(|answer| answer.question.as_str()).collect();
    assert_eq!(questions, ["what colour is it", "who is it"]);
    assert_eq!((answers[0].ranked.len(), answers[0].pack.as_str()), (5, "stub-fuse"));
    assert_eq!(answers[0].ranked, first.ranked);
    world.change(Command::RemoveAnswer(answers[0].id));
    assert_eq!(world.words(photo).answers.len(), 1);
}

#[test]
fn a_sentence_is_matched_by_both_families_once() {
    let world = World::new(1, Duration::ZERO);
    let photo = world.ids[2];
    let score = |text: &str| {
        world.send(Command::Match { request: RequestId(6), photo, text: text.into() });
        done(&world, |event| if let Event::MatchDone { result, .. } = event { Some(result) } else { None })
    };
    let scores = score("something red").unwrap();
    assert!(scores.align.unwrap().share > 0.0);
    assert_eq!(scores.fuse.unwrap(), 0.9);
    assert_eq!(score(" something red ").unwrap().fuse.unwrap(), 0.9);
    assert_eq!(world.model.pairs.load(Ordering::Relaxed), 1, "the score is kept");
    assert_eq!(score("\u{3000}").unwrap_err().kind, FailureKind::EmptyQuery);
}

#[test]
fn a_search_is_judged_and_its_scores_are_kept() {
    let mut world = World::new(2, Duration::ZERO);
    let search = |world: &World, id: u64| {
        let (request, query) = (RequestId(id), Query::Text("red".into()));
        world.send(Command::Search { request, query, within: None, limit: 6, rerank: Some(4) });
        let mut found = None;
        world.wait(|event| match event {
            Event::SearchDone { request: answered, result } if answered == request => {
                found = Some(result.unwrap());
                None
            }
            Event::Reranked { request: answered, result } if answered == request => Some(result.unwrap()),
            _ => None,
        });
        found.unwrap()
    };
    let request = RequestId(20);
    let found = search(&world, 20);
    let judged = |world: &World, id: u64| {
        let (request, query) = (RequestId(id), Query::Text("red".into()));
        world.send(Command::Search { request, query, within: None, limit: 6, rerank: Some(4) });
        world.wait(|event| match event {
            Event::Reranked { request: answered, result } if answered == request => Some(result.unwrap()),
            _ => None,
        })
    };
    assert_eq!((found.hits.len(), request), (6, RequestId(20)));
    let again = judged(&world, 21);
    assert_eq!((again.judged, again.known, again.unseen), (0, 4, 0));
    assert_eq!(again.hits.iter().filter(|hit| hit.match_score.is_some()).count(), 4);
    assert_eq!(world.model.pairs.load(Ordering::Relaxed), 4);
    world.restart();
    assert_eq!(judged(&world, 22).known, 4, "across restarts");
    // Another content, another score to be asked for.
    let red = world.dir.path().join("photos/red-000.png");
    photos::write(&red, RED, 77);
    world.send(Command::Rescan(None));
    world.job_end();
    let changed = judged(&world, 23);
    assert_eq!((changed.judged, changed.known), (1, 3));
}

#[test]
fn a_batch_is_held_cancelled_begun_again_and_undone_as_one() {
    let mut world = World::new(4, Duration::from_millis(60));
    let mine = world.ids[0];
    world.change(Command::WriteCaption { photo: mine, lang: "en".into(), text: "by hand".into() });
    assert!(world.send(world.all(false)));
    let job = world.job_begin();
    let mut seen = 0;
    world.wait(|event| {
        seen += usize::from(matches!(event, Event::BatchCaption { .. }));
        (seen == 2).then_some(())
    });
    world.send(Command::PauseJob(job));
    world.wait(|event| matches!(event, Event::Job(status) if status.state == JobState::Paused).then_some(()));
    // A question is answered while the batch is held.
    world.send(Command::Ask { request: RequestId(1), photo: mine, question: "what colour".into() });
    world.wait(|event| matches!(event, Event::AskDone { .. }).then_some(()));
    let held = world.drafts();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(world.drafts(), held, "a batch that is held writes nothing");
    world.send(Command::ResumeJob(job));
    world.wait(|event| matches!(event, Event::BatchCaption { .. }).then_some(()));
    world.send(Command::CancelJob(job));
    assert_eq!(world.job_end(), JobState::Cancelled);
    let so_far = world.drafts() - 1;
    assert!((3..12).contains(&so_far), "{so_far}");

    assert!(world.send(world.all(true)));
    assert_eq!(world.job_end(), JobState::Done);
    assert_eq!(world.drafts(), 12, "the one by hand is not described again");
    let captions = world.words(mine).captions;
    assert!(captions.iter().any(|caption| caption.text == "by hand"));
    world.restart();
    world.change(Command::UndoCaptions);
    assert_eq!(world.drafts(), so_far + 1, "the second run, as one step");
    world.change(Command::UndoCaptions);
    assert_eq!(world.drafts(), 1);
    world.change(Command::RedoCaptions);
    world.change(Command::RedoCaptions);
    assert_eq!(world.drafts(), 12);
}

#[test]
fn what_is_undone_under_a_batch_stays_undone() {
    let world = World::new(3, Duration::from_millis(60));
    assert!(world.send(world.all(false)));
    let mut seen = 0;
    world.wait(|event| {
        seen += usize::from(matches!(event, Event::BatchCaption { .. }));
        (seen == 3).then_some(())
    });
    world.send(Command::UndoCaptions);
    assert_eq!(world.job_end(), JobState::Done);
    let left = world.drafts();
    assert!(left > 0 && left <= 6, "{left}");
    world.change(Command::UndoCaptions);
    assert_eq!(world.drafts(), 0, "what came after the undo is a step of its own");
}

/// Run by the test below in a process of its own.
#[test]
#[ignore = "the child of another test"]
fn child_that_captions() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let model = Slow { delay: Duration::from_millis(60), ..Slow::default() };
    let engine = start(&folder, FuseSource::Ready(Arc::new(model)));
    let photos = Chosen::Scope(Scope::All);
    engine.send(Command::CaptionPhotos { photos, options: CaptionOptions::default(), missing_only: false });
    thread::sleep(PATIENCE);
}

#[test]
fn a_killed_batch_goes_on_where_it_was() {
    let mut world = World::new(6, Duration::ZERO);
    let mine = world.ids[3];
    world.change(Command::WriteCaption { photo: mine, lang: "en".into(), text: "accepted by me".into() });
    world.engine = None;
    for (round, enough) in [(0, 4), (1, 9)] {
        let mut child = Process::new(std::env::current_exe().unwrap());
        child.args(["words::child_that_captions", "--exact", "--ignored"]).env(FOLDER, world.dir.path());
        // The second child finds the first one's batch, and does not begin with its own before that is done.
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while world.drafts() < enough {
            assert!(Instant::now() < until, "round {round}");
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        world.reader().verify().unwrap();
        let captions = world.reader().captions(mine).unwrap();
        assert!(captions.iter().any(|caption| caption.text == "accepted by me"), "{captions:?}");
    }
    let before = world.drafts();
    assert!(before < 19);
    let looked = world.model.looks.load(Ordering::Relaxed);
    world.restart();
    assert_eq!(world.job_end(), JobState::Done);
    assert_eq!(world.drafts(), 19, "each once, and the one by hand");
    let looks = world.model.looks.load(Ordering::Relaxed) - looked;
    assert!(looks <= 19 - before, "{looks} looks for {} photos", 19 - before);
    assert!(world.reader().unfinished_jobs().unwrap().is_empty());
    world.change(Command::UndoCaptions);
    assert_eq!(world.drafts(), 1, "one step over both crashes");
}

#[test]
fn many_captions_are_reworded_as_one_step_after_a_preview() {
    let world = World::new(2, Duration::ZERO);
    world.send(world.all(false));
    world.job_end();
    world.change(Command::WriteCaption { photo: world.ids[0], lang: "en".into(), text: "My PICTURE".into() });
    world.change(Command::WriteCaption { photo: world.ids[0], lang: "zh".into(), text: "picture 图".into() });
    let reword = |rewording: Rewording, dry_run: bool| {
        let (request, photos, lang) = (RequestId(8), Chosen::Scope(Scope::All), Some("en".into()));
        world.send(Command::Reword { request, photos, lang, rewording, dry_run });
        done(&world, |event| if let Event::RewordDone { result, .. } = event { Some(result.unwrap()) } else { None })
    };
    let replace = Rewording::Replace { find: "picture".into(), with: "photo".into(), match_case: false };
    let preview = reword(replace.clone(), true);
    assert_eq!((preview.changed, preview.looked_at, preview.shown.len()), (7, 7, 7));
    assert!(preview.shown.iter().any(|r| (r.before.as_str(), r.after.as_str()) == ("My PICTURE", "My photo")));
    assert_eq!(world.words(world.ids[0]).captions[1].text, "My PICTURE", "a preview changes nothing");
    assert_eq!(reword(replace, false).changed, 7);
    let captions = world.words(world.ids[0]).captions;
    let texts: Vec<(&str, CaptionState)> = captions.iter().map(|c| (c.text.as_str(), c.state)).collect();
    use CaptionState::{Accepted, Draft};
    assert_eq!(texts, [("picture 图", Accepted), ("My photo", Accepted), ("a blue photo", Draft)]);
    assert!(captions.iter().all(|caption| caption.source == CaptionSource::Person));
    assert_eq!(reword(Rewording::Prefix("photo: ".into()), false).changed, 7);
    // A machine does not write over what a person reworded.
    world.send(world.all(false));
    world.job_end();
    assert_eq!(world.words(world.ids[0]).captions.len(), 4);
    for act in [CaptionAct::Drafted, CaptionAct::Reworded, CaptionAct::Reworded] {
        world.send(Command::UndoCaptions);
        let step = done(&world, |event| if let Event::StepReversed { step, .. } = event { step } else { None });
        assert_eq!(step.act, act);
    }
    assert_eq!(world.words(world.ids[0]).captions[1].text, "My PICTURE");
}

#[test]
fn an_export_is_looked_at_then_written_answers_and_all() {
    let world = World::new(1, Duration::ZERO);
    world.send(world.all(false));
    world.job_end();
    world.send(Command::Ask { request: RequestId(1), photo: world.ids[0], question: "what colour".into() });
    world.wait(|event| matches!(event, Event::AskDone { .. }).then_some(()));
    let export = |options: Options| {
        world.send(Command::Export { request: RequestId(9), options });
        done(&world, |event| if let Event::ExportDone { result, .. } = event { Some(result) } else { None })
    };
    let out = world.dir.path().join("out");
    let txt = Options::new(Format::Txt, Target::Folder(out.clone()));
    let preview = export(Options { dry_run: true, ..txt.clone() }).unwrap();
    assert_eq!((preview.report.exported, preview.files.len()), (3, 3));
    assert!(!out.exists());
    assert_eq!(export(txt).unwrap().report.exported, 3);
    assert_eq!(std::fs::read_to_string(out.join("red-000.txt")).unwrap(), "a red picture");
    let file = world.dir.path().join("all.jsonl");
    export(Options::new(Format::Jsonl, Target::File(file.clone()))).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["answers"][0]["question"], &first["answers"][0]["answers"][0]["answer"]),
        (&"what colour".into(), &"blue".into())
    );
    let refused = export(Options::new(Format::Csv, Target::File(world.dir.path().join("photos/red-000.png"))));
    assert_eq!(refused.unwrap_err().kind, FailureKind::Export);
}

#[test]
fn the_status_says_what_model_there_is_and_what_has_no_caption() {
    let world = World::new(1, Duration::ZERO);
    world.send(Command::WriteCaption { photo: world.ids[0], lang: "en".into(), text: "mine".into() });
    let status = done(&world, |event| match event {
        Event::Library(status) if status.without_caption == 2 => Some(status),
        _ => None,
    });
    let FuseStatus::AtHand(info) = status.fuse else { panic!("{:?}", status.fuse) };
    assert!(info.abilities.unwrap().answer && info.languages == ["en", "zh"]);
    world.send(Command::List { request: RequestId(3), scope: Scope::WithoutCaption });
    let ids = done(&world, |event| if let Event::Listed { result, .. } = event { Some(result.unwrap()) } else { None });
    assert_eq!(ids.len(), 2);
}

#[test]
fn without_a_model_all_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    photos::write(&dir.path().join("photos/a.png"), RED, 1);
    let absent = FuseSource::Pack(dir.path().join("no such model").to_string_lossy().into_owned());
    let model = Arc::default();
    let mut world = World { dir, model, engine: None, ids: Vec::new() };
    world.engine = Some(start(world.dir.path(), absent));
    world.send(Command::AddFolder(world.dir.path().join("photos")));
    world.job_end();
    let photo = world.reader().photos_after(None, 1).unwrap()[0].id;
    world.ids = vec![photo];
    world.send(Command::Ask { request: RequestId(1), photo, question: "what".into() });
    assert!(done(&world, |event| if let Event::AskDone { result, .. } = event { Some(result.is_err()) } else { None }));
    let (request, query) = (RequestId(2), Query::Text("red".into()));
    world.send(Command::Search { request, query, within: None, limit: 5, rerank: Some(5) });
    done(&world, |event| if let Event::SearchDone { result, .. } = event { Some(result.unwrap()) } else { None });
    assert!(done(&world, |event| if let Event::Reranked { result, .. } = event {
        Some(result.is_err())
    } else {
        None
    }));
    world.send(world.all(false));
    assert!(matches!(world.job_end(), JobState::Failed(_)));
    world.restart();
    world.change(Command::WriteCaption { photo, lang: "en".into(), text: "mine".into() });
}

#[test]
fn a_second_window_leaves_a_batch_at_work_alone() {
    let world = World::new(4, Duration::from_millis(60));
    assert!(world.send(world.all(false)));
    world.wait(|event| matches!(event, Event::BatchCaption { .. }).then_some(()));
    // The same library in another window, which would caption at once.
    let other = Arc::new(Slow::default());
    let second = start(world.dir.path(), FuseSource::Ready(other.clone()));
    assert_eq!(world.job_end(), JobState::Done);
    assert_eq!(world.drafts(), 12, "each once");
    assert_eq!(other.looks.load(Ordering::Relaxed), 0);
    drop(second);
    let left: Vec<_> =
        std::fs::read_dir(world.dir.path().join("data")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".job-")), "{left:?}");
}
