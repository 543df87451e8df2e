//! [`Body`]: a JSON request body, refused with the field that is wrong.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, JsonRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tower_http::timeout::TimeoutError;

use super::error::{ApiError, Code};

/// A body of type `T`. The media type is asked for, since a page of another origin can send anything
/// but `application/json` without being asked first.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = read(request, state).await?;
        // a list would be read as the fields of a struct in their order
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(ApiError::invalid("the body is a list: send an object"));
        }
        match Json::from_bytes(&bytes) {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(error)) => Err(ApiError::invalid(place(&error))),
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(ApiError::invalid(format!("the body is no JSON: {}", place(&error))))
            }
            Err(other) => Err(ApiError::invalid(other.body_text())),
        }
    }
}

/// A body that says it is JSON, as it came.
///
/// # Errors
/// When it says something else, is too large, ends early or comes too slowly.
pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::new(Code::UnsupportedMediaType, "content-type: send application/json"));
    }
    Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))
}

/// An object in a field that may be absent; a list is not read as its fields in their order.
///
/// # Errors
/// When it is something else, or the object is not in order.
pub(in crate::server) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    value.deserialize_option(Object(PhantomData))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
    }
}

/// The innermost cause: which field or position, and what is wrong with it.
pub(super) fn place(error: &dyn Error) -> String {
    let source = error.source();
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn unreadable(rejection: &BytesRejection) -> ApiError {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::new(
            Code::TooLarge,
            "the body is too large: send less, or start the service with a larger --max-body",
        ),
        _ if is_late(rejection) => ApiError::new(
            Code::TooSlow,
            "the body came too slowly: send it faster, or start the service with a longer --timeout-ms",
        ),
        _ => ApiError::invalid("the body ended early: send all that content-length promises"),
    }
}

/// Whether the time for a body was over before the body was.
fn is_late(rejection: &BytesRejection) -> bool {
    let mut causes = std::iter::successors(rejection.source(), |&cause| cause.source());
    causes.any(<dyn std::error::Error>::is::<TimeoutError>)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        for (value, expect) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), expect, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
