//! The opening of an episode: what the model reads before it first writes.

use nn::{Message, RenderOptions};

use super::Text;
use crate::Result;
use crate::protocol::{asked, system_prompt};
use crate::session::Task;

/// The ids of the system prompt and the question, as the chat template lays them out; as plain text for
/// a model that has none.
pub(super) fn opening(text: &Text, task: &Task<'_>) -> Result<Vec<u32>> {
    let system = system_prompt(task.profile, task.budget);
    let question = asked(task);
    let Some(template) = &text.template else {
        return Ok(text.tokenizer.encode_opening(&format!("{system}\n\n{question}\n\n"))?);
    };
    // The question shares a text with the template's own tokens, of which it must hold none.
    let question = text.tokenizer.defuse(&question);
    let options = RenderOptions {
        add_generation_prompt: true,
        enable_thinking: None,
        // What the template tells of today, the trace can repeat.
        now: task.started.to_zoned(jiff::tz::TimeZone::UTC).datetime(),
    };
    let apart = [Message::new("system", system.as_str()), Message::new("user", question.as_ref())];
    let together = [Message::new("user", format!("{system}\n\n{question}"))];
    // Some templates know no system message, and say so.
    let rendered = template
        .render(&apart, &options)
        .or_else(|refused| template.render(&together, &options).map_err(|_| refused))?;
    Ok(text.tokenizer.encode_prompt(&rendered)?)
}
