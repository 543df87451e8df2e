//! [`Endpoint`]: `openai:URL#MODEL`, taken apart.

use std::time::Duration;

use crate::{Error, Result};

/// Where a model is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme, host, port and path, without a slash at the end.
    base: String,
    /// With its question mark; empty when there is none. Never shown: it may hold a key.
    query: String,
    /// The model's name there.
    pub(super) model: String,
}

impl Endpoint {
    pub(super) fn parse(spec: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::Input(format!(
                "policy endpoint: {why}: write openai:URL#MODEL, as in openai:http://127.0.0.1:8000/v1#my-model"
            ))
        };
        let spec = spec.strip_prefix("openai:").unwrap_or(spec);
        let (url, model) = spec.split_once('#').ok_or_else(|| bad("no model is named"))?;
        let (base, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        let rest = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"))
            .ok_or_else(|| bad("the URL is not http or https"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Error::Input(
                "policy endpoint: the URL holds credentials: pass the key in OPENAI_API_KEY".to_owned(),
            ));
        }
        if authority.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(bad("the URL names no host"));
        }
        if model.trim().is_empty() {
            return Err(bad("no model is named"));
        }
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            query: query.to_owned(),
            model: model.trim().to_owned(),
        })
    }

    /// Where requests go.
    pub(super) fn url(&self) -> String {
        format!("{}/chat/completions{}", self.base, self.query)
    }

    /// Where its models are listed.
    pub(super) fn models(&self) -> String {
        format!("{}/models{}", self.base, self.query)
    }

    /// Who asks it.
    pub(super) fn agent(&self, connect: Duration, whole: Duration) -> ureq::Agent {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could take the key elsewhere.
            .max_redirects(0)
            .timeout_connect(Some(connect))
            .timeout_global(Some(whole));
        if self.is_local() {
            config = config.proxy(None);
        }
        ureq::Agent::new_with_config(config.build())
    }

    /// How it is named to people.
    pub(super) fn shown(&self) -> &str {
        &self.base
    }

    /// Whether it is on this machine, where no proxy leads.
    pub(super) fn is_local(&self) -> bool {
        let rest = self.base.split("://").nth(1).unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.strip_prefix('[').map_or_else(
            || authority.split(':').next().unwrap_or_default(),
            |bracketed| bracketed.split(']').next().unwrap_or_default(),
        );
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_spec_apart() {
        let endpoint = Endpoint::parse("openai:https://host:8000/v1/?api-version=1#org/model").unwrap();
        assert_eq!(endpoint.url(), "https://host:8000/v1/chat/completions?api-version=1");
        assert_eq!((endpoint.shown(), endpoint.model.as_str()), ("https://host:8000/v1", "org/model"));
        assert!(!endpoint.is_local());
        assert!(Endpoint::parse("http://[::1]:1/v1#m").unwrap().is_local());
        assert!(Endpoint::parse("http://127.0.0.1:80#m").unwrap().is_local());
    }

    #[test]
    fn refuses_what_is_none() {
        for spec in ["", "http://host/v1", "http://host/v1#", "ftp://host#m", "http:///v1#m", "http://ho st#m"] {
            assert!(matches!(Endpoint::parse(spec), Err(Error::Input(_))), "{spec}");
        }
        let error = Endpoint::parse("https://me:secret@host#m").unwrap_err().to_string();
        assert!(error.contains("OPENAI_API_KEY") && !error.contains("secret"), "{error}");
    }
}
