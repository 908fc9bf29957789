//! How the window talks to the engine: two calls that never block; and how it comes by one.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use egui::Context;

use crate::engine::{Command, Engine, Event, Failure, FailureKind};

/// The engine as the window sees it; tests drive the window with a scripted one.
pub trait EngineLink: Send {
    /// Hands a command over; false when the queue is full, to be tried again a frame later.
    fn send(&self, command: Command) -> bool;
    /// The next event, if one waits.
    fn poll(&self) -> Option<Event>;
}

impl EngineLink for Engine {
    fn send(&self, command: Command) -> bool {
        self.send(command)
    }

    fn poll(&self) -> Option<Event> {
        self.poll()
    }
}

/// An engine, or why there is none.
pub type Opened = Result<Box<dyn EngineLink>, Failure>;

/// Starts engines on a thread of its own: a library that another program holds is waited for
/// for seconds, and no frame waits with it.
pub(super) struct Opener {
    open: Arc<dyn Fn() -> Opened + Send + Sync>,
    answer: Option<Receiver<Opened>>,
}

impl Opener {
    /// Starts nothing yet.
    pub fn new(open: impl Fn() -> Opened + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(open), answer: None }
    }

    /// Starts one, after the old one, if any, has ended. Nothing happens while another try is under way.
    pub fn start(&mut self, ctx: &Context, old: Option<Box<dyn EngineLink>>) {
        if self.is_busy() {
            return;
        }
        let (sender, answer) = bounded(1);
        let (open, ctx, failed) = (Arc::clone(&self.open), ctx.clone(), sender.clone());
        let spawned = thread::Builder::new().name("open library".into()).spawn(move || {
            drop(old);
            // A window that was closed meanwhile wants no engine any more.
            let _ = sender.send(open());
            ctx.request_repaint();
        });
        if let Err(error) = spawned {
            let _ = failed.send(Err(Failure::new(FailureKind::System, format!("no thread: {error}"))));
        }
        self.answer = Some(answer);
    }

    /// True until the answer was taken.
    pub fn is_busy(&self) -> bool {
        self.answer.is_some()
    }

    /// The answer, if it is there within `patience`.
    pub fn poll(&mut self, patience: Duration) -> Option<Opened> {
        let opened = self.answer.as_ref()?.recv_timeout(patience).ok()?;
        self.answer = None;
        Some(opened)
    }
}
