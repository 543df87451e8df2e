//! [`bleu`]: how much of a text's phrases another one has (Papineni et al. 2002).

use std::collections::BTreeMap;

/// Words of the longest phrases that are counted.
const LONGEST: usize = 4;

/// BLEU-4 of one text against its reference, from 0 to 1, words in lower case. Phrases of two words and more are counted
/// one better than they are (Lin and Och 2004, as in sacreBLEU's `add-k`), since one text has few of them.
pub fn bleu(text: &str, reference: &str) -> f64 {
    let (said, wanted) = (words(text), words(reference));
    if said.is_empty() || wanted.is_empty() {
        return 0.0;
    }
    let mut sum = 0.0;
    for length in 1..=LONGEST {
        let (ours, theirs) = (phrases(&said, length), phrases(&wanted, length));
        let shared: usize =
            ours.iter().map(|(phrase, count)| (*count).min(theirs.get(phrase).copied().unwrap_or(0))).sum();
        let all: usize = ours.values().sum();
        let more = usize::from(length > 1);
        if shared + more == 0 {
            return 0.0;
        }
        sum += ((shared + more) as f64 / (all + more) as f64).ln();
    }
    let brevity = (1.0 - wanted.len() as f64 / said.len() as f64).min(0.0);
    (brevity + sum / LONGEST as f64).exp()
}

fn phrases(words: &[String], length: usize) -> BTreeMap<&[String], usize> {
    let mut phrases = BTreeMap::new();
    for phrase in words.windows(length) {
        *phrases.entry(phrase).or_insert(0) += 1;
    }
    phrases
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | ',' | '%'));
    parts.map(|word| word.trim_matches(['.', ',']).to_lowercase()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_counted_by_hand() {
        assert_eq!(bleu("The dose is 40 mg.", "the dose is 40 MG"), 1.0);
        assert_eq!((bleu("", "a"), bleu("a", ""), bleu("b", "a")), (0.0, 0.0, 0.0));
        // "the cat sat" in "the cat sat down": 3/3, (2+1)/(2+1), (1+1)/(1+1), 1/1, and a brevity of exp(1 - 4/3).
        assert!((bleu("the cat sat", "the cat sat down") - (-1.0_f64 / 3.0).exp()).abs() < 1e-12);
        // A word counts as often as it is wanted: 1/4, then (0+1)/(3+1), 1/3, 1/2.
        let expected = (0.25_f64 * 0.25 / 3.0 / 2.0).powf(0.25);
        assert!((bleu("the the the the", "the cat") - expected).abs() < 1e-12);
    }
}
