//! Pairs that move a policy to where theory says, however they are batched, and runs that go on to the byte.

use super::*;
use crate::recipe::{Learn, Recompute};
use crate::testing::{Trial, again, answer, records, resumes_to_the_byte};
use crate::{Kind, Summary};

/// Three answers to one prompt that are worth 0, ln 2 and ln 4: each pair as often as Bradley and Terry have it.
fn preferences() -> String {
    records(300, &[(402, 401, 10), (401, 402, 5), (403, 402, 10), (402, 403, 5), (403, 401, 12), (401, 403, 3)])
}

fn logprobs(model: &Path) -> Vec<f64> {
    let decoder = Decoder::load(model, nn::Device::cpu()).unwrap();
    let samples: Vec<Sample> =
        [401, 402, 403].map(|id| serde_json::from_value(answer(300, id)).unwrap()).into_iter().collect();
    let score = |sample: &Sample| f64::from(score(&decoder, &[sample], 1.0, true).unwrap()[0]);
    samples.iter().map(score).collect()
}

/// The policy becomes ref · e^(reward / beta).
#[test]
fn the_policy_goes_where_the_closed_form_says() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut paired = Trial::paired(learn, &preferences(), &again(300, &[(403, 402), (402, 401)]));
        (paired.recipe.dpo.epochs, paired.recipe.dpo.beta) = (200, 0.5);
        if learn == Learn::Adapter {
            // A frozen head over normalised states can move answers but so far apart.
            paired.recipe.dpo.beta = 2.0;
        }
        let beta = paired.recipe.dpo.beta;
        paired.run(Kind::Dpo, "run", false).unwrap();
        crate::run::export::export(&paired.out("run"), &paired.out("learnt"), crate::run::export::Which::Last, true)
            .unwrap();
        let before = logprobs(&paired.recipe.model.path);
        let after = logprobs(&paired.out("learnt"));
        let moved: Vec<f64> = after.iter().zip(&before).map(|(after, before)| beta * (after - before)).collect();
        for step in [moved[1] - moved[0], moved[2] - moved[1]] {
            assert!((step - 2_f64.ln()).abs() < 0.02, "{learn:?}: {step}");
        }
        let told = paired.steps("run");
        let first = &told[0];
        assert!((first.loss.unwrap() - 2_f64.ln()).abs() < 1e-6, "the reference is the model as it was at first");
        for name in ["chosen_reward", "rejected_reward", "margin", "accuracy", "chosen_logprob", "rejected_logprob"] {
            assert!(first.values.contains_key(name), "{name}");
        }
        let summary = Summary::read(&paired.out("run")).unwrap();
        let accuracy = |phase: &str| summary.heldout[phase]["accuracy"];
        assert_eq!((accuracy("before"), accuracy("after_dpo"), accuracy("final")), (0.0, 1.0, 1.0));
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut paired = Trial::paired(learn, &preferences(), &again(300, &[(403, 401)]));
        let dpo = &mut paired.recipe.dpo;
        (dpo.micro_tokens, dpo.accumulate, dpo.epochs) = (16, 3, 3);
        (paired.recipe.run.checkpoint_every, paired.recipe.run.evaluate_every) = (3, 4);
        resumes_to_the_byte(&paired, Kind::Dpo, 5);
        // A reference that was lost is computed again by the model as it was at first.
        let half = paired.out("half");
        let kept = fs::read(half.join(REFERENCE)).unwrap();
        for spoilt in [&b"x"[..], &kept[..kept.len() / 2]] {
            let out = paired.out("lost");
            crate::files::remove_folder(&out).unwrap();
            crate::testing::copy(&half, &out);
            let mut steps = crate::Checkpoints::at(&out.join("checkpoints")).steps().unwrap();
            let last = steps.pop().unwrap();
            crate::files::remove_folder(&out.join(format!("checkpoints/step-{last:08}"))).unwrap();
            fs::write(out.join(REFERENCE), spoilt).unwrap();
            if !steps.is_empty() {
                paired.run(Kind::Dpo, "lost", true).unwrap();
                assert!(fs::read(out.join(REFERENCE)).unwrap() == kept);
            }
        }
    }
}

#[test]
fn how_pairs_are_batched_and_whether_layers_are_computed_twice_changes_nothing() {
    let first = |change: &dyn Fn(&mut crate::Recipe)| {
        let mut paired = Trial::paired(Learn::All, &preferences(), "");
        paired.recipe.dpo.max_steps = Some(2);
        change(&mut paired.recipe);
        paired.run(Kind::Dpo, "run", false).unwrap();
        // The second loss shows where the first gradients led.
        let told = paired.steps("run");
        assert_eq!((told[0].values["samples"], told[0].tokens), (90.0, 180));
        (told[0].gradient_norm.unwrap(), told[1].loss.unwrap())
    };
    let whole = |recipe: &mut crate::Recipe| recipe.dpo.epochs = 2;
    let together = first(&|recipe| whole(recipe));
    let apart = first(&|recipe| {
        whole(recipe);
        (recipe.dpo.micro_tokens, recipe.dpo.accumulate) = (4, 45);
    });
    assert!((together.0 - apart.0).abs() < 1e-4 * together.0, "{together:?} {apart:?}");
    assert!((together.1 - apart.1).abs() < 1e-5, "{together:?} {apart:?}");
    let recomputed = first(&|recipe| {
        whole(recipe);
        recipe.model.recompute = Recompute::On;
    });
    assert_eq!(together, recomputed);
}
