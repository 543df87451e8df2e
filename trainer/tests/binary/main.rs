//! The binary as its users run it: end to end, and killed wherever it may be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod cli;
mod grpo;
mod kills;
mod learns;
mod lookup;
mod stages;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::journal::{self, Entry};
use trainer::task::lookup::{Size, init};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis-train"));
    command.current_dir(folder).args(arguments);
    command
}

/// How it ended, what it printed, and what it said beside that.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(folder, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Starts it and kills it as soon as `is_time`; it must not have ended by then.
fn kill_when(folder: &Path, arguments: &[&str], is_time: &dyn Fn() -> bool) {
    let mut child = command(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !is_time() && begun.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "killed too late: {arguments:?}");
}

/// The last step that `run` told.
fn steps(run: &Path) -> u64 {
    let entries = journal::read(run).unwrap_or_default();
    entries.iter().filter(|entry| matches!(entry, Entry::Step(_))).map(Entry::step).max().unwrap_or(0)
}

/// A small lookup task in `folder/task`.
fn task(folder: &Path) {
    let size =
        Size { drugs: 20, train: 5, heldout: 6, editions: 1, demonstrations: 5, two_hop: 1, copying: 5, retelling: 5 };
    init(&folder.join("task"), 3, size).unwrap();
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
