// out[m, n] = act(x[m, k] * weights[n, k]^T + bias) + residual
//
// A workgroup makes a tile of 4 * SIDE rows and columns, each thread 4 x 4 of them. DEPTH
// columns of both matrices are brought into shared memory at a time, turned so that four
// rows lie in one vector; neighbouring threads read neighbouring numbers. A pitch of one
// vector more than a tile has keeps the turned writes off the same memory bank.
//
// Sums stand under names and not in an array: what is indexed by a loop's variable a driver
// may keep in memory, where each step waits for it (a tenth of the speed on an H100).

struct Parameters { m: u32, n: u32, k: u32, act: u32, has_bias: u32, has_residual: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<Weight>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const DEPTH: u32 = 16u;
const PITCH: u32 = SIDE + 1u;

var<workgroup> xs: array<vec4<f32>, DEPTH * PITCH>;
var<workgroup> ws: array<vec4<f32>, DEPTH * PITCH>;

fn x_at(row: u32, k: u32) -> f32 {
    if row < p.m && k < p.k { return x[row * p.k + k]; }
    return 0.0;
}

fn weight_at(row: u32, k: u32) -> f32 {
    if row < p.n && k < p.k { return f32(weights[row * p.k + k]); }
    return 0.0;
}

fn put(r: u32, c: u32, sum: f32) {
    if r >= p.m || c >= p.n { return; }
    var y = sum;
    if p.has_bias != 0u { y += bias[c]; }
    y = activate(p.act, y);
    if p.has_residual != 0u { y += residual[r * p.n + c]; }
    out[r * p.n + c] = y;
}

fn put_row(r: u32, c: u32, sums: vec4<f32>) {
    put(r, c, sums.x);
    put(r, c + 1u, sums.y);
    put(r, c + 2u, sums.z);
    put(r, c + 3u, sums.w);
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) at: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * SIDE * 4u;
    let col = group.x * SIDE * 4u;
    // Four rows of four columns.
    var a = vec4(0.0);
    var b = vec4(0.0);
    var c = vec4(0.0);
    var d = vec4(0.0);
    for (var base = 0u; base < p.k; base += DEPTH) {
        for (var i = thread; i < DEPTH * SIDE; i += LINE) {
            let deep = i % DEPTH;
            let four = i / DEPTH;
            let k = base + deep;
            let r = row + four * 4u;
            let n = col + four * 4u;
            xs[deep * PITCH + four] = vec4(x_at(r, k), x_at(r + 1u, k), x_at(r + 2u, k), x_at(r + 3u, k));
            ws[deep * PITCH + four] =
                vec4(weight_at(n, k), weight_at(n + 1u, k), weight_at(n + 2u, k), weight_at(n + 3u, k));
        }
        workgroupBarrier();
        for (var deep = 0u; deep < DEPTH; deep++) {
            let rows = xs[deep * PITCH + at.y];
            let cols = ws[deep * PITCH + at.x];
            a = fma(vec4(rows.x), cols, a);
            b = fma(vec4(rows.y), cols, b);
            c = fma(vec4(rows.z), cols, c);
            d = fma(vec4(rows.w), cols, d);
        }
        workgroupBarrier();
    }
    let r = row + at.y * 4u;
    let n = col + at.x * 4u;
    put_row(r, n, a);
    put_row(r + 1u, n, b);
    put_row(r + 2u, n, c);
    put_row(r + 3u, n, d);
}
