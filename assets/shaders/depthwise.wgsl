// Depthwise convolution with its activation over [b, h, w, c]; a thread a number, so that
// neighbouring threads read neighbouring channels.

struct Parameters {
    h: u32, w: u32, c: u32, oh: u32, ow: u32, kernel: u32, stride: u32, top: u32, left: u32, act: u32, count: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [kernel * kernel, c]
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    let channel = i % p.c;
    let pixel = i / p.c;
    // Below zero these wrap round to numbers beyond every image.
    let left = pixel % p.ow * p.stride - p.left;
    let top = pixel / p.ow % p.oh * p.stride - p.top;
    let image = pixel / (p.ow * p.oh);
    var sum = bias[channel];
    for (var ky = 0u; ky < p.kernel; ky++) {
        let y = top + ky;
        if y >= p.h { continue; }
        for (var kx = 0u; kx < p.kernel; kx++) {
            let at = left + kx;
            if at >= p.w { continue; }
            sum += x[((image * p.h + y) * p.w + at) * p.c + channel] * weights[(ky * p.kernel + kx) * p.c + channel];
        }
    }
    return activate(p.act, sum);
}
