//! Compares a model with outputs that its reference implementation computed: a
//! model folder with an `io.safetensors` beside the weights (`in.*`, `out.*`).
//!
//! Everything is told from the folder; no size is known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{D, Device, Tensor};

use super::ModelError;
use super::align::align_model::AlignTowers;
use super::align::candle_device;
use super::align::clip::Clip;
use super::folder::ModelFolder;
use super::fuse;
use super::ops::{Activation, Backend};
use super::weights::Weights;
use crate::device::DeviceRequest;
use crate::gpu::{Gpu, Precision};
use crate::models::bert::{Bert, BertConfig, Tokens};

/// What the comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// `model_type` of the folder's configuration.
    pub family: String,
    /// Largest absolute difference of each result, by the name of its `out.*` tensor without the prefix.
    pub max_abs_diff: BTreeMap<String, f32>,
    /// False if a generated id differs; true where none is generated.
    pub ids_equal: bool,
}

/// Runs the folder's inputs on the CPU and compares with its outputs.
pub fn check(folder: &Path) -> Result<Report, ModelError> {
    check_on(folder, &Device::Cpu)
}

/// The same on the device that was asked for, and its name. `auto` comes back to the CPU where a
/// model cannot run elsewhere.
pub fn check_for(folder: &Path, request: DeviceRequest) -> Result<(Report, &'static str), ModelError> {
    let choice = request.choose().map_err(|error| ModelError::Device(error.to_string()))?;
    let result = match choice.adapter {
        Some(adapter) => Gpu::open(adapter, Precision::F32).map_err(ModelError::from).and_then(|gpu| {
            let report = check_on(folder, &gpu)?;
            Ok((report, gpu.name()))
        }),
        None => {
            let device = candle_device(choice.kind)?;
            check_on(folder, &device).map(|report| (report, device.name()))
        }
    };
    match result {
        Err(error) if request == DeviceRequest::Auto && choice.adapter.is_some() => {
            log::warn!("{error}; checked on the CPU instead");
            Ok((check(folder)?, Device::Cpu.name()))
        }
        result => result,
    }
}

/// The same on another back end; the Fuse models have the CPU only.
pub fn check_on<B: Backend>(folder: &Path, backend: &B) -> Result<Report, ModelError> {
    let model = ModelFolder::open(folder)?;
    let io = Io::open(folder)?;
    let mut report = Report { family: model.kind.clone(), max_abs_diff: BTreeMap::new(), ids_equal: true };
    match model.kind.as_str() {
        "clip" => clip(&model, &io, &mut report, backend)?,
        "align" => align(&model, &io, &mut report, backend)?,
        "bert" => bert(&model, &io, &mut report, backend)?,
        other => match fuse::Recipe::named(other) {
            Some(_) if backend.name() != Device::Cpu.name() => return Err(fuse::on_cpu_only(backend.name())),
            Some(recipe) => fuse::golden::check(&model, recipe, &io, &mut report)?,
            None => return Err(ModelError::Architecture { path: folder.to_owned(), name: other.to_owned() }),
        },
    }
    Ok(report)
}

/// The recorded inputs and outputs.
pub(super) struct Io {
    weights: Weights,
    pub(super) shapes: BTreeMap<String, Vec<usize>>,
}

/// Whole numbers and their shape.
pub(super) type Whole = (Vec<u32>, Vec<usize>);

impl Io {
    fn open(folder: &Path) -> Result<Self, ModelError> {
        let path: PathBuf = folder.join("io.safetensors");
        if !path.is_file() {
            return Err(ModelError::NotAModel {
                path: folder.to_owned(),
                detail: "the folder holds no io.safetensors to compare with".into(),
            });
        }
        let weights = Weights::open(&[path])?;
        let shapes = weights.shapes().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
        Ok(Self { weights, shapes })
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let shape = self.shapes.get(name).cloned().unwrap_or_default();
        self.weights.root().tensor(name, &shape, &Device::Cpu)
    }

    /// Ids and masks `in.<name>` as whole numbers, or `None` if absent.
    pub(super) fn whole(&self, name: &str) -> Result<Option<Whole>, ModelError> {
        self.integers(&format!("in.{name}"))
    }

    /// The same by the full name.
    pub(super) fn integers(&self, full: &str) -> Result<Option<Whole>, ModelError> {
        let Some(shape) = self.shapes.get(full) else { return Ok(None) };
        let numbers = self.weights.root().numbers(full, shape)?;
        Ok(Some((numbers.into_iter().map(|v| v as u32).collect(), shape.clone())))
    }

    pub(super) fn tokens(&self) -> Result<Tokens, ModelError> {
        let Some((ids, shape)) = self.whole("input_ids")? else {
            return Err(candle_core::Error::Msg("io.safetensors has no in.input_ids".into()).into());
        };
        let mask = self.whole("attention_mask")?.map_or_else(|| vec![1; ids.len()], |(mask, _)| mask);
        let types = self.whole("token_type_ids")?.map_or_else(Vec::new, |(types, _)| types);
        let &[batch, length] = &shape[..] else {
            return Err(candle_core::Error::Msg(format!("in.input_ids of shape {shape:?}")).into());
        };
        Ok(Tokens { ids, mask, types, batch, length })
    }
}

impl Report {
    /// Compares with `out.<name>`, if it was recorded.
    pub(super) fn compare(&mut self, io: &Io, name: &str, got: &Tensor) -> Result<(), ModelError> {
        self.compare_rows(io, name, got, |_| true)
    }

    /// The same for the rows (of the last dimension, counted through) that count.
    pub(super) fn compare_rows(
        &mut self,
        io: &Io,
        name: &str,
        got: &Tensor,
        counts: impl Fn(usize) -> bool,
    ) -> Result<(), ModelError> {
        let full = format!("out.{name}");
        if !io.shapes.contains_key(&full) {
            return Ok(());
        }
        let want = io.tensor(&full)?;
        let differ = if got.dims() == want.dims() {
            let row = got.dims().last().copied().unwrap_or(1).max(1);
            let differ = (got - want)?.abs()?.flatten_all()?.to_vec1::<f32>()?;
            let counted = differ.chunks(row).enumerate().filter(|(i, _)| counts(*i)).flat_map(|(_, row)| row);
            // A NaN counts as the largest difference.
            counted.fold(0f32, |most, d| if d.is_nan() { f32::INFINITY } else { most.max(*d) })
        } else {
            f32::INFINITY
        };
        self.max_abs_diff.insert(name.to_owned(), differ);
        Ok(())
    }

    /// Normalised features and the scores between them.
    fn compare_space(&mut self, io: &Io, image: &Tensor, text: &Tensor, scale: f64) -> Result<(), ModelError> {
        let (image, text) = (unit(image)?, unit(text)?);
        let logits = (image.matmul(&text.t()?)? * scale)?;
        self.compare(io, "image_embeds", &image)?;
        self.compare(io, "text_embeds", &text)?;
        self.compare(io, "logits_per_image", &logits)?;
        self.compare(io, "logits_per_text", &logits.t()?.contiguous()?)
    }
}

fn unit(rows: &Tensor) -> Result<Tensor, ModelError> {
    Ok(rows.broadcast_div(&rows.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?)
}

/// Brings tensors to the CPU.
fn here<B: Backend, const N: usize>(tensors: [&B::Tensor; N]) -> Result<[Tensor; N], ModelError> {
    let fetched = B::fetch(&tensors)?.wait()?;
    fetched.try_into().map_err(|_| candle_core::Error::Msg("a tensor was not fetched".into()).into())
}

fn pixels<B: Backend>(io: &Io, backend: &B) -> Result<B::Tensor, ModelError> {
    let pixels = io.tensor("in.pixel_values")?;
    backend.tensor(pixels.flatten_all()?.to_vec1()?, pixels.dims())
}

fn clip<B: Backend>(model: &ModelFolder, io: &Io, report: &mut Report, backend: &B) -> Result<(), ModelError> {
    let weights = model.weights()?;
    let clip = Clip::load(&weights.root(), model.config()?, backend)?;
    weights.finish()?;
    let image = clip.image(&pixels(io, backend)?)?;
    let tokens = io.tokens()?;
    let text = clip.text(&tokens)?;
    let all = [&image.features, &image.hidden, &text.features, &text.hidden];
    let [image, image_hidden, text, text_hidden] = here::<B, 4>(all)?;
    report.compare_space(io, &image, &text, f64::from(clip.scale()))?;
    for name in ["image_features_raw", "vision_pooler_output"] {
        report.compare(io, name, &image)?;
    }
    for name in ["text_features_raw", "text_pooler_output"] {
        report.compare(io, name, &text)?;
    }
    report.compare(io, "vision_last_hidden_state", &image_hidden)?;
    report.compare(io, "text_last_hidden_state", &text_hidden)?;
    let unmasked = Tokens { mask: vec![1; tokens.ids.len()], ..tokens };
    let [unmasked] = here::<B, 1>([&clip.text(&unmasked)?.features])?;
    report.compare(io, "text_embeds_nomask", &unit(&unmasked)?)
}

fn align<B: Backend>(model: &ModelFolder, io: &Io, report: &mut Report, backend: &B) -> Result<(), ModelError> {
    let weights = model.weights()?;
    let align = AlignTowers::load(&weights.root(), model.config()?, backend)?;
    weights.finish()?;
    let image = align.image(&pixels(io, backend)?)?;
    let (hidden, text) = align.text(&io.tokens()?)?;
    let [pooled, grid, hidden, text] = here::<B, 4>([&image.pooled, &image.grid, &hidden, &text])?;
    report.compare_space(io, &pooled, &text, 1.0 / f64::from(align.temperature()))?;
    report.compare(io, "vision_pooler_output", &pooled)?;
    report.compare(io, "vision_last_hidden_state", &grid.permute((0, 3, 1, 2))?.contiguous()?)?;
    report.compare(io, "text_last_hidden_state", &hidden)
}

fn bert<B: Backend>(model: &ModelFolder, io: &Io, report: &mut Report, backend: &B) -> Result<(), ModelError> {
    let weights = model.weights()?;
    // The oldest files have everything below `bert`.
    let root = weights.root();
    let view = if root.pp("bert").is_empty() { root } else { root.pp("bert") };
    let config: BertConfig = model.config()?;
    let width = config.hidden_size;
    let encoder = Bert::load(&view, &config, backend)?;
    let pooler = view.pp("pooler.dense").linear(width, width, Activation::Tanh, backend)?;
    weights.finish()?;
    let tokens = io.tokens()?;
    let hidden = encoder.forward(&tokens)?;
    let first: Vec<u32> = (0..tokens.batch).map(|row| (row * tokens.length) as u32).collect();
    let pooled = B::product(&pooler, &B::pick(&hidden, &first)?, None)?;
    let [hidden, pooled] = here::<B, 2>([&hidden, &pooled])?;
    report.compare(io, "last_hidden_state", &hidden)?;
    report.compare(io, "pooler_output", &pooled)?;
    let mask: Vec<f32> = tokens.mask.iter().map(|&m| m as f32).collect();
    let mask = Tensor::from_vec(mask, (tokens.batch, tokens.length, 1), &Device::Cpu)?;
    let mean = hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
    report.compare(io, "mean_pooled_normalized", &unit(&mean)?)
}
