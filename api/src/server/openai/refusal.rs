//! [`Refusal`]: an error in the envelope of OpenAI.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::server::error::ApiError;
use crate::server::wire::openai::{OpenAiError, OpenAiFailure};
use crate::worker::{Lost, Overloaded};

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(in crate::server) enum Refusal {
    /// An error as every route has them; the guard writes its envelope.
    Common(ApiError),
    /// One that only this form has.
    Own(StatusCode, OpenAiError),
}

impl Refusal {
    /// A field holds what it must not.
    pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of_field(param.into(), "invalid_value", message.into())
    }

    /// A field that nobody knows.
    pub(super) fn unknown_field(param: &str) -> Self {
        let message = format!("Unrecognized request argument supplied: {param}");
        Self::of_field(param.to_owned(), "unknown_parameter", message)
    }

    /// A field asks for what this service does not do.
    pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of_field(param.into(), "unsupported_parameter", message.into())
    }

    /// No model is called so.
    pub(super) fn unknown_model(message: &str) -> Self {
        let error = OpenAiError {
            message: message.to_owned(),
            kind: "invalid_request_error",
            param: Some("model".to_owned()),
            code: Some("model_not_found"),
        };
        Self::Own(StatusCode::NOT_FOUND, error)
    }

    fn of_field(param: String, code: &'static str, message: String) -> Self {
        let error = OpenAiError { message, kind: "invalid_request_error", param: Some(param), code: Some(code) };
        Self::Own(StatusCode::BAD_REQUEST, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Common(error) => error.into_response(),
            Self::Own(status, error) => (status, Json(OpenAiFailure { error })).into_response(),
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Common(error)
    }
}

impl From<Overloaded> for Refusal {
    fn from(error: Overloaded) -> Self {
        Self::Common(error.into())
    }
}

impl From<Lost> for Refusal {
    fn from(error: Lost) -> Self {
        Self::Common(error.into())
    }
}

/// An error of any origin in this envelope.
pub(in crate::server) fn envelope(error: &ApiError) -> Json<OpenAiFailure> {
    let message = error.message().to_owned();
    let param = field(&message).map(str::to_owned);
    Json(OpenAiFailure { error: OpenAiError { message, kind: kind(error.status()), param, code: Some(error.name()) } })
}

/// OpenAI's type of errors of a status.
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// The field that a message names: messages begin with it, or quote it where serde wrote them.
fn field(message: &str) -> Option<&str> {
    let is_field = |name: &&str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.[]".contains(&byte))
    };
    let quoted = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|opening| message.split_once(opening))
        .and_then(|(_, rest)| rest.split_once('`'));
    let first = message.split_once(':').map(|(name, _)| name).filter(is_field);
    first.or(quoted.map(|(name, _)| name).filter(is_field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::error::Code;

    #[test]
    fn the_field_that_is_wrong_is_found_in_the_message() {
        for (message, expect) in [
            ("messages[0].role: unknown variant `boss`", Some("messages[0].role")),
            ("stream_options.usage: unknown field `usage`, expected", Some("stream_options.usage")),
            ("missing field `messages` at line 1 column 2", Some("messages")),
            ("unknown field `bogus`, expected one of", Some("bogus")),
            ("every worker is busy: try again", None),
            ("The field: is wrong", None),
            ("unknown field `two words`", None),
            ("", None),
        ] {
            assert_eq!(field(message), expect, "{message}");
        }
    }

    #[test]
    fn errors_of_every_route_have_a_type() {
        for (code, kind) in [
            (Code::Overloaded, "rate_limit_error"),
            (Code::NotReady, "server_error"),
            (Code::ForbiddenOrigin, "permission_error"),
            (Code::TooLarge, "invalid_request_error"),
        ] {
            assert_eq!(envelope(&ApiError::new(code, "x")).0.error.kind, kind);
        }
        assert_eq!(kind(StatusCode::UNAUTHORIZED), "authentication_error");
    }
}
