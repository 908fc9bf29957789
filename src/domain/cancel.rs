//! Latest-wins cancellation: one generation counter; a token is live while its
//! generation is the newest. Restarting or dropping the source cancels what came before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out tokens; each new one cancels its predecessors.
#[derive(Debug, Default)]
pub struct CancelSource(Arc<AtomicU64>);

/// Asks "am I still wanted?" with one atomic load.
#[derive(Clone, Debug)]
pub struct CancelToken {
    generation: u64,
    newest: Arc<AtomicU64>,
}

impl CancelSource {
    /// Cancels all earlier tokens and returns a live one.
    pub fn restart(&self) -> CancelToken {
        let generation = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        CancelToken { generation, newest: Arc::clone(&self.0) }
    }

    /// Cancels all tokens handed out so far.
    pub fn cancel(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for CancelSource {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl CancelToken {
    /// A token that nothing cancels.
    pub fn never() -> Self {
        Self { generation: 0, newest: Arc::default() }
    }

    /// True once a newer token exists or the source is gone.
    pub fn is_cancelled(&self) -> bool {
        self.newest.load(Ordering::Relaxed) != self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_wins() {
        let source = CancelSource::default();
        let first = source.restart();
        assert!(!first.is_cancelled());
        let second = source.restart();
        assert!(first.is_cancelled() && !second.is_cancelled());
        drop(source);
        assert!(second.is_cancelled());
        assert!(!CancelToken::never().is_cancelled());
    }
}
