//! [`weighty`]: words on which a reader would act, and that no source may lack.

use crate::matching::words;
use crate::risk::Risk;

/// Words that say one thing, a line a thing: a source that has one of them has said it. A star stands for any ending.
const JUDGEMENTS: [&str; 10] = [
    "safe safely safety tolerated harmless",
    "unsafe danger* harmful hazard* toxic*",
    "avoid* contraindicat* withh* discontinu* stop* unsuitable",
    "recommend* advis* indicated prefer* suitable",
    "effective* efficac* benefi*",
    "ineffective useless",
    "cure* curative",
    "fatal* lethal* death* mortality die dies died",
    "always all every invariabl*",
    "immediate* urgent* emergenc* prompt*",
];

/// What of `claim` weighs and none of `texts` has: words as they are written, and of whom they do not speak.
pub(super) fn weighty(claim: &str, texts: &[&str]) -> Vec<String> {
    let lower: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let has = |same: &str| lower.iter().any(|text| words(text).any(|word| is_one_of(word, same)));
    let lacks = |word: &&str| {
        let word = word.to_lowercase();
        JUDGEMENTS.iter().find(|same| is_one_of(&word, same)).is_some_and(|same| !has(same))
    };
    let is_beside =
        |risk: &Risk| risk.is_of_whom() && risk.is_named_in(claim) && !texts.iter().any(|text| risk.is_named_in(text));
    let judged = words(claim).filter(lacks).map(str::to_owned);
    let whom = Risk::ALL.into_iter().filter(is_beside).map(|risk| risk.matter().to_owned());
    judged.chain(whom).collect()
}

fn is_one_of(word: &str, same: &str) -> bool {
    same.split(' ').any(|one| one.strip_suffix('*').map_or(word == one, |begin| word.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_and_people_are_not_taken_for_granted() {
        let source = ["Warfarin in pregnancy", "It is contraindicated and can be fatal to the foetus."];
        let lacks = |claim: &str| weighty(claim, &source);
        assert!(lacks("Warfarin should be avoided in pregnant women.").is_empty(), "another word for it");
        assert!(lacks("Warfarin causes foetal death.").is_empty());
        assert_eq!(lacks("Warfarin is safe."), ["safe"]);
        assert_eq!(lacks("Warfarin is Recommended for all."), ["Recommended", "all"]);
        assert_eq!(lacks("It is contraindicated in children."), ["children"]);
        assert!(lacks("Allergies and diets are noted.").is_empty(), "beginnings of other words");
    }
}
