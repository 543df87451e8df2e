//! [`Client`]: requests with any headers, and responses as they come, JSON or not.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

use crate::harness::{Home, PATIENCE, Server};

/// Somebody who sends requests to a service, with a key or without.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) text: String,
    headers: ureq::http::HeaderMap,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Self {
        server.client().clone()
    }

    /// The same of a service at `base`.
    pub(crate) fn of(base: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_idle_age(Duration::from_millis(100))
            .build();
        Self { agent: config.into(), base, key: None }
    }

    /// The same with a key.
    pub(crate) fn with(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, &[], Some(body))
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Response {
        self.try_send(method, path, headers, body).unwrap()
    }

    /// The same where the response may not come, or not whole.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string()).unwrap();
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut response = response?;
        let text = response.body_mut().read_to_string()?;
        Ok(Response { status: response.status().as_u16(), text, headers: response.headers().clone() })
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{} {error}: {}", self.status, self.text))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert!(self.header("x-request-id").is_some());
        self.json()
    }

    /// The message of an error, whose envelope is checked.
    #[track_caller]
    pub(crate) fn failed(&self, status: u16, code: &str) -> String {
        let json = self.json();
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"));
        json["message"].as_str().unwrap().to_owned()
    }
}

/// Makes a key; gives it.
pub(crate) fn key(home: &Home, name: &str, options: &[&str]) -> String {
    let mut args = vec!["key", "create", name];
    args.extend(options);
    home.run(&args).trim().to_owned()
}
