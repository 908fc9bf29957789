//! The built-in Fuse model: its pack is whole, and its numbers are PyTorch's
//! (`training/fuse/golden.py`), for a small pack of random weights and for the shipped one.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use glimpse::config::Paths;
use glimpse::device::DeviceRequest;
use glimpse::domain::CancelToken;
use glimpse::models::catalogue;
use glimpse::models::folder::ModelFolder;
use glimpse::models::fuse::decode::{Decoding, NextToken, decode};
use glimpse::models::fuse::evidence::{Alone, Pair};
use glimpse::models::fuse::transformer::{Caption, RegionTransformer, Sequence, Special};
use glimpse::models::fuse::{CaptionRequest, Recipe, Regions, Sees};
use glimpse::models::pack::Pack;
use glimpse::models::tokenizer::Tokenizer;
use glimpse::models::{ModelError, fuse};
use serde::Deserialize;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    tags: Vec<String>,
    answers: Vec<Vec<f32>>,
    matches: Vec<Vec<f32>>,
    /// log p of each text as a caption of the picture, and without any.
    likelihoods: Vec<f32>,
    alone: Vec<f32>,
    captions: std::collections::BTreeMap<String, Written>,
}

/// A greedy caption: its tokens from the first on, and the likeliest words of its first and last step.
#[derive(Deserialize)]
struct Written {
    ids: Vec<u32>,
    first: Vec<(u32, f32)>,
    last: Vec<(u32, f32)>,
}

/// Every cell of a picture at its place.
fn regions(cells: &Tensor, tags: &[String]) -> Regions {
    let (count, width) = cells.dims2().unwrap();
    let side = count.isqrt();
    let at = |i: usize| i as f32 / side as f32;
    let boxes = (0..count).map(|i| (at(i % side), at(i / side))).map(|(x, y)| [x, y, x + at(1), y + at(1)]);
    Regions {
        features: cells.flatten_all().unwrap().to_vec1().unwrap(),
        width,
        boxes: boxes.collect(),
        image_size: (1.0, 1.0),
        tags: tags.to_vec(),
        ..Regions::default()
    }
}

/// Keeps the scores of every step.
struct Recorder<'a>(Caption<'a>, Vec<Vec<f32>>);

impl NextToken for Recorder<'_> {
    fn room(&self) -> usize {
        self.0.room()
    }

    fn start(&mut self) -> Result<Vec<f32>, ModelError> {
        self.1.push(self.0.start()?);
        Ok(self.1[0].clone())
    }

    fn next(&mut self, rows: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, ModelError> {
        let scores = self.0.next(rows)?;
        self.1.extend(scores.clone());
        Ok(scores)
    }
}

/// The largest difference of any logit between the pack in `pack` and what `golden` recorded of it.
fn compare(pack: &Path, golden: &Path) -> f32 {
    let model = RegionTransformer::load(&ModelFolder::open(pack).unwrap(), Recipe::Lite, &Device::Cpu).unwrap();
    let tokenizer = Tokenizer::open(pack, model.text_limit()).unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    let special = Special { cls: id("[CLS]"), sep: id("[SEP]"), mask: id("[MASK]") };
    let expected: Expected = serde_json::from_slice(&std::fs::read(golden.join("expected.json")).unwrap()).unwrap();
    let cells = &candle_core::safetensors::load(golden.join("cells.safetensors"), &Device::Cpu).unwrap()["cells"];
    assert!(expected.pictures.len() > 2 && expected.texts.len() > 4);
    let mut largest = 0f32;
    let mut differ = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| largest = largest.max((a - b).abs()));
    };
    for (i, picture) in expected.pictures.iter().enumerate() {
        let regions = regions(&cells.get(i).unwrap(), &picture.tags);
        let tags = tokenizer.encode_plain(&picture.tags.join(" ")).unwrap();
        let sequence = |text: &str| model.sequence(&tokenizer.encode(text).unwrap(), &tags, &regions, special).unwrap();
        for (text, answers) in expected.texts.iter().zip(&picture.answers) {
            differ(&model.answers(sequence(text), &regions).unwrap(), answers);
        }
        // In one batch: what pads the shorter ones must not be seen.
        let all: Vec<Sequence> = expected.texts.iter().map(|text| sequence(text)).collect();
        let pooled = model.heads.pool(&model.encode(&all).unwrap()).unwrap();
        let matches: Vec<Vec<f32>> = model.heads.itm.as_ref().unwrap().forward(&pooled).unwrap().to_vec2().unwrap();
        matches.iter().zip(&picture.matches).for_each(|(ours, theirs)| differ(ours, theirs));
        let pair = |text: &String| {
            let start = id(if text.chars().any(|c| c > '\u{2fff}') { "[ZH]" } else { "[EN]" });
            let words = tokenizer.encode_plain(text).unwrap();
            let said = [start].into_iter().chain(words.into_iter().take(28)).collect();
            Pair { text: tokenizer.encode(text).unwrap(), said, tags: tags.clone(), picture: &regions }
        };
        let pairs: Vec<Pair> = expected.texts.iter().map(pair).collect();
        let found = model.evidence(&pairs, special, &mut Alone::default()).unwrap();
        for (i, evidence) in found.iter().enumerate() {
            let (head, gain) = (&picture.matches[i], picture.likelihoods[i] - picture.alone[i]);
            // A sum over up to 30 words.
            differ(&[evidence.head, evidence.gain / 30.0], &[head[1] - head[0], gain / 30.0]);
        }
        for (lang, written) in &picture.captions {
            let first = id(if lang == "zh" { "[ZH]" } else { "[EN]" });
            assert_eq!(written.ids[0], first);
            let mut recorder = Recorder(model.caption(&tags, &regions, special, first).unwrap(), Vec::new());
            // All but [SEP] of the seven special tokens.
            let banned = (0..7).filter(|&token| token != special.sep).collect();
            let how = Decoding { banned, ..Decoding::greedy(special.sep, written.ids.len() - 1) };
            let decoded = decode(&mut recorder, &how, &CancelToken::never(), &mut |_| ()).unwrap();
            let mut ids = vec![first];
            ids.extend(&decoded.ids);
            ids.extend(decoded.ended.then_some(special.sep));
            assert_eq!(ids, written.ids, "{lang}: {:?}", picture.tags);
            let steps = recorder.1;
            for (step, words) in [(&steps[0], &written.first), (&steps[written.ids.len() - 2], &written.last)] {
                let ours: Vec<f32> = words.iter().map(|(word, _)| step[*word as usize]).collect();
                differ(&ours, &words.iter().map(|(_, score)| *score).collect::<Vec<_>>());
            }
        }
    }
    largest
}

#[test]
fn logits_and_decoding_are_those_of_pytorch() {
    let golden = root("tests/golden/lite_fuse");
    let largest = compare(&golden, &golden);
    println!("lite_fuse: {largest}");
    assert!(largest <= 1e-4, "{largest}");
}

#[test]
fn a_pack_without_a_tower_takes_cells_and_says_so_of_photos() {
    let golden = root("tests/golden/lite_fuse");
    let model = fuse::load(&golden, None, DeviceRequest::Cpu).unwrap();
    assert_eq!(model.spec().sees, Sees::Features);
    assert!(model.spec().abilities.caption && model.spec().abilities.answer && model.spec().abilities.matching);
    let said = model.look(&image::RgbImage::new(300, 300)).unwrap_err().to_string();
    assert!(said.contains("--regions"), "{said}");
    let cells = &candle_core::safetensors::load(golden.join("cells.safetensors"), &Device::Cpu).unwrap()["cells"];
    let picture = regions(&cells.get(0).unwrap(), &["dog".to_owned()]);
    // Answers come in the question's language.
    let english: Vec<String> =
        model.answer(&picture, "what is it", 9).unwrap().ranked.into_iter().map(|answer| answer.text).collect();
    let chinese: Vec<String> =
        model.answer(&picture, "这是什么？", 9).unwrap().ranked.into_iter().map(|answer| answer.text).collect();
    assert!(english.contains(&"dog".to_owned()) && chinese.contains(&"狗".to_owned()), "{english:?} {chinese:?}");
    let french = CaptionRequest { lang: "fr".into(), ..CaptionRequest::default() };
    let said = model.caption(&picture, &french, &mut |_| (), &CancelToken::never()).unwrap_err().to_string();
    assert!(said.contains("en and zh"), "{said}");
}

/// A copy of the small pack.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root("tests/golden/lite_fuse")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// A library keeps match scores under this hash: they must not outlive the way they were made.
#[test]
fn other_weights_of_the_evidence_are_another_judge_and_the_same_model() {
    let spec = |folder: &Path| fuse::load(folder, None, DeviceRequest::Cpu).unwrap().spec().clone();
    let (own, same, other) = (spec(&root("tests/golden/lite_fuse")), copied(), copied());
    let config = other.path().join("config.json");
    let changed = std::fs::read_to_string(&config).unwrap().replace("\"gain\": 0.25", "\"gain\": 0.35");
    std::fs::write(&config, changed).unwrap();
    assert_eq!(spec(same.path()).judge_hash, own.judge_hash);
    let other = spec(other.path());
    assert_eq!(other.weights_hash, own.weights_hash);
    assert_ne!(other.judge_hash, own.judge_hash);
}

#[test]
fn another_tower_is_refused() {
    let folder = copied();
    let manifest = folder.path().join("pack.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let changed = text.replacen('{', r#"{"align": {"pack": "lite-align", "tower": "0badf00d"},"#, 1);
    std::fs::write(&manifest, changed.replace(r#""align": null,"#, "")).unwrap();
    let names = vec!["thing"; 1000];
    std::fs::write(folder.path().join("tags.json"), serde_json::json!({ "en": names, "zh": names }).to_string())
        .unwrap();
    let said = catalogue::load_fuse(&Paths::from_env(), folder.path(), DeviceRequest::Cpu);
    let said = said.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("another image tower"), "{said}");
}

#[test]
fn the_shipped_pack_is_whole_small_and_agrees_with_pytorch() {
    let pack = Pack::open(&root("assets/models/lite-fuse")).unwrap();
    let faults: Vec<String> = pack.verify().iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{faults:?}");
    // What its captions' scores mean was measured for each language that it writes.
    let config = std::fs::read(pack.folder.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert!(pack.manifest.languages.iter().all(|lang| config["trust"][lang]["said"].as_f64() > Some(0.0)), "{config}");
    let size: u64 = pack.manifest.files.iter().map(|f| f.size).sum();
    assert!(size <= 40_000_000, "{size} bytes");
    let largest = compare(&pack.folder, &root("tests/golden/lite_fuse_shipped"));
    println!("shipped: {largest}");
    assert!(largest <= 1e-3, "{largest}");
}

#[test]
fn the_shipped_model_looks_at_photos() {
    let folder = root("assets/models/lite-fuse");
    let model = catalogue::load_fuse(&Paths::from_env(), &folder, DeviceRequest::Cpu).unwrap();
    assert_eq!(model.spec().sees, Sees::Pixels);
    let photo = image::open(root("tests/golden/media/baseline.jpg"));
    let photo = photo.unwrap_or_else(|_| image::DynamicImage::new_rgb8(400, 300)).to_rgb8();
    let picture = model.look(&photo).unwrap();
    assert_eq!((picture.len(), picture.width), (16, 1280));
    let mut grown = Vec::new();
    for lang in ["en", "zh"] {
        let request = CaptionRequest { lang: lang.into(), ..CaptionRequest::default() };
        let draft =
            model.caption(&picture, &request, &mut |text| grown.push(text.to_owned()), &CancelToken::never()).unwrap();
        assert!(!draft.text.is_empty() && draft.score > 0.0 && draft.score <= 1.0, "{draft:?}");
    }
    assert!(grown.len() > 4);
    let answers = model.answer(&picture, "is it day or night", 5).unwrap();
    assert_eq!(answers.ranked.len(), 5);
    let scores = model.match_scores(&[(&picture, "a photo"), (&picture, "一张照片")]).unwrap();
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
}
