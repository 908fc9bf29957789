//! How the engine's threads begin and end. Must not know what they do.

use std::thread;

use crossbeam_channel::Sender;

/// Starts a thread that holds `alive` until all that `work` had has been let go: a library file
/// that is being closed, or a graphics driver whose device is, must not meet the program's end.
pub(super) fn begin(name: &str, alive: Sender<()>, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let run = move || {
        work();
        drop(alive);
    };
    thread::Builder::new().name(format!("glimpse-{name}")).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::*;

    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(50));
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_thread_has_ended_when_what_it_held_is_gone() {
        let (alive, ended) = bounded::<()>(0);
        let gone = Arc::new(AtomicBool::new(false));
        let held = Slow(Arc::clone(&gone));
        begin("test", alive, move || {
            let _inner = &held;
        })
        .unwrap();
        assert!(ended.recv().is_err(), "nothing is ever sent");
        assert!(gone.load(Ordering::Relaxed), "ended while something was still being closed");
    }
}
