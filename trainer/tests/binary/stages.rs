//! A recipe of several stages by the binary: the lookup recipe in a short form, killed wherever it may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent::journal::{self, Entry};
use serde_json::Value;

use crate::{kill_when, run, steps};

/// The recipe that is shipped, and what makes it short.
const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/lookup.toml");
const SHORT: [&str; 18] = [
    "task.drugs=20",
    "task.train=8",
    "task.heldout=6",
    "task.editions=1",
    "task.demonstrations=6",
    "task.two_hop=2",
    "task.copying=60",
    "task.retelling=60",
    "rollout.budget.generated_tokens=12",
    "rollout.budget.turns=1",
    "rollout.questions=2",
    "rollout.group=4",
    "stage.copying.sft.max_steps=4",
    "stage.retelling.sft.max_steps=4",
    "stage.demonstrations.sft.max_steps=4",
    "stage.grpo.rollout.steps=4",
    "run.checkpoint_every=2",
    "sft.micro_tokens=512",
];

fn begin<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["grpo", "--recipe", RECIPE, "--out", out];
    arguments.extend(SHORT.iter().chain(more).flat_map(|set| ["--set", set]));
    arguments
}

/// What was made, learnt and measured, by its path: everything but times.
fn made(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn gather(folder: &Path, prefix: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = prefix.join(path.file_name().unwrap());
            if path.is_dir() {
                gather(&path, &name, into);
            } else {
                into.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut made = BTreeMap::new();
    for part in ["task", "stages"] {
        gather(&run.join(part), Path::new(part), &mut made);
    }
    let is_timed = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("events.out") || name == "journal.jsonl" || path.iter().any(|part| part == "traces")
            // Names the folder of the run.
            || name == "config.toml"
    };
    made.retain(|path, _| !is_timed(path));
    made
}

fn heldout(run: &Path) -> Vec<(String, BTreeMap<String, f64>)> {
    let entries = journal::read(run).unwrap().into_iter();
    entries
        .filter_map(|entry| if let Entry::Heldout(it) = entry { Some((it.phase, it.values)) } else { None })
        .collect()
}

#[test]
fn one_command_runs_all_stages_and_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (code, out, err) = run(folder, &begin("whole", &[]));
    assert!(code == 0 && out.contains("after grpo") && out.contains("next: anamnesis-train export"), "{out}{err}");
    let whole = folder.join("whole");

    let (code, out, err) = run(folder, &["show", "whole", "--json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && shown["stage"] == "grpo" && shown["is_done"] == true, "{out}{err}");
    for phase in ["before", "after_copying", "after_retelling", "after_demonstrations", "after_grpo", "final"] {
        for name in ["exact_match", "accuracy", "grounding", "citation", "search_rate", "hit_rate", "exact_match_low"] {
            assert!(shown["heldout"][phase][name].is_number(), "{phase} {name}");
        }
    }
    assert_eq!(shown["stages"].as_array().map(Vec::len), Some(4));
    assert_eq!((&shown["steps"], &shown["stages"][3]["steps"]), (&Value::from(16), &Value::from(4)));
    let (code, out, _) = run(folder, &["show", "whole", "whole/stages/04-grpo"]);
    assert!(code == 0 && out.contains("exact_match after_demonstrations"), "{out}");
    assert_eq!(run(folder, &["export", "whole", "learnt"]).0, 0);
    nn::Decoder::load(&folder.join("learnt"), nn::Device::cpu()).unwrap();

    // Killed while the task is made, in a stage, while its outcome is taken out, after it, and in the last stage.
    let killed = folder.join("killed");
    let resume = ["grpo", "--out", "killed", "--resume"];
    kill_when(folder, &begin("killed", &[]), &|| killed.join(".task.partial").is_dir());
    assert!(!killed.join("task").is_dir() && killed.join("config.toml").is_file());
    kill_when(folder, &resume, &|| steps(&killed.join("stages/01-copying")) >= 3);
    kill_when(folder, &resume, &|| killed.join("stages/01-copying/outcome").is_dir());
    fs::rename(killed.join("stages/01-copying/outcome"), killed.join("stages/01-copying/.outcome.partial")).unwrap();
    fs::remove_file(killed.join("stages/01-copying/.outcome.partial/model.safetensors")).unwrap();
    kill_when(folder, &resume, &|| steps(&killed.join("stages/03-demonstrations")) >= 1);
    kill_when(folder, &resume, &|| steps(&killed.join("stages/04-grpo")) >= 1);
    assert_eq!(run(folder, &resume).0, 0);
    let (left, right) = (made(&whole), made(&killed));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    assert!(left.keys().any(|path| path.ends_with("04-grpo/outcome/model.safetensors")));
    for (path, bytes) in &left {
        assert!(right[path] == *bytes, "{} differs", path.display());
    }
    assert_eq!(heldout(&whole), heldout(&killed));
    assert_eq!(heldout(&whole).len(), 5);

    // A run that is done stays as it is, and is not taken for another one.
    assert_eq!(run(folder, &resume).0, 0);
    assert!(made(&killed) == right);
    let (code, _, err) = run(folder, &begin("killed", &[]));
    assert!(code == 2 && err.contains("--resume"), "{err}");
    let other = [begin("killed", &["run.seed=2"]), vec!["--resume"]].concat();
    let (code, _, err) = run(folder, &other);
    assert!(code == 2 && err.contains("another recipe"), "{err}");
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut wrong = begin("run", &[]);
    wrong[0] = "sft";
    let (code, _, err) = run(folder, &wrong);
    assert!(code == 2 && err.contains("ends with grpo"), "{err}");
    let (code, _, err) = run(folder, &begin("run", &["stage.grpo.rollout.grop=4"]));
    assert!(code == 2 && err.contains("stage `grpo`") && err.contains("grop"), "{err}");
    assert!(!folder.join("run").is_dir());
    let (code, _, err) = run(folder, &begin("run", &["stage.grpo.rollout.group=1"]));
    assert!(code == 2 && err.contains("stage `grpo`: rollout.group is 1"), "{err}");
    assert!(!folder.join("run/stages").is_dir());
    let (code, _, err) = run(
        folder,
        &begin("both", &["stage.grpo.data.train=[\"task:questions-heldout.jsonl\"]", "stage.grpo.data.heldout=[]"]),
    );
    assert!(code == 2 && err.contains("data.questions names"), "{err}");
    let (code, _, err) = run(folder, &begin("other", &["stage.grpo.data.train=[\"nowhere.jsonl\"]"]));
    assert!(code == 2 && err.contains("stage `grpo`: data.train") && err.contains("nowhere.jsonl"), "{err}");
}

#[test]
fn a_stage_that_an_alarm_put_back_goes_on_with_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A model that learnt nothing is never right, so that no episode is worth more than another.
    let weights = ["grounding", "citation", "format", "safety", "search_cost", "length", "repetition", "script"];
    let mut sets: Vec<String> = weights.iter().map(|name| format!("reward.weights.{name}=0")).collect();
    sets.extend(["steps=24", "questions=1", "group=2"].map(|set| format!("stage.grpo.rollout.{set}")));
    sets.extend(["checkpoint_every=5", "evaluate_every=0"].map(|set| format!("stage.grpo.run.{set}")));
    let args = begin("run", &sets.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, _, err) = run(folder, &args);
    assert!(code == 2 && err.contains("stopped at step 20") && err.contains("put back to"), "{err}");
    let outcome = || fs::read(folder.join("run/stages/03-demonstrations/outcome/model.safetensors")).unwrap();
    let before = outcome();
    let (code, _, err) = run(folder, &["grpo", "--out", "run", "--resume"]);
    assert!(code == 2 && err.contains("would end there again"), "{err}");
    let (code, _, err) = run(folder, &["grpo", "--out", "run", "--resume", "--set", "stage.grpo.rollout.steps=18"]);
    assert!(code == 0 && err.contains("went back from step 20 to step 15"), "{err}");
    assert!(outcome() == before);
    let config = fs::read_to_string(folder.join("run/config.toml")).unwrap();
    assert!(config.contains("steps = 18"), "{config}");
}
