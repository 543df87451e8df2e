//! [`Answer`]: sentences, and the works that support them, built from the ledger alone.

use std::collections::BTreeSet;

use corpus::sentence::sentences;
use corpus::{ChunkId, DocumentId, Level, Status};
use retriever::evidence::Label;
use retriever::{Evidence, Ledger};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::check::Finding;
use crate::judge::Reading;
use crate::matching::{overlap, stems};
use crate::protocol::{AbstainCode, Cited};
use crate::review::{Claim, Review, examine};

/// What an episode came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Answered or not.
    pub outcome: Outcome,
    /// The answer, or the reason to abstain, without labels.
    pub text: String,
    /// The answer's sentences; empty in an abstention.
    pub sentences: Vec<Sentence>,
    /// What the sentences cite, in order of first use.
    pub citations: Vec<Citation>,
    /// Cites that were struck because the ledger never gave out their label.
    pub struck: usize,
    /// Sentences that cite nothing.
    pub uncited: usize,
    /// Parts of the question that it leaves open, where the policy knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
    /// What a reader should know beside it; absent where nobody asked for a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Box<Review>>,
}

/// Whether there is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is.
    Answered,
    /// There is none, for this reason.
    Abstained(AbstainCode),
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// Labels in the ledger.
    pub cites: Vec<Label>,
    /// What it cites says of it; absent where it cites nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// Whether what it cites was looked for after it was written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub found_later: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Sentence {
    /// Whether what it cites bears it out.
    pub fn is_supported(&self) -> bool {
        self.finding.as_ref().is_some_and(Finding::is_support)
    }

    /// What a reader should look at; nothing to say of a sentence that is borne out.
    pub fn concern(&self) -> String {
        let Some(finding) = &self.finding else {
            return "it cites nothing".to_owned();
        };
        finding.concern().unwrap_or_default()
    }
}

/// A cited chunk, with the sentence of it that best supports what cites it. Rendered by this project,
/// never by a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// The label in the answer.
    pub label: Label,
    /// The document.
    pub document: DocumentId,
    /// The chunk.
    pub chunk: ChunkId,
    /// PubMed id.
    pub pmid: Option<String>,
    /// Digital object identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// The document's title.
    pub title: String,
    /// Year of publication.
    pub year: Option<u16>,
    /// Journal, book or site.
    pub journal: Option<String>,
    /// Kind of study.
    pub level: Level,
    /// What the publisher says of it.
    pub status: Status,
    /// A sentence of the chunk, word for word.
    pub quote: String,
    /// Where the quote begins in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Answer {
    /// An abstention.
    pub fn abstained(code: AbstainCode, text: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Abstained(code),
            text: text.into(),
            sentences: Vec::new(),
            citations: Vec::new(),
            struck: 0,
            uncited: 0,
            unmet: Vec::new(),
            review: None,
        }
    }

    /// The answer that a policy wrote, without labels that the ledger never gave out: neither examined nor cited yet.
    pub(crate) fn draft(cited: &[Cited], ledger: &Ledger) -> Self {
        let mut answer = Self {
            outcome: Outcome::Answered,
            text: String::new(),
            sentences: Vec::with_capacity(cited.len()),
            citations: Vec::new(),
            struck: 0,
            uncited: 0,
            unmet: Vec::new(),
            review: None,
        };
        for part in cited {
            let known: Vec<_> = part.cites.iter().copied().filter(|label| ledger.get(*label).is_some()).collect();
            answer.struck += part.cites.len() - known.len();
            answer.uncited += usize::from(known.is_empty());
            answer.sentences.push(Sentence {
                text: part.text.clone(),
                cites: known,
                finding: None,
                found_later: false,
            });
        }
        answer.text = answer.joined();
        answer
    }

    /// Holds every sentence against what it cites, and lists that.
    ///
    /// # Errors
    /// Those of the scorer.
    pub(crate) fn examine(&mut self, ledger: &Ledger, reading: &Reading<'_>) -> Result<()> {
        let claim =
            |sentence: &Sentence| -> Vec<_> { sentence.cites.iter().filter_map(|label| ledger.get(*label)).collect() };
        let evidence: Vec<_> = self.sentences.iter().map(claim).collect();
        let claims: Vec<_> = self
            .sentences
            .iter()
            .zip(evidence)
            .map(|(sentence, evidence)| Claim { text: &sentence.text, evidence })
            .collect();
        let findings = examine(&claims, reading)?;
        for (sentence, finding) in self.sentences.iter_mut().zip(findings) {
            sentence.finding = finding;
        }
        self.cite(ledger);
        Ok(())
    }

    /// Lists what the sentences cite, in order of first use, each with what the finding of the sentence that cites it first
    /// rests on, or with the quote nearest to that sentence.
    pub(crate) fn cite(&mut self, ledger: &Ledger) {
        self.citations.clear();
        for sentence in &self.sentences {
            let quote = sentence.finding.as_ref().and_then(|finding| finding.quote.as_ref());
            for evidence in sentence.cites.iter().filter_map(|label| ledger.get(*label)) {
                if self.citations.iter().any(|citation| citation.label == evidence.label) {
                    continue;
                }
                self.citations.push(match quote.filter(|quote| quote.evidence == evidence.label) {
                    Some(quote) => Citation::quoting(evidence, quote.within(evidence)),
                    None => Citation::new(evidence, &sentence.text),
                });
            }
        }
    }

    /// Keeps `sentences` alone, and cites what they cite.
    pub(crate) fn keep(&mut self, sentences: Vec<Sentence>, ledger: &Ledger) {
        self.sentences = sentences;
        self.text = self.joined();
        self.uncited = self.sentences.iter().filter(|sentence| sentence.cites.is_empty()).count();
        self.cite(ledger);
    }

    fn joined(&self) -> String {
        let texts: Vec<_> = self.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
        texts.join(" ")
    }

    /// Whether it is an answer of which not all is borne out, of which something was taken out, or which leaves a part open.
    pub fn is_partial(&self) -> bool {
        let struck = self.review.as_ref().is_some_and(|review| !review.struck.is_empty());
        self.is_answered()
            && (struck || !self.unmet.is_empty() || self.sentences.iter().any(|sentence| !sentence.is_supported()))
    }

    /// Whether there is an answer.
    pub fn is_answered(&self) -> bool {
        self.outcome == Outcome::Answered
    }

    /// The documents cited, in order of first use, each once.
    pub fn documents(&self) -> Vec<&DocumentId> {
        let mut documents: Vec<&DocumentId> = Vec::new();
        for citation in &self.citations {
            if !documents.contains(&&citation.document) {
                documents.push(&citation.document);
            }
        }
        documents
    }
}

impl Citation {
    /// Cites `evidence` for `claim`.
    pub(crate) fn new(evidence: &Evidence, claim: &str) -> Self {
        Self::quoting(evidence, quote(&evidence.text, claim))
    }

    /// Cites `evidence` with what stands at `quote`, bytes of its text.
    pub(crate) fn quoting(evidence: &Evidence, quote: std::ops::Range<usize>) -> Self {
        Self {
            label: evidence.label,
            document: evidence.document.clone(),
            chunk: evidence.chunk,
            pmid: evidence.identifiers.pmid.clone(),
            doi: evidence.identifiers.doi.clone(),
            title: evidence.title.clone(),
            year: evidence.year,
            journal: evidence.journal.clone(),
            level: evidence.level,
            status: evidence.status,
            start: evidence.span.start + quote.start,
            end: evidence.span.start + quote.end,
            quote: evidence.text[quote].to_owned(),
        }
    }
}

/// The sentence of `text` that shares most with `claim`; the first of equals. The whole of a text
/// without sentences.
pub(crate) fn quote(text: &str, claim: &str) -> std::ops::Range<usize> {
    let wanted: BTreeSet<_> = stems(claim).into_iter().collect();
    let mut best = (0..text.len(), -1.0);
    for span in sentences(text) {
        // Of two sentences that say it all, the shorter says it better.
        let score = overlap(&wanted, &text[span.clone()]) - span.len() as f64 * 1e-6;
        if score > best.1 {
            best = (span, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus::Document;
    use retriever::{Fixed, Query, Retrieve};

    fn ledger(text: &str) -> (Document, Ledger) {
        let document = Document::plain(DocumentId::new("test", "1"), "Metformin", text);
        let mut ledger = Ledger::new(1_000);
        let library = Fixed::of_documents([document.clone()]);
        let found = library.retrieve(&Query::new(text)).unwrap();
        for chunk in library.read(&[found[0].chunk]).unwrap().into_iter().flatten() {
            ledger.admit(chunk);
        }
        (document, ledger)
    }

    fn build(cited: &[Cited], ledger: &Ledger) -> Answer {
        let mut answer = Answer::draft(cited, ledger);
        answer.examine(ledger, &Reading::new(None)).unwrap();
        answer
    }

    fn part(text: &str, cites: &[u32]) -> Cited {
        Cited { text: text.to_owned(), cites: cites.iter().copied().map(Label).collect() }
    }

    #[test]
    fn quotes_the_supporting_sentence_where_it_stands() {
        let (document, ledger) = ledger("Metformin lowers glucose. It is contraindicated in acidosis. It is cheap.");
        let answer = build(&[part("Avoid it in metabolic acidosis, where it is contraindicated.", &[1])], &ledger);
        let citation = &answer.citations[0];
        assert_eq!(citation.quote, "It is contraindicated in acidosis.");
        assert_eq!(&document.text[citation.start..citation.end], citation.quote);
    }

    #[test]
    fn unknown_labels_are_struck_and_counted() {
        let (_, ledger) = ledger("Metformin lowers glucose.");
        let answer = build(&[part("One.", &[1, 9]), part("Two.", &[0]), part("Three.", &[])], &ledger);
        assert_eq!((answer.struck, answer.uncited, answer.citations.len()), (2, 2, 1));
        assert_eq!(answer.sentences[0].cites, [Label(1)]);
        assert_eq!(answer.text, "One. Two. Three.");
        assert!(answer.sentences[0].finding.is_some() && answer.sentences[2].finding.is_none());
    }
}
