//! Every layout is read, what is wrong with one is told, and each arm gives what it should and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use agent::Budget;
use agent::policy::{Extractive, Scripted};
use agent::protocol::Profile;
use retriever::{Fixed, Query};

use super::*;
use crate::data::question::{Gold, Verdict};
use crate::evaluation::{Asked, Exam, Row, evaluate};
use crate::reward::{RewardConfig, Rewards};

fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn set(name: &str, text: &str) -> Set {
    let (_folder, path) = written(name, text);
    read(&path).unwrap()
}

const PUBMED: &str = r#"{"pmid": "7", "question": "Does bameto lower pain?", "contexts": [{"label": "RESULTS", "text": "Bameto lowered pain in ninety patients."}], "final_decision": "yes", "long_answer": "Bameto lowers pain."}"#;

#[test]
fn choices_are_listed_in_the_question() {
    let lines = r#"{"dataset": "medqa", "split": "test", "id": "1", "question": "Which?", "options": {"B": "two", "A": "one"}, "answer": "B"}
{"dataset": "medqa", "split": "test", "id": "2", "question": "Which?", "options": {"A": "one", "B": "two"}, "answer": "C"}
{"dataset": "medqa", "split": "test", "id": "3", "question": "Which?", "options": {"A": "one", "C": "two"}, "answer": "C"}
{"dataset": "mmlu", "split": "test", "id": "1", "question": "Which?", "options": {"A": "one", "B": "two"}, "answer": "A"}
{"dataset": "mmlu", "split": "test", "id": "1", "question": "Again?", "options": {"A": "one", "B": "two"}, "answer": "A"}"#;
    let Set { items, faults } = set("mcq.jsonl", lines);
    assert_eq!(items.len(), 2);
    assert_eq!((items[0].question.id.as_str(), items[0].set.as_str()), ("medqa:1", "medqa"));
    assert_eq!(items[0].question.question, "Which?\nA: one\nB: two");
    assert_eq!(items[0].question.gold, Gold::Choice { letter: 'B', options: vec!["one".into(), "two".into()] });
    let faults = faults.join("\n");
    assert!(faults.contains("line 2: the answer `C` is not among 2 options"), "{faults}");
    assert!(faults.contains("line 3: the options are not A, B, C") && faults.contains("`mmlu:1` is there twice"));
}

#[test]
fn evidence_comes_along_where_a_set_has_it() {
    let Set { items, .. } = set("pubmedqa.jsonl", PUBMED);
    assert_eq!((&items[0].question.gold, items[0].set.as_str()), (&Gold::Verdict(Verdict::Yes), "pubmedqa"));
    assert_eq!(items[0].contexts[0].text, "Bameto lowered pain in ninety patients.");
    let trial = r#"{"prompt_id": "5", "split": "validation", "intervention": "bameto", "comparator": "placebo", "outcome": "pain", "question": "What is the effect?", "label": "significantly decreased", "evidence": [{"text": "Pain fell.", "passages": ["PMC1#abs"]}]}"#;
    let Set { items, .. } = set("trials.jsonl", trial);
    assert_eq!((items[0].contexts[0].id.key(), items[0].question.documents[0].as_str()), ("PMC1#abs", "PMC1#abs"));
    let own = r#"{"id": "a", "question": "Dose?", "gold": {"exact": ["40 mg"]}, "documents": ["d"], "hops": 2}"#;
    assert_eq!(set("own.jsonl", own).items[0].question.hops, 2);
}

#[test]
fn wrong_places_of_answers_are_told_and_the_answers_kept() {
    let squad = r#"{"data": [{"paragraphs": [{"context": "Ärzte: the dose is 40 mg daily.", "document_id": 9, "qas": [
        {"id": 1, "question": "Which dose?", "answers": [{"text": "40 mg", "answer_start": 19}]},
        {"id": 2, "question": "How often?", "answers": [{"text": "daily", "answer_start": 3}]},
        {"id": 3, "question": "Why?", "answers": []}]}]}]}"#;
    let Set { items, faults } = set("spans.json", squad);
    assert_eq!(items.iter().map(|item| item.question.id.as_str()).collect::<Vec<_>>(), ["spans:1", "spans:2"]);
    assert_eq!(faults, ["question `2`: the answer does not stand at 3", "question `3`: an answer is empty"]);
    assert_eq!(items[0].question.documents, ["9"]);
}

#[test]
fn what_is_no_set_is_refused() {
    for (text, said) in [("{\"a\": 1}\n", "is no question"), ("[\n", "is no JSON"), ("", "holds no question")] {
        let (_folder, path) = written("x.jsonl", text);
        assert!(read(&path).unwrap_err().to_string().contains(said));
    }
    assert!(read(Path::new("/nowhere")).unwrap_err().to_string().contains("cannot read"));
}

fn asked(policy: &dyn agent::Policy, arm: Arm, items: &[Item]) -> (Vec<Asked>, Row) {
    let library =
        Fixed::new([("7", "Bameto", "Bameto lowered pain in ninety patients."), ("8", "Lumo", "Lumo raised pain.")]);
    let rewards = Rewards::open(&RewardConfig { gate: 0.0, ..RewardConfig::default() }, None).unwrap();
    let exam = Exam {
        policy,
        retriever: &library,
        query: &Query::new(""),
        budget: Budget::default(),
        profile: Profile::default(),
        at_once: 4,
        seed: 1,
        score: &|episodes| rewards.score(episodes),
        clock: &|| Duration::ZERO,
    };
    let asked = ask(&exam, arm, items).unwrap();
    let questions: Vec<_> = items.iter().map(|item| item.question.clone()).collect();
    let mut evaluation = evaluate(&questions, &asked, &measures(items), &|_| None, 1);
    (asked, evaluation.rows.remove(0))
}

#[test]
fn arms_give_what_they_should() {
    let Set { items, .. } = set("pubmedqa.jsonl", PUBMED);
    let says = "<answer>Yes, bameto lowered pain in ninety patients. [E1]</answer>";
    let searches = Scripted::new(["<search>bameto pain</search>", says]);
    let shown = |arm: Arm| {
        let (asked, row) = asked(&searches, arm, &items);
        let keys: Vec<_> =
            asked[0].trace.ledger.entries().iter().map(|entry| entry.document.key().to_owned()).collect();
        (keys, row)
    };
    assert_eq!(shown(Arm::Context).0, ["7"]);
    let (found, row) = shown(Arm::Rag);
    assert_eq!(found[0], "7");
    let value = |row: &Row, name: &str| row.measures[name].value;
    assert_eq!((value(&row, "accuracy"), value(&row, "hallucination_rate")), (1.0, 0.0));
    assert_eq!((value(&row, "citation_precision"), value(&row, "citation_recall")), (1.0, 1.0));
    assert!(value(&row, "bleu") > 0.1 && value(&row, "unparsed") == 0.0);
    assert!(!row.measures.contains_key("f1"), "a verdict shares no words");
    // Without a search it is the same answer, which then rests on nothing.
    let (asked, row) = asked(&Scripted::new([says]), Arm::Closed, &items);
    assert!(asked[0].trace.searches.is_empty() && asked[0].trace.answer.struck == 1);
    assert_eq!((value(&row, "accuracy"), value(&row, "hallucination_rate"), value(&row, "hit_rate")), (1.0, 1.0, 0.0));
}

#[test]
fn what_is_no_answer_is_wrong_and_counted() {
    let Set { items, .. } = set("pubmedqa.jsonl", PUBMED);
    let value = |lines: &[&str], name: &str| {
        let (_, row) = asked(&Scripted::new(lines.iter().copied()), Arm::Closed, &items);
        row.measures[name].value
    };
    let hedged = ["<answer>It depends on the patient.</answer>"];
    assert_eq!((value(&hedged, "accuracy"), value(&hedged, "unparsed")), (0.0, 1.0));
    assert_eq!((value(&["rambling"], "accuracy"), value(&["rambling"], "unparsed")), (0.0, 1.0));
    let abstains = ["<abstain reason=\"insufficient\">no</abstain>"];
    assert_eq!((value(&abstains, "abstention_rate"), value(&abstains, "unparsed")), (1.0, 0.0));
}

#[test]
fn the_policy_without_a_model_is_asked_too() {
    let Set { items, .. } = set("pubmedqa.jsonl", PUBMED);
    let (asked, row) = asked(&Extractive, Arm::Rag, &items);
    assert!(asked[0].trace.answer.is_answered());
    assert_eq!(row.measures["citation_recall"].value, 1.0);
    assert!("both".parse::<Arm>().unwrap_err().contains("closed, context, rag, shuffled"));
}
