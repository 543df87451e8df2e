//! The extractive policy on the starter corpus, over the plainest retriever there is: a floor under
//! what it can do, and a ceiling over what it claims to know.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::policy::Extractive;
use agent::protocol::AbstainCode;
use agent::{Ask, Cancel, Earlier, Outcome, Trace, ask::ask, evaluate::evaluate};
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

/// How the drugs of the corpus are asked about.
const ASKED_OF_A_DRUG: [&str; 8] = [
    "Is {} safe in pregnancy?",
    "What is the dose of {}?",
    "Can {} be taken while breastfeeding?",
    "Does {} cause cough?",
    "Is {} given in renal impairment?",
    "Does {} reduce mortality in sepsis?",
    "Recommended dose of {} in cardiac arrest?",
    "What is the mechanism of action of {}, and how is response monitored?",
];

/// The drugs of the corpus by name, and all documents with title and text in lower case.
fn drugs() -> (Vec<String>, BTreeMap<String, String>) {
    let documents: Vec<_> = corpus::starter::documents().map(Result::unwrap).collect();
    let is_drug = |document: &&corpus::Document| document.publication_types.iter().any(|kind| kind == "drug");
    let name = |document: &corpus::Document| {
        let title = &document.title;
        title.split_once(" (").map_or(title.as_str(), |(name, _)| name).to_lowercase()
    };
    let names = documents.iter().filter(is_drug).map(name).collect();
    let text = |document: &corpus::Document| format!("{} {}", document.title, document.text).to_lowercase();
    (names, documents.iter().map(|document| (document.id.key().to_owned(), text(document))).collect())
}

#[test]
fn every_sentence_is_of_a_document_that_names_the_drug_asked_about() {
    let library = starter();
    let (names, texts) = drugs();
    assert!(names.len() >= 40, "only {} drugs", names.len());
    for template in ASKED_OF_A_DRUG {
        let mut answered = 0;
        for name in &names {
            let answer = run(&template.replace("{}", name), &library).unwrap().answer;
            answered += usize::from(answer.is_answered());
            for citation in &answer.citations {
                let text = &texts[citation.document.key()];
                assert!(text.contains(name.as_str()), "{template} of {name}: {}", citation.quote);
            }
            // A document on another drug may name this one: then the sentence itself does.
            for sentence in &answer.sentences {
                let own = answer.citations.iter().any(|citation| {
                    sentence.cites.contains(&citation.label) && citation.title.to_lowercase().starts_with(name.as_str())
                });
                assert!(own || sentence.text.to_lowercase().contains(name.as_str()), "{name}: {}", sentence.text);
            }
        }
        println!("{template} {answered} of {} answered", names.len());
    }
}

#[test]
fn what_is_asked_of_a_drug_that_is_not_there_is_not_answered() {
    let library = starter();
    let (_, texts) = drugs();
    for name in ["zorvexil", "quibrolast", "pembrolizumab", "ketamine", "nitrofurantoin", "dapagliflozin", "dabigatran"]
    {
        let is_there = texts.values().any(|text| text.contains(name));
        for template in ASKED_OF_A_DRUG {
            let answer = run(&template.replace("{}", name), &library).unwrap().answer;
            let says = |sentence: &agent::Sentence| sentence.text.to_lowercase().contains(name);
            let is_right = if is_there { answer.sentences.iter().all(says) } else { !answer.is_answered() };
            assert!(is_right, "{template} of {name}: {}", answer.text);
        }
    }
}

#[test]
fn each_part_of_a_question_is_of_its_subject_and_an_open_part_is_told() {
    let library = starter();
    let answer = run("What is imatinib, and how does it differ in zorvexil?", &library).unwrap().answer;
    assert!(answer.citations.iter().all(|citation| citation.document.key() == "imatinib"), "{}", answer.text);
    let answer =
        run("What is the mechanism of action of imatinib, and how is response monitored?", &library).unwrap().answer;
    assert!(answer.is_answered());
    assert!(answer.citations.iter().all(|citation| citation.document.key() == "imatinib"), "{}", answer.text);
    let open = run("How is gout treated, and what is the half-life of zorvexil?", &library).unwrap().answer;
    assert!(open.is_answered() && open.is_partial(), "{}", open.text);
    assert_eq!(open.unmet, ["what is the half-life of zorvexil"]);
}

#[test]
fn an_amount_is_that_of_the_case_asked_about() {
    let library = starter();
    for (question, holds, lacks) in [
        ("How many mg of naloxone for opioid overdose?", "0.4 to 2 mg", "0.04"),
        ("What is the dose of hydrocortisone for adrenal crisis?", "100 mg", "15 to 25 mg"),
        ("What is the dose of epinephrine in cardiac arrest?", "1 mg", "0.3"),
        ("What is the dose of apixaban for pulmonary embolism?", "10 mg", "2.5 mg"),
    ] {
        let text = run(question, &library).unwrap().answer.text;
        assert!(text.contains(holds) && !text.contains(lacks), "{question}: {text}");
    }
    let croup = run("What is the dose of epinephrine for croup?", &library).unwrap().answer;
    assert!(!croup.is_answered(), "{}", croup.text);
}

#[test]
fn british_spelling_and_brands_are_understood() {
    let library = starter();
    let (_, texts) = drugs();
    for (question, name) in [
        ("How is hyperkalaemia treated?", "hyperkalemia"),
        ("How is coeliac disease diagnosed?", "celiac"),
        ("What is the dose of Eliquis in atrial fibrillation?", "apixaban"),
        ("Is Glivec safe in pregnancy?", "imatinib"),
    ] {
        let answer = run(question, &library).unwrap().answer;
        assert!(answer.is_answered(), "{question}");
        let names = |citation: &agent::Citation| texts[citation.document.key()].contains(name);
        assert!(answer.citations.iter().all(names), "{question}: {}", answer.text);
    }
}

#[test]
fn a_follow_up_keeps_the_subject_or_asks_back() {
    let library = starter();
    let first = run("Which drug is first-line for type 2 diabetes?", &library).unwrap();
    let follow = |question: &str| {
        let task = Ask { earlier: Some(Earlier::of(&first)), ..Ask::new(question, jiff::Timestamp::UNIX_EPOCH) };
        ask(&task, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap().answer
    };
    let (_, texts) = drugs();
    for question in ["What about pregnancy?", "How much?", "In children?"] {
        let answer = follow(question);
        for citation in &answer.citations {
            let text = &texts[citation.document.key()];
            assert!(text.contains("metformin") || text.contains("type 2 diabetes"), "{question}: {}", citation.quote);
        }
    }
    assert!(follow("How much?").text.contains("500 mg"), "{}", follow("How much?").text);
    for question in ["Is that true?", "Thanks!", "Are you sure?"] {
        assert_eq!(follow(question).outcome, Outcome::Abstained(AbstainCode::NeedsClarification), "{question}");
    }
}

#[test]
fn answers_the_first_question_of_the_manual() {
    let question = "Which drug is first-line for type 2 diabetes, and when must it be avoided?";
    let answer = run(question, &starter()).unwrap().answer;
    let cited: Vec<_> = answer.documents().iter().map(|document| document.key()).collect();
    assert_eq!(cited, ["type-2-diabetes", "metformin"], "{}", answer.text);
}
