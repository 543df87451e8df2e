//! A small world of trials: what is written fits together, shows where it was found, and bad worlds are refused.

use std::sync::OnceLock;

use corpus::reader::Record;
use corpus::{Document, DocumentId, Store};
use indexes::{Snapshots, VectorKind};
use nn::Tokenizer;
use retriever::indexing::{Settings, build};
use tempfile::TempDir;

use super::*;
use crate::data::question::{Gold, questions};

/// Reports of so many trials, every third one held out, each with a passage that tells the result and one that does not.
const TRIALS: usize = 12;

fn drug(number: usize) -> String {
    let letter = |at: usize| char::from(b'a' + (at % 26) as u8);
    format!("{}{}mab", letter(number * 7 + 3), letter(number * 11 + 5))
}

fn result(number: usize) -> (&'static str, String) {
    let outcome = ["pain", "weight", "sleep"][number % 3];
    let drug = drug(number);
    match number % 3 {
        0 => ("significantly decreased", format!("The {outcome} score was lower with {drug} than placebo (P = 0.01).")),
        1 => ("significantly increased", format!("Gains in {outcome} were greater with {drug} (P < 0.001).")),
        _ => ("no significant difference", format!("No difference in {outcome} between {drug} and placebo (P = 0.6).")),
    }
}

fn passages() -> Vec<Document> {
    let of = |number: usize| {
        let (drug, (_, result)) = (drug(number), result(number));
        let plain = |part: &str, text: String| {
            let id = DocumentId::new("pmc", &format!("PMC{number}#{part}"));
            Document::plain(id, &format!("A randomised trial of {drug}"), &text)
        };
        [
            plain(
                "abs",
                format!("We studied {drug} in ninety patients. {result} Adverse events were rare in both arms."),
            ),
            plain(
                "0",
                "Chronic disease is common in many countries. Its treatment is costly and burdens patients.".into(),
            ),
        ]
    };
    (0..TRIALS).flat_map(of).collect()
}

fn row(number: usize) -> String {
    let (label, result) = result(number);
    let outcome = ["pain", "weight", "sleep"][number % 3];
    let split = if number % 4 == 3 { "validation" } else { "train" };
    let drug = drug(number);
    serde_json::json!({
        "prompt_id": number.to_string(), "split": split, "intervention": drug, "comparator": "placebo",
        "outcome": outcome, "question": trial::question(&drug, "placebo", outcome), "label": label,
        "unanimous": true,
        "evidence": [{ "text": result, "passages": [format!("PMC{number}#abs")], "start": "1" }],
    })
    .to_string()
}

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let mut store = Store::open(&home.join("corpus.db")).unwrap();
        let records = passages().into_iter().map(|document| Ok(Record::Document(Box::new(document))));
        store.ingest("trials", records, &mut |_| {}).unwrap();
        let settings =
            Settings { created: jiff::Timestamp::UNIX_EPOCH, place: "", vectors: VectorKind::Auto, cache: None };
        build(&store, &Snapshots::new(&home.join("snapshots")), None, &settings, &mut |_| {}).unwrap();
        let rows: Vec<_> = (0..TRIALS).map(row).collect();
        fs::write(folder.path().join("trials.jsonl"), rows.join("\n")).unwrap();
        Self { folder }
    }

    fn size(&self) -> Size {
        let at = |name: &str| self.folder.path().join(name);
        let size = Size::new(at("home"), at("trials.jsonl"));
        Size { vocabulary: 400, width: 32, layers: 1, copying: 10, reading: 20, ..size }
    }
}

fn task() -> &'static Path {
    static TASK: OnceLock<(World, PathBuf)> = OnceLock::new();
    let (_, dir) = TASK.get_or_init(|| {
        let world = World::new();
        let dir = world.folder.path().join("task");
        let written = init(&dir, 3, &world.size()).unwrap();
        assert_eq!((written.train, written.heldout, written.demonstrations), (9, 3, 9));
        (world, dir)
    });
    dir
}

fn samples(name: &str) -> Vec<Sample> {
    let text = fs::read_to_string(task().join("warm").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn questions_hold_their_effect_and_their_passages() {
    let train = questions(&task().join("questions-train.jsonl")).unwrap();
    let heldout = questions(&task().join("questions-heldout.jsonl")).unwrap();
    assert_eq!((train.len(), heldout.len()), (9, 3));
    let Gold::Choice { letter, options } = &train[2].gold else { panic!("{:?}", train[2]) };
    assert_eq!((*letter, options[2].as_str()), ('C', "no significant difference"));
    assert_eq!(train[2].documents, ["PMC2#abs"]);
    assert_eq!(Effect::ALL.map(Effect::conclusion)[2], "No significant difference.");
}

#[test]
fn demonstrations_quote_what_they_found_and_conclude() {
    let tokenizer = Tokenizer::open(&task().join("model")).unwrap();
    let pieces = tokenizer.pieces();
    for name in ["spans.jsonl", "demonstrations.jsonl"] {
        let samples = samples(name);
        assert_eq!(samples.len(), 9, "{name}");
        for (sample, number) in samples.iter().zip((0..TRIALS).filter(|number| number % 4 != 3)) {
            let own = |learnt: bool| {
                let part = sample.ids.iter().zip(&sample.mask).filter(|(_, mask)| **mask == learnt);
                pieces.decode(&part.map(|(id, _)| *id).collect::<Vec<_>>())
            };
            let ((label, result), written) = (result(number), own(true));
            let (_, answer) = written.split_once("<answer> ").unwrap();
            let (quote, _) = answer.split_once(" [E1]").unwrap();
            assert!(own(false).contains(&result) && result.ends_with(quote) && quote.len() > 9, "{written}");
            assert!(written.to_lowercase().ends_with(&format!("[e1] {label}. [e1]</answer>")), "{written}");
        }
    }
    for sample in samples("closed.jsonl") {
        let text = pieces.decode(&sample.ids);
        assert!(!text.contains("<search>") && text.contains("Search is over."), "{text}");
    }
    // No report that is measured by is read.
    let reading: String = samples("reading.jsonl").iter().map(|sample| pieces.decode(&sample.ids)).collect();
    assert!(reading.contains("patients") && !reading.contains(&format!("We studied {}", drug(3))));
}

#[test]
fn wordings_are_told_apart() {
    let text = fs::read_to_string(task().join("wordings.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found.as_array().unwrap().len(), Wording::ALL.len());
    assert_eq!(found[3]["wording"], "result");
    assert!(found[2]["train"].as_f64().unwrap() > 0.9, "{text}");
    let query = |wording: Wording| wording.query("What?", "a", "b", "c");
    assert_eq!(Wording::ALL.map(query), ["What?", "a b c", "a c", "a c significant difference"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let world = World::new();
    let again = world.folder.path().join("task");
    init(&again, 3, &world.size()).unwrap();
    for file in [
        "questions-train.jsonl",
        "warm/copying.jsonl",
        "warm/reading.jsonl",
        "warm/spans.jsonl",
        "warm/demonstrations.jsonl",
        "warm/closed.jsonl",
        "model/tokenizer.json",
        "model/model.safetensors",
    ] {
        assert!(fs::read(task().join(file)).unwrap() == fs::read(again.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn a_world_that_cannot_be_is_refused_before_anything_is_written() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let refused = |size: &Size| {
        let error = init(&out, 1, size).unwrap_err().to_string();
        assert!(!out.is_dir());
        error
    };
    let trials = world.folder.path().join("bad.jsonl");
    let good = row(0);
    for (line, said) in [
        (good.clone(), "`0` is there twice"),
        (row(1).replace("significantly increased", "rather good"), "is no question on a trial"),
        (row(1).replace("\"placebo\"", "\" \""), "is empty"),
        ("[".to_owned(), "bad.jsonl:2"),
    ] {
        fs::write(&trials, format!("{good}\n{line}\n")).unwrap();
        let error = refused(&Size { trials: trials.clone(), ..world.size() });
        assert!(error.contains(said), "{error}");
    }
    fs::write(&trials, format!("{good}\n")).unwrap();
    assert!(refused(&Size { trials: trials.clone(), ..world.size() }).contains("`validation`"));
    let elsewhere: Vec<_> = (0..TRIALS).map(|number| row(number).replace("PMC", "NO")).collect();
    fs::write(&trials, elsewhere.join("\n")).unwrap();
    assert!(refused(&Size { trials, ..world.size() }).contains("anamnesis corpus add"));
    assert!(refused(&Size { home: world.folder.path().join("none"), ..world.size() }).contains("index build"));
    assert!(refused(&Size { layers: 0, ..world.size() }).contains("task.layers"));
    assert!(refused(&Size { reading: 0, ..world.size() }).contains("task.reading"));
}
