//! The sampler against a plain one in `f64`, its distribution, its log-probabilities and its edges.

use super::*;
use crate::Stream;
use crate::ops::testing::numbers;

fn nothing(_: u32) -> bool {
    false
}

/// The ids that may be drawn and their probabilities, by sorting, in `f64`.
fn oracle(logits: &[f32], sampling: &Sampling, seen: &[u32]) -> Vec<(u32, f64)> {
    let mut scores: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
    let penalty = f64::from(sampling.repetition_penalty);
    for (id, score) in scores.iter_mut().enumerate() {
        if seen.contains(&(id as u32)) {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
        *score /= f64::from(sampling.temperature);
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    if sampling.top_k > 0 && sampling.top_k < order.len() {
        let cut = scores[order[sampling.top_k - 1]];
        order.retain(|id| scores[*id] >= cut);
    }
    let max = scores[order[0]];
    let mass: f64 = order.iter().map(|id| (scores[*id] - max).exp()).sum();
    let mut before = 0.0;
    order.retain(|id| {
        let kept = sampling.top_p == 1.0 || before < f64::from(sampling.top_p) * mass;
        before += (scores[*id] - max).exp();
        kept
    });
    order.retain(|id| (scores[*id] - max).exp() >= f64::from(sampling.min_p));
    let mass: f64 = order.iter().map(|id| (scores[*id] - max).exp()).sum();
    let mut kept: Vec<(u32, f64)> = order.iter().map(|id| (*id as u32, (scores[*id] - max).exp() / mass)).collect();
    kept.sort_by_key(|(id, _)| *id);
    kept
}

fn settings() -> Vec<Sampling> {
    let mut all = Vec::new();
    for temperature in [0.3, 1.0, 1.7] {
        for top_k in [0, 1, 5, 50, 100_000] {
            for top_p in [0.01, 0.5, 0.93, 1.0] {
                for min_p in [0.0, 0.07] {
                    for repetition_penalty in [1.0, 1.3, 0.8] {
                        all.push(Sampling { temperature, top_k, top_p, min_p, repetition_penalty });
                    }
                }
            }
        }
    }
    all
}

#[test]
fn draws_are_those_of_a_plain_sampler() {
    let mut sampler = Sampler::default();
    for (case, sampling) in settings().into_iter().enumerate() {
        for size in [3, 64, 1000] {
            for scale in [0.5, 8.0] {
                let logits: Vec<f32> = numbers(case as u64 + 1, size).iter().map(|x| x * scale).collect();
                let seen = [0, 1, 1, 2, 7_000];
                let kept = oracle(&logits, &sampling, &seen);
                // The middle of each kept token's stretch must give that token, if it is wider than
                // what f32 makes of the sums.
                let mut before = 0.0;
                for (id, probability) in kept.iter().take(40) {
                    let middle = before + probability / 2.0;
                    before += probability;
                    if *probability > 1e-5 {
                        let found = sampler.sample(&logits, &sampling, &seen, middle, &mut nothing).unwrap();
                        assert_eq!(found.id, *id, "{sampling:?}, {size} logits at {middle}");
                    }
                }
                let last = kept.iter().rfind(|(_, probability)| *probability > 1e-5).unwrap().0;
                let found = sampler.sample(&logits, &sampling, &seen, 1.0 - 1e-12, &mut nothing).unwrap();
                assert!(found.id >= last, "{sampling:?}, {size} logits at the end");
                assert!(kept.iter().any(|(id, _)| *id == found.id), "{sampling:?}, {size} logits at the end");
            }
        }
    }
}

#[test]
fn frequencies_follow_the_probabilities() {
    let logits: Vec<f32> = numbers(5, 60).iter().map(|x| x * 2.0).collect();
    let sampling = Sampling { temperature: 0.9, top_k: 30, top_p: 0.95, ..Sampling::default() };
    let kept = oracle(&logits, &sampling, &[]);
    let stream = Stream { seed: 3, ..Stream::default() };
    let mut counts = [0_u32; 60];
    let mut sampler = Sampler::default();
    let draws = 100_000;
    for position in 0..draws {
        let found = sampler.sample(&logits, &sampling, &[], stream.uniform(position), &mut nothing).unwrap();
        counts[found.id as usize] += 1;
    }
    let mut chi = 0.0;
    for (id, probability) in &kept {
        let expected = probability * f64::from(draws);
        chi += (f64::from(counts[*id as usize]) - expected).powi(2) / expected;
    }
    assert_eq!(counts.iter().filter(|count| **count > 0).count(), kept.len());
    // Mean plus four deviations: p is below 0.001 for any number of degrees of freedom here.
    let degrees = (kept.len() - 1) as f64;
    assert!(chi < degrees + 4.0 * (2.0 * degrees).sqrt(), "chi-square {chi} with {degrees} degrees of freedom");
}

#[test]
fn log_probabilities_are_those_before_truncation() {
    let mut sampler = Sampler::default();
    let logits: Vec<f32> = numbers(8, 500).iter().map(|x| x * 6.0).collect();
    for temperature in [0.0, 0.5, 1.0, 2.0] {
        let sampling = Sampling { temperature, top_k: 3, top_p: 0.7, min_p: 0.2, repetition_penalty: 1.5 };
        let found = sampler.sample(&logits, &sampling, &[1, 2, 3], 0.4, &mut nothing).unwrap();
        let divisor = if temperature == 0.0 { 1.0 } else { f64::from(temperature) };
        let mass: f64 = logits.iter().map(|x| (f64::from(*x) / divisor).exp()).sum();
        let exact = f64::from(logits[found.id as usize]) / divisor - mass.ln();
        assert!((f64::from(found.logprob) - exact).abs() < 1e-5, "{} is not {exact}", found.logprob);
    }
}

#[test]
fn the_likeliest_is_the_lowest_of_equals() {
    let mut logits = vec![0.5; 300];
    logits[17] = 2.0;
    logits[230] = 2.0;
    let mut sampler = Sampler::default();
    let mut greedy = |forbidden: &[u32]| {
        sampler.sample(&logits, &Sampling::default(), &[], 0.9, &mut |id| forbidden.contains(&id)).unwrap().id
    };
    assert_eq!(greedy(&[]), 17);
    assert_eq!(greedy(&[17]), 230);
    assert_eq!(greedy(&[17, 230, 0]), 1);
}

#[test]
fn top_p_keeps_the_lowest_ids_of_equals() {
    let logits = [1.0_f32; 10];
    let sampling = Sampling { temperature: 1.0, top_p: 0.35, ..Sampling::default() };
    let mut sampler = Sampler::default();
    let mut drawn: Vec<u32> = (0..1000)
        .map(|step| sampler.sample(&logits, &sampling, &[], f64::from(step) / 1000.0, &mut nothing).unwrap().id)
        .collect();
    drawn.dedup();
    assert_eq!(drawn, [0, 1, 2, 3]);
}

#[test]
fn forbidden_tokens_never_come_and_the_rest_keeps_its_shares() {
    let logits: Vec<f32> = numbers(2, 40);
    let sampling = Sampling { temperature: 1.0, top_k: 4, ..Sampling::default() };
    let kept = oracle(&logits, &sampling, &[]);
    let (refused, left) = (kept[1].0, [kept[0], kept[2], kept[3]]);
    let mass: f64 = left.iter().map(|(_, probability)| probability).sum();
    let mut sampler = Sampler::default();
    let mut shares = [0.0; 40];
    let draws = 20_000;
    for position in 0..draws {
        let uniform = Stream::default().uniform(position);
        let found = sampler.sample(&logits, &sampling, &[], uniform, &mut |id| id == refused).unwrap();
        shares[found.id as usize] += 1.0 / f64::from(draws);
    }
    assert_eq!(shares[refused as usize], 0.0);
    // The number that led to the refused token leads where it leads among the rest.
    for (id, probability) in left {
        assert!((shares[id as usize] - probability / mass).abs() < 0.15);
    }
    let all: Vec<u32> = kept.iter().map(|(id, _)| *id).collect();
    let widened = sampler.sample(&logits, &sampling, &[], 0.5, &mut |id| all.contains(&id)).unwrap();
    let fifth = Sampling { top_k: 5, ..sampling };
    let expected = oracle(&logits, &fifth, &[]).into_iter().find(|(id, _)| !all.contains(id)).unwrap();
    assert_eq!(widened.id, expected.0);
    let fault = sampler.sample(&logits, &sampling, &[], 0.5, &mut |_| true).unwrap_err();
    assert_eq!(fault.to_string(), "every token is forbidden");
}

#[test]
fn what_cannot_be_sampled_is_an_error() {
    let mut sampler = Sampler::default();
    let hot = Sampling { temperature: 1.0, top_k: 2, top_p: 0.5, ..Sampling::default() };
    for sampling in [Sampling::default(), hot] {
        for bad in [f32::NAN, f32::INFINITY] {
            let logits = [0.0, bad, 1.0];
            assert!(sampler.sample(&logits, &sampling, &[], 0.5, &mut nothing).is_err());
        }
        assert!(sampler.sample(&[], &sampling, &[], 0.5, &mut nothing).is_err());
        assert!(sampler.sample(&[f32::NEG_INFINITY; 4], &sampling, &[], 0.5, &mut nothing).is_err());
        // One token without a probability is no fault, and never comes.
        let logits = [f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY];
        assert_eq!(sampler.sample(&logits, &sampling, &[], 0.5, &mut nothing).unwrap().id, 1);
    }
    for bad in [
        Sampling { temperature: -1.0, ..hot },
        Sampling { temperature: f32::NAN, ..hot },
        Sampling { top_p: 0.0, ..hot },
        Sampling { min_p: 1.5, ..hot },
        Sampling { repetition_penalty: 0.0, ..hot },
    ] {
        assert!(sampler.sample(&[0.0, 1.0], &bad, &[], 0.5, &mut nothing).is_err(), "{bad:?}");
    }
}

#[test]
fn rows_do_not_depend_on_what_was_sampled_before() {
    let rows: Vec<Vec<f32>> = (0..6).map(|row| numbers(row, 100 + 300 * (row as usize % 3))).collect();
    let all = settings();
    let choose = |sampler: &mut Sampler, row: usize| {
        let sampling = all[row * 53 % all.len()];
        sampler.sample(&rows[row], &sampling, &[1, 5], 0.3 + row as f64 / 10.0, &mut nothing).unwrap()
    };
    let mut shared = Sampler::default();
    let forward: Vec<Sampled> = (0..6).map(|row| choose(&mut shared, row)).collect();
    for row in (0..6).rev() {
        assert_eq!(choose(&mut shared, row), forward[row]);
        assert_eq!(choose(&mut Sampler::default(), row), forward[row]);
    }
}
