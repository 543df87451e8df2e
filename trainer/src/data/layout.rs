//! [`Text`]: a record to ids and a mask, as the model that learns from it would see it.

use nn::{ChatTemplate, DecoderConfig, Message, RenderOptions, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result, Sample};

/// What templates are told of today's date: always the same, so that the same data gives the same ids.
const TODAY: jiff::civil::DateTime = jiff::civil::datetime(2024, 7, 26, 12, 0, 0, 0);

/// Stands for the content of a turn, to find out what a template puts after it.
const MARK: &str = "anamnesis-turn";
/// What some templates open a turn with.
const THINK: &str = "<think>";

/// How a model reads text.
#[derive(Debug)]
pub struct Text {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    ends: Vec<u32>,
    /// Ids run from 0 to below this.
    vocabulary: usize,
}

impl Text {
    /// Tokenizer and chat template of the model folder `dir`.
    ///
    /// # Errors
    /// Those of a folder that is damaged.
    pub fn open(dir: &std::path::Path) -> Result<Self> {
        let config = DecoderConfig::open(dir)?;
        let tokenizer = Tokenizer::open(dir)?;
        tokenizer.check_vocabulary(config.vocab_size)?;
        let (ends, vocabulary) = (config.eos_token_ids, config.vocab_size);
        Ok(Self { tokenizer, template: ChatTemplate::open(dir)?, ends, vocabulary })
    }

    /// The sample of a record.
    ///
    /// # Errors
    /// [`Error::Input`] that says what is missing or cannot be laid out.
    pub fn sample(&self, record: &Value) -> Result<Sample> {
        if record.get("ids").is_some() {
            return self.encoded(record);
        }
        let text = |field: &str| match record.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => refuse(format!("`{field}` is no text")),
        };
        let sample = match (record.get("messages"), text("prompt")?, text("completion")?, text("text")?) {
            (Some(messages), None, None, None) => {
                let messages = Vec::<Message>::deserialize(messages);
                self.conversation(&messages.or_else(|error| refuse(format!("`messages`: {error}")))?)?
            }
            (None, Some(prompt), Some(completion), None) => self.completion(prompt, completion)?,
            (None, None, None, Some(text)) => self.plain(text)?,
            (None, Some(_), None, None) => return refuse("has a `prompt` without a `completion`".to_owned()),
            (None, None, Some(_), None) => return refuse("has a `completion` without a `prompt`".to_owned()),
            _ => {
                return refuse(
                    "needs `messages`, or `prompt` and `completion`, or `text`, or `ids` and `mask`, and only one of these".into(),
                );
            }
        };
        sample.check().or_else(|error| refuse(error.to_string()))?;
        Ok(sample)
    }

    fn encoded(&self, record: &Value) -> Result<Sample> {
        let sample = Sample::deserialize(record).or_else(|error| refuse(format!("`ids` and `mask`: {error}")))?;
        if let Some(id) = sample.ids.iter().find(|id| **id as usize >= self.vocabulary) {
            return refuse(format!("token {id} is beyond the {} of the vocabulary", self.vocabulary));
        }
        sample.check().or_else(|error| refuse(error.to_string()))?;
        Ok(sample)
    }

    fn plain(&self, text: &str) -> Result<Sample> {
        if text.trim().is_empty() {
            return refuse("`text` is empty".to_owned());
        }
        let mut ids = self.tokenizer.encode_opening(text)?;
        ids.extend(self.ends.first());
        let mask = (0..ids.len()).map(|at| at > 0).collect();
        Ok(Sample { ids, mask })
    }

    fn completion(&self, prompt: &str, completion: &str) -> Result<Sample> {
        for (field, text) in [("prompt", prompt), ("completion", completion)] {
            if text.trim().is_empty() {
                return refuse(format!("`{field}` is empty"));
            }
        }
        if self.template.is_some() {
            return self.conversation(&[Message::new("user", prompt), Message::new("assistant", completion)]);
        }
        let mut sample = Sample::default();
        push(&mut sample, self.tokenizer.encode_opening(prompt)?, |_| false);
        push(&mut sample, self.tokenizer.encode_text(completion)?, |_| true);
        push(&mut sample, self.ends.first().copied().into_iter().collect(), |_| true);
        Ok(sample)
    }

    fn conversation(&self, messages: &[Message]) -> Result<Sample> {
        let Some(template) = &self.template else {
            return refuse("has `messages`, but the model has no chat template: give `prompt` and `completion`".into());
        };
        if !messages.iter().any(|message| message.role == "assistant") {
            return refuse("`messages` has no turn of the assistant, so nothing is learnt".to_owned());
        }
        if let Some(at) = messages.iter().position(|message| message.content.trim().is_empty()) {
            return refuse(format!("`messages[{at}]` has no content"));
        }
        let messages: Vec<Message> = messages
            .iter()
            .map(|message| Message::new(message.role.as_str(), self.tokenizer.defuse(&message.content)))
            .collect();
        let render = |messages: &[Message], opened: bool| -> Result<String> {
            let options = RenderOptions { add_generation_prompt: opened, enable_thinking: None, now: TODAY };
            template.render(messages, &options).or_else(|error| refuse(error.to_string()))
        };
        let mut sample = Sample::default();
        // What of the rendered conversation is in the sample.
        let mut done = String::new();
        for (at, message) in messages.iter().enumerate().filter(|(_, message)| message.role == "assistant") {
            let opened = render(&messages[..at], true)?;
            let mut closed = render(&messages[..=at], false)?;
            if at + 1 == messages.len() && !closed.starts_with(&opened) {
                // The template opens a turn with more than it shows of one that is over, as `<think>`.
                let mut marked = messages.clone();
                MARK.clone_into(&mut marked[at].content);
                let marked = render(&marked, false)?;
                let end = marked.rsplit_once(MARK).map_or("", |(_, end)| end);
                let content = message.content.trim_start();
                let content = match content.strip_prefix(THINK) {
                    Some(thought) if opened.trim_end().ends_with(THINK) => thought.trim_start(),
                    _ => content,
                };
                closed = format!("{opened}{content}{end}");
            }
            let (Some(before), Some(turn)) = (opened.strip_prefix(&done), closed.strip_prefix(&opened)) else {
                return refuse(format!(
                    "the chat template writes what stands before `messages[{at}]` in another way once more follows: \
                     give each turn of the assistant as the last of a record of its own"
                ));
            };
            push(&mut sample, self.tokenizer.encode_prompt(before)?, |_| false);
            let turn = self.tokenizer.encode_prompt(turn)?;
            let end = turn.iter().position(|id| self.ends.contains(id)).unwrap_or(turn.len());
            push(&mut sample, turn, |place| place <= end);
            done = closed;
        }
        Ok(sample)
    }
}

fn push(sample: &mut Sample, ids: Vec<u32>, learnt: impl Fn(usize) -> bool) {
    // Nothing predicts the first token of all.
    let first = sample.ids.len();
    sample.mask.extend((0..ids.len()).map(|place| first + place > 0 && learnt(place)));
    sample.ids.extend(ids);
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Input(reason))
}
