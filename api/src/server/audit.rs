//! [`AuditLog`]: `audit.jsonl` of the home, a line for each request that changed something or was refused.
//!
//! Who, from which address, when, which route and how it ended; never a question, a key or a path as the client wrote it.
//! One thread appends what waits, in one write, and syncs it to disk before it waits again: a line is on
//! disk a moment after its response, and a kill loses at most what was answered in that moment. When
//! lines come faster than the disk takes them, when it is full, or when somebody without a key is refused
//! too often, lines are left out and counted in the next one, so that noise cannot wash out what matters.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use axum::http::Method;
use corpus::store::private_folder;
use jiff::Timestamp;
use serde::Serialize;

use super::limits::Bucket;

/// Lines that may wait for the writer.
const PLACES: usize = 1_024;
/// Refusals a minute of those who gave no right key that are written down.
const UNKNOWN_A_MINUTE: u32 = 120;
/// Who gave no right key.
const UNKNOWN: &str = "-";

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of a file before the next is begun.
    pub(crate) bytes: u64,
    /// Files in all; the oldest goes.
    pub(crate) files: u32,
}

/// What is written down of a request.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    time: Timestamp,
    request: String,
    caller: String,
    /// Where the request came from, as a trusted proxy says or the connection itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    method: String,
    route: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Lines before this one that were left out.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Line {
    pub(super) fn new(
        request: &str,
        (caller, address): (&str, Option<IpAddr>),
        method: &Method,
        route: &str,
        status: u16,
        code: Option<&'static str>,
    ) -> Self {
        // a method is whatever a client writes, as long as it likes
        let method = if method.as_str().len() <= 16 { method.as_str() } else { "other" };
        Self {
            time: Timestamp::now(),
            request: request.to_owned(),
            caller: caller.to_owned(),
            address,
            method: method.to_owned(),
            route: route.to_owned(),
            status,
            code,
            left_out: 0,
        }
    }
}

/// Where lines are handed in.
#[derive(Debug)]
pub(super) struct AuditLog {
    lines: SyncSender<Option<Line>>,
    unknown: Mutex<Bucket>,
    left_out: Arc<AtomicU64>,
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    lines: SyncSender<Option<Line>>,
    thread: JoinHandle<()>,
}

impl AuditLog {
    /// Starts the writer for the home at `folder`.
    ///
    /// # Errors
    /// When the file cannot be opened: a service that asks for an audit log does not run without.
    pub(super) fn start(folder: &Path, keep: Room) -> Result<(Self, Writer)> {
        let mut book = Book::open(folder, keep)?;
        let (lines, received) = sync_channel(PLACES);
        let left_out = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&left_out);
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || book.follow(&received, &lost))?;
        let unknown = Mutex::new(Bucket::full(UNKNOWN_A_MINUTE, Instant::now()));
        let log = Self { lines: lines.clone(), unknown, left_out };
        Ok((log, Writer { lines, thread }))
    }

    /// Hands in a line; never waits.
    pub(super) fn write(&self, mut line: Line) {
        if line.caller == UNKNOWN {
            let mut bucket = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            if bucket.take(UNKNOWN_A_MINUTE, Instant::now()).is_err() {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        line.left_out = self.left_out.swap(0, Ordering::Relaxed);
        let left_out = line.left_out + 1;
        if self.lines.try_send(Some(line)).is_err() {
            self.left_out.fetch_add(left_out, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Waits until all that was handed in is on disk.
    pub(super) fn finish(self) {
        // either fails only when the thread has ended already
        let _ = self.lines.send(None);
        let _ = self.thread.join();
    }
}

/// The open file.
struct Book {
    path: PathBuf,
    keep: Room,
    file: File,
    bytes: u64,
}

impl Book {
    fn open(folder: &Path, keep: Room) -> Result<Self> {
        private_folder(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("audit.jsonl");
        let (file, bytes) = append(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, keep, file, bytes })
    }

    /// Writes what comes until it is told to end; adds to `lost` what could not be written.
    fn follow(&mut self, lines: &Receiver<Option<Line>>, lost: &AtomicU64) {
        let mut is_failing = false;
        while let Ok(Some(first)) = lines.recv() {
            let (mut batch, mut count) = (Vec::new(), first.left_out + 1);
            encode(&first, &mut batch);
            let mut ends = false;
            for next in lines.try_iter().take(PLACES) {
                if let Some(line) = next {
                    count += line.left_out + 1;
                    encode(&line, &mut batch);
                } else {
                    ends = true;
                }
            }
            let written = self.write(&batch);
            if let Err(error) = &written {
                if !is_failing {
                    tracing::error!(%error, path = %self.path.display(), "the audit log cannot be written");
                }
                lost.fetch_add(count, Ordering::Relaxed);
                // opened anew, so that a line that was cut short is ended before the next
                if let Ok((file, bytes)) = append(&self.path) {
                    (self.file, self.bytes) = (file, bytes);
                }
            }
            is_failing = written.is_err();
            if ends {
                return;
            }
        }
    }

    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        if self.bytes > 0 && self.bytes + batch.len() as u64 > self.keep.bytes {
            self.rotate()?;
        }
        self.file.write_all(batch)?;
        self.bytes += batch.len() as u64;
        self.file.sync_data()
    }

    /// `audit.jsonl` becomes `audit.jsonl.1`, and so on up to the last that is kept.
    fn rotate(&mut self) -> std::io::Result<()> {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..self.keep.files).rev() {
            let from = if n == 1 { self.path.clone() } else { numbered(n - 1) };
            match fs::rename(&from, numbered(n)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.keep.files <= 1 {
            fs::remove_file(&self.path)?;
        }
        (self.file, self.bytes) = append(&self.path)?;
        Ok(())
    }
}

/// Opens for appending; a line that a kill cut short is ended, so that the next one is whole.
fn append(path: &Path) -> std::io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut bytes = file.metadata()?.len();
    if bytes > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            bytes += 1;
        }
    }
    Ok((file, bytes))
}

fn encode(line: &Line, batch: &mut Vec<u8>) {
    serde_json::to_writer(&mut *batch, line).expect("a line is plain data: its keys are strings");
    batch.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Room = Room { bytes: 1_000, files: 3 };

    fn line(caller: &str, request: u32) -> Line {
        Line::new(&request.to_string(), (caller, None), &Method::POST, "/v1/documents", 200, None)
    }

    fn read(path: &Path) -> Vec<serde_json::Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_survive_a_restart_and_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for request in 0..2 {
            let (log, writer) = AuditLog::start(folder.path(), KEEP).unwrap();
            log.write(line("ward", request));
            writer.finish();
        }
        assert_eq!(read(&path).iter().map(|line| line["request"].clone()).collect::<Vec<_>>(), ["0", "1"]);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"time\":").unwrap();
        let (log, writer) = AuditLog::start(folder.path(), KEEP).unwrap();
        log.write(line("ward", 2));
        writer.finish();
        let text = fs::read_to_string(&path).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((text.lines().count(), &last["request"]), (4, &serde_json::json!("2")));
    }

    #[test]
    fn old_files_go_and_no_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path(), KEEP).unwrap();
        for request in 0..60 {
            let mut batch = Vec::new();
            encode(&line("ward", request), &mut batch);
            book.write(&batch).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
        let mut seen = Vec::new();
        for name in ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"] {
            let path = folder.path().join(name);
            assert!(fs::metadata(&path).unwrap().len() <= KEEP.bytes);
            seen.extend(read(&path).iter().map(|line| line["request"].as_str().unwrap().parse::<u32>().unwrap()));
        }
        let expect: Vec<_> = (60 - seen.len() as u32..60).collect();
        assert_eq!(seen, expect, "the newest lines, in order");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path(), KEEP).unwrap();
        book.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (sender, lines) = sync_channel(8);
        let lost = AtomicU64::new(0);
        for entry in [Some(line("ward", 0)), Some(Line { left_out: 4, ..line("ward", 1) }), None] {
            sender.send(entry).unwrap();
        }
        book.follow(&lines, &lost);
        assert_eq!(lost.into_inner(), 6);
        sender.send(Some(line("ward", 2))).unwrap();
        drop(sender);
        book.follow(&lines, &AtomicU64::new(0));
        assert_eq!(read(&folder.path().join("audit.jsonl"))[0]["request"], "2");
    }

    #[test]
    fn noise_is_counted_and_washes_nothing_out() {
        let folder = tempfile::tempdir().unwrap();
        let (log, writer) = AuditLog::start(folder.path(), Room { bytes: 1 << 20, files: 2 }).unwrap();
        for request in 0..500 {
            log.write(line(UNKNOWN, request));
        }
        log.write(line("ward", 500));
        writer.finish();
        let lines = read(&folder.path().join("audit.jsonl"));
        let written = lines.len() as u64;
        assert!(written < 130, "{written}");
        let left_out: u64 = lines.iter().filter_map(|line| line["left_out"].as_u64()).sum();
        assert_eq!(written + left_out, 501);
    }
}
