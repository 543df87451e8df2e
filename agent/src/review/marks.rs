//! [`Marks`]: how strong the evidence is, and how much of the answer it carries: two marks, since strong evidence can carry
//! little of an answer and weak evidence all of it. Each says why.
//!
//! *Evidence strength* follows GRADE (Guyatt et al. 2008, <https://doi.org/10.1136/bmj.39489.470347.AD>): the best design gives the
//! first grade; inconsistency, indirectness, a single source, age and doubt of the publisher each lower it by one. What GRADE has
//! people judge (risk of bias, precision, publication bias) is not judged here, so the mark is a reading aid and no GRADE rating.

use corpus::{Level, Status};
use serde::{Deserialize, Serialize};

use super::question::Understood;
use crate::answer::{Citation, Sentence};
use crate::matching::stems;

/// Years after which evidence counts as old.
const OLD: i16 = 15;

/// Both marks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// How strong the evidence is.
    pub strength: Strength,
    /// Why, in words; at least one reason.
    pub strength_reasons: Vec<String>,
    /// How much of the answer it carries.
    pub support: Support,
    /// Sentences that are borne out, of all that the policy wrote.
    pub share: f64,
    /// Why, in words; at least one reason.
    pub support_reasons: Vec<String>,
}

/// How strong evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// No cited document says what kind of study it is.
    Unrated,
    /// Little can be built on it.
    VeryLow,
    /// The truth may well be another.
    Low,
    /// The truth is likely near.
    Moderate,
    /// Further work is unlikely to change it.
    High,
}

/// How much of an answer its evidence carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// All of it.
    Full,
    /// More than half.
    Most,
    /// Up to half.
    Part,
    /// Nothing.
    None,
}

impl Strength {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unrated => "unrated",
            Self::VeryLow => "very_low",
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
        }
    }

    fn lowered(self) -> Self {
        match self {
            Self::High => Self::Moderate,
            Self::Moderate => Self::Low,
            Self::Low | Self::VeryLow => Self::VeryLow,
            Self::Unrated => Self::Unrated,
        }
    }
}

impl Support {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Most => "most",
            Self::Part => "part",
            Self::None => "none",
        }
    }
}

/// What the marks are made from.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The answer's sentences.
    pub sentences: &'a [Sentence],
    /// What they cite.
    pub citations: &'a [Citation],
    /// Sentences that were taken out.
    pub struck: usize,
    /// Sentences that other evidence contradicts.
    pub conflicts: usize,
    /// The question's parts.
    pub understood: &'a Understood,
    /// The year in which the question was asked.
    pub year: i16,
}

/// The marks of an answer.
pub fn marks(seen: &Seen<'_>) -> Marks {
    let (strength, strength_reasons) = strength(seen);
    let supported = seen.sentences.iter().filter(|sentence| sentence.is_supported()).count();
    let written = seen.sentences.len() + seen.struck;
    let share = supported as f64 / written.max(1) as f64;
    let support = match share {
        share if share >= 1.0 => Support::Full,
        share if share > 0.5 => Support::Most,
        share if share > 0.0 => Support::Part,
        _ => Support::None,
    };
    let mut support_reasons = vec![format!("{supported} of {written} sentences are borne out by what they cite")];
    if seen.struck > 0 {
        support_reasons.push(format!("{} taken out", count(seen.struck, "sentence was", "sentences were")));
    }
    let later = seen.sentences.iter().filter(|sentence| sentence.found_later).count();
    if later > 0 {
        support_reasons
            .push(format!("evidence for {} was looked for afterwards", count(later, "sentence", "sentences")));
    }
    Marks { strength, strength_reasons, support, share, support_reasons }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn strength(seen: &Seen<'_>) -> (Strength, Vec<String>) {
    let Seen { citations, understood, .. } = seen;
    let rated = citations.iter().filter(|citation| first(citation.level).is_some());
    let Some(best) = rated.max_by_key(|citation| first(citation.level)) else {
        return (Strength::Unrated, vec!["no cited document says what kind of study it is".to_owned()]);
    };
    let mut strength = first(best.level).unwrap_or(Strength::VeryLow);
    let mut reasons = vec![format!("the best of it is {}", design(best.level))];
    let mut lower = |reason: String| {
        strength = strength.lowered();
        reasons.push(reason);
    };
    if seen.conflicts > 0 {
        lower("other evidence found says the opposite".to_owned());
    }
    let mut documents: Vec<_> = citations.iter().map(|citation| &citation.document).collect();
    documents.sort_unstable();
    documents.dedup();
    // A guideline or a review has weighed many sources already.
    if documents.len() == 1 && !matches!(best.level, Level::Guideline | Level::SystematicReview) {
        lower("it is a single source".to_owned());
    }
    if let Some(whom) = understood.population.as_ref().filter(|whom| !speaks_of(citations, whom)) {
        lower(format!("it does not speak of {whom}"));
    }
    if let Some(newest) = citations.iter().filter_map(|citation| citation.year).max()
        && i32::from(seen.year) - i32::from(newest) > i32::from(OLD)
    {
        lower(format!("the newest of it is of {newest}"));
    }
    if citations.iter().any(|citation| citation.status == Status::Concern) {
        lower("a publisher has expressed concern about a part of it".to_owned());
    }
    (strength, reasons)
}

/// The grade that a design begins with; none where the design is not known.
fn first(level: Level) -> Option<Strength> {
    match level {
        Level::Guideline | Level::SystematicReview | Level::Rct => Some(Strength::High),
        Level::Observational => Some(Strength::Low),
        Level::CaseReport | Level::Opinion | Level::Preprint => Some(Strength::VeryLow),
        Level::Reference | Level::Unclassified => None,
    }
}

fn design(level: Level) -> &'static str {
    match level {
        Level::Guideline => "a guideline",
        Level::SystematicReview => "a systematic review",
        Level::Rct => "a randomised trial",
        Level::Observational => "an observational study",
        Level::CaseReport => "a case report",
        Level::Opinion => "a narrative review or opinion",
        Level::Preprint => "a preprint",
        Level::Reference => "a reference work",
        Level::Unclassified => "unclassified",
    }
}

/// Whether the titles or quotes have a content word of `whom`.
fn speaks_of(citations: &[Citation], whom: &str) -> bool {
    let wanted = stems(whom);
    wanted.is_empty()
        || citations.iter().any(|citation| {
            let said = stems(&format!("{} {}", citation.title, citation.quote));
            wanted.iter().any(|stem| said.contains(stem))
        })
}
