//! Times the towers on the weights that `benches/tower_onnxruntime.py` wrote, one
//! JSON line a case. That script is what one runs: it times ONNX Runtime and
//! PyTorch on the same weights in the same minutes and prints the table.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{Device, Tensor};
use glimpse::models::align::clip::Clip;
use glimpse::models::align::efficientnet::{EfficientNet, EfficientNetConfig};
use glimpse::models::bert::{Bert, BertConfig, Tokens};
use glimpse::models::folder::ModelFolder;
use glimpse::models::weights::Weights;

type Error = Box<dyn std::error::Error>;

/// Time that this process's threads have spent on a processor: on a busy machine
/// it says more than the clock on the wall. 0 where the system does not tell.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ran = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    ran.filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok()).sum::<f64>() / 1e6
}

/// Median and least of `rounds` runs after one to warm up, in milliseconds.
fn time(name: &str, rounds: usize, mut run: impl FnMut() -> Result<Tensor, Error>) -> Result<(), Error> {
    let first: Vec<f32> = run()?.flatten_all()?.to_vec1()?;
    let (mut ms, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (start, used) = (Instant::now(), cpu_ms());
        black_box(run()?);
        ms.push(start.elapsed().as_secs_f64() * 1e3);
        cpu.push(cpu_ms() - used);
    }
    ms.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    let check: f64 = first.iter().map(|&v| f64::from(v)).sum::<f64>() / first.len() as f64;
    let line = serde_json::json!({"case": name, "median_ms": ms[ms.len() / 2], "least_ms": ms[0], "cpu_ms": cpu[0], "mean": check});
    println!("{line}");
    Ok(())
}

/// The numbers that the script also feeds to its models.
fn wave(shape: &[usize]) -> Result<Tensor, Error> {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| ((i % 977) as f32 / 488.0) - 1.0).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn tokens(batch: usize, length: usize, vocabulary: usize) -> Tokens {
    let ids = (0..batch * length).map(|i| (i * 31 % vocabulary) as u32).collect();
    Tokens { ids, mask: vec![1; batch * length], types: Vec::new(), batch, length }
}

fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

fn main() -> Result<(), Error> {
    glimpse::models::ops::keep_freed_memory();
    let Some(folder) = std::env::var_os("GLIMPSE_BENCH_TOWERS").map(PathBuf::from) else {
        eprintln!("run benches/tower_onnxruntime.py, which prepares the weights and runs this");
        return Ok(());
    };
    let rounds: usize = std::env::var("GLIMPSE_BENCH_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(5);
    let only = std::env::var("GLIMPSE_BENCH_ONLY").unwrap_or_default();
    let cpu = Device::Cpu;
    let open = |name: &str| Weights::open(&[folder.join(name)]);
    if "lite2".contains(&only) {
        let start = Instant::now();
        let weights = open("lite2.safetensors")?;
        let net = EfficientNet::load(&weights.root().pp("vision_model"), EfficientNetConfig::lite2(), &cpu)?;
        println!("{}", serde_json::json!({"case": "lite2 load", "median_ms": start.elapsed().as_secs_f64() * 1e3}));
        for batch in [16, 1] {
            let x = wave(&[batch, 3, 260, 260])?;
            time(&format!("lite2 x{batch}"), rounds, || Ok(net.forward(&x)?.pooled))?;
        }
        println!("{}", serde_json::json!({"case": "lite2 peak", "peak_mb": peak_mb()}));
    }
    if "bert".contains(&only) {
        bert(&folder, rounds, &cpu)?;
    }
    if "clip".contains(&only) {
        let model = ModelFolder::open(&folder.join("clip"))?;
        let weights = model.weights()?;
        let clip = Clip::load(&weights.root(), model.config()?, &cpu)?;
        for batch in [16, 1] {
            let x = wave(&[batch, 3, 224, 224])?;
            time(&format!("clip image x{batch}"), rounds, || Ok(clip.image(&x)?.features))?;
        }
        let t = tokens(1, 12, 49408);
        time("clip text 1x12", rounds * 4, || Ok(clip.text(&t)?.features))?;
        println!("{}", serde_json::json!({"case": "clip peak", "peak_mb": peak_mb()}));
    }
    Ok(())
}

/// The text tower of `lite-align` in f32 and in 4-bit blocks.
fn bert(folder: &Path, rounds: usize, cpu: &Device) -> Result<(), Error> {
    let config = BertConfig { hidden_size: 384, intermediate_size: 1536, vocab_size: 2000, ..BertConfig::default() };
    for kind in ["f32", "q4"] {
        let weights = Weights::open(&[folder.join(format!("bert_{kind}.safetensors"))])?;
        let start = Instant::now();
        let bert = Bert::load(&weights.root(), &config, cpu)?;
        println!(
            "{}",
            serde_json::json!({"case": format!("bert {kind} load"), "median_ms": start.elapsed().as_secs_f64() * 1e3})
        );
        for (batch, length) in [(1, 15), (64, 15)] {
            let t = tokens(batch, length, config.vocab_size);
            time(&format!("bert {kind} {batch}x{length}"), rounds * 4, || Ok(bert.forward(&t)?))?;
        }
    }
    Ok(())
}
