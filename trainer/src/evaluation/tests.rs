//! Answers of scripted and random policies, and what they come to.

use agent::policy::Scripted;
use retriever::Fixed;

use super::*;
use crate::data::question::Gold;

fn question(id: &str, answer: &str, document: &str, hops: u8) -> Question {
    Question {
        id: id.to_owned(),
        question: format!("What is the dose of {id}?"),
        gold: Gold::Exact(vec![answer.to_owned()]),
        documents: vec![document.to_owned()],
        hops,
    }
}

fn library() -> Fixed {
    Fixed::new([("1", "Bameto", "The dose of bameto is 40 mg."), ("2", "Kilavu", "The dose of kilavu is 7 mg.")])
}

/// What a policy that always writes the same comes to.
fn asked(turns: &[&str], questions: &[Question], clock: &(dyn Fn() -> Duration + Sync)) -> Vec<Asked> {
    let (policy, library, rewards) = (Scripted::new(turns.iter().copied()), library(), Rewards::default());
    let exam = Exam {
        policy: &policy,
        retriever: &library,
        query: &Query::new(""),
        budget: Budget::default(),
        profile: Profile::SearchR1,
        at_once: 2,
        seed: 1,
        score: &|episodes| rewards.score(episodes),
        clock,
    };
    ask(&exam, questions).unwrap()
}

const TURNS: [&str; 2] =
    ["<think>It is there.</think><search>bameto</search>", "<think>Found.</think><answer>40 mg [E1]</answer>"];

#[test]
fn answers_are_in_the_order_of_the_questions_and_rows_are_means() {
    let questions =
        [question("bameto", "40 mg", "1", 1), question("kilavu", "7 mg", "2", 2), question("x", "40 mg", "9", 2)];
    let asked = asked(&TURNS, &questions, &|| Duration::ZERO);
    assert!(asked.iter().zip(&questions).all(|(one, question)| one.trace.question == question.question));
    let evaluation = evaluate(&questions, &asked, &measures(), &hops, 1);
    let labels: Vec<_> = evaluation.rows.iter().map(|row| (row.label.as_str(), row.questions)).collect();
    assert_eq!(labels, [("all", 3), ("1 hop", 1), ("2 hops", 2)]);
    let value = |row: usize, name: &str| evaluation.rows[row].measures[name].value;
    assert!((value(0, "exact_match") - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!((value(1, "exact_match"), value(2, "exact_match")), (1.0, 0.5));
    assert_eq!((value(0, "search_rate"), value(0, "answer_rate"), value(0, "faults")), (1.0, 1.0, 0.0));
    // The first question's document was found, and that of no other one.
    assert_eq!((value(1, "hit_rate"), value(2, "hit_rate")), (1.0, 0.0));
    assert!(!evaluation.rows[0].measures.contains_key("written_tokens"), "a script has no tokens");
    let values = evaluation.values();
    assert_eq!(values["exact_match_2_hops"], 0.5);
    assert!(values["exact_match_low"] < values["exact_match"] && values["exact_match"] < values["exact_match_high"]);
}

#[test]
fn what_applies_to_no_question_has_no_figure_and_who_is_late_is_wrong() {
    let mut questions = [question("bameto", "40 mg", "1", 1), question("kilavu", "40 mg", "2", 1)];
    questions[1].documents.clear();
    let on_time = asked(&TURNS, &questions, &|| Duration::ZERO);
    let evaluation = evaluate(&questions, &on_time, &measures(), &|_| None, 1);
    assert_eq!((evaluation.rows.len(), evaluation.rows[0].measures["hit_rate"].count), (1, 1));
    assert_eq!(evaluation.rows[0].measures["exact_match"].value, 1.0);
    let mut late = on_time;
    late[0].trace.stop = StopReason::Time;
    let evaluation = evaluate(&questions, &late, &measures(), &|_| None, 1);
    assert_eq!(evaluation.rows[0].measures["exact_match"].value, 0.5);
    assert_eq!(evaluation.rows[0].measures["hit_rate"].value, 0.0);
    let own = [Measure { name: "words", of: Box::new(|question, _, _| Some(question.question.len() as f64)) }];
    assert_eq!(evaluate(&questions, &late, &own, &|_| None, 1).rows[0].measures["words"].count, 2);
}
