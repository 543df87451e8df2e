//! The configuration file of `serve`: its options, written down.
//!
//! A file is turned into options that stand after those of the command line, leaving out what was given
//! there. So every key has an option of its name and every option a key, both are checked by one parser,
//! and what is explained of one is explained of the other.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args as _, Command};
use toml::{Table, Value};

use super::Args;
use crate::home::Home;

/// Options that are about the file itself or are no settings.
const NO_KEYS: [&str; 3] = ["config", "print_config", "check"];
/// Sections whose heading in `--help` is no noun.
const SECTIONS: [(&str, &str); 3] =
    [("Who answers", "policy"), ("How answers are checked", "review"), ("Identifiers of patients", "privacy")];
/// What the example shows where there is no default: key and value.
const EXAMPLES: [(&str, &str); 13] = [
    ("workers", "8"),
    ("tls_cert", "\"/etc/anamnesis/chain.pem\""),
    ("tls_key", "\"/etc/anamnesis/key.pem\""),
    ("otlp", "\"http://127.0.0.1:4318\""),
    ("host", "[\"evidence.example.org\"]"),
    ("cors", "[\"https://page.example.org\"]"),
    ("proxy", "[\"127.0.0.1\"]"),
    ("temperature", "0.7"),
    ("top_p", "0.95"),
    ("adapter", "\"adapters/ward\""),
    ("kv_memory", "\"4G\""),
    ("threads", "8"),
    ("judge", "\"scorer\""),
];
const HEAD: &str = "\
# Configuration of `anamnesis serve`: anamnesis.toml of the home, or what --config names.
# Every key is an option of the command line as well, where it wins. Lines with #key show defaults or examples.
# Where other machines come, let them come by TLS and name what they call this service under access.host. TLS is the
# service's own (tls_cert, tls_key) or that of a reverse proxy, which passes requests on to `listen`: name it under
# access.proxy, so that what it says of clients is believed.
# Try a changed file with `anamnesis serve --check`.
";

/// The file that applies, if any: the one named, or the home's own.
///
/// # Errors
/// When one is named that is not there.
pub(super) fn path(args: &Args, home: &Home) -> Result<Option<PathBuf>> {
    let (path, is_named) = match &args.config {
        Some(path) => (path.clone(), true),
        None => (home.root().join("anamnesis.toml"), false),
    };
    let is_there = path.try_exists().with_context(|| format!("cannot look for {}", path.display()))?;
    if is_named && !is_there {
        bail!("{} is not there: `anamnesis serve --print-config` shows what it could hold", path.display());
    }
    Ok(is_there.then_some(path))
}

/// What the file says, as options of the command line; without those that were `given` there.
///
/// # Errors
/// When the file cannot be read, or a key or value is none.
pub(crate) fn arguments(args: &Args, given: &ArgMatches, home: &Home) -> Result<Vec<OsString>> {
    if args.print_config {
        return Ok(Vec::new());
    }
    let Some(path) = path(args, home)? else { return Ok(Vec::new()) };
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_given = |key: &str| given.value_source(key) == Some(ValueSource::CommandLine);
    options(&text, &is_given).with_context(|| wrong(&path))
}

fn wrong(path: &Path) -> String {
    format!("{} is not in order (`anamnesis serve --print-config` shows every key)", path.display())
}

fn options(text: &str, is_given: &dyn Fn(&str) -> bool) -> Result<Vec<OsString>> {
    let command = command();
    let mut options = Vec::new();
    for (section, keys) in text.parse::<Table>()? {
        let Value::Table(keys) = keys else { bail!("{section}: every key belongs into a section such as [service]") };
        if !command.get_arguments().any(|arg| is_key(arg) && section_of(arg) == section) {
            bail!("[{section}] is no section");
        }
        for (key, value) in keys {
            let place = format!("{section}.{key}");
            let arg =
                command.get_arguments().find(|arg| is_key(arg) && arg.get_id() == &key && section_of(arg) == section);
            let arg = arg.with_context(|| format!("{place} is no key"))?;
            let said = said(arg, value).with_context(|| place.clone())?;
            let words = std::iter::once(OsString::from("serve")).chain(said.iter().cloned());
            command.clone().try_get_matches_from(words).map_err(|error| anyhow!("{place}: {}", first_line(&error)))?;
            if !is_given(&key) {
                options.extend(said);
            }
        }
    }
    Ok(options)
}

/// A key and its value as options.
fn said(arg: &Arg, value: Value) -> Result<Vec<OsString>> {
    let long = arg.get_long().context("an option without a name")?;
    let values = match value {
        Value::Array(values) if matches!(arg.get_action(), ArgAction::Append) => values,
        Value::Array(_) => bail!("it takes one value, not a list"),
        one => vec![one],
    };
    let option = |value| {
        let text = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            other => bail!("a {} is no value of it", other.type_str()),
        };
        Ok(format!("--{long}={text}").into())
    };
    values.into_iter().map(option).collect()
}

/// What clap says is wrong, without its advice about `--help`.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// An example of the file: every key with what it means.
pub(super) fn example() -> String {
    let command = command();
    let mut text = HEAD.to_owned();
    let mut sections: Vec<String> = Vec::new();
    for arg in command.get_arguments().filter(|arg| is_key(arg)) {
        let section = section_of(arg);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    for section in sections {
        // writing to a string cannot fail
        let _ = write!(text, "\n[{section}]\n");
        for arg in command.get_arguments().filter(|arg| is_key(arg) && section_of(arg) == section) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            comment(&mut text, &help);
            let _ = writeln!(text, "#{} = {}", arg.get_id(), shown(arg));
        }
    }
    text
}

/// Lines of comment, none much longer than a terminal is wide.
fn comment(text: &mut String, help: &str) {
    let mut width = 0;
    for word in help.split_whitespace() {
        let begins = width == 0 || width + word.len() > 100;
        if begins && width > 0 {
            text.push('\n');
        }
        text.push_str(if begins { "# " } else { " " });
        text.push_str(word);
        width = if begins { 0 } else { width } + word.len() + 1;
    }
    text.push('\n');
}

/// The default as TOML, or an example where there is none.
fn shown(arg: &Arg) -> String {
    let Some(default) = arg.get_default_values().first().map(|value| value.to_string_lossy()) else {
        let example = EXAMPLES.iter().find(|(key, _)| arg.get_id() == key);
        return example.map_or("\"\"", |(_, value)| value).to_owned();
    };
    if default.parse::<f64>().is_ok() { default.into_owned() } else { Value::String(default.into_owned()).to_string() }
}

fn command() -> Command {
    Args::augment_args(Command::new("serve"))
}

fn is_key(arg: &Arg) -> bool {
    !NO_KEYS.iter().any(|known| arg.get_id() == known)
}

fn section_of(arg: &Arg) -> String {
    let heading = arg.get_help_heading().unwrap_or("Service");
    let known = SECTIONS.iter().find(|(known, _)| *known == heading);
    known.map_or_else(|| heading.to_lowercase().replace(' ', "_"), |(_, section)| (*section).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Vec<String>, String> {
        let options = options(text, &|_| false).map_err(|error| format!("{error:#}"))?;
        Ok(options.into_iter().map(|option| option.into_string().unwrap()).collect())
    }

    #[test]
    fn every_option_is_a_key_of_the_example_and_every_key_an_option() {
        let example = example();
        let uncommented: String = example
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
            .collect();
        let file: Table = uncommented.parse().unwrap();
        let mut keys: Vec<_> = file.iter().flat_map(|(_, keys)| keys.as_table().unwrap().keys().cloned()).collect();
        let mut options: Vec<_> = command()
            .get_arguments()
            .filter(|arg| is_key(arg))
            .map(|arg| arg.get_long().unwrap().replace('-', "_"))
            .collect();
        keys.sort();
        options.sort();
        assert_eq!(keys, options);
        for (section, keys) in &file {
            let count = keys.as_table().unwrap().len();
            assert!((1..=12).contains(&count), "[{section}] has {count} keys");
        }
        let said = said(&uncommented).unwrap_or_else(|error| panic!("{error}: give the key an example in EXAMPLES"));
        assert_eq!(said.len(), keys.len());
        let explained = example.lines().filter(|line| line.starts_with("# ")).count();
        assert!(explained >= keys.len(), "every key has its comment");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expect) in [
            ("[service]\nqueue = \"many\"", "service.queue: invalid value 'many'"),
            ("[service]\nlisten = 8080", "service.listen: invalid value '8080'"),
            ("[service]\nqueues = 3", "service.queues is no key"),
            ("[access]\nqueue = 3", "access.queue is no key"),
            ("[service]\ncheck = true", "service.check is no key"),
            ("[service]\nqueue = [1]", "service.queue: it takes one value"),
            ("[service]\nqueue = true", "service.queue: a boolean"),
            ("[more]\nqueue = 1", "[more] is no section"),
            ("queue = 1", "queue: every key belongs into a section"),
            ("[service", "TOML parse error"),
            ("[access]\ncors = [\"*\"]", "access.cors: invalid value '*'"),
        ] {
            let error = said(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_wins() {
        let text = "[service]\nqueue = 3\nlog = \"json\"\n[access]\nhost = [\"a\", \"b\"]";
        assert_eq!(said(text).unwrap(), ["--host=a", "--host=b", "--log=json", "--queue=3"]);
        let rest = options(text, &|key| key == "queue" || key == "host").unwrap();
        assert_eq!(rest, ["--log=json"]);
    }
}
