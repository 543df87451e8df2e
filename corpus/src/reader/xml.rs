//! One record of XML as a flat tree that borrows from it.
//!
//! Nodes stand in document order, each with the index behind its last descendant, so that going to a
//! sibling is one step and nothing is allocated but the list itself. Entities stay apart from text
//! and are decoded where text is written; an unknown one stays as it is, for a record is worth more
//! than a letter of it.

use std::borrow::Cow;

use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;

use super::entities::named;

/// Deeper nesting than any article has; a bound on recursion.
const MAX_DEPTH: usize = 200;
/// More than the largest article has; a bound on memory.
const MAX_NODES: usize = 4 << 20;

/// The nodes of one record, in document order.
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

struct Node<'a> {
    data: Data<'a>,
    /// Index behind its last descendant.
    end: u32,
}

enum Data<'a> {
    /// Name without prefix, and all that stands in the tag.
    Element {
        name: &'a str,
        tag: &'a str,
    },
    Text(&'a str),
    /// Without `&` and `;`.
    Entity(&'a str),
}

/// An element of a tree.
#[derive(Clone, Copy)]
pub(super) struct Element<'t> {
    tree: &'t Tree<'t>,
    at: usize,
}

/// What lies in an element.
#[derive(Clone, Copy)]
pub(super) enum Child<'t> {
    Element(Element<'t>),
    Text(&'t str),
    /// Without `&` and `;`.
    Entity(&'t str),
}

impl<'a> Tree<'a> {
    /// Parses `record`, one element.
    pub(super) fn parse(record: &'a str) -> Result<Self, String> {
        let mut nodes: Vec<Node<'a>> = Vec::with_capacity((record.len() / 24).min(MAX_NODES));
        let mut open: Vec<usize> = Vec::new();
        let mut reader = quick_xml::Reader::from_str(record);
        reader.config_mut().allow_dangling_amp = true;
        loop {
            let from = reader.buffer_position() as usize;
            let event = reader.read_event().map_err(|error| format!("broken XML: {error}"))?;
            let raw = &record[from..reader.buffer_position() as usize];
            if nodes.len() == MAX_NODES {
                return Err(format!("more than {MAX_NODES} elements and texts"));
            }
            let end = nodes.len() as u32 + 1;
            match event {
                Event::Start(_) => {
                    if open.len() == MAX_DEPTH {
                        return Err(format!("elements nested deeper than {MAX_DEPTH}"));
                    }
                    open.push(nodes.len());
                    nodes.push(Node { data: element(&raw[1..raw.len() - 1]), end });
                }
                Event::Empty(_) => nodes.push(Node { data: element(&raw[1..raw.len() - 2]), end }),
                Event::End(_) => {
                    if let Some(at) = open.pop() {
                        nodes[at].end = nodes.len() as u32;
                    }
                }
                Event::Text(_) => nodes.push(Node { data: Data::Text(raw), end }),
                Event::CData(_) => {
                    let text = raw.trim_start_matches("<![CDATA[").trim_end_matches("]]>");
                    nodes.push(Node { data: Data::Text(text), end });
                }
                Event::GeneralRef(_) => {
                    nodes.push(Node { data: Data::Entity(&raw[1..raw.len() - 1]), end });
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        match (open.is_empty(), nodes.first()) {
            (true, Some(Node { data: Data::Element { .. }, .. })) => Ok(Self { nodes }),
            _ => Err("broken XML: an element is not closed".to_owned()),
        }
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Element<'_> {
        Element { tree: self, at: 0 }
    }
}

fn element(tag: &str) -> Data<'_> {
    let name = tag.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
    Data::Element { name: local(name), tag }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

impl<'t> Element<'t> {
    fn tag(self) -> (&'t str, &'t str) {
        match self.tree.nodes[self.at].data {
            Data::Element { name, tag } => (name, tag),
            Data::Text(_) | Data::Entity(_) => ("", ""),
        }
    }

    /// Its name without prefix.
    pub(super) fn name(self) -> &'t str {
        self.tag().0
    }

    /// The value of the attribute `name` (without prefix), decoded.
    pub(super) fn attribute(self, name: &str) -> Option<Cow<'t, str>> {
        let tag = self.tag().1;
        // Most elements have none: this saves looking for them.
        let start = tag.find(|c: char| c.is_ascii_whitespace())?;
        let mut attributes = Attributes::html(tag, start);
        let attributes = attributes.with_checks(false);
        let found = attributes.flatten().find(|attribute| local(attribute.key.0) == name)?;
        Some(match found.value {
            Cow::Borrowed(value) => decode(value),
            Cow::Owned(value) => Cow::Owned(decode(&value).into_owned()),
        })
    }

    /// Is its attribute `name` this `value`?
    pub(super) fn is(self, name: &str, value: &str) -> bool {
        self.attribute(name).is_some_and(|found| found == value)
    }

    /// All that lies directly in it.
    pub(super) fn children(self) -> impl Iterator<Item = Child<'t>> {
        let nodes = &self.tree.nodes;
        let end = nodes[self.at].end as usize;
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let here = at;
                at = nodes[at].end as usize;
                match nodes[here].data {
                    Data::Element { .. } => Child::Element(Element { tree: self.tree, at: here }),
                    Data::Text(text) => Child::Text(text),
                    Data::Entity(name) => Child::Entity(name),
                }
            })
        })
    }

    /// The elements directly in it.
    pub(super) fn elements(self) -> impl Iterator<Item = Element<'t>> {
        self.children().filter_map(|child| match child {
            Child::Element(element) => Some(element),
            Child::Text(_) | Child::Entity(_) => None,
        })
    }

    /// The elements of this `name` directly in it.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = Element<'t>> {
        self.elements().filter(move |element| element.name() == name)
    }

    /// The first element of this `name` directly in it.
    pub(super) fn child(self, name: &str) -> Option<Element<'t>> {
        self.all(name).next()
    }

    /// The first element at this path of names.
    pub(super) fn path(self, names: &[&str]) -> Option<Element<'t>> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The first element of this `name` anywhere in it.
    pub(super) fn find(self, name: &str) -> Option<Element<'t>> {
        let end = self.tree.nodes[self.at].end as usize;
        (self.at + 1..end).map(|at| Element { tree: self.tree, at }).find(|element| element.name() == name)
    }
}

/// `text` with its entities decoded.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.find(';').filter(|end| *end <= 32) {
            Some(end) => {
                push_entity(&rest[..end], &mut out);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes what the entity `name` (without `&` and `;`) stands for, or the entity itself.
pub(super) fn push_entity(name: &str, out: &mut String) {
    let number = name.strip_prefix('#').map(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    });
    let c = match number {
        Some(number) => number.ok().and_then(char::from_u32),
        None => named(name),
    };
    if let Some(c) = c {
        out.push(c);
    } else {
        out.extend(["&", name, ";"]);
    }
}
