//! Each layout as its authors write it, look-up by name, and files that lie.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn b64(numbers: &[f32]) -> String {
    STANDARD.encode(numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Regions of `photo` in the first of the files.
fn look(files: &[(&str, &[u8])], photo: &str) -> Result<Option<Regions>, RegionsError> {
    let folder = folder(files);
    RegionStore::open(&folder.path().join(files[0].0))?.get(Path::new(photo))
}

fn sentence(error: RegionsError) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
    text
}

/// One zip archive of arrays; `tests/golden/regions` holds some that NumPy wrote.
fn npz(arrays: &[(&str, &str, &[f32])], deflate: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, shape, numbers) in arrays {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((header.len() as u16).to_le_bytes());
        array.extend(header.as_bytes());
        array.extend(numbers.iter().flat_map(|v| v.to_le_bytes()));
        let mut crc = flate2::Crc::new();
        crc.update(&array);
        let packed = if deflate {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&array).unwrap();
            encoder.finish().unwrap()
        } else {
            array.clone()
        };
        let name = format!("{name}.npy");
        let mut common = vec![20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, array.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(packed);
    }
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([arrays.len() as u8, 0, arrays.len() as u8, 0]);
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn butd(key: &str, n: usize, boxes: &[f32], features: &[f32]) -> String {
    format!("{key}\t200\t100\t{n}\t{}\t{}\r\n", b64(boxes), b64(features))
}

const BOXES: [f32; 8] = [20.0, 10.0, 120.0, 60.0, 0.0, 0.0, 200.0, 100.0];

#[test]
fn bottom_up_attention() {
    let text = butd("123456", 2, &BOXES, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let regions = look(&[("butd.tsv", text.as_bytes())], "/photos/COCO_val2014_000000123456.jpg").unwrap().unwrap();
    assert_eq!((regions.len(), regions.width, regions.image_size), (2, 3, (200.0, 100.0)));
    assert_eq!(regions.boxes[0], [20.0, 10.0, 120.0, 60.0]);
    let geometry: Vec<[f32; 7]> = regions.geometry().collect();
    assert_eq!(geometry[1], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let longer = regions.features_as(9).unwrap();
    let want = [1.0, 2.0, 3.0, 0.1, 0.1, 0.6, 0.6, 0.5, 0.5, 4.0, 5.0, 6.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    assert!(longer.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6) && longer.len() == want.len());
    assert_eq!(*regions.features_as(3).unwrap(), regions.features[..]);
    assert!(sentence(regions.features_as(2048).unwrap_err()).contains("2048"));
}

/// Two features of 2 numbers and the box's six.
fn oscar() -> Vec<f32> {
    vec![7.0, 8.0, 0.1, 0.1, 0.6, 0.6, 0.5, 0.5, 9.0, 10.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
}

#[test]
fn oscar_and_vinvl_with_their_labels() {
    let features = b64(&oscar());
    let three = format!("42\t2\t{features}\n");
    let two = format!("42\t{}\n", json!({"num_boxes": 2, "features": features}));
    let objects = json!([
        {"class": "dog", "rect": [20.0, 10.0, 120.0, 60.0], "conf": 0.9},
        {"class": "grass", "rect": [0.0, 0.0, 200.0, 100.0], "conf": 0.4},
    ]);
    let list = format!("42\t{objects}\n");
    let whole = format!("42\t{}\n", json!({"image_h": 100, "image_w": 200, "objects": objects}));
    for (file, text) in [("features.tsv", &three), ("train.feature.tsv", &two), ("img_frcnn_feats.tsv", &three)] {
        let regions = look(&[(file, text.as_bytes())], "42.jpg").unwrap().unwrap();
        assert_eq!((regions.width, regions.image_size), (8, (1.0, 1.0)), "{file}");
        assert_eq!(regions.boxes, [[0.1, 0.1, 0.6, 0.6], [0.0, 0.0, 1.0, 1.0]]);
        assert_eq!(*regions.features_as(2).unwrap(), [7.0, 8.0, 9.0, 10.0]);
        assert!(regions.tags.is_empty());
    }
    let regions = look(&[("features.tsv", three.as_bytes()), ("predictions.tsv", whole.as_bytes())], "42.jpg");
    let regions = regions.unwrap().unwrap();
    assert_eq!(regions.tags, ["dog", "grass"]);
    assert_eq!(regions.confidences, [0.9, 0.4]);
    assert_eq!(regions.image_size, (200.0, 100.0));
    assert!(regions.boxes[0].iter().zip([20.0, 10.0, 120.0, 60.0]).all(|(a, b)| (a - b).abs() < 1e-3));
    // Labels of more objects than there are regions are tags all the same.
    let more = whole.replace("[{", "[{\"class\": \"sky\", \"rect\": [0, 0, 9, 9], \"conf\": 1}, {");
    let regions = look(&[("features.tsv", three.as_bytes()), ("predictions.tsv", more.as_bytes())], "42.jpg");
    let regions = regions.unwrap().unwrap();
    assert_eq!((regions.tags.len(), regions.len(), regions.confidences.len()), (3, 2, 0));
    // Features alone take their boxes from labels of as many.
    let bare = format!("42\t2\t{}\n", b64(&[7.0, 8.0]));
    let regions = look(&[("features.tsv", bare.as_bytes()), ("predictions.tsv", whole.as_bytes())], "42.jpg");
    assert_eq!(regions.unwrap().unwrap().boxes[0], [20.0, 10.0, 120.0, 60.0]);
    assert!(look(&[("features.tsv", bare.as_bytes()), ("predictions.tsv", more.as_bytes())], "42.jpg").is_err());
    let regions = look(&[("train.feature.tsv", two.as_bytes()), ("train.label.tsv", list.as_bytes())], "42.jpg");
    let regions = regions.unwrap().unwrap();
    assert_eq!((regions.tags.len(), regions.image_size), (2, (1.0, 1.0)));
}

#[test]
fn the_detectors_own_predictions() {
    let object = |class, feature: &[f32]| {
        json!({"class": class, "rect": [0.0, 0.0, 50.0, 50.0], "conf": 0.5, "bbox_id": 0,
            "feature": b64(feature), "scores_all": b64(&[0.25, 0.75])})
    };
    let line = |objects: &[serde_json::Value]| format!("a.jpg\t{}\n", json!({"objects": objects, "relations": null}));
    let text = line(&[object("cat", &[1.0, 2.0]), object("mat", &[3.0, 4.0])]);
    let sizes = "a.jpg\t[{\"height\": 50, \"width\": 100}]\n";
    let files = [("predictions.tsv", text.as_bytes()), ("hw.tsv", sizes.as_bytes())];
    let regions = look(&files, "a.jpg").unwrap().unwrap();
    assert_eq!((&regions.features[..], regions.width), (&[1.0, 2.0, 3.0, 4.0][..], 2));
    assert_eq!((regions.image_size, &regions.classes[..]), ((100.0, 50.0), &[0.25, 0.75, 0.25, 0.75][..]));
    assert_eq!(regions.tags, ["cat", "mat"]);
    assert!(sentence(look(&files[..1], "a.jpg").unwrap_err()).contains("without the photo's size"));
    let uneven = line(&[object("cat", &[1.0, 2.0]), object("mat", &[3.0])]);
    assert!(look(&[("predictions.tsv", uneven.as_bytes()), files[1]], "a.jpg").is_err());
}

#[test]
fn uniter() {
    for deflate in [false, true] {
        let bytes = npz(
            &[
                ("features", "(2, 3)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                ("norm_bb", "(2, 6)", &[0.1, 0.2, 0.5, 0.6, 0.4, 0.4, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
                ("conf", "(2,)", &[0.9, 0.8]),
                ("soft_labels", "(2, 2)", &[0.5, 0.5, 1.0, 0.0]),
            ],
            deflate,
        );
        let regions = look(&[("beach.npz", &bytes)], "/x/beach.jpeg").unwrap().unwrap();
        assert_eq!((regions.width, regions.image_size, regions.boxes[0]), (3, (1.0, 1.0), [0.1, 0.2, 0.5, 0.6]));
        assert_eq!((regions.confidences.len(), regions.classes.len()), (2, 4));
        assert_eq!(look(&[("beach.npz", &bytes)], "dune.jpg").unwrap(), None);
        let place = folder(&[("coco_val2014_000000000007.npz", &bytes), ("beach.jpg.npz", &bytes)]);
        let store = RegionStore::open(place.path()).unwrap();
        for (photo, found) in [
            ("COCO_val2014_000000000007.jpg", true),
            ("7.png", true),
            ("beach.jpg", true),
            ("8.png", false),
            ("", false),
        ] {
            assert_eq!(store.get(Path::new(photo)).unwrap().is_some(), found, "{photo}");
        }
    }
}

#[test]
fn vlps_boxes_in_pixels() {
    let features = ("features", "(1, 2)", &[1.0, 2.0][..]);
    let bytes = npz(&[features, ("bbox", "(1, 6)", &[10.0, 5.0, 40.0, 20.0, 3.0, 0.7])], true);
    let regions = look(&[("a.npz", &bytes)], "a.jpg").unwrap().unwrap();
    assert_eq!((regions.image_size, &regions.confidences[..]), ((40.0, 20.0), &[0.7][..]));
    let unsized_boxes = npz(&[features, ("bbox", "(1, 4)", &[10.0, 5.0, 40.0, 20.0])], true);
    assert!(sentence(look(&[("a.npz", &unsized_boxes)], "a.jpg").unwrap_err()).contains("no size"));
}

/// `tests/golden/regions/make.py` wrote these with Python's csv and NumPy, as the authors do.
#[test]
fn files_that_python_wrote() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/regions");
    let want: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("want.json")).unwrap()).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
    };
    for (file, tolerance) in [("butd.tsv", 0.0), ("features.tsv", 0.0), ("coco_val2014_000000000009.npz", 1e-3)] {
        let store = RegionStore::open(&folder.join(file)).unwrap();
        let regions = store.get(Path::new("COCO_val2014_000000000009.jpg")).unwrap().unwrap();
        let features = regions.features_as(want["width"].as_u64().unwrap() as usize).unwrap();
        let boxes: Vec<f32> = regions.geometry().flatten().collect();
        for (what, got, want) in [("features", &features[..], &want["features"]), ("boxes", &boxes, &want["geometry"])]
        {
            let want = numbers(want);
            assert_eq!(got.len(), want.len(), "{file} {what}");
            // Fractions of pixels are rounded once more than Python's.
            let slack = if what == "boxes" { f32::max(tolerance, 1e-6) } else { tolerance };
            assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= slack), "{file} {what}: {got:?} {want:?}");
        }
    }
}

#[test]
fn names_before_stems_before_numbers() {
    let line = |key: &str, mark: f32| butd(key, 1, &BOXES[..4], &[mark]);
    let text: String =
        [("a.jpg", 1.0), ("a", 2.0), ("12", 3.0), ("IMG_12", 4.0), ("a", 5.0)].map(|(k, m)| line(k, m)).concat();
    let mark = |photo| look(&[("x.tsv", text.as_bytes())], photo).unwrap().map(|r| r.features[0]);
    assert_eq!(mark("dir/a.jpg"), Some(1.0));
    assert_eq!(mark("a.png"), Some(5.0), "of two rows the later one, as in the authors' reader");
    assert_eq!(mark("000000000012.jpg"), Some(3.0));
    assert_eq!(mark("IMG_12.jpg"), Some(4.0));
    assert_eq!(mark("VID_12.jpg"), None, "only COCO's twelve digits are a number");
    assert_eq!(mark("照片.jpg"), None);
    let twice = [line("coco_val2014_000000000012", 1.0), line("vg_000000000012", 2.0)].concat();
    assert_eq!(look(&[("x.tsv", twice.as_bytes())], "12.jpg").unwrap(), None, "two photos of one number");
}

#[test]
fn a_line_index_serves_if_it_belongs() {
    let lines = ["1", "2", "3"].map(|key| butd(key, 1, &BOXES[..4], &[key.parse().unwrap()]));
    let text = lines.concat();
    let (second, third) = (lines[0].len(), lines[0].len() + lines[1].len());
    // Leaves out the first line, so that what is found tells whether it was used.
    let good = format!("0\n{third}\n");
    for (index, knows_two) in [
        (good, false),
        (format!("0\n{}\n{third}\n", second + 1), true),
        (format!("{third}\n0\n"), true),
        (format!("0\n{}\n", text.len()), true),
        ("no numbers".to_owned(), true),
        (String::new(), true),
    ] {
        let files = [("x.tsv", text.as_bytes()), ("x.lineidx", index.as_bytes())];
        assert_eq!(look(&files, "2.jpg").unwrap().is_some(), knows_two, "{index}");
        assert_eq!(look(&files, "3.jpg").unwrap().unwrap().features, [3.0]);
    }
}

#[test]
fn lies_are_told_in_a_sentence() {
    let boxes = b64(&BOXES);
    let features = b64(&[1.0, 2.0]);
    let rows = [
        (format!("k\t200\t100\t2\t{boxes}\t!!!\n"), "base64"),
        (format!("k\t200\t100\t3\t{boxes}\t{features}\n"), "do not make 3 rows"),
        (format!("k\t200\t100\t18446744073709551615\t{boxes}\t{features}\n"), "more than this program reads"),
        (format!("k\t200\t100\t-1\t{boxes}\t{features}\n"), "no number"),
        (format!("k\t200\t100\t0\t{boxes}\t{features}\n"), "are none"),
        (format!("k\t0\t100\t2\t{boxes}\t{features}\n"), "image size"),
        (format!("k\tNaN\t100\t2\t{boxes}\t{features}\n"), "image size"),
        (format!("k\t200\t100\t2\t{boxes}\t{}\n", b64(&[f32::NAN, 1.0])), "not finite"),
        (format!("k\t200\t100\t2\t{}\t{features}\n", &boxes[..20]), "do not make 2 rows"),
        (format!("k\t200\t100\t2\t{boxes}"), "columns"),
        (format!("k\t1\t{features}\n"), "without boxes"),
        ("k\t{\"num_boxes\": 1\n".to_owned(), "cannot be read"),
        ("k\t{}\n".to_owned(), "neither"),
        (format!("k\t{}\n", "[".repeat(1 << 16)), "cannot be read"),
    ];
    for (row, want) in rows {
        let error = sentence(look(&[("x.tsv", row.as_bytes())], "k.jpg").unwrap_err());
        assert!(error.contains(want) && error.contains("`k`") && error.contains("x.tsv"), "{want}: {error}");
    }
    for bytes in [&b""[..], b"\n\r\n", b"no tab here\n", &[b'x'; 5000], &[b' '; 5000], b"\xff\xd8\xff\xe0 a photo"] {
        assert!(matches!(look(&[("x.tsv", bytes)], "k.jpg"), Err(RegionsError::File { .. })), "{bytes:?}");
    }
    assert!(matches!(RegionStore::open(Path::new("/nowhere.tsv")), Err(RegionsError::Io { .. })));
    assert!(sentence(RegionStore::open(folder(&[]).path()).unwrap_err()).contains("neither"));
    let mut arrays = [("features", "(1, 1)", &[1.0][..]), ("norm_bb", "(1, 4)", &[0.0, 0.0, 1.0, 1.0][..])];
    for (shape, want) in [
        ("(2, 1)", "promises"),
        ("(18446744073709551615, 4)", "promises"),
        ("(1,)", "no table"),
        ("(1, x)", "header"),
        ("(0, 1)", "promises"),
    ] {
        arrays[0].1 = shape;
        let error = sentence(look(&[("k.npz", &npz(&arrays, true))], "k.jpg").unwrap_err());
        assert!(error.contains(want), "{shape}: {error}");
    }
    assert!(look(&[("k.npz", b"no zip")], "k.jpg").is_err());
    arrays[0].1 = "(1, 1)";
    arrays[1] = ("norm_bb", "(2, 4)", &[0.0; 8]);
    assert!(sentence(look(&[("k.npz", &npz(&arrays, true))], "k.jpg").unwrap_err()).contains("2 boxes for 1"));
}

/// A directory that promises gigabytes is believed only as far as data come.
#[test]
fn an_inflated_size_is_refused() {
    let arrays = [("features", "(1, 1)", &[1.0][..]), ("norm_bb", "(1, 4)", &[0.0, 0.0, 1.0, 1.0][..])];
    let bytes = npz(&arrays, true);
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + 24;
    for size in [60u32 << 20, u32::MAX] {
        let mut lie = bytes.clone();
        lie[at..at + 4].copy_from_slice(&size.to_le_bytes());
        assert!(look(&[("k.npz", &lie)], "k.jpg").is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_regions_come_back(
        n in 1usize..6,
        width in 1usize..9,
        seed in prop::collection::vec(-1e6f32..1e6, 5 * 12),
        deflate: bool,
    ) {
        let features: Vec<f32> = seed.iter().copied().cycle().take(n * width).collect();
        let boxes: Vec<f32> = seed.iter().rev().copied().take(n * 4).collect();
        let text = format!("x\t1\t1\t1\tAAAA\tAAAA\n{}", butd("k", n, &boxes, &features));
        let arrays = [
            ("features", &*format!("({n}, {width})"), &features[..]),
            ("norm_bb", &*format!("({n}, 4)"), &boxes[..]),
        ];
        for (file, bytes) in [("k.tsv", text.into_bytes()), ("k.npz", npz(&arrays, deflate))] {
            let regions = look(&[(file, &bytes)], "k.jpg").unwrap().unwrap();
            prop_assert_eq!(&regions.features, &features);
            prop_assert_eq!(regions.boxes.as_flattened(), &boxes[..]);
        }
    }

    /// Nothing that is cut or changed panics, and what still reads is sound.
    #[test]
    fn damaged_files_do_no_harm(
        cut in 0usize..400,
        changes in prop::collection::vec((0usize..400, any::<u8>()), 0..4),
        layout in 0usize..4,
    ) {
        let features = b64(&oscar());
        let (name, mut bytes) = match layout {
            0 => ("k.tsv", butd("k", 2, &BOXES, &[1.0; 6]).into_bytes()),
            1 => ("k.tsv", format!("k\t{}\n", json!({"num_boxes": 2, "features": features})).into_bytes()),
            2 => ("k.tsv", format!("k\t2\t{features}\n").into_bytes()),
            _ => ("k.npz", npz(&[("features", "(1, 1)", &[1.0]), ("norm_bb", "(1, 4)", &[0.0, 0.0, 1.0, 1.0])], true)),
        };
        for (at, value) in changes {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(200)));
        if let Ok(Some(regions)) = look(&[(name, &bytes)], "k.jpg") {
            prop_assert_eq!(regions.features.len(), regions.len() * regions.width);
            prop_assert!(regions.features.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), zip: bool) {
        let _ = look(&[(if zip { "k.npz" } else { "k.tsv" }, &bytes)], "k.jpg");
    }
}

#[test]
fn a_blinded_picture_keeps_its_places_alone() {
    let place = [0.1, 0.2, 0.5, 0.8, 0.4, 0.6];
    let with_place: Vec<f32> = [5.0, -3.0].into_iter().chain(place).collect();
    let regions = |features: Vec<f32>, width| Regions {
        features,
        width,
        boxes: vec![[1.0, 2.0, 5.0, 8.0]],
        image_size: (10.0, 10.0),
        tags: vec!["dog".into()],
        classes: vec![0.2, 0.8],
        confidences: vec![0.9],
        grid: vec![1.0; 4],
    };
    let blind = regions(with_place, 8).blinded();
    assert_eq!(blind.features, [&[0.0, 0.0], &place[..]].concat());
    assert_eq!((blind.tags.len(), &blind.classes[..], blind.boxes.len()), (0, &[0.0, 0.0][..], 1));
    assert!(blind.grid.is_empty());
    assert_eq!(regions(vec![7.0; 8], 8).blinded().features, [0.0; 8]);
    assert_eq!(blind.features_as(2).unwrap().len(), 2, "it can be brought to the same widths");
}
