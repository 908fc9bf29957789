//! How the window talks to the engine: two calls that never block.

use crate::engine::{Command, Engine, Event};

/// The engine as the window sees it; tests drive the window with a scripted one.
pub trait EngineLink {
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

/// Stands in where no engine could be started.
pub(super) struct NoEngine;

impl EngineLink for NoEngine {
    fn send(&self, _command: Command) -> bool {
        true
    }

    fn poll(&self) -> Option<Event> {
        None
    }
}
