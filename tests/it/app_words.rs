//! What people do with words in the window, by label and by key: captions, questions,
//! matches, batches, re-ranking, changes to many captions, export.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::{GlimpseApp, NoticeKind};
use glimpse::domain::{CaptionSource, CaptionState, JobId, JobState, PhotoId};
use glimpse::engine::{CaptionOptions, Chosen, Command, Event, FailureKind, FuseStatus, Scope, Writing};
use glimpse::export::{Format, Target};

use super::ledger::{batch_job, candidate};
use super::support::{ScriptedLink, Setup, failure, library, pass, reranked, window};

type Window = Harness<'static, GlimpseApp>;

/// A window with one photo selected, its inspector at what a key opens.
fn at(key: Key) -> (ScriptedLink, Window) {
    let link = ScriptedLink::with_photos(40);
    let mut w = window(&link, Setup { any_glyph: true, ..Setup::default() });
    pass(&mut w, 1.5);
    click(&mut w, "IMG_0003.jpg");
    w.key_press(key);
    pass(&mut w, 0.5);
    (link, w)
}

fn click(w: &mut Window, label: &str) {
    w.get_by_label(label).click();
    pass(w, 1.0);
}

fn type_into(w: &mut Window, label: &str, text: &str) {
    w.get_by_label(label).focus();
    w.step();
    w.get_by_label(label).type_text(text);
    pass(w, 0.5);
}

/// It stands somewhere: a photo's accepted caption is also its name in the grid.
fn see(w: &Window, label: &str) {
    assert!(w.query_all_by_label(label).next().is_some(), "{label} is not there");
}

fn captions(link: &ScriptedLink, photo: i64) -> Vec<(String, CaptionState)> {
    let of = |captions: &Vec<glimpse::domain::Caption>| captions.iter().map(|c| (c.text.clone(), c.state)).collect();
    link.script(|script| script.ledger.captions.get(&PhotoId(photo)).map(of).unwrap_or_default())
}

#[test]
fn a_caption_is_suggested_accepted_edited_undone_and_redone() {
    let (link, mut w) = at(Key::C);
    w.get_by_label("This photo has no caption yet.");
    click(&mut w, "Suggest captions");
    let asked = link.sent().into_iter().find_map(|command| match command {
        Command::Caption { photo, options, .. } => Some((photo, options)),
        _ => None,
    });
    let options = CaptionOptions { lang: "en".into(), how: Writing::Beam(3), candidates: 3 };
    assert_eq!(asked, Some((PhotoId(3), options)));
    see(&w, "a sunset over green hills");
    w.get_by_label("Confident: 81%");
    w.get_by_label("A guess: 23%");
    w.get_all_by_label("Accept").next().unwrap().click();
    pass(&mut w, 1.0);
    assert_eq!(captions(&link, 3), [("a sunset over green hills".to_owned(), CaptionState::Accepted)]);
    w.get_by_label("Accepted · Lite Fuse · 3 May 2024");
    assert!(w.query_by_label("A guess: 23%").is_none(), "what was not taken is gone");

    click(&mut w, "Edit caption");
    let field = "Caption text";
    assert!(w.get_by_label(field).is_focused());
    w.get_by_label(field).type_text(" at dusk");
    pass(&mut w, 0.25);
    w.key_press(Key::Enter);
    pass(&mut w, 1.0);
    see(&w, "a sunset over green hills at dusk");
    w.get_by_label("Accepted · You · 3 May 2024");

    click(&mut w, "Undo: edited captions");
    w.get_by_label("Undone: edited captions (1 caption)");
    see(&w, "a sunset over green hills");
    w.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    pass(&mut w, 1.0);
    w.get_by_label("This photo has no caption yet.");
    for _ in 0..2 {
        w.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
        pass(&mut w, 1.0);
    }
    see(&w, "a sunset over green hills at dusk");
    w.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    pass(&mut w, 1.0);
    w.get_by_label("There is nothing to redo.");
    click(&mut w, "Remove caption");
    assert!(captions(&link, 3).is_empty());
}

#[test]
fn words_appear_as_they_are_made_and_can_be_stopped() {
    let (link, mut w) = at(Key::C);
    link.script(|script| script.ledger.silent = true);
    click(&mut w, "Suggest captions");
    w.get_by_label("Looking at the photo…");
    let request = link.sent().iter().rev().find_map(|command| match command {
        Command::Caption { request, .. } => Some(*request),
        _ => None,
    });
    let request = request.unwrap();
    for text in ["a", "a sunset", "a sunset over"] {
        link.push(Event::CaptionGrew { request, candidate: 0, text: text.into() });
        pass(&mut w, 0.25);
        w.get_by_label(&format!("{text}…"));
    }
    // Another photo in between changes nothing.
    click(&mut w, "IMG_0004.jpg");
    w.get_by_label("Suggest captions");
    click(&mut w, "IMG_0003.jpg");
    w.get_by_label("a sunset over…");
    click(&mut w, "Stop");
    assert!(link.sent().contains(&Command::StopCaption));
    let mut half = candidate("a sunset over", false, 0.7);
    half.ended = false;
    link.push(Event::CaptionDone { request, photo: PhotoId(3), result: Ok(vec![half]) });
    pass(&mut w, 0.5);
    see(&w, "a sunset over");
    click(&mut w, "Keep as draft");
    assert_eq!(captions(&link, 3), [("a sunset over".to_owned(), CaptionState::Draft)]);
    w.get_by_label("Draft · Lite Fuse · 3 May 2024");
    // An answer to an older request is dropped.
    link.push(Event::CaptionDone { request, photo: PhotoId(3), result: Ok(vec![candidate("late", false, 0.9)]) });
    pass(&mut w, 0.5);
    assert!(w.query_by_label("late").is_none());
}

/// What is typed survives another photo, a new suggestion, a save that fails, the next start.
#[test]
fn what_is_typed_is_never_lost() {
    let (link, mut w) = at(Key::C);
    type_into(&mut w, "Your own caption", "the hills behind our house");
    click(&mut w, "IMG_0004.jpg");
    assert!(w.get_by_label("Your own caption").value().unwrap_or_default().is_empty());
    click(&mut w, "IMG_0003.jpg");
    let typed = |w: &Window| w.get_by_label("Your own caption").value().unwrap_or_default();
    assert_eq!(typed(&w), "the hills behind our house");
    click(&mut w, "Suggest captions");
    assert_eq!(typed(&w), "the hills behind our house");

    link.script(|script| script.ledger.broken = true);
    click(&mut w, "Save");
    link.push(Event::Notice(failure(FailureKind::DiskFull, "/home/ada/library.db", "no room")));
    pass(&mut w, 0.5);
    assert_eq!(typed(&w), "the hills behind our house");

    // The window is closed and opened again.
    let saved = w.state().saved().clone();
    assert_eq!(saved.window.unsaved.len(), 1);
    let mut w = window(&link, Setup { saved, ..Setup::default() });
    pass(&mut w, 1.5);
    click(&mut w, "IMG_0003.jpg");
    assert_eq!(typed(&w), "the hills behind our house");
    link.script(|script| script.ledger.broken = false);
    click(&mut w, "Save");
    assert_eq!(captions(&link, 3), [("the hills behind our house".to_owned(), CaptionState::Accepted)]);
    assert!(typed(&w).is_empty() && w.state().saved().window.unsaved.is_empty());
    // Letters that are shortcuts elsewhere are letters here.
    type_into(&mut w, "Your own caption", "cam");
    assert_eq!(typed(&w), "cam");
    w.get_by_label("Your own caption");
}

#[test]
fn a_person_asks_twice_and_the_conversation_is_kept() {
    let (link, mut w) = at(Key::A);
    assert!(w.get_by_label("Question about this photo").is_focused());
    w.get_by_label("You could ask");
    click(&mut w, "What color is it?");
    w.get_by_label("green: 87%");
    w.get_by_label("blue: 6%");
    assert!(w.query_by_label_contains("grey").is_none(), "what is next to impossible is not listed");
    type_into(&mut w, "Question about this photo", "where is this");
    w.key_press(Key::Enter);
    pass(&mut w, 0.5);
    w.get_by_label("The model is not sure. Its likeliest answers:");
    w.get_by_label("hills: 21%");
    w.get_by_label("green: 87%");
    assert_eq!(w.get_by_label("Question about this photo").value().unwrap_or_default(), "");

    // A refusal is said plainly, and the question stays to be changed.
    type_into(&mut w, "Question about this photo", "что это");
    click(&mut w, "Ask this question");
    w.get_by_label("The model reads English and Chinese only.");
    assert_eq!(w.get_by_label("Question about this photo").value().as_deref(), Some("что это"));

    // History comes from the library.
    click(&mut w, "IMG_0004.jpg");
    w.get_by_label("You could ask");
    click(&mut w, "IMG_0003.jpg");
    w.get_by_label("hills: 21%");
    w.get_all_by_label("Remove this question").next().unwrap().click();
    pass(&mut w, 1.0);
    assert!(w.query_by_label("green: 87%").is_none());
    assert!(link.sent().iter().any(|command| matches!(command, Command::RemoveAnswer(_))));
}

#[test]
fn both_families_judge_a_sentence() {
    let (_, mut w) = at(Key::M);
    assert!(w.get_by_label("Sentence to compare").is_focused());
    type_into(&mut w, "Sentence to compare", "hills at dusk");
    click(&mut w, "How well does it match?");
    w.get_by_label("Closeness: 0.312");
    w.get_by_label("Very good match: 93%");
    w.get_by_label_contains("use it to find");
    w.get_by_label_contains("use it to judge");
    w.get_by_label("Sentence to compare").focus();
    w.step();
    w.key_press_modifiers(Modifiers::COMMAND, Key::A);
    w.step();
    w.get_by_label("Sentence to compare").type_text("a submarine");
    pass(&mut w, 0.25);
    w.key_press(Key::Enter);
    pass(&mut w, 0.5);
    w.get_by_label("Does not match: 7%");
}

#[test]
fn without_a_model_the_panel_says_what_still_works() {
    let (link, mut w) = at(Key::C);
    let mut status = library(40);
    status.fuse = FuseStatus::Absent(failure(FailureKind::NoFuseModel, "", "no such pack"));
    link.push(Event::Library(status.clone()));
    pass(&mut w, 0.5);
    w.get_by_label("There is no model at hand that writes captions. You can write them yourself.");
    assert!(w.query_by_label("Suggest captions").is_none());
    w.get_by_label("Your own caption");
    w.key_press(Key::A);
    pass(&mut w, 0.5);
    w.get_by_label_contains("no model at hand that answers questions");
    // A model that can do one thing and not another.
    if let FuseStatus::AtHand(mut info) = library(40).fuse {
        (info.pack, info.name) = ("uniter".into(), "UNITER".into());
        if let Some(able) = &mut info.abilities {
            able.caption = false;
        }
        status.fuse = FuseStatus::AtHand(info);
    }
    let mut built_in = status.models[0].clone();
    (built_in.pack, built_in.family, built_in.active) = ("lite-fuse".into(), "fuse".into(), false);
    status.models.push(built_in);
    link.push(Event::Library(status));
    click(&mut w, "Caption");
    w.get_by_label("UNITER cannot write captions.");
    click(&mut w, "Use the built-in model");
    assert!(link.sent().contains(&Command::UseModel("lite-fuse".into())));
}

#[test]
fn ten_photos_are_captioned_with_pause_cancel_and_results_as_they_come() {
    let link = ScriptedLink::with_photos(40);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.5);
    click(&mut w, "IMG_0001.jpg");
    w.get_by_label("IMG_0010.jpg").click_modifiers(Modifiers::SHIFT);
    pass(&mut w, 0.5);
    w.key_press(Key::C);
    pass(&mut w, 1.0);
    w.get_by_label("Selected photos · 10");
    w.get_by_label("All without a caption · 40");
    click(&mut w, "简体中文");
    click(&mut w, "Caption 10 photos");
    let chosen = Chosen::Photos((1..=10).map(PhotoId).collect());
    let options = CaptionOptions { lang: "zh".into(), how: Writing::Beam(3), candidates: 1 };
    assert!(link.sent().contains(&Command::CaptionPhotos { photos: chosen, options, missing_only: true }));
    w.get_all_by_label("Captioning 10 photos").next().unwrap();
    for (i, photo) in (1..=4).map(PhotoId).enumerate() {
        let result = match photo {
            PhotoId(3) => Err(failure(FailureKind::Photo, "/home/ada/Pictures/holiday/IMG_0003.jpg", "cut off")),
            _ => Ok(format!("第{i}张照片")),
        };
        link.push(Event::BatchCaption { job: JobId(31), photo, result });
        link.push(batch_job(JobState::Running, i as u64 + 1, 10));
    }
    pass(&mut w, 0.5);
    see(&w, "第0张照片");
    w.get_by_label("3 · 1 failed");
    w.get_by_label_contains("4 of 10");
    click(&mut w, "Pause");
    link.push(batch_job(JobState::Paused, 4, 10));
    pass(&mut w, 0.5);
    w.get_all_by_label("Paused: captions for 10 photos").next().unwrap();
    click(&mut w, "Go on");
    click(&mut w, "Cancel");
    let sent = link.sent();
    assert!(sent.contains(&Command::ResumeJob(JobId(31))) && sent.contains(&Command::CancelJob(JobId(31))));
    link.push(batch_job(JobState::Cancelled, 4, 10));
    pass(&mut w, 0.5);
    w.get_by_label("Stopped captioning. What was written so far is kept.");
}

#[test]
fn a_search_is_judged_and_shows_both_scores_and_both_costs() {
    let link = ScriptedLink::with_photos(40);
    link.script(|script| script.judges_late = true);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.0);
    click(&mut w, "Re-rank");
    click(&mut w, "Re-rank the best 20");
    type_into(&mut w, "Search photos", "sunset over the hills");
    pass(&mut w, 1.0);
    w.get_by_label_contains("judging…");
    let found: Vec<PhotoId> = w.state().runtime().ids().to_vec();
    assert_eq!(found[0], PhotoId(1), "the order that was found stays until the judged one is there");
    let search = link.sent().iter().rev().find_map(|command| match command {
        Command::Search { request, rerank, .. } => Some((*request, *rerank)),
        _ => None,
    });
    let (request, most) = search.unwrap();
    assert_eq!(most, Some(20));
    let results = link.script(|script| script.results(1000));
    link.push(Event::Reranked { request, result: Ok(reranked(&results, 20)) });
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().ids()[0], PhotoId(2));
    w.get_by_label("40 photos searched in 7.6 ms · 20 pairs judged in 912 ms");
    click(&mut w, "IMG_0002.jpg");
    w.get_by_label("Judged 94% · Cosine 0.3330");

    // What is on show already judged stays so when the list is asked for anew.
    link.push(Event::PhotosChanged);
    pass(&mut w, 2.0);
    assert_eq!(w.state().runtime().ids()[0], PhotoId(2));

    w.key_press_modifiers(Modifiers::COMMAND, Key::R);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().ids()[0], PhotoId(1));
    w.get_by_label("40 photos searched in 7.6 ms");
}

#[test]
fn captions_are_changed_by_the_dozen_after_a_preview() {
    let link = ScriptedLink::with_photos(12);
    link.script(|script| {
        for photo in (1..=12).map(PhotoId) {
            let text = if photo.0 % 2 == 0 { "a dog in the snow" } else { "a boat" };
            script.ledger.put(photo, text, "en", CaptionSource::Person, CaptionState::Accepted);
        }
    });
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.0);
    w.key_press_modifiers(Modifiers::COMMAND, Key::H);
    pass(&mut w, 1.0);
    assert!(w.get_by_label("Find").is_focused());
    w.get_by_label("Find").type_text("dog");
    pass(&mut w, 0.5);
    type_into(&mut w, "Replace with", "wolf");
    pass(&mut w, 0.5);
    w.get_by_label("6 of 12 captions would change");
    assert_eq!(w.get_all_by_label("a wolf in the snow").count(), 6);
    assert_eq!(captions(&link, 2)[0].0, "a dog in the snow", "nothing is done yet");
    click(&mut w, "Change captions (6)");
    assert_eq!(captions(&link, 2)[0].0, "a wolf in the snow");
    w.get_by_label("6 captions changed");
    click(&mut w, "Undo");
    assert_eq!(captions(&link, 2)[0].0, "a dog in the snow");
}

#[test]
fn an_export_says_what_it_would_write_and_then_writes() {
    let link = ScriptedLink::with_photos(40);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.0);
    w.key_press_modifiers(Modifiers::COMMAND, Key::E);
    pass(&mut w, 1.0);
    w.get_by_label("Name a folder first.");
    type_into(&mut w, "Folder for the files", "/home/ada/captions");
    click(&mut w, "See what would be written");
    w.get_by_label_contains("Nothing has been changed yet.");
    w.get_by_label("IMG_0002.txt  ·  changed");
    w.get_by_label_contains("holds other words that Glimpse did not write");
    let exports = |link: &ScriptedLink| -> Vec<_> {
        let options = |command| match command {
            Command::Export { options, .. } => Some(options),
            _ => None,
        };
        link.sent().into_iter().filter_map(options).collect()
    };
    let dry = exports(&link);
    assert!(dry.len() == 1 && dry[0].dry_run && dry[0].format == Format::Txt);
    assert_eq!(dry[0].target, Target::Folder("/home/ada/captions".into()));
    click(&mut w, "Write captions of 6 photos");
    w.get_by_label_contains("5 done, 1 could not be written.");
    w.get_by_label("IMG_0004.txt  ·  could not be written: permission denied");
    assert!(!exports(&link)[1].dry_run);
    // Another format makes what was seen void.
    click(&mut w, "Sidecars");
    assert!(w.query_by_label_contains("could not be written").is_none());
    click(&mut w, "Beside the photos");
    click(&mut w, "Name them photo.jpg.xmp instead of photo.xmp");
    click(&mut w, "See what would be written");
    assert_eq!(exports(&link)[2].target, Target::Beside);
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert!(w.query_by_label("Export captions").is_none());
}

#[test]
fn photos_without_a_caption_and_the_badge_of_those_with_one() {
    let link = ScriptedLink::with_photos(12);
    link.script(|script| {
        script.ledger.put(PhotoId(2), "a dog", "en", CaptionSource::Person, CaptionState::Accepted);
    });
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.5);
    // A photo's name is its accepted caption.
    w.get_by_label("a dog");
    click(&mut w, "No caption");
    assert_eq!(w.state().runtime().ids().len(), 11);
    assert_eq!(w.state().saved().window.scope, Scope::WithoutCaption);
    w.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    pass(&mut w, 0.5);
    assert!(w.state().runtime().notices.iter().any(|n| matches!(n.kind, NoticeKind::NoStep { redone: false })));
}
