//! Descriptions in place of names: `the first-line drug for bipolar disorder`.

use super::Via;
use crate::matching::{stems, words};

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

/// Finds a description: a determiner, perhaps qualifiers, a head noun, and what links it to a condition.
/// A question that asks for nothing beyond the description itself has none.
pub(super) fn describe(text: &str) -> Option<Via> {
    let tokens: Vec<_> = tokens(text);
    let lower: Vec<_> = tokens.iter().map(|(_, word)| word.to_lowercase()).collect();
    let word = |index: usize| lower.get(index).map_or("", String::as_str);
    for head in (0..lower.len()).filter(|index| is_head(word(*index))) {
        let Some(start) =
            (head.saturating_sub(8)..head).rev().find(|index| matches!(word(*index), "the" | "its" | "their"))
        else {
            continue;
        };
        if (start + 1..head).any(|index| ENDS.binary_search(&word(index)).is_ok() || tokens[index].1.ends_with(',')) {
            continue;
        }
        let qualified = (start + 1..head).any(|index| QUALIFIERS.binary_search(&word(index)).is_ok());
        let of_choice = word(head + 1) == "of" && word(head + 2) == "choice";
        let after = if of_choice { head + 3 } else { head + 1 };
        let linked = LINKS.binary_search(&word(after)).is_ok() && !ends_clause(text, tokens[after - 1]);
        let end =
            if linked && word(start) == "the" { description_end(text, &tokens, &lower, after + 1) } else { head + 1 };
        let linked = linked && end > after + 1;
        if !linked && !qualified {
            continue;
        }
        let join = |range: &[(usize, &str)]| range.iter().map(|(_, word)| *word).collect::<Vec<_>>().join(" ");
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
        return Some(Via { description, before, after: rest, asked: false, within: true });
    }
    None
}

/// What of a description follows the first word that links the thing to what it is for; nothing without such a word.
pub(super) fn after_link(description: &str) -> Option<&str> {
    let linked =
        tokens(description).into_iter().find(|(_, word)| LINKS.binary_search(&word.to_lowercase().as_str()).is_ok());
    linked.map(|(at, word)| &description[at + word.len()..])
}

/// Words with where they begin.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    words(text).map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word)).collect()
}

/// Whether a comma or the like follows the word.
fn ends_clause(text: &str, (start, word): (usize, &str)) -> bool {
    text[start + word.len()..].trim_start().starts_with([',', ';', '.', '?', ':'])
}

fn description_end(text: &str, tokens: &[(usize, &str)], lower: &[String], from: usize) -> usize {
    let mut end = from;
    while end < tokens.len() {
        if ends_clause(text, tokens[end - 1]) {
            break;
        }
        let (word, next) = (lower[end].as_str(), lower.get(end + 1).map_or("", String::as_str));
        let before = lower[end - 1].as_str();
        // `that is first-line in`, `used to diagnose`, `moderate to severe` go on.
        let relative = matches!(before, "that" | "which") && end <= from + 1;
        let severity = word == "to" && (matches!(before, "mild" | "moderate" | "used") || next == "severe");
        if !relative && !severity && (word == "to" || ENDS.binary_search(&word).is_ok()) {
            break;
        }
        end += 1;
    }
    end
}

pub(super) fn is_head(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    HEADS.binary_search(&word).is_ok() || HEADS.binary_search(&singular).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [HEADS, QUALIFIERS, LINKS, ENDS] {
            assert!(table.is_sorted(), "{table:?}");
        }
    }
}
