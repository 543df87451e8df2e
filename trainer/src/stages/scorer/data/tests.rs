//! Records that are read, split, counted, cut and refused.

use std::fs;

use super::*;

fn tokenizer() -> Tokenizer {
    Tokenizer::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/tiny")).unwrap()
}

fn record(claim: &str, evidence: &str, label: &str, split: &str) -> String {
    serde_json::json!({ "claim": claim, "evidence": evidence, "label": label, "split": split }).to_string() + "\n"
}

struct Files {
    folder: tempfile::TempDir,
    data: DataSection,
}

/// Data sections that name one file each to learn from and to be measured by.
fn files(train: &str, heldout: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let mut data = crate::Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap().data;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("mixed.jsonl"), train).unwrap();
    fs::write(path("other_dev.jsonl"), heldout).unwrap();
    (data.train, data.heldout) = (vec![path("mixed.jsonl")], vec![path("other_dev.jsonl")]);
    data.duplicates = Duplicates::Drop;
    Files { folder, data }
}

fn read_all(files: &Files, section: &ScorerSection) -> Result<Examples> {
    Examples::read(&files.data, section, &tokenizer(), 1)
}

fn section() -> ScorerSection {
    ScorerSection { window_tokens: 32, calibration: 0.0, ..ScorerSection::default() }
}

#[test]
fn splits_are_held_out_and_their_claims_are_not_learnt() {
    let train = [
        record("A one.", "Aspirin thins blood.", "supports", "train"),
        record("A one.", "Aspirin thins blood.", "supports", "train"),
        record("A two.", "Aspirin thins blood.", "REFUTES", "train"),
        record("B held.", "Aspirin.", "neutral", "dev"),
        record("b  Held.", "Another.", "neutral", "train"),
    ]
    .concat();
    let files = files(&train, &record("C.", "Aspirin.", "entailment", "dev"));
    let examples = read_all(&files, &section()).unwrap();
    assert_eq!(examples.histogram(), [1, 1, 0]);
    assert_eq!((examples.repeated, examples.leaked, examples.cut), (1, 1, 0));
    let sets: Vec<_> = examples.heldout.iter().map(|set| (set.name.as_str(), set.rows.len(), set.labels())).collect();
    assert_eq!(sets, [("mixed_dev", 1, vec![2]), ("other_dev", 1, vec![0])]);
    // What is left is a claim that is held out too.
    let none = read_all(&files, &ScorerSection { heldout_splits: vec!["train".to_owned()], ..section() });
    assert!(none.unwrap_err().to_string().contains("no record to learn from"));
}

#[test]
fn neutral_evidence_is_no_longer_than_the_rest() {
    let abstracts = "Metformin lowers glucose. It is cheap. Aspirin thins blood. Statins lower lipids. It is old. \
                     Insulin is injected. Warfarin needs monitoring. It is slow.";
    let short = (0..40).map(|number| record(&format!("Claim {number}."), "It is cheap.", "supports", ""));
    let long = (0..200).map(|number| record(&format!("Other {number}."), abstracts, "neutral", ""));
    let files = files(&short.chain(long).collect::<String>(), &record("C.", "Aspirin.", "supports", ""));
    let section = ScorerSection { window_tokens: 64, ..section() };
    let examples = read_all(&files, &section).unwrap();
    let neutral: Vec<&str> = examples.train[40..].iter().map(|example| example.row.evidence.as_str()).collect();
    assert!(neutral.iter().all(|evidence| abstracts.contains(evidence)));
    let sentences = |evidence: &&&str| evidence.matches('.').count() == 1;
    let single = neutral.iter().filter(sentences).count();
    assert!((40..160).contains(&single), "{single} of 200 are as short as what supports");
    let distinct: HashSet<&&str> = neutral.iter().collect();
    assert!(distinct.len() > 8);
    assert!(examples.train.iter().all(|example| example.tokens.ids.len() <= 64));
    assert_eq!(read_all(&files, &section).unwrap(), examples);
    assert_eq!(read_all(&files, &section).unwrap().fingerprint(), examples.fingerprint());
}

#[test]
fn what_is_kept_for_calibration_shares_no_claim_with_what_is_learnt() {
    let rows = (0..600).map(|number| {
        record(
            &format!("Claim {}.", number / 3),
            &format!("Case {number}."),
            ["supports", "refutes", "neutral"][number % 3],
            "",
        )
    });
    let files = files(&rows.collect::<String>(), &record("C.", "Aspirin.", "supports", ""));
    let examples = read_all(&files, &ScorerSection { calibration: 0.2, ..section() }).unwrap();
    let kept: HashSet<&str> = examples.calibration.rows.iter().map(|row| row.claim.as_str()).collect();
    assert!((20..60).contains(&kept.len()) && examples.calibration.rows.len() == 3 * kept.len());
    assert!(examples.train.iter().all(|example| !kept.contains(example.row.claim.as_str())));
    assert_eq!(examples.train.len() + examples.calibration.rows.len(), 600);
    let few = read_all(&files, &ScorerSection { per_file: 90, ..section() }).unwrap();
    assert_eq!(few.train.len(), 90);
}

#[test]
fn long_evidence_loses_its_end_and_is_counted() {
    let long = "It lowers glucose. ".repeat(40);
    let files = files(&record("A.", &long, "supports", ""), &record("C.", "Aspirin.", "supports", ""));
    let examples = read_all(&files, &section()).unwrap();
    assert_eq!(examples.cut, 1);
    assert!(long.starts_with(&examples.train[0].row.evidence) && examples.train[0].tokens.ids.len() <= 32);
}

#[test]
fn records_that_cannot_be_learnt_from_are_named() {
    let good = record("C.", "Aspirin.", "supports", "");
    for (bad, said) in [
        ("{\"claim\": \"x\"}\n".to_owned(), "missing field"),
        ("[1]\n".to_owned(), "claim, evidence, label"),
        (record("A.", "B.", "perhaps", ""), "label is `perhaps`"),
        (record(" ", "B.", "neutral", ""), "is empty"),
        (record("A.", "", "neutral", ""), "is empty"),
    ] {
        let error = read_all(&files(&(good.clone() + &bad), &good), &section()).unwrap_err().to_string();
        assert!(error.contains("mixed.jsonl:2:") && error.contains(said), "{error}");
    }
    let error = read_all(&files("\n", &good), &section()).unwrap_err().to_string();
    assert!(error.contains("no record"), "{error}");
    let mut twice = files(&good.repeat(2), &record("D.", "E.", "neutral", ""));
    twice.data.duplicates = Duplicates::Refuse;
    let error = read_all(&twice, &section()).unwrap_err().to_string();
    assert!(error.contains("mixed.jsonl:2:") && error.contains("line 1"), "{error}");
    assert!(twice.folder.path().is_dir());
}
