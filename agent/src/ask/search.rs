//! A search turn: its queries are narrowed, asked once, and what they find becomes evidence.

use retriever::Query;
use retriever::evidence::{Admission, Label};

use super::Episode;
use crate::protocol::{self, Fault, SearchQuery};
use crate::session::{Found, Observation};
use crate::trace::{Search, milliseconds};
use crate::{Event, Result};

impl Episode<'_> {
    /// Asks the queries and shows what they found. Says whether there was anything new; when not,
    /// search is over.
    pub(super) fn search(&mut self, queries: &[SearchQuery]) -> Result<bool> {
        let mut fresh = Vec::new();
        for query in queries {
            let normalised = query.normalised();
            if self.asked.contains(&normalised) {
                self.record.faults.push((self.turn, Fault::DuplicateQuery));
            } else {
                self.asked.push(normalised);
                fresh.push(query);
            }
        }
        if fresh.is_empty() {
            return Ok(false);
        }
        let mut results: Vec<(&SearchQuery, Vec<Label>)> = Vec::new();
        let mut new = Vec::new();
        for query in fresh {
            self.cancel.check()?;
            let before = (self.clock)();
            let labels = self.find(query, &mut new)?;
            self.record.timings.retrieval_ms += milliseconds((self.clock)().saturating_sub(before));
            results.push((query, labels));
        }
        let ledger = &self.record.ledger;
        let found: Vec<_> = results
            .iter()
            .map(|(query, labels)| Found {
                query,
                evidence: labels.iter().filter_map(|label| ledger.get(*label)).collect(),
            })
            .collect();
        let text = protocol::information(self.task.profile, &found, &new);
        let token_ids = self.session.observe(&Observation::Information { text: &text, found: &found })?;
        self.record.segments.push(super::environment(self.turn, text, token_ids));
        let found = results.iter().flat_map(|(_, labels)| labels).filter(|label| self.unfound.remove(label)).count();
        Ok(!new.is_empty() || found > 0)
    }

    /// Labels of what one query found, best first; those never shown before are added to `new`.
    fn find(&mut self, query: &SearchQuery, new: &mut Vec<Label>) -> Result<Vec<Label>> {
        let (turn, shown) = (self.turn, query.to_string());
        (self.events)(Event::Query { turn, query: shown.clone() });
        let hits = match query.narrow(&self.task.query.filter) {
            Some(filter) => self.retriever.retrieve(&Query {
                text: query.text.clone(),
                k: self.task.budget.hits_per_query,
                filter,
                ..self.task.query.clone()
            })?,
            // Nothing can be both what the caller allows and what the query asks for.
            None => Vec::new(),
        };
        (self.events)(Event::Hits { turn, query: shown.clone(), hits: hits.clone() });
        let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
        let (mut labels, mut known, mut full) = (Vec::new(), Vec::new(), false);
        let first_new = new.len();
        for chunk in self.retriever.read(&ids)?.into_iter().flatten() {
            match self.record.ledger.admit(chunk) {
                Admission::New(label) => {
                    new.push(label);
                    labels.push(label);
                }
                Admission::Known(label) => {
                    known.push(label);
                    labels.push(label);
                }
                Admission::OverBudget => full = true,
            }
        }
        if full {
            self.warn("the evidence budget is spent: some hits were not shown to the policy".to_owned());
        }
        let evidence = new[first_new..].iter().filter_map(|label| self.record.ledger.get(*label).cloned()).collect();
        (self.events)(Event::Evidence { turn, query: shown.clone(), evidence, known });
        self.record.searches.push(Search { turn, query: shown, hits, evidence: labels.clone() });
        Ok(labels)
    }
}
