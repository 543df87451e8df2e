//! The policy's loss under every setting, cut into micro-batches, and at its edges.

use std::num::NonZero;

use trainer::objective::{
    Aggregation, Correction, Denominator, Estimator, GrpoConfig, Kl, Level, Loss, Mask, Metrics, Mode, Recorded,
    Scaling, Surrogate, policy_loss,
};

use crate::oracle::{self, Episode};
use crate::{assert_close, differences, gradient, numbers, single, variable};

/// Episodes of some lengths, one of them masked whole, that reach both sides of every clip.
pub(crate) fn episodes(seed: u64) -> Vec<Episode> {
    let lengths = [4, 1, 0, 6, 3];
    let advantages = [1.2, -0.7, 0.4, -1.6, 0.3];
    let of = |seed, length, scale: f64, shift: f64| {
        numbers(seed, length).into_iter().map(|x| f64::from((scale * x + shift) as f32)).collect::<Vec<_>>()
    };
    let build = |(at, (length, advantage)): (usize, (usize, f64))| {
        let seed = seed * 100 + 10 * at as u64;
        let logprobs = of(seed, length, 1.0, -1.2);
        let near = |seed, scale| {
            let steps = of(seed, length, scale, 0.0);
            logprobs.iter().zip(steps).map(|(x, step)| f64::from((x + step) as f32)).collect::<Vec<_>>()
        };
        let (old, reference) = (near(seed + 1, 0.9), near(seed + 2, 1.2));
        let sampler = old.iter().zip(of(seed + 3, length, 0.5, 0.0)).map(|(x, step)| f64::from((x + step) as f32));
        Episode { sampler: sampler.collect(), logprobs, old, reference, advantage }
    };
    lengths.into_iter().zip(advantages).enumerate().map(build).collect()
}

/// All episodes' numbers of one kind, end to end.
pub(crate) fn joined(episodes: &[Episode], of: impl Fn(&Episode) -> &Vec<f64>) -> Vec<f64> {
    episodes.iter().flat_map(|episode| of(episode).iter().copied()).collect()
}

pub(crate) fn denominator(episodes: &[Episode]) -> Denominator {
    Denominator::of(episodes.iter().map(|episode| episode.logprobs.len()))
}

/// The loss of `logprobs`, those of the episodes' tokens.
pub(crate) fn loss_of(
    config: &GrpoConfig,
    episodes: &[Episode],
    is_on_policy: bool,
    logprobs: &candle_core::Tensor,
    denominator: Denominator,
) -> trainer::Result<Loss> {
    let narrow = |numbers: Vec<f64>| numbers.into_iter().map(|x| x as f32).collect::<Vec<_>>();
    let old = narrow(joined(episodes, |episode| &episode.old));
    let sampler = narrow(joined(episodes, |episode| &episode.sampler));
    let reference = narrow(joined(episodes, |episode| &episode.reference));
    let mut sequences = Vec::new();
    let mut advantages = Vec::new();
    for episode in episodes {
        let start = advantages.len();
        advantages.extend(episode.logprobs.iter().map(|_| episode.advantage));
        sequences.push(start..advantages.len());
    }
    let recorded = Recorded {
        old: (!is_on_policy).then_some(&old),
        sampler: Some(&sampler),
        reference: Some(&reference),
        advantages: &advantages,
        sequences: &sequences,
    };
    policy_loss(config, logprobs, &recorded, denominator)
}

/// Every combination of settings.
fn configs() -> Vec<GrpoConfig> {
    let base = GrpoConfig::default();
    let surrogates = [
        base.clone(),
        GrpoConfig { dual_clip: Some(1.4), ..base.clone() },
        GrpoConfig { delta: Some(1.5), ..base.clone() },
        GrpoConfig { dual_clip: Some(2.0), delta: Some(1.6), clip_low: 0.1, ..base.clone() },
        GrpoConfig { surrogate: Surrogate::Cispo { most: 1.3 }, ..base.clone() },
        GrpoConfig { surrogate: Surrogate::Sapo { above: 1.0, below: 1.05 }, ..base.clone() },
        GrpoConfig { surrogate: Surrogate::Dppo { most: 0.1, pull: 0.3 }, ..base.clone() },
        GrpoConfig { mask: Mask { off_policy: Some(0.05), ..Mask::default() }, ..base.clone() },
        GrpoConfig { surrogate: Surrogate::Reinforce, ..base },
    ];
    let aggregations = [
        Aggregation::TokenMean,
        Aggregation::SequenceMean,
        Aggregation::SequenceSum,
        Aggregation::Constant(NonZero::new(7).unwrap()),
    ];
    let kl = |coefficient, estimator, is_unbiased| Kl { coefficient, estimator, is_unbiased };
    let kls = [
        Kl::default(),
        kl(0.2, Estimator::K1, false),
        kl(0.2, Estimator::K2, true),
        kl(0.2, Estimator::K3, false),
        kl(0.2, Estimator::K3, true),
        kl(0.2, Estimator::K3Plus, false),
    ];
    let correction = |mode, min, max| Some(Correction { mode, min, max });
    let corrections = [
        None,
        correction(Mode::TokenTruncate, 0.8, 1.2),
        correction(Mode::TokenMask, 0.7, 1.3),
        correction(Mode::SequenceTruncate, 0.0, 1.1),
        correction(Mode::SequenceMask, 0.0, 1.1),
    ];
    let mut configs = Vec::new();
    for config in surrogates {
        for level in [Level::Token, Level::Sequence] {
            if level == Level::Sequence && matches!(config.surrogate, Surrogate::Dppo { .. }) {
                continue;
            }
            for aggregation in aggregations {
                for kl in kls {
                    for correction in corrections {
                        configs.push(GrpoConfig { level, aggregation, kl, correction, ..config.clone() });
                    }
                }
            }
        }
    }
    configs
}

#[test]
fn every_setting_has_the_loss_and_the_gradient_of_its_formula() {
    for seed in 1..5 {
        let episodes = episodes(seed);
        let at = joined(&episodes, |episode| &episode.logprobs);
        let all = denominator(&episodes);
        for config in configs() {
            for is_on_policy in [false, true] {
                let what = format!("{config:?} on policy {is_on_policy}, seed {seed}");
                let exact = oracle::policy(&config, &episodes, is_on_policy, &at);
                let slopes = differences(&at, |moved| oracle::policy(&config, &episodes, is_on_policy, moved));

                let logprobs = variable(&at);
                let loss = loss_of(&config, &episodes, is_on_policy, &logprobs, all).unwrap();
                let (value, found) = gradient(&logprobs, &loss);
                assert_close(&what, &[value, loss.value], &[exact, exact], 1e-12);
                assert_close(&what, &found, &slopes, 1e-8);

                let logprobs = single(&at);
                let loss = loss_of(&config, &episodes, is_on_policy, &logprobs, all).unwrap();
                let (value, found) = gradient(&logprobs, &loss);
                assert_close(&what, &[value], &[exact], 1e-5);
                assert_close(&what, &found, &slopes, 1e-5);
            }
        }
    }
}

#[test]
fn what_was_bad_and_is_unlikely_already_is_held_to_the_reference_alone() {
    let episode = |advantage: f64, faded: f64| Episode {
        logprobs: vec![-1.0 - faded, -2.0 - faded],
        old: vec![-1.0, -2.0],
        sampler: vec![-1.0, -2.0],
        reference: vec![-1.1, -1.9],
        advantage,
    };
    let slopes = |advantage: f64, faded: f64, coefficient: f64| {
        let mask = Mask { off_policy: Some(0.5), ..Mask::default() };
        let kl = Kl { coefficient, estimator: Estimator::K2, is_unbiased: false };
        let config = GrpoConfig { surrogate: Surrogate::Reinforce, mask, kl, ..GrpoConfig::default() };
        let episodes = [episode(advantage, faded)];
        let logprobs = variable(&episodes[0].logprobs);
        let loss = loss_of(&config, &episodes, false, &logprobs, denominator(&episodes)).unwrap();
        (gradient(&logprobs, &loss).1, loss.metrics.get("off_policy_dropped"))
    };
    assert_eq!(slopes(-1.0, 0.6, 0.0), (vec![0.0, 0.0], Some(1.0)));
    assert_eq!(slopes(-1.0, 0.4, 0.0), (vec![0.5, 0.5], Some(0.0)));
    assert_eq!(slopes(1.0, 0.6, 0.0), (vec![-0.5, -0.5], Some(0.0)));
    let (held, dropped) = slopes(-1.0, 0.6, 1.0);
    assert_eq!(dropped, Some(1.0));
    assert_close("the reference holds", &held, &[0.5 * (-1.6 + 1.1), 0.5 * (-2.6 + 1.9)], 1e-6);
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    let episodes = episodes(2);
    let all = denominator(&episodes);
    let whole = variable(&joined(&episodes, |episode| &episode.logprobs));
    for config in configs().into_iter().step_by(7) {
        let what = format!("{config:?}");
        let of_batch = loss_of(&config, &episodes, false, &whole, all).unwrap();
        let (value, slopes) = gradient(&whole, &of_batch);
        for size in [1, 2, 3] {
            let (mut sum, mut parts, mut metrics) = (0.0, Vec::new(), Metrics::default());
            for part in episodes.chunks(size) {
                let logprobs = variable(&joined(part, |episode| &episode.logprobs));
                let loss = loss_of(&config, part, false, &logprobs, all).unwrap();
                let (value, slopes) = gradient(&logprobs, &loss);
                sum += value;
                parts.extend(slopes);
                metrics.merge(&loss.metrics);
            }
            assert_close(&what, &[sum], &[value], 1e-12);
            assert_eq!(parts, slopes, "{what}");
            for ((name, merged), (same, figure)) in metrics.iter().zip(of_batch.metrics.iter()) {
                assert_eq!(name, same);
                assert_close(name, &[merged], &[figure], 1e-12);
            }
        }
    }
}

#[test]
fn order_of_episodes_and_empty_ones_change_nothing() {
    let episodes = episodes(3);
    let config = GrpoConfig { kl: Kl { coefficient: 0.1, ..Kl::default() }, ..GrpoConfig::default() };
    let of = |episodes: &[Episode]| {
        let logprobs = variable(&joined(episodes, |episode| &episode.logprobs));
        gradient(&logprobs, &loss_of(&config, episodes, false, &logprobs, denominator(episodes)).unwrap())
    };
    let (value, slopes) = of(&episodes);
    let (reversed, mut backwards) = of(&episodes.iter().rev().cloned().collect::<Vec<_>>());
    let mut expected = Vec::new();
    for length in episodes.iter().rev().map(|episode| episode.logprobs.len()) {
        expected.extend(backwards.drain(..length).rev());
    }
    expected.reverse();
    assert_close("reversed", &[reversed], &[value], 1e-14);
    assert_eq!(expected, slopes);
    let without: Vec<_> = episodes.iter().filter(|episode| !episode.logprobs.is_empty()).cloned().collect();
    assert_eq!(of(&without), (value, slopes));
}

#[test]
fn nothing_to_train_on_is_a_loss_of_zero() {
    let logprobs = variable(&[]);
    let loss = loss_of(&GrpoConfig::default(), &[], false, &logprobs, Denominator::default()).unwrap();
    assert_eq!(gradient(&logprobs, &loss), (0.0, Vec::new()));
    assert_eq!(loss.metrics.get("ratio_mean"), None);
}

#[test]
fn far_apart_stays_finite_and_what_is_not_finite_shows() {
    let mut episodes = episodes(4);
    episodes[0].old = vec![-90.0, -0.125, -3.0, -4.0];
    episodes[0].logprobs = vec![-0.125, -90.0, -3.0, -4.0];
    episodes[0].reference = vec![-95.0, -0.5, -99.0, -1.0];
    (episodes[1].old, episodes[1].logprobs, episodes[1].reference) = (vec![-31.0], vec![-1.0], vec![-4.5]);
    (episodes[3].reference[0], episodes[3].logprobs[0]) = (-0.125, -3.5);
    let at = joined(&episodes, |episode| &episode.logprobs);
    for config in configs() {
        let what = format!("{config:?}");
        let logprobs = variable(&at);
        let loss = loss_of(&config, &episodes, false, &logprobs, denominator(&episodes)).unwrap();
        let (value, slopes) = gradient(&logprobs, &loss);
        assert!(value.is_finite() && slopes.iter().all(|slope| slope.is_finite()), "{what}");
        let oracle = |moved: &[f64]| oracle::policy(&config, &episodes, false, moved);
        assert_close(&what, &[value], &[oracle(&at)], 1e-12);
        // a loss of e^20 leaves its differences few digits
        assert_close(&what, &slopes, &differences(&at, oracle), 1e-8 * value.abs().max(1.0));
        for strange in [f64::NAN, f64::NEG_INFINITY] {
            let mut at = at.clone();
            at[2] = strange;
            let loss = loss_of(&config, &episodes, false, &variable(&at), denominator(&episodes)).unwrap();
            assert!(loss.value.is_nan() && loss.loss.to_scalar::<f64>().unwrap().is_nan(), "{config:?}");
        }
    }
}

#[test]
fn tells_what_was_clipped() {
    let episode = |apart: f64, advantage| Episode {
        logprobs: vec![-1.0],
        old: vec![-1.0 - apart],
        sampler: vec![-1.0 - apart],
        reference: vec![-1.0],
        advantage,
    };
    let episodes = [episode(0.5, 1.0), episode(0.5, -1.0), episode(-0.5, 1.0), episode(-0.5, -1.0), episode(0.0, 1.0)];
    let logprobs = variable(&[-1.0; 5]);
    let loss = loss_of(&GrpoConfig::default(), &episodes, false, &logprobs, denominator(&episodes)).unwrap();
    let figure = |name| loss.metrics.get(name).unwrap();
    assert_eq!((figure("clip_high"), figure("clip_low"), figure("kl"), figure("mismatch_max")), (0.2, 0.2, 0.0, 0.0));
    assert_close("ratio", &[figure("ratio_max"), figure("loss")], &[0.5_f64.exp(), loss.value], 1e-12);
    let (_, slopes) = gradient(&logprobs, &loss);
    let is_still: Vec<_> = slopes.iter().map(|slope| *slope == 0.0).collect();
    assert_eq!(is_still, [true, false, false, true, false]);
}

#[test]
fn refuses_settings_and_inputs_that_do_not_belong_together() {
    let episodes = episodes(5);
    let logprobs = variable(&joined(&episodes, |episode| &episode.logprobs));
    let refused = |config: GrpoConfig| {
        loss_of(&config, &episodes, false, &logprobs, denominator(&episodes)).unwrap_err().to_string()
    };
    let base = GrpoConfig::default;
    let expectations = [
        (GrpoConfig { clip_low: 1.2, ..base() }, "clip_low is 1.2"),
        (GrpoConfig { clip_high: f64::NAN, ..base() }, "clip_high is NaN"),
        (GrpoConfig { dual_clip: Some(1.0), ..base() }, "dual_clip is 1"),
        (GrpoConfig { delta: Some(1.2), ..base() }, "delta is 1.2, not above 1.28"),
        (GrpoConfig { delta: Some(3.0), surrogate: Surrogate::Reinforce, ..base() }, "belong to surrogate"),
        (GrpoConfig { kl: Kl { coefficient: -0.1, ..Kl::default() }, ..base() }, "kl.coefficient is -0.1"),
        (GrpoConfig { surrogate: Surrogate::Cispo { most: 0.0 }, ..base() }, "surrogate.cispo.most"),
        (GrpoConfig { surrogate: Surrogate::Sapo { above: 1.0, below: -1.0 }, ..base() }, "surrogate.sapo.below"),
        (
            GrpoConfig { surrogate: Surrogate::Dppo { most: 0.2, pull: 0.0 }, level: Level::Sequence, ..base() },
            "needs level",
        ),
    ];
    for (config, reason) in expectations {
        let found = refused(config);
        assert!(found.contains(reason), "{found}");
    }

    let advantages = [1.0, 1.0];
    let recorded =
        Recorded { old: None, sampler: None, reference: None, advantages: &advantages, sequences: &[0..1, 1..2] };
    let of = |config: GrpoConfig, recorded: Recorded<'_>| {
        policy_loss(&config, &variable(&[-1.0, -2.0]), &recorded, Denominator { tokens: 2, sequences: 2 })
            .map_or_else(|error| error.to_string(), |loss| loss.value.to_string())
    };
    assert_eq!(of(base(), recorded), "-1");
    assert!(of(base(), Recorded { old: Some(&[0.0]), ..recorded }).contains("1 old log-probs for 2 values"));
    assert!(of(base(), Recorded { advantages: &[0.0], ..recorded }).contains("1 advantages for 2 values"));
    assert!(of(base(), Recorded { advantages: &[0.0, f64::NAN], ..recorded }).contains("token 1 is NaN"));
    assert!(of(base(), Recorded { sequences: &[0..1, 1..1], ..recorded }).contains("1 tokens in sequences for 2"));
    let with_kl = GrpoConfig { kl: Kl { coefficient: 0.1, ..Kl::default() }, ..base() };
    assert!(of(with_kl, recorded).contains("needs the reference"));
    let corrected = GrpoConfig { correction: Some(Correction { mode: Mode::TokenMask, min: 0.0, max: 2.0 }), ..base() };
    assert!(of(corrected, recorded).contains("needs the sampler"));
}

#[test]
fn a_recipe_says_each_setting_and_no_other() {
    let read = |text: &str| toml::from_str::<GrpoConfig>(text).map_err(|error| error.to_string());
    assert_eq!(read("").unwrap(), GrpoConfig::default());
    let text = r#"
        scaling = "leave_one_out"
        surrogate = { sapo = { above = 1.0, below = 1.05 } }
        level = "sequence"
        aggregation = { constant = 512 }
        kl = { coefficient = 0.001, estimator = "k3_plus" }
        correction = { mode = "sequence_mask" }
    "#;
    let config = read(text).unwrap();
    let expected = GrpoConfig {
        scaling: Scaling::LeaveOneOut,
        surrogate: Surrogate::Sapo { above: 1.0, below: 1.05 },
        level: Level::Sequence,
        aggregation: Aggregation::Constant(NonZero::new(512).unwrap()),
        kl: Kl { coefficient: 0.001, estimator: Estimator::K3Plus, is_unbiased: false },
        correction: Some(Correction { mode: Mode::SequenceMask, min: 0.0, max: 3.0 }),
        ..GrpoConfig::default()
    };
    assert_eq!(config, expected);
    config.check().unwrap();
    for config in configs().into_iter().chain([expected]) {
        assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
    for text in ["epsilon = 0.2", "kl = { beta = 0.1 }", "correction = { mode = \"token_mask\", cap = 2.0 }"] {
        assert!(read(text).unwrap_err().contains("unknown field"), "{text}");
    }
    assert!(read("surrogate = { cispo = { most = 5.0, least = 0.1 } }").unwrap_err().contains("least"));
    assert!(read("aggregation = { constant = 0 }").is_err());
    assert!(read("surrogate = \"ppo\"").unwrap_err().contains("unknown variant"));
}
