//! [`examine`]: sentences against the evidence they cite, by a scorer where there is one and by rule always.
//!
//! **Who decides.** A sentence that stands in its evidence word for word is borne out by it. Of any other, a scorer reads
//! what is nearest of every piece of evidence, and the piece with the greatest probability of support or contradiction decides, as its
//! [`judge`](crate::judge) says of windows; the rules then can take support back (a number or a word of weight that the nearest
//! sentence lacks, a direction or a denial turned round, another name) and never give it. Without a scorer the rules decide alone.

use std::ops::Range;

use corpus::sentence::sentences;
use retriever::{Evidence, STAGE};

use super::narrow::narrow;
use crate::Result;
use crate::check::{By, Finding, Place, Quote, Source, look};
use crate::judge::{Label, Pair, Reading};

/// A sentence and the evidence it cites.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// One sentence, without labels.
    pub text: &'a str,
    /// What it cites.
    pub evidence: Vec<&'a Evidence>,
}

/// A finding and where it is; nothing where there are no sources.
pub(crate) type Read = Option<(Finding, Option<Place>)>;

/// A finding for each claim, in order, with its quote; none for one that cites nothing.
///
/// # Errors
/// Those of the scorer.
pub fn examine(claims: &[Claim<'_>], reading: &Reading<'_>) -> Result<Vec<Option<Finding>>> {
    let cited: Vec<(&str, Vec<Source<'_>>)> =
        claims.iter().map(|claim| (claim.text, claim.evidence.iter().copied().map(source).collect())).collect();
    let quoted = |(claim, read): (&Claim<'_>, Read)| {
        let (mut finding, place) = read?;
        finding.quote = place.map(|place| quote(claim.evidence[place.passage], place.span));
        Some(finding)
    };
    Ok(claims.iter().zip(read(&cited, reading)?).map(quoted).collect())
}

/// A finding for one sentence against one piece of evidence.
///
/// # Errors
/// Those of the scorer.
pub(crate) fn examine_one(text: &str, evidence: &Evidence, reading: &Reading<'_>) -> Result<Option<Finding>> {
    Ok(examine(&[Claim { text, evidence: vec![evidence] }], reading)?.pop().flatten())
}

/// What the sources of each sentence say of it, and where; none where there are no sources.
///
/// # Errors
/// Those of the scorer.
pub(crate) fn read(cited: &[(&str, Vec<Source<'_>>)], reading: &Reading<'_>) -> Result<Vec<Read>> {
    let mut read: Vec<_> = cited.iter().map(|(text, sources)| by_rule(text, sources)).collect();
    if reading.is_by_rule() {
        return Ok(read);
    }
    let is_open =
        |(text, sources): &(&str, Vec<Source<'_>>)| sources.iter().all(|one| verbatim(text, one.text).is_none());
    let open: Vec<usize> = (0..cited.len()).filter(|at| is_open(&cited[*at])).collect();
    let narrowed: Vec<_> = open
        .iter()
        .flat_map(|at| {
            let (claim, sources) = &cited[*at];
            sources.iter().map(move |one| (*claim, narrow(claim, one.text)))
        })
        .collect();
    let pairs: Vec<_> = narrowed.iter().map(|(claim, near)| Pair { claim, evidence: &near.text }).collect();
    let _stage = tracing::info_span!(target: STAGE, "judge", claims = open.len()).entered();
    let mut verdicts = reading.verdicts(&pairs)?.into_iter().zip(&narrowed);
    for at in open {
        let own: Vec<_> = verdicts.by_ref().take(cited[at].1.len()).enumerate().collect();
        let strength = |[support, contradict, _]: [f32; 3]| support.max(contradict);
        // The last of equals is taken, so the last comes first.
        let decisive = own.into_iter().rev().max_by(|(_, (left, _)), (_, (right, _))| {
            strength(left.probabilities).total_cmp(&strength(right.probabilities))
        });
        let (Some((passage, (verdict, (_, near)))), Some((finding, place))) = (decisive, &mut read[at]) else {
            continue;
        };
        let taken_back = finding.is_opposed();
        let index = Label::ALL.iter().position(|label| *label == verdict.label).unwrap_or_default();
        finding.by = By::Scorer;
        finding.label = if verdict.label == Label::Support && taken_back { Label::Neutral } else { verdict.label };
        finding.confidence = Some(verdict.probabilities[index]);
        if !verdict.span.is_empty() {
            *place = Some(Place { passage, span: near.whole(&verdict.span), share: 0.0 });
        }
    }
    Ok(read)
}

fn by_rule(text: &str, sources: &[Source<'_>]) -> Read {
    if sources.is_empty() {
        return None;
    }
    let (mut finding, place) = look(text, sources);
    let exact = sources
        .iter()
        .enumerate()
        .find_map(|(passage, one)| Some(Place { passage, span: verbatim(text, one.text)?, share: 1.0 }));
    if exact.is_some() {
        (finding.label, finding.reversal, finding.unnamed) = (Label::Support, None, None);
        finding.missing.clear();
    }
    Some((finding, exact.or(place)))
}

/// Where `text` has `claim` word for word as a sentence of its own: a part of one may go on to deny it.
pub(super) fn verbatim(claim: &str, text: &str) -> Option<Range<usize>> {
    let claim = claim.trim();
    sentences(text).find(|span| !claim.is_empty() && text[span.clone()].trim() == claim)
}

pub(crate) fn source(evidence: &Evidence) -> Source<'_> {
    Source { title: &evidence.title, heading: &evidence.heading, text: &evidence.text }
}

impl Quote {
    /// Where it stands in the text of the evidence that it is of, in bytes.
    pub(crate) fn within(&self, evidence: &Evidence) -> Range<usize> {
        self.start - evidence.span.start..self.end - evidence.span.start
    }
}

fn quote(evidence: &Evidence, span: Range<usize>) -> Quote {
    Quote {
        evidence: evidence.label,
        start: evidence.span.start + span.start,
        end: evidence.span.start + span.end,
        text: evidence.text[span].to_owned(),
    }
}
