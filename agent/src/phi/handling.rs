//! [`Handling`]: what becomes of a question that holds identifiers, and a trace without them.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::{Identifier, Kind, find, kinds, redact};
use crate::{Error, Result, Trace};

/// What becomes of a text that holds identifiers of a patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// They are taken out before anything else sees the text.
    #[default]
    Redact,
    /// It is refused.
    Block,
    /// It is used as it is on this machine; what is stored is redacted, and nothing of it leaves.
    AllowLocal,
}

/// A text that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The text, perhaps redacted.
    pub text: String,
    /// What whoever wrote it should know.
    pub warning: Option<String>,
}

impl Handling {
    const ALL: [Self; 3] = [Self::Redact, Self::Block, Self::AllowLocal];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Block => "block",
            Self::AllowLocal => "allow-local",
        }
    }

    /// `text` as it may be used; `is_remote` where it would leave this machine.
    ///
    /// # Errors
    /// [`Error::PersonalData`] when it may not be used.
    pub fn admit(self, text: &str, is_remote: bool) -> Result<Admitted> {
        let Some(kinds) = kinds(text) else {
            return Ok(Admitted { text: text.to_owned(), warning: None });
        };
        match self {
            Self::Redact => Ok(Admitted {
                text: redact(text),
                warning: Some(format!("identifiers were taken out of the question before it was used: {kinds}")),
            }),
            Self::AllowLocal if !is_remote => Ok(Admitted {
                text: text.to_owned(),
                warning: Some(format!(
                    "the question holds identifiers ({kinds}): it stays on this machine, and what is stored of it is redacted"
                )),
            }),
            Self::Block => Err(Error::PersonalData(format!(
                "the question holds identifiers of a person ({kinds}): ask again without them"
            ))),
            Self::AllowLocal => Err(Error::PersonalData(format!(
                "the question holds identifiers of a person ({kinds}) and the policy is not on this machine: ask again without them, \
                 or ask a local policy"
            ))),
        }
    }
}

impl fmt::Display for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Handling {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|handling| handling.as_str() == name);
        known.ok_or_else(|| Error::Input(format!("`{name}` is none of redact, block and allow-local")))
    }
}

/// `trace` as it may be stored: without the identifiers of its question, wherever they were repeated, and
/// then without token ids, which spell them too. One whose question holds none is as it was.
///
/// # Errors
/// [`Error::Trace`] when the trace has no JSON form.
pub fn storable(trace: &Trace) -> Result<Trace> {
    let found = find(&trace.question);
    if found.is_empty() {
        return Ok(trace.clone());
    }
    let mut words: Vec<(String, Kind)> = Vec::new();
    for Identifier { kind, span } in found {
        let whole = &trace.question[span];
        words.push((whole.to_lowercase(), kind));
        // one part of a name or an address says nearly as much
        if matches!(kind, Kind::Name | Kind::Address) {
            let parts = whole.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2);
            words.extend(parts.map(|part| (part.to_lowercase(), kind)));
        }
    }
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let mut stored = trace.clone();
    stored.opening = None;
    for segment in &mut stored.segments {
        (segment.token_ids, segment.logprobs, segment.version) = (None, None, None);
    }
    let bad = |error: serde_json::Error| Error::Trace(error.to_string());
    let mut value = serde_json::to_value(&stored).map_err(bad)?;
    scrub(&mut value, &words);
    let question = redact(&trace.question);
    value["question"] = Value::String(question);
    serde_json::from_value(value).map_err(bad)
}

/// Fields of a trace that hold documents' texts, or names of a closed set.
const OURS: [&str; 21] = [
    "against",
    "author",
    "by",
    "citations",
    "faults",
    "hits",
    "id",
    "label",
    "ledger",
    "nearest",
    "policy",
    "profile",
    "quote",
    "reviewed",
    "risks",
    "snapshot",
    "started",
    "stop",
    "strength",
    "support",
    "trace",
];

/// Takes `words` out of every text that is not a document's.
fn scrub(value: &mut Value, words: &[(String, Kind)]) {
    match value {
        Value::String(text) => {
            for (word, kind) in words {
                *text = without(text, word, kind.placeholder());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| scrub(value, words)),
        Value::Object(fields) => {
            let is_answer = fields.contains_key("citations");
            let own = fields.iter_mut().filter(|(name, value)| {
                let is_closed = match name.as_str() {
                    // an answer's is a name of ours, that of a question's parts is text
                    "outcome" => is_answer,
                    // the terms of the search, and not what was searched for
                    "query" => value.is_object(),
                    name => OURS.contains(&name),
                };
                !is_closed
            });
            own.for_each(|(_, value)| scrub(value, words));
        }
        _ => {}
    }
}

/// `text` with `placeholder` for each `word`, whatever its case, that is no part of a longer word.
fn without(text: &str, word: &str, placeholder: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    while let Some((start, end)) = (from..text.len())
        .filter(|at| text.is_char_boundary(*at))
        .find_map(|at| Some((at, starts_with(&text[at..], word)? + at)))
    {
        let stands_alone = !is_part(text[..start].chars().next_back()) && !is_part(text[end..].chars().next());
        out.push_str(&text[from..start]);
        out.push_str(if stands_alone { placeholder } else { &text[start..end] });
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Length of what of `text` is `lower`, which is in lower case.
fn starts_with(text: &str, lower: &str) -> Option<usize> {
    let mut wanted = lower.chars().peekable();
    for (at, c) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        for own in c.to_lowercase() {
            if wanted.next() != Some(own) {
                return None;
            }
        }
    }
    wanted.peek().is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use retriever::Fixed;

    use super::*;
    use crate::policy::Extractive;
    use crate::{Ask, Cancel, ask::ask};

    const QUESTION: &str = "Patient John Smith, MRN 4821973, born 03/12/1961: when is metformin contraindicated?";

    #[test]
    fn each_handling_does_what_it_says() {
        let plain = "When is metformin contraindicated?";
        for handling in Handling::ALL {
            assert_eq!(handling.admit(plain, true).unwrap(), Admitted { text: plain.to_owned(), warning: None });
            assert_eq!(handling.as_str().parse::<Handling>().unwrap(), handling);
        }
        let redacted = Handling::Redact.admit(QUESTION, true).unwrap();
        assert_eq!(redacted.text, "Patient [name], MRN [number], born [date]: when is metformin contraindicated?");
        assert!(redacted.warning.unwrap().contains("name, date, number"));
        assert_eq!(Handling::AllowLocal.admit(QUESTION, false).unwrap().text, QUESTION);
        for refused in [Handling::Block.admit(QUESTION, false), Handling::AllowLocal.admit(QUESTION, true)] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::PersonalData(_)));
            let message = error.to_string();
            assert!(!message.contains("Smith") && message.contains("without them"), "{message}");
        }
    }

    #[test]
    fn a_stored_trace_repeats_no_identifier() {
        let library =
            Fixed::new([("1", "Metformin", "Metformin is contraindicated in metabolic acidosis. Smith wrote it.")]);
        let task = Ask::new(QUESTION, jiff::Timestamp::UNIX_EPOCH);
        let trace = ask(&task, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
        let stored = storable(&trace).unwrap();
        let mut json = serde_json::to_value(&stored).unwrap();
        for document in ["ledger", "answer"] {
            json.as_object_mut().unwrap().remove(document);
        }
        let own = json.to_string().to_lowercase();
        for word in ["smith", "john", "4821973", "03/12/1961"] {
            assert!(!own.contains(word), "{word} in {own}");
        }
        assert_eq!(stored.ledger, trace.ledger, "documents stay as they are");
        // names that are words of a trace's own as well
        for name in ["Mark Low", "Rules High", "Neutral Support"] {
            let question = format!("Patient {name}, born 03/12/1961: when is metformin contraindicated?");
            let terms = Some(crate::review::Terms::default());
            let task = Ask { review: terms, ..Ask::new(question, jiff::Timestamp::UNIX_EPOCH) };
            let trace = ask(&task, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
            let stored = storable(&trace).unwrap();
            assert!(!stored.question.contains(name) && !stored.segments[0].text.contains(name), "{name}");
            assert_eq!((&stored.reviewed, stored.answer.outcome), (&trace.reviewed, trace.answer.outcome));
        }
        let plain = Ask::new("When is metformin contraindicated?", jiff::Timestamp::UNIX_EPOCH);
        let trace = ask(&plain, &Extractive, &library, &|| Duration::ZERO, &Cancel::new(), &mut |_| {}).unwrap();
        assert_eq!(storable(&trace).unwrap(), trace);
    }
}
