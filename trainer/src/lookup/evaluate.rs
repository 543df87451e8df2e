//! [`evaluate()`]: how many questions a policy answers, with the retriever and with a shuffled one.

use std::path::Path;
use std::time::{Duration, Instant};

use agent::policy::{Local, LocalOptions};
use corpus::ChunkId;
use corpus::store::ChunkInContext;
use retriever::{Fixed, Hit, Query, Retrieve};
use serde::Serialize;

use super::{BUDGET, documents};
use crate::question::questions;
use crate::reward::Rewards;
use crate::rollout::{Cached, Place, Rollout, RolloutConfig, Setting, rollouts};
use crate::{Error, Result};

/// What a policy came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// All questions, then those over one document, then those over two; none where there are none.
    pub rows: Vec<Row>,
    /// How long it took.
    pub seconds: f64,
}

/// Shares of some questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Documents that a question takes; 0 for all questions.
    pub hops: u8,
    /// How many.
    pub questions: usize,
    /// Share answered exactly.
    pub exact_match: f64,
    /// Share whose answer is supported by what it cites.
    pub grounding: f64,
    /// Share that searched.
    pub search_rate: f64,
    /// Tokens written for one.
    pub written_tokens: f64,
}

/// Asks the model of the folder `model` each question of `file` once, by its likeliest tokens, over the
/// documents in the folder `task`. Where it is `shuffled`, each search finds another document.
///
/// # Errors
/// Those of reading the task and the model, and of the episodes.
pub fn evaluate(task: &Path, file: &Path, model: &Path, shuffled: bool) -> Result<Evaluation> {
    let questions = questions(file)?;
    let library = Fixed::of_documents(documents(&task.join("formulary.jsonl"))?);
    let other;
    let library: &dyn Retrieve = if shuffled {
        other = Shuffled::new(&library, &documents(&task.join("formulary.jsonl"))?)?;
        &other
    } else {
        &library
    };
    let retriever = Cached::new(library, questions.len() * 4);
    let policy = Local::open(model, &LocalOptions::default())?;
    let config = RolloutConfig { group: 1, budget: BUDGET, ..RolloutConfig::default() };
    // Whatever is right counts, and only what is right is grounded.
    let rewards = Rewards::default();
    let begun = Instant::now();
    let clock = || begun.elapsed();
    let setting = Setting {
        policy: &policy,
        retriever: &retriever,
        query: &Query::new(""),
        config: &config,
        score: &|episodes| rewards.score(episodes),
        clock: &clock,
        started: jiff::Timestamp::UNIX_EPOCH,
    };
    let done = rollouts(&setting, &questions, Place::default())?;
    let row = |hops: u8| {
        let own: Vec<_> = done.iter().filter(|one| hops == 0 || questions[one.prompt].hops == hops).collect();
        (!own.is_empty()).then(|| summed(hops, &own))
    };
    Ok(Evaluation { rows: [0, 1, 2].into_iter().filter_map(row).collect(), seconds: seconds(begun.elapsed()) })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn summed(hops: u8, done: &[&Rollout]) -> Row {
    let mean = |value: &dyn Fn(&Rollout) -> f64| done.iter().map(|one| value(one)).sum::<f64>() / done.len() as f64;
    let term = |name: &'static str| {
        mean(&|one| one.reward.terms.iter().find(|term| term.name == name).map_or(0.0, |term| term.value))
    };
    Row {
        hops,
        questions: done.len(),
        exact_match: term("correctness"),
        grounding: term("grounding"),
        search_rate: mean(&|one| f64::from(u8::from(!one.trace.searches.is_empty()))),
        written_tokens: mean(&|one| one.sample.learnt() as f64),
    }
}

/// Finds as many documents as `inner`, but other ones: what is left of an answer then is chance.
struct Shuffled<'a> {
    inner: &'a dyn Retrieve,
    /// The best hit for each title.
    all: Vec<Hit>,
}

impl<'a> Shuffled<'a> {
    fn new(inner: &'a dyn Retrieve, documents: &[corpus::Document]) -> Result<Self> {
        let first = |document: &corpus::Document| {
            let hits = inner.retrieve(&Query { k: 1, ..Query::new(document.title.as_str()) });
            hits.map_err(agent::Error::from).map(|hits| hits.into_iter().next())
        };
        let all: Vec<_> =
            documents.iter().filter_map(|document| first(document).transpose()).collect::<Result<_, _>>()?;
        if all.len() < 2 {
            return Err(Error::Input("there are too few documents to shuffle".to_owned()));
        }
        Ok(Self { inner, all })
    }
}

impl Retrieve for Shuffled<'_> {
    fn retrieve(&self, query: &Query) -> retriever::Result<Vec<Hit>> {
        let hits = self.inner.retrieve(query)?;
        let other = |hit: Hit| {
            let place = self.all.iter().position(|one| one.chunk == hit.chunk).unwrap_or(0);
            let other = &self.all[(place + self.all.len() / 2) % self.all.len()];
            Hit { chunk: other.chunk, document: other.document.clone(), ..hit }
        };
        Ok(hits.into_iter().map(other).collect())
    }

    fn read(&self, chunks: &[ChunkId]) -> retriever::Result<Vec<Option<ChunkInContext>>> {
        self.inner.read(chunks)
    }

    fn snapshot(&self) -> &'static str {
        "shuffled"
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Formulary, Size, init};
    use super::*;

    #[test]
    fn a_random_policy_answers_nothing_and_a_shuffled_library_finds_others() {
        let home = tempfile::tempdir().unwrap();
        let task = home.path().join("task");
        let size = Size { drugs: 20, train: 5, heldout: 6, editions: 1, demonstrations: 5, two_hop: 1, copying: 5 };
        init(&task, 3, size).unwrap();
        let run =
            |shuffled| evaluate(&task, &task.join("questions-heldout.jsonl"), &task.join("model"), shuffled).unwrap();
        let evaluation = run(false);
        assert_eq!(evaluation.rows[0].questions, 6);
        assert!(evaluation.rows.iter().all(|row| row.exact_match == 0.0 && row.written_tokens > 0.0));
        assert_eq!(run(true).rows[0].questions, 6);

        let documents = Formulary::new(3, 0, 20).documents();
        let library = Fixed::of_documents(documents.clone());
        let shuffled = Shuffled::new(&library, &documents).unwrap();
        for document in &documents {
            let query = Query { k: 1, ..Query::new(document.title.as_str()) };
            let (true_hits, others) = (library.retrieve(&query).unwrap(), shuffled.retrieve(&query).unwrap());
            assert_eq!((true_hits.len(), others.len()), (1, 1));
            assert_ne!(true_hits[0].document, others[0].document);
        }
    }
}
