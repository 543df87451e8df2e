//! A reward model of `anamnesis-train reward`: it reads an episode as the policy's model saw it.

use std::path::Path;

use agent::Trace;
use agent::trace::Author;
use nn::{Device, Pieces};

use crate::learner::packing::pack;
use crate::stages::reward_model::RewardModel;
use crate::{Error, Result};

/// Tokens that are read at once.
const AT_ONCE: usize = 8_192;

/// A reward model.
#[derive(Debug)]
pub(super) struct Model {
    model: RewardModel,
    pieces: Pieces,
}

impl Model {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let model = RewardModel::open(folder, Device::cpu())?;
        Ok(Self { pieces: model.tokenizer().pieces(), model })
    }

    /// What each episode is worth, on the logistic scale from 0 to 1, and the reason; NaN for one that it cannot read.
    pub(super) fn score(&self, traces: &[&Trace]) -> Result<Vec<(f64, String)>> {
        let mut given = vec![(f64::NAN, "could not be had: its policy gives no token ids".to_owned()); traces.len()];
        let read: Vec<(usize, Vec<u32>)> =
            traces.iter().enumerate().filter_map(|(place, trace)| Some((place, trace.sequence()?.0))).collect();
        for (place, _) in &read {
            self.check(traces[*place])?;
        }
        let lengths: Vec<usize> = read.iter().map(|(_, ids)| ids.len()).collect();
        for group in pack(&lengths, AT_ONCE) {
            let ids: Vec<&[u32]> = group.iter().map(|number| read[*number].1.as_slice()).collect();
            let alone = |ids: &&[u32]| self.model.score(std::slice::from_ref(ids)).map(|one| one[0]);
            let scores = match self.model.score(&ids) {
                Ok(scores) => scores.into_iter().map(Ok).collect(),
                // One of them is longer than the model sees.
                Err(_) => ids.iter().map(alone).collect::<Vec<_>>(),
            };
            for (number, score) in group.iter().zip(scores) {
                given[read[*number].0] = match score {
                    Ok(score) => {
                        let value = 1.0 / (1.0 + (-f64::from(score)).exp());
                        (value, format!("the reward model gives {score:.3}"))
                    }
                    Err(error) => (f64::NAN, format!("could not be had: {error}")),
                };
            }
        }
        Ok(given)
    }

    /// Refuses an episode whose ids mean something else to this model.
    fn check(&self, trace: &Trace) -> Result<()> {
        let own = trace.segments.iter().find(|segment| segment.author == Author::Policy);
        let Some((segment, ids)) = own.and_then(|segment| Some((segment, segment.token_ids.as_deref()?))) else {
            return Ok(());
        };
        let said: Vec<u8> = ids.iter().flat_map(|id| self.pieces.get(*id)).copied().collect();
        // What the parser kept is the beginning of what was sampled.
        if String::from_utf8_lossy(&said).trim_start().starts_with(segment.text.trim()) {
            return Ok(());
        }
        Err(Error::Input(
            "the reward model reads other tokens than the policy: train one on a model with the policy's tokenizer"
                .to_owned(),
        ))
    }
}
