//! Operations without weights.

use super::{Gpu, GpuError, Kernel, Tensor};

/// Zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Sides {
    /// Height and width of what a kernel of that size and stride makes of an image.
    pub(super) fn out_size(self, (h, w): (usize, usize), kernel: usize, stride: usize) -> (usize, usize) {
        let out = |n: usize| (n + stride).saturating_sub(kernel) / stride;
        (out(h + self.top + self.bottom), out(w + self.left + self.right))
    }
}

/// How attention looks at keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads<'a> {
    pub count: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// A query sees keys up to its own position only.
    pub causal: bool,
    /// Added to the scores of a key, `[batch, keys]`.
    pub mask: Option<&'a [f32]>,
}

/// The widest head that the attention kernel has registers for.
const WIDEST_HEAD: usize = 128;
/// Queries of one workgroup of the attention kernel.
const QUERIES: usize = 8;

/// Workgroups in x and y for `n` of them in a row: one dimension alone holds 65535.
pub(super) fn span(n: usize) -> [u32; 3] {
    let x = n.clamp(1, 1 << 15);
    [x as u32, n.div_ceil(x) as u32, 1]
}

impl Gpu {
    /// One thread for each number of `out`.
    pub(super) fn each(
        &self,
        kernel: Kernel,
        parameters: &[u32],
        inputs: &[&wgpu::Buffer],
        out: &Tensor,
    ) -> Result<(), GpuError> {
        let threads = (self.0.kernels.side * self.0.kernels.side) as usize;
        self.record(kernel, parameters, inputs, out.buffer(), span(out.count().div_ceil(threads)))
    }
}

impl Tensor {
    /// Self-attention from queries, keys and values side by side: `[b, t, 3 * width]` to `[b, t, width]`.
    pub fn attend(&self, heads: &Heads<'_>) -> Result<Self, GpuError> {
        let [b, t, joint] = self.shape()?;
        let (width, n) = (joint / 3, heads.count);
        let fits = joint % 3 == 0 && n > 0 && width % n == 0 && width / n <= WIDEST_HEAD;
        if !fits || heads.mask.is_some_and(|mask| mask.len() != b * t) {
            return Err(GpuError::Shape(format!("attention of {n} heads over {:?}", self.dims())));
        }
        let mask = heads.mask.map(|mask| Self::new(&self.gpu, mask, &[b, t])).transpose()?;
        let out = Self::room(&self.gpu, &[b, t, width])?;
        let flags = [u32::from(heads.causal), u32::from(mask.is_some()), heads.scale.to_bits()];
        let parameters = [&[t as u32, width as u32, n as u32], &flags[..]].concat();
        let mut inputs = vec![self.buffer()];
        inputs.extend(mask.as_ref().map(Self::buffer));
        let groups = [t.div_ceil(QUERIES) as u32, n as u32, b as u32];
        self.gpu.record(Kernel::Attention, &parameters, &inputs, out.buffer(), groups)?;
        Ok(out)
    }

    /// Patches that a convolution would look at: `[b, c, h, w]` to `[b, h', w', c * kernel * kernel]`.
    pub fn patches(&self, kernel: usize, stride: usize, pad: Sides) -> Result<Self, GpuError> {
        let [b, c, h, w] = self.shape()?;
        let (oh, ow) = pad.out_size((h, w), kernel, stride);
        let out = Self::room(&self.gpu, &[b, oh, ow, c * kernel * kernel])?;
        let numbers = [c, h, w, oh, ow, kernel, stride, pad.top, pad.left, out.count()];
        self.gpu.each(Kernel::Patches, &numbers.map(|n| n as u32), &[self.buffer()], &out)?;
        Ok(out)
    }

    /// Adds the rows of `table` `[t, width]` to `[b, n, width]`. Where the table has more
    /// rows, its first ones stand before: `[b, t, width]`.
    pub fn on_positions(&self, table: &Self) -> Result<Self, GpuError> {
        let ([b, n, width], [t, own]) = (self.shape()?, table.shape()?);
        if own != width || t < n {
            return Err(GpuError::Shape(format!("{:?} on positions {:?}", self.dims(), table.dims())));
        }
        let out = Self::room(&self.gpu, &[b, t, width])?;
        let numbers = [n, t, width, out.count()].map(|n| n as u32);
        self.gpu.each(Kernel::Positions, &numbers, &[self.buffer(), table.buffer()], &out)?;
        Ok(out)
    }

    /// The rows of that number, counted through all leading dimensions: `[rows, width]`.
    pub fn pick(&self, rows: &[u32]) -> Result<Self, GpuError> {
        let (count, width) = self.rows();
        if rows.iter().any(|&row| row as usize >= count) {
            return Err(GpuError::Shape(format!("a row beyond those of {:?}", self.dims())));
        }
        let ids = self.gpu.constant(bytemuck::cast_slice(rows))?;
        let out = Self::room(&self.gpu, &[rows.len(), width])?;
        let numbers = [width as u32, out.count() as u32];
        self.gpu.each(Kernel::Pick, &numbers, &[self.buffer(), &ids], &out)?;
        Ok(out)
    }

    /// Mean (or largest number) over all pixels: `[b, h, w, c]` to `[b, c]`.
    pub fn pool(&self, largest: bool) -> Result<Self, GpuError> {
        let [b, h, w, c] = self.shape()?;
        let out = Self::room(&self.gpu, &[b, c])?;
        let numbers = [(h * w) as u32, c as u32, u32::from(largest)];
        let groups = [c.div_ceil(self.gpu.0.kernels.side as usize) as u32, b as u32, 1];
        self.gpu.record(Kernel::Pool, &numbers, &[self.buffer()], out.buffer(), groups)?;
        Ok(out)
    }

    /// Each channel of each image times its number in `by` `[b, c]`.
    pub fn scale_channels(&self, by: &Self) -> Result<Self, GpuError> {
        let [b, h, w, c] = self.shape()?;
        if by.shape()? != [b, c] {
            return Err(GpuError::Shape(format!("{:?} scaled by {:?}", self.dims(), by.dims())));
        }
        let out = Self::room(&self.gpu, self.dims())?;
        let numbers = [(h * w) as u32, c as u32, out.count() as u32];
        self.gpu.each(Kernel::Scale, &numbers, &[self.buffer(), by.buffer()], &out)?;
        Ok(out)
    }
}
