//! One binary for all tests that cross crates.
//!
//! * `tidy`: the rules of the house that a machine can check;
//! * `injection`: documents that give orders, on their way in and as evidence;
//! * `privacy`: questions without identifiers that must raise nothing;
//! * `path`: from a document to a cited answer, through every library crate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod injection;
mod path;
mod privacy;
mod tidy;
