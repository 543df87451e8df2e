//! [`Sampler`]: a row of logits to one token, and the log-probability it had.
//!
//! In transformers' order: repetition penalty, temperature, top-k, top-p, min-p, then one draw by
//! the inverse of the cumulative distribution over ascending ids. The log-probability is that of
//! the bare logits at the sampling temperature, before penalty and truncation: what an importance
//! ratio needs. At temperature 0 the likeliest token is taken, the lowest id among equals, and its
//! log-probability is the one at temperature 1.
//!
//! Nothing is sorted: the weights e^((x - max) / temperature) that could pass a truncation are
//! gathered above a floor that a few vector passes find, and the cut is selected among them.

use serde::{Deserialize, Serialize};

use crate::ops::Isa;
use crate::ops::sample::{GROUPS, STRETCH, greatest, keep, mass_from, maxima, stretch_sum, weigh};
use crate::{Error, Result};

/// Of the range of weights in which top-p ends: eleven leave a sixteenth of an octave.
const HALVINGS: usize = 11;

/// How tokens are chosen. The default takes the likeliest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f32,
    /// Keeps so many of the likeliest tokens, and those equal to the last of them; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens until they hold this share of the probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this share as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens that occurred; 1 changes nothing.
    pub repetition_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

impl Sampling {
    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// [`Error::Shape`] that names the setting and its range.
    pub fn check(&self) -> Result<()> {
        let fault = |name: &str, value: f32, range: &str| Err(Error::Shape(format!("{name} is {value}, not {range}")));
        if !(self.temperature == 0.0 || (1e-3..=1e3).contains(&self.temperature)) {
            return fault("temperature", self.temperature, "0 or from 0.001 to 1000");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return fault("top_p", self.top_p, "above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return fault("min_p", self.min_p, "from 0 to 1");
        }
        if !(1e-3..=1e3).contains(&self.repetition_penalty) {
            return fault("repetition_penalty", self.repetition_penalty, "from 0.001 to 1000");
        }
        Ok(())
    }
}

/// A chosen token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Its id.
    pub id: u32,
    /// The log-probability it had, before penalty and truncation.
    pub logprob: f32,
}

/// The memory of choosing: grows to a few times the vocabulary, then stays.
#[derive(Debug)]
pub struct Sampler {
    isa: Isa,
    /// Logits after the repetition penalty.
    penalised: Vec<f32>,
    /// One weight per id; zero once cut or forbidden.
    weights: Vec<f32>,
    /// The sum of each stretch of weights.
    sums: Vec<f64>,
    best: Vec<f32>,
    keys: Vec<u64>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            isa: Isa::detect(),
            penalised: Vec::new(),
            weights: Vec::new(),
            sums: Vec::new(),
            best: Vec::new(),
            keys: Vec::new(),
        }
    }
}

impl Sampler {
    /// Chooses from `logits`, one per id, by the number `uniform` in [0, 1). `seen` holds the ids of
    /// prompt and output, for the repetition penalty. An id that `forbids` refuses is taken out and
    /// the choice made again among the rest with the same number; where truncation left nothing
    /// else, the likeliest of all that is not refused is taken.
    ///
    /// # Errors
    /// [`Error::Shape`] when logits are missing or no numbers, settings are out of range, or
    /// `forbids` refuses every id.
    pub fn sample(
        &mut self,
        logits: &[f32],
        sampling: &Sampling,
        seen: &[u32],
        uniform: f64,
        forbids: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Sampled> {
        sampling.check()?;
        let greedy = sampling.temperature == 0.0;
        let rate = if greedy { 1.0 } else { 1.0 / sampling.temperature };
        let max = greatest(self.isa, logits);
        self.weights.resize(logits.len(), 0.0);
        let mass = weigh(self.isa, logits, max, rate, &mut self.weights);
        if !(mass.is_finite() && mass > 0.0) {
            return Err(Error::Shape("logits are missing or no numbers: the weights may be damaged".to_owned()));
        }
        // A product beyond f32 belongs to a token whose probability is zero, which is never chosen.
        let sampled = |id: u32| {
            let logprob = f64::from((logits[id as usize] - max) * rate) - mass.ln();
            Sampled { id, logprob: logprob as f32 }
        };

        let penalised = self.penalise(logits, sampling.repetition_penalty, seen);
        let scores = if penalised { &self.penalised } else { logits };
        if greedy {
            let best = greatest(self.isa, scores);
            if let Some(first) = scores.iter().position(|score| *score == best)
                && !forbids(first as u32)
            {
                return Ok(sampled(first as u32));
            }
            return likeliest(scores, forbids).map(sampled);
        }
        if penalised {
            let max = greatest(self.isa, &self.penalised);
            weigh(self.isa, &self.penalised, max, rate, &mut self.weights);
        }
        self.truncate(sampling);
        while let Some(id) = self.draw(uniform) {
            if !forbids(id) {
                return Ok(sampled(id));
            }
            self.remove(id);
        }
        let scores = if penalised { &self.penalised } else { logits };
        likeliest(scores, forbids).map(sampled)
    }

    /// Writes the logits after the penalty; false where it changes nothing.
    fn penalise(&mut self, logits: &[f32], penalty: f32, seen: &[u32]) -> bool {
        if penalty == 1.0 {
            return false;
        }
        self.penalised.clear();
        self.penalised.extend_from_slice(logits);
        for id in seen {
            // From the bare logit each time: a token is penalised once, however often it occurred.
            if let (Some(logit), Some(score)) = (logits.get(*id as usize), self.penalised.get_mut(*id as usize)) {
                *score = if *logit < 0.0 { logit * penalty } else { logit / penalty };
            }
        }
        true
    }

    /// Zeroes the weights that top-k, top-p and min-p cut away, and sums the rest.
    fn truncate(&mut self, sampling: &Sampling) {
        let mut floor = f32::from_bits(1);
        let mut last = u32::MAX;
        let top_k = if sampling.top_k < self.weights.len() { sampling.top_k } else { 0 };
        if top_k > 0 {
            floor = self.top_k(top_k, floor);
        }
        if sampling.top_p < 1.0 {
            (floor, last) = self.top_p(f64::from(sampling.top_p), floor, top_k > 0);
        }
        // The greatest weight is 1.
        if sampling.min_p > floor {
            (floor, last) = (sampling.min_p, u32::MAX);
        }
        self.sums.resize(self.weights.len().div_ceil(STRETCH), 0.0);
        keep(self.isa, &mut self.weights, floor, last, &mut self.sums);
    }

    /// The `count`-th greatest weight, or `floor` where fewer reach it. Leaves in `keys` those at
    /// least as great.
    fn top_k(&mut self, count: usize, floor: f32) -> f32 {
        self.find_maxima(f32::INFINITY);
        // So many groups hold a weight of at least this each: the one looked for is no smaller.
        let bound = match self.best.get(count - 1) {
            Some(_) => *self.best.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1,
            None => floor,
        };
        self.gather(bound.max(floor), f32::INFINITY);
        if count > self.keys.len() {
            return floor;
        }
        let cut = weight_of(*self.keys.select_nth_unstable_by(count - 1, |a, b| b.cmp(a)).1);
        self.keys.retain(|key| weight_of(*key) >= cut);
        cut
    }

    /// The smallest weight, and its highest id, of the fewest greatest weights that hold `share` of
    /// the mass of those at least `floor`.
    fn top_p(&mut self, share: f64, floor: f32, gathered: bool) -> (f32, u32) {
        let target = share * mass_from(self.isa, &self.weights, floor);
        // keys[..low] hold less than the target with what is above the gathered, keys[..high] at
        // least as much, or are all there are.
        let mut below = if gathered { 0.0 } else { self.gather_around(target, floor) };
        let (mut low, mut high) = (0, self.keys.len());
        while high - low > 1 {
            let half = (high - low) / 2;
            self.keys[low..high].select_nth_unstable_by(half, |a, b| b.cmp(a));
            let upper: f64 = self.keys[low..low + half].iter().map(|key| f64::from(weight_of(*key))).sum();
            if below + upper >= target {
                high = low + half;
            } else {
                below += upper;
                low += half;
            }
        }
        self.keys.get(low).map_or((floor, u32::MAX), |key| (weight_of(*key), id_of(*key)))
    }

    /// Collects the keys of few weights, among them the one at which the mass of the greater reaches
    /// `target`; gives the mass above them.
    fn gather_around(&mut self, target: f64, floor: f32) -> f64 {
        // Weights are not negative, so that their bits order as they do: the mass from `low` on
        // reaches the target, that from `high` on, which is `above`, does not.
        let (mut low, mut high, mut above) = (floor.to_bits(), 1.0_f32.to_bits() + 1, 0.0);
        for _ in 0..HALVINGS {
            let middle = low + (high - low) / 2;
            let mass = mass_from(self.isa, &self.weights, f32::from_bits(middle));
            if mass >= target {
                low = middle;
            } else {
                (high, above) = (middle, mass);
            }
        }
        self.gather(f32::from_bits(low), f32::from_bits(high));
        above
    }

    /// Collects the keys of the weights from `floor` up to `end`.
    fn gather(&mut self, floor: f32, end: f32) {
        self.find_maxima(end);
        self.keys.clear();
        for (group, _) in self.best.iter().enumerate().filter(|(_, best)| **best >= floor) {
            let first = group / GROUPS * STRETCH;
            let weights = &self.weights[first..self.weights.len().min(first + STRETCH)];
            for (place, weight) in weights.iter().enumerate().skip(group % GROUPS).step_by(GROUPS) {
                if *weight >= floor && *weight < end {
                    self.keys.push(key(*weight, (first + place) as u32));
                }
            }
        }
    }

    fn find_maxima(&mut self, end: f32) {
        self.best.resize(self.weights.len().div_ceil(STRETCH) * GROUPS, 0.0);
        maxima(self.isa, &self.weights, end, &mut self.best);
    }

    /// The id whose stretch of the cumulative distribution holds `uniform`; `None` where nothing is
    /// left.
    fn draw(&self, uniform: f64) -> Option<u32> {
        let mut rest = uniform * self.sums.iter().sum::<f64>();
        let mut nearest = None;
        for (stretch, sum) in self.sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
            nearest = Some(stretch);
            if rest < *sum {
                break;
            }
            rest -= sum;
        }
        let first = nearest? * STRETCH;
        let weights = &self.weights[first..self.weights.len().min(first + STRETCH)];
        let mut last = None;
        for (offset, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            last = Some((first + offset) as u32);
            rest -= f64::from(*weight);
            if rest < 0.0 {
                break;
            }
        }
        last
    }

    fn remove(&mut self, id: u32) {
        self.weights[id as usize] = 0.0;
        let stretch = id as usize / STRETCH;
        let first = stretch * STRETCH;
        self.sums[stretch] = stretch_sum(&self.weights[first..self.weights.len().min(first + STRETCH)]);
    }
}

/// The greatest score that is not refused, the lowest id among equals.
fn likeliest(scores: &[f32], forbids: &mut dyn FnMut(u32) -> bool) -> Result<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, score) in (0..).zip(scores) {
        if best.is_none_or(|(_, best)| *score > best) && !forbids(id) {
            best = Some((id, *score));
        }
    }
    best.map(|(id, _)| id).ok_or_else(|| Error::Shape("every token is forbidden".to_owned()))
}

/// Weights and ids in one number: the greater weight first, then the lower id. Weights are not
/// negative, so that their bits order as they do.
fn key(weight: f32, id: u32) -> u64 {
    u64::from(weight.to_bits()) << 32 | u64::from(!id)
}

fn weight_of(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

fn id_of(key: u64) -> u32 {
    !(key as u32)
}

#[cfg(test)]
mod tests;
