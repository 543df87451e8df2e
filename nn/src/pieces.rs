//! [`Pieces`]: the bytes that each token id stands for; [`Detokenizer`]: ids to text as they come.
//!
//! A token may hold part of a character, so text comes out of bytes, and only whole characters come out.

use std::sync::Arc;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::normalizers::replace::ReplacePattern;

/// What each id stands for in running text; special tokens stand for their own text. Cheap to clone.
#[derive(Clone)]
pub struct Pieces(Arc<Table>);

/// Ids from here on stand for nothing: a file must not decide how much is allocated for them.
const MAX_IDS: u32 = 1 << 22;

#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    /// Piece `id` is `bytes[ends[id - 1]..ends[id]]`.
    ends: Vec<u32>,
    /// Sorted.
    special: Vec<u32>,
}

impl Pieces {
    pub(crate) fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder();
        let mut tokens: Vec<_> = tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        tokens.sort_unstable();
        let spelling = tokenizer.get_decoder().map_or_else(Spelling::default, Spelling::of);
        let mut table = Table::default();
        for (id, token) in tokens {
            // Ids may have gaps, which stand for nothing. Two names of one id: the first counts.
            if id >= MAX_IDS || table.ends.len() > id as usize {
                continue;
            }
            table.ends.resize(id as usize, table.bytes.len() as u32);
            match added.get(&id) {
                // The decoder sees added tokens too, but as whole words.
                Some(token) => table.bytes.extend_from_slice(token.content.as_bytes()),
                None => spelling.read(&token, &mut table.bytes),
            }
            table.ends.push(table.bytes.len() as u32);
        }
        table.special = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        table.special.sort_unstable();
        Self(Arc::new(table))
    }

    /// The bytes of `id`; none when no token has this id.
    pub fn get(&self, id: u32) -> &[u8] {
        let Some(end) = self.0.ends.get(id as usize) else {
            return &[];
        };
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.0.ends[before]);
        &self.0.bytes[start as usize..*end as usize]
    }

    /// Whether `id` is a special token: one that no text holds, and that steers the model.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.special.binary_search(&id).is_ok()
    }

    /// Ids run from 0 to below this.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of `ids` as it stands in the middle of a sequence; bytes that are no characters become
    /// U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.get(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// How tokens of a vocabulary spell bytes.
#[derive(Debug, Default)]
struct Spelling {
    /// Each character is a byte, in GPT-2's table.
    byte_level: bool,
    /// `<0x0A>` is a byte.
    byte_fallback: bool,
    /// What stands for what, such as `▁` for a space.
    replace: Vec<(String, String)>,
}

impl Spelling {
    fn of(decoder: &DecoderWrapper) -> Self {
        let mut spelling = Self::default();
        spelling.add(decoder);
        spelling
    }

    fn add(&mut self, decoder: &DecoderWrapper) {
        match decoder {
            DecoderWrapper::Sequence(parts) => parts.get_decoders().iter().for_each(|part| self.add(part)),
            DecoderWrapper::ByteLevel(_) => self.byte_level = true,
            DecoderWrapper::ByteFallback(_) => self.byte_fallback = true,
            DecoderWrapper::Metaspace(metaspace) => {
                self.replace.push((metaspace.get_replacement().to_string(), " ".to_owned()));
            }
            DecoderWrapper::Replace(replace) => {
                if let Some(pattern) = literal(replace) {
                    self.replace.push((pattern, replace.content.clone()));
                }
            }
            // The rest joins words or trims the two ends of a text, which running text does not have.
            _ => {}
        }
    }

    fn read(&self, token: &str, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        if self.byte_level {
            if token.chars().all(|c| {
                byte(c).is_some_and(|byte| {
                    bytes.push(byte);
                    true
                })
            }) {
                return;
            }
            bytes.truncate(start);
        }
        if self.byte_fallback
            && let Some(byte) = hexadecimal(token)
        {
            bytes.push(byte);
            return;
        }
        let mut token = token.to_owned();
        for (pattern, content) in &self.replace {
            token = token.replace(pattern, content);
        }
        bytes.extend_from_slice(token.as_bytes());
    }
}

/// The pattern of a replacement, unless it is a regular expression.
fn literal(replace: &tokenizers::normalizers::replace::Replace) -> Option<String> {
    // The field is private; its serialised form is `tokenizer.json`'s.
    let pattern = serde_json::to_value(replace).ok()?.get("pattern")?.clone();
    match serde_json::from_value(pattern).ok()? {
        ReplacePattern::String(pattern) => Some(pattern),
        ReplacePattern::Regex(_) => None,
    }
}

/// `<0x0A>` as a byte.
fn hexadecimal(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// The byte that a character stands for in GPT-2's table: printable Latin-1 stands for itself, the rest
/// for the characters from U+0100 on, in order.
fn byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// Ids to text as they come: a character comes out with the token that completes it, never before.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    pieces: Pieces,
    /// Bytes of a character whose rest has not come.
    pending: Vec<u8>,
    text: String,
}

impl Detokenizer {
    /// One that has read nothing.
    pub fn new(pieces: Pieces) -> Self {
        Self { pieces, pending: Vec::new(), text: String::new() }
    }

    /// The characters that `id` completes.
    pub fn push(&mut self, id: u32) -> &str {
        self.pending.extend_from_slice(self.pieces.get(id));
        self.text.clear();
        let mut kept = 0;
        let mut chunks = self.pending.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text.push_str(chunk.valid());
            if chunks.peek().is_none() && is_beginning(chunk.invalid()) {
                kept = chunk.invalid().len();
            } else if !chunk.invalid().is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        let read = self.pending.len() - kept;
        self.pending.drain(..read);
        &self.text
    }

    /// What remains now that no more tokens come: U+FFFD for a character that was begun, or nothing.
    pub fn finish(&mut self) -> &str {
        self.text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        &self.text
    }
}

/// Whether `bytes`, which are no character, may become one with more bytes.
fn is_beginning(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use tokenizers::decoders::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn the_byte_table_is_that_of_byte_level_tokenizers() {
        let alphabet = ByteLevel::alphabet();
        let mut bytes: Vec<_> = alphabet.iter().filter_map(|c| byte(*c)).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte('Ġ'), Some(b' '));
        assert_eq!(byte('Ċ'), Some(b'\n'));
        assert_eq!(byte('｜'), None);
    }

    #[test]
    fn only_byte_tokens_are_bytes() {
        assert_eq!(hexadecimal("<0x0A>"), Some(b'\n'));
        for token in ["<0x0>", "<0x0AB>", "<0xZZ>", "0x0A"] {
            assert_eq!(hexadecimal(token), None, "{token}");
        }
    }
}
