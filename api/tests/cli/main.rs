//! The user's path: the built `anamnesis`, run as a user runs it.
//!
//! * `ask`: the first question on a fresh machine, abstention, traces and replay;
//! * `corpus`: adding, showing and curating documents;
//! * `index`: building, verifying, switching and losing snapshots;
//! * `search`: hits, filters, explanations, TREC runs and evaluation;
//! * `model`: local models, made and tried;
//! * `local`: a language model on this machine;
//! * `faults`: read-only and locked homes, kills, odd input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod ask;
mod corpus;
mod faults;
mod harness;
mod index;
mod local;
mod model;
mod search;
