//! Tar archives, entry by entry, without unpacking to disk.

use std::io::{self, Cursor, Read};

use super::files::{Place, stem, uncompressed};
use super::input::Input;
use super::{RECORD_BYTES, Rejected};

/// A tar header and its content are padded to this.
const BLOCK: u64 = 512;
/// What an entry's name and attributes may take before its content.
const HEADER_BYTES: u64 = 1 << 20;

/// The readable entries of the archive `input`, in their order there.
pub(super) fn inputs(input: Input) -> impl Iterator<Item = Result<Input, Rejected>> {
    let bytes = Counted { input, taken: 0 };
    let mut archive = Archive { place: bytes.input.place().clone(), bytes, ended: false };
    std::iter::from_fn(move || archive.next_entry())
}

struct Archive {
    place: Place,
    bytes: Counted,
    ended: bool,
}

/// Knows how much was read, to tell an archive's end mark from its mere end.
struct Counted {
    input: Input,
    taken: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken += read as u64;
        Ok(read)
    }
}

impl Archive {
    fn next_entry(&mut self) -> Option<Result<Input, Rejected>> {
        while !self.ended {
            match self.read_entry() {
                Ok(Some(Entry { readable: false, .. })) => {}
                Ok(Some(entry)) => return Some(self.open(entry)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    let reason = format!("the archive cannot be read further: {error}");
                    return Some(Err(Rejected::new(&self.place.name, "archive", reason, b"")));
                }
            }
        }
        None
    }

    /// Reads the next entry whole, and over its padding. `tar::Archive` wants its entries consumed
    /// under a borrow of itself, so each header is read by a fresh one.
    fn read_entry(&mut self) -> io::Result<Option<Entry>> {
        let cut = |place: &str| io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends {place}"));
        let before = self.bytes.taken;
        let header = match tar::Archive::new((&mut self.bytes).take(HEADER_BYTES)).entries()?.next() {
            None => None,
            Some(entry) => {
                let entry = entry?;
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                Some((path, entry.size(), entry.header().entry_type().is_file()))
            }
        };
        let Some((path, size, is_file)) = header else {
            return if self.bytes.taken > before { Ok(None) } else { Err(cut("without its end mark")) };
        };
        let readable = is_file && is_readable(&path);
        let mut content = Vec::new();
        let kept = if readable { size.min(RECORD_BYTES as u64 + 1) } else { 0 };
        let read = (&mut self.bytes).take(kept).read_to_end(&mut content)? as u64;
        let padding = (BLOCK - size % BLOCK) % BLOCK;
        let skipped = io::copy(&mut (&mut self.bytes).take((size - kept).saturating_add(padding)), &mut io::sink())?;
        if read + skipped < size {
            return Err(cut(&format!("inside {path}")));
        }
        Ok(Some(Entry { path, content, readable }))
    }

    fn open(&self, entry: Entry) -> Result<Input, Rejected> {
        let name = format!("{}/{}", self.place.name, entry.path);
        if entry.content.len() > RECORD_BYTES {
            return Err(Rejected::new(&name, "byte 0", "larger than 64 MB", &entry.content));
        }
        let folder = stem(&self.place.stem);
        let bytes = entry.content.len() as u64;
        let place = Place { path: self.place.path.clone(), name, folder, stem: stem(&entry.path), bytes };
        Input::new(place.clone(), Cursor::new(entry.content))
            .map_err(|error| Rejected::new(&place.name, "byte 0", format!("cannot read: {error}"), b""))
    }
}

struct Entry {
    path: String,
    content: Vec<u8>,
    readable: bool,
}

/// Pictures, movies and such that lie beside the articles are passed over.
fn is_readable(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let endings = [".xml", ".nxml", ".jsonl", ".json", ".md", ".markdown", ".txt"];
    !name.starts_with('.') && endings.iter().any(|ending| uncompressed(name).ends_with(ending))
}
