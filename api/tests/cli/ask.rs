//! The first question on a fresh machine, abstention, traces and replay.

use crate::harness::{Home, path};

const QUESTION: &str = "Which drug is first-line for type 2 diabetes, and when must it be avoided?";

#[test]
fn a_fresh_machine_answers_with_citations() {
    let home = Home::new();
    let answer = home.succeed(&["ask", QUESTION]);
    assert!(answer.contains("metformin"), "{answer}");
    assert!(answer.contains("[E1]"), "{answer}");
    assert!(answer.contains("contraindicated"), "the second half is answered too: {answer}");
    assert!(answer.contains("Metformin"), "the reference list names the document: {answer}");
    assert_eq!(answer.matches("no medical advice").count(), 1, "said once, plainly: {answer}");
}

#[test]
fn the_json_contract_holds() {
    let home = Home::new();
    let answers = home.json(&["ask", QUESTION]);
    let [answer] = &answers[..] else { panic!("one object: {answers:?}") };
    for field in ["answer", "sentences", "citations", "abstained", "trace_id", "snapshot", "timings"] {
        assert!(answer.get(field).is_some(), "{field} is missing in {answer}");
    }
    assert_eq!(answer["abstained"], false);
    for sentence in answer["sentences"].as_array().unwrap() {
        assert!(!sentence["cites"].as_array().unwrap().is_empty(), "every sentence is cited: {sentence}");
    }
    for citation in answer["citations"].as_array().unwrap() {
        for field in ["label", "document", "chunk", "pmid", "title", "year", "level", "status", "quote"] {
            assert!(citation.get(field).is_some(), "{field} is missing in {citation}");
        }
        let document = home.json(&["corpus", "show", citation["document"].as_str().unwrap()]);
        let text = document[0]["document"]["text"].as_str().unwrap();
        assert!(text.contains(citation["quote"].as_str().unwrap()), "the quote stands in the stored text");
    }
}

#[test]
fn what_the_corpus_does_not_hold_is_not_answered() {
    let home = Home::new();
    for question in ["What is the capital of France?", "Who won the football world cup in 1998?", "of the and to"] {
        let (out, _) = home.expect(&["ask", question], 1);
        assert!(out.contains("no medical advice"), "{out}");
        assert!(!out.contains("[E1]"), "{question}: {out}");
    }
    assert!(home.fail(&["ask", ""]).contains("question"));
}

#[test]
fn the_starter_corpus_leaves_when_real_documents_come() {
    let home = Home::new();
    home.succeed(&["ask", QUESTION]);
    let file = home.write("trials.jsonl", crate::harness::TRIALS);
    home.succeed(&["corpus", "add", path(&file)]);
    home.succeed(&["index", "build"]);
    let answer = &home.json(&["ask", "When is zolmarin contraindicated?"])[0];
    assert_eq!(answer["citations"][0]["pmid"], "90000001", "{answer}");
    home.expect(&["ask", "What is the first-line drug for bipolar disorder?"], 1);
}

#[test]
fn an_episode_is_replayed_from_its_trace() {
    let home = Home::with_trials();
    let answer = &home.json(&["ask", "What must be monitored with zolmarin?"])[0];
    let replay = &home.json(&["replay", answer["trace_id"].as_str().unwrap()])[0];
    assert_eq!(replay["same"], true, "{replay}");
    assert!(home.fail(&["replay", "nothing"]).contains("nothing"));
}

#[test]
fn unknown_policies_are_refused_not_replaced() {
    let home = Home::with_trials();
    let error = home.fail(&["ask", "What is zolmarin?", "--policy", "openai:http://127.0.0.1:9/v1#none"]);
    assert!(error.contains("127.0.0.1:9"), "the endpoint is named: {error}");
    assert!(home.fail(&["ask", "What is zolmarin?", "--policy", "guesswork"]).contains("guesswork"));
}

#[test]
fn identifiers_in_a_question_are_taken_out_or_refused() {
    let home = Home::with_trials();
    let question = "My patient John Okafor, MRN 4821973, has migraine. When is zolmarin contraindicated?";
    let (_, note) = home.expect(&["-vv", "ask", question], 0);
    assert!(note.contains("identifiers were taken out") && !note.contains("Okafor"), "{note}");
    let answer = &home.json(&["ask", question])[0];
    let trace = home.succeed(&["replay", "--export", answer["trace_id"].as_str().unwrap()]);
    assert!(trace.contains("[name]") && !trace.contains("Okafor") && !trace.contains("4821973"), "{trace}");
    for command in ["ask", "search"] {
        let error = home.fail(&[command, question, "--phi", "block"]);
        assert!(error.contains("without them") && !error.contains("Okafor"), "{error}");
    }
    // nothing in the corpus speaks of Okafor, so the extractive policy abstains
    let (out, _) = home.expect(&["ask", question, "--phi", "allow-local", "--json"], 1);
    let here: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(here["warnings"].to_string().contains("stays on this machine"), "{here}");
    let trace = home.succeed(&["replay", "--export", here["trace_id"].as_str().unwrap()]);
    assert!(!trace.contains("Okafor") && !trace.contains("4821973"), "{trace}");
    let remote = ["ask", question, "--phi", "allow-local", "--policy", "openai:http://127.0.0.1:9/v1#none"];
    assert!(home.fail(&remote).contains("not on this machine"));
}

#[test]
fn every_faithful_episode_is_replayed_as_the_same() {
    let home = Home::new();
    for question in [
        QUESTION,
        "What must be monitored with lithium?",
        "When is warfarin contraindicated?",
        "Which drug is first-line for hypertension?",
        "How is asthma treated in adults?",
        "What are the adverse effects of amiodarone?",
        "Which antibiotic is used for community-acquired pneumonia?",
        "How do apixaban and warfarin differ in monitoring?",
    ] {
        let output = home.run(&["ask", question, "--json"]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let replay = home.run(&["replay", answer["trace_id"].as_str().unwrap(), "--json"]);
        assert!(replay.status.success(), "{question}: {}", String::from_utf8_lossy(&replay.stdout));
    }
}

#[test]
fn what_cannot_be_found_is_said_before_nothing_is() {
    let home = Home::with_trials();
    let question = "When is zolmarin contraindicated?";
    let (_, note) = home.expect(&["ask", question, "--collection", "nope"], 1);
    assert!(note.contains("`nope`") && note.contains("there are: trials"), "{note}");
    assert!(!home.expect(&["ask", question, "--collection", "trials"], 0).1.contains("no collection"));
    let error = home.fail(&["ask", question, "--turns", "0"]);
    assert!(error.contains("searches nothing") && error.contains("--follow"), "{error}");
    let error = home.fail(&["key", "create", "ward", "--quota", "0"]);
    assert!(error.contains("at least 1") && !error.contains("non-zero"), "{error}");
    let (_, note) = home.expect(&["key", "create", "ward", "--collection", "nope"], 0);
    assert!(note.contains("`nope`") && note.contains("there are: trials"), "{note}");
    let long = format!("Is zolmarin safe? {}", "long ".repeat(2_000));
    home.run(&["ask", &long]);
    assert!(home.succeed(&["trace", "list"]).lines().all(|line| line.len() < 400), "a line for people");
    assert!(home.json(&["trace", "list"])[0]["question"].as_str().unwrap().len() > 5_000);
}
