//! Comparisons: one need for each side.

use super::Need;
use crate::matching::{is_stop_word, words};

/// `How do A and B differ in X`, `A versus B for X`, `is A better than B`, `difference between A and B`.
pub(super) fn compare(question: &str) -> Option<Vec<Need>> {
    let tokens: Vec<_> = words(question).collect();
    let lower: Vec<_> = tokens.iter().map(|word| word.to_lowercase()).collect();
    let find = |wanted: &[&str]| lower.iter().position(|word| wanted.contains(&word.as_str()));
    let versus = |index: usize| match lower[index].as_str() {
        "versus" | "vs" => Some(1),
        "compared" | "compare" if matches!(lower.get(index + 1).map(String::as_str), Some("with" | "to")) => Some(2),
        _ => None,
    };
    let (left, right) = if let Some((at, width)) =
        (1..lower.len()).find_map(|index| versus(index).map(|width| (index, width)))
    {
        (span_before(&lower, at), span_after(&lower, at + width))
    } else if let Some(than) = find(&["than"])
        && let Some(more) = lower[..than].iter().rposition(|word| {
            matches!(word.as_str(), "better" | "safer" | "worse" | "more" | "less" | "faster" | "stronger" | "cheaper")
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
        let compares =
            lower.iter().any(|word| word.starts_with("differ") || word.starts_with("compar") || word == "choose");
        let and = (from..to).find(|index| lower[*index] == "and").filter(|_| compares)?;
        (from..and, if lower[at] == "between" { span_after(&lower, and + 1) } else { and + 1..to })
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
        let text = format!("{side} {}", aspect.join(" ")).trim().to_owned();
        Need { asked: text.clone(), text, via: None, side: Some(side) }
    };
    Some(vec![side(left), side(right)])
}

/// The words before `at`, back to a word that cannot be part of a name.
fn span_before(lower: &[String], at: usize) -> std::ops::Range<usize> {
    let start = lower[..at].iter().rposition(|word| is_stop_word(word)).map_or(0, |index| index + 1);
    start..at
}

fn span_after(lower: &[String], from: usize) -> std::ops::Range<usize> {
    let from = from.min(lower.len());
    let end = lower[from..].iter().position(|word| is_stop_word(word)).map_or(lower.len(), |index| from + index);
    from..end
}
