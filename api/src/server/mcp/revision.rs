//! [`Revision`]: the revisions of the protocol that are spoken.
//!
//! From 2026-07-28 on every request names its revision and its client's capabilities; before, a client and a
//! server agreed on one by `initialize`.

use serde_json::{Map, Value};

use super::message::Fault;

/// A revision, by the day it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    Of2024November,
    Of2025March,
    Of2025June,
    Of2025November,
    Of2026July,
}

/// Newest first.
const ALL: [Revision; 5] = [
    Revision::Of2026July,
    Revision::Of2025November,
    Revision::Of2025June,
    Revision::Of2025March,
    Revision::Of2024November,
];

/// Where a request names its revision.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Where a request names what its client can do.
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

impl Revision {
    /// What clients are assumed to speak over HTTP who do not say it: the header is younger than they.
    pub(super) const UNSAID: Self = Self::Of2025March;

    /// As written on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Of2024November => "2024-11-05",
            Self::Of2025March => "2025-03-26",
            Self::Of2025June => "2025-06-18",
            Self::Of2025November => "2025-11-25",
            Self::Of2026July => "2026-07-28",
        }
    }

    /// All of them, newest first.
    pub(super) fn names() -> [&'static str; ALL.len()] {
        ALL.map(Self::name)
    }

    /// The revision called `name`, if it is spoken.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Whether every request stands for itself.
    pub(super) fn is_modern(self) -> bool {
        self == Self::Of2026July
    }

    /// Whether messages may come in lists.
    pub(super) fn has_batches(self) -> bool {
        self == Self::Of2025March
    }

    /// The revision that `initialize` comes to: the one asked for, or the newest that begins with it.
    ///
    /// # Errors
    /// When none is asked for.
    pub(super) fn negotiate(params: &Map<String, Value>) -> Result<Self, Fault> {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let asked = asked.ok_or_else(|| Fault::invalid_params("protocolVersion: missing, or not a text"))?;
        Ok(Self::named(asked).filter(|revision| !revision.is_modern()).unwrap_or(Self::Of2025November))
    }

    /// What a request says of its revision; none where it says nothing, as those of older revisions do.
    pub(super) fn said(params: &Map<String, Value>) -> Option<&Value> {
        params.get("_meta")?.get(VERSION)
    }

    /// The revision that a request names.
    ///
    /// # Errors
    /// When it is not spoken, or the request lacks what the revision asks for.
    pub(super) fn declared(params: &Map<String, Value>) -> Result<Self, Fault> {
        let meta = params.get("_meta").and_then(Value::as_object);
        let field = |name: &str| meta.and_then(|meta| meta.get(name));
        let (Some(version), Some(capabilities)) = (field(VERSION), field(CAPABILITIES)) else {
            return Err(Fault::invalid_params(format!("_meta: needs {VERSION} and {CAPABILITIES}")));
        };
        let version = version.as_str().ok_or_else(|| Fault::invalid_params(format!("{VERSION}: must be a text")))?;
        if !capabilities.is_object() {
            return Err(Fault::invalid_params(format!("{CAPABILITIES}: must be an object")));
        }
        let spoken = Self::named(version).filter(|revision| revision.is_modern());
        spoken.ok_or_else(|| Fault::unsupported_version(version, &Self::names()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn initialize_comes_to_a_revision_that_begins_with_it() {
        for (asked, expect) in [
            ("2024-11-05", Revision::Of2024November),
            ("2025-03-26", Revision::Of2025March),
            ("2025-06-18", Revision::Of2025June),
            ("2025-11-25", Revision::Of2025November),
            ("2026-07-28", Revision::Of2025November),
            ("1999-01-01", Revision::Of2025November),
            ("", Revision::Of2025November),
        ] {
            assert_eq!(Revision::negotiate(&params(&json!({ "protocolVersion": asked }))), Ok(expect), "{asked}");
        }
        assert!(Revision::negotiate(&Map::new()).is_err());
    }

    #[test]
    fn a_request_names_its_revision_and_what_its_client_can_do() {
        let code = |meta: Value| Revision::declared(&params(&json!({ "_meta": meta }))).map_err(|fault| fault.code);
        assert_eq!(code(json!({ VERSION: "2026-07-28", CAPABILITIES: {} })), Ok(Revision::Of2026July));
        assert_eq!(code(json!({ VERSION: "2026-07-28" })), Err(-32_602));
        assert_eq!(code(json!({ VERSION: "2026-07-28", CAPABILITIES: [] })), Err(-32_602));
        assert_eq!(code(json!({ VERSION: 2026, CAPABILITIES: {} })), Err(-32_602));
        assert_eq!(code(json!({ VERSION: "2027-01-01", CAPABILITIES: {} })), Err(-32_022));
        assert_eq!(code(json!({ VERSION: "2025-11-25", CAPABILITIES: {} })), Err(-32_022));
        assert_eq!(code(json!(7)), Err(-32_602));
    }
}
