//! [`FieldMap`]: which field of a JSON line means what.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::json::{self, Row};
use crate::Error;

/// What a field may mean, and where each meaning is looked for when nothing is said, best first.
const DEFAULTS: [(&str, &[&str]); 15] = [
    ("text", super::jsonl::TEXT_FIELDS),
    ("id", &["id", "_id", "pmid", "pmcid"]),
    ("title", &["title", "question"]),
    ("date", &["date", "year"]),
    ("journal", &["journal", "book", "source"]),
    ("pmid", &["pmid", "PMID"]),
    ("pmcid", &["pmcid", "pmc"]),
    ("doi", &["doi", "DOI"]),
    ("url", &["url"]),
    ("language", &["language", "lang"]),
    ("licence", &["licence", "license"]),
    ("types", &["publication_types", "type"]),
    ("mesh", &["mesh", "meshes", "keywords"]),
    ("section", &["section", "heading"]),
    ("version", &["version"]),
];

/// Fields of a JSON line by meaning: `text=body,id=key,date=metadata.year`. A field may be a dotted
/// path; `text=question+answer` joins several. Meanings not named keep their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMap {
    /// Beside each default: the fields named instead, joined if more than one.
    named: [Vec<String>; DEFAULTS.len()],
}

impl Default for FieldMap {
    fn default() -> Self {
        Self { named: std::array::from_fn(|_| Vec::new()) }
    }
}

impl FieldMap {
    /// The values that `row` has for `meaning`: all that were named, else the first default present.
    pub(super) fn values<'r>(&self, row: &'r Row, meaning: &str) -> Vec<&'r Value> {
        let Some(at) = DEFAULTS.iter().position(|(name, _)| *name == meaning) else {
            return Vec::new();
        };
        let present = |value: &&Value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(values) => !values.is_empty(),
            _ => true,
        };
        match self.named[at].as_slice() {
            [] => {
                let mut defaults = DEFAULTS[at].1.iter();
                defaults.find_map(|name| row.get(*name).filter(present)).into_iter().collect()
            }
            named => named.iter().filter_map(|path| json::at(row, path).filter(present)).collect(),
        }
    }

    /// The text that `row` has for `meaning`.
    pub(super) fn text(&self, row: &Row, meaning: &str) -> Option<String> {
        self.values(row, meaning).into_iter().find_map(json::text)
    }

    /// All texts that `row` has for `meaning`.
    pub(super) fn texts(&self, row: &Row, meaning: &str) -> Vec<String> {
        self.values(row, meaning).into_iter().flat_map(json::texts).collect()
    }
}

impl FromStr for FieldMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut map = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (meaning, fields) = pair
                .split_once('=')
                .ok_or_else(|| Error::Input(format!("`{pair}` in the field map is no MEANING=FIELD")))?;
            let at = DEFAULTS.iter().position(|(name, _)| *name == meaning.trim()).ok_or_else(|| {
                let names: Vec<_> = DEFAULTS.iter().map(|(name, _)| *name).collect();
                Error::Input(format!("`{meaning}` in the field map is none of {}", names.join(", ")))
            })?;
            let fields = fields.split('+').map(str::trim).filter(|field| !field.is_empty());
            map.named[at] = fields.map(str::to_owned).collect();
            if map.named[at].is_empty() {
                return Err(Error::Input(format!("`{meaning}` in the field map names no field")));
            }
        }
        Ok(map)
    }
}

impl fmt::Display for FieldMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = DEFAULTS.iter().zip(&self.named).filter(|(_, fields)| !fields.is_empty());
        for (at, ((meaning, _), fields)) in named.enumerate() {
            write!(f, "{}{meaning}={}", if at == 0 { "" } else { "," }, fields.join("+"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "text=question+answer,id=key,date=metadata.year";
        assert_eq!(text.parse::<FieldMap>().unwrap().to_string(), text);
        assert_eq!("".parse::<FieldMap>().unwrap(), FieldMap::default());
    }

    #[test]
    fn names_what_it_cannot_read() {
        for (text, part) in [("body", "`body`"), ("colour=red", "`colour`"), ("text=", "names no field")] {
            let error = text.parse::<FieldMap>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
