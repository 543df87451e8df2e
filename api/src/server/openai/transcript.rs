//! [`Transcript`]: an answer as one text, for clients that show a message and no structure.
//!
//! Sentences with labels such as `[E1]`, then what a reader should know, then the notice. Sentences that are
//! told before the answer is final cannot be unsaid: one that the final answer does not hold is taken back in
//! words. Text of others is escaped, so that no quoted document can forge a label.

use agent::protocol::{Profile, escape};

use crate::server::origin::Reached;
use crate::server::wire::Answer;
use crate::server::wire::openai::{Annotation, Citing};

/// What a message holds so far.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    content: String,
    /// Of the content, since clients count characters.
    characters: usize,
    /// Sentences in the content, without labels.
    told: Vec<String>,
    marks: Vec<Mark>,
}

/// A label in the content, in characters.
#[derive(Debug)]
struct Mark {
    label: String,
    start: usize,
    end: usize,
}

/// The whole of `answer` as one text.
pub(super) fn content(answer: &Answer) -> String {
    let mut transcript = Transcript::default();
    transcript.finish(answer);
    transcript.content
}

impl Transcript {
    /// Adds a sentence; gives what is new in the content.
    pub(super) fn sentence(&mut self, text: &str, cites: &[String]) -> String {
        let from = self.content.len();
        if !self.told.is_empty() {
            self.push(" ");
        }
        self.push(&escape(Profile::default(), text));
        for (place, label) in cites.iter().enumerate() {
            self.push(if place == 0 { " " } else { "" });
            let start = self.characters;
            self.push(&format!("[{label}]"));
            self.marks.push(Mark { label: label.clone(), start, end: self.characters });
        }
        self.told.push(text.to_owned());
        self.content[from..].to_owned()
    }

    /// Adds what `answer` has and the content does not; gives what is new.
    pub(super) fn finish(&mut self, answer: &Answer) -> String {
        let from = self.content.len();
        let before = self.told.clone();
        for sentence in answer.sentences() {
            if !before.iter().any(|told| told == sentence.text()) {
                self.sentence(sentence.text(), sentence.cites());
            }
        }
        for told in &before {
            if !answer.sentences().iter().any(|sentence| sentence.text() == told) {
                self.paragraph(&format!("Taken back, since the evidence does not bear it: “{told}”"));
            }
        }
        if answer.is_abstention() {
            self.paragraph(answer.text());
        }
        for sentence in answer.sentences() {
            if let Some(concern) = sentence.concern() {
                self.paragraph(&format!("Check “{}”: {concern}", sentence.text()));
            }
        }
        for remark in answer.remarks() {
            self.paragraph(&remark);
        }
        for warning in answer.warnings() {
            self.paragraph(&format!("Note: {warning}"));
        }
        self.paragraph(answer.notice());
        self.content[from..].to_owned()
    }

    /// Where which work is cited. A client that shows a link knows nothing of this service, so that links to it are whole.
    pub(super) fn annotations(&self, answer: &Answer, reached: &Reached) -> Vec<Annotation> {
        let annotation = |mark: &Mark| {
            let citation = answer.citations().iter().find(|citation| citation.label() == mark.label)?;
            Some(Annotation {
                kind: "url_citation",
                url_citation: Citing {
                    start_index: mark.start,
                    end_index: mark.end,
                    url: whole(citation.url(), reached),
                    title: citation.title().to_owned(),
                },
            })
        };
        self.marks.iter().filter_map(annotation).collect()
    }

    /// The whole text.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    fn paragraph(&mut self, text: &str) {
        if !self.content.is_empty() {
            self.push("\n\n");
        }
        self.push(&escape(Profile::default(), text));
    }

    fn push(&mut self, text: &str) {
        self.characters += text.chars().count();
        self.content.push_str(text);
    }
}

fn whole(url: String, reached: &Reached) -> String {
    if url.starts_with('/') { format!("{}{url}", reached.0) } else { url }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent::policy::Extractive;
    use agent::{Ask, Cancel, NOTICE};
    use retriever::Fixed;

    use super::*;

    fn answer() -> Answer {
        let text = "Métformin is contraindicated in metabolic acidosis.";
        let retriever = Fixed::new([("metformin", "Métformin", text)]);
        let task = Ask::new("When is métformin contraindicated?", jiff::Timestamp::UNIX_EPOCH);
        let clock = || Duration::ZERO;
        let trace = agent::ask::ask(&task, &Extractive, &retriever, &clock, &Cancel::new(), &mut |_| {}).unwrap();
        Answer::of(&trace)
    }

    #[test]
    fn what_is_told_and_what_follows_are_the_whole() {
        let answer = answer();
        let mut whole = Transcript::default();
        whole.finish(&answer);
        let mut told = Transcript::default();
        let sentence = &answer.sentences()[0];
        let mut content = told.sentence(sentence.text(), sentence.cites());
        content += &told.finish(&answer);
        assert_eq!((content.as_str(), told.content()), (whole.content(), whole.content()));
        assert!(content.starts_with(&format!("{} [E1]", sentence.text())), "{content}");
        // places are counted in characters, of which the text has fewer than bytes
        let annotations = told.annotations(&answer, &Reached("https://evidence.example.org".to_owned()));
        let citing = &annotations[0].url_citation;
        let label: String =
            content.chars().skip(citing.start_index).take(citing.end_index - citing.start_index).collect();
        assert_eq!((label.as_str(), citing.title.as_str()), ("[E1]", "Métformin"));
        assert!(citing.url.starts_with("https://evidence.example.org/v1/chunks/"), "{}", citing.url);
    }

    #[test]
    fn a_sentence_that_the_answer_does_not_hold_is_taken_back() {
        let answer = answer();
        let mut transcript = Transcript::default();
        transcript.sentence("It cures everything.", &["E1".to_owned()]);
        let rest = transcript.finish(&answer);
        let back = "Taken back, since the evidence does not bear it: “It cures everything.”";
        assert!(rest.contains(back) && rest.contains(answer.sentences()[0].text()) && rest.ends_with(NOTICE), "{rest}");
    }

    #[test]
    fn a_warning_and_its_document_forge_nothing() {
        let mut answer = answer();
        answer.warn("see [E7] </answer>".to_owned());
        let mut transcript = Transcript::default();
        let content = transcript.finish(&answer);
        assert!(content.contains("Note: see ［E7］ ‹/answer>"), "{content}");
        assert_eq!(transcript.annotations(&answer, &Reached::default()).len(), answer.sentences()[0].cites().len());
    }
}
