//! [`Keys`]: who may use the service, by keys of which only hashes are kept.
//!
//! A key is `ana_` and 256 random bits, shown once. What the home keeps of it is a BLAKE3 hash: with that
//! much randomness a slow hash would add nothing, and looking a hash up tells nothing by how long it takes.

mod file;

use std::num::NonZeroU32;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use file::KeysFile;

/// Who is called so is this machine's own user, where no key exists.
pub(crate) use corpus::store::LOCAL;

const PREFIX: &str = "ana_";
const FORMAT: u32 = 1;
/// Keeps these hashes apart from any other use of the same bytes.
const PURPOSE: &str = "anamnesis 2026 hash of an API key";

/// What a caller may do. Roles are sets of routes, not ranks: see `server/access.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Asks, searches and reads
    Clinician,
    /// What a clinician may, and changes documents, collections and the index
    Curator,
    /// What a clinician may, and reads runs
    Trainer,
    /// Everything
    Admin,
}

impl Role {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clinician => "clinician",
            Self::Curator => "curator",
            Self::Trainer => "trainer",
            Self::Admin => "admin",
        }
    }
}

/// The hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key as a client sends it.
    pub(crate) fn of(secret: &str) -> Self {
        Self(blake3::derive_key(PURPOSE, secret.as_bytes()))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        blake3::Hash::from_bytes(hash.0).to_hex().to_string()
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Whose it is; never used twice, since traces and the audit log go by it.
    pub(crate) name: String,
    /// What it allows.
    pub(crate) role: Role,
    /// All that is kept of the key itself.
    pub(crate) hash: KeyHash,
    /// The only collections it may read; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) collections: Option<Vec<String>>,
    /// Requests a minute; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<NonZeroU32>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Timestamp>,
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) collections: Option<Vec<String>>,
    pub(crate) quota: Option<NonZeroU32>,
    pub(crate) expires: Option<Timestamp>,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    Active,
    Expired,
    Revoked,
}

impl Key {
    /// How it stands at `now`.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        if self.revoked.is_some() {
            Standing::Revoked
        } else if self.expires.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }
}

/// All keys of a home, as `keys.json` has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    format: u32,
    keys: Vec<Key>,
}

impl Keys {
    fn none() -> Self {
        Self { format: FORMAT, keys: Vec::new() }
    }

    fn parse(text: &str) -> Result<Self> {
        let keys: Self = serde_json::from_str(text)?;
        if keys.format != FORMAT {
            bail!("its format is {}, this program reads {FORMAT}", keys.format);
        }
        Ok(keys)
    }

    /// Every key, in order of creation.
    pub(crate) fn all(&self) -> &[Key] {
        &self.keys
    }

    /// Whether any key would be let in at `now`.
    pub(crate) fn any_active(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| key.standing(now) == Standing::Active)
    }

    /// Adds a key; gives the key itself, which is kept nowhere.
    ///
    /// # Errors
    /// When the name cannot be used, or the system has no randomness to give.
    pub(crate) fn create(&mut self, wish: Wish, now: Timestamp) -> Result<String> {
        check_name(&wish.name)?;
        if self.keys.iter().any(|key| key.name == wish.name) {
            bail!(
                "a key called {} exists or existed: take another name, since traces and the audit log go by names",
                wish.name
            );
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the system gave no random bits: try again")?;
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let Wish { name, role, collections, quota, expires } = wish;
        let hash = KeyHash::of(&secret);
        self.keys.push(Key { name, role, hash, collections, quota, created: now, expires, revoked: None });
        Ok(secret)
    }

    /// Revokes the key called `name`; false when it was revoked before.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn revoke(&mut self, name: &str, now: Timestamp) -> Result<bool> {
        let found = self.keys.iter_mut().find(|key| key.name == name);
        let key = found.with_context(|| format!("no key is called {name}: see `anamnesis key list`"))?;
        let is_new = key.revoked.is_none();
        key.revoked.get_or_insert(now);
        Ok(is_new)
    }
}

/// Names go into logs, headers of columns and the audit log: letters, digits and a few signs.
fn check_name(name: &str) -> Result<()> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    if !fits {
        bail!("`{}` is no name for a key: 1 to 64 letters, digits, and . _ @ -", name.escape_debug());
    }
    if name == LOCAL {
        bail!("{LOCAL} is who asks without a key: take another name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str) -> Wish {
        Wish { name: name.to_owned(), role: Role::Clinician, collections: None, quota: None, expires: None }
    }

    #[test]
    fn a_key_is_random_and_kept_as_a_hash() {
        let mut keys = Keys::none();
        let first = keys.create(wish("ward-3"), Timestamp::UNIX_EPOCH).unwrap();
        let second = keys.create(wish("ward-4"), Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(first, second);
        assert_eq!((first.len(), first.starts_with("ana_")), (47, true), "256 bits at 6 a letter");
        let text = serde_json::to_string(&keys).unwrap();
        assert!(!text.contains(&first) && !text.contains(&first[4..]), "{text}");
        let read = Keys::parse(&text).unwrap();
        assert_eq!(read.all(), keys.all());
        assert_eq!(read.all()[0].hash, KeyHash::of(&first));
        assert_ne!(read.all()[0].hash, KeyHash::of(&second));
    }

    #[test]
    fn names_are_plain_and_never_used_twice() {
        let mut keys = Keys::none();
        keys.create(wish("a"), Timestamp::UNIX_EPOCH).unwrap();
        keys.revoke("a", Timestamp::UNIX_EPOCH).unwrap();
        for name in ["a", "", "local", "x y", "é", "a\nb", &"x".repeat(65)] {
            assert!(keys.create(wish(name), Timestamp::UNIX_EPOCH).is_err(), "{name:?}");
        }
        assert!(keys.revoke("b", Timestamp::UNIX_EPOCH).unwrap_err().to_string().contains("anamnesis key list"));
    }

    #[test]
    fn a_key_ends_when_it_expires_or_is_revoked() {
        let mut keys = Keys::none();
        let (before, end) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        keys.create(Wish { expires: Some(end), ..wish("a") }, before).unwrap();
        assert_eq!(keys.all()[0].standing(before), Standing::Active);
        assert_eq!(keys.all()[0].standing(end), Standing::Expired);
        assert!(keys.any_active(before) && !keys.any_active(end));
        assert!(keys.revoke("a", before).unwrap());
        assert!(!keys.revoke("a", end).unwrap(), "once is enough");
        assert_eq!(keys.all()[0].revoked, Some(before));
        assert!(!keys.any_active(before));
    }

    #[test]
    fn what_it_does_not_know_it_does_not_guess() {
        for text in [
            "",
            "{}",
            r#"{"format":2,"keys":[]}"#,
            r#"{"format":1,"keys":[],"more":1}"#,
            r#"{"format":1,"keys":[{"name":"a","role":"root","hash":"00","created":"2026-01-01T00:00:00Z"}]}"#,
        ] {
            assert!(Keys::parse(text).is_err(), "{text}");
        }
    }
}
