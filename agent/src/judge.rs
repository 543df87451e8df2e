//! [`Judge`]: what evidence says about a claim, by a trained scorer.
//!
//! A scorer is a classifier of pairs in the layout of `BertForSequenceClassification` with the labels support,
//! contradict and neutral in any order, and a [`Card`] beside it; `anamnesis-train scorer` makes one. It is of
//! limited sight, so evidence is read in [`windows`] of whole sentences, each together with the claim.
//!
//! **The rule.** One window decides: the one in which supporting or contradicting, whichever is likelier there, has
//! the greatest log-odds against neutral; the first of equals. The verdict is that window's likeliest label, neutral
//! when it ties, with that window's probabilities at the calibrated temperature. So where one window supports and
//! another contradicts, the stronger of both counts; evidence is neutral only when every window is. A temperature
//! scales the log-odds of all windows alike and thus never moves the decision. Blank evidence is neutral about every
//! claim, and so is all evidence about a blank claim.

mod card;
mod label;
pub mod measure;
mod reading;
mod windows;

use std::ops::Range;
use std::path::{Path, PathBuf};

use nn::{Classifier, Device, Tokenizer, Tokens};

pub use self::card::{Card, FILE};
pub use self::label::Label;
pub use self::reading::Reading;
pub use self::windows::windows;
use crate::answer::quote;
use crate::{Error, Result};

/// A claim, and what is to bear it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// One sentence.
    pub claim: &'a str,
    /// A text of any length.
    pub evidence: &'a str,
}

/// What evidence says about a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The likeliest label.
    pub label: Label,
    /// Calibrated probabilities of support, contradiction and neither; they sum to 1.
    pub probabilities: [f32; 3],
    /// Bytes of the evidence: of the window that decided, the sentence that shares most words with the claim. Empty
    /// when nothing was read.
    pub span: Range<usize>,
}

/// A window of evidence, and what a scorer makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Bytes of the evidence.
    pub span: Range<usize>,
    /// By label, in the order of [`Label::ALL`].
    pub logits: [f32; 3],
}

/// A scorer, open to be asked.
#[derive(Debug)]
pub struct Judge {
    dir: PathBuf,
    classifier: Classifier,
    /// Where the model has each label of [`Label::ALL`].
    places: [usize; 3],
    card: Card,
    fingerprint: String,
}

impl Judge {
    /// Opens the scorer in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Scorer`] for a folder without `scorer.json` or with other labels, [`Error::Model`] for damaged files
    /// of the model.
    pub fn open(dir: &Path, device: Device) -> Result<Self> {
        let card = Card::open(dir)?;
        let classifier = Classifier::open(dir, device)?;
        let fault = |reason: String| Error::Scorer { path: dir.to_owned(), reason };
        let places = places(classifier.labels()).map_err(fault)?;
        let (window, most) = (card.window_tokens, classifier.max_tokens());
        if window > most {
            return Err(fault(format!("window_tokens is {window}, but the encoder reads {most}: train it again")));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(classifier.fingerprint().as_bytes()).update(card.to_json().as_bytes());
        let fingerprint = hasher.finalize().to_hex().to_string();
        Ok(Self { dir: dir.to_owned(), classifier, places, card, fingerprint })
    }

    /// What each piece of evidence says about its claim, in order. A verdict depends on its own pair alone.
    ///
    /// # Errors
    /// [`Error::Model`] when a text cannot be tokenized, [`Error::Scorer`] when the model gives no number.
    pub fn judge(&self, pairs: &[Pair<'_>]) -> Result<Vec<Verdict>> {
        let read = read(&self.classifier, self.places, self.card.window_tokens, pairs)?;
        let verdicts = pairs.iter().zip(read).map(|(pair, windows)| self.verdict(*pair, &windows));
        verdicts.collect()
    }

    /// A hash of all that decides a verdict.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How it was calibrated, and what it was made from.
    pub fn card(&self) -> &Card {
        &self.card
    }

    fn verdict(&self, pair: Pair<'_>, windows: &[Window]) -> Result<Verdict> {
        let logits: Vec<[f32; 3]> = windows.iter().map(|window| window.logits).collect();
        let Some(deciding) = deciding(&logits) else {
            return Ok(Verdict { label: Label::Neutral, probabilities: [0.0, 0.0, 1.0], span: 0..0 });
        };
        let probabilities = probabilities(logits[deciding], self.card.temperature);
        if probabilities.iter().any(|probability| !probability.is_finite()) {
            let reason = "gave a value that is no number: its weights are damaged, train it again".to_owned();
            return Err(Error::Scorer { path: self.dir.clone(), reason });
        }
        let window = windows[deciding].span.clone();
        let quote = quote(&pair.evidence[window.clone()], pair.claim);
        Ok(Verdict {
            label: likeliest(probabilities),
            probabilities,
            span: window.start + quote.start..window.start + quote.end,
        })
    }
}

/// The windows of each pair's evidence with their logits. `places` is where the classifier has each label of
/// [`Label::ALL`]; a window with its claim has at most `window_tokens` tokens.
///
/// # Errors
/// Those of the model.
pub fn read(
    classifier: &Classifier,
    places: [usize; 3],
    window_tokens: usize,
    pairs: &[Pair<'_>],
) -> Result<Vec<Vec<Window>>> {
    let mut tokens = Vec::new();
    let mut read = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let spans = spans(classifier.tokenizer(), *pair, window_tokens)?;
        for span in &spans {
            let window = Pair { claim: pair.claim, evidence: &pair.evidence[span.clone()] };
            tokens.push(encode(classifier.tokenizer(), window, window_tokens)?);
        }
        read.push(spans);
    }
    let mut logits = classifier.logits_of(&tokens)?.into_iter();
    let mut window = |span| {
        let row = logits.next().unwrap_or_default();
        Window { span, logits: places.map(|place| row.get(place).copied().unwrap_or(f32::NAN)) }
    };
    Ok(read.into_iter().map(|spans| spans.into_iter().map(&mut window).collect()).collect())
}

/// The windows of a pair's evidence, each of which stands beside the claim in at most `window_tokens` tokens; at least
/// half of them are the evidence's, and a claim that is longer than the rest loses its end. None when either is blank.
///
/// # Errors
/// Those of the tokenizer.
pub fn spans(tokenizer: &Tokenizer, pair: Pair<'_>, window_tokens: usize) -> Result<Vec<Range<usize>>> {
    if pair.claim.trim().is_empty() {
        return Ok(Vec::new());
    }
    let count = |text: &str| Ok(tokenizer.encode_text(&tokenizer.defuse(text))?.len());
    let special = tokenizer.encode_pair("", "", window_tokens)?.ids.len();
    let room = window_tokens.saturating_sub(special);
    let budget = room.saturating_sub(count(pair.claim)?).max(room / 2);
    windows(pair.evidence, budget, &count)
}

/// The tokens of a claim with a window of evidence. No text of either becomes a special token.
///
/// # Errors
/// Those of the tokenizer.
pub fn encode(tokenizer: &Tokenizer, pair: Pair<'_>, window_tokens: usize) -> Result<Tokens> {
    let (claim, evidence) = (tokenizer.defuse(pair.claim), tokenizer.defuse(pair.evidence));
    Ok(tokenizer.encode_pair(&claim, &evidence, window_tokens)?)
}

/// The window that decides by the [rule](self); `None` of none.
pub fn deciding(windows: &[[f32; 3]]) -> Option<usize> {
    let strength = |[support, contradict, neutral]: &[f32; 3]| support.max(*contradict) - neutral;
    // The last of equals is taken, so the last comes first.
    let numbered = windows.iter().enumerate().rev();
    numbered.max_by(|left, right| strength(left.1).total_cmp(&strength(right.1))).map(|(number, _)| number)
}

/// Probabilities of a window's logits at a temperature.
fn probabilities(logits: [f32; 3], temperature: f64) -> [f32; 3] {
    let scaled = logits.map(|logit| f64::from(logit) / temperature);
    let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = scaled.map(|logit| (logit - most).exp());
    let sum: f64 = powers.iter().sum();
    powers.map(|power| (power / sum) as f32)
}

/// The likeliest label; neutral when it ties.
fn likeliest([support, contradict, neutral]: [f32; 3]) -> Label {
    if neutral >= support.max(contradict) {
        Label::Neutral
    } else if support >= contradict {
        Label::Support
    } else {
        Label::Contradict
    }
}

/// Where `names` has each label.
fn places(names: &[String]) -> Result<[usize; 3], String> {
    let labels: Vec<Option<Label>> = names.iter().map(|name| Label::from_name(name)).collect();
    let place = |label| labels.iter().position(|found| *found == Some(label));
    match Label::ALL.map(place) {
        [Some(support), Some(contradict), Some(neutral)] if names.len() == 3 => Ok([support, contradict, neutral]),
        _ => Err(format!(
            "config.json labels its classes {}, expected support, contradict and neutral: train a scorer with \
             `anamnesis-train scorer`",
            names.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests;
