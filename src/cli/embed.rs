//! `glimpse embed`: vectors on stdout. Needs no library and stores nothing.

use anyhow::Result;
use serde_json::{Value, json};

use crate::domain::Embedding;
use crate::gpu::Precision;
use crate::media;
use crate::models::align::AlignModel;

use super::Done;
use super::args::Embed;
use super::output::{Output, absolute, path_fields};
use super::session::Session;

/// Prints one line for each input, in order, also for those that failed.
pub fn embed(session: &Session, what: &Embed, out: &mut Output) -> Result<Done> {
    // Whoever prints vectors compares them.
    let model = session.align_in(Precision::F32)?;
    let mut complete = true;
    match what {
        Embed::Text { texts } => {
            for text in texts {
                let input = json!({ "input": text });
                let result = if text.trim().is_empty() {
                    Err("the text is blank".to_owned())
                } else {
                    model
                        .encode_texts(&[text])
                        .map_err(|error| error.to_string())
                        .and_then(|mut vectors| vectors.pop().ok_or_else(|| "the model gave no vector".to_owned()))
                };
                complete &= result.is_ok();
                print(input, text, result, model.device(), out)?;
            }
        }
        Embed::Image { images } => {
            for image in images {
                let path = absolute(image);
                let mut fields = path_fields("input", &path);
                if let Some(bytes) = fields.remove("path_bytes") {
                    fields.insert("input_bytes".into(), bytes);
                }
                let result = embed_image(session, model.as_ref(), &path);
                complete &= result.is_ok();
                print(Value::Object(fields), &path.to_string_lossy(), result, model.device(), out)?;
            }
        }
    }
    Ok(Done::from(complete))
}

fn embed_image(session: &Session, model: &dyn AlignModel, path: &std::path::Path) -> Result<Embedding, String> {
    let photo = media::read_photo(path, model.spec().min_side, &session.cancel).map_err(|skipped| skipped.detail)?;
    let pixels = model.prepare(&photo.image).map_err(|error| error.to_string())?;
    let mut vectors = model.encode_images(&[pixels]).map_err(|error| error.to_string())?;
    let vector = vectors.pop().ok_or("the model gave no vector")?;
    vector.map_err(|error| error.to_string())
}

fn print(input: Value, shown: &str, result: Result<Embedding, String>, device: &str, out: &mut Output) -> Result<()> {
    let mut value = input;
    match result {
        Ok(vector) => {
            value["dim"] = json!(vector.dim());
            value["vector"] = json!(vector.as_slice());
            value["device"] = json!(device);
            let numbers: Vec<String> = vector.as_slice().iter().map(|v| format!("{v:.6}")).collect();
            out.line(|| value, || format!("{shown}\n{}", numbers.join(" ")))?;
        }
        Err(error) => {
            log::error!("{error}: {shown}");
            value["error"] = json!(error);
            out.line(|| value, || format!("{shown}\n({error})"))?;
        }
    }
    Ok(())
}
