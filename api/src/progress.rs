//! Progress on standard error, shown only to a person and only for work that takes a while.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or a spinner while the total is unknown. Hidden unless standard error is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that counts bytes.
    pub(crate) fn bytes(label: &'static str, total: u64) -> Self {
        Self::with_template(label, total, "{msg:<12} [{bar:32}] {bytes}/{total_bytes} {elapsed} eta {eta}")
    }

    /// A bar that counts things.
    pub(crate) fn count(label: &'static str, total: u64) -> Self {
        Self::with_template(label, total, "{msg:<12} [{bar:32}] {pos}/{len} {elapsed} eta {eta}")
    }

    /// A spinner for what cannot be counted.
    pub(crate) fn spinner(label: &'static str) -> Self {
        Self::with_template(label, 0, "{spinner} {msg} {elapsed}")
    }

    fn with_template(label: &'static str, total: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Moves to `position` of `total`.
    pub(crate) fn at(&self, position: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(position);
    }

    /// Names what is being done now.
    pub(crate) fn label(&self, label: impl Into<Cow<'static, str>>) {
        self.bar.set_message(label);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
