//! Trains the agent's models: rollouts, rewards, objectives, optimiser, checkpoints.
//!
//! On the path: document -> chunk -> index -> hit -> evidence -> trace -> *reward -> gradient*.
//!
//! A recipe becomes a model along this way:
//!
//! * [`Recipe`] and [`Plan`]: everything a run depends on, read and found sound; [`memory`]: what it will need of a machine;
//! * [`task`]: what a recipe can have made first: [`task::lookup`], a generated formulary that can only be learnt by
//!   looking things up; [`task::starter`] and [`task::evidence`], questions on real text;
//! * [`data`]: records to token ids and what of them is learnt; pairs of answers; questions;
//! * [`stages`]: what a stage may be, and recipes of several: [`stages::sft`], [`stages::dpo`] and
//!   [`stages::reward_model`] from records, [`stages::grpo`] and [`stages::ppo`] by the agent's own episodes
//!   ([`stages::rl`]), [`stages::scorer`] for the judge of answers, [`stages::encoder`] for the retriever;
//! * [`rollout`], [`retrieval`], [`reward`]: episodes of the agent, what they find, what they are worth and why;
//! * [`objective`]: losses and advantages as pure functions;
//! * [`Learner`]: a model, its gradients, and the [`Optimiser`] that moves it along a [`Schedule`];
//! * [`run`]: the folder of a run, what it goes on from ([`Checkpoints`]), tells ([`Journal`]) and keeps ([`Episode`]);
//!   what came of it ([`Summary`]), taken elsewhere ([`run::export`]);
//! * [`evaluation`]: what answers come to, with intervals, on one's own questions and on published sets;
//! * [`mod@bench`]: how fast all this is on a machine.
//!
//! ```
//! use std::path::Path;
//! use trainer::Recipe;
//!
//! let recipe = Recipe::parse(Path::new("recipe.toml"), trainer::recipe::TEMPLATE, &["sft.epochs=1".to_owned()])?;
//! assert_eq!(recipe.sft.epochs, 1);
//!
//! // Sequences of 3, 5 and 4 tokens in micro-batches of at most 8: the first two go together.
//! assert_eq!(trainer::learner::packing::pack(&[3, 5, 4], 8), [vec![0, 1], vec![2]]);
//! # Ok::<(), trainer::Error>(())
//! ```
//!
//! **Invariants.** Only tokens whose author is the policy are learnt. Denominators are taken over the whole optimiser
//! batch, so that micro-batches change memory and nothing else. Randomness is a function of the seed and of a
//! place in the run, never of what came before it: ten steps are five, a kill, and five, to the bit. A file of a
//! run is there whole or not at all. No clock is read here: it is an argument.

mod at_once;
pub mod bench;
pub mod data;
mod draw;
mod error;
pub mod evaluation;
mod files;
mod home;
pub mod learner;
pub mod memory;
pub mod objective;
pub mod recipe;
pub mod retrieval;
pub mod reward;
pub mod rollout;
pub mod run;
pub mod stages;
pub mod task;
mod tensors;
#[cfg(test)]
mod testing;

pub use data::Dataset;
pub use data::preference::{Preference, Preferences};
pub use data::sample::Sample;
pub use error::{Error, Result};
pub use learner::Learner;
pub use learner::optimiser::{AdamW, Optimiser};
pub use learner::schedule::{Decay, Schedule};
pub use recipe::{Plan, Recipe};
pub use run::Progress;
pub use run::checkpoint::{Checkpoints, State};
pub use run::episode::Episode;
pub use run::journal::Journal;
pub use run::summary::Summary;
pub use stages::Kind;
pub use stages::reward_model::RewardModel;
pub use task::Task;
