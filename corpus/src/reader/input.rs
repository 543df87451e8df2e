//! One opened file or archive entry: decompressed by its first bytes, its head kept for detection.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::Place;

/// How much is looked at to tell a format.
const HEAD_BYTES: u64 = 64 << 10;
/// What a decoder may need at most: `xz -9` takes 65 MiB, a zstd window 128 MiB.
const DECODER_BYTES: u64 = 192 << 20;

/// Bytes with a name. Reading gives the head again first.
pub(super) struct Input {
    place: Place,
    head: Vec<u8>,
    read: usize,
    /// What stopped the reading of the head; reported once the head is used up.
    failure: Option<io::Error>,
    rest: Box<dyn Read + Send>,
}

impl Input {
    /// Opens the file at `place`; every compressed byte read is added to `consumed`.
    pub(super) fn open(place: &Place, consumed: &Arc<AtomicU64>) -> io::Result<Self> {
        let counted = Counted { file: File::open(&place.path)?, consumed: Arc::clone(consumed) };
        Self::new(place.clone(), counted)
    }

    /// Takes `bytes` (perhaps compressed) under the name of `place`.
    pub(super) fn new(place: Place, bytes: impl Read + Send + 'static) -> io::Result<Self> {
        let mut rest = decompress(bytes)?;
        let mut head = Vec::new();
        let failure = (&mut rest).take(HEAD_BYTES).read_to_end(&mut head).err();
        Ok(Self { place, head, read: 0, failure, rest })
    }

    /// The first 64 KiB, or all there is.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Where it lies.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What a rejected record calls the file.
    pub(super) fn name(&self) -> &str {
        &self.place.name
    }

    /// Why there is no more of the head than there is.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read < self.head.len() {
            let taken = (&self.head[self.read..]).read(buffer)?;
            self.read += taken;
            if self.read == self.head.len() {
                (self.head, self.read) = (Vec::new(), 0);
            }
            return Ok(taken);
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.rest.read(buffer),
        }
    }
}

/// Reads a file and says how far.
struct Counted {
    file: File,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn decompress(bytes: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut bytes = BufReader::with_capacity(128 << 10, bytes);
    Ok(match bytes.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(bytes)?),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_BYTES, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(bytes, stream))
        }
        _ => Box::new(bytes),
    })
}
