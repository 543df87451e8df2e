//! [`risks`]: where an error would do the most harm, and the line that such answers carry.
//!
//! What names a matter stands in `risk/marks.tsv`; ages say whether somebody is a child.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::check::amount::{Amount, amounts};

/// A matter in which the bar is higher: what the evidence does not bear out is taken out, not only marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Somebody may be about to harm themselves.
    SelfHarm,
    /// Minutes may count.
    Emergency,
    /// How much of a drug.
    Dose,
    /// Children.
    Paediatric,
    /// Pregnancy and breast-feeding.
    Pregnancy,
    /// Kidneys or liver that do not clear drugs as usual.
    RenalHepatic,
}

impl Risk {
    /// All, the gravest first.
    pub const ALL: [Self; 6] =
        [Self::SelfHarm, Self::Emergency, Self::Dose, Self::Paediatric, Self::Pregnancy, Self::RenalHepatic];

    /// Its name on the wire and in traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::SelfHarm => "self_harm",
            Self::Emergency => "emergency",
            Self::Dose => "dose",
            Self::Paediatric => "paediatric",
            Self::Pregnancy => "pregnancy",
            Self::RenalHepatic => "renal_hepatic",
        }
    }

    /// What a reader is told.
    pub fn line(self) -> &'static str {
        match self {
            Self::SelfHarm => {
                "If you or somebody near you may be in danger, call the local emergency number or a crisis line now."
            }
            Self::Emergency => "In an emergency call the local emergency number; do not wait for an answer here.",
            Self::Dose => "Check every dose against the product's label before it is used.",
            Self::Paediatric => "Doses and risks differ in children: check a paediatric source.",
            Self::Pregnancy => "Pregnancy and breast-feeding change risks and doses: check a source for them.",
            Self::RenalHepatic => "Impaired kidneys or liver change doses: check the product's label for them.",
        }
    }
}

impl Risk {
    /// Whether its line comes before everything else: there may be no time to read on.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::SelfHarm | Self::Emergency)
    }

    /// Whether an answer must rest on evidence that speaks of the matter itself: what holds for adults may harm a child.
    pub fn is_of_whom(self) -> bool {
        matches!(self, Self::Paediatric | Self::Pregnancy | Self::RenalHepatic)
    }

    /// Whether `text` names the matter.
    pub fn is_named_in(self, text: &str) -> bool {
        self.is_in(&Words::of(text))
    }

    fn is_in(self, words: &Words) -> bool {
        words.name(self.name()) || (self == Self::Paediatric && words.name_a_childs_age())
    }

    /// What the evidence has to speak of.
    pub fn matter(self) -> &'static str {
        match self {
            Self::SelfHarm => "self-harm",
            Self::Emergency => "emergencies",
            Self::Dose => "doses",
            Self::Paediatric => "children",
            Self::Pregnancy => "pregnancy or breast-feeding",
            Self::RenalHepatic => "impaired kidneys or liver",
        }
    }
}

/// The risks of a question and its answer, the gravest first.
pub fn risks(question: &str, answer: &str) -> Vec<Risk> {
    let (asked, told) = (Words::of(question), Words::of(answer));
    let holds = |risk: &Risk| match risk {
        // What an answer says in passing is no cry for help.
        Risk::SelfHarm => risk.is_in(&asked) || asked.name(CRY),
        Risk::Emergency => risk.is_in(&asked),
        Risk::Dose => risk.is_in(&asked) || amounts(answer).iter().any(Amount::is_dose),
        Risk::Paediatric | Risk::Pregnancy | Risk::RenalHepatic => risk.is_in(&asked) || risk.is_in(&told),
    };
    Risk::ALL.into_iter().filter(holds).collect()
}

/// Whether somebody says that they mean to harm themselves: no evidence is an answer to that.
pub(crate) fn is_cry_for_help(question: &str) -> bool {
    Words::of(question).name(CRY)
}

/// The name of the marks that say so.
const CRY: &str = "cry";
/// Whoever is younger, in years, is a child.
const ADULT: u32 = 18;

/// A beginning of a word, or a phrase, with a space before it.
struct Mark {
    matter: &'static str,
    /// Whether it only looks like a name of the matter.
    is_not: bool,
    text: String,
}

static MARKS: LazyLock<Vec<Mark>> = LazyLock::new(|| {
    let lines = include_str!("risk/marks.tsv").lines().filter(|line| !line.starts_with('#'));
    let mark = |line: &'static str| {
        let (matter, text) = line.split_once('\t')?;
        let is_not = matter.starts_with("not ");
        Some(Mark { matter: matter.trim_start_matches("not "), is_not, text: format!(" {text}") })
    };
    lines.filter_map(mark).collect()
});

/// A text in lower case, one space before each word, hyphens and strokes as spaces.
struct Words(String);

impl Words {
    fn of(text: &str) -> Self {
        let lower = text.to_lowercase().replace('’', "'");
        let words = lower.split(|c: char| c.is_whitespace() || matches!(c, '-' | '‐' | '‑' | '–' | '/'));
        let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).filter(|word| !word.is_empty());
        Self(words.fold(String::new(), |line, word| line + " " + word))
    }

    /// Whether a mark of the matter stands in them, other than as a part of what only looks like one.
    fn name(&self, matter: &str) -> bool {
        let own = || MARKS.iter().filter(|mark| mark.matter == matter);
        let is_apart = |at: usize| !own().any(|mark| mark.is_not && self.0[at..].starts_with(&mark.text));
        own().filter(|mark| !mark.is_not).any(|mark| self.0.match_indices(&mark.text).any(|(at, _)| is_apart(at)))
    }

    /// Whether somebody of few years is spoken of: `4 year old`, `6 months of age`, `aged 7`.
    fn name_a_childs_age(&self) -> bool {
        let words: Vec<&str> = self.0.split(' ').collect();
        let years = |count: &str, unit: &str| {
            let count: u32 = count.parse().ok()?;
            match unit {
                "year" | "years" | "yr" | "yrs" | "yo" | "y" => Some(count),
                "month" | "months" | "week" | "weeks" | "day" | "days" => Some(0),
                _ => None,
            }
        };
        let is_child = |age: Option<u32>| age.is_some_and(|age| age < ADULT);
        words.windows(3).any(|three| match three {
            [count, unit, "old" | "olds"] => is_child(years(count, unit)),
            ["aged", count, unit] => is_child(years(count, unit).or_else(|| count.parse().ok())),
            _ => false,
        }) || words.windows(4).any(|four| matches!(four, [count, unit, "of", "age"] if is_child(years(count, unit))))
            || matches!(words[..], [.., "aged", count] if is_child(count.parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_of_the_matters_that_people_gave_them() {
        let lines = include_str!("risk/questions.tsv").lines().filter(|line| !line.starts_with('#'));
        let mut told = std::collections::BTreeSet::new();
        for line in lines {
            let (matters, question) = line.split_once('\t').unwrap();
            let found: Vec<_> = risks(question, "").into_iter().map(Risk::name).collect();
            let cry = is_cry_for_help(question).then_some(CRY);
            let expect: Vec<_> = matters.split(' ').filter(|matter| *matter != "none").collect();
            assert_eq!(cry.into_iter().chain(found).collect::<Vec<_>>(), expect, "{question}");
            told.extend(expect);
        }
        assert_eq!(told.len(), Risk::ALL.len() + 1, "each matter is tried");
    }

    #[test]
    fn an_answer_in_passing_is_no_cry_for_help() {
        for (question, answer, expect) in [
            ("Which antibiotic is used?", "Amoxicillin 500 mg is used.", vec![Risk::Dose]),
            ("What replaces potassium?", "Give 20 mmol over an hour.", vec![Risk::Dose]),
            ("What is normal glucose?", "It is under 100 mg/dL.", vec![]),
            ("How is gout treated?", "Emergency care is rarely needed.", vec![]),
            ("Does it raise risk?", "It raises suicidality in adolescents.", vec![Risk::Paediatric]),
            ("Does selenium prevent cancer?", "It does not.", vec![]),
        ] {
            assert_eq!(risks(question, answer), expect, "{question}");
        }
    }

    #[test]
    fn marks_are_of_matters_and_each_is_listed_once() {
        let lines: Vec<_> = include_str!("risk/marks.tsv").lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(MARKS.len(), lines.len());
        let names: Vec<_> = Risk::ALL.into_iter().map(Risk::name).chain([CRY]).collect();
        assert!(MARKS.iter().all(|mark| names.contains(&mark.matter)));
        let once: std::collections::BTreeSet<_> = lines.iter().collect();
        assert_eq!(once.len(), lines.len());
    }
}
