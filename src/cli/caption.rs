//! `glimpse caption`: a sentence about each picture. Stores nothing unless it is told to.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use crate::domain::{CaptionSource, CaptionState, NewCaption};
use crate::models::fuse::{CaptionRequest, Draft};
use crate::store::{ListScope, Reader, Store};

use super::Done;
use super::args::CaptionArgs;
use super::fuse::{Beholder, print_failure};
use super::output::{Output, absolute, with_path};
use super::session::Session;

/// Prints one line for each picture, in order, also for those that failed.
pub fn caption(session: &Session, args: &CaptionArgs, out: &mut Output) -> Result<Done> {
    let eyes = Beholder::open(session, args.features.regions.as_deref())?;
    let mut shelf = (args.all || args.save).then(|| Shelf::open(session)).transpose()?;
    let paths = match &shelf {
        Some(shelf) if args.all => shelf.photos(args)?,
        _ => args.images.iter().map(|path| absolute(path)).collect(),
    };
    let request = CaptionRequest { lang: args.lang.clone(), beam: args.beam as usize, sampling: None };
    let spec = eyes.model.spec();
    let mut complete = true;
    for path in &paths {
        session.stop_if_interrupted()?;
        let described = eyes.look(path).and_then(|picture| {
            eyes.model.caption(&picture, &request, &mut |_| (), &session.cancel).map_err(|error| error.to_string())
        });
        // A sentence that an interrupt cut short is none.
        session.stop_if_interrupted()?;
        let draft = match described {
            Ok(draft) => draft,
            Err(error) => {
                complete = false;
                print_failure(Some(path), json!({}), &error, out)?;
                continue;
            }
        };
        if let Some(shelf) = &mut shelf
            && !shelf.keep(path, &draft, &request, (&spec.id, &spec.weights_hash))?
        {
            complete = false;
            log::error!("the caption was not saved, the photo is not in the library: {}", path.display());
        }
        let Draft { text, score, .. } = draft;
        out.line(
            || {
                let fields = json!({ "caption": text, "lang": request.lang, "model": spec.id, "score": score });
                with_path(path, fields)
            },
            || format!("{}\n  {text}", path.display()),
        )?;
    }
    Ok(Done::from(complete))
}

/// The library that drafts are kept in.
struct Shelf {
    store: Store,
    reader: Reader,
}

impl Shelf {
    fn open(session: &Session) -> Result<Self> {
        Ok(Self { store: session.store_that_is_there()?, reader: session.reader()? })
    }

    /// The library's photos; with `--missing` those without a caption in that language.
    fn photos(&self, args: &CaptionArgs) -> Result<Vec<PathBuf>> {
        let wanted = match args.missing {
            true => self.reader.without_caption(Some(&args.lang)),
            false => self.reader.list(ListScope::All),
        }?;
        Ok(self.reader.photos(&wanted)?.into_iter().map(|photo| photo.path).collect())
    }

    /// Keeps a draft; false if the photo is not in the library.
    fn keep(&mut self, path: &Path, draft: &Draft, request: &CaptionRequest, model: (&str, &str)) -> Result<bool> {
        let Some(photo) = self.reader.photo_by_path(path)? else { return Ok(false) };
        let source = CaptionSource::Model {
            pack: model.0.to_owned(),
            version: model.1.to_owned(),
            settings: json!({ "beam": request.beam }).to_string(),
        };
        let (text, lang) = (draft.text.clone(), request.lang.clone());
        let caption = NewCaption { photo: photo.id, text, lang, source, state: CaptionState::Draft };
        Ok(self.store.add_captions(&[caption])?.iter().any(Option::is_some))
    }
}
