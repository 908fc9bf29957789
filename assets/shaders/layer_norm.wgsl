// (x - mean) / sqrt(variance + eps) * weights + bias, a workgroup a row. The variance is
// summed over differences from the mean: over squares it would lose its digits.

struct Parameters { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const THREADS: u32 = 64u;

var<workgroup> parts: array<f32, THREADS>;

fn summed(thread: u32, own: f32) -> f32 {
    parts[thread] = own;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half { parts[thread] += parts[thread + half]; }
        workgroupBarrier();
    }
    let sum = parts[0];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * groups.x + group.x;
    // Rows beyond the last are worked on like the last, and not written: a barrier must be met by all.
    let start = min(row, p.rows - 1u) * p.width;
    var sum = 0.0;
    for (var i = thread; i < p.width; i += THREADS) { sum += x[start + i]; }
    let mean = summed(thread, sum) / f32(p.width);
    sum = 0.0;
    for (var i = thread; i < p.width; i += THREADS) {
        let d = x[start + i] - mean;
        sum += d * d;
    }
    let scale = 1.0 / sqrt(summed(thread, sum) / f32(p.width) + p.eps);
    if row < p.rows {
        for (var i = thread; i < p.width; i += THREADS) {
            out[start + i] = (x[start + i] - mean) * scale * weights[i] + bias[i];
        }
    }
}
