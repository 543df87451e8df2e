//! Normalisation at the door: Unicode NFC, no control or invisible characters, tidy white space.
//!
//! Document text is data. Invisible characters can hide instructions from a reader and split words
//! from an index, so they are dropped here, once; protocol tags are escaped where text is rendered
//! (the agent's protocol), because the stored text must stay what the source says.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// NFC; controls and invisible formatting characters dropped; runs of blanks become one blank; lines
/// trimmed; at most one empty line in a row; no leading or trailing white space.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut blank, mut breaks) = (false, 0_u8);
    for c in text.chars() {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' | '\u{0085}' => breaks = (breaks + 1).min(2),
            _ if c.is_whitespace() => blank = true,
            _ if c.is_control() || is_invisible(c) => {}
            _ => {
                if breaks > 0 {
                    if !out.is_empty() {
                        out.extend(std::iter::repeat_n('\n', breaks.into()));
                    }
                } else if blank && !out.is_empty() {
                    out.push(' ');
                }
                (blank, breaks) = (false, 0);
                out.push(c);
            }
        }
    }
    // Composed last: a dropped character may have stood between a letter and its accent.
    if out.is_ascii() || is_nfc_quick(out.chars()) == IsNormalized::Yes { out } else { out.nfc().collect() }
}

/// How many characters of `text` write what people do not see: tag characters, which spell, and overrides of
/// direction, which reorder. [`normalise`] drops them, and no honest text has them.
pub fn concealed(text: &str) -> usize {
    // most text has no byte that begins one
    let begins = memchr::memchr2_iter(0xE2, 0xF3, text.as_bytes());
    let bytes = text.as_bytes();
    begins.filter(|at| matches!(bytes[*at..], [0xE2, 0x80, 0xAD | 0xAE, ..] | [0xF3, 0xA0, 0x80 | 0x81, ..])).count()
}

/// Characters that change nothing a reader sees: zero-width, bidirectional controls, soft hyphen,
/// variation selectors, tags, non-characters.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn drops_what_cannot_be_seen() {
        assert_eq!(normalise("a\u{200b}b\u{0007} \t c\u{feff}"), "ab c");
        assert_eq!(normalise("  one\r\n\r\n\r\n two  \n three "), "one\n\ntwo\nthree");
        assert_eq!(normalise("e\u{0301}"), "é");
        assert_eq!(normalise("e\u{200d}\u{0301}"), "é");
        assert_eq!(normalise("1.73 m²"), "1.73 m²");
    }

    proptest! {
        #[test]
        fn is_idempotent(text in "\\PC{0,80}|[ -~\\n\\t\u{200b}]{0,80}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
