//! [`Params`]: what stands behind the `?` of an address, refused with the name that is wrong; and pages of lists.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::place;
use super::error::ApiError;

/// The parameters of a request. Unknown ones are refused: a misspelt filter must not be a filter that is not there.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(ApiError::invalid(place(&error))),
        }
    }
}

/// Entries of a page, unless told otherwise.
const USUAL_LIMIT: u32 = 50;
/// Entries of a page at most.
pub(super) const MAX_LIMIT: u32 = 200;
/// Characters of a word that a list is filtered by.
pub(super) const MAX_WORDS: usize = 400;

/// How many entries a page is to have.
///
/// # Errors
/// When it is none, or too many.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    bounded("limit", asked, USUAL_LIMIT, MAX_LIMIT)
}

/// A number from 1 to `most`, `usual` unless given.
///
/// # Errors
/// When it is another.
pub(super) fn bounded(field: &str, asked: Option<u32>, usual: u32, most: u32) -> Result<u32, ApiError> {
    match asked {
        Some(asked) if asked == 0 || asked > most => {
            Err(ApiError::invalid(format!("{field}: {asked} given, 1 to {most} are allowed")))
        }
        asked => Ok(asked.unwrap_or(usual)),
    }
}

/// Refuses what is longer than any name.
///
/// # Errors
/// When it is.
pub(super) fn short(field: &str, text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.chars().count() > MAX_WORDS => {
            let length = text.chars().count();
            Err(ApiError::invalid(format!("{field}: {length} characters, at most {MAX_WORDS} are allowed")))
        }
        _ => Ok(()),
    }
}

/// Takes a page off `found`, which was asked for one entry more: the page, and the name of its last entry where more follow.
pub(super) fn page<T, N>(mut found: Vec<T>, limit: u32, name: impl Fn(&T) -> N) -> (Vec<T>, Option<N>) {
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(name);
    (found, next)
}
