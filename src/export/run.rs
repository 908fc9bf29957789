//! One export from beginning to end.

use std::path::PathBuf;
use std::time::Instant;

use crate::domain::{CancelToken, Photo, Progress};
use crate::media;
use crate::store::{Reader, StoreError};

use super::files::{self, Done, Fault};
use super::names::Names;
use super::table::{Extras, Table};
use super::write::WriteError;
use super::{
    Event, ExportError, FileChange, Format, Memory, Observer, Options, Report, SkipReason, Target, Which, choice,
};

/// Photos that are held in memory at once.
const PAGE: usize = 256;

/// Exports what `options` ask for. Single files that cannot be written are told to the
/// observer and counted; a cancelled run leaves the files it has finished, and no table.
pub fn export(
    reader: &Reader,
    memory: &mut dyn Memory,
    options: &Options,
    cancel: &CancelToken,
    observer: &mut dyn Observer,
) -> Result<Report, ExportError> {
    match (options.format, &options.target) {
        (Format::Csv | Format::Jsonl, Target::File(file)) => {
            refuse_precious(file, reader)?;
            table(file, reader, options, cancel, observer)
        }
        (Format::Csv, _) => Err(ExportError::NeedsFile("csv")),
        (Format::Jsonl, _) => Err(ExportError::NeedsFile("jsonl")),
        (Format::Txt, Target::File(_)) => Err(ExportError::NeedsFolder("txt")),
        (Format::Xmp, Target::File(_)) => Err(ExportError::NeedsFolder("xmp")),
        (Format::Txt | Format::Xmp, _) => many(reader, memory, options, cancel, observer),
    }
}

/// A name mistyped must not cost a photo or the library.
fn refuse_precious(file: &std::path::Path, reader: &Reader) -> Result<(), ExportError> {
    let real = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    let library = reader.path().canonicalize().unwrap_or_else(|_| reader.path().to_path_buf());
    if media::supported(&real) || real == library || reader.photo_by_path(&real)?.is_some() {
        return Err(ExportError::Precious(file.to_path_buf()));
    }
    Ok(())
}

fn many(
    reader: &Reader,
    memory: &mut dyn Memory,
    options: &Options,
    cancel: &CancelToken,
    observer: &mut dyn Observer,
) -> Result<Report, ExportError> {
    let names = Names::new(&options.target, reader)?;
    let mut report = Report::default();
    let mut pages = Pages::new(reader, &options.which)?;
    while let Some(photos) = pages.next(reader)? {
        let ids: Vec<_> = photos.iter().map(|photo| photo.id).collect();
        let (captions, tags) = (reader.captions_of(&ids)?, reader.tags_of(&ids)?);
        let mut wrote = Vec::new();
        for (photo, (captions, tags)) in photos.iter().zip(captions.iter().zip(&tags)) {
            if cancel.is_cancelled() {
                report.cancelled = true;
                break;
            }
            let allowed = choice::allowed(captions, options);
            if allowed.is_empty() && (options.format == Format::Txt || tags.is_empty()) {
                report.skipped += 1;
                observer.event(Event::Skipped { photo: photo.path.clone(), file: None, reason: SkipReason::NoCaption });
                continue;
            }
            let outcome = files::file(photo, &allowed, tags, &names, reader, options)?;
            let (file, photo) = (outcome.file, photo.path.clone());
            match outcome.result {
                Ok(Done::Written { change, digest }) => {
                    report.exported += 1;
                    if change != FileChange::Unchanged {
                        wrote.push((file.clone(), digest));
                    }
                    for detail in outcome.notes {
                        observer.event(Event::Note { photo: photo.clone(), file: file.clone(), detail });
                    }
                    observer.event(Event::File { photo: Some(photo), file, change });
                }
                Ok(Done::Skipped(reason)) => {
                    report.skipped += 1;
                    observer.event(Event::Skipped { photo, file: Some(file), reason });
                }
                Err(Fault(detail)) => {
                    report.failed += 1;
                    observer.event(Event::Failed { photo: Some(photo), file, detail });
                }
            }
        }
        if !options.dry_run && !wrote.is_empty() {
            memory.wrote(&wrote)?;
        }
        pages.done(&report, observer);
        if report.cancelled {
            break;
        }
    }
    Ok(report)
}

fn table(
    file: &std::path::Path,
    reader: &Reader,
    options: &Options,
    cancel: &CancelToken,
    observer: &mut dyn Observer,
) -> Result<Report, ExportError> {
    let mut report = Report::default();
    let change = if file.exists() { FileChange::Changed } else { FileChange::Created };
    match rows(file, reader, options, cancel, observer, &mut report) {
        Ok(()) if report.cancelled => report.exported = 0,
        Ok(()) => observer.event(Event::File { photo: None, file: file.to_path_buf(), change }),
        Err(TableError::Store(error)) => return Err(error.into()),
        Err(TableError::Write(error)) => {
            // Without the file, none of its rows went out.
            report.failed = report.exported + 1;
            report.exported = 0;
            observer.event(Event::Failed { photo: None, file: file.to_path_buf(), detail: error.to_string() });
        }
    }
    Ok(report)
}

enum TableError {
    Store(StoreError),
    Write(WriteError),
}

impl From<StoreError> for TableError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<WriteError> for TableError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

fn rows(
    file: &std::path::Path,
    reader: &Reader,
    options: &Options,
    cancel: &CancelToken,
    observer: &mut dyn Observer,
    report: &mut Report,
) -> Result<(), TableError> {
    let mut table = Table::begin(file, options)?;
    let mut pages = Pages::new(reader, &options.which)?;
    while let Some(photos) = pages.next(reader)? {
        if cancel.is_cancelled() {
            report.cancelled = true;
            return Ok(());
        }
        let ids: Vec<_> = photos.iter().map(|photo| photo.id).collect();
        let (captions, tags, answers) = (reader.captions_of(&ids)?, reader.tags_of(&ids)?, reader.answers_of(&ids)?);
        let extras = tags.into_iter().zip(answers).map(|(tags, answers)| Extras { tags, answers });
        for (photo, (captions, extras)) in photos.iter().zip(captions.iter().zip(extras)) {
            let allowed = choice::allowed(captions, options);
            let nothing_else = extras.tags.is_empty() && extras.answers.is_empty();
            if allowed.is_empty() && (options.format == Format::Csv || nothing_else) {
                report.skipped += 1;
                observer.event(Event::Skipped { photo: photo.path.clone(), file: None, reason: SkipReason::NoCaption });
                continue;
            }
            table.add(photo, &allowed, &extras)?;
            report.exported += 1;
        }
        pages.done(report, observer);
    }
    table.commit().map_err(TableError::Write)
}

/// The photos asked for, by rising path.
struct Pages {
    which: Walk,
    total: u64,
    started: Instant,
}

enum Walk {
    /// All after this path.
    All(Option<PathBuf>),
    /// Those left, the next one last.
    Chosen(Vec<crate::domain::PhotoId>),
}

impl Pages {
    fn new(reader: &Reader, which: &Which) -> Result<Self, StoreError> {
        let (which, total) = match which {
            Which::All => (Walk::All(None), reader.counts()?.photos),
            Which::Photos(ids) => {
                let mut named = Vec::with_capacity(ids.len());
                for page in ids.chunks(PAGE) {
                    let present = |photo: &Photo| photo.state == crate::domain::PhotoState::Present;
                    named.extend(reader.photos(page)?.into_iter().filter(present).map(|photo| (photo.path, photo.id)));
                }
                named.sort_by(|a, b| b.cmp(a));
                named.dedup();
                let ids: Vec<_> = named.into_iter().map(|(_, id)| id).collect();
                let total = ids.len() as u64;
                (Walk::Chosen(ids), total)
            }
        };
        Ok(Self { which, total, started: Instant::now() })
    }

    fn next(&mut self, reader: &Reader) -> Result<Option<Vec<Photo>>, StoreError> {
        let page = match &mut self.which {
            Walk::All(after) => {
                let page = reader.photos_after(after.as_deref(), PAGE)?;
                *after = page.last().map(|photo| photo.path.clone());
                page
            }
            Walk::Chosen(left) => {
                // Photos that were forgotten meanwhile must not end the walk.
                let mut page = Vec::new();
                while page.is_empty() && !left.is_empty() {
                    let mut ids = left.split_off(left.len().saturating_sub(PAGE));
                    ids.reverse();
                    page = reader.photos(&ids)?;
                }
                page
            }
        };
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    fn done(&self, report: &Report, observer: &mut dyn Observer) {
        let done = report.exported + report.skipped + report.failed;
        let per_second = done as f32 / self.started.elapsed().as_secs_f32().max(1e-3);
        observer.progress(Progress {
            done,
            total: Some(self.total),
            failed: report.failed,
            per_second,
            secs_left: Some(self.total.saturating_sub(done) as f32 / per_second.max(1e-3)),
        });
    }
}
