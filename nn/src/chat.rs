//! [`ChatTemplate`]: messages to the text that a model was trained to see, as its own template says.
//!
//! Templates are Jinja as transformers runs it: Python's string methods, `raise_exception`,
//! `strftime_now`, loop controls, and a `tojson` that escapes no HTML. Two things differ on purpose: the
//! clock is an argument, and a template may only work for so long.

mod json;

use std::path::{Path, PathBuf};
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Output, State, Value};
use serde::{Deserialize, Serialize};

use crate::error::{read_json, read_optional};
use crate::{Error, Result};

/// Instructions that one rendering may take; a long conversation takes some thousands.
const FUEL: u64 = 2_000_000;
/// Bytes of a template that are read; the longest of models have some 20,000.
const MAX_BYTES: usize = 1 << 17;
/// Stack of the thread that compiles: the parser may call itself once for each byte.
const STACK_BYTES: usize = 1 << 28;
const NAME: &str = "chat";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`; a template may know more.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

impl From<&Message> for Value {
    fn from(message: &Message) -> Self {
        Self::from_pairs([("role", message.role.as_str()), ("content", message.content.as_str())])
    }
}

/// What a rendering depends on besides the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether the assistant's turn is opened at the end.
    pub add_generation_prompt: bool,
    /// Whether a model that can do either thinks first; its template decides when not given.
    pub enable_thinking: Option<bool>,
    /// What `strftime_now` tells.
    pub now: jiff::civil::DateTime,
}

/// The chat template of a model folder.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token` and its like, by name.
    special: Vec<(String, String)>,
    file: PathBuf,
}

/// `tokenizer_config.json`, as far as templates need it.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

impl ChatTemplate {
    /// The template of the model folder `dir`, from `chat_template.jinja` or `tokenizer_config.json`;
    /// none when the model has none, as base models do. Of several, the one named `default`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Config`] when a file is damaged or no template.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let config_file = dir.join("tokenizer_config.json");
        let TokenizerConfig { chat_template, rest } = read_json(&config_file)?.unwrap_or_default();
        let own_file = dir.join("chat_template.jinja");
        let (file, source) = match read_optional(&own_file)? {
            Some(bytes) => {
                let source = String::from_utf8(bytes)
                    .map_err(|_| Error::Config { file: own_file.clone(), reason: "is not UTF-8".to_owned() })?;
                (own_file, source)
            }
            None => match chat_template {
                None => return Ok(None),
                Some(Templates::One(source)) => (config_file, source),
                Some(Templates::Named(named)) => match named.into_iter().find(|template| template.name == "default") {
                    Some(default) => (config_file, default.template),
                    None => return Ok(None),
                },
            },
        };
        // A token is a string, or an object that holds it.
        let token = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Object(mut fields) => fields.remove("content")?.as_str().map(str::to_owned),
            _ => None,
        };
        let special = rest.into_iter().filter(|(name, _)| name.ends_with("_token"));
        let special = special.filter_map(|(name, value)| Some((name, token(value)?))).collect();
        Self::compile(file, source, special).map(Some)
    }

    fn compile(file: PathBuf, source: String, special: Vec<(String, String)>) -> Result<Self> {
        if source.len() > MAX_BYTES {
            let reason = format!("the chat template has {} bytes, at most {MAX_BYTES} are read", source.len());
            return Err(Error::Config { file, reason });
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the usual delimiters are no contradiction"));
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(as_python_prints);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let compile = move || match environment.add_template_owned(NAME, source) {
            Ok(()) => Ok(environment),
            Err(error) => Err(told(&error)),
        };
        let thread = thread::Builder::new().name("chat template".to_owned()).stack_size(STACK_BYTES);
        let compiled = match thread.spawn(compile).map(thread::JoinHandle::join) {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(_)) => Err("cannot be compiled".to_owned()),
            Err(error) => Err(format!("cannot be compiled without a thread: {error}")),
        };
        match compiled {
            Ok(environment) => Ok(Self { environment, special, file }),
            Err(reason) => Err(Error::Config { file, reason: format!("chat template: {reason}") }),
        }
    }

    /// The text of `messages`.
    ///
    /// # Errors
    /// [`Error::Config`] when the template refuses them, in its own words, or does not end.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String> {
        let fault = |error: &minijinja::Error| Error::Config {
            file: self.file.clone(),
            reason: format!("chat template: {}", told(error)),
        };
        let RenderOptions { add_generation_prompt, enable_thinking, now } = *options;
        let strftime_now = Value::from_function(move |format: String| {
            jiff::fmt::strtime::format(&format, now)
                .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
        });
        let mut variables: Vec<(&str, Value)> = vec![
            ("messages", messages.iter().map(Value::from).collect()),
            ("add_generation_prompt", add_generation_prompt.into()),
            ("strftime_now", strftime_now),
            // Templates ask whether these are none, not whether they are defined.
            ("tools", ().into()),
            ("documents", ().into()),
        ];
        variables.extend(self.special.iter().map(|(name, token)| (name.as_str(), token.into())));
        // Absent is not the same as false: templates ask for either.
        variables.extend(enable_thinking.map(|thinking| ("enable_thinking", thinking.into())));
        let template = self.environment.get_template(NAME).map_err(|error| fault(&error))?;
        template.render(Value::from_pairs(variables)).map_err(|error| fault(&error))
    }
}

/// What went wrong, in the template's own words where it has any.
fn told(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// Prints values as Python does, where that differs.
fn as_python_prints(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let text = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    Ok(std::fmt::Write::write_str(out, text)?)
}

#[cfg(test)]
mod tests;
