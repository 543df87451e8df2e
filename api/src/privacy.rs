//! `--phi`: what becomes of identifiers of patients in a question, the same wherever one is asked.

use agent::phi::Handling;

/// What becomes of identifiers.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Identifiers of patients")]
pub(crate) struct PhiArgs {
    /// What becomes of names, dates of birth, record numbers and the like in a question: `redact` takes
    /// them out before anything is searched, logged, stored or sent; `block` refuses the question;
    /// `allow-local` uses them on this machine, stores the trace redacted, and refuses to send them
    #[arg(id = "phi", long = "phi", value_name = "HANDLING", default_value_t = Handling::Redact, value_parser = parse)]
    pub(crate) handling: Handling,
}

fn parse(name: &str) -> Result<Handling, String> {
    name.parse().map_err(|error: agent::Error| error.to_string())
}
