//! How fast a model learns on this machine: whole optimiser steps on random tokens, timed by their parts.
//!
//! [`sft()`] is forward, loss, backward and AdamW on packed sequences; [`grpo()`] samples groups of
//! completions on the engine first, all of the same length. Their reward is the length of the text in bytes.
//! Nothing is retrieved: what retrieval adds is in the journal of a run.

use std::ops::ControlFlow;
use std::path::Path;

use agent::engine::{Engine, EngineOptions, Request, Watch};
use candle_core::Tensor;
use nn::{
    Adapter, BLOCK, Ceiling, Decoder, DecoderConfig, Device, Gradients, LogProbs, Parameter, Sampled, Sampling, Stream,
    Target, Tokenizer, Trainable,
};
use serde::Serialize;

use crate::learner::batch;
use crate::learner::sharing::micro_batches;
use crate::memory;
use crate::objective::{Denominator, GrpoConfig, Recorded, Scaling, advantages, policy_loss};
use crate::recipe::{Learn, Recompute};
use crate::{AdamW, Error, Optimiser, Result, Sample};

/// Prompt tokens that the engine computes in one step.
const STEP_TOKENS: usize = 512;
/// A learning rate that changes weights, but not what a step costs.
const LEARNING_RATE: f64 = 1e-6;

/// What learns, and how often a step is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// All weights, or a new adapter of this rank on every linear layer.
    pub learn: Learn,
    /// Rank of the adapter.
    pub rank: usize,
    /// Whether layers are computed twice to save memory.
    pub recompute: Recompute,
    /// Steps that are timed, after one that is not.
    pub steps: usize,
}

/// The shape of a supervised step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lessons {
    /// Sequences of a step, in one micro-batch.
    pub sequences: usize,
    /// Tokens of each.
    pub tokens: usize,
}

/// The shape of a step of GRPO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Prompts of a step.
    pub prompts: usize,
    /// Completions of each.
    pub group: usize,
    /// Tokens of a prompt.
    pub prompt_tokens: usize,
    /// Tokens of a completion.
    pub new_tokens: usize,
    /// Tokens of a micro-batch.
    pub micro_tokens: usize,
}

/// Medians over the timed steps, in seconds, and what else there is to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// A whole step.
    pub seconds: f64,
    /// Of that, sampling.
    pub sampling: f64,
    /// Of that, log-probabilities and their loss.
    pub forward: f64,
    /// Of that, gradients.
    pub backward: f64,
    /// Of that, the norm of the gradients, AdamW, and the new weights' layout.
    pub update: f64,
    /// Tokens of a step, every prompt counted with each of its completions.
    pub tokens: usize,
    /// Tokens that went through the model to learn from them: a shared beginning counts once.
    pub computed: usize,
    /// Tokens a second.
    pub tokens_per_second: f64,
    /// Share of the rate of candle's matrix product that the products with weights made in forward and backward.
    pub share_of_matmul: f64,
    /// Operations in a second of that product.
    pub matmul_flops: f64,
    /// The most memory that this process held before the product was measured, where the system tells it.
    pub peak_bytes: Option<u64>,
}

/// What the steps of a bench change.
struct Learning {
    parameters: Vec<Parameter>,
    gradients: Gradients,
    optimiser: Optimiser,
    parts: Parts,
}

/// Seconds of one step.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    sampling: f64,
    forward: f64,
    backward: f64,
    update: f64,
}

/// Seconds since a moment of the caller's choice.
pub type Elapsed<'a> = &'a dyn Fn() -> f64;

/// Times supervised steps of the model in the folder `dir`: every token but the first is learnt.
///
/// # Errors
/// Those of the model; [`Error::Input`] for a shape of nothing.
pub fn sft(dir: &Path, setting: &Setting, lessons: Lessons, clock: Elapsed<'_>) -> Result<Report> {
    let Lessons { sequences, tokens } = lessons;
    if sequences == 0 || tokens < 2 || setting.steps == 0 {
        return Err(Error::Input("a step needs a sequence of two tokens, and there must be a step".to_owned()));
    }
    let (mut decoder, mut learning) = open(dir, setting)?;
    let config = decoder.config().clone();
    let sample = |number: usize| {
        let ids = random(&config, number as u32, tokens);
        Sample { mask: (0..tokens).map(|at| at > 0).collect(), ids }
    };
    let samples: Vec<Sample> = (0..sequences).map(sample).collect();
    let samples: Vec<&Sample> = samples.iter().collect();
    let learnt = sequences * (tokens - 1);
    let mut done = Vec::new();
    let mut computed = 0;
    for _ in 0..=setting.steps {
        learning.parts = Parts::default();
        computed = learning.add(&decoder, &samples, clock, |pass| crate::stages::sft::loss(&pass.logprobs, learnt))?;
        learning.update(clock, |work| work(&mut decoder))?;
        done.push(learning.parts);
    }
    report(&done[1..], &config, setting.learn, sequences * tokens, computed)
}

/// Times steps of GRPO of the model in the folder `dir`.
///
/// # Errors
/// Those of the model and the engine; [`Error::Input`] for a shape of nothing or beyond the model's positions.
pub fn grpo(dir: &Path, setting: &Setting, groups: Groups, clock: Elapsed<'_>) -> Result<Report> {
    let Groups { prompts, group, prompt_tokens, new_tokens, micro_tokens } = groups;
    let (decoder, mut learning) = open(dir, setting)?;
    let config = decoder.config().clone();
    let length = prompt_tokens.saturating_add(new_tokens);
    if [prompts, prompt_tokens, new_tokens, setting.steps].contains(&0) || group < 2 {
        return Err(Error::Input("a step needs a prompt, two completions and a token of each".to_owned()));
    }
    if length > config.max_position_embeddings {
        let most = config.max_position_embeddings;
        return Err(Error::Input(format!("{length} tokens exceed the {most} positions of the model: ask for fewer")));
    }
    let pieces = Tokenizer::open(dir)?.pieces();
    let count = prompts * group;
    let kv_bytes = (length.div_ceil(BLOCK) + 1) * count * decoder.bytes_per_block();
    let options = EngineOptions { kv_bytes, max_batch: count, step_tokens: STEP_TOKENS };
    let engine = Engine::start(decoder, pieces, options)?;
    let loss = GrpoConfig::default();
    let mut done = Vec::new();
    let mut computed = 0;
    for step in 0..=setting.steps as u32 {
        learning.parts = Parts::default();
        let begun = clock();
        let (samples, logprobs, rewards) = sample(&engine, groups, step)?;
        learning.parts.sampling = clock() - begun;
        let numbers: Vec<usize> = (0..count).map(|number| number / group).collect();
        let advantages = advantages(&rewards, &numbers, Scaling::default())?;
        let kept: Vec<usize> = (0..count).filter(|number| advantages.is_kept[*number]).collect();
        let denominator = Denominator::of(kept.iter().map(|number| logprobs[*number].len()));
        computed = 0;
        let taught: Vec<&Sample> = kept.iter().map(|number| &samples[*number]).collect();
        for pack in micro_batches(&taught, micro_tokens) {
            let own: Vec<usize> = pack.iter().map(|place| kept[*place]).collect();
            let mut end = 0;
            let sequences = own.iter().map(|number| {
                end += logprobs[*number].len();
                end - logprobs[*number].len()..end
            });
            let sequences: Vec<_> = sequences.collect();
            let sampler: Vec<f32> = own.iter().flat_map(|number| logprobs[*number].iter().copied()).collect();
            let of_token = |number: &usize| std::iter::repeat_n(advantages.values[*number], logprobs[*number].len());
            let of_tokens: Vec<f64> = own.iter().flat_map(of_token).collect();
            let recorded = Recorded {
                old: None,
                sampler: Some(&sampler),
                reference: None,
                advantages: &of_tokens,
                sequences: &sequences,
            };
            let samples: Vec<&Sample> = own.iter().map(|number| &samples[*number]).collect();
            computed += engine.read(|decoder| {
                learning.add(decoder, &samples, clock, |pass| {
                    Ok(policy_loss(&loss, &pass.logprobs, &recorded, denominator)?.loss)
                })
            })?;
        }
        learning.update(clock, |work| engine.update(|decoder| work(decoder))?)?;
        done.push(learning.parts);
    }
    report(&done[1..], &config, setting.learn, count * length, computed)
}

fn open(dir: &Path, setting: &Setting) -> Result<(Decoder, Learning)> {
    let mut decoder = Decoder::load(dir, Device::cpu())?;
    let what = match setting.learn {
        Learn::All => Trainable::All,
        Learn::Adapter => {
            let adapter = Adapter::new(decoder.config(), setting.rank, 2.0 * setting.rank as f64, &Target::ALL, 0)?;
            decoder.set_adapter(Some(adapter))?;
            Trainable::Adapter
        }
    };
    let recompute = match setting.recompute {
        Recompute::Auto => nn::Recompute::Auto,
        Recompute::On => nn::Recompute::On,
        Recompute::Off => nn::Recompute::Off,
    };
    let parameters = decoder.train(what, recompute)?;
    let named = parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.var));
    let optimiser = Optimiser::new(AdamW::default(), named)?;
    let gradients = Gradients::new(&parameters);
    Ok((decoder, Learning { parameters, gradients, optimiser, parts: Parts::default() }))
}

impl Learning {
    /// One micro-batch; gives the tokens that went through the model.
    fn add(
        &mut self,
        decoder: &Decoder,
        samples: &[&Sample],
        clock: Elapsed<'_>,
        loss: impl FnOnce(&LogProbs) -> Result<Tensor>,
    ) -> Result<usize> {
        let begun = clock();
        let (batch, targets) = batch(samples);
        let pass = decoder.logprobs(&batch, &targets, 1.0)?;
        let loss = loss(&pass)?;
        let known = clock();
        decoder.backward(pass, &loss, &mut self.gradients)?;
        self.parts.forward += known - begun;
        self.parts.backward += clock() - known;
        Ok(batch.tokens())
    }

    /// Moves the weights of the decoder that `lend` lends.
    fn update(
        &mut self,
        clock: Elapsed<'_>,
        lend: impl FnOnce(&mut dyn FnMut(&mut Decoder) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let begun = clock();
        let norm = self.gradients.norm();
        if !norm.is_finite() || self.gradients.len() != self.parameters.len() {
            return Err(Error::Shape("a gradient is not finite: the model's weights are damaged".to_owned()));
        }
        lend(&mut |decoder| {
            self.optimiser.step(self.gradients.iter(), norm, LEARNING_RATE)?;
            self.gradients.clear();
            Ok(decoder.refresh()?)
        })?;
        self.parts.update = clock() - begun;
        Ok(())
    }
}

/// Forbids the end of a sequence.
struct Endless(Vec<u32>);

impl Watch for Endless {
    fn forbids(&mut self, id: u32) -> bool {
        self.0.contains(&id)
    }

    fn push(&mut self, _: Sampled) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The completions of a step, the log-probabilities of their tokens, and their rewards.
#[expect(clippy::type_complexity, reason = "three columns of one table")]
fn sample(engine: &Engine, groups: Groups, step: u32) -> Result<(Vec<Sample>, Vec<Vec<f32>>, Vec<f64>)> {
    let Groups { prompts, group, prompt_tokens, new_tokens, .. } = groups;
    let config = engine.config();
    let mut waiting = Vec::new();
    for number in 0..prompts * group {
        let prompt = number / group;
        let ids = random(config, step.wrapping_mul(0x9e37).wrapping_add(prompt as u32), prompt_tokens);
        let stream = Stream { seed: 1, step, prompt: prompt as u32, sample: (number % group) as u32 };
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let watch = Box::new(Endless(config.eos_token_ids.clone()));
        let request = Request { ids: ids.clone(), max_tokens: new_tokens, sampling, stream, watch };
        waiting.push((ids, engine.submit(request)?));
    }
    let (mut samples, mut logprobs, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    for (mut ids, generation) in waiting {
        let (written, _) = generation.wait()?;
        ids.extend(written.iter().map(|token| token.id));
        let bytes: usize = written.iter().map(|token| engine.pieces().get(token.id).len()).sum();
        samples.push(Sample { mask: (0..ids.len()).map(|at| at >= prompt_tokens).collect(), ids });
        logprobs.push(written.iter().map(|token| token.logprob).collect());
        // A little more for each, so that no group is without a spread.
        rewards.push(bytes as f64 + 1e-3 * rewards.len() as f64);
    }
    Ok((samples, logprobs, rewards))
}

/// Random ids that end no sequence.
fn random(config: &DecoderConfig, number: u32, tokens: usize) -> Vec<u32> {
    let stream = Stream { seed: 2, prompt: number, ..Stream::default() };
    let draw = |at: usize| (stream.uniform(at as u32) * config.vocab_size as f64) as u32;
    let usable = |id: u32| if config.eos_token_ids.contains(&id) { 0 } else { id };
    (0..tokens).map(|at| usable(draw(at))).collect()
}

fn report(done: &[Parts], config: &DecoderConfig, learn: Learn, tokens: usize, computed: usize) -> Result<Report> {
    let peak_bytes = memory::peak();
    let median = |of: &dyn Fn(&Parts) -> f64| {
        let mut values: Vec<f64> = done.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
    };
    let seconds = median(&|parts| parts.sampling + parts.forward + parts.backward + parts.update);
    let (forward, backward) = (median(&|parts| parts.forward), median(&|parts| parts.backward));
    // Two operations a weight and token forward, two for the gradient of its input, two for its own where it learns.
    let passes = if learn == Learn::All { 6.0 } else { 4.0 };
    // A table that is no head is only looked up.
    let table = if config.tie_word_embeddings { 0 } else { config.vocab_size * config.hidden_size };
    let operations = passes * (config.parameters() - table) as f64 * computed as f64;
    let matmul_flops = Ceiling::measure(Device::cpu())?.matmul_flops;
    Ok(Report {
        seconds,
        sampling: median(&|parts| parts.sampling),
        forward,
        backward,
        update: median(&|parts| parts.update),
        tokens,
        computed,
        tokens_per_second: tokens as f64 / seconds,
        share_of_matmul: operations / (forward + backward) / matmul_flops,
        matmul_flops,
        peak_bytes,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn steps_are_timed_by_their_parts() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m");
        crate::task::lookup::init(folder.path().join("task").as_path(), 1, crate::task::lookup::Size::default())
            .unwrap();
        std::fs::rename(folder.path().join("task/model"), &model).unwrap();
        let begun = Instant::now();
        let clock = || begun.elapsed().as_secs_f64();
        for learn in [Learn::All, Learn::Adapter] {
            let setting = Setting { learn, rank: 2, recompute: Recompute::Auto, steps: 1 };
            let done = sft(&model, &setting, Lessons { sequences: 2, tokens: 12 }, &clock).unwrap();
            assert_eq!((done.tokens, done.computed, done.sampling), (24, 22, 0.0));
            assert!(done.seconds > 0.0 && done.update > 0.0 && done.share_of_matmul > 0.0, "{done:?}");
            let groups = Groups { prompts: 2, group: 3, prompt_tokens: 9, new_tokens: 5, micro_tokens: 30 };
            let done = grpo(&model, &setting, groups, &clock).unwrap();
            assert_eq!(done.tokens, 84);
            assert!(done.sampling > 0.0 && done.backward > 0.0, "{done:?}");
        }
        let setting = Setting { learn: Learn::All, rank: 2, recompute: Recompute::Auto, steps: 1 };
        assert!(sft(&model, &setting, Lessons { sequences: 1, tokens: 1 }, &clock).is_err());
        let groups = Groups { prompts: 1, group: 1, prompt_tokens: 9, new_tokens: 5, micro_tokens: 30 };
        assert!(grpo(&model, &setting, groups, &clock).is_err());
    }
}
