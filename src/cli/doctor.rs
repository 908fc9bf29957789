//! `glimpse doctor`: what the program finds on this machine, for people who report a fault.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::device::{Adapter, DeviceRequest, adapters};
use crate::gpu::{Gpu, Precision};
use crate::models::ModelError;
use crate::models::align;
use crate::store::StoreError;

use super::Done;
use super::output::Output;
use super::session::Session;

/// One line a check; partly done if any failed.
pub fn doctor(session: &Session, out: &mut Output) -> Result<Done> {
    let mut complete = true;
    let mut say = |check: &str, result: Result<Value, String>| {
        let ok = result.is_ok();
        complete &= ok;
        let value = result.unwrap_or_else(Value::String);
        out.line(
            || json!({ "check": check, "ok": ok, "found": value }),
            || {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{} {check:<14} {shown}", if ok { "ok  " } else { "BAD " })
            },
        )
    };
    say("version", Ok(json!(env!("CARGO_PKG_VERSION"))))?;
    say("system", Ok(json!(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))))?;
    say("cores", Ok(json!(std::thread::available_parallelism().map_or(0, usize::from))))?;
    say("data", Ok(json!(session.paths.data.to_string_lossy())))?;
    say("cache", Ok(json!(session.paths.cache.to_string_lossy())))?;
    for asset in ["models/lite-align", "samples"] {
        let found = session.paths.asset(asset).map(|path| json!(path.to_string_lossy()));
        say(asset, found.ok_or_else(|| "not found beside the program; set GLIMPSE_ASSETS".to_owned()))?;
    }
    say("adapters", Ok(json!(adapters().len())))?;
    for (i, adapter) in adapters().iter().enumerate() {
        say(&format!("adapter {i}"), Ok(json!(adapter.to_string())))?;
    }
    for request in DeviceRequest::ALL {
        // Devices that this version never uses are no fault.
        let found = match request.choose() {
            Ok(choice) => match (choice.adapter, choice.note) {
                (Some(adapter), _) => format!("{}: {}", choice.kind.name(), adapter.name),
                (None, Some(note)) => format!("{}: {note}", choice.kind.name()),
                (None, None) => choice.kind.name().to_owned(),
            },
            Err(error) => error.to_string(),
        };
        say(&format!("device {request}"), Ok(json!(found)))?;
    }
    say("library", library(session))?;
    say("model", model(session))?;
    for (i, adapter) in adapters().iter().enumerate() {
        say(&format!("self-test {i}"), self_test(session, adapter))?;
    }
    Ok(Done::from(complete))
}

/// Holds the model on the adapter against the model on the CPU, whatever would be chosen.
fn self_test(session: &Session, adapter: &Adapter) -> Result<Value, String> {
    let folder = session.align_folder().map_err(|error| format!("{error:#}"))?;
    let started = Instant::now();
    let most = if adapter.is_software() { 1 } else { usize::MAX };
    let test = || {
        let gpu = Gpu::open(adapter, Precision::F16.on(adapter))?;
        let placed = align::Placed::on_card(&folder, &gpu, DeviceRequest::Wgpu)?;
        let cosine = align::self_test(&placed, align::load(&folder, DeviceRequest::Cpu)?.as_ref(), most)?;
        Ok::<_, ModelError>((cosine, gpu.precision()))
    };
    let (cosine, precision) = test().map_err(|error| error.to_string())?;
    let (least, secs) = (align::least_cosine(precision), started.elapsed().as_secs_f32());
    let found =
        format!("cosine to the CPU {cosine:.6} ({precision:?}, at least {least}), {secs:.1} s: {}", adapter.name);
    if cosine >= least { Ok(json!(found)) } else { Err(found) }
}

fn library(session: &Session) -> Result<Value, String> {
    let reader = match session.reader() {
        Err(StoreError::Absent { .. }) => {
            return Ok(json!(format!("none yet; it will be {}", session.library.display())));
        }
        result => result.map_err(|error| error.to_string())?,
    };
    reader.verify().map_err(|error| error.to_string())?;
    let counts = reader.counts().map_err(|error| error.to_string())?;
    Ok(json!(format!("{} photos, sound: {}", counts.photos, session.library.display())))
}

/// Loads the model and lets it tell a red picture from a blue one by their vectors being different and finite.
fn model(session: &Session) -> Result<Value, String> {
    let started = Instant::now();
    let model = session.align_or_built_in().map_err(|error| format!("{error:#}"))?;
    let loaded_ms = started.elapsed().as_millis();
    let square = |color| image::RgbImage::from_pixel(300, 300, image::Rgb(color));
    let started = Instant::now();
    let pixels = [[200, 30, 30], [30, 30, 200]].map(|color| model.prepare(&square(color)));
    let pixels = pixels.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let vectors = model.encode_images(&pixels).map_err(|error| error.to_string())?;
    let vectors = vectors.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let image_ms = started.elapsed().as_millis() / 2;
    let started = Instant::now();
    model.encode_texts(&["a red square"]).map_err(|error| error.to_string())?;
    let text_ms = started.elapsed().as_millis();
    match vectors.as_slice() {
        [red, blue] if red.cosine(blue).is_some_and(|cosine| cosine < 0.9999) => Ok(json!(format!(
            "{} on {}: loaded in {loaded_ms} ms, an image {image_ms} ms, a text {text_ms} ms",
            model.spec().id,
            model.device()
        ))),
        _ => Err("the model gives the same vector for different pictures".to_owned()),
    }
}
