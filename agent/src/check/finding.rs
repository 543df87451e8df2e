//! [`look`]: what the passages that a sentence cites say of it.
//!
//! One sentence of the evidence, with its title, has to bear a claim out. What a reader would act on may not be among the
//! words that it lacks: amounts, numbers, bounds, judgements such as `safe`, and whom it is about. Two sentences that share the
//! work are no support: `15 mg once weekly. Another drug daily.` does not say `15 mg daily`.

use std::ops::Range;

use corpus::sentence::sentences;
use retriever::evidence::Label as EvidenceLabel;
use serde::{Deserialize, Serialize};

use super::amount::amounts;
use super::direction::{Reversal, reversal};
use super::name::foreign;
use super::weight::weighty;
use super::words::{content, is_number, words};
use crate::judge::Label;
use crate::risk::Risk;

/// Share of a sentence's words that support takes.
const COVERED: f64 = 0.7;
/// Share of them from which on two sentences are on the same matter.
const SAME_MATTER: f64 = 0.5;

/// A passage, as it is cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Of its document.
    pub title: &'a str,
    /// Of its place in the document; may be empty.
    pub heading: &'a str,
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
    /// Support, when most of its words stand in one sentence and all that weighs does; contradiction, when it turns round
    /// what stands there; else neutral.
    pub label: Label,
    /// Who says so.
    #[serde(default)]
    pub by: By,
    /// A scorer's calibrated probability of the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Amounts, numbers and words of weight that the evidence does not have where it is nearest, as they are written; and of a
    /// sentence that else has its source's words, the names that its source does not have.
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
    /// Whether a rule speaks against it, whatever reads the evidence.
    pub fn is_opposed(&self) -> bool {
        !self.missing.is_empty() || self.reversal.is_some() || self.unnamed.is_some()
    }

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

/// What `passages` say of `sentence`, and the nearest sentence where one is on the same matter.
pub fn look(sentence: &str, passages: &[Source<'_>]) -> (Finding, Option<Place>) {
    let (numbers, claim): (Vec<String>, Vec<String>) = content(sentence).into_iter().partition(|word| is_number(word));
    let mut best: Option<((f64, usize), Place)> = None;
    for (passage, source) in passages.iter().enumerate() {
        let title = [content(source.title), content(source.heading)].concat();
        for span in sentences(source.text) {
            let own = content(&source.text[span.clone()]);
            // A title stands for the names that a sentence leaves out, but does not make it nearer than one with the words.
            let count = |words: &[String]| words.iter().filter(|word| own.contains(word)).count();
            let named = claim.iter().filter(|word| !own.contains(word) && title.contains(word)).count() as f64;
            let share = (count(&claim) as f64 + 0.9 * named) / claim.len().max(1) as f64;
            // Of equals the one with the same numbers is meant.
            let near = (share, count(&numbers));
            if best.as_ref().is_none_or(|(most, _)| near > *most) {
                best = Some((near, Place { passage, span, share }));
            }
        }
    }
    let Some(place) = best.map(|(_, place)| place).filter(|place| place.share >= SAME_MATTER) else {
        let absent = missing(sentence, &texts(passages));
        return (Finding::neutral(absent), None);
    };
    let Source { title, heading, text } = passages[place.passage];
    let source = &text[place.span.clone()];
    let mut missing = missing(sentence, &[title, heading, source]);
    missing.extend(weighty(sentence, &[title, heading, source]));
    if place.share >= COVERED {
        // Of what else it cites, a sentence may have its names from anywhere.
        let others =
            passages.iter().enumerate().filter(|(other, _)| *other != place.passage).map(|(_, other)| other.text);
        let titles = passages.iter().flat_map(|passage| [passage.title, passage.heading]);
        let names = foreign(sentence, others.chain(titles).chain([source]));
        missing.extend(names.into_iter().filter(|name| !names_matter(name)));
    }
    let reversal = reversal(sentence, source);
    let unnamed = unnamed(sentence, source, passages);
    let is_covered = place.share >= COVERED && missing.is_empty() && unnamed.is_none();
    let label = match &reversal {
        Some(_) => Label::Contradict,
        None if is_covered => Label::Support,
        None => Label::Neutral,
    };
    (Finding { label, reversal, unnamed, ..Finding::neutral(missing) }, Some(place))
}

fn texts<'a>(passages: &[Source<'a>]) -> Vec<&'a str> {
    passages.iter().flat_map(|passage| [passage.title, passage.heading, passage.text]).collect()
}

/// Whether a word names whom a sentence is about, which is told in other words already.
fn names_matter(word: &str) -> bool {
    Risk::ALL.into_iter().any(|risk| risk.is_of_whom() && risk.is_named_in(word))
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

/// Amounts that `texts` have in no unit, and numbers without one that they do not have.
fn missing(sentence: &str, texts: &[&str]) -> Vec<String> {
    let known: Vec<_> = texts.iter().flat_map(|text| amounts(text)).collect();
    let said = amounts(sentence);
    let absent = said.iter().filter(|amount| !known.iter().any(|one| one.is(amount)));
    let mut missing: Vec<String> = absent.map(|amount| amount.shown.clone()).collect();
    let numbers: Vec<String> = texts.iter().flat_map(|text| content(text)).collect();
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

    fn find(sentence: &str, passages: &[Source<'_>]) -> Finding {
        look(sentence, passages).0
    }

    const SOURCES: [Source<'static>; 2] = [
        Source {
            title: "Metformin",
            heading: "",
            text: "The usual dose is 500 mg twice daily. It does not cause weight gain. It lowers glucose.",
        },
        Source { title: "Gout", heading: "", text: "Allopurinol prevents gout." },
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
        let gout = [Source { title: "Allopurinol", heading: "", text: "Allopurinol prevents attacks of gout." }];
        assert_eq!(find("Lithium prevents attacks of gout.", &gout).unnamed.as_deref(), Some("allopurinol"));
        assert_eq!(find("It prevents attacks of gout.", &gout).label, Label::Support);
        let swapped = find(
            "Amiodarone raises the effect of levothyroxine in most adults.",
            &[Source {
                title: "Interactions",
                heading: "",
                text: "Amiodarone raises the effect of warfarin in most adults.",
            }],
        );
        assert_eq!((swapped.label, swapped.missing), (Label::Neutral, vec!["levothyroxine".to_owned()]));
        assert_eq!(find("", &[]).label, Label::Neutral);
        let concern = |sentence: &str| find(sentence, &SOURCES).concern().unwrap_or_default();
        assert_eq!(concern("It lowers glucose."), "");
        assert!(concern("The usual dose is 850 mg.").contains("850 mg"));
        assert!(concern("Metformin raises glucose.").contains("`raises` where its source says `lowers`"));
    }

    #[test]
    fn one_sentence_has_to_say_it_all() {
        let weekly = [Source {
            title: "Methotrexate",
            heading: "",
            text: "Methotrexate 15 mg is given once weekly. Folic acid 5 mg is given once daily.",
        }];
        assert_eq!(find("Methotrexate 15 mg is given once weekly.", &weekly).label, Label::Support);
        assert_eq!(find("Methotrexate 15 mg is given once daily.", &weekly).missing, ["15 mg"]);
        assert_eq!(find("Methotrexate 5 mg is given once weekly.", &weekly).missing, ["5 mg"]);
        let ages = [Source { title: "Drug", heading: "", text: "The dose is 5 mg daily. The dose is 10 mg daily." }];
        assert_eq!(find("The dose is 10 mg daily.", &ages).label, Label::Support, "of equals, the one with the number");
        let title =
            [Source { title: "Lisinopril 10 mg in adults", heading: "", text: "The drug lowers blood pressure." }];
        assert_eq!(find("Lisinopril 10 mg lowers blood pressure.", &title).label, Label::Support);
    }

    #[test]
    fn what_weighs_is_never_among_the_words_that_may_lack() {
        let source = [Source {
            title: "Metformin",
            heading: "",
            text: "Metformin is the first-line drug for type 2 diabetes and lowers HbA1c and body weight.",
        }];
        let said = "Metformin is the first-line drug for type 2 diabetes and lowers HbA1c";
        assert_eq!(find(&format!("{said}."), &source).label, Label::Support);
        for (clause, lacks) in [
            ("and is safe in pregnancy", vec!["safe", "pregnancy or breast-feeding"]),
            ("in children", vec!["children"]),
            ("and should be avoided", vec!["avoided"]),
        ] {
            let finding = find(&format!("{said} {clause}."), &source);
            assert_eq!(
                (finding.label, finding.missing),
                (Label::Neutral, lacks.into_iter().map(str::to_owned).collect())
            );
        }
    }
}
