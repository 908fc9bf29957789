// Rows by their numbers: out[i] = x[rows[i]].

struct Parameters { width: u32, count: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    return x[rows[i / p.width] * p.width + i % p.width];
}
