//! Tests of [`super::fit`] with a teacher that is itself a sum of token vectors.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::embed::Card;

const DIMENSION: usize = 12;

/// Gives each letter a direction of its own and adds them up.
struct Letters {
    card: Card,
    embedded: AtomicUsize,
}

impl Letters {
    fn new() -> Self {
        let card = Card {
            name: "letters".to_owned(),
            fingerprint: "ab".repeat(32),
            dimension: DIMENSION,
            pooling: "sum".to_owned(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            weight: 0.5,
        };
        Self { card, embedded: AtomicUsize::new(0) }
    }
}

impl Embed for Letters {
    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let embed = |text: &&str| {
            let mut vector = vec![0.0; DIMENSION];
            for letter in text.bytes().filter(u8::is_ascii_lowercase) {
                let letter = usize::from(letter - b'a');
                vector[letter % DIMENSION] += 1.0 + (letter / DIMENSION) as f32;
                vector[letter * 5 % DIMENSION] -= 0.5;
            }
            normalise(&mut vector);
            vector
        };
        Ok(texts.iter().map(embed).collect())
    }

    fn card(&self) -> &Card {
        &self.card
    }
}

fn vocabulary() -> Vec<String> {
    std::iter::once("[UNK]".to_owned()).chain(('a'..='z').map(String::from)).collect()
}

/// Texts of three to eight random letters each.
fn texts(count: usize) -> Vec<String> {
    let mut state = 7_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut text = || (0..3 + below(6)).flat_map(|_| [char::from(b'a' + below(26) as u8), ' ']).collect();
    (0..count).map(|_| text()).collect()
}

fn options() -> FitOptions {
    FitOptions { dimension: 10, ridge: 1e-3, ..FitOptions::default() }
}

#[test]
fn finds_the_rows_that_explain_the_teacher() {
    let mut last = None;
    let fitted =
        fit(&Letters::new(), &vocabulary(), &texts(2000), &options(), None, &mut |step| last = Some(step)).unwrap();
    let origin = fitted.origin();
    assert!(origin.cosine > 0.95 && origin.cosine_stored > 0.9, "{origin:?}");
    assert_eq!((fitted.card().dimension, origin.teacher.as_str()), (10, "letters"));
    assert_eq!(last, Some(FitProgress::Solved { done: 1, of: 1 }));
}

#[test]
fn equal_texts_give_equal_bytes_and_a_stopped_fit_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (Letters::new(), Letters::new());
    let texts = texts(1000);
    let first = fit(&whole, &vocabulary(), &texts, &options(), None, &mut |_| {}).unwrap();
    let half = &texts[..512];
    fit(&stopped, &vocabulary(), half, &options(), Some(folder.path()), &mut |_| {}).unwrap();
    let second = fit(&stopped, &vocabulary(), &texts, &options(), Some(folder.path()), &mut |_| {}).unwrap();
    assert_eq!(first.card(), second.card());
    assert!(
        stopped.embedded.load(Ordering::Relaxed) <= whole.embedded.load(Ordering::Relaxed),
        "nothing is embedded twice"
    );
}

#[test]
fn refuses_what_cannot_be_fitted() {
    let fit = |vocabulary: &[String], texts: &[String], options: &FitOptions| {
        super::fit(&Letters::new(), vocabulary, texts, options, None, &mut |_| {}).unwrap_err().to_string()
    };
    assert!(fit(&vocabulary(), &[], &options()).contains("too few"));
    assert!(fit(&vocabulary()[1..], &texts(500), &options()).contains("no [UNK]"));
    let wide = FitOptions { dimension: DIMENSION + 1, ..options() };
    assert!(fit(&vocabulary(), &texts(500), &wide).contains("cannot fit 13 dimensions to the 12 of letters"));
}
