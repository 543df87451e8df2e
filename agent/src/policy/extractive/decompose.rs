//! A question becomes [`Need`]s: what sentences must be found, and what must be found out first.

use super::vocabulary::Vocabulary;
use crate::matching::{is_stop_word, stems, words};

/// One thing to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// What is asked, one name for what has several.
    pub(super) text: String,
    /// A thing that the question describes or asks for first; the rest is about what it turns out to be.
    pub(super) via: Option<Via>,
    /// The thing named on this side of a comparison.
    pub(super) side: Option<String>,
}

/// A description in place of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Via {
    /// The description: `first-line drug for bipolar disorder`.
    pub(super) description: String,
    /// The need around the description, for the follow-up: `what must be monitored in a patient taking`.
    pub(super) before: String,
    /// What follows it.
    pub(super) after: String,
    /// Whether the question asks for the thing itself too.
    pub(super) asked: bool,
}

/// Nouns for things that questions describe instead of naming.
const HEADS: &[&str] = &[
    "agent",
    "analgesic",
    "antibiotic",
    "antibody",
    "anticoagulant",
    "anticonvulsant",
    "antidepressant",
    "antidote",
    "antiemetic",
    "antifungal",
    "antihypertensive",
    "antipsychotic",
    "antiviral",
    "assay",
    "biopsy",
    "blocker",
    "bronchodilator",
    "corticosteroid",
    "diuretic",
    "drug",
    "examination",
    "glucocorticoid",
    "hormone",
    "imaging",
    "inhaler",
    "inhibitor",
    "injection",
    "insulin",
    "investigation",
    "medication",
    "medicine",
    "operation",
    "procedure",
    "regimen",
    "scan",
    "stabilizer",
    "statin",
    "steroid",
    "study",
    "supplement",
    "surgery",
    "test",
    "therapy",
    "thrombolytic",
    "treatment",
    "triptan",
    "vaccine",
    "vasodilator",
    "vasopressor",
];

/// What makes such a noun a description even when nothing links it to a condition.
const QUALIFIERS: &[&str] = &[
    "confirmatory",
    "diagnostic",
    "first",
    "first-choice",
    "first-line",
    "gold-standard",
    "initial",
    "key",
    "main",
    "preferred",
    "reference",
    "reference-standard",
    "standard",
    "usual",
];

/// What links such a noun to a condition.
const LINKS: &[&str] = &[
    "against",
    "for",
    "given",
    "in",
    "most",
    "of",
    "recommended",
    "required",
    "that",
    "to",
    "used",
    "usually",
    "which",
];

/// Words that end a description: verbs and what begins another phrase.
const ENDS: &[&str] = &[
    "after",
    "and",
    "are",
    "avoided",
    "be",
    "because",
    "been",
    "before",
    "being",
    "can",
    "cannot",
    "cause",
    "causes",
    "change",
    "checked",
    "combined",
    "continue",
    "continued",
    "contraindicated",
    "could",
    "defines",
    "detect",
    "develop",
    "develops",
    "do",
    "does",
    "during",
    "effective",
    "enough",
    "exclude",
    "excludes",
    "falsely",
    "given",
    "had",
    "has",
    "have",
    "how",
    "if",
    "increase",
    "increases",
    "interact",
    "interacts",
    "is",
    "last",
    "lower",
    "lowers",
    "make",
    "makes",
    "may",
    "measure",
    "measures",
    "might",
    "monitored",
    "mostly",
    "must",
    "need",
    "needs",
    "occur",
    "postponed",
    "produce",
    "produces",
    "reduce",
    "reduces",
    "require",
    "requires",
    "reverse",
    "safe",
    "shall",
    "should",
    "show",
    "shows",
    "start",
    "started",
    "stop",
    "stopped",
    "swallowed",
    "take",
    "taken",
    "under",
    "unless",
    "until",
    "was",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "work",
    "works",
    "would",
];

/// Words that begin a second question after `and` or a comma.
const ASKING: &[&str] = &["how", "what", "when", "where", "which", "who", "why"];

/// Words that stand for what was asked for before.
const PRONOUNS: &[&str] = &[
    "it", "its", "them", "their", "they", "this", "these", "that",
];

/// At most this many needs: a question of more parts is answered in its first ones.
const MAX_NEEDS: usize = 3;
/// Bytes of a question that are read.
const MAX_BYTES: usize = 4_096;

/// Takes `question` apart. Nothing comes of a question without content words.
pub(super) fn decompose(question: &str, vocabulary: &Vocabulary) -> Vec<Need> {
    let question = vocabulary.canonical(&question[..question.floor_char_boundary(MAX_BYTES)]);
    if stems(&question).is_empty() {
        return Vec::new();
    }
    if let Some(needs) = compare(&question) {
        return needs;
    }
    let mut needs: Vec<Need> = Vec::new();
    for part in parts(&question) {
        let refers = words(part).any(|word| PRONOUNS.contains(&word.to_lowercase().as_str()));
        match needs.last_mut() {
            // `Which drug is first-line for X, and when must it be avoided?`: the first part describes.
            Some(last) if refers && last.via.is_none() && asks_for_thing(&last.text) => {
                let description = std::mem::replace(&mut last.text, part.to_owned());
                let (before, after) = around_pronoun(part);
                last.via = Some(Via {
                    description,
                    before,
                    after,
                    asked: true,
                });
            }
            // Any other pronoun stands for what the parts before are about.
            Some(last) if refers || stems(part).is_empty() => {
                let text = format!("{} {part}", last.text);
                needs.push(Need {
                    via: describe(&text),
                    text,
                    side: None,
                });
            }
            _ => needs.push(Need {
                via: describe(part),
                text: part.to_owned(),
                side: None,
            }),
        }
    }
    needs.retain(|need| !stems(&need.text).is_empty());
    needs.truncate(MAX_NEEDS);
    needs
}

/// The queries that open the search.
pub(super) fn first_queries(needs: &[Need]) -> Vec<String> {
    let mut queries = Vec::new();
    for need in needs {
        match &need.via {
            Some(via) => {
                queries.push(via.description.clone());
                if !via.asked {
                    queries.push(need.text.clone());
                }
            }
            None => queries.push(need.text.clone()),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    queries.retain(|query| {
        let query = words(query).collect::<Vec<_>>().join(" ").to_lowercase();
        let new = !seen.contains(&query);
        seen.push(query);
        new
    });
    queries
}

/// Sentences of the question, and the questions inside a sentence.
fn parts(question: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let lower = question.to_ascii_lowercase();
    for (at, c) in question.char_indices() {
        let rest = &lower[at..];
        let skip = match c {
            ';' => 1,
            '?' => 1,
            ',' | ' ' => {
                let tail = rest.trim_start_matches([',', ' ']);
                let tail = tail
                    .strip_prefix("and ")
                    .or_else(|| tail.strip_prefix("then "))
                    .filter(|_| true);
                let asks =
                    tail.is_some_and(|tail| ASKING.iter().any(|word| starts_with_word(tail, word)));
                if asks {
                    rest.len() - tail.map_or(0, str::len)
                } else {
                    continue;
                }
            }
            _ => continue,
        };
        if at >= start {
            parts.push(&question[start..at]);
            start = at + skip;
        }
    }
    parts.push(&question[start.min(question.len())..]);
    let parts: Vec<_> = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    // `Which drug is first-line for X and Y, and why?`: what has no content of its own goes with the rest.
    if parts.len() > 1 && parts.iter().skip(1).all(|part| stems(part).is_empty()) {
        vec![question]
    } else {
        parts
    }
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Whether a question asks for a thing that a later pronoun can stand for: `which drug …`, `what test …`.
fn asks_for_thing(text: &str) -> bool {
    let mut tokens = words(text).map(str::to_lowercase);
    let asking = tokens
        .next()
        .is_some_and(|word| word == "which" || word == "what");
    asking && tokens.take(8).any(|word| is_head(&word))
}

fn is_head(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    HEADS.binary_search(&word).is_ok() || HEADS.binary_search(&singular).is_ok()
}

fn around_pronoun(part: &str) -> (String, String) {
    let tokens: Vec<_> = words(part).collect();
    let at = tokens
        .iter()
        .position(|word| PRONOUNS.contains(&word.to_lowercase().as_str()))
        .unwrap_or(0);
    (
        tokens[..at].join(" "),
        tokens[(at + 1).min(tokens.len())..].join(" "),
    )
}

/// Finds a description: a determiner, perhaps qualifiers, a head noun, and what links it to a condition.
/// A question that asks for nothing beyond the description itself has none.
fn describe(text: &str) -> Option<Via> {
    let tokens: Vec<_> = tokens(text);
    let lower: Vec<_> = tokens.iter().map(|(_, word)| word.to_lowercase()).collect();
    let word = |index: usize| lower.get(index).map_or("", String::as_str);
    for head in (0..lower.len()).filter(|index| is_head(word(*index))) {
        let Some(start) = (head.saturating_sub(8)..head)
            .rev()
            .find(|index| matches!(word(*index), "the" | "its" | "their"))
        else {
            continue;
        };
        if (start + 1..head)
            .any(|index| ENDS.binary_search(&word(index)).is_ok() || tokens[index].1.ends_with(','))
        {
            continue;
        }
        let qualified =
            (start + 1..head).any(|index| QUALIFIERS.binary_search(&word(index)).is_ok());
        let of_choice = word(head + 1) == "of" && word(head + 2) == "choice";
        let after = if of_choice { head + 3 } else { head + 1 };
        let linked =
            LINKS.binary_search(&word(after)).is_ok() && !ends_clause(text, tokens[after - 1]);
        let end = if linked && word(start) == "the" {
            description_end(text, &tokens, &lower, after + 1)
        } else {
            head + 1
        };
        let linked = linked && end > after + 1;
        if !linked && !qualified {
            continue;
        }
        let join = |range: &[(usize, &str)]| {
            range
                .iter()
                .map(|(_, word)| *word)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (before, rest) = (join(&tokens[..start]), join(&tokens[end..]));
        let description = if linked {
            join(&tokens[start + 1..end])
        } else {
            // `… on its confirmatory test`: the condition stands elsewhere in the question.
            format!("{} {before} {rest}", join(&tokens[start + 1..end]))
        };
        let asked_beyond = stems(&format!("{before} {rest}"));
        if asked_beyond.is_empty() {
            return None;
        }
        return Some(Via {
            description,
            before,
            after: rest,
            asked: false,
        });
    }
    None
}

/// Words with where they begin.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    words(text)
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .collect()
}

/// Whether a comma or the like follows the word.
fn ends_clause(text: &str, (start, word): (usize, &str)) -> bool {
    text[start + word.len()..]
        .trim_start()
        .starts_with([',', ';', '.', '?', ':'])
}

fn description_end(text: &str, tokens: &[(usize, &str)], lower: &[String], from: usize) -> usize {
    let mut end = from;
    while end < tokens.len() {
        if ends_clause(text, tokens[end - 1]) {
            break;
        }
        let (word, next) = (
            lower[end].as_str(),
            lower.get(end + 1).map_or("", String::as_str),
        );
        let before = lower[end - 1].as_str();
        // `that is first-line in`, `used to diagnose`, `moderate to severe` go on.
        let relative = matches!(before, "that" | "which") && end <= from + 1;
        let severity =
            word == "to" && (matches!(before, "mild" | "moderate" | "used") || next == "severe");
        if !relative && !severity && (word == "to" || ENDS.binary_search(&word).is_ok()) {
            break;
        }
        end += 1;
    }
    end
}

/// `How do A and B differ in X`, `A versus B for X`, `is A better than B`, `difference between A and B`.
fn compare(question: &str) -> Option<Vec<Need>> {
    let tokens: Vec<_> = words(question).collect();
    let lower: Vec<_> = tokens.iter().map(|word| word.to_lowercase()).collect();
    let find = |wanted: &[&str]| {
        lower
            .iter()
            .position(|word| wanted.contains(&word.as_str()))
    };
    let versus = |index: usize| match lower[index].as_str() {
        "versus" | "vs" => Some(1),
        "compared" | "compare"
            if matches!(
                lower.get(index + 1).map(String::as_str),
                Some("with" | "to")
            ) =>
        {
            Some(2)
        }
        _ => None,
    };
    let (left, right) = if let Some((at, width)) =
        (1..lower.len()).find_map(|index| versus(index).map(|width| (index, width)))
    {
        (span_before(&lower, at), span_after(&lower, at + width))
    } else if let Some(than) = find(&["than"])
        && let Some(more) = lower[..than].iter().rposition(|word| {
            matches!(
                word.as_str(),
                "better" | "safer" | "worse" | "more" | "less" | "faster" | "stronger" | "cheaper"
            )
        })
        && more > 0
        && matches!(lower[0].as_str(), "is" | "are" | "does" | "do")
    {
        (1..more, span_after(&lower, than + 1))
    } else if let Some(at) = find(&["differ", "compare", "between"]) {
        let (from, to) = if lower[at] == "between" {
            (at + 1, lower.len())
        } else {
            (
                lower[..at]
                    .iter()
                    .rposition(|word| matches!(word.as_str(), "do" | "does" | "would" | "can"))
                    .map_or(0, |aux| aux + 1),
                at,
            )
        };
        let compares = lower.iter().any(|word| {
            word.starts_with("differ") || word.starts_with("compar") || word == "choose"
        });
        let and = (from..to)
            .find(|index| lower[*index] == "and")
            .filter(|_| compares)?;
        (
            from..and,
            if lower[at] == "between" {
                span_after(&lower, and + 1)
            } else {
                and + 1..to
            },
        )
    } else {
        return None;
    };
    if left.is_empty() || right.is_empty() || left.len() > 8 || right.len() > 8 {
        return None;
    }
    let aspect: Vec<_> = (0..tokens.len())
        .filter(|index| !left.contains(index) && !right.contains(index))
        .filter(|index| {
            let word = lower[*index].as_str();
            let compares = word.starts_with("differ")
                || word.starts_with("compar")
                || matches!(word, "versus" | "vs" | "between" | "way" | "ways");
            !compares && !is_stop_word(word)
        })
        .map(|index| tokens[index])
        .collect();
    let side = |range: std::ops::Range<usize>| {
        let side = tokens[range].join(" ");
        Need {
            text: format!("{side} {}", aspect.join(" ")).trim().to_owned(),
            via: None,
            side: Some(side),
        }
    };
    Some(vec![side(left), side(right)])
}

/// The words before `at`, back to a word that cannot be part of a name.
fn span_before(lower: &[String], at: usize) -> std::ops::Range<usize> {
    let start = lower[..at]
        .iter()
        .rposition(|word| is_stop_word(word))
        .map_or(0, |index| index + 1);
    start..at
}

fn span_after(lower: &[String], from: usize) -> std::ops::Range<usize> {
    let from = from.min(lower.len());
    let end = lower[from..]
        .iter()
        .position(|word| is_stop_word(word))
        .map_or(lower.len(), |index| from + index);
    from..end
}

#[cfg(test)]
mod tests;
