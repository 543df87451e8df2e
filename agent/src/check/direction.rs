//! [`reversal`]: whether a sentence says the opposite of one that it is taken from.
//!
//! Ways of turning a sentence round that are seen: a bound on a number in place of the opposite one (`< 30`, `> 30`), a word in place of
//! its opposite (raise, lower), and a word that is denied on one side alone. A denial reaches the next few words of its clause. Where
//! a passage has both words of a pair, what stands where tells (`change`, `replaced`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::change::turned;
use super::replaced::{denials, replaced};
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
const DENIALS: [&str; 10] = ["cannot", "lack", "lacks", "neither", "never", "no", "none", "nor", "not", "without"];
/// Words, stop words aside, that a denial reaches.
const REACH: usize = 2;

pub(super) static PAIRS: LazyLock<Vec<[BTreeSet<String>; 2]>> = LazyLock::new(|| {
    let side = |words: &str| words.split(' ').map(stem).collect();
    OPPOSITES.iter().map(|(one, other)| [side(one), side(other)]).collect()
});

/// Signs and phrases that say on which side of a number something lies.
const BOUNDS: [(&str, &str); 18] = [
    ("<=", " below "),
    (">=", " above "),
    ("<", " below "),
    (">", " above "),
    ("≤", " below "),
    ("≥", " above "),
    ("less than", "below"),
    ("lower than", "below"),
    ("fewer than", "below"),
    ("smaller than", "below"),
    ("at most", "below"),
    ("more than", "above"),
    ("greater than", "above"),
    ("higher than", "above"),
    ("at least", "above"),
    ("exceeding", "above"),
    ("under", "below"),
    ("over", "above"),
];
/// Words between a bound and its number: `below a GFR of 30`.
const BETWEEN: usize = 3;

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
    let (said, source) = (plain(said), plain(source));
    let found = bounded(&said, &source).or_else(|| opposite(&said, &source));
    let found = found.or_else(|| denied(&said, &source).filter(|_| denials(&said) % 2 != denials(&source) % 2));
    found.or_else(|| turned(&said, &source)).or_else(|| replaced(&said, &source))
}

/// With one apostrophe, and bounds as words.
fn plain(text: &str) -> String {
    BOUNDS.iter().fold(text.replace('’', "'"), |text, (sign, word)| worded(&text, sign, word))
}

/// `text` with `word` for every `sign` that is no part of a longer word, in whatever case.
fn worded(text: &str, sign: &str, word: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let is_apart = |at: usize| {
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_word = sign.starts_with(char::is_alphabetic);
        !is_word || (!is_letter(text[..at].chars().next_back()) && !is_letter(text[at + sign.len()..].chars().next()))
    };
    let (mut plain, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in lower.match_indices(sign).filter(|(at, _)| is_apart(*at)) {
        plain += &text[from..at];
        plain += word;
        from = at + sign.len();
    }
    plain + &text[from..]
}

/// A number that is bounded from one side alone in each, and not from the same.
fn bounded(said: &str, source: &str) -> Option<Reversal> {
    let (own, other) = (bounds(said), bounds(source));
    let side = |bounds: &[(String, bool)], number: &str| {
        let sides: BTreeSet<bool> = bounds.iter().filter(|(one, _)| one == number).map(|(_, above)| *above).collect();
        if sides.len() == 1 { sides.first().copied() } else { None }
    };
    let shown = |number: &str, above: bool| format!("{} {number}", if above { "above" } else { "below" });
    own.iter().find_map(|(number, _)| {
        let (here, there) = (side(&own, number)?, side(&other, number)?);
        (here != there).then(|| Reversal { said: shown(number, here), found: shown(number, there) })
    })
}

/// Numbers, and whether what they bound lies above.
fn bounds(text: &str) -> Vec<(String, bool)> {
    let words: Vec<String> = words(text).map(str::to_lowercase).collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let above = match word.as_str() {
            "above" => true,
            "below" => false,
            _ => continue,
        };
        let after = words[at + 1..].iter().take(BETWEEN + 1).take_while(|word| *word != "above" && *word != "below");
        let number = after.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        found.extend(number.map(|number| (number.clone(), above)));
    }
    found
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
    let shown = |word: &Marked| if word.is_denied { format!("not {}", word.written) } else { word.written.clone() };
    own.iter().find_map(|word| {
        let (here, there) = (settled(&own, &word.stem)?, settled(&other, &word.stem)?);
        (here.is_denied != there.is_denied).then(|| Reversal { said: shown(here), found: shown(there) })
    })
}

/// A word of a text.
struct Marked {
    stem: String,
    written: String,
    is_denied: bool,
}

/// The word in one of its places; said both ways, it is said neither way.
fn settled<'a>(words: &'a [Marked], stem: &str) -> Option<&'a Marked> {
    let mut places = words.iter().filter(|word| word.stem == stem);
    let first = places.next()?;
    places.all(|word| word.is_denied == first.is_denied).then_some(first)
}

/// The words of a text that say something, and whether they are denied.
fn marked(text: &str) -> Vec<Marked> {
    let mut marked = Vec::new();
    for clause in text.split([',', ';', ':', '(', ')', '.']) {
        let mut reach = 0;
        for written in words(clause) {
            let word = written.to_lowercase();
            if is_denial(&word) {
                reach = REACH;
            } else if !is_stop_word(&word) {
                marked.push(Marked { stem: stem(&word), written: written.to_owned(), is_denied: reach > 0 });
                reach = reach.saturating_sub(1);
            }
        }
    }
    marked
}

/// Whether a word, in lower case, denies those after it.
pub(super) fn is_denial(word: &str) -> bool {
    DENIALS.contains(&word) || word.ends_with("n't")
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
        assert_eq!(said("Below 30 mL/min it is given.", "Above 30 mL/min it is given."), pair("below 30", "above 30"));
        assert_eq!(
            said("It is stopped at an eGFR of > 30.", "It is stopped at an eGFR of < 30 mL/min."),
            pair("above 30", "below 30")
        );
        assert_eq!(
            said("Use it below 60 and at least 30.", "Use it above 60 or below 30."),
            pair("below 60", "above 60"),
            "each number by itself"
        );
        assert_eq!(said("Given at eGFR ≥ 45.", "Given when eGFR is at least 45."), None);
        assert_eq!(said("It raises potassium.", "Potassium increases with it."), None);
        assert_eq!(said("It raises potassium.", "It lowers sodium and raises potassium."), None);
        assert_eq!(said("It raises sodium.", "It lowers sodium and raises potassium."), pair("raises", "lowers"));
        assert_eq!(
            said(
                "Levels are drawn before the last dose, 5 days after a change.",
                "Levels are drawn after the last dose, 5 days after a change."
            ),
            pair("before", "after")
        );
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
        assert!(is_reversed("Ibuprofen should be used in pregnancy.", "Ibuprofen shouldn’t be used in pregnancy."));
        assert!(is_reversed("It can be crushed.", "It can't be crushed."));
        let (effects, groups) = (
            "There were no significant treatment effects.",
            "There were no significant differences between treatment groups.",
        );
        assert!(!is_reversed(effects, groups), "both deny it");
        let found = reversal("It is not an adequate substitute.", "It is an adequate substitute.").unwrap();
        assert_eq!((found.said.as_str(), found.found.as_str()), ("not adequate", "adequate"), "as they are written");
    }
}
