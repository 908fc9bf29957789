//! Exact search over 100,000 vectors, beside what one would write first: an f32 loop
//! with iterators and a sort, and candle's matrix product and a sort.
//!
//! `cargo bench --bench search` (with `-- ROWS` for another size). The contenders take
//! turns in one run, so that what else the machine does meets all of them. Printed are best
//! and median of the rounds, and on Linux the processor time of all threads in the
//! cheapest round: on a busy machine that is what can be compared.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{Device, Tensor};
use glimpse::domain::{CancelToken, Embedding, Hit, PhotoId};
use glimpse::search::index::{FlatIndex, Kernel, VectorIndex as _};
use rayon::prelude::*;

const LIMIT: usize = 200;
const ROUNDS: usize = 15;

type Contender<'a> = Box<dyn FnMut() -> Vec<Hit> + 'a>;

fn main() {
    let rows = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
    println!("{rows} vectors, best {LIMIT}, {} threads, {ROUNDS} rounds", rayon::current_num_threads());
    println!("| dim | what | best ms | median ms | CPU ms |\n|---|---|---|---|---|");
    for dim in [512, 768] {
        compare(rows, dim);
    }
}

fn compare(rows: usize, dim: usize) {
    let vectors: Vec<f32> = (0..rows).into_par_iter().flat_map_iter(|row| unit(dim, row as u64)).collect();
    let query = Embedding::new(unit(dim, u64::MAX)).unwrap_or_else(|e| panic!("{e}"));
    let mut contenders: Vec<(String, Contender<'_>)> = Vec::new();
    for kernel in Kernel::all() {
        let mut index = FlatIndex::with_kernel(dim, kernel);
        index.reserve(rows);
        for (photo, row) in (0..).zip(vectors.chunks(dim)) {
            let row = Embedding::new(row.to_vec()).unwrap_or_else(|e| panic!("{e}"));
            index.insert(PhotoId(photo), &row).unwrap_or_else(|e| panic!("{e}"));
        }
        let query = &query;
        let search = move || index.search(query, LIMIT, None, &CancelToken::never()).unwrap_or_default();
        contenders.push((format!("FlatIndex, {kernel:?}"), Box::new(search)));
    }
    contenders.push(("f32 loop and sort, one thread".into(), Box::new(|| plain(&vectors, query.as_slice()))));
    let matrix = Tensor::from_slice(&vectors, (rows, dim), &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let column = Tensor::from_slice(query.as_slice(), (dim, 1), &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let product = move || {
        let scores = matrix.matmul(&column).and_then(|s| s.flatten_all()?.to_vec1::<f32>());
        best(scores.unwrap_or_else(|e| panic!("{e}")))
    };
    contenders.push(("candle matmul (f32) and sort".into(), Box::new(product)));

    let mut times = vec![Vec::new(); contenders.len()];
    let expected: Vec<PhotoId> = contenders[0].1().iter().take(10).map(|hit| hit.photo).collect();
    for _ in 0..ROUNDS {
        for ((name, search), times) in contenders.iter_mut().zip(&mut times) {
            let (start, cpu) = (Instant::now(), cpu_ms());
            let hits = black_box(search());
            times.push((start.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu));
            let same = hits.iter().take(10).filter(|hit| expected.contains(&hit.photo)).count();
            assert!(same >= 9, "{name} finds something else");
        }
    }
    for ((name, _), mut times) in contenders.into_iter().zip(times) {
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let cpu = times.iter().map(|time| time.1).fold(f64::INFINITY, f64::min);
        println!("| {dim} | {name} | {:.1} | {:.1} | {cpu:.1} |", times[0].0, times[ROUNDS / 2].0);
    }
}

/// Processor time of all threads so far; 0 where the system does not say.
fn cpu_ms() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let told = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        told.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter_map(of_task).sum::<f64>() / 1e6
}

fn plain(vectors: &[f32], query: &[f32]) -> Vec<Hit> {
    best(vectors.chunks(query.len()).map(|row| row.iter().zip(query).map(|(a, b)| a * b).sum()).collect())
}

fn best(scores: Vec<f32>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = (0..).zip(scores).map(|(id, score)| Hit { photo: PhotoId(id), score }).collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    hits.truncate(LIMIT);
    hits
}

/// A direction by xorshift, the same at each run.
fn unit(dim: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let numbers: Vec<f32> = (0..dim)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    let norm = numbers.iter().map(|v| v * v).sum::<f32>().sqrt();
    numbers.into_iter().map(|v| v / norm).collect()
}
