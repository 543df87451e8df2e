//! One binary for all tests that cross crates.
//!
//! * `tidy`: the rules of the house that a machine can check;
//! * `path`: from a document to a cited answer, through every library crate.

mod path;
mod tidy;
