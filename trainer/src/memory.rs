//! How much memory a stage will take, from its recipe and the model's configuration alone, and how much there is.

use std::fs;
use std::sync::OnceLock;

use nn::{BLOCK, DecoderConfig, KvCache, Target, Trainable, Weights};

use crate::recipe::{Learn, ModelSection, Plan, Recompute};
use crate::{Error, Result};

/// Keys and values that episodes may hold, in bytes, where a single one does not need more.
const CACHE: usize = 1 << 30;
/// Prompt tokens that the engine computes in one step, beside a token of each episode.
pub(crate) const STEP_TOKENS: usize = 512;

/// What of a stage decides how much memory it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Tokens that the largest micro-batch computes.
    pub micro_tokens: usize,
    /// Episodes under way at once; 0 where there are none.
    pub at_once: usize,
    /// Tokens of the longest of them.
    pub longest: usize,
    /// Whether a frozen copy of the model stands beside it.
    pub has_reference: bool,
}

/// Bytes that a stage is expected to hold at its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What this process held before its first stage: what stages took since then is taken again.
    pub held: u64,
    /// The model and its files, and its copy where there is one.
    pub weights: u64,
    /// What learns as it is kept, its gradients and their two moments, and a checkpoint of it while it is written.
    pub learning: u64,
    /// What a micro-batch keeps for its backward pass, and what that needs on its way.
    pub micro_batch: u64,
    /// Keys and values of episodes, and what the engine computes them in.
    pub episodes: u64,
}

impl Forecast {
    /// What a stage of `plan` will take.
    ///
    /// # Errors
    /// Those of a damaged model.
    pub fn of(plan: &Plan, load: Load) -> Result<Self> {
        let ModelSection { path, learn, recompute: how, rank, targets, .. } = &plan.recipe().model;
        let config = DecoderConfig::open(path)?;
        let stored = usize::try_from(Weights::open(path)?.bytes()).unwrap_or(usize::MAX);
        let what = match learn {
            Learn::All => Trainable::All,
            Learn::Adapter => Trainable::Adapter,
        };
        let float = size_of::<f32>();
        let (own, learning) = match what {
            Trainable::All => {
                (config.parameters().saturating_mul(float), config.parameters().saturating_mul(6 * float))
            }
            Trainable::Adapter => {
                let is_wanted =
                    |target: &Target| targets.is_empty() || targets.iter().any(|name| name == target.name());
                let targets: Vec<Target> = Target::ALL.into_iter().filter(is_wanted).collect();
                // Laid out for the processor, an adapter's factors stand side by side with zeros between them.
                (stored, config.adapter_parameters(*rank, &targets).saturating_mul(8 * float))
            }
        };
        // Rows that are lent again are rarely of the size that is asked for.
        let pass = config.pass_bytes(load.micro_tokens, what, recompute(*how));
        let wide = |bytes: usize| bytes as u64;
        Ok(Self {
            held: held(),
            // The files stay mapped, and what was read of them counts.
            weights: wide(own.saturating_add(stored).saturating_add(if load.has_reference { stored } else { 0 })),
            learning: wide(learning),
            micro_batch: wide(pass + pass / 8),
            episodes: wide(episodes(&config, load)),
        })
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { held, weights, learning, micro_batch, episodes } = self;
        [weights, learning, micro_batch, episodes].into_iter().fold(*held, |sum, part| sum.saturating_add(*part))
    }

    /// Refuses what the machine has no room for, and tells the setting of `section` to change. Says nothing where
    /// the machine does not tell what it has.
    ///
    /// # Errors
    /// [`Error::Input`] with all sizes and the setting.
    pub fn check(&self, available: Option<u64>, plan: &Plan, section: &str) -> Result<()> {
        let needed = self.total() - self.held;
        let Some(available) = available.filter(|available| needed > *available) else {
            return Ok(());
        };
        let Self { weights, learning, micro_batch, episodes, .. } = *self;
        let model = &plan.recipe().model;
        let most = [weights, learning, micro_batch, episodes].into_iter().max().unwrap_or_default();
        let setting = if most == micro_batch {
            match model.recompute {
                Recompute::Off => format!("set model.recompute to \"auto\", or lower {section}.micro_tokens"),
                _ => format!("lower {section}.micro_tokens, or what a sample may be long"),
            }
        } else if most == episodes {
            "lower rollout.at_once or rollout.budget".to_owned()
        } else if most == learning && model.learn == Learn::All {
            "set model.learn to \"adapter\"".to_owned()
        } else {
            "take a smaller model".to_owned()
        };
        Err(Error::Input(format!(
            "this stage needs about {} MB ({} for weights, {} to learn them, {} for a micro-batch, {} for episodes) and the machine has {} MB left: {setting}",
            megabytes(needed),
            megabytes(weights),
            megabytes(learning),
            megabytes(micro_batch),
            megabytes(episodes),
            megabytes(available)
        )))
    }
}

/// Refuses what the machine has no room for; `setting` is what to change. Says nothing where the machine does not tell.
///
/// # Errors
/// [`Error::Input`] with both sizes and the setting.
pub fn check(needed: u64, available: Option<u64>, setting: &str) -> Result<()> {
    match available {
        Some(available) if needed > available => Err(Error::Input(format!(
            "the largest micro-batch needs about {} MB and the machine has {} MB left: {setting}",
            megabytes(needed),
            megabytes(available)
        ))),
        _ => Ok(()),
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

fn recompute(how: Recompute) -> nn::Recompute {
    match how {
        Recompute::Auto => nn::Recompute::Auto,
        Recompute::On => nn::Recompute::On,
        Recompute::Off => nn::Recompute::Off,
    }
}

/// Bytes for the keys and values of the episodes of a stage: room for all that are under way at once, unless that is
/// more than a gibibyte and more than one of them needs.
pub fn cache(config: &DecoderConfig, load: Load) -> usize {
    let one = (load.longest.div_ceil(BLOCK) + 1).saturating_mul(KvCache::bytes_per_block(config));
    one.saturating_mul(load.at_once).min(CACHE.max(one))
}

/// Bytes that episodes take: their cache, and a step of the engine with its logits.
fn episodes(config: &DecoderConfig, load: Load) -> usize {
    if load.at_once == 0 {
        return 0;
    }
    let (queries, keys) = (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
    let row = 2 * config.hidden_size + 2 * queries + 2 * keys + 3 * config.intermediate_size;
    let rows = load.at_once + STEP_TOKENS.min(load.at_once.saturating_mul(load.longest));
    let values = rows.saturating_mul(row).saturating_add(load.at_once.saturating_mul(config.vocab_size));
    cache(config, load).saturating_add(values.saturating_mul(size_of::<f32>()))
}

/// Bytes that the machine can still give, where Linux tells it.
pub fn available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The most bytes that this process has taken so far, where Linux tells it.
pub fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Bytes that this process held when it was first asked, where Linux tells it. Memory that was given back to the
/// allocator is not given back to the system, so that what is held later says little of what is to come: a run of several
/// stages asks before it makes anything.
pub(crate) fn held() -> u64 {
    static HELD: OnceLock<u64> = OnceLock::new();
    let resident = || field(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:");
    *HELD.get_or_init(|| resident().unwrap_or_default())
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    /// A plan over a small model that is changed by `sets`.
    fn plan(folder: &std::path::Path, sets: &[&str]) -> Plan {
        let model = folder.join("m");
        if !model.is_dir() {
            nn::init(nn::Shape::Small, 0, &model, &mut |_, _| {}).unwrap();
            fs::write(folder.join("data.jsonl"), "{}").unwrap();
        }
        let at = |name: &str| folder.join(name).display().to_string();
        let mut all = vec![format!("model.path='{}'", at("m")), format!("data.train=['{}']", at("data.jsonl"))];
        all.extend(sets.iter().map(|set| (*set).to_owned()));
        let file = folder.join("recipe.toml");
        Recipe::parse(&file, "[model]\npath = \"\"\n[data]\ntrain = []", &all).unwrap().plan(&file).unwrap()
    }

    #[test]
    fn more_tokens_need_more_and_recomputing_less() {
        let folder = tempfile::tempdir().unwrap();
        let of = |micro_tokens, recompute: &str| {
            let plan = plan(folder.path(), &["model.learn=all", &format!("model.recompute={recompute}")]);
            Forecast::of(&plan, Load { micro_tokens, ..Load::default() }).unwrap().micro_batch
        };
        assert!((80_000_000..500_000_000).contains(&of(2048, "off")));
        assert!(of(4096, "off") > of(1024, "off") * 3 && of(4096, "on") * 2 < of(4096, "off"));
        assert_eq!(of(4096, "auto"), of(4096, "off"));
        assert_eq!(of(1 << 17, "auto"), of(1 << 17, "on"));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_setting_that_helps_most() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |sets: &[&str], load: Load| {
            let plan = plan(folder.path(), sets);
            let forecast = Forecast::of(&plan, load).unwrap();
            let needed = forecast.total() - forecast.held;
            forecast.check(Some(needed), &plan, "sft").unwrap();
            forecast.check(None, &plan, "sft").unwrap();
            forecast.check(Some(needed - 1), &plan, "sft").unwrap_err().to_string()
        };
        let lessons = Load { micro_tokens: 4096, ..Load::default() };
        let said = refused(&["model.learn=all"], lessons);
        assert!(
            said.contains("lower sft.micro_tokens") && said.contains("41 for weights, 122 to learn them"),
            "{said}"
        );
        let said = refused(&["model.learn=all", "model.recompute=off"], lessons);
        assert!(said.contains("set model.recompute to \"auto\""), "{said}");
        let few = Load { micro_tokens: 64, ..Load::default() };
        let said = refused(&["model.learn=all"], few);
        assert!(said.contains("set model.learn to \"adapter\""), "{said}");
        let said = refused(&["model.rank=1"], few);
        assert!(said.contains("smaller model"), "{said}");
        let episodes = Load { micro_tokens: 64, at_once: 64, longest: 1000, has_reference: true };
        let said = refused(&["model.learn=all"], episodes);
        assert!(said.contains("rollout.at_once") && said.contains("61 for weights"), "{said}");
        // More of them wait for room.
        let config = DecoderConfig::open(&folder.path().join("m")).unwrap();
        assert_eq!(cache(&config, Load { at_once: 100_000, ..episodes }), CACHE);
    }

    #[test]
    fn sizes_are_compared_and_lines_of_the_system_read() {
        check(10, Some(10), "x").unwrap();
        check(u64::MAX, None, "x").unwrap();
        let error = check(2_000_001, Some(1_000_000), "lower sft.micro_tokens").unwrap_err().to_string();
        assert!(error.contains("about 3 MB") && error.ends_with("1 MB left: lower sft.micro_tokens"), "{error}");
        assert_eq!(field("VmHWM:\t    1234 kB\n", "VmHWM:"), Some(1234 * 1024));
        assert_eq!(field("VmHWM:\t many\n", "VmHWM:"), None);
    }
}
