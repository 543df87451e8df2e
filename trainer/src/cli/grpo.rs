//! `anamnesis-train grpo`: learn by a recipe from the rewards of episodes.

use anyhow::Result;
use jiff::Timestamp;
use trainer::grpo;

use super::sft::{Args, bar, finish, plan};
use crate::output::Output;

pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    let plan = plan(args)?;
    let bar = bar();
    let state = grpo::grpo(&plan, &args.out, args.resume, &Timestamp::now, &mut |progress| {
        bar.set_length(progress.steps);
        bar.set_position(progress.step);
        bar.set_message(format!("reward {:.4}, {:.0} tokens/s", progress.reward, progress.tokens_per_second));
    })?;
    finish(&bar, &state, args, output)
}
