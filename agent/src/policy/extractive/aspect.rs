//! [`Aspects`]: what is asked of a thing (its dose, its adverse effects, whether it is safe), and whether a sentence speaks of that.
//!
//! A sentence about the right drug that says something else of it is no answer either.

use std::collections::BTreeSet;

use super::pool::{Line, stems};
use super::subject::Subjects;
use crate::matching::words;

/// An aspect: how questions ask for it, and how sentences, or the headings over them, speak of it. Beginnings of words.
#[derive(Debug)]
struct Aspect {
    asked: &'static [&'static str],
    said: &'static [&'static str],
    /// What a second search looks for.
    search: &'static str,
}

const ASPECTS: &[Aspect] = &[
    Aspect {
        asked: &["side effect", "adverse", "harms of"],
        said: &["adverse", "side effect", "cause", "toxic", "risk", "complicat", "induce", "reaction", "precipitate"],
        search: "adverse effects",
    },
    Aspect {
        asked: &["monitored", "be monitored", "is monitor", "monitoring"],
        said: &[
            "monitor",
            "check",
            "measur",
            "test",
            "follow-up",
            "also followed",
            "watch",
            "observ",
            "assess",
            "surveil",
        ],
        search: "monitoring",
    },
    Aspect {
        asked: &["contraindic", "avoided", "must not", "should not"],
        said: &[
            "contraindic",
            "avoid",
            "must not",
            "should not",
            "not recommended",
            "not be",
            "never",
            "unsafe",
            "withh",
            "held",
            "caution",
            "rules out",
            "exclu",
            "unsuitable",
            "delay",
            "no patient",
            "stop",
            "only when",
            "postpone",
        ],
        search: "contraindicated avoided",
    },
    Aspect {
        asked: &["safe"],
        said: &[
            "contraindic",
            "avoid",
            "must not",
            "should not",
            "not recommended",
            "not be",
            "never",
            "unsafe",
            "safe",
            "can be",
            "may be",
            "prefer",
            "compatib",
            "accept",
            "caution",
            "harm",
            "the risk",
            "teratogen",
            "recommended",
            "continue",
            "considered",
            "suitable",
            "used in",
            "used during",
            "is used",
            "no patient",
            "choice",
            "replaced",
            "malformation",
            "danger",
        ],
        search: "safe contraindicated avoided",
    },
    Aspect { asked: &["half-life", "half life"], said: &["half-life", "half life"], search: "half-life" },
    Aspect {
        asked: &["mechanism of action", "mode of action"],
        said: &[
            "inhibit",
            "block",
            "bind",
            "acts ",
            "acting",
            "action",
            "mechanism",
            "agonist",
            "antagonist",
            "stimulat",
            "relax",
            "convert",
            "replac",
            "enhanc",
            "suppress",
            "deplet",
            "releas",
            "degrad",
            "restor",
            "is a ",
            "is an ",
        ],
        search: "inhibits blocks binds",
    },
    Aspect {
        asked: &["interact"],
        said: &[
            "interact",
            "increas",
            "reduc",
            "lower",
            "rais",
            "combin",
            "inhibit",
            "induc",
            "avoid",
            "strengthen",
            "effect of",
            "levels",
        ],
        search: "increases reduces effect combined",
    },
    Aspect {
        asked: &["be stopped", "be discontinued", "be held", "stop taking"],
        said: &[
            "stop",
            "discontinu",
            "withdraw",
            "withdrew",
            "held",
            "withh",
            "ceas",
            "interrupt",
            "continu",
            "until",
            "suspend",
        ],
        search: "stopped discontinued",
    },
    Aspect {
        asked: &["antidote", "revers"],
        said: &["antidote", "revers", "treated with", "neutral", "counteract", "first-line drug for"],
        search: "antidote reversed",
    },
    Aspect {
        asked: &["used for", "uses of", "indicated for", "indications of", "indications for"],
        said: &["used", "indicat", "treat", "prevent", "given", "first-line", "prefer", "choice"],
        search: "indicated used for",
    },
    Aspect {
        asked: &["sensitivity", "how sensitive"],
        said: &["sensitiv", "false negative", "excludes"],
        search: "sensitive sensitivity",
    },
    Aspect {
        asked: &["specificity", "how specific"],
        said: &["specific", "false positive"],
        search: "specific specificity",
    },
    Aspect {
        asked: &["mortality", "survival", "deaths from", "die of", "die from"],
        said: &["mortality", "death", "died", "die ", "surviv", "fatal", "lethal"],
        search: "mortality",
    },
];

/// Words between numbers and units of what is given.
const UNITS: &[&str] = &[
    "drop",
    "drops",
    "g",
    "gram",
    "grams",
    "iu",
    "mcg",
    "meq",
    "mg",
    "microgram",
    "micrograms",
    "milligram",
    "milligrams",
    "ml",
    "mmol",
    "puff",
    "puffs",
    "tablet",
    "tablets",
    "unit",
    "units",
    "µg",
    "μg",
];

/// What a question asks of its subject.
#[derive(Debug)]
pub(super) struct Aspects {
    asked: Vec<&'static Aspect>,
    amount: bool,
}

impl Aspects {
    /// What `question` asks.
    pub(super) fn of(question: &str) -> Self {
        let spaced = spaced(question);
        let asked = ASPECTS.iter().filter(|aspect| has(&spaced, aspect.asked)).collect();
        Self { asked, amount: asks_amount(&spaced) }
    }

    /// Whether `line` speaks of all of it. Its heading counts where its document is about `subjects`: under `Adverse effects` of
    /// another drug stand those of that drug.
    pub(super) fn are_said_by(&self, line: &Line, subjects: &Subjects) -> bool {
        let is_own = subjects.are_in_title(line);
        let says = |aspect: &&Aspect| has(&line.spaced, aspect.said) || (is_own && has(&line.over, aspect.said));
        self.asked.iter().all(says) && (!self.amount || has_amount(&line.canonical))
    }

    /// Stems of the words that ask.
    pub(super) fn stems(&self) -> BTreeSet<String> {
        self.asked.iter().flat_map(|aspect| aspect.asked.iter().flat_map(|asked| stems(asked))).collect()
    }

    /// Words that evidence may speak of it in.
    pub(super) fn words(&self) -> String {
        let amount = self.amount.then_some("usual dose mg daily");
        self.asked.iter().map(|aspect| aspect.search).chain(amount).collect::<Vec<_>>().join(" ")
    }

    /// Whether nothing is asked that is known here.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && !self.amount
    }

    /// Whether an amount to be given is asked for.
    pub(super) fn is_of_amount(&self) -> bool {
        self.amount
    }
}

/// Lower case, one blank before each word.
pub(super) fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 1);
    for word in words(text) {
        spaced.push(' ');
        spaced.extend(word.chars().flat_map(char::to_lowercase));
    }
    spaced.push(' ');
    spaced
}

pub(super) fn has(spaced: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| spaced.match_indices(beginning).any(|(at, _)| spaced[..at].ends_with(' ')))
}

/// Whether the answer is an amount of a drug: not `how long after the last dose`.
fn asks_amount(spaced: &str) -> bool {
    const OUTRIGHT: &[&str] =
        &["how many mg", "how many milligram", "how many microgram", "how many unit", "how many tablet", "how much"];
    const DOSE: &[&str] = &["dose ", "dosage ", "dosing ", "dosed ", "doses "];
    const OTHER: &[&str] = &[
        "last dose",
        "missed dose",
        "first dose",
        "each dose",
        "high dose",
        "low dose",
        "dose reduc",
        "dose adjust",
        "dose-",
        "when ",
        "why ",
        "how long",
        "how soon",
        "how often",
        "which ",
        "can ",
        "does ",
        "is it",
        "who ",
    ];
    has(spaced, OUTRIGHT) || (has(spaced, DOSE) && !has(spaced, OTHER))
}

/// Whether a text has a number with a unit of what is given.
pub(super) fn has_amount(text: &str) -> bool {
    let mut after_number = false;
    words(text).any(|word| {
        let lower = word.to_lowercase();
        let (digits, unit) =
            lower.split_at(lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len()));
        let mut parts = unit.trim_start_matches('-').split('/');
        let unit = parts.next().unwrap_or_default();
        // `5 mg/kg` is given; `1.5 mg/dL` is measured.
        let is_given =
            parts.next().is_none_or(|per| matches!(per, "kg" | "day" | "d" | "h" | "hour" | "dose" | "m²" | "m2"));
        let is_amount = (after_number || !digits.is_empty()) && is_given && UNITS.contains(&unit);
        after_number = !digits.is_empty() && unit.is_empty();
        is_amount
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_number_with_a_unit_of_what_is_given() {
        for text in [
            "0.4 to 2 mg is given",
            "about 1.6 µg/kg once daily",
            "a 5-mg tablet",
            "0.1 units/kg per hour",
            "500mg twice",
        ] {
            assert!(has_amount(text), "{text}");
        }
        for text in [
            "every 3 to 5 minutes",
            "in 40 patients",
            "mg of it",
            "below 30 mL/min",
            "creatinine 1.5 mg/dL",
            "140/90 mmHg",
            "type 2 diabetes",
        ] {
            assert!(!has_amount(text), "{text}");
        }
    }

    #[test]
    fn an_amount_is_asked_for_only_where_it_is_the_answer() {
        for (question, expect) in [
            ("What is the dose of apixaban?", true),
            ("How much?", true),
            ("Recommended dose of adrenaline in cardiac arrest", true),
            ("How long after the last dose should a level be drawn?", false),
            ("Which supplement in high dose causes it?", false),
            ("When is the dose halved?", false),
        ] {
            assert_eq!(Aspects::of(question).is_of_amount(), expect, "{question}");
        }
    }
}
