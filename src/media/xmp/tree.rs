//! A sidecar as elements that know which bytes they stand in.

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, QName, ResolveResult};

use super::{RDF, X, XML, XmpError};

/// Deeper than any program nests; keeps a hostile file from exhausting the stack.
const MAX_DEPTH: usize = 100;
const BOM: &str = "\u{FEFF}";

/// A name with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    namespace: String,
    local: String,
    /// As it is written.
    pub written: String,
}

impl Name {
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }

    pub fn is_of(&self, namespace: &str) -> bool {
        self.namespace == namespace
    }

    /// `rdf` of `rdf:li`; empty where the namespace is the default one.
    pub fn prefix(&self) -> &str {
        self.written.split_once(':').map_or("", |(prefix, _)| prefix)
    }
}

#[derive(Debug)]
pub(super) struct Element {
    pub name: Name,
    pub attributes: Vec<(Name, String)>,
    /// The bytes of its opening tag.
    pub open: Range<usize>,
    /// The bytes of its closing tag; `None` for `<a/>`.
    pub close: Option<Range<usize>>,
    pub children: Vec<Element>,
    /// Its own text, without that of its children.
    pub text: String,
}

impl Element {
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.name.is(namespace, local)
    }

    /// All its bytes.
    pub fn span(&self) -> Range<usize> {
        self.open.start..self.close.as_ref().unwrap_or(&self.open).end
    }

    pub fn lang(&self) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name.is(XML, "lang")).map(|(_, value)| value.as_str())
    }
}

/// A parsed sidecar; positions count from the byte after a BOM.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub source: &'a str,
    pub has_bom: bool,
    pub root: Element,
}

impl<'a> Tree<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, XmpError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmpError::NotUtf8)?;
        let source = text.strip_prefix(BOM).unwrap_or(text);
        let root = Parser { reader: NsReader::from_str(source), open: Vec::new(), root: None }.run()?;
        Ok(Self { source, has_bom: source.len() < text.len(), root })
    }

    /// `rdf:RDF`, at the top or in `x:xmpmeta`.
    pub fn rdf(&self) -> Result<&Element, XmpError> {
        let root = &self.root;
        let found = if root.is(X, "xmpmeta") || root.is(X, "xapmeta") {
            root.children.iter().find(|child| child.is(RDF, "RDF"))
        } else {
            Some(root).filter(|root| root.is(RDF, "RDF"))
        };
        found.ok_or(XmpError::NotXmp)
    }
}

struct Parser<'a> {
    reader: NsReader<&'a [u8]>,
    open: Vec<Element>,
    root: Option<Element>,
}

fn malformed(error: impl std::fmt::Display) -> XmpError {
    XmpError::Malformed(error.to_string())
}

fn text_of(bytes: &[u8]) -> Result<String, XmpError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| XmpError::NotUtf8)
}

impl Parser<'_> {
    fn run(mut self) -> Result<Element, XmpError> {
        loop {
            let from = self.position();
            let event = self.reader.read_event().map_err(malformed)?;
            let span = from..self.position();
            match event {
                Event::Start(start) => {
                    if self.open.len() >= MAX_DEPTH {
                        return Err(malformed("nested too deeply"));
                    }
                    let element = self.element(&start, span)?;
                    self.open.push(element);
                }
                Event::Empty(start) => {
                    let element = self.element(&start, span)?;
                    self.closed(element)?;
                }
                Event::End(_) => {
                    // The reader has checked that it closes what is open.
                    if let Some(mut element) = self.open.pop() {
                        element.close = Some(span);
                        self.closed(element)?;
                    }
                }
                Event::Text(text) => self.text(&text.xml10_content().map_err(malformed)?)?,
                Event::CData(text) => self.text(&text.xml10_content().map_err(malformed)?)?,
                Event::GeneralRef(reference) => {
                    let text = match reference.resolve_char_ref().map_err(malformed)? {
                        Some(c) => c.to_string(),
                        None => {
                            let name = text_of(&reference)?;
                            quick_xml::escape::resolve_predefined_entity(&name)
                                .ok_or_else(|| malformed(format!("an unknown entity &{name};")))?
                                .to_owned()
                        }
                    };
                    self.text(&text)?;
                }
                Event::Decl(declaration) => {
                    if let Some(encoding) = declaration.encoding() {
                        let encoding = encoding.map_err(malformed)?;
                        if !encoding.eq_ignore_ascii_case(b"utf-8") {
                            return Err(XmpError::NotUtf8);
                        }
                    }
                }
                Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Eof => break,
            }
        }
        if let Some(open) = self.open.last() {
            return Err(malformed(format!("<{}> is not closed", open.name.written)));
        }
        self.root.ok_or(XmpError::NotXmp)
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn text(&mut self, text: &str) -> Result<(), XmpError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(malformed("text outside all elements")),
        }
        Ok(())
    }

    fn closed(&mut self, element: Element) -> Result<(), XmpError> {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if self.root.is_none() => self.root = Some(element),
            None => return Err(malformed("more than one root element")),
        }
        Ok(())
    }

    fn element(&self, start: &BytesStart<'_>, open: Range<usize>) -> Result<Element, XmpError> {
        let resolver = self.reader.resolver();
        let name = name(start.name(), resolver.resolve_element(start.name()).0)?;
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(malformed)?;
            let value = text_of(&attribute.value)?;
            let value = quick_xml::escape::unescape(&value).map_err(malformed)?.into_owned();
            attributes.push((self::name(attribute.key, resolver.resolve_attribute(attribute.key).0)?, value));
        }
        Ok(Element { name, attributes, open, close: None, children: Vec::new(), text: String::new() })
    }
}

fn name(written: QName<'_>, namespace: ResolveResult<'_>) -> Result<Name, XmpError> {
    let namespace = match namespace {
        ResolveResult::Bound(Namespace(namespace)) => text_of(namespace)?,
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(prefix) => {
            return Err(malformed(format!("the prefix {} is not declared", String::from_utf8_lossy(&prefix))));
        }
    };
    Ok(Name { namespace, local: text_of(written.local_name().as_ref())?, written: text_of(written.as_ref())? })
}
