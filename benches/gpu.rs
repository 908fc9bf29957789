//! The kernels of `assets/shaders` on every adapter, as parts of what that adapter can do at
//! best (a plain copy, multiply-adds in registers, measured in the same run), and the built-in
//! model's towers on the CPU and on each adapter.
//!
//! On a software rasteriser the figures are those of a processor busy with a detour: there
//! only ratios between versions of our own kernels mean something.

use std::path::Path;
use std::time::{Duration, Instant};

use glimpse::device::{DeviceRequest, adapters};
use glimpse::domain::{CancelToken, Embedding, PhotoId};
use glimpse::gpu::{
    Act, Depthwise, Gpu, GpuError, Heads, LayerNorm, Linear, Peak, Precision, Sides, Tensor, peak, secs_per_run,
};
use glimpse::models::align::{self, AlignModel, Placed};
use glimpse::search::index::{CardRows, FlatIndex, VectorIndex as _};

type Error = Box<dyn std::error::Error>;

/// A kernel on one shape, what it computes and what it must at least move.
struct Case {
    name: String,
    flops: f64,
    bytes: f64,
    run: Box<dyn Fn() -> Result<Tensor, GpuError>>,
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i % 977) as f32 / 488.0) - 1.0).collect()
}

fn tensor(gpu: &Gpu, dims: &[usize]) -> Result<Tensor, GpuError> {
    Tensor::new(gpu, &wave(dims.iter().product()), dims)
}

fn case(name: String, flops: usize, numbers: usize, run: impl Fn() -> Result<Tensor, GpuError> + 'static) -> Case {
    Case { name, flops: flops as f64, bytes: 4.0 * numbers as f64, run: Box::new(run) }
}

/// The shapes of CLIP ViT-B/32 and EfficientNet-Lite2, for `b` images.
fn cases(gpu: &Gpu, b: usize) -> Result<Vec<Case>, GpuError> {
    let mut cases = Vec::new();
    for (what, m, k, n, act) in [
        ("ViT, widen", 50 * b, 768, 3072, Act::QuickGelu),
        ("ViT, narrow", 50 * b, 3072, 768, Act::None),
        ("a query's words", 15, 384, 1536, Act::Gelu),
        ("1x1 convolution, wide image", 130 * 130 * b, 16, 96, Act::Relu6),
        ("1x1 convolution, small image", 17 * 17 * b, 528, 88, Act::None),
    ] {
        let (x, layer) = (tensor(gpu, &[m, k])?, Linear::new(gpu, &wave(k * n), k, Some(&wave(n)), act)?);
        let name = format!("matmul {m}x{k}x{n} ({what})");
        cases.push(case(name, 2 * m * k * n, m * k + k * n + m * n, move || layer.forward(&x, None)));
    }
    let joint = tensor(gpu, &[b, 50, 3 * 768])?;
    let heads = Heads { count: 12, scale: 0.125, causal: false, mask: None };
    let (flops, numbers) = (4 * b * 50 * 50 * 768, b * 50 * 4 * 768);
    cases.push(case(format!("attention {b}x50, 12 heads of 64"), flops, numbers, move || joint.attend(&heads)));
    let (x, norm) = (tensor(gpu, &[50 * b, 768])?, LayerNorm::new(gpu, &wave(768), &wave(768), 1e-5)?);
    cases
        .push(case(format!("layer norm {}x768", 50 * b), 8 * 50 * b * 768, 2 * 50 * b * 768, move || norm.forward(&x)));
    for (side, c, kernel) in [(65, 144, 3), (17, 528, 5)] {
        let x = tensor(gpu, &[b, side, side, c])?;
        let layer = Depthwise::new(gpu, &wave(c * kernel * kernel), &wave(c), kernel, 1, Act::Relu6)?;
        let half = kernel / 2;
        let pad = Sides { top: half, bottom: half, left: half, right: half };
        let n = b * side * side * c;
        let name = format!("depthwise {kernel}x{kernel}, {b}x{side}x{side}x{c}");
        cases.push(case(name, 2 * n * kernel * kernel, 2 * n, move || layer.forward(&x, pad)));
    }
    let x = tensor(gpu, &[b, 3, 224, 224])?;
    let n = b * 3 * 224 * 224;
    cases.push(case(format!("patches of 32, {b}x224x224"), 0, 2 * n, move || x.patches(32, 32, Sides::default())));
    let x = tensor(gpu, &[b, 9, 9, 1280])?;
    cases.push(case(format!("mean pool {b}x9x9x1280"), b * 81 * 1280, b * 81 * 1280, move || x.pool(false)));
    Ok(cases)
}

fn kernels(gpu: &Gpu) -> Result<(), Error> {
    let software = gpu.adapter().is_software();
    let budget = Duration::from_millis(if software { 400 } else { 300 });
    let Peak { bytes_per_sec, flops_per_sec } = peak(gpu, budget)?;
    println!("peak: copy {:.2} GB/s, multiply-add {:.2} GFLOP/s", bytes_per_sec / 1e9, flops_per_sec / 1e9);
    println!("| kernel | ms | GFLOP/s | of peak | GB/s | of peak |\n|---|---|---|---|---|---|");
    for Case { name, flops, bytes, run } in cases(gpu, if software { 1 } else { 16 })? {
        let secs = secs_per_run(budget, run)?;
        let (flops, bytes) = (flops / secs, bytes / secs);
        println!(
            "| {name} | {:.3} | {:.2} | {:.3} | {:.2} | {:.3} |",
            secs * 1e3,
            flops / 1e9,
            flops / flops_per_sec,
            bytes / 1e9,
            bytes / bytes_per_sec
        );
    }
    Ok(())
}

/// Images and texts a second, the former as the index pipeline has them: the next batch is on its way while
/// the card works on the one before.
fn towers(name: &str, model: &dyn AlignModel, seconds: f64) -> Result<(), Error> {
    let photo = image::RgbImage::from_fn(300, 300, |x, y| image::Rgb([x as u8, y as u8, 90]));
    let pixels = vec![model.prepare(&photo)?; 64];
    for batch in [16, 64] {
        model.encode_images(&pixels[..batch])?;
        let (started, mut done, mut asking) = (Instant::now(), 0, Duration::ZERO);
        let mut before = model.start_images(&pixels[..batch])?;
        while started.elapsed().as_secs_f64() < seconds / 2.0 {
            let asked = Instant::now();
            let next = model.start_images(&pixels[..batch])?;
            asking += asked.elapsed();
            std::mem::replace(&mut before, next)()?;
            done += 1;
        }
        let took = started.elapsed();
        before()?;
        println!(
            "{} on {name} ({}), {batch} at a time: {:.2} images/s; a batch takes {:.2} ms, {:.2} of them to ask for it",
            model.spec().id,
            model.device(),
            f64::from(done) * batch as f64 / took.as_secs_f64(),
            took.as_secs_f64() * 1e3 / f64::from(done),
            asking.as_secs_f64() * 1e3 / f64::from(done),
        );
    }
    let (started, mut done) = (Instant::now(), 0);
    while done == 0 || started.elapsed().as_secs_f64() < seconds / 2.0 {
        model.encode_texts(&["a dog on a beach at sunset"])?;
        done += 1;
    }
    println!("{:.2} queries/s", f64::from(done) / started.elapsed().as_secs_f64());
    Ok(())
}

/// Best of a few scans for the 200 best, on the card and on the processor in turns.
fn scans(gpu: &Gpu, count: usize, dim: usize) -> Result<(), Error> {
    let mut index = FlatIndex::new(dim);
    index.reserve(count);
    for (photo, row) in (0..).zip(wave(count * dim).chunks_exact(dim)) {
        index.insert(PhotoId(photo), &Embedding::new(row.iter().map(|x| x + 0.001 * photo as f32).collect())?)?;
    }
    let (query, never) = (Embedding::new(wave(dim))?, CancelToken::never());
    let rows = CardRows::of(&index, gpu)?;
    let (mut card, mut processor) = (f64::MAX, f64::MAX);
    for _ in 0..7 {
        let started = Instant::now();
        rows.search(&index, &query, 200, &never)?;
        card = card.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        index.search(&query, 200, None, &never)?;
        processor = processor.min(started.elapsed().as_secs_f64());
    }
    println!("scan of {count} x {dim}: {:.2} ms on the card, {:.2} ms on the processor", 1e3 * card, 1e3 * processor);
    Ok(())
}

fn main() -> Result<(), Error> {
    // `kernels`, `scans` or `towers` alone where one of them is named.
    let named: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/lite-align");
    if adapters().is_empty() {
        println!("no Vulkan, Metal or DirectX 12 adapter");
    }
    if wanted("towers") {
        towers("the CPU", align::load(&folder, DeviceRequest::Cpu)?.as_ref(), 3.0)?;
    }
    for adapter in adapters() {
        println!("\n{adapter}");
        for precision in [Precision::F32, Precision::F16] {
            let gpu = Gpu::open(adapter, precision)?;
            if gpu.precision() != precision {
                continue;
            }
            println!("weights in {precision:?}");
            if wanted("kernels") {
                kernels(&gpu)?;
            }
            if wanted("scans") {
                scans(&gpu, 100_000, 768)?;
            }
            if wanted("towers") {
                towers(&adapter.name, &Placed::on_card(&folder, &gpu, DeviceRequest::Wgpu)?, 3.0)?;
            }
        }
    }
    Ok(())
}
