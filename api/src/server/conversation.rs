//! [`Conversation`]: what a client that keeps a conversation itself sends of it beside the question.
//!
//! Such a client sends back texts and no name of a trace. A turn is found again by what its question and its answer hash to, and
//! the question before them, since many turns end in the same few words of abstention; that is kept with its trace. The question
//! then goes on from that episode, with its evidence under the same labels. Of a turn that is not found only the question is taken.
//!
//! **Invariant.** What a message says was answered is never read as an answer: it only finds a trace, and only one of the same
//! caller. What was asked before is a question like any other: as long at most, and without identifiers of a person.

use agent::phi::redact;
use agent::{Earlier, Trace};

use super::Service;
use super::caller::Caller;
use super::error::ApiError;
use super::wire::{self, Answer};

/// What a reader is told where a turn is not found.
const QUESTION_ALONE: &str = "the answer before this question was not found among those kept here: of the earlier messages only the last \
                              question was read";
/// And where nothing could be made of what came before.
const UNREAD: &str = "earlier messages of this conversation were not read: ask questions that stand for themselves";

/// A question's place in a conversation.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    /// What came before it.
    pub(super) before: Before,
    /// What was asked last before it, whether that was answered or not.
    pub(super) previous: Option<String>,
    /// How its answer will stand in the conversation.
    pub(super) told: fn(&Answer) -> String,
}

/// What came before a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// Questions that nothing answered.
    Unanswered,
    /// A turn.
    Turn {
        /// What was asked before that.
        previous: Option<String>,
        /// What was asked.
        question: String,
        /// What is said to have been answered, as it was told.
        answer: String,
    },
}

impl Before {
    /// What the question goes on from, and what its reader should know.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn recall(
        &self,
        service: &Service,
        caller: &Caller,
    ) -> Result<(Option<Earlier>, Option<&'static str>), ApiError> {
        let (previous, question, answer) = match self {
            Self::Nothing => return Ok((None, None)),
            Self::Unanswered => return Ok((None, Some(UNREAD))),
            Self::Turn { previous, question, answer } => (previous, question, answer),
        };
        // what would be refused as a question was never answered
        let admitted = wire::worded("messages", question)
            .and_then(|()| Ok(service.phi.admit(question, service.policy.is_remote())?));
        let Ok(admitted) = admitted else { return Ok((None, Some(UNREAD))) };
        let hash = turn_hash(previous.as_deref(), &admitted.text, answer);
        match service.stores.read(caller, |view| view.told(&hash))? {
            Some(json) => Ok((Some(Earlier::of(&Trace::from_json(&json)?)), None)),
            None => Ok((Some(Earlier::asked(redact(&admitted.text))), Some(QUESTION_ALONE))),
        }
    }
}

impl Conversation {
    /// One that begins with the question.
    pub(super) fn new(told: fn(&Answer) -> String) -> Self {
        Self { before: Before::Nothing, previous: None, told }
    }

    /// What the turn of `question` and `answer` will be found by; nothing where the question holds identifiers, which must not be
    /// guessed from what is stored.
    pub(super) fn hash(&self, question: &str, answer: &Answer) -> Option<[u8; 32]> {
        let is_free = redact(question) == question;
        is_free.then(|| turn_hash(self.previous.as_deref(), question, &(self.told)(answer)))
    }
}

/// Clients trim texts and change ends of lines: words alone count.
fn turn_hash(previous: Option<&str>, question: &str, answer: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("anamnesis turn of a conversation, version 1");
    let previous = previous.map(redact).unwrap_or_default();
    for text in [previous.as_str(), question, answer] {
        for word in text.split_whitespace() {
            hasher.update(word.as_bytes()).update(b" ");
        }
        hasher.update(b"\n");
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_its_words() {
        let turn = turn_hash(None, "What is lithium for?", "Bipolar disorder. [E1]\n\nNo advice.");
        assert_eq!(turn_hash(None, " What is lithium\tfor?\n", "Bipolar disorder. [E1]\r\n\r\nNo advice."), turn);
        for (previous, question, answer) in [
            (None, "What is lithium for?", "Bipolar disorder. [E2]\n\nNo advice."),
            (None, "What is warfarin for?", "Bipolar disorder. [E1]\n\nNo advice."),
            (None, "What is lithium for? Bipolar", "disorder. [E1]\n\nNo advice."),
            (None, "What is lithium for?", "Bipolardisorder. [E1]\n\nNo advice."),
            (Some("What is gout?"), "What is lithium for?", "Bipolar disorder. [E1]\n\nNo advice."),
            (Some("What is"), "lithium for?", "Bipolar disorder. [E1]\n\nNo advice."),
            (None, "", ""),
        ] {
            assert_ne!(turn_hash(previous, question, answer), turn, "{previous:?} {question} {answer}");
        }
    }
}
