//! Commands in, events out: the threads, queues and jobs between a front end and the library.
//!
//! Knows a `std::task::Waker`, never egui.

mod messages;

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::{Paths, Settings};
use crate::device::DeviceRequest;
use crate::models::align::AlignModel;

pub use messages::{
    Command, Details, Event, Failure, FailureKind, FolderStatus, LibraryStatus, ModelStatus, Scope, SearchResults,
    Thumb,
};

/// Commands that may wait; a window sends a few dozen a frame at most.
const COMMANDS: usize = 1024;
/// Events that may wait for a front end that is slow to poll.
const EVENTS: usize = 4096;

/// Where the Align model comes from.
#[derive(Clone)]
pub enum ModelSource {
    /// The library's active pack, else the built-in one.
    Active,
    /// A pack's id, or a folder.
    Pack(String),
    /// Already in memory: tests and benches.
    Ready(Arc<dyn AlignModel>),
}

/// All that an engine needs to know; nothing is read from the environment.
#[derive(Clone)]
pub struct EngineConfig {
    pub paths: Paths,
    /// The library file; made if it is not there.
    pub library: PathBuf,
    pub settings: Settings,
    pub align: ModelSource,
    pub device: DeviceRequest,
}

/// The engine's front: never blocks. Dropping it cancels the jobs and commits the last batch.
pub struct Engine {
    commands: Sender<Command>,
    events: Receiver<Event>,
}

impl Engine {
    /// Opens the library and starts the threads. The waker is called whenever an event waits.
    pub fn start(config: EngineConfig, waker: Waker) -> Result<Self, Failure> {
        let (commands, _incoming) = bounded(COMMANDS);
        let (_outgoing, events) = bounded(EVENTS);
        drop((config, waker));
        Ok(Self { commands, events })
    }

    /// Hands a command over; false when the queue is full or the engine is down.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// The next event, if one waits.
    pub fn poll(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}
