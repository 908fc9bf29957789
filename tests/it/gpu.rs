//! Towers on a graphics adapter (Mesa's software one will do) against the references and the
//! CPU, and what happens when the card fails.

use std::path::{Path, PathBuf};

use glimpse::device::{DeviceKind, DeviceNote, DeviceRequest, adapters};
use glimpse::gpu::{Gpu, Precision};
use glimpse::models::align::{self, AlignModel, Pixels, Placed};
use glimpse::models::golden;
use image::RgbImage;

use crate::cli::World;
use crate::gpu_kernels::{card, card_of_halves};
use crate::models::clip_folder;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn towers_agree_with_their_references() {
    let Some(gpu) = card() else { return };
    for (folder, results) in [("clip", 11), ("clip_eos_id", 11), ("align", 7), ("bert", 3)] {
        let report = golden::check_on(&root("tests/golden").join(folder), gpu).unwrap();
        assert_eq!(report.max_abs_diff.len(), results, "{folder}: {report:?}");
        for (name, differ) in &report.max_abs_diff {
            let unit = name.contains("embeds") || name.contains("normalized");
            let tolerance = if unit { 2e-5 } else { 1e-4 };
            assert!(*differ <= tolerance, "{folder}: {name} differs by {differ}");
        }
    }
}

#[test]
fn the_built_in_model_passes_the_self_test() {
    let folder = root("assets/models/lite-align");
    let judge = align::load(&folder, DeviceRequest::Cpu).unwrap();
    for gpu in [card(), card_of_halves()].into_iter().flatten() {
        let placed = Placed::on_card(&folder, gpu, DeviceRequest::Wgpu).unwrap();
        let cosine = align::self_test(&placed, judge.as_ref(), 1).unwrap();
        assert!(cosine >= align::least_cosine(gpu.precision()), "{:?}: {cosine}", gpu.precision());
        assert_eq!((placed.device(), placed.device_note()), ("wgpu", None));
    }
}

/// Halves of weights that are far from halves: still the references, but for the rounding.
#[test]
fn towers_of_halves_are_near_their_references() {
    let Some(gpu) = card_of_halves() else { return };
    for folder in ["clip", "align", "bert"] {
        let report = golden::check_on(&root("tests/golden").join(folder), gpu).unwrap();
        for (name, differ) in &report.max_abs_diff {
            let unit = name.contains("embeds") || name.contains("normalized");
            let tolerance = if unit { 2e-3 } else { 2e-2 };
            assert!(*differ <= tolerance, "{folder}: {name} differs by {differ}");
        }
        assert!(report.max_abs_diff.values().any(|differ| *differ > 1e-5), "{folder} runs in halves");
    }
}

/// A model whose vectors are not the CPU's does not pass.
#[test]
fn the_self_test_sees_a_wrong_model() {
    let (one, other) = (clip_folder(), clip_folder());
    let path = other.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let name = "visual_projection.weight";
    let changed = tensors[name].flip(&[0]).unwrap().contiguous().unwrap();
    tensors.insert(name.into(), changed);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let load = |dir: &tempfile::TempDir| align::load(dir.path(), DeviceRequest::Cpu).unwrap();
    let (one, other) = (load(&one), load(&other));
    assert!(align::self_test(one.as_ref(), one.as_ref(), 2).unwrap() > 0.99999);
    assert!(align::self_test(other.as_ref(), one.as_ref(), 2).unwrap() < 0.99);
}

fn photos(model: &dyn AlignModel, n: u8) -> Vec<Pixels> {
    let photo = |i: u8| RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 5, y as u8 * 6, i.wrapping_mul(37)]));
    (0..n).map(|i| model.prepare(&photo(i)).unwrap()).collect()
}

/// All vectors are there, in order, and those of the CPU.
fn all_there(model: &dyn AlignModel, judge: &dyn AlignModel, n: u8) {
    let pixels = photos(model, n);
    let (got, want) = (model.encode_images(&pixels).unwrap(), judge.encode_images(&pixels).unwrap());
    assert_eq!(got.len(), usize::from(n));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let cosine = got.as_ref().unwrap().cosine(want.as_ref().unwrap()).unwrap();
        assert!(cosine > 0.99999, "photo {i}: {cosine}");
    }
    let (got, want) = (model.encode_texts(&["a dog"]).unwrap(), judge.encode_texts(&["a dog"]).unwrap());
    assert!(got[0].cosine(&want[0]).unwrap() > 0.99999);
}

#[test]
fn full_memory_means_smaller_batches_and_then_the_cpu() {
    let Some(adapter) = card().map(Gpu::adapter) else { return };
    let dir = clip_folder();
    let judge = align::load(dir.path(), DeviceRequest::Cpu).unwrap();
    // The tower's positions stay in the pool as well; a picture needs some 100 kB.
    let tight = Gpu::with_memory(adapter, Precision::F32, 300_000).unwrap();
    let placed = Placed::on_card(dir.path(), &tight, DeviceRequest::Auto).unwrap();
    all_there(&placed, judge.as_ref(), 20);
    assert_eq!(placed.device(), "wgpu", "smaller batches fit: {:?}", placed.device_note());

    let full = Gpu::with_memory(adapter, Precision::F32, 20_000).unwrap();
    let placed = Placed::on_card(dir.path(), &full, DeviceRequest::Auto).unwrap();
    all_there(&placed, judge.as_ref(), 9);
    assert_eq!(placed.device(), "cpu");
    let Some(DeviceNote::GaveUp { reason, .. }) = placed.device_note() else { panic!("it is said why") };
    assert!(reason.contains("memory is full"), "{reason}");

    let full = Gpu::with_memory(adapter, Precision::F32, 20_000).unwrap();
    let placed = Placed::on_card(dir.path(), &full, DeviceRequest::Wgpu).unwrap();
    let error = placed.encode_images(&photos(&placed, 1)).unwrap_err().to_string();
    assert!(error.contains("wgpu") && error.contains("memory"), "who asks for a device is told: {error}");
}

#[test]
fn a_lost_device_is_opened_again_and_no_photo_is_lost() {
    let Some(adapter) = card().map(Gpu::adapter) else { return };
    let dir = clip_folder();
    let judge = align::load(dir.path(), DeviceRequest::Cpu).unwrap();
    let gpu = Gpu::open(adapter, Precision::F32).unwrap();
    let placed = Placed::on_card(dir.path(), &gpu, DeviceRequest::Auto).unwrap();
    all_there(&placed, judge.as_ref(), 3);
    gpu.lose();
    all_there(&placed, judge.as_ref(), 9);
    assert_eq!((placed.device(), placed.device_note()), ("wgpu", None));
}

#[test]
fn the_device_asked_for_is_the_device_or_an_error() {
    let dir = clip_folder();
    match (DeviceRequest::Wgpu.choose(), adapters().first()) {
        (Ok(choice), Some(_)) => {
            assert_eq!(choice.kind, DeviceKind::Wgpu);
            assert_eq!(align::load(dir.path(), DeviceRequest::Wgpu).unwrap().device(), "wgpu");
        }
        (result, none) => {
            assert!(none.is_none() && result.is_err());
            assert!(align::load(dir.path(), DeviceRequest::Wgpu).is_err());
        }
    }
    let auto = align::load(dir.path(), DeviceRequest::Auto).unwrap();
    assert_eq!(auto.device() == "cpu", auto.device_note().is_some(), "the CPU is explained");
}

/// The command line on the adapter that there is: explicit `wgpu` takes it, `auto` only if it is no software.
#[test]
fn the_command_line_says_where_it_ran() {
    let Some(adapter) = card().map(Gpu::adapter) else { return };
    let world = World::new();
    let dir = clip_folder();
    let embed = |device: &str| {
        let gave = world.run(&[&"embed", &"text", &"a dog", &"--model", &dir.path(), &"--device", &device]);
        assert_eq!(gave.code, 0, "{}", gave.stderr);
        let vector: Vec<f64> = serde_json::from_value(gave.lines[0]["vector"].clone()).unwrap();
        (gave.lines[0]["device"].as_str().unwrap().to_owned(), vector)
    };
    let ((wgpu, ours), (cpu, theirs)) = (embed("wgpu"), embed("cpu"));
    assert_eq!((wgpu.as_str(), cpu.as_str()), ("wgpu", "cpu"));
    let cosine: f64 = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.99999, "{cosine}");
    assert_eq!(embed("auto").0, if adapter.is_software() { "cpu" } else { "wgpu" });

    let golden = world.run(&[&"golden-check", &root("tests/golden/bert"), &"--device", &"wgpu"]);
    assert_eq!((golden.code, &golden.lines[0]["device"]), (0, &"wgpu".into()), "{}", golden.stderr);
    let fuse = world.run(&[&"golden-check", &root("tests/golden/oscar/vqa"), &"--device", &"wgpu"]);
    assert_eq!(fuse.code, 1, "a model that cannot run there is no silent CPU run");
    assert!(fuse.stderr.contains("CPU only"), "{}", fuse.stderr);

    let doctor = world.run(&[&"doctor", &"--model", &dir.path()]);
    let found =
        |check: &str| doctor.lines.iter().find(|line| line["check"] == check).map(|line| line["found"].to_string());
    assert!(found("adapter 0").unwrap().contains(&adapter.name), "{:?}", doctor.lines);
    assert!(found("self-test 0").unwrap().contains("cosine"), "{:?}", doctor.lines);
}
