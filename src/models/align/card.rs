//! A model on a graphics card that is trusted only after a test, and given up without losing a photo.
//!
//! The CPU is the judge: before an adapter is used, its vectors of the golden photos are held
//! against the CPU tower's. Later on, memory that is full means a smaller batch; what cannot
//! be mended means the CPU, if the person left the choice to the program, and an error
//! if not. Must not know architectures.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use candle_core::Device;
use image::RgbImage;

use crate::device::{Adapter, DeviceNote, DeviceRequest};
use crate::domain::{Calibration, Embedding};
use crate::gpu::{Gpu, GpuError, Precision};
use crate::models::ModelError;
use crate::models::ops::Backend;

use super::{AlignModel, AlignSpec, Encoded, Pixels, load_on};

/// The photos of the self-test.
const GOLDEN: [&[u8]; 2] = [
    include_bytes!("../../../tests/golden/lite_align/0.webp"),
    include_bytes!("../../../tests/golden/lite_align/2.webp"),
];
/// The texts of the self-test.
const GOLDEN_TEXTS: [&str; 2] = ["a dog on a beach at sunset", "two people"];

/// Images of one submission, at most.
const LARGEST_BATCH: usize = 16;
/// A submission should not keep the card from drawing the window for longer.
const SUBMISSION: Duration = Duration::from_millis(12);

/// The smallest cosine between vectors of the same photo or text that a self-test accepts.
pub fn least_cosine(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => 0.9999,
        Precision::F16 => 0.999,
    }
}

/// The smallest cosine between what two models make of the golden photos and texts; an error
/// is a test that was not passed. At most `most` photos and as many texts: a software adapter
/// takes seconds for each.
pub fn self_test(model: &dyn AlignModel, judge: &dyn AlignModel, most: usize) -> Result<f32, ModelError> {
    let vectors = |model: &dyn AlignModel| -> Result<Vec<Embedding>, ModelError> {
        let decode = |bytes| image::load_from_memory(bytes).map(|photo| photo.to_rgb8());
        let photos: Result<Vec<RgbImage>, _> = GOLDEN.into_iter().take(most).map(decode).collect();
        let photos = photos.map_err(|error| ModelError::Picture(error.to_string()))?;
        let pixels = photos.iter().map(|photo| model.prepare(photo)).collect::<Result<Vec<_>, _>>()?;
        let images: Result<Vec<_>, _> = model.encode_images(&pixels)?.into_iter().collect();
        Ok([images?, model.encode_texts(&GOLDEN_TEXTS[..most.min(GOLDEN_TEXTS.len())])?].concat())
    };
    let (ours, theirs) = (vectors(model)?, vectors(judge)?);
    let cosines = ours.iter().zip(&theirs).map(|(a, b)| a.cosine(b).unwrap_or(f32::NEG_INFINITY));
    Ok(cosines.fold(1.0, f32::min))
}

/// Loads onto the adapter, if it passes the test; else onto the CPU if `auto` chose it.
pub(super) fn load(
    folder: &Path,
    request: DeviceRequest,
    adapter: &Adapter,
    precision: Precision,
) -> Result<Arc<dyn AlignModel>, ModelError> {
    let placed = Gpu::open(adapter, precision.on(adapter)).map_err(ModelError::from).and_then(|gpu| {
        let placed = Placed::on_card(folder, &gpu, request)?;
        // A person who names a software adapter knows what it is; testing it would take as long as the work.
        if !adapter.is_software() {
            let cosine = self_test(&placed, load_on(folder, &Device::Cpu)?.as_ref(), GOLDEN.len())?;
            let least = least_cosine(gpu.precision());
            if cosine < least || cosine.is_nan() || placed.device() != gpu.name() {
                let detail =
                    format!("its vectors differ from the CPU's (cosine {cosine:.6}, at least {least} is wanted)");
                return Err(ModelError::Device(detail));
            }
            log::info!("{}: self-test passed, cosine {cosine:.6}", adapter.name);
        }
        Ok(placed)
    });
    match placed {
        Ok(placed) => Ok(Arc::new(placed)),
        Err(error) if is_of_device(&error) => {
            let cpu = || load_on(folder, &Device::Cpu);
            let (model, note) = give_up(request, &adapter.name, &error, cpu)?;
            Ok(Arc::new(Placed::on_cpu(folder, model, Some(note))))
        }
        Err(error) => Err(error),
    }
}

/// True for errors that another device would not have.
fn is_of_device(error: &ModelError) -> bool {
    matches!(error, ModelError::Card(_) | ModelError::Device(_))
}

/// The CPU instead, if the program had the choice.
fn give_up(
    request: DeviceRequest,
    adapter: &str,
    error: &ModelError,
    cpu: impl FnOnce() -> Result<Arc<dyn AlignModel>, ModelError>,
) -> Result<(Arc<dyn AlignModel>, DeviceNote), ModelError> {
    if request != DeviceRequest::Auto {
        return Err(ModelError::Device(format!("the device `{request}` ({adapter}) cannot be had: {error}")));
    }
    let note = DeviceNote::GaveUp { adapter: adapter.to_owned(), reason: error.to_string() };
    log::warn!("{note}");
    Ok((cpu()?, note))
}

/// A model, where it runs, and what is done when it cannot go on there.
pub struct Placed {
    spec: AlignSpec,
    calibration: Option<Calibration>,
    folder: PathBuf,
    request: DeviceRequest,
    /// Images of the next submission.
    batch: AtomicUsize,
    now: Mutex<Now>,
    /// One caller at a time: what is recorded on a card belongs together.
    turn: Mutex<()>,
}

#[derive(Clone)]
struct Now {
    model: Arc<dyn AlignModel>,
    /// The card, while it is one.
    gpu: Option<Gpu>,
    note: Option<DeviceNote>,
    /// The card's device is not the first one: it was lost and opened again.
    reopened: bool,
}

impl Placed {
    /// On an open device, without a test.
    pub fn on_card(folder: &Path, gpu: &Gpu, request: DeviceRequest) -> Result<Self, ModelError> {
        let model = load_on(folder, gpu)?;
        let now = Now { model, gpu: Some(gpu.clone()), note: None, reopened: false };
        Ok(Self::new(folder, request, now))
    }

    /// On the CPU, and why it is that.
    pub fn on_cpu(folder: &Path, model: Arc<dyn AlignModel>, note: Option<DeviceNote>) -> Self {
        Self::new(folder, DeviceRequest::Auto, Now { model, gpu: None, note, reopened: false })
    }

    fn new(folder: &Path, request: DeviceRequest, now: Now) -> Self {
        Self {
            spec: now.model.spec().clone(),
            calibration: now.model.calibration().copied(),
            folder: folder.to_owned(),
            request,
            batch: AtomicUsize::new(LARGEST_BATCH / 4),
            now: Mutex::new(now),
            turn: Mutex::new(()),
        }
    }

    fn now(&self) -> Now {
        lock(&self.now).clone()
    }

    /// Encodes from `done` on, two submissions at a time: while the card computes one, the
    /// next is uploaded. `done` grows by whole submissions, so that nothing is lost with one that fails.
    fn encode_from(&self, now: &Now, batch: &[Pixels], done: &mut Encoded) -> Result<(), ModelError> {
        if now.gpu.is_none() {
            done.extend(now.model.encode_images(&batch[done.len()..])?);
            return Ok(());
        }
        let (mut next, mut flying) = (done.len(), VecDeque::new());
        let mut since = Instant::now();
        loop {
            while flying.len() < 2 && next < batch.len() {
                let n = self.batch.load(Ordering::Relaxed).clamp(1, batch.len() - next);
                flying.push_back((now.model.start_images(&batch[next..next + n])?, n));
                next += n;
            }
            let Some((started, n)) = flying.pop_front() else { return Ok(()) };
            done.extend(started()?);
            self.pace(n, since.elapsed());
            since = Instant::now();
        }
    }

    /// Chooses the next batch by how long one of `n` images took.
    fn pace(&self, n: usize, took: Duration) {
        if took > SUBMISSION {
            self.batch.store((n / 2).max(1), Ordering::Relaxed);
        } else if took < SUBMISSION / 3 {
            self.batch.store((n * 2).min(LARGEST_BATCH), Ordering::Relaxed);
        }
    }

    /// Makes it possible to go on after `error`, or says that it is not.
    fn recover(&self, now: &Now, error: ModelError) -> Result<(), ModelError> {
        let Some(gpu) = now.gpu.as_ref().filter(|_| is_of_device(&error)) else { return Err(error) };
        gpu.reset();
        let batch = self.batch.load(Ordering::Relaxed);
        let full = matches!(error, ModelError::Card(GpuError::OutOfMemory));
        if full && batch > 1 {
            log::info!("{error}; going on with {} pictures at a time instead of {batch}", batch / 2);
            self.batch.store(batch / 2, Ordering::Relaxed);
            return Ok(());
        }
        let adapter = gpu.adapter().clone();
        if !full && !now.reopened {
            log::warn!("{error}; {} is opened again", adapter.name);
            let again = Gpu::open(&adapter, gpu.precision()).map_err(ModelError::from);
            if let Ok((gpu, model)) = again.and_then(|gpu| Ok((gpu.clone(), load_on(&self.folder, &gpu)?))) {
                *lock(&self.now) = Now { model, gpu: Some(gpu), note: None, reopened: true };
                return Ok(());
            }
        }
        let (model, note) = give_up(self.request, &adapter.name, &error, || load_on(&self.folder, &Device::Cpu))?;
        *lock(&self.now) = Now { model, gpu: None, note: Some(note), reopened: false };
        Ok(())
    }

    /// Runs `work` until it succeeds or nothing more can be done about its failure.
    fn insist<T>(&self, mut work: impl FnMut(&Now) -> Result<T, ModelError>) -> Result<T, ModelError> {
        let _turn = lock(&self.turn);
        loop {
            let now = self.now();
            match work(&now) {
                Err(error) => self.recover(&now, error)?,
                done => return done,
            }
        }
    }
}

impl AlignModel for Placed {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        let model = Arc::clone(&lock(&self.now).model);
        model.prepare(photo)
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Encoded, ModelError> {
        let mut done = Vec::with_capacity(batch.len());
        self.insist(|now| self.encode_from(now, batch, &mut done))?;
        Ok(done)
    }

    /// On a card several submissions: one is uploaded while another is computed.
    fn appetite(&self) -> usize {
        let now = self.now();
        now.model.appetite() * if now.gpu.is_some() { 4 } else { 1 }
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        // Few texts a time: a submission of many would not be a short one.
        self.insist(|now| {
            let parts = texts.chunks(if now.gpu.is_some() { LARGEST_BATCH } else { texts.len().max(1) });
            let parts: Result<Vec<_>, _> = parts.map(|part| now.model.encode_texts(part)).collect();
            Ok(parts?.concat())
        })
    }

    fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    fn device(&self) -> &str {
        lock(&self.now).gpu.as_ref().map_or(Device::Cpu.name(), Backend::name)
    }

    fn device_note(&self) -> Option<DeviceNote> {
        lock(&self.now).note.clone()
    }

    fn with_card(&self, work: &mut dyn FnMut(&Gpu)) {
        let _turn = lock(&self.turn);
        if let Some(gpu) = self.now().gpu {
            work(&gpu);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
