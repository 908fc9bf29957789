//! `glimpse index`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::domain::Progress;
use crate::indexing::{self, JobControl, Observer, Report, Root, RootProblem, Run};
use crate::media::ThumbnailCache;
use crate::media::walk::WalkOptions;
use crate::models::align::AlignModel;
use crate::store::ModelRow;

use super::args::IndexArgs;
use super::output::{Output, absolute, with_path};
use super::session::Session;
use super::{Done, duration, plural};

/// Indexes the folders and prints what could not be taken in, then the counts.
pub fn index(session: &Session, args: &IndexArgs, out: &mut Output) -> Result<Done> {
    let folders: Vec<_> = args.folders.iter().map(|folder| absolute(folder)).collect();
    let model = session.align_or_built_in()?;
    let report = index_folders(session, &folders, args.include_service_folders, model.as_ref())?;
    print_report(&report, model.device(), out)?;
    let mut complete = !report.cancelled;
    for problem in &report.problems {
        if matches!(problem, RootProblem::Emptied { .. }) {
            log::warn!("{problem}");
        } else {
            log::error!("{problem}");
            complete = false;
        }
    }
    if report.cancelled {
        log::warn!("stopped; what was indexed so far is kept, and the next run goes on from there");
    }
    Ok(Done::from(complete))
}

/// One indexing run of the command line; also what `demo` does first.
pub fn index_folders(
    session: &Session,
    folders: &[PathBuf],
    include_service_folders: bool,
    model: &dyn AlignModel,
) -> Result<Report> {
    let mut store = session.store()?;
    let known = store.reader()?.folders()?;
    let (mut roots, mut mistyped) = (Vec::new(), Vec::new());
    for path in folders {
        let folder = match known.iter().find(|row| row.path == *path) {
            Some(row) => row.id,
            None if path.is_dir() => store.add_folder(path)?,
            // Not remembered: it is no drive that will come back.
            None => {
                mistyped.push(RootProblem::NoFolder(path.clone()));
                continue;
            }
        };
        roots.push(Root { folder, path: path.clone() });
    }
    let model_id = store.model(&ModelRow::from(model.spec()))?;
    store.drop_damaged_embeddings(model_id)?;
    let reader = store.reader()?;
    let thumbnails = ThumbnailCache::new(session.paths.thumbnails());
    let control = JobControl::with_token(session.cancel.clone());
    let run = Run {
        roots: &roots,
        model,
        model_id,
        walk: &WalkOptions {
            include_service_folders: include_service_folders || session.settings.include_service_folders,
            exclude: vec![session.paths.data.clone(), session.paths.cache.clone()],
        },
        thumbnails: &thumbnails,
        control: &control,
        decode_threads: 0,
    };
    let broken_off = reader.unfinished_jobs()?;
    if !broken_off.is_empty() {
        log::info!("an earlier run was broken off (or another one is under way); this one goes on from where it came");
    }
    let job = store.job_started("index")?;
    let mut encoder: &dyn AlignModel = model;
    let mut bar = Bar::new(session.shows_progress());
    let report = run.run(&reader, &mut encoder, &mut store, &mut bar);
    bar.clear();
    // The run's own error is the one to report.
    if let Err(error) = store.job_finished(job, &indexing::outcome(&report)) {
        log::debug!("the end of the run was not noted: {error}");
    }
    let mut report = report?;
    report.problems.extend(mistyped);
    Ok(report)
}

/// One line on the terminal that is written over and over; nothing elsewhere.
pub struct Bar {
    shown: bool,
    last: Option<Instant>,
}

impl Bar {
    const EVERY: Duration = Duration::from_millis(200);

    pub fn new(shown: bool) -> Self {
        Self { shown, last: None }
    }

    /// Takes the line away, before something else is said.
    pub fn clear(&mut self) {
        if self.shown && self.last.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Observer for Bar {
    fn progress(&mut self, p: Progress) {
        if !self.shown || self.last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let line = match (p.total, p.secs_left) {
            (Some(total), Some(left)) => {
                format!("{} of {total}, {:.0}/s, {} left", p.done, p.per_second, duration(left))
            }
            (Some(total), None) => format!("{} of {total}", p.done),
            (None, _) => "looking through the folders".to_owned(),
        };
        eprint!("\r\x1b[K{line}");
    }
}

/// Failures, then the counts.
pub fn print_report(report: &Report, device: &str, out: &mut Output) -> Result<()> {
    for skipped in &report.skipped {
        out.line(
            || {
                with_path(
                    &skipped.path,
                    json!({ "event": "failed", "reason": skipped.reason, "detail": skipped.detail }),
                )
            },
            || format!("not taken in: {}: {}", skipped.detail, skipped.path.display()),
        )?;
    }
    if !report.left_out.is_empty() {
        log::warn!(
            "{} left out (recycle bins, previews of other programs; `--include-service-folders` takes them in)",
            plural(report.left_out.len() as u64, "folder or file", "folders and files")
        );
    }
    let failed = report.skipped.len();
    out.line(
        || {
            json!({
                "event": "done", "indexed": report.indexed, "unchanged": report.unchanged, "moved": report.moved,
                "missing": report.missing, "failed": failed, "seconds": report.secs, "device": device,
                "cancelled": report.cancelled,
            })
        },
        || {
            format!(
                "{} indexed, {} unchanged, {} moved, {} missing, {failed} failed, in {:.1} s on {device}",
                report.indexed, report.unchanged, report.moved, report.missing, report.secs
            )
        },
    )?;
    let s = &report.stages;
    log::info!(
        "seconds by stage: survey {:.2}, decode {:.2}, thumbnail {:.2}, prepare {:.2}, encode {:.2} (waiting {:.2}), write {:.2}",
        report.survey_secs,
        s.decode,
        s.thumbnail,
        s.prepare,
        s.encode,
        s.starved,
        s.write
    );
    Ok(())
}
