//! Depthwise convolution over images stored `[height, width, channels]`.
//!
//! candle runs such a layer channel by channel; here a vector holds the channels
//! of one pixel, and a few neighbouring pixels share each weight they need.
#![allow(unsafe_code, reason = "part of the vector kernels")]

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::Activation;
use super::gemm::Shared;
use super::simd::{Backend, Kernel, Simd};

/// Zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub fn all(n: usize) -> Self {
        Self { top: n, bottom: n, left: n, right: n }
    }

    /// `before` on top and left, `after` below and right.
    pub fn sides(before: usize, after: usize) -> Self {
        Self { top: before, left: before, bottom: after, right: after }
    }

    /// TensorFlow's "same" for a square kernel.
    pub fn same(size: (usize, usize), kernel: usize, stride: usize) -> Self {
        let total = |n: usize| (n.div_ceil(stride).saturating_sub(1) * stride + kernel).saturating_sub(n);
        let (h, w) = (total(size.0), total(size.1));
        Self { top: h / 2, bottom: h - h / 2, left: w / 2, right: w - w / 2 }
    }
}

/// A depthwise convolution with batch norm folded in, and its activation.
#[derive(Debug)]
pub struct Depthwise {
    channels: usize,
    kernel: usize,
    stride: usize,
    act: Activation,
    /// `[kernel * kernel][channels up to a whole vector]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    backend: Backend,
    /// `[channels, 1, kernel, kernel]` and `[channels]`, for other devices.
    device: Option<(Tensor, Tensor)>,
}

impl Depthwise {
    /// From weights `[channels, kernel, kernel]` and `channels` biases.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        stride: usize,
        act: Activation,
        device: &Device,
    ) -> Result<Self> {
        let mut new = Self::packed(Backend::best(), weight, bias, kernel, stride, act);
        if !device.is_cpu() {
            new.device = Some(tensors(weight, bias, kernel, device)?);
        }
        Ok(new)
    }

    fn packed(backend: Backend, weight: &[f32], bias: &[f32], kernel: usize, stride: usize, act: Activation) -> Self {
        let (channels, taps) = (bias.len(), kernel * kernel);
        assert_eq!(weight.len(), channels * taps, "one kernel a channel");
        let padded = channels.next_multiple_of(backend.lanes());
        let mut packed = vec![0.0; taps * padded];
        for (c, taps) in weight.chunks_exact(taps).enumerate() {
            for (t, &w) in taps.iter().enumerate() {
                packed[t * padded + c] = w;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self { channels, kernel, stride, act, weight: packed, bias, backend, device: None }
    }

    /// Channels, in and out.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Channels rounded up to whole vectors: the width of a pixel in padded rows.
    pub(super) fn padded(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn kernel(&self) -> usize {
        self.kernel
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Height and width of the output.
    pub fn out_size(&self, size: (usize, usize), pad: Padding) -> (usize, usize) {
        let out = |n: usize, pad: usize| (n + pad + self.stride).saturating_sub(self.kernel) / self.stride;
        (out(size.0, pad.top + pad.bottom), out(size.1, pad.left + pad.right))
    }

    /// `[b, h, w, channels]` to `[b, h', w', channels]`.
    pub fn forward(&self, x: &Tensor, pad: Padding) -> Result<Tensor> {
        let (_, h, w, c) = x.dims4()?;
        let (oh, ow) = self.out_size((h, w), pad);
        if c != self.channels || oh == 0 || ow == 0 {
            candle_core::bail!(
                "depthwise convolution of {} channels, kernel {}, over {:?}",
                self.channels,
                self.kernel,
                x.dims()
            )
        }
        if let Some((weight, bias)) = &self.device {
            return plain(x, weight, bias, self.stride, pad, self.act);
        }
        super::map_cpu("depthwise", x, |values, dims| {
            let out = self.images(values, dims[0], (h, w), pad);
            Ok((out, vec![dims[0], oh, ow, c]))
        })
    }

    fn images(&self, values: &[f32], images: usize, (h, w): (usize, usize), pad: Padding) -> Vec<f32> {
        let (c, cp) = (self.channels, self.padded());
        let (oh, ow) = self.out_size((h, w), pad);
        let wide = w + pad.left + pad.right;
        super::fill(images * oh * ow * c, |out| {
            let out = Shared(out);
            (0..images).into_par_iter().for_each(|image| {
                let mut rows = vec![0f32; h * wide * cp];
                let mut result = vec![0f32; ow * cp];
                let zeros = vec![0f32; wide * cp];
                for (i, pixel) in values[image * h * w * c..(image + 1) * h * w * c].chunks_exact(c).enumerate() {
                    let at = (i / w * wide + pad.left + i % w) * cp;
                    rows[at..at + c].copy_from_slice(pixel);
                }
                for y in 0..oh {
                    let mut taps = [zeros.as_ptr(); MAX_KERNEL];
                    for (k, tap) in taps.iter_mut().enumerate().take(self.kernel) {
                        if let Some(row) = (y * self.stride + k).checked_sub(pad.top).filter(|&r| r < h) {
                            *tap = rows[row * wide * cp..].as_ptr();
                        }
                    }
                    // SAFETY: every tap has `wide` pixels, the result `ow`; image and
                    // row pick a part of `out` that no other task writes.
                    unsafe {
                        self.backend.run(self.row(taps, result.as_mut_ptr(), ow));
                        for (x, pixel) in result.chunks_exact(cp).enumerate() {
                            let at = ((image * oh + y) * ow + x) * c;
                            std::ptr::copy_nonoverlapping(pixel.as_ptr(), out.get().add(at), c);
                        }
                    }
                }
            });
        })
    }

    /// One output row from the padded input rows under the kernel.
    pub(super) fn row(&self, taps: [*const f32; MAX_KERNEL], out: *mut f32, width: usize) -> Row<'_> {
        Row { layer: self, taps, out, width }
    }
}

fn tensors(weight: &[f32], bias: &[f32], kernel: usize, device: &Device) -> Result<(Tensor, Tensor)> {
    Ok((
        Tensor::from_slice(weight, (bias.len(), 1, kernel, kernel), device)?,
        Tensor::from_slice(bias, bias.len(), device)?,
    ))
}

/// The same by candle's own operations.
fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, stride: usize, pad: Padding, act: Activation) -> Result<Tensor> {
    let channels = bias.dims1()?;
    let x = x.permute((0, 3, 1, 2))?.pad_with_zeros(2, pad.top, pad.bottom)?.pad_with_zeros(3, pad.left, pad.right)?;
    let y = x.contiguous()?.conv2d(weight, 0, stride, 1, channels)?;
    act.plain(&y.broadcast_add(&bias.reshape((1, channels, 1, 1))?)?)?.permute((0, 2, 3, 1))?.contiguous()
}

/// The largest kernel with a path of its own.
pub(super) const MAX_KERNEL: usize = 7;

/// One output row.
pub(super) struct Row<'a> {
    layer: &'a Depthwise,
    /// Padded input rows, `channels up to a whole vector` a pixel.
    taps: [*const f32; MAX_KERNEL],
    out: *mut f32,
    /// Output pixels.
    width: usize,
}

impl Kernel for Row<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: handed on from `Depthwise::row`.
        unsafe {
            match (self.layer.kernel, self.layer.stride) {
                (3, 1) => row::<S, 3, 1>(&self),
                (3, 2) => row::<S, 3, 2>(&self),
                (5, 1) => row::<S, 5, 1>(&self),
                (5, 2) => row::<S, 5, 2>(&self),
                _ => any_row::<S>(&self),
            }
            let l = self.layer;
            if !l.act.is_clamp() {
                super::act::row::<S>(l.act, self.out, self.width * l.padded());
            }
        }
    }
}

/// Output pixels that share weights.
const PIXELS: usize = 8;

#[inline(always)]
unsafe fn row<S: Simd, const K: usize, const STRIDE: usize>(r: &Row) {
    // SAFETY: handed on.
    unsafe {
        let mut x = 0;
        while x + PIXELS <= r.width {
            pixels::<S, K, STRIDE, PIXELS>(r, x);
            x += PIXELS;
        }
        if x + 4 <= r.width {
            pixels::<S, K, STRIDE, 4>(r, x);
            x += 4;
        }
        while x < r.width {
            pixels::<S, K, STRIDE, 1>(r, x);
            x += 1;
        }
    }
}

#[inline(always)]
unsafe fn pixels<S: Simd, const K: usize, const STRIDE: usize, const N: usize>(r: &Row, x: usize) {
    let l = r.layer;
    let cp = l.padded();
    let (lo, hi) = l.act.bounds();
    // SAFETY: the row has `(width - 1) * stride + kernel` padded input pixels of `cp` numbers.
    unsafe {
        for c in (0..cp).step_by(S::LANES) {
            let mut acc = [S::load(l.bias.as_ptr().add(c)); N];
            for (ky, tap) in r.taps.iter().enumerate().take(K) {
                let input = tap.add(x * STRIDE * cp + c);
                let weight = l.weight.as_ptr().add(ky * K * cp + c);
                let mut w = [S::splat(0.0); K];
                for (kx, w) in w.iter_mut().enumerate() {
                    *w = S::load(weight.add(kx * cp));
                }
                for ix in 0..(N - 1) * STRIDE + K {
                    let v = S::load(input.add(ix * cp));
                    for (kx, &w) in w.iter().enumerate() {
                        if ix >= kx && (ix - kx) % STRIDE == 0 && (ix - kx) / STRIDE < N {
                            acc[(ix - kx) / STRIDE] = S::fma(v, w, acc[(ix - kx) / STRIDE]);
                        }
                    }
                }
            }
            for (i, &v) in acc.iter().enumerate() {
                let v = S::min(S::splat(hi), S::max(S::splat(lo), v));
                S::store(r.out.add((x + i) * cp + c), v);
            }
        }
    }
}

#[inline(always)]
unsafe fn any_row<S: Simd>(r: &Row) {
    let l = r.layer;
    let cp = l.padded();
    let (lo, hi) = l.act.bounds();
    // SAFETY: as in `pixels`.
    unsafe {
        for x in 0..r.width {
            for c in (0..cp).step_by(S::LANES) {
                let mut acc = S::load(l.bias.as_ptr().add(c));
                for (ky, tap) in r.taps.iter().enumerate().take(l.kernel) {
                    for kx in 0..l.kernel {
                        let v = S::load(tap.add((x * l.stride + kx) * cp + c));
                        acc = S::fma(v, S::load(l.weight.as_ptr().add((ky * l.kernel + kx) * cp + c)), acc);
                    }
                }
                S::store(r.out.add(x * cp + c), S::min(S::splat(hi), S::max(S::splat(lo), acc)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ops::tests::noise;

    #[test]
    fn odd_shapes_agree_with_candle() {
        let cases = [
            ((1, 1, 1, 1), 3, 1, Padding::all(1)),
            ((2, 5, 7, 3), 3, 1, Padding::all(1)),
            ((1, 9, 9, 24), 5, 1, Padding::all(2)),
            ((2, 17, 13, 40), 5, 2, Padding::sides(1, 2)),
            ((1, 33, 34, 16), 3, 2, Padding::sides(0, 1)),
            ((1, 8, 30, 9), 3, 2, Padding::same((8, 30), 3, 2)),
            ((1, 10, 11, 5), 7, 1, Padding::all(3)),
            ((1, 6, 6, 8), 3, 1, Padding::default()),
        ];
        for ((b, h, w, c), kernel, stride, pad) in cases {
            for act in [Activation::Relu6, Activation::Swish] {
                let (x, weight, bias) = (noise(1, b * h * w * c), noise(2, c * kernel * kernel), noise(3, c));
                let tensor = Tensor::from_slice(&x, (b, h, w, c), &Device::Cpu).unwrap();
                let (wt, bt) = tensors(&weight, &bias, kernel, &Device::Cpu).unwrap();
                let want = plain(&tensor, &wt, &bt, stride, pad, act).unwrap();
                let numbers: Vec<f32> = want.flatten_all().unwrap().to_vec1().unwrap();
                for backend in Backend::available() {
                    let layer = Depthwise::packed(backend, &weight, &bias, kernel, stride, act);
                    assert_eq!(layer.out_size((h, w), pad), (want.dims()[1], want.dims()[2]));
                    let got = layer.images(&x, b, (h, w), pad);
                    assert_eq!(got.len(), numbers.len());
                    for (g, w) in got.iter().zip(&numbers) {
                        assert!((g - w).abs() < 1e-5, "{backend:?} {h}x{w}x{c} k{kernel} s{stride} {act:?}: {g} {w}");
                    }
                }
            }
        }
    }

    #[test]
    fn same_padding_is_that_of_tensorflow() {
        assert_eq!(Padding::same((260, 260), 3, 2), Padding::sides(0, 1));
        assert_eq!(Padding::same((65, 65), 5, 2), Padding::all(2));
        assert_eq!(Padding::same((17, 17), 5, 1), Padding::all(2));
    }

    #[test]
    fn an_image_smaller_than_the_kernel_is_an_error() {
        let layer = Depthwise::packed(Backend::best(), &noise(1, 50), &noise(2, 2), 5, 1, Activation::None);
        let x = Tensor::zeros((1, 2, 2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(layer.forward(&x, Padding::default()).is_err());
        assert!(layer.forward(&x, Padding::all(2)).is_ok());
    }
}
