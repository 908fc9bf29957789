//! CPU time of decoding JPEG to what an image tower needs, beside the `image`
//! crate's decoder, which has no reduced scale, and `jpeg-decoder`, which has.
//!
//! `cargo bench --bench decode` prints milliseconds a photo and megabytes a
//! second. The photos are made here: a real one enlarged, with detail at every
//! scale and sensor noise, so that its entropy is that of a photo.
//! Progressive files cannot be written by the crates at hand; put some in
//! `GLIMPSE_BENCH_PHOTOS` (a folder) and they are measured as well.

// A bench that cannot set itself up has nothing to measure: it may stop.
#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use glimpse::domain::CancelToken;
use glimpse::media::{ThumbnailCache, read_photo};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};

/// Shorter side that the built-in pack asks for.
const MIN_SIDE: u32 = 292;
const LEAST_ROUNDS: u32 = 3;
const LEAST_TIME: Duration = Duration::from_millis(300);

fn main() {
    let folder = std::env::temp_dir().join(format!("glimpse-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    for (name, width, height) in [("1 megapixel", 1152, 864), ("24 megapixels", 6000, 4000)] {
        let path = folder.join(format!("{name}.jpg"));
        std::fs::write(&path, photo(width, height)).expect("a temporary file");
        measure(&format!("{name}, baseline 4:4:4"), &path);
    }
    if let Some(more) = std::env::var_os("GLIMPSE_BENCH_PHOTOS") {
        let mut paths: Vec<_> = std::fs::read_dir(more).expect("the folder of photos").flatten().collect();
        paths.sort_by_key(std::fs::DirEntry::path);
        for path in paths.iter().map(std::fs::DirEntry::path).filter(|p| glimpse::media::supported(p)) {
            measure(&path.file_name().unwrap_or_default().to_string_lossy(), &path);
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn measure(name: &str, path: &Path) {
    let bytes = std::fs::read(path).expect("the photo");
    let decoded = read_photo(path, MIN_SIDE, &CancelToken::never()).expect("a sound photo");
    let (width, height) = decoded.image.dimensions();
    println!("{name}: {:.1} MB, read as {width} x {height}", bytes.len() as f64 / 1e6);
    report("glimpse, file to pixels with hash and metadata", &bytes, || {
        black_box(read_photo(path, MIN_SIDE, &CancelToken::never()).is_ok());
    });
    let thumbnails = std::env::temp_dir().join(format!("glimpse-bench-thumbnails-{}", std::process::id()));
    let cache = ThumbnailCache::new(&thumbnails);
    report("glimpse, keeping its thumbnail", &bytes, || {
        black_box(cache.put(&decoded.content, &decoded.image).is_ok());
    });
    let _ = std::fs::remove_dir_all(thumbnails);
    report("jpeg-decoder, scaled", &bytes, || {
        let mut decoder = jpeg_decoder::Decoder::new(bytes.as_slice());
        let scaled = decoder.scale(width as u16, height as u16).is_ok();
        black_box(scaled && decoder.decode().is_ok());
    });
    report("image, whole", &bytes, || {
        black_box(image::load_from_memory(&bytes).is_ok());
    });
}

/// The mean over enough rounds that the clock's ticks do not show.
fn report(name: &str, bytes: &[u8], mut work: impl FnMut()) {
    let clock = Instant::now();
    let now = || cpu_time().unwrap_or_else(|| clock.elapsed());
    work();
    let start = now();
    let mut rounds = 0;
    while rounds < LEAST_ROUNDS || now() - start < LEAST_TIME {
        work();
        rounds += 1;
    }
    let secs = (now() - start).as_secs_f64() / f64::from(rounds);
    println!("  {:7.2} ms  {:6.0} MB/s  {name}", secs * 1e3, bytes.len() as f64 / 1e6 / secs);
}

/// What this thread has used of a core so far; `None` where the system does not say (then wall time has to do).
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split_whitespace().next()?.parse().ok()?))
}

/// A baseline JPEG of quality 90.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/preprocess/images/coffee_rgba.png");
    let small = image::open(source).expect("the golden photo").into_rgb8();
    let mut large = resize(&small, width, height, FilterType::CatmullRom);
    let mut seed = 1u32;
    let mut noise = |most: i32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as i32 % (2 * most + 1) - most
    };
    let coarse: Vec<i32> = (0..width.div_ceil(4) * height.div_ceil(4)).map(|_| noise(6)).collect();
    for (x, y, pixel) in large.enumerate_pixels_mut() {
        let texture = coarse[(y / 4 * width.div_ceil(4) + x / 4) as usize];
        for channel in &mut pixel.0 {
            *channel = (i32::from(*channel) + texture + noise(5)).clamp(0, 255) as u8;
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&large).expect("an encoded photo");
    jpeg
}
