//! The Fuse family: the four systems against their authors' code on the recorded inputs,
//! and what happens to folders that are no models.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use glimpse::domain::CancelToken;
use glimpse::models::folder::ModelFolder;
use glimpse::models::fuse::decode::{Decoding, NextToken as _, decode};
use glimpse::models::fuse::transformer::{RegionTransformer, Special};
use glimpse::models::fuse::{Recipe, Regions};
use glimpse::models::golden;
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Folders with all that was recorded of them.
const RECORDED: [(&str, &[&str]); 9] = [
    ("oscar/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("oscar/itm", &["logits", "sequence_output", "pooled_output", "match_prob"]),
    ("oscar/caption", &["teacher_forced_logits", "caption_score", "step_logits"]),
    ("vinvl/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("vinvl/itm", &["logits", "sequence_output", "pooled_output", "match_prob"]),
    ("uniter/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("uniter/itm", &["rank_scores", "itm_scores", "itm_prob", "sequence_output", "pooled_output"]),
    ("vlp/caption", &["masked_lm_loss", "masked_lm_scores", "sequence_output", "generated_scores", "step_logits"]),
    ("vlp/vqa", &["vqa_logits", "cls_hidden", "sep_hidden"]),
];

#[test]
fn heads_and_decoding_agree_with_the_authors_code() {
    for (name, results) in RECORDED {
        let report = golden::check(&data(name)).unwrap();
        println!("{name}: {report:?}");
        assert_eq!(report.family, name.split('/').next().unwrap());
        let mut compared: Vec<&str> = report.max_abs_diff.keys().map(String::as_str).collect();
        let mut expected = results.to_vec();
        compared.sort_unstable();
        expected.sort_unstable();
        assert_eq!(compared, expected, "{name}");
        for (result, differ) in &report.max_abs_diff {
            assert!(*differ <= 1e-4, "{name}: {result} differs by {differ}");
        }
        assert!(report.ids_equal, "{name}");
    }
}

type Tensors = std::collections::HashMap<String, Tensor>;

fn recorded(name: &str) -> Tensors {
    candle_core::safetensors::load(data(name).join("io.safetensors"), &Device::Cpu).unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn ids(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect()
}

fn transformer(name: &str) -> RegionTransformer {
    let folder = ModelFolder::open(&data(name)).unwrap();
    let recipe = Recipe::named(&folder.kind).unwrap();
    RegionTransformer::load(&folder, recipe, &Device::Cpu).unwrap()
}

const SPECIAL: Special = Special { cls: 2, sep: 3, mask: 4 };

fn assert_close(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let most = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(most <= 1e-4, "{name} differs by {most}");
}

/// The program packs sequences without gaps; the authors pad in the middle. The answers are the same.
#[test]
fn packed_sequences_give_the_authors_numbers() {
    for name in ["oscar/vqa", "vinvl/vqa"] {
        let (io, model) = (recorded(name), transformer(name));
        let (text, types) = (&io["in.input_ids"], &io["in.token_type_ids"]);
        for i in 0..text.dim(0).unwrap() {
            let seen = ids(&io["in.attention_mask"].get(i).unwrap());
            let (words, kinds) = (ids(&text.get(i).unwrap()), ids(&types.get(i).unwrap()));
            let of_kind = |kind: u32| -> Vec<u32> {
                (0..words.len()).filter(|&at| seen[at] == 1 && kinds[at] == kind).map(|at| words[at]).collect()
            };
            let (question, mut tags) = (of_kind(0), of_kind(1));
            assert_eq!(tags.pop(), Some(SPECIAL.sep));
            let count = seen[words.len()..].iter().sum::<u32>() as usize;
            let features = floats(&io["in.img_feats"].get(i).unwrap().narrow(0, 0, count).unwrap());
            let regions = Regions {
                features,
                width: 54,
                boxes: vec![[0.0; 4]; count],
                image_size: (1.0, 1.0),
                ..Regions::default()
            };
            let sequence = model.sequence(&question, &tags, &regions, SPECIAL).unwrap();
            let answers = model.answers(sequence, &regions).unwrap();
            assert_close(name, &answers, &floats(&io["out.logits"].get(i).unwrap()));
        }
    }
    let (io, model) = (recorded("uniter/vqa"), transformer("uniter/vqa"));
    for i in 0..3 {
        let words: Vec<u32> = ids(&io["in.input_ids"].get(i).unwrap()).into_iter().filter(|&id| id != 0).collect();
        let seen: u32 = ids(&io["in.attn_masks"].get(i).unwrap()).iter().sum();
        let count = seen as usize - words.len();
        let part = |name: &str| floats(&io[name].get(i).unwrap().narrow(0, 0, count).unwrap());
        let boxes = part("in.img_pos_feat").chunks(7).map(|p| [p[0], p[1], p[2], p[3]]).collect();
        let regions =
            Regions { features: part("in.img_feat"), width: 48, boxes, image_size: (1.0, 1.0), ..Regions::default() };
        let sequence = model.sequence(&words, &[], &regions, SPECIAL).unwrap();
        let answers = model.answers(sequence, &regions).unwrap();
        assert_close("uniter/vqa", &answers, &floats(&io["out.logits"].get(i).unwrap()));
    }
}

/// VLP's geometry from boxes, confidences and classes, as its authors' loader makes it.
fn vlp_regions(io: &Tensors, i: usize) -> Regions {
    let part = |name: &str| floats(&io[name].get(i).unwrap());
    let raw = part("in.boxes_raw");
    Regions {
        features: part("in.vis_feats"),
        width: 24,
        boxes: raw.chunks(6).map(|b| [b[0], b[1], b[2], b[3]]).collect(),
        image_size: (500.0, 400.0),
        classes: part("in.class_probs"),
        confidences: raw.chunks(6).map(|b| b[5]).collect(),
        ..Regions::default()
    }
}

#[test]
fn vlp_answers_and_captions_from_boxes() {
    let (io, model) = (recorded("vlp/vqa"), transformer("vlp/vqa"));
    for i in 0..2 {
        let regions = vlp_regions(&io, i);
        let question: Vec<u32> = ids(&io["in.input_ids"].get(i).unwrap())[101..].to_vec();
        let question: Vec<u32> =
            [SPECIAL.cls].into_iter().chain(question.into_iter().skip(1).filter(|&id| id != 0)).collect();
        let sequence = model.sequence(&question, &[], &regions, SPECIAL).unwrap();
        let answers = model.answers(sequence, &regions).unwrap();
        assert_close("vlp/vqa", &answers, &floats(&io["out.vqa_logits"].get(i).unwrap()));
    }
    let (io, model) = (recorded("vlp/caption"), transformer("vlp/caption"));
    for i in 0..2 {
        let mut caption = model.caption(&[], &vlp_regions(&io, i), SPECIAL, SPECIAL.cls).unwrap();
        let how = Decoding::greedy(SPECIAL.sep, 9);
        let decoded = decode(&mut caption, &how, &CancelToken::never(), &mut |_| ()).unwrap();
        let wanted = ids(&io["out.generated_ids"].get(i).unwrap());
        let end = wanted.iter().position(|&id| id == SPECIAL.sep).unwrap();
        assert_eq!(decoded.ids, wanted[..end]);
        assert!(decoded.ended);
    }
}

/// A beam as wide as the cache is reordered: each kept sequence scores what it scores alone.
#[test]
fn a_beam_scores_what_its_sequence_scores_alone() {
    let (io, model) = (recorded("vlp/caption"), transformer("vlp/caption"));
    let regions = vlp_regions(&io, 0);
    let how = Decoding { beam: 4, ..Decoding::greedy(SPECIAL.sep, 8) };
    let never = CancelToken::never();
    let found =
        decode(&mut model.caption(&[], &regions, SPECIAL, SPECIAL.cls).unwrap(), &how, &never, &mut |_| ()).unwrap();
    let greedy = Decoding::greedy(SPECIAL.sep, 8);
    let plain =
        decode(&mut model.caption(&[], &regions, SPECIAL, SPECIAL.cls).unwrap(), &greedy, &never, &mut |_| ()).unwrap();
    assert!(found.log_prob / found.counted as f32 >= plain.log_prob / plain.counted as f32 - 1e-4);
    let (mut alone, mut log_prob) = (model.caption(&[], &regions, SPECIAL, SPECIAL.cls).unwrap(), 0f32);
    let mut scores = alone.start().unwrap();
    for &id in found.ids.iter().chain(found.ended.then_some(&SPECIAL.sep)) {
        let total = scores.iter().map(|s| s.exp()).sum::<f32>().ln();
        log_prob += scores[id as usize] - total;
        scores = alone.next(&[(0, id)]).unwrap().remove(0);
    }
    assert!((log_prob - found.log_prob).abs() < 1e-3, "{log_prob} {}", found.log_prob);
}

/// A copy of a golden folder that a test may damage.
fn copy_of(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(data(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn rewrite(folder: &Path, change: impl Fn(&mut Tensors)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

#[test]
fn loading_is_strict() {
    type Spoil = fn(&mut Tensors);
    let remove: Spoil = |t| drop(t.remove("bert.img_embedding.bias"));
    let surplus: Spoil = |t| drop(t.insert("bert.extra".into(), t["classifier.bias"].clone()));
    let turned: Spoil = |t| {
        let weight = t["bert.img_embedding.weight"].t().unwrap().contiguous().unwrap();
        t.insert("bert.img_embedding.weight".into(), weight);
    };
    let nan: Spoil = |t| drop(t.insert("classifier.bias".into(), (&t["classifier.bias"] * f64::NAN).unwrap()));
    for (change, message) in [
        (remove, "no tensor `bert.img_embedding.bias`"),
        (surplus, "no place for, `bert.extra`"),
        (turned, "`bert.img_embedding.weight` has the shape"),
        (nan, "`classifier.bias` holds a number that is not finite"),
    ] {
        let dir = copy_of("oscar/vqa");
        rewrite(dir.path(), change);
        let error = golden::check(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // Names of the oldest files, buffers and heads of pre-training do no harm; a tied decoder may be left out.
    for name in ["oscar/caption", "vlp/caption", "uniter/itm"] {
        let dir = copy_of(name);
        rewrite(dir.path(), |t| {
            let old = |name: &str| {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            };
            *t = std::mem::take(t).into_iter().map(|(name, tensor)| (old(&name), tensor)).collect();
            let some = t.values().next().unwrap().clone();
            t.insert("cls.seq_relationship.weight".into(), some);
        });
        assert!(golden::check(dir.path()).unwrap().max_abs_diff.values().all(|d| *d <= 1e-4), "{name}");
    }
    for (bytes, message) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "Git LFS pointer"),
        (b"<!DOCTYPE html>", "web page"),
        (b"", "empty"),
    ] {
        let dir = copy_of("uniter/vqa");
        std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let error = golden::check(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("model.safetensors"), "{error}");
    }
    for (key, value) in [
        ("num_labels", Value::from(12)),
        ("img_feature_dim", 53.into()),
        ("num_attention_heads", 5.into()),
        ("classifier", "tree".into()),
        ("hidden_size", 1_000_000_000_000u64.into()),
        ("num_hidden_layers", 1.into()),
    ] {
        let dir = copy_of("vinvl/vqa");
        let path = dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[key] = value.clone();
        std::fs::write(&path, config.to_string()).unwrap();
        assert!(golden::check(dir.path()).is_err(), "{key} {value}");
    }
}
