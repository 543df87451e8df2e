//! `anamnesis-train dpo`, `reward` and `ppo`, killed in the middle: what is left ends in the bytes it would have ended in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::journal::{self, Entry};
use trainer::lookup::{Size, init};

/// A small lookup task, and pairs of answers that its model can read.
fn task(folder: &Path) {
    let size =
        Size { drugs: 20, train: 5, heldout: 6, editions: 1, demonstrations: 5, two_hop: 1, copying: 5, retelling: 5 };
    init(&folder.join("task"), 3, size).unwrap();
    let sample = |prompt: u32, id: u32| format!("{{\"ids\": [{prompt}, {id}], \"mask\": [false, true]}}");
    let pairs = (0..24).map(|number| {
        let (prompt, better, worse) = (20 + number, 60 + number % 5, 70 + number % 7);
        format!("{{\"chosen\": {}, \"rejected\": {}}}\n", sample(prompt, better), sample(prompt, worse))
    });
    fs::write(folder.join("pairs.jsonl"), pairs.collect::<String>()).unwrap();
    let common = "[model]\npath = \"task/model\"\nlearn = \"all\"\n[run]\ncheckpoint_every = 2\n";
    fs::write(
        folder.join("pairs.toml"),
        format!(
            "{common}[data]\ntrain = [\"pairs.jsonl\"]\n[dpo]\nmicro_tokens = 12\naccumulate = 2\nepochs = 4\nmax_steps = 10\n\
             [reward_model]\nmicro_tokens = 12\naccumulate = 2\nepochs = 4\nmax_steps = 10\n"
        ),
    )
    .unwrap();
    fs::write(
        folder.join("ppo.toml"),
        format!(
            "{common}[data]\ntrain = [\"task/questions-train.jsonl\"]\ndocuments = \"task/formulary.jsonl\"\n\
             [rollout]\nsteps = 10\nquestions = 2\ngroup = 2\nepochs = 2\ntemperature = 2.0\nbudget = {{ turns = 1, generated_tokens = 16 }}\n\
             [reward.weights]\nformat = 0.5\n[ppo]\nminibatches = 2\nkl = {{ target = 0.01, horizon = 100.0 }}\n"
        ),
    )
    .unwrap();
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis-train"));
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn steps(run: &Path) -> u64 {
    let entries = journal::read(run).unwrap_or_default();
    entries.iter().filter(|entry| matches!(entry, Entry::Step(_))).map(Entry::step).max().unwrap_or(0)
}

fn kills_change_nothing(folder: &Path, kind: &str, recipe: &str, files: &[&str]) {
    let (whole, killed) = (format!("{kind}-whole"), format!("{kind}-killed"));
    assert!(command(folder, &[kind, "--recipe", recipe, "--out", &whole]).status().unwrap().success(), "{kind}");
    let mut child = command(folder, &[kind, "--recipe", recipe, "--out", &killed]).spawn().unwrap();
    let (run, begun) = (folder.join(&killed), Instant::now());
    while steps(&run) < 5 && begun.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!((5..10).contains(&steps(&run)), "{kind}: killed at step {}", steps(&run));
    assert!(command(folder, &[kind, "--out", &killed, "--resume"]).status().unwrap().success(), "{kind}");
    for name in files.iter().chain(&["state.json", "optimiser.safetensors", "model/model.safetensors"]) {
        let read = |run: &str| fs::read(folder.join(run).join("checkpoints/step-00000010").join(name)).unwrap();
        assert!(read(&whole) == read(&killed), "{kind}: {name} differs");
    }
}

#[test]
fn weights_moments_heads_and_controllers_are_the_same_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    kills_change_nothing(folder, "dpo", "pairs.toml", &[]);
    kills_change_nothing(folder, "reward", "pairs.toml", &["model/reward_head.safetensors"]);
    kills_change_nothing(folder, "ppo", "ppo.toml", &["value_head.safetensors"]);
    let state = fs::read_to_string(folder.join("ppo-whole/checkpoints/step-00000010/state.json")).unwrap();
    assert!(state.contains("\"controllers\""), "{state}");
    // A run of one kind is none of another.
    assert!(!command(folder, &["grpo", "--out", "ppo-whole", "--resume"]).status().unwrap().success());
    assert!(!command(folder, &["dpo", "--out", "reward-whole", "--resume"]).status().unwrap().success());
}
