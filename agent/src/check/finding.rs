//! [`find`]: what the passages that a sentence cites say of it.

use std::ops::Range;

use corpus::sentence::sentences;

use super::amount::amounts;
use super::direction::{Reversal, reversal};
use super::words::{content, is_number, words};
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
    /// Of whom the nearest sentence speaks, where this one names somebody else or nobody.
    pub unnamed: Option<String>,
}

/// Words that stand for a name.
const PRONOUNS: [&str; 11] = ["both", "drug", "drugs", "it", "its", "test", "that", "their", "these", "they", "this"];

/// What `passages` say of `sentence`.
pub fn find(sentence: &str, passages: &[Passage<'_>]) -> Finding {
    let claim: Vec<String> = content(sentence).into_iter().filter(|word| !is_number(word)).collect();
    let mut best: Option<(f64, usize, Range<usize>)> = None;
    for (place, passage) in passages.iter().enumerate() {
        let title = content(passage.title);
        for span in sentences(passage.text) {
            let own = content(&passage.text[span.clone()]);
            // A title stands for the names that a sentence leaves out, but does not make it nearer than one with the words.
            let count = |list: &[String]| claim.iter().filter(|word| list.contains(word)).count() as f64;
            let named = claim.iter().filter(|word| !own.contains(word) && title.contains(word)).count() as f64;
            let share = (count(&own) + 0.9 * named) / claim.len().max(1) as f64;
            if best.as_ref().is_none_or(|(most, ..)| share > *most) {
                best = Some((share, place, span));
            }
        }
    }
    let Some((share, place, span)) = best.filter(|(share, ..)| *share >= SAME_MATTER) else {
        let missing = missing(sentence, passages, None);
        return Finding { label: Label::Neutral, nearest: None, missing, reversal: None, unnamed: None };
    };
    let source = &passages[place].text[span.clone()];
    let missing = missing(sentence, passages, Some(source));
    let reversal = reversal(sentence, source);
    let unnamed = unnamed(sentence, source, passages);
    let is_covered = share >= COVERED && missing.is_empty() && unnamed.is_none();
    let label = match &reversal {
        Some(_) => Label::Contradict,
        None if is_covered => Label::Support,
        None => Label::Neutral,
    };
    Finding { label, nearest: Some((place, span)), missing, reversal, unnamed }
}

/// The word of a title that `source` has, where `sentence` has none of any title and no pronoun either.
fn unnamed(sentence: &str, source: &str, passages: &[Passage<'_>]) -> Option<String> {
    let titles: Vec<String> = passages.iter().flat_map(|passage| content(passage.title)).collect();
    let said = words(sentence);
    if said.iter().any(|word| titles.contains(word) || PRONOUNS.contains(&word.as_str())) {
        return None;
    }
    words(source).into_iter().find(|word| titles.contains(word))
}

/// Amounts that no passage has, whatever their unit, and numbers without one that the nearest sentence does not have: a
/// bare number says nothing of what it counts, and most passages have some.
fn missing(sentence: &str, passages: &[Passage<'_>], nearest: Option<&str>) -> Vec<String> {
    let texts = || passages.iter().flat_map(|passage| [passage.title, passage.text]);
    let known: Vec<_> = texts().flat_map(amounts).collect();
    let said = amounts(sentence);
    let absent = said.iter().filter(|amount| !known.iter().any(|one| one.is(amount)));
    let mut missing: Vec<String> = absent.map(|amount| amount.shown.clone()).collect();
    let numbers: Vec<String> = match nearest {
        Some(nearest) => content(nearest),
        None => texts().flat_map(content).collect(),
    };
    let is_of_amount = |word: &str| {
        let number = word.trim_end_matches('%');
        said.iter().any(|amount| amount.shown.split(' ').any(|part| part == number))
    };
    let bare = content(sentence).into_iter().filter(|word| is_number(word) && !is_of_amount(word));
    missing.extend(bare.filter(|word| !numbers.contains(word)));
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
        assert_eq!(find("Lithium prevents gout.", &PASSAGES[..1]).unnamed, None, "nothing is near");
        let gout = [Passage { title: "Allopurinol", text: "Allopurinol prevents attacks of gout." }];
        assert_eq!(find("Lithium prevents attacks of gout.", &gout).unnamed.as_deref(), Some("allopurinol"));
        assert_eq!(find("It prevents attacks of gout.", &gout).label, Label::Support);
        assert_eq!(find("Allopurinol prevents gout.", &PASSAGES).nearest, Some((1, 0..26)));
        assert_eq!(find("", &[]).label, Label::Neutral);
    }
}
