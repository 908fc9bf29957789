//! `glimpse eval retrieval`: how far up the right picture or text stands.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use serde_json::json;

use crate::cli::args::Captioned;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::domain::Embedding;
use crate::eval::{Recall, rank_images_by_texts};
use crate::indexing::BATCH;
use crate::media;
use crate::models::align::AlignModel;

use super::Captions;

/// Texts encoded at once.
const TEXTS: usize = 64;

/// Measures an Align model in both directions.
pub fn run(session: &Session, Captioned { dataset, lang }: &Captioned, out: &mut Output) -> Result<()> {
    let Captions { images, texts, owner } = Captions::read(dataset, lang)?;
    let started = Instant::now();
    let model = session.align_or_built_in()?;
    let load_secs = started.elapsed().as_secs_f64();
    let (image_vectors, decode_secs, image_secs) = encode_images(session, model.as_ref(), &images)?;
    let started = Instant::now();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let text_vectors = encode_texts(session, model.as_ref(), &texts)?;
    let text_secs = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let ranking = rank_images_by_texts(&image_vectors, &text_vectors, &owner);
    let rank_secs = started.elapsed().as_secs_f64();

    let spec = model.spec();
    out.line(
        || {
            json!({
                "task": "retrieval", "model": spec.id, "lang": lang, "images": images.len(), "texts": texts.len(),
                "text_to_image": recall_json(&ranking.text_to_image),
                "image_to_text": recall_json(&ranking.image_to_text),
                "seconds": { "load": load_secs, "decode": decode_secs, "images": image_secs, "texts": text_secs, "rank": rank_secs },
                "device": model.device(),
            })
        },
        || {
            format!(
                "{} on {} pictures and {} texts ({lang})\n  text to image  {}\n  image to text  {}\n  seconds: load {load_secs:.2}, decode {decode_secs:.2}, \
                 images {image_secs:.2}, texts {text_secs:.2}, rank {rank_secs:.2}",
                spec.id,
                images.len(),
                texts.len(),
                recall_text(&ranking.text_to_image),
                recall_text(&ranking.image_to_text),
            )
        },
    )?;
    Ok(())
}

/// Vectors of all texts.
pub fn encode_texts(session: &Session, model: &dyn AlignModel, texts: &[&str]) -> Result<Vec<Embedding>> {
    // Texts of like length together: padding would cost half the time.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| texts[i].len());
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in order.chunks(TEXTS) {
        session.stop_if_interrupted()?;
        let said: Vec<&str> = batch.iter().map(|&i| texts[i]).collect();
        vectors.extend(batch.iter().copied().zip(model.encode_texts(&said)?));
    }
    vectors.sort_unstable_by_key(|&(i, _)| i);
    Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
}

/// Vectors of all pictures, with the seconds spent on decoding (with preparing) and in the tower.
pub fn encode_images(
    session: &Session,
    model: &dyn AlignModel,
    images: &[PathBuf],
) -> Result<(Vec<Embedding>, f64, f64)> {
    let (mut vectors, mut decode_secs, mut tower_secs) = (Vec::with_capacity(images.len()), 0.0, 0.0);
    for batch in images.chunks(BATCH) {
        session.stop_if_interrupted()?;
        let started = Instant::now();
        let pixels: Vec<_> = batch
            .par_iter()
            .map(|path| {
                let photo = media::read_photo(path, model.spec().min_side, &session.cancel)
                    .map_err(|skipped| anyhow::anyhow!("{}: {}", skipped.detail, path.display()))?;
                Ok(model.prepare(&photo.image)?)
            })
            .collect::<Result<_>>()?;
        decode_secs += started.elapsed().as_secs_f64();
        let started = Instant::now();
        for (vector, path) in model.encode_images(&pixels)?.into_iter().zip(batch) {
            vectors.push(vector.with_context(|| path.display().to_string())?);
        }
        tower_secs += started.elapsed().as_secs_f64();
    }
    Ok((vectors, decode_secs, tower_secs))
}

pub fn recall_json(recall: &Recall) -> serde_json::Value {
    json!({ "queries": recall.queries, "R@1": recall.at_1, "R@5": recall.at_5, "R@10": recall.at_10,
            "median_rank": recall.median_rank })
}

pub fn recall_text(recall: &Recall) -> String {
    format!(
        "R@1 {:.1}  R@5 {:.1}  R@10 {:.1}  median rank {}",
        recall.at_1, recall.at_5, recall.at_10, recall.median_rank
    )
}
