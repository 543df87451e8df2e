//! [`Card`]: what a scorer is beside its weights, `scorer.json`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of the file in a scorer's folder.
pub const FILE: &str = "scorer.json";
/// The layout of the file; one of another is refused.
const FORMAT: u32 = 1;
/// Tokens that a claim, a part of a sentence and the special tokens around them need.
const LEAST: usize = 16;

/// How a scorer is to be read, and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The layout of this file.
    pub format: u32,
    /// What logits are divided by.
    pub temperature: f64,
    /// The most tokens of a claim with a window of evidence.
    pub window_tokens: usize,
    /// Examples it learnt from, by label in the order of [`Label::ALL`](super::Label::ALL).
    pub histogram: [u64; 3],
    /// Expected calibration error on what it was calibrated by, before and after.
    pub calibration_error: [f64; 2],
    /// Fingerprint of the examples it learnt from.
    pub data: String,
}

impl Card {
    /// The card of a scorer that is to be calibrated.
    pub fn new(window_tokens: usize, histogram: [u64; 3], data: String) -> Self {
        Self { format: FORMAT, temperature: 1.0, window_tokens, histogram, calibration_error: [0.0; 2], data }
    }

    /// The card in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Scorer`] when it is missing, damaged or of another format.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let fault = |reason: String| Error::Scorer { path: path.clone(), reason };
        let text = fs::read(&path).map_err(|error| {
            fault(format!("{error}: a scorer is made by `anamnesis-train scorer` and taken out by `export`"))
        })?;
        let card: Self = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
        if card.format != FORMAT {
            return Err(fault(format!("is of format {}, this program reads {FORMAT}", card.format)));
        }
        if !(card.temperature > 0.0 && card.temperature.is_finite()) {
            return Err(fault(format!("temperature is {}, expected more than 0", card.temperature)));
        }
        if card.window_tokens < LEAST {
            return Err(fault(format!("window_tokens is {}, expected at least {LEAST}", card.window_tokens)));
        }
        Ok(card)
    }

    /// Its text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts are JSON") + "\n"
    }
}
