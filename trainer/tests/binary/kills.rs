//! Killed while it trains: what it goes on to is what it would have come to, to the byte.

use std::fs;
use std::path::Path;

use agent::journal::{self, Entry};

use crate::{kill_when, run, steps, task, write};

/// Trains once without and once with kills, each after so many steps, and compares `files` of both runs.
fn change_nothing(folder: &Path, kind: &str, recipe: &str, kills: &[u64], files: &[String]) {
    let (whole, killed) = (format!("{kind}-whole"), format!("{kind}-killed"));
    let begin = |out| [kind, "--recipe", recipe, "--out", out].map(str::to_owned);
    let resume = [kind, "--out", &killed, "--resume"];
    let (code, _, err) = run(folder, &begin(&whole).each_ref().map(String::as_str));
    assert_eq!(code, 0, "{kind}: {err}");
    for (number, kill) in kills.iter().enumerate() {
        let first = begin(&killed);
        let first = first.each_ref().map(String::as_str);
        let arguments: &[&str] = if number == 0 { &first } else { &resume };
        kill_when(folder, arguments, &|| steps(&folder.join(&killed)) >= *kill);
    }
    let (code, _, err) = run(folder, &resume);
    assert_eq!(code, 0, "{kind}: {err}");
    for name in files {
        let read = |run: &str| fs::read(folder.join(run).join(name)).unwrap();
        assert!(read(&whole) == read(&killed), "{kind}: {name} differs");
    }
}

/// What the checkpoint of a step holds: state, weights and moments, and what else there is.
fn checkpoint(step: u64, more: &[&str]) -> Vec<String> {
    let names = ["state.json", "optimiser.safetensors", "model/model.safetensors"];
    names.iter().chain(more).map(|name| format!("checkpoints/step-{step:08}/{name}")).collect()
}

#[test]
fn of_supervised_fine_tuning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    nn::init(nn::Shape::Tiny, 5, &folder.join("model"), &mut |_, _| {}).unwrap();
    let records = (0..200).map(|number| {
        let dose = number * 13 % 70;
        format!("{{\"prompt\": \"Dose of drug {number}?\", \"completion\": \"Take {dose} mg each day, with food.\"}}\n")
    });
    write(&folder.join("train.jsonl"), &records.collect::<String>());
    let recipe = "[model]\npath = \"model\"\nlearn = \"all\"\n[data]\ntrain = [\"train.jsonl\"]\n\
                  [sft]\nmicro_tokens = 800\nepochs = 9\nmax_steps = 40\n[run]\ncheckpoint_every = 2\n";
    write(&folder.join("recipe.toml"), recipe);
    change_nothing(folder, "sft", "recipe.toml", &[3, 10, 22], &checkpoint(40, &["model/config.json"]));
    let losses = |run: &str| -> Vec<(u64, Option<f64>)> {
        let entries = journal::read(&folder.join(run)).unwrap().into_iter();
        entries
            .filter_map(|entry| if let Entry::Step(step) = entry { Some((step.step, step.loss)) } else { None })
            .collect()
    };
    assert_eq!(losses("sft-whole"), losses("sft-killed"));
    assert_eq!(losses("sft-whole").len(), 40);
}

#[test]
fn of_preferences_rewards_and_ppo() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    let sample = |prompt: u32, id: u32| format!("{{\"ids\": [{prompt}, {id}], \"mask\": [false, true]}}");
    let pairs = (0..24).map(|number| {
        let (prompt, better, worse) = (20 + number, 60 + number % 5, 70 + number % 7);
        format!("{{\"chosen\": {}, \"rejected\": {}}}\n", sample(prompt, better), sample(prompt, worse))
    });
    write(&folder.join("pairs.jsonl"), &pairs.collect::<String>());
    let common = "[model]\npath = \"task/model\"\nlearn = \"all\"\n[run]\ncheckpoint_every = 2\n";
    let passes = "micro_tokens = 12\naccumulate = 2\nepochs = 4\nmax_steps = 10\n";
    let pairs = format!("{common}[data]\ntrain = [\"pairs.jsonl\"]\n[dpo]\n{passes}[reward_model]\n{passes}");
    write(&folder.join("pairs.toml"), &pairs);
    let ppo = format!(
        "{common}[data]\ntrain = [\"task/questions-train.jsonl\"]\ndocuments = \"task/formulary.jsonl\"\n\
         [rollout]\nsteps = 10\nquestions = 2\ngroup = 2\nepochs = 2\ntemperature = 2.0\nbudget = {{ turns = 1, generated_tokens = 16 }}\n\
         [reward.weights]\nformat = 0.5\n[ppo]\nminibatches = 2\nkl = {{ target = 0.01, horizon = 100.0 }}\n"
    );
    write(&folder.join("ppo.toml"), &ppo);
    change_nothing(folder, "dpo", "pairs.toml", &[5], &checkpoint(10, &[]));
    change_nothing(folder, "reward", "pairs.toml", &[5], &checkpoint(10, &["model/reward_head.safetensors"]));
    change_nothing(folder, "ppo", "ppo.toml", &[5], &checkpoint(10, &["value_head.safetensors"]));
    let state = fs::read_to_string(folder.join("ppo-whole/checkpoints/step-00000010/state.json")).unwrap();
    assert!(state.contains("\"controllers\""), "{state}");
    // A run of one kind is none of another.
    assert_eq!(run(folder, &["grpo", "--out", "ppo-whole", "--resume"]).0, 2);
    assert_eq!(run(folder, &["dpo", "--out", "reward-whole", "--resume"]).0, 2);
}

#[test]
fn of_grpo() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    let recipe = crate::grpo::RECIPE.replacen("steps = 2", "steps = 8", 1);
    write(&folder.join("recipe.toml"), &format!("{recipe}[run]\ncheckpoint_every = 2\nevaluate_every = 3\n"));
    change_nothing(folder, "grpo", "recipe.toml", &[3], &checkpoint(8, &[]));
}

#[test]
fn of_a_scorer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/tiny");
    fs::create_dir(folder.join("model")).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(tiny.join(name), folder.join("model").join(name)).unwrap();
    }
    let record = |number: usize| {
        let (label, word) = [("supports", "aspirin"), ("refutes", "insulin"), ("neutral", "heart")][number % 3];
        let split = if number < 270 { "train" } else { "dev" };
        let evidence = format!("the dose of {word} is {number} mg");
        serde_json::json!({ "claim": format!("c {number}"), "evidence": evidence, "label": label, "split": split })
            .to_string()
            + "\n"
    };
    write(&folder.join("set.jsonl"), &(0..300).map(record).collect::<String>());
    let recipe = "[model]\npath = \"model\"\nlearn = \"all\"\n[data]\ntrain = [\"set.jsonl\"]\n[scorer]\n\
                  epochs = 40\nmax_steps = 60\npairs = 30\nwindow_tokens = 40\n[optimiser]\nlearning_rate = 1e-3\n\
                  [run]\nevaluate_every = 7\ncheckpoint_every = 3\n";
    write(&folder.join("recipe.toml"), recipe);
    let files = ["scorer/model.safetensors", "scorer/scorer.json", "scorer/config.json", "results.json"];
    change_nothing(folder, "scorer", "recipe.toml", &[5, 11], &files.map(str::to_owned));
    // One that is done stays as it is.
    assert_eq!(run(folder, &["scorer", "--out", "scorer-killed", "--resume"]).0, 0);
}
