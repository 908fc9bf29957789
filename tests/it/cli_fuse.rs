//! The published systems as a script uses them: the recorded weights with a made-up
//! vocabulary and feature files in the authors' formats, through the real binary.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use glimpse::domain::{CaptionSource, CaptionState, NewCaption};
use glimpse::store::{Reader, Store};

use super::cli::World;
use super::photos::{self, BLUE, RED};

const WORDS: [&str; 14] =
    ["a", "dog", "cat", "on", "the", "beach", "what", "is", "it", "color", "red", "blue", "##s", "running"];

/// A model folder in `world`: recorded weights, made-up words and, with `answers`, made-up answers.
pub(super) fn model(world: &World, golden: &str, answers: usize) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(golden);
    let folder = world.path(&golden.replace('/', "-"));
    fs::create_dir(&folder).unwrap();
    for name in ["model.safetensors", "config.json"] {
        fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    let config: Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    let size = config["vocab_size"].as_u64().unwrap() as usize;
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let words = special.into_iter().chain(WORDS.map(str::to_owned)).chain((0..).map(|i| format!("word{i}")));
    let words: Vec<String> = words.take(size).collect();
    fs::write(folder.join("vocab.txt"), words.join("\n")).unwrap();
    if answers > 0 {
        let answers: Vec<String> = (0..answers).map(|i| format!("answer {i}")).collect();
        fs::write(folder.join("labels.json"), json!(answers).to_string()).unwrap();
    }
    folder
}

/// Repeatable numbers, other ones for other seeds.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + 1) * (seed * 7919 + 104_729)) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn b64(numbers: &[f32]) -> String {
    STANDARD.encode(numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

const BOXES: [[f32; 4]; 3] = [[0.0, 0.0, 30.0, 20.0], [10.0, 5.0, 60.0, 40.0], [5.0, 5.0, 64.0, 48.0]];

/// Bottom-up attention's table.
pub(super) fn butd(world: &World, photos: &[&str]) -> PathBuf {
    let row = |(i, name): (usize, &&str)| {
        format!("{name}\t64\t48\t3\t{}\t{}\n", b64(BOXES.as_flattened()), b64(&noise(i + 1, 3 * 48)))
    };
    let path = world.path("butd.tsv");
    fs::write(&path, photos.iter().enumerate().map(row).collect::<String>()).unwrap();
    path
}

/// VinVL's table, with object names.
pub(super) fn vinvl(world: &World, photos: &[&str]) -> PathBuf {
    let row = |(i, name): (usize, &&str)| {
        let objects: Vec<Value> = BOXES
            .iter()
            .zip(["dog", "beach", "dog"])
            .enumerate()
            .map(|(j, (rect, class))| {
                json!({ "rect": rect, "class": class, "conf": 0.9, "feature": b64(&noise(i * 3 + j + 1, 48)) })
            })
            .collect();
        format!("{name}\t{}\n", json!({ "image_w": 64, "image_h": 48, "objects": objects }))
    };
    let path = world.path("vinvl.tsv");
    fs::write(&path, photos.iter().enumerate().map(row).collect::<String>()).unwrap();
    path
}

/// UNITER's arrays, a file a photo.
pub(super) fn npz(world: &World, photos: &[&str], width: usize, classes: usize) -> PathBuf {
    let folder = world.path("npz");
    fs::create_dir(&folder).unwrap();
    for (i, name) in photos.iter().enumerate() {
        let array = |numbers: Vec<f32>, columns: usize| Tensor::from_vec(numbers, (3, columns), &Device::Cpu).unwrap();
        let places = BOXES.iter().flat_map(|[x1, y1, x2, y2]| {
            [x1 / 64.0, y1 / 48.0, x2 / 64.0, y2 / 48.0, (x2 - x1) / 64.0, (y2 - y1) / 48.0]
        });
        let arrays = [
            ("features", array(noise(i + 1, 3 * width), width)),
            ("norm_bb", array(places.collect(), 6)),
            ("conf", array(vec![0.9, 0.8, 0.7], 1)),
            ("soft_labels", array(noise(i + 9, 3 * classes).into_iter().map(f32::abs).collect(), classes)),
        ];
        Tensor::write_npz(&arrays, folder.join(format!("{name}.npz"))).unwrap();
    }
    folder
}

fn two_photos(world: &World) {
    photos::write(&world.path("a.jpg"), RED, 1);
    photos::write(&world.path("b.jpg"), BLUE, 2);
}

#[test]
fn oscar_captions() {
    let world = World::new();
    two_photos(&world);
    let (model, features) = (model(&world, "oscar/caption", 0), butd(&world, &["a", "b"]));
    photos::write(&world.path("c.jpg"), RED, 3);
    let gave = world.run(&[
        &"caption",
        &"a.jpg",
        &"b.jpg",
        &"absent.jpg",
        &"c.jpg",
        &"--model",
        &model,
        &"--regions",
        &features,
    ]);
    assert_eq!((gave.code, gave.lines.len()), (1, 4), "{}", gave.stderr);
    for (line, name) in gave.lines[..2].iter().zip(["a.jpg", "b.jpg"]) {
        assert_eq!(line["path"], world.path(name).to_str().unwrap());
        assert!(!line["caption"].as_str().unwrap().is_empty());
        assert_eq!((&line["lang"], &line["model"]), (&json!("en"), &json!("oscar-caption")));
        assert!((0.0..=1.0).contains(&line["score"].as_f64().unwrap()));
    }
    assert!(gave.lines[2]["error"].as_str().unwrap().contains("no such file"));
    let without = gave.lines[3]["error"].as_str().unwrap();
    assert!(without.contains("no features of this photo") && without.contains("built-in"), "{without}");
    assert!(!world.path("data").exists(), "nothing is stored");

    let greedy = world.run(&[&"caption", &"a.jpg", &"--beam", &"1", &"--model", &model, &"--regions", &features]);
    assert_eq!(greedy.code, 0, "{}", greedy.stderr);
    let blind = world.run(&[&"caption", &"a.jpg", &"--model", &model]);
    let error = blind.lines[0]["error"].as_str().unwrap();
    assert!(blind.code == 1 && error.contains("--regions FILE") && error.contains("built-in"), "{error}");
    let chinese = world.run(&[&"caption", &"a.jpg", &"--lang", &"zh", &"--model", &model, &"--regions", &features]);
    assert!(chinese.code == 1 && chinese.lines[0]["error"].as_str().unwrap().contains("en only"));
    let unable = world.run(&[&"ask", &"a.jpg", &"what is it", &"--model", &model, &"--regions", &features]);
    let error = unable.lines[0]["error"].as_str().unwrap();
    assert!(unable.code == 1 && error.contains("no head to answer") && error.contains("VQA"), "{error}");
}

#[test]
fn vinvl_answers() {
    let world = World::new();
    two_photos(&world);
    let (model, features) = (model(&world, "vinvl/vqa", 13), vinvl(&world, &["a.jpg", "b.jpg"]));
    fs::create_dir(world.path("list")).unwrap();
    let lines = [
        r#"{"image": "../a.jpg", "question": "what color is it"}"#,
        "",
        "{",
        r#"{"image": "../b.jpg", "question": "what color is it"}"#,
        r#"{"image": "../a.jpg", "question": " "}"#,
        r#"{"image": "../a.jpg", "question": "狗是什么颜色的"}"#,
        r#"{"image": "../absent.jpg", "question": "is it"}"#,
    ];
    fs::write(world.path("list/q.jsonl"), format!("\u{FEFF}{}", lines.join("\r\n"))).unwrap();
    let options: [&dyn AsRef<std::ffi::OsStr>; 4] = [&"--model", &model, &"--regions", &features];
    let gave = world.run(&[&[&"ask", &"--questions", &"list/q.jsonl" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!((gave.code, gave.lines.len()), (1, 7), "{}", gave.stderr);
    for i in [0, 3] {
        let line = &gave.lines[i];
        assert_eq!(line["question"], "what color is it");
        let scores: Vec<f64> =
            line["answers"].as_array().unwrap().iter().map(|a| a["score"].as_f64().unwrap()).collect();
        assert!(scores.len() == 5 && scores.is_sorted_by(|a, b| a >= b), "{line}");
        assert!(line["answers"][0]["answer"].as_str().unwrap().starts_with("answer ") && line["unsure"].is_boolean());
    }
    assert_ne!(gave.lines[0]["answers"], gave.lines[3]["answers"], "another photo, other numbers");
    for i in [1, 2, 6] {
        assert!(gave.lines[i]["error"].is_string(), "{}", gave.lines[i]);
    }
    for i in [4, 5] {
        assert!(gave.lines[i]["answers"] == json!([]) && gave.lines[i]["refused"].is_string(), "{}", gave.lines[i]);
    }
    let one =
        world.run(&[&[&"ask", &"a.jpg", &"What COLOR is it?", &"--top", &"2" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!((one.code, one.lines[0]["answers"].as_array().unwrap().len()), (0, 2), "{}", one.stderr);
}

#[test]
fn uniter_matches() {
    let world = World::new();
    two_photos(&world);
    let (model, features) = (model(&world, "uniter/itm", 0), npz(&world, &["a", "b"], 48, 10));
    let options: [&dyn AsRef<std::ffi::OsStr>; 4] = [&"--model", &model, &"--regions", &features];
    let one = world.run(&[&[&"match", &"a.jpg", &"a red dog" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!(one.code, 0, "{}", one.stderr);
    let line = &one.lines[0];
    assert_eq!((&line["path"], &line["text"]), (&json!(world.path("a.jpg").to_str().unwrap()), &json!("a red dog")));
    assert!((-1.0..=1.0).contains(&line["align_score"].as_f64().unwrap()));
    assert!((0.0..=1.0).contains(&line["match_score"].as_f64().unwrap()));
    let pairs = [
        json!({ "image": "b.jpg", "text": "a blue cat on the beach running running" }),
        json!({ "image": "absent.jpg", "text": "a cat" }),
        json!({ "image": "a.jpg", "text": "a red dog" }),
        json!({ "image": "a.jpg", "text": "" }),
    ];
    fs::write(world.path("pairs.jsonl"), pairs.map(|pair| format!("{pair}\n")).concat()).unwrap();
    let gave = world.run(&[&[&"match", &"--pairs", &"pairs.jsonl" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!((gave.code, gave.lines.len()), (1, 4), "{}", gave.stderr);
    assert!(gave.lines[1]["error"].is_string() && gave.lines[3]["error"].is_string());
    // Many pairs, their pictures in turn: one line each, in order.
    let many: Vec<Value> = (0..50)
        .map(|i| json!({ "image": (["a.jpg", "b.jpg"][i % 2]), "text": format!("a {} dog", WORDS[i % WORDS.len()]) }))
        .collect();
    fs::write(world.path("many.jsonl"), many.iter().map(|pair| format!("{pair}\n")).collect::<String>()).unwrap();
    let lines = world.run(&[&[&"match", &"--pairs", &"many.jsonl" as &dyn AsRef<_>][..], &options].concat()).lines;
    let said: Vec<(&str, bool)> =
        lines.iter().map(|l| (l["text"].as_str().unwrap(), l["path"].as_str().unwrap().ends_with("a.jpg"))).collect();
    let asked: Vec<(&str, bool)> = many.iter().map(|l| (l["text"].as_str().unwrap(), l["image"] == "a.jpg")).collect();
    assert_eq!(said, asked);
    // Beside a longer pair in one batch it scores what it scores alone.
    let score = |line: &Value| line["match_score"].as_f64().unwrap();
    assert!((score(&gave.lines[2]) - score(line)).abs() < 1e-5);
    assert_ne!(score(&gave.lines[0]), score(line));
}

#[test]
fn vlp_captions_and_answers() {
    let world = World::new();
    two_photos(&world);
    let features = npz(&world, &["a", "b"], 24, 10);
    let (captions, answers) = (model(&world, "vlp/caption", 0), model(&world, "vlp/vqa", 13));
    let gave = world.run(&[&"caption", &"a.jpg", &"--model", &captions, &"--regions", &features]);
    assert_eq!(gave.code, 0, "{}", gave.stderr);
    assert!(!gave.lines[0]["caption"].as_str().unwrap().is_empty());
    let gave =
        world.run(&[&"ask", &"b.jpg", &"is it a dog", &"--top", &"13", &"--model", &answers, &"--regions", &features]);
    assert_eq!(gave.code, 0, "{}", gave.stderr);
    let ranked: Vec<&str> =
        gave.lines[0]["answers"].as_array().unwrap().iter().map(|a| a["answer"].as_str().unwrap()).collect();
    assert!(ranked.len() == 12 && !ranked.contains(&"answer 0"), "the first answer stands for none: {ranked:?}");
    let unable = world.run(&[&"match", &"a.jpg", &"a dog", &"--model", &answers, &"--regions", &features]);
    assert!(unable.lines[0]["error"].as_str().unwrap().contains("no head to match"));
}

#[test]
fn the_family_decides_what_a_model_replaces() {
    let world = World::new();
    two_photos(&world);
    let folder = world.photos(2);
    assert_eq!(world.index(&folder).code, 0);
    let (oscar, features) = (model(&world, "oscar/caption", 0), butd(&world, &["0000", "0001", "a"]));
    // An Align search is none of its business.
    let found = world.run(&[&"search", &"red", &"--model", &oscar]);
    assert_eq!((found.code, found.lines.len()), (0, 2), "{}", found.stderr);

    let imported = world.run(&[&"models", &"import", &oscar]);
    assert_eq!((imported.code, &imported.lines[0]["family"]), (0, &json!("fuse")), "{}", imported.stderr);
    assert_eq!(world.run(&[&"models", &"use", &"oscar-caption"]).code, 0);
    let listed = world.run(&[&"models", &"list"]).lines;
    let active: Vec<&str> =
        listed.iter().filter(|l| l["active"] == true).map(|l| l["pack"].as_str().unwrap()).collect();
    assert!(active.contains(&"lite-align") && active.contains(&"oscar-caption"), "{active:?}");
    assert_eq!(world.run(&[&"models", &"verify", &"oscar-caption"]).code, 0);

    let all = world.run(&[&"caption", &"--all", &"--regions", &features]);
    assert_eq!((all.code, all.lines.len()), (0, 2), "{}", all.stderr);
    let library = world.path("data/library.db");
    let drafts = || {
        let reader = Reader::open(&library).unwrap();
        let ids: Vec<_> = reader.photos_after(None, 10).unwrap().iter().map(|photo| photo.id).collect();
        reader.captions_of(&ids).unwrap().iter().map(Vec::len).sum::<usize>()
    };
    let mut store = Store::open(&library).unwrap();
    assert_eq!((store.undo_captions().unwrap().unwrap().captions, drafts()), (2, 0), "one step for all");
    store.redo_captions().unwrap();
    assert_eq!(drafts(), 2);
    drop(store);
    let rest = world.run(&[&"caption", &"--all", &"--missing", &"--regions", &features]);
    assert_eq!((rest.code, rest.lines.len()), (0, 0), "the drafts were kept: {}", rest.stderr);
    let outside = world.run(&[&"caption", &"a.jpg", &"--save", &"--regions", &features]);
    assert!(outside.code == 1 && outside.stderr.contains("not in the library"), "{}", outside.stderr);
}

#[test]
fn a_killed_caption_run_keeps_what_it_wrote() {
    let world = World::new();
    let folder = world.photos(16);
    assert_eq!(world.index(&folder).code, 0);
    let names: Vec<String> = (0..16).map(|i| format!("{i:04}")).collect();
    let features = butd(&world, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let oscar = model(&world, "oscar/caption", 0);
    let library = world.path("data/library.db");
    let reader = Reader::open(&library).unwrap();
    let ids: Vec<_> = reader.photos_after(None, 100).unwrap().iter().map(|photo| photo.id).collect();
    let captions = || reader.captions_of(&ids).unwrap();
    let count = || captions().iter().map(Vec::len).sum::<usize>();
    let mine = NewCaption {
        photo: ids[7],
        text: "by hand".into(),
        lang: "en".into(),
        source: CaptionSource::Person,
        state: CaptionState::Accepted,
    };
    Store::open(&library).unwrap().add_captions(&[mine]).unwrap();

    let options: [&dyn AsRef<std::ffi::OsStr>; 6] = [&"caption", &"--all", &"--model", &oscar, &"--regions", &features];
    let mut child = world.command(&options).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().take(6).count();
    child.kill().unwrap();
    child.wait().unwrap();
    reader.verify().unwrap();
    let so_far = count();
    // Two lines a caption; each was kept before it was told.
    assert!(so_far > told / 2, "{so_far} of {told} lines");
    assert!(captions()[7].iter().any(|caption| caption.text == "by hand"));

    let without = captions().iter().filter(|captions| captions.is_empty()).count();
    let rest = world.run(&[&options[..], &[&"--missing"]].concat());
    assert_eq!((rest.code, rest.lines.len()), (0, without), "{}", rest.stderr);
    assert!(captions().iter().all(|captions| !captions.is_empty()));
    let mut store = Store::open(&library).unwrap();
    store.undo_captions().unwrap();
    assert_eq!(count(), so_far);
    store.undo_captions().unwrap();
    assert_eq!(count(), 1);
}

#[test]
fn align_finds_and_fuse_judges() {
    let world = World::new();
    let folder = world.photos(4);
    assert_eq!(world.index(&folder).code, 0);
    let (itm, features) = (model(&world, "uniter/itm", 0), npz(&world, &["0000", "0001", "0003"], 48, 10));
    fs::copy(features.join("0000.npz"), world.path("spare.npz")).unwrap();
    let plain = world.run(&[&"search", &"red"]).lines;
    let options: [&dyn AsRef<std::ffi::OsStr>; 4] = [&"--model", &itm, &"--regions", &features];
    let judged = world.run(&[&[&"search", &"red", &"--rerank", &"4" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!((judged.code, judged.lines.len()), (0, 4), "{}", judged.stderr);
    let place =
        |lines: &[Value], name: &str| lines.iter().position(|l| l["path"].as_str().unwrap().contains(name)).unwrap();
    assert_eq!(place(&plain, "0002"), place(&judged.lines, "0002"), "without features it keeps its place");
    let scores: Vec<f64> = judged.lines.iter().filter_map(|line| line["match_score"].as_f64()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(judged.lines.iter().filter(|line| line["align_score"].is_number()).count() == 3);
    assert!(plain.iter().all(|line| line.get("align_score").is_none()));
    // What was judged once is known: it needs no features any more.
    fs::remove_dir_all(&features).unwrap();
    fs::create_dir(&features).unwrap();
    fs::copy(world.path("spare.npz"), features.join("0000.npz")).unwrap();
    let again = world.run(&[&[&"search", &"red", &"--rerank", &"4" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!(again.lines, judged.lines, "{}", again.stderr);
    let known = world.run(&[&[&"match" as &dyn AsRef<_>, &folder.join("0001.jpg"), &"red"][..], &options].concat());
    let judged_0001 = judged.lines.iter().find(|line| line["path"].as_str().unwrap().contains("0001")).unwrap();
    assert_eq!(known.lines[0]["match_score"], judged_0001["match_score"], "{}", known.stderr);
    let few =
        world.run(&[&[&"search", &"red", &"--rerank", &"4", &"--top", &"1" as &dyn AsRef<_>][..], &options].concat());
    assert_eq!(few.lines[0]["path"], judged.lines[0]["path"]);
}

#[test]
fn wrong_folders_and_wrong_features_are_said() {
    let world = World::new();
    two_photos(&world);
    let none = world.run(&[&"caption", &"a.jpg"]);
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/lite-fuse").exists() {
        assert!(none.code == 1 && none.stderr.contains("--model FOLDER"), "{}", none.stderr);
    }
    let (vqa, narrow) = (model(&world, "vinvl/vqa", 12), npz(&world, &["a"], 20, 10));
    let asked = world.run(&[&"ask", &"a.jpg", &"what", &"--model", &vqa, &"--regions", &narrow]);
    assert!(asked.code == 1 && asked.stderr.contains("labels.json names 12 answers"), "{}", asked.stderr);
    fs::remove_file(vqa.join("labels.json")).unwrap();
    let asked = world.run(&[&"ask", &"a.jpg", &"what", &"--model", &vqa, &"--regions", &narrow]);
    assert!(asked.code == 1 && asked.stderr.contains("no labels.json"), "{}", asked.stderr);
    let itm = model(&world, "uniter/itm", 0);
    let matched = world.run(&[&"match", &"a.jpg", &"a dog", &"--model", &itm, &"--regions", &narrow]);
    assert!(matched.lines[0]["error"].as_str().unwrap().contains("20 numbers"), "{}", matched.lines[0]);
    fs::remove_file(itm.join("vocab.txt")).unwrap();
    let matched = world.run(&[&"match", &"a.jpg", &"a dog", &"--model", &itm, &"--regions", &narrow]);
    assert!(matched.code == 1 && matched.stderr.contains("no tokenizer"), "{}", matched.stderr);
    let matched = world.run(&[&"match", &"a.jpg", &"a dog", &"--model", &itm, &"--regions", &"absent.tsv"]);
    assert_eq!(matched.code, 1);
}
