//! [`fit`]: a sentence encoder's vectors to a token table ([`StaticEncoder`]).
//!
//! 1. The teacher embeds texts, cut to a window; what it has embedded is kept on disk.
//! 2. Least squares: find one row for each token so that the sum over a text's tokens comes nearest to
//!    the teacher's vector of it, less the mean vector, with a ridge toward zero (`solve`). A text's
//!    counts are damped (`Bag`) and divided by the root of their sum, so that short and long texts
//!    weigh alike; the division does not matter later, as vectors are scaled to unit length.
//! 3. Principal components of the fitted vectors, to fewer dimensions (`components`).
//! 4. Rounding to 8 bits. The fit is measured on texts held out of it, before 3 and after 4.
//!
//! Where a plain average of a teacher's token vectors says what a token means alone, the fit finds
//! what it does to a text, its weight included: on SciFact the first gives 0.35 to 0.40 nDCG@10.

use std::path::Path;
use std::sync::Mutex;

use super::bag::Bag;
use super::static_encoder::{Origin, StaticEncoder, Table, normalise};
use super::{Embed, Role, WordPiece};
use crate::vector_cache::VectorCache;
use crate::{Error, Result};

use self::sparse::Sparse;

mod components;
mod solve;
mod sparse;
mod texts;

pub use texts::{sample, vocabulary};

/// Texts embedded, and kept on disk, at a time.
const BATCH: usize = 256;
/// `[CLS]` and `[SEP]`, which take room in the teacher's window.
const SPECIAL_TOKENS: usize = 2;
/// One text in so many is held out to measure the fit.
const HELD_OUT: u8 = 50;

/// How to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// What the encoder will be called in a snapshot's manifest.
    pub name: String,
    /// Numbers in a vector; at most the teacher's.
    pub dimension: usize,
    /// Tokens of a text that the teacher reads, its special tokens included.
    pub window: usize,
    /// Ridge of the least squares; more holds rare tokens nearer to nothing.
    pub ridge: f32,
    /// Steps of conjugate gradient.
    pub iterations: usize,
    /// Weight of the vector arm in min-max fusion that the encoder will carry.
    pub weight: f64,
}

impl Default for FitOptions {
    /// What the bundled encoder was fitted with.
    fn default() -> Self {
        Self { name: super::BUNDLED.to_owned(), dimension: 256, window: 128, ridge: 0.1, iterations: 40, weight: 0.2 }
    }
}

/// How far a fit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitProgress {
    /// The teacher has embedded `done` of `of` texts (or found them on disk).
    Embedded {
        /// Texts.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// `done` of `of` shares of the least squares are solved.
    Solved {
        /// Shares.
        done: usize,
        /// All of them.
        of: usize,
    },
}

/// Fits a token table over `vocabulary` to the passage vectors that `teacher` gives to `texts`.
/// The teacher must read at most `options.window` tokens of a text ([`super::Bert::windowed`]).
/// With `cache`, a folder, its vectors are kept there as they come, so that a fit that was stopped
/// goes on where it was.
///
/// # Errors
/// [`Error::Input`] when the vocabulary is none, there are too few texts, or the options do not fit
/// the teacher; what the teacher or the disk reports.
pub fn fit(
    teacher: &dyn Embed,
    vocabulary: &[String],
    texts: &[String],
    options: &FitOptions,
    cache: Option<&Path>,
    progress: &mut (dyn FnMut(FitProgress) + Send),
) -> Result<StaticEncoder> {
    let words = WordPiece::new(vocabulary.iter().map(String::as_str)).map_err(Error::Input)?;
    let full = teacher.card().dimension;
    if options.dimension == 0 || options.dimension > full || options.window <= SPECIAL_TOKENS {
        return Err(Error::Input(format!(
            "cannot fit {} dimensions to the {full} of {}",
            options.dimension,
            teacher.card().name
        )));
    }
    let vectors = embed_all(teacher, texts, cache, progress)?;
    let (train, held): (Vec<usize>, Vec<usize>) = (0..texts.len()).partition(|&n| !is_held_out(&texts[n]));
    if train.is_empty() || held.is_empty() {
        return Err(Error::Input(format!("{} texts are too few for a fit: pass some thousands", texts.len())));
    }
    let mean = mean(&vectors, &train, full);
    let centred = |n: usize| vectors[n * full..][..full].iter().zip(&mean).map(|(x, mean)| x - mean);
    let target: Vec<f32> = train.iter().flat_map(|&n| centred(n)).collect();
    let counts = counts(&words, train.iter().map(|&n| texts[n].as_str()), options.window);
    let shared = Mutex::new(progress);
    let report = |done, of| {
        if let Ok(mut progress) = shared.lock() {
            progress(FitProgress::Solved { done, of });
        }
    };
    let rows = solve::ridge(&counts, &target, full, options.ridge, options.iterations, &report);
    let axes = components::strongest(covariance(&counts, &rows, full), full, options.dimension);
    let reduced = project(&rows, &axes, full, options.dimension);

    let held_counts = self::counts(&words, held.iter().map(|&n| texts[n].as_str()), options.window);
    let held: Vec<_> = held.iter().enumerate().map(|(place, &n)| (held_counts.row(place), centred(n))).collect();
    let fitted = held.iter().map(|(bag, truth)| (sum(bag, &rows, full), truth.clone().collect()));
    let origin = Origin {
        teacher: teacher.card().name.clone(),
        teacher_fingerprint: teacher.card().fingerprint.clone(),
        texts: texts.len(),
        cosine: round(mean_cosine(fitted)),
        cosine_stored: 0.0,
    };
    let table = |origin: &Origin| {
        StaticEncoder::from_table(&Table {
            name: &options.name,
            weight: options.weight,
            origin,
            vocabulary,
            rows: &reduced,
        })
    };
    let stored = table(&origin)?;
    let fitted = held.iter().map(|(bag, truth)| (expand(&stored.embed_bag(bag), &axes, full), truth.clone().collect()));
    let cosine_stored = round(mean_cosine(fitted));
    table(&Origin { cosine_stored, ..origin })
}

fn embed_all(
    teacher: &dyn Embed,
    texts: &[String],
    cache: Option<&Path>,
    progress: &mut (dyn FnMut(FitProgress) + Send),
) -> Result<Vec<f32>> {
    let mut cache = cache.map(|folder| VectorCache::open(folder, teacher.card())).transpose()?;
    let mut vectors = Vec::with_capacity(texts.len() * teacher.card().dimension);
    for batch in texts.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        let fresh = match &mut cache {
            Some(cache) => cache.embed_through(teacher, &batch)?,
            None => teacher.embed(Role::Passage, &batch)?,
        };
        vectors.extend(fresh.into_iter().flatten());
        progress(FitProgress::Embedded { done: vectors.len() / teacher.card().dimension, of: texts.len() });
    }
    Ok(vectors)
}

/// A text belongs to the held-out ones or not whatever else is fitted.
fn is_held_out(text: &str) -> bool {
    blake3::hash(text.as_bytes()).as_bytes()[0] < u8::MAX / HELD_OUT
}

fn mean(vectors: &[f32], chosen: &[usize], dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dimension];
    for &n in chosen {
        sums.iter_mut().zip(&vectors[n * dimension..][..dimension]).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sums.iter().map(|sum| (sum / chosen.len() as f64) as f32).collect()
}

/// A (N, V): the damped counts of each text over the root of their sum.
fn counts<'a>(words: &WordPiece, texts: impl Iterator<Item = &'a str>, window: usize) -> Sparse {
    let mut counts = Sparse::new(words.len());
    let mut bag = Bag::default();
    for text in texts {
        let bag = bag.read(words, text, window - SPECIAL_TOKENS);
        let scale = bag.iter().map(|(_, count)| count).sum::<f32>().max(1.0).sqrt().recip();
        counts.push(bag.iter().map(|&(token, count)| (token, count * scale)));
    }
    counts
}

/// The sum of a text's rows, at unit length.
fn sum(bag: &[(u32, f32)], rows: &[f32], dimension: usize) -> Vec<f32> {
    let mut total = vec![0.0; dimension];
    for &(token, count) in bag {
        total.iter_mut().zip(&rows[token as usize * dimension..][..dimension]).for_each(|(sum, x)| *sum += count * x);
    }
    normalise(&mut total);
    total
}

/// Second moments (D, D) of the fitted unit vectors.
fn covariance(counts: &Sparse, rows: &[f32], dimension: usize) -> Vec<f64> {
    let mut moments = vec![0.0_f64; dimension * dimension];
    for n in 0..counts.height() {
        let vector = sum(counts.row(n), rows, dimension);
        for (moments, &x) in moments.chunks_exact_mut(dimension).zip(&vector) {
            moments.iter_mut().zip(&vector).for_each(|(moment, &y)| *moment += f64::from(x * y));
        }
    }
    moments
}

/// Rows (V, D) on `axes` (K, D), as (V, K).
fn project(rows: &[f32], axes: &[f32], dimension: usize, keep: usize) -> Vec<f32> {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    let mut out = Vec::with_capacity(rows.len() / dimension * keep);
    for row in rows.chunks_exact(dimension) {
        out.extend(axes.chunks_exact(dimension).map(|axis| dot(row, axis)));
    }
    out
}

/// A vector (K) back in the teacher's space (D).
fn expand(vector: &[f32], axes: &[f32], dimension: usize) -> Vec<f32> {
    let mut out = vec![0.0; dimension];
    for (&x, axis) in vector.iter().zip(axes.chunks_exact(dimension)) {
        out.iter_mut().zip(axis).for_each(|(sum, axis)| *sum += x * axis);
    }
    out
}

fn mean_cosine(pairs: impl Iterator<Item = (Vec<f32>, Vec<f32>)>) -> f64 {
    let (total, count) = pairs.fold((0.0, 0), |(total, count), (mut x, mut y)| {
        normalise(&mut x);
        normalise(&mut y);
        (total + x.iter().zip(&y).map(|(x, y)| f64::from(x * y)).sum::<f64>(), count + 1)
    });
    total / f64::from(count)
}

/// Four digits are what a few hundred texts can tell.
fn round(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests;
