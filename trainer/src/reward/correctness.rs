//! Correctness: the answer against the gold one, from 0 to 1.
//!
//! Who names several options has named none: otherwise "A, B, C or D" would always be right.

use std::collections::BTreeSet;

use agent::Trace;

use crate::data::question::{Gold, Question, Verdict};
use agent::check::words::words;

/// Words beside an option's own that may stand in an answer which names no letter.
const BESIDE: usize = 12;

/// The value and its reason.
pub(super) fn correctness(question: &Question, trace: &Trace) -> (f64, String) {
    if !trace.answer.is_answered() {
        return (0.0, "no answer was given".to_owned());
    }
    let text = &trace.answer.text;
    match &question.gold {
        Gold::Exact(answers) => {
            let said = words(text);
            match answers.iter().find(|answer| words(answer) == said) {
                Some(answer) => (1.0, format!("is `{answer}`")),
                None => (0.0, format!("is none of {} right answers", answers.len())),
            }
        }
        Gold::Overlap(answers) => {
            let best = answers.iter().map(|answer| overlap(text, answer)).fold(0.0, f64::max);
            (best, format!("shares F1 {best:.3} of its words with the nearest right answer"))
        }
        // Compared with the others of a step, by an encoder.
        Gold::Semantic(_) => (0.0, "was not compared".to_owned()),
        Gold::Choice { letter, options } => {
            let parts = trace.answer.sentences.iter().map(|part| part.text.as_str());
            let mut named = concluded(parts, options);
            if named.is_empty() {
                named = choices(text, options);
            }
            is_only(&named.into_iter().collect::<Vec<_>>(), letter, ToString::to_string)
        }
        Gold::Verdict(verdict) => is_only(&verdicts(text), verdict, |verdict| verdict.as_str().to_owned()),
    }
}

fn is_only<T: PartialEq>(named: &[T], right: &T, show: impl Fn(&T) -> String) -> (f64, String) {
    match named {
        [] => (0.0, "names no option".to_owned()),
        [one] if one == right => (1.0, format!("names {}", show(one))),
        [one] => (0.0, format!("names {}, not {}", show(one), show(right))),
        several => (0.0, format!("names {} options at once", several.len())),
    }
}

/// F1 of the words that both have, each as often as it is there.
fn overlap(text: &str, answer: &str) -> f64 {
    let (said, mut wanted) = (words(text), words(answer));
    let (saying, wanting) = (said.len(), wanted.len());
    let mut shared = 0;
    for word in said {
        if let Some(at) = wanted.iter().position(|other| *other == word) {
            wanted.swap_remove(at);
            shared += 1;
        }
    }
    if shared == 0 { 0.0 } else { 2.0 * f64::from(shared) / (saying + wanting) as f64 }
}

/// The options that are a whole part of an answer: what it concludes after what it quotes.
fn concluded<'a>(parts: impl Iterator<Item = &'a str>, options: &[String]) -> BTreeSet<char> {
    let parts: Vec<_> = parts.map(words).filter(|part| !part.is_empty()).collect();
    let options = ('A'..='Z').zip(options.iter().map(|option| words(option)));
    options.filter(|(_, option)| parts.contains(option)).map(|(letter, _)| letter).collect()
}

/// The options that an answer names: by letters that stand as such, as in `B`, `(B)`, `B: …`, `option B`,
/// `the answer is B`, `B or C`; where there are none, by all that they say and little else, so that a
/// copied passage names none.
fn choices(text: &str, options: &[String]) -> BTreeSet<char> {
    let letters: Vec<char> = ('A'..='Z').take(options.len()).collect();
    let runs: Vec<&str> = text.split_whitespace().collect();
    let mut named = BTreeSet::new();
    let (mut follows, mut before) = (false, [String::new(), String::new()]);
    for (place, run) in runs.iter().enumerate() {
        let bare = run.trim_matches(|c: char| !c.is_alphanumeric());
        let letter = bare.chars().next().filter(|letter| letters.contains(letter) && bare.len() == 1);
        let [second, first] = &before;
        let is_introduced =
            matches!(first.as_str(), "option" | "choice" | "answer") || (first == "is" && second == "answer");
        let stands = *run != bare || !is_word(bare) || runs.get(place + 1).is_none_or(|next| joins(next));
        let is_listed = (place == 0 || follows) && stands;
        let is_named = letter.is_some() && (is_listed || is_introduced || run.contains([')', ':']));
        named.extend(letter.filter(|_| is_named));
        // A list goes on after a letter, or after a word that joins.
        follows = is_named || (follows && matches!(bare, "and" | "or" | ""));
        before = [before[1].clone(), bare.to_lowercase()];
    }
    if named.is_empty() {
        let said = words(text);
        for (letter, option) in letters.into_iter().zip(options) {
            let option = words(option);
            let is_short = said.len() <= option.len() + BESIDE;
            if is_short && !option.is_empty() && said.windows(option.len()).any(|window| window == option) {
                named.insert(letter);
            }
        }
    }
    named
}

/// Whether a letter is a word as well.
fn is_word(letter: &str) -> bool {
    matches!(letter, "A" | "I")
}

/// Whether what follows a letter makes it one of a list.
fn joins(next: &str) -> bool {
    let next = next.trim_matches(|c: char| !c.is_alphanumeric());
    matches!(next, "" | "and" | "or") || (next.len() == 1 && next.chars().all(|c| c.is_ascii_uppercase()))
}

/// The verdicts that an answer gives: those that its sentences begin with, and what is listed there.
fn verdicts(text: &str) -> Vec<Verdict> {
    let mut named = Vec::new();
    for span in corpus::sentence::sentences(text) {
        for word in words(&text[span]) {
            match Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word) {
                Some(verdict) if !named.contains(&verdict) => named.push(verdict),
                Some(_) => {}
                None if word == "or" || word == "and" => {}
                None => break,
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_letter_and_by_text() {
        let options = ["metformin", "a low salt diet", "insulin glargine", "I do not know"].map(str::to_owned);
        let named = |text: &str| choices(text, &options).into_iter().collect::<String>();
        for (text, expected) in [
            ("B", "B"),
            ("(B)", "B"),
            ("B. A low salt diet", "B"),
            ("B since hepatitis A and C are others", "B"),
            ("The answer is C.", "C"),
            ("Answer: A", "A"),
            ("Metformin", "A"),
            ("A", "A"),
            ("A: metformin", "A"),
            ("A patient should take metformin", "A"),
            ("A patient should rest", ""),
            ("option C, insulin glargine", "C"),
            ("A, B, C or D", "ABCD"),
            ("A B C D", "ABCD"),
            ("B / C", "BC"),
            ("metformin or insulin glargine", "AC"),
            ("B: not metformin", "B"),
            ("vitamin", ""),
            ("one two three four five six seven eight nine ten eleven twelve metformin thirteen", ""),
        ] {
            assert_eq!(named(text), expected, "{text}");
        }
    }

    #[test]
    fn a_part_that_is_an_option_concludes() {
        let options = ["significantly increased", "no significant difference"].map(str::to_owned);
        let named = |parts: &[&str]| concluded(parts.iter().copied(), &options).into_iter().collect::<String>();
        assert_eq!(named(&["Group B) fell, in group A: no change (P = 0.4).", "No significant difference."]), "B");
        assert_eq!(named(&["Significantly increased.", "No significant difference."]), "AB");
        assert_eq!(named(&["It was not significantly increased."]), "");
        assert_eq!(named(&["", "."]), "");
    }

    #[test]
    fn verdicts_are_what_sentences_begin_with() {
        use Verdict::{Maybe, No, Yes};
        assert_eq!(verdicts("Yes, it lowers no other value."), [Yes]);
        assert_eq!(verdicts("yes / no / maybe"), [Yes, No, Maybe]);
        assert_eq!(verdicts("Yes or no."), [Yes, No]);
        assert_eq!(verdicts("Yes. No."), [Yes, No]);
        assert_eq!(verdicts("It does."), []);
    }

    #[test]
    fn overlap_is_f1() {
        assert_eq!(overlap("40 mg daily", "40 mg"), 0.8);
        assert_eq!(overlap("mg mg mg", "40 mg"), 2.0 / 5.0);
        assert_eq!(overlap("nothing", "40 mg"), 0.0);
        assert_eq!(overlap("The 40 mg.", "40 MG"), 1.0);
    }
}
