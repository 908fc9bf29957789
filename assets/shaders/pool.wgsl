// Mean or largest number over the pixels of each channel: [b, pixels, c] to [b, c]. A
// workgroup takes SIDE channels, SIDE threads share the pixels of each.

struct Parameters { pixels: u32, c: u32, largest: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> parts: array<f32, LINE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) at: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channel = group.x * SIDE + at.x;
    var own = 0.0;
    if channel < p.c {
        let start = group.y * p.pixels * p.c + channel;
        if p.largest != 0u { own = x[start]; }
        for (var pixel = at.y; pixel < p.pixels; pixel += SIDE) {
            let value = x[start + pixel * p.c];
            if p.largest != 0u { own = max(own, value); } else { own += value; }
        }
    }
    parts[thread] = own;
    workgroupBarrier();
    if at.y == 0u && channel < p.c {
        for (var i = 1u; i < SIDE; i++) {
            let other = parts[i * SIDE + at.x];
            if p.largest != 0u { own = max(own, other); } else { own += other; }
        }
        if p.largest == 0u { own /= f32(p.pixels); }
        out[group.y * p.c + channel] = own;
    }
}
