//! Models against their reference implementations: towers, preprocessing and
//! tokenizers on the recorded inputs in `tests/golden`, and what happens to
//! folders that are no models.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert as twin;
use glimpse::device::DeviceRequest;
use glimpse::models::bert::{Bert, Tokens};
use glimpse::models::tokenizer::Tokenizer;
use glimpse::models::weights::Weights;
use glimpse::models::{align, catalogue, golden, preprocess::Preprocess};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
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

/// The tolerances of the fixtures' README.
fn check(folder: &Path, results: &[&str]) {
    let report = golden::check(folder).unwrap();
    for name in results {
        assert!(report.max_abs_diff.contains_key(*name), "{name} was not compared: {report:?}");
    }
    for (name, differ) in &report.max_abs_diff {
        let unit = name.contains("embeds") || name.contains("normalized");
        let tolerance = if unit { 2e-5 } else { 1e-4 };
        assert!(*differ <= tolerance, "{}: {name} differs by {differ}", folder.display());
    }
    assert!(report.ids_equal);
}

const SPACE: [&str; 4] = ["image_embeds", "text_embeds", "logits_per_image", "logits_per_text"];
const CLIP: [&str; 7] = [
    "text_last_hidden_state",
    "text_pooler_output",
    "vision_last_hidden_state",
    "vision_pooler_output",
    "text_embeds_nomask",
    "image_features_raw",
    "text_features_raw",
];
const ALIGN: [&str; 3] = ["vision_pooler_output", "vision_last_hidden_state", "text_last_hidden_state"];
const BERT: [&str; 3] = ["last_hidden_state", "pooler_output", "mean_pooled_normalized"];

#[test]
fn towers_agree_with_their_references() {
    check(&data("clip"), &[&SPACE[..], &CLIP].concat());
    check(&data("clip_eos_id"), &[&SPACE[..], &CLIP].concat());
    check(&data("align"), &[&SPACE[..], &ALIGN].concat());
    check(&data("bert"), &BERT);
}

#[test]
fn configurations_without_their_defaults() {
    for name in ["clip", "clip_eos_id", "align", "bert"] {
        let dir = copy_of(name);
        std::fs::copy(data(name).join("config_min.json"), dir.path().join("config.json")).unwrap();
        check(dir.path(), &[]);
    }
}

#[test]
fn pytorch_files_and_the_oldest_names() {
    let dir = copy_of("bert");
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    check(dir.path(), &BERT);
    // Converted, as an import does.
    let weights = Weights::open(&[dir.path().join("pytorch_model.bin")]).unwrap();
    weights.save_safetensors(&dir.path().join("model.safetensors")).unwrap();
    std::fs::remove_file(dir.path().join("pytorch_model.bin")).unwrap();
    check(dir.path(), &BERT);
}

type Tensors = std::collections::HashMap<String, candle_core::Tensor>;

/// Rewrites a safetensors file through a change to its tensors.
fn rewrite(path: &Path, change: impl Fn(&mut Tensors)) {
    let mut tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

#[test]
fn half_precision_weights() {
    for (dtype, tolerance) in [(candle_core::DType::F16, 2e-3), (candle_core::DType::BF16, 2e-2)] {
        for name in ["clip", "align"] {
            let dir = copy_of(name);
            rewrite(&dir.path().join("model.safetensors"), |tensors| {
                for tensor in tensors.values_mut().filter(|t| t.dtype() == candle_core::DType::F32) {
                    *tensor = tensor.to_dtype(dtype).unwrap();
                }
            });
            let report = golden::check(dir.path()).unwrap();
            for key in ["image_embeds", "text_embeds"] {
                let differ = report.max_abs_diff[key];
                assert!(differ < tolerance, "{name} {dtype:?} {key}: {differ}");
            }
        }
    }
}

/// Lengths that no recorded input has, from 1 to the longest: held against a second implementation.
#[test]
fn bert_agrees_with_its_twin_in_candle_transformers() {
    let cpu = Device::Cpu;
    let file = data("bert/model.safetensors");
    let config = std::fs::read_to_string(data("bert/config.json")).unwrap();
    let weights = Weights::open(std::slice::from_ref(&file)).unwrap();
    let ours = Bert::load(&weights.root(), &serde_json::from_str(&config).unwrap(), &cpu).unwrap();
    let vars =
        candle_nn::VarBuilder::from_tensors(candle_core::safetensors::load(&file, &cpu).unwrap(), DType::F32, &cpu);
    let theirs = twin::BertModel::load(vars, &serde_json::from_str(&config).unwrap()).unwrap();
    for lengths in [&[1_u32][..], &[3, 17], &[24, 1, 9], &[8, 8, 8, 8, 8]] {
        let rows: Vec<Vec<u32>> = lengths.iter().map(|&n| (0..n).map(|i| (i * 37 + n) % 120).collect()).collect();
        let tokens = Tokens::padded(&rows, 0);
        let shape = (tokens.batch, tokens.length);
        let ids = Tensor::from_slice(&tokens.ids, shape, &cpu).unwrap();
        let mask = Tensor::from_slice(&tokens.mask, shape, &cpu).unwrap();
        let expected = theirs.forward(&ids, &ids.zeros_like().unwrap(), Some(&mask)).unwrap();
        let seen = mask.to_dtype(DType::F32).unwrap().unsqueeze(2).unwrap();
        let differ = (ours.forward(&tokens).unwrap() - expected).unwrap().abs().unwrap().broadcast_mul(&seen).unwrap();
        let most = differ.flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(most < 1e-4, "lengths {lengths:?}: {most}");
    }
}

#[test]
fn loading_is_strict() {
    type Spoil = fn(&mut Tensors);
    let cases: [(&str, Spoil, &str); 5] = [
        ("missing", |t| drop(t.remove("text_projection.weight")), "no tensor `text_projection.weight`"),
        (
            "surplus",
            |t| {
                let extra = t["text_projection.weight"].clone();
                t.insert("text_model.extra.weight".into(), extra);
            },
            "no place for, `text_model.extra.weight`",
        ),
        (
            "shape",
            |t| {
                let turned = t["text_projection.weight"].t().unwrap().contiguous().unwrap();
                t.insert("text_projection.weight".into(), turned);
            },
            "`text_projection.weight` has the shape",
        ),
        (
            "not a number",
            |t| {
                let scaled = (&t["visual_projection.weight"] * f64::NAN).unwrap();
                t.insert("visual_projection.weight".into(), scaled);
            },
            "`visual_projection.weight` holds a number that is not finite",
        ),
        (
            "infinite word",
            |t| {
                let scaled = (&t["text_model.embeddings.token_embedding.weight"] * f64::INFINITY).unwrap();
                t.insert("text_model.embeddings.token_embedding.weight".into(), scaled);
            },
            "not finite",
        ),
    ];
    for (name, change, message) in cases {
        let dir = copy_of("clip");
        rewrite(&dir.path().join("model.safetensors"), change);
        let error = golden::check(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
    // Buffers that old files carry do no harm.
    let dir = copy_of("clip");
    rewrite(&dir.path().join("model.safetensors"), |t| {
        let ids = candle_core::Tensor::arange(0i64, 16, &candle_core::Device::Cpu).unwrap();
        t.insert("text_model.embeddings.position_ids".into(), ids.clone());
        t.insert("vision_model.embeddings.position_ids".into(), ids);
    });
    check(dir.path(), &SPACE);
}

#[test]
fn what_is_no_weights_file_is_named() {
    let whole = std::fs::read(data("clip").join("model.safetensors")).unwrap();
    let huge = [&(1u64 << 60).to_le_bytes()[..], &whole[8..]].concat();
    let longer = [&whole[..], &[0; 100]].concat();
    let terabytes = {
        let header = br#"{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#;
        [&(header.len() as u64).to_le_bytes()[..], header].concat()
    };
    let cases: [(&[u8], &str); 8] = [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 605247071\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        (b"", "empty"),
        (&whole[..whole.len() - 1], "cut off or has bytes added"),
        (&longer, "cut off or has bytes added"),
        (&huge, "header that does not fit"),
        (&terabytes, "cut off"),
        (b"abc", "header"),
    ];
    for (bytes, message) in cases {
        let dir = copy_of("clip");
        std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let error = golden::check(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("model.safetensors"), "{message}: {error}");
    }
    let dir = copy_of("bert");
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let whole = std::fs::read(data("bert").join("pytorch_model.bin")).unwrap();
    for (bytes, message) in
        [(&whole[..whole.len() / 2], "PyTorch archive"), (&b"\x80\x02pickle"[..], "2020"), (b"<html>", "web page")]
    {
        std::fs::write(dir.path().join("pytorch_model.bin"), bytes).unwrap();
        let error = golden::check(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn impossible_configurations_are_errors() {
    for (key, value) in [
        ("/vision_config/patch_size", Value::from(0)),
        ("/vision_config/num_attention_heads", 5.into()),
        ("/vision_config/hidden_size", 1_000_000_000_000u64.into()),
        ("/text_config/hidden_size", 33.into()),
        ("/text_config/vocab_size", 98.into()),
        ("/text_config/hidden_act", "gelu_10".into()),
        ("/text_config/num_hidden_layers", 3.into()),
        ("/text_config/num_hidden_layers", 1.into()),
        ("/projection_dim", 0.into()),
        ("/model_type", "clap".into()),
    ] {
        let dir = copy_of("clip");
        let path = dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        *config.pointer_mut(key).unwrap() = value.clone();
        std::fs::write(&path, config.to_string()).unwrap();
        assert!(golden::check(dir.path()).is_err(), "{key} {value}");
    }
}

/// A CLIP folder with a vocabulary of its own, as `--model FOLDER` takes it: the
/// golden weights with the word table of the real tokenizer.
pub fn clip_folder() -> tempfile::TempDir {
    let dir = copy_of("clip");
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(data("tokenizer/clip_bpe").join(name), dir.path().join(name)).unwrap();
    }
    let processor = std::fs::read_to_string(data("preprocess/processors/clip_64.json")).unwrap();
    std::fs::write(dir.path().join("preprocessor_config.json"), processor.replace("64", "32")).unwrap();
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["text_config"]["vocab_size"] = 49408.into();
    std::fs::write(&path, config.to_string()).unwrap();
    rewrite(&dir.path().join("model.safetensors"), |t| {
        let words: Vec<f32> = (0..49408 * 32).map(|i| ((i * 7919) % 1000) as f32 / 20000.0).collect();
        let words = candle_core::Tensor::from_vec(words, (49408, 32), &candle_core::Device::Cpu).unwrap();
        t.insert("text_model.embeddings.token_embedding.weight".into(), words);
    });
    dir
}

#[test]
fn a_model_folder_is_a_model() {
    let dir = clip_folder();
    let model = align::load(dir.path(), DeviceRequest::Cpu).unwrap();
    assert_eq!((model.spec().dim, model.spec().min_side, model.device()), (24, 32, "cpu"));
    let photo = image::RgbImage::from_fn(90, 60, |x, y| image::Rgb([x as u8, y as u8, 80]));
    let pixels = model.prepare(&photo).unwrap();
    let images = model.encode_images(&[pixels.clone(), pixels]).unwrap();
    assert_eq!(images[0].as_ref().unwrap(), images[1].as_ref().unwrap());
    let texts = model.encode_texts(&["a dog", "a cat", "a dog", &"long ".repeat(500)]).unwrap();
    let alone = model.encode_texts(&["a dog"]).unwrap();
    assert_eq!(texts[0], texts[2]);
    assert_ne!(texts[0], texts[1]);
    let cosine = texts[0].cosine(&alone[0]).unwrap();
    assert!(cosine > 1.0 - 1e-6, "the neighbours of a text change nothing: {cosine}");
    assert!(model.encode_images(&[]).unwrap().is_empty() && model.encode_texts(&[]).unwrap().is_empty());

    // Import, list, use by id, remove.
    let home = tempfile::tempdir().unwrap();
    let paths = glimpse::config::Paths::in_folder(home.path());
    let listed = catalogue::import(&paths, dir.path()).unwrap();
    assert!(catalogue::list(&paths).iter().any(|p| p.id == listed.id && !p.built_in));
    assert!(catalogue::import(&paths, dir.path()).unwrap_err().to_string().contains("already"));
    let pack = glimpse::models::pack::Pack::open(&catalogue::find(&paths, &listed.id).unwrap()).unwrap();
    assert!(pack.verify().is_empty());
    let again = align::load(&pack.folder, DeviceRequest::Cpu).unwrap();
    assert_eq!(again.encode_texts(&["a dog"]).unwrap(), alone);
    assert_eq!(again.spec().weights_hash, model.spec().weights_hash, "the same space");
    std::fs::write(pack.folder.join("model.safetensors"), b"<html></html>").unwrap();
    let [damage] = &pack.verify()[..] else { panic!("one file is damaged") };
    assert!(damage.to_string().contains("web page"));
    assert!(align::load(&pack.folder, DeviceRequest::Cpu).is_err());
    catalogue::remove(&paths, &listed.id).unwrap();
    assert!(catalogue::find(&paths, &listed.id).is_err());
}

#[test]
fn folders_that_are_no_models() {
    let error = |dir: &Path| align::load(dir, DeviceRequest::Cpu).err().unwrap().to_string();
    let empty = tempfile::tempdir().unwrap();
    assert!(error(empty.path()).contains("no model"));
    std::fs::write(empty.path().join("config.json"), r#"{"model_type":"whisper"}"#).unwrap();
    assert!(error(empty.path()).contains("`whisper` is not supported"));
    let dir = clip_folder();
    std::fs::remove_file(dir.path().join("preprocessor_config.json")).unwrap();
    assert!(error(dir.path()).contains("preprocessor_config.json"));
    let dir = clip_folder();
    std::fs::remove_file(dir.path().join("vocab.json")).unwrap();
    assert!(error(dir.path()).contains("no tokenizer"));
    std::fs::write(dir.path().join("tokenizer.json"), b"").unwrap();
    assert!(error(dir.path()).contains("is empty"));
    // A tokenizer with more words than the table has rows.
    let dir = clip_folder();
    std::fs::copy(data("clip/config.json"), dir.path().join("config.json")).unwrap();
    std::fs::copy(data("clip/model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    assert!(error(dir.path()).contains("word table ends at 99"));
}

#[test]
fn only_weights_that_are_zero_fail_their_pictures() {
    let dir = clip_folder();
    rewrite(&dir.path().join("model.safetensors"), |t| {
        let zeros = t["visual_projection.weight"].zeros_like().unwrap();
        t.insert("visual_projection.weight".into(), zeros);
    });
    let model = align::load(dir.path(), DeviceRequest::Cpu).unwrap();
    let pixels = model.prepare(&image::RgbImage::new(40, 40)).unwrap();
    assert!(model.encode_images(&[pixels]).unwrap()[0].is_err());
    assert!(model.encode_texts(&["a dog"]).is_ok());
}

#[test]
fn pixels_agree_with_pillow() {
    for (processor, tolerance) in
        [("clip_64", 0.016), ("chinese_clip_48", 0.02), ("align_60_50", 0.02), ("clip_224", 0.02)]
    {
        let settings = match processor {
            "clip_224" => {
                let dir = tempfile::tempdir().unwrap();
                let text =
                    std::fs::read_to_string(data("preprocess/processors/clip_64.json")).unwrap().replace("64", "224");
                let path = dir.path().join("clip_224.json");
                std::fs::write(&path, text).unwrap();
                Preprocess::from_hf(&path).unwrap()
            }
            name => Preprocess::from_hf(&data(&format!("preprocess/processors/{name}.json"))).unwrap(),
        };
        let expected = candle_core::safetensors::load(
            data(&format!("preprocess/{processor}.safetensors")),
            &candle_core::Device::Cpu,
        )
        .unwrap();
        assert!(!expected.is_empty());
        for (file, want) in expected {
            let stem = Path::new(&file).file_stem().unwrap().to_str().unwrap().to_owned();
            let photo = image::open(data(&format!("preprocess/decoded_rgb/{stem}.png"))).unwrap().to_rgb8();
            let got = settings.apply(&photo).unwrap();
            let want: Vec<f32> =
                want.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(got.len(), want.len(), "{processor} {file}");
            let differ: Vec<f32> = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).collect();
            let (max, mean) =
                (differ.iter().copied().fold(0f32, f32::max), differ.iter().sum::<f32>() / differ.len() as f32);
            assert!(max <= tolerance && mean < 0.002, "{processor} {file}: max {max}, mean {mean}");
        }
    }
}

fn cases(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(&format!("tokenizer/{name}_cases.json"))).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

#[test]
fn clip_tokens_are_those_of_hugging_face() {
    let folder = data("tokenizer/clip_bpe");
    let (long, short) = (Tokenizer::open(&folder, 10_000).unwrap(), Tokenizer::open(&folder, 77).unwrap());
    for case in cases("clip_bpe")["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        // Of texts that are too long only the cut form was recorded.
        match case["hf_untruncated_length"].as_u64() {
            Some(length) => assert_eq!(long.encode(text).unwrap().len() as u64, length, "{text:?}"),
            None => assert_eq!(long.encode(text).unwrap(), ids(&case["hf_ids"]), "{text:?}"),
        }
        assert_eq!(short.encode(text).unwrap(), ids(&case["hf_ids_77"]), "{text:?} cut to 77");
    }
}

#[test]
fn bert_tokens_are_those_of_hugging_face() {
    let folder = data("tokenizer/bert_uncased");
    let fast = Tokenizer::open(&folder, 10_000).unwrap();
    let plain = Tokenizer::wordpiece(&folder.join("vocab.txt"), true, 10_000).unwrap();
    let all = cases("bert_uncased");
    for case in all["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        for tokenizer in [&fast, &plain] {
            assert_eq!(tokenizer.encode(text).unwrap(), ids(&case["ids"]), "{text:?}");
        }
    }
    for pair in all["pairs"].as_array().unwrap() {
        let limit = pair["max_length"].as_u64().unwrap_or(10_000) as usize;
        let tokenizer = Tokenizer::wordpiece(&folder.join("vocab.txt"), true, limit).unwrap();
        let got = tokenizer.encode_pair(pair["a"].as_str().unwrap(), pair["b"].as_str().unwrap()).unwrap();
        assert_eq!((got.ids, got.types), (ids(&pair["ids"]), ids(&pair["token_type_ids"])), "{pair}");
    }
    let chinese = Tokenizer::open(&data("tokenizer/bert_zh_small"), 52).unwrap();
    for case in cases("bert_zh_small")["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(chinese.encode(text).unwrap(), ids(&case["ids"]), "{text:?}");
    }
}
