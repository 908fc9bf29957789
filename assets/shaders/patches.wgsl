// [b, c, h, w] to [b, oh, ow, c * kernel * kernel]: what a convolution looks at, in the
// order of its weights, so that a product does the rest.

struct Parameters {
    c: u32, h: u32, w: u32, oh: u32, ow: u32, kernel: u32, stride: u32, top: u32, left: u32, count: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn value(i: u32) -> f32 {
    let width = p.c * p.kernel * p.kernel;
    let tap = i % width;
    let pixel = i / width;
    let kx = tap % p.kernel;
    let ky = tap / p.kernel % p.kernel;
    let channel = tap / (p.kernel * p.kernel);
    // Below zero these wrap round to numbers beyond every image.
    let px = pixel % p.ow * p.stride + kx - p.left;
    let py = pixel / p.ow % p.oh * p.stride + ky - p.top;
    let image = pixel / (p.ow * p.oh);
    var value = 0.0;
    if px < p.w && py < p.h { value = x[((image * p.c + channel) * p.h + py) * p.w + px]; }
    return value;
}
