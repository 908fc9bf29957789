//! `eval`: the metrics against pycocoevalcap's figures, and the commands over models with
//! recorded weights, through the real binary.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use glimpse::eval::{Described, bleu, characters, cider, words};
use serde_json::{Value, json};

use super::cli::World;
use super::cli_fuse::{butd, model, npz, vinvl};
use super::photos::{self, BLUE, GREEN, RED};

/// `tests/golden/caption_metrics/make.py` wrote what it should be.
#[test]
fn caption_metrics_agree_with_pycocoevalcap() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/caption_metrics/want.json");
    let want: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for case in want["words"].as_array().unwrap() {
        assert_eq!(words(case["text"].as_str().unwrap()).join(" "), case["words"]);
    }
    for group in want["groups"].as_array().unwrap() {
        let split = |text: &Value| {
            let text = text.as_str().unwrap();
            if group["lang"] == "zh" { characters(text) } else { words(text) }
        };
        let described = |set: &Value| Described {
            caption: split(&set["caption"]),
            references: set["references"].as_array().unwrap().iter().map(split).collect(),
        };
        let all: Vec<Described> = group["sets"].as_array().unwrap().iter().map(described).collect();
        let near = |got: f64, want: &Value| assert!((got - want.as_f64().unwrap()).abs() < 1e-6, "{got} {want}");
        bleu(&all).into_iter().zip(group["bleu"].as_array().unwrap()).for_each(|(got, want)| near(got, want));
        near(cider(&all), &group["cider"]);
    }
}

fn four_photos(world: &World) {
    for (name, colour, seed) in [("a.jpg", RED, 1), ("b.jpg", BLUE, 2), ("c.jpg", GREEN, 3), ("d.jpg", RED, 4)] {
        photos::write(&world.path(name), colour, seed);
    }
}

fn dataset(world: &World, lines: &[Value]) {
    fs::create_dir_all(world.path("set")).unwrap();
    fs::write(world.path("set/data.jsonl"), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap_or_else(|| panic!("no {name}: {line}"))
}

fn has_seconds(line: &Value, steps: &[&str]) {
    for step in steps {
        assert!(line["seconds"][step].as_f64().unwrap() >= 0.0, "{step}: {line}");
    }
}

const DATA: &str = "set/data.jsonl";

#[test]
fn captions_against_what_people_wrote() {
    let world = World::new();
    four_photos(&world);
    let (model, features) = (model(&world, "oscar/caption", 0), butd(&world, &["a", "b", "c"]));
    let options: [&dyn AsRef<OsStr>; 4] = [&"--model", &model, &"--regions", &features];
    let written = world.run(&[&[&"caption", &"a.jpg", &"b.jpg" as &dyn AsRef<_>][..], &options].concat());
    let caption = |i: usize| written.lines[i]["caption"].as_str().unwrap();
    dataset(
        &world,
        &[
            json!({ "image": "../a.jpg", "en": [caption(0), "something else"], "zh": ["狗"] }),
            json!({ "image": "../d.jpg", "zh": ["没有"] }),
            json!({ "image": "../b.jpg", "en": [caption(1)] }),
        ],
    );
    let run = |more: &[&dyn AsRef<OsStr>]| {
        world.run(&[&[&"eval", &"caption", &DATA as &dyn AsRef<_>][..], &options, more].concat())
    };
    let gave = run(&[]);
    assert_eq!((gave.code, gave.lines.len()), (0, 1), "{}", gave.stderr);
    let line = &gave.lines[0];
    assert_eq!(
        (&line["task"], &line["beam"], &line["images"], &line["references"]),
        (&json!("caption"), &json!(3), &json!(2), &json!(3))
    );
    // The references are what the model writes.
    for name in ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"] {
        assert!((number(line, name) - 1.0).abs() < 1e-6, "{line}");
    }
    // What the second caption says is said of both pictures, which tells nothing.
    assert!((number(line, "borne_out") - 0.5).abs() < 1e-6 && (0.0..=0.5).contains(&number(line, "ece")), "{line}");
    assert!(number(line, "CIDEr") >= 0.0 && number(line, "captions_per_second") > 0.0);
    has_seconds(line, &["load", "look", "caption", "score"]);
    let greedy = run(&[&"--beam", &"1"]);
    assert_eq!((greedy.code, &greedy.lines[0]["beam"]), (0, &json!(1)), "{}", greedy.stderr);

    let chinese = run(&[&"--lang", &"zh"]);
    assert!(chinese.code == 1 && chinese.lines.is_empty() && chinese.stderr.contains("en only"), "{}", chinese.stderr);
    dataset(&world, &[json!({ "image": "../d.jpg", "en": ["a dog"] })]);
    let without = run(&[]);
    assert!(without.code == 1 && without.stderr.contains("no features") && without.stderr.contains("d.jpg"));
    dataset(&world, &[json!({ "image": "../a.jpg" })]);
    assert!(run(&[]).stderr.contains("no pictures with texts"));
    fs::write(world.path(DATA), "{\"image\": 3}\n").unwrap();
    assert!(run(&[]).stderr.contains("line 1 of"));
}

#[test]
fn answers_against_the_right_ones() {
    let world = World::new();
    four_photos(&world);
    let (model, features) = (model(&world, "vinvl/vqa", 13), vinvl(&world, &["a", "b", "c"]));
    let options: [&dyn AsRef<OsStr>; 4] = [&"--model", &model, &"--regions", &features];
    let answer = |image: &str, question: &str| {
        let gave = world.run(&[&[&"ask", &image, &question as &dyn AsRef<_>][..], &options].concat());
        gave.lines[0]["answers"][0]["answer"].as_str().unwrap().to_owned()
    };
    let (first, second) = (answer("a.jpg", "what color is it"), answer("b.jpg", "is it a dog"));
    let ask = |image: &str, question: &str, answer: &str, kind: &str| json!({ "image": image, "question": question, "answer": answer, "kind": kind });
    dataset(
        &world,
        &[
            ask("../a.jpg", "what color is it", &first.to_uppercase().replace(' ', "_"), "color"),
            ask("../b.jpg", "is it a dog", &second, "object"),
            ask("../a.jpg", "what is it", "nothing of the kind", "object"),
            ask("../c.jpg", "狗是什么颜色的", "红", "color"),
            json!({ "image": "../c.jpg", "question": "what", "answer": "x", "lang": "zh" }),
        ],
    );
    let run = |more: &[&dyn AsRef<OsStr>]| {
        world.run(&[&[&"eval", &"vqa", &DATA as &dyn AsRef<_>][..], &options, more].concat())
    };
    let gave = run(&[&"--lang", &"en", &"--blind"]);
    assert_eq!((gave.code, gave.lines.len()), (0, 1), "{}", gave.stderr);
    let line = &gave.lines[0];
    assert_eq!((number(line, "questions"), number(line, "images"), number(line, "refused")), (4.0, 3.0, 1.0));
    assert_eq!(number(line, "accuracy"), 0.5);
    assert_eq!(line["by_kind"]["color"], json!({ "questions": 2, "accuracy": 0.5 }));
    assert_eq!(line["by_kind"]["object"], json!({ "questions": 2, "accuracy": 0.5 }));
    assert!((0.0..=1.0).contains(&number(line, "ece")) && number(line, "ms_per_answer") > 0.0);
    let blind = &line["blind"];
    assert!((0.0..=0.5).contains(&number(blind, "accuracy")) && blind["by_kind"]["color"].is_object(), "{line}");
    has_seconds(line, &["load", "look", "answer", "blind"]);

    let all = run(&[]);
    assert_eq!((number(&all.lines[0], "questions"), &all.lines[0]["blind"]), (5.0, &Value::Null));
    dataset(&world, &[ask("../absent.jpg", "what", "x", "object")]);
    let absent = run(&[]);
    assert!(absent.code == 1 && absent.stderr.contains("no such file") && absent.stderr.contains("absent.jpg"));
    dataset(&world, &[]);
    assert!(run(&[]).stderr.contains("no questions"));
}

#[test]
fn true_pairs_against_false_ones() {
    let world = World::new();
    four_photos(&world);
    let (model, features) = (model(&world, "uniter/itm", 0), npz(&world, &["a", "b", "c", "d"], 48, 10));
    let options: [&dyn AsRef<OsStr>; 4] = [&"--model", &model, &"--regions", &features];
    dataset(
        &world,
        &[
            json!({ "image": "../a.jpg", "en": ["a red dog", "the dog is red"] }),
            json!({ "image": "../b.jpg", "en": ["a blue cat"] }),
            json!({ "image": "../c.jpg", "en": ["the beach"] }),
            json!({ "image": "../d.jpg" }),
        ],
    );
    let run = |more: &[&dyn AsRef<OsStr>]| {
        world.run(&[&[&"eval", &"match", &DATA as &dyn AsRef<_>][..], &options, more].concat())
    };
    let gave = run(&[&"--rerank", &"4"]);
    assert_eq!((gave.code, gave.lines.len()), (0, 1), "{}", gave.stderr);
    let line = &gave.lines[0];
    // Four texts with all four pictures; each random pair is one of these.
    assert_eq!([number(line, "images"), number(line, "texts"), number(line, "pairs")], [4.0, 4.0, 16.0]);
    for name in ["auc_random", "auc_align_top5", "auc_align_top5_within_text"] {
        assert!((0.0..=1.0).contains(&number(line, name)), "{line}");
    }
    let (align, anew) = (&line["rerank"]["align"], &line["rerank"]["reranked"]);
    assert_eq!((number(align, "R@5"), number(anew, "R@5"), number(anew, "queries")), (100.0, 100.0, 4.0));
    has_seconds(line, &["load", "align", "look", "match"]);

    let drawn = |seed: &str| {
        let gave = run(&[&"--texts", &"2", &"--seed", &seed]);
        assert_eq!((gave.code, &gave.lines[0]["rerank"]), (0, &Value::Null), "{}", gave.stderr);
        ["auc_random", "auc_align_top5", "pairs", "texts"].map(|name| number(&gave.lines[0], name))
    };
    assert_eq!(drawn("7"), drawn("7"));
    assert_eq!(drawn("7")[3], 2.0);
    dataset(&world, &[json!({ "image": "../a.jpg", "en": ["a dog", "a cat"] }), json!({ "image": "../b.jpg" })]);
    let one = run(&[]);
    assert!(one.code == 1 && one.stderr.contains("one picture only"), "{}", one.stderr);
}
