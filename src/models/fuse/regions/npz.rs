//! UNITER's region files: NumPy's `.npz`, one a photo, named after it.
//!
//! A small reader of its own: candle's takes sizes from the header on trust and its zip
//! reader is built without deflate, which the authors' files use. Whole files are read,
//! up to a limit; zip64, encryption and column order are refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use half::f16;

use super::index::{Index, Wanted};
use super::{MAX_REGIONS, MAX_WIDTH, Regions, RegionsError};

/// Largest file and largest array. One hundred regions with class probabilities are 1.5 MB.
const MAX_BYTES: u64 = 64 << 20;

/// One `.npz` or a folder of them.
#[derive(Debug)]
pub struct NpzFiles {
    folder: PathBuf,
    /// File names, at the places of the index.
    names: Vec<String>,
    index: Index,
}

impl NpzFiles {
    pub fn folder(folder: &Path) -> Result<Self, RegionsError> {
        let io = |source| RegionsError::Io { path: folder.to_owned(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            // Names that are not UTF-8 belong to no photo that could be looked up.
            if let Ok(name) = entry.map_err(io)?.file_name().into_string()
                && Path::new(&name).extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"))
            {
                names.push(name);
            }
        }
        Ok(Self::new(folder.to_owned(), names))
    }

    pub fn one(path: &Path) -> Result<Self, RegionsError> {
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| RegionsError::File {
            path: path.to_owned(),
            detail: "has a name that cannot be compared with a photo's".into(),
        })?;
        let files = Self::new(path.parent().unwrap_or(Path::new("")).to_owned(), vec![name.to_owned()]);
        // What is no such file is said now, not at the first question.
        files.read(0)?;
        Ok(files)
    }

    fn new(folder: PathBuf, mut names: Vec<String>) -> Self {
        names.sort_unstable();
        let mut index = Index::default();
        for (at, name) in (0u64..).zip(&names) {
            index.push(key(name).as_bytes(), at);
        }
        Self { folder, names, index: index.finish() }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn get(&self, photo: &Path) -> Result<Option<Regions>, RegionsError> {
        let wanted = Wanted::of(photo);
        let named = wanted.names.iter().find_map(|name| {
            self.index.places(name.as_bytes()).map(|at| at as usize).find(|&at| key(&self.names[at]) == name)
        });
        let place = named.or_else(|| wanted.id.and_then(|id| self.index.place_of_id(id)).map(|at| at as usize));
        place.map(|at| self.read(at)).transpose()
    }

    fn read(&self, at: usize) -> Result<Regions, RegionsError> {
        let path = self.folder.join(&self.names[at]);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|source| RegionsError::Io { path: path.clone(), source })?;
        let key = key(&self.names[at]).to_owned();
        regions(&bytes).map_err(|detail| RegionsError::Photo { path, key, detail })
    }
}

/// `photo.npz` and `photo.jpg.npz` both belong to `photo.jpg`.
fn key(name: &str) -> &str {
    name.get(..name.len().saturating_sub(".npz".len())).unwrap_or(name)
}

fn regions(bytes: &[u8]) -> Result<Regions, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("are in a file of more than {} MiB", MAX_BYTES >> 20));
    }
    let archive = Archive::open(bytes)?;
    let first = |names: &[&str]| names.iter().find_map(|name| archive.array(name)).transpose();
    let features = first(&["features"])?.ok_or("come without an array `features`")?;
    let [n, width] = features.shape[..] else { return Err("have features that are no table".into()) };
    let sizes = [first(&["image_w"])?, first(&["image_h"])?];
    let size = match sizes.each_ref().map(|s| s.as_ref().and_then(|s| s.numbers.first().copied())) {
        [Some(width), Some(height)] => Some((width, height)),
        _ => None,
    };
    let mut confidences = first(&["conf"])?.map(|c| c.numbers).unwrap_or_default();
    let (rows, boxes, image_size) = if let Some(norm) = first(&["norm_bb"])? {
        let (width, height) = size.unwrap_or((1.0, 1.0));
        let (rows, boxes) = norm.boxes()?;
        let boxes = boxes.into_iter().map(|[x1, y1, x2, y2]| [x1 * width, y1 * height, x2 * width, y2 * height]);
        (rows, boxes.collect(), (width, height))
    } else {
        let pixels = first(&["bbox", "boxes"])?.ok_or("come without an array `norm_bb` or `bbox`")?;
        let (rows, boxes) = pixels.boxes()?;
        // VLP's boxes have class and confidence behind, and no size of the photo: its code
        // takes the farthest corner for it.
        let detectron = pixels.shape[1] == 6;
        if detectron && confidences.is_empty() {
            confidences = pixels.numbers.chunks_exact(6).map(|row| row[5]).collect();
        }
        let farthest = || boxes.iter().fold((0f32, 0f32), |(w, h), b| (w.max(b[0]).max(b[2]), h.max(b[1]).max(b[3])));
        let size = size.or_else(|| detectron.then(farthest)).ok_or("have boxes in pixels but no size of the photo")?;
        (rows, boxes, size)
    };
    if rows != n {
        return Err(format!("have {rows} boxes for {n} features"));
    }
    let classes = first(&["soft_labels", "cls_prob"])?.map(|c| c.numbers).unwrap_or_default();
    Regions { features: features.numbers, width, boxes, image_size, classes, confidences, ..Regions::default() }
        .checked()
}

/// Numbers in row order.
struct Array {
    shape: Vec<usize>,
    numbers: Vec<f32>,
}

impl Array {
    /// How many, and the first four numbers of each row.
    fn boxes(&self) -> Result<(usize, Vec<[f32; 4]>), String> {
        match self.shape[..] {
            [n, width @ 4..=7] => {
                let rows = self.numbers.chunks_exact(width).map(|r| [r[0], r[1], r[2], r[3]]);
                Ok((n, rows.collect()))
            }
            _ => Err("have boxes that are no table of four to seven columns".into()),
        }
    }
}

/// Where a member lies in the file.
struct Member {
    deflated: bool,
    crc: u32,
    packed: usize,
    size: usize,
    header: usize,
}

/// A zip archive in memory.
struct Archive<'a> {
    bytes: &'a [u8],
    members: BTreeMap<String, Member>,
}

/// `n` bytes at `at`, if the file is so long.
fn part(bytes: &[u8], at: usize, n: usize) -> Result<&[u8], String> {
    at.checked_add(n).and_then(|end| bytes.get(at..end)).ok_or_else(|| "are in a file that ends too early".into())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<usize, String> {
    let b = part(bytes, at, 2)?;
    Ok(usize::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let b = part(bytes, at, 4)?;
    Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        const END: usize = 22;
        // The end record is behind everything but a comment of at most 64 KiB.
        let from = bytes.len().saturating_sub(END + usize::from(u16::MAX));
        let end =
            memchr::memmem::rfind(&bytes[from..], b"PK\x05\x06").map(|at| from + at).ok_or("are in no zip file")?;
        let count = u16_at(bytes, end + 10)?;
        let mut at = u32_at(bytes, end + 16)? as usize;
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let head = part(bytes, at, 46)?;
            if !head.starts_with(b"PK\x01\x02") {
                return Err("are in a zip file with a damaged directory".into());
            }
            let (flags, method) = (u16_at(head, 8)?, u16_at(head, 10)?);
            let name = part(bytes, at + 46, u16_at(head, 28)?)?;
            let member = Member {
                deflated: method == 8,
                crc: u32_at(head, 16)?,
                packed: u32_at(head, 20)? as usize,
                size: u32_at(head, 24)? as usize,
                header: u32_at(head, 42)? as usize,
            };
            if flags & 1 != 0 || !matches!(method, 0 | 8) {
                return Err("are packed in a way that is not supported".into());
            }
            members.insert(String::from_utf8_lossy(name).into_owned(), member);
            at += 46 + name.len() + u16_at(head, 30)? + u16_at(head, 32)?;
        }
        Ok(Self { bytes, members })
    }

    /// `None` if there is no such array.
    fn array(&self, name: &str) -> Option<Result<Array, String>> {
        let member = self.members.get(&format!("{name}.npy"))?;
        let read = self.unpack(member).and_then(|bytes| npy(&bytes));
        Some(read.map_err(|detail| format!("{detail} (array `{name}`)")))
    }

    fn unpack(&self, member: &Member) -> Result<Vec<u8>, String> {
        if member.size as u64 > MAX_BYTES {
            return Err(format!("have an array of more than {} MiB", MAX_BYTES >> 20));
        }
        let head = part(self.bytes, member.header, 30)?;
        if !head.starts_with(b"PK\x03\x04") {
            return Err("are in a zip file with a damaged directory".into());
        }
        let packed = part(self.bytes, member.header + 30 + u16_at(head, 26)? + u16_at(head, 28)?, member.packed)?;
        let mut bytes = Vec::new();
        if member.deflated {
            // Grows as the data come, whatever the directory says.
            let read = DeflateDecoder::new(packed).take(member.size as u64 + 1).read_to_end(&mut bytes);
            read.map_err(|e| format!("cannot be unpacked ({e})"))?;
        } else {
            bytes.extend_from_slice(packed);
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        if bytes.len() != member.size || crc.sum() != member.crc {
            return Err("have a damaged array".into());
        }
        Ok(bytes)
    }
}

/// NumPy's format 1 to 3, of the number types in which such files are written.
fn npy(bytes: &[u8]) -> Result<Array, String> {
    let version = part(bytes, 0, 8)?;
    let (from, length) = match version {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => (10, u16_at(bytes, 8)?),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => (12, u32_at(bytes, 8)? as usize),
        _ => return Err("have an array that is not NumPy's".into()),
    };
    let header = str::from_utf8(part(bytes, from, length)?).map_err(|_| "have an unreadable array header")?;
    let data = &bytes[from + length..];
    let value = |name: &str| Some(header.split_once(&format!("'{name}':"))?.1.trim_start());
    let odd = || "have an unreadable array header".to_owned();
    if !value("fortran_order").ok_or_else(odd)?.starts_with("False") {
        return Err("are stored column by column, which is not supported".into());
    }
    let shape = value("shape").and_then(|v| v.strip_prefix('(')?.split_once(')')).ok_or_else(odd)?.0;
    let shape = shape.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape = shape.map(|s| s.parse::<usize>().map_err(|_| odd())).collect::<Result<Vec<_>, _>>()?;
    let kind = value("descr").and_then(|v| v.strip_prefix('\'')?.split_once('\'')).ok_or_else(odd)?.0;
    let size = match kind {
        "<f2" => 2,
        "<f4" | "<i4" => 4,
        "<f8" | "<i8" => 8,
        _ => return Err(format!("have numbers of the kind `{kind}`, which is not supported")),
    };
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_REGIONS * MAX_WIDTH);
    if count.and_then(|n| n.checked_mul(size)) != Some(data.len()) {
        return Err(format!("have {} bytes where the header promises {shape:?} of {size}", data.len()));
    }
    let numbers = match kind {
        "<f2" => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        "<f4" => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "<i4" => data.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect(),
        "<f8" => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        _ => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
    };
    Ok(Array { shape, numbers })
}
