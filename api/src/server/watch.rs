//! [`Watch`]: a thread that looks at something every so often, until it is dropped.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Ends the looking when dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _stop: SyncSender<()>,
}

/// Tells one state of a file from another; none while it is not there.
type Mark = Option<(u64, u64, i64, i64)>;

impl Watch {
    /// Has `look` called every so often, by a thread called `name`.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn start(name: &str, every: Duration, mut look: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let watch = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                look();
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(watch)?;
        Ok(Self { _stop: stop })
    }

    /// Has `changed` called at the first look, since what was read before may be older than the `files` of then, and at each that
    /// finds one of them changed. Where it fails it is called again, since that may not have been the files' fault; the log tells
    /// each cause once.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn of_files(
        name: &'static str,
        every: Duration,
        files: Vec<PathBuf>,
        mut changed: impl FnMut() -> Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let mut last: Option<Vec<Mark>> = None;
        let mut failed = None;
        Self::start(name, every, move || {
            let marks = Some(files.iter().map(|file| mark(file)).collect());
            if last == marks {
                return;
            }
            match changed() {
                Ok(()) => (last, failed) = (marks, None),
                Err(error) => {
                    let error = format!("{error:#}");
                    if failed.as_ref() != Some(&error) {
                        tracing::error!(error, "the {name} cannot be read: the last good ones stay");
                        failed = Some(error);
                    }
                }
            }
        })
    }
}

fn mark(file: &Path) -> Mark {
    let found = fs::metadata(file).ok()?;
    Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}
