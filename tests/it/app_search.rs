//! Searching as one types: pauses, late answers, input methods, pictures instead of words.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Event as Input, ImeEvent, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::{Asked, GlimpseApp, Question};
use glimpse::domain::{FolderId, Hit, PhotoId, Query, RequestId, SearchCost};
use glimpse::engine::{Command, Event, FailureKind, Scope, SearchResults};

use super::support::{ScriptedLink, Setup, failure, library, pass, window};

const FIELD: &str = "Search photos";

fn focus_field(w: &mut Harness<'_, GlimpseApp>) {
    w.get_by_label(FIELD).focus();
    w.step();
    assert!(w.get_by_label(FIELD).is_focused());
}

fn found(request: RequestId, photo: i64) -> Event {
    let hits = vec![Hit { photo: PhotoId(photo), score: 0.3 }];
    let results = SearchResults { hits, cost: SearchCost::default(), nothing_likely: false, likely: 1 };
    Event::SearchDone { request, result: Ok(results) }
}

fn shown(w: &Harness<'_, GlimpseApp>) -> Vec<i64> {
    w.state().runtime().ids().iter().map(|id| id.0).collect()
}

fn preedit(text: &str) -> Input {
    Input::Ime(ImeEvent::Preedit { text: text.into(), active_range_chars: None })
}

#[test]
fn typing_searches_once_it_pauses_and_clearing_shows_the_newest() {
    let link = ScriptedLink::with_photos(30);
    let mut w = window(&link, Setup::default());
    assert!(matches!(link.sent()[0], Command::List { scope: Scope::All, .. }));
    focus_field(&mut w);
    w.get_by_label(FIELD).type_text("a dog");
    pass(&mut w, 1.0);
    let asked: Vec<String> = link.searches().into_iter().map(|(_, text)| text).collect();
    assert_eq!(asked, ["a dog"]);
    assert_eq!(w.state().saved().window.query, "a dog");
    w.get_by_label("30 results");
    w.get_by_label_contains("30 photos searched in 7.6 ms");

    w.get_by_label("Clear the search").click();
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().asked, Asked::browse(Scope::All));
    assert_eq!(link.searches().len(), 1);
    assert!(w.query_by_label("Clear the search").is_none());
}

/// U5: the slow answer to an old question, or its error, never replaces the new one.
#[test]
fn only_the_newest_question_is_answered() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    link.script(|script| script.silent = true);
    focus_field(&mut w);
    for part in ["sea", "rch", " me"] {
        w.get_by_label(FIELD).type_text(part);
        pass(&mut w, 1.0);
    }
    let requests: Vec<RequestId> = link.searches().into_iter().map(|(request, _)| request).collect();
    assert_eq!(requests.len(), 3);
    // The old list stays while the answer is awaited.
    assert_eq!(shown(&w).len(), 9);

    link.push(found(requests[0], 1));
    pass(&mut w, 0.5);
    assert_eq!(shown(&w).len(), 9, "an answer that nobody waits for any more");
    link.push(found(requests[2], 3));
    pass(&mut w, 0.5);
    assert_eq!(shown(&w), [3]);
    link.push(found(requests[1], 2));
    let error = failure(FailureKind::Model, "", "too late");
    link.push(Event::SearchDone { request: requests[0], result: Err(error) });
    pass(&mut w, 0.5);
    assert_eq!(shown(&w), [3]);
    assert!(w.query_by_label_contains("could not be loaded").is_none());

    // Cleared while one is under way: its answer comes too late as well.
    w.get_by_label(FIELD).type_text("!");
    pass(&mut w, 1.0);
    let last = link.searches().pop().unwrap().0;
    w.get_by_label("Clear the search").click();
    pass(&mut w, 0.5);
    link.push(found(last, 4));
    pass(&mut w, 0.5);
    assert_eq!(shown(&w), [3], "the old result until the list is there");
    let list = link.sent().into_iter().rev().find_map(|command| match command {
        Command::List { request, .. } => Some(request),
        _ => None,
    });
    link.push(Event::Listed { request: list.unwrap(), result: Ok(vec![PhotoId(8)]) });
    pass(&mut w, 0.5);
    assert_eq!(shown(&w), [8]);
}

/// U1: what is committed is searched for, once; nothing is while an input method composes.
#[test]
fn input_methods_compose_undisturbed() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    focus_field(&mut w);
    w.event(preedit("ni'hao"));
    pass(&mut w, 2.0);
    assert_eq!(link.searches(), [], "no search for pinyin");
    // Enter ends the composition on some systems, and must open nothing.
    w.key_press(Key::Enter);
    pass(&mut w, 0.5);
    assert!(w.get_by_label(FIELD).is_focused() && w.state().runtime().viewer.is_none());
    w.event(Input::Ime(ImeEvent::Commit("你好".into())));
    pass(&mut w, 1.0);
    assert_eq!(w.get_by_label(FIELD).value().as_deref(), Some("你好"));

    // A commit without a preedit, then one with the cursor in the middle.
    w.event(Input::Ime(ImeEvent::Commit("世界".into())));
    pass(&mut w, 1.0);
    w.key_press(Key::ArrowLeft);
    w.key_press(Key::ArrowLeft);
    w.event(preedit("xin"));
    w.step();
    w.event(Input::Ime(ImeEvent::Commit("新".into())));
    pass(&mut w, 1.0);
    assert_eq!(w.get_by_label(FIELD).value().as_deref(), Some("你好新世界"));
    let asked: Vec<String> = link.searches().into_iter().map(|(_, text)| text).collect();
    assert_eq!(asked, ["你好", "你好世界", "你好新世界"]);
}

#[test]
fn an_abandoned_composition_searches_for_nothing() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    focus_field(&mut w);
    w.event(preedit("hai"));
    w.step();
    // Escape belongs to the input method, which then clears its preedit.
    w.key_press(Key::Escape);
    w.event(preedit(""));
    pass(&mut w, 1.0);
    assert_eq!(link.searches(), []);
    assert_eq!(w.get_by_label(FIELD).value().unwrap_or_default(), "");
}

#[test]
fn enter_does_not_wait_and_blank_is_no_question() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    focus_field(&mut w);
    w.get_by_label(FIELD).type_text(" \u{3000} ");
    pass(&mut w, 1.0);
    assert_eq!(link.searches(), []);
    w.get_by_label(FIELD).type_text("cat");
    w.step();
    w.key_press(Key::Enter);
    w.step();
    assert_eq!(link.searches().len(), 1);
    pass(&mut w, 1.0);
    assert_eq!(link.searches().len(), 1, "the pause after Enter asks no second time");
}

#[test]
fn a_slash_goes_to_the_field_and_down_to_the_photos() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    w.key_press(Key::Slash);
    pass(&mut w, 0.5);
    assert!(w.get_by_label(FIELD).is_focused());
    assert_eq!(w.get_by_label(FIELD).value().unwrap_or_default(), "");
    w.key_press(Key::ArrowDown);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().selection.lead(), Some(PhotoId(1)));
}

/// A file that was dropped into the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads no files".into())
    }
}

#[test]
fn a_dropped_picture_is_searched_by_and_a_dropped_folder_is_added() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    w.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/beach.jpg".into())));
    pass(&mut w, 1.0);
    let by_picture = |command: &Command| matches!(command, Command::Search { query: Query::Image(path), .. } if path.ends_with("beach.jpg"));
    assert!(link.sent().iter().any(by_picture));
    w.get_all_by_label("Like beach.jpg").next().unwrap();
    // Words take the picture's place.
    focus_field(&mut w);
    w.get_by_label(FIELD).type_text("sea");
    pass(&mut w, 1.0);
    assert_eq!(w.state().runtime().asked, Asked::search(Question::Text("sea".into()), Scope::All));

    w.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/holiday".into())));
    pass(&mut w, 0.5);
    assert!(link.sent().contains(&Command::AddFolder("/tmp/holiday".into())));
}

#[test]
fn find_similar_asks_by_the_photo() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.0);
    w.get_by_label("IMG_0004.jpg").click();
    pass(&mut w, 0.5);
    w.key_press_modifiers(Modifiers::COMMAND, Key::D);
    pass(&mut w, 0.5);
    let similar = |command: &Command| matches!(command, Command::Search { query: Query::Photo(PhotoId(4)), .. });
    assert!(link.sent().iter().any(similar));
    w.key_press(Key::Escape);
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().asked, Asked::browse(Scope::All));
}

/// A search looks through the folder that is shown, says so, and is widened with one click.
#[test]
fn a_search_stays_in_the_folder_that_is_shown_until_it_is_widened() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    w.get_by_label("holiday").click();
    pass(&mut w, 0.5);
    focus_field(&mut w);
    w.get_by_label(FIELD).type_text("sea");
    pass(&mut w, 1.0);
    let asked = |link: &ScriptedLink| {
        link.sent().into_iter().rev().find_map(|command| match command {
            Command::Search { query, within, .. } => Some((query, within)),
            _ => None,
        })
    };
    let text = Query::Text("sea".into());
    assert_eq!(asked(&link), Some((text.clone(), Some(FolderId(1)))));
    w.get_by_label("Only holiday was searched.");

    w.get_by_label("Search all photos").click();
    pass(&mut w, 0.5);
    assert_eq!(asked(&link), Some((text, None)));
    w.get_by_label("9 results");
    assert!(w.query_by_label("Search all photos").is_none());
    assert_eq!(w.get_by_label(FIELD).value().as_deref(), Some("sea"), "the question stays");
    assert_eq!(w.state().saved().window.scope, Scope::All);

    // Where a folder holds nothing like it, the way out stands in the middle.
    w.get_by_label("下载").click();
    pass(&mut w, 0.5);
    link.script(|script| script.photos.clear());
    focus_field(&mut w);
    w.get_by_label(FIELD).type_text("fish");
    pass(&mut w, 1.0);
    w.get_by_label_contains("what is indexed of 下载");
    // The folder is removed while it is searched: everything is.
    let mut status = library(3);
    status.folders.pop();
    link.push(Event::Library(status));
    pass(&mut w, 0.5);
    assert_eq!(asked(&link), Some((Query::Text("fish".into()), None)));
    w.get_by_label_contains("looked through everything");
}

#[test]
fn missing_and_unreadable_photos_narrow_no_search() {
    let link = ScriptedLink::with_photos(9);
    let mut setup = Setup::default();
    setup.saved.window.scope = Scope::Failed;
    let mut w = window(&link, setup);
    w.key_press(Key::Slash);
    pass(&mut w, 0.5);
    w.get_by_label(FIELD).type_text("sea");
    pass(&mut w, 1.0);
    assert!(link.sent().iter().any(|command| matches!(command, Command::Search { within: None, .. })));
    w.key_press(Key::Escape);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().asked, Asked::browse(Scope::Failed));
}

#[test]
fn a_picture_is_copied_once_it_is_there() {
    let link = ScriptedLink::with_photos(9);
    let mut w = window(&link, Setup::default());
    pass(&mut w, 1.0);
    w.get_by_label("IMG_0003.jpg").click();
    pass(&mut w, 0.5);
    // What the system sends for ctrl-C.
    w.event(Input::Copy);
    let mut copied = Vec::new();
    for _ in 0..6 {
        w.step();
        copied.extend(w.output().platform_output.commands.iter().filter_map(|command| match command {
            egui::OutputCommand::CopyImage(image) => Some(image.size),
            _ => None,
        }));
    }
    assert_eq!(copied, [[292, 389]]);
    w.get_by_label("Copied");
    // In the search field the key copies text.
    focus_field(&mut w);
    w.event(Input::Copy);
    pass(&mut w, 0.5);
    assert_eq!(w.state().runtime().copying, None);
}

#[test]
fn a_full_queue_loses_nothing() {
    let link = ScriptedLink::with_photos(9);
    link.script(|script| script.room = Some(0));
    let mut w = window(&link, Setup::default());
    pass(&mut w, 0.5);
    assert_eq!(link.sent(), []);
    link.script(|script| script.room = None);
    pass(&mut w, 1.0);
    assert_eq!(shown(&w).len(), 9);
    w.get_by_label("IMG_0001.jpg");
}

/// U3: names in scripts that no font of ours holds are drawn as boxes at worst, and copied as they are.
#[test]
fn names_in_every_script_are_copied_as_they_are() {
    let link = ScriptedLink::with_photos(3);
    let name = "龘𠮷㐂 한국어 العربية 🏖️.jpg";
    link.script(|script| script.names.insert(PhotoId(1), name.into()));
    let mut w = window(&link, Setup { any_glyph: true, ..Setup::default() });
    pass(&mut w, 1.0);
    w.get_by_label(name).click();
    pass(&mut w, 0.5);
    let modifiers = Modifiers::COMMAND | Modifiers::SHIFT;
    let mut copied = Vec::new();
    // One event a frame, so that no frame's output is lost.
    for event in [
        Input::ModifiersChanged(modifiers),
        Input::Key { key: Key::C, physical_key: None, pressed: true, repeat: false, modifiers },
        Input::ModifiersChanged(Modifiers::NONE),
    ] {
        w.event(event);
        w.step();
        copied.extend(w.output().platform_output.commands.iter().filter_map(|command| match command {
            egui::OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        }));
    }
    assert_eq!(copied, [format!("/home/ada/Pictures/holiday/{name}")]);
}
