//! Region files of one photo a line: bottom-up attention's, OSCAR's and VinVL's.
//!
//! Opening notes where each line begins; a look-up reads one line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::index::{Index, Wanted};
use super::{MAX_REGIONS, MAX_WIDTH, Regions, RegionsError, check_count, fractions};

/// Longest key of a line in bytes.
const MAX_KEY: usize = 1 << 10;
/// Longest line. One hundred regions of 2,054 numbers are 1.1 MB in base64.
const MAX_LINE: u64 = 64 << 20;
/// Longest line index that is believed, in bytes.
const MAX_LINE_INDEX: u64 = 256 << 20;

/// A file of features and, where it lies beside, that of tags or sizes.
#[derive(Debug)]
pub struct TsvFile {
    features: Lines,
    /// `predictions.tsv` or `label.tsv`: class, confidence and rectangle of each object.
    labels: Option<Lines>,
    /// `hw.tsv`: the photos' sizes, which VinVL's detector tells nowhere else.
    sizes: Option<Lines>,
}

impl TsvFile {
    pub fn open(path: &Path) -> Result<Self, RegionsError> {
        let features = Lines::open(path)?;
        let beside = |roles| companion(path, roles).map(|p| Lines::open(&p)).transpose();
        Ok(Self { features, labels: beside(&["predictions", "labels", "label"])?, sizes: beside(&["hw"])? })
    }

    pub fn get(&self, photo: &Path) -> Result<Option<Regions>, RegionsError> {
        let Some((key, line)) = self.features.find(&Wanted::of(photo))? else { return Ok(None) };
        // The companions name the photo as this file does, or by its number.
        let same = Wanted { names: vec![key.clone()], ..Wanted::of(Path::new(&key)) };
        let mut about = About::default();
        if let Some(lines) = &self.labels
            && let Some((_, line)) = lines.find(&same)?
        {
            about.add_labels(&line).map_err(|detail| lines.error(&key, detail))?;
        }
        if let Some(lines) = &self.sizes
            && about.size.is_none()
            && let Some((_, line)) = lines.find(&same)?
        {
            about.size = Some(size_of_line(&line).map_err(|detail| lines.error(&key, detail))?);
        }
        regions(&line, about).map(Some).map_err(|detail| self.features.error(&key, detail))
    }
}

/// The file beside `path` whose name says another role in the same words.
fn companion(path: &Path, roles: &[&str]) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let own = ["features", "feature", "feats", "predictions"].into_iter().find(|own| name.contains(own))?;
    let others = roles.iter().filter(|&&role| role != own);
    others.map(|role| path.with_file_name(name.replacen(own, role, 1))).find(|p| p.is_file())
}

/// A text file with a key before the first tab of each line.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    index: Index,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, RegionsError> {
        let io = |source| RegionsError::Io { path: path.to_owned(), source };
        let index = match indexed(path).map_err(io)? {
            Some(index) => index,
            None => scanned(path)?,
        };
        if index.is_empty() {
            return Err(RegionsError::File { path: path.to_owned(), detail: "holds no lines with tabs".into() });
        }
        Ok(Self { path: path.to_owned(), index: index.finish() })
    }

    fn error(&self, key: &str, detail: String) -> RegionsError {
        RegionsError::Photo { path: self.path.clone(), key: key.to_owned(), detail }
    }

    /// Key and line, without its end.
    fn find(&self, wanted: &Wanted) -> Result<Option<(String, Vec<u8>)>, RegionsError> {
        for name in &wanted.names {
            for at in self.index.places(name.as_bytes()) {
                let line = self.line(at, name)?;
                if key_of(&line) == name.as_bytes() {
                    return Ok(Some((name.clone(), line)));
                }
            }
        }
        let Some((at, id)) = wanted.id.and_then(|id| Some((self.index.place_of_id(id)?, id))) else { return Ok(None) };
        let line = self.line(at, &id.to_string())?;
        Ok(Some((String::from_utf8_lossy(key_of(&line)).into_owned(), line)))
    }

    fn line(&self, at: u64, key: &str) -> Result<Vec<u8>, RegionsError> {
        let read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(at))?;
            let mut line = Vec::new();
            BufReader::new(file.take(MAX_LINE + 1)).read_until(b'\n', &mut line)?;
            Ok(line)
        };
        let mut line = read().map_err(|source| RegionsError::Io { path: self.path.clone(), source })?;
        if line.len() as u64 > MAX_LINE {
            return Err(self.error(key, format!("are on a line of more than {} MiB", MAX_LINE >> 20)));
        }
        line.truncate(line.trim_ascii_end().len());
        Ok(line)
    }
}

fn key_of(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(b'\t', line).unwrap_or(line.len())]
}

/// Places of the lines by one pass over the file.
fn scanned(path: &Path) -> Result<Index, RegionsError> {
    let io = |source| RegionsError::Io { path: path.to_owned(), source };
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
    let mut index = Index::default();
    let (mut at, mut number) = (0u64, 0u64);
    let mut key = Vec::new();
    loop {
        number += 1;
        key.clear();
        let begin = at;
        let limit = MAX_KEY as u64 + 1;
        // Up to the tab; a line without one is either blank or wrong.
        let tab = loop {
            let part = file.fill_buf().map_err(io)?;
            let part = &part[..part.len().min((limit - key.len() as u64) as usize)];
            let end = memchr::memchr2(b'\t', b'\n', part);
            let taken = end.map_or(part.len(), |i| i + 1);
            let found = end.map(|i| part[i]);
            key.extend_from_slice(&part[..end.unwrap_or(part.len())]);
            at += taken as u64;
            file.consume(taken);
            if found.is_some() || taken == 0 {
                break found;
            }
        };
        match tab {
            Some(b'\t') => index.push(&key, begin),
            _ if key.len() <= MAX_KEY && key.trim_ascii().is_empty() => {}
            _ => {
                let detail = format!("has no tab near the beginning of line {number}");
                return Err(RegionsError::File { path: path.to_owned(), detail });
            }
        }
        if tab.is_none() {
            return Ok(index);
        }
        if tab == Some(b'\t') {
            at += file.skip_until(b'\n').map_err(io)? as u64;
        }
    }
}

/// Places of the lines from the authors' `.lineidx` beside the file; `None` if there is
/// none or it does not belong to the file as it is now.
fn indexed(path: &Path) -> std::io::Result<Option<Index>> {
    let listed = path.with_extension("lineidx");
    if listed == path || !listed.is_file() || std::fs::metadata(&listed)?.len() > MAX_LINE_INDEX {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut index = Index::default();
    let mut before = None;
    let mut head = Vec::with_capacity(MAX_KEY + 2);
    for line in BufReader::new(File::open(&listed)?).lines() {
        let line = line?;
        let place = line.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let Some(at) = place.filter(|&at| at < end && before.is_none_or(|b| at > b) && (before.is_some() || at == 0))
        else {
            return stale(&listed);
        };
        before = Some(at);
        // The byte before must end a line, the key must end in a tab.
        let from = at.saturating_sub(1);
        file.seek(SeekFrom::Start(from))?;
        head.clear();
        file.by_ref().take(MAX_KEY as u64 + 2).read_to_end(&mut head)?;
        let own = if at == 0 { Some(&head[..]) } else { head.strip_prefix(b"\n") };
        match own.and_then(|own| Some((own, memchr::memchr2(b'\t', b'\n', own)?))) {
            Some((own, tab)) if own[tab] == b'\t' => index.push(&own[..tab], at),
            _ => return stale(&listed),
        }
    }
    Ok((!index.is_empty()).then_some(index))
}

fn stale(listed: &Path) -> std::io::Result<Option<Index>> {
    log::warn!("the line index does not belong to its file and is not used: {}", listed.display());
    Ok(None)
}

/// What other files say about the photo.
#[derive(Debug, Default)]
struct About {
    size: Option<(f32, f32)>,
    objects: Vec<Object>,
}

/// One object of VinVL's detector.
#[derive(Debug, Default, Deserialize)]
struct Object {
    class: Option<String>,
    conf: Option<f32>,
    rect: Option<[f32; 4]>,
    feature: Option<String>,
    scores_all: Option<String>,
}

/// The JSON of a line, of whichever file: all parts are optional.
#[derive(Debug, Default, Deserialize)]
struct Json {
    num_boxes: Option<usize>,
    features: Option<String>,
    objects: Option<Vec<Object>>,
    image_w: Option<f32>,
    image_h: Option<f32>,
}

impl Json {
    fn size(&self) -> Option<(f32, f32)> {
        self.image_w.zip(self.image_h)
    }
}

impl About {
    fn add_labels(&mut self, line: &[u8]) -> Result<(), String> {
        let text = column(line, 1)?;
        // OSCAR's labels are a list, VinVL's predictions an object around one.
        if text.starts_with(b"[") {
            self.objects = json(text)?;
        } else {
            let whole: Json = json(text)?;
            self.size = whole.size();
            self.objects = whole.objects.unwrap_or_default();
        }
        Ok(())
    }
}

fn column(line: &[u8], at: usize) -> Result<&[u8], String> {
    line.split(|&b| b == b'\t').nth(at).ok_or_else(|| format!("have no column {}", at + 1))
}

fn json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|e| format!("cannot be read ({e})"))
}

fn size_of_line(line: &[u8]) -> Result<(f32, f32), String> {
    #[derive(Deserialize)]
    struct Size {
        width: f32,
        height: f32,
    }
    let sizes: Vec<Size> = json(column(line, 1)?)?;
    sizes.first().map(|s| (s.width, s.height)).ok_or_else(|| "have an empty size".into())
}

/// One line of a feature file, in whichever layout.
fn regions(line: &[u8], about: About) -> Result<Regions, String> {
    let columns: Vec<&[u8]> = line.splitn(8, |&b| b == b'\t').collect();
    match columns[..] {
        [_, width, height, n, boxes, features] => {
            let n = count(n)?;
            let (features, width_of_one) = table(features, n, "features")?;
            let (boxes, four) = table(boxes, n, "boxes")?;
            if four != 4 {
                return Err(format!("have boxes of {four} numbers"));
            }
            let boxes = boxes.as_chunks::<4>().0.to_vec();
            let image_size = (number(width)?, number(height)?);
            let regions = Regions { features, width: width_of_one, boxes, image_size, ..Regions::default() };
            with_objects(regions, &about.objects)?.checked()
        }
        [_, n, features] => plain(count(n)?, features, about)?.checked(),
        [_, text] => {
            let row: Json = json(text)?;
            let size = row.size().or(about.size);
            match (row.num_boxes, row.features, row.objects) {
                (Some(n), Some(features), _) => plain(n, features.as_bytes(), About { size, ..about })?.checked(),
                (_, None, Some(objects)) => detected(&objects, size)?.checked(),
                _ => Err("have neither features nor objects".into()),
            }
        }
        _ => Err(format!("are in {} columns, which is no known layout", columns.len())),
    }
}

/// OSCAR's layout: a table of features whose last six numbers are the box. Labels may be of
/// other regions, so their rectangles serve only where features have no box of their own.
fn plain(n: usize, features: &[u8], about: About) -> Result<Regions, String> {
    let (features, width) = table(features, n, "features")?;
    let rects: Option<Vec<[f32; 4]>> = about.objects.iter().map(|o| o.rect).collect();
    let (boxes, image_size) = match (fractions(&features, width), about.size, rects) {
        (Some(boxes), size, _) => {
            let (w, h) = size.unwrap_or((1.0, 1.0));
            (boxes.into_iter().map(|[x1, y1, x2, y2]| [x1 * w, y1 * h, x2 * w, y2 * h]).collect(), (w, h))
        }
        (None, Some(size), Some(rects)) if rects.len() == n => (rects, size),
        _ => return Err("come without boxes".into()),
    };
    with_objects(Regions { features, width, boxes, image_size, ..Regions::default() }, &about.objects)
}

/// The layout of VinVL's detector: each object with its own feature.
fn detected(objects: &[Object], size: Option<(f32, f32)>) -> Result<Regions, String> {
    let n = objects.len();
    check_count(n, 1)?;
    let mut regions = Regions { image_size: size.ok_or("come without the photo's size")?, ..Regions::default() };
    for object in objects {
        let feature = object.feature.as_deref().ok_or("have an object without a feature")?;
        let (feature, width) = table(feature.as_bytes(), 1, "features")?;
        if regions.width != 0 && regions.width != width {
            return Err("have features of different lengths".into());
        }
        regions.width = width;
        regions.features.extend(feature);
        regions.boxes.push(object.rect.ok_or("have an object without a rectangle")?);
    }
    let scores: Option<Vec<&String>> = objects.iter().map(|o| o.scores_all.as_ref()).collect();
    let mut classes_of_one = None;
    for scores in scores.unwrap_or_default() {
        let (row, k) = table(scores.as_bytes(), 1, "class probabilities")?;
        if *classes_of_one.get_or_insert(k) != k {
            return Err("have class probabilities of different lengths".into());
        }
        regions.classes.extend(row);
    }
    with_objects(regions, objects)
}

/// Adds names and, if there is one for each region, confidences.
fn with_objects(mut regions: Regions, objects: &[Object]) -> Result<Regions, String> {
    if objects.len() > MAX_REGIONS {
        return Err(format!("have {} objects, more than this program reads", objects.len()));
    }
    regions.tags = objects.iter().filter_map(|o| o.class.clone()).collect();
    let confidences: Option<Vec<f32>> = objects.iter().map(|o| o.conf).collect();
    regions.confidences = confidences.filter(|c| c.len() == regions.boxes.len()).unwrap_or_default();
    Ok(regions)
}

fn count(field: &[u8]) -> Result<usize, String> {
    let text = str::from_utf8(field).unwrap_or_default().trim();
    text.parse().map_err(|_| "have a count that is no number".to_owned())
}

fn number(field: &[u8]) -> Result<f32, String> {
    let text = str::from_utf8(field).unwrap_or_default().trim();
    text.parse().map_err(|_| "have an image size that is no number".to_owned())
}

/// `n` rows of little-endian 32-bit floats in base64, and the length of a row.
fn table(field: &[u8], n: usize, what: &str) -> Result<(Vec<f32>, usize), String> {
    check_count(n, 1)?;
    let bytes = STANDARD.decode(field.trim_ascii()).map_err(|e| format!("have {what} that are no base64 ({e})"))?;
    let row = bytes.len() / 4 / n;
    if row == 0 || row > MAX_WIDTH || row * n * 4 != bytes.len() {
        return Err(format!("have {what} of {} bytes, which do not make {n} rows", bytes.len()));
    }
    let numbers = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok((numbers, row))
}
