//! Sentences on stderr, and what an interrupt does.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::domain::CancelSource;

/// How often it is looked whether an interrupt came.
const LOOK: Duration = Duration::from_millis(50);

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' warnings speak to programmers.
        metadata.target().starts_with("glimpse") || log::max_level() >= LevelFilter::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        // Nothing sensible is left to do when stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{level}: {}", record.args());
    }

    fn flush(&self) {}
}

/// Warnings and errors, unless told otherwise.
pub fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, _) => LevelFilter::Debug,
    };
    // Fails only where a logger is set already: in tests.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

/// The first interrupt (or request to terminate) cancels what the source started; the second ends the program.
pub fn on_interrupt(source: CancelSource) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, only later ones end the program.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    // A handler may do next to nothing, so a thread looks at what it noted.
    thread::Builder::new().name("glimpse-interrupt".into()).spawn(move || {
        while !asked.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
        }
        source.cancel();
    })?;
    Ok(())
}
