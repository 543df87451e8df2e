//! The lookup recipe learns by reinforcement: as it is shipped, but for fewer steps.

use std::path::Path;

use serde_json::Value;

use crate::run;

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/lookup.toml");

/// What the binary prints as JSON.
fn printed(folder: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = run(folder, &[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn questions_without_demonstrations_teach_what_demonstrations_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let recipe = ["grpo", "--recipe", RECIPE, "--out", "run", "--set", "run.seed=5"];
    let short = ["--set", "stage.grpo.rollout.steps=150", "--set", "run.evaluate_every=0"];
    printed(folder, &[&recipe[..], &short].concat());

    let shown = printed(folder, &["show", "run"]);
    let exact = |phase: &str| shown["heldout"][phase]["exact_match"].as_f64().unwrap();
    let (before, warm, learnt) = (exact("before"), exact("after_demonstrations"), exact("after_grpo"));
    assert_eq!(before, 0.0, "a random policy answers nothing");
    assert!(warm > 0.1 && learnt > warm + 0.1, "{warm} after the warm start, {learnt} after grpo");

    // What was learnt is to look things up: the answers are nowhere in the weights.
    let outcome = "run/stages/04-grpo/outcome";
    let chance = printed(folder, &["lookup", "eval", "run/task", "--model", outcome, "--shuffled"]);
    let chance = chance["rows"][0]["measures"]["exact_match"]["value"].as_f64().unwrap();
    assert!(chance < 0.05, "{chance} with a shuffled retriever");
}
