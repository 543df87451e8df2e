//! Recipes to begin from, as `anamnesis-train init --preset` writes them.

use crate::stages::Kind;

/// A recipe to begin from.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The command that runs it.
    pub kind: Kind,
    /// The recipe.
    pub text: &'static str,
}

const fn preset(name: &'static str, kind: Kind, about: &'static str, text: &'static str) -> Preset {
    Preset { name, about, kind, text }
}

/// Every preset; the first has all fields, each with a comment.
pub const PRESETS: [Preset; 12] = [
    preset("all-fields", Kind::Sft, "every field with its default", super::TEMPLATE),
    preset(
        "curriculum",
        Kind::Sft,
        "fine-tune on PubMedQA, then MedMCQA, then MedQA",
        include_str!("../../recipes/curriculum.toml"),
    ),
    preset(
        "grpo",
        Kind::Grpo,
        "learn from rewards over the index of a home, after a warm start",
        include_str!("../../recipes/grpo.toml"),
    ),
    preset(
        "ppo",
        Kind::Ppo,
        "the lookup task with a value head in place of groups",
        include_str!("../../recipes/ppo.toml"),
    ),
    preset("dpo", Kind::Dpo, "learn from pairs of a policy's own episodes", include_str!("../../recipes/dpo.toml")),
    preset(
        "reward",
        Kind::Reward,
        "a reward model on pairs of a policy's own episodes",
        include_str!("../../recipes/reward.toml"),
    ),
    preset(
        "lookup",
        Kind::Grpo,
        "learn to look things up, from random weights, on a generated task",
        include_str!("../../recipes/lookup.toml"),
    ),
    preset(
        "lookup-control",
        Kind::Sft,
        "the same policy and time, spent on the warm start alone",
        include_str!("../../recipes/lookup-control.toml"),
    ),
    preset(
        "starter",
        Kind::Grpo,
        "learn to answer from the starter corpus, grounded in it",
        include_str!("../../recipes/starter.toml"),
    ),
    preset(
        "evidence",
        Kind::Grpo,
        "learn to find a trial's passage and say what it showed",
        include_str!("../../recipes/evidence.toml"),
    ),
    preset(
        "scorer",
        Kind::Scorer,
        "train a judge of claims against evidence",
        include_str!("../../recipes/scorer.toml"),
    ),
    preset("encoder", Kind::Encoder, "adapt the retriever's encoder", include_str!("../../recipes/encoder.toml")),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recipe::{Recipe, Stages};

    #[test]
    fn every_preset_is_a_recipe_of_its_command() {
        for Preset { name, kind, text, .. } in PRESETS {
            let file = Path::new(name);
            match Stages::parse(file, text, &[]).unwrap() {
                Some(stages) => assert_eq!(stages.last().kind, kind, "{name}"),
                None => drop(Recipe::parse(file, text, &[]).unwrap()),
            }
        }
    }
}
