//! What `/v1/models` lists.

use serde::Serialize;
use utoipa::ToSchema;

/// The models that can be named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Models {
    /// `list`.
    pub(crate) object: &'static str,
    /// The agent, then the encoders.
    pub(crate) data: Vec<Model>,
}

/// A name that requests may give as their model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    /// The name.
    #[schema(example = "anamnesis")]
    pub(crate) id: String,
    /// `model`.
    pub(crate) object: &'static str,
    /// When the index it answers from was built, in seconds since 1970; 0 where it needs none.
    pub(crate) created: i64,
    /// Who made it.
    pub(crate) owned_by: &'static str,
}
