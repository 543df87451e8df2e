//! Whether an endpoint answers, asked before anything depends on it.

use std::time::Duration;

use serde::Deserialize;

use super::OpenAi;
use crate::{Error, Result};

/// Bytes of a list of models that are read.
const MAX_LIST: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl OpenAi {
    /// Asks for the endpoint's models, once and within `time`; false when it lists some and this one is not among them. A
    /// server without such a list answers all the same, and that is enough.
    ///
    /// # Errors
    /// [`Error::Policy`] when nobody answers, the key is refused, or the server fails.
    pub fn reach(&self, time: Duration) -> Result<bool> {
        let endpoint = || self.endpoint.shown().to_owned();
        let failed = |what: String, next| Error::Policy { endpoint: endpoint(), what, next, said: None, wait: None };
        let mut request = self.endpoint.agent(time, time).get(self.endpoint.models());
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = request.call().map_err(|error| {
            failed(format!("nobody answers ({error})"), "check that the server runs and that the URL is right")
        })?;
        match response.status().as_u16() {
            200..=299 => {}
            status @ (401 | 403) => {
                return Err(failed(format!("it refuses the key (status {status})"), "check the key in OPENAI_API_KEY"));
            }
            status @ 500..=599 => return Err(failed(format!("status {status}"), "check the server's log")),
            _ => return Ok(true),
        }
        let listed = response.body_mut().with_config().limit(MAX_LIST).read_json::<Models>();
        Ok(listed.map_or(true, |listed| listed.data.iter().any(|model| model.id == self.endpoint.model)))
    }
}
