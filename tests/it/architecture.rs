//! The one direction in which modules may depend on each other, held against the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module uses only what stands in a row above its own.
const LAYERS: [&[&str]; 7] = [
    &["domain"],
    &["config", "device"],
    &["gpu"],
    &["media", "models", "store"],
    &["search", "indexing", "export", "eval"],
    &["engine"],
    &["app", "cli"],
];

/// Crates that belong to some modules alone.
const OWNED: [(&str, &[&str]); 11] = [
    ("rusqlite", &["store"]),
    ("egui", &["app"]),
    ("eframe", &["app"]),
    ("rfd", &["app"]),
    ("clap", &["cli"]),
    ("candle_core", &["models"]),
    ("wgpu", &["device", "gpu"]),
    ("tokenizers", &["models"]),
    ("walkdir", &["media"]),
    ("quick_xml", &["media"]),
    ("csv", &["export"]),
];

fn layer(module: &str) -> usize {
    let place = LAYERS.iter().position(|row| row.contains(&module));
    place.unwrap_or_else(|| {
        panic!("`{module}` has no place in the architecture: give it one here and in ARCHITECTURE.md")
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code without comments: what they mention is no dependency.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names right after each `crate::`, also in `crate::{a::x, b}`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (at, _) in code.match_indices("crate::") {
        // Not the end of a longer name.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && depth == 0 && !c.is_whitespace() => {
                    found.insert(name(&group[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn modules_depend_in_one_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "the sources were found");
    let mut wrong = Vec::new();
    for file in files {
        let below = file.strip_prefix(&root).unwrap();
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let code = code(&file);
        for used in uses(&code) {
            if used != module && layer(&used) >= layer(module) {
                wrong.push(format!("{}: `{module}` must not use `{used}`", below.display()));
            }
        }
        for (owned, owners) in OWNED {
            let named = [format!("use {owned}"), format!("{owned}::")].iter().any(|text| code.contains(text.as_str()));
            if named && !owners.contains(&module) {
                wrong.push(format!("{}: only {owners:?} may use {owned}", below.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_scan_finds_edges_in_every_form() {
    let code = "use crate::store::Reader;\nuse crate::{media::{self, walk}, search, config::Paths};\nlet x = crate::domain::Hit; mycrate::no";
    let found: Vec<String> = uses(code).into_iter().collect();
    assert_eq!(found, ["config", "domain", "media", "search", "store"]);
}

#[test]
fn the_program_itself_is_small() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 120);
}
