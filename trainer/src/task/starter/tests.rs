//! The folder of the starter task: a home that answers, and lessons that anybody can check.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use agent::policy::Scripted;
use nn::Tokenizer;
use retriever::{Query, Retrieve};
use tempfile::TempDir;

use super::*;
use crate::data::question::questions;
use crate::evaluation::{Exam, ask};
use crate::recipe::{Learn, Recipe};
use crate::reward::Rewards;
use crate::rollout::Cached;
use crate::{Kind, Sample, stages};

fn folder() -> &'static Path {
    static FOLDER: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, dir) = FOLDER.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("task");
        let size = Size { vocabulary: 600, width: 32, layers: 1, copying: 20, reading: 60 };
        let written = init(&dir, 3, &size).unwrap();
        assert_eq!((written.train, written.heldout, written.reading), (87, 87, 60));
        assert!(written.demonstrations >= 60, "{written:?}");
        (home, dir)
    });
    dir
}

fn samples(name: &str) -> Vec<Sample> {
    let text = fs::read_to_string(folder().join("warm").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_home_finds_what_questions_are_about() {
    let home = Home::open(&folder().join("home")).unwrap();
    let heldout = questions(&folder().join("questions-heldout.jsonl")).unwrap();
    let found = heldout.iter().filter(|question| {
        let hits = home.retriever().retrieve(&Query { k: 2, ..Query::new(question.question.as_str()) }).unwrap();
        hits.iter().any(|hit| question.documents.iter().any(|key| key == hit.document.key()))
    });
    let found = found.count();
    assert!(found * 10 >= heldout.len() * 9, "{found} of {}", heldout.len());
    let train = questions(&folder().join("questions-train.jsonl")).unwrap();
    assert!(train.iter().all(|question| heldout.iter().all(|other| other.id != question.id)));
}

#[test]
fn what_is_learnt_was_found_and_is_cited() {
    let tokenizer = Tokenizer::open(&folder().join("model")).unwrap();
    let pieces = tokenizer.pieces();
    for name in ["reading.jsonl", "demonstrations.jsonl"] {
        for sample in samples(name) {
            sample.check().unwrap();
            let whole = pieces.decode(&sample.ids);
            let learnt: Vec<u32> =
                sample.ids.iter().zip(&sample.mask).filter(|(_, learnt)| **learnt).map(|(id, _)| *id).collect();
            let written = pieces.decode(&learnt);
            assert!(written.starts_with("<search>") && written.ends_with("]</answer>"), "{written}");
            assert!(!written.contains("information"), "{written}");
            let (_, answer) = written.split_once("<answer> ").unwrap();
            let quote = answer.split(" [E").next().unwrap();
            let (before, _) = whole.split_once("<answer>").unwrap();
            assert!(before.contains(quote), "{quote} is not in {before}");
        }
    }
    assert!(samples("demonstrations.jsonl").iter().any(|sample| pieces.decode(&sample.ids).contains("[E3]")));
}

#[test]
fn the_same_seed_gives_the_same_task() {
    let again = folder().with_file_name("again");
    init(&again, 3, &Size { vocabulary: 600, width: 32, layers: 1, copying: 20, reading: 60 }).unwrap();
    for file in ["questions-train.jsonl", "warm/copying.jsonl", "warm/reading.jsonl", "warm/demonstrations.jsonl"] {
        assert_eq!(fs::read(folder().join(file)).unwrap(), fs::read(again.join(file)).unwrap(), "{file}");
    }
    for file in ["model/model.safetensors", "model/tokenizer.json"] {
        assert!(fs::read(folder().join(file)).unwrap() == fs::read(again.join(file)).unwrap(), "{file}");
    }
    let refused = |size: Size| init(&again.with_file_name("x"), 3, &size).unwrap_err().to_string();
    assert!(refused(Size { width: 33, ..Size::default() }).contains("task.width"));
    assert!(refused(Size { vocabulary: 10, ..Size::default() }).contains("task.vocabulary"));
    assert!(!again.with_file_name("x").is_dir());
}

#[test]
fn a_corpus_that_changed_since_it_was_indexed_is_refused() {
    let dir = folder().with_file_name("changed");
    drop(home(&dir).unwrap());
    let mut store = Store::open(&dir.join("corpus.db")).unwrap();
    let id = store.resolve("metoprolol").unwrap().remove(0);
    store.remove(&[id], "a test").unwrap();
    drop(store);
    let error = Home::open(&dir).err().unwrap().to_string();
    assert!(error.contains("has changed since") && error.contains("anamnesis index build"), "{error}");
}

#[test]
fn episodes_on_many_threads_find_what_one_finds() {
    let home = Home::open(&folder().join("home")).unwrap();
    let questions = questions(&folder().join("questions-heldout.jsonl")).unwrap()[..24].to_vec();
    let policy = Scripted::new([
        "<search>metformin dose\nwarfarin</search>",
        "<search>lithium</search>",
        "<answer>No. [E1]</answer>",
    ]);
    let rewards = Rewards::default();
    let traces = |at_once: usize, cached: &Cached<'_>| {
        let exam = Exam {
            policy: &policy,
            retriever: cached,
            query: &Query::new(""),
            budget: Budget { queries_per_turn: 2, ..BUDGET },
            profile: agent::protocol::Profile::default(),
            at_once,
            seed: 1,
            score: &|episodes| rewards.score(episodes),
            clock: &|| Duration::ZERO,
        };
        ask(&exam, &questions).unwrap()
    };
    let (alone, together) = (Cached::new(home.retriever(), 1_000), Cached::new(home.retriever(), 1_000));
    let (one, many) = (traces(1, &alone), traces(16, &together));
    assert_eq!(one, many);
    assert!(one.iter().all(|asked| asked.trace.searches.len() == 3 && !asked.trace.ledger.entries().is_empty()));
    // Three queries were asked of the index once, or by several threads before the first knew.
    assert_eq!(alone.counts(), (72, 69));
    assert!(together.counts().1 >= 72 - 3 * 16);
}

#[test]
fn a_run_stands_on_one_index() {
    let dir = folder().with_file_name("run-task");
    init(&dir, 3, &Size { vocabulary: 600, width: 32, layers: 1, copying: 5, reading: 5 }).unwrap();
    let mut recipe = Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap();
    (recipe.model.path, recipe.model.learn) = (dir.join("model"), Learn::All);
    (recipe.data.train, recipe.data.home) = (vec![dir.join("questions-train.jsonl")], Some(dir.join("home")));
    (recipe.rollout.steps, recipe.rollout.questions, recipe.rollout.group) = (2, 2, 2);
    recipe.rollout.budget = Budget { generated_tokens: 12, ..BUDGET };
    recipe.run.evaluate_every = 0;
    let run = |name: &str, resume: bool, steps: u64| {
        let mut recipe = recipe.clone();
        recipe.rollout.steps = steps;
        let plan = recipe.plan(Path::new("a.toml")).unwrap();
        let now = || jiff::Timestamp::UNIX_EPOCH;
        stages::run(Kind::Grpo, &plan, &dir.join(name), resume, &now, &mut |_| {}).map(|state| state.step)
    };
    assert_eq!((run("one", false, 2).unwrap(), run("two", false, 2).unwrap()), (2, 2));
    let traces = |name: &str| fs::read_to_string(dir.join(name).join("traces/step-00000002.jsonl")).unwrap();
    assert_eq!(traces("one"), traces("two"));

    // The same corpus, indexed without vectors: another index.
    let store = Store::open(&dir.join("home/corpus.db")).unwrap();
    let created = jiff::Timestamp::from_second(60).unwrap();
    let settings = Settings { created, place: "", vectors: VectorKind::Auto, cache: None };
    build(&store, &Snapshots::new(&dir.join("home/snapshots")), None, &settings, &mut |_| {}).unwrap();
    let error = run("one", true, 2).unwrap_err().to_string();
    assert!(error.contains("have changed since the run began"), "{error}");
}
