//! [`quote`]: the sentence of a passage that says what was asked for, word for word; [`from_shared`]: its part that
//! takes up the question.

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

/// `sentence` from where it takes up the words of `question`, if it still holds the share `least` of the words of
/// `wanted` there; all of it if not. To begin with words that were just read and to go on as the passage does is
/// easier than to find where a sentence begins.
pub(crate) fn from_shared<'a>(sentence: &'a str, question: &str, wanted: &str, least: f64) -> &'a str {
    let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let said: Vec<String> = sentence.split_whitespace().map(plain).collect();
    let asked: Vec<String> = question.split_whitespace().map(plain).collect();
    let run = |at: usize| {
        let from = |other: usize| {
            let alike = said[at..].iter().zip(&asked[other..]).take_while(|(a, b)| a == b && !a.is_empty());
            alike.map(|(word, _)| word.len()).sum::<usize>()
        };
        (0..asked.len()).map(from).max().unwrap_or(0)
    };
    let longest = (0..said.len()).max_by_key(|at| (run(*at), std::cmp::Reverse(*at)));
    let Some(at) = longest.filter(|at| run(*at) > 0) else { return sentence };
    let begins = |(place, _): &(usize, char)| sentence[..*place].chars().next_back().is_none_or(char::is_whitespace);
    let mut starts = sentence.char_indices().filter(|(_, c)| !c.is_whitespace()).filter(begins);
    let start = starts.nth(at).map_or(0, |(place, _)| place);
    let part = &sentence[start..];
    let (wanted, kept) = (words(wanted), words(part));
    if wanted.intersection(&kept).count() as f64 >= least * wanted.len() as f64 { part } else { sentence }
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
    fn a_quote_begins_where_it_takes_up_the_question() {
        let sentence = "In adults the starting dose of metformin is 500 mg twice daily.";
        let question = "What is the starting dose of metformin?";
        let part = "the starting dose of metformin is 500 mg twice daily.";
        assert_eq!(from_shared(sentence, question, "500 mg", 0.5), part);
        // What would be lost is kept, and where nothing is shared all is said.
        assert_eq!(from_shared(sentence, question, "adults", 0.5), sentence);
        assert_eq!(from_shared(sentence, "Which drug?", "500 mg", 0.5), sentence);
        assert_eq!(from_shared("", question, "", 0.5), "");
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
