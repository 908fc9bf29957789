//! The index pipeline end to end beside the image tower alone, in one run:
//! images a second, the share of each stage, the largest memory, and a second run
//! over unchanged photos.
//!
//! `cargo bench --bench pipeline [-- PACK [--device wgpu]]`. It makes its photos in a temporary folder.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use glimpse::config::Paths;
use glimpse::device::DeviceRequest;
use glimpse::domain::{CancelToken, Progress};
use glimpse::indexing::{JobControl, Observer, Report, Root, Run};
use glimpse::media::walk::WalkOptions;
use glimpse::media::{ThumbnailCache, read_photo};
use glimpse::models::align::{self, AlignModel, StubAlign};
use glimpse::models::catalogue;
use glimpse::store::{ModelRow, Store};
use image::{Rgb, RgbImage};

#[allow(dead_code)] // the tests use the rest of it
#[path = "../tests/it/photos.rs"]
mod photos;

struct Quiet;

impl Observer for Quiet {
    fn progress(&mut self, _: Progress) {}
}

fn index(dir: &Path, folder: &Path, model: &dyn AlignModel) -> Report {
    let mut store = Store::open(&dir.join("library.db")).unwrap();
    let roots = [Root { folder: store.add_folder(folder).unwrap(), path: folder.to_path_buf() }];
    let run = Run {
        roots: &roots,
        model,
        model_id: store.model(&ModelRow::from(model.spec())).unwrap(),
        walk: &WalkOptions::default(),
        thumbnails: &ThumbnailCache::new(dir.join("thumbnails")),
        control: &JobControl::new(),
        decode_threads: 0,
    };
    let mut encoder = model;
    run.run(&store.reader().unwrap(), &mut encoder, &mut store, &mut Quiet).unwrap()
}

/// Something with detail and shades, as large as told, as JPEG.
fn write_scene(path: &Path, width: u32, height: u32, seed: u32) {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let blobs: Vec<[f32; 6]> = (0..24)
        .map(|_| {
            std::array::from_fn(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state % 1000) as f32 / 1000.0
            })
        })
        .collect();
    let image = RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let mut sum = [60.0 + 80.0 * v, 70.0 + 60.0 * u, 110.0 - 50.0 * v];
        for [bx, by, size, r, g, b] in &blobs {
            let near = (1.0 - ((u - bx).powi(2) + (v - by).powi(2)) / (0.002 + 0.02 * size)).max(0.0);
            for (channel, weight) in sum.iter_mut().zip([r, g, b]) {
                *channel += near * (weight * 300.0 - 120.0);
            }
        }
        let grain = ((x.wrapping_mul(73) ^ y.wrapping_mul(151)) % 17) as f32 - 8.0;
        Rgb(sum.map(|channel| (channel + grain).clamp(0.0, 255.0) as u8))
    });
    image.save_with_format(path, image::ImageFormat::Jpeg).unwrap();
}

/// `n` files of one size from a few different pictures.
fn make(folder: &Path, n: usize, width: u32, height: u32) {
    let originals: Vec<PathBuf> = (0..4.min(n)).map(|i| folder.join(format!("{i:04}.jpg"))).collect();
    for (seed, path) in (1..).zip(&originals) {
        write_scene(path, width, height, seed);
    }
    for i in originals.len()..n {
        fs::copy(&originals[i % originals.len()], folder.join(format!("{i:04}.jpg"))).unwrap();
    }
}

/// Images a second of the tower by itself, on prepared pixels: the best of a few rounds.
fn tower_alone(model: &dyn AlignModel, photo: &Path) -> f64 {
    let image = read_photo(photo, model.spec().min_side, &CancelToken::never()).unwrap().image;
    let batch = vec![model.prepare(&image).unwrap(); model.appetite()];
    let round = || {
        let started = Instant::now();
        model.encode_images(&batch).unwrap();
        batch.len() as f64 / started.elapsed().as_secs_f64()
    };
    round();
    (0..6).map(|_| round()).fold(0.0, f64::max)
}

/// The most memory that this process ever held, in MB; Linux only.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e3
}

fn main() {
    glimpse::models::ops::keep_freed_memory();
    // cargo passes `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let pack = args.next().unwrap_or_else(|| "lite-align".into());
    let device: DeviceRequest = args
        .find(|arg| arg == "--device")
        .and_then(|_| args.next())
        .map_or(DeviceRequest::Cpu, |name| name.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::from_env();
    let model: Arc<dyn AlignModel> = align::load(&catalogue::find(&paths, &pack).unwrap(), device).unwrap();
    println!("{pack} on {}, {} threads", model.device(), std::thread::available_parallelism().unwrap());
    println!("memory with the model loaded: {:.0} MB at most", peak_mb());
    // As long a run on a quick machine as on a slow one.
    let times = if device == DeviceRequest::Cpu { 1 } else { 8 };
    for (name, n, width, height) in [("1 megapixel", 160, 1152, 864), ("24 megapixels", 48, 6000, 4000)] {
        let folder = dir.path().join(name);
        let n = n * times;
        fs::create_dir(&folder).unwrap();
        make(&folder, n, width, height);
        let size = fs::metadata(folder.join("0000.jpg")).unwrap().len();
        let tower = tower_alone(model.as_ref(), &folder.join("0000.jpg"));
        let place = dir.path().join(format!("{name} library"));
        fs::create_dir(&place).unwrap();
        let report = index(&place, &folder, model.as_ref());
        assert_eq!((report.indexed, report.skipped.len()), (n as u64, 0));
        let pipeline = n as f64 / f64::from(report.secs);
        let s = report.stages;
        println!(
            "\n{n} JPEGs of {name}, {:.1} MB each\n  tower alone {tower:.1} images/s, pipeline {pipeline:.1} images/s ({:.2} of it), {:.1} s",
            size as f64 / 1e6,
            pipeline / tower,
            report.secs
        );
        println!(
            "  thread seconds: decode {:.2}, thumbnail {:.2}, prepare {:.2}, tower {:.2} (waiting {:.2}), write {:.2}",
            s.decode, s.thumbnail, s.prepare, s.encode, s.starved, s.write
        );
        println!("  memory: {:.0} MB at most so far", peak_mb());
    }

    // Unchanged photos never reach a model: one without weights does, and takes the first run quickly.
    let (folder, place) = (dir.path().join("many"), dir.path().join("many library"));
    fs::create_dir(&place).unwrap();
    for i in 0..8000 {
        photos::write(&folder.join(format!("{:02}/{i:04}.png", i % 50)), photos::RED, i);
    }
    let stub = StubAlign::default();
    let first = index(&place, &folder, &stub);
    let second = index(&place, &folder, &stub);
    assert_eq!((first.indexed, second.indexed, second.unchanged), (8000, 0, 8000));
    println!("\n8000 small photos: first run {:.1} s, unchanged {:.3} s", first.secs, second.secs);
}
