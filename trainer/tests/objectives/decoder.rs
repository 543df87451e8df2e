//! A decoder learns by GRPO, on the numbers that it sampled with, and not from rewards of another question.

use candle_core::DType;
use nn::{Batch, Decoder, Device, Gradients, KvCache, Recompute, Shape, Trainable, Wanted};
use trainer::objective::{Advantages, Denominator, GrpoConfig, Recorded, advantages, policy_loss};
use trainer::{AdamW, Optimiser};

use crate::numbers;

const QUESTIONS: usize = 4;
const GROUP: usize = 16;
const EPISODES: usize = QUESTIONS * GROUP;
const WRITTEN: usize = 2;
const STEPS: u64 = 120;

/// The next token of each sequence by its draw, and its log-probability.
fn sample(decoder: &Decoder, sequences: &[Vec<u32>], draws: &[f64]) -> Vec<(u32, f32)> {
    let mut cache = KvCache::new(decoder, sequences.len()).unwrap();
    let mut batch = Batch::default();
    for (block, sequence) in (0..).zip(sequences) {
        batch.push(sequence, 0, &[block], Wanted::Last);
    }
    let logits = decoder.forward(&batch, nn::Pass::Infer(&mut cache)).unwrap().to_vec().unwrap();
    let choose = |(row, draw): (&[f32], &f64)| {
        let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        let mut rest = (0.5 + 0.5 * draw) * total;
        let is_over = |logit: &f32| {
            rest -= f64::from(*logit).exp();
            rest < 0.0
        };
        let id = row.iter().position(is_over).unwrap_or(row.len() - 1);
        (id as u32, (f64::from(row[id]) - total.ln()) as f32)
    };
    logits.chunks_exact(decoder.config().vocab_size).zip(draws).map(choose).collect()
}

/// Mean rewards of the first and of the last five of all steps. An answer is worth the share of its
/// tokens whose rest by four is the question; `shift` takes the reward of another one.
fn learn(shift: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    nn::init(Shape::Tiny, 3, &model, &mut |_, _| ()).unwrap();
    let mut decoder = Decoder::load(&model, Device::cpu()).unwrap();
    let parameters = decoder.train(Trainable::All, Recompute::Auto).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let named = parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.var));
    let mut optimiser = Optimiser::new(AdamW::default(), named).unwrap();
    let groups: Vec<_> = (0..EPISODES).map(|episode| episode / GROUP).collect();
    let config = GrpoConfig::default();
    let mut means = Vec::new();
    for step in 0..STEPS {
        let mut sequences: Vec<_> = groups.iter().map(|question| vec![300, 400 + *question as u32]).collect();
        let mut sampled = vec![Vec::new(); EPISODES];
        for turn in 0..WRITTEN {
            let draws = numbers(1000 * step + turn as u64, EPISODES);
            for (episode, (id, logprob)) in sample(&decoder, &sequences, &draws).into_iter().enumerate() {
                sequences[episode].push(id);
                sampled[episode].push(logprob);
            }
        }
        let worth = |(sequence, question): (&Vec<u32>, &usize)| {
            let right = sequence[2..].iter().filter(|id| **id as usize % QUESTIONS == *question).count();
            right as f64 / WRITTEN as f64
        };
        let mut rewards: Vec<_> = sequences.iter().zip(&groups).map(worth).collect();
        means.push(rewards.iter().sum::<f64>() / EPISODES as f64);
        rewards.rotate_left(shift);

        let Advantages { values, is_kept, .. } = advantages(&rewards, &groups, config.scaling).unwrap();
        let kept: Vec<_> = (0..EPISODES).filter(|episode| is_kept[*episode]).collect();
        let all = Denominator::of(kept.iter().map(|_| WRITTEN));
        gradients.clear();
        // micro-batches of five episodes
        for part in kept.chunks(5) {
            let (mut batch, mut targets) = (Batch::default(), Vec::new());
            for episode in part {
                let sequence = &sequences[*episode];
                batch.push_wanting(&sequence[..sequence.len() - 1], |at| at > 0);
                targets.extend_from_slice(&sequence[2..]);
            }
            let sampler: Vec<_> = part.iter().flat_map(|episode| sampled[*episode].clone()).collect();
            let advantages: Vec<_> = part.iter().flat_map(|episode| [values[*episode]; WRITTEN]).collect();
            let sequences: Vec<_> = (0..part.len()).map(|at| at * WRITTEN..(at + 1) * WRITTEN).collect();
            let recorded = Recorded {
                old: None,
                sampler: Some(&sampler),
                reference: None,
                advantages: &advantages,
                sequences: &sequences,
            };
            let pass = decoder.logprobs(&batch, &targets, 1.0).unwrap();
            let loss = policy_loss(&config, &pass.logprobs, &recorded, all).unwrap();
            assert_eq!(loss.loss.dtype(), DType::F32);
            let apart = loss.metrics.get("mismatch_max").unwrap();
            assert!(apart < 1e-4, "step {step}: sampler and trainer are {apart} apart");
            decoder.backward(pass, &loss.loss, &mut gradients).unwrap();
        }
        optimiser.step(gradients.iter(), gradients.norm(), 3e-3).unwrap();
        decoder.refresh().unwrap();
    }
    let mean = |means: &[f64]| means.iter().sum::<f64>() / means.len() as f64;
    (mean(&means[..5]), mean(&means[STEPS as usize - 5..]))
}

#[test]
fn learns_from_its_rewards() {
    let (first, last) = learn(0);
    assert!(first < 0.45 && last > 0.9, "{first} to {last}");
}

#[test]
fn learns_nothing_from_the_rewards_of_other_questions() {
    let (_, last) = learn(GROUP + 3);
    assert!(last < 0.5, "{last}");
}
