//! [`Span`]: a stage that is over, and its form in OTLP's JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};

/// Characters of a text among the attributes.
const MOST_CHARACTERS: usize = 128;
/// What OTLP calls the two kinds there are here.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// What it calls a span that failed.
const ERROR: u8 = 2;

/// A stage that is over.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// As the program calls it.
    pub(super) name: &'static str,
    /// Whether it is a request.
    pub(super) is_request: bool,
    pub(super) began: Timestamp,
    pub(super) nanoseconds: u64,
    pub(super) attributes: Attributes,
}

/// What is said of a span.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<(&'static str, Value)>);

impl Span {
    /// The span on the wire.
    pub(super) fn to_json(&self) -> Value {
        let began = self.began.as_nanosecond();
        let mut span = json!({
            "traceId": hex(&self.trace),
            "spanId": hex(&self.id),
            "name": self.shown_name(),
            "kind": if self.is_request { SERVER } else { INTERNAL },
            "startTimeUnixNano": began.to_string(),
            "endTimeUnixNano": (began + i128::from(self.nanoseconds)).to_string(),
            "attributes": self.attributes.to_json(),
        });
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = hex(parent).into();
        }
        if self.attributes.number("http.response.status_code").is_some_and(|status| status >= 500) {
            span["status"] = json!({ "code": ERROR });
        }
        span
    }

    /// A request is called as OpenTelemetry's conventions for HTTP want it.
    fn shown_name(&self) -> String {
        let said = |name| self.attributes.get(name).and_then(Value::as_str);
        match (self.is_request, said("http.request.method"), said("http.route")) {
            (true, Some(method), Some(route)) => format!("{method} {route}"),
            (true, Some(method), None) => method.to_owned(),
            _ => self.name.to_owned(),
        }
    }
}

impl Attributes {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    /// Names without a dot are this project's own.
    fn to_json(&self) -> Value {
        let one = |(name, value): &(&'static str, Value)| {
            let key = if name.contains('.') { (*name).to_owned() } else { format!("anamnesis.{name}") };
            let value = match value {
                // numbers of 64 bits are texts in the JSON of protocol buffers
                Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
                Value::Number(number) => json!({ "intValue": number.to_string() }),
                Value::Bool(value) => json!({ "boolValue": value }),
                other => json!({ "stringValue": other }),
            };
            json!({ "key": key, "value": value })
        };
        self.0.iter().map(one).collect()
    }

    fn say(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.retain(|(known, _)| *known != field.name());
        self.0.push((field.name(), value.into()));
    }
}

impl Visit for Attributes {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.say(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.say(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.say(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.say(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.say(field, value.chars().take(MOST_CHARACTERS).collect::<String>());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_form_that_the_protocol_wants() {
        let attributes = Attributes(vec![
            ("http.request.method", "POST".into()),
            ("http.route", "/v1/ask".into()),
            ("http.response.status_code", 504.into()),
            ("hits", 7.into()),
            ("streamed", true.into()),
        ]);
        let span = Span {
            trace: [0xab; 16],
            id: [1; 8],
            parent: None,
            name: "request",
            is_request: true,
            began: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            nanoseconds: 5_000_001,
            attributes,
        };
        assert_eq!(
            span.to_json(),
            json!({
                "traceId": "ab".repeat(16),
                "spanId": "01".repeat(8),
                "name": "POST /v1/ask",
                "kind": 2,
                "startTimeUnixNano": "1700000000123000000",
                "endTimeUnixNano": "1700000000128000001",
                "attributes": [
                    { "key": "http.request.method", "value": { "stringValue": "POST" } },
                    { "key": "http.route", "value": { "stringValue": "/v1/ask" } },
                    { "key": "http.response.status_code", "value": { "intValue": "504" } },
                    { "key": "anamnesis.hits", "value": { "intValue": "7" } },
                    { "key": "anamnesis.streamed", "value": { "boolValue": true } },
                ],
                "status": { "code": 2 },
            })
        );
        let child = Span { parent: Some([2; 8]), name: "search", is_request: false, ..span };
        let child = child.to_json();
        assert_eq!((&child["name"], &child["kind"]), (&json!("search"), &json!(1)));
        assert_eq!(child["parentSpanId"], "02".repeat(8));
    }
}
