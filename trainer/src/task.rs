//! [`Task`]: what a recipe generates before its first stage: a world to search, questions on it, and what a policy is
//! warmed up on.

mod demonstration;
pub mod evidence;
pub mod lookup;
mod scratch;
pub mod starter;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;

/// `[task]`, but for its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// A formulary that exists nowhere else ([`lookup`]).
    Lookup(lookup::Size),
    /// The embedded starter corpus and its questions ([`starter`]).
    Starter(starter::Size),
    /// Questions on trials over an index of their reports ([`evidence`]).
    Evidence(evidence::Size),
}

impl Task {
    /// Writes the task of `seed` to the new folder `dir`, whole or not at all. The same seed gives the same bytes.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a size cannot be; [`crate::Error::Write`] when the disk refuses.
    pub fn make(&self, dir: &Path, seed: u64) -> Result<()> {
        match self {
            Self::Lookup(size) => lookup::init(dir, seed, *size).map(|_| ()),
            Self::Starter(size) => starter::init(dir, seed, size).map(|_| ()),
            Self::Evidence(size) => evidence::init(dir, seed, size).map(|_| ()),
        }
    }
}
