//! What every policy from nothing has in common: the marks around messages, the chat template, and the
//! phrases that the environment writes, each of which is one token.

use agent::protocol::{Fault, Profile, correction, force_final};
use nn::Tokenizer;
use serde_json::{Value, json};

use crate::{Error, Result, Sample};

/// Opens the user's message.
pub(crate) const USER: &str = "<|user|>";
/// Opens the assistant's message.
pub(crate) const ASSISTANT: &str = "<|assistant|>";
/// Ends a message.
pub(crate) const END: &str = "<|end|>";

/// `tokenizer_config.json`. The template leaves the system message out: a policy of one task needs no
/// instructions, and reads a tenth as much.
pub(crate) fn tokenizer_config(positions: usize) -> Value {
    let template = format!(
        "{{%- for message in messages -%}}\
         {{%- if message['role'] == 'user' -%}}{{{{- '{USER}' + message['content'] -}}}}\
         {{%- elif message['role'] == 'assistant' -%}}{{{{- '{ASSISTANT}' + message['content'] + '{END}' -}}}}\
         {{%- endif -%}}{{%- endfor -%}}\
         {{%- if add_generation_prompt -%}}{{{{- '{ASSISTANT}' -}}}}{{%- endif -%}}"
    );
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions, "pad_token": END,
        "eos_token": END, "clean_up_tokenization_spaces": false, "chat_template": template,
    })
}

/// The marks around messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    user: u32,
    assistant: u32,
    end: u32,
}

impl Marks {
    /// Those of a tokenizer.
    ///
    /// # Errors
    /// When it lacks one.
    pub(crate) fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let special = |token| {
            let missing = || Error::Shape(format!("the tokenizer of the task has no `{token}`"));
            tokenizer.id(token).ok_or_else(missing)
        };
        Ok(Self { user: special(USER)?, assistant: special(ASSISTANT)?, end: special(END)? })
    }

    /// What a user said and what the assistant answered; the answer is learnt.
    pub(crate) fn lesson(self, said: &[u32], answered: &[u32]) -> Sample {
        let ids = [&[self.user], said, &[self.assistant], answered, &[self.end]].concat();
        let mask = (0..ids.len()).map(|place| place > said.len() + 1).collect();
        Sample { ids, mask }
    }
}

/// What the protocol writes around thoughts, actions and evidence.
pub(crate) fn tags() -> &'static [&'static str] {
    &[
        "<think>",
        "</think>",
        "<search>",
        "</search>",
        "<answer>",
        "</answer>",
        "<abstain reason=\"insufficient\">",
        "</abstain>",
        "\n\n<information>\n",
        "</information>\n\n",
        "No evidence found for: ",
    ]
}

/// What the environment says beside evidence: that search is over, and what was wrong with a turn.
pub(crate) fn environment() -> Vec<String> {
    const FAULTS: [Fault; 8] = [
        Fault::MalformedTag,
        Fault::EnvironmentTag,
        Fault::TooManyQueries,
        Fault::EmptyQuery,
        Fault::LongQuery,
        Fault::EmptyAnswer,
        Fault::NoAction,
        Fault::LongTurn,
    ];
    let mut phrases = vec![force_final(Profile::SearchR1)];
    // A correction is a beginning, advice for each fault, and an end.
    let whole = correction(Profile::SearchR1, &[]);
    if let Some((begin, end)) = whole.split_once(": .") {
        phrases.push(format!("{begin}: "));
        phrases.push(format!(".{end}"));
    }
    phrases.extend(FAULTS.map(|fault| fault.advice().to_owned()));
    phrases.push("; ".to_owned());
    phrases
}
