//! [`turned`]: what goes up by one sentence and down by the other.
//!
//! A word of change (`raises`, `inhibits`) says so of the next few words of its clause. Where both sentences have words of both
//! kinds, as in `raises the effect of warfarin, so its dose is reduced`, each is held against its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::direction::{Reversal, is_denial};
use crate::matching::{is_stop_word, stem, words};

const UP: &str = "increase raise rise rose risen elevate higher more greater gain double up enhance promote accelerate stimulate \
                  activate induce augment encourage exceed boost upregulate strengthen trigger facilitate potentiate grow growth";
const DOWN: &str = "decrease reduce reduction lower fall fell fallen decline less fewer halve drop diminish suppress down inhibit \
                    attenuate impair impede slow deactivate prevent block restrict downregulate weaken lessen blunt abolish \
                    hinder ameliorate alleviate";
/// Words, stop words aside, after a word of change that it speaks of. What stands before it may be what changes or what does it.
const REACH: usize = 2;
/// Where a clause ends.
const CLAUSE: [char; 6] = [',', ';', ':', '(', ')', '.'];

static CHANGES: LazyLock<BTreeMap<String, bool>> = LazyLock::new(|| {
    let side = |words: &'static str, is_up: bool| words.split_whitespace().map(move |word| (stem(word), is_up));
    side(UP, true).chain(side(DOWN, false)).collect()
});

/// Whether the word whose stem is given says that something goes up; nothing of one that says neither.
pub(super) fn is_up(stem: &str) -> Option<bool> {
    CHANGES.get(stem).copied()
}

/// What goes up by `said` and down by `source`, or the other way round: the words that say so. What goes both ways in either is
/// passed over.
pub(super) fn turned(said: &str, source: &str) -> Option<Reversal> {
    let (own, other) = (changes(said), changes(source));
    own.iter().find_map(|(thing, here)| {
        let (is_up, word) = agreed(here)?;
        let (other_is_up, other_word) = agreed(other.get(thing)?)?;
        (is_up != other_is_up).then(|| Reversal { said: word.to_owned(), found: other_word.to_owned() })
    })
}

/// The one way in which all of them go, and a word that says so.
fn agreed(changes: &BTreeSet<(bool, String)>) -> Option<(bool, &str)> {
    let (is_up, word) = changes.first()?;
    changes.iter().all(|(other, _)| other == is_up).then_some((*is_up, word))
}

/// By stem, the ways in which a text says that something goes.
fn changes(text: &str) -> BTreeMap<String, BTreeSet<(bool, String)>> {
    let mut changes: BTreeMap<String, BTreeSet<(bool, String)>> = BTreeMap::new();
    for clause in text.split(CLAUSE) {
        let said =
            words(clause).map(|word| (word, word.to_lowercase())).map(|(word, lower)| (word, stem(&lower), lower));
        let said: Vec<_> =
            said.filter(|(_, stem, lower)| !is_stop_word(lower) || is_denial(lower) || is_up(stem).is_some()).collect();
        for (place, (word, stem, _)) in said.iter().enumerate() {
            let Some(up) = is_up(stem) else { continue };
            let is_thing = |(_, stem, lower): &&(&str, String, String)| is_up(stem).is_none() && !is_denial(lower);
            for (_, thing, _) in said[place + 1..].iter().take_while(is_thing).take(REACH) {
                changes.entry(thing.clone()).or_default().insert((up, (*word).to_owned()));
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_held_against_itself() {
        let of = |said: &str, source: &str| turned(said, source).map(|it| (it.said, it.found));
        let source = "Amiodarone raises the effect of warfarin, so the warfarin dose is usually reduced by 30% to 50%.";
        let pair = |said: &str, found: &str| Some((said.to_owned(), found.to_owned()));
        let said = "Amiodarone lowers the effect of warfarin, so the warfarin dose is usually reduced.";
        assert_eq!(of(said, source), pair("lowers", "raises"));
        assert_eq!(of(source, source), None);
        assert_eq!(of("The risk of stroke fell.", "A fall in strokes raised hopes."), None);
        let fruit = "Greater consumption of fruit lowers the risk of diabetes.";
        assert_eq!(of("Fruit increases the risk of diabetes.", fruit), pair("increases", "lowers"));
        assert_eq!(
            of("Fruit does not increase the risk.", "Fruit does not lower the risk."),
            pair("increase", "lower")
        );
        assert_eq!(of("", fruit), None);
    }
}
