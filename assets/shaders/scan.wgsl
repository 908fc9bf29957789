// Dot products of one query with all rows of an index, and the best BEST rows of each CHUNK of them, in one
// pass: a workgroup takes a chunk, SIDE rows at a time with SIDE threads to each, keeps the chunk's scores in
// shared memory and picks the largest one after the other. Rows are halves, two in a word, which every adapter reads.

struct Parameters { rows: u32, pairs: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
// [rows, pairs]
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> query: array<vec2<f32>>;
// Score and place, [chunks, BEST].
@group(0) @binding(5) var<storage, read_write> out: array<vec2<f32>>;

// As in `gpu::scan`.
const CHUNK: u32 = 1024u;
const BEST: u32 = 32u;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> scores: array<f32, CHUNK>;
var<workgroup> parts: array<f32, LINE>;
var<workgroup> places: array<u32, LINE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) at: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.x * CHUNK;
    for (var base = 0u; base < CHUNK; base += SIDE) {
        let row = first + base + at.y;
        var sum = 0.0;
        if row < p.rows {
            let start = row * p.pairs;
            for (var pair = at.x; pair < p.pairs; pair += SIDE) {
                sum += dot(unpack2x16float(rows[start + pair]), query[pair]);
            }
        }
        parts[thread] = sum;
        workgroupBarrier();
        if at.x == 0u {
            var score = 0.0;
            for (var i = 0u; i < SIDE; i++) { score += parts[at.y * SIDE + i]; }
            scores[base + at.y] = select(LOWEST, score, row < p.rows);
        }
        workgroupBarrier();
    }
    for (var found = 0u; found < BEST; found++) {
        var place = thread;
        for (var other = thread + LINE; other < CHUNK; other += LINE) {
            if scores[other] > scores[place] { place = other; }
        }
        places[thread] = place;
        workgroupBarrier();
        for (var half = LINE / 2u; half > 0u; half /= 2u) {
            if thread < half && scores[places[thread + half]] > scores[places[thread]] {
                places[thread] = places[thread + half];
            }
            workgroupBarrier();
        }
        if thread == 0u {
            let best = places[0];
            out[group.x * BEST + found] = vec2(scores[best], f32(first + best));
            scores[best] = LOWEST;
        }
        workgroupBarrier();
    }
}
