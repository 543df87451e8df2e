//! [`examine`]: sentences against the evidence they cite, by a scorer where there is one and by rule always.
//!
//! **Who decides.** A sentence that stands in its evidence word for word is borne out by it. Of any other, a scorer reads every
//! piece of evidence and the piece with the greatest probability of support or contradiction decides, as its
//! [`judge`](crate::judge) says of windows; the rules then can take support back (a number that no source has, a direction or a
//! denial turned round) and never give it. Without a scorer the rules decide alone.

use retriever::Evidence;

use crate::Result;
use crate::check::{By, Finding, Place, Quote, Source, look};
use crate::judge::{Judge, Label, Pair};

/// A sentence and what it rests on.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// One sentence, without labels.
    pub text: &'a str,
    /// What it cites.
    pub evidence: Vec<&'a Evidence>,
}

/// A finding for each claim, in order; none for one that cites nothing.
///
/// # Errors
/// Those of the scorer.
pub fn examine(claims: &[Claim<'_>], judge: Option<&Judge>) -> Result<Vec<Option<Finding>>> {
    let mut findings: Vec<Option<Finding>> = claims.iter().map(by_rule).collect();
    let Some(judge) = judge else {
        return Ok(findings);
    };
    let is_open = |claim: &&Claim<'_>| claim.evidence.iter().all(|one| verbatim(claim.text, &one.text).is_none());
    let open: Vec<usize> = (0..claims.len()).filter(|place| is_open(&&claims[*place])).collect();
    let pairs: Vec<Pair<'_>> = open
        .iter()
        .flat_map(|place| {
            let Claim { text: claim, evidence } = &claims[*place];
            evidence.iter().map(move |one| Pair { claim, evidence: &one.text })
        })
        .collect();
    let mut verdicts = judge.judge(&pairs)?.into_iter();
    for place in open {
        let claim = &claims[place];
        let read: Vec<_> = claim.evidence.iter().zip(verdicts.by_ref()).collect();
        let strength = |probabilities: [f32; 3]| probabilities[0].max(probabilities[1]);
        // The first of equals.
        let decisive = read
            .into_iter()
            .rev()
            .max_by(|(_, left), (_, right)| strength(left.probabilities).total_cmp(&strength(right.probabilities)));
        let (Some((evidence, verdict)), Some(finding)) = (decisive, &mut findings[place]) else { continue };
        let taken_back = !finding.missing.is_empty() || finding.reversal.is_some();
        finding.by = By::Scorer;
        finding.label = if verdict.label == Label::Support && taken_back { Label::Neutral } else { verdict.label };
        let index = Label::ALL.iter().position(|label| *label == verdict.label).unwrap_or_default();
        finding.confidence = Some(verdict.probabilities[index]);
        if !verdict.span.is_empty() {
            finding.quote = Some(quote(evidence, verdict.span));
        }
    }
    Ok(findings)
}

fn by_rule(claim: &Claim<'_>) -> Option<Finding> {
    if claim.evidence.is_empty() {
        return None;
    }
    let sources: Vec<_> = claim.evidence.iter().map(|one| Source { title: &one.title, text: &one.text }).collect();
    let (mut finding, place) = look(claim.text, &sources);
    let exact = claim
        .evidence
        .iter()
        .enumerate()
        .find_map(|(passage, one)| Some(Place { passage, span: verbatim(claim.text, &one.text)?, share: 1.0 }));
    if exact.is_some() {
        (finding.label, finding.reversal, finding.unnamed) = (Label::Support, None, None);
        finding.missing.clear();
    }
    let place = exact.or(place);
    finding.quote = place.map(|place| quote(claim.evidence[place.passage], place.span));
    Some(finding)
}

/// Where `text` has `claim` word for word and whole: not a part of a word or a sentence that goes on to deny it.
fn verbatim(claim: &str, text: &str) -> Option<std::ops::Range<usize>> {
    let claim = claim.trim();
    if claim.is_empty() {
        return None;
    }
    corpus::sentence::sentences(text).into_iter().find(|span| text[span.clone()].trim() == claim)
}

fn quote(evidence: &Evidence, span: std::ops::Range<usize>) -> Quote {
    Quote {
        evidence: evidence.label,
        start: evidence.span.start + span.start,
        end: evidence.span.start + span.end,
        text: evidence.text[span].to_owned(),
    }
}
