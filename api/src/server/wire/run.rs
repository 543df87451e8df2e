//! Runs of training, as their journals tell of them.

use std::collections::BTreeMap;

use agent::journal::{self, Entry};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::runs::{self, Progress, thin};

/// Notices, checkpoints and starts that are told.
const MAX_LINES: usize = 200;

/// Which runs to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsParams {
    /// Runs of a page; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// Go on behind this run: `next` of the page before.
    #[param(max_length = 128, pattern = "^[0-9A-Za-z_-][0-9A-Za-z._-]*$")]
    pub(crate) after: Option<String>,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunPage {
    /// By name.
    pub(crate) runs: Vec<RunCard>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A run, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunCard {
    /// Its name: that of its folder.
    id: String,
    #[serde(flatten)]
    standing: RunStanding,
    /// Its stages, where it has several.
    stages: Vec<StageCard>,
}

/// A stage of a run, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StageCard {
    /// Its name: that of its folder.
    #[schema(example = "01-sft")]
    name: String,
    #[serde(flatten)]
    standing: RunStanding,
}

/// How far a run or a stage is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunStanding {
    /// What it does.
    #[schema(example = "grpo")]
    kind: Option<String>,
    /// When it first began, RFC 3339.
    started: Option<String>,
    /// Steps done.
    step: u64,
    /// Steps it will have.
    steps: Option<u64>,
    /// Whether it came to its end.
    ended: bool,
}

impl From<Progress> for RunStanding {
    fn from(progress: Progress) -> Self {
        let Progress { start, step, ended } = progress;
        let (kind, started, steps) = match start {
            Some(start) => (Some(start.stage), Some(start.at.to_string()), Some(start.steps)),
            None => (None, None, None),
        };
        Self { kind, started, step, steps, ended }
    }
}

impl RunCard {
    /// A run with its stages.
    pub(crate) fn new(id: String, progress: Progress, stages: Vec<(String, Progress)>) -> Self {
        let stage = |(name, progress): (String, Progress)| StageCard { name, standing: progress.into() };
        Self { id, standing: progress.into(), stages: stages.into_iter().map(stage).collect() }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// What to tell of a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunParams {
    /// Points of a curve: longer ones are thinned out evenly; 500 unless given.
    #[param(minimum = 2, maximum = 5_000)]
    pub(crate) points: Option<u32>,
    /// Of this stage, instead of the run itself.
    pub(crate) stage: Option<String>,
}

/// What a journal holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    /// The run's name.
    id: String,
    /// The stage that this is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Its stages, where it has several.
    stages: Vec<String>,
    /// When it began, and went on after a stop; the last two hundred.
    starts: Vec<Start>,
    /// Steps of the optimiser, thinned out.
    steps: Vec<Step>,
    /// Measures on what is held out, thinned out.
    heldout: Vec<Heldout>,
    /// The last two hundred checkpoints.
    checkpoints: Vec<Checkpoint>,
    /// What a person should know: the last two hundred.
    notices: Vec<Notice>,
    /// Its end, where it came to one.
    end: Option<End>,
    /// How many there are of what may have been thinned out.
    counts: Counts,
}

/// The beginning of a run, or of its going on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Start {
    /// When, RFC 3339.
    at: String,
    /// Steps done before.
    step: u64,
    /// Steps it will have.
    steps: u64,
    /// What it does.
    kind: String,
    /// Values that learn.
    parameters: u64,
    /// Samples to learn from.
    samples: u64,
    /// Tokens of one pass over them that are learnt.
    tokens: u64,
    /// Samples that are held out.
    heldout: u64,
    /// Bytes that were expected to be taken.
    forecast_bytes: u64,
    /// The most that were taken, where that can be told.
    peak_bytes: Option<u64>,
}

/// One step of the optimiser.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Step {
    /// Steps done with this one.
    step: u64,
    /// Passes over the data.
    epoch: f64,
    /// What is minimised; none when it was not finite.
    loss: Option<f64>,
    /// The norm of the gradient; none when it was not finite.
    gradient_norm: Option<f64>,
    /// The learning rate.
    learning_rate: f64,
    /// Whether the step was skipped.
    skipped: bool,
    /// Tokens that went through the model.
    tokens: u64,
    /// Those of them that were learnt.
    learnt: u64,
    /// Seconds of the step.
    seconds: f64,
    /// Everything else by its name: parts of the loss, rewards, lengths, times.
    values: BTreeMap<String, f64>,
}

/// A measure on what is held out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Heldout {
    /// Steps done.
    step: u64,
    /// When in the run.
    #[schema(example = "during")]
    phase: String,
    /// What was measured, by name.
    values: BTreeMap<String, f64>,
}

/// A checkpoint on the disk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checkpoint {
    /// Steps done.
    step: u64,
    /// Whether it was the best so far.
    best: bool,
}

/// Something that a person should know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Notice {
    /// Steps done.
    step: u64,
    /// What.
    text: String,
}

/// The end of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct End {
    /// Steps done.
    step: u64,
    /// Seconds since its last start.
    seconds: f64,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    steps: usize,
    heldout: usize,
    checkpoints: usize,
    notices: usize,
}

impl Run {
    /// What `entries` say, with at most `points` of each curve.
    pub(crate) fn new(
        id: String,
        stage: Option<String>,
        stages: Vec<String>,
        entries: Vec<Entry>,
        points: usize,
    ) -> Self {
        let (mut starts, mut steps, mut heldout, mut checkpoints, mut notices) =
            (vec![], vec![], vec![], vec![], vec![]);
        let mut end = None;
        for entry in entries {
            match entry {
                Entry::Start(start) => starts.push(Start::from(start)),
                Entry::Step(step) => steps.push(Step::from(step)),
                Entry::Heldout(journal::Heldout { step, phase, values }) => {
                    heldout.push(Heldout { step, phase, values });
                }
                Entry::Checkpoint { step, best } => checkpoints.push(Checkpoint { step, best }),
                Entry::Notice { step, text } => notices.push(Notice { step, text }),
                Entry::End { step, seconds } => end = Some(End { step, seconds }),
                Entry::Unknown => {}
            }
        }
        let counts = Counts {
            steps: steps.len(),
            heldout: heldout.len(),
            checkpoints: checkpoints.len(),
            notices: notices.len(),
        };
        Self {
            id,
            stage,
            stages,
            starts: latest(starts),
            steps: thin(steps, points),
            heldout: thin(heldout, points),
            checkpoints: latest(checkpoints),
            notices: latest(notices),
            end,
            counts,
        }
    }
}

fn latest<T>(mut lines: Vec<T>) -> Vec<T> {
    lines.drain(..lines.len().saturating_sub(MAX_LINES));
    lines
}

impl From<journal::Start> for Start {
    fn from(start: journal::Start) -> Self {
        let journal::Start { at, step, steps, stage, parameters, samples, tokens, heldout, forecast_bytes, peak_bytes } =
            start;
        let at = at.to_string();
        Self { at, step, steps, kind: stage, parameters, samples, tokens, heldout, forecast_bytes, peak_bytes }
    }
}

impl From<journal::Step> for Step {
    fn from(step: journal::Step) -> Self {
        let journal::Step {
            step,
            epoch,
            loss,
            gradient_norm,
            learning_rate,
            skipped,
            tokens,
            learnt,
            seconds,
            values,
            ..
        } = step;
        Self { step, epoch, loss, gradient_norm, learning_rate, skipped, tokens, learnt, seconds, values }
    }
}

/// Which episodes of a run to tell.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EpisodesParams {
    /// The step; the last one whose episodes are kept unless given.
    pub(crate) step: Option<u64>,
    /// Of this stage, instead of the run itself.
    pub(crate) stage: Option<String>,
    /// Episodes of a page, fewer where they are long; 10 unless given.
    #[param(minimum = 1, maximum = 50)]
    pub(crate) limit: Option<u32>,
    /// Go on behind the episode at this place: `next` of the page before.
    pub(crate) after: Option<u64>,
}

/// Episodes of a step.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Episodes {
    /// The step.
    step: u64,
    /// All steps whose episodes are kept, thinned out to five hundred.
    steps: Vec<u64>,
    /// In the order in which they were kept.
    episodes: Vec<Episode>,
    /// What `after` takes for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<usize>,
}

/// An episode as it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Episode {
    /// Its place in the step, from 1.
    place: usize,
    /// What happened, what it was worth and why: question, trace, reward, advantage.
    #[schema(value_type = Object)]
    episode: Value,
}

impl From<runs::Episodes> for Episodes {
    fn from(found: runs::Episodes) -> Self {
        let next = found.found.last().filter(|_| found.has_more).map(|(place, _)| *place);
        let episodes = found.found.into_iter().map(|(place, episode)| Episode { place, episode }).collect();
        Self { step: found.step, steps: thin(found.steps, 500), episodes, next }
    }
}
