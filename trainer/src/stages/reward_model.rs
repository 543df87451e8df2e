//! [`reward_model()`]: a decoder with a head learns what answers are worth from pairs of them; [`RewardModel`]: what it learnt.
//!
//! Bradley and Terry (1952): the odds that one answer is better than another are e to the difference of their worth
//! (arXiv 1706.03741 for language models). An answer is worth what the head says of the state after its last token.
//! What is saved is a model's or an adapter's folder with two files more: the head's weights, and
//! `reward_model.json`, which tells the model that an adapter belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use nn::{Adapter, Batch, Decoder, Device, Tokenizer, Wanted};
use serde::{Deserialize, Serialize};

use crate::data::Text;
use crate::data::preference::Preferences;
use crate::error::{read, write};
use crate::learner::{Head, REWARD_FILE, Tells, weights};
use crate::objective::{Loss, preference_loss};
use crate::recipe::{Learn, ModelSection, Plan};
use crate::run::checkpoint::State;
use crate::run::{Clock, Progress};
use crate::stages::passes::{self, Items, Micro, Objective, Stage};
use crate::{Error, Result, Sample};

/// The layout of what is saved; one of another is refused.
const FORMAT: u32 = 1;
pub(crate) const CARD: &str = "reward_model.json";
/// Stands where a token would follow an answer, so that the state after its last token is read.
const NEXT: u32 = 0;

/// The file `reward_model.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    format: u32,
    /// The model that the adapter belongs to; absent where the folder is a whole model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<PathBuf>,
}

/// Trains by `plan` in the folder `dir`; `resume` goes on where the newest checkpoint ends. `told` is called after
/// every step. Gives the last state.
///
/// # Errors
/// Those of a bad data set or model before anything is trained; [`Error::Halted`] when training cannot go on.
pub fn reward_model(
    plan: &Plan,
    dir: &Path,
    resume: bool,
    clock: Clock<'_>,
    told: &mut dyn FnMut(Progress),
) -> Result<State> {
    let (data, section) = (&plan.recipe().data, &plan.recipe().reward_model);
    let text = Text::open(&plan.recipe().model.path)?;
    let rules = passes::rules(plan, ("reward_model", section.micro_tokens), 2)?;
    let (train, heldout) = Preferences::read_both(data, &text, rules)?;
    let (ends, heldout_ends) = (ends(&train), ends(&heldout));
    let stage = Stage {
        name: "reward",
        section: "reward_model",
        plan,
        passes: section.passes(),
        objective: Objective::BradleyTerry { centering: section.centering },
        train: items(&ends),
        heldout: items(&heldout_ends),
        data: train.fingerprint(&heldout),
    };
    passes::run(stage, dir, resume, clock, told)
}

/// The answers of each pair, the better first, of which the state after the last token is read.
fn ends(preferences: &Preferences) -> Vec<[Sample; 2]> {
    preferences.pairs.iter().map(|pair| [end(&pair.chosen), end(&pair.rejected)]).collect()
}

fn end(sample: &Sample) -> Sample {
    let last = sample.mask.iter().rposition(|learnt| *learnt).unwrap_or(0);
    let mut ids = sample.ids[..=last].to_vec();
    ids.push(NEXT);
    let mask = (0..ids.len()).map(|at| at == last + 1).collect();
    Sample { ids, mask }
}

fn items(ends: &[[Sample; 2]]) -> Items<'_> {
    Items::of(ends.iter().map(|pair| pair.iter().collect()).collect())
}

/// The loss of a micro-batch, of the worth of both answers of each pair.
pub(crate) fn loss(centering: f64, micro: &Micro<'_>, worth: &Tensor) -> Result<Loss> {
    let pairs: Vec<(usize, usize)> = (0..micro.numbers.len()).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    preference_loss(worth, &pairs, centering, micro.whole)
}

/// Writes into a checkpoint what its adapter belongs to.
pub(crate) fn describe(model: &ModelSection, checkpoint: &Path) -> Result<()> {
    let card = Card { format: FORMAT, base: (model.learn == Learn::Adapter).then(|| model.path.clone()) };
    let path = weights(checkpoint, model.learn).join(CARD);
    let text = serde_json::to_string_pretty(&card).map_err(|error| write(&path)(error.into()))?;
    fs::write(&path, text + "\n").map_err(write(&path))
}

/// Carries the head in the folder `from` to `to`, where the adapter of `from` was merged into its model.
pub(crate) fn carry_over(from: &Path, to: &Path) -> Result<()> {
    if !from.join(CARD).is_file() {
        return Ok(());
    }
    let copy = to.join(REWARD_FILE);
    fs::copy(from.join(REWARD_FILE), &copy).map_err(write(&copy))?;
    let path = to.join(CARD);
    fs::write(&path, format!("{{\n  \"format\": {FORMAT}\n}}\n")).map_err(write(&path))
}

/// Tells what answers are worth.
#[derive(Debug)]
pub struct RewardModel {
    decoder: Decoder,
    head: Head,
    tokenizer: Tokenizer,
}

impl RewardModel {
    /// The reward model in the folder `dir`, as a run of `reward` exports it.
    ///
    /// # Errors
    /// [`Error::Artefact`] for a folder that is none, or of another format; those of a damaged model.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        let path = dir.join(CARD);
        let fault = |reason: String| Error::Artefact { path: path.clone(), reason };
        if !path.is_file() {
            let reason = "is not there: export a run of `anamnesis-train reward` to this folder".to_owned();
            return Err(fault(reason));
        }
        let card: Card = serde_json::from_slice(&fs::read(&path).map_err(read(&path))?)
            .map_err(|error| fault(format!("is no card of a reward model: {error}")))?;
        if card.format != FORMAT {
            return Err(fault(format!("is of format {}, this program reads {FORMAT}", card.format)));
        }
        let model = card.base.as_deref().unwrap_or(dir);
        let mut decoder = Decoder::load(model, device)?;
        if card.base.is_some() {
            decoder.set_adapter(Some(Adapter::open(dir)?))?;
        }
        let head = Head::open(Tells::Reward, decoder.config().hidden_size, &dir.join(REWARD_FILE))?;
        Ok(Self { decoder, head, tokenizer: Tokenizer::open(model)? })
    }

    /// What each sequence of tokens is worth, a prompt with its answer; one's worth does not depend on the others.
    ///
    /// # Errors
    /// [`Error::Shape`](nn::Error::Shape) for a sequence that is empty or longer than the model sees.
    pub fn score(&self, ids: &[&[u32]]) -> Result<Vec<f32>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = Batch::default();
        for ids in ids {
            batch.push(ids, 0, &[], Wanted::Last);
        }
        if batch.rows() != ids.len() {
            return Err(Error::Shape("a sequence without tokens is worth nothing that could be told".to_owned()));
        }
        Ok(self.head.values(&self.decoder.last_states(&batch)?)?.to_vec1()?)
    }

    /// The tokenizer whose ids it reads.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

#[cfg(test)]
mod tests;
