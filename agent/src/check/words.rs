//! Text as claims and evidence are compared: words without case, punctuation and articles.

/// Words that carry no claim.
const FUNCTION_WORDS: [&str; 32] = [
    "and", "are", "as", "at", "be", "been", "but", "by", "for", "from", "has", "have", "in", "into", "is", "it", "its",
    "not", "of", "on", "or", "should", "that", "their", "these", "this", "to", "was", "were", "which", "will", "with",
];

/// The words of `text` in lower case, without punctuation and articles, as SQuAD's evaluation has them;
/// a point or comma inside a number stays.
pub fn words(text: &str) -> Vec<String> {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '%');
    text.split(|c: char| !kept(c))
        .flat_map(|run| {
            let is_number = run.starts_with(|c: char| c.is_ascii_digit());
            let parts: Vec<&str> = if is_number { vec![run] } else { run.split(['.', ',']).collect() };
            parts.into_iter().map(|part| part.trim_matches(['.', ',']).to_lowercase()).collect::<Vec<_>>()
        })
        .filter(|word| !word.is_empty() && !matches!(word.as_str(), "a" | "an" | "the"))
        .collect()
}

/// The words of `text` that say something: no function words and no lone letters, which name options.
pub fn content(text: &str) -> Vec<String> {
    let says = |word: &String| {
        FUNCTION_WORDS.binary_search(&word.as_str()).is_err() && (is_number(word) || word.chars().nth(1).is_some())
    };
    words(text).into_iter().filter(says).collect()
}

/// Whether the word is a number.
pub fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_what_does_not_count() {
        assert_eq!(words("The dose, 1.73 mg/day (an H2-blocker)."), ["dose", "1.73", "mg", "day", "h2", "blocker"]);
        assert_eq!(words("End.Begin 40%, 1,000."), ["end", "begin", "40%", "1,000"]);
        assert!(words("… the — a").is_empty());
        assert!(FUNCTION_WORDS.is_sorted());
        assert_eq!(content("B: it is contraindicated in gout, 5"), ["contraindicated", "gout", "5"]);
    }
}
