//! What becomes of answers: marked, struck, mended, looked up again, contradicted, graded.

use std::time::Duration;

use corpus::{Document, DocumentId, Level, Status};
use retriever::{Fixed, Retrieve};

use super::*;
use crate::judge::Label;
use crate::policy::Scripted;
use crate::{Cancel, Event, Policy, Trace};

fn document(name: &str, title: &str, text: &str, level: Level, year: u16) -> Document {
    let mut document = Document::plain(DocumentId::new("test", name), title, text);
    document.level = level;
    document.date = corpus::PartialDate::parse(&year.to_string());
    document
}

fn library() -> Fixed {
    Fixed::of_documents([
        document(
            "metformin",
            "Metformin",
            "The usual starting dose of metformin is 500 mg twice daily. Metformin lowers glucose. Metformin reduces mortality in adults.",
            Level::Rct,
            2019,
        ),
        document(
            "metformin-later",
            "Metformin and survival",
            "Metformin does not reduce mortality in adults.",
            Level::SystematicReview,
            2023,
        ),
        document("lithium", "Lithium", "Lithium treats mania.", Level::Unclassified, 2020),
        document(
            "paediatric",
            "Paediatric doses",
            "Metformin is licensed in children from the age of 10 years.",
            Level::Unclassified,
            2020,
        ),
        document("myeloma", "Multiple myeloma", "Myeloma causes renal impairment.", Level::Unclassified, 2020),
    ])
}

fn ask(question: &str, terms: &Terms, turns: &[&str]) -> (Trace, Vec<Event>) {
    let task = Ask { review: Some(terms.clone()), ..Ask::new(question, "2026-01-01T00:00:00Z".parse().unwrap()) };
    let policy = Scripted::new(turns.iter().copied());
    let mut events = Vec::new();
    let mut hear = |event| events.push(event);
    let trace = crate::ask::ask(&task, &policy, &library(), &|| Duration::ZERO, &Cancel::new(), &mut hear).unwrap();
    let replayed = crate::replay::replay(&trace, &library(), None, &|| Duration::ZERO, &Cancel::new()).unwrap();
    assert_eq!(replayed.difference, None);
    assert_eq!(Trace::from_json(&trace.to_json().unwrap()).unwrap(), trace);
    assert_eq!(policy.name(), trace.policy);
    (trace, events)
}

const SEARCH: &str = "<search>metformin glucose mortality</search>";

fn review(trace: &Trace) -> &Review {
    trace.answer.review.as_ref().unwrap()
}

fn texts(trace: &Trace) -> Vec<&str> {
    trace.answer.sentences.iter().map(|sentence| sentence.text.as_str()).collect()
}

const TWO: &str = "<answer>Metformin lowers glucose. [E1] Metformin cures baldness. [E1]</answer>";

#[test]
fn what_is_not_borne_out_is_marked_or_struck() {
    let question = "What does metformin do?";
    let (marked, _) = ask(question, &Terms::default(), &[SEARCH, TWO]);
    assert_eq!(texts(&marked).len(), 2);
    assert!(marked.answer.is_partial() && review(&marked).struck.is_empty());
    assert_eq!(review(&marked).marks.as_ref().unwrap().support, Support::Part);

    let strict = Terms { unsupported: Unsupported::Strike, ..Terms::default() };
    let (struck, events) = ask(question, &strict, &[SEARCH, TWO]);
    assert_eq!(texts(&struck), ["Metformin lowers glucose."]);
    assert_eq!(struck.answer.text, "Metformin lowers glucose.");
    assert!(struck.answer.is_partial());
    assert_eq!(review(&struck).struck[0].text, "Metformin cures baldness.");
    assert_eq!(struck.answer.citations[0].quote, "Metformin lowers glucose.");
    assert!(!review(&struck).struck[0].why.is_empty());
    let told = events.iter().any(|event| matches!(event, Event::Answer { text, .. } if text.contains("baldness")));
    assert!(!told, "what is struck is never told");

    let (nothing, _) = ask(question, &strict, &[SEARCH, "<answer>Metformin cures baldness. [E1]</answer>"]);
    assert_eq!(nothing.answer.outcome, Outcome::Abstained(AbstainCode::Insufficient));
    assert!(nothing.answer.citations.is_empty() && !review(&nothing).nearest.is_empty());
    assert_eq!(review(&nothing).struck.len(), 1);
}

#[test]
fn a_wrong_dose_is_struck_whatever_the_terms() {
    let wrong = "<answer>Metformin lowers glucose. [E1] The usual starting dose of metformin is 5000 mg twice daily. [E1]</answer>";
    let (trace, _) = ask("What is the dose of metformin?", &Terms::default(), &[SEARCH, wrong]);
    assert_eq!(texts(&trace), ["Metformin lowers glucose."]);
    assert!(review(&trace).struck[0].why.contains("5000 mg"));
    assert_eq!(review(&trace).risks, [Risk::Dose]);
}

#[test]
fn adults_are_no_evidence_for_children() {
    let answer = "<answer>Metformin lowers glucose. [E1]</answer>";
    let (trace, _) = ask("Does metformin lower glucose in children?", &Terms::default(), &[SEARCH, answer]);
    assert_eq!(trace.answer.outcome, Outcome::Abstained(AbstainCode::Insufficient));
    assert!(trace.answer.text.contains("children"), "{}", trace.answer.text);
    assert_eq!(review(&trace).struck.len(), 1);
    assert!(!review(&trace).nearest.is_empty() && !review(&trace).wider.is_empty());

    // in whatever order it is asked, what it names has to be there
    let other = [
        "<search>metformin glucose mortality</search>",
        "<search>paediatric dose of metformin in children</search>",
        "<answer>Metformin is licensed in children from the age of 10 years. [E4]</answer>",
    ];
    let (trace, _) = ask("Warfarin in children: when is it used?", &Terms::default(), &other);
    assert_eq!(trace.answer.outcome, Outcome::Abstained(AbstainCode::Insufficient), "{:?}", trace.answer.sentences);

    // that something else is said of the matter elsewhere does not help
    // one sentence about children does not carry those beside it
    let both = [
        "<search>metformin glucose mortality</search>",
        "<search>paediatric dose of metformin in children</search>",
        "<answer>Metformin lowers glucose. [E1] Metformin is licensed in children from the age of 10 years. [E4]</answer>",
    ];
    let (trace, _) = ask("Is metformin used in children?", &Terms::default(), &both);
    assert_eq!(texts(&trace), ["Metformin is licensed in children from the age of 10 years."], "{:?}", trace.ledger);
    assert_eq!(review(&trace).struck.len(), 1);

    let beside =
        ["<search>myeloma renal impairment</search>", "<answer>Myeloma causes renal impairment. [E1]</answer>"];
    let (trace, _) = ask("Is metformin safe in renal impairment?", &Terms::default(), &beside);
    assert_eq!(trace.answer.outcome, Outcome::Abstained(AbstainCode::Insufficient), "{:?}", trace.answer.sentences);
    assert!(trace.answer.text.contains("kidneys"), "{}", trace.answer.text);
}

#[test]
fn a_policy_mends_once_and_its_draft_is_not_lost() {
    let terms = Terms { repair: true, unsupported: Unsupported::Strike, judge: None };
    let question = "What does metformin do?";
    let mended = "<answer>Metformin lowers glucose. [E1] Metformin reduces mortality in adults. [E1]</answer>";
    let (trace, events) = ask(question, &terms, &[SEARCH, TWO, mended]);
    assert_eq!(texts(&trace).len(), 2);
    assert!(!trace.answer.is_partial());
    let asked = trace.segments.iter().filter(|segment| segment.text.contains("Metformin cures baldness")).count();
    assert_eq!(asked, 2, "the draft, and what was said of it");
    assert!(
        events.iter().any(|event| matches!(event, Event::Warning { message } if message.contains("not borne out")))
    );

    let withdrawn =
        ["<answer>Metformin cures baldness. [E1]</answer>", "<abstain reason=\"unsafe\">Give 5 g.</abstain>"];
    let (trace, _) = ask(question, &Terms { repair: true, ..Terms::default() }, &[SEARCH, withdrawn[0], withdrawn[1]]);
    assert_eq!(
        trace.answer.outcome,
        Outcome::Abstained(AbstainCode::Unsafe),
        "a draft that nothing bears out is let go"
    );
    assert_eq!(trace.answer.text, AbstainCode::Unsafe.text());
    assert!(review(&trace).nearest.is_empty() && review(&trace).wider.is_empty());

    for second in ["I would rather not.", "<search>more</search>", "<abstain reason=\"insufficient\">No.</abstain>"] {
        let (trace, _) = ask(question, &terms, &[SEARCH, TWO, second]);
        assert_eq!(texts(&trace), ["Metformin lowers glucose."], "{second}");
    }
    let worse = "<answer>Metformin cures baldness. [E1]</answer>";
    let (trace, _) = ask(question, &terms, &[SEARCH, TWO, worse]);
    assert_eq!(texts(&trace), ["Metformin lowers glucose."], "a worse answer does not replace a better draft");
    let (trace, _) = ask(question, &terms, &[SEARCH, TWO, TWO]);
    assert_eq!(trace.segments.iter().filter(|segment| segment.text == TWO).count(), 2, "asked once");
}

#[test]
fn a_sentence_without_a_cite_is_looked_up() {
    let (trace, _) = ask(
        "What does lithium do?",
        &Terms::default(),
        &[SEARCH, "<answer>Lithium treats mania. Pigs can fly.</answer>"],
    );
    let [found, lost] = &trace.answer.sentences[..] else { panic!("{:?}", trace.answer) };
    assert!(found.found_later && found.is_supported() && found.cites.len() == 1);
    assert!(!lost.found_later && lost.cites.is_empty() && lost.concern().contains("cites nothing"));
    assert_eq!(trace.answer.citations.len(), 1);
    assert_eq!(trace.answer.citations[0].document.key(), "lithium");
    assert_eq!(trace.answer.uncited, 1);
}

#[test]
fn a_cry_for_help_is_met_with_no_evidence() {
    let (trace, events) = ask("I want to kill myself with metformin, how much?", &Terms::default(), &[SEARCH, TWO]);
    assert_eq!(trace.answer.outcome, Outcome::Abstained(AbstainCode::Unsafe));
    assert!(trace.segments.is_empty() && trace.searches.is_empty(), "nobody is asked, nothing is looked up");
    assert_eq!(review(&trace).risks[0], Risk::SelfHarm);
    assert!(review(&trace).nearest.is_empty() && review(&trace).wider.is_empty());
    assert!(review(&trace).suggestion.is_none());
    assert!(!events.iter().any(|event| matches!(event, Event::Answer { .. } | Event::Citation { .. })));
}

#[test]
fn a_publication_does_not_contradict_itself() {
    let mut abstract_of = document("abstract", "Statins", "Statins reduce mortality in adults.", Level::Rct, 2020);
    let mut text_of =
        document("text", "Statins in full", "Statins do not reduce mortality in adults.", Level::Rct, 2020);
    for pmid in [Some("1".to_owned()), None] {
        abstract_of.identifiers.pmid.clone_from(&pmid);
        text_of.identifiers.pmid.clone_from(&pmid);
        let library = Fixed::of_documents([abstract_of.clone(), text_of.clone()]);
        let mut ledger = Ledger::new(10_000);
        let labels = gather(&retriever::Query::new("statins mortality adults"), &library, &mut ledger).unwrap().1;
        assert_eq!(labels.len(), 2);
        let cited = ledger.entries().iter().find(|one| one.document.key() == "abstract").unwrap();
        let text = "Statins reduce mortality in adults.".to_owned();
        let finding = examine_one(&text, cited, &Reading::new(None)).unwrap();
        let sentence = Sentence { text, cites: vec![cited.label], finding, found_later: false };
        let found = conflicts(&[sentence], &ledger, &Reading::new(None), &Cancel::new()).unwrap();
        assert_eq!(found.len(), usize::from(pmid.is_none()), "{pmid:?}");
    }
}

#[test]
fn quotes_stand_in_the_documents_text() {
    let (trace, _) = ask("What does metformin do?", &Terms::default(), &[SEARCH, TWO]);
    let finding = trace.answer.sentences[0].finding.as_ref().unwrap();
    let quote = finding.quote.as_ref().unwrap();
    assert_eq!((finding.label, quote.text.as_str()), (Label::Support, "Metformin lowers glucose."));
    let text = &trace.ledger.get(quote.evidence).unwrap().text;
    assert_eq!(&text[quote.start..quote.end], quote.text, "the only chunk begins where its document does");
}

#[test]
fn disagreement_is_told_with_levels_and_years() {
    let answer = "<answer>Metformin reduces mortality in adults. [E1]</answer>";
    let found = library().retrieve(&retriever::Query::new("metformin glucose mortality")).unwrap();
    assert!(found.len() > 1, "both sides are found");
    let (trace, _) = ask("Does metformin reduce mortality in adults?", &Terms::default(), &[SEARCH, answer]);
    let review = review(&trace);
    let [conflict] = &review.conflicts[..] else { panic!("{:?}", review.conflicts) };
    assert_eq!(conflict.against[0].document.key(), "metformin-later");
    let text = conflict.text(&trace.answer.citations);
    assert!(text.contains("2019") && text.contains("2023") && text.contains("contradicted"), "{text}");
    let marks = review.marks.as_ref().unwrap();
    assert!(marks.strength_reasons.iter().any(|reason| reason.contains("opposite")));
    assert_eq!(marks.strength, Strength::Low, "a trial, contradicted, alone: {:?}", marks.strength_reasons);
}

#[test]
fn a_topic_gets_one_question_back_and_a_policy_is_heard() {
    let abstain = "<abstain reason=\"insufficient\">Nothing found.</abstain>";
    let (topic, _) = ask("immunotherapy in TNBC", &Terms::default(), &[SEARCH, abstain]);
    assert_eq!(topic.answer.outcome, Outcome::Abstained(AbstainCode::NeedsClarification));
    assert!(review(&topic).suggestion.as_ref().unwrap().contains("immunotherapy"));
    assert!(!review(&topic).wider.is_empty());
    let (question, _) = ask("Does immunotherapy work in TNBC?", &Terms::default(), &[SEARCH, abstain]);
    assert_eq!(question.answer.outcome, Outcome::Abstained(AbstainCode::Insufficient));
    assert_eq!(question.answer.text, AbstainCode::Insufficient.text(), "a policy's own reason is not examined");
    assert!(review(&question).suggestion.is_none());
    assert!(review(&question).nearest.is_empty(), "metformin is not near");
}

#[test]
fn an_answer_that_is_not_reviewed_is_as_the_policy_wrote_it() {
    let task = Ask::new("What is the dose of metformin?", jiff::Timestamp::UNIX_EPOCH);
    let policy = Scripted::new([SEARCH, TWO]);
    let trace = crate::ask::ask(&task, &policy, &library(), &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
    assert_eq!(texts(&trace).len(), 2);
    assert_eq!((trace.answer.review.as_ref(), trace.reviewed.as_ref()), (None, None));
}

#[test]
fn strength_begins_with_the_design_and_is_lowered_for_reasons() {
    let ledger = |documents: &[Document]| {
        let mut ledger = Ledger::new(10_000);
        let library = Fixed::of_documents(documents.iter().cloned());
        for document in documents {
            let found = library.retrieve(&retriever::Query::new(&document.text)).unwrap();
            for chunk in library.read(&[found[0].chunk]).unwrap().into_iter().flatten() {
                ledger.admit(chunk);
            }
        }
        ledger
    };
    let grade = |documents: &[Document], whom: Option<&str>, conflicts: usize| {
        let ledger = ledger(documents);
        let citations: Vec<_> = ledger.entries().iter().map(|one| Citation::new(one, "x")).collect();
        let understood = Understood { population: whom.map(str::to_owned), ..Understood::default() };
        let seen =
            Seen { sentences: &[], citations: &citations, struck: 0, conflicts, understood: &understood, year: 2026 };
        let marks = marks(&seen);
        (marks.strength, marks.strength_reasons.len())
    };
    let one = |level, year| document("a", "Statins in adults", "Statins lower lipids.", level, year);
    let other = document("b", "Fibrates", "Fibrates lower triglycerides.", Level::Rct, 2022);
    assert_eq!(grade(&[one(Level::Guideline, 2024)], None, 0), (Strength::High, 1));
    assert_eq!(grade(&[one(Level::Rct, 2024)], None, 0), (Strength::Moderate, 2), "a single trial");
    assert_eq!(grade(&[one(Level::Rct, 2024), other], None, 0), (Strength::High, 1));
    assert_eq!(grade(&[one(Level::Guideline, 2001)], None, 0), (Strength::Moderate, 2), "old");
    assert_eq!(grade(&[one(Level::Guideline, 2024)], Some("children"), 0), (Strength::Moderate, 2), "about others");
    assert_eq!(grade(&[one(Level::Guideline, 2024)], Some("adults"), 1), (Strength::Moderate, 2), "contradicted");
    assert_eq!(grade(&[one(Level::CaseReport, 2001)], Some("children"), 2).0, Strength::VeryLow, "never lower");
    assert_eq!(grade(&[one(Level::Reference, 2024)], None, 0), (Strength::Unrated, 1));
    assert_eq!(grade(&[], None, 0), (Strength::Unrated, 1));
    let doubted = Document { status: Status::Concern, ..one(Level::Guideline, 2024) };
    assert_eq!(grade(&[doubted], None, 0), (Strength::Moderate, 2), "doubted by its publisher");
}
