// Each channel of each image times its own number: x[b, pixels, c] * by[b, c].

struct Parameters { pixels: u32, c: u32, count: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> by: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    return x[i] * by[i / (p.c * p.pixels) * p.c + i % p.c];
}
