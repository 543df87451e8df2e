//! A language model on this machine at work: random words, real episodes.

use serde_json::Value;

use crate::harness::{Home, path};

const QUESTION: &str = "When is zolmarin contraindicated?";
/// Random words of a model that knows nothing, the same for the same seed.
const FREELY: [&str; 4] = ["--policy", "tiny", "--temperature", "1"];

/// A home with documents, an index and the model `tiny`.
fn home() -> Home {
    let home = Home::with_trials();
    home.succeed(&["model", "init", "tiny", "--shape", "tiny", "--seed", "1"]);
    home
}

/// Asks; gives the answer and the trace of the episode. Whether noise answers or abstains is all one.
fn ask(home: &Home, args: &[&str]) -> (Value, Value) {
    let mut all = vec!["ask", QUESTION, "--json"];
    all.extend(args);
    let output = home.run(&all);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{err}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {err}"));
    let trace = home.json(&["replay", answer["trace_id"].as_str().unwrap(), "--export"]);
    (answer, trace.into_iter().next().unwrap())
}

#[test]
fn an_episode_is_kept_token_by_token() {
    let home = home();
    let (answer, trace) = ask(&home, &FREELY);
    assert!(answer["notice"].as_str().unwrap().contains("no medical advice"));
    assert_eq!(trace["version"], agent::trace::VERSION);
    assert!(trace["policy"].as_str().unwrap().starts_with("local:tiny@"), "{}", trace["policy"]);
    assert!(trace["opening"].as_array().unwrap().len() > 100);
    let segments = trace["segments"].as_array().unwrap();
    assert!(segments.len() > 1, "noise is corrected at least once: {trace}");
    for segment in segments {
        let ids = segment["token_ids"].as_array().unwrap_or_else(|| panic!("no ids in {segment}"));
        let logprobs = segment["logprobs"].as_array();
        assert_eq!(logprobs.map(Vec::len), (segment["author"] == "policy").then_some(ids.len()), "{segment}");
        assert!(logprobs.into_iter().flatten().all(|logprob| logprob.as_f64().unwrap() <= 0.0));
    }
    let replay = &home.json(&["replay", answer["trace_id"].as_str().unwrap()])[0];
    assert_eq!(replay["same"], true, "{replay}");
    assert_eq!(ask(&home, &FREELY).1["segments"], trace["segments"], "the same seed, the same words");
    let other = [&FREELY[..], &["--seed", "7"]].concat();
    assert_ne!(ask(&home, &other).1["segments"], trace["segments"]);
}

#[test]
fn its_words_are_shown_as_they_come() {
    let home = home();
    let folder = home.path().join("models/tiny");
    let args = ["ask", QUESTION, "--policy", path(&folder), "--temperature", "1", "--color", "never"];
    let (shown, _) = home.expect(&args, 1);
    let (_, trace) = ask(&home, &FREELY);
    let written = trace["segments"][0]["text"].as_str().unwrap().replace('\n', "\n  ");
    let written: String = written.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    assert!(shown.contains(&format!("turn 1\n  {written}\nturn 2")), "{shown}");
    assert!(shown.contains("no medical advice"));
    let coloured = home.run(&["ask", QUESTION, "--policy", "tiny", "--color", "always"]).stdout;
    assert!(String::from_utf8_lossy(&coloured).contains("\u{1b}[2m"), "thoughts are faint");
}

#[test]
fn what_cannot_be_is_said() {
    let home = home();
    let fail = |args: &[&str]| home.fail(&[&["ask", QUESTION][..], args].concat());
    let missing = fail(&["--policy", "nobody"]);
    assert!(missing.contains("nobody") && missing.contains("anamnesis model init"), "{missing}");
    assert!(fail(&["--policy", "tiny", "--top-p", "2"]).contains("top_p"));
    assert!(fail(&["--policy", "tiny", "--temperature", "-1"]).contains("temperature"));
    assert!(fail(&["--policy", "tiny", "--kv-memory", "much"]).contains("512M"));
    assert!(fail(&["--policy", "tiny", "--kv-memory", "900T"]).contains("--kv-memory"));
    assert!(fail(&["--policy", "tiny", "--device", "abacus"]).contains("abacus"));
    assert!(fail(&["--policy", "tiny", "--adapter", "/nowhere"]).contains("/nowhere"));
    let small = fail(&["--policy", "tiny", "--kv-memory", "1K"]);
    assert!(small.contains("--kv-memory") || small.contains("bytes"), "{small}");
    assert!(fail(&["--temperature", "1"]).contains("extractive"));
    assert!(fail(&["--policy", "openai:http://127.0.0.1:9/v1#m", "--top-p", "0.5"]).contains("--top-p"));
    let long = "long ".repeat(9_000);
    assert!(home.fail(&["ask", &long, "--policy", "tiny"]).contains("8192 tokens"));

    let weights = home.path().join("models/tiny/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fail(&["--policy", "tiny"]).contains("model.safetensors"));
}

#[test]
fn it_can_be_measured_on_questions() {
    let home = home();
    let question =
        r#"{"id":"q","question":"What is zolmarin?","answer":"a triptan","documents":["t1"],"hops":1,"split":"dev"}"#;
    let file = home.write("questions.jsonl", question);
    let rows = home.json(&["eval", "ask", "--questions", path(&file), "--policy", "tiny", "--threads", "1"]);
    assert_eq!(rows[0]["questions"], 1, "{rows:?}");
}
