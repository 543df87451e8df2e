//! Terminology: whether the clinical terms of an answer are those of its evidence and of its question.
//!
//! Terms give nothing, so that nobody gains by strewing them; foreign ones, and mere lists of them, cost.

use std::collections::BTreeSet;

use agent::Trace;

use agent::check::words::{content, words};

/// Ends of clinical words, without a plural.
const ENDS: [&str; 62] = [
    "aemia",
    "algia",
    "amine",
    "angina",
    "apine",
    "arin",
    "arrhythmia",
    "ase",
    "astatin",
    "azepam",
    "azole",
    "blocker",
    "cardia",
    "cardial",
    "caine",
    "centesis",
    "cillin",
    "citabine",
    "coccus",
    "cycline",
    "cyte",
    "dipine",
    "ectomy",
    "edema",
    "emia",
    "floxacin",
    "formin",
    "gliflozin",
    "gliptin",
    "globin",
    "glutide",
    "gram",
    "graphy",
    "idosis",
    "inhibitor",
    "itis",
    "kinase",
    "lithiasis",
    "lysis",
    "mab",
    "megaly",
    "mycin",
    "nib",
    "oma",
    "opathy",
    "oscopy",
    "osis",
    "ostomy",
    "pathy",
    "penia",
    "plasia",
    "plegia",
    "pril",
    "prazole",
    "pnoea",
    "sartan",
    "sone",
    "statin",
    "thiazide",
    "toxicity",
    "uria",
    "vir",
];
/// Ordinary words with such an end.
const ORDINARY: [&str; 16] = [
    "base",
    "based",
    "case",
    "decrease",
    "diagram",
    "diploma",
    "disease",
    "examine",
    "increase",
    "paragraph",
    "phase",
    "phrase",
    "program",
    "purchase",
    "release",
    "telegram",
];
/// Of so many words and terms in them, a sentence is a list, not a statement.
const LISTED: (usize, f64) = (4, 0.6);

/// Below 0 for the share of the terms of an answer that neither its evidence nor its question has, or that stand in
/// lists.
pub(super) fn terminology(trace: &Trace) -> (f64, String) {
    let evidence = trace.ledger.entries().iter().flat_map(|one| words(&one.title).into_iter().chain(words(&one.text)));
    let known: BTreeSet<String> = evidence.chain(words(&trace.question)).collect();
    let (mut terms, mut listed) = (BTreeSet::new(), 0);
    for sentence in &trace.answer.sentences {
        let said = content(&sentence.text);
        let own: Vec<_> = said.iter().filter(|word| is_term(word)).cloned().collect();
        if own.len() >= LISTED.0 && own.len() as f64 > LISTED.1 * said.len() as f64 {
            listed += own.len();
        } else {
            terms.extend(own);
        }
    }
    let foreign = terms.iter().filter(|term| !known.contains(*term)).count();
    let all = terms.len() + listed;
    let share = (foreign + listed) as f64 / all.max(1) as f64;
    (
        0.0 - share,
        format!("of {all} clinical terms {foreign} are of neither evidence nor question, {listed} stand in lists"),
    )
}

/// Whether a word, in lower case, looks like one that clinicians use: by its end, or by digits among letters.
fn is_term(word: &str) -> bool {
    if ORDINARY.binary_search(&word).is_ok() {
        return false;
    }
    let mixed = word.chars().any(|c| c.is_ascii_digit()) && word.starts_with(char::is_alphabetic);
    let singular = word.strip_suffix('s').filter(|_| !word.ends_with("is")).unwrap_or(word);
    mixed || ENDS.iter().any(|end| singular.ends_with(end) && (end.len() > 5 || singular.len() > end.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_told_from_words() {
        assert!(ORDINARY.is_sorted());
        for word in ["metformin", "acidosis", "hyperkalaemia", "statins", "hba1c", "il6", "ramipril", "nephropathy"] {
            assert!(is_term(word), "{word}");
        }
        for word in ["dose", "disease", "patients", "the", "500", "increase", "daily", "is", "phase", "osis"] {
            assert!(!is_term(word), "{word}");
        }
    }
}
