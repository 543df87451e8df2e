//! Splits a stream of XML into records without parsing them.
//!
//! Only the tags that open and close a record are looked for, so a broken record costs no other: the
//! next one begins at its own tag. Memory holds one record.

use std::io::{self, ErrorKind, Read};

use memchr::memchr;

use super::input::Input;
use super::{RECORD_BYTES, Rejected};

/// How much is read at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Longer than any tag name that is looked for.
const LOOKAHEAD: usize = 64;

/// What a file's records are called, and the element they lie in, if any.
pub(super) struct Tags {
    pub(super) records: &'static [&'static str],
    pub(super) root: &'static str,
}

/// A stream of XML, record by record.
pub(super) struct Splitter {
    name: String,
    source: Input,
    tags: Tags,
    /// What was read and not yet given out begins at `start`; `offset` bytes came before the buffer.
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    number: u64,
    record: std::ops::Range<usize>,
    is_root_open: bool,
    ended: bool,
    failure: Option<io::Error>,
}

/// Why there is no further tag.
enum Cut {
    End,
    Large,
}

impl Splitter {
    pub(super) fn new(source: Input, tags: Tags) -> Self {
        Self {
            name: source.name().to_owned(),
            source,
            tags,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            number: 0,
            record: 0..0,
            is_root_open: false,
            ended: false,
            failure: None,
        }
    }

    /// The next record, from its opening to its closing tag.
    pub(super) fn next(&mut self) -> Option<Result<&str, Rejected>> {
        let tag = loop {
            match self.tag(self.start) {
                Ok(at) => {
                    self.start = at;
                    if let Some(tag) = self.opens(at) {
                        break tag;
                    }
                    self.note_root(at);
                    self.start += 1;
                }
                Err(Cut::Large) => self.start = self.buffer.len(),
                Err(Cut::End) => return self.finish().map(Err),
            }
            self.drop_used();
        };
        self.drop_used();
        self.number += 1;
        let (end, reason) = match self.close(tag) {
            Ok(end) => (end, None),
            Err((end, reason)) => (end, Some(reason)),
        };
        self.record = self.start..end;
        self.start = end;
        if let Some(reason) = reason {
            return Some(Err(self.reject(reason)));
        }
        Some(match std::str::from_utf8(&self.buffer[self.record.clone()]) {
            Ok(record) => Ok(record),
            Err(error) => Err(self.reject(format!("invalid UTF-8 at byte {} of it", error.valid_up_to()))),
        })
    }

    /// The record just given, set aside for `reason`.
    pub(super) fn reject(&self, reason: impl Into<String>) -> Rejected {
        let record = &self.buffer[self.record.clone()];
        let position = match first_id(record) {
            Some(id) => format!("record {} ({id})", self.number),
            None => format!("record {}", self.number),
        };
        Rejected::new(&self.name, position, reason, record)
    }

    /// Where the record that opens at `self.start` ends; else where to go on, and what is wrong.
    fn close(&mut self, tag: &str) -> Result<usize, (usize, String)> {
        let mut from = self.start + 1;
        loop {
            match self.tag(from) {
                Ok(at) if self.closes(at, tag) => {
                    let end = memchr(b'>', &self.buffer[at..]).map_or(self.buffer.len(), |end| at + end + 1);
                    return Ok(end);
                }
                Ok(at) if self.opens(at).is_some() => {
                    return Err((at, "the next record begins before this one ends".to_owned()));
                }
                Ok(at) => from = at + 1,
                Err(Cut::Large) => {
                    return Err((self.buffer.len(), "the record is larger than 64 MB".to_owned()));
                }
                Err(Cut::End) => {
                    let why = self.failure.take().map(|error| format!(": {error}")).unwrap_or_default();
                    self.is_root_open = false;
                    return Err((self.buffer.len(), format!("the file ends inside this record{why}")));
                }
            }
        }
    }

    /// Says what is missing when the stream is over.
    fn finish(&mut self) -> Option<Rejected> {
        let position = format!("byte {}", self.offset + self.buffer.len() as u64);
        let reason = if let Some(error) = self.failure.take() {
            format!("the file cannot be read further: {error}")
        } else if std::mem::take(&mut self.is_root_open) {
            format!("the file ends before </{}>: records may be missing", self.tags.root)
        } else {
            return None;
        };
        self.is_root_open = false;
        Some(Rejected::new(&self.name, position, reason, b""))
    }

    /// Index of the next `<` from `from` on whose tag name is in the buffer.
    fn tag(&mut self, mut from: usize) -> Result<usize, Cut> {
        loop {
            let at = memchr(b'<', &self.buffer[from..]).map(|at| from + at);
            match at {
                Some(at) if self.buffer.len() - at >= LOOKAHEAD => return Ok(at),
                _ => from = at.unwrap_or(self.buffer.len()),
            }
            if from - self.start >= RECORD_BYTES {
                return Err(Cut::Large);
            }
            if !self.fill() {
                return at.ok_or(Cut::End);
            }
        }
    }

    fn opens(&self, at: usize) -> Option<&'static str> {
        let name = &self.buffer[at + 1..];
        self.tags.records.iter().copied().find(|tag| is_tag(name, tag))
    }

    fn closes(&self, at: usize, tag: &str) -> bool {
        self.buffer[at + 1..].strip_prefix(b"/").is_some_and(|name| is_tag(name, tag))
    }

    fn note_root(&mut self, at: usize) {
        if is_tag(&self.buffer[at + 1..], self.tags.root) {
            self.is_root_open = true;
        } else if self.closes(at, self.tags.root) {
            self.is_root_open = false;
        }
    }

    /// Forgets what lies before `self.start`, unless moving the rest would cost more than it frees.
    fn drop_used(&mut self) {
        if self.start >= PIECE_BYTES.max(self.buffer.len() / 2) {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.record = 0..0;
            self.start = 0;
        }
    }

    /// Reads on; says whether anything came.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let before = self.buffer.len();
        self.buffer.resize(before + PIECE_BYTES, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = read.unwrap_or_else(|error| {
            self.failure = Some(error);
            0
        });
        self.buffer.truncate(before + read);
        self.ended = read == 0;
        !self.ended
    }
}

/// Does a tag of this very `name` stand at the beginning of `bytes`?
fn is_tag(bytes: &[u8], name: &str) -> bool {
    let after = bytes.strip_prefix(name.as_bytes()).and_then(<[u8]>::first);
    after.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))
}

/// The first PubMed or PMC id in a record that may be broken, for people to find it by.
fn first_id(record: &[u8]) -> Option<String> {
    let head = &record[..record.len().min(64 << 10)];
    let content = |tag: &[u8]| {
        let at = memchr::memmem::find(head, tag)? + tag.len();
        let rest = &head[at + memchr(b'>', &head[at..])? + 1..];
        let digits: String =
            rest.iter().take(12).take_while(|byte| byte.is_ascii_alphanumeric()).map(|byte| *byte as char).collect();
        (!digits.is_empty()).then_some(digits)
    };
    let pmid = content(b"<PMID").map(|id| format!("PMID {id}"));
    pmid.or_else(|| content(b"pub-id-type=\"pmc\"").map(|id| format!("PMC{}", id.trim_start_matches("PMC"))))
}
