//! The lookup task by the binary: made, learnt from, measured.

use std::fs;

use serde_json::Value;

use crate::run;

#[test]
fn a_task_is_made_learnt_from_and_measured() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let make =
        ["lookup", "init", "task", "--drugs", "12", "--heldout", "3", "--demonstrations", "12", "--two-hop", "2"];
    let (code, out, err) = run(home, &make);
    assert!(code == 0 && out.contains("12 documents") && out.contains("3 to measure by"), "{out}{err}");
    let (code, _, err) = run(home, &make);
    assert!(code == 2 && err.contains("task exists already"), "{err}");

    let recipe = "[model]\npath = \"task/model\"\nlearn = \"all\"\n\
                  [data]\ntrain = [\"task/warm/demonstrations.jsonl\"]\n[sft]\nmax_steps = 2\nmicro_tokens = 512\n";
    fs::write(home.join("warm.toml"), recipe).unwrap();
    let (code, _, err) = run(home, &["sft", "--recipe", "warm.toml", "--out", "run"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(home, &["export", "run", "warm", "--checkpoint", "last"]);
    assert_eq!(code, 0, "{err}");
    for more in [&["--model", "warm"][..], &["--shuffled"]] {
        let (code, out, err) = run(home, &[&["lookup", "eval", "task", "--json"], more].concat());
        assert_eq!(code, 0, "{err}");
        let evaluation: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(evaluation["rows"][0]["questions"], 3, "{out}");
        assert!(evaluation["rows"][0]["measures"]["exact_match"]["value"].as_f64().unwrap() < 0.5, "{out}");
    }
    let (code, _, err) = run(home, &["lookup", "eval", "nowhere"]);
    assert!(code == 2 && err.contains("cannot read") && err.contains("nowhere"), "{err}");
}
