//! Multi-head attention in one pass: scores, mask, softmax and weighted sum of
//! one head at a time, so that no score matrix of the whole batch is stored.
#![allow(unsafe_code, reason = "part of the vector kernels")]

use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::Activation;
use super::act::exp;
use super::gemm::{Gemm, Shared, Source, SourceData};
use super::norm::total;
use super::simd::{Backend, Kernel, Simd};

/// Which keys a query may look at.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Added to the scores, `[batch, 1 or queries, keys]`.
    add: Option<(Vec<f32>, [usize; 3])>,
    /// A query sees keys up to its own position only (counted from the end, so
    /// that one new query sees all earlier keys).
    causal: bool,
}

impl Mask {
    /// All keys.
    pub fn none() -> Self {
        Self::default()
    }

    /// Keys up to the query's own position.
    pub fn causal() -> Self {
        Self { add: None, causal: true }
    }

    /// Keys whose `valid` flag `[batch, keys]` is not 0; the others get the
    /// smallest f32 added, as the reference implementations do.
    pub fn keys(valid: &[u32], batch: usize, keys: usize) -> Self {
        Self::pairs(valid, batch, 1, keys)
    }

    /// The same for each query of its own: flags `[batch, queries, keys]`.
    pub fn pairs(valid: &[u32], batch: usize, queries: usize, keys: usize) -> Self {
        if valid.iter().all(|&v| v != 0) {
            return Self::none();
        }
        let add = valid.iter().map(|&v| if v == 0 { f32::MIN } else { 0.0 }).collect();
        Self { add: Some((add, [batch, queries, keys])), causal: false }
    }

    /// Any numbers to add, `[batch, 1 or queries, keys]`.
    pub fn additive(add: &Tensor) -> Result<Self> {
        let (b, q, k) = add.dims3()?;
        Ok(Self { add: Some((add.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, [b, q, k])), causal: false })
    }

    /// What is added to each key `[batch, keys]`, and whether it is causal: all that self-attention
    /// of the towers needs. An error for masks that differ from query to query.
    pub fn by_key(&self) -> Result<(Option<&[f32]>, bool)> {
        match &self.add {
            None => Ok((None, self.causal)),
            Some((add, [_, 1, _])) => Ok((Some(add), self.causal)),
            Some((_, dims)) => candle_core::bail!("an attention mask of {dims:?} on a graphics card"),
        }
    }

    /// This mask, and also causal.
    pub fn and_causal(mut self) -> Self {
        self.causal = true;
        self
    }
}

/// `softmax(q k^T * scale + mask) v` for `heads` heads: `q` `[b, tq, heads * d]`,
/// `k` and `v` `[b, tk, heads * d]` (views into a joint projection will do).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, scale: f32, mask: &Mask) -> Result<Tensor> {
    let ((b, tq, width), (bk, tk, wk)) = (q.dims3()?, k.dims3()?);
    if bk != b || wk != width || v.dims3()? != (bk, tk, wk) || heads == 0 || width % heads != 0 {
        candle_core::bail!("attention of {heads} heads over {:?}, {:?}, {:?}", q.dims(), k.dims(), v.dims())
    }
    if let Some((_, [mb, mq, mk])) = mask.add
        && (mb != b || (mq != 1 && mq != tq) || mk != tk)
    {
        candle_core::bail!("attention mask of [{mb}, {mq}, {mk}] for batch {b}, {tq} queries, {tk} keys")
    }
    if mask.causal && tq > tk {
        candle_core::bail!("causal attention of {tq} queries over {tk} keys")
    }
    if !q.device().is_cpu() || tq == 0 || tk == 0 {
        return plain(q, k, v, heads, scale, mask);
    }
    q.apply_op3_no_bwd(k, v, &Attention { backend: Backend::best(), heads, scale, mask: mask.clone() })
}

/// The same by candle's own operations.
fn plain(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, scale: f32, mask: &Mask) -> Result<Tensor> {
    let (b, tq, width) = q.dims3()?;
    let tk = k.dims()[1];
    let split = |x: &Tensor, t| x.reshape((b, t, heads, width / heads))?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (split(q, tq)?, split(k, tk)?, split(v, tk)?);
    let mut scores = (q.matmul(&k.t()?)? * f64::from(scale))?;
    if let Some((add, [mb, mq, mk])) = &mask.add {
        scores = scores.broadcast_add(&Tensor::from_slice(add, (*mb, 1, *mq, *mk), scores.device())?)?;
    }
    if mask.causal {
        let hidden: Vec<f32> =
            (0..tq).flat_map(|i| (0..tk).map(move |j| if j > i + tk - tq { f32::NEG_INFINITY } else { 0.0 })).collect();
        scores = scores.broadcast_add(&Tensor::from_vec(hidden, (tq, tk), scores.device())?)?;
    }
    let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
    weights.matmul(&v)?.transpose(1, 2)?.reshape((b, tq, width))
}

struct Attention {
    backend: Backend,
    heads: usize,
    scale: f32,
    mask: Mask,
}

/// A tensor's rows: where they start and how far apart they are.
#[derive(Clone, Copy)]
struct View {
    start: *const f32,
    batch: usize,
    row: usize,
}

fn view(storage: &CpuStorage, layout: &Layout) -> Result<View> {
    let &[batch, row, 1] = layout.stride() else { candle_core::bail!("attention needs dense rows") };
    let values = &storage.as_slice::<f32>()?[layout.start_offset()..];
    Ok(View { start: values.as_ptr(), batch, row })
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (view(s1, l1)?, view(s2, l2)?, view(s3, l3)?);
        let (dims, tk) = (l1.dims(), l2.dims()[1]);
        let (b, tq, width) = (dims[0], dims[1], dims[2]);
        let out = super::fill(b * tq * width, |out| {
            let shared = Shared((q, k, v, out));
            let run = |task: usize| {
                let (q, k, v, out) = shared.get();
                let (batch, head) = (task / self.heads, task % self.heads);
                let (d, at) = (width / self.heads, head * (width / self.heads));
                let add = self.mask.add.as_ref().map(|(add, [_, mq, mk])| {
                    let rows = &add[batch * mq * mk..(batch + 1) * mq * mk];
                    (rows, if *mq == 1 { 0 } else { *mk })
                });
                // SAFETY: offsets stay in the tensors, whose layouts candle has
                // checked; each task writes its own columns of its own rows.
                unsafe {
                    self.backend.run(Head {
                        backend: self.backend,
                        q: q.start.add(batch * q.batch + at),
                        k: k.start.add(batch * k.batch + at),
                        v: v.start.add(batch * v.batch + at),
                        strides: (q.row, k.row, v.row),
                        out: out.add(batch * tq * width + at),
                        width,
                        tq,
                        tk,
                        d,
                        scale: self.scale,
                        add,
                        causal: self.mask.causal,
                    });
                }
            };
            (0..b * self.heads).into_par_iter().for_each(run);
        });
        Ok((CpuStorage::F32(out), Shape::from((b, tq, width))))
    }
}

/// One head of one sequence.
struct Head<'a> {
    backend: Backend,
    q: *const f32,
    k: *const f32,
    v: *const f32,
    strides: (usize, usize, usize),
    out: *mut f32,
    width: usize,
    tq: usize,
    tk: usize,
    d: usize,
    scale: f32,
    /// Numbers to add and the distance between rows of them.
    add: Option<(&'a [f32], usize)>,
    causal: bool,
}

/// Queries whose scores are held at once.
const QUERIES: usize = 48;

impl Kernel for Head<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { tq, tk, d, .. } = self;
        let nr = S::NV * S::LANES;
        let row = tk.next_multiple_of(nr);
        let mut keys = vec![0f32; row * d];
        let mut values = vec![0f32; d.next_multiple_of(nr) * tk];
        let mut scores = vec![0f32; QUERIES.min(tq) * row];
        // SAFETY: the caller's views hold `tq` and `tk` rows of `d` numbers.
        unsafe {
            // The layout of `gemm::interleave`: k^T has `d` rows and `tk` columns, v the other way about.
            for t in 0..tk {
                let (first, j) = (t / nr * nr, t % nr);
                let w = if tk - first <= S::LANES { S::LANES } else { nr };
                for i in 0..d {
                    *keys.get_unchecked_mut(first * d + i * w + j) = *self.k.add(t * self.strides.1 + i);
                }
            }
            for first in (0..d).step_by(nr) {
                let valid = (d - first).min(nr);
                let w = if valid <= S::LANES { S::LANES } else { nr };
                for t in 0..tk {
                    let from = self.v.add(t * self.strides.2 + first);
                    std::ptr::copy_nonoverlapping(from, values.as_mut_ptr().add(first * tk + t * w), valid);
                }
            }
            for start in (0..tq).step_by(QUERIES) {
                let m = (tq - start).min(QUERIES);
                let base = Gemm {
                    a: self.q.add(start * self.strides.0),
                    lda: self.strides.0,
                    m,
                    b: Source { k: d, n: tk, data: SourceData::F32(keys.as_ptr()), bias: std::ptr::null() },
                    panels: 0..tk.div_ceil(nr),
                    act: Activation::None,
                    residual: std::ptr::null(),
                    c: scores.as_mut_ptr(),
                    ldc: row,
                };
                self.backend.run(base.clone());
                for r in 0..m {
                    let q = start + r;
                    let seen = if self.causal { q + 1 + tk - tq } else { tk };
                    let scores = &mut scores[r * row..][..row];
                    if let Some((add, stride)) = self.add {
                        for (s, a) in scores.iter_mut().zip(&add[q * stride..q * stride + tk]) {
                            *s = *s * self.scale + a;
                        }
                    } else {
                        for s in &mut scores[..tk] {
                            *s *= self.scale;
                        }
                    }
                    scores[seen..].fill(f32::NEG_INFINITY);
                    softmax::<S>(scores);
                    scores[seen..].fill(0.0);
                }
                self.backend.run(Gemm {
                    a: scores.as_ptr(),
                    lda: row,
                    b: Source { k: tk, n: d, data: SourceData::F32(values.as_ptr()), bias: std::ptr::null() },
                    panels: 0..d.div_ceil(nr),
                    c: self.out.add(start * self.width),
                    ldc: self.width,
                    ..base
                });
            }
        }
    }
}

/// In place over whole vectors.
#[inline(always)]
unsafe fn softmax<S: Simd>(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // SAFETY: the row's length is a multiple of the vector's.
    unsafe {
        let m = S::splat(largest);
        let mut sum = S::splat(0.0);
        for i in (0..row.len()).step_by(S::LANES) {
            let p = row.as_mut_ptr().add(i);
            let e = exp::<S>(S::sub(S::load(p), m));
            sum = S::add(sum, e);
            S::store(p, e);
        }
        let scale = S::splat(1.0 / total::<S>(sum));
        for i in (0..row.len()).step_by(S::LANES) {
            let p = row.as_mut_ptr().add(i);
            S::store(p, S::mul(S::load(p), scale));
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::models::ops::tests::noise;

    fn tensor(seed: u64, dims: (usize, usize, usize)) -> Tensor {
        Tensor::from_vec(noise(seed, dims.0 * dims.1 * dims.2), dims, &Device::Cpu).unwrap()
    }

    fn differ(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn odd_shapes_and_masks_agree_with_candle() {
        for (b, tq, tk, heads, d) in [
            (1, 1, 1, 1, 1),
            (2, 5, 5, 3, 7),
            (1, 17, 17, 4, 32),
            (2, 50, 50, 2, 64),
            (1, 101, 130, 1, 20),
            (3, 1, 9, 2, 8),
        ] {
            let (q, k, v) =
                (tensor(1, (b, tq, heads * d)), tensor(2, (b, tk, heads * d)), tensor(3, (b, tk, heads * d)));
            let valid: Vec<u32> = (0..b * tk).map(|i| u32::from(i % tk == 0 || i % 3 != 1)).collect();
            let full = Mask::additive(&(tensor(4, (b, tq, tk)) * 3.0).unwrap()).unwrap();
            let masks =
                [Mask::none(), Mask::causal(), Mask::keys(&valid, b, tk), Mask::keys(&valid, b, tk).and_causal(), full];
            for mask in masks {
                let want = plain(&q, &k, &v, heads, 0.7, &mask).unwrap();
                for backend in Backend::available() {
                    let op = Attention { backend, heads, scale: 0.7, mask: mask.clone() };
                    let got = q.apply_op3_no_bwd(&k, &v, &op).unwrap();
                    assert!(differ(&got, &want) < 1e-5, "{backend:?} {b} {tq} {tk} {heads} {d} {mask:?}");
                }
            }
        }
    }

    #[test]
    fn views_of_one_projection() {
        let joint = tensor(1, (2, 6, 3 * 16));
        let part = |i: usize| joint.narrow(2, i * 16, 16).unwrap();
        let dense = |i: usize| part(i).contiguous().unwrap();
        let got = attention(&part(0), &part(1), &part(2), 2, 0.3, &Mask::none()).unwrap();
        let want = attention(&dense(0), &dense(1), &dense(2), 2, 0.3, &Mask::none()).unwrap();
        assert_eq!(differ(&got, &want), 0.0);
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let (q, k) = (tensor(1, (2, 3, 8)), tensor(2, (2, 4, 8)));
        assert!(attention(&q, &k, &tensor(3, (2, 5, 8)), 2, 1.0, &Mask::none()).is_err());
        assert!(attention(&q, &k, &k, 3, 1.0, &Mask::none()).is_err());
        assert!(attention(&q, &k, &k, 2, 1.0, &Mask::keys(&[1, 0], 1, 2)).is_err());
        assert!(attention(&k, &q, &q, 2, 1.0, &Mask::causal()).is_err());
    }
}
