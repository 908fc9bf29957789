//! Captions, questions, batches and exports on a real engine: a folder of real files, models
//! that know colours, real threads, a real library.

use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::GlimpseApp;
use glimpse::domain::{CancelToken, PhotoId};
use glimpse::engine::{Engine, EngineConfig, FuseSource};
use glimpse::models::ModelError;
use glimpse::models::fuse::{Answers, CaptionRequest, Draft, FuseModel, FuseSpec, Regions, StubFuse};
use glimpse::store::Reader;
use image::RgbImage;

use super::real::{config, photos, wait};
use super::support::{Setup, window_on};

type Window = Harness<'static, GlimpseApp>;

/// The stub, as slow as a model.
#[derive(Default)]
struct Slow(StubFuse);

impl FuseModel for Slow {
    fn spec(&self) -> &FuseSpec {
        self.0.spec()
    }

    fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError> {
        self.0.look(photo)
    }

    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError> {
        std::thread::sleep(Duration::from_millis(250));
        self.0.caption(picture, request, sink, cancel)
    }

    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError> {
        self.0.answer(picture, question, top)
    }

    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        self.0.match_scores(pairs)
    }
}

/// Twelve indexed photos in a window of their own.
fn opened(config: &EngineConfig, folder: &Path) -> Window {
    let open = config.clone();
    let mut w = window_on(move || Ok(Box::new(Engine::start(open.clone(), Waker::noop().clone())?)), Setup::default());
    w.state_mut().add_folders(&[folder.to_owned()]);
    wait(&mut w, "twelve photos", |w| w.state().runtime().ids().len() == 12);
    wait(&mut w, "the job's end", |w| w.state().runtime().current_job().is_none());
    wait(&mut w, "names", |w| there("red-0.jpg")(w) || there("a red picture of a kite")(w));
    w
}

fn there(label: &str) -> impl Fn(&Window) -> bool + '_ {
    move |w| w.query_all_by_label(label).next().is_some()
}

fn click(w: &mut Window, label: &str) {
    wait(w, label, there(label));
    w.run_steps(3);
    w.get_all_by_label(label).next().unwrap().click();
    w.run_steps(2);
}

fn captioned(config: &EngineConfig) -> usize {
    let reader = Reader::open(&config.library).unwrap();
    12 - reader.without_caption(None).unwrap().len()
}

#[test]
fn caption_accept_edit_ask_and_undo_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("holiday");
    photos(&folder);
    let config = config(&dir.path().join("own"));
    let mut w = opened(&config, &folder);
    click(&mut w, "red-0.jpg");
    w.key_press(Key::C);
    click(&mut w, "Suggest captions");
    click(&mut w, "Accept");
    wait(&mut w, "the caption", there("a red picture"));
    wait(&mut w, "who wrote it", |w| w.query_all_by_label_contains("Accepted · ").next().is_some());
    click(&mut w, "Edit caption");
    w.get_by_label("Caption text").type_text(" of a kite");
    w.run_steps(2);
    w.key_press(Key::Enter);
    wait(&mut w, "the edited caption", there("a red picture of a kite"));

    w.key_press(Key::A);
    w.run_steps(2);
    for question in ["what color is it", "who is it"] {
        wait(&mut w, "the field", |w| w.get_by_label("Question about this photo").is_focused());
        w.get_by_label("Question about this photo").type_text(question);
        w.run_steps(2);
        w.key_press(Key::Enter);
        wait(&mut w, question, |w| there(question)(w) && !there("Looking for an answer…")(w));
    }
    wait(&mut w, "an answer", there("red: 90%"));
    wait(&mut w, "doubt", there("The model is not sure. Its likeliest answers:"));
    drop(w);

    // Another day.
    let mut w = opened(&config, &folder);
    wait(&mut w, "the photo's name", there("a red picture of a kite"));
    click(&mut w, "a red picture of a kite");
    w.key_press(Key::A);
    wait(&mut w, "the conversation", there("red: 90%"));
    // Escape leaves the field that A went to; without one it would leave the photo.
    wait(&mut w, "the field", |w| w.get_by_label("Question about this photo").is_focused());
    // A field says in its first frame with the cursor that Escape is not egui's.
    w.run_steps(2);
    w.key_press(Key::Escape);
    w.run_steps(2);
    w.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    wait(&mut w, "what was undone", |w| w.query_by_label_contains("Undone: edited captions").is_some());
    click(&mut w, "Caption");
    wait(&mut w, "the text before", |w| there("a red picture")(w) && !there("a red picture of a kite")(w));
    w.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    wait(&mut w, "the edit again", there("a red picture of a kite"));
}

#[test]
fn a_batch_is_cancelled_taken_up_again_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("holiday");
    photos(&folder);
    let mut config = config(&dir.path().join("own"));
    config.fuse = FuseSource::Ready(Arc::new(Slow::default()));
    let mut w = opened(&config, &folder);
    let ten = w.state().runtime().ids()[..10].to_vec();
    let name = |w: &Window, photo: PhotoId| w.state().runtime().thumbs.get(photo).map(|t| t.name.clone()).unwrap();
    wait(&mut w, "the names of both", |w| {
        [ten[0], ten[9]].iter().all(|&photo| w.state().runtime().thumbs.get(photo).is_some_and(|t| !t.name.is_empty()))
    });
    let (first, last) = (name(&w, ten[0]), name(&w, ten[9]));
    click(&mut w, &first);
    wait(&mut w, &last, there(&last));
    w.get_by_label(&last).click_modifiers(Modifiers::SHIFT);
    w.run_steps(2);
    w.key_press(Key::C);
    click(&mut w, "Caption 10 photos");
    wait(&mut w, "three captions", |w| w.state().runtime().words.batch.as_ref().is_some_and(|b| b.written >= 3));
    click(&mut w, "Cancel");
    wait(&mut w, "the end", there("Stopped captioning. What was written so far is kept."));
    let written = captioned(&config);
    assert!((3..10).contains(&written), "{written} of ten are written");

    w.key_press(Key::C);
    click(&mut w, "Caption 10 photos");
    wait(&mut w, "the batch", |w| w.state().runtime().words.batch.as_ref().is_some_and(|b| b.written > 0));
    wait(&mut w, "all ten", |_| captioned(&config) == 10);
    wait(&mut w, "the end", there("Captions are written"));
    let again = w.state().runtime().words.batch.as_ref().unwrap().written;
    assert_eq!(again as usize + written, 10, "what was written before is not written again");

    w.key_press_modifiers(Modifiers::COMMAND, Key::E);
    wait(&mut w, "the sheet", there("Export captions"));
    w.run_steps(3);
    let out = dir.path().join("texts");
    w.get_by_label("Folder for the files").focus();
    w.run_steps(2);
    w.get_by_label("Folder for the files").type_text(out.to_str().unwrap());
    w.run_steps(2);
    click(&mut w, "See what would be written");
    wait(&mut w, "what would be written", there("Write captions of 10 photos"));
    // The sheet has grown, and finds its place in the middle again.
    w.run_steps(15);
    click(&mut w, "Write captions of 10 photos");
    wait(&mut w, "the files", |w| w.query_by_label_contains("Captions of 10 photos are written.").is_some());
    let stem = Path::new(&first).with_extension("txt");
    let text = std::fs::read_to_string(out.join(stem))
        .or_else(|_| std::fs::read_to_string(out.join("holiday").join(Path::new(&first).with_extension("txt"))));
    assert!(text.unwrap().contains(" picture"));
}
