//! The folder of the task: what is in it fits together, and is the same each time.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::*;
use crate::Sample;
use crate::data::question::{Gold, questions};

const SIZE: Size = Size {
    drugs: 40,
    train: 60,
    heldout: 30,
    editions: 2,
    demonstrations: 30,
    two_hop: 10,
    copying: 50,
    retelling: 90,
};

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    static PATH: OnceLock<std::path::PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let home = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
        let dir = home.path().join("lookup");
        let written = init(&dir, 7, SIZE).unwrap();
        assert_eq!((written.documents, written.train, written.heldout, written.demonstrations), (40, 60, 30, 30));
        assert!(written.parameters < 2_000_000, "{}", written.parameters);
        dir
    })
}

fn samples(name: &str) -> Vec<Sample> {
    let text = fs::read_to_string(folder().join("warm").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::open(&folder().join("model")).unwrap()
}

#[test]
fn the_folder_is_whole_and_loads() {
    let train = questions(&folder().join("questions-train.jsonl")).unwrap();
    let heldout = questions(&folder().join("questions-heldout.jsonl")).unwrap();
    assert_eq!((train.len(), heldout.len()), (60, 30));
    assert_eq!(train.iter().filter(|question| question.hops == 2).count(), 45);
    let documents = documents(&folder().join("formulary.jsonl")).unwrap();
    assert_eq!(documents, Formulary::new(7, 0, 40).documents());
    let decoder = nn::Decoder::load(&folder().join("model"), nn::Device::cpu()).unwrap();
    tokenizer().check_vocabulary(decoder.config().vocab_size).unwrap();
    assert_eq!(decoder.config().eos_token_ids, [tokenizer().id("<|end|>").unwrap()]);
}

#[test]
fn names_are_three_tokens_and_tags_are_one() {
    let tokenizer = tokenizer();
    let pieces = tokenizer.pieces();
    let count = |text: &str| {
        let ids = tokenizer.encode_text(text).unwrap();
        assert_eq!(pieces.decode(&ids), text);
        ids.len()
    };
    assert_eq!(count("bametu"), 3 + 1, "`u` is no vowel of a name");
    assert_eq!(count("bameto"), 3);
    assert_eq!(count("<search>bameto</search>"), 5);
    assert_eq!(count("<answer>40 mg [E1]</answer>"), 7);
    assert_eq!(count("The dose of bameto is 40 mg."), 13);
    assert_eq!(count("\n\n<information>\n[E1] formulary:17 · undated · unclassified · no journal · ok\n"), 6);
    assert_eq!(count(&agent::protocol::force_final(agent::protocol::Profile::SearchR1)), 1);
    // What it was not made for can be written too, and special tokens only by themselves.
    count("Sjögren's β-blocker\t5 µg 剂量 <|user|>");
    let ids = tokenizer.encode_text("<|end|>").unwrap();
    assert!(ids.iter().all(|id| !pieces.is_special(*id)));
}

#[test]
fn demonstrations_are_perfect_episodes_on_other_editions() {
    let (demonstrations, tokenizer) = (samples("demonstrations.jsonl"), tokenizer());
    let pieces = tokenizer.pieces();
    let mut searches = [0; 3];
    for sample in &demonstrations {
        sample.check().unwrap();
        assert!(sample.tokens() < 220, "{} tokens", sample.tokens());
        let text = pieces.decode(&sample.ids);
        assert!(text.starts_with("<|user|>Question: What is the ") && text.ends_with("]</answer>"), "{text}");
        searches[text.matches("<search>").count()] += 1;
        let learnt = sample.ids.iter().zip(&sample.mask).filter(|(_, learnt)| **learnt).map(|(id, _)| *id);
        let written = pieces.decode(&learnt.collect::<Vec<_>>());
        assert!(!written.contains("information") && written.starts_with("<search>"), "{written}");
    }
    assert_eq!(searches, [0, 20, 10]);
    // No name of the edition under test is in what a policy is warmed up on.
    let formulary = Formulary::new(7, 0, 40);
    let names: Vec<_> = (0..40).map(|number| formulary.drug(number).unwrap().name.clone()).collect();
    for name in ["demonstrations.jsonl", "retelling.jsonl"] {
        let text: String = samples(name).iter().map(|sample| pieces.decode(&sample.ids)).collect();
        assert!(names.iter().all(|name| !text.contains(&format!(" {name}"))));
    }
}

#[test]
fn what_is_copied_is_learnt_and_nothing_else() {
    for sample in samples("copying.jsonl") {
        sample.check().unwrap();
        let half = sample.tokens() / 2 - 1;
        assert_eq!(sample.ids[1..=half], sample.ids[half + 2..sample.tokens() - 1]);
        assert_eq!(sample.learnt(), half + 1);
    }
}

#[test]
fn what_is_retold_stands_in_the_document() {
    let (retellings, tokenizer) = (samples("retelling.jsonl"), tokenizer());
    assert_eq!(retellings.len(), 90);
    let mut seen = BTreeSet::new();
    for sample in retellings {
        sample.check().unwrap();
        let text = tokenizer.pieces().decode(&sample.ids);
        let (document, told) = text.split_once("<|assistant|>").unwrap();
        let facts: Vec<&str> = told.trim_end_matches("<|end|>").split_inclusive('.').map(str::trim).collect();
        for fact in &facts {
            let (relation, value) = fact.split_once(" is ").unwrap();
            assert!(
                document.contains(&format!("{relation} of ")) && document.contains(&format!(" is {value}")),
                "{text}"
            );
        }
        assert_eq!(facts.iter().collect::<BTreeSet<_>>().len(), facts.len(), "{text}");
        let learnt = tokenizer.encode_text(told.trim_end_matches("<|end|>")).unwrap().len() + 1;
        assert_eq!(sample.learnt(), learnt, "the document is not learnt: {text}");
        assert!(seen.insert(text));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let again = folder().with_file_name("again");
    init(&again, 7, SIZE).unwrap();
    let other = folder().with_file_name("other");
    init(&other, 8, SIZE).unwrap();
    for file in [
        "formulary.jsonl",
        "questions-train.jsonl",
        "questions-heldout.jsonl",
        "warm/copying.jsonl",
        "warm/retelling.jsonl",
        "warm/demonstrations.jsonl",
        "model/model.safetensors",
    ] {
        let read = |dir: &Path| fs::read(dir.join(file)).unwrap();
        assert!(read(folder()) == read(&again), "{file}");
        assert!(read(folder()) != read(&other), "{file}");
    }
    let error = init(&again, 7, SIZE).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let refused = |size: Size| {
        let dir = home.path().join("x");
        let error = init(&dir, 1, size).unwrap_err().to_string();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{error}");
        error
    };
    assert!(refused(Size { drugs: 5_000, ..SIZE }).contains("5000 drugs"));
    assert!(refused(Size { editions: 256, ..SIZE }).contains("256 editions"));
    assert!(refused(Size { two_hop: 31, ..SIZE }).contains("two-hop"));
    assert!(refused(Size { demonstrations: 3_000, two_hop: 0, ..SIZE }).contains("only"));
    let Gold::Exact(answers) = &Formulary::new(1, 0, 10).split(1, 1).0[0].gold else { panic!() };
    assert_eq!(answers.len(), 1);
}
