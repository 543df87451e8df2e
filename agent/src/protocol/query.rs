//! [`SearchQuery`]: one line of a search, its modifiers read; a modifier may only narrow.

use std::fmt;

use corpus::{Level, PartialDate};
use indexes::Filter;
use serde::{Deserialize, Serialize};

use super::{Fault, single_spaced};

/// A query as the policy wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchQuery {
    /// The words, single-spaced.
    pub text: String,
    /// What narrows it, in the order written.
    pub modifiers: Vec<Modifier>,
}

/// `@key:value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modifier {
    /// `@from:2019`: published then or later.
    From(PartialDate),
    /// `@to:2021-06`: published then or earlier.
    To(PartialDate),
    /// `@type:rct,guideline`: of one of these publication types.
    Types(Vec<String>),
    /// `@level:guideline`: of one of these evidence levels.
    Levels(Vec<Level>),
    /// `@src:pubmed`: from one of these sources.
    Sources(Vec<String>),
}

impl SearchQuery {
    /// Bytes of a query that are read.
    pub const MAX_BYTES: usize = 1_024;
    /// Modifiers of a query that are read.
    const MAX_MODIFIERS: usize = 8;

    /// A query of words alone; nothing in them is read as a modifier.
    pub fn words(text: &str) -> Self {
        Self { text: single_spaced(text), modifiers: Vec::new() }
    }

    /// Reads one line; `None` when it has no words. What is wrong with it goes to `faults`.
    pub(super) fn read(line: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let cut = line.floor_char_boundary(Self::MAX_BYTES);
        if cut < line.len() {
            faults.push(Fault::LongQuery);
        }
        let (mut words, mut modifiers) = (Vec::new(), Vec::new());
        for word in single_spaced(&line[..cut]).split_whitespace() {
            let marked = word.strip_prefix('@').filter(|rest| rest.contains(':'));
            let modifier = marked.and_then(Modifier::read);
            if let Some(modifier) = modifier.filter(|_| modifiers.len() < Self::MAX_MODIFIERS) {
                modifiers.push(modifier);
                continue;
            }
            if marked.is_some() {
                faults.push(Fault::UnknownModifier);
            }
            words.push(word.to_owned());
        }
        (!words.is_empty()).then(|| Self { text: words.join(" "), modifiers })
    }

    /// What two ways of writing the same query have in common: case, punctuation at the ends of words
    /// and the order of modifiers do not count.
    pub fn normalised(&self) -> String {
        let words = self
            .text
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation()).to_lowercase());
        let mut modifiers: Vec<_> = self.modifiers.iter().map(ToString::to_string).collect();
        modifiers.sort();
        words.filter(|word| !word.is_empty()).chain(modifiers).collect::<Vec<_>>().join(" ")
    }

    /// `allowed`, narrowed by the modifiers; `None` when nothing can pass both. Never wider than
    /// `allowed`, whatever the policy wrote.
    pub fn narrow(&self, allowed: &Filter) -> Option<Filter> {
        let mut filter = allowed.clone();
        for modifier in &self.modifiers {
            match modifier {
                Modifier::From(date) => {
                    filter.from = Some(filter.from.map_or(*date, |from| from.max(*date)));
                }
                Modifier::To(date) => {
                    filter.to = Some(filter.to.map_or(*date, |to| earlier(to, *date)));
                }
                Modifier::Types(types) => {
                    narrow(&mut filter.types, types, |a, b| a.eq_ignore_ascii_case(b))?;
                }
                Modifier::Levels(levels) => narrow(&mut filter.levels, levels, |a, b| a == b)?,
                Modifier::Sources(sources) => narrow(&mut filter.sources, sources, |a, b| a == b)?,
            }
        }
        Some(filter)
    }
}

/// Keeps of `list` (empty: everything) what is also in `wanted`.
fn narrow<T: Clone>(list: &mut Vec<T>, wanted: &[T], same: impl Fn(&T, &T) -> bool) -> Option<()> {
    if list.is_empty() {
        list.extend_from_slice(wanted);
    } else {
        list.retain(|have| wanted.iter().any(|want| same(have, want)));
    }
    (!list.is_empty()).then_some(())
}

/// The earlier of two last days, an open month or day reaching to its end.
fn earlier(a: PartialDate, b: PartialDate) -> PartialDate {
    let last_day = |date: PartialDate| (date.year, date.month.unwrap_or(u8::MAX), date.day.unwrap_or(u8::MAX));
    if last_day(b) < last_day(a) { b } else { a }
}

impl Modifier {
    fn read(text: &str) -> Option<Self> {
        let (key, value) = text.split_once(':')?;
        let list = || value.split(',').filter(|item| !item.is_empty());
        let modifier = match key {
            "from" => Self::From(PartialDate::parse(value)?),
            "to" => Self::To(PartialDate::parse(value)?),
            "type" => Self::Types(list().map(str::to_owned).collect()),
            "level" => Self::Levels(list().map(str::parse).collect::<Result<_, _>>().ok()?),
            "src" => Self::Sources(list().map(str::to_owned).collect()),
            _ => return None,
        };
        (list().next().is_some()).then_some(modifier)
    }
}

impl fmt::Display for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(date) => write!(f, "@from:{date}"),
            Self::To(date) => write!(f, "@to:{date}"),
            Self::Types(types) => write!(f, "@type:{}", types.join(",")),
            Self::Levels(levels) => {
                write!(f, "@level:{}", levels.iter().map(|level| level.as_str()).collect::<Vec<_>>().join(","))
            }
            Self::Sources(sources) => write!(f, "@src:{}", sources.join(",")),
        }
    }
}

impl fmt::Display for SearchQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.modifiers.iter().try_for_each(|modifier| write!(f, " {modifier}"))
    }
}
