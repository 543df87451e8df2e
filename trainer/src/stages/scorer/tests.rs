//! A scorer that learns, is calibrated, goes on to the bit, and is taken from any folder of the family.

use agent::Judge;
use jiff::Timestamp;
use nn::{Device, Weights};

use super::*;
use crate::Kind;
use crate::recipe::{Learn, Recipe};
use crate::run::export::{Which, export};
use crate::testing::{Trial, assert_same, copied_after, copy};

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/tiny")
}

/// Claims about drugs: which drug the evidence names decides the label.
fn records(numbers: std::ops::Range<usize>, split: &str) -> String {
    let record = |number: usize| {
        let (label, drug) = [("supports", "aspirin"), ("refutes", "metformin"), ("neutral", "glucose")][number % 3];
        let evidence = format!("{} {drug} {}", "a b c d".repeat(number % 4), "e f".repeat(number % 5));
        let record = serde_json::json!({
            "claim": format!("claim {number}"), "evidence": evidence, "label": label, "split": split
        });
        record.to_string() + "\n"
    };
    numbers.map(record).collect()
}

/// 240 records to learn from, some of them held out, and 60 in another file.
fn fixture() -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("set.jsonl"), records(0..240, "train") + &records(300..330, "dev")).unwrap();
    fs::write(path("other.jsonl"), records(400..460, "")).unwrap();
    let mut recipe = Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap();
    (recipe.model.path, recipe.model.learn) = (tiny(), Learn::All);
    (recipe.data.train, recipe.data.heldout) = (vec![path("set.jsonl")], vec![path("other.jsonl")]);
    recipe.scorer = ScorerSection {
        epochs: 3,
        pairs: 12,
        micro_tokens: 160,
        window_tokens: 40,
        calibration: 0.2,
        ..ScorerSection::default()
    };
    recipe.optimiser.learning_rate = Some(5e-3);
    recipe.optimiser.warmup_steps = 4;
    (recipe.run.evaluate_every, recipe.run.checkpoint_every) = (12, 7);
    Trial { folder, recipe }
}

#[test]
fn what_is_learnt_is_judged_alike_by_the_run_and_by_the_judge() {
    let fixture = fixture();
    let state = fixture.run(Kind::Scorer, "run", false).unwrap();
    let out = fixture.out("run");
    let summary = crate::Summary::read(&out).unwrap();
    assert!(summary.is_done && summary.best_step == state.best.map(|best| best.step), "{summary:?}");
    let loss = |phase: &str| summary.heldout[phase]["loss"];
    assert!(loss("after_scorer") < 0.5 * loss("before"), "{:?}", summary.heldout);
    assert!(summary.notices[0].contains("0 since their claims are held out"), "{:?}", summary.notices);
    assert!(summary.heldout["final"].contains_key("other/macro_f1"));
    let reports = results(&out).unwrap();
    let sets: Vec<_> = reports.iter().map(|report| (report.set.as_str(), report.rows)).collect();
    assert_eq!(sets, [("other", 60), ("set_dev", 30)]);
    assert!(reports.iter().all(|report| report.accuracy > 0.9), "{reports:?}");

    let exported = fixture.out("exported");
    assert_eq!(export(&out, &exported, Which::Best, false).unwrap(), state.best.unwrap().step);
    let judge = Judge::open(&exported, Device::cpu()).unwrap();
    assert_eq!(judge.card().histogram.iter().sum::<u64>(), summary.samples);
    let text = fs::read_to_string(&fixture.recipe.data.heldout[0]).unwrap();
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = |row: usize, name: &str| rows[row][name].as_str().unwrap().to_owned();
    let texts: Vec<_> = (0..rows.len()).map(|row| (field(row, "claim"), field(row, "evidence"))).collect();
    let pairs: Vec<_> = texts.iter().map(|(claim, evidence)| Pair { claim, evidence }).collect();
    let verdicts = judge.judge(&pairs).unwrap();
    let right = verdicts
        .iter()
        .enumerate()
        .filter(|(row, verdict)| Label::from_name(&field(*row, "label")) == Some(verdict.label));
    assert_eq!(right.count(), (60.0 * reports[0].accuracy).round() as usize);
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    let fixture = fixture();
    let (whole, half) = (fixture.out("whole"), fixture.out("half"));
    let copy_at_nine = &mut copied_after(9, &whole, &half);
    let state = scorer(&fixture.plan(), &whole, false, &now, copy_at_nine).unwrap();
    assert!(state.step > 24, "{state:?}");
    assert_eq!(fixture.run(Kind::Scorer, "half", true).unwrap(), state);
    for part in ["checkpoints", STAGE] {
        assert_same(&whole.join(part), &half.join(part));
    }
    assert_eq!(fs::read(whole.join(RESULTS)).unwrap(), fs::read(half.join(RESULTS)).unwrap());
    // Killed when the steps were done and the scorer was not there yet.
    remove_folder(&half.join(STAGE)).unwrap();
    assert_eq!(fixture.run(Kind::Scorer, "half", true).unwrap(), state);
    assert_same(&whole.join(STAGE), &half.join(STAGE));
}

#[test]
fn micro_batches_change_memory_and_nothing_else() {
    let mut fixture = fixture();
    fixture.recipe.scorer.max_steps = Some(1);
    let mut gradients = |micro_tokens: usize| {
        fixture.recipe.scorer.micro_tokens = micro_tokens;
        let plan = fixture.plan();
        let labels = Label::ALL.map(Label::name);
        let mut model = Classifier::new_head(&tiny(), &labels, 0, Device::cpu()).unwrap();
        let prepared = Prepared::new(&plan, &model).unwrap();
        let parameters = model.train(nn::Recompute::Off).unwrap();
        let mut gradients = Gradients::new(&parameters);
        let learnt = prepared.learn(&model, Cursor { epoch: 1, pack: 2 }, &mut gradients).unwrap();
        (learnt.loss, gradients)
    };
    let (whole, of_whole) = gradients(100_000);
    let (parts, of_parts) = gradients(40);
    assert!((whole - parts).abs() < 1e-6, "{whole} {parts}");
    let scale = of_whole.norm();
    for (left, right) in of_whole.iter().flatten().zip(of_parts.iter().flatten()) {
        assert!((f64::from(*left) - f64::from(*right)).abs() < 1e-5 * scale, "{left} {right}");
    }
}

#[test]
fn any_folder_of_the_family_is_taken() {
    // As BertForMaskedLM saves: names under `bert.`, old names of norms, no pooler, other tensors beside.
    let mut fixture = fixture();
    let folder = fixture.out("clinical");
    copy(&tiny(), &folder);
    let weights = Weights::open(&tiny()).unwrap();
    let renamed: Vec<(String, Vec<usize>, Vec<f32>)> = weights
        .names()
        .filter(|name| !name.contains("pooler"))
        .map(|name| {
            let shape = weights.shape(name).unwrap().to_vec();
            let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            (format!("bert.{old}"), shape.clone(), weights.floats(name, &shape).unwrap())
        })
        .chain([("cls.predictions.bias".to_owned(), vec![128], vec![0.5; 128])])
        .collect();
    let tensors: Vec<_> = renamed
        .iter()
        .map(|(name, shape, values)| (name.clone(), shape.clone(), crate::tensors::Floats::Host(values)))
        .collect();
    crate::tensors::write_tensors(&folder.join("model.safetensors"), &tensors).unwrap();
    fixture.recipe.model.path = folder;
    fixture.recipe.scorer.max_steps = Some(2);
    fixture.run(Kind::Scorer, "run", false).unwrap();
    Judge::open(&fixture.out("run").join(STAGE), Device::cpu()).unwrap();
}

#[test]
fn what_cannot_be_trained_is_said_before_anything_is() {
    let refused = |change: &dyn Fn(&mut Recipe)| {
        let mut fixture = fixture();
        change(&mut fixture.recipe);
        let error = match fixture.recipe.clone().plan(Path::new("a.toml")) {
            Ok(plan) => scorer(&plan, &fixture.out("run"), false, &now, &mut |_| {}).unwrap_err(),
            Err(error) => error,
        };
        assert!(!fixture.out("run").is_dir());
        error.to_string()
    };
    assert!(refused(&|recipe| recipe.model.learn = Learn::Adapter).contains("model.learn"));
    assert!(refused(&|recipe| recipe.scorer.window_tokens = 100).contains("window_tokens is 100"));
    assert!(refused(&|recipe| recipe.scorer.window_tokens = 1).contains("scorer.window_tokens"));
    assert!(refused(&|recipe| recipe.scorer.calibration = 0.9).contains("scorer.calibration"));
    let without_neutral = |recipe: &mut Recipe| {
        let path = &recipe.data.train[0];
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.contains("neutral")).map(|line| line.to_owned() + "\n");
        fs::write(path, lines.collect::<String>()).unwrap();
    };
    assert!(refused(&without_neutral).contains("labelled neutral"));
}
