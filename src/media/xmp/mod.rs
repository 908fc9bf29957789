//! XMP sidecars: the words in them, and how ours are put in without disturbing the rest.
//!
//! Works on bytes; must not touch files. A sidecar is parsed by quick-xml into elements
//! that know where they stand ([`tree`]); what is added is written by quick-xml as well
//! and placed between the bytes that were there ([`merge`]), so that all else stays byte
//! for byte: other programs' namespaces, edit histories, comments, line ends.
//! Specification: XMP part 1 (ISO 16684-1).

mod merge;
mod tree;

use thiserror::Error;

pub use merge::{Merged, merge};

use tree::{Element, Tree};

use crate::domain::LatLon;

/// Sidecars above this are not read: months of edits take some hundred kilobytes.
pub const MAX_BYTES: u64 = 32 << 20;

pub(super) const DC: &str = "http://purl.org/dc/elements/1.1/";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const X: &str = "adobe:ns:meta/";
/// The language of the text that programs show which ask for none.
pub const DEFAULT_LANG: &str = "x-default";
/// "Undetermined": such a caption goes out as the default alone.
pub const UNKNOWN_LANG: &str = "und";

/// Why a sidecar is left as it is.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmpError {
    #[error("this sidecar is not in UTF-8")]
    NotUtf8,
    #[error("this sidecar is no well-formed XML ({0})")]
    Malformed(String),
    #[error("this file holds no XMP")]
    NotXmp,
    #[error("this sidecar writes its {0} in a form that cannot be added to")]
    Unusual(&'static str),
}

/// What a sidecar says of its photo, or is to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// `dc:description`: language and text. What is read keeps its order, `x-default`
    /// included; what is to be written names languages, the main one first.
    pub captions: Vec<(String, String)>,
    /// `dc:subject`.
    pub tags: Vec<String>,
    /// `exif:GPSLatitude`, `exif:GPSLongitude`; written only, and only where there is none.
    pub place: Option<LatLon>,
}

/// Reads the captions and tags of a sidecar.
pub fn read(bytes: &[u8]) -> Result<Words, XmpError> {
    let tree = Tree::parse(bytes)?;
    let rdf = tree.rdf()?;
    let mut words = Words::default();
    for description in rdf.children.iter().filter(|child| child.is(RDF, "Description")) {
        for property in &description.children {
            if property.is(DC, "description") {
                words.captions.extend(alternatives(property));
            } else if property.is(DC, "subject") {
                words.tags.extend(items(property).map(|li| li.text.clone()));
            }
        }
        for (name, value) in &description.attributes {
            if name.is(DC, "description") {
                words.captions.push((DEFAULT_LANG.to_owned(), value.clone()));
            }
        }
    }
    Ok(words)
}

/// The language under which a caption goes into a sidecar: programs that offer Chinese look for `zh-CN`.
fn written_lang(lang: &str) -> String {
    if lang.eq_ignore_ascii_case("zh") { "zh-CN".to_owned() } else { lang.to_owned() }
}

/// Whether two codes name one language, as far as photo programs tell them apart.
fn same_lang(a: &str, b: &str) -> bool {
    let plain = |lang: &str| match lang.to_ascii_lowercase().as_str() {
        "zh" | "zh-hans" | "zh-hans-cn" => "zh-cn".to_owned(),
        other => other.to_owned(),
    };
    plain(a) == plain(b)
}

/// The `rdf:li` of a property, whatever kind of list holds them.
fn items(property: &Element) -> impl Iterator<Item = &Element> {
    property.children.iter().flat_map(|list| list.children.iter().filter(|li| li.is(RDF, "li")))
}

/// Languages and texts of a property; plain text counts as `x-default`.
fn alternatives(property: &Element) -> Vec<(String, String)> {
    if property.children.is_empty() && !property.text.trim().is_empty() {
        return vec![(DEFAULT_LANG.to_owned(), property.text.clone())];
    }
    items(property).map(|li| (li.lang().unwrap_or(DEFAULT_LANG).to_owned(), li.text.clone())).collect()
}

/// Text without what XML cannot hold, with line ends as XML has them; and how many characters were left out.
fn holdable(text: &str) -> (String, usize) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let allowed = |c: &char| matches!(c, '\t' | '\n' | ' '..='\u{FFFD}' | '\u{10000}'..);
    let kept: String = text.chars().filter(allowed).collect();
    let left_out = text.chars().count() - kept.chars().count();
    (kept, left_out)
}
