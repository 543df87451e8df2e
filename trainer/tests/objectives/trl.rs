//! TRL's losses and gradients on the same numbers; `fixtures/objectives.py` made what is read here.

use std::path::Path;

use serde::Deserialize;
use trainer::objective::{
    DpoConfig, GrpoConfig, Pair, Scaling, advantages, advantages_by_term, dpo_loss, preference_loss,
};

use crate::oracle::Episode;
use crate::policy::{denominator, loss_of};
use crate::{assert_close, gradient, variable};

#[derive(Deserialize)]
struct Fixture {
    lengths: Vec<usize>,
    logprobs: Vec<f64>,
    old: Vec<f64>,
    sampler: Vec<f64>,
    reference: Vec<f64>,
    advantages: Vec<f64>,
    grpo: Vec<Grpo>,
    dpo: Vec<Dpo>,
    preference: Vec<Preference>,
    advantage: Scaled,
}

#[derive(Deserialize)]
struct Grpo {
    config: GrpoConfig,
    on_policy: bool,
    loss: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Dpo {
    config: DpoConfig,
    pairs: Vec<(usize, usize)>,
    loss: f64,
    gradient: Vec<f64>,
    margin: f64,
    accuracy: f64,
}

#[derive(Deserialize)]
struct Preference {
    centering: f64,
    scores: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    accuracy: f64,
}

#[derive(Deserialize)]
struct Scaled {
    terms: Vec<Vec<Option<f64>>>,
    weights: Vec<f64>,
    rewards: Vec<Option<f64>>,
    none: Vec<f64>,
    group: Vec<f64>,
    batch: Vec<f64>,
    by_term: Vec<f64>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/objectives.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn ranges(lengths: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut end = 0;
    let next = |length: &usize| {
        end += length;
        end - length..end
    };
    lengths.iter().map(next).collect()
}

#[test]
fn grpo() {
    let fixture = fixture();
    let episode = |(range, advantage): (std::ops::Range<usize>, &f64)| Episode {
        logprobs: fixture.logprobs[range.clone()].to_vec(),
        old: fixture.old[range.clone()].to_vec(),
        sampler: fixture.sampler[range.clone()].to_vec(),
        reference: fixture.reference[range].to_vec(),
        advantage: *advantage,
    };
    let episodes: Vec<_> = ranges(&fixture.lengths).into_iter().zip(&fixture.advantages).map(episode).collect();
    assert!(fixture.grpo.len() > 20);
    for case in fixture.grpo {
        let what = format!("{:?}", case.config);
        let logprobs = variable(&fixture.logprobs);
        let loss = loss_of(&case.config, &episodes, case.on_policy, &logprobs, denominator(&episodes)).unwrap();
        let (value, slopes) = gradient(&logprobs, &loss);
        assert_close(&what, &[value], &[case.loss], 1e-13);
        assert_close(&what, &slopes, &case.gradient, 1e-13);
    }
}

#[test]
fn dpo() {
    let fixture = fixture();
    let ranges = ranges(&fixture.lengths);
    let reference: Vec<_> = fixture.reference.iter().map(|x| *x as f32).collect();
    for case in fixture.dpo {
        let pair = |(chosen, rejected): &(usize, usize)| Pair {
            chosen: ranges[*chosen].clone(),
            rejected: ranges[*rejected].clone(),
        };
        let pairs: Vec<_> = case.pairs.iter().map(pair).collect();
        let logprobs = variable(&fixture.logprobs);
        let loss = dpo_loss(&case.config, &logprobs, &reference, &pairs, pairs.len()).unwrap();
        let (value, slopes) = gradient(&logprobs, &loss);
        assert_close("loss", &[value], &[case.loss], 1e-13);
        assert_close("gradient", &slopes, &case.gradient, 1e-13);
        let figures = ["margin", "accuracy"].map(|name| loss.metrics.get(name).unwrap());
        assert_close("metrics", &figures, &[case.margin, case.accuracy], 1e-12);
    }
}

#[test]
fn preference() {
    for case in fixture().preference {
        let scores = variable(&case.scores);
        let loss = preference_loss(&scores, &[(0, 3), (1, 4), (2, 5)], case.centering, 3).unwrap();
        let (value, slopes) = gradient(&scores, &loss);
        assert_close("loss", &[value], &[case.loss], 1e-13);
        assert_close("gradient", &slopes, &case.gradient, 1e-13);
        // TRL takes the mean of booleans in single precision
        assert_close("accuracy", &[loss.metrics.get("accuracy").unwrap()], &[case.accuracy], 1e-7);
    }
}

#[test]
fn scaled_rewards() {
    let scaled = fixture().advantage;
    let or_nan = |numbers: &[Option<f64>]| numbers.iter().map(|x| x.unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let (rewards, groups) = (or_nan(&scaled.rewards), [0, 0, 0, 0, 1, 1, 1, 1]);
    let of = |scaling| advantages(&rewards, &groups, scaling).unwrap().values;
    assert_close("none", &of(Scaling::None), &scaled.none, 1e-13);
    assert_close("group", &of(Scaling::Group), &scaled.group, 1e-13);
    assert_close("batch", &of(Scaling::Batch), &scaled.batch, 1e-13);
    let terms: Vec<_> = scaled.terms.iter().map(|term| or_nan(term)).collect();
    let terms: Vec<_> = terms.iter().map(Vec::as_slice).collect();
    let found = advantages_by_term(&terms, &scaled.weights, &groups).unwrap();
    assert_close("by term", &found.values, &scaled.by_term, 1e-13);
    assert_eq!(found.unscored, 1);
}
