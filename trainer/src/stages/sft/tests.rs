//! Fine-tuning that learns, counts the right tokens, goes on to the bit, and stops when it must.

use std::fs;
use std::path::PathBuf;

use agent::journal::{self, Entry};
use jiff::Timestamp;

use super::*;
use crate::Kind;
use crate::Sample;
use crate::learner::{Learner, score};
use crate::recipe::{Learn, Recipe};
use crate::run::{self, Run};
use crate::testing::{Trial, assert_same, copied_after, copy, files};

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A tiny random model, 50 records to learn and 6 like them that are held out.
fn fixture(learn: Learn) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    nn::init(nn::Shape::Tiny, 3, &model, &mut |_, _| {}).unwrap();
    let record = |number: usize| {
        let dose = (number * 7) % 60;
        format!("{{\"prompt\": \"Dose of drug {dose}, case {number}?\", \"completion\": \"Take {dose} mg daily.\"}}\n")
    };
    let write = |name: &str, numbers: std::ops::Range<usize>| {
        let path = folder.path().join(name);
        fs::write(&path, numbers.map(record).collect::<String>()).unwrap();
        path
    };
    let (train, heldout) = (write("train.jsonl", 0..50), write("heldout.jsonl", 50..56));
    let text = crate::recipe::TEMPLATE;
    let mut recipe = Recipe::parse(Path::new("a.toml"), text, &[]).unwrap();
    (recipe.model.path, recipe.model.learn) = (model, learn);
    (recipe.data.train, recipe.data.heldout) = (vec![train], vec![heldout]);
    (recipe.sft.epochs, recipe.sft.micro_tokens, recipe.sft.accumulate) = (2, 250, 2);
    recipe.optimiser.learning_rate = Some(5e-3);
    recipe.optimiser.warmup_steps = 2;
    (recipe.run.evaluate_every, recipe.run.checkpoint_every) = (3, 3);
    Trial { folder, recipe }
}

#[test]
fn loss_falls_and_what_was_learnt_can_be_taken_out() {
    for learn in [Learn::All, Learn::Adapter] {
        let fixture = fixture(learn);
        let state = fixture.run(Kind::Sft, "run", false).unwrap();
        let out = fixture.out("run");
        let summary = crate::Summary::read(&out).unwrap();
        let loss = |phase: &str| summary.heldout[phase]["loss"];
        let (before, after) = (loss("before"), loss("after_sft"));
        assert!((5.5..7.0).contains(&before), "{before}");
        assert!(after < before - if learn == Learn::All { 2.0 } else { 0.2 }, "{learn:?}: {before} to {after}");
        assert!(summary.last_loss < summary.first_loss && summary.is_done, "{summary:?}");
        assert_eq!((state.step, state.updates, state.skipped), (summary.steps, summary.steps, 0));
        assert_eq!(summary.learnt, state.tokens);
        let best = state.best.unwrap();
        let is_events = |name: &PathBuf| name.to_string_lossy().starts_with("events.out.tfevents.");
        assert_eq!(files(&out).keys().filter(|name| is_events(name)).count(), 1);
        assert!(-best.score <= after && summary.best_step == Some(best.step));

        // The exported model gives what the run measured.
        let exported = fixture.out("exported");
        assert_eq!(
            crate::run::export::export(&out, &exported, crate::run::export::Which::Best, true).unwrap(),
            best.step
        );
        let mut again = Trial { recipe: fixture.recipe.clone(), folder: tempfile::tempdir().unwrap() };
        (again.recipe.model.path, again.recipe.model.learn) = (exported, Learn::All);
        again.recipe.sft.max_steps = Some(1);
        again.run(Kind::Sft, "run", false).unwrap();
        let measured = crate::Summary::read(&again.out("run")).unwrap().heldout["before"]["loss"];
        assert!((measured + best.score).abs() < 1e-4, "{learn:?}: {measured} {}", best.score);
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    for learn in [Learn::All, Learn::Adapter] {
        let fixture = fixture(learn);
        let (whole, half) = (fixture.out("whole"), fixture.out("half"));
        let copy_at_five = &mut copied_after(5, &whole, &half);
        let state = sft(&fixture.plan(), &whole, false, &now, copy_at_five).unwrap();
        assert!(state.step > 8, "{state:?}");
        assert_eq!(fixture.run(Kind::Sft, "half", true).unwrap(), state);
        let same = |run: &Path| assert_same(&whole.join("checkpoints"), &run.join("checkpoints"));
        same(&half);
        let steps = |run: &Path| -> Vec<_> {
            let entries = journal::read(run).unwrap();
            entries.into_iter().filter(|entry| matches!(entry, Entry::Step(_) | Entry::Heldout(_))).collect()
        };
        assert_eq!(steps(&whole), steps(&half));
        // The same again from the beginning.
        fixture.run(Kind::Sft, "again", false).unwrap();
        same(&fixture.out("again"));
        assert_eq!(fixture.run(Kind::Sft, "half", true).unwrap(), state);
        // Killed after the last checkpoint, before older ones were removed and the end was told.
        let half = fixture.out("half");
        copy(&half.join(format!("checkpoints/step-{:08}", state.step)), &half.join("checkpoints/step-00000001"));
        let path = half.join(journal::FILE);
        let text = fs::read_to_string(&path).unwrap();
        let cut: String =
            text.lines().filter(|line| !line.contains("\"end\"")).map(|line| line.to_owned() + "\n").collect();
        assert!(cut.len() < text.len());
        fs::write(&path, cut).unwrap();
        assert_eq!(fixture.run(Kind::Sft, "half", true).unwrap(), state);
        same(&half);
        assert!(crate::Summary::read(&half).unwrap().is_done);
    }
}

#[test]
fn only_learnt_tokens_count_however_they_are_batched() {
    let fixture = fixture(Learn::All);
    let plan = fixture.plan();
    let (decoder, mut learner) = Learner::open(&plan, None).unwrap();
    let score = |sample: &Sample| score(&decoder, &[sample], 1.0, true).unwrap();
    let sample = |ids: &[u32], learnt: &[usize]| {
        let mask = (0..ids.len()).map(|at| learnt.contains(&at)).collect();
        Sample { ids: ids.to_vec(), mask }
    };
    let some = [
        sample(&[1, 30, 31, 32, 2, 40, 41], &[2, 3, 6]),
        sample(&[1, 9, 8, 7, 6, 5, 4], &[1]),
        sample(&[1, 100, 200, 300, 2], &[3, 4]),
    ];
    let all = sample(&some[0].ids, &[1, 2, 3, 4, 5, 6]);
    let (partly, whole) = (score(&some[0]), score(&all));
    assert_eq!(partly, [whole[1], whole[2], whole[5]]);
    // What follows the last learnt token is not even read.
    let cut = sample(&[1, 9, 200, 300], &[1]);
    assert_eq!(score(&some[1]), score(&cut));

    let mut learn = |batches: &[&[&Sample]]| {
        learner.forget();
        let learnt = batches.iter().flat_map(|batch| batch.iter()).map(|sample| sample.learnt()).sum();
        let add = |batch: &&[&Sample]| learner.add(&decoder, batch, 1.0, |pass| loss(&pass.logprobs, learnt)).unwrap();
        let total: f64 = batches.iter().map(add).sum();
        (total, learner.norm())
    };
    let (together, norm) = learn(&[&[&some[0], &some[1], &some[2]]]);
    for batches in [&[&[&some[2], &some[0]][..], &[&some[1]][..]][..], &[&[&some[0]][..], &[&some[1]], &[&some[2]]]] {
        let (apart, norm_apart) = learn(batches);
        assert!((apart - together).abs() < 1e-5 * together, "{apart} {together}");
        assert!((norm_apart - norm).abs() < 1e-4 * norm, "{norm_apart} {norm}");
    }
    assert!(together > 4.0 && norm > 0.0);
}

#[test]
fn a_run_is_neither_overwritten_nor_continued_with_something_else() {
    let mut fixture = fixture(Learn::Adapter);
    fixture.recipe.sft.max_steps = Some(2);
    fixture.run(Kind::Sft, "run", false).unwrap();
    let refused = |fixture: &Trial, resume: bool| fixture.run(Kind::Sft, "run", resume).unwrap_err().to_string();
    assert!(refused(&fixture, false).contains("--resume"));
    fixture.recipe.run.seed = 9;
    assert!(refused(&fixture, true).contains("another recipe"));
    fixture.recipe.run.seed = 0;
    let held = Run::open(&fixture.out("run"), &fixture.plan(), true, &now).unwrap();
    assert!(refused(&fixture, true).contains("another process"));
    drop(held);
    let train = &fixture.recipe.data.train[0];
    fs::write(train, fs::read_to_string(train).unwrap().replace("case 3?", "case three?")).unwrap();
    assert!(refused(&fixture, true).contains("have changed since"));
    assert!(run::plan(&fixture.out("none")).is_err());
    fixture.recipe.data.max_tokens = Some(4);
    assert!(fixture.run(Kind::Sft, "other", false).unwrap_err().to_string().contains("longer than 4 tokens"));
    assert!(!fixture.out("other").is_dir());
}
