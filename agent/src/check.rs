//! What evidence says of a sentence, by rule: by its words, its amounts, its names and its direction.
//!
//! Answers are checked by [`look`]; a reward counts words by [`lexical`], since it is to rise with each of them. What takes a
//! trained model is a [`Judge`](crate::Judge)'s.

pub mod amount;
mod change;
pub mod direction;
pub mod finding;
pub mod lexical;
mod name;
mod replaced;
mod weight;
pub mod words;

pub use self::direction::Reversal;
pub use self::finding::{By, Finding, Place, Quote, Source, look};
pub(crate) use self::name::foreign;
