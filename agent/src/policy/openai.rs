//! The policy behind any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, a hosted one.
//!
//! `POST {URL}/chat/completions`, streamed. A turn ends at the first complete action, at the model's own
//! end, or at the token limit. A request is tried again only before anything of its reply was read:
//! after that, the turn fails. Its answers are never replaced by another policy's.
//!
//! Chat endpoints give no token ids, so its traces cannot train.

mod chunk;
mod endpoint;
mod exchange;
mod probe;
mod sse;

use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;

use crate::policy::Policy;
use crate::protocol::{self, Profile, asked, system_prompt};
use crate::session::{Act, ActLimits, Finish, Observation, Session, Task};
use crate::{Cancel, Result, phi};

use endpoint::Endpoint;
use exchange::{Exchange, Reply};

/// A model at an endpoint.
#[derive(Clone)]
pub struct OpenAi {
    endpoint: Endpoint,
    key: Option<String>,
    /// How it samples.
    pub sampling: Sampling,
    /// How long it may take.
    pub limits: TimeLimits,
}

/// How a model samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0 }
    }
}

/// How long an endpoint may take for each part of a reply; the episode's own limit holds besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// To connect.
    pub connect: Duration,
    /// From the request to the first byte of the reply's text.
    pub first_byte: Duration,
    /// Between two pieces of it.
    pub idle: Duration,
    /// Before the first new attempt; doubled before each further one.
    pub backoff: Duration,
    /// Attempts in all.
    pub attempts: u32,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            backoff: Duration::from_millis(500),
            attempts: 4,
        }
    }
}

impl OpenAi {
    /// The model that `spec` names, as `URL#MODEL` or `openai:URL#MODEL`; `key` is sent as a bearer token.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when `spec` is not of that form or holds credentials.
    pub fn new(spec: &str, key: Option<String>) -> Result<Self> {
        let key = key.filter(|key| !key.trim().is_empty());
        Ok(Self { endpoint: Endpoint::parse(spec)?, key, sampling: Sampling::default(), limits: TimeLimits::default() })
    }

    /// What the model says to `user` under the instructions `system`, in at most `max_tokens` tokens and within `time`;
    /// no episode, and no protocol.
    ///
    /// # Errors
    /// Those of the endpoint, after as many attempts as its limits allow.
    pub fn complete(&self, system: &str, user: &str, max_tokens: usize, time: Duration) -> Result<String> {
        let messages =
            [("system", system), ("user", user)].map(|(role, content)| Message { role, content: content.to_owned() });
        let seed = 0;
        let body = self.body(&messages, seed, max_tokens, &[])?;
        let Self { endpoint, key, limits, .. } = self;
        let cancel = Cancel::new();
        let exchange = Exchange { endpoint, key: key.as_deref(), time: *limits, seed, cancel: &cancel };
        Ok(exchange.run(&body, time, &mut |_| ControlFlow::Continue(()))?.text)
    }

    fn body(&self, messages: &[Message], seed: u64, max_tokens: usize, stop: &[&str]) -> Result<Vec<u8>> {
        let request = Request {
            model: &self.endpoint.model,
            messages,
            stream: true,
            temperature: self.sampling.temperature,
            // Signed in many servers.
            seed: seed & (u64::MAX >> 1),
            max_tokens,
            stop,
        };
        serde_json::to_vec(&request).map_err(|error| crate::Error::Input(error.to_string()))
    }
}

impl std::fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        let Self { endpoint, key, sampling, limits } = self;
        f.debug_struct("OpenAi")
            .field("endpoint", endpoint)
            .field("has_key", &key.is_some())
            .field("sampling", sampling)
            .field("limits", limits)
            .finish()
    }
}

impl Policy for OpenAi {
    fn name(&self) -> String {
        format!("openai:{}#{}", self.endpoint.shown(), self.endpoint.model)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn sampling(&self) -> Option<nn::Sampling> {
        // The server samples, and what it is not told it decides.
        None
    }

    fn open(&self, task: &Task<'_>) -> Result<Box<dyn Session>> {
        let system = Message { role: "system", content: system_prompt(task.profile, task.budget) };
        // whoever asks has chosen what becomes of identifiers; here is where text leaves, so none does
        Ok(Box::new(Chat {
            policy: self.clone(),
            profile: task.profile,
            queries: task.budget.queries_per_turn,
            seed: task.seed,
            messages: vec![system, Message { role: "user", content: phi::redact(&asked(task)) }],
        }))
    }
}

/// An open conversation.
struct Chat {
    policy: OpenAi,
    profile: Profile,
    queries: usize,
    seed: u64,
    messages: Vec<Message>,
}

#[derive(Clone, Debug, Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    temperature: f64,
    seed: u64,
    max_tokens: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [&'a str],
}

impl Session for Chat {
    fn opening(&self) -> Option<&[u32]> {
        None
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<Option<Vec<u32>>> {
        let text = observation.text().trim();
        match self.messages.last_mut() {
            // Chat templates want turns to alternate.
            Some(last) if last.role == "user" => {
                last.content.push_str("\n\n");
                last.content.push_str(text);
            }
            _ => self.messages.push(Message { role: "user", content: text.to_owned() }),
        }
        Ok(None)
    }

    fn act(
        &mut self,
        limits: &ActLimits,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Act> {
        let OpenAi { endpoint, key, limits: time, .. } = &self.policy;
        let body = self.policy.body(&self.messages, self.seed, limits.max_tokens, self.profile.stop_sequences())?;
        let exchange = Exchange { endpoint, key: key.as_deref(), time: *time, seed: self.seed, cancel };
        let Reply { mut text, finish, complete } = exchange.run(&body, limits.time_left, on_text)?;
        if finish == Finish::Stop
            && !complete
            && let Some(close) = self.profile.missing_close(&text)
        {
            // The server stopped at the closing tag and left it out.
            text.push_str(close);
            let _ = on_text(close);
        }
        // What the loop will not keep, the model shall not see again.
        let kept = protocol::parse(self.profile, self.queries, &text).end;
        self.messages.push(Message { role: "assistant", content: text[..kept].to_owned() });
        Ok(Act { text, finish, ..Act::default() })
    }
}

#[cfg(test)]
mod tests;
