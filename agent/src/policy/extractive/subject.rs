//! [`Subjects`]: what a question is about, and whether a sentence is about it.
//!
//! Of a question's words, some only ask (`dose`, `safe`, `treated`); what is left names things. A sentence that answers has every
//! one of them: in itself, or in the title or heading over it, unless it speaks of another drug there. However well the rest fits,
//! a sentence about something else is no answer.

mod generic;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use corpus::sentence::sentences;

use self::generic::{ends_kind, is_intake, is_mere_quality, is_substance};
pub(super) use self::generic::{is_generic, is_numbered};
use super::aspect::{has as has_beginning, spaced};
use super::pool::{Line, has, is_vague, stems};
use crate::matching::{is_stop_word, words};

/// The things that a text names, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subjects(Vec<Subject>);

/// Words that stand together and name one thing: `mitral stenosis`, `type 2 diabetes`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    text: String,
    stems: BTreeSet<String>,
    is_substance: bool,
}

/// Whom or which condition a question is narrowed to: it does not say what the question is about.
const MATTERS: &[&str] = &[
    "adolescent",
    "baby",
    "breastfeeding",
    "child",
    "elderly",
    "fetus",
    "hepatic",
    "infant",
    "kidney",
    "liver",
    "neonate",
    "newborn",
    "pediatric",
    "pregnancy",
    "pregnant",
    "renal",
    "toddler",
    "trimester",
];

impl Subjects {
    /// What `whole` names.
    pub(super) fn of(whole: &str) -> Self {
        let mut found: Vec<Subject> = Vec::new();
        let mut end_of_last = None;
        let mut before = String::new();
        for word in words(whole) {
            let start = word.as_ptr() as usize - whole.as_ptr() as usize;
            let lower = word.to_lowercase();
            let numbers = is_numbered(&before, &lower);
            let text = if numbers { format!("{before} {word}") } else { word.to_owned() };
            let former = std::mem::replace(&mut before, lower.clone());
            if !numbers && (is_stop_word(&lower) || is_generic(&lower) || is_mere_quality(&lower)) {
                continue;
            }
            let named: BTreeSet<_> = if numbers {
                BTreeSet::from([format!("{former} {lower}")])
            } else {
                stems(word).into_iter().filter(|stem| !is_generic(stem)).collect()
            };
            if named.is_empty() {
                continue;
            }
            let joins = end_of_last.is_some_and(|end| whole[end..start].trim().is_empty());
            match found.last_mut().filter(|_| joins) {
                Some(last) => {
                    last.text = format!("{} {word}", last.text);
                    last.stems.extend(named);
                    last.is_substance |= is_substance(&lower);
                }
                None => found.push(Subject { text, stems: named, is_substance: is_substance(&lower) }),
            }
            end_of_last = Some(start + word.len());
        }
        Self(found)
    }

    /// What the answer must name: all that `question` names, but not of which kind the answer is (`which antibiotic …`), unless
    /// nothing else is named. Where a question names nothing, its other words are all there is to hold on to. Of what is told before
    /// the question itself (`My patient has migraine. When is …`) only whom it is about counts, if the question has its own subject.
    pub(super) fn required(question: &str) -> Self {
        let (told, asked) = told_and_asked(question);
        let own = Self::all_required(asked);
        if told.is_empty() || own.is_only_matters() {
            return Self::all_required(question);
        }
        let is_whom = |subject: &Subject| subject.stems.iter().any(|stem| is_matter(stem));
        let whom = Self::of(told).0.into_iter().filter(is_whom);
        Self(whom.chain(own.0).collect())
    }

    fn all_required(question: &str) -> Self {
        let rest = Self::of(&without_kind(question));
        let mut all = if rest.0.is_empty() { Self::of(question) } else { rest };
        let is_whom = |subject: &Subject| subject.stems.iter().all(|stem| is_matter(stem));
        if let Some(first) = all.0.iter_mut().find(|subject| !is_whom(subject)) {
            first.is_substance |= is_asked_as_drug(question);
            return all;
        }
        if !all.0.is_empty() {
            return all;
        }
        let stems: BTreeSet<_> = stems(question).into_iter().filter(|stem| !is_vague(stem)).collect();
        Self(if stems.is_empty() {
            Vec::new()
        } else {
            vec![Subject { text: question.to_owned(), stems, is_substance: false }]
        })
    }

    /// Whether nothing is named.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing is named but whom it is about.
    pub(super) fn is_only_matters(&self) -> bool {
        self.0.iter().all(|subject| subject.stems.iter().all(|stem| is_matter(stem)))
    }

    /// The names, as the question has them.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|subject| subject.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What it is about in the first place: the drugs, where drugs are named; else whatever is no matter.
    pub(super) fn topic(&self) -> Self {
        let named = |subject: &&Subject| !subject.stems.iter().all(|stem| is_matter(stem));
        let drugs: Vec<_> = self.0.iter().filter(|subject| subject.is_substance).cloned().collect();
        Self(if drugs.is_empty() { self.0.iter().filter(named).cloned().collect() } else { drugs })
    }

    /// Whether the first of them is a drug.
    pub(super) fn is_of_drug(&self) -> bool {
        self.0.first().is_some_and(|subject| subject.is_substance)
    }

    /// What is left when what `stems` have is settled.
    pub(super) fn without(&self, stems: &BTreeSet<String>) -> Self {
        let left = self.0.iter().filter_map(|subject| {
            let left: BTreeSet<_> = subject.stems.iter().filter(|stem| !has(stems, stem)).cloned().collect();
            (!left.is_empty()).then(|| Subject { stems: left, ..subject.clone() })
        });
        Self(left.collect())
    }

    /// Whether the document of `line` is about one of them, or nothing is named.
    pub(super) fn are_in_title(&self, line: &Line) -> bool {
        self.0.is_empty() || self.0.iter().any(|subject| subject.stems.iter().any(|stem| has(&line.title, stem)))
    }

    /// Whether the title over `line` names nothing else.
    fn are_whole_title(&self, line: &Line) -> bool {
        line.title.iter().all(|stem| is_generic(stem) || self.0.iter().any(|subject| has(&subject.stems, stem)))
    }

    /// Whether `line` is about all of them. Where an `amount` is asked for and it names the drug, the sentence before it may name
    /// what the drug is for, unless this one narrows itself to something else (`in opioid-dependent patients`); never whom it is for.
    pub(super) fn are_named_by(&self, line: &Line, amount: bool) -> bool {
        let is_before = |subject: &Subject| {
            !subject.is_substance && subject.stems.iter().all(|stem| has(&line.before, stem) && !is_matter(stem))
        };
        if self.is_of_another(line, amount) {
            return false;
        }
        let is_own = self.are_whole_title(line);
        let open: Vec<_> = self.0.iter().filter(|subject| !subject.is_named_by(line, is_own)).collect();
        let names_drug = || self.0.iter().any(|subject| subject.is_substance && subject.is_in(&line.stems));
        open.is_empty()
            || (amount && names_drug() && open.iter().all(|subject| is_before(subject)) && !self.is_narrower(line))
    }

    /// Whether `line` names a drug that is asked about in passing only, behind another drug: in a document on something else
    /// (`Amoxicillin can raise the effect of warfarin`), and of an `amount` anywhere (`The dose of simvastatin with amlodipine …`).
    fn is_of_another(&self, line: &Line, amount: bool) -> bool {
        let drugs = || self.0.iter().filter(|subject| subject.is_substance);
        let is_asked = |word: &str| drugs().any(|drug| stems(word).iter().any(|stem| has(&drug.stems, stem)));
        let first = words(&line.canonical).find(|word| is_substance(&word.to_lowercase()));
        drugs().next().is_some() && (amount || !self.are_in_title(line)) && first.is_some_and(|word| !is_asked(word))
    }

    /// Whether `line` is about the first of them, and about most of the rest: enough to name a thing that is described by them.
    pub(super) fn are_mostly_named_by(&self, line: &Line) -> bool {
        let is_there = |stem: &&String| has(&line.stems, stem) || has(&line.title, stem) || has(&line.heading, stem);
        let all = self.0.iter().map(|subject| subject.stems.len()).sum::<usize>();
        let there = self.0.iter().flat_map(|subject| &subject.stems).filter(is_there).count();
        self.0.first().is_none_or(|subject| subject.is_named_by(line, self.are_whole_title(line)))
            && there * 3 >= all * 2
    }

    /// Whether `line` speaks of a case that is not asked for: `in`, `for` or `with` something that the question does not name.
    pub(super) fn is_narrower(&self, line: &Line) -> bool {
        const NARROWING: [&str; 7] = ["after", "before", "during", "for", "in", "when", "with"];
        let mut narrowing = false;
        words(&line.canonical).any(|word| {
            let lower = word.to_lowercase();
            narrowing = NARROWING.contains(&lower.as_str()) || (narrowing && !is_stop_word(&lower));
            let is_asked = |stem: &String| {
                is_generic(stem) || self.0.iter().any(|subject| has(&subject.stems, stem)) || line.title.contains(stem)
            };
            narrowing
                && !is_generic(&lower)
                && !is_mere_quality(&lower)
                && !is_intake(&lower)
                && !is_stop_word(&lower)
                && !stems(word).iter().all(is_asked)
        })
    }
}

impl Subject {
    fn is_in(&self, stems: &BTreeSet<String>) -> bool {
        self.stems.iter().all(|stem| has(stems, stem))
    }

    /// `is_own` tells whether the line's document is about nothing but what is asked about.
    fn is_named_by(&self, line: &Line, is_own: bool) -> bool {
        let missing: Vec<_> = self.stems.iter().filter(|stem| !has(&line.stems, stem)).collect();
        if missing.is_empty() {
            return true;
        }
        // A drug's page speaks of other drugs too, by name; a study with it in its title, of much else.
        let is_silent = || !words(&line.canonical).any(|word| is_substance(&word.to_lowercase()));
        (!self.is_substance || (is_own && is_silent()))
            && missing.iter().all(|stem| has(&line.title, stem) || has(&line.heading, stem))
    }
}

static MATTER_STEMS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| MATTERS.iter().flat_map(|matter| stems(matter)).collect());

fn is_matter(stem: &str) -> bool {
    has(&MATTER_STEMS, stem)
}

/// Whether a question asks of its first subject what is asked of drugs, whatever the name ends in.
fn is_asked_as_drug(question: &str) -> bool {
    const OF_DRUGS: &[&str] = &[
        "adverse effects of",
        "be given",
        "be taken",
        "contraindications of",
        "dosage of",
        "dose of",
        "half-life of",
        "interact with",
        "safe during",
        "safe in",
        "side effects of",
    ];
    let spaced = spaced(question);
    has_beginning(&spaced, OF_DRUGS) || [" do ", " does "].iter().any(|asking| spaced.starts_with(asking))
}

/// What is told before the question itself, and the question: its last sentence, behind a colon if there is one.
fn told_and_asked(question: &str) -> (&str, &str) {
    let last = sentences(question).last().map_or(0, |span| span.start);
    let colon = question[last..].rfind(": ").map_or(last, |at| last + at + 2);
    question.split_at(colon)
}

/// What of `question` its answer has words of: not what is told before it, and not of which kind the answer is.
pub(super) fn asked_outright(question: &str) -> String {
    let (_, asked) = told_and_asked(question);
    without_kind(if Subjects::of(asked).is_only_matters() { question } else { asked })
}

/// `question` without the words between `which` or `what` and the verb.
fn without_kind(question: &str) -> String {
    const ASKING: [&str; 2] = ["which", "what"];
    let mut left = Vec::new();
    let mut in_kind = false;
    for word in words(question) {
        let lower = word.to_lowercase();
        in_kind = ASKING.contains(&lower.as_str()) || (in_kind && !is_stop_word(&lower) && !ends_kind(&lower));
        if !in_kind {
            left.push(word);
        }
    }
    left.join(" ")
}

#[cfg(test)]
mod tests;
