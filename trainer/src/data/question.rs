//! [`Question`]: what an episode is asked, and what its answer is held against.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, read};

/// Bytes of one line that are read; a question with its options has some thousands.
const MAX_LINE: u64 = 1 << 20;

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name, once in a file.
    pub id: String,
    /// As a clinician would ask it.
    pub question: String,
    /// What answers it.
    pub gold: Gold,
    /// Keys of the documents that hold the answer; may be empty.
    #[serde(default)]
    pub documents: Vec<String>,
    /// How many documents must be read one after another.
    #[serde(default = "one")]
    pub hops: u8,
}

fn one() -> u8 {
    1
}

/// What counts as a right answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gold {
    /// One of these, but for case, punctuation and articles.
    Exact(Vec<String>),
    /// As many words as possible of one of these, and few others.
    Overlap(Vec<String>),
    /// The meaning of one of these, by an encoder, with the same numbers.
    Semantic(Vec<String>),
    /// The letter of one of several options, the first of which is A.
    #[serde(rename_all = "kebab-case")]
    Choice {
        /// `A` to `Z`.
        letter: char,
        /// What each says.
        options: Vec<String>,
    },
    /// Yes, no or maybe.
    Verdict(Verdict),
}

/// The three answers of PubMedQA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The evidence does not tell.
    Maybe,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Yes, Self::No, Self::Maybe];

    /// As written in an answer, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Maybe => "maybe",
        }
    }
}

impl Question {
    /// Says what makes it unanswerable, if anything does.
    pub(crate) fn fault(&self) -> Option<String> {
        let blank = |text: &String| text.trim().is_empty();
        if blank(&self.id) || blank(&self.question) {
            return Some("the id or the question is empty".to_owned());
        }
        match &self.gold {
            Gold::Exact(answers) | Gold::Overlap(answers) | Gold::Semantic(answers) => {
                (answers.is_empty() || answers.iter().any(blank)).then(|| "an answer is empty".to_owned())
            }
            Gold::Choice { letter, options } => {
                let last = char::from(b'A' + options.len().clamp(1, 26) as u8 - 1);
                let is_there = options.len() >= 2 && ('A'..=last).contains(letter);
                (!is_there).then(|| format!("the answer `{letter}` is not among {} options", options.len()))
            }
            Gold::Verdict(_) => None,
        }
    }
}

/// Reads questions, one JSON object a line; blank lines are passed over.
///
/// # Errors
/// [`Error::Io`] for an unreadable file; [`Error::Data`] with its line for what is no question, an
/// answer that is not among the options, a name that is there twice, and for a file without questions.
pub fn questions(path: &Path) -> Result<Vec<Question>> {
    let mut reader = BufReader::new(File::open(path).map_err(read(path))?);
    let (mut questions, mut names, mut bytes) = (Vec::new(), BTreeSet::new(), Vec::new());
    let data = |line: usize, reason: String| Error::Data { file: path.to_owned(), line, reason };
    for line in 1.. {
        bytes.clear();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(read(path))? == 0 {
            break;
        }
        if bytes.len() as u64 == MAX_LINE {
            return Err(data(line, format!("is longer than {MAX_LINE} bytes")));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let question: Question =
            serde_json::from_slice(&bytes).map_err(|error| data(line, format!("is no question: {error}")))?;
        if let Some(fault) = question.fault() {
            return Err(data(line, fault));
        }
        if !names.insert(question.id.clone()) {
            return Err(data(line, format!("question `{}` is there twice", question.id)));
        }
        questions.push(question);
    }
    if questions.is_empty() {
        return Err(data(0, "holds no question".to_owned()));
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &str) -> Result<Vec<Question>> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("questions.jsonl");
        std::fs::write(&path, lines).unwrap();
        questions(&path)
    }

    #[test]
    fn every_kind_of_answer_is_read() {
        let lines = r#"
{"id":"1","question":"Dose?","gold":{"exact":["40 mg"]},"documents":["a"],"hops":2}
{"id":"2","question":"Which?","gold":{"choice":{"letter":"B","options":["x","y"]}}}
{"id":"3","question":"Does it?","gold":{"verdict":"maybe"}}
{"id":"4","question":"Why?","gold":{"overlap":["because of this"]}}
{"id":"5","question":"How?","gold":{"semantic":["like this"]}}"#;
        let questions = read_lines(lines).unwrap();
        assert_eq!((questions.len(), questions[0].hops, questions[2].hops), (5, 2, 1));
        let again: Vec<_> = questions.iter().map(|question| serde_json::to_string(question).unwrap()).collect();
        assert_eq!(read_lines(&again.join("\n")).unwrap(), questions);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_line() {
        let good = r#"{"id":"1","question":"q","gold":{"exact":["x"]}}"#;
        for (line, said) in [
            (r#"{"id":"2","question":"q"}"#, "missing field `gold`"),
            (r#"{"id":"2","question":" ","gold":{"exact":["x"]}}"#, "is empty"),
            (r#"{"id":"2","question":"q","gold":{"exact":[]}}"#, "answer is empty"),
            (r#"{"id":"2","question":"q","gold":{"choice":{"letter":"C","options":["x","y"]}}}"#, "`C` is not among 2"),
            (r#"{"id":"2","question":"q","gold":{"exact":["x"]},"colour":1}"#, "colour"),
            (good, "`1` is there twice"),
            ("[", "is no question"),
        ] {
            let error = read_lines(&format!("{good}\n\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains("questions.jsonl:3:") && error.contains(said), "{error}");
        }
        assert!(read_lines("\n").unwrap_err().to_string().contains("holds no question"));
        assert!(questions(Path::new("/nowhere")).unwrap_err().to_string().contains("cannot read"));
    }
}
