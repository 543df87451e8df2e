//! Pairs that are laid out, refused, cut and counted.

use std::path::Path;

use super::*;
use crate::recipe::Duplicates;

const RULES: Rules = Rules { max_tokens: 200, overlong: Overlong::Drop, duplicates: Duplicates::Refuse };

fn read(lines: &str, rules: Rules) -> (Result<Preferences>, nn::Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = (folder.path().join("model"), folder.path().join("a.jsonl"));
    nn::init(nn::Shape::Tiny, 1, &model, &mut |_, _| {}).unwrap();
    std::fs::write(&file, lines).unwrap();
    let text = Text::open(&model).unwrap();
    (Preferences::read(&[file], &text, rules), nn::Tokenizer::open(&model).unwrap())
}

/// What counts, as text.
fn learnt(tokenizer: &nn::Tokenizer, sample: &Sample) -> String {
    let ids: Vec<u32> = sample.ids.iter().zip(&sample.mask).filter(|(_, counts)| **counts).map(|(id, _)| *id).collect();
    tokenizer.pieces().decode(&ids)
}

#[test]
fn of_a_prompt_and_of_a_conversation_the_last_answer_counts_alone() {
    let lines = concat!(
        r#"{"prompt": "Dose?", "chosen": "500 mg.", "rejected": "Some."}"#,
        "\n",
        r#"{"messages": [{"role": "user", "content": "Dose?"}, {"role": "assistant", "content": "500 mg."}, "#,
        r#"{"role": "user", "content": "Twice?"}], "chosen": "Yes.", "rejected": "Who knows?"}"#,
        "\n",
        r#"{"chosen": {"ids": [5, 6, 7], "mask": [false, true, false]}, "rejected": {"ids": [5, 8], "mask": [false, true]}}"#,
    );
    let (pairs, tokenizer) = read(lines, RULES);
    let pairs = pairs.unwrap().pairs;
    let told: Vec<[String; 2]> =
        pairs[..2].iter().map(|pair| [learnt(&tokenizer, &pair.chosen), learnt(&tokenizer, &pair.rejected)]).collect();
    assert_eq!(told[0], ["500 mg.<|im_end|>", "Some.<|im_end|>"]);
    assert_eq!(told[1], ["Yes.<|im_end|>", "Who knows?<|im_end|>"]);
    assert_eq!(pairs[2].chosen.mask, [false, true, false]);
    // Both answers follow the same prompt.
    let prompt = |sample: &Sample| sample.ids[..sample.mask.iter().position(|counts| *counts).unwrap()].to_vec();
    assert!(pairs.iter().all(|pair| prompt(&pair.chosen) == prompt(&pair.rejected)));
}

#[test]
fn what_cannot_be_compared_is_refused_by_its_line() {
    let good = r#"{"prompt": "Dose?", "chosen": "500 mg.", "rejected": "Some."}"#;
    for (bad, said) in [
        (r#"{"prompt": "a", "chosen": "b"}"#, "has no `rejected`"),
        (r#"{"prompt": "a", "rejected": "b"}"#, "has no `chosen`"),
        (r#"{"chosen": "a", "rejected": "b"}"#, "needs a `prompt` or `messages`"),
        (r#"{"prompt": "a", "messages": [], "chosen": "a", "rejected": "b"}"#, "only one of these"),
        (r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#, "neither is better"),
        (r#"{"prompt": "a", "chosen": " ", "rejected": "b"}"#, "`chosen` is empty"),
        (r#"{"prompt": "", "chosen": "a", "rejected": "b"}"#, "`prompt` is empty"),
        (r#"{"prompt": 4, "chosen": "a", "rejected": "b"}"#, "`prompt` is no text"),
        (r#"{"prompt": "a", "chosen": 4, "rejected": "b"}"#, "neither text nor `ids`"),
        (r#"{"messages": "a", "chosen": "a", "rejected": "b"}"#, "`messages` is no list"),
        (r#"{"messages": [], "chosen": "a", "rejected": "b"}"#, "where the assistant is to answer"),
        (
            r#"{"messages": [{"role": "assistant", "content": "x"}], "chosen": "a", "rejected": "b"}"#,
            "where the assistant is to answer",
        ),
        (r#"{"prompt": "a", "chosen": {"ids": [5, 6], "mask": [false, true]}, "rejected": "b"}"#, "which hold it"),
        (r#"{"chosen": {"ids": [5, 99999999], "mask": [false, true]}, "rejected": "b"}"#, "beyond the"),
        (r#"{"chosen": {"ids": [5, 6], "mask": [false]}, "rejected": "b"}"#, "a mask of 1"),
        (r"[]", "no JSON object"),
        (good, "a.jsonl:1: remove one"),
    ] {
        let error = read(&format!("{good}\n\n{bad}\n"), RULES).0.unwrap_err().to_string();
        assert!(error.contains("a.jsonl:3: ") && error.contains(said), "{said}: {error}");
    }
    let error = read("\n", RULES).0.unwrap_err().to_string();
    assert!(error.contains("holds no record"), "{error}");
}

#[test]
fn pairs_that_are_too_long_are_dropped_cut_or_refused_and_equal_ones_dropped_or_kept() {
    let short =
        r#"{"chosen": {"ids": [5, 6], "mask": [false, true]}, "rejected": {"ids": [5, 7], "mask": [false, true]}}"#;
    // Cut to four tokens these are the same, or nothing of an answer is left.
    let same = r#"{"chosen": {"ids": [5, 6, 6, 6, 1], "mask": [false, true, true, true, true]}, "rejected": {"ids": [5, 6, 6, 6, 2], "mask": [false, true, true, true, true]}}"#;
    let late = r#"{"chosen": {"ids": [5, 5, 5, 5, 1], "mask": [false, false, false, false, true]}, "rejected": {"ids": [5, 7], "mask": [false, true]}}"#;
    let long = r#"{"chosen": {"ids": [5, 6, 7, 8, 9], "mask": [false, true, true, true, true]}, "rejected": {"ids": [5, 7], "mask": [false, true]}}"#;
    let lines = [short, same, late, long, short].join("\n");
    let rules = |overlong, duplicates| Rules { max_tokens: 4, overlong, duplicates };
    let counts = |overlong, duplicates| {
        let read = read(&lines, rules(overlong, duplicates)).0.unwrap();
        (read.pairs.len(), read.too_long, read.cut, read.repeated)
    };
    assert_eq!(counts(Overlong::Drop, Duplicates::Drop), (1, 3, 0, 1));
    assert_eq!(counts(Overlong::Cut, Duplicates::Keep), (3, 2, 1, 0));
    let refused = |lines: &str, overlong| read(lines, rules(overlong, Duplicates::Keep)).0.unwrap_err().to_string();
    assert!(refused(&lines, Overlong::Refuse).contains("a.jsonl:2: an answer with its prompt has 5 tokens, at most 4"));
    assert!(refused(&[same, late].join("\n"), Overlong::Cut).contains("all 2 records are longer than 4 tokens"));
}

#[test]
fn pairs_that_are_held_out_are_not_learnt() {
    let lines = |answers: &[&str]| -> String {
        let line = |answer: &&str| format!("{{\"prompt\": \"a\", \"chosen\": \"{answer}\", \"rejected\": \"no\"}}\n");
        answers.iter().map(line).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, lines).unwrap();
        path
    };
    let model = folder.path().join("model");
    nn::init(nn::Shape::Tiny, 1, &model, &mut |_, _| {}).unwrap();
    let mut data = crate::Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap().data;
    (data.train, data.heldout) = (vec![write("a", &lines(&["b", "c"]))], vec![write("b", &lines(&["d"]))]);
    let text = Text::open(&model).unwrap();
    let (train, heldout) = Preferences::read_both(&data, &text, RULES).unwrap();
    assert_eq!((train.pairs.len(), heldout.pairs.len()), (2, 1));
    let fingerprint = train.fingerprint(&heldout);
    assert_ne!(fingerprint, train.fingerprint(&Preferences::default()));
    assert_ne!(fingerprint, heldout.fingerprint(&train));
    data.heldout = vec![write("b", &lines(&["d", "c"]))];
    let error = Preferences::read_both(&data, &text, RULES).unwrap_err().to_string();
    assert!(error.contains("1 pairs of data.train are in data.heldout too"), "{error}");
}
