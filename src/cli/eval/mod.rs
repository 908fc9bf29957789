//! `glimpse eval`: a model measured on a dataset file. One file a task; each prints one
//! line with the figures and the seconds that each step took. What cannot be read or seen
//! ends the run: figures over a part of a dataset mislead.

mod caption;
mod matching;
mod retrieval;
mod vqa;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::models::fuse::Regions;

use super::Done;
use super::args::Eval;
use super::fuse::Beholder;
use super::lines;
use super::output::Output;
use super::session::Session;

/// Measures one task.
pub fn eval(session: &Session, what: &Eval, out: &mut Output) -> Result<Done> {
    match what {
        Eval::Retrieval { captioned } => retrieval::run(session, captioned, out),
        Eval::Caption(args) => caption::run(session, args, out),
        Eval::Vqa(args) => vqa::run(session, args, out),
        Eval::Match(args) => matching::run(session, args, out),
    }?;
    Ok(Done::Fully)
}

/// The lines of a dataset, blank ones left out.
fn entries<T: DeserializeOwned>(dataset: &Path) -> Result<Vec<T>> {
    let read = lines::read(dataset).with_context(|| format!("the dataset could not be read: {}", dataset.display()))?;
    let mut entries = Vec::with_capacity(read.len());
    for (number, line) in read.into_iter().enumerate() {
        let place = || format!("line {} of {}", number + 1, dataset.display());
        let line = line.map_err(anyhow::Error::msg).with_context(place)?;
        if !line.trim().is_empty() {
            entries.push(serde_json::from_str(&line).with_context(place)?);
        }
    }
    Ok(entries)
}

/// Pictures and what people wrote about them in one language.
struct Captions {
    /// Also those without a text: they are wrong answers.
    images: Vec<PathBuf>,
    texts: Vec<String>,
    /// `owner[t]` is the picture of text `t`; rising.
    owner: Vec<usize>,
}

/// One line of a dataset of captions.
#[derive(Deserialize)]
struct Entry {
    image: PathBuf,
    #[serde(default)]
    en: Vec<String>,
    #[serde(default)]
    zh: Vec<String>,
}

impl Captions {
    fn read(dataset: &Path, lang: &str) -> Result<Self> {
        let (mut images, mut texts, mut owner) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries::<Entry>(dataset)? {
            let captions = if lang == "zh" { entry.zh } else { entry.en };
            owner.extend(std::iter::repeat_n(images.len(), captions.len()));
            texts.extend(captions);
            images.push(lines::beside(dataset, &entry.image));
        }
        if images.is_empty() || texts.is_empty() {
            bail!("the dataset has no pictures with texts in `{lang}`: {}", dataset.display());
        }
        Ok(Self { images, texts, owner })
    }
}

/// The picture as the model sees it; the error names it.
fn look(eyes: &Beholder, path: &Path) -> Result<Regions> {
    eyes.look(path).map_err(|error| anyhow!("{error}: {}", path.display()))
}

/// What `work` gives; its seconds are added to `secs`.
fn timed<T>(secs: &mut f64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *secs += started.elapsed().as_secs_f64();
    result
}
