// Self-attention of one head over one sequence of a batch: softmax(q k^T * scale + mask) v.
//
// A workgroup takes QUERIES queries through all keys, KEYS at a time, and keeps only running
// maxima and sums (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867), so that
// the length is not limited by shared memory. Scores: a thread a key. Weights: LANES threads
// a query. Weighted sums: a thread two columns of the head. What a thread keeps of the
// queries stands in vectors of four and not in arrays, see `matmul.wgsl`.

struct Parameters { length: u32, width: u32, heads: u32, causal: u32, has_mask: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Parameters;
// [batch, length, 3 * width]: queries, keys and values side by side.
@group(0) @binding(1) var<storage, read> joint: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const QUERIES: u32 = 8u;
const KEYS: u32 = 64u;
const WIDEST: u32 = 128u;
const LANES: u32 = KEYS / QUERIES;
const LOWEST: f32 = -3.4028234e38;

// [column, query] and [key, query].
var<workgroup> queries: array<f32, QUERIES * WIDEST>;
var<workgroup> scores: array<f32, QUERIES * KEYS>;
var<workgroup> parts: array<f32, KEYS>;
// Of each query: the largest score so far, the sum of its weights, what the former sums are worth now.
var<workgroup> largest: array<f32, QUERIES>;
var<workgroup> total: array<f32, QUERIES>;
var<workgroup> worth: array<f32, QUERIES>;

fn sees(query: u32, key: u32) -> bool {
    return key < p.length && (p.causal == 0u || key <= query);
}

fn four_queries(at: u32) -> vec4<f32> {
    return vec4(queries[at], queries[at + 1u], queries[at + 2u], queries[at + 3u]);
}

fn four_scores(at: u32) -> vec4<f32> {
    return vec4(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

fn put_score(at: u32, four: vec4<f32>) {
    scores[at] = four.x;
    scores[at + 1u] = four.y;
    scores[at + 2u] = four.z;
    scores[at + 3u] = four.w;
}

// The largest or the sum of what the threads of a query hold.
fn most_of(query: u32) -> f32 {
    var most = parts[query * LANES];
    for (var lane = 1u; lane < LANES; lane++) { most = max(most, parts[query * LANES + lane]); }
    return most;
}

fn sum_of(query: u32) -> f32 {
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) { sum += parts[query * LANES + lane]; }
    return sum;
}

fn put(query: u32, row: u32, column: u32, sum: f32) {
    if query < p.length { out[row * p.width + column] = sum; }
}

// One column of the result, of four queries.
fn put_four(sums: vec4<f32>, first: u32, query: u32, row: u32, column: u32) {
    put(query, row, column, sums.x / total[first]);
    put(query + 1u, row + 1u, column, sums.y / total[first + 1u]);
    put(query + 2u, row + 2u, column, sums.z / total[first + 2u]);
    put(query + 3u, row + 3u, column, sums.w / total[first + 3u]);
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
        queries[i % dim * QUERIES + query] = value;
    }
    if thread < QUERIES {
        largest[thread] = LOWEST;
        total[thread] = 0.0;
    }
    workgroupBarrier();

    // Of the column `thread` and of the one KEYS further, each for queries 0 to 3 and 4 to 7.
    var near_low = vec4(0.0);
    var near_high = vec4(0.0);
    var far_low = vec4(0.0);
    var far_high = vec4(0.0);
    let own = thread / LANES;
    var end = p.length;
    if p.causal != 0u { end = min(end, first + QUERIES); }
    for (var base = 0u; base < end; base += KEYS) {
        let key = base + thread;
        if key < p.length {
            var low = vec4(0.0);
            var high = vec4(0.0);
            for (var c = 0u; c < dim; c++) {
                let k = vec4(joint[start + p.width + key * pitch + c]);
                low = fma(four_queries(c * QUERIES), k, low);
                high = fma(four_queries(c * QUERIES + 4u), k, high);
            }
            var added = 0.0;
            if p.has_mask != 0u { added = mask[group.z * p.length + key]; }
            put_score(thread * QUERIES, low + added);
            put_score(thread * QUERIES + 4u, high + added);
        }
        workgroupBarrier();
        var most = LOWEST;
        for (var j = thread % LANES; j < KEYS; j += LANES) {
            if sees(first + own, base + j) { most = max(most, scores[j * QUERIES + own]); }
        }
        parts[thread] = most;
        workgroupBarrier();
        most = max(largest[own], most_of(own));
        workgroupBarrier();
        var sum = 0.0;
        for (var j = thread % LANES; j < KEYS; j += LANES) {
            var weight = 0.0;
            if sees(first + own, base + j) { weight = exp(scores[j * QUERIES + own] - most); }
            scores[j * QUERIES + own] = weight;
            sum += weight;
        }
        parts[thread] = sum;
        workgroupBarrier();
        if thread % LANES == 0u {
            let kept = exp(largest[own] - most);
            total[own] = total[own] * kept + sum_of(own);
            largest[own] = most;
            worth[own] = kept;
        }
        workgroupBarrier();
        let low = vec4(worth[0], worth[1], worth[2], worth[3]);
        let high = vec4(worth[4], worth[5], worth[6], worth[7]);
        near_low *= low;
        near_high *= high;
        far_low *= low;
        far_high *= high;
        for (var j = 0u; j < min(KEYS, p.length - base); j++) {
            let at = start + 2u * p.width + (base + j) * pitch + thread;
            let low = four_scores(j * QUERIES);
            let high = four_scores(j * QUERIES + 4u);
            if thread < dim {
                near_low = fma(low, vec4(joint[at]), near_low);
                near_high = fma(high, vec4(joint[at]), near_high);
            }
            if thread + KEYS < dim {
                far_low = fma(low, vec4(joint[at + KEYS]), far_low);
                far_high = fma(high, vec4(joint[at + KEYS]), far_high);
            }
        }
        workgroupBarrier();
    }
    let row = group.z * p.length + first;
    let column = group.y * dim + thread;
    if thread < dim {
        put_four(near_low, 0u, first, row, column);
        put_four(near_high, 4u, first + 4u, row + 4u, column);
    }
    if thread + KEYS < dim {
        put_four(far_low, 0u, first, row, column + KEYS);
        put_four(far_high, 4u, first + 4u, row + 4u, column + KEYS);
    }
}
