//! What evidence says of a sentence, by rule: by its words, its amounts and its direction.
//!
//! Answers are checked by [`look`]; a reward counts words by [`lexical`], since it is to rise with each of them. What takes a
//! trained model is a [`Judge`](crate::Judge)'s.

pub mod amount;
pub mod direction;
mod drugs;
pub mod finding;
pub mod lexical;
mod weight;
pub mod words;

pub use self::direction::Reversal;
pub use self::finding::{By, Finding, Place, Quote, Source, look};
