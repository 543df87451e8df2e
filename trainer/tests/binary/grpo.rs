//! `anamnesis-train grpo`, end to end on a small lookup task.

use std::fs;

use crate::{run, task};

/// Two steps on the lookup task, every part of which is on.
pub(crate) const RECIPE: &str = r#"
[model]
path = "task/model"
learn = "all"

[data]
train = ["task/questions-train.jsonl"]
heldout = ["task/questions-heldout.jsonl"]
documents = "task/formulary.jsonl"

[rollout]
steps = 2
questions = 2
group = 4
temperature = 2.0
top_p = 0.95
budget = { turns = 2, generated_tokens = 24 }

[reward.weights]
format = 0.5

[grpo]
scaling = "group"
kl = { coefficient = 0.01 }
"#;

#[test]
fn from_a_recipe_to_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
    let bad = ["grpo", "--recipe", "recipe.toml", "--out", "run", "--set", "rollout.group=1"];
    let (code, _, err) = run(folder, &bad);
    assert!(code == 2 && err.contains("rollout.group is 1, expected 2"), "{err}");
    let (code, out, err) = run(folder, &["grpo", "--recipe", "recipe.toml", "--out", "run"]);
    assert!(code == 0 && out.contains("last reward") && out.contains("next: anamnesis-train export"), "{out}{err}");
    let (code, out, _) = run(folder, &["show", "run", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && shown["stage"] == "grpo" && shown["step"] == 2, "{out}");
    for name in ["exact_match", "accuracy", "grounding", "search_rate"] {
        assert!(
            ["before", "after_grpo", "final"].iter().all(|phase| shown["heldout"][phase][name].is_number()),
            "{name}"
        );
    }
    let episodes = fs::read_to_string(folder.join("run/traces/step-00000002.jsonl")).unwrap();
    assert_eq!(episodes.lines().count(), 8);
    let (code, out, err) = run(folder, &["show", "run", "--episode", "3", "--step", "2"]);
    assert!(code == 0 && out.contains("episode 3 of 8, step 2") && out.contains("policy, "), "{out}{err}");
    assert!(out.contains("correctness") && out.contains(" of 24 tokens") && !out.contains('\u{1b}'), "{out}");
    let (_, out, _) = run(folder, &["show", "run", "--episode", "8", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        shown["step"] == 2
            && shown["trace"]["segments"].is_array()
            && shown["reward"]["terms"][0]["reason"].is_string()
    );
    let (code, _, err) = run(folder, &["show", "run", "--episode", "9"]);
    assert!(code == 2 && err.contains("--episode may be 1 to 8"), "{err}");
    assert_eq!(run(folder, &["grpo", "--out", "run", "--resume"]).0, 0);
    let (code, _, err) = run(folder, &["grpo", "--out", "run", "--resume", "--set", "run.seed=9"]);
    assert!(code == 2 && err.contains("begun with another recipe"), "{err}");
    assert_eq!(run(folder, &["export", "run", "learnt"]).0, 0);
    nn::Decoder::load(&folder.join("learnt"), nn::Device::cpu()).unwrap();
}

#[test]
fn a_run_that_an_alarm_put_back_goes_on_with_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
    // A model that knows nothing is never right, so that no episode is worth more than another.
    let weights = ["grounding", "citation", "format", "safety", "search_cost", "length", "repetition", "script"];
    let mut sets: Vec<String> = weights.iter().map(|name| format!("reward.weights.{name}=0")).collect();
    let small = ["steps=24", "questions=1", "group=2", "budget.turns=0", "budget.generated_tokens=8"];
    sets.extend(small.map(|set| format!("rollout.{set}")));
    sets.extend(["run.checkpoint_every=5".to_owned(), "run.evaluate_every=0".to_owned()]);
    let mut args = vec!["grpo", "--recipe", "recipe.toml", "--out", "run"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let (code, _, err) = run(folder, &args);
    assert!(code == 2 && err.contains("stopped at step 20") && err.contains("put back to"), "{err}");
    let steps = |run: &str| {
        let mut names: Vec<_> = fs::read_dir(folder.join(run).join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(steps("run"), ["step-00000015"]);
    let (code, _, err) = run(folder, &["grpo", "--out", "run", "--resume"]);
    assert!(code == 2 && err.contains("would end there again"), "{err}");
    let (code, _, err) = run(folder, &["grpo", "--out", "run", "--resume", "--set", "rollout.steps=18"]);
    assert!(code == 0 && err.contains("went back from step 20 to step 15"), "{err}");
}
