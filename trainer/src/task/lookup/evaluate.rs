//! [`evaluate()`]: how many questions a policy answers, with the retriever and with a shuffled one.

use std::path::Path;
use std::time::Instant;

use agent::policy::{Local, LocalOptions};
use agent::protocol::Profile;
use retriever::{Fixed, Query};

use super::{BUDGET, documents};
use crate::Result;
use crate::data::question::questions;
use crate::evaluation::{self, Evaluation, Exam, ask, hops, measures};
use crate::recipe::Retriever;
use crate::retrieval::Searched;
use crate::reward::Rewards;
use crate::rollout::Cached;

/// Asks the model of the folder `model` each question of `file` once, by its likeliest tokens, over the
/// documents in the folder `task`; rows by hops.
///
/// # Errors
/// Those of reading the task and the model, and of the episodes.
pub fn evaluate(task: &Path, file: &Path, model: &Path, retriever: Retriever) -> Result<Evaluation> {
    let questions = questions(file)?;
    let library = Fixed::of_documents(documents(&task.join("formulary.jsonl"))?);
    let searched = Searched::new(&library, retriever, &questions)?;
    let policy = Local::open(model, &LocalOptions::default())?;
    let rewards = Rewards::default();
    let begun = Instant::now();
    let exam = Exam {
        policy: &policy,
        retriever: &Cached::new(&searched, questions.len() * 4),
        query: &Query::new(""),
        budget: BUDGET,
        profile: Profile::SearchR1,
        at_once: LocalOptions::default().max_batch,
        seed: 0,
        score: &|episodes| rewards.score(episodes),
        clock: &|| begun.elapsed(),
    };
    let asked = ask(&exam, &questions)?;
    Ok(evaluation::evaluate(&questions, &asked, &measures(), &hops, 0))
}

#[cfg(test)]
mod tests {
    use super::super::init;
    use super::*;
    use crate::testing;

    #[test]
    fn a_random_policy_answers_nothing() {
        let home = tempfile::tempdir().unwrap();
        let task = home.path().join("task");
        let size = testing::LOOKUP;
        init(&task, 3, size).unwrap();
        let file = task.join("questions-heldout.jsonl");
        for how in [Retriever::True, Retriever::Shuffled, Retriever::Empty] {
            let evaluation = evaluate(&task, &file, &task.join("model"), how).unwrap();
            assert_eq!((evaluation.rows[0].questions, evaluation.rows[0].label.as_str()), (6, "all"));
            for row in &evaluation.rows {
                assert_eq!(row.measures["exact_match"].value, 0.0);
                assert!(row.measures["written_tokens"].value > 0.0);
            }
        }
    }
}
