//! Quick looks at ASCII, a block at a time: how much of a text folds to nothing but its own lower case.

/// Bytes looked at in one go, which compilers make a few vector instructions of.
const BLOCK: usize = 32;

const LETTER: u8 = 1;
/// A digit, or a sign that stands for a letter as digits do.
const DIGIT: u8 = 2;
const BLANK: u8 = 4;
/// Neither seen in plain text nor one blank of its own: controls, tabs, what is not ASCII.
const ODD: u8 = 8;

#[inline]
fn class(byte: u8) -> u8 {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10 || byte == b'@' || byte == b'$';
    let blank = byte == b' ' || byte == b'\n';
    let odd = byte.wrapping_sub(b' ') > b'~' - b' ' && byte != b'\n';
    u8::from(letter) * LETTER + u8::from(digit) * DIGIT + u8::from(blank) * BLANK + u8::from(odd) * ODD
}

/// Not zero where more than lower case is to be done: for what is odd, for a blank behind another, and for a
/// letter beside a digit, since the word may be one in disguise.
#[inline]
fn clash(before: u8, byte: u8) -> u8 {
    let (before, byte) = (class(before), class(byte));
    byte & ODD | before & byte & BLANK | u8::from((before | byte) & (LETTER | DIGIT) == LETTER | DIGIT)
}

/// How many of the first `bytes` fold to their lower case whatever follows, where they begin no word in its
/// middle; they end with one. `is_behind_blank`: whether a blank or a new line stands before them.
pub(super) fn run(bytes: &[u8], is_behind_blank: bool) -> usize {
    let Some(&first) = bytes.first() else { return 0 };
    if clash(if is_behind_blank { b' ' } else { b'.' }, first) != 0 {
        return 0;
    }
    let clashes = |pair: (&u8, &u8)| clash(*pair.0, *pair.1);
    let mut end = 1;
    while let (Some(before), Some(block)) =
        (bytes[end - 1..].first_chunk::<BLOCK>(), bytes[end..].first_chunk::<BLOCK>())
    {
        if before.iter().zip(block).fold(0, |any, pair| any | clashes(pair)) != 0 {
            break;
        }
        end += BLOCK;
    }
    let rest = bytes[end - 1..].iter().zip(&bytes[end..]);
    end += rest.take_while(|pair| clashes(*pair) == 0).count();
    if end < bytes.len() {
        let word = bytes[..end].iter().rev().take_while(|byte| class(**byte) & (LETTER | DIGIT) != 0).count();
        end -= word;
    }
    end
}

/// How far ahead no letters stand with something between each: none where some may, or the end is near.
pub(super) fn unspaced(folded: &[u8]) -> Option<usize> {
    let block: &[u8; BLOCK + 3] = folded.first_chunk()?;
    let is_letter = |byte: u8| byte.wrapping_sub(b'a') < 26;
    let is_between = |byte: u8| byte == b' ' || byte == b'.' || byte == b'-' || byte == b'_' || byte == b'*';
    let mut any = 0;
    for at in 0..BLOCK {
        let letters = u8::from(is_letter(block[at])) & u8::from(is_letter(block[at + 2]));
        any |= letters & u8::from(is_between(block[at + 1])) & u8::from(is_between(block[at + 3]));
    }
    (any == 0).then_some(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_the_word_before_what_needs_more() {
        for (text, expected) in [
            ("", ""),
            ("Plain text, 12 of 30 (40%).", "Plain text, 12 of 30 (40%)."),
            ("ends in a word", "ends in a word"),
            ("the code h1n1 and more", "the code "),
            ("12mg", ""),
            ("pay 5$ or $5", "pay 5$ or $5"),
            ("mail to me@home", "mail to "),
            ("one  blank too many", "one "),
            ("a line\nand\n\nanother", "a line\nand\n"),
            ("tab\tin it", ""),
            ("then caf\u{e9}", "then "),
            ("a caf\u{e9}", "a "),
        ] {
            for long in ["", "so that this is looked at by the block, not only byte by byte, "] {
                let whole = format!("{long}{text}");
                assert_eq!(run(whole.as_bytes(), false), long.len() + expected.len(), "{whole}");
            }
        }
        assert_eq!((run(b" a", true), run(b" a", false), run(b"\na", true)), (0, 2, 0));
    }

    #[test]
    fn spaced_letters_are_never_passed_over() {
        let text = "this is as plain as plain text can be, e g one letter a b c at a time, and d.e.f too; not more";
        let bytes = text.as_bytes();
        let mut seen = Vec::new();
        for at in 0..bytes.len() - BLOCK - 3 {
            let is_spaced = |at: usize| {
                matches!(&bytes[at..at + 4], [a, b, c, d] if a.is_ascii_lowercase()
                && b" .-_*".contains(b) && c.is_ascii_lowercase() && b" .-_*".contains(d))
            };
            let expected = (at..at + BLOCK).any(is_spaced);
            assert_eq!(unspaced(&bytes[at..]).is_none(), expected, "{at}");
            seen.push(expected);
        }
        assert!(seen.contains(&true) && seen.contains(&false));
        assert_eq!(unspaced(b"short"), None);
    }
}
