//! Local models: made, listed, described, tried and measured.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, path};

fn with_tiny() -> Home {
    let home = Home::new();
    home.succeed(&["model", "init", "tiny", "--shape", "tiny", "--seed", "1"]);
    home
}

/// Names in the home's models folder.
fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path().join("models")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_made_listed_and_described() {
    let home = Home::new();
    let (_, err) = home.expect(&["model", "list"], 1);
    assert!(err.contains("model init"), "{err}");
    let made = home.succeed(&["model", "init", "tiny"]);
    assert!(made.contains("models/tiny") && made.contains("next: anamnesis model bench tiny"), "{made}");
    assert!(home.fail(&["model", "init", "tiny"]).contains("exists already"));
    assert_eq!(names(&home), ["tiny"]);

    let listed = home.succeed(&["model", "list"]);
    assert!(listed.contains("tiny") && listed.contains("164k parameters"), "{listed}");
    let card = &home.json(&["model", "show", "tiny"])[0];
    assert_eq!(*card, home.json(&["model", "list"])[0]);
    for (field, value) in [("family", "llama"), ("dtype", "f32"), ("name", "tiny")] {
        assert_eq!(card[field], value);
    }
    assert_eq!((&card["chat_template"], &card["vocabulary"]), (&Value::Bool(true), &Value::from(512)));
    let dir = home.path().join("models/tiny");
    assert!(home.succeed(&["model", "show", path(&dir)]).contains("164k"));
    assert!(home.fail(&["model", "show", "large"]).contains("anamnesis model list"));
    // A language model is no encoder, and says nothing among them.
    let (_, err) = home.expect(&["encoder", "list"], 0);
    assert!(!err.contains("tiny"), "{err}");
}

#[test]
fn a_seed_decides_the_weights() {
    let home = with_tiny();
    for (name, seed) in [("same", "1"), ("other", "2")] {
        home.succeed(&["model", "init", name, "--shape", "tiny", "--seed", seed]);
    }
    let weights = |name: &str| fs::read(home.path().join("models").join(name).join("model.safetensors")).unwrap();
    assert_eq!(weights("tiny"), weights("same"));
    assert_ne!(weights("tiny"), weights("other"));
    assert!(home.fail(&["model", "init", "x", "--shape", "7b"]).contains("tiny, small, 0.5b, 1b, 8b"));
    assert!(!names(&home).contains(&"x".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_killed_init_leaves_no_model() {
    let home = Home::new();
    let hidden = home.path().join("models/.big.partial/model.safetensors");
    let program = home.command(&["model", "init", "big", "--shape", "0.5b"]);
    let mut child = Command::new(program.get_program())
        .args(program.get_args())
        .env_remove("ANAMNESIS_HOME")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !hidden.is_file() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!names(&home).contains(&"big".to_owned()), "{:?}", names(&home));
    let (_, err) = home.expect(&["model", "list"], 1);
    assert!(err.contains("killed"), "{err}");
    home.succeed(&["model", "init", "big", "--shape", "tiny"]);
    assert_eq!(names(&home), ["big"]);
}

#[test]
fn ids_and_their_text_go_on_alike() {
    let home = with_tiny();
    let run = |args: &[&str]| {
        let mut generated = home.json(&[&["model", "generate", "tiny"], args].concat()).remove(0);
        let times = generated.as_object_mut().unwrap();
        assert!(times.remove("first_token_s").is_some() && times.remove("total_s").is_some());
        generated
    };
    let drawn = ["--temperature", "1", "--seed", "3", "--max-tokens", "24"];
    let from_text = run(&[&["--prompt", "Aspirin and warfarin"], &drawn[..]].concat());
    let ids = home.write("ids.json", from_text["prompt_ids"].to_string());
    let named = home.write("named.json", format!("{{\"ids\":{},\"loss\":1.5}}", from_text["prompt_ids"]));
    for file in [&ids, &named] {
        assert_eq!(run(&[&["--ids", path(file)], &drawn[..]].concat()), from_text);
    }
    assert_eq!(from_text["ids"].as_array().unwrap().len(), from_text["logprobs"].as_array().unwrap().len());
    let other = ["--temperature", "1", "--seed", "4", "--max-tokens", "24"];
    assert_ne!(run(&[&["--ids", path(&ids)], &other[..]].concat())["ids"], from_text["ids"]);

    let greedy = run(&["--ids", path(&ids), "--max-tokens", "8", "--threads", "1"]);
    assert!(greedy["logprobs"].as_array().unwrap().iter().all(|logprob| logprob.as_f64().unwrap() <= 0.0));
    let shown = home.succeed(&["model", "generate", "tiny", "--ids", path(&ids), "--max-tokens", "8"]);
    assert!(shown.starts_with(greedy["text"].as_str().unwrap()) && shown.contains("in a second"), "{shown}");
}

#[test]
fn what_cannot_be_generated_is_an_error() {
    let home = with_tiny();
    let (none, beyond) = (home.write("none.json", "[1,"), home.write("beyond.json", "[7, 512]"));
    for (args, expect) in [
        (vec![], "--prompt"),
        (vec!["--prompt", ""], "the prompt is empty"),
        (vec!["--prompt", "x", "--ids", path(&none)], "cannot be used with"),
        (vec!["--ids", path(&none)], "write a JSON array"),
        (vec!["--ids", "nowhere.json"], "cannot read nowhere.json"),
        (vec!["--ids", path(&beyond)], "id 512"),
        (vec!["--prompt", "x", "--temperature=-1"], "temperature"),
        (vec!["--prompt", "x", "--device", "gpu"], "cpu, cuda or cuda:N"),
        (vec!["--prompt", "x", "--threads", "0"], "--threads"),
        (vec!["--prompt", "x", "--adapter", "nowhere"], "nowhere"),
    ] {
        let message = home.fail(&[&["model", "generate", "tiny"], &args[..]].concat());
        assert!(message.contains(expect), "{args:?}: {message}");
    }
    let weights = home.path().join("models/tiny/model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    for verb in [&["generate", "tiny", "--prompt", "x"][..], &["bench", "tiny"], &["show", "tiny"]] {
        let message = home.fail(&[&["model"], verb].concat());
        assert!(message.contains("model.safetensors"), "{verb:?}: {message}");
    }
}

#[test]
fn a_bench_reports_every_batch() {
    let home = with_tiny();
    let args = ["model", "bench", "tiny", "--batch", "1,2", "--prompt-tokens", "32", "--new-tokens", "4"];
    let report = &home.json(&args)[0];
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for row in rows {
        assert!(row["prefill_tokens_per_s"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["decode_tokens_per_s"].as_f64().unwrap() > 0.0, "{row}");
    }
    let shown = home.succeed(&args);
    assert!(shown.contains("of bandwidth") && shown.contains("memory: weights 655 kB"), "{shown}");
    assert!(home.fail(&["model", "bench", "tiny", "--prompt-tokens", "9000"]).contains("8192"));
    home.fail(&["model", "bench", "tiny", "--batch", "0"]);
}
