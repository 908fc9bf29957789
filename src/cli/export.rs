//! `glimpse export`.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::domain::{Progress, Query};
use crate::export::{self, Event, FileChange, Format, Observer, Options, Report, SkipReason, Target, Which, XmpName};
use crate::indexing;
use crate::search::asks_for_captions_only;

use super::Done;
use super::args::{ExportArgs, ExportFormat, SidecarName};
use super::index::Bar;
use super::output::{Output, absolute, path_fields};
use super::search::Desk;
use super::session::Session;

/// What `search` finds unless it is told otherwise. A query for words of captions has no such bound.
const FOUND_BY_A_SENTENCE: usize = 20;

/// Exports, prints what was not written (in a dry run: what would be), then the counts.
pub fn export(session: &Session, args: &ExportArgs, out: &mut Output) -> Result<Done> {
    let mut store = session.store_that_is_there()?;
    let reader = session.reader()?;
    let options = options(session, args)?;
    let bar = Bar::new(session.shows_progress());
    let mut watch = Watch { out, dry_run: options.dry_run, bar, failed: None };
    let report = export::export(&reader, &mut store, &options, &session.cancel, &mut watch);
    watch.bar.clear();
    if let Some(error) = watch.failed {
        return Err(error.into());
    }
    let report = report?;
    print_report(&report, out)?;
    if report.cancelled {
        log::warn!("stopped; the files written so far are whole");
    }
    Ok(Done::from(report.failed == 0 && !report.cancelled))
}

fn options(session: &Session, args: &ExportArgs) -> Result<Options> {
    let format = match args.format {
        ExportFormat::Txt => Format::Txt,
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Jsonl => Format::Jsonl,
        ExportFormat::Xmp => Format::Xmp,
    };
    let target = match (&args.out, format) {
        (None, _) => Target::Beside,
        (Some(file), Format::Csv | Format::Jsonl) => Target::File(absolute(file)),
        (Some(folder), Format::Txt | Format::Xmp) => Target::Folder(absolute(folder)),
    };
    let which = match &args.query {
        None => Which::All,
        Some(text) => {
            let limit = if asks_for_captions_only(text) { usize::MAX } else { FOUND_BY_A_SENTENCE };
            Which::Photos(Desk::open(session)?.photos(&Query::Text(text.clone()), limit)?)
        }
    };
    for (given, option, of) in [
        (args.bom && format != Format::Csv, "--bom", "csv"),
        (args.xmp_name.is_some() && format != Format::Xmp, "--xmp-name", "xmp"),
        (args.gps && format == Format::Txt, "--gps", "csv, jsonl and xmp"),
    ] {
        if given {
            log::warn!("{option} is for {of} and changes nothing here");
        }
    }
    Ok(Options {
        which,
        accepted_only: args.accepted,
        lang: args.lang.clone(),
        xmp_name: if args.xmp_name == Some(SidecarName::Full) { XmpName::Full } else { XmpName::Stem },
        bom: args.bom,
        gps: args.gps,
        dry_run: args.dry_run,
        ..Options::new(format, target)
    })
}

/// Prints events as they come.
struct Watch<'a> {
    out: &'a mut Output,
    dry_run: bool,
    bar: Bar,
    /// Stdout is gone; said at the end.
    failed: Option<std::io::Error>,
}

impl Observer for Watch<'_> {
    fn event(&mut self, event: Event) {
        if matches!(&event, Event::File { .. }) && !self.dry_run {
            return;
        }
        // A photo without a caption is no news to a person, but a script may want to know which.
        if matches!(&event, Event::Skipped { reason: SkipReason::NoCaption, .. }) && !self.out.is_json() {
            return;
        }
        self.bar.clear();
        let (value, text) = described(&event);
        if let Err(error) = self.out.line(|| value, || text) {
            self.failed.get_or_insert(error);
        }
    }

    fn progress(&mut self, progress: Progress) {
        indexing::Observer::progress(&mut self.bar, progress);
    }
}

fn described(event: &Event) -> (Value, String) {
    let fields = |kind: &str, photo: Option<&Path>, file: Option<&Path>| {
        let mut fields = photo.map(|photo| path_fields("path", photo)).unwrap_or_default();
        fields.insert("event".into(), json!(kind));
        if let Some(file) = file {
            fields.insert("file".into(), json!(file.to_string_lossy()));
        }
        fields
    };
    let with = |mut fields: Map<String, Value>, name: &str, value: &str| {
        fields.insert(name.into(), json!(value));
        Value::Object(fields)
    };
    match event {
        Event::File { photo, file, change } => {
            let change = match change {
                FileChange::Created => "create",
                FileChange::Changed => "change",
                FileChange::Unchanged => "unchanged",
            };
            let fields = fields("would_write", photo.as_deref(), Some(file));
            (with(fields, "change", change), format!("{change}: {}", file.display()))
        }
        Event::Skipped { photo, file, reason } => {
            let fields = fields("skipped", Some(photo), file.as_deref());
            let at = file.as_ref().unwrap_or(photo);
            (with(fields, "reason", &reason.to_string()), format!("skipped: {reason}: {}", at.display()))
        }
        Event::Failed { photo, file, detail } => {
            let fields = fields("failed", photo.as_deref(), Some(file));
            (with(fields, "reason", detail), format!("not written: {detail}: {}", file.display()))
        }
        Event::Note { photo, file, detail } => {
            let fields = fields("note", Some(photo), Some(file));
            (with(fields, "detail", detail), format!("note: {detail}: {}", file.display()))
        }
    }
}

fn print_report(report: &Report, out: &mut Output) -> Result<()> {
    let Report { exported, skipped, failed, cancelled } = report;
    out.line(
        || json!({ "event": "done", "exported": exported, "skipped": skipped, "failed": failed, "cancelled": cancelled }),
        || format!("{exported} exported, {skipped} skipped, {failed} failed"),
    )?;
    Ok(())
}
