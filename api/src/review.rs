//! How answers are held against their evidence: `--judge` and what goes with it, the same wherever a question is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::Judge;
use agent::model::device;
use agent::review::Terms;
use anyhow::Result;
use clap::ArgAction;

use crate::home::Home;
use crate::progress::Progress;
use crate::server::wire::Unsupported;

/// How answers are held against their evidence.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "How answers are checked")]
pub(crate) struct ReviewArgs {
    #[command(flatten)]
    judge: JudgeArgs,
    /// What happens to sentences that the evidence does not bear out; where an error would do the most harm (doses, children,
    /// pregnancy, kidneys and liver, emergencies) they are struck in any case
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Unsupported::Mark)]
    unsupported: Unsupported,
    /// Whether a language model is asked once to mend what the evidence does not bear out
    #[arg(long, value_name = "TRUE|FALSE", action = ArgAction::Set, default_value_t = true)]
    repair: bool,
}

/// Who reads the evidence.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// A trained scorer that reads the evidence beside the rules: its folder, or its name in the home's models folder
    /// (`anamnesis-train scorer` makes one) [default: rules alone, which see no paraphrase]
    #[arg(long, value_name = "SCORER")]
    judge: Option<PathBuf>,
}

impl ReviewArgs {
    /// The terms that are meant, for a policy that is a language model or is not.
    pub(crate) fn open(&self, home: &Home, is_model: bool) -> Result<Terms> {
        Ok(Terms {
            unsupported: self.unsupported.into(),
            repair: is_model && self.repair,
            judge: self.judge.open(home)?,
        })
    }
}

impl JudgeArgs {
    /// The scorer that is meant, if any.
    pub(crate) fn open(&self, home: &Home) -> Result<Option<Arc<Judge>>> {
        let Some(named) = &self.judge else {
            return Ok(None);
        };
        let kept = home.models().join(named);
        let is_scorer = |dir: &Path| dir.join(agent::judge::FILE).is_file();
        let dir = if !is_scorer(named) && is_scorer(&kept) { &kept } else { named };
        let _bar = Progress::spinner("loading the judge");
        Ok(Some(Arc::new(Judge::open(dir, device("cpu", None)?)?)))
    }
}
