//! The binary, killed while it trains: what it goes on to is what it would have come to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::journal::{self, Entry};

/// A tiny random model, records and a recipe of forty steps.
fn fixture(folder: &Path) -> PathBuf {
    nn::init(nn::Shape::Tiny, 5, &folder.join("model"), &mut |_, _| {}).unwrap();
    let records = (0..200).map(|number| {
        let dose = number * 13 % 70;
        format!("{{\"prompt\": \"Dose of drug {number}?\", \"completion\": \"Take {dose} mg each day, with food.\"}}\n")
    });
    fs::write(folder.join("train.jsonl"), records.collect::<String>()).unwrap();
    let recipe = "[model]\npath = \"model\"\nlearn = \"all\"\n[data]\ntrain = [\"train.jsonl\"]\n\
                  [sft]\nmicro_tokens = 800\nepochs = 9\nmax_steps = 40\n[run]\ncheckpoint_every = 2\n";
    let path = folder.join("recipe.toml");
    fs::write(&path, recipe).unwrap();
    path
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis-train"));
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The last step that `run` told, and whether it told its end.
fn progress(run: &Path) -> (u64, bool) {
    let entries = journal::read(run).unwrap_or_default();
    let steps = entries.iter().filter(|entry| matches!(entry, Entry::Step(_)));
    (steps.map(Entry::step).max().unwrap_or(0), entries.iter().any(|entry| matches!(entry, Entry::End { .. })))
}

/// Kills the process as soon as its run has done `step` steps; tells how far it came.
fn kill_after(step: u64, run: &Path, mut child: Child) -> (u64, bool) {
    let begun = Instant::now();
    while progress(run).0 < step && begun.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    progress(run)
}

fn checkpoint(run: &Path, name: &str) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-00000040").join(name)).unwrap()
}

#[test]
fn kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder);
    let begin = |out: &str| command(folder, &["sft", "--recipe", "recipe.toml", "--out", out]);
    assert!(begin("whole").status().unwrap().success());

    let run = folder.join("killed");
    let mut reached = kill_after(3, &run, begin("killed").spawn().unwrap());
    assert!(reached.0 >= 3 && !reached.1, "killed too late: {reached:?}");
    for more in [5, 11] {
        let resumed = command(folder, &["sft", "--out", "killed", "--resume"]).spawn().unwrap();
        reached = kill_after(reached.0 + more, &run, resumed);
        assert!(!reached.1, "killed too late: {reached:?}");
    }
    assert!(command(folder, &["sft", "--out", "killed", "--resume"]).status().unwrap().success());

    let whole = folder.join("whole");
    for name in ["state.json", "optimiser.safetensors", "model/model.safetensors", "model/config.json"] {
        assert!(checkpoint(&whole, name) == checkpoint(&run, name), "{name} differs");
    }
    let losses = |run: &Path| -> Vec<(u64, Option<f64>)> {
        let entries = journal::read(run).unwrap();
        entries
            .iter()
            .filter_map(|entry| if let Entry::Step(step) = entry { Some((step.step, step.loss)) } else { None })
            .collect()
    };
    assert_eq!(losses(&whole), losses(&run));
    assert_eq!(losses(&whole).len(), 40);
}
