//! [`Keyring`]: the keys that are let in now, as `keys.json` of the home has them.
//!
//! A thread looks twice a second whether the file changed. A damaged file leaves the last good keys; a
//! file that is gone lets nobody in: once there were keys, the service is never open again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::caller::Caller;
use super::error::{ApiError, Code};
use super::limits::{Bucket, Failures};
use super::watch::Watch;
use crate::keys::{KeyHash, Keys, KeysFile};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(500);
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who is let in.
#[derive(Debug)]
pub(super) struct Keyring {
    file: KeysFile,
    /// None while no key was ever made: whoever reaches the service is its user.
    known: RwLock<Option<Arc<HashMap<KeyHash, Entry>>>>,
    buckets: Mutex<HashMap<KeyHash, Bucket>>,
    failures: Mutex<Failures>,
}

#[derive(Debug)]
struct Entry {
    caller: Caller,
    quota: Option<NonZeroU32>,
    expires: Option<Timestamp>,
}

/// Why somebody is not let in, and for how long if that passes.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: ApiError,
    pub(super) retry_after: Option<Duration>,
    /// Who it was, where that is known.
    pub(super) caller: Option<Caller>,
}

/// Whether a service with these keys may listen on `listen`: without a key it is for this machine only.
///
/// # Errors
/// When it may not.
pub(crate) fn may_listen(keys: Option<&Keys>, listen: SocketAddr, now: Timestamp) -> Result<()> {
    if listen.ip().to_canonical().is_loopback() || keys.is_some_and(|keys| keys.any_active(now)) {
        return Ok(());
    }
    let why = if keys.is_none() { "there is no API key" } else { "every API key is revoked or expired" };
    bail!(
        "{listen} is reachable from elsewhere, and {why}: make one with `anamnesis key create NAME --role clinician`, \
         or listen on loopback, such as --listen 127.0.0.1:{}",
        listen.port()
    )
}

impl Keyring {
    /// Reads the keys of a home whose service listens on `listen`; `failures` wrong ones a minute are heard
    /// from one address.
    ///
    /// # Errors
    /// When the file cannot be read, since a service does not start without knowing its keys; and when there
    /// are none that go with the address.
    pub(super) fn open(file: KeysFile, listen: SocketAddr, failures: u32) -> Result<Self> {
        let keys = file.read()?;
        may_listen(keys.as_ref(), listen, Timestamp::now())?;
        let known = keys.map(|keys| Arc::new(entries(&keys)));
        let keyring = Self {
            file,
            known: RwLock::new(known),
            buckets: Mutex::new(HashMap::new()),
            failures: Mutex::new(Failures::new(failures)),
        };
        Ok(keyring)
    }

    /// Who sends a request with these headers from `address`.
    ///
    /// # Errors
    /// When there is no right key, or it was used too often.
    pub(super) fn identify(&self, headers: &HeaderMap, address: IpAddr) -> Result<Caller, Refusal> {
        let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(Caller::local());
        };
        let hash = KeyHash::of(presented(headers).map_err(Refusal::of)?);
        let now = Instant::now();
        let entry = known.get(&hash).filter(|entry| entry.expires.is_none_or(|end| end > Timestamp::now()));
        // a right key passes whatever else comes from its address: 256 random bits are guessed by nobody, and one
        // misled client must not shut out all that share its address
        let Some(entry) = entry else {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(match failures.wrong(address, now) {
                Ok(()) => Refusal::of(ApiError::new(
                    Code::Unauthenticated,
                    "this key is not known here, or it expired or was revoked: ask whoever runs this service",
                )),
                Err(wait) => Refusal {
                    retry_after: Some(wait),
                    ..Refusal::of(ApiError::new(
                        Code::TooManyAttempts,
                        "too many wrong keys came from this address: wait before you try again",
                    ))
                },
            });
        };
        self.take(entry, hash, 1, now)?;
        Ok(entry.caller.clone())
    }

    /// Counts so many more of a caller who was let in; none of them when they are too many.
    ///
    /// # Errors
    /// When the caller's key was used too often.
    pub(super) fn count(&self, caller: &Caller, times: u32) -> Result<(), Refusal> {
        let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        // names are given once; one that was revoked meanwhile is let in no more
        let Some((hash, entry)) = known.iter().find(|(_, entry)| entry.caller.name == caller.name) else {
            return Ok(());
        };
        self.take(entry, *hash, times, Instant::now())
    }

    fn take(&self, entry: &Entry, hash: KeyHash, times: u32, now: Instant) -> Result<(), Refusal> {
        let Some(quota) = entry.quota.map(NonZeroU32::get) else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(hash).or_insert_with(|| Bucket::full(quota, now));
        bucket.take_several(times, quota, now).map_err(|wait| Refusal {
            error: ApiError::new(Code::QuotaExceeded, format!("this key may ask {quota} times a minute")),
            retry_after: Some(wait),
            caller: Some(entry.caller.clone()),
        })
    }

    /// Looks for changed keys until the watch is dropped.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn watch(self: Arc<Self>) -> std::io::Result<Watch> {
        Watch::of_files("keys", EVERY, vec![self.file.path()], move || self.reload())
    }

    /// Takes over what the file holds.
    fn reload(&self) -> Result<()> {
        let was_open = self.known.read().unwrap_or_else(PoisonError::into_inner).is_none();
        let known = match self.file.read()? {
            Some(keys) => {
                tracing::info!(keys = keys.all().len(), "these keys are let in");
                entries(&keys)
            }
            None if was_open => return Ok(()),
            None => {
                tracing::error!("keys.json is gone: nobody is let in until it is back (`anamnesis key create`)");
                HashMap::new()
            }
        };
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).retain(|hash, _| known.contains_key(hash));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
        Ok(())
    }
}

impl Refusal {
    /// One that is of no particular length, by somebody unknown.
    fn of(error: ApiError) -> Self {
        Self { error, retry_after: None, caller: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"anamnesis\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Revoked keys are not even known; those that will expire are asked each time.
fn entries(keys: &Keys) -> HashMap<KeyHash, Entry> {
    let active = keys.all().iter().filter(|key| key.revoked.is_none());
    let entry = |key: &crate::keys::Key| Entry { caller: key.into(), quota: key.quota, expires: key.expires };
    active.map(|key| (key.hash, entry(key))).collect()
}

/// The one key of a request.
fn presented(headers: &HeaderMap) -> Result<&str, ApiError> {
    let refuse = |message: &str| Err(ApiError::new(Code::Unauthenticated, message));
    let bearers = headers.get_all(header::AUTHORIZATION).iter();
    let mut given = bearers.chain(headers.get_all(X_API_KEY).iter());
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        return refuse("the key is given more than once: send one header, once");
    }
    let Some(value) = first else {
        return refuse("this service asks for a key: send `Authorization: Bearer ana_…`");
    };
    let Ok(text) = value.to_str() else {
        return refuse("the key is not readable: send it as it was shown");
    };
    if headers.contains_key(X_API_KEY) {
        return Ok(text.trim());
    }
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
        _ => refuse("authorization: send `Bearer` and the key"),
    }
}
