//! Pausing, resuming and cancelling a job from another thread.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{CancelSource, CancelToken};

/// How often a paused thread looks whether the job was cancelled meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// The handle that a job's threads ask and its owner steers.
#[derive(Debug)]
pub struct JobControl {
    /// Kept so that [`Self::cancel`] can end the token; a job that was made from a token has none.
    source: Option<CancelSource>,
    token: CancelToken,
    paused: Mutex<bool>,
    changed: Condvar,
}

impl JobControl {
    /// A job of its own.
    pub fn new() -> Self {
        let source = CancelSource::default();
        let token = source.restart();
        Self { source: Some(source), ..Self::with_token(token) }
    }

    /// A job that ends when somebody else's token does.
    pub fn with_token(token: CancelToken) -> Self {
        Self { source: None, token, paused: Mutex::new(false), changed: Condvar::new() }
    }

    /// Ends with the job.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Asks the job to stop; what is encoded is still committed.
    pub fn cancel(&self) {
        if let Some(source) = &self.source {
            source.cancel();
        }
        self.changed.notify_all();
    }

    /// Holds the job before its next file, or lets it go on.
    pub fn pause(&self, paused: bool) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = paused;
        self.changed.notify_all();
    }

    /// Whether the job is held.
    pub fn is_paused(&self) -> bool {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while the job is paused; false once it is cancelled.
    pub fn may_go_on(&self) -> bool {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        while *paused && !self.token.is_cancelled() {
            paused = self.changed.wait_timeout(paused, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        !self.token.is_cancelled()
    }
}

impl Default for JobControl {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_paused_job_waits_and_a_cancelled_one_ends() {
        let control = JobControl::new();
        assert!(control.may_go_on());
        control.pause(true);
        thread::scope(|scope| {
            let waiting = thread::Builder::new().spawn_scoped(scope, || control.may_go_on()).unwrap();
            control.pause(false);
            assert!(waiting.join().unwrap());
            control.pause(true);
            let waiting = thread::Builder::new().spawn_scoped(scope, || control.may_go_on()).unwrap();
            control.cancel();
            assert!(!waiting.join().unwrap());
        });
    }

    #[test]
    fn a_job_follows_the_token_it_was_given() {
        let source = CancelSource::default();
        let control = JobControl::with_token(source.restart());
        assert!(control.may_go_on());
        drop(source);
        assert!(!control.may_go_on());
    }
}
