//! [`standalone`]: a follow-up question as one that can be understood alone.
//!
//! Where the earlier question asked for a thing (`which drug ...`), the two are put together, as if they had been asked in one
//! breath: the thing is found as in any question of two hops. Elsewhere what stands for the subject is replaced by its name, and
//! what names none of its own keeps the earlier question's.

use super::aspect::Aspects;
use super::decompose::{asks_for_thing, asks_nothing, is_talk};
use super::subject::Subjects;
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
    let rest = ellipsis.map_or(asked, |ellipsis| &asked[ellipsis.len()..]);
    let own = Subjects::of(rest);
    let referring = words(asked).find(|word| REFERRING.contains(&word.to_lowercase().as_str()));
    // `Is that true?` asks nothing of the literature; `How much?` asks it of what was spoken of.
    let asks = !asks_nothing(asked) || !Aspects::of(asked).is_empty() || asks_how(&lower);
    if !asks && (referring.is_none() || is_talk(asked)) {
        return None;
    }
    if ellipsis.is_none() && referring.is_none() && !own.is_only_matters() {
        return None;
    }
    let before = earlier.question.trim().trim_end_matches(['?', '.']);
    if asks_for_thing(&earlier.question) && own.is_only_matters() {
        return Some(match ellipsis {
            Some(_) => format!("{before}; what of it {rest}"),
            None => format!("{before}; {asked}"),
        });
    }
    let topic = Subjects::of(before).topic();
    if ellipsis.is_some() && !own.is_only_matters() {
        // `What about warfarin?`: the same of another.
        let known = topic.text();
        let at = before.find(&known).filter(|_| !known.is_empty() && own.is_of_drug() == topic.is_of_drug())?;
        return Some([&before[..at], rest.trim_end_matches('?'), &before[at + known.len()..]].concat());
    }
    match referring {
        Some(word) if ellipsis.is_none() => {
            let subject = subject(earlier)?;
            let at = word.as_ptr() as usize - asked.as_ptr() as usize;
            Some([&asked[..at], &subject, &asked[at + word.len()..]].concat())
        }
        _ if Aspects::of(rest).is_empty() && !asks_how(&lower) => {
            (!topic.is_empty()).then(|| format!("{before} {rest}"))
        }
        _ => Some(format!("{} {rest}", subject(earlier)?)),
    }
}

/// Whether a question asks for a measure, whatever of.
fn asks_how(lower: &str) -> bool {
    const HOW: [&str; 7] = ["how much", "how many", "how long", "how often", "how soon", "how old", "how high"];
    HOW.iter().any(|how| lower.contains(how))
}

/// What the earlier episode was about: the title of a document that its question names, else the names in the question.
fn subject(earlier: &Earlier) -> Option<String> {
    let topic = Subjects::of(&earlier.question).topic();
    let asked = stems(&topic.text());
    let titles = || earlier.evidence.iter().filter(|one| !one.is_withdrawn()).map(|one| one.title.as_str());
    let is_named = |title: &&str| {
        let title = stems(title);
        !title.is_empty() && title.iter().all(|stem| asked.contains(stem))
    };
    titles().find(is_named).map(str::to_owned).or_else(|| (!topic.is_empty()).then(|| topic.text()))
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
        let drug = earlier("What is the dose of apixaban in atrial fibrillation?", "5 mg.");
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
            (&asked_for, "How much?", Some("Which drug is first-line for type 2 diabetes; How much?")),
            (&asked_for, "In pregnancy?", Some("Which drug is first-line for type 2 diabetes; In pregnancy?")),
            (&asked_for, "Is that true?", None),
            (&named, "What about in children?", Some("How common is type 2 diabetes in children?")),
            (&named, "How is it monitored?", Some("How is Type 2 diabetes monitored?")),
            (&named, "How long?", Some("Type 2 diabetes How long?")),
            (&named, "Thanks!", None),
            (&drug, "What about warfarin?", Some("What is the dose of warfarin in atrial fibrillation")),
            (&drug, "And in pregnancy?", Some("What is the dose of apixaban in atrial fibrillation in pregnancy?")),
            (&drug, "Can it be stopped?", Some("Can apixaban be stopped?")),
            (&named, "Who gets it?", Some("Who gets Type 2 diabetes?")),
            (&named, "How is gout treated?", None),
            (&named, "Who gets itchy?", None),
            (&named, "", None),
        ] {
            assert_eq!(standalone(earlier, question).as_deref(), expect, "{question}");
        }
        let nothing = Earlier { question: "How often?".to_owned(), evidence: Vec::new(), ..named };
        assert_eq!(standalone(&nothing, "Who gets it?"), None);
        let alone = Earlier::asked(asked_for.question);
        let whole = "Which drug is first-line for type 2 diabetes; When must it be avoided?";
        assert_eq!(standalone(&alone, "When must it be avoided?").as_deref(), Some(whole));
    }
}
