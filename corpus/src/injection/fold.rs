//! [`Folded`]: a text as signs are looked for in it, with the way back to where each byte came from.
//!
//! Lower case, compatibility forms and accents undone, what cannot be seen dropped, blanks one blank,
//! `i g n o r e` one word, `1gn0re` and words that mix in look-alikes of another script spelt out.

use std::ops::Range;

use unicode_normalization::char::decompose_compatible;

use super::plain;

/// A text spelt plainly.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Folded {
    pub(super) text: String,
    /// Places in `text` and in the original from which on both run alike.
    anchors: Vec<(usize, usize)>,
    /// How far the original is ahead since the last anchor.
    ahead: usize,
    /// Tag characters and bidirectional overrides met.
    pub(super) concealed: usize,
    /// Zero-width characters met between two letters.
    pub(super) split: usize,
    /// Words that mixed scripts and came out as a word that instructs.
    pub(super) disguised: usize,
}

/// Words that are worth spelling out when digits or letters of another script stand in for theirs.
const SPELT: [&str; 22] = [
    "answer",
    "assistant",
    "bypass",
    "cite",
    "developer",
    "directives",
    "disregard",
    "forget",
    "ignore",
    "instruction",
    "instructions",
    "only",
    "override",
    "pretend",
    "previous",
    "prior",
    "prompt",
    "reveal",
    "rules",
    "search",
    "secret",
    "system",
];

impl Folded {
    pub(super) fn new(original: &str) -> Self {
        Self::read(original, plain::run)
    }

    /// The same byte by byte.
    #[cfg(test)]
    pub(super) fn slowly(original: &str) -> Self {
        Self::read(original, |_, _| 0)
    }

    /// Reads at once what `run` says is plain.
    fn read(original: &str, run: impl Fn(&[u8], bool) -> usize) -> Self {
        let mut folded = Self { text: String::with_capacity(original.len()), ..Self::default() };
        let mut word = Word::default();
        let bytes = original.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii() {
                let is_behind_blank = folded.text.ends_with([' ', '\n']);
                let plain = if word.start.is_none() { run(&bytes[at..], is_behind_blank) } else { 0 };
                if plain > 0 {
                    folded.anchor(at);
                    let from = folded.text.len();
                    folded.text.push_str(&original[at..at + plain]);
                    folded.text[from..].make_ascii_lowercase();
                    at += plain;
                    continue;
                }
                match byte {
                    b'a'..=b'z' => {
                        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
                        folded.letter(char::from(byte), at, &mut word);
                        folded.text.push_str(&original[at + 1..at + run]);
                        at += run;
                        continue;
                    }
                    b'A'..=b'Z' => folded.letter(char::from(byte.to_ascii_lowercase()), at, &mut word),
                    b'0'..=b'9' | b'@' | b'$' => {
                        word.has_digit = true;
                        folded.letter(char::from(byte), at, &mut word);
                    }
                    _ => folded.separator(byte, at, &mut word),
                }
                at += 1;
            } else {
                let Some(c) = original[at..].chars().next() else { break };
                folded.wide(c, at, &mut word);
                at += c.len_utf8();
            }
        }
        folded.end_word(&mut word);
        folded.join_spaced();
        folded
    }

    /// Where `span` of the folded text came from.
    pub(super) fn original(&self, span: &Range<usize>, original: &str) -> Range<usize> {
        let back = |place: usize| {
            let anchor = self.anchors.partition_point(|(folded, _)| *folded <= place).checked_sub(1);
            let (folded, from) = anchor.map_or((0, 0), |index| self.anchors[index]);
            (from + (place - folded)).min(original.len())
        };
        let start = original.floor_char_boundary(back(span.start));
        let end = original.ceil_char_boundary(back(span.end.saturating_sub(1)) + 1);
        start..end.max(start)
    }

    fn anchor(&mut self, at: usize) {
        let place = self.text.len();
        if place.wrapping_add(self.ahead) != at {
            self.ahead = at.wrapping_sub(place);
            self.anchors.push((place, at));
        }
    }

    fn letter(&mut self, c: char, at: usize, word: &mut Word) {
        self.anchor(at);
        if word.start.is_none() {
            word.start = Some(self.text.len());
        }
        word.has_latin |= c.is_ascii_lowercase();
        self.text.push(c);
    }

    fn separator(&mut self, byte: u8, at: usize, word: &mut Word) {
        self.end_word(word);
        match byte {
            b'\n' => {
                if self.text.ends_with(' ') {
                    self.text.pop();
                }
                if !self.text.ends_with('\n') {
                    self.anchor(at);
                    self.text.push('\n');
                }
            }
            _ if byte.is_ascii_whitespace() => {
                if !self.text.ends_with([' ', '\n']) {
                    self.anchor(at);
                    self.text.push(' ');
                }
            }
            _ if byte.is_ascii_control() => {}
            _ => {
                self.anchor(at);
                self.text.push(char::from(byte));
            }
        }
    }

    fn wide(&mut self, c: char, at: usize, word: &mut Word) {
        match c {
            '\u{E0000}'..='\u{E007F}' => {
                self.concealed += 1;
                // what was smuggled in is read as well
                if let Some(plain) = char::from_u32(c as u32 - 0xE0000).filter(|plain| !plain.is_control()) {
                    match plain {
                        ' '..='/' | ':'..='?' | '['..='`' | '{'..='~' => self.separator(plain as u8, at, word),
                        _ => self.letter(plain.to_ascii_lowercase(), at, word),
                    }
                }
            }
            '\u{202D}' | '\u{202E}' => self.concealed += 1,
            _ if crate::text::is_invisible(c) => self.split += usize::from(word.start.is_some()),
            _ if c.is_whitespace() => self.separator(if c == '\u{2028}' { b'\n' } else { b' ' }, at, word),
            '‘' | '’' => self.separator(b'\'', at, word),
            '“' | '”' => self.separator(b'"', at, word),
            _ if is_decomposed(c) => decompose_compatible(c, |part| {
                if part.is_ascii_alphanumeric() {
                    self.letter(part.to_ascii_lowercase(), at, word);
                } else if part.is_ascii() {
                    self.separator(part as u8, at, word);
                } else if !('\u{300}'..='\u{36F}').contains(&part) {
                    self.other(part, at, word);
                }
            }),
            '\u{300}'..='\u{36F}' => {}
            _ => self.other(c, at, word),
        }
    }

    fn other(&mut self, c: char, at: usize, word: &mut Word) {
        if !c.is_alphabetic() {
            self.end_word(word);
            self.anchor(at);
            self.text.push(c);
            return;
        }
        word.has_other |= look_alike(c).is_some();
        for lower in c.to_lowercase() {
            self.letter(lower, at, word);
        }
    }

    /// Spells the word out that has just ended, if others than its own letters stand in it.
    fn end_word(&mut self, word: &mut Word) {
        let Word { start, has_latin, has_digit, has_other } = std::mem::take(word);
        let Some(start) = start else { return };
        if !has_latin || !(has_digit || has_other) || self.text.len() - start > 40 {
            return;
        }
        let spell = |one: char| {
            let plain: String = self.text[start..]
                .chars()
                .map(|c| if c == '1' { one } else { stand_in(c).or_else(|| look_alike(c)).unwrap_or(c) })
                .collect();
            SPELT.contains(&plain.as_str()).then_some(plain)
        };
        if let Some(plain) = spell('i').or_else(|| spell('l')) {
            self.disguised += 1;
            self.text.truncate(start);
            self.text.push_str(&plain);
            // what follows is anchored anew where the letters were of other lengths
            self.anchors.retain(|(folded, _)| *folded <= start);
            self.ahead = self.anchors.last().map_or(0, |(folded, from)| from.wrapping_sub(*folded));
        }
    }

    /// Makes a word of five or more single letters with one blank, dot, dash or star between them.
    fn join_spaced(&mut self) {
        let bytes = self.text.as_bytes();
        let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
        let is_between = |at: usize| bytes.get(at).is_some_and(|byte| b" .-_*".contains(byte));
        let is_free = |at: usize| !bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            // quick looks first: most text has no such run
            if let Some(ahead) = plain::unspaced(&bytes[at..]) {
                at += ahead;
                continue;
            }
            if !(is_letter(at) && is_between(at + 1) && is_letter(at + 2) && is_between(at + 3))
                || (at > 0 && !is_free(at - 1))
            {
                at += 1;
                continue;
            }
            let mut end = at + 1;
            while is_between(end) && is_letter(end + 1) && is_free(end + 2) {
                end += 2;
            }
            if end - at >= 9 {
                runs.push(at..end);
            }
            at = end.max(at + 1);
        }
        if runs.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.text);
        let map = Self { text: old, anchors: std::mem::take(&mut self.anchors), ..Self::default() };
        self.ahead = 0;
        let mut from = 0;
        for run in runs {
            self.copy(&map, from..run.start);
            for at in run.clone().step_by(2) {
                self.copy(&map, at..at + 1);
            }
            from = run.end;
        }
        self.copy(&map, from..map.text.len());
    }

    /// Appends `span` of another folding with its anchors.
    fn copy(&mut self, map: &Self, span: Range<usize>) {
        let index = map.anchors.partition_point(|(folded, _)| *folded <= span.start);
        let (folded, from) = index.checked_sub(1).map_or((0, 0), |index| map.anchors[index]);
        self.anchor(from + (span.start - folded));
        let shift = self.text.len();
        for (folded, from) in map.anchors[index..].iter().take_while(|(folded, _)| *folded < span.end) {
            self.anchors.push((shift + folded - span.start, *from));
            self.ahead = from.wrapping_sub(shift + folded - span.start);
        }
        self.text.push_str(&map.text[span]);
    }
}

/// A word that is being read.
#[derive(Debug, Default)]
struct Word {
    start: Option<usize>,
    has_latin: bool,
    has_digit: bool,
    has_other: bool,
}

/// Blocks in which plain letters hide: accented and mathematical letters, letters in circles, full width.
/// Other scripts stay as they are, since their patterns are written so.
fn is_decomposed(c: char) -> bool {
    matches!(c, '\u{A0}'..='\u{24F}' | '\u{1D00}'..='\u{1EFF}' | '\u{2010}'..='\u{24FF}' | '\u{FF01}'..='\u{FF5E}'
        | '\u{1D400}'..='\u{1D7FF}' | '\u{1F100}'..='\u{1F1FF}')
}

/// The letter that a digit or sign stands for in `1gn0re`.
fn stand_in(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => return None,
    })
}

/// The Latin letter that a Cyrillic or Greek one looks like.
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'А' | 'α' | 'Α' => 'a',
        'в' | 'В' | 'β' | 'Β' => 'b',
        'с' | 'С' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'Е' | 'ё' | 'ε' | 'Ε' => 'e',
        'ɡ' => 'g',
        'һ' | 'Н' | 'Η' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'ӏ' => 'l',
        'м' | 'М' | 'Μ' => 'm',
        'п' | 'η' | 'Ν' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'σ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' => 't',
        'υ' | 'ц' => 'u',
        'ν' | 'ѵ' => 'v',
        'ω' | 'ѡ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'γ' | 'Υ' => 'y',
        'Ζ' => 'z',
        _ => return None,
    })
}
