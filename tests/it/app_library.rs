//! The library that the window opens: locked, newer, damaged, slow, replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::{GlimpseApp, Opened};
use glimpse::domain::PhotoId;
use glimpse::engine::{Event, FailureKind};

use super::support::{ScriptedLink, Setup, failure, pass, window, window_on};

/// Steps until the try to open has come to its end, and a second more.
fn opened(w: &mut Harness<'_, GlimpseApp>) {
    let since = Instant::now();
    while w.state().runtime().opening {
        assert!(since.elapsed() < Duration::from_secs(60), "it is still being opened");
        thread::sleep(Duration::from_millis(2));
        w.step();
    }
    pass(w, 1.0);
}

#[test]
fn a_library_that_cannot_be_opened_is_named() {
    for (kind, words) in [
        (FailureKind::LibraryNewer, "written by a newer version"),
        (FailureKind::LibraryLocked, "Another program is using this library"),
        (FailureKind::LibraryDamaged, "This library is damaged"),
        (FailureKind::NotALibrary, "not a Glimpse library"),
        (FailureKind::Library, "The library could not be used"),
    ] {
        let broken = failure(kind, "/data/library.db", "the exact words");
        let w = window_on(move || Err(broken.clone()), Setup::default());
        w.get_by_label("Glimpse could not open your library");
        let sentence = w.get_by_label_contains(words);
        assert!(format!("{sentence:?}").contains("/data/library.db"));
        w.get_by_label("the exact words");
    }
}

/// Once the other program has ended, "Try again" opens the library; what was wanted meanwhile is done then.
#[test]
fn a_library_that_was_locked_opens_without_a_new_start() {
    let (link, tries) = (ScriptedLink::with_photos(12), Arc::new(AtomicUsize::new(0)));
    let (engine, counted) = (link.clone(), Arc::clone(&tries));
    let open = move || -> Opened {
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(failure(FailureKind::LibraryLocked, "/data/library.db", "held for 10 seconds")),
            _ => Ok(Box::new(engine.clone())),
        }
    };
    let mut w = window_on(open, Setup::default());
    for _ in 0..2 {
        w.get_by_label_contains("Another program is using this library");
        w.get_by_label("Try again").click();
        w.step();
        opened(&mut w);
    }
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert!(w.query_by_label("Glimpse could not open your library").is_none());
    w.get_by_label("IMG_0001.jpg");
}

/// A library that is held by another program is waited for while the window is there already.
#[test]
fn a_library_that_opens_slowly_holds_up_no_frame() {
    let (link, gate) = (ScriptedLink::with_photos(12), Arc::new(AtomicUsize::new(0)));
    let (engine, may_open) = (link.clone(), Arc::clone(&gate));
    let open = move || -> Opened {
        while may_open.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Box::new(engine.clone()))
    };
    let mut w = window_on(open, Setup::default());
    w.get_by_label("Opening your library…");
    assert!(link.sent().is_empty());
    gate.store(1, Ordering::Relaxed);
    opened(&mut w);
    w.get_by_label("IMG_0001.jpg");
}

/// A library that was replaced under the open window is opened anew from the notice.
#[test]
fn a_replaced_library_is_opened_again() {
    let link = ScriptedLink::with_photos(12);
    let mut w = window(&link, Setup::default());
    link.push(Event::Notice(failure(FailureKind::LibraryReplaced, "/data/library.db", "")));
    pass(&mut w, 1.0);
    link.script(|script| script.photos = vec![PhotoId(77)]);
    w.get_by_label("Open again").click();
    w.step();
    opened(&mut w);
    assert_eq!(w.state().runtime().ids(), [PhotoId(77)]);
    assert!(w.query_by_label("Open again").is_none());
}
