//! Handing a photo to the system: its viewer, its file manager.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::{Failure, FailureKind};

/// Opens the photo in the program that the system has for it.
pub(super) fn open(path: &Path) -> Result<(), Failure> {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        Command::new("explorer")
    } else {
        Command::new("xdg-open")
    };
    command.arg(path);
    start(command, path)
}

/// Shows the photo in the file manager: selected where the system can, else its folder.
pub(super) fn show_in_folder(path: &Path) -> Result<(), Failure> {
    if cfg!(target_os = "macos") {
        let mut command = Command::new("open");
        command.arg("-R").arg(path);
        return start(command, path);
    }
    if cfg!(windows) {
        let mut select = std::ffi::OsString::from("/select,");
        select.push(path);
        let mut command = Command::new("explorer");
        command.arg(select);
        return start(command, path);
    }
    open(path.parent().unwrap_or(path))
}

fn start(mut command: Command, path: &Path) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| {
        Failure::new(FailureKind::System, format!("`{program}` could not be started: {error}")).at(path)
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
    // Waited for, so that it does not stay behind as a zombie.
    thread::Builder::new()
        .name("glimpse-opened".into())
        .spawn(move || {
            if let Err(error) = child.wait() {
                log::debug!("a started program could not be waited for: {error}");
            }
        })
        .map(drop)
        .map_err(failed)
}
