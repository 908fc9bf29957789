//! Activation functions, vectorised; each agrees with candle's to about 1e-6.
#![allow(unsafe_code, reason = "part of the vector kernels")]

use candle_core::{DType, Result, Tensor};
use serde::Deserialize;

use super::simd::{Backend, Kernel, Simd};

/// What follows a matrix product or convolution. The names are those of
/// Hugging Face `hidden_act`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    #[default]
    #[serde(alias = "linear")]
    None,
    Relu,
    /// Clamped to 0..=6.
    Relu6,
    /// `x * sigmoid(x)`.
    #[serde(alias = "silu")]
    Swish,
    /// With the error function.
    Gelu,
    /// The tanh approximation.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// `x * sigmoid(1.702 x)`, OpenAI's CLIP.
    QuickGelu,
    Sigmoid,
    Tanh,
}

impl Activation {
    /// Bounds that a matrix tile applies as it is stored; infinite for those
    /// that need more than a clamp.
    pub(super) fn bounds(self) -> (f32, f32) {
        match self {
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
            _ => (f32::NEG_INFINITY, f32::INFINITY),
        }
    }

    /// True if `bounds` is all there is to it.
    pub(super) fn is_clamp(self) -> bool {
        matches!(self, Self::None | Self::Relu | Self::Relu6)
    }

    /// The same by candle's own operations: the reference in tests, and what other devices run.
    pub fn plain(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Relu => x.relu(),
            Self::Relu6 => x.clamp(0f32, 6f32),
            Self::Swish => candle_nn::ops::silu(x),
            Self::Gelu => x.gelu_erf(),
            Self::GeluNew => x.gelu(),
            Self::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Self::Sigmoid => candle_nn::ops::sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// Applies it to `x` in place (one thread).
    pub fn apply(self, backend: Backend, x: &mut [f32]) {
        backend.run(InPlace { act: self, x });
    }

    /// Applies it to a tensor of f32.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        if self == Self::None || !x.device().is_cpu() || x.dtype() != DType::F32 {
            return self.plain(x);
        }
        super::map_cpu("activation", x, |values, dims| {
            let mut out = values.to_vec();
            super::par_chunks(&mut out, 1 << 14, |_, chunk| self.apply(Backend::best(), chunk));
            Ok((out, dims.to_vec()))
        })
    }
}

struct InPlace<'a> {
    act: Activation,
    x: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the pointer and length come from one slice.
        unsafe { row::<S>(self.act, self.x.as_mut_ptr(), self.x.len()) }
    }
}

/// Applies `act` to `len` numbers at `p`.
///
/// # Safety
/// As for [`Simd`]; `p` must be valid for `len` numbers.
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(act: Activation, p: *mut f32, len: usize) {
    // SAFETY: whole vectors stay below `len`; the rest goes through a buffer of one vector.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= len {
            S::store(p.add(i), one::<S>(act, S::load(p.add(i))));
            i += S::LANES;
        }
        if i < len {
            let mut rest = [0f32; 16];
            std::ptr::copy_nonoverlapping(p.add(i), rest.as_mut_ptr(), len - i);
            let v = one::<S>(act, S::load(rest.as_ptr()));
            S::store(rest.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(rest.as_ptr(), p.add(i), len - i);
        }
    }
}

#[inline(always)]
unsafe fn one<S: Simd>(act: Activation, x: S::V) -> S::V {
    // SAFETY: arithmetic only.
    unsafe {
        match act {
            Activation::None => x,
            Activation::Relu => S::max(S::splat(0.0), x),
            Activation::Relu6 => S::min(S::splat(6.0), S::max(S::splat(0.0), x)),
            Activation::Swish => S::mul(x, sigmoid::<S>(x)),
            Activation::Gelu => {
                let half = S::mul(S::splat(0.5), x);
                S::fma(half, erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
            }
            Activation::GeluNew => {
                let cube = S::mul(S::mul(x, x), x);
                let inner = S::mul(S::splat(0.797_884_6), S::fma(S::splat(0.044_715), cube, x));
                // (1 + tanh z) / 2 = sigmoid(2 z)
                S::mul(x, sigmoid::<S>(S::add(inner, inner)))
            }
            Activation::QuickGelu => S::mul(x, sigmoid::<S>(S::mul(S::splat(1.702), x))),
            Activation::Sigmoid => sigmoid::<S>(x),
            Activation::Tanh => S::sub(S::mul(S::splat(2.0), sigmoid::<S>(S::add(x, x))), S::splat(1.0)),
        }
    }
}

#[inline(always)]
unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic only.
    unsafe { S::div(S::splat(1.0), S::add(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), x)))) }
}

/// `e^x`, relative error about 1e-7 (the Cephes polynomial); saturates near the limits of f32.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic only; the clamp keeps the exponent of `exp2i` in range.
    unsafe {
        let x = S::max(S::splat(-87.3), S::min(S::splat(88.0), x));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::fma(p, r, S::splat(c));
        }
        let y = S::add(S::fma(p, S::mul(r, r), r), S::splat(1.0));
        S::mul(y, S::exp2i(n))
    }
}

/// The error function as a quotient of polynomials, absolute error below 4e-7.
#[inline(always)]
unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic only.
    unsafe {
        let x = S::max(S::splat(-4.0), S::min(S::splat(4.0), x));
        let x2 = S::mul(x, x);
        let mut p = S::splat(-2.726_142_3e-10);
        for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2] {
            p = S::fma(p, x2, S::splat(c));
        }
        let mut q = S::splat(-1.456_607_2e-5);
        for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
            q = S::fma(q, x2, S::splat(c));
        }
        S::div(S::mul(x, p), q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agrees_with_candle_on_each_back_end() {
        let xs: Vec<f32> =
            (0..4001).map(|i| (i as f32 - 2000.0) / 150.0).chain([0.0, -0.0, 60.0, -60.0, 95.0, -95.0]).collect();
        let x = Tensor::from_slice(&xs, xs.len(), &candle_core::Device::Cpu).unwrap();
        for act in [
            Activation::None,
            Activation::Relu,
            Activation::Relu6,
            Activation::Swish,
            Activation::Gelu,
            Activation::GeluNew,
            Activation::QuickGelu,
            Activation::Sigmoid,
            Activation::Tanh,
        ] {
            let want: Vec<f32> = act.plain(&x).unwrap().to_vec1().unwrap();
            for backend in Backend::available() {
                for len in [1, 7, 8, 9, 33, xs.len()] {
                    let mut got = xs[..len].to_vec();
                    act.apply(backend, &mut got);
                    for i in 0..len {
                        let tolerance = 2e-6 * (1.0 + xs[i].abs());
                        assert!(
                            (got[i] - want[i]).abs() <= tolerance,
                            "{act:?} {backend:?} at {}: {} {}",
                            xs[i],
                            got[i],
                            want[i]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn not_a_number_stays_one() {
        for backend in Backend::available() {
            for act in [Activation::Relu6, Activation::Swish, Activation::Gelu, Activation::QuickGelu] {
                let mut x = [f32::NAN; 20];
                act.apply(backend, &mut x);
                assert!(x.iter().all(|v| v.is_nan()), "{act:?} {backend:?}");
            }
        }
    }

    #[test]
    fn names_of_config_files() {
        for (name, act) in [
            ("gelu", Activation::Gelu),
            ("quick_gelu", Activation::QuickGelu),
            ("silu", Activation::Swish),
            ("gelu_pytorch_tanh", Activation::GeluNew),
        ] {
            assert_eq!(serde_json::from_value::<Activation>(name.into()).unwrap(), act);
        }
        assert!(serde_json::from_value::<Activation>("gelu_10".into()).is_err());
    }
}
