//! `anamnesis key`: make, list and revoke the keys that a service asks for.

use std::num::NonZeroU32;

use anyhow::Result;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::filter::note_unknown_collections;
use super::{Outcome, positive};
use crate::home::Home;
use crate::keys::{Key, Role, Standing, Wish};
use crate::output::{FAINT, LABEL, Output};

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown once and kept as a hash only
    Create(Create),
    /// List the keys that were made
    List,
    /// Refuse a key from now on; a running service hears of it within a second
    Revoke {
        /// The key's name
        name: String,
    },
}

/// What `key create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Whose key it is: letters, digits and . _ @ -; shown in logs, traces and the audit log
    name: String,
    /// What it allows
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = Role::Clinician)]
    role: Role,
    /// The only collection it may read; may be given several times [default: all]
    #[arg(long = "collection", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    collections: Vec<String>,
    /// Requests a minute [default: unlimited]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>)]
    quota: Option<NonZeroU32>,
    /// When it ends: a number of days such as 90d, or a day such as 2030-01-31 (its first moment, UTC)
    /// [default: never]
    #[arg(long, value_name = "WHEN", value_parser = parse_end)]
    expires: Option<End>,
}

/// When a key is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    After(SignedDuration),
    At(Timestamp),
}

pub(crate) fn run(home: &Home, command: Command, output: &Output) -> Result<Outcome> {
    match command {
        Command::Create(args) => create(home, args, output),
        Command::List => list(home, output),
        Command::Revoke { name } => revoke(home, &name, output),
    }
}

fn create(home: &Home, args: Create, output: &Output) -> Result<Outcome> {
    let now = Timestamp::now();
    let Create { name, role, collections, quota, expires } = args;
    let expires = expires
        .map(|end| match end {
            End::After(time) => now.checked_add(time),
            End::At(at) => Ok(at),
        })
        .transpose()?;
    if expires.is_some_and(|end| end <= now) {
        anyhow::bail!("--expires lies in the past: name a day to come, or a number of days such as 90d");
    }
    note_unknown_collections(home, &collections, output);
    let collections = (!collections.is_empty()).then_some(collections);
    let wish = Wish { name: name.clone(), role, collections, quota, expires };
    let secret = home.keys().change(|keys| keys.create(wish, now))?;
    if output.is_json() {
        output.json(&json!({ "name": name, "role": role, "key": secret }))?;
    } else {
        output.line(&secret)?;
        output.note(
            "this is shown once: keep it where only its owner reads it, and send it as `Authorization: Bearer …`",
        );
    }
    Ok(Outcome::Done)
}

fn list(home: &Home, output: &Output) -> Result<Outcome> {
    let now = Timestamp::now();
    let keys = home.keys().read()?;
    let keys = keys.as_ref().map_or(&[][..], |keys| keys.all());
    for key in keys {
        if output.is_json() {
            output.json(&described(key, now))?;
        } else {
            output.line(line(key, now))?;
        }
    }
    if keys.is_empty() {
        output.note("there is no key: `anamnesis key create NAME --role clinician` makes one");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Done)
}

fn revoke(home: &Home, name: &str, output: &Output) -> Result<Outcome> {
    let is_new = home.keys().change(|keys| keys.revoke(name, Timestamp::now()))?;
    if output.is_json() {
        output.json(&json!({ "name": name, "revoked": is_new }))?;
    } else {
        output.line(if is_new { format!("{name} is revoked") } else { format!("{name} was revoked before") })?;
    }
    Ok(Outcome::Done)
}

/// A key without its hash, which is of no use to anyone.
fn described(key: &Key, now: Timestamp) -> serde_json::Value {
    json!({
        "name": key.name, "role": key.role, "collections": key.collections, "quota": key.quota,
        "created": key.created, "expires": key.expires, "revoked": key.revoked, "standing": key.standing(now),
    })
}

fn line(key: &Key, now: Timestamp) -> String {
    let mut parts = vec![format!("{LABEL}{}{LABEL:#}", key.name), key.role.name().to_owned()];
    if let Some(collections) = &key.collections {
        parts.push(format!("only {}", collections.join(", ")));
    }
    if let Some(quota) = key.quota {
        parts.push(format!("{quota} a minute"));
    }
    parts.push(match key.standing(now) {
        Standing::Active => key.expires.map_or("active".to_owned(), |end| format!("active until {end:.0}")),
        Standing::Expired => "expired".to_owned(),
        Standing::Revoked => "revoked".to_owned(),
    });
    parts.push(format!("{FAINT}made {:.0}{FAINT:#}", key.created));
    parts.join("  ")
}

fn parse_end(text: &str) -> Result<End, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    if let Some(days) = days {
        return Ok(End::After(SignedDuration::from_hours(24 * i64::from(days))));
    }
    let midnight = text.parse::<Date>().ok().and_then(|date| date.to_zoned(TimeZone::UTC).ok());
    let wrong = || format!("`{text}` is no end: write a number of days such as 90d, or a day such as 2030-01-31");
    midnight.map(|zoned| End::At(zoned.timestamp())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_number_of_days_or_a_day() {
        assert_eq!(parse_end("2d"), Ok(End::After(SignedDuration::from_hours(48))));
        assert_eq!(parse_end("2030-01-31"), Ok(End::At("2030-01-31T00:00:00Z".parse().unwrap())));
        for text in ["", "d", "-1d", "90", "2030", "soon", "2030-02-30"] {
            assert!(parse_end(text).is_err(), "{text}");
        }
    }
}
