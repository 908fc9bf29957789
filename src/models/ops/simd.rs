//! Vectors of f32 behind one small trait, with a back end for each instruction
//! set, chosen once at run time.
//!
//! A [`Kernel`] is written once over [`Simd`] and instantiated inside a function
//! that enables the instruction set, so everything inlined into it is compiled
//! for that set. Must not know what the numbers mean.
#![allow(
    unsafe_code,
    reason = "intrinsics and raw rows: three to thirty times the speed of safe loops, see benches/README.md"
)]

use std::sync::OnceLock;

/// An instruction set this build can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Plain Rust, eight numbers at a time; whatever the compiler makes of it.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Backend {
    /// The best back end of this machine, found once.
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Self::Portable))
    }

    /// All back ends that run here, slowest first (tests go through them).
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            found.push(Self::Avx2);
            if std::arch::is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self::Neon);
        }
        found
    }

    /// f32 numbers in one vector.
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable => Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::LANES,
        }
    }

    /// Columns of a packed panel: `NV` vectors.
    pub fn panel(self) -> usize {
        match self {
            Self::Portable => Portable::NV * Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::NV * Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::NV * Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::NV * Neon::LANES,
        }
    }

    /// Bytes of the second-level cache that a product's rows, and as many that its weights may take.
    pub fn cache(self) -> usize {
        match self {
            // Where there is AVX-512 it has at least 1 MB.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 600 << 10,
            _ => 288 << 10,
        }
    }

    /// Runs `kernel` compiled for this back end.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        // SAFETY: a `Backend` other than `Portable` is only handed out by
        // `available`, which has checked that the processor has the set.
        unsafe {
            match self {
                Self::Portable => kernel.run::<Portable>(),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => on_avx2(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => on_avx512(kernel),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => on_neon(kernel),
            }
        }
    }
}

/// A computation written once for all instruction sets.
pub trait Kernel {
    type Out;
    /// # Safety
    /// The instruction set of `S` must be there, and whatever raw rows the kernel holds must be valid.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn on_avx2<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: the caller has checked the instruction set.
    unsafe { kernel.run::<Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn on_avx512<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: the caller has checked the instruction set.
    unsafe { kernel.run::<Avx512>() }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn on_neon<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: the caller has checked the instruction set.
    unsafe { kernel.run::<Neon>() }
}

/// One vector of f32 of an instruction set.
///
/// # Safety
/// Every function needs the instruction set; `load` and `store` need `LANES`
/// valid numbers behind the pointer (no alignment).
pub unsafe trait Simd: Copy + 'static {
    type V: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors in the columns of a matrix tile.
    const NV: usize;
    /// Rows of a matrix tile: as many as the registers hold.
    const MR: usize;
    unsafe fn splat(x: f32) -> Self::V;
    /// Asks for the line of the cache behind `p`, which need not be valid, where there is an instruction for it.
    unsafe fn prefetch(p: *const f32);
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; `b` where one is NaN, so a NaN in `b` is kept.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where one is NaN, so a NaN in `b` is kept.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `2^n` for whole `n` in -126..=127.
    unsafe fn exp2i(n: Self::V) -> Self::V;
    /// One tile of a matrix product, `rows` of 1..=MR, `vecs` of NV or 1.
    unsafe fn tile(rows: usize, vecs: usize, t: &crate::models::ops::gemm::Tile);
}

macro_rules! tiles {
    ($nv:literal: $($rows:literal)*) => {
        #[inline(always)]
        unsafe fn tile(rows: usize, vecs: usize, t: &crate::models::ops::gemm::Tile) {
            // SAFETY: the caller's promise, handed on.
            unsafe {
                match (rows, vecs) {
                    $(($rows, 1) => crate::models::ops::gemm::tile::<Self, $rows, 1>(t),
                      ($rows, $nv) => crate::models::ops::gemm::tile::<Self, $rows, $nv>(t),)*
                    _ => unreachable!("tile of {rows} rows and {vecs} vectors"),
                }
            }
        }
    };
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub struct Portable;

macro_rules! each {
    (|$i:ident| $e:expr) => {
        std::array::from_fn(|$i| $e)
    };
}

// SAFETY: no instruction set is needed; loads and stores go through unaligned reads and writes.
unsafe impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const NV: usize = 2;
    const MR: usize = 3;
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller promises LANES numbers.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller promises room for LANES numbers.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Not `mul_add`: without the instruction that is a library call.
        each!(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        each!(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        each!(|i| a[i].round())
    }
    #[inline(always)]
    unsafe fn exp2i(n: Self::V) -> Self::V {
        each!(|i| f32::from_bits(((n[i] as i32 + 127) << 23) as u32))
    }
    tiles!(2: 1 2 3);
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// 256-bit vectors with fused multiply-add.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    /// 512-bit vectors.
    #[derive(Clone, Copy)]
    pub struct Avx512;

    // SAFETY: each function is a documented intrinsic of AVX2 or FMA.
    unsafe impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const NV: usize = 2;
        const MR: usize = 6;
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn round(a: __m256) -> __m256 {
            unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
        }
        #[inline(always)]
        unsafe fn exp2i(n: __m256) -> __m256 {
            unsafe {
                let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            }
        }
        tiles!(2: 1 2 3 4 5 6);
    }

    // SAFETY: each function is a documented intrinsic of AVX-512F.
    unsafe impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const NV: usize = 2;
        const MR: usize = 12;
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn round(a: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
        }
        #[inline(always)]
        unsafe fn exp2i(n: __m512) -> __m512 {
            unsafe {
                let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
            }
        }
        tiles!(2: 1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

#[cfg(target_arch = "aarch64")]
pub use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Simd;

    /// 128-bit vectors, always there on 64-bit ARM.
    #[derive(Clone, Copy)]
    pub struct Neon;

    // SAFETY: each function is a documented NEON intrinsic.
    unsafe impl Simd for Neon {
        type V = float32x4_t;
        const LANES: usize = 4;
        const NV: usize = 4;
        const MR: usize = 6;
        #[inline(always)]
        unsafe fn prefetch(_: *const f32) {}
        #[inline(always)]
        unsafe fn splat(x: f32) -> float32x4_t {
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: float32x4_t) {
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vdivq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vmaxq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vminq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn round(a: float32x4_t) -> float32x4_t {
            unsafe { vrndnq_f32(a) }
        }
        #[inline(always)]
        unsafe fn exp2i(n: float32x4_t) -> float32x4_t {
            unsafe {
                let biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
            }
        }
        tiles!(4: 1 2 3 4 5 6);
    }
}
