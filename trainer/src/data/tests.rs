//! Records that are laid out, refused, cut and counted.

use super::*;

/// A tiny random model with a ChatML template, and a file of records.
fn fixture(records: &str) -> (tempfile::TempDir, Text, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    nn::init(nn::Shape::Tiny, 1, &model, &mut |_, _| {}).unwrap();
    let file = folder.path().join("a.jsonl");
    std::fs::write(&file, records).unwrap();
    let text = Text::open(&model).unwrap();
    (folder, text, file)
}

const RULES: Rules = Rules { max_tokens: 200, overlong: Overlong::Drop, duplicates: Duplicates::Refuse };

fn read(records: &str, rules: Rules) -> Result<Dataset> {
    let (_folder, text, file) = fixture(records);
    Dataset::read(&[file], &text, rules)
}

/// What is learnt and what is not, as text, run by run.
fn runs(folder: &Path, sample: &Sample) -> Vec<(bool, String)> {
    let pieces = nn::Tokenizer::open(&folder.join("model")).unwrap().pieces();
    let mut runs: Vec<(bool, Vec<u32>)> = Vec::new();
    for (id, learnt) in sample.ids.iter().zip(&sample.mask) {
        match runs.last_mut() {
            Some((same, ids)) if same == learnt => ids.push(*id),
            _ => runs.push((*learnt, vec![*id])),
        }
    }
    runs.into_iter().map(|(learnt, ids)| (learnt, pieces.decode(&ids))).collect()
}

#[test]
fn turns_of_the_assistant_are_learnt_up_to_their_end() {
    let records = r#"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Dose?"},
        {"role": "assistant", "content": "500 mg."}, {"role": "user", "content": "Twice?"}, {"role": "assistant", "content": "Yes."}]}"#;
    let (folder, text, file) = fixture(&records.replace('\n', " "));
    let dataset = Dataset::read(&[file], &text, RULES).unwrap();
    let runs = runs(folder.path(), &dataset.samples[0]);
    let told: Vec<(bool, &str)> = runs.iter().map(|(learnt, text)| (*learnt, text.as_str())).collect();
    assert_eq!(
        told,
        [
            (
                false,
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nDose?<|im_end|>\n<|im_start|>assistant\n"
            ),
            (true, "500 mg.<|im_end|>"),
            (false, "\n<|im_start|>user\nTwice?<|im_end|>\n<|im_start|>assistant\n"),
            (true, "Yes.<|im_end|>"),
            (false, "\n"),
        ]
    );
    assert_eq!(dataset.learnt(), dataset.samples[0].learnt());
}

#[test]
fn text_of_a_record_never_becomes_a_special_token() {
    let records = r#"{"prompt": "a <|im_end|>\n<|im_start|>system", "completion": "b <|im_end|> c"}"#;
    let (_folder, text, file) = fixture(records);
    let dataset = Dataset::read(&[file], &text, RULES).unwrap();
    // Two turns are opened and closed, both by the template.
    let count = |id: u32| dataset.samples[0].ids.iter().filter(|held| **held == id).count();
    assert_eq!((count(1), count(2)), (2, 2));
}

#[test]
fn a_text_is_learnt_whole_but_for_its_first_token() {
    let dataset = read("{\"text\": \"metformin lowers glucose\"}\n\n", RULES).unwrap();
    let sample = &dataset.samples[0];
    assert_eq!(sample.learnt(), sample.tokens() - 1);
    assert_eq!(sample.ids.last(), Some(&2));
}

#[test]
fn bad_records_are_named_by_file_and_line() {
    for (record, said) in [
        ("{\"prompt\": \"a\"", "is no JSON"),
        ("[1]", "no JSON object"),
        ("{}", "needs `messages`"),
        (r#"{"prompt": "a"}"#, "without a `completion`"),
        (r#"{"prompt": "a", "completion": " "}"#, "`completion` is empty"),
        (r#"{"prompt": "a", "completion": 3}"#, "`completion` is no text"),
        (r#"{"prompt": "a", "completion": "b", "text": "c"}"#, "only one"),
        (r#"{"messages": []}"#, "no turn of the assistant"),
        (r#"{"messages": [{"role": "user", "content": "a"}]}"#, "no turn of the assistant"),
        (r#"{"messages": [{"role": "assistant"}]}"#, "content"),
        (r#"{"messages": [{"role": "assistant", "content": ""}]}"#, "`messages[0]` has no content"),
        (r#"{"prompt": "first", "completion": "record"}"#, "is the same as"),
    ] {
        let records = format!("{{\"prompt\": \"first\", \"completion\": \"record\"}}\n\n{record}\n");
        let error = read(&records, RULES).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:3: ") && error.contains(said), "{said}: {error}");
    }
    let error = read("\n", RULES).unwrap_err().to_string();
    assert!(error.contains("holds no record"), "{error}");
}

#[test]
fn long_and_repeated_records_follow_the_rules() {
    let long = format!("{{\"text\": \"{}\"}}", "dose ".repeat(300));
    let records = format!("{long}\n{{\"text\": \"a b c\"}}\n{{\"text\": \"a b c\"}}\n");
    let rules = |overlong, duplicates| Rules { max_tokens: 100, overlong, duplicates };
    let counts = |rules| {
        let Dataset { samples, too_long, cut, repeated } = read(&records, rules).unwrap();
        (samples.len(), too_long, cut, repeated)
    };
    assert_eq!(counts(rules(Overlong::Drop, Duplicates::Drop)), (1, 1, 0, 1));
    assert_eq!(counts(rules(Overlong::Cut, Duplicates::Keep)), (3, 0, 1, 0));
    let error = read(&records, rules(Overlong::Refuse, Duplicates::Keep)).unwrap_err().to_string();
    assert!(error.contains("a.jsonl:1: has ") && error.contains("data.max_tokens"), "{error}");
    let error = read(&long, RULES).unwrap_err().to_string();
    assert!(error.contains("all 1 records are longer"), "{error}");
}

#[test]
fn what_is_held_out_must_be_apart() {
    let records = "{\"text\": \"a b c\"}\n{\"text\": \"d e f\"}\n";
    let (both, one) = (read(records, RULES).unwrap(), read("{\"text\": \"d e f\"}\n", RULES).unwrap());
    let error = both.check_apart(&one).unwrap_err().to_string();
    assert!(error.starts_with("1 samples"), "{error}");
    let other = read("{\"text\": \"g\"}\n", RULES).unwrap();
    both.check_apart(&other).unwrap();
    assert_ne!(both.fingerprint(), one.fingerprint());
}

#[test]
fn ids_are_taken_as_they_are() {
    let dataset = read(r#"{"ids": [5, 6, 7], "mask": [false, false, true]}"#, RULES).unwrap();
    assert_eq!(dataset.samples, [Sample { ids: vec![5, 6, 7], mask: vec![false, false, true] }]);
    for (record, said) in [
        (r#"{"ids": [5, 512], "mask": [false, true]}"#, "token 512 is beyond the 512"),
        (r#"{"ids": [5, 6], "mask": [true, true]}"#, "the first token"),
        (r#"{"ids": [5, 6]}"#, "missing field `mask`"),
        (r#"{"ids": [5, -6], "mask": [false, true]}"#, "`ids` and `mask`"),
    ] {
        let error = read(record, RULES).unwrap_err().to_string();
        assert!(error.contains(":1:") && error.contains(said), "{error}");
    }
}

#[test]
fn templates_of_many_families_are_followed() {
    let (folder, ..) = fixture("");
    let model = folder.path().join("model");
    let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/../nn/tests/fixtures/chat");
    let record = |turns: &[&str]| {
        let message = |(at, text): (usize, &&str)| serde_json::json!({ "role": if at % 2 == 0 { "user" } else { "assistant" }, "content": text });
        serde_json::json!({ "messages": turns.iter().enumerate().map(message).collect::<Vec<_>>() })
    };
    // Some templates begin with it.
    let path = model.join("tokenizer_config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replacen('{', "{\"bos_token\": \"<s>\",", 1)).unwrap();
    let mut families = 0;
    for entry in std::fs::read_dir(templates).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jinja") {
            continue;
        }
        families += 1;
        std::fs::copy(&path, model.join("chat_template.jinja")).unwrap();
        let text = Text::open(&model).unwrap();
        for turns in [&["Dose?", "500 mg."][..], &["Dose?", "500 mg.", "Twice?", "Yes."]] {
            let shown = path.display();
            match text.sample(&record(turns)) {
                Ok(sample) => {
                    let runs = runs(folder.path(), &sample);
                    let learnt: Vec<&str> = runs.iter().filter(|run| run.0).map(|run| run.1.trim()).collect();
                    assert_eq!(learnt.len(), turns.len() / 2, "{shown}: {runs:?}");
                    for (learnt, turn) in learnt.iter().zip(turns.iter().skip(1).step_by(2)) {
                        assert!(learnt.contains(turn) && !learnt.contains('?'), "{shown}: {runs:?}");
                    }
                    assert!(
                        runs.iter().filter(|run| !run.0).all(|run| !run.1.contains("500 mg.")),
                        "{shown}: {runs:?}"
                    );
                }
                // One that rewrites earlier turns says so.
                Err(error) => assert!(
                    turns.len() > 2 && error.to_string().contains("record of its own"),
                    "{shown}: {turns:?}: {error}"
                ),
            }
        }
    }
    assert!(families >= 8, "{families}");
    // One that opens a turn with `<think>` and drops thoughts from turns that are over.
    std::fs::copy(format!("{templates}/deepseek-r1.jinja"), model.join("chat_template.jinja")).unwrap();
    let record = record(&["Dose?", "<think>\nThe label says.\n</think>\n500 mg."]);
    let runs = runs(folder.path(), &Text::open(&model).unwrap().sample(&record).unwrap());
    assert!(runs[0].1.ends_with("<think>\n"), "{runs:?}");
    assert!(runs[1].1.starts_with("The label says.\n</think>\n500 mg.<"), "{runs:?}");
}
