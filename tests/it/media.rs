//! A folder as people have them, read through the public interface alone:
//! every file once, each bad one with its reason, nothing written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glimpse::domain::{CancelToken, Skipped, SkippedReason};
use glimpse::media::walk::{WalkItem, WalkOptions, stamp, walk};
use glimpse::media::{Decoded, ThumbnailCache, hash_file, read_photo};
use image::{ImageFormat, Rgb, RgbImage};

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn read(path: &Path, min_side: u32) -> Result<Decoded, Skipped> {
    read_photo(path, min_side, &CancelToken::never())
}

fn files(root: &Path) -> Vec<PathBuf> {
    let files = walk(root, &WalkOptions::default()).unwrap().filter_map(|item| match item {
        WalkItem::File { path, .. } => Some(path),
        _ => None,
    });
    files.collect()
}

#[test]
fn a_folder_with_good_and_bad_files() {
    let root = tempfile::tempdir().unwrap();
    let photo = golden("media/420.jpg");
    let png = golden("preprocess/images/chelsea.png");
    let cut = |percent: usize| photo[..photo.len() * percent / 100].to_vec();
    let ok = None;
    let damaged = Some(SkippedReason::Damaged);
    let expected: BTreeMap<&str, (Vec<u8>, Option<SkippedReason>)> = BTreeMap::from([
        ("good.jpg", (photo.clone(), ok)),
        ("a png by content.jpg", (png, ok)),
        ("no end marker.jpg", (photo[..photo.len() - 2].to_vec(), ok)),
        ("two in one.jpg", ([photo.clone(), golden("media/444.jpg")].concat(), ok)),
        ("padded.jpg", ([photo.clone(), vec![0x5A; 2 << 20]].concat(), ok)),
        ("three bytes.jpg", (photo[..3].to_vec(), damaged)),
        ("half.jpg", (cut(50), damaged)),
        ("nine tenths.jpg", (cut(90), damaged)),
        ("empty.png", (vec![], Some(SkippedReason::Empty))),
        ("text.jpg", (b"dear diary".to_vec(), Some(SkippedReason::Unsupported))),
        ("phone.heic", (b"\0\0\0\x18ftypheic\0\0\0\0mif1".to_vec(), Some(SkippedReason::Unsupported))),
    ]);
    for (name, (bytes, _)) in &expected {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let found = files(root.path());
    assert_eq!(found.len(), expected.len());
    let alone = read(&root.path().join("good.jpg"), 20).unwrap().image;
    for path in found {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (bytes, reason) = &expected[name];
        match read(&path, 20) {
            Ok(decoded) => {
                assert_eq!(*reason, None, "{name}");
                assert_eq!(decoded.content.0, *blake3::hash(bytes).as_bytes(), "{name}");
                assert_eq!(decoded.content, hash_file(&path).unwrap(), "{name}");
                assert!(name.contains("png") || decoded.image == alone, "{name}");
            }
            Err(skipped) => {
                assert_eq!((Some(skipped.reason), &skipped.path), (*reason, &path), "{name}: {}", skipped.detail);
                assert!(skipped.detail.ends_with('.'), "a sentence: {}", skipped.detail);
            }
        }
        assert_eq!(fs::read(&path).unwrap(), *bytes, "{name} is as it was");
    }
}

#[test]
fn a_replaced_file_shows_even_with_its_old_time_kept() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.bmp");
    let picture = |colour| RgbImage::from_pixel(100, 100, Rgb(colour));
    picture([255, 0, 0]).save(&path).unwrap();
    let before = stamp(&path).unwrap();
    let modified = path.metadata().unwrap().modified().unwrap();
    // File systems tell times apart by a clock tick, some 4 ms.
    std::thread::sleep(std::time::Duration::from_millis(30));
    picture([0, 0, 255]).save(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let after = stamp(&path).unwrap();
    assert_eq!((before.size_bytes, before.modified_ns), (after.size_bytes, after.modified_ns));
    assert!(!cfg!(unix) || before != after);
}

#[test]
fn names_that_differ_only_in_form_are_different_files() {
    let root = tempfile::tempdir().unwrap();
    let names = ["\u{e9}.jpg", "e\u{301}.jpg", "Trip/1.jpg", "trip/1.jpg"];
    for (index, name) in names.iter().enumerate() {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(8, 8, Rgb([index as u8 * 60; 3])).save_with_format(path, ImageFormat::Png).unwrap();
    }
    let mut found = files(root.path());
    // Some file systems take them for one; then there is nothing to tell apart.
    if found.len() == names.len() {
        found.sort_by_key(|path| read(path, 8).unwrap().image.get_pixel(0, 0)[0]);
        assert_eq!(found, names.map(|name| root.path().join(name)));
    }
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_reported_and_walked_past() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    for name in ["aaa", "bbb"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("1.jpg"), "x").unwrap();
    }
    let closed = root.path().join("aaa");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // The system's administrator walks past permissions: then nothing is unreadable.
    if fs::read_dir(&closed).is_err() {
        let items: Vec<_> = walk(root.path(), &WalkOptions::default()).unwrap().collect();
        assert!(items.iter().any(|i| matches!(i, WalkItem::Unreadable { path, .. } if *path == closed)), "{items:?}");
        assert_eq!(files(root.path()), [root.path().join("bbb/1.jpg")]);
        assert_eq!(walk(&closed, &WalkOptions::default()).unwrap_err().reason, SkippedReason::Unreadable);
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_photo_through_the_thumbnail_cache() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.png");
    RgbImage::from_fn(1600, 1200, |x, y| Rgb([(x / 7) as u8, (y / 5) as u8, 90])).save(&path).unwrap();
    let decoded = read(&path, 292).unwrap();
    assert!(decoded.image.height() >= 292 && decoded.image.height() < 600);
    let cache = ThumbnailCache::new(root.path().join("cache"));
    cache.put(&decoded.content, &decoded.image).unwrap();
    let thumbnail = cache.get(&decoded.content).unwrap();
    assert!(thumbnail.height() >= 292, "{:?}", thumbnail.dimensions());
}
