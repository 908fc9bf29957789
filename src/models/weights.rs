//! Strict access to weight files: safetensors mapped into memory, or PyTorch
//! files through candle's reader (which interprets the archive and runs nothing).
//!
//! A tensor that is missing, left over, mis-shaped or not finite is an error that
//! names it. Nothing is allocated beyond what the files hold. Must not know any
//! architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::pickle::PthTensors;
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::ModelError;
use super::error::without_trace;
use super::ops::{Activation, BLOCK, Backend, Matrix, MatrixData};

/// Buffers that published files carry and no model needs.
const HARMLESS: [&str; 2] = ["position_ids", "num_batches_tracked"];

/// The tensors of one or more weight files.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Entry>,
    used: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Debug)]
struct Entry {
    shape: Vec<usize>,
    kind: Kind,
    source: Source,
}

/// How the numbers of a tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
    I64,
    /// ggml blocks of 32: a scale (f16) and 16 bytes of 4-bit numbers.
    Q4,
    /// ggml blocks of 32: a scale (f16) and 32 bytes.
    Q8,
    Other(&'static str),
}

impl Kind {
    /// Bytes of `n` numbers.
    fn bytes(self, n: usize) -> usize {
        match self {
            Self::F32 => n * 4,
            Self::F16 | Self::Bf16 => n * 2,
            Self::I64 => n * 8,
            Self::Q4 => n / BLOCK * 18,
            Self::Q8 => n / BLOCK * 34,
            Self::Other(_) => 0,
        }
    }
}

#[derive(Clone, Debug)]
enum Source {
    Mapped(Arc<Mapped>, usize, usize),
    Pth(Arc<Pth>, String),
}

#[derive(Debug)]
struct Mapped {
    path: PathBuf,
    map: Mmap,
}

struct Pth {
    path: PathBuf,
    tensors: PthTensors,
}

impl std::fmt::Debug for Pth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pth({})", self.path.display())
    }
}

impl Weights {
    /// Opens weight files whose tensors together make one model. `.bin`, `.pt`
    /// and `.pth` are PyTorch files, all others safetensors.
    pub fn open(paths: &[PathBuf]) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        for path in paths {
            let pickled = path.extension().is_some_and(|e| e == "bin" || e == "pt" || e == "pth");
            let found = if pickled { open_pth(path)? } else { open_safetensors(path)? };
            for (name, entry) in found {
                if tensors.insert(name.clone(), entry).is_some() {
                    return Err(damaged(path, format!("repeats the tensor `{name}`")));
                }
            }
        }
        Ok(Self { path: paths.first().cloned().unwrap_or_default(), tensors, used: Mutex::default() })
    }

    /// All tensors, by their full names.
    pub fn root(&self) -> View<'_> {
        View { weights: self, prefix: String::new() }
    }

    /// Names and shapes as the files hold them.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry.shape.as_slice()))
    }

    /// Fails on a tensor that nobody has asked for.
    pub fn finish(&self) -> Result<(), ModelError> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let harmless = |name: &str| HARMLESS.iter().any(|h| name.rsplit('.').next() == Some(h));
        match self.tensors.keys().find(|name| !used.contains(*name) && !harmless(name)) {
            Some(name) => Err(ModelError::SurplusTensor { path: self.path.clone(), name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Writes all tensors as one safetensors file, in the precision they have.
    pub fn save_safetensors(&self, path: &Path) -> Result<(), ModelError> {
        let mut tensors = std::collections::HashMap::new();
        for (name, entry) in &self.tensors {
            let tensor = match &entry.source {
                Source::Pth(pth, full) => pth.get(full)?,
                Source::Mapped(..) => self.root().tensor(name, &entry.shape, &Device::Cpu)?,
            };
            tensors.insert(name.clone(), tensor.contiguous()?);
        }
        Ok(candle_core::safetensors::save(&tensors, path)?)
    }
}

/// A part of the weights below a prefix.
#[derive(Clone, Debug)]
pub struct View<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl View<'_> {
    /// The part below `name`.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        Self { weights: self.weights, prefix: self.full(name) }
    }

    /// True if the tensor `name` is there.
    pub fn contains(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(&self.full(name))
    }

    /// True if any tensor is below this prefix.
    pub fn is_empty(&self) -> bool {
        let prefix = self.full("");
        !self.weights.tensors.keys().any(|name| name.starts_with(&prefix))
    }

    /// Marks a tensor that the model carries and does not need, if it is there.
    pub fn ignore(&self, name: &str) {
        self.mark(self.full(name));
    }

    /// Marks all tensors below this prefix: heads that a checkpoint carries for another purpose.
    pub fn ignore_all(&self) {
        let prefix = self.full("");
        for name in self.weights.tensors.keys().filter(|name| name.starts_with(&prefix)) {
            self.mark(name.clone());
        }
    }

    /// The shape of the tensor `name`, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.tensors.get(&self.full(name)).map(|entry| entry.shape.as_slice())
    }

    /// A tensor of f32 in the given shape.
    pub fn tensor(&self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, ModelError> {
        Ok(Tensor::from_vec(self.numbers(name, shape)?, shape, device)?)
    }

    /// A vector of `len` numbers.
    pub fn vec(&self, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
        self.numbers(name, &[len])
    }

    /// A single number, stored as a scalar or a vector of one.
    pub fn scalar(&self, name: &str) -> Result<f32, ModelError> {
        let one = self.entry(name)?.1.shape == [1];
        Ok(self.numbers(name, if one { &[1] } else { &[] })?[0])
    }

    /// All numbers of a tensor of exactly this shape, as f32.
    pub fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let count = shape.iter().product();
        Ok(self.read(name, shape, 1, count)?.to_f32())
    }

    /// A matrix `[rows, cols]` in the precision of the file.
    pub fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, ModelError> {
        self.read(name, &[rows, cols], rows, cols)
    }

    /// A tensor of `shape` as a matrix of `shape[0]` rows (convolution kernels).
    pub fn kernel(&self, name: &str, shape: &[usize]) -> Result<Matrix, ModelError> {
        self.read(name, shape, shape[0], shape[1..].iter().product())
    }

    /// `weight` `[out, in]` and `bias` `[out]` below this prefix.
    pub fn linear<B: Backend>(
        &self,
        inputs: usize,
        outputs: usize,
        act: Activation,
        backend: &B,
    ) -> Result<B::Linear, ModelError> {
        let weight = self.matrix("weight", outputs, inputs)?;
        backend.linear(&weight, Some(&self.vec("bias", outputs)?), act)
    }

    /// `weight` `[out, in]` below this prefix.
    pub fn linear_no_bias<B: Backend>(
        &self,
        inputs: usize,
        outputs: usize,
        backend: &B,
    ) -> Result<B::Linear, ModelError> {
        backend.linear(&self.matrix("weight", outputs, inputs)?, None, Activation::None)
    }

    /// `weight` and `bias` `[dim]` below this prefix; the names `gamma` and
    /// `beta` of the oldest files will do.
    pub fn layer_norm<B: Backend>(&self, dim: usize, eps: f64, backend: &B) -> Result<B::LayerNorm, ModelError> {
        let old = !self.contains("weight") && self.contains("gamma");
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        backend.layer_norm(self.vec(weight, dim)?, self.vec(bias, dim)?, eps)
    }

    /// An embedding table `[rows, cols]`, left in the file where it can be.
    pub fn table(&self, name: &str, rows: usize, cols: usize) -> Result<Table, ModelError> {
        let (full, entry) = self.entry(name)?;
        let store = match &entry.source {
            Source::Mapped(file, from, to)
                if entry.shape == [rows, cols] && finite(entry.kind, &file.map[*from..*to]) =>
            {
                release(&file.map, *from, *to);
                Rows::Mapped(Arc::clone(file), *from, *to, entry.kind)
            }
            // Not mapped, or not as it should be: then this says what is wrong.
            _ => Rows::Owned(self.read(name, &[rows, cols], rows, cols)?),
        };
        Ok(Table { name: full, rows, cols, store })
    }

    fn full(&self, name: impl Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }

    fn mark(&self, full: String) {
        self.weights.used.lock().unwrap_or_else(PoisonError::into_inner).insert(full);
    }

    fn entry(&self, name: &str) -> Result<(String, Entry), ModelError> {
        let full = self.full(name);
        match self.weights.tensors.get(&full) {
            Some(entry) => {
                self.mark(full.clone());
                Ok((full, entry.clone()))
            }
            None => Err(ModelError::MissingTensor { path: self.weights.path.clone(), name: full }),
        }
    }

    fn read(&self, name: &str, shape: &[usize], rows: usize, cols: usize) -> Result<Matrix, ModelError> {
        let (full, entry) = self.entry(name)?;
        let path = entry.source.path().to_owned();
        if entry.shape != shape {
            return Err(ModelError::TensorShape { path, name: full, found: entry.shape, expected: shape.to_vec() });
        }
        let data = match &entry.source {
            Source::Mapped(file, from, to) => {
                let data = numbers(entry.kind, &file.map[*from..*to]);
                release(&file.map, *from, *to);
                data
            }
            Source::Pth(pth, stored) => Some(pth_numbers(&pth.get(stored)?)?),
        };
        let Some(data) = data else {
            return Err(damaged(&path, format!("holds the tensor `{full}` in a number format that is not supported")));
        };
        let finite = match &data {
            MatrixData::F32(v) => v.iter().all(|x| x.is_finite()),
            MatrixData::F16(v) => v.iter().all(|x| x.is_finite()),
            MatrixData::Bf16(v) => v.iter().all(|x| x.is_finite()),
            MatrixData::I8 { scale, .. } => scale.iter().all(|x| x.is_finite()),
        };
        if !finite {
            return Err(ModelError::NotFinite { path, name: full });
        }
        Ok(Matrix { rows, cols, data })
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Mapped(file, ..) => &file.path,
            Self::Pth(pth, _) => &pth.path,
        }
    }
}

/// An embedding table whose rows are expanded when they are looked up.
#[derive(Debug)]
pub struct Table {
    name: String,
    rows: usize,
    cols: usize,
    store: Rows,
}

#[derive(Debug)]
enum Rows {
    Mapped(Arc<Mapped>, usize, usize, Kind),
    Owned(Matrix),
}

impl Table {
    /// Rows: the size of the vocabulary.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Appends the rows `ids` to `out`; an id beyond the table is an error.
    pub fn lookup(&self, ids: &[u32], out: &mut Vec<f32>) -> Result<(), ModelError> {
        out.reserve(ids.len() * self.cols);
        for &id in ids {
            let row = id as usize;
            if row >= self.rows {
                return Err(candle_core::Error::Msg(format!(
                    "id {id} beyond the {} rows of `{}`",
                    self.rows, self.name
                ))
                .into());
            }
            match &self.store {
                Rows::Mapped(file, from, to, kind) => {
                    let bytes = kind.bytes(self.cols);
                    let all = &file.map[*from..*to];
                    if let Some(data) = numbers(*kind, &all[row * bytes..(row + 1) * bytes]) {
                        out.extend(Matrix { rows: 1, cols: self.cols, data }.to_f32());
                    }
                }
                Rows::Owned(matrix) => {
                    let range = row * self.cols..(row + 1) * self.cols;
                    match &matrix.data {
                        MatrixData::F32(v) => out.extend(&v[range]),
                        MatrixData::F16(v) => out.extend(v[range].iter().map(|x| x.to_f32())),
                        MatrixData::Bf16(v) => out.extend(v[range].iter().map(|x| x.to_f32())),
                        MatrixData::I8 { q, scale } => out.extend(range.map(|i| f32::from(q[i]) * scale[i / BLOCK])),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Little-endian numbers of a file; `None` for a format that weights do not come in.
fn numbers(kind: Kind, bytes: &[u8]) -> Option<MatrixData> {
    let scale = |block: &[u8]| f16::from_le_bytes([block[0], block[1]]).to_f32();
    Some(match kind {
        Kind::F32 => MatrixData::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Kind::F16 => MatrixData::F16(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b)).collect()),
        Kind::Bf16 => MatrixData::Bf16(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b)).collect()),
        Kind::I64 => MatrixData::F32(bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect()),
        Kind::Q4 => {
            let mut q = Vec::with_capacity(bytes.len() / 18 * BLOCK);
            for block in bytes.chunks_exact(18) {
                q.extend(block[2..].iter().map(|b| (b & 15) as i8 - 8));
                q.extend(block[2..].iter().map(|b| (b >> 4) as i8 - 8));
            }
            MatrixData::I8 { q, scale: bytes.chunks_exact(18).map(scale).collect() }
        }
        Kind::Q8 => {
            let q = bytes.chunks_exact(34).flat_map(|block| block[2..].iter().map(|&b| b as i8)).collect();
            MatrixData::I8 { q, scale: bytes.chunks_exact(34).map(scale).collect() }
        }
        Kind::Other(_) => return None,
    })
}

/// True for numbers of a kind that tables come in, all of them finite: a NaN is
/// found at load, not in somebody's query.
fn finite(kind: Kind, bytes: &[u8]) -> bool {
    let scales = |block: usize| bytes.chunks_exact(block).all(|b| f16::from_le_bytes([b[0], b[1]]).is_finite());
    match kind {
        Kind::F32 => bytes.as_chunks().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()),
        Kind::F16 => bytes.as_chunks().0.iter().all(|b| f16::from_le_bytes(*b).is_finite()),
        Kind::Bf16 => bytes.as_chunks().0.iter().all(|b| bf16::from_le_bytes(*b).is_finite()),
        Kind::Q4 => scales(18),
        Kind::Q8 => scales(34),
        Kind::I64 | Kind::Other(_) => false,
    }
}

/// Gives the pages of a tensor that has been copied back to the system: without
/// this a checkpoint counts twice while it loads.
#[cfg(unix)]
#[allow(unsafe_code, reason = "memmap2 has no safe call for it")]
fn release(map: &Mmap, from: usize, to: usize) {
    if to - from > 1 << 20 {
        // SAFETY: the map is private and read-only: a page dropped is read from the file again when it is next touched.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, to - from) };
    }
}

#[cfg(not(unix))]
fn release(_: &Mmap, _: usize, _: usize) {}

fn damaged(path: &Path, detail: impl Into<String>) -> ModelError {
    ModelError::Damaged { path: path.to_owned(), detail: detail.into() }
}

/// What a file is that should hold weights, judged by its first bytes; `None` if it may well hold them.
pub(super) fn impostor(head: &[u8]) -> Option<&'static str> {
    let text = head.trim_ascii_start();
    if head.is_empty() {
        Some("is empty")
    } else if head.starts_with(b"version https://git-lfs") {
        Some(
            "is a Git LFS pointer and not the weights themselves: fetch them with `git lfs pull`, or download the file again",
        )
    } else if text.starts_with(b"<!") || text.get(..5).is_some_and(|t| t.eq_ignore_ascii_case(b"<html")) {
        Some("is a web page and not weights: the download went wrong")
    } else {
        None
    }
}

fn map(path: &Path) -> Result<Mmap, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Err(damaged(path, "is empty"));
    }
    #[allow(unsafe_code, reason = "reading 60 MB to 1.7 GB before the first search would cost seconds")]
    // SAFETY: the map is read-only; packs are replaced by renaming, never written in place.
    unsafe { Mmap::map(&file) }.map_err(io)
}

fn open_safetensors(path: &Path) -> Result<Vec<(String, Entry)>, ModelError> {
    let map = map(path)?;
    if let Some(what) = impostor(&map[..map.len().min(64)]) {
        return Err(damaged(path, what));
    }
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| damaged(path, sentence(&e)))?;
    let notes = metadata.metadata().clone().unwrap_or_default();
    let start = header + 8;
    let infos: Vec<_> = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
    let file = Arc::new(Mapped { path: path.to_owned(), map });
    let mut found = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let (from, to) = (start + info.data_offsets.0, start + info.data_offsets.1);
        let plain = match info.dtype {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::I64 => Kind::I64,
            _ => Kind::Other("other"),
        };
        let (kind, shape) = match notes.get(&name) {
            Some(note) if info.dtype == Dtype::U8 => quantised(note, to - from).ok_or_else(|| {
                damaged(path, format!("describes the tensor `{name}` as `{note}`, which does not fit its size"))
            })?,
            _ => (plain, info.shape),
        };
        found.push((name, Entry { shape, kind, source: Source::Mapped(Arc::clone(&file), from, to) }));
    }
    Ok(found)
}

/// `q4_0 rows cols` or `q8_0 rows cols`, where that takes `bytes` bytes.
fn quantised(note: &str, bytes: usize) -> Option<(Kind, Vec<usize>)> {
    let mut words = note.split_whitespace();
    let kind = match words.next()? {
        "q4_0" => Kind::Q4,
        "q8_0" => Kind::Q8,
        _ => return None,
    };
    let (rows, cols): (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = cols.is_multiple_of(BLOCK) && rows.checked_mul(cols).is_some_and(|n| kind.bytes(n) == bytes);
    (fits && words.next().is_none()).then(|| (kind, vec![rows, cols]))
}

fn sentence(e: &SafeTensorError) -> String {
    match e {
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength | SafeTensorError::HeaderTooSmall => {
            "declares a header that does not fit the file: it is damaged, or no safetensors file".into()
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            "does not have the size that its header declares: it was cut off or has bytes added, so download it again"
                .into()
        }
        e => format!("has a header that cannot be read ({e}): it is damaged, or no safetensors file"),
    }
}

fn open_pth(path: &Path) -> Result<Vec<(String, Entry)>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut head = [0; 64];
    let n = file.read(&mut head).map_err(io)?;
    if let Some(what) = impostor(&head[..n]) {
        return Err(damaged(path, what));
    }
    if !head.starts_with(b"PK") {
        return Err(damaged(
            path,
            "is in PyTorch's format from before 2020, which is not supported: save it again with a current PyTorch, or as safetensors",
        ));
    }
    let unreadable = |e| damaged(path, format!("cannot be read as a PyTorch archive ({})", without_trace(e)));
    let tensors = PthTensors::new(path, None).map_err(unreadable)?;
    let pth = Arc::new(Pth { path: path.to_owned(), tensors });
    let mut found = Vec::new();
    for (name, info) in pth.tensors.tensor_infos() {
        let bytes = info.layout.dims().iter().try_fold(info.dtype.size_in_bytes(), |n, &d| n.checked_mul(d));
        // Candle would allocate what is declared, and takes an offset in numbers for one in bytes.
        if bytes.is_none_or(|b| b as u64 > size) || info.layout.start_offset() != 0 {
            return Err(damaged(path, format!("declares the tensor `{name}` in a way that cannot be read")));
        }
        let kind = match info.dtype {
            DType::F32 => Kind::F32,
            DType::F16 => Kind::F16,
            DType::BF16 => Kind::Bf16,
            DType::I64 => Kind::I64,
            _ => Kind::Other("other"),
        };
        let shape = info.layout.dims().to_vec();
        found.push((name.clone(), Entry { shape, kind, source: Source::Pth(Arc::clone(&pth), name.clone()) }));
    }
    Ok(found)
}

impl Pth {
    fn get(&self, name: &str) -> Result<Tensor, ModelError> {
        match self.tensors.get(name) {
            Ok(Some(tensor)) => Ok(tensor),
            Ok(None) => Err(ModelError::MissingTensor { path: self.path.clone(), name: name.to_owned() }),
            Err(e) => Err(damaged(&self.path, format!("cannot be read at the tensor `{name}` ({})", without_trace(e)))),
        }
    }
}

fn pth_numbers(tensor: &Tensor) -> Result<MatrixData, ModelError> {
    let flat = tensor.contiguous()?.flatten_all()?;
    Ok(match flat.dtype() {
        DType::F16 => MatrixData::F16(flat.to_vec1()?),
        DType::BF16 => MatrixData::Bf16(flat.to_vec1()?),
        _ => MatrixData::F32(flat.to_dtype(DType::F32)?.to_vec1()?),
    })
}
