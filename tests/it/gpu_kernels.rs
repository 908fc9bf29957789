//! Every kernel against candle's operation on the CPU, over sizes that no workgroup divides.

use std::sync::OnceLock;

use candle_core::{D, Device, Tensor};
use glimpse::device::adapters;
use glimpse::domain::{CancelToken, Embedding, PhotoId};
use glimpse::gpu::{self, Act, Depthwise, Fetch, Gpu, Heads, LayerNorm, Linear, Precision, Sides};
use glimpse::models::ops::Activation;
use glimpse::search::index::{CardRows, FlatIndex, VectorIndex as _};

/// One device for all tests, or `None` (said once) where there is no adapter, not even Mesa's software one.
pub fn card() -> Option<&'static Gpu> {
    static CARD: OnceLock<Option<Gpu>> = OnceLock::new();
    CARD.get_or_init(|| open(Precision::F32)).as_ref()
}

/// The same with weights in f16, or `None` where the adapter has none.
pub fn card_of_halves() -> Option<&'static Gpu> {
    static CARD: OnceLock<Option<Gpu>> = OnceLock::new();
    let halves = |gpu: &Gpu| gpu.precision() == Precision::F16;
    let open = || {
        open(Precision::F16).filter(halves).or_else(|| {
            eprintln!("skipped: no adapter with SHADER_F16");
            None
        })
    };
    CARD.get_or_init(open).as_ref()
}

fn open(precision: Precision) -> Option<Gpu> {
    match adapters().first() {
        Some(adapter) => Some(Gpu::open(adapter, precision).unwrap()),
        None => {
            eprintln!("skipped: no Vulkan, Metal or DirectX 12 adapter (Debian: mesa-vulkan-drivers)");
            None
        }
    }
}

/// Repeatable numbers in -1..1.
fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn here(x: &gpu::Tensor) -> Tensor {
    let numbers = Fetch::start(x.gpu(), &[x]).unwrap().wait().unwrap().remove(0);
    Tensor::from_vec(numbers, x.dims(), &Device::Cpu).unwrap()
}

/// Numbers on both sides.
fn both(gpu: &Gpu, seed: u64, dims: &[usize]) -> (gpu::Tensor, Tensor) {
    let numbers = noise(seed, dims.iter().product());
    (gpu::Tensor::new(gpu, &numbers, dims).unwrap(), Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap())
}

fn close(got: &gpu::Tensor, want: &Tensor, tolerance: f32, what: &str) {
    let got = here(got);
    assert_eq!(got.dims(), want.dims(), "{what}");
    let differ = (got - want).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    let differ: f32 = differ.to_scalar().unwrap();
    assert!(differ <= tolerance, "{what}: differs by {differ}");
}

const ROWS: [usize; 7] = [1, 3, 17, 63, 64, 65, 257];

/// Weights are rounded to halves, and nothing else is.
#[test]
fn products_of_halves() {
    let Some(gpu) = card_of_halves() else { return };
    for rows in ROWS {
        for (inputs, outputs) in [(1, 1), (17, 63), (65, 130), (64, 5)] {
            let (x, x_cpu) = both(gpu, 1, &[rows, inputs]);
            let (w, bias) = (noise(2, inputs * outputs), noise(3, outputs));
            let layer = Linear::new(gpu, &w, inputs, Some(&bias), Act::None).unwrap();
            let halves: Vec<f32> = w.iter().map(|&w| half::f16::from_f32(w).to_f32()).collect();
            assert_ne!(halves, w);
            let w = Tensor::from_vec(halves, (outputs, inputs), &Device::Cpu).unwrap();
            let bias = Tensor::from_vec(bias, outputs, &Device::Cpu).unwrap();
            let want = x_cpu.matmul(&w.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
            close(&layer.forward(&x, None).unwrap(), &want, 2e-5, &format!("{rows}x{inputs}x{outputs}"));
        }
    }
}

#[test]
fn products_with_bias_activation_and_residual() {
    let Some(gpu) = card() else { return };
    let acts = [
        Activation::None,
        Activation::Relu,
        Activation::Relu6,
        Activation::Swish,
        Activation::Gelu,
        Activation::GeluNew,
        Activation::QuickGelu,
        Activation::Sigmoid,
        Activation::Tanh,
    ];
    let mut acts = acts.into_iter().cycle();
    for rows in ROWS {
        for (inputs, outputs) in [(1, 1), (17, 63), (65, 130), (64, 5)] {
            for extras in [false, true] {
                let act = acts.next().unwrap();
                let (x, x_cpu) = both(gpu, 1, &[rows, inputs]);
                let (w, bias) = (noise(2, inputs * outputs), noise(3, outputs));
                let (residual, residual_cpu) = both(gpu, 4, &[rows, outputs]);
                let layer = Linear::new(gpu, &w, inputs, extras.then_some(&bias[..]), act.into()).unwrap();
                let got = layer.forward(&x, extras.then_some(&residual)).unwrap();
                let w = Tensor::from_vec(w, (outputs, inputs), &Device::Cpu).unwrap();
                let mut want = x_cpu.matmul(&w.t().unwrap()).unwrap();
                if extras {
                    want = want.broadcast_add(&Tensor::new(&bias[..], &Device::Cpu).unwrap()).unwrap();
                }
                want = act.plain(&want).unwrap();
                if extras {
                    want = (want + residual_cpu).unwrap();
                }
                close(&got, &want, 2e-5, &format!("{rows} rows, {inputs} to {outputs}, {act:?}, extras {extras}"));
            }
        }
    }
    let (x, _) = both(gpu, 1, &[3, 4]);
    assert!(Linear::new(gpu, &[0.0; 10], 5, None, Act::None).unwrap().forward(&x, None).is_err(), "4 inputs into 5");
}

#[test]
fn activations_far_from_zero() {
    let Some(gpu) = card() else { return };
    let numbers = [-1e30f32, -200.0, -20.0, -3.0, -1e-3, 0.0, 1e-3, 3.0, 20.0, 200.0];
    let x = gpu::Tensor::new(gpu, &numbers, &[10, 1]).unwrap();
    for act in [Activation::Swish, Activation::Gelu, Activation::QuickGelu, Activation::Sigmoid, Activation::Tanh] {
        let got = here(&Linear::new(gpu, &[1.0], 1, None, act.into()).unwrap().forward(&x, None).unwrap());
        let want = act.plain(&Tensor::new(&numbers, &Device::Cpu).unwrap()).unwrap().to_vec1::<f32>().unwrap();
        for (got, want) in got.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(want) {
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{act:?}: {got} for {want}");
        }
    }
}

/// Softmax attention by candle's own operations.
fn plain_attention(joint: &Tensor, heads: usize, scale: f64, causal: bool, mask: Option<&Tensor>) -> Tensor {
    let (b, t, joint_width) = joint.dims3().unwrap();
    let width = joint_width / 3;
    let part = |i: usize| {
        let part = joint.narrow(2, i * width, width).unwrap().reshape((b, t, heads, width / heads)).unwrap();
        part.transpose(1, 2).unwrap().contiguous().unwrap()
    };
    let mut scores = (part(0).matmul(&part(1).t().unwrap()).unwrap() * scale).unwrap();
    if let Some(mask) = mask {
        scores = scores.broadcast_add(&mask.reshape((b, 1, 1, t)).unwrap()).unwrap();
    }
    if causal {
        let hidden = (0..t * t).map(|i| if i % t > i / t { f32::NEG_INFINITY } else { 0.0 }).collect::<Vec<_>>();
        scores = scores.broadcast_add(&Tensor::from_vec(hidden, (t, t), &Device::Cpu).unwrap()).unwrap();
    }
    let weights = candle_nn::ops::softmax(&scores, D::Minus1).unwrap();
    weights.matmul(&part(2)).unwrap().transpose(1, 2).unwrap().reshape((b, t, width)).unwrap()
}

#[test]
fn attention_of_all_lengths_and_head_sizes() {
    let Some(gpu) = card() else { return };
    let sizes = ROWS.into_iter().zip([(8, 3), (32, 2), (64, 1), (80, 2), (64, 3), (32, 1), (8, 1)]);
    for (t, (dim, heads)) in sizes.chain([(65, (80, 1)), (3, (128, 1))]) {
        for (causal, masked) in [(false, false), (true, false), (false, true), (true, true)] {
            let batch = 2;
            let (joint, joint_cpu) = both(gpu, t as u64, &[batch, t, 3 * dim * heads]);
            // The second sequence is shorter; its own first key stays.
            let seen = |i: usize| i < t || i % t <= t / 2;
            let mask: Vec<f32> = (0..batch * t).map(|i| if seen(i) { 0.0 } else { f32::MIN }).collect();
            let mask_cpu = Tensor::from_slice(&mask, (batch, t), &Device::Cpu).unwrap();
            let scale = 1.0 / (dim as f32).sqrt();
            let heads_of = Heads { count: heads, scale, causal, mask: masked.then_some(&mask[..]) };
            let got = joint.attend(&heads_of).unwrap();
            let want = plain_attention(&joint_cpu, heads, f64::from(scale), causal, masked.then_some(&mask_cpu));
            close(&got, &want, 1e-5, &format!("{t} tokens, {heads} heads of {dim}, causal {causal}, masked {masked}"));
        }
    }
    let (joint, _) = both(gpu, 1, &[1, 2, 3 * 136]);
    let heads = Heads { count: 1, scale: 1.0, causal: false, mask: None };
    assert!(joint.attend(&heads).is_err(), "a head of 136 numbers is refused, not computed wrongly");
}

#[test]
fn layer_norm_of_all_widths() {
    let Some(gpu) = card() else { return };
    for (rows, width) in [(1, 3), (3, 64), (17, 65), (63, 257), (65, 48), (257, 63)] {
        let (x, x_cpu) = both(gpu, 1, &[rows, width]);
        // Far from zero compared with its spread, where a sum of squares would lose its digits.
        let x_cpu = (x_cpu + 100.0).unwrap();
        let x = {
            drop(x);
            let numbers: Vec<f32> = x_cpu.flatten_all().unwrap().to_vec1().unwrap();
            gpu::Tensor::new(gpu, &numbers, &[rows, width]).unwrap()
        };
        let (weight, bias) = (noise(2, width), noise(3, width));
        let got = LayerNorm::new(gpu, &weight, &bias, 1e-5).unwrap().forward(&x).unwrap();
        let of = |v: &[f32]| Tensor::new(v, &Device::Cpu).unwrap();
        let want = candle_nn::ops::layer_norm_slow(&x_cpu, &of(&weight), &of(&bias), 1e-5).unwrap();
        close(&got, &want, 2e-4, &format!("{rows} rows of {width}"));
    }
}

/// `[b, h, w, c]` from and to candle's `[b, c, h, w]`.
fn planes(x: &Tensor) -> Tensor {
    x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

fn pixels(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

fn padded(x: &Tensor, pad: Sides) -> Tensor {
    x.pad_with_zeros(2, pad.top, pad.bottom).unwrap().pad_with_zeros(3, pad.left, pad.right).unwrap()
}

const PADS: [Sides; 3] = [
    Sides { top: 0, bottom: 0, left: 0, right: 0 },
    Sides { top: 1, bottom: 1, left: 1, right: 1 },
    Sides { top: 0, bottom: 1, left: 0, right: 1 },
];

#[test]
fn patches_and_a_product_are_a_convolution() {
    let Some(gpu) = card() else { return };
    for (i, (h, w, kernel, stride)) in
        [(5, 7, 3, 2), (9, 4, 3, 1), (17, 33, 8, 8), (65, 63, 3, 2)].into_iter().enumerate()
    {
        let pad = PADS[if kernel == 8 { 0 } else { 1 + i % 2 }];
        let (x, x_cpu) = both(gpu, 1, &[2, 3, h, w]);
        let (weights, bias) = (noise(2, 5 * 3 * kernel * kernel), noise(3, 5));
        let layer = Linear::new(gpu, &weights, 3 * kernel * kernel, Some(&bias), Act::Relu6).unwrap();
        let got = layer.forward(&x.patches(kernel, stride, pad).unwrap(), None).unwrap();
        let weights = Tensor::from_vec(weights, (5, 3, kernel, kernel), &Device::Cpu).unwrap();
        let want = pixels(&padded(&x_cpu, pad).conv2d(&weights, 0, stride, 1, 1).unwrap());
        let want = want.broadcast_add(&Tensor::new(&bias[..], &Device::Cpu).unwrap()).unwrap();
        close(&got, &want.clamp(0f32, 6f32).unwrap(), 2e-5, &format!("{h}x{w}, kernel {kernel}, stride {stride}"));
    }
}

#[test]
fn depthwise_convolutions() {
    let Some(gpu) = card() else { return };
    for (h, w, c, kernel, stride) in [(1, 1, 3, 1, 1), (7, 9, 17, 3, 1), (13, 12, 65, 5, 2), (33, 31, 8, 3, 2)] {
        for pad in PADS {
            let (x, x_cpu) = both(gpu, 1, &[2, h, w, c]);
            let (weights, bias) = (noise(2, c * kernel * kernel), noise(3, c));
            let layer = Depthwise::new(gpu, &weights, &bias, kernel, stride, Act::Swish).unwrap();
            let got = layer.forward(&x, pad).unwrap();
            let weights = Tensor::from_vec(weights, (c, 1, kernel, kernel), &Device::Cpu).unwrap();
            let want = pixels(&padded(&planes(&x_cpu), pad).conv2d(&weights, 0, stride, 1, c).unwrap());
            let want = want.broadcast_add(&Tensor::new(&bias[..], &Device::Cpu).unwrap()).unwrap();
            let want = Activation::Swish.plain(&want).unwrap();
            close(&got, &want, 2e-5, &format!("{h}x{w}x{c}, kernel {kernel}, stride {stride}, {pad:?}"));
        }
    }
}

#[test]
fn pooling_scaling_positions_and_rows() {
    let Some(gpu) = card() else { return };
    for (h, w, c) in [(1, 1, 1), (3, 5, 17), (16, 17, 65)] {
        let (x, x_cpu) = both(gpu, 1, &[3, h, w, c]);
        let flat = x_cpu.flatten(1, 2).unwrap();
        close(&x.pool(false).unwrap(), &flat.mean(1).unwrap(), 1e-5, "mean");
        close(&x.pool(true).unwrap(), &flat.max(1).unwrap(), 0.0, "largest");
        let (by, by_cpu) = both(gpu, 2, &[3, c]);
        let want = x_cpu.broadcast_mul(&by_cpu.reshape((3, 1, 1, c)).unwrap()).unwrap();
        close(&x.scale_channels(&by).unwrap(), &want, 0.0, "scaled");
        for extra in [0, 1] {
            let (table, table_cpu) = both(gpu, 3, &[h * w + extra, c]);
            let placed = flat.broadcast_add(&table_cpu.narrow(0, extra, h * w).unwrap()).unwrap();
            let before = table_cpu.narrow(0, 0, extra).unwrap().unsqueeze(0).unwrap().expand((3, extra, c)).unwrap();
            let want = Tensor::cat(&[before, placed], 1).unwrap();
            let rows = x.reshape(&[3, h * w, c]).unwrap();
            close(&rows.on_positions(&table).unwrap(), &want, 0.0, "on positions");
        }
    }
    let (table, table_cpu) = both(gpu, 4, &[257, 33]);
    let ids = [256u32, 0, 3, 3, 64];
    let want = table_cpu.index_select(&Tensor::new(&ids, &Device::Cpu).unwrap(), 0).unwrap();
    close(&table.pick(&ids).unwrap(), &want, 0.0, "rows");
    assert!(table.pick(&[257]).is_err(), "a row that is not there");
}

/// Buffers go from hand to hand while everything is still only recorded.
#[test]
fn a_reused_buffer_keeps_nothing_and_loses_nothing() {
    let Some(gpu) = card() else { return };
    let double = Linear::new(gpu, &[2.0], 1, None, Act::None).unwrap();
    let mut kept = Vec::new();
    for i in 0..20u32 {
        let x = gpu::Tensor::new(gpu, &[i as f32; 100], &[100, 1]).unwrap();
        let twice = double.forward(&x, None).unwrap();
        drop(x);
        kept.push(double.forward(&twice, None).unwrap());
    }
    let all: Vec<&gpu::Tensor> = kept.iter().collect();
    let (first, second) = (Fetch::start(gpu, &all[..10]).unwrap(), Fetch::start(gpu, &all[10..]).unwrap());
    let numbers = [first.wait().unwrap(), second.wait().unwrap()].concat();
    for (i, numbers) in numbers.iter().enumerate() {
        assert!(numbers.iter().all(|v| *v == 4.0 * i as f32), "{i}: {numbers:?}");
    }
}

/// The card finds candidates, the processor has the last word: the hits are the very same.
#[test]
fn scans_find_what_the_processor_finds() {
    let Some(gpu) = card() else { return };
    let never = CancelToken::never();
    for (count, dim) in ROWS.into_iter().map(|rows| (rows, 33)).chain([(1025, 64), (5000, 96), (2100, 768)]) {
        for crowded in [false, true] {
            let (mut index, mut numbers) = (FlatIndex::new(dim), noise(count as u64, count * dim));
            let query = Embedding::new(noise(9, dim)).unwrap();
            if crowded {
                // All of the best in one chunk, more than it tells; some of them equal.
                for (i, row) in numbers.chunks_exact_mut(dim).take(300).enumerate() {
                    let near = noise((i / 3) as u64, dim);
                    row.iter_mut().zip(query.as_slice().iter().zip(near)).for_each(|(x, (q, n))| *x = q + 0.01 * n);
                }
            }
            for (photo, row) in (0..).zip(numbers.chunks_exact(dim)) {
                index.insert(PhotoId(photo), &Embedding::new(row.to_vec()).unwrap()).unwrap();
            }
            let rows = CardRows::of(&index, gpu).unwrap();
            for limit in [0, 1, 7, 200, 10_000] {
                let got = rows.search(&index, &query, limit, &never).unwrap();
                let want = index.search(&query, limit, None, &never).unwrap();
                assert!(got == want, "{count}x{dim}, crowded {crowded}, best {limit}");
            }
        }
    }
}

#[test]
fn a_stale_copy_and_a_wrong_query_are_refused() {
    let Some(gpu) = card() else { return };
    let mut index = FlatIndex::new(8);
    let unit = |seed| Embedding::new(noise(seed, 8)).unwrap();
    assert!(CardRows::of(&index, gpu).is_err(), "nothing to upload");
    index.insert(PhotoId(1), &unit(1)).unwrap();
    let rows = CardRows::of(&index, gpu).unwrap();
    assert!(rows.search(&index, &Embedding::new(noise(1, 9)).unwrap(), 5, &CancelToken::never()).is_err());
    index.insert(PhotoId(1), &unit(2)).unwrap();
    assert!(!rows.is_current(&index));
    assert!(rows.search(&index, &unit(3), 5, &CancelToken::never()).is_err());
}
