//! [`Who`]: on whose behalf a request is served, and what that lets it see.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;
use corpus::store::LOCAL;

/// Whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The name that stands in the audit log and beside traces.
    pub(super) name: String,
    /// Whether the traces of others are shown too.
    pub(super) sees_all: bool,
    /// The only collections that are shown; all, unless given.
    pub(super) collections: Option<Vec<String>>,
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self { name: caller_name(&parts.extensions).to_owned(), sees_all: true, collections: None })
    }
}

impl Who {
    /// Whether a trace of `caller` is shown.
    pub(super) fn may_see(&self, caller: &str) -> bool {
        self.sees_all || self.name == caller
    }

    /// Whether a document in `collections` is shown.
    pub(super) fn may_read(&self, collections: &[String]) -> bool {
        self.collections.as_ref().is_none_or(|own| own.iter().any(|name| collections.contains(name)))
    }
}

/// Without keys everybody is whoever sits at this machine.
fn caller_name(_extensions: &Extensions) -> &str {
    LOCAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_bound_sees_what_is_theirs() {
        let all = Who { name: "ada".to_owned(), sees_all: true, collections: None };
        let own = Who { sees_all: false, collections: Some(vec!["trials".to_owned()]), ..all.clone() };
        assert!(all.may_see("bob") && own.may_see("ada") && !own.may_see("bob"));
        let (trials, notes) = (["trials".to_owned()], ["notes".to_owned()]);
        assert!(all.may_read(&notes) && own.may_read(&trials) && !own.may_read(&notes) && !own.may_read(&[]));
    }
}
