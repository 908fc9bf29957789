//! How the program's types look as SQLite values.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};

use super::history::CaptionAct;
use crate::domain::{
    AnswerId, CaptionId, CaptionState, ContentHash, Embedding, FileStamp, FolderId, LatLon, ModelId, Photo, PhotoId,
    PhotoMeta, PhotoState, ReadFailure, SkippedReason,
};

macro_rules! integer_id {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    )+};
}
integer_id!(PhotoId, FolderId, ModelId, CaptionId, AnswerId);

macro_rules! stored_as {
    ($name:ident: $repr:ty, $($variant:ident = $value:literal),+) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                match self { $(Self::$variant => Ok($value.into()),)+ }
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match <$repr>::read(value)? { $($value => Ok(Self::$variant),)+ _ => Err(FromSqlError::InvalidType) }
            }
        }
    };
}

/// The two shapes in which an enum is stored.
trait Repr<'a>: Sized {
    fn read(value: ValueRef<'a>) -> FromSqlResult<Self>;
}
impl<'a> Repr<'a> for i64 {
    fn read(value: ValueRef<'a>) -> FromSqlResult<Self> {
        value.as_i64()
    }
}
impl<'a> Repr<'a> for &'a str {
    fn read(value: ValueRef<'a>) -> FromSqlResult<Self> {
        value.as_str()
    }
}

stored_as!(PhotoState: i64, Present = 0, Missing = 1, Failed = 2);
stored_as!(CaptionState: &str, Draft = "draft", Accepted = "accepted");
stored_as!(CaptionAct: &str,
    Drafted = "drafted", Wrote = "wrote", Edited = "edited", Judged = "judged", Removed = "removed",
    TookIn = "took_in", Reworded = "reworded");
// The same words as in the program's JSON.
stored_as!(SkippedReason: &str,
    Unreadable = "unreadable", Empty = "empty", Damaged = "damaged", Unsupported = "unsupported",
    TooLarge = "too_large", NotFinite = "not_finite", Changing = "changing");

impl ToSql for ContentHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_slice().into())
    }
}
impl FromSql for ContentHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self)
    }
}

/// A path column.
pub(super) struct PathBytes(pub std::path::PathBuf);

impl PathBytes {
    pub fn encode(path: &std::path::Path) -> Vec<u8> {
        super::path::to_bytes(path)
    }
}
impl FromSql for PathBytes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        super::path::from_bytes(value.as_blob()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}

/// Little-endian f16, two bytes a number. Half precision moves a cosine of unit
/// vectors by less than 1e-3, and halves the file and the scan.
pub(super) fn vector_to_blob(embedding: &Embedding) -> Vec<u8> {
    embedding.as_slice().iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
}

/// Reads a blob into `halves`; false when it is not a unit vector of `dim` finite
/// numbers (half precision allowed for), which only damage can cause: one such row
/// would poison every ranking.
pub(super) fn blob_to_vector(value: ValueRef<'_>, dim: usize, halves: &mut Vec<f16>, floats: &mut Vec<f32>) -> bool {
    let Ok(blob) = value.as_blob() else { return false };
    let (pairs, rest) = blob.as_chunks::<2>();
    if pairs.len() != dim || !rest.is_empty() {
        return false;
    }
    halves.clear();
    halves.extend(pairs.iter().map(|&pair| f16::from_le_bytes(pair)));
    floats.resize(dim, 0.0);
    halves.convert_to_f32_slice(floats);
    // NaN and infinity make the sum fail the comparison as well.
    let square: f32 = floats.iter().map(|v| v * v).sum();
    (square - 1.0).abs() < 0.02
}

/// The columns of [`Photo`], in the order in which [`photo_from_row`] reads them.
pub(super) const PHOTO_COLUMNS: &str = "id, folder, path, state, size_bytes, modified_ns, changed_ns, inode, content, \
     width, height, taken, camera, latitude, longitude, failure, coalesce(failure_detail, '')";

pub(super) fn photo_from_row(row: &Row<'_>) -> rusqlite::Result<Photo> {
    let place = Option::zip(row.get(13)?, row.get(14)?);
    let detail = row.get(16)?;
    Ok(Photo {
        id: row.get(0)?,
        folder: row.get(1)?,
        path: row.get::<_, PathBytes>(2)?.0,
        state: row.get(3)?,
        stamp: stamp_from_row(row, 4)?,
        content: row.get(8)?,
        meta: PhotoMeta {
            width: row.get(9)?,
            height: row.get(10)?,
            taken: row.get(11)?,
            camera: row.get(12)?,
            place: place.map(|(latitude, longitude)| LatLon { latitude, longitude }),
        },
        failure: row.get::<_, Option<_>>(15)?.map(|reason| ReadFailure { reason, detail }),
    })
}

/// Four columns from `first` on. Sizes and inodes are unsigned: their bits are kept in SQLite's signed integers.
pub(super) fn stamp_from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<FileStamp> {
    Ok(FileStamp {
        size_bytes: row.get::<_, i64>(first)?.cast_unsigned(),
        modified_ns: row.get(first + 1)?,
        changed_ns: row.get(first + 2)?,
        inode: row.get::<_, i64>(first + 3)?.cast_unsigned(),
    })
}

/// The values for the four stamp columns.
pub(super) fn stamp_values(stamp: &FileStamp) -> [i64; 4] {
    [stamp.size_bytes.cast_signed(), stamp.modified_ns, stamp.changed_ns, stamp.inode.cast_signed()]
}
