//! The extractive policy on the starter corpus, over the plainest retriever there is: a floor under
//! what it can do, and a ceiling over what it claims to know.

use std::time::Duration;

use agent::policy::Extractive;
use agent::{Ask, Cancel, Trace, ask::ask, evaluate::evaluate};
use retriever::Fixed;

fn run(question: &str, library: &Fixed) -> agent::Result<Trace> {
    let task = Ask::new(question, jiff::Timestamp::UNIX_EPOCH);
    ask(&task, &Extractive, library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {})
}

fn starter() -> Fixed {
    Fixed::of_documents(corpus::starter::documents().map(Result::unwrap))
}

#[test]
fn cites_the_documents_that_hold_the_answer() {
    let library = starter();
    let questions = corpus::starter::questions().unwrap();
    let dev: Vec<_> = questions.into_iter().filter(|question| question.split.to_string() == "dev").collect();
    let report = evaluate(&dev, &mut |question| run(&question.question, &library)).unwrap();
    for row in &report.summary {
        println!("{row:?}");
        let floor = if row.hops == 1 { 0.85 } else { 0.8 };
        assert!(row.cited_gold >= floor, "{row:?}");
    }
    assert_eq!(report.cases.len(), dev.len());
    let most = report.cases.iter().map(|case| case.cited.len()).max();
    assert!(most <= Some(3));
}

#[test]
fn abstains_on_what_the_corpus_does_not_hold() {
    let library = starter();
    for question in [
        "Who won the world cup?",
        "What is the capital of France?",
        "How do I bake sourdough bread?",
        "When is pembrolizumab contraindicated?",
        "Which planet is the largest in the solar system?",
        "What is the incubation period of rabies?",
    ] {
        let trace = run(question, &library).unwrap();
        assert!(!trace.answer.is_answered(), "{question}: {}", trace.answer.text);
    }
}

#[test]
fn answers_the_first_question_of_the_manual() {
    let question = "Which drug is first-line for type 2 diabetes, and when must it be avoided?";
    let answer = run(question, &starter()).unwrap().answer;
    let cited: Vec<_> = answer.documents().iter().map(|document| document.key()).collect();
    assert_eq!(cited, ["type-2-diabetes", "metformin"], "{}", answer.text);
}
