// Self-attention of one head over one sequence of a batch: softmax(q k^T * scale + mask) v.
//
// A workgroup takes QUERIES queries through all keys, KEYS at a time, and keeps only running
// maxima and sums (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867), so that
// the length is not limited by shared memory. Scores: a thread a key. Weighted sums: a
// thread two columns of the head.

struct Parameters { length: u32, width: u32, heads: u32, causal: u32, has_mask: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Parameters;
// [batch, length, 3 * width]: queries, keys and values side by side.
@group(0) @binding(1) var<storage, read> joint: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const QUERIES: u32 = 8u;
const KEYS: u32 = 64u;
const WIDEST: u32 = 128u;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> queries: array<f32, QUERIES * WIDEST>;
var<workgroup> scores: array<f32, QUERIES * KEYS>;
// Of each query: the largest score so far, the sum of its weights, what the former sums are worth now.
var<workgroup> largest: array<f32, QUERIES>;
var<workgroup> total: array<f32, QUERIES>;
var<workgroup> worth: array<f32, QUERIES>;

fn sees(query: u32, key: u32) -> bool {
    return key < p.length && (p.causal == 0u || key <= query);
}

@compute @workgroup_size(KEYS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let dim = p.width / p.heads;
    let pitch = 3u * p.width;
    let first = group.x * QUERIES;
    let start = group.z * p.length * pitch + group.y * dim;
    for (var i = thread; i < QUERIES * dim; i += KEYS) {
        let query = i / dim;
        var value = 0.0;
        if first + query < p.length { value = joint[start + (first + query) * pitch + i % dim] * p.scale; }
        queries[query * WIDEST + i % dim] = value;
    }
    if thread < QUERIES {
        largest[thread] = LOWEST;
        total[thread] = 0.0;
    }
    workgroupBarrier();

    var sums: array<vec2<f32>, QUERIES>;
    var end = p.length;
    if p.causal != 0u { end = min(end, first + QUERIES); }
    for (var base = 0u; base < end; base += KEYS) {
        let key = base + thread;
        if key < p.length {
            var dots: array<f32, QUERIES>;
            for (var c = 0u; c < dim; c++) {
                let k = joint[start + p.width + key * pitch + c];
                for (var q = 0u; q < QUERIES; q++) { dots[q] += queries[q * WIDEST + c] * k; }
            }
            var added = 0.0;
            if p.has_mask != 0u { added = mask[group.z * p.length + key]; }
            for (var q = 0u; q < QUERIES; q++) { scores[q * KEYS + thread] = dots[q] + added; }
        }
        workgroupBarrier();
        if thread < QUERIES {
            let row = thread * KEYS;
            var most = largest[thread];
            for (var j = 0u; j < KEYS; j++) {
                if sees(first + thread, base + j) { most = max(most, scores[row + j]); }
            }
            let kept = exp(largest[thread] - most);
            var sum = total[thread] * kept;
            for (var j = 0u; j < KEYS; j++) {
                var weight = 0.0;
                if sees(first + thread, base + j) { weight = exp(scores[row + j] - most); }
                scores[row + j] = weight;
                sum += weight;
            }
            largest[thread] = most;
            total[thread] = sum;
            worth[thread] = kept;
        }
        workgroupBarrier();
        for (var q = 0u; q < QUERIES; q++) { sums[q] *= worth[q]; }
        for (var j = 0u; j < min(KEYS, p.length - base); j++) {
            let at = start + 2u * p.width + (base + j) * pitch + thread;
            var v = vec2(0.0);
            if thread < dim { v.x = joint[at]; }
            if thread + KEYS < dim { v.y = joint[at + KEYS]; }
            for (var q = 0u; q < QUERIES; q++) { sums[q] += scores[q * KEYS + j] * v; }
        }
        workgroupBarrier();
    }
    for (var q = 0u; q < QUERIES; q++) {
        if first + q < p.length {
            let at = (group.z * p.length + first + q) * p.width + group.y * dim + thread;
            if thread < dim { out[at] = sums[q].x / total[q]; }
            if thread + KEYS < dim { out[at + KEYS] = sums[q].y / total[q]; }
        }
    }
}
