//! Worth that is found again from choices, models that are opened wherever they were exported to, and runs that go on.

use super::*;
use crate::recipe::Recompute;
use crate::run::export::{Which, export};
use crate::testing::{Trial, again, records, resumes_to_the_byte};
use crate::{Kind, Summary};

/// Answers that are worth 0, ln 2 and ln 4 on two prompts: each pair as often as Bradley and Terry have it.
fn choices() -> String {
    let of = |prompt: u32, [a, b, c]: [u32; 3]| {
        records(prompt, &[(b, a, 10), (a, b, 5), (c, b, 10), (b, c, 5), (c, a, 12), (a, c, 3)])
    };
    of(300, [401, 402, 403]) + &of(301, [403, 401, 402])
}

#[test]
fn worth_is_found_again_from_choices() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut paired = Trial::paired(learn, &choices(), &again(300, &[(403, 401), (401, 402)]));
        let section = &mut paired.recipe.reward_model;
        (section.epochs, section.centering) = (150, 1e-3);
        paired.run(Kind::Reward, "run", false).unwrap();
        let summary = Summary::read(&paired.out("run")).unwrap();
        assert_eq!(summary.heldout["final"]["accuracy"], 0.5, "{:?}", summary.heldout);

        let mut told = Vec::new();
        for (name, merged) in [("plain", false), ("merged", true)] {
            export(&paired.out("run"), &paired.out(name), Which::Last, merged).unwrap();
            let model = RewardModel::open(&paired.out(name), Device::cpu()).unwrap();
            let answers: [&[u32]; 6] = [&[300, 401], &[300, 402], &[300, 403], &[301, 403], &[301, 401], &[301, 402]];
            let worth = model.score(&answers).unwrap();
            for pair in [[0, 1], [1, 2], [3, 4], [4, 5]] {
                let apart = f64::from(worth[pair[1]] - worth[pair[0]]);
                assert!((apart - 2_f64.ln()).abs() < 0.03, "{learn:?} {name}: {worth:?}");
            }
            // What an answer is worth does not depend on who else is asked about.
            for (answer, worth) in answers.iter().zip(&worth) {
                assert_eq!(model.score(&[answer]).unwrap(), [*worth]);
            }
            assert!(model.score(&[]).unwrap().is_empty() && model.score(&[&[]]).is_err());
            assert!(model.score(&[&vec![1; 100_000]]).is_err() && model.score(&[&[u32::MAX]]).is_err());
            told.push(worth);
        }
        let apart = told[0].iter().zip(&told[1]).map(|(plain, merged)| (plain - merged).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{apart}");
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut paired = Trial::paired(learn, &choices(), &again(300, &[(403, 401)]));
        let section = &mut paired.recipe.reward_model;
        (section.micro_tokens, section.accumulate, section.epochs) = (24, 3, 2);
        (paired.recipe.run.checkpoint_every, paired.recipe.run.evaluate_every) = (3, 4);
        resumes_to_the_byte(&paired, Kind::Reward, 5);
    }
}

#[test]
fn how_pairs_are_batched_and_whether_layers_are_computed_twice_changes_nothing() {
    let first = |micro_tokens: usize, accumulate: usize, recompute: Recompute| {
        let mut paired = Trial::paired(Learn::All, &choices(), "");
        let section = &mut paired.recipe.reward_model;
        (section.epochs, section.micro_tokens, section.accumulate) = (2, micro_tokens, accumulate);
        paired.recipe.model.recompute = recompute;
        paired.run(Kind::Reward, "run", false).unwrap();
        let told = paired.steps("run");
        (told[0].gradient_norm.unwrap(), told[1].loss.unwrap())
    };
    let together = first(4096, 1, Recompute::Off);
    let apart = first(6, 90, Recompute::Off);
    assert!((together.0 - apart.0).abs() < 1e-4 * together.0, "{together:?} {apart:?}");
    assert!((together.1 - apart.1).abs() < 1e-5, "{together:?} {apart:?}");
    assert_eq!(together, first(4096, 1, Recompute::On));
}

#[test]
fn what_is_no_reward_model_is_refused() {
    let paired = Trial::paired(Learn::All, &choices(), "");
    let refused = |dir: &Path| RewardModel::open(dir, Device::cpu()).unwrap_err().to_string();
    let model = &paired.recipe.model.path;
    assert!(refused(model).contains("anamnesis-train reward"));
    for (card, said) in [("{", "no card"), ("{\"format\": 2}", "format 2"), ("{\"format\": 1}", "reward_head")] {
        fs::write(model.join(CARD), card).unwrap();
        assert!(refused(model).contains(said), "{}", refused(model));
    }
}
