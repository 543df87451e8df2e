//! Standard output: results for people or as JSON. Messages go to standard error.

use std::io::Write;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde::Serialize;

/// Bold.
pub(crate) const STRONG: Style = Style::new().bold();
/// What may be passed over.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What needs care.
const WARNING: Style = AnsiColor::Yellow.on_default();
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
        if self.json {
            let _ = self.json(&serde_json::json!({ "error": format!("{error:#}") }));
        }
        let mut err = AutoStream::new(std::io::stderr(), self.color);
        let _ = writeln!(err, "{ERROR}error:{ERROR:#} {error:#}");
    }
}
