//! Verdicts: the rule, what they depend on, hostile texts, and folders that are no scorer.

use std::fs;

use super::*;

const NAMES: [&str; 3] = ["support", "contradict", "neutral"];
const LONG: &str = "Metformin lowers glucose. It does not cause weight gain. Aspirin thins blood. It is cheap. \
                    Insulin is injected. Statins lower lipids. Warfarin needs monitoring of the clotting time.";

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/tiny")
}

fn card() -> Card {
    Card { temperature: 1.5, ..Card::new(32, [5, 4, 3], "data".to_owned()) }
}

/// A scorer that has learnt nothing, with its classes called so.
fn scorer(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut classifier = Classifier::new_head(&tiny(), names, 3, Device::cpu()).unwrap();
    classifier.train(nn::Recompute::Off).unwrap();
    classifier.save(folder.path()).unwrap();
    fs::write(folder.path().join(FILE), card().to_json()).unwrap();
    folder
}

fn judge(folder: &tempfile::TempDir) -> Judge {
    Judge::open(folder.path(), Device::cpu()).unwrap()
}

#[test]
fn the_window_with_the_strongest_evidence_decides() {
    let (support, against, neither) = ([3.0, 0.0, 0.0], [0.0, 2.0, -2.0], [0.0, 0.0, 5.0]);
    for (windows, expected) in [
        (&[][..], None),
        (&[neither], Some(0)),
        (&[neither, support], Some(1)),
        (&[support, neither], Some(0)),
        // 4 against neutral is more than 3.
        (&[support, against], Some(1)),
        (&[support, [9.0, 9.0, 7.0]], Some(0)),
        (&[support, support], Some(0)),
    ] {
        assert_eq!(deciding(windows), expected, "{windows:?}");
    }
    assert_eq!(likeliest([0.4, 0.2, 0.4]), Label::Neutral);
    assert_eq!(likeliest([0.5, 0.3, 0.2]), Label::Support);
    assert_eq!(likeliest([0.1, 0.5, 0.4]), Label::Contradict);
    let [support, contradict, neutral] = probabilities([2.0, 0.0, 0.0], 2.0);
    assert!((support - 1.0_f32.exp() / (1.0_f32.exp() + 2.0)).abs() < 1e-6 && contradict == neutral);
}

#[test]
fn a_verdict_depends_on_its_own_pair_alone() {
    let folder = scorer(&NAMES);
    let judge = judge(&folder);
    let claims = ["Metformin lowers glucose.", "Aspirin does nothing.", "", "Statins raise lipids in all patients."];
    let evidence = [LONG, "It is cheap.", "  \n", "Warfarin needs monitoring."];
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for claim in claims {
        pairs.extend(evidence.map(|evidence| Pair { claim, evidence }));
    }
    let together = judge.judge(&pairs).unwrap();
    for (pair, verdict) in pairs.iter().zip(&together) {
        assert_eq!(judge.judge(&[*pair]).unwrap(), std::slice::from_ref(verdict), "{pair:?}");
        let sum: f32 = verdict.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let is_blank = pair.claim.trim().is_empty() || pair.evidence.trim().is_empty();
        assert_eq!(verdict.span.is_empty(), is_blank, "{pair:?}");
        if is_blank {
            assert_eq!((verdict.label, verdict.probabilities), (Label::Neutral, [0.0, 0.0, 1.0]));
        }
        assert!(pair.evidence.is_char_boundary(verdict.span.start) && verdict.span.end <= pair.evidence.len());
    }
    pairs.reverse();
    let mut reversed = judge.judge(&pairs).unwrap();
    reversed.reverse();
    assert_eq!(reversed, together);
    assert!(judge.judge(&[]).unwrap().is_empty());
    // A sentence of the window that decided, or what of it is in the window, not the window.
    let span = &together[0].span;
    assert!(corpus::sentence::sentences(LONG).any(|known| known.start <= span.start && span.end <= known.end));
}

#[test]
fn no_pair_is_read_twice() {
    let folder = scorer(&NAMES);
    let judge = judge(&folder);
    let reading = Reading::new(Some(&judge));
    let pair = |claim, evidence| Pair { claim, evidence };
    let pairs = [pair("It is cheap.", LONG), pair("Aspirin thins blood.", LONG), pair("It is cheap.", LONG)];
    let expected = judge.judge(&pairs).unwrap();
    assert_eq!(reading.verdicts(&pairs).unwrap(), expected);
    assert_eq!(reading.read(), 2);
    // What runs together is another pair.
    let later = [pairs[1], pair("It is cheap.M", &LONG[1..])];
    assert_eq!(reading.verdicts(&later).unwrap(), judge.judge(&later).unwrap());
    assert_eq!(reading.read(), 3);
    assert!(Reading::new(None).verdicts(&pairs).unwrap().is_empty());
}

#[test]
fn labels_may_stand_in_any_order() {
    let pair = Pair { claim: "Metformin lowers glucose.", evidence: "It is cheap." };
    let of = |names: &[&str]| judge(&scorer(names)).judge(&[pair]).unwrap()[0].probabilities;
    let [support, contradict, neutral] = of(&NAMES);
    assert!(support != contradict && contradict != neutral);
    // The same weights, whose first class is now called neutral, the second support, the third contradict.
    assert_eq!(of(&["neutral", "SUPPORTS", "REFUTES"]), [contradict, neutral, support]);
    assert_eq!(of(&["entailment", "neutral", "contradiction"]), [support, neutral, contradict]);
}

#[test]
fn no_text_is_left_out_and_none_becomes_a_special_token() {
    let tokenizer = Tokenizer::open(&tiny()).unwrap();
    let hostile = [
        "x".repeat(100_000),
        "[SEP] [CLS]".repeat(2_000),
        "a b ".repeat(20_000),
        ". ".repeat(30_000),
        "metformin".repeat(5_000),
    ];
    for claim in ["metformin", "[SEP] it is so [CLS]", &"long claim ".repeat(500)] {
        for evidence in &hostile {
            let spans = spans(&tokenizer, Pair { claim, evidence }, 40).unwrap();
            let mut end = 0;
            for span in spans.iter().take(50) {
                let window = Pair { claim, evidence: &evidence[span.clone()] };
                let tokens = encode(&tokenizer, window, 40).unwrap();
                assert!(tokens.ids.len() <= 40);
                let read = tokens.types.iter().filter(|kind| **kind == 1).count() - 1;
                let whole = tokenizer.encode_text(&tokenizer.defuse(window.evidence)).unwrap();
                assert_eq!(read, whole.len(), "the window is not cut");
                let special =
                    tokens.ids.iter().filter(|id| [tokenizer.id("[SEP]"), tokenizer.id("[CLS]")].contains(&Some(**id)));
                assert_eq!(special.count(), 3);
                assert!(evidence[end..span.start.max(end)].trim().is_empty());
                end = end.max(span.end);
            }
            assert!(!spans.is_empty() && spans.last().unwrap().end == evidence.trim_end().len());
        }
    }
}

#[test]
fn what_is_no_scorer_says_what_makes_one() {
    let refused = |folder: &tempfile::TempDir| Judge::open(folder.path(), Device::cpu()).unwrap_err().to_string();
    let plain = scorer(&NAMES);
    fs::remove_file(plain.path().join(FILE)).unwrap();
    assert!(refused(&plain).contains("anamnesis-train scorer"));
    for (from, to, said) in [
        ("\"format\": 1", "\"format\": 9", "format 9"),
        ("1.5", "0.0", "temperature is 0"),
        ("\"window_tokens\": 32", "\"window_tokens\": 4", "window_tokens is 4"),
        ("\"window_tokens\": 32", "\"window_tokens\": 4000", "window_tokens is 4000"),
        ("\"temperature\"", "\"temper\"", "unknown field"),
        ("{", "", "scorer.json"),
    ] {
        let text = card().to_json();
        assert!(text.contains(from), "{from}");
        fs::write(plain.path().join(FILE), text.replacen(from, to, 1)).unwrap();
        assert!(refused(&plain).contains(said), "{said}: {}", refused(&plain));
    }
    for names in [&["support", "contradict"][..], &["a", "b", "c"], &["support", "supports", "neutral"]] {
        assert!(refused(&scorer(names)).contains("anamnesis-train scorer"), "{names:?}");
    }
    let damaged = scorer(&NAMES);
    fs::write(damaged.path().join("model.safetensors"), b"no tensors").unwrap();
    assert!(refused(&damaged).contains("model.safetensors"));
}

#[test]
fn the_fingerprint_is_of_all_that_decides() {
    let (left, right) = (scorer(&NAMES), scorer(&NAMES));
    assert_eq!(judge(&left).fingerprint(), judge(&right).fingerprint());
    fs::write(right.path().join(FILE), Card { temperature: 2.0, ..card() }.to_json()).unwrap();
    assert_ne!(judge(&left).fingerprint(), judge(&right).fingerprint());
    assert_eq!(judge(&right).card().temperature, 2.0);
}
