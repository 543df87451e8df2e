//! What a chunk of a streamed reply says; every field that a server may leave out may be left out.

use serde::Deserialize;
use serde_json::Value;

use crate::session::Finish;

/// One chunk, as far as it matters here.
#[derive(Debug, PartialEq)]
pub(super) enum Chunk {
    /// A piece of text, perhaps the last.
    Text { text: String, finish: Option<Finish> },
    /// The stream is over.
    Done,
    /// The server says what went wrong.
    Failed(String),
    /// No JSON.
    Broken,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Text>,
    #[serde(default)]
    message: Option<Text>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    content: Option<String>,
}

impl Chunk {
    pub(super) fn read(data: &str) -> Self {
        if data.trim() == "[DONE]" {
            return Self::Done;
        }
        let Ok(Wire { choices, error }) = serde_json::from_str(data) else {
            return Self::Broken;
        };
        if let Some(error) = error {
            return Self::Failed(message(&error));
        }
        // A chunk without choices reports usage.
        let Some(choice) = choices.into_iter().next() else {
            return Self::Text { text: String::new(), finish: None };
        };
        let text = choice.delta.or(choice.message).and_then(|text| text.content).unwrap_or_default();
        let finish = choice.finish_reason.map(|reason| if reason == "length" { Finish::Length } else { Finish::Stop });
        Self::Text { text, finish }
    }
}

/// What a server's error object says, short.
pub(super) fn message(error: &Value) -> String {
    let inner = error.get("error").unwrap_or(error);
    let text = inner.get("message").and_then(Value::as_str).map_or_else(|| inner.to_string(), str::to_owned);
    corpus::text::normalise(&text).replace('\n', " ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_send() {
        let text = |text: &str, finish| Chunk::Text { text: text.to_owned(), finish };
        for (data, chunk) in [
            (r#"{"choices":[{"delta":{"content":"a"}}]}"#, text("a", None)),
            (r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, text("", None)),
            (r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, text("", Some(Finish::Length))),
            (
                r#"{"choices":[{"message":{"content":"whole"},"finish_reason":"stop"}]}"#,
                text("whole", Some(Finish::Stop)),
            ),
            (r#"{"choices":[],"usage":{"total_tokens":3}}"#, text("", None)),
            ("[DONE]", Chunk::Done),
            (r#"{"error":{"message":"no\nmemory"}}"#, Chunk::Failed("no memory".to_owned())),
            (r#"{"error":"plain"}"#, Chunk::Failed("\"plain\"".to_owned())),
            (r#"{"choices":[{"delta"#, Chunk::Broken),
        ] {
            assert_eq!(Chunk::read(data), chunk, "{data}");
        }
    }
}
