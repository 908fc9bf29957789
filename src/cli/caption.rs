//! `glimpse caption`: a sentence about each picture. Stores nothing unless it is told to.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use crate::domain::{CaptionState, Photo, PhotoId};
use crate::engine::{Candidate, Writing, write_one};
use crate::store::{CaptionStepId, ListScope, Reader, Store};

use super::Done;
use super::args::CaptionArgs;
use super::fuse::{Beholder, print_failure};
use super::output::{Output, absolute, with_path};
use super::session::Session;

/// What is to be described.
enum Subject {
    File(PathBuf),
    Photo(Box<Photo>),
}

/// Prints one line for each picture, in order, also for those that failed.
pub fn caption(session: &Session, args: &CaptionArgs, out: &mut Output) -> Result<Done> {
    let eyes = Beholder::open(session, args.features.regions.as_deref())?;
    let mut shelf = (args.all || args.save).then(|| Shelf::open(session)).transpose()?;
    let mut complete = true;
    if args.all
        && let Some(shelf) = &mut shelf
    {
        for photo in shelf.photos(args)? {
            // Forgotten meanwhile: nothing to describe.
            let Some(photo) = shelf.reader.photo(photo)? else { continue };
            complete &= describe(session, &eyes, &Subject::Photo(Box::new(photo)), args, Some(&mut *shelf), out)?;
        }
    }
    for path in &args.images {
        complete &= describe(session, &eyes, &Subject::File(absolute(path)), args, shelf.as_mut(), out)?;
    }
    Ok(Done::from(complete))
}

/// One line; false if something could not be done.
fn describe(
    session: &Session,
    eyes: &Beholder<'_>,
    subject: &Subject,
    args: &CaptionArgs,
    shelf: Option<&mut Shelf>,
    out: &mut Output,
) -> Result<bool> {
    session.stop_if_interrupted()?;
    let (path, picture) = match subject {
        Subject::File(path) => (path, eyes.eyes.look(path, &session.cancel)),
        Subject::Photo(photo) => (&photo.path, eyes.eyes.look_quickly(photo, &session.cancel)),
    };
    let how = Writing::Beam(args.beam as usize);
    let written =
        picture.and_then(|picture| Ok(write_one(eyes.model.as_ref(), &picture, &args.lang, how, &session.cancel)?));
    // A sentence that an interrupt cut short is none.
    session.stop_if_interrupted()?;
    let candidate = match written {
        Ok(candidate) => candidate,
        Err(failure) => {
            print_failure(Some(path), json!({}), &failure.detail, out)?;
            return Ok(false);
        }
    };
    let mut complete = true;
    if let Some(shelf) = shelf
        && !shelf.keep(path, subject, &candidate)?
    {
        complete = false;
        log::error!("the caption was not saved, the photo is not in the library: {}", path.display());
    }
    let Candidate { text, lang, pack, score, .. } = candidate;
    out.line(
        || with_path(path, json!({ "caption": text, "lang": lang, "model": pack, "score": score })),
        || format!("{}\n  {text}", path.display()),
    )?;
    Ok(complete)
}

/// The library that drafts are kept in, as one step that can be undone.
struct Shelf {
    store: Store,
    reader: Reader,
    run: CaptionStepId,
}

impl Shelf {
    fn open(session: &Session) -> Result<Self> {
        let mut store = session.store_that_is_there()?;
        let run = store.begin_drafts()?;
        Ok(Self { store, reader: session.reader()?, run })
    }

    /// The library's photos; with `--missing` those without a caption in that language.
    fn photos(&self, args: &CaptionArgs) -> Result<Vec<PhotoId>> {
        Ok(match args.missing {
            true => self.reader.without_caption(Some(&args.lang)),
            false => self.reader.list(ListScope::All),
        }?)
    }

    /// Keeps a draft; false if the photo is not in the library.
    fn keep(&mut self, path: &Path, subject: &Subject, candidate: &Candidate) -> Result<bool> {
        let photo = match subject {
            Subject::Photo(photo) => photo.id,
            Subject::File(_) => match self.reader.photo_by_path(path)? {
                Some(photo) => photo.id,
                None => return Ok(false),
            },
        };
        let draft = candidate.clone().caption(photo, CaptionState::Draft);
        Ok(self.store.add_drafts(self.run, &[draft])?.iter().any(Option::is_some))
    }
}
