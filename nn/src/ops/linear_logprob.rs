//! The log-probability of one token for each row, and the entropy of its distribution, from hidden
//! states and the head's weight, without ever holding all logits.
//!
//! Rows and vocabulary go by in chunks. The forward keeps, for each row, the greatest logit and the
//! logarithm of the sum (online, as in arXiv 1805.02867). Where the head learns, the backward computes
//! each chunk again; where it is frozen, the forward knows already along which direction of a row its
//! log-probability rises, and the backward only scales it.
#![expect(clippy::inline_always, reason = "must be compiled with the features of their caller")]

use super::isa::{Isa, for_each_isa};
use super::linear::{After, Part, linear, linear_backward};
use super::math::{LANES, exp, fma, total};
use super::panels::{Columns, Panels};
use super::sample::greatest;
use super::split::Split;
use super::team::Team;
use super::weight_gradient::{WeightMemory, weight_gradient};

/// Rows of a chunk.
const HEIGHT: usize = 1024;
/// Tokens of the vocabulary of a chunk: a whole number of panels.
const WIDTH: usize = 1024;
/// Rows that one job reads.
const ROWS: usize = 16;

/// What is known of a row's distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TokenProb {
    /// Of the token that was asked for.
    pub(crate) logprob: f32,
    /// In nats.
    pub(crate) entropy: f32,
    /// The greatest logit.
    max: f32,
    /// The logarithm of the sum of e^((logit - max) / temperature).
    log_mass: f32,
}

/// A head and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// (vocabulary, D), at most.
    pub(crate) head: &'a Panels,
    /// For each row, a token.
    pub(crate) targets: &'a [u32],
    /// One over the temperature.
    pub(crate) rate: f32,
}

/// Sums over the logits seen so far, with the greatest of them taken away.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    mass: f64,
    /// The mean of (logit - max) / temperature, times the mass.
    moment: f64,
    target: f32,
}

/// Fills `out` (N) for the rows of `x` (N, D), and `slopes` (N, D), where they are wanted, with the
/// gradient of each log-probability along its row.
pub(crate) fn linear_logprob(
    isa: Isa,
    team: &Team,
    chunk: &mut Vec<f32>,
    x: &[f32],
    question: Question<'_>,
    out: &mut [TokenProb],
    mut slopes: Option<&mut [f32]>,
) {
    let Question { head, targets, rate } = question;
    let width = head.inputs();
    assert!(x.len() == out.len() * width && targets.len() == out.len(), "a row and a target for each answer");
    assert!(slopes.as_ref().is_none_or(|slopes| slopes.len() == x.len()), "a slope for each value");
    let mut running = Vec::new();
    let blocks = x.chunks(HEIGHT * width).zip(targets.chunks(HEIGHT)).zip(out.chunks_mut(HEIGHT));
    for (number, ((x, targets), out)) in blocks.enumerate() {
        let mut slopes = slopes.as_deref_mut().map(|slopes| &mut slopes[number * HEIGHT * width..][..x.len()]);
        if let Some(slopes) = &mut slopes {
            slopes.fill(0.0);
        }
        running.clear();
        running.resize(out.len(), Running { max: f32::NEG_INFINITY, mass: 0.0, moment: 0.0, target: 0.0 });
        for first in (0..head.outputs()).step_by(WIDTH) {
            let logits = logits(isa, team, chunk, x, head, first, out.len());
            let tokens = logits.len() / out.len();
            let (all_running, all_logits) = (Split::new(&mut running), Split::new(logits));
            let wants_slopes = slopes.is_some();
            let all_slopes = Split::new(slopes.as_deref_mut().unwrap_or_default());
            team.run(out.len().div_ceil(ROWS), &|_, job| {
                let rows = job * ROWS..out.len().min((job + 1) * ROWS);
                for (row, target) in rows.clone().zip(&targets[rows]) {
                    let of_slopes = if wants_slopes { row * width..(row + 1) * width } else { 0..0 };
                    #[expect(unsafe_code, reason = "jobs have different rows")]
                    // SAFETY: no other job has this row.
                    let (running, logits, slopes) = unsafe {
                        let logits = all_logits.part(row * tokens..(row + 1) * tokens);
                        (&mut all_running.part(row..row + 1)[0], logits, all_slopes.part(of_slopes))
                    };
                    let before = running.max;
                    running.add(isa, logits, rate);
                    let place = (*target as usize).checked_sub(first);
                    if let Some(logit) = place.and_then(|place| logits.get(place)) {
                        running.target = *logit;
                    }
                    if wants_slopes {
                        let lower = ((before - running.max) * rate).exp();
                        for slope in slopes {
                            *slope *= lower;
                        }
                        spread(isa, logits, running.max, rate, 0.0, 1.0);
                    }
                }
            });
            if let Some(slopes) = &mut slopes {
                let part = head.slice(first..first + tokens);
                let powers = &chunk[..out.len() * tokens];
                linear_backward(isa, team, powers, &[Part { panels: &part, bias: None }], slopes, After::Add);
            }
        }
        for (out, running) in out.iter_mut().zip(&running) {
            *out = running.answer(rate);
        }
        if let Some(slopes) = &mut slopes {
            finish_slopes(team, head, targets, rate, &running, slopes);
        }
    }
}

/// From sums of the head's rows, weighted by what is not yet a probability, to slopes: how much more of
/// its own token's row a log-probability is than of the mean of all.
fn finish_slopes(team: &Team, head: &Panels, targets: &[u32], rate: f32, running: &[Running], slopes: &mut [f32]) {
    let width = head.inputs();
    let split = Split::new(slopes);
    team.run(targets.len().div_ceil(ROWS), &|_, job| {
        let mut own = vec![0.0; width];
        for row in job * ROWS..targets.len().min((job + 1) * ROWS) {
            #[expect(unsafe_code, reason = "jobs have different rows")]
            // SAFETY: no other job has this row.
            let slopes = unsafe { split.part(row * width..(row + 1) * width) };
            head.row(targets[row] as usize, &mut own);
            let share = (1.0 / running[row].mass) as f32;
            for (slope, own) in slopes.iter_mut().zip(&own) {
                *slope = (own - *slope * share) * rate;
            }
        }
    });
}

/// The logits of the tokens from `first` on, (rows, at most [`WIDTH`]).
fn logits<'a>(
    isa: Isa,
    team: &Team,
    chunk: &'a mut Vec<f32>,
    x: &[f32],
    head: &Panels,
    first: usize,
    rows: usize,
) -> &'a mut [f32] {
    let part = head.slice(first..head.outputs().min(first + WIDTH));
    let length = rows * part.outputs();
    if chunk.len() < length {
        chunk.resize(length, 0.0);
    }
    linear(isa, team, x, &[Part { panels: &part, bias: None }], &mut chunk[..length], After::Nothing);
    &mut chunk[..length]
}

impl Running {
    fn add(&mut self, isa: Isa, logits: &[f32], rate: f32) {
        let max = self.max.max(greatest(isa, logits));
        if self.mass > 0.0 {
            let lower = f64::from(self.max - max) * f64::from(rate);
            self.moment = (self.moment + self.mass * lower) * lower.exp();
            self.mass *= lower.exp();
        }
        self.max = max;
        let [mass, moment] = weigh(isa, logits, max, rate);
        self.mass += f64::from(mass);
        self.moment += f64::from(moment);
    }

    fn answer(self, rate: f32) -> TokenProb {
        let log_mass = self.mass.ln();
        let logprob = f64::from((self.target - self.max) * rate) - log_mass;
        let entropy = log_mass - self.moment / self.mass;
        TokenProb { logprob: logprob as f32, entropy: entropy as f32, max: self.max, log_mass: log_mass as f32 }
    }
}

for_each_isa! {
    /// The sums of e^d and of d e^d over d = (logit - max) / temperature.
    fn weigh(logits: &[f32], max: f32, rate: f32) -> [f32; 2] = weigh_body
}

#[inline(always)]
fn weigh_body<const FMA: bool>(logits: &[f32], max: f32, rate: f32) -> [f32; 2] {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (mut mass, mut moment) = ([0.0; LANES], [0.0; LANES]);
    for chunk in chunks {
        for ((mass, moment), logit) in mass.iter_mut().zip(&mut moment).zip(chunk) {
            let below = (logit - max) * rate;
            let power = exp::<FMA>(below);
            *mass += power;
            // Minus infinity has no weight, and no part in the moment.
            *moment = fma::<FMA>(power, below.max(-88.0), *moment);
        }
    }
    let mut sums = [total(mass), total(moment)];
    for logit in rest {
        let below = (logit - max) * rate;
        let power = exp::<FMA>(below);
        sums[0] += power;
        sums[1] += power * below.max(-88.0);
    }
    sums
}

/// Memory that the gradient reuses from call to call.
#[derive(Debug, Default)]
pub(crate) struct LogProbMemory {
    /// (rows, tokens) of a chunk.
    pub(crate) chunk: Vec<f32>,
    pub(crate) weights: WeightMemory,
}

/// From `g` (N), the gradient of the log-probabilities that [`linear_logprob`] gave as `known`: adds
/// that of the rows to `dx` (N, D), and that of the head's weight to `dw` (vocabulary, D).
#[expect(clippy::too_many_arguments, reason = "what the gradient takes, each once")]
pub(crate) fn linear_logprob_backward(
    isa: Isa,
    team: &Team,
    memory: &mut LogProbMemory,
    x: &[f32],
    question: Question<'_>,
    known: &[TokenProb],
    g: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
) {
    let Question { head, targets, rate } = question;
    let width = head.inputs();
    assert!(x.len() == g.len() * width && dx.len() == x.len() && known.len() == g.len(), "a gradient for each row");
    assert!(targets.len() == g.len(), "a target for each row");
    for (number, (x, dx)) in x.chunks(HEIGHT * width).zip(dx.chunks_mut(HEIGHT * width)).enumerate() {
        let rows = number * HEIGHT..g.len().min((number + 1) * HEIGHT);
        let (targets, known, g) = (&targets[rows.clone()], &known[rows.clone()], &g[rows]);
        for first in (0..head.outputs()).step_by(WIDTH) {
            let logits = logits(isa, team, &mut memory.chunk, x, head, first, g.len());
            let tokens = logits.len() / g.len();
            let split = Split::new(logits);
            team.run(g.len().div_ceil(ROWS), &|_, job| {
                for row in job * ROWS..g.len().min((job + 1) * ROWS) {
                    #[expect(unsafe_code, reason = "jobs have different rows")]
                    // SAFETY: no other job has this row.
                    let logits = unsafe { split.part(row * tokens..(row + 1) * tokens) };
                    let factor = g[row] * rate;
                    spread(isa, logits, known[row].max, rate, known[row].log_mass, -factor);
                    let place = (targets[row] as usize).checked_sub(first);
                    if let Some(own) = place.and_then(|place| logits.get_mut(place)) {
                        *own += factor;
                    }
                }
            });
            let logits = &memory.chunk[..g.len() * tokens];
            let part = head.slice(first..first + tokens);
            linear_backward(isa, team, logits, &[Part { panels: &part, bias: None }], dx, After::Add);
            let dw = &mut dw[first * width..(first + tokens) * width];
            let (g, x) = (Columns::all(logits, tokens), Columns::all(x, width));
            weight_gradient(isa, team, &mut memory.weights, g, x, 1.0, dw);
        }
    }
}

for_each_isa! {
    /// Each logit becomes its probability times `factor`.
    fn spread(logits: &mut [f32], max: f32, rate: f32, log_mass: f32, factor: f32) = spread_body
}

#[inline(always)]
fn spread_body<const FMA: bool>(logits: &mut [f32], max: f32, rate: f32, log_mass: f32, factor: f32) {
    for logit in logits {
        *logit = exp::<FMA>((*logit - max) * rate - log_mass) * factor;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::ops::Values;
    use crate::ops::testing::{assert_close, numbers};

    struct Case {
        x: Vec<f64>,
        head: Vec<f64>,
        width: usize,
        targets: Vec<u32>,
        rate: f64,
    }

    impl Case {
        /// Log-probabilities and entropies.
        fn answers(&self) -> (Vec<f64>, Vec<f64>) {
            let row = |(x, target): (&[f64], &u32)| {
                let dot = |w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() * self.rate;
                let logits: Vec<f64> = self.head.chunks_exact(self.width).map(dot).collect();
                let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
                let all = max + sum.ln();
                let entropy = logits.iter().map(|logit| (logit - all).exp() * (all - logit)).sum::<f64>();
                (logits[*target as usize] - all, entropy)
            };
            self.x.chunks_exact(self.width).zip(&self.targets).map(row).unzip()
        }

        /// The slope of the sum of `g` times the log-probabilities.
        fn slope(&mut self, g: &[f32], pick: impl Fn(&mut Self) -> &mut f64) -> f64 {
            let start = *pick(self);
            let mut at = |value: f64| {
                *pick(self) = value;
                self.answers().0.iter().zip(g).map(|(logprob, g)| logprob * f64::from(*g)).sum::<f64>()
            };
            let slope = (at(start + 1e-4) - at(start - 1e-4)) / 2e-4;
            at(start);
            slope
        }
    }

    #[test]
    fn agrees_with_its_definition_and_its_slopes() {
        // More rows and more tokens than a chunk, and hardly any.
        for (rows, vocabulary, width) in [(1, 1, 1), (5, 33, 8), (3, 2500, 6), (1030, 40, 4)] {
            for (temperature, scale) in [(1.0_f32, 1.0_f32), (0.7, 30.0)] {
                let x: Vec<f32> = numbers(1, rows * width).iter().map(|value| value * scale).collect();
                let (weight, g) = (numbers(2, vocabulary * width), numbers(3, rows));
                let targets: Vec<u32> = (0..rows).map(|row| (row * 7919 % vocabulary) as u32).collect();
                let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
                let rate = 1.0 / temperature;
                let mut case =
                    Case { x: wide(&x), head: wide(&weight), width, targets: targets.clone(), rate: f64::from(rate) };
                let (logprobs, entropies) = case.answers();
                let places = |count: usize| (0..count).step_by((count / 7).max(1));
                let dx: Vec<f64> = places(x.len()).map(|place| case.slope(&g, |case| &mut case.x[place])).collect();
                let dw: Vec<f64> =
                    places(weight.len()).map(|place| case.slope(&g, |case| &mut case.head[place])).collect();
                let head = Panels::pack(Values::F32(&weight), vocabulary, width);
                let question = Question { head: &head, targets: &targets, rate };
                for isa in Isa::all() {
                    let mut first: Option<Vec<f32>> = None;
                    for threads in [1, 3] {
                        let team = Team::new(NonZero::new(threads).unwrap());
                        let mut memory = LogProbMemory::default();
                        let mut out = vec![TokenProb::default(); rows];
                        let mut slopes = vec![f32::NAN; x.len()];
                        linear_logprob(isa, &team, &mut memory.chunk, &x, question, &mut out, Some(&mut slopes));
                        let mut plain = vec![TokenProb::default(); rows];
                        linear_logprob(isa, &team, &mut memory.chunk, &x, question, &mut plain, None);
                        assert_eq!(plain, out);
                        let tolerance = 1e-5 * f64::from(scale);
                        assert_close(&out.iter().map(|prob| prob.logprob).collect::<Vec<_>>(), &logprobs, tolerance);
                        assert_close(&out.iter().map(|prob| prob.entropy).collect::<Vec<_>>(), &entropies, tolerance);
                        let (mut back, mut weights) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
                        linear_logprob_backward(
                            isa,
                            &team,
                            &mut memory,
                            &x,
                            question,
                            &out,
                            &g,
                            &mut back,
                            &mut weights,
                        );
                        let picked =
                            |values: &[f32]| places(values.len()).map(|place| values[place]).collect::<Vec<_>>();
                        assert_close(&picked(&back), &dx, 1e-4);
                        assert_close(&picked(&weights), &dw, 1e-4 * f64::from(scale) * rows as f64);
                        assert_eq!(first.get_or_insert_with(|| weights.clone()), &weights);
                        let scaled = slopes.chunks_exact(width).zip(&g);
                        let scaled: Vec<f32> =
                            scaled.flat_map(|(row, g)| row.iter().map(move |slope| slope * g)).collect();
                        assert_close(&picked(&scaled), &dx, 1e-4);
                    }
                }
            }
        }
    }
}
