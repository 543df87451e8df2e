//! The members of one large JSON object, one at a time: `{"key": value, "key": value, …}`.

use std::io::{BufReader, Read};

use super::input::Input;
use super::{RECORD_BYTES, Rejected};

/// Splits an object into its members without parsing their values.
pub(super) struct Members {
    name: String,
    source: BufReader<Input>,
    key: String,
    value: Vec<u8>,
    number: u64,
    ended: bool,
}

/// Why no further member can be found.
enum Cut {
    Read(std::io::Error),
    End,
    Large,
    Syntax,
}

impl Members {
    pub(super) fn new(input: Input) -> Self {
        let name = input.name().to_owned();
        let source = BufReader::with_capacity(128 << 10, input);
        Self { name, source, key: String::new(), value: Vec::new(), number: 0, ended: false }
    }

    /// The next key and the bytes of its value.
    pub(super) fn next(&mut self) -> Option<Result<(&str, &[u8]), Rejected>> {
        if self.ended {
            return None;
        }
        match self.read_member() {
            Ok(true) => Some(Ok((&self.key, &self.value))),
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(cut) => {
                self.ended = true;
                Some(Err(self.reject(match cut {
                    Cut::Read(error) => format!("the file cannot be read further: {error}"),
                    Cut::End => "the file ends inside this record".to_owned(),
                    Cut::Large => "larger than 64 MB".to_owned(),
                    Cut::Syntax => "no JSON object of records".to_owned(),
                })))
            }
        }
    }

    /// The member just given, set aside for `reason`.
    pub(super) fn reject(&self, reason: impl Into<String>) -> Rejected {
        let position = format!("record {} ({})", self.number, self.key);
        Rejected::new(&self.name, position, reason, &self.value)
    }

    fn read_member(&mut self) -> Result<bool, Cut> {
        let separator = self.skip_blanks()?;
        self.number += 1;
        self.key.clear();
        self.value.clear();
        match (separator, self.number) {
            (b'}', _) => return Ok(false),
            (b'{', 1) | (b',', _) => {}
            _ => return Err(Cut::Syntax),
        }
        match self.skip_blanks()? {
            b'}' => return Ok(false),
            b'"' => self.value.push(b'"'),
            _ => return Err(Cut::Syntax),
        }
        self.finish_string()?;
        self.key = serde_json::from_slice(&self.value).map_err(|_| Cut::Syntax)?;
        self.value.clear();
        if self.skip_blanks()? != b':' {
            return Err(Cut::Syntax);
        }
        if self.skip_blanks()? != b'{' {
            return Err(Cut::Syntax);
        }
        self.value.push(b'{');
        let mut depth = 1_usize;
        while depth > 0 {
            let byte = self.byte()?;
            self.push(byte)?;
            match byte {
                b'"' => self.finish_string()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        Ok(true)
    }

    /// Takes the rest of a string whose opening quote was taken.
    fn finish_string(&mut self) -> Result<(), Cut> {
        loop {
            let byte = self.byte()?;
            self.push(byte)?;
            match byte {
                b'"' => return Ok(()),
                b'\\' => {
                    let escaped = self.byte()?;
                    self.push(escaped)?;
                }
                _ => {}
            }
        }
    }

    fn push(&mut self, byte: u8) -> Result<(), Cut> {
        if self.value.len() >= RECORD_BYTES {
            return Err(Cut::Large);
        }
        self.value.push(byte);
        Ok(())
    }

    fn skip_blanks(&mut self) -> Result<u8, Cut> {
        loop {
            let byte = self.byte()?;
            // A byte order mark may stand before the object.
            let is_mark = self.number == 0 && b"\xef\xbb\xbf".contains(&byte);
            if !is_mark && !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Cut> {
        let mut byte = [0];
        match self.source.read(&mut byte).map_err(Cut::Read)? {
            0 => Err(Cut::End),
            _ => Ok(byte[0]),
        }
    }
}
