//! What leaves the library, read by programs that know nothing of ours: exiftool, a CSV
//! parser, a JSON parser; and what becomes of files that are there already.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use glimpse::domain::{
    CancelSource, CancelToken, CaptionSource, CaptionState, ContentHash, FileStamp, FolderId, LatLon, NewCaption,
    PhotoId, PhotoMeta,
};
use glimpse::export::{self, Event, FileChange, Format, Options, Report, SkipReason, Target, Which, XmpName};
use glimpse::store::{Change, Store};
use serde_json::Value;

/// A library over a folder of files that pass for photos: an export never opens them.
struct World {
    dir: tempfile::TempDir,
    store: Store,
    root: FolderId,
    next: i64,
}

#[derive(Default)]
struct Seen(Vec<Event>);

impl export::Observer for Seen {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("photos")).unwrap();
        let mut store = Store::open(&dir.path().join("library.db")).unwrap();
        let root = store.add_folder(&dir.path().join("photos")).unwrap();
        Self { dir, store, root, next: 0 }
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    fn photo(&mut self, name: impl AsRef<Path>) -> PhotoId {
        let path = self.at("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a photo").unwrap();
        self.next += 1;
        let change = Change::Indexed {
            folder: self.root,
            path,
            stamp: FileStamp { size_bytes: 7, modified_ns: self.next, changed_ns: 1, inode: 1 },
            content: ContentHash(*blake3::hash(&self.next.to_le_bytes()).as_bytes()),
            meta: PhotoMeta {
                width: 40,
                height: 30,
                taken: Some("2024-05-06T07:08:09".into()),
                camera: Some("Maker \"M\"".into()),
                place: Some(LatLon { latitude: 48.5, longitude: -2.25 }),
            },
            embedding: None,
        };
        self.store.apply(&[change]).unwrap()[0].unwrap()
    }

    fn say(&mut self, photo: PhotoId, lang: &str, text: &str) {
        let caption = NewCaption {
            photo,
            text: text.into(),
            lang: lang.into(),
            source: CaptionSource::Person,
            state: CaptionState::Accepted,
        };
        self.store.add_captions(&[caption]).unwrap();
    }

    fn captioned(&mut self, name: impl AsRef<Path>, text: &str) -> PhotoId {
        let photo = self.photo(name);
        self.say(photo, "en", text);
        photo
    }

    fn export(&mut self, options: &Options) -> (Report, Vec<Event>) {
        let mut seen = Seen::default();
        let reader = self.store.reader().unwrap();
        let report = export::export(&reader, &mut self.store, options, &CancelToken::never(), &mut seen).unwrap();
        (report, seen.0)
    }

    fn to_folder(&self, format: Format) -> Options {
        Options::new(format, Target::Folder(self.at("out")))
    }

    fn glimpse(&self, args: &[&dyn AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glimpse"));
        command
            .arg("--json")
            .arg("--library")
            .arg(self.at("library.db"))
            .args(args.iter().map(|arg| arg.as_ref()))
            .env("GLIMPSE_DATA", self.at("data"))
            .env("GLIMPSE_CACHE", self.at("cache"))
            .stdin(Stdio::null());
        command
    }
}

fn draft(photo: PhotoId, lang: &str, text: &str) -> NewCaption {
    let source = CaptionSource::Model { pack: "m".into(), version: "w1".into(), settings: "{\"beam\":3}".into() };
    NewCaption { photo, text: text.into(), lang: lang.into(), source, state: CaptionState::Draft }
}

/// Every file below a folder with its bytes and time of change.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let changed = entry.metadata().unwrap().modified().unwrap();
                found.insert(entry.path(), (fs::read(entry.path()).unwrap(), changed));
            }
        }
    }
    found
}

fn counts(report: Report) -> [u64; 3] {
    [report.exported, report.skipped, report.failed]
}

fn lines(output: &std::process::Output) -> Vec<Value> {
    let stdout = std::str::from_utf8(&output.stdout).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

const HARD: [&str; 7] = [
    "狗在海边 🐕‍🦺",
    "say \"hi\", she said; it's 50 % <off> & more ]]>",
    "two\nlines\nand a third",
    " spaces around ",
    "=1+1",
    "a\tb",
    "C:\\path\\to",
];

#[test]
fn txt_mirrors_the_folders_and_keeps_namesakes_apart() {
    let mut world = World::new();
    let names = ["IMG_1.jpg", "IMG_1.png", "IMG_1.JPG", "a.jpeg", "b.tar.jpg", "旅行/三月.jpg", "x.jpg", "x.jpg.png"];
    for name in names {
        world.captioned(name, &format!("words of {name}"));
    }
    world.photo("silent.jpg");
    let options = world.to_folder(Format::Txt);
    assert_eq!(counts(world.export(&options).0), [8, 1, 0]);
    let written = files(&world.at("out"));
    let text = |name: &str| String::from_utf8(written[&world.at("out").join(name)].0.clone()).unwrap();
    for (file, photo) in [
        ("IMG_1.jpg.txt", "IMG_1.jpg"),
        ("IMG_1.png.txt", "IMG_1.png"),
        ("IMG_1.JPG.txt", "IMG_1.JPG"),
        ("a.txt", "a.jpeg"),
        ("b.tar.txt", "b.tar.jpg"),
        ("旅行/三月.txt", "旅行/三月.jpg"),
        ("x.txt", "x.jpg"),
        ("x.jpg.png.txt", "x.jpg.png"),
    ] {
        assert_eq!(text(file), format!("words of {photo}"));
    }
    assert_eq!(written.len(), 8);
    // The same again: not a byte, not a time.
    let (report, events) = world.export(&options);
    assert_eq!(counts(report), [8, 1, 0]);
    let unchanged = |e: &Event| !matches!(e, Event::File { change, .. } if *change != FileChange::Unchanged);
    assert!(events.iter().all(unchanged));
    assert_eq!(files(&world.at("out")), written);
}

#[test]
fn people_s_own_text_files_stay() {
    let mut world = World::new();
    let ours = world.captioned("ours.jpg", "first");
    world.captioned("edited.jpg", "first");
    world.captioned("theirs.jpg", "ours");
    world.captioned("gbk.jpg", "ours");
    fs::write(world.at("photos/theirs.txt"), "\u{FEFF}海边").unwrap();
    fs::write(world.at("photos/gbk.txt"), b"\xBA\xA3\xB1\xDF").unwrap();
    let options = Options::new(Format::Txt, Target::Beside);
    assert_eq!(counts(world.export(&options).0), [2, 2, 0]);
    // A person goes on writing in one file; of the other, the caption changes.
    fs::write(world.at("photos/edited.txt"), "first, and better").unwrap();
    let reader = world.store.reader().unwrap();
    let ids: Vec<_> = reader.captions(ours).unwrap().iter().map(|c| c.id).collect();
    world.store.edit_captions(&[(ids[0], "second".into())]).unwrap();
    let (report, events) = world.export(&options);
    assert_eq!(counts(report), [1, 3, 0]);
    let foreign = |e: &&Event| matches!(e, Event::Skipped { reason: SkipReason::ForeignFile, .. });
    assert_eq!(events.iter().filter(foreign).count(), 3);
    assert_eq!(fs::read_to_string(world.at("photos/ours.txt")).unwrap(), "second");
    assert_eq!(fs::read_to_string(world.at("photos/edited.txt")).unwrap(), "first, and better");
    assert_eq!(fs::read(world.at("photos/gbk.txt")).unwrap(), b"\xBA\xA3\xB1\xDF");
}

#[test]
fn csv_reads_back_one_row_a_photo() {
    let mut world = World::new();
    let long = "长".repeat(3000);
    let texts: Vec<&str> = HARD.into_iter().chain([long.as_str()]).collect();
    for (i, text) in texts.iter().enumerate() {
        world.captioned(format!("{i}.jpg"), text);
    }
    let file = world.at("new/table.csv");
    for (bom, gps) in [(false, false), (true, true)] {
        let options = Options { bom, gps, ..Options::new(Format::Csv, Target::File(file.clone())) };
        assert_eq!(counts(world.export(&options).0), [8, 0, 0]);
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes.starts_with(b"\xEF\xBB\xBF"), bom);
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        assert!(!bytes.starts_with(b"\xEF\xBB\xBF"));
        let mut reader = csv::Reader::from_reader(bytes);
        let headers = reader.headers().unwrap().clone();
        assert_eq!(headers.iter().any(|h| h == "latitude"), gps);
        let column = |name: &str| headers.iter().position(|h| h == name).unwrap();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 8);
        for (i, row) in rows.iter().enumerate() {
            let expected = if texts[i] == "=1+1" { "'=1+1" } else { texts[i] };
            assert_eq!(&row[column("caption")], expected);
            assert_eq!(Path::new(&row[column("path")]), world.at(format!("photos/{i}.jpg")));
            assert_eq!((&row[column("source")], &row[column("state")]), ("person", "accepted"));
            assert_eq!(&row[column("camera")], "Maker \"M\"");
            if gps {
                assert_eq!((&row[column("latitude")], &row[column("longitude")]), ("48.5", "-2.25"));
            }
        }
    }
}

#[test]
fn json_lines_say_where_each_caption_comes_from() {
    let mut world = World::new();
    for (i, text) in HARD.iter().enumerate() {
        world.captioned(format!("{i}.jpg"), text);
    }
    let drafted = world.photo("drafted.jpg");
    world.store.add_captions(&[draft(drafted, "en", "old"), draft(drafted, "zh", "新")]).unwrap();
    world.store.add_tags(drafted, &["sea".into()]).unwrap();
    let file = world.at("all.jsonl");
    let read = |options: &Options, world: &mut World| -> Vec<Value> {
        world.export(options);
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let options = Options::new(Format::Jsonl, Target::File(file.clone()));
    let objects = read(&options, &mut world);
    assert_eq!(objects.len(), 8);
    for (i, text) in HARD.iter().enumerate() {
        assert_eq!(objects[i]["captions"][0]["text"], **text);
        assert_eq!(objects[i]["captions"][0]["source"], "person");
        assert!(objects[i]["metadata"].get("place").is_none() && !objects[i].to_string().contains("48.5"));
    }
    let last = objects.last().unwrap();
    assert_eq!((&last["caption"], &last["tags"][0]), (&"新".into(), &"sea".into()));
    assert_eq!(last["captions"][1]["model"], "m");
    assert_eq!(last["captions"][1]["settings"]["beam"], 3);
    assert_eq!(last["metadata"]["width"], 40);
    let placed = read(&Options { gps: true, lang: Some("en".into()), ..options.clone() }, &mut world);
    assert_eq!(placed[0]["metadata"]["place"]["latitude"], 48.5);
    assert_eq!(placed[7]["captions"].as_array().unwrap().len(), 1);
    // Its draft is left out; its tag is still worth a line.
    let accepted = read(&Options { accepted_only: true, ..options }, &mut world);
    assert_eq!(accepted.len(), 8);
    assert_eq!((&accepted[7]["captions"].as_array().unwrap().len(), &accepted[7]["tags"][0]), (&0, &"sea".into()));
}

#[test]
#[cfg(unix)]
fn names_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut world = World::new();
    for name in [&b"\xff\xfe.jpg"[..], b"M\xe4rz/1.jpg"] {
        world.captioned(OsStr::from_bytes(name), "words");
    }
    for format in [Format::Txt, Format::Xmp] {
        assert_eq!(counts(world.export(&Options::new(format, Target::Beside)).0), [2, 0, 0]);
    }
    assert_eq!(fs::read(world.at("photos").join(OsStr::from_bytes(b"M\xe4rz/1.txt"))).unwrap(), b"words");
    assert!(world.at("photos").join(OsStr::from_bytes(b"\xff\xfe.xmp")).exists());
    let file = world.at("all.jsonl");
    world.export(&Options::new(Format::Jsonl, Target::File(file.clone())));
    use base64::Engine as _;
    for line in fs::read_to_string(&file).unwrap().lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(object["path_bytes"].as_str().unwrap()).unwrap();
        assert!(Path::new(OsStr::from_bytes(&bytes)).is_file());
    }
}

/// What exiftool reads of a sidecar; `None` where it is not installed.
fn exiftool(file: &Path) -> Option<Value> {
    let Ok(output) = Command::new("exiftool").args(["-j", "-b", "-XMP:all", "-charset", "utf8"]).arg(file).output()
    else {
        println!("skipped: exiftool is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value[0].get("Warning").is_none() && value[0].get("Error").is_none(), "{value}");
    Some(value[0].clone())
}

#[test]
fn exiftool_reads_the_sidecars() {
    let mut world = World::new();
    let long = "长".repeat(3000);
    let texts: Vec<&str> = HARD.into_iter().chain([long.as_str()]).collect();
    for (i, text) in texts.iter().enumerate() {
        let photo = world.captioned(format!("{i}.jpg"), text);
        world.say(photo, "zh", "说明");
        world.say(photo, "en", text);
        world.store.add_tags(photo, &["海".into(), "sea & sand".into()]).unwrap();
    }
    let options = Options { gps: true, ..Options::new(Format::Xmp, Target::Beside) };
    assert_eq!(counts(world.export(&options).0), [8, 0, 0]);
    for (i, text) in texts.iter().enumerate() {
        let Some(read) = exiftool(&world.at(format!("photos/{i}.xmp"))) else { return };
        assert_eq!(read["Description"], **text);
        assert_eq!(read["Description-en"], **text);
        assert_eq!(read["Description-zh-CN"], "说明");
        assert_eq!(read["Subject"], serde_json::json!(["sea & sand", "海"]));
        assert!(read["GPSLatitude"].to_string().contains("48"), "{read}");
    }
}

#[test]
fn a_sidecar_that_is_there_is_added_to() {
    let mut world = World::new();
    for name in ["stem.jpg", "full.jpg", "new.jpg", "two.jpg", "two.png"] {
        world.captioned(name, &format!("words of {name}"));
    }
    let foreign = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:darktable="http://darktable.sf.net/" darktable:history_end="1">
   <darktable:history><rdf:Seq><rdf:li darktable:operation="exposure"/></rdf:Seq></darktable:history>
   <!-- edits of months -->
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"#;
    fs::write(world.at("photos/stem.xmp"), foreign).unwrap();
    fs::write(world.at("photos/full.jpg.xmp"), foreign).unwrap();
    let options = Options { xmp_name: XmpName::Stem, ..Options::new(Format::Xmp, Target::Beside) };
    let before = files(&world.at("photos"));
    let (report, told) = world.export(&Options { dry_run: true, ..options.clone() });
    assert_eq!(counts(report), [5, 0, 0]);
    assert_eq!(files(&world.at("photos")), before, "a dry run writes nothing");
    let (report, done) = world.export(&options);
    assert_eq!(counts(report), [5, 0, 0]);
    assert_eq!(told, done, "and tells what will happen");
    let change = |name: &str| {
        done.iter().find_map(|event| match event {
            Event::File { file, change, .. } if *file == world.at("photos").join(name) => Some(*change),
            _ => None,
        })
    };
    assert_eq!(change("stem.xmp"), Some(FileChange::Changed));
    assert_eq!(change("full.jpg.xmp"), Some(FileChange::Changed));
    assert_eq!(change("new.xmp"), Some(FileChange::Created));
    assert_eq!(change("two.jpg.xmp"), Some(FileChange::Created));
    assert_eq!(change("two.png.xmp"), Some(FileChange::Created));
    let merged = fs::read_to_string(world.at("photos/stem.xmp")).unwrap();
    let at = merged.bytes().zip(foreign.bytes()).take_while(|(a, b)| a == b).count();
    assert!(merged.ends_with(&foreign[at..]) && merged.contains("words of stem.jpg"), "{merged}");
    if let Some(read) = exiftool(&world.at("photos/stem.xmp")) {
        assert_eq!(read["Description"], "words of stem.jpg");
        assert_eq!(read["HistoryOperation"], "exposure");
    }
    let written = files(&world.at("photos"));
    world.export(&options);
    assert_eq!(files(&world.at("photos")), written, "again changes nothing");
}

#[test]
fn a_draft_does_not_take_the_place_of_somebody_s_words() {
    let mut world = World::new();
    let photo = world.captioned("a.jpg", "by hand");
    let options = Options::new(Format::Xmp, Target::Beside);
    world.export(&options);
    // Somebody goes on in another program; the library then only has a draft.
    let sidecar = world.at("photos/a.xmp");
    let theirs = fs::read_to_string(&sidecar).unwrap().replace("by hand", "by another hand");
    fs::write(&sidecar, &theirs).unwrap();
    let ids: Vec<_> = world.store.reader().unwrap().captions(photo).unwrap().iter().map(|c| c.id).collect();
    world.store.remove_caption(ids[0]).unwrap();
    let drafts = world.store.add_captions(&[draft(photo, "en", "a machine's")]).unwrap();
    let (report, events) = world.export(&options);
    assert_eq!(counts(report), [0, 1, 0]);
    assert!(matches!(&events[0], Event::Skipped { reason: SkipReason::ForeignWords, .. }));
    assert_eq!(fs::read_to_string(&sidecar).unwrap(), theirs);
    world.store.set_caption_state(drafts[0].unwrap(), CaptionState::Accepted).unwrap();
    let (report, events) = world.export(&options);
    assert_eq!(counts(report), [1, 0, 0]);
    assert!(events.iter().any(|e| matches!(e, Event::Note { detail, .. } if detail.contains("by another hand"))));
}

#[test]
fn what_cannot_be_written_is_said_file_by_file() {
    let mut world = World::new();
    for name in ["a/1.jpg", "b/2.jpg", "c/3.jpg"] {
        world.captioned(name, "words");
    }
    // A file stands where a folder would have to be; and a sidecar that is none.
    fs::create_dir(world.at("out")).unwrap();
    fs::write(world.at("out/b"), "in the way").unwrap();
    fs::create_dir(world.at("out/c")).unwrap();
    fs::write(world.at("out/c/3.xmp"), "<not XML").unwrap();
    let options = world.to_folder(Format::Xmp);
    let (report, events) = world.export(&options);
    assert_eq!(counts(report), [1, 0, 2]);
    let failed: Vec<&String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Failed { detail, .. } => Some(detail),
            _ => None,
        })
        .collect();
    assert_eq!(failed.len(), 2);
    assert!(failed[1].contains("XML"), "{failed:?}");
    assert_eq!(fs::read(world.at("out/c/3.xmp")).unwrap(), b"<not XML");
    // Nothing that is precious is written over.
    for file in [world.at("photos/a/1.jpg"), world.at("library.db")] {
        let options = Options::new(Format::Csv, Target::File(file));
        let reader = world.store.reader().unwrap();
        let result = export::export(&reader, &mut world.store, &options, &CancelToken::never(), &mut Seen::default());
        assert!(matches!(result, Err(export::ExportError::Precious(_))));
    }
}

#[test]
fn a_folder_that_may_not_be_written_to() {
    let mut world = World::new();
    world.captioned("1.jpg", "words");
    let out = world.at("out");
    fs::create_dir(&out).unwrap();
    let set = |readonly: bool| {
        let mut permissions = fs::metadata(&out).unwrap().permissions();
        permissions.set_readonly(readonly);
        fs::set_permissions(&out, permissions).unwrap();
    };
    set(true);
    if fs::write(world.at("out/probe"), "").is_ok() {
        println!("skipped: this user may write anywhere");
        set(false);
        return;
    }
    for options in [world.to_folder(Format::Txt), Options::new(Format::Csv, Target::File(world.at("out/t.csv")))] {
        let mut seen = Seen::default();
        let reader = world.store.reader().unwrap();
        let report = export::export(&reader, &mut world.store, &options, &CancelToken::never(), &mut seen).unwrap();
        assert_eq!(counts(report)[2].min(1), 1);
        let said = |e: &Event| matches!(e, Event::Failed { detail, .. } if detail.contains("cannot be written to"));
        assert!(seen.0.iter().any(said), "{:?}", seen.0);
    }
    set(false);
}

#[test]
fn a_cancelled_export_leaves_no_table() {
    let mut world = World::new();
    let chosen = world.captioned("1.jpg", "one");
    world.captioned("2.jpg", "two");
    let file = world.at("t.csv");
    let options = Options::new(Format::Csv, Target::File(file.clone()));
    let source = CancelSource::default();
    let token = source.restart();
    source.cancel();
    let reader = world.store.reader().unwrap();
    let report = export::export(&reader, &mut world.store, &options, &token, &mut Seen::default()).unwrap();
    assert!(report.cancelled && report.exported == 0);
    assert!(!file.exists());
    let options = Options { which: Which::Photos(vec![chosen, PhotoId(999)]), ..options };
    assert_eq!(counts(world.export(&options).0), [1, 0, 0]);
}

#[test]
fn the_command_line_keeps_its_contract() {
    let mut world = World::new();
    world.captioned("dog.jpg", "a dog on the beach");
    world.captioned("cat.jpg", "一只猫");
    world.photo("silent.jpg");
    let out = world.at("out");
    let run = |args: &[&dyn AsRef<OsStr>]| world.glimpse(args).output().unwrap();
    let output = run(&[&"export", &"--format", &"txt", &"--out", &out, &"--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = lines(&output);
    assert_eq!(said.iter().filter(|line| line["event"] == "would_write").count(), 2);
    assert_eq!(said.last().unwrap()["event"], "done");
    assert!(!out.exists());
    let output = run(&[&"export", &"--format", &"txt", &"--out", &out]);
    let last = lines(&output).pop().unwrap();
    assert_eq!((&last["exported"], &last["skipped"], &last["failed"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!(fs::read_to_string(out.join("dog.txt")).unwrap(), "a dog on the beach");
    let table = world.at("dogs.jsonl");
    let output = run(&[&"export", &"--format", &"jsonl", &"--out", &table, &"--query", &"caption:猫"]);
    assert_eq!(lines(&output).pop().unwrap()["exported"], 1, "{output:?}");
    assert!(fs::read_to_string(&table).unwrap().contains("cat.jpg"));
    for (args, code) in [
        (&["export", "--format", "csv", "--beside"][..], 2),
        (&["export", "--format", "txt"], 2),
        (&["export", "--out", "x"], 2),
        (&["export", "--format", "csv", "--out", "photo.jpg"], 1),
    ] {
        let args: Vec<&dyn AsRef<OsStr>> = args.iter().map(|arg| arg as &dyn AsRef<OsStr>).collect();
        assert_eq!(run(&args).status.code(), Some(code), "{code}");
    }
    fs::create_dir_all(world.at("bad")).unwrap();
    fs::write(world.at("bad/dog.xmp"), "no sidecar").unwrap();
    let output = run(&[&"export", &"--format", &"xmp", &"--out", &world.at("bad")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).pop().unwrap()["failed"], 1);
}

#[test]
#[cfg(unix)]
fn a_killed_export_leaves_every_sidecar_whole() {
    let mut world = World::new();
    let ids: Vec<PhotoId> = (0..400).map(|i| world.captioned(format!("{i}.jpg"), "first")).collect();
    let options = Options::new(Format::Xmp, Target::Beside);
    world.export(&options);
    for round in 0..5u32 {
        let reader = world.store.reader().unwrap();
        let text = format!("round {round} {}", "long ".repeat(500));
        let edits: Vec<_> = ids.iter().map(|id| (reader.captions(*id).unwrap()[0].id, text.clone())).collect();
        world.store.edit_captions(&edits).unwrap();
        let mut child =
            world.glimpse(&[&"export", &"--format", &"xmp", &"--beside"]).stdout(Stdio::null()).spawn().unwrap();
        let photos = world.at("photos");
        let until = Instant::now() + Duration::from_secs(60);
        let begun = || fs::read_to_string(photos.join("0.xmp")).unwrap().contains(&format!("round {round} "));
        while !begun() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(u64::from(round) * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        for (path, (bytes, _)) in files(&photos) {
            if path.extension() == Some(OsStr::new("xmp")) {
                let said = glimpse::media::xmp::read(&bytes).unwrap_or_else(|e| panic!("{e}: {}", path.display()));
                assert_eq!(said.captions.len(), 2);
            }
        }
    }
    let (report, _) = world.export(&options);
    assert_eq!(report.failed, 0);
    assert!(files(&world.at("photos")).keys().all(|path| path.extension() != Some(OsStr::new("glimpse-tmp"))));
}

/// The way back: what stands beside the photos is taken in, what came from here is not.
#[test]
fn words_beside_photos_are_taken_in_on_index() {
    use super::photos;
    use glimpse::indexing::{JobControl, Observer, Root, Run};
    use glimpse::media::ThumbnailCache;
    use glimpse::media::walk::WalkOptions;
    use glimpse::models::align::{AlignModel as _, StubAlign};
    use glimpse::store::ModelRow;

    struct Quiet;
    impl Observer for Quiet {
        fn progress(&mut self, _: glimpse::domain::Progress) {}
    }

    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("photos");
    for (i, name) in ["txt.jpg", "xmp.jpg", "ours.jpg", "two.jpg", "two.png", "gbk.jpg"].iter().enumerate() {
        photos::write(&folder.join(name), photos::RED, i as u32);
    }
    fs::write(folder.join("txt.txt"), "\u{FEFF}海边的狗\r\n").unwrap();
    fs::write(folder.join("two.txt"), "of which?").unwrap();
    fs::write(folder.join("two.png.txt"), "of this").unwrap();
    fs::write(folder.join("gbk.txt"), b"\xBA\xA3\xB1\xDF").unwrap();
    let words = glimpse::media::xmp::Words {
        captions: vec![("de".into(), "ein Hund".into())],
        tags: vec!["Hund".into()],
        place: None,
    };
    let sidecar = glimpse::media::xmp::merge(None, &words, true).unwrap().bytes;
    fs::write(folder.join("xmp.jpg.xmp"), &sidecar).unwrap();

    let mut store = Store::open(&dir.path().join("library.db")).unwrap();
    let root = Root { folder: store.add_folder(&folder).unwrap(), path: folder.clone() };
    let model = StubAlign::default();
    let model_id = store.model(&ModelRow::from(model.spec())).unwrap();
    let thumbnails = ThumbnailCache::new(dir.path().join("thumbnails"));
    let index = |store: &mut Store| {
        let reader = store.reader().unwrap();
        let control = JobControl::with_token(CancelToken::never());
        let run = Run {
            roots: std::slice::from_ref(&root),
            model: &model,
            model_id,
            walk: &WalkOptions::default(),
            thumbnails: &thumbnails,
            control: &control,
            decode_threads: 1,
        };
        let mut encoder: &dyn glimpse::models::align::AlignModel = &model;
        run.run(&reader, &mut encoder, store, &mut Quiet).unwrap();
    };
    let said = |store: &Store, name: &str| -> Vec<(String, String, CaptionSource)> {
        let reader = store.reader().unwrap();
        let photo = reader.photo_by_path(&folder.join(name)).unwrap().unwrap();
        reader.captions(photo.id).unwrap().into_iter().map(|c| (c.lang, c.text, c.source)).collect()
    };
    let file = |name: &str| CaptionSource::File { name: name.into() };
    index(&mut store);
    assert_eq!(said(&store, "txt.jpg"), [("zh".into(), "海边的狗".into(), file("txt.txt"))]);
    assert_eq!(said(&store, "xmp.jpg"), [("de".into(), "ein Hund".into(), file("xmp.jpg.xmp"))]);
    assert_eq!(said(&store, "two.png"), [("und".into(), "of this".into(), file("two.png.txt"))]);
    assert!(said(&store, "two.jpg").is_empty() && said(&store, "gbk.jpg").is_empty());

    // A draft goes out and does not come back as somebody's words, until somebody changes it.
    let reader = store.reader().unwrap();
    let ours = reader.photo_by_path(&folder.join("ours.jpg")).unwrap().unwrap().id;
    store.add_captions(&[draft(ours, "en", "a machine's")]).unwrap();
    for format in [Format::Txt, Format::Xmp] {
        let options = Options::new(format, Target::Beside);
        export::export(&reader, &mut store, &options, &CancelToken::never(), &mut Seen::default()).unwrap();
    }
    assert_eq!(fs::read(folder.join("xmp.jpg.xmp")).unwrap(), sidecar, "it says it all already");
    index(&mut store);
    assert_eq!(said(&store, "ours.jpg").len(), 1);
    fs::write(folder.join("ours.txt"), "a person's, longer").unwrap();
    index(&mut store);
    assert_eq!(said(&store, "ours.jpg")[0], ("und".into(), "a person's, longer".into(), file("ours.txt")));
    fs::write(folder.join("ours.txt"), "a person's, and changed again").unwrap();
    index(&mut store);
    assert_eq!(said(&store, "ours.jpg").len(), 2);
    assert_eq!(said(&store, "ours.jpg")[0].1, "a person's, and changed again");
}
