//! Pairs from episodes as a run keeps them.

use agent::trace::Author;
use serde_json::json;

use super::*;
use crate::data::{Rules, Text};
use crate::recipe::{Duplicates, Overlong};
use crate::{Preferences, task::lookup, testing};

/// The lines of two steps of a run of GRPO on a small task.
fn run(folder: &Path) -> PathBuf {
    let task = folder.join("task");
    let size = lookup::Size { train: 4, ..testing::LOOKUP };
    lookup::init(&task, 3, size).unwrap();
    let sets = [
        "rollout.steps=2",
        "rollout.questions=4",
        "rollout.group=6",
        "rollout.temperature=2.0",
        "run.evaluate_every=0",
    ];
    let mut recipe =
        crate::Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &sets.map(str::to_owned)).unwrap();
    (recipe.model.path, recipe.model.learn) = (task.join("model"), crate::recipe::Learn::Adapter);
    recipe.data.train = vec![task.join("questions-train.jsonl")];
    recipe.data.documents = Some(task.join("formulary.jsonl"));
    (recipe.rollout.budget.turns, recipe.rollout.budget.generated_tokens) = (1, 12);
    let plan = recipe.plan(Path::new("a.toml")).unwrap();
    let out = folder.join("run");
    crate::stages::grpo::grpo(&plan, &out, false, &|| jiff::Timestamp::UNIX_EPOCH, &mut |_| {}).unwrap();
    out
}

/// Gives the episodes of every group these rewards; the time of one without was over.
fn reward(run: &Path, rewards: [Option<f64>; 6]) {
    for file in episodes(run).unwrap() {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().enumerate().map(|(number, line)| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["is_masked"] = json!(rewards[number % 6].is_none());
            line["reward"]["total"] = json!(rewards[number % 6].unwrap_or(9.0));
            format!("{line}\n")
        });
        let lines: String = lines.collect();
        fs::write(&file, lines).unwrap();
    }
}

#[test]
fn the_best_and_the_worst_of_a_question_make_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let (train, heldout) = (folder.path().join("pairs.jsonl"), folder.path().join("heldout.jsonl"));
    let choice = Choice { margin: 0.5, share: 0.5 };
    reward(&run, [None, Some(0.2), Some(1.0), Some(-0.5), Some(1.0), Some(0.0)]);
    let written = pairs(&run, &train, Some(&heldout), choice).unwrap();
    assert_eq!((written.groups, written.train + written.heldout), (8, 8));
    assert!(written.train > 0 && written.heldout > 0, "{written:?}");
    let asked = |path: &Path| -> std::collections::BTreeSet<String> {
        let text = fs::read_to_string(path).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["question"].to_string();
        text.lines().map(line).collect()
    };
    assert!(asked(&train).is_disjoint(&asked(&heldout)));

    // What is written is read, and is what the policy saw and wrote.
    let text = Text::open(&folder.path().join("task/model")).unwrap();
    let rules = Rules { max_tokens: 4096, overlong: Overlong::Refuse, duplicates: Duplicates::Keep };
    let read = Preferences::read(std::slice::from_ref(&train), &text, rules).unwrap();
    assert_eq!(read.pairs.len(), written.train);
    let first = &groups(&episodes(&run).unwrap()[0]).unwrap()[0];
    let of = |number: usize| first[number].trace.sequence().unwrap();
    let all = [Preferences::read(&[heldout], &text, rules).unwrap().pairs, read.pairs].concat();
    assert!(all.iter().any(|pair| {
        (pair.chosen.ids.clone(), pair.chosen.mask.clone()) == of(2)
            && (pair.rejected.ids.clone(), pair.rejected.mask.clone()) == of(3)
    }));
    assert!(first[2].trace.segments.iter().any(|segment| segment.author == Author::Policy));
}

#[test]
fn what_makes_no_pair_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pairs.jsonl");
    let refused = |run: &Path, choice: Choice| pairs(run, &out, None, choice).unwrap_err().to_string();
    let choice = Choice { margin: 0.5, share: 0.1 };
    assert!(refused(folder.path(), choice).contains("has no episodes"));
    for (choice, said) in [
        (Choice { margin: 0.0, ..choice }, "a margin of 0"),
        (Choice { margin: f64::NAN, ..choice }, "a margin of NaN"),
        (Choice { share: 1.0, ..choice }, "a held-out share of 1"),
    ] {
        assert!(refused(folder.path(), choice).contains(said));
    }
    let run = run(folder.path());
    reward(&run, [None, Some(0.2), Some(0.3), Some(0.1), Some(0.3), Some(0.3)]);
    assert!(refused(&run, choice).contains("no two episodes of a question are 0.5 apart: lower --margin"));
    assert!(!out.is_file());
    let file = &episodes(&run).unwrap()[1];
    fs::write(file, "{}\n").unwrap();
    assert!(refused(&run, choice).contains("step-00000002.jsonl:1: is no episode"));
}
