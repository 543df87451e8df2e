//! Texts and their vectors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::EmbeddingUsage;

/// Texts in one request.
pub(crate) const MAX_TEXTS: usize = 256;

/// Texts that are to get vectors.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingRequest {
    /// `anamnesis-encoder`, the encoder of the index, or `static`, the one that comes with the project.
    #[schema(example = "static")]
    pub(crate) model: String,
    /// One text, or up to 256, none of them empty; each at most 16 kB.
    pub(crate) input: Input,
    /// `float` unless given.
    pub(crate) encoding_format: Option<Encoding>,
    /// The length of a vector: the encoder's own, or nothing.
    pub(crate) dimensions: Option<usize>,
    /// Beside OpenAI's fields: what the texts are for; `passage` unless given. Some encoders embed the two differently.
    pub(crate) input_type: Option<Use>,
    /// Has no effect.
    #[serde(rename = "user", default)]
    #[schema(value_type = serde_json::Value)]
    pub(crate) _user: Option<serde::de::IgnoredAny>,
}

/// One text or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "send a text or a list of texts: tokens mean something to their own tokenizer only")]
#[schema(as = EmbeddingInput)]
pub(crate) enum Input {
    /// One.
    One(EmbeddingText),
    /// Several.
    Several(EmbeddingTexts),
}

/// A text that is to get a vector.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_length = 1)]
pub(crate) struct EmbeddingText(pub(crate) String);

/// Up to 256 of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_items = 1, max_items = 256)]
pub(crate) struct EmbeddingTexts(pub(crate) Vec<EmbeddingText>);

/// How a vector is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EmbeddingEncoding)]
pub(crate) enum Encoding {
    /// A list of numbers.
    Float,
    /// 32-bit floats, least significant byte first, in base64.
    Base64,
}

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EmbeddingUse)]
pub(crate) enum Use {
    /// It asks.
    Query,
    /// It is to be found.
    Passage,
}

impl From<Use> for retriever::Role {
    fn from(purpose: Use) -> Self {
        match purpose {
            Use::Query => Self::Query,
            Use::Passage => Self::Passage,
        }
    }
}

/// Vectors, in the order of the texts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmbeddingVectors)]
pub(crate) struct Vectors {
    /// `list`.
    pub(crate) object: &'static str,
    /// One for each text.
    pub(crate) data: Vec<Embedding>,
    /// The model that was named.
    pub(crate) model: String,
    /// What it cost.
    pub(crate) usage: EmbeddingUsage,
    /// Beside OpenAI's fields: who made them.
    pub(crate) anamnesis: Embedded,
}

/// Which encoder made vectors: two may be compared if and only if fingerprints are equal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Embedded {
    /// Hash of all that decides the encoder's vectors.
    pub(crate) fingerprint: String,
    /// Numbers in a vector.
    pub(crate) dimension: usize,
}

/// The vector of one text.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub(crate) struct Embedding {
    /// `embedding`.
    pub(crate) object: &'static str,
    /// The text's place in the request.
    pub(crate) index: usize,
    /// Of unit length.
    pub(crate) embedding: Vector,
}

/// A vector in one of the two spellings.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Vector {
    /// Numbers.
    Float(Vec<f32>),
    /// Base64.
    Base64(String),
}

impl Vector {
    /// `numbers`, written so.
    pub(crate) fn new(numbers: Vec<f32>, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Float => Self::Float(numbers),
            Encoding::Base64 => {
                let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
                Self::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_holds_floats_least_significant_byte_first() {
        assert_eq!(Vector::new(vec![1.0, -2.0], Encoding::Base64), Vector::Base64("AACAPwAAAMA=".to_owned()));
        assert_eq!(Vector::new(vec![1.0, -2.0], Encoding::Float), Vector::Float(vec![1.0, -2.0]));
    }
}
