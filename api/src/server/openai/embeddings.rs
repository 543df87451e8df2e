//! `POST /v1/embeddings`: vectors of texts, by the encoder of the index or the one that comes along.

use std::sync::Arc;

use agent::Cancel;
use axum::Json;
use axum::extract::State;
use retriever::embed::{BUNDLED, bundled};
use retriever::{Embed, Role};

use super::refusal::Refusal;
use crate::server::Service;
use crate::server::body::Body;
use crate::server::error::ApiError;
use crate::server::wire::fits;
use crate::server::wire::openai::{
    Embedded, Embedding, EmbeddingRequest, EmbeddingText, EmbeddingTexts, EmbeddingUsage, Encoding, Input, MAX_TEXTS,
    OpenAiFailure, Vector, Vectors,
};

/// The name of the encoder that the index was built with.
pub(super) const ENCODER: &str = "anamnesis-encoder";

/// Texts embedded between two looks at whether anybody still waits.
const STEP: usize = 16;

/// Embed texts.
///
/// Vectors have unit length. With `anamnesis-encoder` they lie in the space of the index.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "embeddings",
    tag = "openai",
    request_body = EmbeddingRequest,
    responses(
        (status = 200, description = "a vector for each text", body = Vectors),
        (status = 400, description = "the request is not in order", body = OpenAiFailure),
        (status = 404, description = "no encoder is called so", body = OpenAiFailure),
        (status = 413, description = "the body is too large", body = OpenAiFailure),
        (status = 415, description = "the body is not JSON by its media type", body = OpenAiFailure),
        (status = 429, description = "overloaded: try again after `Retry-After` seconds", body = OpenAiFailure),
        (status = 503, description = "no index is open", body = OpenAiFailure),
        (status = 504, description = "it took too long", body = OpenAiFailure),
    ),
)]
pub(in crate::server) async fn embed(
    State(service): State<Arc<Service>>,
    Body(request): Body<EmbeddingRequest>,
) -> Result<Json<Vectors>, Refusal> {
    let EmbeddingRequest { model, input, encoding_format, dimensions, input_type, .. } = request;
    let texts = texts(input)?;
    let encoder = Encoder::named(&service, &model)?;
    let role = input_type.map_or(Role::Passage, Into::into);
    let encoding = encoding_format.unwrap_or(Encoding::Float);
    let usage = EmbeddingUsage::of(&texts);
    let work = move |cancel: &Cancel| -> Result<_, Refusal> {
        let encoder = encoder.open()?;
        let dimension = encoder.card().dimension;
        if dimensions.is_some_and(|asked| asked != dimension) {
            let message = format!("dimensions: vectors of this model have {dimension} numbers and are not cut");
            return Err(Refusal::invalid("dimensions", message));
        }
        let vectors = vectors(encoder.as_ref(), role, &texts, cancel)?;
        Ok((vectors, Embedded { fingerprint: encoder.card().fingerprint.clone(), dimension }))
    };
    let (vectors, anamnesis) = service.work(move |cancel| Ok(work(cancel))).await??;
    let embedding =
        |(index, numbers)| Embedding { object: "embedding", index, embedding: Vector::new(numbers, encoding) };
    let data = vectors.into_iter().enumerate().map(embedding).collect();
    Ok(Json(Vectors { object: "list", data, model, usage, anamnesis }))
}

/// The texts, checked.
fn texts(input: Input) -> Result<Vec<String>, Refusal> {
    let invalid = |message: String| Refusal::invalid("input", message);
    let texts = match input {
        Input::One(EmbeddingText(text)) => vec![text],
        Input::Several(EmbeddingTexts(texts)) => texts.into_iter().map(|EmbeddingText(text)| text).collect(),
    };
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(invalid(format!("input: {} texts given, 1 to {MAX_TEXTS} are allowed", texts.len())));
    }
    for (place, text) in texts.iter().enumerate() {
        // blanks have a vector too
        if text.is_empty() {
            return Err(invalid(format!("input[{place}]: it is empty")));
        }
        fits(&format!("input[{place}]"), text).map_err(|error| invalid(error.message().to_owned()))?;
    }
    Ok(texts)
}

/// An encoder, perhaps still to be opened.
enum Encoder {
    OfTheIndex(Arc<dyn Embed>),
    Bundled(Arc<Service>),
}

impl Encoder {
    fn named(service: &Arc<Service>, model: &str) -> Result<Self, Refusal> {
        match model {
            BUNDLED => Ok(Self::Bundled(Arc::clone(service))),
            ENCODER => match service.current.pin()?.encoder() {
                Some(encoder) => Ok(Self::OfTheIndex(Arc::clone(encoder))),
                None => {
                    Err(Refusal::unknown_model(&format!("the index was built without an encoder: name `{BUNDLED}`")))
                }
            },
            _ => Err(Refusal::unknown_model(&format!("no model called so embeds: name `{ENCODER}` or `{BUNDLED}`"))),
        }
    }

    fn open(self) -> Result<Arc<dyn Embed>, ApiError> {
        match self {
            Self::OfTheIndex(encoder) => Ok(encoder),
            Self::Bundled(service) => {
                if let Some(encoder) = service.bundled.get() {
                    return Ok(Arc::clone(encoder));
                }
                let opened: Arc<dyn Embed> = Arc::new(bundled()?);
                Ok(Arc::clone(service.bundled.get_or_init(|| opened)))
            }
        }
    }
}

fn vectors(encoder: &dyn Embed, role: Role, texts: &[String], cancel: &Cancel) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut vectors = Vec::with_capacity(texts.len());
    for step in texts.chunks(STEP) {
        cancel.check()?;
        let step: Vec<_> = step.iter().map(String::as_str).collect();
        vectors.extend(encoder.embed(role, &step)?);
    }
    Ok(vectors)
}
