//! [`Events`]: TensorBoard's event file: `Event` messages of protobuf in TFRecord frames.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::crc::masked;
use crate::Result;
use crate::error::write;

/// An event file, open for more.
#[derive(Debug)]
pub(super) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Makes a new event file in the folder `dir`, of a run with `step` steps done. The folder's own name must
    /// not hold `tfevents`, or TensorBoard takes it for a file.
    pub(super) fn create(dir: &Path, step: u64, now: Timestamp) -> Result<Self> {
        let (stamp, process) = (now.as_microsecond(), std::process::id());
        let path = dir.join(format!("events.out.tfevents.{stamp:017}.anamnesis.{process}.v2"));
        let file = File::options().append(true).create(true).open(&path).map_err(write(&path))?;
        let mut events = Self { path, file };
        let mut version = Event::new(0, now);
        version.0.bytes(3, b"brain.Event:2");
        events.record(&version)?;
        // Makes TensorBoard forget what an earlier process wrote about this step and later ones.
        let mut start = Event::new(step + 1, now);
        let mut status = Message::default();
        status.varint(1, 1);
        start.0.bytes(7, &status.0);
        events.record(&start)?;
        Ok(events)
    }

    /// Numbers of one step, by name.
    pub(super) fn scalars(&mut self, step: u64, scalars: &[(String, f64)], now: Timestamp) -> Result<()> {
        let mut summary = Message::default();
        for (name, number) in scalars {
            let mut value = Message::default();
            value.bytes(1, name.as_bytes());
            value.float(2, *number as f32);
            summary.bytes(1, &value.0);
        }
        let mut event = Event::new(step, now);
        event.0.bytes(5, &summary.0);
        self.record(&event)
    }

    fn record(&mut self, event: &Event) -> Result<()> {
        let data = &event.0.0;
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked(data).to_le_bytes());
        self.file.write_all(&record).map_err(write(&self.path))
    }
}

/// TensorBoard's `Event`.
struct Event(Message);

impl Event {
    fn new(step: u64, now: Timestamp) -> Self {
        let mut message = Message::default();
        message.double(1, now.as_microsecond() as f64 / 1e6);
        message.varint(2, step);
        Self(message)
    }
}

/// A message of protobuf, field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Zero is what an absent number means.
    fn varint(&mut self, field: u64, number: u64) {
        if number > 0 {
            self.raw(field << 3);
            self.raw(number);
        }
    }

    fn double(&mut self, field: u64, number: f64) {
        self.raw(field << 3 | 1);
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn float(&mut self, field: u64, number: f32) {
        self.raw(field << 3 | 5);
        self.0.extend(number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_bytes_that_tensorboard_writes() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_microsecond(1_500_000).unwrap();
        let mut events = Events::create(folder.path(), 0, now).unwrap();
        events.scalars(300, &[("sft/loss".to_owned(), 0.5)], now).unwrap();
        let written = std::fs::read(&events.path).unwrap();
        // The first record as tensorboard 2.21's own writer frames it.
        let mut first = 24_u64.to_le_bytes().to_vec();
        first.extend([0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(written[..12], first);
        assert_eq!(written[12..21], [9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
        let scalar: &[u8] = &[
            9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // wall time 1.5
            0x10, 0xac, 0x02, // step 300
            0x2a, 17, 0x0a, 15, // summary, value
            0x0a, 8, b's', b'f', b't', b'/', b'l', b'o', b's', b's', // tag
            0x15, 0, 0, 0, 0x3f, // 0.5
        ];
        assert!(written.ends_with(&[scalar, &masked(scalar).to_le_bytes()].concat()));
    }
}
