//! A level that a title says in plain words, for documents whose source names no study design.

use std::sync::LazyLock;

use regex::Regex;

use super::Level;

/// What each level is called in titles, weakest first: of several a title gets the weakest, since a cohort followed
/// inside a trial is no trial. Plurals name what others did.
static SAID: LazyLock<[(Level, Regex); 4]> = LazyLock::new(|| {
    [
        (Level::CaseReport, r"\bcase (?:report|series)\b|\breport of (?:a|one|two|three) cases?\b"),
        (
            Level::Observational,
            r"\b(?:cohort|case[- ]control(?:led)?|cross-sectional|observational)(?: [a-z]+)? (?:study|analysis|survey)\b",
        ),
        (Level::Rct, r"\brandomi[sz]ed(?:[ ,/-]+[a-z0-9]+){0,8}?[ -]trial\b"),
        (Level::SystematicReview, r"\b(?:systematic(?: literature)? review|meta-analysis|metaanalysis)\b"),
    ]
    .map(|(level, words)| (level, pattern(words)))
});

/// Words of titles that name a design without being of it: plans and methods of studies, comments on them, work on a
/// part of their data, on genes, costs or animals.
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
    ^(?:re:|reply|response\ to|comment)|\b(?:
    protocols?|rationale|study\ design|design\ and|design\ of|proposal|comments?\ on|commentary|letter|
    editorial|erratum|correction|corrigendum|retract(?:ed|ion)|guidelines?|methods?\ (?:for|of)|
    methodolog[a-z]+|software|tool\ for|how\ to|reporting|secondary\ analys[ei]s|post[-\ ]hoc|subgroup|
    pooled|baseline|trial\ (?:data|evidence|designs?|regist[a-z]+)|genom[a-z]+|genome-wide|gwas|
    transcriptom[a-z]+|gene\ expression|microarrays?|mice|mouse|rats?|murine|dogs?|canine|cats?|feline|
    pigs?|porcine|horses?|equine|cattle|bovine|veterinary|lessons|challenges|recruitment|willingness|
    attitudes|internal\ pilot|pilot\ study\ for|prognostic|analysis\ of\ (?:the|a)|
    cost[-\ ](?:effectiveness|minimi[sz]ation|utility|benefit)|costs|economic|markov|simulation|
    (?:non|quasi)-?randomi[sz]ed
    )\b",
    )
});

/// The level that `title` says.
pub(super) fn level(title: &str) -> Option<Level> {
    let title = title.to_lowercase();
    let mut said = SAID.iter().filter(|(_, words)| words.is_match(&title));
    said.next().filter(|_| !OTHER.is_match(&title)).map(|(level, _)| *level)
}

fn pattern(words: &str) -> Regex {
    Regex::new(&format!("(?-u){words}")).expect("the patterns are constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_its_design_plainly_or_nothing() {
        for (title, expect) in [
            ("Zolmarin for gout: a randomised, double-blind, placebo-controlled trial", Some(Level::Rct)),
            ("A Randomized Controlled Pilot Trial of zolmarin", Some(Level::Rct)),
            (
                "Zolmarin in gout: systematic review and meta-analysis of randomised trials",
                Some(Level::SystematicReview),
            ),
            ("Risk of gout in nurses: a population-based case-control study", Some(Level::Observational)),
            ("Gout in the Guerrero cohort study nested in a randomized controlled trial", Some(Level::Observational)),
            ("Gout of the ear: a case report and systematic review", Some(Level::CaseReport)),
            ("Gout of the ear. Report of two cases", Some(Level::CaseReport)),
            ("Zolmarin for gout: study protocol for a randomised controlled trial", None),
            ("Zolmarin for gout: a non-randomized controlled trial", None),
            ("Zolmarin in mice: a randomized controlled trial", None),
            ("Reporting of randomized controlled trials in gout", None),
            ("Randomized controlled trials of zolmarin: what have they taught us?", None),
            ("Comment on: a randomised controlled trial of zolmarin", None),
            ("Secondary analysis of a randomized trial of zolmarin", None),
            ("A genome-wide meta-analysis of gout", None),
            ("Mendelian randomization of urate and gout", None),
            ("Zolmarin for gout", None),
            ("", None),
        ] {
            assert_eq!(level(title), expect, "{title}");
        }
    }
}
