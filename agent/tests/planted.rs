//! Answers from the starter corpus with errors planted in them: a wrong number, one of another sentence, a dropped denial, a turned
//! direction or bound, another drug, a claim that nobody made.
//! Rules must find most of them and leave the answers as they were alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::check::amount::amounts;
use agent::check::{Source, look};
use agent::judge::Label;
use agent::policy::Extractive;
use agent::{Ask, Cancel, Trace, ask};
use corpus::starter;
use retriever::Fixed;

/// A sentence of an answer, and all that it cites.
struct Said {
    text: String,
    passages: Vec<(String, String)>,
}

fn answers() -> Vec<Said> {
    let library = Fixed::of_documents(starter::documents().map(Result::unwrap));
    let play = |question: &str| -> Trace {
        let task = Ask::new(question, jiff::Timestamp::UNIX_EPOCH);
        ask::ask(&task, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap()
    };
    let mut said = BTreeMap::new();
    for asked in starter::questions().unwrap() {
        let trace = play(&asked.question);
        for sentence in &trace.answer.sentences {
            let cited = sentence.cites.iter().filter_map(|label| trace.ledger.get(*label));
            let passages = cited.map(|one| (one.title.clone(), one.text.clone())).collect();
            said.entry(sentence.text.clone()).or_insert(Said { text: sentence.text.clone(), passages });
        }
    }
    said.into_values().collect()
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

/// Another number of as many digits.
fn number(text: &str) -> Vec<String> {
    planted(text, |word| {
        let is_number = word.starts_with(|c: char| c.is_ascii_digit())
            && word.trim_end_matches(['.', ',', ')', ';', '%']).chars().all(|c| c.is_ascii_digit() || c == '.');
        let turn = |c: char| c.to_digit(10).map_or(c, |digit| char::from_digit((digit + 3) % 9 + 1, 10).unwrap());
        is_number.then(|| word.chars().map(turn).collect())
    })
}

/// An amount of another sentence of the same passages in place of one of its own.
fn borrowed(said: &Said) -> Vec<String> {
    let own: Vec<String> = amounts(&said.text).into_iter().map(|amount| amount.shown).collect();
    let others = said.passages.iter().flat_map(|(_, text)| amounts(text));
    let others: BTreeSet<String> = others.map(|amount| amount.shown).filter(|shown| !own.contains(shown)).collect();
    let unit = |shown: &str| shown.split_once(' ').map(|(_, unit)| unit.to_owned());
    let swapped = own.iter().filter(|shown| said.text.contains(*shown)).flat_map(|shown| {
        let same = others.iter().filter(|other| unit(other).is_some() && unit(other) == unit(shown));
        same.map(|other| said.text.replacen(shown.as_str(), other, 1))
    });
    swapped.collect()
}

/// A clause that no source has.
fn added(text: &str) -> Vec<String> {
    const CLAUSES: [&str; 4] = [
        "is safe in pregnancy",
        "is recommended in children",
        "should be avoided in renal impairment",
        "is always effective",
    ];
    let end = text.trim_end_matches('.');
    CLAUSES.iter().map(|clause| format!("{end} and {clause}.")).collect()
}

fn denial(text: &str) -> Vec<String> {
    planted(text, |word| match word {
        "not" | "never" | "no" => Some(String::new()),
        "contraindicated" => Some("indicated".to_owned()),
        _ => None,
    })
}

fn direction(text: &str) -> Vec<String> {
    const TURNS: [(&str, &str); 18] = [
        ("after", "before"),
        ("avoided", "recommended"),
        ("before", "after"),
        ("less", "more"),
        ("more", "less"),
        ("over", "under"),
        ("above", "below"),
        ("below", "above"),
        ("decrease", "increase"),
        ("high", "low"),
        ("higher", "lower"),
        ("increase", "decrease"),
        ("increases", "decreases"),
        ("low", "high"),
        ("lower", "higher"),
        ("lowers", "raises"),
        ("raises", "lowers"),
        ("reduces", "increases"),
    ];
    planted(text, |word| Some(TURNS.iter().find(|(from, _)| *from == word)?.1.to_owned()))
}

/// Another entry of the corpus in place of one that a sentence names.
fn name(text: &str) -> Vec<String> {
    const NAMES: [&str; 12] = [
        "allopurinol",
        "apixaban",
        "aspirin",
        "atorvastatin",
        "levothyroxine",
        "lithium",
        "metformin",
        "methimazole",
        "methotrexate",
        "prednisolone",
        "sertraline",
        "warfarin",
    ];
    planted(text, |word| {
        let place = NAMES.iter().position(|name| word.eq_ignore_ascii_case(name))?;
        Some(NAMES[(place + 5) % NAMES.len()].to_owned())
    })
}

#[test]
fn planted_errors_are_found_and_answers_are_left_alone() {
    let said = answers();
    let false_alarms = said.iter().filter(|one| is_found(&one.text, one)).count() as f64 / said.len() as f64;
    let mut total = 0;
    let mut found = |kind: &str, plant: &dyn Fn(&Said) -> Vec<String>| {
        let planted: Vec<_> = said.iter().flat_map(|one| plant(one).into_iter().map(move |text| (text, one))).collect();
        let found = planted.iter().filter(|(text, one)| is_found(text, one)).count();
        for (text, _) in planted.iter().filter(|(text, one)| !is_found(text, one)) {
            println!("{kind}, not found: {text}");
        }
        println!("{kind}: {found} of {}", planted.len());
        total += planted.len();
        found as f64 / planted.len() as f64
    };
    let shares = [
        found("number", &|one| number(&one.text)),
        found("number of another sentence", &borrowed),
        found("denial", &|one| denial(&one.text)),
        found("direction", &|one| direction(&one.text)),
        found("name", &|one| name(&one.text)),
        found("claim that nobody made", &|one| added(&one.text)),
    ];
    println!("false alarms: {false_alarms:.3} of {}", said.len());
    assert!(total >= 200, "{total} planted");
    assert!(false_alarms <= 0.05, "{false_alarms}");
    let least = [0.98, 0.95, 0.8, 0.8, 0.9, 0.98];
    assert!(shares.iter().zip(least).all(|(share, least)| *share >= least), "{shares:?}");
}
