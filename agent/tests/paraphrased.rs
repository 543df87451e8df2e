//! Sentences of the starter corpus told in other words, faithfully and unfaithfully: what the rules support of either.
//!
//! They were written for this project by who wrote the rules, before the rules were held against them.

use std::collections::BTreeMap;

use agent::check::{Source, look};
use agent::judge::Label;
use corpus::starter;

#[derive(serde::Deserialize)]
struct Told {
    document: String,
    faithful: String,
    unfaithful: String,
}

#[test]
fn little_is_supported_that_is_told_unfaithfully() {
    let documents: BTreeMap<_, _> = starter::documents()
        .map(|document| document.unwrap())
        .map(|document| (document.id.key().to_owned(), (document.title, document.text)))
        .collect();
    let told: Vec<Told> =
        include_str!("fixtures/paraphrases.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut verdicts = BTreeMap::new();
    for one in &told {
        let (title, text) = &documents[&one.document];
        for (kind, sentence) in [("faithful", &one.faithful), ("unfaithful", &one.unfaithful)] {
            let label = look(sentence, &[Source { title, heading: "", text }]).0.label;
            *verdicts.entry((kind, label)).or_insert(0_usize) += 1;
            if (kind == "faithful") != (label == Label::Support) && label != Label::Neutral {
                println!("{kind}, {}: {sentence}", label.name());
            }
        }
    }
    let count = |kind: &'static str, label: Label| verdicts.get(&(kind, label)).copied().unwrap_or_default();
    for kind in ["faithful", "unfaithful"] {
        let [support, contradict, neutral] = Label::ALL.map(|label| count(kind, label));
        println!("{kind}: support {support}, contradict {contradict}, neutral {neutral} of {}", told.len());
    }
    let wrong = count("unfaithful", Label::Support);
    assert!(wrong * 8 <= told.len(), "{wrong} of {} supported that are wrong", told.len());
    assert!(count("faithful", Label::Contradict) * 10 <= told.len(), "{verdicts:?}");
    assert!(count("faithful", Label::Support) > 2 * wrong, "{verdicts:?}");
}
