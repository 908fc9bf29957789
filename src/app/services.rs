//! What the window needs of the system it runs on, behind a trait that tests stub.
//!
//! Nothing here blocks a frame: dialogs and file checks run on threads of their own, one
//! dialog at a time, and a dialog that never answers costs nothing but itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::Paths;

use super::state::SavedState;

/// What a dialog asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickKind {
    Folder,
    Picture,
    /// Where exported files go.
    ExportFolder,
}

/// What came of a dialog or of files dropped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceEvent {
    Picked {
        kind: PickKind,
        path: PathBuf,
    },
    Cancelled,
    /// This system has no dialog; the person must type or drop.
    NoDialog(PickKind),
    Dropped {
        path: PathBuf,
        is_folder: bool,
    },
}

/// Whether a dialog could be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickStart {
    Opened,
    /// One is open already, or has not answered.
    Busy,
}

/// The system, as the window sees it.
pub trait Services {
    /// Opens the system's dialog; the answer comes from [`Self::poll`].
    fn pick(&mut self, kind: PickKind, title: &str) -> PickStart;
    /// Finds out what was dropped; the answers come from [`Self::poll`].
    fn dropped(&mut self, paths: Vec<PathBuf>);
    /// The next answer, if one waits.
    fn poll(&mut self) -> Option<ServiceEvent>;
    /// A file or folder that ships with the program.
    fn asset(&self, name: &str) -> Option<PathBuf>;
    /// Keeps the state for the next start, in the background unless `last`.
    fn save(&mut self, state: &SavedState, last: bool);
}

/// Asks a person, for as long as they like (or for ever, if the system never answers).
type Dialog = dyn Fn(PickKind, &str) -> ServiceEvent + Send + Sync;

/// The real system.
pub struct SystemServices {
    paths: Paths,
    dialog: Arc<Dialog>,
    wake: Arc<dyn Fn() + Send + Sync>,
    picking: Arc<AtomicBool>,
    events: Receiver<ServiceEvent>,
    answer: Sender<ServiceEvent>,
    /// The newest state wins; writes never overlap.
    writing: Arc<Mutex<()>>,
}

/// A dialog that "was cancelled" faster than a person can is none at all.
const TOO_FAST: Duration = Duration::from_millis(300);

impl SystemServices {
    /// `wake` is called when an answer waits.
    pub fn new(paths: Paths, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::with_dialog(paths, wake, pick_blocking)
    }

    fn with_dialog(
        paths: Paths,
        wake: impl Fn() + Send + Sync + 'static,
        dialog: impl Fn(PickKind, &str) -> ServiceEvent + Send + Sync + 'static,
    ) -> Self {
        let (answer, events) = bounded(256);
        let (wake, dialog) = (Arc::new(wake), Arc::new(dialog));
        Self { paths, dialog, wake, picking: Arc::default(), events, answer, writing: Arc::default() }
    }

    /// Runs on a thread of that name; false if the system gives no thread.
    fn background(&self, name: &str, work: impl FnOnce(&Sender<ServiceEvent>) + Send + 'static) -> bool {
        let (answer, wake) = (self.answer.clone(), Arc::clone(&self.wake));
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(&answer);
            wake();
        });
        spawned.inspect_err(|error| log::error!("no thread for {name}: {error}")).is_ok()
    }
}

impl Services for SystemServices {
    fn pick(&mut self, kind: PickKind, title: &str) -> PickStart {
        if self.picking.swap(true, Ordering::AcqRel) {
            return PickStart::Busy;
        }
        let (title, picking, dialog) = (title.to_owned(), Arc::clone(&self.picking), Arc::clone(&self.dialog));
        let started = self.background("dialog", move |answer| {
            let event = dialog(kind, &title);
            picking.store(false, Ordering::Release);
            answer.try_send(event).ok();
        });
        if !started {
            self.picking.store(false, Ordering::Release);
            self.answer.try_send(ServiceEvent::NoDialog(kind)).ok();
        }
        PickStart::Opened
    }

    fn dropped(&mut self, paths: Vec<PathBuf>) {
        // A file check can hang for as long as a network drive does.
        self.background("dropped", move |answer| {
            for path in paths {
                let is_folder = path.is_dir();
                answer.try_send(ServiceEvent::Dropped { path, is_folder }).ok();
            }
        });
    }

    fn poll(&mut self) -> Option<ServiceEvent> {
        self.events.try_recv().ok()
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        self.paths.asset(name)
    }

    fn save(&mut self, state: &SavedState, last: bool) {
        let (state, paths, writing) = (state.clone(), self.paths.clone(), Arc::clone(&self.writing));
        let write = move || {
            let _one_at_a_time = writing.lock();
            if let Err(error) = state.store(&paths) {
                log::warn!("the window's state could not be kept: {error}: {}", paths.data.display());
            }
        };
        if last {
            write()
        } else {
            self.background("save state", move |_| write());
        }
    }
}

fn pick_blocking(kind: PickKind, title: &str) -> ServiceEvent {
    if !has_dialog() {
        return ServiceEvent::NoDialog(kind);
    }
    let dialog = rfd::FileDialog::new().set_title(title);
    let since = Instant::now();
    let picked = match kind {
        PickKind::Folder | PickKind::ExportFolder => dialog.pick_folder(),
        PickKind::Picture => dialog.pick_file(),
    };
    match picked {
        Some(path) => ServiceEvent::Picked { kind, path },
        None if since.elapsed() < TOO_FAST => ServiceEvent::NoDialog(kind),
        None => ServiceEvent::Cancelled,
    }
}

/// Linux and BSD need a message bus with a portal, or zenity; others bring a dialog along.
fn has_dialog() -> bool {
    if !cfg!(all(unix, not(target_os = "macos"))) {
        return true;
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
        || set("XDG_RUNTIME_DIR").is_some_and(|dir| Path::new(&dir).join("bus").exists());
    bus || set("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("zenity").is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(dialog: impl Fn(PickKind, &str) -> ServiceEvent + Send + Sync + 'static) -> SystemServices {
        SystemServices::with_dialog(Paths::in_folder(Path::new("/nowhere")), || {}, dialog)
    }

    fn wait(services: &mut SystemServices) -> ServiceEvent {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < Duration::from_secs(30), "no answer");
            match services.poll() {
                Some(event) => return event,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// U2: a portal that never answers costs nothing but itself.
    #[test]
    fn a_dialog_that_never_answers_blocks_nothing_and_stacks_no_second() {
        let (asked, seen) = bounded(8);
        let mut system = services(move |kind, _| {
            asked.send(kind).unwrap();
            loop {
                std::thread::park();
            }
        });
        let since = Instant::now();
        assert_eq!(system.pick(PickKind::Folder, "Folder"), PickStart::Opened);
        assert_eq!(seen.recv_timeout(Duration::from_secs(30)), Ok(PickKind::Folder));
        for kind in [PickKind::Folder, PickKind::Picture] {
            assert_eq!(system.pick(kind, "Again"), PickStart::Busy);
        }
        assert!(system.poll().is_none() && seen.try_recv().is_err());
        // What does not need the dialog goes on.
        system.dropped(vec!["/nowhere/at all".into()]);
        assert_eq!(wait(&mut system), ServiceEvent::Dropped { path: "/nowhere/at all".into(), is_folder: false });
        assert!(since.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_dialog_that_was_answered_can_be_opened_again() {
        let mut system = services(|kind, _| ServiceEvent::Picked { kind, path: "/photos".into() });
        for _ in 0..2 {
            assert_eq!(system.pick(PickKind::Folder, "Folder"), PickStart::Opened);
            assert!(matches!(wait(&mut system), ServiceEvent::Picked { kind: PickKind::Folder, .. }));
        }
    }
}
