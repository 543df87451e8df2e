//! Who answers: `--policy` and what goes with it, the same wherever a question is asked.

use std::path::PathBuf;
use std::time::Duration;

use agent::Policy;
use agent::model::{self, Sampling};
use agent::policy::{Extractive, Local, LocalOptions, OpenAi};
use anyhow::{Result, bail};

use crate::cli::device::DeviceArgs;
use crate::home::Home;
use crate::progress::Progress;

/// Who decomposes and answers.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Who answers")]
pub(crate) struct PolicyArgs {
    /// `extractive` (no model), a local model's folder or its name in the home's models folder
    /// (`anamnesis model list`), or `openai:URL#MODEL` (any compatible endpoint; its key is read from
    /// `OPENAI_API_KEY`)
    #[arg(long, value_name = "POLICY", default_value = "extractive")]
    policy: String,
    /// How freely a model chooses its words: 0 takes the likeliest, 1 follows its probabilities
    /// [default: 0]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Choose among the likeliest words that together have this probability (local models)
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// An adapter (LoRA, in PEFT layout) to lay over a local model
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Memory for what a local model has read, such as 512M or 4G
    /// [default: 1G, or what one long episode needs]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    kv_memory: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

impl PolicyArgs {
    /// Opens what is named. What is not there is an error; nothing stands in for it.
    pub(crate) fn open(&self, home: &Home) -> Result<Box<dyn Policy>> {
        if self.policy == "extractive" {
            self.refuse_settings("the extractive policy", true)?;
            return Ok(Box::new(Extractive));
        }
        if self.policy.starts_with("openai:") {
            self.refuse_settings("an endpoint", false)?;
            let mut policy = OpenAi::new(&self.policy, std::env::var("OPENAI_API_KEY").ok())?;
            policy.sampling.temperature = f64::from(self.temperature.unwrap_or(0.0));
            return Ok(Box::new(policy));
        }
        let dir = model::find(&home.models(), &self.policy)?;
        let usual = LocalOptions::default();
        let options = LocalOptions {
            device: self.device.device()?,
            adapter: self.adapter.clone(),
            sampling: Sampling {
                temperature: self.temperature.unwrap_or(usual.sampling.temperature),
                top_p: self.top_p.unwrap_or(usual.sampling.top_p),
                ..usual.sampling
            },
            kv_bytes: self.kv_memory,
            ..usual
        };
        let _bar = Progress::spinner("loading the model");
        Ok(Box::new(Local::open(&dir, &options)?))
    }

    /// Whether the endpoint that is named answers within `time`: a remark where it answers and has no such model. Policies of
    /// this machine have none.
    pub(crate) fn reach(&self, time: Duration) -> Result<Option<String>> {
        if !self.policy.starts_with("openai:") {
            return Ok(None);
        }
        let policy = OpenAi::new(&self.policy, std::env::var("OPENAI_API_KEY").ok())?;
        let is_there = policy.reach(time)?;
        Ok((!is_there).then(|| "answers, and lists no model of that name".to_owned()))
    }

    /// Whether a language model writes, whose words may be shown as they come.
    pub(crate) fn is_model(&self) -> bool {
        self.policy != "extractive"
    }

    /// A setting that would change nothing is a mistake of whoever gave it.
    fn refuse_settings(&self, who: &str, temperature: bool) -> Result<()> {
        let given = [
            ("--temperature", temperature && self.temperature.is_some()),
            ("--top-p", self.top_p.is_some()),
            ("--adapter", self.adapter.is_some()),
            ("--kv-memory", self.kv_memory.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!("{option} means nothing to {who}: name a local model with --policy"),
            None => Ok(()),
        }
    }
}

/// `512M` as bytes: a number, perhaps with a fraction, and K, M, G or T for powers of 1,024.
fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text.trim()[digits.len()..];
    let power = match unit.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(format!("`{unit}` is no unit: K, M, G or T, as in 512M")),
    };
    let number: f64 = digits.trim().parse().map_err(|_| format!("`{text}` is no size: write 512M or 4G"))?;
    let bytes = number * 1_024_f64.powi(power);
    if !(1.0..=(1_u64 << 50) as f64).contains(&bytes) {
        return Err(format!("`{text}` is no size that memory has: write 512M or 4G"));
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_units() {
        for (text, bytes) in
            [("1", 1), ("2k", 2_048), ("512M", 512 << 20), ("1.5 GiB", 3 << 29), ("4GB", 4 << 30), (" 1T ", 1 << 40)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "-1G", "0", "4X", "1e99", "NaN", "9999999T", "M4", "1.2.3G"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
