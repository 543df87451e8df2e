//! [`Filter`]: which chunks a question may be answered from.

use corpus::{Level, PartialDate, Status};
use serde::{Deserialize, Serialize};

/// What a chunk must be to be found. Within one list any entry matches; lists are and-ed; an empty
/// list or absent date asks nothing. The default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Published on or after; `2019` means from its first day. An undated chunk does not pass.
    pub from: Option<PartialDate>,
    /// Published on or before; `2020` includes all of 2020. An undated chunk does not pass.
    pub to: Option<PartialDate>,
    /// Publication types: a part of their name in any case, or a short name (`rct`, `review`,
    /// `guideline`, `meta-analysis`, `trial`, `cohort`, `case-report`).
    pub types: Vec<String>,
    /// Evidence levels.
    pub levels: Vec<Level>,
    /// Where documents came from (`pubmed`, `pmc`, …).
    pub sources: Vec<String>,
    /// Collections of the home.
    pub collections: Vec<String>,
    /// What publishers say of them.
    pub statuses: Vec<Status>,
    /// MeSH headings, whole, in any case.
    pub mesh: Vec<String>,
}

/// Short names of publication types, and what the types they stand for contain.
const SHORT_NAMES: &[(&str, &[&str])] = &[
    ("rct", &["randomized controlled trial", "randomised controlled trial"]),
    ("trial", &["clinical trial", "controlled trial"]),
    ("guideline", &["guideline", "consensus development"]),
    ("review", &["review"]),
    ("systematic-review", &["systematic review", "systematic-review"]),
    ("meta-analysis", &["meta-analysis"]),
    ("cohort", &["cohort", "observational study"]),
    ("case-report", &["case report", "case-report"]),
];

impl Filter {
    /// Whether everything passes.
    pub fn is_unrestricted(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a document of that date passes.
    pub fn admits_date(&self, date: Option<PartialDate>) -> bool {
        let Some(date) = date else {
            return self.from.is_none() && self.to.is_none();
        };
        // What a date leaves open reaches from its first day to its last: the two spans must meet.
        self.from.is_none_or(|from| last_day(date) >= first_day(from))
            && self.to.is_none_or(|to| first_day(date) <= last_day(to))
    }

    /// Whether a document of that publication type passes the list of types.
    pub fn admits_type(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.types.is_empty()
            || self.types.iter().any(|wanted| {
                let wanted = wanted.trim().to_lowercase();
                match SHORT_NAMES.iter().find(|(short, _)| *short == wanted) {
                    Some((_, parts)) => parts.iter().any(|part| name.contains(part)),
                    None => !wanted.is_empty() && name.contains(&wanted),
                }
            })
    }
}

type Day = (u16, u8, u8);

fn first_day(date: PartialDate) -> Day {
    (date.year, date.month.unwrap_or(1), date.day.unwrap_or(1))
}

fn last_day(date: PartialDate) -> Day {
    (date.year, date.month.unwrap_or(12), date.day.unwrap_or(31))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Option<PartialDate> {
        PartialDate::parse(text)
    }

    fn between(from: &str, to: &str) -> Filter {
        Filter { from: date(from), to: date(to), ..Filter::default() }
    }

    #[test]
    fn dates_are_inclusive_at_their_own_precision() {
        for (from, to, published, admitted) in [
            ("", "2020", "2020-12-31", true),
            ("", "2020", "2021-01", false),
            ("", "2020-06", "2020-06-30", true),
            ("", "2020-06-15", "2020-06-16", false),
            ("2019", "", "2019", true),
            ("2019-02", "", "2019-01-31", false),
            ("2019-02", "", "2019", true),
            ("2019", "2020", "2018-12", false),
            ("2019", "2020", "", false),
            ("", "", "", true),
        ] {
            assert_eq!(between(from, to).admits_date(date(published)), admitted, "{from} .. {to}: {published}");
        }
    }

    #[test]
    fn types_go_by_short_name_or_part_in_any_case() {
        for (wanted, name, admitted) in [
            ("rct", "Randomized Controlled Trial", true),
            ("RCT", "randomised controlled trial", true),
            ("rct", "Clinical Trial, Phase III", false),
            ("review", "Systematic Review", true),
            ("guideline", "Practice Guideline", true),
            ("meta-analysis", "Meta-Analysis", true),
            ("phase iii", "Clinical Trial, Phase III", true),
            ("letter", "Review", false),
            ("", "Review", false),
        ] {
            let filter = Filter { types: vec![wanted.to_owned()], ..Filter::default() };
            assert_eq!(filter.admits_type(name), admitted, "{wanted}: {name}");
        }
        assert!(Filter::default().admits_type("anything"));
    }

    #[test]
    fn only_the_default_is_unrestricted() {
        assert!(Filter::default().is_unrestricted());
        assert!(!between("2019", "").is_unrestricted());
        assert!(!Filter { levels: vec![Level::Rct], ..Filter::default() }.is_unrestricted());
    }
}
