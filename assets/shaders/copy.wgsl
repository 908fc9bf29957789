// A plain copy: how fast this adapter's memory is.

struct Parameters { count: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

fn value(i: u32) -> vec4<f32> {
    return x[i];
}
