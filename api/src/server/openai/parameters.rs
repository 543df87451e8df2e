//! What of OpenAI's many fields may be sent: those that change nothing are taken, those that would change
//! the answer in a way this service does not have are refused, and so is what nobody knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::refusal::Refusal;

/// Fields without effect: how freely a model chooses and how long it writes are settings of the service.
const WITHOUT_EFFECT: [&str; 19] = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "repetition_penalty",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "top_k",
    "top_p",
    "user",
    "verbosity",
];

/// Fields that ask for what is not there, each with the values that ask for nothing.
fn refused(name: &str) -> Option<Vec<Value>> {
    let neutral = match name {
        "n" | "best_of" => vec![json!(1)],
        "echo" | "logprobs" => vec![json!(false)],
        "top_logprobs" => vec![json!(0)],
        "functions" | "tools" | "stop" => vec![json!([])],
        "function_call" | "tool_choice" => vec![json!("none"), json!("auto")],
        "logit_bias" => vec![json!({})],
        "modalities" => vec![json!(["text"])],
        "response_format" => vec![json!({ "type": "text" })],
        "suffix" => vec![json!("")],
        "audio" | "moderation" | "prediction" | "web_search_options" => Vec::new(),
        _ => return None,
    };
    Some(neutral)
}

/// Checks the fields that the typed part of a request does not have. Null is as good as absent.
///
/// # Errors
/// When one is refused or unknown.
pub(super) fn check(rest: &BTreeMap<String, Value>) -> Result<(), Refusal> {
    for (name, value) in rest.iter().filter(|(_, value)| !value.is_null()) {
        if WITHOUT_EFFECT.contains(&name.as_str()) {
            continue;
        }
        match refused(name) {
            Some(neutral) if neutral.contains(value) => {}
            Some(_) => {
                let message = format!("{name}: this service answers with cited sentences only, and does not have it");
                return Err(Refusal::unsupported(name, message));
            }
            None => return Err(Refusal::unknown_field(name)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str, value: Value) -> Option<&'static str> {
        match check(&BTreeMap::from([(name.to_owned(), value)])) {
            Ok(()) => None,
            Err(Refusal::Own(status, error)) => {
                assert_eq!((status.as_u16(), error.param.as_deref()), (400, Some(name)));
                error.code
            }
            Err(Refusal::Common(error)) => panic!("{error:?}"),
        }
    }

    #[test]
    fn fields_are_taken_refused_or_unknown() {
        for (name, value) in [
            ("temperature", json!(0.7)),
            ("max_tokens", json!(16)),
            ("user", json!("someone")),
            ("n", json!(1)),
            ("n", Value::Null),
            ("logprobs", json!(false)),
            ("tools", json!([])),
            ("tool_choice", json!("auto")),
            ("response_format", json!({ "type": "text" })),
            ("stop", Value::Null),
        ] {
            assert_eq!(code(name, value.clone()), None, "{name} {value}");
        }
        for (name, value) in [
            ("n", json!(2)),
            ("logprobs", json!(true)),
            ("logprobs", json!(5)),
            ("top_logprobs", json!(3)),
            ("tools", json!([{ "type": "function", "function": { "name": "set_filter" } }])),
            ("tool_choice", json!("required")),
            ("response_format", json!({ "type": "json_schema", "json_schema": {} })),
            ("response_format", json!({ "type": "json_object" })),
            ("stop", json!("\n")),
            ("audio", json!({})),
        ] {
            assert_eq!(code(name, value.clone()), Some("unsupported_parameter"), "{name} {value}");
        }
        for name in ["filter", "budget", "temprature", "collections"] {
            assert_eq!(code(name, json!({})), Some("unknown_parameter"), "{name}");
        }
    }
}
