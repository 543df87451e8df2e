//! `tojson` as transformers has it: Python's `json.dumps` with its spacing, keys in their order, and
//! nothing escaped for HTML.

use std::io;

use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

/// The widest indent that is taken.
const MAX_INDENT: usize = 16;

/// `value | tojson`, `value | tojson(indent=4)`, `value | tojson(ensure_ascii=true)`.
#[expect(clippy::needless_pass_by_value, reason = "filters are called with these by value")]
pub(super) fn tojson(value: &Value, positional: Rest<Value>, options: Kwargs) -> Result<String, Error> {
    let bad = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut ensure_ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let mut indent = options.get::<Option<usize>>("indent")?;
    options.assert_all_used()?;
    match &positional[..] {
        [] => {}
        [ascii] => ensure_ascii = ascii.is_true(),
        [ascii, width] => (ensure_ascii, indent) = (ascii.is_true(), width.as_usize()),
        _ => return Err(Error::new(ErrorKind::TooManyArguments, "tojson takes ensure_ascii and indent")),
    }
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = [b' '; MAX_INDENT];
            let pretty = PrettyFormatter::with_indent(&spaces[..width.min(MAX_INDENT)]);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, pretty)).map_err(bad)?;
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)).map_err(bad)?,
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if ensure_ascii { ascii(&text) } else { text })
}

/// `", "` and `": "`, as `json.dumps` writes on one line.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Characters beyond ASCII, which stand in strings alone, as `\u` escapes.
fn ascii(json: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}
