//! The lookup recipe learns by reinforcement: as it is shipped, but for fewer steps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/lookup.toml");

/// What the binary prints as JSON.
fn printed(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::cargo_bin("anamnesis-train").unwrap();
    let output = command.current_dir(folder).args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn questions_without_demonstrations_teach_what_demonstrations_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let short = ["stage.grpo.rollout.steps=200", "run.evaluate_every=0", "run.seed=5"];
    let recipe = ["grpo", "--recipe", RECIPE, "--out", "run"].into_iter();
    let arguments: Vec<&str> = recipe.chain(short.iter().flat_map(|set| ["--set", set])).collect();
    printed(folder, &arguments);

    let shown = printed(folder, &["show", "run"]);
    let exact = |phase: &str| shown["heldout"][phase]["exact_match"].as_f64().unwrap();
    let (before, warm, learnt) = (exact("before"), exact("after_demonstrations"), exact("after_grpo"));
    assert_eq!(before, 0.0, "a random policy answers nothing");
    assert!(warm > 0.2 && learnt > warm + 0.05 && learnt > 0.5, "{warm} after the warm start, {learnt} after grpo");

    // What was learnt is to look things up: the answers are nowhere in the weights.
    let chance =
        printed(folder, &["lookup", "eval", "run/task", "--model", "run/stages/04-grpo/outcome", "--shuffled"]);
    let chance = chance["rows"][0]["measures"]["exact_match"]["value"].as_f64().unwrap();
    assert!(chance < 0.05, "{chance} with a shuffled retriever");
}
