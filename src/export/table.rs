//! All photos in one file: CSV (RFC 4180) or JSON lines.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::domain::{Caption, CaptionSource, CaptionState, Photo, PhotoAnswer};

use super::write::{Draft, WriteError};
use super::{Format, Options};

const COLUMNS: [&str; 14] = [
    "path",
    "path_bytes",
    "caption",
    "lang",
    "source",
    "model",
    "model_version",
    "settings",
    "state",
    "created",
    "width",
    "height",
    "taken",
    "camera",
];
const GPS_COLUMNS: [&str; 2] = ["latitude", "longitude"];

/// What a photo has besides captions.
pub(super) struct Extras {
    pub tags: Vec<String>,
    pub answers: Vec<PhotoAnswer>,
}

/// A table in the making.
pub(super) struct Table {
    rows: Rows,
    gps: bool,
}

enum Rows {
    Csv(Box<csv::Writer<Out>>),
    Jsonl(BufWriter<Out>),
}

/// A file, or in a dry run nowhere.
enum Out {
    File(Draft),
    Nowhere,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(draft) => draft.write(bytes),
            Self::Nowhere => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(draft) => draft.flush(),
            Self::Nowhere => Ok(()),
        }
    }
}

impl Table {
    pub fn begin(file: &Path, options: &Options) -> Result<Self, WriteError> {
        let mut out = if options.dry_run { Out::Nowhere } else { Out::File(Draft::begin(file)?) };
        let gps = options.gps;
        if options.format != Format::Csv {
            return Ok(Self { rows: Rows::Jsonl(BufWriter::new(out)), gps });
        }
        if options.bom {
            out.write_all("\u{FEFF}".as_bytes())?;
        }
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        let header = COLUMNS.iter().chain(GPS_COLUMNS.iter().filter(|_| gps));
        writer.write_record(header).map_err(io_error)?;
        Ok(Self { rows: Rows::Csv(Box::new(writer)), gps })
    }

    /// One photo; `captions` are those that may go out, the main one first.
    pub fn add(&mut self, photo: &Photo, captions: &[&Caption], extras: &Extras) -> Result<(), WriteError> {
        match &mut self.rows {
            Rows::Csv(writer) => {
                let row = row(photo, captions.first().copied(), self.gps);
                writer.write_record(&row).map_err(io_error)
            }
            Rows::Jsonl(writer) => {
                serde_json::to_writer(&mut *writer, &object(photo, captions, extras, self.gps))
                    .map_err(io::Error::from)?;
                Ok(writer.write_all(b"\n")?)
            }
        }
    }

    /// Puts the file in its place.
    pub fn commit(self) -> Result<(), WriteError> {
        let out = match self.rows {
            Rows::Csv(writer) => writer.into_inner().map_err(|error| error.into_error())?,
            Rows::Jsonl(writer) => writer.into_inner().map_err(io::IntoInnerError::into_error)?,
        };
        match out {
            Out::File(draft) => draft.commit(),
            Out::Nowhere => Ok(()),
        }
    }
}

fn io_error(error: csv::Error) -> WriteError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => WriteError::Io(io::Error::other(format!("{other:?}"))),
    }
}

/// The bytes of a path that is not UTF-8.
fn path_bytes(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| STANDARD.encode(path.as_os_str().as_encoded_bytes()))
}

fn row(photo: &Photo, caption: Option<&Caption>, gps: bool) -> Vec<String> {
    let model = caption.and_then(|caption| match &caption.source {
        CaptionSource::Person | CaptionSource::File { .. } => None,
        CaptionSource::Model { pack, version, settings } => Some((pack, version, settings)),
    });
    let text = |value: Option<&String>| value.map(|value| no_formula(value)).unwrap_or_default();
    let mut row = vec![
        no_formula(&photo.path.to_string_lossy()),
        path_bytes(&photo.path).unwrap_or_default(),
        text(caption.map(|c| &c.text)),
        text(caption.map(|c| &c.lang)),
        caption.map(|c| kind(&c.source)).unwrap_or_default().to_owned(),
        text(model.map(|m| m.0)),
        text(model.map(|m| m.1)),
        text(model.map(|m| m.2)),
        caption.map(|c| state(c.state)).unwrap_or_default().to_owned(),
        caption.map(|c| iso_utc(c.created_s)).unwrap_or_default(),
        photo.meta.width.to_string(),
        photo.meta.height.to_string(),
        text(photo.meta.taken.as_ref()),
        text(photo.meta.camera.as_ref()),
    ];
    if gps {
        let place = photo.meta.place;
        row.push(place.map(|p| p.latitude.to_string()).unwrap_or_default());
        row.push(place.map(|p| p.longitude.to_string()).unwrap_or_default());
    }
    row
}

/// A cell that a spreadsheet would run is marked as text by an apostrophe before it. JSON
/// lines hold every text as it is.
fn no_formula(cell: &str) -> String {
    let unseen = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200B}' | '\u{FEFF}');
    let first = cell.trim_start_matches(unseen).chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

fn kind(source: &CaptionSource) -> &'static str {
    match source {
        CaptionSource::Person => "person",
        CaptionSource::File { .. } => "file",
        CaptionSource::Model { .. } => "model",
    }
}

fn state(state: CaptionState) -> &'static str {
    match state {
        CaptionState::Draft => "draft",
        CaptionState::Accepted => "accepted",
    }
}

fn object(photo: &Photo, captions: &[&Caption], extras: &Extras, gps: bool) -> Value {
    let meta = &photo.meta;
    let mut metadata = json!({
        "width": meta.width, "height": meta.height, "taken": meta.taken, "camera": meta.camera,
        "size_bytes": photo.stamp.size_bytes,
    });
    if gps {
        metadata["place"] =
            meta.place.map_or(Value::Null, |place| json!({ "latitude": place.latitude, "longitude": place.longitude }));
    }
    let mut object = Map::new();
    object.insert("path".into(), json!(photo.path.to_string_lossy()));
    if let Some(bytes) = path_bytes(&photo.path) {
        object.insert("path_bytes".into(), json!(bytes));
    }
    object.insert("caption".into(), json!(captions.first().map(|caption| &caption.text)));
    object.insert("captions".into(), captions.iter().map(|caption| provenance(caption)).collect());
    object.insert("answers".into(), extras.answers.iter().map(answered).collect());
    object.insert("tags".into(), json!(extras.tags));
    object.insert("metadata".into(), metadata);
    Value::Object(object)
}

/// A question with its ranked answers.
fn answered(answer: &PhotoAnswer) -> Value {
    let ranked: Value = answer.ranked.iter().map(|a| json!({ "answer": a.text, "score": a.score })).collect();
    json!({
        "question": answer.question, "answers": ranked, "unsure": answer.unsure, "model": answer.pack,
        "model_version": answer.version, "created": iso_utc(answer.created_s),
    })
}

/// A caption with all that is known of where it comes from.
fn provenance(caption: &Caption) -> Value {
    let mut value = json!({
        "text": caption.text, "lang": caption.lang, "source": kind(&caption.source), "state": state(caption.state),
        "created": iso_utc(caption.created_s),
    });
    match &caption.source {
        CaptionSource::Person => {}
        CaptionSource::File { name } => value["file"] = json!(name),
        CaptionSource::Model { pack, version, settings } => {
            value["model"] = json!(pack);
            value["model_version"] = json!(version);
            // JSON by contract; what is not is passed on as text.
            value["settings"] = serde_json::from_str(settings).unwrap_or_else(|_| json!(settings));
        }
    }
    value
}

/// Seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`.
fn iso_utc(secs: i64) -> String {
    let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin on 1 March
    // (H. Hinnant, chrono-compatible low-level date algorithms).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_764_100_866, "2025-11-25T20:01:06Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(iso_utc(secs), expected);
        }
    }

    #[test]
    fn cells_that_would_run_are_text() {
        for cell in ["=1+1", "+86", "-dark", "@x", "\n=1+1", "＝1+1", "\t=1", "\u{FEFF}=1"] {
            assert_eq!(no_formula(cell), format!("'{cell}"), "{cell:?}");
        }
        for cell in ["", "a=b", "'=1", "狗", "1-2"] {
            assert_eq!(no_formula(cell), cell);
        }
    }
}
