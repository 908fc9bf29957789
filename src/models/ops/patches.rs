//! Cuts images into the patches that a convolution would look at, so that a
//! matrix product can do the rest.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::depthwise::Padding;
use super::with_slice;

/// `[b, c, h, w]` to `[b, h', w', c * kernel * kernel]`, the numbers of a patch in
/// the order of a convolution's weights.
pub fn patches(x: &Tensor, kernel: usize, stride: usize, pad: Padding) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let out = |n: usize, pad: usize| (n + pad + stride).saturating_sub(kernel) / stride;
    let (oh, ow) = (out(h, pad.top + pad.bottom), out(w, pad.left + pad.right));
    if oh == 0 || ow == 0 {
        candle_core::bail!("patches of {kernel} pixels from {:?}", x.dims())
    }
    let width = c * kernel * kernel;
    let cut = with_slice(&x.to_device(&Device::Cpu)?, |values, _| {
        let mut cut = vec![0f32; b * oh * ow * width];
        cut.par_chunks_mut(ow * width).enumerate().for_each(|(row, out)| {
            let (image, y) = (row / oh, row % oh);
            for channel in 0..c {
                let plane = &values[(image * c + channel) * h * w..][..h * w];
                for ky in 0..kernel {
                    let Some(from) = (y * stride + ky).checked_sub(pad.top).filter(|&r| r < h) else { continue };
                    let line = &plane[from * w..][..w];
                    let at = (channel * kernel + ky) * kernel;
                    for (x, patch) in out.chunks_exact_mut(width).enumerate() {
                        let patch = &mut patch[at..at + kernel];
                        match (x * stride).checked_sub(pad.left) {
                            Some(first) if first + kernel <= w => patch.copy_from_slice(&line[first..first + kernel]),
                            _ => {
                                for (kx, v) in patch.iter_mut().enumerate() {
                                    *v = (x * stride + kx)
                                        .checked_sub(pad.left)
                                        .and_then(|i| line.get(i))
                                        .copied()
                                        .unwrap_or(0.0);
                                }
                            }
                        }
                    }
                }
            }
        });
        Ok(cut)
    })?;
    Tensor::from_vec(cut, (b, oh, ow, width), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ops::tests::noise;

    #[test]
    fn with_a_product_they_are_a_convolution() {
        let cpu = Device::Cpu;
        for (h, w, kernel, stride, pad) in [
            (5, 7, 3, 2, Padding::sides(0, 1)),
            (8, 8, 4, 4, Padding::default()),
            (9, 4, 3, 1, Padding::all(1)),
            (11, 13, 8, 8, Padding::default()),
        ] {
            let x = Tensor::from_vec(noise(1, 2 * 3 * h * w), (2, 3, h, w), &cpu).unwrap();
            let k = Tensor::from_vec(noise(2, 5 * 3 * kernel * kernel), (5, 3, kernel, kernel), &cpu).unwrap();
            let padded =
                x.pad_with_zeros(2, pad.top, pad.bottom).unwrap().pad_with_zeros(3, pad.left, pad.right).unwrap();
            let want = padded.conv2d(&k, 0, stride, 1, 1).unwrap().permute((0, 2, 3, 1)).unwrap();
            let cut = patches(&x, kernel, stride, pad).unwrap();
            let got = cut.broadcast_matmul(&k.reshape((5, 3 * kernel * kernel)).unwrap().t().unwrap()).unwrap();
            assert_eq!(got.dims(), want.dims());
            let differ =
                (got - want).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(differ < 1e-5);
        }
        assert!(
            patches(&Tensor::zeros((1, 3, 2, 2), candle_core::DType::F32, &cpu).unwrap(), 3, 1, Padding::default())
                .is_err()
        );
    }
}
