//! One binary for all tests that cross crates.
//!
//! * `tidy`: the rules of the house that a machine can check;
//! * `path`: from a document to a cited answer, through every library crate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod path;
mod tidy;
