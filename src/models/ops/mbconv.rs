//! The inverted residual block of MobileNet and EfficientNet in one pass: a strip
//! of rows is widened, convolved depthwise and narrowed again while it is in the
//! second-level cache; the wide image is never stored whole (squeeze-and-excite,
//! which needs a mean over the whole image, excepted).
#![allow(unsafe_code, reason = "part of the vector kernels")]

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::depthwise::{MAX_KERNEL, Padding};
use super::gemm::{Gemm, Panels, Shared};
use super::simd::Backend as Vectors;
use super::{Activation, Backend, with_slice};

/// Scales channels by a small network over their means.
#[derive(Debug)]
pub struct SqueezeExcite<B: Backend = Device> {
    /// To the narrow layer, with its activation.
    pub reduce: B::Linear,
    /// Back to all channels, with a sigmoid.
    pub expand: B::Linear,
}

/// `x + project(excite(depthwise(expand(x))))`, each with batch norm folded in.
#[derive(Debug)]
pub struct MbConv<B: Backend = Device> {
    /// Absent where the block does not widen.
    pub expand: Option<B::Linear>,
    pub depthwise: B::Depthwise,
    pub squeeze: Option<SqueezeExcite<B>>,
    pub project: B::Linear,
    /// Adds the input to the output.
    pub residual: bool,
}

/// Output pixels of a strip: enough rows for the matrix kernels, few enough for the cache.
const STRIP_PIXELS: usize = 96;
/// Images at least this wide are widened row by row, straight into the padded rows.
const WIDE: usize = 48;

impl MbConv {
    /// `[b, h, w, c]` to `[b, h', w', c']`.
    pub fn forward(&self, x: &Tensor, pad: Padding) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let Some((project, Activation::None)) = self.project.panels() else { return self.composed(x, pad) };
        let expand = match &self.expand {
            None => None,
            Some(linear) => match linear.panels() {
                Some(packed) => Some(packed),
                None => return self.composed(x, pad),
            },
        };
        let inputs = expand.map_or(self.depthwise.channels(), |(p, _)| p.k());
        let wide = expand.map_or(inputs, |(p, _)| p.n());
        let (oh, ow) = self.depthwise.out_size((h, w), pad);
        let fits = c == inputs && wide == self.depthwise.channels() && project.k() == wide && oh > 0 && ow > 0;
        if !fits || self.residual && ((oh, ow) != (h, w) || project.n() != c) {
            candle_core::bail!("inverted residual block over {:?}", x.dims())
        }
        let job = Job { block: self, expand, project, pad, size: (h, w), out: (oh, ow) };
        super::map_cpu("mbconv", x, |values, _| Ok((job.run(values, b, Vectors::best()), vec![b, oh, ow, project.n()])))
    }

    /// The same, one operation after the other: the reference in tests, and what other devices run.
    fn composed(&self, x: &Tensor, pad: Padding) -> Result<Tensor> {
        let wide = match &self.expand {
            Some(expand) => expand.forward(x)?,
            None => x.clone(),
        };
        let mut y = self.depthwise.forward(&wide, pad)?;
        if let Some(SqueezeExcite { reduce, expand }) = &self.squeeze {
            let mean = y.mean_keepdim(1)?.mean_keepdim(2)?;
            y = y.broadcast_mul(&expand.forward(&reduce.forward(&mean)?)?)?;
        }
        if self.residual { self.project.forward_add(&y, x) } else { self.project.forward(&y) }
    }
}

struct Job<'a> {
    block: &'a MbConv,
    expand: Option<(&'a Panels, Activation)>,
    project: &'a Panels,
    pad: Padding,
    size: (usize, usize),
    out: (usize, usize),
}

/// Buffers of one thread, reused from image to image.
#[derive(Default)]
struct Scratch {
    /// Padded wide rows, used round and round.
    ring: Vec<f32>,
    /// A row of zeros, above and below the image.
    zeros: Vec<f32>,
    /// Wide pixels of a strip before they are spread over the ring.
    dense: Vec<f32>,
    /// Convolved pixels.
    convolved: Vec<f32>,
}

fn reserve(v: &mut Vec<f32>, n: usize) -> *mut f32 {
    if v.len() < n {
        v.resize(n, 0.0);
    }
    v.as_mut_ptr()
}

impl Job<'_> {
    fn run(&self, x: &[f32], images: usize, backend: Vectors) -> Vec<f32> {
        let (oh, ow) = self.out;
        let threads = rayon::current_num_threads();
        // Few images: cut each into horizontal segments, so that all threads have work.
        let segments =
            if self.block.squeeze.is_some() || images >= threads { 1 } else { threads.div_ceil(images).min(oh) };
        super::fill(images * oh * ow * self.project.n(), |out| {
            let out = Shared(out);
            (0..images * segments).into_par_iter().for_each_init(Scratch::default, |scratch, task| {
                let (image, segment) = (task / segments, task % segments);
                let rows = segment * oh / segments..(segment + 1) * oh / segments;
                let pixels = self.size.0 * self.size.1 * self.inputs();
                // SAFETY: `x` holds `images` images; image and rows pick a part of
                // `out` that no other task writes.
                unsafe {
                    let out = out.get().add(image * oh * ow * self.project.n());
                    self.image(&x[image * pixels..(image + 1) * pixels], rows, out, scratch, backend);
                }
            });
        })
    }

    fn inputs(&self) -> usize {
        self.expand.map_or(self.block.depthwise.channels(), |(p, _)| p.k())
    }

    /// The output rows `rows` of one image, whose output starts at `out`.
    unsafe fn image(
        &self,
        x: &[f32],
        rows: std::ops::Range<usize>,
        out: *mut f32,
        scratch: &mut Scratch,
        backend: Vectors,
    ) {
        let dw = &self.block.depthwise;
        let (kernel, stride, cp) = (dw.kernel(), dw.stride(), dw.padded());
        let ((h, w), (oh, ow)) = (self.size, self.out);
        let (pitch, cin) = ((w + self.pad.left + self.pad.right) * cp, self.inputs());
        let step = STRIP_PIXELS.div_ceil(ow).min(rows.len()).max(1);
        let ring_rows = (step - 1) * stride + kernel;
        let whole_image = self.block.squeeze.is_some();
        let kept = if whole_image { oh } else { step };

        // The margins stay zero, whatever the ring held for an earlier image.
        scratch.ring.clear();
        let ring = reserve(&mut scratch.ring, ring_rows * pitch);
        let zeros = reserve(&mut scratch.zeros, pitch);
        let dense = if w < WIDE { reserve(&mut scratch.dense, ring_rows * w * cp) } else { std::ptr::null_mut() };
        let convolved = reserve(&mut scratch.convolved, kept * ow * cp);

        let mut next = (rows.start * stride).saturating_sub(self.pad.top);
        let mut y = rows.start;
        while y < rows.end {
            let n = step.min(rows.end - y);
            let last = ((y + n - 1) * stride + kernel).saturating_sub(self.pad.top).min(h);
            // SAFETY: row numbers stay below `h`, ring slots below `ring_rows`; the
            // ring holds all rows under the kernel of this strip.
            unsafe {
                if next < last {
                    self.widen(x, next..last, Ring { start: ring, rows: ring_rows, pitch, cp, dense }, w, cin, backend);
                    next = last;
                }
                for i in 0..n {
                    let mut taps = [zeros.cast_const(); MAX_KERNEL];
                    for (k, tap) in taps.iter_mut().enumerate().take(kernel) {
                        if let Some(row) = ((y + i) * stride + k).checked_sub(self.pad.top).filter(|&r| r < h) {
                            *tap = ring.add(row % ring_rows * pitch);
                        }
                    }
                    let at = if whole_image { y + i } else { i };
                    backend.run(dw.row(taps, convolved.add(at * ow * cp), ow));
                }
                if !whole_image {
                    self.narrow(x, convolved, y * ow..(y + n) * ow, out, backend);
                }
            }
            y += n;
        }
        if let Some(squeeze) = &self.block.squeeze {
            excite(squeeze, &mut scratch.convolved[..oh * ow * cp], dw.channels(), cp);
            // SAFETY: `convolved` holds the whole image.
            unsafe { self.narrow(x, scratch.convolved.as_ptr(), 0..oh * ow, out, backend) };
        }
    }

    /// Input rows `rows`, widened, into the ring.
    unsafe fn widen(
        &self,
        x: &[f32],
        rows: std::ops::Range<usize>,
        ring: Ring,
        w: usize,
        cin: usize,
        backend: Vectors,
    ) {
        let left = self.pad.left * ring.cp;
        let slot = |row: usize| row % ring.rows * ring.pitch + left;
        // SAFETY: as the caller promises; `dense` has room for all rows of a strip.
        unsafe {
            let spread = |from: *const f32, pitch: usize, channels: usize, row: usize| {
                for i in 0..w {
                    std::ptr::copy_nonoverlapping(
                        from.add(i * pitch),
                        ring.start.add(slot(row) + i * ring.cp),
                        channels,
                    );
                }
            };
            let Some((panels, act)) = self.expand else {
                for row in rows {
                    spread(x.as_ptr().add(row * w * cin), cin, cin, row);
                }
                return;
            };
            let product = |first: usize, m: usize, c: *mut f32| {
                backend.run(Gemm {
                    a: x.as_ptr().add(first * w * cin),
                    lda: cin,
                    m: m * w,
                    b: panels.source(),
                    panels: 0..panels.panel_count(),
                    act,
                    residual: std::ptr::null(),
                    c,
                    ldc: ring.cp,
                });
            };
            if ring.dense.is_null() {
                for row in rows {
                    product(row, 1, ring.start.add(slot(row)));
                }
            } else {
                product(rows.start, rows.len(), ring.dense);
                let first = rows.start;
                for row in rows {
                    let from = ring.dense.add((row - first) * w * ring.cp);
                    std::ptr::copy_nonoverlapping(from, ring.start.add(slot(row)), w * ring.cp);
                }
            }
        }
    }

    /// The convolved output pixels `range`, which start at `convolved`, narrowed into `out`.
    unsafe fn narrow(
        &self,
        x: &[f32],
        convolved: *const f32,
        range: std::ops::Range<usize>,
        out: *mut f32,
        backend: Vectors,
    ) {
        let at = range.start * self.project.n();
        backend.run(Gemm {
            a: convolved,
            lda: self.block.depthwise.padded(),
            m: range.len(),
            b: self.project.source(),
            panels: 0..self.project.panel_count(),
            act: Activation::None,
            residual: if self.block.residual { x[at..].as_ptr() } else { std::ptr::null() },
            // SAFETY: the caller's pixels are within the output image.
            c: unsafe { out.add(at) },
            ldc: self.project.n(),
        });
    }
}

/// Where widened rows go.
#[derive(Clone, Copy)]
struct Ring {
    start: *mut f32,
    rows: usize,
    /// Numbers in a padded row.
    pitch: usize,
    /// Numbers in a pixel.
    cp: usize,
    /// Room for the rows of a strip without margins; null for wide images.
    dense: *mut f32,
}

fn excite(squeeze: &SqueezeExcite, pixels: &mut [f32], channels: usize, cp: usize) {
    let mut mean = vec![0f32; channels];
    for pixel in pixels.chunks_exact(cp) {
        for (m, v) in mean.iter_mut().zip(pixel) {
            *m += v;
        }
    }
    let count = (pixels.len() / cp) as f32;
    for m in &mut mean {
        *m /= count;
    }
    let (Some((reduce, act)), Some((expand, gate))) = (squeeze.reduce.panels(), squeeze.expand.panels()) else {
        return;
    };
    let scale = expand.matmul(&reduce.matmul(&mean, act, None), gate, None);
    for pixel in pixels.chunks_exact_mut(cp) {
        for (v, s) in pixel.iter_mut().zip(&scale) {
            *v *= s;
        }
    }
}

/// Mean over all pixels: `[b, h, w, c]` to `[b, c]`.
pub fn mean_pool(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    if !x.device().is_cpu() {
        return x.reshape((b, h * w, c))?.mean(1);
    }
    let means = with_slice(x, |values, _| {
        Ok(values
            .par_chunks(h * w * c)
            .flat_map_iter(|image| {
                let mut mean = vec![0f32; c];
                for pixel in image.chunks_exact(c) {
                    for (m, v) in mean.iter_mut().zip(pixel) {
                        *m += v;
                    }
                }
                mean.into_iter().map(move |m| m / (h * w) as f32)
            })
            .collect::<Vec<_>>())
    })?;
    Tensor::from_vec(means, (b, c), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ops::tests::noise;
    use crate::models::ops::{Depthwise, Linear, Matrix};

    fn linear(seed: u64, n: usize, k: usize, act: Activation) -> Linear {
        Linear::new(&Matrix::f32(n, k, noise(seed, n * k)), Some(&noise(seed + 100, n)), act, &Device::Cpu).unwrap()
    }

    fn block(
        cin: usize,
        wide: usize,
        cout: usize,
        kernel: usize,
        stride: usize,
        act: Activation,
        squeeze: bool,
    ) -> MbConv {
        let cpu = Device::Cpu;
        MbConv {
            expand: (wide != cin).then(|| linear(1, wide, cin, act)),
            depthwise: Depthwise::new(&noise(2, wide * kernel * kernel), &noise(3, wide), kernel, stride, act, &cpu)
                .unwrap(),
            squeeze: squeeze.then(|| SqueezeExcite {
                reduce: linear(4, 3, wide, act),
                expand: linear(5, wide, 3, Activation::Sigmoid),
            }),
            project: linear(6, cout, wide, Activation::None),
            residual: stride == 1 && cin == cout,
        }
    }

    #[test]
    fn one_pass_agrees_with_one_operation_after_the_other() {
        for (h, w, cin, wide, cout, kernel, stride) in [
            (7, 9, 8, 24, 8, 3, 1),
            (13, 11, 5, 30, 7, 5, 2),
            (66, 65, 4, 12, 6, 3, 2),
            (9, 9, 16, 16, 16, 5, 1),
            (30, 50, 8, 20, 8, 5, 1),
        ] {
            for squeeze in [false, true] {
                for images in [1, 3] {
                    let act = if squeeze { Activation::Swish } else { Activation::Relu6 };
                    let block = block(cin, wide, cout, kernel, stride, act, squeeze);
                    let x =
                        Tensor::from_vec(noise(9, images * h * w * cin), (images, h, w, cin), &Device::Cpu).unwrap();
                    let pad = Padding::same((h, w), kernel, stride);
                    let (got, want) = (block.forward(&x, pad).unwrap(), block.composed(&x, pad).unwrap());
                    assert_eq!(got.dims(), want.dims());
                    let differ: f32 = (got - want)
                        .unwrap()
                        .abs()
                        .unwrap()
                        .flatten_all()
                        .unwrap()
                        .max(0)
                        .unwrap()
                        .to_scalar()
                        .unwrap();
                    assert!(
                        differ < 2e-4,
                        "{h}x{w} {cin}>{wide}>{cout} k{kernel} s{stride} {squeeze} {images}: {differ}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_residual_of_another_size_is_an_error() {
        let mut block = block(8, 24, 8, 3, 2, Activation::Relu6, false);
        block.residual = true;
        let x = Tensor::zeros((1, 8, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(block.forward(&x, Padding::all(1)).is_err());
    }

    #[test]
    fn mean_over_pixels() {
        let x = Tensor::from_vec(noise(1, 2 * 3 * 4 * 5), (2, 3, 4, 5), &Device::Cpu).unwrap();
        let want = x.reshape((2, 12, 5)).unwrap().mean(1).unwrap();
        let differ = (mean_pool(&x).unwrap() - want).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(differ.to_scalar::<f32>().unwrap() < 1e-6);
    }
}
