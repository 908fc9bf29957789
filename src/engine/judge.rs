//! How well a text describes photos: scores that are known from before, else the model's.
//!
//! Reads the library, and gives back what is worth keeping. Must not write.

use crate::domain::{CancelToken, ContentHash, Photo};
use crate::models::fuse::Regions;
use crate::store::Reader;

use super::{Eyes, Failure};

/// Pairs that are judged at once.
const BATCH: usize = 20;

/// What came of judging.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// One for each photo; `None` for one that could not be looked at.
    pub scores: Vec<Option<f32>>,
    /// Those that the model gave now, to be kept ([`crate::store::Store::keep_match_scores`]).
    pub fresh: Vec<(ContentHash, f32)>,
    /// Pairs that the model judged now.
    pub judged: usize,
    /// Pairs whose score was known.
    pub known: usize,
    /// Photos that could not be looked at.
    pub unseen: usize,
}

/// How well `text` describes each photo. Ends early, with what there is, once it is cancelled.
pub fn judge(
    eyes: &Eyes,
    reader: &Reader,
    photos: &[Option<&Photo>],
    text: &str,
    cancel: &CancelToken,
) -> Result<Judgement, Failure> {
    let contents: Vec<Option<ContentHash>> = photos.iter().map(|photo| photo.and_then(|photo| photo.content)).collect();
    let text = text.trim();
    let scores = reader.match_scores(&eyes.model.spec().judge_hash, text, &contents)?;
    let mut result = Judgement { known: scores.iter().flatten().count(), scores, ..Judgement::default() };
    let unknown: Vec<usize> = (0..photos.len()).filter(|&i| result.scores[i].is_none()).collect();
    for batch in unknown.chunks(BATCH) {
        let mut seen: Vec<(usize, Regions)> = Vec::with_capacity(batch.len());
        for &place in batch {
            if cancel.is_cancelled() {
                return Ok(result);
            }
            match photos[place].map(|photo| (photo, eyes.look_quickly(photo, cancel))) {
                Some((_, Ok(picture))) => seen.push((place, picture)),
                Some((photo, Err(error))) => {
                    log::warn!("not judged: {error}: {}", photo.path.display());
                    result.unseen += 1;
                }
                None => result.unseen += 1,
            }
        }
        let pairs: Vec<(&Regions, &str)> = seen.iter().map(|(_, picture)| (picture, text)).collect();
        for (&(place, _), score) in seen.iter().zip(eyes.model.match_scores(&pairs)?) {
            result.scores[place] = Some(score);
            result.judged += 1;
            result.fresh.extend(contents[place].map(|content| (content, score)));
        }
    }
    Ok(result)
}
