//! Sentences of answers and of real abstracts that name another drug, disease or test than their source, and sentences of abstracts
//! with a direction turned or a denial dropped. Rules must find most of them and leave the rest alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it found, its helpers too"
)]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use agent::check::{Source, look};
use agent::judge::Label;
use agent::policy::Extractive;
use agent::{Ask, Cancel, ask};
use corpus::sentence::sentences;
use corpus::starter;
use retriever::Fixed;

/// A sentence, and all that it cites.
struct Said {
    text: String,
    passages: Vec<(String, String)>,
}

/// Titles of the starter corpus that are one word: drugs, diseases and tests.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let titles = starter::documents().map(|document| document.unwrap().title.to_lowercase());
    let mut names: Vec<_> = titles.filter(|title| title.chars().all(char::is_alphabetic)).collect();
    names.sort();
    names
});

fn answers() -> Vec<Said> {
    let library = Fixed::of_documents(starter::documents().map(Result::unwrap));
    let mut said = BTreeMap::new();
    for asked in starter::questions().unwrap() {
        let task = Ask::new(asked.question, jiff::Timestamp::UNIX_EPOCH);
        let trace = ask::ask(&task, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
        for sentence in &trace.answer.sentences {
            let cited = sentence.cites.iter().filter_map(|label| trace.ledger.get(*label));
            let passages = cited.map(|one| (one.title.clone(), one.text.clone())).collect();
            said.entry(sentence.text.clone()).or_insert(Said { text: sentence.text.clone(), passages });
        }
    }
    said.into_values().collect()
}

/// Sentences of one of every `step` abstracts, each with its own abstract.
fn abstracts(file: &Path, step: usize) -> Vec<Said> {
    #[derive(serde::Deserialize)]
    struct Record {
        title: String,
        text: String,
    }
    let mut said = Vec::new();
    for line in corpus::reader::open_text(file).unwrap().lines().skip(step / 2).step_by(step) {
        let Record { title, text } = serde_json::from_str(&line.unwrap()).unwrap();
        let own = sentences(&text).filter(|span| (40..300).contains(&span.len())).map(|span| text[span].to_owned());
        let passages = vec![(title, text.clone())];
        said.extend(own.map(|text| Said { text, passages: passages.clone() }));
    }
    said
}

fn is_found(text: &str, said: &Said) -> bool {
    let passages: Vec<_> = said.passages.iter().map(|(title, text)| Source { title, heading: "", text }).collect();
    look(text, &passages).0.label != Label::Support
}

/// `text` with one of its words changed, for every word that `change` changes.
fn planted(text: &str, change: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let at = |place: usize| {
        let changed = change(words[place])?;
        let all = words.iter().enumerate().map(|(other, word)| if other == place { changed.as_str() } else { word });
        Some(all.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
    };
    (0..words.len()).filter_map(at).collect()
}

/// Three other names in place of each, but for those that the sentence has already: nothing wrong may be said then.
fn name(text: &str) -> Vec<String> {
    let other = |word: &str, step: usize| {
        let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let place = NAMES.iter().position(|name| bare.eq_ignore_ascii_case(name))?;
        let name = &NAMES[(place + step) % NAMES.len()];
        (!text.to_lowercase().contains(name.as_str())).then(|| format!("{name}{}", &word[bare.len()..]))
    };
    (1..=3).flat_map(|step| planted(text, |word| other(word, 7 * step))).collect()
}

fn denial(text: &str) -> Vec<String> {
    planted(text, |word| matches!(word, "not" | "never" | "no").then(String::new))
}

fn direction(text: &str) -> Vec<String> {
    const TURNS: [(&str, &str); 10] = [
        ("above", "below"),
        ("below", "above"),
        ("decreased", "increased"),
        ("higher", "lower"),
        ("improved", "worsened"),
        ("increase", "decrease"),
        ("increased", "decreased"),
        ("lower", "higher"),
        ("reduced", "increased"),
        ("reduction", "increase"),
    ];
    planted(text, |word| Some(TURNS.iter().find(|(from, _)| *from == word)?.1.to_owned()))
}

/// How many of what is planted are found, of at most `most`, spread over all.
fn found(kind: &str, said: &[Said], plant: fn(&str) -> Vec<String>, most: usize) -> f64 {
    let all: Vec<_> = said.iter().flat_map(|one| plant(&one.text).into_iter().map(move |text| (text, one))).collect();
    let taken: Vec<_> = all.iter().step_by(all.len().div_ceil(most).max(1)).collect();
    let missed: Vec<_> = taken.iter().filter(|(text, one)| !is_found(text, one)).collect();
    for (text, _) in &missed {
        println!("{kind}, not found: {text}");
    }
    println!("{kind}: {} of {}", taken.len() - missed.len(), taken.len());
    assert!(taken.len() >= 200, "{kind}: {} are too few to tell", taken.len());
    1.0 - missed.len() as f64 / taken.len() as f64
}

fn false_alarms(said: &[Said]) -> f64 {
    let alarms: Vec<_> = said.iter().filter(|one| is_found(&one.text, one)).collect();
    for one in &alarms {
        println!("false alarm: {}", one.text);
    }
    println!("false alarms: {} of {}", alarms.len(), said.len());
    alarms.len() as f64 / said.len() as f64
}

#[test]
fn another_name_in_an_answer_is_found() {
    let said = answers();
    assert!(found("name", &said, name, usize::MAX) >= 0.9);
    assert!(false_alarms(&said) <= 0.01);
}

#[test]
fn errors_planted_in_real_abstracts_are_found() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("ANAMNESIS_DATA").map_or_else(beside, PathBuf::from);
    let file = folder.join("corpora/abstracts.jsonl.gz");
    if !file.is_file() {
        println!("skipped: {} is missing: ANAMNESIS_DATA names the folder of real corpora", file.display());
        return;
    }
    let said = abstracts(&file, 25);
    for (kind, plant) in [("name", name as fn(&str) -> Vec<String>), ("denial", denial), ("direction", direction)] {
        assert!(found(kind, &said, plant, 500) >= 0.9, "{kind}");
    }
    let some: Vec<_> = said.into_iter().step_by(10).collect();
    assert!(false_alarms(&some) <= 0.01);
}
