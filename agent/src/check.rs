//! What evidence says of a sentence, by rule: by its words, its amounts and its direction.
//!
//! Rewards and answers are checked by the same rules. What takes a trained model is a [`Judge`](crate::Judge)'s.

pub mod amount;
pub mod direction;
pub mod finding;
pub mod lexical;
pub mod words;

pub use self::direction::Reversal;
pub use self::finding::{By, Finding, Place, Quote, Source, find, look};
