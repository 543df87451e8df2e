//! [`standalone`]: a follow-up question as one that can be understood alone.
//!
//! Where the earlier question asked for a thing (`which drug ...`), the two are put together, as if they had been asked in one
//! breath: the thing is found as in any question of two hops. Elsewhere what stands for the subject is replaced by its name.

use super::decompose::asks_for_thing;
use crate::Earlier;
use crate::matching::{stems, words};

/// How a question begins that says only what is different now.
const ELLIPSES: [&str; 6] = ["and what about ", "and how about ", "what about ", "how about ", "and if ", "and "];
/// Words that stand for what was spoken of before.
const REFERRING: [&str; 10] = ["it", "its", "they", "them", "their", "this", "these", "those", "that", "there"];

/// `question` with its subject in place of the word that stands for it, where it cannot be understood alone; else nothing.
pub(super) fn standalone(earlier: &Earlier, question: &str) -> Option<String> {
    let asked = question.trim();
    let lower = asked.to_ascii_lowercase();
    let ellipsis = ELLIPSES.iter().find(|ellipsis| lower.starts_with(**ellipsis));
    let refers = |word: &str| REFERRING.contains(&word.to_lowercase().as_str());
    let referring = words(asked).find(|word| refers(word));
    if ellipsis.is_none() && referring.is_none() {
        return None;
    }
    if asks_for_thing(&earlier.question) {
        let before = earlier.question.trim().trim_end_matches(['?', '.']);
        return Some(match ellipsis {
            Some(ellipsis) => format!("{before}; what of it {}", &asked[ellipsis.len()..]),
            None => format!("{before}; {asked}"),
        });
    }
    let subject = subject(earlier)?;
    if let Some(ellipsis) = ellipsis {
        return Some(format!("{subject} {}", &asked[ellipsis.len()..]));
    }
    let word = referring?;
    let at = word.as_ptr() as usize - asked.as_ptr() as usize;
    Some(format!("{}{subject}{}", &asked[..at], &asked[at + word.len()..]))
}

/// What the earlier episode was about: the title of a document that its question names, else of the first.
fn subject(earlier: &Earlier) -> Option<&str> {
    let asked = stems(&earlier.question);
    let titles = || earlier.evidence.iter().filter(|one| !one.is_withdrawn()).map(|one| one.title.as_str());
    let is_named = |title: &&str| {
        let title = stems(title);
        !title.is_empty() && title.iter().all(|stem| asked.contains(stem))
    };
    titles().find(is_named).or_else(|| titles().next())
}

#[cfg(test)]
mod tests {
    use retriever::{Fixed, Ledger, Query, Retrieve};

    use super::*;

    fn earlier(question: &str, answer: &str) -> Earlier {
        let library = Fixed::new([
            ("diabetes", "Type 2 diabetes", "The first-line drug for type 2 diabetes is metformin."),
            ("metformin", "Metformin", "Metformin lowers glucose in diabetes."),
        ]);
        let mut ledger = Ledger::new(1_000);
        let found = library.retrieve(&Query::new("diabetes metformin drug")).unwrap();
        let ids: Vec<_> = found.iter().map(|hit| hit.chunk).collect();
        for chunk in library.read(&ids).unwrap().into_iter().flatten() {
            ledger.admit(chunk);
        }
        let evidence = ledger.entries().to_vec();
        let trace = crate::TraceId::new(jiff::Timestamp::UNIX_EPOCH, b"");
        Earlier {
            trace: Some(trace),
            question: question.to_owned(),
            answer: answer.to_owned(),
            labels: evidence.len(),
            evidence,
        }
    }

    #[test]
    fn what_refers_is_named_and_the_rest_left_alone() {
        let asked_for = earlier("Which drug is first-line for type 2 diabetes?", "It is metformin.");
        let named = earlier("How common is type 2 diabetes?", "Very.");
        for (earlier, question, expect) in [
            (
                &asked_for,
                "When must it be avoided?",
                Some("Which drug is first-line for type 2 diabetes; When must it be avoided?"),
            ),
            (
                &asked_for,
                "What about in pregnancy?",
                Some("Which drug is first-line for type 2 diabetes; what of it in pregnancy?"),
            ),
            (&named, "What about in children?", Some("Type 2 diabetes in children?")),
            (&named, "Who gets it?", Some("Who gets Type 2 diabetes?")),
            (&named, "How is gout treated?", None),
            (&named, "Who gets itchy?", None),
            (&named, "", None),
        ] {
            assert_eq!(standalone(earlier, question).as_deref(), expect, "{question}");
        }
        let nothing = Earlier { evidence: Vec::new(), ..named };
        assert_eq!(standalone(&nothing, "Who gets it?"), None);
        let alone = Earlier::asked(asked_for.question);
        let whole = "Which drug is first-line for type 2 diabetes; When must it be avoided?";
        assert_eq!(standalone(&alone, "When must it be avoided?").as_deref(), Some(whole));
    }
}
