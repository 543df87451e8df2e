//! [`replaced`]: what stands in place of its opposite in a sentence that follows another nearly word for word.
//!
//! Where both words of a pair are about, as in `glucose below 40 mg/dL and protein above 100 mg/dL`, the place tells which of them was
//! turned.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::change::is_up;
use super::direction::{PAIRS, Reversal, is_denial};
use crate::matching::{stem, words};

/// Words that both have are paired in order; two texts of more words than this are not compared.
const MOST: usize = 200;
/// Share of a sentence's words that are paired, from which on it follows the other.
const FOLLOWS: f64 = 0.6;

/// Words that stand in place of others at most; where more do, it is another thought.
const GAP: usize = 2;
/// What stands before a word and makes it its opposite.
const PREFIXES: [&str; 9] = ["ab", "contra", "de", "dis", "im", "in", "ir", "non", "un"];
/// Fewer letters after a prefix are another word: `in` and `side`.
const ROOT: usize = 5;

/// Words that deny what a sentence is about as `not` would.
static REFUSALS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let words = "contraindicated avoid avoided absent absence exclude excluded prohibited forbidden";
    words.split(' ').map(stem).collect()
});

/// A word that stands in place of its opposite in a sentence that follows `source`, or a denial that only one of them has there.
pub(super) fn replaced(said: &str, source: &str) -> Option<Reversal> {
    let (own, other): (Vec<_>, Vec<_>) = (words(said).collect(), words(source).collect());
    let gaps = gaps(&own, &other, |word| stem(&word.to_lowercase()));
    let denies = |words: &[&str]| words.iter().any(|word| is_denial(&word.to_lowercase()));
    gaps.into_iter().filter(|gap| gap.own.len() <= GAP && gap.other.len() <= GAP).find_map(|gap| {
        if let Some((own, other)) = gap.next
            && denies(gap.own) != denies(gap.other)
        {
            let shown = |words: &[&str], next: &str| [words, &[next]].concat().join(" ");
            return Some(Reversal { said: shown(gap.own, own), found: shown(gap.other, other) });
        }
        let mut pairs = gap.own.iter().flat_map(|word| gap.other.iter().map(move |instead| (*word, *instead)));
        let (word, instead) = pairs.find(|(word, instead)| are_opposites(word, instead))?;
        Some(Reversal { said: word.to_owned(), found: instead.to_owned() })
    })
}

/// How often a text denies, in whatever words. Two sentences that deny as often as each other, or twice more, may well say the same:
/// `should not take it` and `it is avoided`.
pub(super) fn denials(text: &str) -> usize {
    let denies = |word: &str| is_denial(word) || REFUSALS.contains(&stem(word));
    words(text).filter(|word| denies(&word.to_lowercase())).count()
}

fn are_opposites(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let (left, right) = (stem(&one), stem(&other));
    let is_pair = |[here, there]: &[BTreeSet<String>; 2]| {
        (here.contains(&left) && there.contains(&right)) || (here.contains(&right) && there.contains(&left))
    };
    let is_turned = is_up(&left).zip(is_up(&right)).is_some_and(|(left, right)| left != right);
    let (shorter, longer) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    let prefix = longer.strip_suffix(shorter.as_str()).filter(|_| shorter.len() >= ROOT);
    let is_prefixed = prefix.is_some_and(|prefix| PREFIXES.contains(&prefix));
    let is_over_and_under = |one: &str, other: &str| {
        one.strip_prefix("hyper").is_some_and(|rest| other.strip_prefix("hypo").is_some_and(|other| rest == other))
    };
    PAIRS.iter().any(is_pair)
        || is_turned
        || is_prefixed
        || is_over_and_under(&one, &other)
        || is_over_and_under(&other, &one)
}

/// What stands between paired words, on one side at least.
#[derive(Debug, PartialEq)]
struct Gap<'a> {
    /// Of the sentence.
    own: &'a [&'a str],
    /// Of the other.
    other: &'a [&'a str],
    /// The pair that follows, if any.
    next: Option<(&'a str, &'a str)>,
}

/// The gaps of `said` beside `source`; none where it does not follow `source`. Two words are one where `stem` makes them so.
fn gaps<'a>(said: &'a [&'a str], source: &'a [&'a str], stem: impl Fn(&str) -> String) -> Vec<Gap<'a>> {
    if said.len() > MOST || source.len() > MOST {
        return Vec::new();
    }
    let stems = |words: &[&str]| words.iter().map(|word| stem(word)).collect::<Vec<_>>();
    let pairs = common(&stems(said), &stems(source));
    if (pairs.len() as f64) < FOLLOWS * said.len() as f64 {
        return Vec::new();
    }
    let mut gaps = Vec::new();
    let mut from = (0, 0);
    for (own, other) in pairs.into_iter().chain([(said.len(), source.len())]) {
        if from.0 < own || from.1 < other {
            let next = said.get(own).copied().zip(source.get(other).copied());
            gaps.push(Gap { own: &said[from.0..own], other: &source[from.1..other], next });
        }
        from = (own + 1, other + 1);
    }
    gaps
}

/// The longest common subsequence, as places in both; the first of equals.
fn common(one: &[String], other: &[String]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u8; (one.len() + 1) * width];
    for left in (0..one.len()).rev() {
        for right in (0..other.len()).rev() {
            let here = left * width + right;
            lengths[here] = if one[left] == other[right] {
                lengths[here + width + 1] + 1
            } else {
                lengths[here + width].max(lengths[here + 1])
            };
        }
    }
    let (mut left, mut right) = (0, 0);
    let mut pairs = Vec::new();
    while left < one.len() && right < other.len() {
        let here = left * width + right;
        if one[left] == other[right] {
            pairs.push((left, right));
            (left, right) = (left + 1, right + 1);
        } else if lengths[here + width] >= lengths[here + 1] {
            left += 1;
        } else {
            right += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_place_of_its_opposite_is_found_where_it_stands() {
        let of = |said: &str, source: &str| replaced(said, source).map(|it| (it.said, it.found));
        let pair = |said: &str, found: &str| Some((said.to_owned(), found.to_owned()));
        let source = "Glucose below 40 mg/dL and protein above 100 mg/dL are found.";
        assert_eq!(of("Glucose above 40 mg/dL and protein above 100 mg/dL are found.", source), pair("above", "below"));
        assert_eq!(of(source, source), None);
        let source = "Live vaccines are contraindicated in patients who take prednisone.";
        let turned = "Live vaccines are indicated in patients who take prednisone.";
        assert_eq!(of(turned, source), pair("indicated", "contraindicated"));
        let source = "Its effect is independent of the dose and never lasts.";
        assert_eq!(
            of("Its effect is dependent on the dose and never lasts.", source),
            pair("dependent", "independent")
        );
        assert_eq!(of("Its effect is independent of the dose and lasts.", source), pair("lasts", "never lasts"));
        assert_eq!(
            of("It causes hypotension in some.", "It causes hypertension in some."),
            pair("hypotension", "hypertension")
        );
        assert_eq!(of("The patients do well on it.", "The inpatients of the ward did so too."), None);
        assert_eq!(denials("They should not take it."), denials("It is avoided by them."));
    }

    #[test]
    fn what_is_put_in_place_of_something_else_is_found() {
        let split = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        let of = |said: &'static str, source: &'static str| {
            let (said, source) = (split(said), split(source));
            let found = gaps(&said, &source, str::to_lowercase);
            found.iter().map(|gap| (gap.own.join(" "), gap.other.join(" "), gap.next.is_some())).collect::<Vec<_>>()
        };
        let gap = |own: &str, other: &str, goes_on| (own.to_owned(), other.to_owned(), goes_on);
        assert_eq!(of("It lowers the dose", "it raises the dose"), [gap("lowers", "raises", true)]);
        assert_eq!(of("a b c d e", "a x y c d e f"), [gap("b", "x y", true), gap("", "f", false)]);
        assert_eq!(of("a b c z", "a b c x y"), [gap("z", "x y", false)]);
        assert_eq!(of("it is used", "it is not used"), [gap("", "not", true)]);
        assert!(of("a b c", "a b c").is_empty());
        assert!(of("a x y z", "a b c d").is_empty(), "it does not follow");
        assert!(of("", "").is_empty());
    }
}
