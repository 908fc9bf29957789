//! Matrix products with weights packed once, bias, activation and residual in
//! the same pass.
//!
//! Weights `[n, k]` are stored in panels of a few vectors of columns, in the
//! precision of their file (f32, f16, bf16; quantised blocks as f32); a panel of
//! halves is expanded into the first-level cache just before its tiles run. All
//! sums are f32.
#![allow(unsafe_code, reason = "part of the vector kernels")]

use std::ops::Range;

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use rayon::prelude::*;

use super::act::{self, Activation};
use super::simd::{Backend, Kernel, Simd};

/// Numbers of a row of 8-bit weights that share a scale (as in ggml's blocks).
pub const BLOCK: usize = 32;

/// A weight matrix `[rows, cols]` (outputs, inputs) as its file holds it.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub data: MatrixData,
}

/// The numbers of a [`Matrix`], row by row.
#[derive(Clone, Debug)]
pub enum MatrixData {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    /// `q * scale`, one scale for [`BLOCK`] numbers of a row.
    I8 {
        q: Vec<i8>,
        scale: Vec<f32>,
    },
}

impl Matrix {
    /// A matrix of f32.
    pub fn f32(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        Self { rows, cols, data: MatrixData::F32(data) }
    }

    /// All numbers as f32, row by row.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            MatrixData::F32(v) => v.clone(),
            MatrixData::F16(v) => v.iter().map(|x| x.to_f32()).collect(),
            MatrixData::Bf16(v) => v.iter().map(|x| x.to_f32()).collect(),
            MatrixData::I8 { q, scale } => {
                q.iter().enumerate().map(|(i, &q)| f32::from(q) * scale[i / BLOCK]).collect()
            }
        }
    }

    /// The first `rows` rows.
    #[must_use]
    pub fn first_rows(mut self, rows: usize) -> Self {
        self.rows = rows.min(self.rows);
        let n = self.rows * self.cols;
        match &mut self.data {
            MatrixData::F32(v) => v.truncate(n),
            MatrixData::F16(v) => v.truncate(n),
            MatrixData::Bf16(v) => v.truncate(n),
            MatrixData::I8 { q, scale } => {
                q.truncate(n);
                scale.truncate(n / BLOCK);
            }
        }
        self
    }

    /// The rows of all `parts` below each other (several projections of one
    /// input become one product).
    pub fn stack(parts: Vec<Self>) -> Self {
        let rows = parts.iter().map(|p| p.rows).sum();
        let cols = parts.first().map_or(0, |p| p.cols);
        let mut it = parts.into_iter();
        let Some(first) = it.next() else { return Self::f32(0, 0, Vec::new()) };
        let mut data = first.data;
        for part in it {
            data = match (data, part.data) {
                (MatrixData::F32(mut a), MatrixData::F32(b)) => {
                    a.extend(b);
                    MatrixData::F32(a)
                }
                (MatrixData::F16(mut a), MatrixData::F16(b)) => {
                    a.extend(b);
                    MatrixData::F16(a)
                }
                (MatrixData::Bf16(mut a), MatrixData::Bf16(b)) => {
                    a.extend(b);
                    MatrixData::Bf16(a)
                }
                (MatrixData::I8 { mut q, mut scale }, MatrixData::I8 { q: q2, scale: scale2 }) => {
                    q.extend(q2);
                    scale.extend(scale2);
                    MatrixData::I8 { q, scale }
                }
                (a, b) => {
                    let expand = |data| Self { rows: 0, cols, data }.to_f32();
                    let mut a = expand(a);
                    a.extend(expand(b));
                    MatrixData::F32(a)
                }
            };
        }
        Self { rows, cols, data }
    }
}

/// A weight matrix and its bias, packed for one back end.
#[derive(Debug)]
pub struct Panels {
    backend: Backend,
    k: usize,
    n: usize,
    data: Packed,
    /// `n` numbers, then zeros up to a whole panel.
    bias: Vec<f32>,
}

/// Numbers as products read them. Quantised blocks are expanded once: doing it in every product costs a
/// single query a third of its time (benches/README.md), and the built-in packs are small.
#[derive(Debug)]
enum Packed {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Panels {
    /// Packs `matrix` and its bias (zeros if `None`).
    pub fn pack(backend: Backend, matrix: &Matrix, bias: Option<&[f32]>) -> Self {
        let (n, k) = (matrix.rows, matrix.cols);
        let data = match &matrix.data {
            MatrixData::F32(v) => Packed::F32(interleave(backend, n, k, v)),
            MatrixData::F16(v) => Packed::F16(interleave(backend, n, k, v)),
            MatrixData::Bf16(v) => Packed::Bf16(interleave(backend, n, k, v)),
            MatrixData::I8 { .. } => Packed::F32(interleave(backend, n, k, &matrix.to_f32())),
        };
        let mut padded = vec![0.0; n.next_multiple_of(backend.panel())];
        if let Some(bias) = bias {
            padded[..n].copy_from_slice(bias);
        }
        Self { backend, k, n, data, bias: padded }
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// `out[m, n] = act(x[m, k] * w^T + bias) + residual[m, n]`, all rows dense,
    /// on all threads of the pool. Lengths are checked.
    pub fn matmul(&self, x: &[f32], act: Activation, residual: Option<&[f32]>) -> Vec<f32> {
        let m = x.len().checked_div(self.k).unwrap_or(0);
        assert_eq!(m * self.k, x.len(), "rows of {} numbers", self.k);
        assert!(residual.is_none_or(|r| r.len() == m * self.n), "residual of another shape");
        super::fill(m * self.n, |out| {
            let job = Gemm {
                a: x.as_ptr(),
                lda: self.k,
                m,
                b: self.source(),
                panels: 0..self.panel_count(),
                act,
                residual: residual.map_or(std::ptr::null(), <[f32]>::as_ptr),
                c: out,
                ldc: self.n,
            };
            // SAFETY: shapes were checked above; tasks write disjoint tiles of `out`.
            unsafe { job.run_parallel(self.backend) }
        })
    }

    pub(super) fn panel_count(&self) -> usize {
        self.n.div_ceil(self.backend.panel())
    }

    pub(super) fn source(&self) -> Source<'_> {
        let data = match &self.data {
            Packed::F32(v) => SourceData::F32(v.as_ptr()),
            Packed::F16(v) => SourceData::F16(v),
            Packed::Bf16(v) => SourceData::Bf16(v),
        };
        Source { k: self.k, n: self.n, data, bias: self.bias.as_ptr() }
    }
}

/// Rows `[n][k]` into panels `[panel][k][columns]`; the last panel is one vector
/// wide if that holds it.
fn interleave<T: Copy + Default>(backend: Backend, n: usize, k: usize, rows: &[T]) -> Vec<T> {
    let (nr, lanes) = (backend.panel(), backend.lanes());
    let mut out = Vec::with_capacity(n.next_multiple_of(lanes) * k);
    for first in (0..n).step_by(nr) {
        let valid = (n - first).min(nr);
        let width = if valid <= lanes { lanes } else { nr };
        let start = out.len();
        out.resize(start + width * k, T::default());
        let panel = &mut out[start..];
        for (j, row) in rows[first * k..(first + valid) * k].chunks_exact(k.max(1)).enumerate() {
            for (p, &value) in row.iter().enumerate() {
                panel[p * width + j] = value;
            }
        }
    }
    out
}

/// Packed weights by pointer: those of [`Panels`], or keys and values that
/// attention packs for itself.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub k: usize,
    pub n: usize,
    pub data: SourceData<'a>,
    /// Whole panels of bias, or null.
    pub bias: *const f32,
}

#[derive(Clone, Copy)]
pub(super) enum SourceData<'a> {
    F32(*const f32),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
}

/// `c = act(a * b + bias) + residual` over some panels, one thread.
#[derive(Clone)]
pub(super) struct Gemm<'a> {
    pub a: *const f32,
    /// Numbers from one row of `a` to the next.
    pub lda: usize,
    pub m: usize,
    pub b: Source<'a>,
    pub panels: Range<usize>,
    pub act: Activation,
    /// Rows like those of `c`, or null.
    pub residual: *const f32,
    pub c: *mut f32,
    pub ldc: usize,
}

/// Arguments of one register tile.
pub struct Tile {
    a: *const f32,
    lda: usize,
    k: usize,
    b: *const f32,
    /// Where the sums start, a row every `init_stride` numbers: the bias (stride 0), what
    /// earlier blocks left in `c`, or null for 0.
    init: *const f32,
    init_stride: usize,
    residual: *const f32,
    /// A line of the weights that come after these is asked for at each step from here on. Never read.
    next: *const f32,
    c: *mut f32,
    ldc: usize,
    bounds: (f32, f32),
}

/// Keeps `MR x NV` sums in registers over all of `k`.
///
/// # Safety
/// As for [`Simd`]; `a` has MR rows of `k`, `b` `k` rows of NV vectors, `c` (and
/// `residual`, if not null) MR rows of NV vectors.
#[inline(always)]
pub unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(t: &Tile) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[S::splat(0.0); NV]; MR];
        if !t.init.is_null() {
            for (i, row) in acc.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = S::load(t.init.add(i * t.init_stride + j * S::LANES));
                }
            }
        }
        let mut b = t.b;
        for p in 0..t.k {
            let mut bv = [S::splat(0.0); NV];
            for (j, v) in bv.iter_mut().enumerate() {
                *v = S::load(b.add(j * S::LANES));
            }
            b = b.add(NV * S::LANES);
            S::prefetch(t.next.wrapping_add(p * LINE));
            for (i, row) in acc.iter_mut().enumerate() {
                let av = S::splat(*t.a.add(i * t.lda + p));
                for (sum, bv) in row.iter_mut().zip(bv) {
                    *sum = S::fma(av, bv, *sum);
                }
            }
        }
        // So short that it is unrolled whole: sums that a loop counter picks would
        // live in memory, and be written there at every step above.
        let (lo, hi) = (S::splat(t.bounds.0), S::splat(t.bounds.1));
        for (i, row) in acc.iter().enumerate() {
            for (j, &sum) in row.iter().enumerate() {
                S::store(t.c.add(i * t.ldc + j * S::LANES), S::min(hi, S::max(lo, sum)));
            }
        }
        if !t.residual.is_null() {
            for i in 0..MR {
                for j in 0..NV {
                    let at = i * t.ldc + j * S::LANES;
                    S::store(t.c.add(at), S::add(S::load(t.c.add(at)), S::load(t.residual.add(at))));
                }
            }
        }
    }
}

/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Bytes of a panel's block that stay in the first-level cache while all rows pass by.
const BLOCK_BYTES: usize = 24 * 1024;

impl Source<'_> {
    /// Inner rows `from..to` of the panel that starts at column `col` and is `width` wide, as
    /// f32: in place, or expanded into `scratch`.
    ///
    /// # Safety
    /// The data is laid out as [`interleave`] writes it; `scratch` holds the block.
    #[inline(always)]
    unsafe fn block(&self, col: usize, width: usize, from: usize, to: usize, scratch: &mut [f32]) -> *const f32 {
        let at = col * self.k + from * width..col * self.k + to * width;
        let scratch = &mut scratch[..if matches!(self.data, SourceData::F32(_)) { 0 } else { at.len() }];
        match self.data {
            // SAFETY: the caller's promise.
            SourceData::F32(p) => return unsafe { p.add(at.start) },
            SourceData::F16(v) => v[at].convert_to_f32_slice(scratch),
            SourceData::Bf16(v) => v[at].convert_to_f32_slice(scratch),
        }
        scratch.as_ptr()
    }
}

impl Kernel for Gemm<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { a, lda, m, b, panels, act, residual, c, ldc } = self;
        let nr = S::NV * S::LANES;
        // Blocks over the inner dimension: a long panel would leave the cache with each tile of rows.
        let longest = BLOCK_BYTES / (4 * nr) / BLOCK * BLOCK;
        let depth = b.k.div_ceil(b.k.div_ceil(longest).max(1)).next_multiple_of(BLOCK);
        let mut scratch = match b.data {
            SourceData::F32(_) => Vec::new(),
            _ => vec![0f32; nr * depth],
        };
        let offset = |p: *const f32, n: usize| if p.is_null() { p } else { p.wrapping_add(n) };
        for panel in panels {
            let col = panel * nr;
            let valid = (b.n - col).min(nr);
            let vecs = if valid <= S::LANES { 1 } else { S::NV };
            let width = vecs * S::LANES;
            // Sums of columns beyond the matrix have no place between two blocks.
            let mut whole = if valid == width { Vec::new() } else { vec![0f32; m * width] };
            let (out, ldo) = if whole.is_empty() { (c.wrapping_add(col), ldc) } else { (whole.as_mut_ptr(), width) };
            let mut from = 0;
            while from < b.k || from == 0 {
                let to = (from + depth).min(b.k);
                let (first, last) = (from == 0, to == b.k);
                // SAFETY: offsets follow the layout that `interleave` wrote; rows and
                // columns stay below `m` and `n` of the caller's matrices.
                unsafe {
                    let block = b.block(col, width, from, to, &mut scratch);
                    // Blocks lie one behind the other. Without this the first tile of each waits for its
                    // weights, a tenth of a wide product's time; the first few tiles fetch a part each.
                    let behind = block.wrapping_add((to - from) * width);
                    let mut i = 0;
                    while i < m {
                        let rows = (m - i).min(S::MR);
                        let sums = out.add(i * ldo);
                        let t = Tile {
                            a: a.add(i * lda + from),
                            lda,
                            k: to - from,
                            b: block,
                            init: if first { offset(b.bias, col) } else { sums },
                            init_stride: if first { 0 } else { ldo },
                            residual: if last && whole.is_empty() {
                                offset(residual, i * ldc + col)
                            } else {
                                std::ptr::null()
                            },
                            next: behind.wrapping_add(i / S::MR % (width / LINE).max(1) * (to - from) * LINE),
                            c: sums,
                            ldc: ldo,
                            bounds: if last { act.bounds() } else { (f32::NEG_INFINITY, f32::INFINITY) },
                        };
                        S::tile(rows, vecs, &t);
                        if last && !act.is_clamp() {
                            for r in 0..rows {
                                act::row::<S>(act, sums.add(r * ldo), valid);
                            }
                        }
                        i += rows;
                    }
                }
                from = to.max(1);
            }
            for (i, row) in whole.chunks_exact(width).enumerate() {
                for (j, &sum) in row[..valid].iter().enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        let at = i * ldc + col + j;
                        *c.add(at) = if residual.is_null() { sum } else { sum + *residual.add(at) };
                    }
                }
            }
        }
    }
}

/// A raw pointer that tasks may share: they write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub T);
// SAFETY: whoever makes one sees to it that tasks write disjoint parts and read nothing that is written.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Clone> Shared<T> {
    /// By method, so that closures capture the wrapper and not the pointer in it.
    pub fn get(&self) -> T {
        self.0.clone()
    }
}

/// Multiplications below which handing work to other threads costs more than it gives.
const SMALL: usize = 100_000;
/// A block has at least and at most so many rows, of which a tile takes a few.
const FEWEST: usize = 24;
const MOST: usize = 384;
/// What the tiles of all back ends divide.
const WHOLE_TILES: usize = 12;

impl Gemm<'_> {
    /// Cuts the product into blocks of rows and groups of panels, and runs them on the pool. Both fit
    /// into the second-level cache: a block's rows stay there while the group's weights pass by, and
    /// those while the next blocks do. A group comes from memory once, however many rows there are.
    ///
    /// # Safety
    /// All pointers are valid for their shapes; `c` is not aliased.
    pub unsafe fn run_parallel(self, backend: Backend) {
        let (panels, k) = (self.panels.len(), self.b.k.max(1));
        if self.m * k * self.b.n < SMALL {
            return backend.run(self);
        }
        let fits = backend.cache() / (4 * k);
        let row_tasks = self.m.div_ceil(fits.clamp(FEWEST, MOST)).max(1);
        let rows = self.m.div_ceil(row_tasks).next_multiple_of(WHOLE_TILES);
        let col_tasks =
            (rayon::current_num_threads() * 3).div_ceil(row_tasks).max(self.b.n / fits.max(1)).clamp(1, panels);
        let (first, shared) = (self.panels.start, Shared(self));
        (0..row_tasks * col_tasks).into_par_iter().for_each(|task| {
            let mut part = shared.get();
            let (c, r) = (task / row_tasks, task % row_tasks);
            let row = r * rows;
            if row >= part.m {
                return;
            }
            part.m = (part.m - row).min(rows);
            part.panels = first + c * panels / col_tasks..first + (c + 1) * panels / col_tasks;
            // SAFETY: rows and panels of different tasks do not overlap.
            unsafe {
                part.a = part.a.add(row * part.lda);
                part.c = part.c.add(row * part.ldc);
                if !part.residual.is_null() {
                    part.residual = part.residual.add(row * part.ldc);
                }
            }
            backend.run(part);
        });
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::models::ops::tests::noise;

    fn reference(x: &[f32], w: &Matrix, bias: &[f32], act: Activation, residual: &[f32]) -> Vec<f32> {
        let cpu = Device::Cpu;
        let m = x.len() / w.cols;
        let x = Tensor::from_slice(x, (m, w.cols), &cpu).unwrap();
        let w = Tensor::from_vec(w.to_f32(), (w.rows, w.cols), &cpu).unwrap();
        let bias = Tensor::from_slice(bias, w.dim(0).unwrap(), &cpu).unwrap();
        let y = x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
        let y = act.plain(&y).unwrap();
        let r = Tensor::from_slice(residual, y.shape(), &cpu).unwrap();
        (y + r).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn odd_shapes_agree_with_candle() {
        for backend in Backend::available() {
            for (m, k, n) in [
                (1, 1, 1),
                (1, 27, 32),
                (5, 3, 7),
                (6, 16, 24),
                (13, 33, 17),
                (7, 64, 49),
                (97, 40, 33),
                (7, 800, 33),
                (13, 1000, 48),
                (200, 128, 96),
            ] {
                for act in [Activation::None, Activation::Relu6, Activation::Gelu] {
                    let (x, w, bias) = (noise(1, m * k), Matrix::f32(n, k, noise(2, n * k)), noise(3, n));
                    let residual = noise(4, m * n);
                    let panels = Panels::pack(backend, &w, Some(&bias));
                    // Activation and residual together do not occur: the activation would see the sum.
                    let r = (act == Activation::None).then_some(&residual[..]);
                    let zeros = vec![0.0; m * n];
                    let want = reference(&x, &w, &bias, act, r.unwrap_or(&zeros));
                    let got = panels.matmul(&x, act, r);
                    for (g, w) in got.iter().zip(&want) {
                        assert!((g - w).abs() < 1e-4 * (1.0 + w.abs()), "{backend:?} {m} {k} {n} {act:?}: {g} {w}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_precision() {
        let (m, k, n) = (9, 832, 41);
        let (x, w) = (noise(1, m * k), noise(2, n * k));
        let bias = noise(5, n);
        let quantised = MatrixData::I8 {
            q: w.iter().map(|v| (v * 100.0) as i8).collect(),
            scale: noise(7, n * k / BLOCK).iter().map(|v| v.abs() + 0.01).collect(),
        };
        let kinds = [
            MatrixData::F16(w.iter().map(|&v| f16::from_f32(v)).collect()),
            MatrixData::Bf16(w.iter().map(|&v| bf16::from_f32(v)).collect()),
            quantised,
        ];
        for data in kinds {
            let w = Matrix { rows: n, cols: k, data };
            for backend in Backend::available() {
                let want = reference(&x, &w, &bias, Activation::None, &vec![0.0; m * n]);
                let got = Panels::pack(backend, &w, Some(&bias)).matmul(&x, Activation::None, None);
                for (g, w) in got.iter().zip(&want) {
                    assert!((g - w).abs() < 1e-3 * (1.0 + w.abs()), "{backend:?}: {g} {w}");
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let (k, n) = (50, 40);
        let x = noise(1, 31 * k);
        let panels = Panels::pack(Backend::best(), &Matrix::f32(n, k, noise(2, n * k)), None);
        let all = panels.matmul(&x, Activation::Swish, None);
        for row in [0, 13, 30] {
            assert_eq!(panels.matmul(&x[row * k..(row + 1) * k], Activation::Swish, None), all[row * n..(row + 1) * n]);
        }
    }

    #[test]
    fn stacked_projections() {
        let a = Matrix::f32(3, 4, noise(1, 12));
        let b =
            Matrix { rows: 2, cols: 4, data: MatrixData::F16(noise(2, 8).into_iter().map(f16::from_f32).collect()) };
        let both = Matrix::stack(vec![a.clone(), b.clone()]);
        assert_eq!((both.rows, both.cols), (5, 4));
        assert_eq!(both.to_f32(), [a.to_f32(), b.to_f32()].concat());
    }
}
