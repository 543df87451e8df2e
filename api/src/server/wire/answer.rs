//! An answer: sentences with verdicts, citations with quotes, and what a reader should know beside them.

mod read;

use agent::review::{Marks as ReviewMarks, Review, Understood as Parts};
use agent::{NOTICE, Outcome, Trace};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Level, Status, labels};

/// An answer, or an abstention with its reason. The same object everywhere: as JSON, and as the last event of a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Answer {
    /// `answered`; `partial` where not every sentence is borne out or some were struck; `abstained`; `clarify` where the question
    /// does not say enough.
    #[schema(example = "answered")]
    outcome: &'static str,
    /// The answer without labels, or in an abstention why there is none.
    answer: String,
    /// The answer's sentences; none in an abstention.
    sentences: Vec<Sentence>,
    /// Sentences that were taken out, since the evidence does not bear them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    struck: Vec<Struck>,
    /// What the sentences cite, in order of first use.
    citations: Vec<Citation>,
    /// Where other evidence of the same search says the opposite.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<Conflict>,
    /// True when the evidence does not carry an answer.
    abstained: bool,
    /// Why, in an abstention.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "insufficient")]
    reason: Option<&'static str>,
    /// In an abstention, the evidence that came nearest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nearest: Vec<Citation>,
    /// How the question was understood; ask again where it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    understood: Option<Understood>,
    /// Evidence strength, and how much of the answer it carries; absent in an abstention.
    #[serde(skip_serializing_if = "Option::is_none")]
    marks: Option<Marks>,
    /// Matters in which an error would do the most harm, the gravest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    risks: Vec<Risk>,
    /// A question back, where the question does not say enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    /// Wider questions, where the evidence is thin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wider: Vec<String>,
    /// Names the stored episode: `anamnesis replay` repeats it.
    trace_id: String,
    /// The snapshot that was searched.
    snapshot: String,
    /// Where the time went.
    timings: Timings,
    /// What a reader should know; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What this is, and what it is not. To be shown with every answer.
    notice: &'static str,
}

/// A sentence of an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Sentence {
    /// The sentence.
    text: String,
    /// Labels of what supports it.
    #[schema(example = json!(["E1"]))]
    cites: Vec<String>,
    /// `kept`, or `marked` where what it cites does not bear it out.
    #[schema(example = "kept")]
    standing: &'static str,
    /// What it cites says of it; absent where it cites nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    /// True where what it cites was looked for after it was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    found_later: bool,
}

/// What cited evidence says of a sentence.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// support, contradict or neutral.
    #[schema(example = "support")]
    label: &'static str,
    /// `rules` (words, amounts, direction; they see no paraphrase) or `scorer`, a trained model.
    #[schema(example = "rules")]
    by: &'static str,
    /// A scorer's calibrated probability of the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    /// Amounts and numbers that no cited passage has, and names that its source does not have.
    missing: Vec<String>,
    /// What a reader should look at, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    concern: Option<String>,
    /// The sentence of the evidence that it rests on; absent where none is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<Quote>,
}

/// A stretch of a document, word for word.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Quote {
    /// The evidence.
    #[schema(example = "E1")]
    label: String,
    /// What stands there.
    text: String,
    /// Where it begins in the document's text, in bytes.
    start: usize,
    /// Where it ends.
    end: usize,
}

/// A sentence that was taken out.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Struck {
    /// The sentence.
    text: String,
    /// Why, in words.
    why: String,
}

/// Evidence that disagrees.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Conflict {
    /// In words, with levels and years.
    text: String,
    /// The sides, that of the answer first.
    sides: Vec<Side>,
}

/// What one side of a conflict says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Side {
    /// `answer` or `against`.
    says: &'static str,
    /// Its evidence.
    #[serde(flatten)]
    citation: Citation,
}

/// The parts of a clinical question, in its own words, where they show.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Understood {
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    population: Option<String>,
    /// What is done, taken or measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    intervention: Option<String>,
    /// In place of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparator: Option<String>,
    /// What is to come of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
}

/// Two marks: strong evidence can carry little of an answer, and weak evidence all of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Marks {
    /// How strong the evidence is: after GRADE, and no GRADE rating.
    evidence: Strength,
    /// How much of the answer it carries.
    support: Support,
}

/// How strong the evidence is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Strength {
    /// high, moderate, low, very_low or unrated.
    #[schema(example = "moderate")]
    grade: &'static str,
    /// Why.
    reasons: Vec<String>,
}

/// How much of an answer its evidence carries.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Support {
    /// full, most, part or none.
    #[schema(example = "full")]
    grade: &'static str,
    /// Sentences that are borne out, of all that were written.
    share: f64,
    /// Why.
    reasons: Vec<String>,
}

/// A matter in which an error would do the most harm.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Risk {
    /// self_harm, emergency, dose, paediatric, pregnancy or renal_hepatic.
    #[schema(example = "dose")]
    class: &'static str,
    /// What a reader is told.
    line: &'static str,
}

/// A cited chunk, with the sentence of it that supports what cites it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Citation {
    /// What sentences cite it by.
    #[schema(example = "E1")]
    label: String,
    /// The document.
    document: String,
    /// The chunk: `/v1/chunks/{id}` has its text.
    chunk: String,
    /// PubMed id.
    pmid: Option<String>,
    /// Digital object identifier.
    doi: Option<String>,
    /// The document's title.
    title: String,
    /// Year of publication.
    year: Option<u16>,
    /// Journal, book or site.
    journal: Option<String>,
    /// Kind of study.
    level: Level,
    /// What publishers say of it.
    status: Status,
    /// A sentence of the chunk, word for word.
    quote: String,
    /// Where the quote begins in the document's text, in bytes.
    start: usize,
    /// Where it ends.
    end: usize,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Timings {
    /// The whole episode.
    total_ms: f64,
    /// In the policy.
    policy_ms: f64,
    /// In retrieval.
    retrieval_ms: f64,
}

impl Answer {
    /// The answer that an episode came to.
    pub(crate) fn of(trace: &Trace) -> Self {
        let answer = &trace.answer;
        let reason = match answer.outcome {
            Outcome::Answered => None,
            Outcome::Abstained(code) => Some(code.as_str()),
        };
        let review = answer.review.as_deref().cloned().unwrap_or_default();
        let is_reviewed = answer.review.is_some();
        let agent::trace::Timings { total_ms, policy_ms, retrieval_ms } = trace.timings;
        let outcome = match reason {
            Some("needs_clarification") => "clarify",
            Some(_) => "abstained",
            None if answer.is_partial() => "partial",
            None => "answered",
        };
        let conflict = |conflict: &agent::review::Conflict| Conflict {
            text: conflict.text(&answer.citations),
            sides: sides(conflict, &answer.citations),
        };
        let Review { understood, risks, struck, conflicts, marks, nearest, suggestion, wider } = review;
        Self {
            outcome,
            answer: answer.text.clone(),
            sentences: answer.sentences.iter().map(Sentence::from).collect(),
            struck: struck.into_iter().map(|agent::review::Struck { text, why }| Struck { text, why }).collect(),
            citations: answer.citations.iter().map(Citation::from).collect(),
            conflicts: conflicts.iter().map(conflict).collect(),
            abstained: reason.is_some(),
            reason,
            nearest: nearest.iter().map(Citation::from).collect(),
            understood: is_reviewed.then(|| understood.into()),
            marks: marks.map(Marks::from),
            risks: risks.into_iter().map(|risk| Risk { class: risk.name(), line: risk.line() }).collect(),
            suggestion,
            wider,
            trace_id: trace.id.to_string(),
            snapshot: trace.snapshot.clone(),
            timings: Timings { total_ms, policy_ms, retrieval_ms },
            warnings: Vec::new(),
            notice: NOTICE,
        }
    }

    /// The same with what a reader should know besides.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }
}

fn sides(conflict: &agent::review::Conflict, citations: &[agent::Citation]) -> Vec<Side> {
    let cited = citations.iter().filter(|citation| conflict.cited.contains(&citation.label));
    let answer = cited.map(|citation| Side { says: "answer", citation: citation.into() });
    answer.chain(conflict.against.iter().map(|citation| Side { says: "against", citation: citation.into() })).collect()
}

impl From<&agent::Sentence> for Sentence {
    fn from(sentence: &agent::Sentence) -> Self {
        Self {
            text: sentence.text.clone(),
            cites: labels(&sentence.cites),
            standing: if sentence.is_supported() { "kept" } else { "marked" },
            verdict: sentence.finding.as_ref().map(Verdict::from),
            found_later: sentence.found_later,
        }
    }
}

impl From<&agent::check::Finding> for Verdict {
    fn from(finding: &agent::check::Finding) -> Self {
        Self {
            label: finding.label.name(),
            by: match finding.by {
                agent::check::By::Rules => "rules",
                agent::check::By::Scorer => "scorer",
            },
            confidence: finding.confidence,
            missing: finding.missing.clone(),
            concern: finding.concern(),
            quote: finding.quote.as_ref().map(|quote| Quote {
                label: quote.evidence.to_string(),
                text: quote.text.clone(),
                start: quote.start,
                end: quote.end,
            }),
        }
    }
}

impl From<Parts> for Understood {
    fn from(Parts { population, intervention, comparator, outcome }: Parts) -> Self {
        Self { population, intervention, comparator, outcome }
    }
}

impl From<ReviewMarks> for Marks {
    fn from(marks: ReviewMarks) -> Self {
        Self {
            evidence: Strength { grade: marks.strength.name(), reasons: marks.strength_reasons },
            support: Support { grade: marks.support.name(), share: marks.share, reasons: marks.support_reasons },
        }
    }
}

impl From<&agent::Citation> for Citation {
    fn from(citation: &agent::Citation) -> Self {
        Self {
            label: citation.label.to_string(),
            document: citation.document.to_string(),
            chunk: citation.chunk.to_string(),
            pmid: citation.pmid.clone(),
            doi: citation.doi.clone(),
            title: citation.title.clone(),
            year: citation.year,
            journal: citation.journal.clone(),
            level: citation.level.into(),
            status: citation.status.into(),
            quote: citation.quote.clone(),
            start: citation.start,
            end: citation.end,
        }
    }
}
