//! [`reversal`]: whether a sentence says the opposite of one that it is taken from.
//!
//! Two ways of turning a sentence round are seen: a word in place of its opposite (raise, lower), and a word that is denied on one side
//! alone. A denial reaches the next few words of its clause. Where a passage has both words of a pair, nothing is said.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::matching::{is_stop_word, stem, words};

/// Words that are each other's opposites, side by side.
const OPPOSITES: [(&str, &str); 19] = [
    (
        "increase raise rise rose elevate higher more greater gain double up",
        "decrease reduce lower fall fell decline less fewer halve drop diminish suppress down",
    ),
    ("superior better improve benefit", "inferior worse worsen harm"),
    (
        "indicated preferred recommended use used give given take taken start",
        "contraindicated avoid avoided stop stopped withheld discontinued",
    ),
    ("above over exceeds exceed", "below under"),
    ("before", "after"),
    ("early earlier", "late later"),
    ("long longer", "short shorter"),
    ("maximum most", "minimum least"),
    ("high", "low"),
    ("likely", "unlikely"),
    ("safe", "unsafe"),
    ("positive", "negative"),
    ("normal", "abnormal"),
    ("common frequent", "rare uncommon"),
    ("hypertension", "hypotension"),
    ("hyperkalemia", "hypokalemia"),
    ("hypernatremia", "hyponatremia"),
    ("hyperglycemia", "hypoglycemia"),
    ("hyperthyroidism", "hypothyroidism"),
];

/// What denies the words after it.
const DENIALS: [&str; 12] =
    ["cannot", "lack", "lacks", "neither", "never", "no", "none", "nor", "not", "without", "isn't", "doesn't"];
/// Words, stop words aside, that a denial reaches.
const REACH: usize = 2;

static PAIRS: LazyLock<Vec<[BTreeSet<String>; 2]>> = LazyLock::new(|| {
    let side = |words: &str| words.split(' ').map(stem).collect();
    OPPOSITES.iter().map(|(one, other)| [side(one), side(other)]).collect()
});

/// A word of a sentence, and what stands against it in the passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reversal {
    /// As the sentence has it.
    pub said: String,
    /// As the passage has it.
    pub found: String,
}

/// What `said` turns round of `source`, a sentence on the same matter.
pub fn reversal(said: &str, source: &str) -> Option<Reversal> {
    opposite(said, source).or_else(|| denied(said, source))
}

fn opposite(said: &str, source: &str) -> Option<Reversal> {
    let find = |text: &str, side: &BTreeSet<String>| {
        words(text).find(|word| side.contains(&stem(&word.to_lowercase()))).map(str::to_owned)
    };
    PAIRS.iter().flat_map(|[one, other]| [(one, other), (other, one)]).find_map(|(here, there)| {
        let own = find(said, here).filter(|_| find(said, there).is_none())?;
        let found = find(source, there).filter(|_| find(source, here).is_none())?;
        Some(Reversal { said: own, found })
    })
}

fn denied(said: &str, source: &str) -> Option<Reversal> {
    let (own, other) = (marked(said), marked(source));
    let state = |words: &[(String, bool)], wanted: &str| {
        let states: BTreeSet<bool> =
            words.iter().filter(|(word, _)| word == wanted).map(|(_, denied)| *denied).collect();
        // Said both ways, it is said neither way.
        if states.len() == 1 { states.first().copied() } else { None }
    };
    let shown = |word: &str, denied: bool| if denied { format!("not {word}") } else { word.to_owned() };
    own.iter().find_map(|(word, _)| {
        let (here, there) = (state(&own, word)?, state(&other, word)?);
        (here != there).then(|| Reversal { said: shown(word, here), found: shown(word, there) })
    })
}

/// The stems of what is said, and whether each is denied.
fn marked(text: &str) -> Vec<(String, bool)> {
    let mut marked = Vec::new();
    for clause in text.split([',', ';', ':', '(', ')', '.']) {
        let mut reach = 0;
        for word in words(clause).map(str::to_lowercase) {
            if DENIALS.contains(&word.as_str()) {
                reach = REACH;
            } else if !is_stop_word(&word) {
                marked.push((stem(&word), reach > 0));
                reach = reach.saturating_sub(1);
            }
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_place_of_its_opposite_is_seen() {
        let said = |said: &str, source: &str| reversal(said, source).map(|it| (it.said, it.found));
        let pair = |said: &str, found: &str| Some((said.to_owned(), found.to_owned()));
        assert_eq!(said("It raises potassium.", "It lowers potassium in most."), pair("raises", "lowers"));
        assert_eq!(
            said("It is indicated in gout.", "It is contraindicated in gout."),
            pair("indicated", "contraindicated")
        );
        assert_eq!(said("Below 30 mL/min it is given.", "Above 30 mL/min it is given."), pair("Below", "Above"));
        assert_eq!(said("It raises potassium.", "Potassium increases with it."), None);
        assert_eq!(said("It raises potassium.", "It lowers sodium and raises potassium."), None);
        assert_eq!(said("It raises potassium.", "Potassium is measured."), None);
    }

    #[test]
    fn a_denial_on_one_side_alone_is_seen() {
        let is_reversed = |said: &str, source: &str| reversal(said, source).is_some();
        assert!(is_reversed("It is recommended in pregnancy.", "It is not recommended in pregnancy."));
        assert!(is_reversed("It does not cause cough.", "It may cause cough."));
        assert!(is_reversed("Aspirin is an adequate substitute.", "Aspirin is not an adequate substitute."));
        assert!(!is_reversed("It is not recommended.", "The drug is never recommended in children."));
        assert!(!is_reversed("It is used in gout.", "It is used in gout, but not in pregnancy."));
        assert!(!is_reversed("", "It is not used."));
    }
}
