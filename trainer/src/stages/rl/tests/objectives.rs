//! PPO on the loop that GRPO learns in, and the settings of that loop.

use super::*;
use crate::objective::KlControl;

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// PPO without groups: one episode a question.
fn valued(learn: Learn, steps: u64) -> Fixture {
    let mut fixture = fixture(learn, steps);
    fixture.objective = Objective::Ppo;
    (fixture.recipe.rollout.questions, fixture.recipe.rollout.group) = (6, 4);
    fixture.recipe.ppo.kl = KlControl { coefficient: 0.01, ..KlControl::default() };
    fixture
}

#[test]
fn ppo_raises_its_rewards_and_its_head_learns_what_to_expect() {
    let mut fixture = valued(Learn::All, 30);
    fixture.recipe.ppo.minibatches = 2;
    fixture.recipe.optimiser.learning_rate = Some(2e-3);
    fixture.recipe.ppo.value_weight = 1.0;
    let state = fixture.run("run", false, &of_odd, &mut |_| {}).unwrap();
    assert_eq!((state.step, state.updates), (30, 60));
    let told = steps(&fixture.out("run"));
    let reward = |part: &[journal::Step]| mean(part.iter().map(|step| step.values["reward"]));
    let (first, last) = (reward(&told[..4]), reward(&told[26..]));
    assert!(first < 0.65 && last > first + 0.2, "{first} to {last}");
    assert!(told.iter().all(|step| step.values["mismatch_max"] < 1e-3 && step.stage == "ppo"));
    for name in ["value_loss", "value_mean", "return_mean", "value_clipped", "kl", "kl_coefficient", "score"] {
        assert!(told[0].values.contains_key(name), "{name}: {:?}", told[0].values);
    }
    let summary = crate::Summary::read(&fixture.out("run")).unwrap();
    assert!(summary.heldout["after_ppo"]["accuracy"] > summary.heldout["before"]["accuracy"]);
}

#[test]
fn a_resumed_run_of_ppo_ends_in_the_same_bytes() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut fixture = valued(learn, 4);
        fixture.recipe.run.checkpoint_every = 2;
        (fixture.recipe.rollout.epochs, fixture.recipe.ppo.minibatches) = (2, 3);
        fixture.recipe.ppo.kl =
            KlControl { coefficient: 0.1, target: Some(0.01), horizon: 50.0, ..KlControl::default() };
        let (whole, half) = (fixture.out("whole"), fixture.out("half"));
        let copy_at_three = &mut copied_after(3, &whole, &half);
        let state = fixture.run("whole", false, &of_odd, copy_at_three).unwrap();
        assert_eq!((state.step, state.updates), (4, 24));
        let controllers = state.controllers.unwrap();
        assert!(controllers.kl.coefficient != 0.1 && controllers.scale != crate::objective::RewardScale::default());
        assert_eq!(fixture.run("half", true, &of_odd, &mut |_| {}).unwrap(), state);
        assert!(whole.join("checkpoints/step-00000004/value_head.safetensors").is_file());
        assert_same(&whole.join("checkpoints"), &half.join("checkpoints"));
        assert_eq!(steps(&whole), steps(&half));
    }
}

#[test]
fn how_episodes_are_batched_changes_nothing() {
    for objective in [Objective::Grpo, Objective::Ppo] {
        let first = |micro_tokens: usize| {
            let mut fixture = valued(Learn::All, 2);
            (fixture.recipe.rollout.questions, fixture.recipe.rollout.group) = (2, 4);
            fixture.objective = objective;
            fixture.recipe.rollout.micro_tokens = micro_tokens;
            fixture.recipe.data.heldout.clear();
            fixture.run("run", false, &of_odd, &mut |_| {}).unwrap();
            let told = steps(&fixture.out("run"));
            assert_eq!(told[0].values["reward"], told[0].values["reward_correctness"]);
            (told[0].loss.unwrap(), told[0].gradient_norm.unwrap(), told[1].loss.unwrap())
        };
        let (apart, together) = (first(2), first(2_500));
        assert!((apart.0 - together.0).abs() < 1e-5, "{objective:?}: {apart:?} {together:?}");
        assert!((apart.1 - together.1).abs() < 1e-4 * together.1, "{objective:?}: {apart:?} {together:?}");
        assert!((apart.2 - together.2).abs() < 1e-4, "{objective:?}: {apart:?} {together:?}");
    }
}

#[test]
fn further_questions_are_asked_while_too_few_groups_differ() {
    let asked = |resample: u64| {
        let mut fixture = fixture(Learn::Adapter, 2);
        fixture.recipe.data.heldout.clear();
        fixture.recipe.grpo.resample = resample;
        // Every other question is worth the same whoever answers it.
        let half = |question: &Question, trace: &Trace| {
            worth(if question.id.parse::<u32>().unwrap() % 2 == 0 { 0.5 } else { odd(trace) })
        };
        let state = fixture.run("run", false, &half, &mut |_| {}).unwrap();
        let told = steps(&fixture.out("run"));
        (state.cursor, told.iter().map(|step| step.values["samples"] / 8.0).collect::<Vec<_>>())
    };
    let (cursor, groups) = asked(0);
    assert_eq!((cursor.epoch, cursor.pack), (1, 0));
    assert!(groups.iter().sum::<f64>() == 3.0, "{groups:?}");
    // Three of six differ: both halves of them are asked in each step.
    let (cursor, groups) = asked(5);
    assert_eq!((cursor.epoch, cursor.pack, groups), (2, 0, vec![3.0, 3.0]));

    // No more often than is allowed, and no question's episodes twice the same.
    let mut fixture = fixture(Learn::Adapter, 1);
    fixture.recipe.data.heldout.clear();
    fixture.recipe.grpo.resample = 3;
    fixture.run("none", false, &|_, _| worth(0.5), &mut |_| {}).unwrap();
    let episodes = fs::read_to_string(fixture.out("none").join("traces/step-00000001.jsonl")).unwrap();
    let seeds: std::collections::BTreeSet<u64> = episodes
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["trace"]["seed"].as_u64().unwrap())
        .collect();
    assert_eq!((episodes.lines().count(), seeds.len()), (96, 96));
}

#[test]
fn minibatches_hold_every_episode_once() {
    let mut fixture = valued(Learn::Adapter, 2);
    (fixture.recipe.ppo.minibatches, fixture.recipe.rollout.epochs) = (5, 2);
    fixture.recipe.data.heldout.clear();
    let state = fixture.run("run", false, &of_odd, &mut |_| {}).unwrap();
    assert_eq!(state.updates, 20);
    let told = steps(&fixture.out("run"));
    assert!(told[0].values["ratio_max"] > 1.0 && told[0].values["samples"] == 24.0, "{:?}", told[0].values);
}

#[test]
fn an_episode_alone_is_no_group() {
    let mut fixture = fixture(Learn::Adapter, 2);
    fixture.recipe.rollout.group = 1;
    let error = crate::stages::grpo::grpo(&fixture.plan(), &fixture.out("run"), false, &now, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("rollout.group is 1, expected 2"), "{error}");
}
