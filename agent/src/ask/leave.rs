//! How an answer leaves: what it cites nothing for is looked up, what is not borne out is mended once, and the rest is settled.

use corpus::sentence::sentences;
use retriever::{Query, STAGE};

use super::{Done, Episode, Phase};
use crate::answer::Sentence;
use crate::protocol::{self, Cited, Fault};
use crate::review::{examine_one, gather, settle};
use crate::session::Observation;
use crate::trace::{Search, StopReason, milliseconds};
use crate::{Answer, Event, Result};

/// Hits that are read for a sentence that cites nothing.
const LATER: usize = 3;
/// Sentences that are looked up.
const LOOKED_UP: usize = 16;

impl Episode<'_> {
    /// What the policy wrote, examined. Sentences that cite nothing are looked up first, where answers are reviewed.
    pub(super) fn draft(&mut self, cited: &[Cited]) -> Result<Answer> {
        let apart = self.task.review.as_ref().map(|_| apart(cited));
        let _stage = tracing::info_span!(target: STAGE, "examine").entered();
        let mut answer = Answer::draft(apart.as_deref().unwrap_or(cited), &self.record.ledger);
        self.record.faults.extend((0..answer.struck).map(|_| (self.turn, Fault::UnknownLabel)));
        self.record.faults.extend((0..answer.uncited).map(|_| (self.turn, Fault::Uncited)));
        answer.examine(&self.record.ledger, &self.reading)?;
        if self.task.review.is_some() && answer.uncited > 0 {
            let uncited = answer.sentences.iter_mut().filter(|sentence| sentence.cites.is_empty());
            for sentence in uncited.take(LOOKED_UP) {
                if self.time_left().is_zero() {
                    break;
                }
                self.look_up(sentence)?;
            }
            answer.uncited = answer.sentences.iter().filter(|sentence| sentence.cites.is_empty()).count();
            answer.cite(&self.record.ledger);
        }
        Ok(answer)
    }

    /// Looks for evidence of a sentence that cites none; what supports it, it cites from now on.
    fn look_up(&mut self, sentence: &mut Sentence) -> Result<()> {
        self.cancel.check()?;
        let before = (self.clock)();
        let query = Query { text: sentence.text.clone(), k: LATER, ..self.task.query.clone() };
        let (hits, labels) = gather(&query, self.retriever, &mut self.record.ledger)?;
        self.record.timings.retrieval_ms += milliseconds((self.clock)().saturating_sub(before));
        for label in &labels {
            let Some(evidence) = self.record.ledger.get(*label) else { continue };
            let finding = examine_one(&sentence.text, evidence, &self.reading)?;
            if let Some(finding) = finding.filter(crate::check::Finding::is_support) {
                (sentence.cites, sentence.finding, sentence.found_later) = (vec![*label], Some(finding), true);
                break;
            }
        }
        let query = sentence.text.clone();
        self.record.searches.push(Search { turn: self.turn, query, hits, evidence: labels });
        Ok(())
    }

    /// Asks the policy to mend an answer that is not borne out: once, and only with time and tokens left. Says whether it did.
    pub(super) fn asks_to_mend(&mut self, answer: &Answer) -> Result<bool> {
        let repairs = self.task.review.as_ref().is_some_and(|terms| terms.repair);
        let faulty: Vec<&Sentence> = answer.sentences.iter().filter(|sentence| !sentence.is_supported()).collect();
        let spent = self.time_left().is_zero() || self.tokens >= self.task.budget.generated_tokens;
        if !repairs || self.draft.is_some() || faulty.is_empty() || spent {
            return Ok(false);
        }
        self.warn(format!(
            "{} not borne out by the evidence: the policy is asked once to mend them",
            count(faulty.len())
        ));
        let text = protocol::repair(self.task.profile, &faulty);
        self.phase = Phase::Final;
        self.draft = Some(answer.clone());
        self.observe(&Observation::Repair(&text))?;
        Ok(true)
    }

    /// Of a draft and what came of it, the one of which more is borne out; what was mended, of equals.
    pub(super) fn better(&mut self, mended: Answer) -> Answer {
        match self.draft.take() {
            Some(draft) if supported(&draft) > supported(&mended) => draft,
            _ => mended,
        }
    }

    /// The episode ends without a new answer: with the draft where something of it is borne out.
    pub(super) fn unanswered(mut self, abstention: Answer, stop: StopReason) -> Result<Done> {
        match self.draft.take().filter(|draft| supported(draft) > 0) {
            Some(draft) => self.leave(draft, StopReason::Answered),
            None => self.leave(abstention, stop),
        }
    }

    /// Settles an answer and tells it.
    pub(super) fn leave(mut self, mut answer: Answer, stop: StopReason) -> Result<Done> {
        let unknown = answer.struck;
        if let Some(terms) = &self.task.review {
            let _stage = tracing::info_span!(target: STAGE, "settle").entered();
            answer = settle(answer, self.task, terms, &self.record.ledger, &self.reading, self.cancel)?;
        }
        let uncited = answer.uncited;
        if unknown > 0 {
            self.warn(format!("{unknown} cites were struck: no evidence has that label"));
        }
        if uncited > 0 {
            self.warn(format!("{uncited} sentences cite no evidence"));
        }
        for sentence in &answer.sentences {
            (self.events)(Event::Answer { text: sentence.text.clone(), cites: sentence.cites.clone() });
        }
        for citation in &answer.citations {
            (self.events)(Event::Citation { citation: citation.clone() });
        }
        for (number, sentence) in answer.sentences.iter().enumerate() {
            if let Some(finding) = sentence.finding.clone() {
                (self.events)(Event::Verdict { sentence: number + 1, finding });
            }
        }
        self.record.timings.total_ms = milliseconds(self.elapsed());
        Ok(Done { record: self.record, answer, stop })
    }
}

/// Each sentence by itself: a cite after several is of each of them, so that none leaves unexamined.
fn apart(cited: &[Cited]) -> Vec<Cited> {
    let split = |part: &Cited| -> Vec<Cited> {
        let spans = sentences(&part.text);
        spans.map(|span| Cited { text: part.text[span].trim().to_owned(), cites: part.cites.clone() }).collect()
    };
    cited.iter().flat_map(split).filter(|part| !part.text.is_empty()).collect()
}

/// Sentences that are borne out.
fn supported(answer: &Answer) -> usize {
    answer.sentences.iter().filter(|sentence| sentence.is_supported()).count()
}

fn count(sentences: usize) -> String {
    if sentences == 1 { "1 sentence is".to_owned() } else { format!("{sentences} sentences are") }
}
