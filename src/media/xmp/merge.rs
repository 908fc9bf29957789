//! Puts captions and tags into a sidecar, and leaves all other bytes of it alone.
//!
//! A caption goes under its own language. `x-default`, the text that programs show which
//! know no languages, follows the language it repeats; one that repeats none is somebody's
//! own words and gives way only to words that a person stands behind. There is exactly one
//! and it stands first, as the specification asks.

use std::io;
use std::ops::Range;

use quick_xml::Writer;
use quick_xml::events::{BytesPI, BytesText, Event};

use super::tree::{Element, Tree};
use super::{
    DC, DEFAULT_LANG, EXIF, RDF, UNKNOWN_LANG, Words, X, XmpError, alternatives, holdable, items, same_lang,
    written_lang,
};

/// What became of a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The whole new sidecar; equal to the old one where it says all already.
    pub bytes: Vec<u8>,
    /// Texts that ours took the place of.
    pub replaced: Vec<String>,
    /// Texts that stayed although ours differ, because `may_replace` was not given.
    pub kept: Vec<String>,
    /// Characters of ours that XML cannot hold.
    pub left_out: usize,
}

/// Puts `words` into a sidecar, or into a new one.
pub fn merge(existing: Option<&[u8]>, words: &Words, may_replace: bool) -> Result<Merged, XmpError> {
    let fresh;
    let bytes = match existing {
        Some(bytes) => bytes,
        None => {
            fresh = skeleton()?;
            &fresh
        }
    };
    let tree = Tree::parse(bytes)?;
    let rdf = tree.rdf()?;
    let descriptions: Vec<&Element> = rdf.children.iter().filter(|child| child.is(RDF, "Description")).collect();
    let mut left_out = 0;
    let mut clean = |text: &str| {
        let (text, dropped) = holdable(text);
        left_out += dropped;
        text
    };
    let wanted: Vec<(String, String)> =
        words.captions.iter().map(|(lang, text)| (written_lang(lang), clean(text))).collect();
    let tags: Vec<String> = words.tags.iter().map(|tag| clean(tag)).filter(|tag| !tag.trim().is_empty()).collect();

    let mut edit = Edit { tree: &tree, rdf, splices: Vec::new(), replaced: Vec::new(), kept: Vec::new() };
    let mut new = Vec::new();
    let find = |local: &'static str| -> Result<Option<&Element>, XmpError> {
        if descriptions.iter().any(|d| d.attributes.iter().any(|(name, _)| name.is(DC, local))) {
            return Err(XmpError::Unusual(local));
        }
        Ok(descriptions.iter().flat_map(|d| &d.children).find(|property| property.is(DC, local)))
    };
    if !wanted.is_empty() {
        match find("description")? {
            Some(property) => edit.captions(property, &wanted, may_replace)?,
            None => new.push(Property::Captions(with_default(&wanted))),
        }
    }
    if !tags.is_empty() {
        match find("subject")? {
            Some(property) => edit.tags(property, &tags)?,
            None => new.push(Property::Tags(tags)),
        }
    }
    let placed = |element: &Element| element.name.is_of(EXIF) && element.name.written.contains("GPSL");
    let has_place = descriptions.iter().any(|d| {
        d.children.iter().any(placed)
            || d.attributes.iter().any(|(name, _)| name.is(EXIF, "GPSLatitude") || name.is(EXIF, "GPSLongitude"))
    });
    if let Some(place) = words.place.filter(|_| !has_place) {
        new.push(Property::Degrees("GPSLatitude", degrees(place.latitude, ['N', 'S'])));
        new.push(Property::Degrees("GPSLongitude", degrees(place.longitude, ['E', 'W'])));
    }
    if !new.is_empty() {
        edit.add_properties(descriptions.first().copied(), &new)?;
    }
    let Edit { splices, replaced, kept, .. } = edit;
    let bytes = if splices.is_empty() { bytes.to_vec() } else { spliced(&tree, splices) };
    // What is written is read once more: no fault of ours may cost somebody a sidecar.
    Tree::parse(&bytes)?.rdf()?;
    Ok(Merged { bytes, replaced, kept, left_out })
}

/// A property that a sidecar does not have yet.
enum Property {
    Captions(Vec<(String, String)>),
    Tags(Vec<String>),
    Degrees(&'static str, String),
}

/// The main caption as `x-default`, then each under its language.
fn with_default(wanted: &[(String, String)]) -> Vec<(String, String)> {
    let default = wanted.first().map(|(_, text)| (DEFAULT_LANG.to_owned(), text.clone()));
    default.into_iter().chain(wanted.iter().filter(|(lang, _)| lang != UNKNOWN_LANG).cloned()).collect()
}

struct Edit<'a> {
    tree: &'a Tree<'a>,
    rdf: &'a Element,
    /// Bytes to be replaced, none of them twice.
    splices: Vec<(Range<usize>, Vec<u8>)>,
    replaced: Vec<String>,
    kept: Vec<String>,
}

impl Edit<'_> {
    fn captions(&mut self, property: &Element, wanted: &[(String, String)], may_replace: bool) -> Result<(), XmpError> {
        let list = match property.children.as_slice() {
            // Plain text or nothing: written anew as a list.
            [] => {
                let old = alternatives(property);
                if let Some((_, text)) = old.first().filter(|(_, text)| *text != wanted[0].1) {
                    if !may_replace {
                        self.kept.push(text.clone());
                        return Ok(());
                    }
                    self.replaced.push(text.clone());
                }
                return self.fill(property, &Property::Captions(with_default(wanted)));
            }
            [list] if list.is(RDF, "Alt") => list,
            _ => return Err(XmpError::Unusual("description")),
        };
        if list.close.is_none() || !list.children.iter().any(|li| li.is(RDF, "li")) {
            return self.fill(property, &Property::Captions(with_default(wanted)));
        }
        let is_default = |li: &&Element| li.lang().is_none_or(|lang| lang.eq_ignore_ascii_case(DEFAULT_LANG));
        let all: Vec<&Element> = list.children.iter().filter(|li| li.is(RDF, "li")).collect();
        let default = all.iter().copied().find(|li| is_default(li));
        // Which language the default repeats, before anything changes.
        let owner = default.and_then(|d| all.iter().copied().find(|li| !is_default(li) && li.text == d.text));
        let mut added = Vec::new();
        for (lang, text) in wanted {
            match all.iter().copied().find(|li| !is_default(li) && li.lang().is_some_and(|l| same_lang(l, lang))) {
                Some(li) if li.text == *text => {}
                Some(li) if may_replace => {
                    self.replaced.push(li.text.clone());
                    self.set_text(li, text)?;
                }
                Some(li) => self.kept.push(li.text.clone()),
                None if lang == UNKNOWN_LANG => {}
                None => added.push((lang.clone(), text.clone())),
            }
        }
        let main = &wanted[0].1;
        let first = match default {
            None => Some(main.clone()),
            Some(default) => {
                let ours = match owner {
                    Some(owner) => wanted.iter().find(|(l, _)| owner.lang().is_some_and(|o| same_lang(o, l))),
                    None => (!wanted.iter().any(|(_, text)| *text == default.text)).then_some(&wanted[0]),
                };
                match ours.map(|(_, text)| text).filter(|text| **text != default.text) {
                    Some(text) if may_replace => {
                        if owner.is_none() {
                            self.replaced.push(default.text.clone());
                        }
                        Some(text.clone())
                    }
                    Some(_) => {
                        self.kept.push(default.text.clone());
                        None
                    }
                    None => None,
                }
            }
        };
        let misplaced = !is_default(&all[0]) || all.iter().skip(1).any(is_default);
        if let (Some(text), Some(default), false) = (&first, default, misplaced) {
            self.set_text(default, text)?;
        } else if first.is_some() || misplaced && !(self.splices.is_empty() && added.is_empty()) {
            let text = first.or_else(|| default.map(|d| d.text.clone())).unwrap_or_else(|| main.clone());
            for li in all.iter().copied().filter(is_default) {
                self.splices.push((self.with_space_before(li), Vec::new()));
            }
            let items = [(DEFAULT_LANG.to_owned(), text)];
            let written = self.list_items(&items, &self.space_before(all[0]))?;
            self.splices.push((list.open.end..list.open.end, written));
        }
        if !added.is_empty()
            && let (Some(last), Some(close)) = (list.children.last(), &list.close)
        {
            let written = self.list_items(&added, &self.space_before(all[0]))?;
            let at = last.span().end.min(close.start);
            self.splices.push((at..at, written));
        }
        Ok(())
    }

    fn tags(&mut self, property: &Element, tags: &[String]) -> Result<(), XmpError> {
        let there: Vec<&Element> = items(property).collect();
        let missing: Vec<(String, String)> = tags
            .iter()
            .filter(|tag| !there.iter().any(|li| li.text == **tag))
            .map(|tag| (String::new(), tag.clone()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        match (property.children.as_slice(), there.as_slice()) {
            ([list], [first, ..]) if list.is(RDF, "Bag") || list.is(RDF, "Seq") => {
                let written = self.list_items(&missing, &self.space_before(first))?;
                let at = there.last().map_or(list.open.end, |last| last.span().end);
                self.splices.push((at..at, written));
                Ok(())
            }
            ([], _) if property.text.trim().is_empty() => self.fill(property, &Property::Tags(tags.to_vec())),
            ([list], []) if list.is(RDF, "Bag") => self.fill(property, &Property::Tags(tags.to_vec())),
            _ => Err(XmpError::Unusual("subject")),
        }
    }

    /// Gives an `rdf:li` another text; its tags stay as they are written.
    fn set_text(&mut self, li: &Element, text: &str) -> Result<(), XmpError> {
        let (range, bytes) = match &li.close {
            Some(close) => (
                li.open.end..close.start,
                written(|w| {
                    w.write_event(Event::Text(BytesText::from_escaped(quick_xml::escape::partial_escape(text))))
                })?,
            ),
            None => {
                let lang = li.lang().unwrap_or_default().to_owned();
                (li.span(), self.list_items(&[(lang, text.to_owned())], "")?)
            }
        };
        self.splices.push((range, bytes));
        Ok(())
    }

    /// Replaces a whole property by the same one with other contents.
    fn fill(&mut self, property: &Element, contents: &Property) -> Result<(), XmpError> {
        let space = self.space_before(property);
        let rdf = self.rdf.name.prefix().to_owned();
        let bytes = written(|w| write_property(w, contents, &rdf, &space))?;
        self.splices.push((property.span(), bytes));
        Ok(())
    }

    /// Adds properties to the first description, or to a new one.
    fn add_properties(&mut self, description: Option<&Element>, new: &[Property]) -> Result<(), XmpError> {
        let rdf = self.rdf.name.prefix().to_owned();
        let (parent, name) = match description {
            Some(description) => (description, description.name.written.clone()),
            None => (self.rdf, self.rdf.name.written.clone()),
        };
        let outer = self.space_before(parent);
        let step = if outer.is_empty() { "" } else { " " };
        let inner = match parent.children.first().map(|child| self.space_before(child)) {
            Some(space) if description.is_some() => space,
            _ => format!("{outer}{step}"),
        };
        let space =
            |w: &mut Writer<Vec<u8>>, s: &str| w.write_event(Event::Text(BytesText::from_escaped(s.to_owned())));
        let properties = written(|w| {
            if description.is_some() {
                return new.iter().try_for_each(|property| {
                    space(w, &inner)?;
                    write_property(w, property, &rdf, &inner)
                });
            }
            space(w, &inner)?;
            let deeper = format!("{inner}{step}");
            w.create_element(qualified(&rdf, "Description"))
                .with_attribute((qualified(&rdf, "about").as_str(), ""))
                .write_inner_content(|w| {
                    new.iter().try_for_each(|property| {
                        space(w, &deeper)?;
                        write_property(w, property, &rdf, &deeper)
                    })?;
                    space(w, &inner)
                })
                .map(drop)
        })?;
        match &parent.close {
            Some(close) => {
                let at = parent.children.last().map_or(parent.open.end, |child| child.span().end);
                let mut bytes = properties;
                if parent.children.is_empty() && self.tree.source[at..close.start].is_empty() {
                    bytes.extend(outer.bytes());
                }
                self.splices.push((at..at, bytes));
            }
            None => {
                // `<a …/>` becomes `<a …>` with a closing tag.
                let slash = parent.open.end - 2;
                let mut bytes = b">".to_vec();
                bytes.extend(properties);
                bytes.extend(outer.bytes());
                bytes.extend(written(|w| w.write_event(Event::End(quick_xml::events::BytesEnd::new(name.as_str()))))?);
                self.splices.push((slash..parent.open.end, bytes));
            }
        }
        Ok(())
    }

    /// `rdf:li` elements with a space before each; no `xml:lang` for an empty language.
    fn list_items(&self, items: &[(String, String)], space: &str) -> Result<Vec<u8>, XmpError> {
        let rdf = self.rdf.name.prefix();
        written(|w| items.iter().try_for_each(|item| write_item(w, item, rdf, space)))
    }

    /// The line end and indentation that stand before an element; empty where something else does.
    fn space_before(&self, element: &Element) -> String {
        let before = &self.tree.source[..element.open.start];
        let blank = &before[before.trim_end_matches([' ', '\t', '\r', '\n']).len()..];
        // From the last line end on.
        match blank.rfind('\n') {
            Some(at) => blank[if blank[..at].ends_with('\r') { at - 1 } else { at }..].to_owned(),
            None => String::new(),
        }
    }

    fn with_space_before(&self, element: &Element) -> Range<usize> {
        element.open.start - self.space_before(element).len()..element.span().end
    }
}

fn write_item(w: &mut Writer<Vec<u8>>, (lang, text): &(String, String), rdf: &str, space: &str) -> io::Result<()> {
    w.write_event(Event::Text(BytesText::from_escaped(space.to_owned())))?;
    let li = qualified(rdf, "li");
    let element = w.create_element(li.as_str());
    let element = if lang.is_empty() { element } else { element.with_attribute(("xml:lang", lang.as_str())) };
    element.write_text_content(BytesText::from_escaped(quick_xml::escape::partial_escape(text.as_str()))).map(drop)
}

fn write_property(w: &mut Writer<Vec<u8>>, property: &Property, rdf: &str, space: &str) -> io::Result<()> {
    // Declared where it is used: valid whatever the prefix stands for around it.
    let list = |w: &mut Writer<Vec<u8>>, name: &str, kind: &str, items: &[(String, String)]| {
        let step = if space.is_empty() { "" } else { " " };
        let (inner, deeper) = (format!("{space}{step}"), format!("{space}{step}{step}"));
        let blank =
            |w: &mut Writer<Vec<u8>>, s: &str| w.write_event(Event::Text(BytesText::from_escaped(s.to_owned())));
        w.create_element(name)
            .with_attribute(("xmlns:dc", DC))
            .write_inner_content(|w| {
                blank(w, &inner)?;
                w.create_element(qualified(rdf, kind)).write_inner_content(|w| {
                    items.iter().try_for_each(|item| write_item(w, item, rdf, &deeper))?;
                    blank(w, &inner)
                })?;
                blank(w, space)
            })
            .map(drop)
    };
    match property {
        Property::Captions(items) => list(w, "dc:description", "Alt", items),
        Property::Tags(tags) => {
            let items: Vec<_> = tags.iter().map(|tag| (String::new(), tag.clone())).collect();
            list(w, "dc:subject", "Bag", &items)
        }
        Property::Degrees(name, value) => w
            .create_element(format!("exif:{name}"))
            .with_attribute(("xmlns:exif", EXIF))
            .write_text_content(BytesText::new(value))
            .map(drop),
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
}

/// Degrees and minutes as XMP writes them: `48,8.8232N`.
fn degrees(value: f64, signs: [char; 2]) -> String {
    let sign = signs[usize::from(value < 0.0)];
    // In units of the last digit that is written, so that 59.999999 minutes carry over.
    let units = (value.abs() * 60.0 * 1e6).round() as u64;
    let (degrees, rest) = (units / 60_000_000, units % 60_000_000);
    format!("{degrees},{}.{:06}{sign}", rest / 1_000_000, rest % 1_000_000)
}

/// What quick-xml writes; into memory, which does not fail.
fn written(write: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> Result<Vec<u8>, XmpError> {
    let mut writer = Writer::new(Vec::new());
    write(&mut writer).map_err(|error| XmpError::Malformed(error.to_string()))?;
    Ok(writer.into_inner())
}

/// An empty sidecar.
fn skeleton() -> Result<Vec<u8>, XmpError> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
    let mut write = || -> io::Result<()> {
        writer.write_event(Event::PI(BytesPI::new("xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"")))?;
        writer
            .create_element("x:xmpmeta")
            .with_attribute(("xmlns:x", X))
            .with_attribute(("x:xmptk", concat!("Glimpse ", env!("CARGO_PKG_VERSION"))))
            .write_inner_content(|w| {
                w.create_element("rdf:RDF").with_attribute(("xmlns:rdf", RDF)).write_inner_content(|w| {
                    w.create_element("rdf:Description").with_attribute(("rdf:about", "")).write_empty().map(drop)
                })?;
                Ok(())
            })?;
        writer.write_event(Event::PI(BytesPI::new("xpacket end=\"w\"")))
    };
    write().map_err(|error| XmpError::Malformed(error.to_string()))?;
    Ok(writer.into_inner())
}

/// The sidecar with the splices made.
fn spliced(tree: &Tree<'_>, mut splices: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    // Stable: what was put at one place stays in its order.
    splices.sort_by_key(|(range, _)| range.start);
    let source = tree.source.as_bytes();
    let mut bytes = if tree.has_bom { "\u{FEFF}".as_bytes().to_vec() } else { Vec::new() };
    let mut from = 0;
    for (range, new) in splices {
        bytes.extend_from_slice(&source[from..range.start.max(from)]);
        bytes.extend_from_slice(&new);
        from = range.end.max(from);
    }
    bytes.extend_from_slice(&source[from..]);
    bytes
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
