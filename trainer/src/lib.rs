//! Trains the agent's models: rollouts, rewards, objectives, optimiser, checkpoints.
//!
//! On the path: document -> chunk -> index -> hit -> evidence -> trace -> *reward -> gradient*.
//!
//! * [`Recipe`] and [`Plan`]: everything a run depends on, read and found sound;
//! * [`Dataset`] and [`Sample`]: records to token ids and what of them is learnt ([`data`]), packed ([`packing`], [`sharing`]);
//! * [`Learner`]: a model, its gradients, and the [`Optimiser`] that moves it along a [`Schedule`];
//! * [`sft`]: supervised fine-tuning; [`dpo`] and [`reward_model`]: from pairs of answers ([`preference`]);
//! * [`grpo`] and [`ppo`]: reinforcement learning with retrieval in the loop ([`rl`]);
//! * [`scorer()`](mod@scorer): the judge of answers, with its [`calibration`]; [`encoder()`](mod@encoder): the retriever's encoder;
//! * [`objective`]: losses and advantages of GRPO, PPO, DPO and reward models, as pure functions;
//! * [`rollout`], [`reward`], [`question`]: episodes of the agent, what they are worth and why;
//! * [`evaluation`]: what answers come to, with intervals; [`retrieval`]: searches that find something else;
//! * [`benchmark`]: published sets of questions, and the evidence that is [`given`] with them;
//! * [`task`]: what a recipe can have made first: [`lookup`], a generated formulary that can only be learnt by looking
//!   things up; [`starter`] and [`evidence`], questions on real text;
//! * [`stages`]: what a stage may be, and recipes of several;
//! * [`run`], [`Checkpoints`], [`Journal`]: the folder of a run, what it goes on from and what it tells;
//! * [`mod@bench`]: how fast all this is on a machine, [`memory`]: what it needs of it;
//! * [`Episode`]: an episode of a run, kept with its rewards and their reasons;
//! * [`Summary`] and [`export`]: what came of a run, seen and taken elsewhere.
//!
//! ```
//! use std::path::Path;
//! use trainer::Recipe;
//!
//! let recipe = Recipe::parse(Path::new("recipe.toml"), trainer::recipe::TEMPLATE, &["sft.epochs=1".to_owned()])?;
//! assert_eq!(recipe.sft.epochs, 1);
//!
//! // Sequences of 3, 5 and 4 tokens in micro-batches of at most 8: the first two go together.
//! assert_eq!(trainer::packing::pack(&[3, 5, 4], 8), [vec![0, 1], vec![2]]);
//! # Ok::<(), trainer::Error>(())
//! ```
//!
//! **Invariants.** Only tokens whose author is the policy are learnt. Denominators are taken over the whole optimiser
//! batch, so that micro-batches change memory and nothing else. Randomness is a function of the seed and of a
//! place in the run, never of what came before it: ten steps are five, a kill, and five, to the bit. A file of a
//! run is there whole or not at all. No clock is read here: it is an argument.

mod at_once;
pub mod bench;
pub mod benchmark;
pub mod calibration;
pub mod checkpoint;
pub mod data;
mod demonstration;
pub mod dpo;
mod draw;
pub mod encoder;
pub mod episode;
mod error;
pub mod evaluation;
pub mod evidence;
pub mod export;
mod files;
mod fit;
pub mod given;
pub mod grpo;
mod home;
pub mod journal;
pub mod learner;
pub mod lookup;
pub mod memory;
pub mod objective;
pub mod optimiser;
mod order;
pub mod packing;
pub mod pairs;
mod passes;
pub mod ppo;
pub mod preference;
pub mod question;
pub mod recipe;
pub mod retrieval;
pub mod reward;
pub mod reward_model;
pub mod rl;
pub mod rollout;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod scorer;
mod scratch;
pub mod sft;
pub mod sharing;
pub mod stages;
pub mod starter;
pub mod summary;
pub mod task;
mod tensors;
#[cfg(test)]
mod testing;

pub use checkpoint::{Checkpoints, State};
pub use data::Dataset;
pub use episode::Episode;
pub use error::{Error, Result};
pub use journal::Journal;
pub use learner::Learner;
pub use optimiser::{AdamW, Optimiser};
pub use preference::{Preference, Preferences};
pub use recipe::{Plan, Recipe};
pub use reward_model::RewardModel;
pub use run::Progress;
pub use sample::Sample;
pub use schedule::{Decay, Schedule};
pub use stages::Kind;
pub use summary::Summary;
