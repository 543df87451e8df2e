//! [`Cues`]: which of some hundred words stand in a text.
//!
//! A word is known by the four bytes in a row that are rarest in English, one of under four bytes by two. A
//! text is read once, and only where a bit says that the bytes at hand are such is a word looked up. No step
//! waits for the one before, as those of an automaton do, and the bits stay in the fastest cache.

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
    /// Key, word, and how far the mark stands in the word; sorted.
    marks: Vec<(u16, usize, usize)>,
}

impl Cues {
    /// Takes words of at least one byte.
    pub(super) fn new(words: Vec<String>) -> Self {
        let (mut fours, mut twos) = (Vec::new(), Vec::new());
        for (number, word) in words.iter().enumerate() {
            match *word.as_bytes() {
                [] => {}
                [only] => twos.extend((0..=u8::MAX).map(|next| (two([only, next]), number, 0))),
                [_, _] | [_, _, _] => {
                    let (at, mark) = rarest::<2>(word);
                    twos.push((two(mark), number, at));
                }
                _ => {
                    let (at, mark) = rarest::<4>(word);
                    fours.push((four(mark), number, at));
                }
            }
        }
        Self { words, fours: Marks::new(fours), twos: Marks::new(twos) }
    }

    /// Calls `met` with the number of each word that stands in `text`, perhaps more than once.
    pub(super) fn find(&self, text: &str, mut met: impl FnMut(usize)) {
        let text = text.as_bytes();
        for (at, &mark) in text.array_windows::<4>().enumerate() {
            let (four, two) = (four(mark), two([mark[0], mark[1]]));
            if self.fours.have(four) | self.twos.have(two) {
                self.fours.look_up(four, |word, before| self.check(text, at, word, before, &mut met));
                self.twos.look_up(two, |word, before| self.check(text, at, word, before, &mut met));
            }
        }
        // where no four bytes are left, two or one may be
        for at in text.len().saturating_sub(3)..text.len() {
            let next = text.get(at + 1).copied().unwrap_or(0);
            self.twos.look_up(two([text[at], next]), |word, before| self.check(text, at, word, before, &mut met));
        }
    }

    /// Whether `word` stands so that its mark, `before` bytes into it, is at `at`.
    fn check(&self, text: &[u8], at: usize, word: usize, before: usize, met: &mut impl FnMut(usize)) {
        let here = at.checked_sub(before).and_then(|start| text.get(start..));
        if here.is_some_and(|here| here.starts_with(self.words[word].as_bytes())) {
            met(word);
        }
    }
}

impl Marks {
    fn new(mut marks: Vec<(u16, usize, usize)>) -> Self {
        marks.sort_unstable();
        let mut keys = Box::new([0; 1024]);
        for (key, ..) in &marks {
            keys[usize::from(key >> 6)] |= 1 << (key & 63);
        }
        Self { keys, marks }
    }

    #[inline]
    fn have(&self, key: u16) -> bool {
        self.keys[usize::from(key >> 6)] >> (key & 63) & 1 == 1
    }

    fn look_up(&self, key: u16, mut found: impl FnMut(usize, usize)) {
        let from = self.marks.partition_point(|(known, ..)| *known < key);
        for &(_, word, before) in self.marks[from..].iter().take_while(|(known, ..)| *known == key) {
            found(word, before);
        }
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
