//! [`Bag`]: the distinct tokens of a text and how much each counts.

use super::wordpiece::{TokenId, WordPiece};

/// Distinct known tokens in ascending order, each with its damped count `1 + ln n`: a word said ten
/// times says more than once, but not ten times more. Undamped counts fitted worse (cosine to
/// MiniLM 0.831 against 0.843 on held-out passages). Reused from text to text.
#[derive(Clone, Debug, Default)]
pub(super) struct Bag {
    tokens: Vec<TokenId>,
    entries: Vec<(TokenId, f32)>,
}

impl Bag {
    /// The bag of the first `limit` tokens of `text`. Unknown words are left out.
    pub(super) fn read(&mut self, words: &WordPiece, text: &str, limit: usize) -> &[(TokenId, f32)] {
        self.tokens.clear();
        self.entries.clear();
        words.tokenize(text, &mut self.tokens);
        self.tokens.truncate(limit);
        self.tokens.sort_unstable();
        for same in self.tokens.chunk_by(|a, b| a == b) {
            if same[0] != words.unknown() {
                let weight = if same.len() == 1 { 1.0 } else { 1.0 + (same.len() as f32).ln() };
                self.entries.push((same[0], weight));
            }
        }
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_damped_and_unknown_words_left_out() {
        let words = WordPiece::new(["[UNK]", "a", "b"].into_iter()).unwrap();
        let mut bag = Bag::default();
        assert_eq!(bag.read(&words, "b a zebra b", 10), [(1, 1.0), (2, 1.0 + 2_f32.ln())]);
        assert_eq!(bag.read(&words, "b a b", 2), [(1, 1.0), (2, 1.0)]);
        assert_eq!(bag.read(&words, "zebra", 10), []);
    }
}
