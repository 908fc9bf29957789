// Multiply and add in registers alone: how fast this adapter computes. Four sums of four
// numbers, so that no step waits for the one before it.

struct Parameters { steps: u32, count: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    // From memory, so that nothing can be computed ahead.
    let by = vec4(x[0]);
    var a = vec4(f32(i));
    var b = a + 1.0;
    var c = a + 2.0;
    var d = a + 3.0;
    for (var step = 0u; step < p.steps; step++) {
        a = fma(a, by, by);
        b = fma(b, by, by);
        c = fma(c, by, by);
        d = fma(d, by, by);
    }
    let sum = a + b + c + d;
    return sum.x + sum.y + sum.z + sum.w;
}
