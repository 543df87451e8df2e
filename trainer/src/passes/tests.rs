//! What is not a number is left out, kept, and in the end stops the run.

use std::fs;

use super::*;
use crate::data::Text;
use crate::recipe::Learn;
use crate::testing::{Paired, records};
use crate::{Preferences, Summary};

#[test]
fn values_that_are_no_numbers_are_skipped_kept_and_stop_the_run() {
    let mut paired = Paired::new(Learn::All, &records(300, &[(402, 401, 3), (403, 402, 4)]), "");
    paired.recipe.dpo.epochs = 9;
    let plan = paired.recipe.clone().plan(Path::new("a.toml")).unwrap();
    let clock = || jiff::Timestamp::UNIX_EPOCH;
    let text = Text::open(&plan.recipe().model.path).unwrap();
    let rules = rules(&plan, plan.recipe().dpo.micro_tokens, 2).unwrap();
    let (train, heldout) = Preferences::read_both(&plan.recipe().data, &text, rules).unwrap();
    let out = paired.out("run");
    let (mut run, _) = Run::open(&out, &plan, false, &clock).unwrap();
    let mut prepared = Prepared::new(dpo::stage(&plan, &train, &heldout), &clock);
    let (decoder, learner) = Learner::open(&plan, None).unwrap();
    let mut model = Model { decoder, learner };
    dpo::refer(&mut prepared.stage, Some(&model.decoder), &out).unwrap();
    let start = prepared.rehearse(&mut model, 0).unwrap();
    assert!(start.forecast_bytes > 0 && (start.samples, start.tokens, start.steps) == (7, 14, 9));
    model.learner.poison(&mut model.decoder);
    assert!(matches!(prepared.rehearse(&mut model, 0), Err(Error::Halted { .. })));
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

#[test]
fn samples_longer_than_the_model_sees_are_refused_before_anything_is_read() {
    let mut paired = Paired::new(Learn::All, &records(300, &[(402, 401, 1)]), "");
    paired.recipe.sft.micro_tokens = 1 << 20;
    paired.recipe.data.max_tokens = Some(1 << 20);
    let plan = paired.recipe.clone().plan(Path::new("a.toml")).unwrap();
    let error = rules(&plan, 1 << 22, 2).unwrap_err().to_string();
    assert!(error.contains("data.max_tokens") && error.contains("lower it"), "{error}");
}
