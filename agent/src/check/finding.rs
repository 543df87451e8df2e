//! [`find`]: what the passages that a sentence cites say of it.

use std::ops::Range;

use corpus::sentence::sentences;

use super::amount::amounts;
use super::direction::{Reversal, reversal};
use super::words::{content, is_number};
use crate::judge::Label;

/// Share of a sentence's words that support takes.
const COVERED: f64 = 0.7;
/// Share of them from which on two sentences are on the same matter.
const SAME_MATTER: f64 = 0.5;

/// A passage, as it is cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// Of its document.
    pub title: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// What cited passages say of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Support, when most of its words stand together and every number is there; contradiction, when it turns round what
    /// stands there; else neutral.
    pub label: Label,
    /// Which passage, and the bytes of its sentence that is nearest.
    pub nearest: Option<(usize, Range<usize>)>,
    /// Amounts and numbers that no cited passage has, as they are written.
    pub missing: Vec<String>,
    /// What it turns round.
    pub reversal: Option<Reversal>,
}

/// What `passages` say of `sentence`.
pub fn find(sentence: &str, passages: &[Passage<'_>]) -> Finding {
    let missing = missing(sentence, passages);
    let words: Vec<String> = content(sentence).into_iter().filter(|word| !is_number(word)).collect();
    let mut best: Option<(f64, usize, Range<usize>)> = None;
    for (place, passage) in passages.iter().enumerate() {
        let title = content(passage.title);
        for span in sentences(passage.text) {
            let own = content(&passage.text[span.clone()]);
            // A title stands for the names that a sentence leaves out, but does not make it nearer than one with the words.
            let count = |list: &[String]| words.iter().filter(|word| list.contains(word)).count() as f64;
            let named = words.iter().filter(|word| !own.contains(word) && title.contains(word)).count() as f64;
            let share = (count(&own) + 0.9 * named) / words.len().max(1) as f64;
            if best.as_ref().is_none_or(|(most, ..)| share > *most) {
                best = Some((share, place, span));
            }
        }
    }
    let Some((share, place, span)) = best.filter(|(share, ..)| *share >= SAME_MATTER) else {
        return Finding { label: Label::Neutral, nearest: None, missing, reversal: None };
    };
    let reversal = reversal(sentence, &passages[place].text[span.clone()]);
    let label = match (&reversal, missing.is_empty()) {
        (Some(_), _) => Label::Contradict,
        (None, true) if share >= COVERED => Label::Support,
        _ => Label::Neutral,
    };
    Finding { label, nearest: Some((place, span)), missing, reversal }
}

/// Amounts, whatever their unit, and numbers without one.
fn missing(sentence: &str, passages: &[Passage<'_>]) -> Vec<String> {
    let texts = || passages.iter().flat_map(|passage| [passage.title, passage.text]);
    let known: Vec<_> = texts().flat_map(amounts).collect();
    let said = amounts(sentence);
    let absent = said.iter().filter(|amount| !known.iter().any(|one| one.is(amount)));
    let mut missing: Vec<String> = absent.map(|amount| amount.shown.clone()).collect();
    let numbers: Vec<String> = texts().flat_map(content).filter(|word| is_number(word)).collect();
    let is_of_amount = |word: &str| said.iter().any(|amount| amount.shown.contains(word.trim_end_matches('%')));
    missing.extend(
        content(sentence).into_iter().filter(|word| is_number(word) && !numbers.contains(word) && !is_of_amount(word)),
    );
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: [Passage<'static>; 2] = [
        Passage {
            title: "Metformin",
            text: "The usual dose is 500 mg twice daily. It does not cause weight gain. It lowers glucose.",
        },
        Passage { title: "Gout", text: "Allopurinol prevents gout." },
    ];

    #[test]
    fn words_amounts_and_direction_decide() {
        let label = |sentence: &str| find(sentence, &PASSAGES).label;
        assert_eq!(label("The usual dose of metformin is 0.5 g twice a day."), Label::Support);
        assert_eq!(label("The usual dose of metformin is 850 mg twice daily."), Label::Neutral);
        assert_eq!(find("The usual dose of metformin is 850 mg.", &PASSAGES).missing, ["850 mg"]);
        assert_eq!(find("In 1999 the usual dose of metformin fell.", &PASSAGES).missing, ["1999"]);
        assert_eq!(label("Metformin raises glucose."), Label::Contradict);
        assert_eq!(label("Metformin does cause weight gain."), Label::Contradict);
        assert_eq!(label("Metformin does not cause weight gain."), Label::Support);
        assert_eq!(label("Lithium is dangerous."), Label::Neutral);
        assert_eq!(find("Allopurinol prevents gout.", &PASSAGES).nearest, Some((1, 0..26)));
        assert_eq!(find("", &[]).label, Label::Neutral);
    }
}
