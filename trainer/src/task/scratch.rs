//! A policy from nothing: its vocabulary, its random weights and its first lessons.
//!
//! * [`primer`]: all of it in one step, for tasks on real passages, of these parts:
//! * [`write_folder`]: a model folder of a [`Shape`] over a [`Vocabulary`];
//! * [`tokenizer`]: a vocabulary of a corpus, with a token for each phrase of the protocol;
//! * [`copying`]: the first lesson;
//! * [`reading`]: episodes as such a policy sees them, and lessons made of passages;
//! * [`quote`]: the sentence of a passage that says something.

pub(crate) mod copying;
mod model;
pub(crate) mod primer;
pub(crate) mod quote;
pub(crate) mod reading;
pub(crate) mod template;
mod tokenizer;

pub(crate) use self::model::{Shape, Vocabulary, write_folder};
