//! The binary, killed while it trains a scorer: what it goes on to is the scorer that it would have come to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::journal::{self, Entry};

const RECIPE: &str = "[model]\npath = \"model\"\nlearn = \"all\"\n[data]\ntrain = [\"set.jsonl\"]\n[scorer]\n\
                      epochs = 40\nmax_steps = 60\npairs = 30\nwindow_tokens = 40\n[optimiser]\nlearning_rate = 1e-3\n\
                      [run]\nevaluate_every = 7\ncheckpoint_every = 3\n";

/// An encoder that has learnt nothing, records and a recipe of sixty steps.
fn fixture(folder: &Path) {
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
    fs::write(folder.join("set.jsonl"), (0..300).map(record).collect::<String>()).unwrap();
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis-train"));
    command.current_dir(folder).arg("scorer").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The last step that `run` told, and whether it told its end.
fn progress(run: &Path) -> (u64, bool) {
    let entries = journal::read(run).unwrap_or_default();
    let steps = entries.iter().filter(|entry| matches!(entry, Entry::Step(_)));
    (steps.map(Entry::step).max().unwrap_or(0), entries.iter().any(|entry| matches!(entry, Entry::End { .. })))
}

#[test]
fn kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder);
    assert!(command(folder, &["--recipe", "recipe.toml", "--out", "whole"]).status().unwrap().success());

    let run = folder.join("killed");
    let mut reached = 0;
    for arguments in [&["--recipe", "recipe.toml", "--out", "killed"][..], &["--out", "killed", "--resume"]] {
        let mut child = command(folder, arguments).spawn().unwrap();
        let begun = Instant::now();
        while progress(&run).0 < reached + 5 && begun.elapsed() < Duration::from_mins(1) {
            thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (step, is_done) = progress(&run);
        assert!(step >= reached + 5 && !is_done, "killed too late: {step}");
        reached = step;
    }
    assert!(command(folder, &["--out", "killed", "--resume"]).status().unwrap().success());

    for name in ["scorer/model.safetensors", "scorer/scorer.json", "scorer/config.json", "results.json"] {
        let read = |run: &str| fs::read(folder.join(run).join(name)).unwrap();
        assert!(read("whole") == read("killed"), "{name} differs");
    }
    let shown = command(folder, &["--out", "killed", "--resume"]).output().unwrap();
    assert!(shown.status.success());
}
