//! The commands of the binary, end to end.

use std::fs;

use crate::run;

#[test]
fn from_a_new_recipe_to_an_exported_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    nn::init(nn::Shape::Tiny, 5, &folder.join("models/tiny"), &mut |_, _| {}).unwrap();
    let (code, out, _) = run(folder, &["init", "recipe.toml"]);
    assert!(code == 0 && out.contains("next: anamnesis-train sft"), "{out}");
    let (code, _, err) = run(folder, &["init", "recipe.toml"]);
    assert!(code == 2 && err.contains("cannot write recipe.toml"), "{err}");

    let (code, _, err) = run(folder, &["sft", "--recipe", "recipe.toml", "--out", "run"]);
    assert!(code == 2 && err.contains("data.train: there is no file") && err.contains("train.jsonl"), "{err}");
    fs::write(folder.join("train.jsonl"), "{\"prompt\": \"a\"}\n").unwrap();
    let (code, _, err) = run(folder, &["sft", "--recipe", "recipe.toml", "--out", "run"]);
    assert!(code == 2 && err.contains("train.jsonl:1: has a `prompt` without a `completion`"), "{err}");
    assert!(!folder.join("run").is_dir());

    let records = (0..30).map(|number| format!("{{\"text\": \"drug {number} is given twice a day\"}}\n"));
    fs::write(folder.join("train.jsonl"), records.collect::<String>()).unwrap();
    for preset in ["curriculum", "lookup"] {
        let (code, out, err) = run(folder, &["init", preset, "--preset", preset]);
        assert!(code == 0 && out.contains("next: anamnesis-train "), "{out}{err}");
    }
    assert!(fs::read_to_string(folder.join("curriculum")).unwrap().contains("medmcqa"));
    assert_eq!(run(folder, &["init", "other.toml", "--preset", "none"]).0, 2);
    let (code, out, err) = run(
        folder,
        &["sft", "--recipe", "recipe.toml", "--out", "run", "--set", "sft.epochs=2", "--set", "model.rank=4"],
    );
    assert!(code == 0 && out.contains("last loss") && out.contains("next: anamnesis-train export run"), "{out}{err}");
    assert!(fs::read_to_string(folder.join("run/config.toml")).unwrap().contains("rank = 4"));

    let (code, out, _) = run(folder, &["show", "run", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && shown["stage"] == "sft" && shown["is_done"] == true, "{out}");
    let (code, out, _) = run(folder, &["show", "run", "run"]);
    assert!(code == 0 && out.lines().next().unwrap().split_whitespace().eq(["run", "run"]), "{out}");
    assert_eq!(run(folder, &["show", "nowhere"]).0, 2);

    assert_eq!(run(folder, &["export", "run", "adapter"]).0, 0);
    assert_eq!(nn::Adapter::open(&folder.join("adapter")).unwrap().rank(), 4);
    assert_eq!(run(folder, &["export", "run", "whole", "--merged", "--checkpoint", "last"]).0, 0);
    nn::Decoder::load(&folder.join("whole"), nn::Device::cpu()).unwrap();
    let (code, _, err) = run(folder, &["export", "run", "adapter"]);
    assert!(code == 2 && err.contains("exists already"), "{err}");
}
