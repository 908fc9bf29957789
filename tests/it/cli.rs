//! The real binary with the built-in pack, as a script uses it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::photos::{self, BLUE, GREEN, RED};

/// A place of its own for one test.
pub(super) struct World {
    dir: tempfile::TempDir,
}

/// What a command gave.
pub(super) struct Gave {
    pub(super) code: i32,
    pub(super) lines: Vec<Value>,
    pub(super) stderr: String,
}

impl World {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn command(&self, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glimpse"));
        command.args(args.iter().map(|arg| arg.as_ref()));
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("GLIMPSE_DATA", self.path("data"))
            .env("GLIMPSE_CACHE", self.path("cache"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
    }

    /// Runs with `--json`.
    pub(super) fn run(&self, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Gave {
        gave(self.command(&[&"--json"]).args(args.iter().map(|arg| arg.as_ref())).output().unwrap())
    }

    pub(super) fn index(&self, folder: &Path) -> Gave {
        self.run(&[&"index", &folder])
    }

    pub(super) fn photos(&self, n: u32) -> PathBuf {
        for i in 0..n {
            photos::write(&self.path(&format!("photos/{i:04}.jpg")), [RED, GREEN, BLUE][i as usize % 3], i);
        }
        self.path("photos")
    }

    fn status(&self) -> Value {
        self.run(&[&"status"]).lines.remove(0)
    }
}

fn gave(output: Output) -> Gave {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines = stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    Gave {
        code: output.status.code().unwrap_or(-1),
        lines: lines.collect(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Gave {
    /// The counts of the last line: indexed, unchanged, moved, missing, failed.
    fn counts(&self) -> [i64; 5] {
        let done = self.lines.last().unwrap_or_else(|| panic!("no line; {}", self.stderr));
        assert_eq!(done["event"], "done", "{done}");
        ["indexed", "unchanged", "moved", "missing", "failed"].map(|name| done[name].as_i64().unwrap())
    }

    fn paths(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line["path"].as_str().unwrap()).collect()
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < until, "it never came to that");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn index_search_similar_status_folders() {
    let world = World::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples");
    let folder = world.path("photos");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
    }
    let indexed = world.index(&folder);
    assert_eq!(indexed.code, 0, "{}", indexed.stderr);
    let n = indexed.counts()[0];
    assert!(n >= 12);
    assert_eq!(indexed.lines.last().unwrap()["device"], "cpu");
    assert_eq!(world.index(&folder).counts(), [0, n, 0, 0, 0]);

    for query in ["two dogs at a window", "两只狗"] {
        let found = world.run(&[&"search", &query, &"--top", &"3"]);
        assert_eq!((found.code, found.lines.len()), (0, 3), "{}", found.stderr);
        assert_eq!(found.lines[0]["rank"], 1);
        assert!(found.lines[0]["score"].as_f64().unwrap() >= found.lines[1]["score"].as_f64().unwrap());
        let dogs = folder.join("窗边的两只狗.jpg");
        assert!(found.paths().contains(&dogs.to_str().unwrap()), "{query}: {:?}", found.paths());
    }
    assert_eq!(world.run(&[&"search", &"x"]).lines.len() as i64, n.min(20), "20 hits unless told, or all there are");

    let raccoon = folder.join("raccoon.jpg");
    let similar = world.run(&[&"similar", &raccoon, &"--top", &"2"]);
    assert_eq!(similar.paths()[0], raccoon.to_str().unwrap());
    let outside = world.path("copy.jpg");
    fs::copy(&raccoon, &outside).unwrap();
    let similar = world.run(&[&"similar", &"copy.jpg", &"--top", &"2"]);
    assert_eq!(similar.paths()[0], raccoon.to_str().unwrap());
    assert!(similar.lines[0]["score"].as_f64().unwrap() > 0.99);

    let status = world.status();
    assert_eq!((status["photos"].as_i64(), status["missing"].as_i64()), (Some(n), Some(0)));
    assert_eq!(status["models"][0]["pack"], "lite-align");
    assert!(status["size_bytes"].as_i64().unwrap() > 0);
    assert_eq!(world.run(&[&"folders", &"list"]).paths(), [folder.to_str().unwrap()]);
    assert_eq!(world.run(&[&"folders", &"remove", &folder]).code, 0);
    assert_eq!(world.status()["photos"], 0);
    assert!(raccoon.exists(), "photos are never touched");
    let empty = world.run(&[&"search", &"x"]);
    assert_eq!(empty.code, 1);
    assert!(empty.stderr.contains("index a folder"), "{}", empty.stderr);
}

#[test]
fn exit_codes_and_sentences() {
    let world = World::new();
    for wrong in [&["search"][..], &["--frob"], &["nonsense"], &["search", "a", "b"], &["--device", "gpu", "status"]] {
        let output = world.command(&[]).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    for help in [&["--help"][..], &["index", "--help"], &["search", "--help"], &["--version"]] {
        assert_eq!(world.command(&[]).args(help).output().unwrap().status.code(), Some(0), "{help:?}");
    }
    let none = world.run(&[&"search", &"x"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("index a folder"), "{}", none.stderr);
    assert_eq!(world.status()["photos"], 0);
    let nowhere = world.run(&[&"index", &"nowhere"]);
    assert_eq!((nowhere.code, nowhere.counts()), (1, [0; 5]));
    assert!(nowhere.stderr.contains("nowhere"));
    for device in ["wgpu", "cuda", "metal"] {
        // No driver, no card; the other two are not built in.
        let mut command = world.command(&[&"--json", &"embed", &"text", &"x", &"--device", &device]);
        let nowhere = [("VK_ICD_FILENAMES", "/nowhere.json"), ("VK_DRIVER_FILES", "/nowhere.json")];
        let refused = gave(command.envs(nowhere).output().unwrap());
        assert_eq!(refused.code, if cfg!(target_os = "linux") { 1 } else { refused.code }, "{device}");
        assert!(refused.code == 0 || refused.stderr.contains(device), "{}", refused.stderr);
    }
    fs::write(world.path("list.txt"), "milk, eggs").unwrap();
    let refused = world.run(&[&"--library", &"list.txt", &"status"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("list.txt"), "{}", refused.stderr);
    assert_eq!(fs::read(world.path("list.txt")).unwrap(), b"milk, eggs");
}

#[test]
fn embeds_need_no_library_and_leave_none() {
    let world = World::new();
    photos::write(&world.path("a.jpg"), RED, 1);
    let texts = world.run(&[&"embed", &"text", &"a red car", &"", &"红色的车"]);
    assert_eq!(texts.code, 1, "one of them is blank");
    assert_eq!(texts.lines.len(), 3);
    assert!(texts.lines[1]["error"].is_string());
    let images = world.run(&[&"embed", &"image", &"a.jpg", &"absent.jpg"]);
    assert_eq!((images.code, images.lines.len()), (1, 2));
    assert_eq!(images.lines[0]["input"], world.path("a.jpg").to_str().unwrap());
    let vector =
        |line: &Value| -> Vec<f64> { line["vector"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
    for line in [&texts.lines[0], &texts.lines[2], &images.lines[0]] {
        let vector = vector(line);
        assert_eq!(line["dim"].as_u64(), Some(vector.len() as u64));
        assert!((vector.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-3);
    }
    assert!(!world.path("data").exists(), "nothing is stored");
}

#[test]
fn a_file_of_queries_has_one_answer_a_line_whatever_its_encoding() {
    let world = World::new();
    world.index(&world.photos(3));
    let mut bytes = b"\xEF\xBB\xBFa red thing\r\n\r\n\xC3\xA8\xB9\xB7\xFE\r\n".to_vec();
    bytes.extend("蓝色; '); DROP TABLE photos;--\n🙂".bytes());
    fs::write(world.path("queries.txt"), bytes).unwrap();
    let found = world.run(&[&"search", &"--queries", &"queries.txt", &"--top", &"2"]);
    assert_eq!((found.code, found.lines.len()), (1, 5), "{}", found.stderr);
    assert_eq!(found.lines[0]["query"], "a red thing");
    assert_eq!(found.lines[0]["hits"].as_array().unwrap().len(), 2);
    assert!(found.lines[1]["error"].is_string() && found.lines[2]["error"].is_string());
    assert_eq!(found.lines[3]["hits"].as_array().unwrap().len(), 2);
    assert_eq!(found.lines[4]["query"], "🙂");

    let utf16: Vec<u8> = "\u{FEFF}red\r\n蓝色\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(world.path("queries.txt"), utf16).unwrap();
    let found = world.run(&[&"search", &"--queries", &"queries.txt"]);
    assert_eq!((found.code, found.lines.len()), (0, 2));
    assert_eq!(found.lines[1]["query"], "蓝色");
}

#[test]
fn queries_of_every_kind_get_hits_or_a_sentence() {
    let world = World::new();
    world.index(&world.photos(3));
    let long = "a red thing ".repeat(3000);
    for query in ["NEAR(", "x:y", "C++", "'; DROP TABLE photos;--", "the of a", "🙂", long.as_str()] {
        let found = world.run(&[&"search", &"--", &query]);
        assert_eq!((found.code, found.lines.len()), (0, 3), "{:.20}: {}", query, found.stderr);
        assert_eq!(found.stderr.contains("longer than the model reads"), query == long, "{}", found.stderr);
    }
    for blank in ["", "  ", "\u{3000}", "\u{200B}", "。！", "\"", "*", "-"] {
        let found = world.run(&[&"search", &"--", &blank]);
        assert_eq!((found.code, found.lines.len()), (1, 0), "{blank:?}");
        assert!(!found.stderr.is_empty());
    }
}

#[test]
#[cfg(unix)]
fn names_of_every_kind_come_back_as_they_are() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = World::new();
    let folder = world.path("照片");
    let names: [&[u8]; 12] = [
        b"a%20b.jpg",
        b"a b.jpg",
        b"#1?.jpg",
        b"CZ | Prag/1.jpg",
        b"~/1.jpg",
        b"line\nbreak.jpg",
        b" space .jpg",
        b"-rf.jpg",
        b"PXL.MP.jpg",
        b"x..jpg",
        b"\xff\xfe.jpg",
        b"M\xe4rz/1.jpg",
    ];
    for (seed, name) in names.iter().enumerate() {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Two of them unlike the rest, so that what is like them is known.
        let colour = match *name {
            b"-rf.jpg" => BLUE,
            b"\xff\xfe.jpg" => GREEN,
            _ => RED,
        };
        photos::patch(colour, seed as u32).save_with_format(&path, image::ImageFormat::Jpeg).unwrap();
    }
    fs::write(folder.join(".jpeg"), "hidden").unwrap();
    let index = |command: &mut Command| gave(command.env("LC_ALL", "C").output().unwrap());
    let indexed = index(&mut world.command(&[&"index", &folder, &"--json"]));
    assert_eq!((indexed.code, indexed.counts()), (0, [12, 0, 0, 0, 0]), "{}", indexed.stderr);
    let found = index(&mut world.command(&[&"search", &"red", &"--json"]));
    assert_eq!(found.lines.len(), 12);
    let with_bytes: Vec<_> = found.lines.iter().filter(|line| line.get("path_bytes").is_some()).collect();
    assert_eq!(with_bytes.len(), 2, "those that are not UTF-8");
    assert!(found.paths().iter().all(|path| path.starts_with(folder.to_str().unwrap())), "{:?}", found.paths());
    assert!(found.paths().contains(&folder.join("line\nbreak.jpg").to_str().unwrap()));

    let mut similar = world.command(&[&"similar", &"--json", &"--", &"-rf.jpg"]);
    let similar = index(similar.current_dir(&folder));
    assert_eq!(similar.paths()[0], folder.join("-rf.jpg").to_str().unwrap());
    let odd = folder.join(std::ffi::OsStr::from_bytes(b"\xff\xfe.jpg"));
    assert_eq!(
        index(&mut world.command(&[&"similar", &odd, &"--json"])).lines[0]["path_bytes"].as_str(),
        Some(base64(&odd).as_str())
    );
    assert_eq!(index(&mut world.command(&[&"folders", &"remove", &folder, &"--json"])).code, 0);
}

#[cfg(unix)]
fn base64(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut child = Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), path.as_os_str().as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn bad_files_are_named_with_their_reasons() {
    let world = World::new();
    let folder = world.photos(2);
    fs::write(folder.join("empty.jpg"), b"").unwrap();
    fs::write(folder.join("words.jpg"), b"only words").unwrap();
    let whole = fs::read(folder.join("0000.jpg")).unwrap();
    fs::write(folder.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    for _ in 0..2 {
        let gave = world.index(&folder);
        assert_eq!(gave.code, 0);
        assert_eq!(gave.counts()[4], 3);
        let failed: Vec<_> = gave.lines.iter().filter(|line| line["event"] == "failed").collect();
        let reasons: Vec<_> = failed.iter().map(|line| line["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["damaged", "empty", "unsupported"]);
        assert_eq!(failed[0]["path"], folder.join("cut.jpg").to_str().unwrap());
    }
    let status = world.status();
    assert_eq!((status["photos"].as_i64(), status["failed"].as_i64()), (Some(2), Some(3)));
}

/// How many photos the library has now, seen from outside.
fn committed(world: &World) -> u64 {
    glimpse::store::Reader::open(&world.path("data/library.db"))
        .and_then(|reader| reader.counts())
        .map_or(0, |counts| counts.photos)
}

fn start(world: &World, folder: &Path) -> Child {
    let mut command = world.command(&[&"index", &folder, &"--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_loses_nothing_and_the_next_goes_on() {
    let world = World::new();
    let folder = world.photos(20);
    world.index(&folder);
    for signal in ["INT", "TERM", "KILL"] {
        let before = committed(&world);
        let new = world.path("photos").join(signal);
        for i in 0..96 {
            photos::write(&new.join(format!("{i}.jpg")), GREEN, 1000 + i + before as u32);
        }
        let mut child = start(&world, &folder);
        wait_until(|| committed(&world) > before || child.try_wait().unwrap().is_some());
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        if signal != "KILL" {
            let gave = gave(output);
            assert_eq!(gave.code, 1, "{signal}: {}", gave.stderr);
            assert_eq!(gave.lines.last().unwrap()["cancelled"], true);
        }
        let kept = committed(&world);
        assert!(kept > before && kept < before + 96, "{signal}: {kept}");
        let found = world.run(&[&"search", &"red", &"--top", &"1000"]);
        assert_eq!((found.code, found.lines.len() as u64), (0, kept), "{}", found.stderr);
        let next = world.index(&folder).counts();
        assert_eq!(next, [(before + 96 - kept) as i64, kept as i64, 0, 0, 0], "{signal}");
    }
}

#[test]
fn two_programs_index_into_one_library() {
    let world = World::new();
    for (name, colour) in [("a", RED), ("b", BLUE)] {
        for i in 0..40 {
            photos::write(&world.path(&format!("{name}/{i}.jpg")), colour, i);
        }
    }
    let both = ["a", "b"].map(|name| start(&world, &world.path(name)));
    for child in both {
        let gave = gave(child.wait_with_output().unwrap());
        assert_eq!((gave.code, gave.counts()), (0, [40, 0, 0, 0, 0]), "{}", gave.stderr);
    }
    assert_eq!(world.status()["photos"], 80);
    let again = world.run(&[&"index", &world.path("a"), &world.path("b")]);
    assert_eq!(again.counts(), [0, 80, 0, 0, 0]);
}

#[test]
fn a_reader_that_hangs_up_is_no_error() {
    let world = World::new();
    world.index(&world.photos(30));
    let mut child = world
        .command(&[&"embed", &"text"])
        .args((0..200).map(|n| format!("text {n}")))
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs as a user who has no right to everything; `None` where that cannot be arranged.
#[cfg(unix)]
fn as_nobody(world: &World, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Option<Gave> {
    if Command::new("id").arg("-u").output().ok()?.stdout != b"0\n" {
        return Some(world.run(args));
    }
    let able =
        Command::new("setpriv").args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "true"]).status();
    if !able.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    // Out of a build folder that others may not enter.
    let program = world.path("glimpse");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_glimpse"), &program).unwrap();
    }
    command.arg(program).args(args.iter().map(|arg| arg.as_ref())).arg("--json");
    world.environment(&mut command);
    let assets = world.path("assets");
    if !assets.exists() {
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/lite-align");
        fs::create_dir_all(assets.join("models/lite-align")).unwrap();
        for entry in fs::read_dir(pack).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&entry, assets.join("models/lite-align").join(entry.file_name().unwrap())).unwrap();
        }
    }
    command.env("GLIMPSE_ASSETS", assets).env_remove("HOME");
    Some(gave(command.output().unwrap()))
}

#[test]
#[cfg(unix)]
fn an_unreadable_subfolder_is_named_and_its_photos_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(world.dir.path(), 0o777);
    let (a, b) = (world.path("photos/aaa"), world.path("photos/bbb"));
    photos::write(&a.join("1.jpg"), RED, 1);
    photos::write(&b.join("2.jpg"), BLUE, 2);
    photos::write(&b.join("3.jpg"), GREEN, 3);
    mode(&b.join("3.jpg"), 0o000);
    mode(&a, 0o000);
    let folder = world.path("photos");
    let Some(first) = as_nobody(&world, &[&"index", &folder]) else { return };
    assert_eq!((first.code, first.counts()), (0, [1, 0, 0, 0, 2]), "{}", first.stderr);
    let named: Vec<_> =
        first.lines.iter().filter(|line| line["event"] == "failed").map(|line| line["path"].clone()).collect();
    assert_eq!(named, [a.to_str().unwrap(), b.join("3.jpg").to_str().unwrap()]);
    mode(&a, 0o755);
    mode(&b.join("3.jpg"), 0o644);
    assert_eq!(as_nobody(&world, &[&"index", &folder]).unwrap().counts(), [2, 1, 0, 0, 0]);
    mode(&a, 0o000);
    let last = as_nobody(&world, &[&"index", &folder]).unwrap();
    assert_eq!((last.code, last.counts()), (0, [0, 2, 0, 0, 1]), "{}", last.stderr);
    mode(&a, 0o755);
}

#[test]
fn models_are_listed_verified_and_chosen() {
    let world = World::new();
    let listed = world.run(&[&"models", &"list"]);
    let built_in = listed.lines.iter().find(|line| line["pack"] == "lite-align").unwrap();
    assert_eq!(
        (&built_in["family"], &built_in["active"], &built_in["built_in"]),
        (&"align".into(), &true.into(), &true.into())
    );
    assert_eq!(world.run(&[&"models", &"verify", &"lite-align"]).code, 0);
    assert_eq!(world.run(&[&"models", &"use", &"lite-align"]).code, 0);
    for args in
        [["use", "absent"], ["verify", "absent"], ["remove", "lite-align"], ["pull", "absent"], ["import", "absent"]]
    {
        let refused = world.run(&[&"models", &args[0], &args[1]]);
        assert_eq!(refused.code, 1, "{args:?}");
        assert!(!refused.stderr.is_empty());
    }
}

#[test]
fn another_pack_has_a_space_of_its_own() {
    let world = World::new();
    let folder = world.photos(4);
    world.index(&folder);
    // The same numbers under another name: an equal dimension does not make it the same space.
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/lite-align");
    let other = world.path("data/packs/other");
    fs::create_dir_all(&other).unwrap();
    for entry in fs::read_dir(pack).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&entry, other.join(entry.file_name().unwrap())).unwrap();
    }
    let manifest = fs::read_to_string(other.join("pack.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest["id"] = "other".into();
    fs::write(other.join("pack.json"), manifest.to_string()).unwrap();
    assert_eq!(world.run(&[&"models", &"use", &"other"]).code, 0);
    let unseen = world.run(&[&"search", &"red"]);
    assert_eq!(unseen.code, 1);
    assert!(unseen.stderr.contains("other") && unseen.stderr.contains("index"), "{}", unseen.stderr);
    assert_eq!(world.index(&folder).counts(), [4, 0, 0, 0, 0]);
    assert_eq!(world.run(&[&"search", &"red"]).lines.len(), 4);
    assert_eq!(world.run(&[&"models", &"use", &"lite-align"]).code, 0);
    assert_eq!(world.index(&folder).counts(), [0, 4, 0, 0, 0], "going back embeds nothing");
    assert_eq!(world.run(&[&"search", &"red", &"--model", &"other"]).lines.len(), 4);
}

#[test]
fn eval_and_demo_print_their_figures() {
    let world = World::new();
    for (i, colour) in [RED, GREEN, BLUE].into_iter().enumerate() {
        photos::write(&world.path(&format!("set/{i}.jpg")), colour, i as u32);
    }
    let lines = [
        r#"{"image":"0.jpg","en":["a red picture"],"zh":["红色"]}"#,
        r#"{"image":"1.jpg","en":["a green picture","green"],"zh":["绿色"]}"#,
        r#"{"image":"2.jpg","en":["a blue picture"],"zh":["蓝色"]}"#,
    ];
    fs::write(world.path("set/val.jsonl"), lines.join("\n")).unwrap();
    for (lang, texts) in [("en", 4), ("zh", 3)] {
        let gave = world.run(&[&"eval", &"retrieval", &"set/val.jsonl", &"--lang", &lang]);
        assert_eq!(gave.code, 0, "{}", gave.stderr);
        assert_eq!((gave.lines[0]["images"].as_i64(), gave.lines[0]["texts"].as_i64()), (Some(3), Some(texts)));
        assert_eq!(gave.lines[0]["text_to_image"]["R@10"], 100.0);
    }
    assert!(!world.path("data").exists());
    let demo = world.command(&[&"demo", &"--no-window"]).output().unwrap();
    assert_eq!(demo.status.code(), Some(0), "{}", String::from_utf8_lossy(&demo.stderr));
    let text = String::from_utf8(demo.stdout).unwrap();
    assert!(text.contains("indexed") && text.contains("kite.jpg"), "{text}");
    assert!(!world.path("data").exists(), "the demonstration leaves nothing behind");
}
