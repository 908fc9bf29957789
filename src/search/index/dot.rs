//! The scan's inner loop: f16 row times f32 query, in f32.
//!
//! Chosen once at run time by what the processor has. Memory bandwidth is the
//! limit (a row of 768 is 1.5 KB), so the kernels only have to convert as fast as
//! rows arrive: hence no hand-made unrolling over several rows.

use half::f16;

/// Rows are padded with zeros to a multiple of this, so that no kernel has a tail.
pub const LANES: usize = 32;

/// How dot products are computed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// 64-bit ARM.
    Neon,
    /// Anything.
    Portable,
}

impl Kernel {
    /// The fastest one that this processor runs.
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::Portable)
    }

    /// All that this processor runs, fastest first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable].into_iter().filter(|kernel| kernel.runs_here())
    }

    fn runs_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Portable => true,
            #[allow(unreachable_patterns, reason = "each architecture has some of the above")]
            _ => false,
        }
    }

    /// Writes the dot product of `query` with each row of `rows` into `scores`.
    /// `query.len()` is the row length, a multiple of [`LANES`].
    pub(super) fn dots(self, rows: &[f16], query: &[f32], scores: &mut [f32]) {
        assert!(query.len().is_multiple_of(LANES) && rows.len() == query.len() * scores.len());
        if query.is_empty() {
            return scores.fill(0.0);
        }
        for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
            *score = self.dot(row, query);
        }
    }

    #[inline]
    #[allow(unsafe_code, reason = "half the time of the portable loop, see benches/README.md")]
    fn dot(self, row: &[f16], query: &[f32]) -> f32 {
        match self {
            // SAFETY: `dots` is the only caller and compares the lengths; the index, which alone
            // calls that, takes no kernel but those of `all`, whose features `runs_here` saw.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::dot_avx512(row, query) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::dot_avx2(row, query) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => unsafe { arm::dot_neon(row, query) },
            _ => dot_portable(row, query),
        }
    }
}

/// Sixteen sums side by side, which the compiler turns into whatever vectors there are.
fn dot_portable(row: &[f16], query: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    for (halves, floats) in row.as_chunks::<16>().0.iter().zip(query.as_chunks::<16>().0) {
        for i in 0..16 {
            sums[i] += finite_to_f32(halves[i]) * floats[i];
        }
    }
    sums.iter().sum()
}

/// Exact for all finite halves, without a branch: exponent and fraction move to their
/// places in an f32, and a product mends the bias (127 - 15 = 112), subnormals included.
fn finite_to_f32(half: f16) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(half.to_bits());
    let magnitude = f32::from_bits((bits & 0x7FFF) << 13) * BIAS;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads from slices whose lengths are checked")]
mod x86 {
    use super::{LANES, f16};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehl_ps, _mm_shuffle_ps,
        _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_setzero_ps, _mm512_add_ps, _mm512_cvtph_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
    };

    /// # Safety
    /// AVX2, FMA and F16C; `row` as long as `query`.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn dot_avx2(row: &[f16], query: &[f32]) -> f32 {
        let mut sums = [_mm256_setzero_ps(); 4];
        for (halves, floats) in row.chunks_exact(LANES).zip(query.chunks_exact(LANES)) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 4 times 8 numbers are one chunk of 32; unaligned loads. f16 is two bytes.
                let (half8, float8) = unsafe {
                    (
                        _mm_loadu_si128(halves.as_ptr().add(8 * i).cast::<__m128i>()),
                        _mm256_loadu_ps(floats.as_ptr().add(8 * i)),
                    )
                };
                *sum = _mm256_fmadd_ps(_mm256_cvtph_ps(half8), float8, *sum);
            }
        }
        let sum8 = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8), _mm256_extractf128_ps::<1>(sum8));
        let sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));
        _mm_cvtss_f32(_mm_add_ss(sum2, _mm_shuffle_ps::<1>(sum2, sum2)))
    }

    /// # Safety
    /// AVX-512F; `row` as long as `query`.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn dot_avx512(row: &[f16], query: &[f32]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); 2];
        for (halves, floats) in row.chunks_exact(LANES).zip(query.chunks_exact(LANES)) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 2 times 16 numbers are one chunk of 32; unaligned loads.
                let (half16, float16) = unsafe {
                    (
                        _mm256_loadu_si256(halves.as_ptr().add(16 * i).cast::<__m256i>()),
                        _mm512_loadu_ps(floats.as_ptr().add(16 * i)),
                    )
                };
                *sum = _mm512_fmadd_ps(_mm512_cvtph_ps(half16), float16, *sum);
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector loads from slices whose lengths are checked")]
mod arm {
    use super::{LANES, f16};
    use std::arch::aarch64::{
        vaddq_f32, vaddvq_f32, vcvt_f32_f16, vdupq_n_f32, vfmaq_f32, vld1_u16, vld1q_f32, vreinterpret_f16_u16,
    };

    /// # Safety
    /// NEON; `row` as long as `query`.
    #[target_feature(enable = "neon")]
    pub unsafe fn dot_neon(row: &[f16], query: &[f32]) -> f32 {
        let mut sums = [vdupq_n_f32(0.0); 8];
        for (halves, floats) in row.chunks_exact(LANES).zip(query.chunks_exact(LANES)) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 times 4 numbers are one chunk of 32. f16 is a u16 in memory.
                let (half4, float4) = unsafe {
                    (vld1_u16(halves.as_ptr().add(4 * i).cast::<u16>()), vld1q_f32(floats.as_ptr().add(4 * i)))
                };
                *sum = vfmaq_f32(*sum, vcvt_f32_f16(vreinterpret_f16_u16(half4)), float4);
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        let (low, high) = (vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)), vaddq_f32(vaddq_f32(e, f), vaddq_f32(g, h)));
        vaddvq_f32(vaddq_f32(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_agree_with_plain_arithmetic() {
        for (dim, n) in [(LANES, 1), (LANES * 3, 5), (768, 7)] {
            let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
            let rows: Vec<f16> = (0..dim * n).map(|i| f16::from_f32(value(i))).collect();
            let query: Vec<f32> = (0..dim).map(|i| value(i + 17)).collect();
            let expected: Vec<f64> = rows
                .chunks(dim)
                .map(|row| row.iter().zip(&query).map(|(&h, &q)| h.to_f64() * f64::from(q)).sum())
                .collect();
            for kernel in Kernel::all() {
                let mut scores = vec![f32::NAN; n];
                kernel.dots(&rows, &query, &mut scores);
                for (score, expected) in scores.iter().zip(&expected) {
                    assert!((f64::from(*score) - expected).abs() < 1e-4, "{kernel:?} {dim}: {score} {expected}");
                }
            }
        }
    }

    #[test]
    fn every_finite_half_converts_exactly() {
        for half in (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite()) {
            assert_eq!(finite_to_f32(half).to_bits(), half.to_f32().to_bits(), "{half:?}");
        }
    }

    #[test]
    fn zeros_and_subnormals() {
        let row = vec![f16::from_bits(1); LANES];
        for kernel in Kernel::all() {
            let mut scores = [f32::NAN];
            kernel.dots(&row, &[1.0; LANES], &mut scores);
            assert_eq!(scores, [LANES as f32 * f16::from_bits(1).to_f32()], "{kernel:?}");
        }
        Kernel::detect().dots(&[], &[], &mut []);
    }
}
