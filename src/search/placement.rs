//! Where scans run: on the processor, until the model's graphics card has been measured to be faster.
//!
//! Must not know queries or libraries.

use std::time::{Duration, Instant};

use super::index::{CardError, CardRows, FlatIndex, IndexError, VectorIndex as _};
use crate::domain::{CancelToken, Embedding, Hit};
use crate::models::align::AlignModel;

/// Fewer vectors are scanned in less time than an answer of the card takes to come back.
const WORTHWHILE: usize = 20_000;
/// The card must take less than this share of the processor's time.
const CLEARLY: f64 = 0.8;
/// Scans that are timed on either side; the fastest counts.
const ROUNDS: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Placement {
    /// The rows on the card, if scans are faster there.
    card: Option<CardRows>,
    /// The query of the last whole scan, and what the index was then.
    last: Option<(Embedding, usize, u64)>,
    /// The state of the index that was last measured.
    measured: Option<u64>,
}

impl Placement {
    /// As [`VectorIndex::search`](super::VectorIndex::search) without a filter, wherever it is faster.
    pub fn search(
        &mut self,
        model: &dyn AlignModel,
        index: &FlatIndex,
        query: &Embedding,
        limit: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Hit>, IndexError> {
        self.last = Some((query.clone(), limit, index.generation()));
        if let Some(rows) = self.card.as_ref().filter(|rows| rows.is_current(index)) {
            let mut found = None;
            model.with_card(&mut |_| found = Some(rows.search(index, query, limit, cancel)));
            match found {
                Some(Ok(hits)) => return Ok(hits),
                Some(Err(CardError::Index(error))) => return Err(error),
                Some(Err(CardError::Gpu(error))) => {
                    log::warn!("searching on the graphics card: {error}; the processor goes on");
                    self.card = None;
                }
                // The model has left the card.
                None => self.card = None,
            }
        }
        index.search(query, limit, None, cancel)
    }

    /// Whether the next scan of this index is the card's.
    pub fn is_on_card(&self, index: &FlatIndex) -> bool {
        self.card.as_ref().is_some_and(|rows| rows.is_current(index))
    }

    /// Uploads an index that rests (it is what it was at the last scan), and keeps it there if that pays.
    pub fn settle(&mut self, model: &dyn AlignModel, index: &FlatIndex) {
        let Some((query, limit, generation)) = self.last.clone() else { return };
        let rests = generation == index.generation() && self.measured != Some(generation);
        if !rests || index.len() < WORTHWHILE {
            return;
        }
        // Two copies at once might not fit.
        self.card = None;
        model.with_card(&mut |gpu| {
            self.measured = Some(generation);
            self.card = CardRows::of(index, gpu)
                .map_err(CardError::from)
                .and_then(|rows| Ok(faster(&rows, index, &query, limit)?.then_some(rows)))
                .unwrap_or_else(|error| {
                    log::info!("the processor goes on searching: {error}");
                    // A full card is no reason to give up the model on it.
                    gpu.reset();
                    None
                });
        });
    }
}

/// Times both sides with the same query.
fn faster(rows: &CardRows, index: &FlatIndex, query: &Embedding, limit: usize) -> Result<bool, CardError> {
    let never = CancelToken::never();
    // The first scan also compiles the kernel.
    rows.search(index, query, limit, &never)?;
    let card = fastest(|| rows.search(index, query, limit, &never).map(drop))?;
    let processor = fastest(|| Ok(index.search(query, limit, None, &never).map(drop)?))?;
    let pays = card.as_secs_f64() < CLEARLY * processor.as_secs_f64();
    log::info!(
        "a scan of {} vectors takes {card:.1?} on the graphics card, {processor:.1?} on the processor",
        index.len()
    );
    Ok(pays)
}

fn fastest(mut scan: impl FnMut() -> Result<(), CardError>) -> Result<Duration, CardError> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        scan()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::adapters;
    use crate::domain::PhotoId;
    use crate::gpu::{Gpu, Precision};
    use crate::models::ModelError;
    use crate::models::align::{AlignSpec, Encoded, Pixels, StubAlign};

    /// The stub with a card beside it.
    struct OnCard(StubAlign, Gpu);

    impl AlignModel for OnCard {
        fn spec(&self) -> &AlignSpec {
            self.0.spec()
        }

        fn prepare(&self, photo: &image::RgbImage) -> Result<Pixels, ModelError> {
            self.0.prepare(photo)
        }

        fn encode_images(&self, batch: &[Pixels]) -> Result<Encoded, ModelError> {
            self.0.encode_images(batch)
        }

        fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
            self.0.encode_texts(texts)
        }

        fn device(&self) -> &str {
            "wgpu"
        }

        fn with_card(&self, work: &mut dyn FnMut(&Gpu)) {
            work(&self.1);
        }
    }

    fn index(count: usize) -> FlatIndex {
        let mut index = FlatIndex::new(32);
        for i in 0..count {
            let numbers = (0..32).map(|k| ((i * 31 + k * 17) % 101) as f32 - 50.0).collect();
            index.insert(PhotoId(i as i64), &Embedding::new(numbers).unwrap()).unwrap();
        }
        index
    }

    #[test]
    fn a_card_that_is_lost_or_behind_costs_nothing() {
        let Some(adapter) = adapters().first() else {
            eprintln!("skipped: no Vulkan, Metal or DirectX 12 adapter");
            return;
        };
        let gpu = Gpu::open(adapter, Precision::F32).unwrap();
        let model = OnCard(StubAlign::default(), gpu.clone());
        let (mut index, never) = (index(3000), CancelToken::never());
        let query = Embedding::new((0..32).map(|k| k as f32 - 9.5).collect()).unwrap();
        let alone = index.search(&query, 50, None, &never).unwrap();
        let mut placement = Placement { card: Some(CardRows::of(&index, &gpu).unwrap()), ..Placement::default() };
        assert!(placement.is_on_card(&index));
        assert_eq!(placement.search(&model, &index, &query, 50, &never).unwrap(), alone);
        // The index has moved on.
        index.remove(alone[0].photo);
        assert!(!placement.is_on_card(&index));
        assert_eq!(placement.search(&model, &index, &query, 49, &never).unwrap(), alone[1..]);
        // Small ones are not worth the way to the card.
        placement.settle(&model, &index);
        assert!(placement.measured.is_none());

        let rows = CardRows::of(&index, &gpu).unwrap();
        placement.card = Some(rows);
        gpu.lose();
        assert_eq!(placement.search(&model, &index, &query, 49, &never).unwrap(), alone[1..]);
        assert!(placement.card.is_none());
    }

    #[test]
    fn a_large_index_at_rest_is_measured_once() {
        let Some(adapter) = adapters().first() else { return };
        let gpu = Gpu::open(adapter, Precision::F32).unwrap();
        let (model, never) = (OnCard(StubAlign::default(), gpu), CancelToken::never());
        let (mut index, mut placement) = (index(WORTHWHILE), Placement::default());
        let query = Embedding::new((0..32).map(|k| k as f32 - 9.5).collect()).unwrap();
        placement.settle(&model, &index);
        assert!(placement.measured.is_none(), "nothing was searched yet");
        let alone = placement.search(&model, &index, &query, 9, &never).unwrap();
        placement.settle(&model, &index);
        assert_eq!(placement.measured, Some(index.generation()));
        // Wherever it is now, the answer is the same.
        assert_eq!(placement.search(&model, &index, &query, 9, &never).unwrap(), alone);
        index.remove(alone[3].photo);
        placement.settle(&model, &index);
        assert_ne!(placement.measured, Some(index.generation()), "it has changed since the last search");
    }
}
