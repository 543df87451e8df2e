//! [`quote`]: the sentence of a passage that says what was asked for, word for word.

use std::collections::BTreeSet;

use corpus::sentence::sentences;

/// Bytes of a quote at most: what is longer is cut at white space.
pub(crate) const QUOTE: usize = 320;

/// The sentence of `text` that shares most with `wanted`, and how large a share of the words of `wanted` it
/// holds; the first of equals. None where nothing is shared.
pub(crate) fn quote<'a>(text: &'a str, wanted: &str) -> Option<(&'a str, f64)> {
    let wanted = words(wanted);
    let mut best: Option<(&str, f64, f64)> = None;
    for span in sentences(text) {
        for part in parts(text[span].trim()) {
            let said = words(part);
            let shared = said.intersection(&wanted).count() as f64;
            // Of two that hold as much, the shorter one says it better.
            let score = 2.0 * shared / (said.len() + wanted.len()).max(1) as f64;
            if shared > 0.0 && best.is_none_or(|(.., high)| score > high) {
                best = Some((part, shared / wanted.len() as f64, score));
            }
        }
    }
    best.map(|(part, share, _)| (part, share))
}

/// A sentence, or where it is too long its beginning and its end.
fn parts(sentence: &str) -> Vec<&str> {
    if sentence.len() <= QUOTE {
        return vec![sentence];
    }
    let head = &sentence[..sentence.floor_char_boundary(QUOTE)];
    let tail = &sentence[sentence.ceil_char_boundary(sentence.len() - QUOTE)..];
    let head = head.rsplit_once(char::is_whitespace).map_or(head, |(kept, _)| kept);
    let tail = tail.split_once(char::is_whitespace).map_or(tail, |(_, kept)| kept);
    vec![head.trim(), tail.trim()]
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_that_says_it_is_quoted() {
        let text = "Weight fell in both arms. Pain did not differ (P = 0.36) at week 8. It was mild.";
        assert_eq!(quote(text, "pain: P = 0.36"), Some(("Pain did not differ (P = 0.36) at week 8.", 1.0)));
        assert_eq!(quote(text, "nausea"), None);
        assert_eq!(quote("", "nausea"), None);
    }

    #[test]
    fn a_long_sentence_is_cut_where_it_says_it() {
        let long = format!("{} and the end was no different", "many more words ".repeat(40));
        let (part, share) = quote(&long, "no different end").unwrap();
        assert!(part.len() <= QUOTE && part.ends_with("no different") && long.contains(part), "{part}");
        assert_eq!(share, 1.0);
        let solid = "µ".repeat(500);
        assert!(quote(&solid, &solid).is_none(), "what is cut shares no whole word");
    }
}
