//! Exact search: every vector is looked at, as one f16 matrix in memory.

use std::collections::HashMap;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use super::dot::{Kernel, LANES};
use super::topk::TopK;
use super::{Filter, IndexError, VectorIndex};
use crate::domain::{CancelToken, Embedding, Hit, PhotoId};

/// Rows that one task scans between two looks at the cancel token: about 0.2 ms.
const BLOCK: usize = 1024;

/// Rows side by side; removing moves the last row into the gap, so nothing is ever scanned anew.
#[derive(Debug)]
pub struct FlatIndex {
    dim: usize,
    /// `dim`, rounded up; the rest of a row is zero.
    stride: usize,
    rows: Vec<f16>,
    ids: Vec<PhotoId>,
    place: HashMap<PhotoId, usize>,
    kernel: Kernel,
    /// Grows with every change.
    generation: u64,
}

impl FlatIndex {
    /// An empty index of vectors of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self::with_kernel(dim, Kernel::detect())
    }

    /// As [`FlatIndex::new`] with a kernel of one's choice; tests and benches compare them.
    /// One that does not run on this processor is replaced by the portable one.
    pub fn with_kernel(dim: usize, kernel: Kernel) -> Self {
        let kernel = if Kernel::all().any(|k| k == kernel) { kernel } else { Kernel::Portable };
        let stride = dim.next_multiple_of(LANES);
        Self { dim, stride, rows: Vec::new(), ids: Vec::new(), place: HashMap::new(), kernel, generation: 0 }
    }

    /// Makes room for `more` vectors in one piece.
    pub fn reserve(&mut self, more: usize) {
        self.rows.reserve_exact(more * self.stride);
        self.ids.reserve(more);
        self.place.reserve(more);
    }

    /// Adds or replaces a vector that is half precision already, as the library stores it.
    pub fn insert_f16(&mut self, photo: PhotoId, vector: &[f16]) -> Result<(), IndexError> {
        self.row(photo, vector.len())?.copy_from_slice(vector);
        Ok(())
    }

    /// The photos held, in no particular order.
    pub fn photos(&self) -> &[PhotoId] {
        &self.ids
    }

    /// Whether a photo has a vector here.
    pub fn contains(&self, photo: PhotoId) -> bool {
        self.place.contains_key(&photo)
    }

    /// All rows, each of [`FlatIndex::stride`] numbers.
    pub(super) fn halves(&self) -> &[f16] {
        &self.rows
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Another number after every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A query as long as a row.
    pub(super) fn padded(&self, query: &Embedding) -> Result<Vec<f32>, IndexError> {
        if query.dim() != self.dim {
            return Err(IndexError::Dimension { expected: self.dim, found: query.dim() });
        }
        let mut padded = query.as_slice().to_vec();
        padded.resize(self.stride, 0.0);
        Ok(padded)
    }

    /// The best of the rows at these places.
    pub(super) fn best_of(&self, places: &[usize], padded: &[f32], limit: usize) -> Vec<Hit> {
        let mut top = TopK::new(limit);
        for &place in places {
            let row = &self.rows[place * self.stride..(place + 1) * self.stride];
            let mut score = [0.0];
            self.kernel.dots(row, padded, &mut score);
            top.push(Hit { photo: self.ids[place], score: cosine(score[0]) });
        }
        top.into_ranked()
    }

    /// The `dim` numbers of a photo's row, which is made if need be.
    fn row(&mut self, photo: PhotoId, found: usize) -> Result<&mut [f16], IndexError> {
        if found != self.dim {
            return Err(IndexError::Dimension { expected: self.dim, found });
        }
        self.generation += 1;
        let place = *self.place.entry(photo).or_insert_with(|| {
            self.ids.push(photo);
            self.rows.resize(self.ids.len() * self.stride, f16::ZERO);
            self.ids.len() - 1
        });
        let start = place * self.stride;
        Ok(&mut self.rows[start..start + self.dim])
    }
}

impl VectorIndex for FlatIndex {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn insert(&mut self, photo: PhotoId, embedding: &Embedding) -> Result<(), IndexError> {
        self.row(photo, embedding.dim())?.convert_from_f32_slice(embedding.as_slice());
        Ok(())
    }

    fn remove(&mut self, photo: PhotoId) {
        let Some(place) = self.place.remove(&photo) else { return };
        self.generation += 1;
        self.ids.swap_remove(place);
        let last = self.ids.len();
        if let Some(moved) = self.ids.get(place) {
            self.place.insert(*moved, place);
            self.rows.copy_within(last * self.stride.., place * self.stride);
        }
        self.rows.truncate(last * self.stride);
    }

    fn search(
        &self,
        query: &Embedding,
        limit: usize,
        keep: Option<Filter<'_>>,
        cancel: &CancelToken,
    ) -> Result<Vec<Hit>, IndexError> {
        let padded = self.padded(query)?;
        let scan = |mut top: TopK, (ids, rows): (&[PhotoId], &[f16])| {
            if cancel.is_cancelled() {
                return None;
            }
            let mut scores = [0.0; BLOCK];
            let scores = &mut scores[..ids.len()];
            self.kernel.dots(rows, &padded, scores);
            for (&photo, &score) in ids.iter().zip(&*scores) {
                let score = cosine(score);
                // The filter last: most rows never come so far.
                if top.may_enter(score) && keep.is_none_or(|keep| keep(photo)) {
                    top.push(Hit { photo, score });
                }
            }
            Some(top)
        };
        self.ids
            .par_chunks(BLOCK)
            .zip(self.rows.par_chunks(BLOCK * self.stride.max(1)))
            .try_fold(|| TopK::new(limit), scan)
            .try_reduce(|| TopK::new(limit), |a, b| Some(a.merge(b)))
            .map(TopK::into_ranked)
            .ok_or(IndexError::Cancelled)
    }
}

/// Half precision makes some unit vectors a little longer than 1.
fn cosine(score: f32) -> f32 {
    score.clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CancelSource;
    use proptest::prelude::*;

    fn unit(dim: usize, seed: u64) -> Embedding {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let numbers = (0..dim)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % 2001) as f32 / 1000.0 - 1.0 + 1e-3
            })
            .collect();
        Embedding::new(numbers).unwrap()
    }

    /// Half precision costs the naive cosine about this much.
    const TOLERANCE: f32 = 2e-3;

    #[test]
    fn finds_itself_and_counts_everything() {
        let mut index = FlatIndex::new(70);
        for i in 0..3000 {
            index.insert(PhotoId(i), &unit(70, i as u64)).unwrap();
        }
        let hits = index.search(&unit(70, 1234), 5000, None, &CancelToken::never()).unwrap();
        assert_eq!(hits.len(), 3000);
        assert_eq!(hits[0].photo, PhotoId(1234));
        assert!((hits[0].score - 1.0).abs() < TOLERANCE);
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
        assert!(index.search(&unit(70, 1), 0, None, &CancelToken::never()).unwrap().is_empty());
    }

    #[test]
    fn a_cosine_stays_a_cosine() {
        let mut index = FlatIndex::new(256);
        for i in 0..200 {
            let vector = unit(256, i as u64);
            index.insert(PhotoId(i), &vector).unwrap();
            let opposite = Embedding::new(vector.as_slice().iter().map(|v| -v).collect()).unwrap();
            index.insert(PhotoId(1000 + i), &opposite).unwrap();
        }
        for i in 0..200 {
            let hits = index.search(&unit(256, i), 400, None, &CancelToken::never()).unwrap();
            assert!(hits.iter().all(|hit| (-1.0..=1.0).contains(&hit.score)), "{:?}", hits[0]);
            assert_eq!(hits[0].photo, PhotoId(i as i64));
        }
    }

    #[test]
    fn ties_by_id_whatever_the_order() {
        let same = unit(8, 3);
        let mut index = FlatIndex::new(8);
        for i in [5, 3, 9, 1, 7] {
            index.insert(PhotoId(i), &same).unwrap();
        }
        let hits = index.search(&same, 3, None, &CancelToken::never()).unwrap();
        assert_eq!(hits.iter().map(|h| h.photo.0).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn the_filter_does_not_eat_the_limit() {
        let mut index = FlatIndex::new(16);
        for i in 0..100 {
            index.insert(PhotoId(i), &unit(16, i as u64)).unwrap();
        }
        let even = |photo: PhotoId| photo.0 % 2 == 0;
        let hits = index.search(&unit(16, 7), 50, Some(&even), &CancelToken::never()).unwrap();
        assert_eq!(hits.len(), 50);
        assert!(hits.iter().all(|h| even(h.photo)));
    }

    #[test]
    fn spaces_do_not_mix_and_cancelling_ends_it() {
        let mut index = FlatIndex::new(16);
        let wrong = IndexError::Dimension { expected: 16, found: 8 };
        assert_eq!(index.insert(PhotoId(1), &unit(8, 1)), Err(wrong));
        assert!(index.is_empty());
        index.insert(PhotoId(1), &unit(16, 1)).unwrap();
        assert!(index.search(&unit(8, 1), 1, None, &CancelToken::never()).is_err());
        let source = CancelSource::default();
        let old = source.restart();
        source.restart();
        assert_eq!(index.search(&unit(16, 1), 1, None, &old), Err(IndexError::Cancelled));
    }

    proptest! {
        #[test]
        fn equals_a_naive_search_through_inserts_and_removals(
            steps in prop::collection::vec((0i64..40, prop::option::weighted(0.7, 0u64..1000)), 0..120),
            dim in 1usize..70,
            limit in 0usize..50,
        ) {
            let mut index = FlatIndex::new(dim);
            let mut naive = std::collections::BTreeMap::new();
            for (id, seed) in steps {
                match seed {
                    Some(seed) => {
                        index.insert(PhotoId(id), &unit(dim, seed)).unwrap();
                        naive.insert(id, unit(dim, seed));
                    }
                    None => {
                        index.remove(PhotoId(id));
                        naive.remove(&id);
                    }
                }
            }
            prop_assert_eq!(index.len(), naive.len());
            let query = unit(dim, 77);
            let hits = index.search(&query, limit, None, &CancelToken::never()).unwrap();
            let mut best: Vec<f32> = naive.values().map(|e| e.cosine(&query).unwrap()).collect();
            best.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(hits.len(), limit.min(naive.len()));
            for (hit, best) in hits.iter().zip(best) {
                prop_assert!((hit.score - best).abs() < TOLERANCE);
                prop_assert!((hit.score - naive[&hit.photo.0].cosine(&query).unwrap()).abs() < TOLERANCE);
            }
        }
    }
}
