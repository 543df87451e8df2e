//! What is not a number is left out, kept, and in the end stops the run.

use std::fs;

use super::*;
use crate::data::Text;
use crate::recipe::Learn;
use crate::testing::{Trial, records};
use crate::{Kind, Preferences, Summary};

#[test]
fn values_that_are_no_numbers_are_skipped_kept_and_stop_the_run() {
    let mut paired = Trial::paired(Learn::All, &records(300, &[(402, 401, 3), (403, 402, 4)]), "");
    paired.recipe.dpo.epochs = 9;
    let plan = paired.recipe.clone().plan(Path::new("a.toml")).unwrap();
    let clock = || jiff::Timestamp::UNIX_EPOCH;
    let text = Text::open(&plan.recipe().model.path).unwrap();
    let rules = rules(&plan, ("dpo", plan.recipe().dpo.micro_tokens), 2).unwrap();
    let (train, heldout) = Preferences::read_both(&plan.recipe().data, &text, rules).unwrap();
    let out = paired.out("run");
    let (mut run, _) = Run::open(&out, &plan, false, &clock).unwrap();
    let mut prepared = Prepared::new(dpo::stage(&plan, &train, &heldout), &clock);
    let (decoder, learner) = Learner::open(&plan, None).unwrap();
    let mut model = Model { decoder, learner };
    dpo::refer(&mut prepared.stage, Some(&model.decoder), &out).unwrap();
    let forecast = prepared.forecast().unwrap();
    let start = prepared.rehearse(&mut model, 0, forecast).unwrap();
    assert!(start.forecast_bytes > 0 && (start.samples, start.tokens, start.steps) == (7, 14, 9));
    model.learner.poison(&mut model.decoder);
    assert!(matches!(prepared.rehearse(&mut model, 0, forecast), Err(Error::Halted { .. })));
    let mut state = State::default();
    let packs = prepared.order.epoch(0);
    for number in 1..=2 {
        let told = prepared.step(&mut model, &mut state, &mut run, &packs).unwrap();
        assert!(told.skipped && told.loss.is_none());
        assert_eq!((state.step, state.skipped, state.updates, state.tokens), (number, number, 0, 0));
        state.cursor = Cursor::default();
    }
    let error = prepared.step(&mut model, &mut state, &mut run, &packs).unwrap_err().to_string();
    assert!(error.contains("step 3") && error.contains("3 times in a row"), "{error}");
    let dumped: Vec<Sample> = serde_json::from_slice(&fs::read(out.join("dumps/step-00000002.json")).unwrap()).unwrap();
    assert_eq!(dumped.len(), 14);
    assert_eq!(Summary::read(&out).unwrap().skipped, 3);
}

/// In SFT the mean is over all tokens of a step; where two micro-batches share it, losses and gradients add up.
#[test]
fn how_samples_are_batched_changes_nothing() {
    let lines = |count: usize| -> String {
        let line = |number: usize| format!("{{\"text\": \"drug {number} is given{}\"}}\n", " daily".repeat(number % 4));
        (0..count).map(line).collect()
    };
    let first = |micro_tokens: usize, accumulate: usize| {
        let mut paired = Trial::paired(Learn::All, &lines(12), "");
        (paired.recipe.sft.micro_tokens, paired.recipe.sft.accumulate) = (micro_tokens, accumulate);
        (paired.recipe.sft.epochs, paired.recipe.data.max_tokens) = (2, Some(40));
        paired.run(Kind::Sft, "run", false).unwrap();
        let told = paired.steps("run");
        assert_eq!((told.len(), told[0].values["samples"]), (2, 12.0));
        (told[0].loss.unwrap(), told[0].gradient_norm.unwrap(), told[1].loss.unwrap())
    };
    let (together, apart) = (first(4000, 1), first(40, 12));
    assert!((together.0 - apart.0).abs() < 1e-5 * together.0, "{together:?} {apart:?}");
    assert!((together.1 - apart.1).abs() < 1e-4 * together.1, "{together:?} {apart:?}");
    assert!((together.2 - apart.2).abs() < 1e-4 * together.2, "{together:?} {apart:?}");
}

#[test]
fn what_cannot_stand_in_a_micro_batch_is_refused_before_anything_is_read() {
    let refused = |max_tokens: usize, micro_tokens: usize, samples: usize| {
        let mut paired = Trial::paired(Learn::All, &records(300, &[(402, 401, 1)]), "");
        paired.recipe.data.max_tokens = Some(max_tokens);
        let plan = paired.recipe.clone().plan(Path::new("a.toml")).unwrap();
        rules(&plan, ("dpo", micro_tokens), samples).unwrap_err().to_string()
    };
    let error = refused(1 << 20, 1 << 22, 2);
    assert!(error.contains("the model sees") && error.ends_with("tokens: lower it"), "{error}");
    let error = refused(60, 100, 2);
    assert!(error.contains("both answers of a pair") && error.contains("raise dpo.micro_tokens"), "{error}");
    assert!(refused(101, 100, 1).contains("holds only 100"), "{}", refused(101, 100, 1));
}
