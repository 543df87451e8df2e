//! [`Review`]: what becomes of an answer before it leaves, and what its reader should know beside it.
//!
//! In order: every sentence is [examined](examine()) against what it cites; a policy that can is asked once to mend what is not
//! borne out; what still is not is marked or struck by the [`Terms`], and struck in any case where a [`Risk`] raises the bar; then
//! [`conflicts`], [`Marks`], the question as it was [`Understood`], and where the evidence is thin, wider questions.
//!
//! An episode that trains is not reviewed: a reward must see what the policy wrote.

mod agreement;
mod conflict;
mod examine;
mod marks;
mod narrow;
mod question;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;

use retriever::{Evidence, Ledger};
use serde::{Deserialize, Serialize};

pub use self::agreement::{Agreement, Judged, agreement};
pub use self::conflict::{Conflict, conflicts};
pub(crate) use self::examine::examine_one;
pub use self::examine::{Claim, examine};
pub use self::marks::{Marks, Seen, Strength, Support, marks};
pub use self::question::{Understood, is_fragment, understand};
pub(crate) use self::verify::gather;
pub use self::verify::{Verified, verify};
use crate::answer::{Answer, Citation, Outcome, Sentence};
use crate::check::foreign;
use crate::judge::{Judge, Reading};
use crate::matching::{overlap, stems};
use crate::protocol::AbstainCode;
pub use crate::risk::{Risk, risks};
use crate::{Ask, Cancel, Result};

/// Nearest evidence that an abstention shows.
const NEAREST: usize = 3;
/// Share of the question's words that such evidence has: less, and it is about something else.
const NEAR: f64 = 0.5;

/// What happens to sentences that the evidence does not bear out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsupported {
    /// They stay, and say so.
    #[default]
    Mark,
    /// They are taken out, and listed apart.
    Strike,
}

/// How answers are reviewed.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What happens to sentences that are not borne out.
    pub unsupported: Unsupported,
    /// Whether the policy is asked once to mend them.
    pub repair: bool,
    /// Who reads the evidence, beside the rules.
    pub judge: Option<Arc<Judge>>,
}

/// The terms as a trace keeps them, so that a replay can tell whether it has the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    /// What happened to sentences that were not borne out.
    pub unsupported: Unsupported,
    /// Whether the policy was asked to mend them.
    pub repair: bool,
    /// Fingerprint of the scorer; absent where rules alone decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
}

impl From<&Terms> for Reviewed {
    fn from(terms: &Terms) -> Self {
        let judge = terms.judge.as_ref().map(|judge| judge.fingerprint().to_owned());
        Self { unsupported: terms.unsupported, repair: terms.repair, judge }
    }
}

/// What a reader should know beside an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// How the question was understood.
    pub understood: Understood,
    /// Matters in which an error would do the most harm, the gravest first.
    pub risks: Vec<Risk>,
    /// Sentences that were taken out.
    pub struck: Vec<Struck>,
    /// Where other evidence says the opposite.
    pub conflicts: Vec<Conflict>,
    /// Evidence strength and support; none in an abstention.
    pub marks: Option<Marks>,
    /// In an abstention, the evidence that came nearest.
    pub nearest: Vec<Citation>,
    /// A question back, where a topic is all that was given.
    pub suggestion: Option<String>,
    /// Wider questions, where the evidence is thin.
    pub wider: Vec<String>,
}

/// A sentence that was taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Struck {
    /// The sentence.
    pub text: String,
    /// Why, in words.
    pub why: String,
}

/// Marks or strikes what the evidence does not bear out, and adds the [`Review`]. Sentences are examined already.
///
/// # Errors
/// Those of the scorer, or when the caller cancels.
pub fn settle(
    mut answer: Answer,
    task: &Ask,
    terms: &Terms,
    ledger: &Ledger,
    reading: &Reading<'_>,
    cancel: &Cancel,
) -> Result<Answer> {
    let mut review = Review {
        understood: understand(&task.question),
        risks: risks(&task.question, &answer.text),
        ..Review::default()
    };
    if answer.is_answered() {
        let strikes = terms.unsupported == Unsupported::Strike || !review.risks.is_empty();
        let (kept, out): (Vec<Sentence>, Vec<Sentence>) =
            std::mem::take(&mut answer.sentences).into_iter().partition(|sentence| !strikes || sentence.is_supported());
        review.struck =
            out.into_iter().map(|sentence| Struck { why: sentence.concern(), text: sentence.text }).collect();
        let whom = OfWhom::new(&review, &task.question);
        let (kept, beside): (Vec<Sentence>, Vec<Sentence>) =
            kept.into_iter().partition(|sentence| whom.missing(sentence, ledger).is_none());
        let others = beside.first().and_then(|sentence| whom.missing(sentence, ledger)).map(Risk::matter);
        let why = "its evidence speaks of others than the question asks about".to_owned();
        review.struck.extend(beside.into_iter().map(|sentence| Struck { text: sentence.text, why: why.clone() }));
        answer.keep(kept, ledger);
        if answer.sentences.is_empty() {
            let text = match others {
                Some(matter) => format!("the evidence found does not speak of {matter}"),
                None => "nothing of the draft is borne out by the evidence it cites".to_owned(),
            };
            answer = Answer::abstained(AbstainCode::Insufficient, text);
        } else {
            review.conflicts = conflicts(&answer.sentences, ledger, reading, cancel)?;
            let mut marks = marks(&Seen {
                sentences: &answer.sentences,
                citations: &answer.citations,
                struck: review.struck.len(),
                conflicts: review.conflicts.len(),
                understood: &review.understood,
                year: task.started.to_zoned(jiff::tz::TimeZone::UTC).year(),
            });
            marks
                .support_reasons
                .extend(answer.unmet.iter().map(|part| format!("nothing found answers this part: {part}")));
            review.marks = Some(marks);
        }
    }
    if answer.outcome == Outcome::Abstained(AbstainCode::Unsafe) {
        // Nothing that comes near, and nothing more to ask: it would be how.
        answer.review = Some(Box::new(review));
        return Ok(answer);
    }
    if let Outcome::Abstained(code) = &mut answer.outcome {
        let wanted: BTreeSet<_> = stems(&task.question).into_iter().collect();
        let is_near = |one: &&Evidence| overlap(&wanted, &format!("{} {}", one.title, one.text)) >= NEAR;
        let here = ledger.entries().iter().filter(|one| !one.is_withdrawn());
        let nearest = here.filter(is_near).take(NEAREST);
        review.nearest = nearest.map(|evidence| Citation::new(evidence, &task.question)).collect();
        if is_fragment(&task.question) && *code == AbstainCode::Insufficient {
            *code = AbstainCode::NeedsClarification;
        }
        if *code == AbstainCode::NeedsClarification {
            review.suggestion = review.understood.suggestion();
        }
    }
    if is_thin(&answer, &review) {
        review.wider = review.understood.wider(&task.question);
    }
    answer.review = Some(Box::new(review));
    Ok(answer)
}

/// The matters that a question names and that must not be answered from evidence about others.
struct OfWhom {
    risks: Vec<Risk>,
    /// The stems of what is done to them.
    intervention: BTreeSet<String>,
    /// Where the wording does not show that: what the question names otherwise.
    names: String,
}

impl OfWhom {
    fn new(review: &Review, question: &str) -> Self {
        let is_asked = |risk: &Risk| risk.is_of_whom() && risk.is_named_in(question);
        let mut names = foreign(question, std::iter::empty());
        names.retain(|name| !Risk::ALL.into_iter().any(|risk| risk.is_named_in(name)));
        Self {
            risks: review.risks.iter().copied().filter(is_asked).collect(),
            intervention: review.understood.intervention.iter().flat_map(|what| stems(what)).collect(),
            names: names.join(" "),
        }
    }

    /// The first matter of which nothing that the sentence cites speaks, with the intervention in the same place. Titles and
    /// headings count: they say of what a text is.
    fn missing(&self, sentence: &Sentence, ledger: &Ledger) -> Option<Risk> {
        let cited = sentence.cites.iter().filter_map(|label| ledger.get(*label));
        let texts: Vec<_> = cited.map(|one| [one.title.as_str(), &one.heading, &one.text].join(" ")).collect();
        let is_named = |text: &String| {
            if !self.intervention.is_empty() {
                return overlap(&self.intervention, text) > 0.0;
            }
            let lacking = foreign(&self.names, [text.as_str()].into_iter()).len();
            self.names.is_empty() || lacking < self.names.split(' ').count()
        };
        let speaks = |risk: Risk| texts.iter().any(|text| risk.is_named_in(text) && is_named(text));
        self.risks.iter().copied().find(|risk| !speaks(*risk))
    }
}

/// Whether a wider question might find more.
fn is_thin(answer: &Answer, review: &Review) -> bool {
    let is_weak = |marks: &Marks| matches!(marks.strength, Strength::VeryLow | Strength::Low);
    !answer.is_answered()
        || answer.documents().is_empty()
        || !review.struck.is_empty()
        || review.marks.as_ref().is_some_and(is_weak)
}

#[cfg(test)]
mod tests;
