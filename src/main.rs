//! The `glimpse` program: arguments, then a command or the window.

use std::process::ExitCode;

use clap::Parser as _;
use glimpse::cli::{self, Cli, Next};

fn main() -> ExitCode {
    glimpse::models::ops::keep_freed_memory();
    match cli::run(Cli::parse()) {
        Next::Exit(code) => ExitCode::from(code),
        Next::Window(window) => open(*window),
    }
}

#[cfg(not(feature = "gui"))]
fn open(_: cli::Window) -> ExitCode {
    eprintln!("error: this glimpse was built without its window (feature `gui`); `glimpse --help` lists the commands");
    ExitCode::from(2)
}

#[cfg(feature = "gui")]
fn open(window: cli::Window) -> ExitCode {
    let cli::Window { config, folder, temporary } = window;
    let outcome =
        glimpse::app::run(&glimpse::app::WindowConfig { engine: config, folders: folder.into_iter().collect() });
    drop(temporary);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}
