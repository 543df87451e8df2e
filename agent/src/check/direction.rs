//! [`reversal`]: whether a sentence says the opposite of one that it is taken from.
//!
//! Three ways of turning a sentence round are seen: a bound on a number in place of the opposite one (`< 30`, `> 30`), a word in place of
//! its opposite (raise, lower), and a word that is denied on one side alone. A denial reaches the next few words of its clause. Where a
//! passage has both words of a pair, nothing is said.

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
const DENIALS: [&str; 10] = ["cannot", "lack", "lacks", "neither", "never", "no", "none", "nor", "not", "without"];
/// Words, stop words aside, that a denial reaches.
const REACH: usize = 2;

static PAIRS: LazyLock<Vec<[BTreeSet<String>; 2]>> = LazyLock::new(|| {
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
    found.or_else(|| turned(&said, &source)).or_else(|| denied(&said, &source))
}

/// With one apostrophe, and bounds as words.
fn plain(text: &str) -> String {
    BOUNDS.iter().fold(text.replace('’', "'"), |text, (sign, word)| replaced(&text, sign, word))
}

/// `text` with `word` for every `sign` that is no part of a longer word, in whatever case.
fn replaced(text: &str, sign: &str, word: &str) -> String {
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

/// A word that stands where its opposite stands in the source, beside the same word, where both sides of a pair are there.
fn turned(said: &str, source: &str) -> Option<Reversal> {
    let (own, other) = (sided(said), sided(source));
    own.iter().find_map(|word| {
        let beside = |one: &&Sided| {
            one.pair == word.pair
                && ((one.before.is_some() && one.before == word.before)
                    || (one.after.is_some() && one.after == word.after))
        };
        let places: Vec<_> = other.iter().filter(beside).collect();
        let is_turned = !places.is_empty() && places.iter().all(|one| one.side != word.side);
        is_turned.then(|| Reversal { said: word.written.clone(), found: places[0].written.clone() })
    })
}

/// A word of a pair, and what stands beside it.
struct Sided {
    pair: usize,
    side: usize,
    written: String,
    before: Option<String>,
    after: Option<String>,
}

fn sided(text: &str) -> Vec<Sided> {
    let words: Vec<&str> = words(text).filter(|word| !is_stop_word(&word.to_lowercase())).collect();
    let stems: Vec<String> = words.iter().map(|word| stem(&word.to_lowercase())).collect();
    let mut found = Vec::new();
    for (at, own) in stems.iter().enumerate() {
        for (pair, sides) in PAIRS.iter().enumerate() {
            let Some(side) = sides.iter().position(|side| side.contains(own)) else { continue };
            let (before, after) = (at.checked_sub(1).map(|at| stems[at].clone()), stems.get(at + 1).cloned());
            found.push(Sided { pair, side, written: words[at].to_owned(), before, after });
        }
    }
    found
}

fn denied(said: &str, source: &str) -> Option<Reversal> {
    let (own, other) = (marked(said), marked(source));
    let shown =
        |word: &Marked| if word.denial.is_some() { format!("not {}", word.written) } else { word.written.clone() };
    own.iter().find_map(|word| {
        let (here, there) = (settled(&own, &word.stem)?, settled(&other, &word.stem)?);
        let is_turned = here.denial.is_some() != there.denial.is_some();
        // What is denied together with a word that the other side denies as well is only put otherwise.
        let is_shared = together(&own, here).any(|near| is_denied(&other, near))
            || together(&other, there).any(|near| is_denied(&own, near));
        (is_turned && !is_shared).then(|| Reversal { said: shown(here), found: shown(there) })
    })
}

/// A word of a text.
struct Marked {
    stem: String,
    written: String,
    /// Which of the text's denials reaches it.
    denial: Option<usize>,
}

/// The word in one of its places; said both ways, it is said neither way.
fn settled<'a>(words: &'a [Marked], stem: &str) -> Option<&'a Marked> {
    let mut places = words.iter().filter(|word| word.stem == stem);
    let first = places.next()?;
    places.all(|word| word.denial.is_some() == first.denial.is_some()).then_some(first)
}

/// The stems that are denied together with `word`, its own aside.
fn together<'a>(words: &'a [Marked], word: &'a Marked) -> impl Iterator<Item = &'a str> {
    let same = words.iter().filter(|other| word.denial.is_some() && other.denial == word.denial);
    same.map(|other| other.stem.as_str()).filter(|stem| *stem != word.stem)
}

fn is_denied(words: &[Marked], stem: &str) -> bool {
    words.iter().any(|word| word.stem == stem && word.denial.is_some())
}

/// The words of a text that say something, and what denies them.
fn marked(text: &str) -> Vec<Marked> {
    let mut marked = Vec::new();
    let mut denials = 0;
    for clause in text.split([',', ';', ':', '(', ')', '.']) {
        let mut reach = 0;
        for written in words(clause) {
            let word = written.to_lowercase();
            if DENIALS.contains(&word.as_str()) || word.ends_with("n't") {
                (reach, denials) = (REACH, denials + 1);
            } else if !is_stop_word(&word) {
                let denial = (reach > 0).then_some(denials);
                marked.push(Marked { stem: stem(&word), written: written.to_owned(), denial });
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
