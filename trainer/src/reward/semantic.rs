//! Semantic similarity: how near an answer is to the gold one in an encoder's space, from 0 to 1.
//!
//! An encoder sees subjects, hardly numbers, and no negation: an answer with other numbers than the gold
//! one, or of which only one of both is negated, is worth nothing however near it is.

use std::collections::BTreeSet;

use retriever::embed::{Embed, Role};

use crate::Result;
use agent::check::words::{is_number, words};

/// Cosine up to which texts are about other things: in the bundled encoder's space, 95% of pairs of answers to
/// different questions of the starter corpus are under 0.31.
const FLOOR: f64 = 0.5;
/// Words that turn a statement round.
const NEGATIONS: [&str; 10] =
    ["avoid", "cannot", "contraindicated", "fails", "lacks", "neither", "never", "no", "not", "without"];

/// The value and the reason of each pair of an answer and the gold answers that it is held against.
pub(super) fn semantic(encoder: &dyn Embed, pairs: &[(&str, &[String])]) -> Result<Vec<(f64, String)>> {
    let texts: Vec<&str> =
        pairs.iter().flat_map(|(said, gold)| std::iter::once(*said).chain(gold.iter().map(String::as_str))).collect();
    let vectors = encoder.embed(Role::Passage, &texts).map_err(agent::Error::from)?;
    let mut rest = vectors.as_slice();
    let one = |(said, gold): &(&str, &[String])| {
        let (own, after) = rest.split_at(1.min(rest.len()));
        let (theirs, after) = after.split_at(gold.len().min(after.len()));
        rest = after;
        let cosines = theirs.iter().map(|other| own.first().map_or(0.0, |own| dot(own, other)));
        let values = cosines.zip(*gold).map(|(cosine, gold)| {
            if let Some(why) = differ(said, gold) {
                (0.0, format!("{why} the nearest right answer"))
            } else {
                let value = ((cosine - FLOOR) / (1.0 - FLOOR)).clamp(0.0, 1.0);
                (value, format!("has a cosine of {cosine:.3} with the nearest right answer"))
            }
        });
        values
            .max_by(|left, right| left.0.total_cmp(&right.0))
            .unwrap_or_else(|| (0.0, "no answer is right".to_owned()))
    };
    Ok(pairs.iter().map(one).collect())
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}

/// What an encoder would not see.
fn differ(said: &str, gold: &str) -> Option<&'static str> {
    let (said, gold) = (words(said), words(gold));
    let numbers = |words: &[String]| words.iter().filter(|word| is_number(word)).cloned().collect::<BTreeSet<_>>();
    let negations = |words: &[String]| words.iter().filter(|word| NEGATIONS.contains(&word.as_str())).count() % 2;
    if said.is_empty() {
        Some("has no words of")
    } else if numbers(&said) != numbers(&gold) {
        Some("has other numbers than")
    } else if negations(&said) != negations(&gold) {
        Some("is the opposite of")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use retriever::embed::{BUNDLED, open};

    use super::*;

    fn value(said: &str, gold: &str) -> f64 {
        semantic(open(BUNDLED).unwrap().as_ref(), &[(said, &[gold.to_owned()])]).unwrap()[0].0
    }

    #[test]
    fn paraphrases_are_worth_something_and_opposites_nothing() {
        let gold = "It is contraindicated in severe kidney failure.";
        assert!(value(gold, gold) > 0.999);
        let near = value("Patients with severe renal failure: contraindicated.", gold);
        assert!(near > 0.2 && near < 1.0, "{near}");
        for said in [
            "It is safe in severe kidney failure.",
            "It is not contraindicated in severe kidney failure.",
            "It is contraindicated in 3 severe kidney failures.",
            "",
        ] {
            assert_eq!(value(said, gold), 0.0, "{said}");
        }
        assert_eq!(value("40 mg daily", "20 mg daily"), 0.0);
    }

    #[test]
    fn unrelated_answers_are_worth_nothing() {
        let lines = include_str!("../../../corpus/starter/questions.jsonl").lines();
        let answers: Vec<String> = lines
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["answer"].as_str().unwrap().to_owned())
            .collect();
        let encoder = open(BUNDLED).unwrap();
        let pairs: Vec<(&str, &[String])> = (0..answers.len())
            .flat_map(|at| (1..8).map(move |step| (at, (at + step * 17) % 170)))
            .filter(|(left, right)| left != right)
            .map(|(left, right)| (answers[left].as_str(), std::slice::from_ref(&answers[right])))
            .collect();
        let values = semantic(encoder.as_ref(), &pairs).unwrap();
        let above = values.iter().filter(|(value, _)| *value > 0.0).count();
        assert!(above * 50 <= pairs.len(), "{above} of {}", pairs.len());
    }
}
