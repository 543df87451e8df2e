//! Standard output: results for people or as JSON. Messages go to standard error.

use std::io::Write;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde::Serialize;

/// Bold.
pub(crate) const STRONG: Style = Style::new().bold();
/// Headings.
pub(crate) const HEADING: Style = Style::new().bold().underline();
/// What may be passed over.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Labels and ids.
pub(crate) const LABEL: Style = AnsiColor::Cyan.on_default();
/// What needs care.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Where results go, and in which form.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    color: ColorChoice,
}

impl Output {
    pub(crate) fn new(json: bool, color: ColorChoice) -> Self {
        Self { json, color }
    }

    /// True when results are to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One result as one line of JSON.
    #[expect(clippy::unused_self, reason = "results go through the output, in either form")]
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        Self::raw(&line)
    }

    /// A line for a person; styles are dropped where they cannot be shown.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = AutoStream::new(std::io::stdout(), self.color);
        writeln!(out, "{}", text.as_ref())?;
        Ok(())
    }

    /// A faint part of a line for a person, shown at once. What could steer a terminal is left out.
    pub(crate) fn faint_part(&self, text: &str) -> Result<()> {
        let shown: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        if shown.is_empty() {
            return Ok(());
        }
        let mut out = AutoStream::new(std::io::stdout(), self.color);
        write!(out, "{FAINT}{shown}{FAINT:#}")?;
        out.flush()?;
        Ok(())
    }

    /// Bytes as they are.
    pub(crate) fn raw(bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        let mut err = AutoStream::new(std::io::stderr(), self.color);
        // a remark that cannot be shown is no reason to fail
        let _ = writeln!(err, "{WARNING}note:{WARNING:#} {}", text.as_ref());
    }

    /// The last words of a command that failed.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let error = told(error);
        if self.json {
            let _ = self.json(&serde_json::json!({ "error": error }));
        }
        let mut err = AutoStream::new(std::io::stderr(), self.color);
        let _ = writeln!(err, "{ERROR}error:{ERROR:#} {error}");
    }
}

/// An error with its causes, each told once: some errors tell their cause themselves.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |told, cause| {
        let cause = cause.to_string();
        if told.ends_with(&cause) { told } else { format!("{told}: {cause}") }
    })
}

/// `text` in at most `most` characters, for lists that people read.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let missing = || corpus::Error::File {
            action: "open",
            path: "x.jsonl".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "it is not there"),
        };
        assert_eq!(told(&missing().into()), "cannot open x.jsonl: it is not there");
        let wrapped = Err::<(), _>(missing()).context("nothing was added").unwrap_err();
        assert_eq!(told(&wrapped), "nothing was added: cannot open x.jsonl: it is not there");
        assert_eq!(told(&anyhow::anyhow!("alone")), "alone");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("Müller", 6), "Müller");
        assert_eq!(cut("Mü ller", 3), "Mü…");
    }
}
