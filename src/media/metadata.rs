//! What the camera wrote beside the picture: orientation, date, camera, place.
//!
//! EXIF is often broken (zero dates, 0/0 coordinates, cut tables). Whatever
//! makes no sense is left out, never turned into NaN, 0° N 0° E or an error.
//! Only the primary image's fields count: those of the embedded thumbnail
//! may disagree with the picture.

use std::io::Cursor;

use exif::{Exif, In, Rational, Reader, Tag, Value};

use super::orientation::Orientation;
use crate::domain::{LatLon, PhotoMeta};

/// Longest camera name kept; a longer one is rubbish.
const MAX_CAMERA_CHARS: usize = 100;

/// Reads the EXIF block of a JPEG, TIFF, PNG or WebP file; size fields of the meta stay 0.
pub(super) fn read(bytes: &[u8]) -> (Orientation, PhotoMeta) {
    let parsed = Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|e| e.distill_partial_result(|_| {}));
    // Most files that are not photos have no EXIF: that is no fault.
    let Ok(exif) = parsed else { return Default::default() };
    let orientation = exif.get_field(Tag::Orientation, In::PRIMARY).and_then(|f| f.value.get_uint(0));
    let meta = PhotoMeta { taken: taken(&exif), camera: camera(&exif), place: place(&exif), ..Default::default() };
    (orientation.map_or_else(Orientation::default, Orientation::from_exif), meta)
}

/// The text of a field, without the padding that cameras add.
fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}

fn taken(exif: &Exif) -> Option<String> {
    [Tag::DateTimeOriginal, Tag::DateTimeDigitized].into_iter().find_map(|tag| iso_date(&text(exif, tag)?))
}

/// `YYYY:MM:DD HH:MM:SS` as `YYYY-MM-DDTHH:MM:SS`, if there was such a moment since photography began.
fn iso_date(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let separators_fit = bytes.len() >= 19
        && [4, 7].iter().all(|&i| matches!(bytes[i], b':' | b'-' | b'/' | b'.'))
        && matches!(bytes[10], b' ' | b'T')
        && [13, 16].iter().all(|&i| bytes[i] == b':');
    if !separators_fit {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    let real = year >= 1826 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    real.then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// Maker and model, the maker said once.
fn camera(exif: &Exif) -> Option<String> {
    let name = match (text(exif, Tag::Make), text(exif, Tag::Model)) {
        (Some(make), Some(model)) if !model.to_lowercase().starts_with(&make.to_lowercase()) => {
            format!("{make} {model}")
        }
        (_, Some(model)) => model,
        (Some(make), None) => make,
        (None, None) => return None,
    };
    Some(name.chars().filter(|c| !c.is_control()).take(MAX_CAMERA_CHARS).collect())
}

fn place(exif: &Exif) -> Option<LatLon> {
    let degrees = |value, reference, [positive, negative]: [&str; 2], most: f64| {
        let Value::Rational(parts) = &exif.get_field(value, In::PRIMARY)?.value else { return None };
        let size = degrees(parts)?;
        let hemisphere = text(exif, reference)?.to_uppercase();
        let sign = if hemisphere == positive {
            1.0
        } else if hemisphere == negative {
            -1.0
        } else {
            return None;
        };
        (size <= most).then_some(sign * size)
    };
    let latitude = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, ["N", "S"], 90.0)?;
    let longitude = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, ["E", "W"], 180.0)?;
    // Exactly 0, 0 is what a receiver without a fix writes, and open sea.
    (latitude != 0.0 || longitude != 0.0).then_some(LatLon { latitude, longitude })
}

/// Degrees, minutes, seconds as degrees; `None` where a part is not a number.
fn degrees(parts: &[Rational]) -> Option<f64> {
    let mut sum = 0.0;
    for (part, scale) in parts.iter().zip([1.0, 60.0, 3600.0]) {
        if part.denom == 0 {
            return None;
        }
        sum += part.to_f64() / scale;
    }
    (!parts.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Field, jpeg, quarters, tiff, with_exif};
    use super::*;

    fn meta_of(fields: &[(Tag, Field)]) -> PhotoMeta {
        read(&with_exif(&jpeg(&quarters(8, 8)), &tiff(fields, None))).1
    }

    #[test]
    fn date_camera_and_place() {
        let degrees = |d, m, s| Field::Rationals(vec![(d, 1), (m, 1), (s, 100)]);
        let meta = meta_of(&[
            (Tag::Make, Field::Ascii("ACME")),
            (Tag::Model, Field::Ascii("Snap 3  ")),
            (Tag::DateTimeOriginal, Field::Ascii("2020:02:29 23:59:59")),
            (Tag::GPSLatitudeRef, Field::Ascii("S")),
            (Tag::GPSLatitude, degrees(33, 51, 3600)),
            (Tag::GPSLongitudeRef, Field::Ascii("E")),
            (Tag::GPSLongitude, degrees(151, 12, 0)),
        ]);
        assert_eq!(meta.camera.as_deref(), Some("ACME Snap 3"));
        assert_eq!(meta.taken.as_deref(), Some("2020-02-29T23:59:59"));
        let place = meta.place.unwrap();
        assert!((place.latitude + 33.86).abs() < 1e-9 && (place.longitude - 151.2).abs() < 1e-9, "{place:?}");
    }

    #[test]
    fn a_maker_is_named_once() {
        let meta = meta_of(&[(Tag::Make, Field::Ascii("Canon")), (Tag::Model, Field::Ascii("Canon EOS R5"))]);
        assert_eq!(meta.camera.as_deref(), Some("Canon EOS R5"));
    }

    #[test]
    fn impossible_dates_are_no_dates() {
        let blank = "                   ";
        for text in
            ["0000:00:00 00:00:00", "2023:13:45 25:61:00", blank, "2023:02:29 00:00:00", "2023", "", "昨日昨日昨日日"]
        {
            assert_eq!(meta_of(&[(Tag::DateTimeOriginal, Field::Ascii(text))]).taken, None, "{text}");
        }
        let meta = meta_of(&[
            (Tag::DateTimeOriginal, Field::Ascii("0000:00:00 00:00:00")),
            (Tag::DateTimeDigitized, Field::Ascii("1999:12:31 00:00:00")),
        ]);
        assert_eq!(meta.taken.as_deref(), Some("1999-12-31T00:00:00"));
    }

    #[test]
    fn coordinates_that_are_no_numbers_are_no_place() {
        let place = |latitude: Vec<(u32, u32)>, reference| {
            meta_of(&[
                (Tag::GPSLatitudeRef, Field::Ascii(reference)),
                (Tag::GPSLatitude, Field::Rationals(latitude)),
                (Tag::GPSLongitudeRef, Field::Ascii("W")),
                (Tag::GPSLongitude, Field::Rationals(vec![(0, 1), (0, 1), (0, 1)])),
            ])
            .place
        };
        assert!(place(vec![(10, 1), (0, 1), (0, 1)], "N").is_some());
        assert_eq!(place(vec![(0, 0); 3], "N"), None);
        assert_eq!(place(vec![(0, 1); 3], "N"), None);
        assert_eq!(place(vec![(91, 1), (0, 1), (0, 1)], "N"), None);
        assert_eq!(place(vec![(10, 1), (0, 1), (0, 1)], "?"), None);
        assert_eq!(place(vec![], "N"), None);
    }

    #[test]
    fn cut_tables_give_what_they_have() {
        let whole = tiff(&[(Tag::Orientation, Field::Short(6)), (Tag::Model, Field::Ascii("Snap 3"))], None);
        for length in 0..whole.len() {
            read(&with_exif(&jpeg(&quarters(8, 8)), &whole[..length]));
        }
        let (orientation, meta) = read(&with_exif(&jpeg(&quarters(8, 8)), &whole[..whole.len() - 7]));
        assert_eq!((orientation, meta.camera), (Orientation::from_exif(6), None));
    }
}
