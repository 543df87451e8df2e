//! BERT's lower-casing tokenizer over a given vocabulary, without an allocation per token.
//!
//! Tokenising is most of what a static encoder does, so this walks a byte trie instead of trying
//! ever shorter substrings. It gives the same ids as the `tokenizers` crate with `BertNormalizer`
//! (lower-case, accents stripped), `BertPreTokenizer` and `WordPiece`, with one exception on
//! purpose: text is data, so a literal `[SEP]` in it is three ordinary tokens, never the special one.

use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

/// A row of the token table.
pub type TokenId = u32;

/// A word of more characters is unknown as a whole, as in BERT.
const MAX_WORD_CHARS: usize = 100;
/// What introduces a piece inside a word in a vocabulary file.
const CONTINUATION: &str = "##";
const UNKNOWN: &str = "[UNK]";
/// More tokens, or more bytes of them, are no vocabulary.
const MAX_TOKENS: usize = 1 << 20;
const MAX_BYTES: usize = 1 << 23;

/// Trie roots: pieces that start a word, and pieces inside one.
const START: u32 = 0;
const INSIDE: u32 = 1;
const NO_TOKEN: TokenId = TokenId::MAX;
const NO_EDGE: u64 = u64::MAX;

/// What to do with an ASCII byte: 0 drops it, `b' '` ends a word, anything else is its lower case.
const ASCII: [u8; 128] = {
    let mut table = [0_u8; 128];
    let mut byte = 0x20_u8;
    while byte < 0x7F {
        table[byte as usize] = byte.to_ascii_lowercase();
        byte += 1;
    }
    table[b'\t' as usize] = b' ';
    table[b'\n' as usize] = b' ';
    table[b'\r' as usize] = b' ';
    table
};

/// The tokenizer.
#[derive(Clone, Debug)]
pub struct WordPiece {
    /// Open-addressed hash table of trie edges: `(node << 8 | byte) << 32 | child`.
    edges: Box<[u64]>,
    /// Leaves of a 64-bit hash as many bits as the table has.
    shift: u32,
    /// The token that ends at each node, or [`NO_TOKEN`].
    tokens: Vec<TokenId>,
    /// Token id of `[UNK]`.
    unknown: TokenId,
    len: usize,
}

impl WordPiece {
    /// A tokenizer over `vocabulary`, where a token's place is its id.
    ///
    /// # Errors
    /// Says why `vocabulary` is none: no `[UNK]`, an empty or repeated token, or too many.
    pub fn new<'a>(vocabulary: impl Iterator<Item = &'a str> + Clone) -> Result<Self, String> {
        let (len, bytes) = vocabulary.clone().fold((0, 2), |(len, bytes), token| (len + 1, bytes + token.len()));
        if len > MAX_TOKENS || bytes > MAX_BYTES {
            return Err(format!("a vocabulary of {len} tokens and {bytes} bytes is too large"));
        }
        // A trie has no more edges than its words have bytes (an English vocabulary a third of them),
        // so the table always keeps a free place, where a search ends.
        let places = (bytes + 1).next_power_of_two();
        let mut trie = Self {
            edges: vec![NO_EDGE; places].into(),
            shift: 64 - places.ilog2(),
            tokens: vec![NO_TOKEN; 2],
            unknown: NO_TOKEN,
            len,
        };
        for (id, token) in vocabulary.enumerate() {
            let (root, piece) = match token.strip_prefix(CONTINUATION) {
                Some(piece) if !piece.is_empty() => (INSIDE, piece),
                _ => (START, token),
            };
            let node = piece.bytes().fold(root, |node, byte| trie.child_or_insert(node, byte));
            let slot = &mut trie.tokens[node as usize];
            if piece.is_empty() || *slot != NO_TOKEN {
                return Err(format!("token {id}, `{token}`, is empty or repeated"));
            }
            *slot = id as TokenId;
            if token == UNKNOWN {
                trie.unknown = id as TokenId;
            }
        }
        if trie.unknown == NO_TOKEN {
            return Err(format!("the vocabulary has no {UNKNOWN}"));
        }
        Ok(trie)
    }

    /// How many tokens the vocabulary has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id that stands for words the vocabulary cannot spell.
    pub fn unknown(&self) -> TokenId {
        self.unknown
    }

    /// Appends the tokens of `text` to `out`; special tokens are not added.
    pub fn tokenize(&self, text: &str, out: &mut Vec<TokenId>) {
        let bytes = text.as_bytes();
        let mut word = Word::new();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii() {
                match ASCII[usize::from(byte)] {
                    0 => {}
                    b' ' => self.end(&mut word, out),
                    mark if mark.is_ascii_punctuation() => {
                        self.end(&mut word, out);
                        self.pieces(&[mark], out);
                    }
                    letter => word.push_byte(letter),
                }
                at += 1;
            } else {
                let run = bytes[at..].iter().position(u8::is_ascii).map_or(text.len(), |length| at + length);
                self.foreign(&text[at..run], &mut word, out);
                at = run;
            }
        }
        self.end(&mut word, out);
    }

    /// A run of characters outside ASCII. Canonical decomposition never reorders across ASCII, so
    /// it can be done run by run.
    #[cold]
    fn foreign(&self, run: &str, word: &mut Word, out: &mut Vec<TokenId>) {
        let clean = run.chars().filter(|&c| c != char::REPLACEMENT_CHARACTER && !c.is_other());
        let spaced = clean.flat_map(|c| {
            let pad = is_cjk_ideograph(c).then_some(' ');
            pad.into_iter().chain([c]).chain(pad)
        });
        let bare = spaced.nfd().filter(|c| !c.is_mark_nonspacing());
        for c in bare.flat_map(char::to_lowercase) {
            if c.is_whitespace() {
                self.end(word, out);
            } else if c.is_ascii_punctuation() || c.is_punctuation() {
                self.end(word, out);
                self.pieces(c.encode_utf8(&mut [0; 4]).as_bytes(), out);
            } else {
                word.push(c);
            }
        }
    }

    fn end(&self, word: &mut Word, out: &mut Vec<TokenId>) {
        if word.chars > MAX_WORD_CHARS {
            out.push(self.unknown);
        } else if word.chars > 0 {
            self.pieces(&word.bytes[..word.len], out);
        }
        (word.len, word.chars) = (0, 0);
    }

    /// Greedy longest match; a word with a part that no piece spells is unknown as a whole.
    fn pieces(&self, word: &[u8], out: &mut Vec<TokenId>) {
        let before = out.len();
        let (mut start, mut root) = (0, START);
        while start < word.len() {
            let (mut node, mut longest) = (root, None);
            for (offset, &byte) in word[start..].iter().enumerate() {
                let Some(child) = self.child(node, byte) else { break };
                node = child;
                let token = self.tokens[node as usize];
                if token != NO_TOKEN {
                    longest = Some((token, start + offset + 1));
                }
            }
            let Some((token, end)) = longest else {
                out.truncate(before);
                out.push(self.unknown);
                return;
            };
            out.push(token);
            (start, root) = (end, INSIDE);
        }
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let key = node << 8 | u32::from(byte);
        let edge = self.edges[self.slot(key)];
        (edge != NO_EDGE).then_some(edge as u32)
    }

    fn child_or_insert(&mut self, node: u32, byte: u8) -> u32 {
        let key = node << 8 | u32::from(byte);
        let slot = self.slot(key);
        if self.edges[slot] == NO_EDGE {
            self.edges[slot] = u64::from(key) << 32 | self.tokens.len() as u64;
            self.tokens.push(NO_TOKEN);
        }
        self.edges[slot] as u32
    }

    /// Where the edge `key` is, or the free place where it would be.
    fn slot(&self, key: u32) -> usize {
        let mask = self.edges.len() - 1;
        let mut slot = (u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        while self.edges[slot] != NO_EDGE && (self.edges[slot] >> 32) as u32 != key {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// The word being read, lower-cased. Characters beyond the limit are counted, not kept.
struct Word {
    bytes: [u8; 4 * MAX_WORD_CHARS],
    len: usize,
    chars: usize,
}

impl Word {
    fn new() -> Self {
        Self { bytes: [0; 4 * MAX_WORD_CHARS], len: 0, chars: 0 }
    }

    fn push_byte(&mut self, byte: u8) {
        if self.chars < MAX_WORD_CHARS {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        self.chars += 1;
    }

    fn push(&mut self, c: char) {
        if self.chars < MAX_WORD_CHARS {
            self.len += c.encode_utf8(&mut self.bytes[self.len..]).len();
        }
        self.chars += 1;
    }
}

/// The characters that BERT sets apart, each its own word; not those of Japanese kana or Hangul.
fn is_cjk_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{2A6DF}' | '\u{2A700}'..='\u{2B73F}'
        | '\u{2B740}'..='\u{2B81F}' | '\u{2B920}'..='\u{2CEAF}' | '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vocabulary: &[&str], text: &str, expect: &[&str]) {
        let words = WordPiece::new(vocabulary.iter().copied()).unwrap();
        let mut ids = Vec::new();
        words.tokenize(text, &mut ids);
        let tokens: Vec<_> = ids.iter().map(|&id| vocabulary[id as usize]).collect();
        assert_eq!(tokens, expect, "{text:?}");
    }

    const SOME: [&str; 12] = ["[UNK]", "a", "##b", "##bc", "ab", "abcd", "β", "-", ".", "中", "[", "##d"];

    #[test]
    fn takes_the_longest_piece() {
        check(&SOME, "abc", &["[UNK]"]);
        check(&SOME, "abd abb", &["ab", "##d", "ab", "##b"]);
        check(&SOME, "abcd abcdbc", &["abcd", "abcd", "##bc"]);
        check(&SOME, "abx a", &["[UNK]", "a"]);
    }

    #[test]
    fn cleans_folds_and_splits() {
        check(&SOME, "Á-B́", &["a", "-", "[UNK]"]);
        check(&SOME, "Β\u{200b}.\0a\u{feff}b", &["β", ".", "ab"]);
        check(&SOME, "a中a\u{2028}a\u{85}b", &["a", "中", "a", "ab"]);
        check(&SOME, "", &[]);
        check(&SOME, "\u{fffd} \u{0301}\t", &[]);
    }

    #[test]
    fn a_special_token_in_text_is_only_text() {
        check(&SOME, "[UNK]", &["[", "[UNK]", "[UNK]"]);
    }

    #[test]
    fn a_word_over_the_limit_is_unknown_and_its_neighbours_are_not() {
        let hundred = format!("a{}", "b".repeat(99));
        check(&SOME, &format!("{hundred}b a"), &["[UNK]", "a"]);
        let expect: Vec<_> = ["ab"].into_iter().chain([("##b"); 98]).collect();
        check(&SOME, &hundred, &expect);
        check(&SOME, &"β".repeat(1000), &["[UNK]"]);
    }

    #[test]
    fn refuses_what_is_no_vocabulary() {
        for bad in [&["a", "b"][..], &["[UNK]", "a", "a"], &["[UNK]", ""], &[]] {
            assert!(WordPiece::new(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }
}
