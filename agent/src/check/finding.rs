//! [`find`]: what the passages that a sentence cites say of it.

use std::ops::Range;

use corpus::sentence::sentences;
use retriever::evidence::Label as EvidenceLabel;
use serde::{Deserialize, Serialize};

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
pub struct Source<'a> {
    /// Of its document.
    pub title: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// Who read the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The rules of this module: words, amounts, direction. They see no paraphrase.
    #[default]
    Rules,
    /// A trained scorer, whose support the rules can take back and never give.
    Scorer,
}

/// The sentence of the evidence that a finding rests on, word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// The evidence.
    pub evidence: EvidenceLabel,
    /// Where it begins in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What stands there.
    pub text: String,
}

/// What cited passages say of a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Support, when most of its words stand together and every number is there; contradiction, when it turns round what
    /// stands there; else neutral.
    pub label: Label,
    /// Who says so.
    #[serde(default)]
    pub by: By,
    /// A scorer's calibrated probability of the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Amounts and numbers that no cited passage has, as they are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What it turns round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversal: Option<Reversal>,
    /// Of whom the nearest sentence speaks, where this one names somebody else or nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnamed: Option<String>,
    /// What it rests on; absent where nothing is near, and where it was found outside an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
}

/// A stretch of one of several passages.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Which passage, from 0.
    pub passage: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
    /// Share of the sentence's words that stand there.
    pub share: f64,
}

impl Finding {
    /// Neutral, by rule, with nothing to show.
    fn neutral(missing: Vec<String>) -> Self {
        let label = Label::Neutral;
        Self { label, by: By::Rules, confidence: None, missing, reversal: None, unnamed: None, quote: None }
    }

    /// Whether the evidence bears the sentence out.
    pub fn is_support(&self) -> bool {
        self.label == Label::Support
    }

    /// What a reader should look at; nothing where the passages bear the sentence out.
    pub fn concern(&self) -> Option<String> {
        let Self { label, by, missing, reversal, unnamed, .. } = self;
        if *label == Label::Support {
            return None;
        }
        Some(match (reversal, missing.first(), unnamed) {
            (Some(Reversal { said, found }), ..) => format!("says `{said}` where its source says `{found}`"),
            (None, Some(_), _) => format!("not in its source: {}", missing.join(", ")),
            (None, None, Some(name)) => format!("its source speaks of {name}"),
            (None, None, None) => match (by, label) {
                (By::Rules, _) => "its source does not say this in its words".to_owned(),
                (By::Scorer, Label::Contradict) => "its source says otherwise".to_owned(),
                (By::Scorer, _) => "its source does not say this".to_owned(),
            },
        })
    }
}

/// Words that stand for a name.
const PRONOUNS: [&str; 11] = ["both", "drug", "drugs", "it", "its", "test", "that", "their", "these", "they", "this"];

/// What `passages` say of `sentence`.
pub fn find(sentence: &str, passages: &[Source<'_>]) -> Finding {
    look(sentence, passages).0
}

/// The same, and the nearest sentence where one is on the same matter.
pub fn look(sentence: &str, passages: &[Source<'_>]) -> (Finding, Option<Place>) {
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
        return (Finding::neutral(missing), None);
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
    let finding = Finding { label, reversal, unnamed, ..Finding::neutral(missing) };
    (finding, Some(Place { passage: place, span, share }))
}

/// The word of a title that `source` has, where `sentence` has none of any title and no pronoun either.
fn unnamed(sentence: &str, source: &str, passages: &[Source<'_>]) -> Option<String> {
    let titles: Vec<String> = passages.iter().flat_map(|passage| content(passage.title)).collect();
    let said = words(sentence);
    if said.iter().any(|word| titles.contains(word) || PRONOUNS.contains(&word.as_str())) {
        return None;
    }
    words(source).into_iter().find(|word| titles.contains(word))
}

/// Amounts that no passage has, whatever their unit, and numbers without one that the nearest sentence does not have: a
/// bare number says nothing of what it counts, and most passages have some.
fn missing(sentence: &str, passages: &[Source<'_>], nearest: Option<&str>) -> Vec<String> {
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

    const SOURCES: [Source<'static>; 2] = [
        Source {
            title: "Metformin",
            text: "The usual dose is 500 mg twice daily. It does not cause weight gain. It lowers glucose.",
        },
        Source { title: "Gout", text: "Allopurinol prevents gout." },
    ];

    #[test]
    fn words_amounts_and_direction_decide() {
        let label = |sentence: &str| find(sentence, &SOURCES).label;
        assert_eq!(label("The usual dose of metformin is 0.5 g twice a day."), Label::Support);
        assert_eq!(label("The usual dose of metformin is 850 mg twice daily."), Label::Neutral);
        assert_eq!(find("The usual dose of metformin is 850 mg.", &SOURCES).missing, ["850 mg"]);
        assert_eq!(find("In 1999 the usual dose of metformin fell.", &SOURCES).missing, ["1999"]);
        assert_eq!(label("Metformin raises glucose."), Label::Contradict);
        assert_eq!(label("Metformin does cause weight gain."), Label::Contradict);
        assert_eq!(label("Metformin does not cause weight gain."), Label::Support);
        assert_eq!(label("Lithium is dangerous."), Label::Neutral);
        assert_eq!(find("Lithium prevents gout.", &SOURCES[..1]).unnamed, None, "nothing is near");
        let gout = [Source { title: "Allopurinol", text: "Allopurinol prevents attacks of gout." }];
        assert_eq!(find("Lithium prevents attacks of gout.", &gout).unnamed.as_deref(), Some("allopurinol"));
        assert_eq!(find("It prevents attacks of gout.", &gout).label, Label::Support);
        assert_eq!(find("", &[]).label, Label::Neutral);
        let concern = |sentence: &str| find(sentence, &SOURCES).concern().unwrap_or_default();
        assert_eq!(concern("It lowers glucose."), "");
        assert!(concern("The usual dose is 850 mg.").contains("850 mg"));
        assert!(concern("Metformin raises glucose.").contains("`raises` where its source says `lowers`"));
    }
}
