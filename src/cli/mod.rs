//! The command line: what scripts depend on. Arguments in, lines on stdout, sentences on
//! stderr, an exit code. Must not draw: where a window is wanted it says so to its caller.
//!
//! Exit codes: 0 done; 1 something asked for could not be done; 2 wrong usage.

mod args;
mod ask;
mod caption;
mod demo;
mod doctor;
mod embed;
mod eval;
mod export;
mod fuse;
mod index;
mod lines;
mod logger;
mod matching;
mod models;
mod output;
mod search;
mod session;
mod status;

use std::io;
use std::path::PathBuf;

use anyhow::Error;

use crate::config::Paths;
use crate::domain::CancelSource;
use crate::engine::EngineConfig;

pub use args::Cli;

use args::Command;
use output::Output;
use session::Session;

/// What is left to do after the command line had its turn.
pub enum Next {
    /// End with this code.
    Exit(u8),
    /// Open the window.
    Window(Box<Window>),
}

/// A window that was asked for.
pub struct Window {
    pub config: EngineConfig,
    /// Index this first.
    pub folder: Option<PathBuf>,
    /// Removed when the window has closed.
    pub temporary: Option<demo::TemporaryFolder>,
}

/// How far a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Fully,
    /// Something asked for could not be done; it was said what.
    Partly,
}

impl From<bool> for Done {
    fn from(complete: bool) -> Self {
        if complete { Self::Fully } else { Self::Partly }
    }
}

/// Runs the command, or says that a window is wanted.
pub fn run(cli: Cli) -> Next {
    logger::start(cli.global.verbose, cli.global.quiet);
    let source = CancelSource::default();
    let session = Session::new(&cli.global, Paths::from_env(), source.restart());
    let Some(command) = cli.command else { return window(&session, cli.folder) };
    // From here on an interrupt ends the work at the next safe point; a second one ends the program.
    if let Err(error) = logger::on_interrupt(source) {
        log::warn!("an interrupt will end the program at once: {error}");
    }
    let mut out = Output::stdout(cli.global.json);
    let done = match command {
        Command::Index(args) => index::index(&session, &args, &mut out),
        Command::Search(args) => search::search(&session, &args, &mut out),
        Command::Similar(args) => search::similar(&session, &args, &mut out),
        Command::Caption(args) => caption::caption(&session, &args, &mut out),
        Command::Ask(args) => ask::ask(&session, &args, &mut out),
        Command::Match(args) => matching::matching(&session, &args, &mut out),
        Command::Export(args) => export::export(&session, &args, &mut out),
        Command::Embed { what } => embed::embed(&session, &what, &mut out),
        Command::Status => status::status(&session, &mut out),
        Command::Folders { what } => status::folders(&session, &what, &mut out),
        Command::Models { what } => models::models(&session, &what, &mut out),
        Command::Eval { what } => eval::eval(&session, &what, &mut out),
        Command::Doctor => doctor::doctor(&session, &mut out),
        Command::Demo { no_window } => match demo::demo(session, no_window, &mut out) {
            Ok(Some(window)) => return Next::Window(Box::new(window)),
            Ok(None) => Ok(Done::Fully),
            Err(error) => Err(error),
        },
        Command::GoldenCheck { folder } => models::golden_check(&session, &folder, &mut out),
    };
    Next::Exit(match done {
        Ok(Done::Fully) => 0,
        Ok(Done::Partly) => 1,
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            log::error!("{}", sentence(&error));
            1
        }
    })
}

fn window(session: &Session, folder: Option<PathBuf>) -> Next {
    if let Some(folder) = &folder
        && !folder.is_dir()
    {
        log::error!("`{}` is no command and no folder; `glimpse --help` lists the commands", folder.display());
        return Next::Exit(2);
    }
    let config = session.engine_config();
    let folder = folder.map(|folder| output::absolute(&folder));
    Next::Window(Box::new(Window { config, folder, temporary: None }))
}

/// The reader of stdout hung up: it has what it wanted.
fn is_broken_pipe(error: &Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

/// The error with its causes, once each: our own errors repeat their source in their message.
fn sentence(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// `1 photo`, `2 photos`, `0 photos`.
fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Seconds as people say them.
fn duration(secs: f32) -> String {
    match secs.max(0.0).round() as u64 {
        s @ 0..90 => format!("{s} s"),
        s @ 90..5400 => format!("{} min", (s + 30) / 60),
        s => format!("{:.1} h", s as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_as_people_say_them() {
        assert_eq!([12.4, 89.6, 600.0, 7200.0].map(duration), ["12 s", "2 min", "10 min", "2.0 h"]);
        assert_eq!(plural(1, "photo", "photos"), "1 photo");
        assert_eq!(plural(0, "photo", "photos"), "0 photos");
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = io::Error::other("no room");
        let error = Error::new(inner).context("the file could not be written");
        assert_eq!(sentence(&error), "the file could not be written: no room");
        let error = Error::new(io::Error::other("no room")).context("it failed: no room");
        assert_eq!(sentence(&error), "it failed: no room");
        assert!(is_broken_pipe(&Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("x")));
    }
}
