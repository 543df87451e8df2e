//! [`Cues`]: which of some hundred words stand in a text.
//!
//! A word is known by the four bytes in a row that are rarest in English, one of under four bytes by two. A
//! text is read once, and only where a bit says that the bytes at hand are such is a word looked up. No step
//! waits for the one before, as those of an automaton do, and the bits stay in the fastest cache.

use std::collections::BTreeMap;

/// Bytes from frequent to rare; all others are rarer still.
const FREQUENT: &[u8] = b" etaionrshlcdumpgfybvwkxzjq";

/// Words to look for.
#[derive(Debug)]
pub(super) struct Cues {
    words: Vec<String>,
    fours: Marks,
    twos: Marks,
}

/// The bytes by which some words are known.
#[derive(Debug)]
struct Marks {
    /// A bit for each key that some mark has.
    keys: Box<[u64; 1024]>,
    /// How many keys lie before each 64.
    ranks: Box<[u16; 1024]>,
    /// For each key, the words that have it, and how far into each it stands.
    words: Vec<Vec<(usize, usize)>>,
}

impl Cues {
    /// Takes words of at least one byte.
    pub(super) fn new(words: Vec<String>) -> Self {
        let (mut fours, mut twos) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (number, word) in words.iter().enumerate() {
            match *word.as_bytes() {
                [] => {}
                [only] => {
                    for next in 0..=u8::MAX {
                        twos.entry(two([only, next])).or_default().push((number, 0));
                    }
                }
                [_, _] | [_, _, _] => {
                    let (at, mark) = rarest(word);
                    twos.entry(two(mark)).or_default().push((number, at));
                }
                _ => {
                    let (at, mark) = rarest(word);
                    fours.entry(four(mark)).or_default().push((number, at));
                }
            }
        }
        Self { words, fours: Marks::new(&fours), twos: Marks::new(&twos) }
    }

    /// Calls `met` with the number of each word that stands in `text`, perhaps more than once.
    pub(super) fn find(&self, text: &str, mut met: impl FnMut(usize)) {
        let text = text.as_bytes();
        for (at, &mark) in text.array_windows::<4>().enumerate() {
            let (four, two) = (four(mark), two([mark[0], mark[1]]));
            if self.fours.have(four) | self.twos.have(two) {
                self.check(text, at, self.fours.of(four), &mut met);
                self.check(text, at, self.twos.of(two), &mut met);
            }
        }
        // where no four bytes are left, two or one may be
        for at in text.len().saturating_sub(3)..text.len() {
            let next = text.get(at + 1).copied().unwrap_or(0);
            self.check(text, at, self.twos.of(two([text[at], next])), &mut met);
        }
    }

    /// Calls `met` with those words that stand so that their mark is at `at`.
    fn check(&self, text: &[u8], at: usize, marks: &[(usize, usize)], met: &mut impl FnMut(usize)) {
        for &(word, before) in marks {
            let here = at.checked_sub(before).and_then(|start| text.get(start..));
            if here.is_some_and(|here| here.starts_with(self.words[word].as_bytes())) {
                met(word);
            }
        }
    }
}

impl Marks {
    fn new(marks: &BTreeMap<u16, Vec<(usize, usize)>>) -> Self {
        let (mut keys, mut ranks) = (Box::new([0; 1024]), Box::new([0; 1024]));
        for key in marks.keys() {
            keys[usize::from(key >> 6)] |= 1 << (key & 63);
            ranks[usize::from(key >> 6) + 1..].iter_mut().for_each(|rank| *rank += 1);
        }
        Self { keys, ranks, words: marks.values().cloned().collect() }
    }

    #[inline]
    fn have(&self, key: u16) -> bool {
        self.keys[usize::from(key >> 6)] >> (key & 63) & 1 == 1
    }

    fn of(&self, key: u16) -> &[(usize, usize)] {
        if !self.have(key) {
            return &[];
        }
        let before = self.keys[usize::from(key >> 6)] & ((1 << (key & 63)) - 1);
        &self.words[usize::from(self.ranks[usize::from(key >> 6)]) + before.count_ones() as usize]
    }
}

#[inline]
fn four(mark: [u8; 4]) -> u16 {
    // the golden ratio's bits spread neighbours far apart; others with the same key are told apart by their words
    (u32::from_le_bytes(mark).wrapping_mul(0x9E37_79B9) >> 16) as u16
}

#[inline]
fn two(mark: [u8; 2]) -> u16 {
    u16::from_le_bytes(mark)
}

/// The rarest `N` bytes in a row of a word that has so many, and where they stand.
fn rarest<const N: usize>(word: &str) -> (usize, [u8; N]) {
    let rarity = |byte: &u8| FREQUENT.iter().position(|known| known == byte).unwrap_or(FREQUENT.len());
    let marks = word.as_bytes().array_windows().enumerate();
    let (at, mark) = marks
        .max_by_key(|(_, mark): &(usize, &[u8; N])| mark.iter().map(rarity).sum::<usize>())
        .expect("the word is as long");
    (at, *mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 12] =
        ["#", "e1", "://", " ai", "user", "users", "ignore", "nore a", "<!--", "無視", "a\nb", "\u{2039}"];

    fn found(text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        Cues::new(WORDS.map(str::to_owned).to_vec()).find(text, |word| found.push(word));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn the_last_bytes_are_read_as_well() {
        for (number, word) in WORDS.iter().enumerate() {
            assert!(found(word).contains(&number), "{word}");
            assert!(found(&format!("of the {word}")).contains(&number), "{word}");
            assert!(found(&format!("{word} of the")).contains(&number), "{word}");
        }
        assert!(found("").is_empty());
    }

    proptest! {
        #[test]
        fn finds_what_reading_word_by_word_finds(parts in prop::collection::vec(prop_oneof![
            prop::sample::select(&WORDS[..]).prop_map(str::to_owned), "[ a-z0-9:/#\n]{0,5}", "\\PC{0,2}",
        ], 0..12)) {
            let text = parts.concat();
            let slowly: Vec<_> = (0..WORDS.len()).filter(|word| text.contains(WORDS[*word])).collect();
            prop_assert_eq!(found(&text), slowly);
        }
    }
}
