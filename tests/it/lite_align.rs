//! The built-in model: its pack is whole, and its vectors are PyTorch's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use candle_core::Device;
use glimpse::device::DeviceRequest;
use glimpse::models::align::lite::{ImageTower, LiteAlign};
use glimpse::models::align::{self, AlignModel};
use glimpse::models::pack::Pack;
use glimpse::models::weights::Weights;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn model() -> Arc<dyn AlignModel> {
    static MODEL: OnceLock<Arc<dyn AlignModel>> = OnceLock::new();
    MODEL.get_or_init(|| align::load(&root("assets/models/lite-align"), DeviceRequest::Cpu).unwrap()).clone()
}

#[derive(serde::Deserialize)]
struct Inputs {
    photos: Vec<String>,
    texts: Vec<String>,
}

fn inputs() -> Inputs {
    serde_json::from_slice(&std::fs::read(root("tests/golden/lite_align/texts.json")).unwrap()).unwrap()
}

fn expected(name: &str) -> Vec<Vec<f32>> {
    let path = root("tests/golden/lite_align/expected.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    tensors[name].to_vec2().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn pack_is_whole_and_small() {
    let pack = Pack::open(&root("assets/models/lite-align")).unwrap();
    let faults: Vec<String> = pack.verify().iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let size: u64 = pack.manifest.files.iter().map(|f| f.size).sum();
    assert!(size <= 60_000_000, "{size} bytes");
    assert!(pack.manifest.calibration.is_some(), "search needs to know what a score means");
}

#[test]
fn photos_agree_with_pytorch() {
    let model = model();
    let photos = inputs().photos;
    let pixels: Vec<_> = photos
        .iter()
        .map(|name| {
            let photo = image::open(root("tests/golden/lite_align").join(name)).unwrap();
            model.prepare(&photo.to_rgb8()).unwrap()
        })
        .collect();
    let found = model.encode_images(&pixels).unwrap();
    for ((name, found), expected) in photos.iter().zip(found).zip(expected("images")) {
        let worst = largest_difference(found.unwrap().as_slice(), &expected);
        assert!(worst <= 1e-3, "{name}: {worst}");
    }
}

#[test]
fn texts_agree_with_pytorch_alone_and_in_a_batch() {
    let (model, texts) = (model(), inputs().texts);
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let batch = model.encode_texts(&all).unwrap();
    for ((text, together), expected) in all.iter().zip(batch).zip(expected("texts")) {
        let alone = model.encode_texts(&[text]).unwrap().remove(0);
        for found in [alone, together] {
            let worst = largest_difference(found.as_slice(), &expected);
            assert!(worst <= 1e-3, "{text}: {worst}");
        }
    }
}

#[test]
fn both_languages_find_the_same_sample() {
    let model = model();
    let names = [
        "raccoon.jpg",
        "kite.jpg",
        "clock.jpg",
        "paint-brushes.jpg",
        "窗边的两只狗.jpg",
        "湖边的小船.jpg",
        "sunset.jpg",
    ];
    let pixels: Vec<_> = names
        .iter()
        .map(|name| model.prepare(&image::open(root("assets/samples").join(name)).unwrap().to_rgb8()).unwrap())
        .collect();
    let photos: Vec<_> = model.encode_images(&pixels).unwrap().into_iter().map(Result::unwrap).collect();
    let queries = [
        ("two dogs", 4),
        ("两只狗", 4),
        ("boats on a lake", 5),
        ("湖边的小船", 5),
        ("paint brushes", 3),
        ("画笔", 3),
        ("a kite in the sky", 1),
        ("天上的风筝", 1),
    ];
    for (text, right) in queries {
        let query = model.encode_texts(&[text]).unwrap().remove(0);
        let score = |i: &usize| query.cosine(&photos[*i]).unwrap();
        let best = (0..photos.len()).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
        assert_eq!(names[best], names[right], "{text}");
    }
}

/// What Fuse saw through the tower is enough to compare sentences with the photo.
#[test]
fn a_grid_is_as_good_as_the_photo() {
    let pack = Pack::open(&root("assets/models/lite-align")).unwrap();
    let model: LiteAlign = LiteAlign::load(&pack, &Device::Cpu).unwrap();
    let weights = Weights::open(&[pack.file("image.safetensors").unwrap()]).unwrap();
    let tower = ImageTower::load(&pack, &weights.root(), &Device::Cpu).unwrap();
    let photo = image::open(root("assets/samples/raccoon.jpg")).unwrap().to_rgb8();
    let pixels = model.prepare(&photo).unwrap();
    let grid: Vec<f32> =
        tower.features(std::slice::from_ref(&pixels)).unwrap().grid.flatten_all().unwrap().to_vec1().unwrap();
    let texts = ["a raccoon in the leaves", "一只浣熊", "two people at a table"];
    let image = model.encode_images(&[pixels]).unwrap().remove(0).unwrap();
    let again = model.vector_of(&grid).unwrap();
    assert!(image.cosine(&again).unwrap() > 0.999_999);
    let near: Vec<f32> = model.encode_texts(&texts).unwrap().iter().map(|text| text.cosine(&again).unwrap()).collect();
    assert!(near[0] > near[2] && near[1] > near[2], "{near:?}");
    for wrong in [&[][..], &grid[..1280 * 80]] {
        assert!(model.vector_of(wrong).is_err());
    }
}
