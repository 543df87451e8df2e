//! [`Alarms`]: what a run watches for, so that it stops where it no longer learns, or unlearns to search, to think or to
//! write; and ends early where nothing is left to learn.

use agent::protocol::Profile;
use agent::trace::Author;
use serde::{Deserialize, Serialize};

use crate::rollout::Rollout;

/// Steps in a row without a reward that differs within its group.
const QUIET: u64 = 20;
/// Steps in a row in which something is less than its part of the best.
const ILL: u64 = 10;
/// The part of a step in a running mean.
const SHARE: f64 = 0.2;
/// Of its best, what form and search may fall to, and what thoughts may: shorter ones may well be better ones.
const HALF: f64 = 0.5;
const QUARTER: f64 = 0.25;
/// A rate below this was never good, so that it cannot be lost; and words of thoughts.
const LEAST_RATE: f64 = 0.2;
const LEAST_WORDS: f64 = 8.0;
/// Claims that must have been judged, of late, before anything is said of the judge.
const CLAIMS: f64 = 100.0;
/// What a step's claims weigh in the next one.
const FADING: f64 = 0.95;
/// Share of one label beyond which a judge tells nothing apart (arXiv 2605.25988).
const ONE_LABEL: f64 = 0.9;

/// What was watched so far. Part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    /// Steps in a row in which no group had spread.
    pub quiet: u64,
    /// Steps in a row in which no group had spread because every answer was right.
    pub solved: u64,
    /// The form's reward.
    pub form: Watched,
    /// Share of episodes that searched.
    pub search: Watched,
    /// Words of an episode's thoughts.
    pub thought: Watched,
    /// Claims found supported, contradicted and neither, of late.
    pub labels: [f64; 3],
    /// Whether it was told that a judge finds everything supported.
    pub told: bool,
}

/// A mean that shall not fall far below its best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watched {
    /// Running mean.
    pub mean: Option<f64>,
    /// The most that it was.
    pub best: f64,
    /// Steps in a row in which it was too far below.
    pub ill: u64,
}

impl Watched {
    /// Takes in a step; tells whether it was too low for too long.
    fn take(&mut self, value: Option<f64>, least: f64, part: f64) -> bool {
        if let Some(value) = value {
            let mean = round(self.mean.map_or(value, |mean| mean + SHARE * (value - mean)));
            self.mean = Some(mean);
            self.best = self.best.max(mean);
            self.ill = if self.best >= least && mean < self.best * part { self.ill + 1 } else { 0 };
        }
        self.ill >= ILL
    }
}

/// To millionths: such a number is the same after it was written and read.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// What a step's episodes came to, as far as it is watched; those that were masked are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Whether any group had spread.
    pub(super) has_spread: bool,
    /// Whether every answer was right.
    pub(super) is_solved: bool,
    /// Means; absent without episodes.
    pub(super) form: Option<f64>,
    pub(super) search: Option<f64>,
    pub(super) thought: Option<f64>,
    /// Claims found supported, contradicted and neither.
    pub(super) verdicts: [usize; 3],
    /// Whether a scorer found it, which shall tell claims apart; words alone never do.
    pub(super) is_scored: bool,
}

impl Seen {
    pub(super) fn of(done: &[Rollout], has_spread: bool, is_scored: bool) -> Self {
        let kept: Vec<_> = done.iter().filter(|one| !one.is_masked).collect();
        let mean = |value: &dyn Fn(&Rollout) -> f64| {
            let sum = kept.iter().map(|one| value(one)).sum::<f64>() / kept.len() as f64;
            sum.is_finite().then_some(sum)
        };
        let words = |one: &Rollout| {
            let own = one.trace.segments.iter().filter(|segment| segment.author == Author::Policy);
            own.map(|segment| thought_words(one.trace.profile, &segment.text)).sum::<usize>() as f64
        };
        let count = |label: usize| kept.iter().map(|one| one.reward.verdicts[label]).sum();
        Self {
            has_spread,
            is_solved: !kept.is_empty() && kept.iter().all(|one| one.reward.value("correctness") >= 1.0),
            form: mean(&|one| one.reward.value("format")),
            search: mean(&|one| f64::from(u8::from(!one.trace.searches.is_empty()))),
            thought: mean(&words),
            verdicts: [0, 1, 2].map(count),
            is_scored,
        }
    }
}

/// Words of a turn's thought. A turn without an action has none: it rambles, and to lose that is no loss.
fn thought_words(profile: Profile, text: &str) -> usize {
    let thought = profile.thought(text);
    let is_all = text.trim_end().ends_with(thought);
    if is_all { 0 } else { thought.split_whitespace().count() }
}

/// What follows of what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Fine,
    /// A person should know this.
    Note(String),
    /// Nothing is left to learn: the run may end.
    Solved(String),
    /// The run should not go on like this.
    Alarm(String),
}

impl Alarms {
    /// Whether nothing is left to learn.
    pub fn is_solved(&self) -> bool {
        self.solved >= QUIET
    }

    /// The same after an alarm that was only told: it is raised again when it lasts.
    pub(super) fn rest(&mut self) {
        self.quiet = 0;
        self.labels = [0.0; 3];
        for watched in [&mut self.form, &mut self.search, &mut self.thought] {
            watched.ill = 0;
        }
    }

    /// Takes in a step.
    pub(super) fn take(&mut self, seen: &Seen) -> Outcome {
        self.quiet = if seen.has_spread { 0 } else { self.quiet + 1 };
        self.solved = if seen.has_spread || !seen.is_solved { 0 } else { self.solved + 1 };
        let is_ill = self.form.take(seen.form, LEAST_RATE, HALF);
        let is_blind = self.search.take(seen.search, LEAST_RATE, HALF);
        let is_thoughtless = self.thought.take(seen.thought, LEAST_WORDS, QUARTER);
        for (label, count) in self.labels.iter_mut().zip(seen.verdicts) {
            *label = round(*label * FADING + count as f64);
        }
        let claims: f64 = self.labels.iter().sum();
        let most = |label: usize| seen.is_scored && claims >= CLAIMS && self.labels[label] > ONE_LABEL * claims;
        if self.is_solved() {
            return Outcome::Solved(format!(
                "every answer of {QUIET} steps was right, and none was better than another"
            ));
        }
        let alarm = if self.quiet >= QUIET {
            format!(
                "no group's episodes differed in reward for {QUIET} steps, so nothing is learnt: take questions that the policy answers sometimes, or raise rollout.group or rollout.temperature"
            )
        } else if is_ill {
            format!(
                "episodes keep to the protocol less than half as well as they did, for {ILL} steps: lower optimiser.learning_rate, or raise reward.weights.format or grpo.kl.coefficient"
            )
        } else if is_blind {
            format!(
                "less than half as many episodes search as did, for {ILL} steps: lower optimiser.learning_rate or reward.weights.search_cost, or take questions that cannot be answered from memory"
            )
        } else if is_thoughtless {
            format!(
                "thoughts have less than a quarter of the words they had, for {ILL} steps: lower optimiser.learning_rate, or raise reward.weights.depth or grpo.kl.coefficient"
            )
        } else if most(1) || most(2) {
            let label = if most(1) { "contradicted" } else { "neither supported nor contradicted" };
            format!(
                "the scorer finds over 90% of the claims {label}, so grounding tells nothing apart: calibrate it on such claims, take another reward.judge, or set reward.weights.grounding to 0"
            )
        } else if most(0) && !self.told {
            // It may well be so: right answers are supported. Only a person can tell.
            self.told = true;
            return Outcome::Note(
                "the scorer finds over 90% of the claims supported: see by show --episode whether they are".to_owned(),
            );
        } else {
            return Outcome::Fine;
        };
        Outcome::Alarm(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVELY: Seen = Seen {
        has_spread: true,
        is_solved: false,
        form: Some(0.9),
        search: Some(0.9),
        thought: Some(20.0),
        verdicts: [4, 0, 4],
        is_scored: true,
    };
    const STILL: Seen = Seen { has_spread: false, form: None, ..LIVELY };

    #[test]
    fn a_turn_that_only_rambles_has_no_thought() {
        let words = |text| thought_words(Profile::SearchR1, text);
        assert_eq!(words("<think>the dose is there</think><answer>5 mg [E1]</answer>"), 4);
        assert_eq!(words("so look for it <search>dose</search>"), 4);
        assert_eq!(words("<search>dose</search>"), 0);
        assert_eq!(words("of of the of the dose dose"), 0);
        assert_eq!(words(""), 0);
    }

    /// The first step of many like `seen` at which something follows, and what.
    fn first(alarms: &mut Alarms, seen: Seen) -> Option<(u64, Outcome)> {
        (1..=80).map(|step| (step, alarms.take(&seen))).find(|(_, outcome)| *outcome != Outcome::Fine)
    }

    fn said(outcome: Option<(u64, Outcome)>) -> (u64, String) {
        match outcome {
            Some((step, Outcome::Alarm(reason))) => (step, reason),
            other => panic!("{other:?} is no alarm"),
        }
    }

    #[test]
    fn stops_where_nothing_differs_and_not_before() {
        let mut alarms = Alarms::default();
        let (step, reason) = said(first(&mut alarms.clone(), STILL));
        assert!(step == QUIET && reason.contains("rollout.group"), "{step}: {reason}");
        assert!((1..QUIET).all(|_| alarms.take(&STILL) == Outcome::Fine));
        assert_eq!((alarms.take(&LIVELY), alarms.take(&STILL), alarms.quiet), (Outcome::Fine, Outcome::Fine, 1));
        assert_eq!(first(&mut alarms, LIVELY), None);
    }

    #[test]
    fn ends_well_where_every_answer_is_right() {
        let mut alarms = Alarms::default();
        let right = Seen { is_solved: true, ..STILL };
        assert!(matches!(first(&mut alarms.clone(), right), Some((QUIET, Outcome::Solved(_)))));
        assert!((1..QUIET).all(|_| alarms.take(&right) == Outcome::Fine) && !alarms.is_solved());
        // One step in which not all was right, and the row begins anew; that it is quiet is seen all the same.
        assert!(matches!(alarms.take(&STILL), Outcome::Alarm(_)));
        assert_eq!((alarms.solved, alarms.is_solved()), (0, false));
    }

    #[test]
    fn stops_where_something_was_lost_and_not_where_it_never_was() {
        let cases: [(Seen, Seen, &str); 3] = [
            (Seen { form: Some(0.1), ..LIVELY }, Seen { form: Some(0.15), ..LIVELY }, "reward.weights.format"),
            (Seen { search: Some(0.1), ..LIVELY }, Seen { search: Some(0.15), ..LIVELY }, "search_cost"),
            (Seen { thought: Some(1.0), ..LIVELY }, Seen { thought: Some(6.0), ..LIVELY }, "thoughts"),
        ];
        for (lost, never, setting) in cases {
            let mut alarms = Alarms::default();
            assert_eq!(alarms.take(&LIVELY), Outcome::Fine);
            let (step, reason) = said(first(&mut alarms, lost));
            assert!((ILL..3 * ILL).contains(&step) && reason.contains(setting), "{step}: {reason}");
            alarms.rest();
            let (again, _) = said(first(&mut alarms, lost));
            assert_eq!(again, ILL, "an alarm that was only told is raised again when it lasts");
            let mut alarms = Alarms::default();
            assert_eq!(first(&mut alarms, never), None);
        }
    }

    #[test]
    fn stops_where_a_scorer_tells_nothing_apart() {
        let all = |verdicts, is_scored| first(&mut Alarms::default(), Seen { verdicts, is_scored, ..LIVELY });
        let (step, reason) = said(all([0, 1, 19], true));
        assert!(step > 4 && reason.contains("neither supported"), "{step}: {reason}");
        assert!(said(all([0, 20, 0], true)).1.contains("contradicted"));
        assert_eq!(all([2, 1, 17], true), None);
        assert_eq!(all([0, 0, 20], false), None, "words see no paraphrase");
        assert!(matches!(all([20, 0, 0], true), Some((_, Outcome::Note(_)))));
        assert_eq!(all([0, 0, 1], true), None, "too few claims to tell");
    }

    #[test]
    fn what_was_watched_is_the_same_after_it_was_written() {
        let mut alarms = Alarms::default();
        for step in 1..40 {
            let value = Some(1.0 / f64::from(step));
            alarms.take(&Seen {
                form: value,
                search: value,
                thought: value,
                verdicts: [step as usize, 1, 7],
                ..LIVELY
            });
            let json = serde_json::to_string(&alarms).unwrap();
            assert_eq!(serde_json::from_str::<Alarms>(&json).unwrap(), alarms);
        }
    }
}
