//! The way out: a bounded queue of events, and the front end's waker.

use std::task::Waker;

use crossbeam_channel::{Sender, TrySendError};

use super::{Event, Failure};

/// Sends events and wakes the front end. Cloned into every thread.
#[derive(Clone)]
pub(super) struct Outbox {
    events: Sender<Event>,
    waker: Waker,
}

impl Outbox {
    pub fn new(events: Sender<Event>, waker: Waker) -> Self {
        Self { events, waker }
    }

    /// Waits while the queue is full: answers are never lost. False once nobody listens any more.
    pub fn send(&self, event: Event) -> bool {
        let sent = match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(event)) => {
                self.waker.wake_by_ref();
                self.events.send(event).is_ok()
            }
            Err(TrySendError::Disconnected(_)) => false,
        };
        self.waker.wake_by_ref();
        sent
    }

    /// For events that the next one of their kind makes obsolete: left out while the queue is full.
    pub fn offer(&self, event: Event) {
        if self.events.try_send(event).is_ok() {
            self.waker.wake_by_ref();
        }
    }

    /// Tells the person something that answers no question of theirs.
    pub fn notice(&self, failure: impl Into<Failure>) {
        let failure = failure.into();
        log::warn!("{}", failure.detail);
        self.send(Event::Notice(failure));
    }
}
