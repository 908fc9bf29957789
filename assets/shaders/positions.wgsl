// out[b, t] = table[t] + x[b, t - extra]; the first `extra` rows are the table's alone.

struct Parameters { n: u32, t: u32, width: u32, count: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    let row = i / p.width % p.t;
    let extra = p.t - p.n;
    var value = table[row * p.width + i % p.width];
    if row >= extra { value += x[(i / (p.width * p.t) * p.n + row - extra) * p.width + i % p.width]; }
    return value;
}
