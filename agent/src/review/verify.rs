//! [`verify`]: any text against the corpus, sentence by sentence.

use corpus::sentence::sentences;
use retriever::evidence::{Admission, Label};
use retriever::{Hit, Ledger, Query, Retrieve};

use super::examine::{Claim, examine};
use crate::answer::Citation;
use crate::check::Finding;
use crate::judge::{self, Judge, Reading};
use crate::{Cancel, Result};

/// A sentence, and what the corpus says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Bytes of the text.
    pub span: std::ops::Range<usize>,
    /// The sentence.
    pub text: String,
    /// What decides: the first evidence that supports it, else the first that contradicts it, else the nearest; none where
    /// nothing was found.
    pub finding: Option<Finding>,
    /// The evidence that the finding is of, quoted.
    pub citation: Option<Citation>,
}

/// What `query` finds, and the labels under which `ledger` has room for it.
///
/// # Errors
/// When retrieval fails.
pub(crate) fn gather(query: &Query, retriever: &dyn Retrieve, ledger: &mut Ledger) -> Result<(Vec<Hit>, Vec<Label>)> {
    let hits = retriever.retrieve(query)?;
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    let mut labels = Vec::new();
    for chunk in retriever.read(&ids)?.into_iter().flatten() {
        match ledger.admit(chunk) {
            Admission::New(label) | Admission::Known(label) => labels.push(label),
            Admission::OverBudget => {}
        }
    }
    Ok((hits, labels))
}

/// Holds each sentence of `text` against what `query`, on its terms, finds for it. Evidence is labelled across the whole text.
///
/// # Errors
/// When retrieval or the scorer fails, or the caller cancels.
pub fn verify(
    text: &str,
    query: &Query,
    retriever: &dyn Retrieve,
    judge: Option<&Judge>,
    cancel: &Cancel,
) -> Result<Vec<Verified>> {
    let mut ledger = Ledger::new(usize::MAX);
    let reading = Reading::new(judge);
    let mut verified = Vec::new();
    for span in sentences(text) {
        cancel.check()?;
        let claim = text[span.clone()].trim();
        if claim.is_empty() {
            continue;
        }
        let query = Query { text: claim.to_owned(), ..query.clone() };
        let (_, labels) = gather(&query, retriever, &mut ledger)?;
        let claims: Vec<_> = labels
            .iter()
            .filter_map(|label| ledger.get(*label))
            .map(|evidence| Claim { text: claim, evidence: vec![evidence] })
            .collect();
        let findings: Vec<Finding> = examine(&claims, &reading)?.into_iter().flatten().collect();
        let rank = |finding: &Finding| match (finding.label, &finding.quote) {
            (judge::Label::Support, _) => 0,
            (judge::Label::Contradict, _) => 1,
            (judge::Label::Neutral, Some(_)) => 2,
            (judge::Label::Neutral, None) => 3,
        };
        // The first of equals: hits come best first.
        let best = findings.iter().enumerate().min_by_key(|(_, finding)| rank(finding));
        let citation = best.map(|(place, finding)| {
            let evidence = claims[place].evidence[0];
            match &finding.quote {
                Some(quote) => Citation::quoting(evidence, quote.within(evidence)),
                None => Citation::new(evidence, claim),
            }
        });
        let finding = best.map(|(_, finding)| finding.clone());
        verified.push(Verified { text: claim.to_owned(), span, finding, citation });
    }
    Ok(verified)
}
