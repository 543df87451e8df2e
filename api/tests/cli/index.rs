//! Building, verifying, switching and losing snapshots.

use std::fs;

use crate::harness::{Home, path};

#[test]
fn without_an_index_the_next_command_is_named() {
    let home = Home::new();
    let file = home.write("trials.jsonl", crate::harness::TRIALS);
    home.succeed(&["corpus", "add", path(&file)]);
    for args in [["search", "zolmarin"], ["ask", "What is zolmarin?"], ["index", "verify"]] {
        assert!(home.fail(&args).contains("index build"), "{args:?}");
    }
}

#[test]
fn snapshots_come_go_and_come_back() {
    let home = Home::with_trials();
    let first = home.json(&["index", "list"])[0]["manifest"]["id"].as_str().unwrap().to_owned();
    let more = home.write("more.jsonl", "{\"id\":\"t4\",\"text\":\"Tolvaprin shortens colds.\"}\n");
    home.succeed(&["corpus", "add", path(&more)]);
    home.succeed(&["index", "add"]);
    assert_eq!(home.json(&["search", "tolvaprin", "--arm", "lexical"]).len(), 1);
    home.succeed(&["index", "verify"]);
    home.succeed(&["index", "rollback"]);
    home.expect(&["search", "tolvaprin", "--arm", "lexical"], 1);
    let listed = home.json(&["index", "list"]);
    let current = listed.iter().find(|row| row["current"] == true).unwrap();
    assert_eq!(current["manifest"]["id"], first.as_str());
    home.succeed(&["index", "gc", "--keep", "0"]);
    assert_eq!(home.json(&["index", "list"]).len(), 1, "the one that serves stays");
    home.succeed(&["search", "zolmarin"]);
}

#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let home = Home::with_trials();
    let snapshot = current(&home);
    let mut files = Vec::new();
    collect(&snapshot, &mut files);
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        if whole.is_empty() {
            continue;
        }
        for place in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&file, bytes).unwrap();
            let error = home.fail(&["search", "zolmarin"]);
            assert!(error.contains("anamnesis index"), "{} at {place}: {error}", file.display());
        }
        fs::write(&file, whole).unwrap();
    }
    home.succeed(&["search", "zolmarin"]);
}

#[test]
fn another_encoder_is_refused_with_the_command_that_mends_it() {
    let home = Home::with_trials();
    let manifest = current(&home).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"static\""), "{text}");
    let error = home.fail(&["index", "build", "--encoder", "/nowhere/model"]);
    assert!(error.contains("/nowhere/model"), "{error}");
    home.succeed(&["index", "build", "--encoder", "none"]);
    assert!(home.fail(&["search", "zolmarin", "--arm", "vector"]).contains("index build --encoder"));
    home.succeed(&["search", "zolmarin"]);
}

fn current(home: &Home) -> std::path::PathBuf {
    let snapshots = home.path().join("snapshots");
    let id = fs::read_to_string(snapshots.join("CURRENT")).unwrap();
    snapshots.join(id.trim())
}

fn collect(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
