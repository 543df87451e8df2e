//! Policies by the names they have on the command line.

use agent::Policy;
use agent::policy::{Extractive, OpenAi};
use anyhow::{Result, bail};

/// Opens `extractive` or `openai:URL#MODEL`. What is not there is an error; nothing stands in for it.
pub(crate) fn open_policy(name: &str) -> Result<Box<dyn Policy>> {
    if name == "extractive" {
        return Ok(Box::new(Extractive));
    }
    if name.starts_with("openai:") {
        let key = std::env::var("OPENAI_API_KEY").ok();
        return Ok(Box::new(OpenAi::new(name, key)?));
    }
    bail!("`{name}` is no policy: extractive, or openai:URL#MODEL")
}
