//! [`ApiError`]: what a client is told when something fails. Causes inside are logged, never sent.
//!
//! A handler returns the error; the guard around all routes gives it the request's id and writes the
//! envelope, so that an error of any origin has one shape.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Failure;
use crate::worker::{Lost, Overloaded};

/// Seconds after which a client that was told to come back may, unless more is known.
const SOON: u64 = 1;
/// However long a language model asks to be left alone, clients may look again after an hour.
const LATEST: u64 = 3_600;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    code: Code,
    message: String,
    /// Seconds to come back after.
    retry_after: Option<u64>,
}

/// Whose fault, and what to do about it; decides the status. The names are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ErrorCode)]
pub(crate) enum Code {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    PersonalData,
    ForbiddenOrigin,
    NotFound,
    MethodNotAllowed,
    TooSlow,
    Conflict,
    Gone,
    TooLarge,
    UnsupportedMediaType,
    WrongHost,
    QuotaExceeded,
    TooManyAttempts,
    Overloaded,
    Internal,
    PolicyFailed,
    PolicyBusy,
    NotReady,
    Busy,
    ReadOnly,
    Timeout,
    StorageFull,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Self::PersonalData => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::QuotaExceeded | Self::TooManyAttempts | Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::PolicyFailed => StatusCode::BAD_GATEWAY,
            Self::PolicyBusy | Self::NotReady | Self::Busy | Self::ReadOnly => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// Whether somebody was refused for who they are or where they come from.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Unauthenticated
                | Self::Forbidden
                | Self::ForbiddenOrigin
                | Self::WrongHost
                | Self::QuotaExceeded
                | Self::TooManyAttempts
        )
    }

    /// As clients and logs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::PersonalData => "personal_data",
            Self::ForbiddenOrigin => "forbidden_origin",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "too_slow",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::WrongHost => "wrong_host",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::PolicyFailed => "policy_failed",
            Self::PolicyBusy => "policy_busy",
            Self::NotReady => "not_ready",
            Self::Busy => "busy",
            Self::ReadOnly => "read_only",
            Self::Timeout => "timeout",
            Self::StorageFull => "storage_full",
        }
    }
}

impl ApiError {
    /// An error of `code`; `message` is what the client reads.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let retry_after = matches!(code, Code::Overloaded | Code::Busy | Code::PolicyBusy).then_some(SOON);
        Self { code, message: message.into(), retry_after }
    }

    /// The client's request is not in order.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// Something inside failed: `cause` is logged, the client learns only that.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(Code::Internal, "something failed inside: the service's log knows more under this request id")
    }

    /// The request took longer than the service allows.
    pub(crate) fn timeout() -> Self {
        Self::new(
            Code::Timeout,
            "the request took too long: ask for less, or start the service with a longer --timeout-ms",
        )
    }

    /// The language model asks to be left alone for `wait`.
    fn policy_busy(wait: Duration) -> Self {
        let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).clamp(SOON, LATEST);
        let message = format!("the language model behind this service is busy: try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(Code::PolicyBusy, message) }
    }

    /// The status that it is sent with.
    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// Its name for programs.
    pub(crate) fn name(&self) -> &'static str {
        self.code.name()
    }

    /// What kind it is.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// What the client reads.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The envelope.
    pub(crate) fn into_failure(self, request_id: &str) -> Failure {
        Failure { request_id: request_id.to_owned(), code: self.code, message: self.message }
    }
}

impl IntoResponse for ApiError {
    /// A response without a body: the error travels beside it to the guard, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Overloaded> for ApiError {
    fn from(_: Overloaded) -> Self {
        Self::new(Code::Overloaded, "every worker is busy and the queue is full: try again in a moment")
    }
}

impl From<Lost> for ApiError {
    fn from(_: Lost) -> Self {
        Self::internal(&"the work was lost")
    }
}

impl From<corpus::Error> for ApiError {
    fn from(error: corpus::Error) -> Self {
        let (code, message) = match &error {
            corpus::Error::Input(message) => return Self::invalid(message.as_str()),
            corpus::Error::Locked { .. } => (Code::Busy, "another writer has the corpus: try again in a moment"),
            corpus::Error::ReadOnly { .. } => {
                (Code::ReadOnly, "the corpus is read-only where this service runs: nothing was changed")
            }
            corpus::Error::Full { .. } | corpus::Error::File { action: "write", .. } => (
                Code::StorageFull,
                "the disk is full or refuses to be written: nothing of this request was kept beyond what was kept before; free some space and send it again",
            ),
            _ => return Self::internal(&error),
        };
        tracing::warn!(cause = %error, "the corpus could not be written");
        Self::new(code, message)
    }
}

impl From<retriever::Error> for ApiError {
    fn from(error: retriever::Error) -> Self {
        match error {
            retriever::Error::Input(message) => Self::invalid(message),
            retriever::Error::Corpus(error) => error.into(),
            retriever::Error::Index(indexes::Error::Busy { .. }) => {
                Self::new(Code::Busy, "another process builds or cleans the index: try again when it has ended")
            }
            other => Self::internal(&other),
        }
    }
}

impl From<agent::Error> for ApiError {
    fn from(error: agent::Error) -> Self {
        match error {
            agent::Error::Input(message) => Self::invalid(message),
            agent::Error::PersonalData(message) => Self::new(Code::PersonalData, message),
            agent::Error::Retriever(error) => error.into(),
            agent::Error::Policy { wait: Some(wait), .. } => {
                tracing::warn!(cause = %error, "the policy is busy");
                Self::policy_busy(wait)
            }
            agent::Error::Policy { .. } | agent::Error::Engine(_) => {
                tracing::error!(cause = %error, "the policy failed");
                if let Some(said) = std::error::Error::source(&error) {
                    // it may repeat the question
                    tracing::debug!(%said, "what the policy's endpoint said");
                }
                Self::new(
                    Code::PolicyFailed,
                    "the language model behind this service failed: try again; if that does not help, the service's log knows more under this request id",
                )
            }
            agent::Error::Timeout { .. } => {
                tracing::error!(cause = %error, "the policy took too long");
                Self::new(Code::Timeout, "the language model behind this service took too long: try again later")
            }
            // whoever cancels no longer listens, except when the service itself gave up waiting
            agent::Error::Cancelled => Self::timeout(),
            other => Self::internal(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_lists_every_code_by_its_name() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let listed = document["components"]["schemas"]["ErrorCode"]["enum"].clone();
        let all = [
            Code::InvalidRequest,
            Code::Unauthenticated,
            Code::Forbidden,
            Code::PersonalData,
            Code::ForbiddenOrigin,
            Code::NotFound,
            Code::MethodNotAllowed,
            Code::TooSlow,
            Code::Conflict,
            Code::Gone,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::WrongHost,
            Code::QuotaExceeded,
            Code::TooManyAttempts,
            Code::Overloaded,
            Code::Internal,
            Code::PolicyFailed,
            Code::PolicyBusy,
            Code::NotReady,
            Code::Busy,
            Code::ReadOnly,
            Code::Timeout,
            Code::StorageFull,
        ];
        assert_eq!(listed, serde_json::json!(all.map(Code::name)));
        assert_eq!(serde_json::json!(all), listed);
    }
}
