//! [`holds`]: whether a passage bears a claim out, by words alone. It sees no paraphrase.

use corpus::sentence::sentences;

use super::words::{content, is_number};

/// Share of a claim's words that a stretch of evidence must hold.
const COVERED: f64 = 0.7;
/// Sentences of evidence that are looked at together.
const STRETCH: usize = 2;

/// Whether a stretch of the passage has most of the words of a claim ([`content`]), and every number of them. The title
/// counts with every stretch.
pub fn holds(title: &str, text: &str, claim: &[String]) -> bool {
    let title = content(title);
    let sentences: Vec<_> = sentences(text).map(|span| content(&text[span])).collect();
    let mut stretches = sentences.windows(STRETCH.min(sentences.len()).max(1));
    stretches.any(|stretch| {
        let holds = |word: &String| title.contains(word) || stretch.iter().any(|part| part.contains(word));
        let held = claim.iter().filter(|word| holds(word)).count();
        let numbers = claim.iter().filter(|word| is_number(word)).all(holds);
        numbers && held as f64 >= COVERED * claim.len() as f64
    })
}
