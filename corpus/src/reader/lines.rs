//! Lines of a file, numbered and bounded: one that is too long is passed over, not gathered.

use std::io::{self, BufRead, BufReader, ErrorKind};

use memchr::memchr;

use super::input::Input;
use super::{RECORD_BYTES, Rejected};

/// Reads lines. Blank ones are skipped but counted.
pub(super) struct Lines {
    name: String,
    source: BufReader<Input>,
    line: Vec<u8>,
    number: u64,
    ended: bool,
}

impl Lines {
    pub(super) fn new(input: Input) -> Self {
        let name = input.name().to_owned();
        let source = BufReader::with_capacity(128 << 10, input);
        Self { name, source, line: Vec::new(), number: 0, ended: false }
    }

    /// The next line that is not blank, without its line end.
    pub(super) fn next(&mut self) -> Option<Result<&[u8], Rejected>> {
        while !self.ended {
            self.line.clear();
            let whole = match self.fill() {
                Ok(None) => break,
                Ok(Some(whole)) => whole,
                Err(error) => {
                    self.ended = true;
                    self.number += 1;
                    return Some(Err(self.reject(format!("the file cannot be read further: {error}"))));
                }
            };
            self.number += 1;
            if !whole {
                return Some(Err(self.reject("the line is larger than 64 MB")));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                return Some(Ok(self.line.trim_ascii()));
            }
        }
        self.ended = true;
        None
    }

    /// The line just given, set aside for `reason`.
    pub(super) fn reject(&self, reason: impl Into<String>) -> Rejected {
        Rejected::new(&self.name, format!("line {}", self.number), reason, &self.line)
    }

    /// Reads one line into `self.line`: `None` at the end, `Some(false)` if it was too long.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        let (mut any, mut whole) = (false, true);
        loop {
            let available = match self.source.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() {
                return Ok(any.then_some(whole));
            }
            any = true;
            let end = memchr(b'\n', available);
            let piece = &available[..end.unwrap_or(available.len())];
            whole &= self.line.len() + piece.len() <= RECORD_BYTES;
            if whole {
                self.line.extend_from_slice(piece);
            }
            let used = end.map_or(available.len(), |end| end + 1);
            self.source.consume(used);
            if end.is_some() {
                return Ok(Some(whole));
            }
        }
    }
}
