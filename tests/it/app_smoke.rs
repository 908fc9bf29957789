//! The real program in a real window: Xvfb, Mesa's software renderer, the sample photos.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the process it holds.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn has(program: &str) -> bool {
    let there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !there {
        println!("skipped: {program} is not installed (Debian: xvfb, imagemagick, mesa-vulkan-drivers)");
    }
    there
}

/// A display of its own; gives its name.
fn display() -> (Running, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    (Running(server), format!(":{}", number.trim()))
}

fn glimpse(display: &str, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glimpse"));
    command
        .env("DISPLAY", display)
        .env("GLIMPSE_DATA", home.join("data"))
        .env("GLIMPSE_CACHE", home.join("cache"))
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env_remove("WAYLAND_DISPLAY")
        .stdout(Stdio::null());
    command
}

/// Takes screenshots until one is as colourful as photos are; gives the number of distinct colours.
fn colours_on(display: &str, shot: &Path, program: &mut Running, enough: usize) -> usize {
    let since = Instant::now();
    let mut colours = 0;
    while colours < enough && since.elapsed() < Duration::from_secs(180) {
        if let Some(status) = program.0.try_wait().unwrap() {
            panic!("the program ended by itself: {status}");
        }
        std::thread::sleep(Duration::from_secs(1));
        let taken = Command::new("import").args(["-display", display, "-window", "root"]).arg(shot).status().unwrap();
        assert!(taken.success());
        let picture = image::open(shot).unwrap().to_rgb8();
        colours = picture.pixels().map(|p| p.0.map(|channel| channel >> 3)).collect::<HashSet<_>>().len();
    }
    colours
}

#[test]
fn the_program_shows_the_samples() {
    if !has("Xvfb") || !has("import") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples");
    let (_server, display) = display();
    let shot = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("smoke.png");
    let mut program = Running(glimpse(&display, home.path()).arg(&samples).spawn().unwrap());
    let colours = colours_on(&display, &shot, &mut program, 1500);
    assert!(colours >= 1500, "only {colours} colours: {}", shot.display());
}

/// Without any Vulkan adapter the window falls back to OpenGL.
#[test]
fn the_window_opens_without_vulkan() {
    if !has("Xvfb") || !has("import") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (_server, display) = display();
    let shot = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("smoke-gl.png");
    let mut command = glimpse(&display, home.path());
    command.env("VK_ICD_FILENAMES", "/nonexistent.json").env("VK_DRIVER_FILES", "/nonexistent.json");
    let mut program = Running(command.spawn().unwrap());
    // The first start has few colours, an empty screen has one.
    let colours = colours_on(&display, &shot, &mut program, 12);
    assert!(colours >= 12, "only {colours} colours: {}", shot.display());
}
