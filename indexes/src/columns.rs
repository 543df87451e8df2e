//! Columns on disk: little-endian arrays, each led by its length, read back with every bound checked.

/// Strings one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    /// Where each string ends in `text`.
    ends: Vec<u32>,
    text: String,
}

impl Strings {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }

    /// The string at `at`; empty past the end.
    pub(crate) fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(0));
        self.ends.get(at).and_then(|&end| self.text.get(start as usize..end as usize)).unwrap_or("")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Whether `more` bytes still fit under the 4 GiB that offsets can name.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        u32::try_from(self.text.len() + more).is_ok()
    }
}

/// Lists of numbers, one list per row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    pub(crate) fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.ends.push(self.items.len() as u32);
    }

    /// The list at `at`; empty past the end.
    pub(crate) fn get(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(0));
        self.ends.get(at).and_then(|&end| self.items.get(start as usize..end as usize)).unwrap_or(&[])
    }

    pub(crate) fn items(&self) -> &[u32] {
        &self.items
    }
}

/// Appends columns to a buffer.
#[derive(Debug)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// Starts with a magic word and a format version.
    pub(crate) fn new(magic: [u8; 8], version: u32) -> Self {
        let mut writer = Self(magic.to_vec());
        writer.0.extend_from_slice(&version.to_le_bytes());
        writer
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn numbers(&mut self, numbers: &[u32]) {
        self.0.extend_from_slice(&(numbers.len() as u64).to_le_bytes());
        self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    pub(crate) fn strings(&mut self, strings: &Strings) {
        self.numbers(&strings.ends);
        self.bytes(strings.text.as_bytes());
    }

    pub(crate) fn lists(&mut self, lists: &Lists) {
        self.numbers(&lists.ends);
        self.numbers(&lists.items);
    }
}

/// Takes columns from bytes; an error is the reason, for [`crate::Error::Corrupt`].
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the magic word and the version.
    pub(crate) fn new(bytes: &'a [u8], magic: [u8; 8], version: u32) -> Result<Self, String> {
        let mut reader = Self(bytes);
        if reader.take(8)? != magic {
            return Err("it does not begin as such a file does".to_owned());
        }
        match reader.number()? {
            found if found == version => Ok(reader),
            found => Err(format!("its layout is version {found}, not {version}")),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(count).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(head)
    }

    fn number(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| "it ends too early")?))
    }

    fn length(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(8)?.try_into().map_err(|_| "it ends too early")?;
        usize::try_from(u64::from_le_bytes(bytes))
            .ok()
            .filter(|length| length.checked_mul(width).is_some_and(|bytes| bytes <= self.0.len()))
            .ok_or_else(|| "a column is longer than the file".to_owned())
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.length(1)?;
        self.take(length)
    }

    /// Exactly `count` bytes in a column.
    pub(crate) fn bytes_of(&mut self, count: usize) -> Result<&'a [u8], String> {
        self.bytes().and_then(|bytes| {
            if bytes.len() == count { Ok(bytes) } else { Err("a column has the wrong length".to_owned()) }
        })
    }

    pub(crate) fn numbers(&mut self) -> Result<Vec<u32>, String> {
        let length = self.length(4)?;
        Ok(self
            .take(length * 4)?
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect())
    }

    /// Exactly `count` numbers, each below `below`.
    pub(crate) fn numbers_of(&mut self, count: usize, below: usize) -> Result<Vec<u32>, String> {
        let numbers = self.numbers()?;
        if numbers.len() != count || numbers.iter().any(|&number| number as usize >= below) {
            return Err("a column has a wrong length or a number out of range".to_owned());
        }
        Ok(numbers)
    }

    pub(crate) fn strings(&mut self) -> Result<Strings, String> {
        let ends = self.numbers()?;
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| "a string is not UTF-8")?.to_owned();
        let sound = ends.is_sorted() && ends.iter().all(|&end| text.is_char_boundary(end as usize));
        if sound { Ok(Strings { ends, text }) } else { Err("a string ends where it cannot".to_owned()) }
    }

    /// One list for each of `rows` rows, each item below `below`.
    pub(crate) fn lists(&mut self, rows: usize, below: usize) -> Result<Lists, String> {
        let (ends, items) = (self.numbers()?, self.numbers()?);
        let sound = ends.len() == rows
            && ends.is_sorted()
            && ends.last().map_or(0, |&end| end as usize) == items.len()
            && items.iter().all(|&item| (item as usize) < below);
        if sound { Ok(Lists { ends, items }) } else { Err("a list is out of range".to_owned()) }
    }

    /// Nothing may follow the last column.
    pub(crate) fn finish(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err("something follows its last column".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (Strings, Lists, Vec<u8>) {
        let (mut strings, mut lists) = (Strings::default(), Lists::default());
        for text in ["", "β-blocker", "x"] {
            strings.push(text);
            lists.push((0..text.len() as u32).map(|at| at % 3));
        }
        let mut writer = Writer::new(*b"TESTFILE", 1);
        writer.strings(&strings);
        writer.lists(&lists);
        writer.numbers(&[2, 1, 0]);
        (strings, lists, writer.0)
    }

    fn read(bytes: &[u8]) -> Result<(Strings, Lists), String> {
        let mut reader = Reader::new(bytes, *b"TESTFILE", 1)?;
        let strings = reader.strings()?;
        let lists = reader.lists(strings.len(), 3)?;
        reader.numbers_of(3, 3)?;
        reader.finish()?;
        Ok((strings, lists))
    }

    #[test]
    fn round_trip() {
        let (strings, lists, bytes) = sample();
        assert_eq!(read(&bytes).unwrap(), (strings.clone(), lists));
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["", "β-blocker", "x"]);
        assert_eq!(strings.get(9), "");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0_usize..200, byte: u8, cut in 0_usize..200) {
            let (_, _, mut bytes) = sample();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes).map(|(strings, lists)| (strings.iter().count(), lists.get(1).len()));
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
