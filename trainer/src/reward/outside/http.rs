//! A user's own endpoint: `POST` of a case as JSON, `{"value": 0..1, "reason": "..."}` back.

use std::time::Duration;

use super::{Case, Opinion, Outside, timeout};
use crate::{Error, Result};

/// Bytes of a reply that are read.
const MAX_REPLY: u64 = 1 << 20;
/// Before the first new attempt; doubled before each further one.
const BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait between two attempts, whatever a server asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// An endpoint.
pub(super) struct Http {
    url: String,
    agent: ureq::Agent,
    attempts: u32,
    pub(super) backoff: Duration,
}

/// Why there is no opinion.
struct Failed {
    why: String,
    again: Again,
}

/// Whether another attempt may help.
enum Again {
    No,
    /// After the usual wait.
    Soon,
    /// After as long as the server asks for.
    After(Duration),
}

impl Http {
    pub(super) fn new(config: &Outside) -> Result<Self> {
        let url = config.at.clone();
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty()
            || authority.contains('@')
            || url.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(Error::Input("its address is no http or https URL without credentials".to_owned()));
        }
        let mut agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout(config)));
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        // No proxy leads to this machine.
        if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
            agent = agent.proxy(None);
        }
        let agent = ureq::Agent::new_with_config(agent.build());
        Ok(Self { url, agent, attempts: config.attempts, backoff: BACKOFF })
    }

    pub(super) fn ask(&self, case: &Case<'_>) -> Result<Opinion, String> {
        let mut wait = self.backoff;
        for attempt in 1.. {
            match self.attempt(case) {
                Ok(opinion) => return Ok(opinion),
                Err(Failed { why, again }) => {
                    let asked = match again {
                        Again::Soon if attempt < self.attempts => wait,
                        Again::After(asked) if attempt < self.attempts => asked,
                        _ => return Err(why),
                    };
                    tracing::debug!(attempt, why, "asking outside again");
                    std::thread::sleep(asked.min(LONGEST));
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
        Err("was asked too often".to_owned())
    }

    fn attempt(&self, case: &Case<'_>) -> Result<Opinion, Failed> {
        let again = |why: String| Failed { why, again: Again::Soon };
        let reply = self.agent.post(&self.url).send_json(case).map_err(|error| again(error.to_string()))?;
        let status = reply.status().as_u16();
        let seconds = reply.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if status == 429 || status >= 500 {
            let again = seconds.map_or(Again::Soon, |seconds| Again::After(Duration::from_secs(seconds)));
            return Err(Failed { why: format!("status {status}"), again });
        }
        if status != 200 {
            return Err(Failed { why: format!("status {status}"), again: Again::No });
        }
        let bytes = reply.into_body().into_with_config().limit(MAX_REPLY).read_to_vec();
        let bytes = bytes.map_err(|error| again(error.to_string()))?;
        let opinion: Opinion = serde_json::from_slice(&bytes)
            .map_err(|error| again(format!("the reply is no {{\"value\", \"reason\"}}: {error}")))?;
        opinion.checked().map_err(|why| Failed { why, again: Again::No })
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}
