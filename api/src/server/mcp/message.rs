//! JSON-RPC 2.0, as far as this protocol goes: requests with an id, notifications without, and errors.

use serde_json::{Map, Value, json};

/// A message of a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notification {
        /// What happened.
        method: String,
        /// To what.
        params: Map<String, Value>,
    },
    /// An answer, to nothing: this server asks its clients nothing.
    Response,
}

/// A message that wants an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// A text or a whole number, by which the client knows the answer.
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) code: i32,
    message: String,
    data: Option<Value>,
}

/// The message is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// It is JSON, but no message.
pub(super) const INVALID_REQUEST: i32 = -32_600;
/// Nobody knows its method.
pub(super) const METHOD_NOT_FOUND: i32 = -32_601;
/// Its parameters are not in order.
pub(super) const INVALID_PARAMS: i32 = -32_602;
/// Headers say something else than the message.
const HEADER_MISMATCH: i32 = -32_020;
/// The revision is not spoken.
const UNSUPPORTED_VERSION: i32 = -32_022;

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn no_json() -> Self {
        Self::new(PARSE_ERROR, "the message is no JSON")
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    pub(super) fn unknown_method(method: &str) -> Self {
        let shown: String = method.chars().take(64).collect();
        Self::new(METHOD_NOT_FOUND, format!("method not found: {shown}"))
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(super) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(HEADER_MISMATCH, message)
    }

    pub(super) fn unsupported_version(requested: &str, supported: &[&str]) -> Self {
        let data = json!({ "supported": supported, "requested": requested });
        Self { data: Some(data), ..Self::new(UNSUPPORTED_VERSION, "unsupported protocol version") }
    }

    /// The message that tells it; without an id where the request's could not be read.
    pub(super) fn to_message(&self, id: Option<&Value>) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(fields)) = (&self.data, error.as_object_mut()) {
            fields.insert("data".to_owned(), data.clone());
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

/// The message that tells a result.
pub(super) fn response(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// A message that wants no answer.
pub(super) fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

impl Message {
    /// Takes a message apart.
    ///
    /// # Errors
    /// When it is none; with its id if that can be read.
    pub(super) fn read(value: Value) -> Result<Self, (Option<Value>, Fault)> {
        let Value::Object(mut fields) = value else {
            return Err((None, Fault::invalid_request("a message is an object")));
        };
        let id = fields.remove("id");
        let known = id.clone().filter(is_id);
        if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err((known, Fault::invalid_request("jsonrpc: must be \"2.0\"")));
        }
        let method = match fields.remove("method") {
            Some(Value::String(method)) => method,
            None if fields.contains_key("result") || fields.contains_key("error") => return Ok(Self::Response),
            _ => return Err((known, Fault::invalid_request("method: must be a text"))),
        };
        let params = match fields.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err((known, Fault::invalid_params("params: must be an object"))),
        };
        match (id, known) {
            (None, _) => Ok(Self::Notification { method, params }),
            (Some(_), Some(id)) => Ok(Self::Request(Request { id, method, params })),
            (Some(_), None) => Err((None, Fault::invalid_request("id: must be a text or a whole number"))),
        }
    }
}

/// Whether a value can name a request or its progress.
pub(super) fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, (Option<Value>, i32)> {
        Message::read(serde_json::from_str(text).unwrap()).map_err(|(id, fault)| (id, fault.code))
    }

    #[test]
    fn messages_are_told_from_what_is_none() {
        let request = read(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
        assert_eq!(
            request,
            Ok(Message::Request(Request { id: json!(7), method: "ping".to_owned(), params: Map::new() }))
        );
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Ok(Message::Notification { .. })
        ));
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Message::Response));
        for (text, id, code) in [
            ("[]", None, INVALID_REQUEST),
            ("7", None, INVALID_REQUEST),
            (r#"{"id":1,"method":"ping"}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, Some(json!("a")), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, None, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Some(json!(1)), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, Some(json!(1)), INVALID_PARAMS),
        ] {
            assert_eq!(read(text), Err((id, code)), "{text}");
        }
    }
}
