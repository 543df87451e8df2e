//! Groups of episodes of a random model: the same whatever runs beside them, and what the model saw.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use agent::policy::LocalOptions;
use nn::{Batch, Decoder, Device, KvCache, Pass, Sampling, Wanted};
use retriever::Fixed;
use tempfile::TempDir;

use super::*;
use crate::data::question::Gold;
use crate::reward::Rewards;

/// A tiny random model, made once.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FOLDER.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tiny");
        nn::init(nn::Shape::Tiny, 3, &path, &mut |_, _| {}).unwrap();
        (home, path)
    });
    path
}

const TEMPERATURE: f32 = 0.7;

fn local() -> Local {
    let sampling = Sampling { temperature: TEMPERATURE, top_p: 0.95, ..Sampling::default() };
    Local::open(folder(), &LocalOptions { sampling, ..LocalOptions::default() }).unwrap()
}

fn library() -> Fixed {
    Fixed::new([("metformin", "Metformin", "The dose of metformin is 500 mg."), ("lithium", "Lithium", "A salt.")])
}

fn questions() -> Vec<Question> {
    let question = |(id, question): (&str, &str)| Question {
        id: id.to_owned(),
        question: question.to_owned(),
        gold: Gold::Exact(vec!["500 mg".to_owned()]),
        documents: Vec::new(),
        hops: 1,
    };
    [("1", "What is the dose of metformin?"), ("2", "What is lithium?"), ("3", "Which drug is a salt?")]
        .map(question)
        .to_vec()
}

fn config(at_once: usize) -> RolloutConfig {
    let budget = Budget { turns: 2, generated_tokens: 48, ..Budget::default() };
    RolloutConfig { group: 4, at_once, budget, ..RolloutConfig::default() }
}

fn run(
    policy: &Local,
    config: &RolloutConfig,
    place: Place,
    clock: &(dyn Fn() -> Duration + Sync),
) -> Result<Vec<Rollout>> {
    let setting = Setting {
        policy,
        retriever: &library(),
        query: &Query::new(""),
        config,
        score: &|episodes| Rewards::default().score(episodes),
        clock,
        started: jiff::Timestamp::UNIX_EPOCH,
    };
    rollouts(&setting, &questions(), place)
}

fn still() -> Duration {
    Duration::ZERO
}

#[test]
fn episodes_depend_on_their_place_and_not_on_their_company() {
    let policy = local();
    let place = Place { seed: 5, step: 2 };
    let alone = run(&policy, &config(1), place, &still).unwrap();
    assert_eq!(run(&policy, &config(5), place, &still).unwrap(), alone);
    assert_eq!(run(&local(), &config(0), place, &still).unwrap(), alone);
    assert_eq!(alone.iter().map(|rollout| rollout.prompt).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    for other in [Place { seed: 6, ..place }, Place { step: 3, ..place }] {
        let other = run(&policy, &config(0), other, &still).unwrap();
        assert!(other.iter().zip(&alone).all(|(other, one)| other.sample != one.sample));
    }
    let distinct: std::collections::BTreeSet<_> = alone.iter().map(|rollout| &rollout.sample.ids).collect();
    assert_eq!(distinct.len(), 12);
    assert!(alone.iter().all(|rollout| !rollout.is_masked && rollout.version == 0));
}

/// Log-probabilities of the masked tokens of a sample, its ids read at once from the beginning.
fn forced(decoder: &Decoder, sample: &Sample) -> Vec<f32> {
    let blocks: Vec<u32> = (0..sample.ids.len().div_ceil(nn::BLOCK) as u32).collect();
    let mut cache = KvCache::new(decoder, blocks.len()).unwrap();
    let mut batch = Batch::default();
    batch.push(&sample.ids, 0, &blocks, Wanted::All);
    let logits = decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap().to_vec().unwrap();
    let rows = logits.chunks_exact(decoder.config().vocab_size);
    let logprob = |(row, id): (&[f32], u32)| {
        let scaled: Vec<f64> = row.iter().map(|logit| f64::from(*logit) / f64::from(TEMPERATURE)).collect();
        let sum: f64 = scaled.iter().map(|logit| logit.exp()).sum();
        (scaled[id as usize] - sum.ln()) as f32
    };
    let next = sample.ids[1..].iter().zip(&sample.mask[1..]);
    rows.zip(next).filter(|(_, (_, learnt))| **learnt).map(|(row, (id, _))| logprob((row, *id))).collect()
}

#[test]
fn a_sample_is_what_the_model_saw_also_after_its_weights_changed() {
    let policy = local();
    let place = Place { seed: 1, step: 0 };
    let check = |version| {
        let done = run(&policy, &config(0), place, &still).unwrap();
        for rollout in &done {
            assert_eq!(rollout.version, version);
            rollout.sample.check().unwrap();
            let forced = policy.engine().read(|decoder| forced(decoder, &rollout.sample));
            assert_eq!(forced.len(), rollout.logprobs.len());
            for (forced, sampled) in forced.iter().zip(&rollout.logprobs) {
                assert!((forced - sampled).abs() < 1e-4, "{forced} {sampled}");
            }
        }
        done
    };
    let before = check(0);
    let home = tempfile::tempdir().unwrap();
    nn::init(nn::Shape::Tiny, 4, &home.path().join("other"), &mut |_, _| {}).unwrap();
    let other = Decoder::load(&home.path().join("other"), Device::cpu()).unwrap();
    policy.engine().update(|decoder| *decoder = other).unwrap();
    let after = check(1);
    assert!(before.iter().zip(&after).all(|(before, after)| before.sample != after.sample));
}

#[test]
fn weights_that_change_meanwhile_are_noticed() {
    let policy = local();
    let (library, query, config) = (library(), Query::new(""), config(1));
    // Asked when an episode begins.
    let clock = || {
        policy.engine().update(|_| ()).unwrap();
        Duration::ZERO
    };
    let started = jiff::Timestamp::UNIX_EPOCH;
    let setting = Setting {
        policy: &policy,
        retriever: &library,
        query: &query,
        config: &config,
        score: &|episodes| Rewards::default().score(episodes),
        clock: &clock,
        started,
    };
    let error = rollouts(&setting, &questions(), Place::default()).unwrap_err().to_string();
    assert!(error.contains("the weights changed"), "{error}");
}

#[test]
fn an_episode_out_of_time_is_masked() {
    let seconds = AtomicU64::new(0);
    let clock = || Duration::from_secs(seconds.fetch_add(1, Ordering::Relaxed));
    let budget = Budget { wall_ms: 2_500, ..config(1).budget };
    let done = run(&local(), &RolloutConfig { budget, ..config(1) }, Place::default(), &clock).unwrap();
    let masked = done.iter().filter(|rollout| rollout.is_masked).count();
    assert!(masked > 0 && done.iter().all(|rollout| rollout.is_masked == (rollout.trace.stop == StopReason::Time)));
    let summary = summary(&done);
    assert_eq!((summary.episodes, summary.masked), (12, masked));
    assert!(summary.terms.is_empty() == (masked == 12));
}

#[test]
fn an_episode_that_cannot_be_fails_the_whole_and_an_empty_group_is_refused() {
    let policy = local();
    let none = RolloutConfig { group: 0, ..config(1) };
    assert!(run(&policy, &none, Place::default(), &still).unwrap_err().to_string().contains("rollout.group"));
    let spent = RolloutConfig { budget: Budget { wall_ms: 0, ..Budget::default() }, ..config(3) };
    assert!(run(&policy, &spent, Place::default(), &still).unwrap_err().to_string().contains("wall_ms"));
}

#[test]
fn a_summary_is_of_what_was_not_masked() {
    let done = run(&local(), &config(0), Place::default(), &still).unwrap();
    let summary = summary(&done);
    let mean = done.iter().map(|rollout| rollout.reward.total).sum::<f64>() / 12.0;
    assert!((summary.reward - mean).abs() < 1e-12 && summary.masked == 0);
    assert_eq!(summary.terms.len(), done[0].reward.terms.len());
    assert!(summary.written_tokens > 0.0 && summary.tokens > summary.written_tokens);
}
