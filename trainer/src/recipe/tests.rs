//! Recipes that are read, changed, refused and written again.

use super::*;

fn parse(text: &str, sets: &[&str]) -> Result<Recipe> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Recipe::parse(Path::new("a.toml"), text, &sets)
}

const SHORT: &str = "[model]\npath = \"m\"\n[data]\ntrain = [\"a.jsonl\"]\n";

#[test]
fn the_template_shows_the_defaults() {
    let mut template = parse(TEMPLATE, &[]).unwrap();
    template.model.path = "m".into();
    template.data.train = vec!["a.jsonl".into()];
    assert_eq!(template, parse(SHORT, &[]).unwrap());
}

#[test]
fn sets_change_one_field() {
    let recipe = parse(
        SHORT,
        &["sft.epochs=7", "model.path = other place", "optimiser.learning_rate=1e-3", "model.targets=[\"q_proj\"]"],
    )
    .unwrap();
    assert_eq!(recipe.sft.epochs, 7);
    assert_eq!(recipe.model.path, Path::new("other place"));
    assert_eq!(recipe.optimiser.learning_rate, Some(1e-3));
    assert_eq!(recipe.model.targets, ["q_proj"]);
    assert_eq!(recipe.run, RunSection::default());
}

#[test]
fn what_nobody_knows_is_refused_by_name() {
    for (text, sets, said) in [
        ("[model]\npath = \"m\"\n", &[][..], "data"),
        ("[model]\npath = \"m\"\npats = 3\n[data]\ntrain = []\n", &[], "pats"),
        ("[model]\npath = 4\n[data]\ntrain = []\n", &[], "line 2"),
        (SHORT, &["sft.epoch=7"], "epoch"),
        (SHORT, &["sft.epochs=many"], "many"),
        (SHORT, &["epochs=7"], "section.field=value"),
        (SHORT, &["sft.epochs"], "section.field=value"),
    ] {
        let error = parse(text, sets).unwrap_err().to_string();
        assert!(error.starts_with("a.toml: ") && error.contains(said), "{said}: {error}");
    }
}

/// A model folder and a data file, as far as a recipe is concerned.
fn recipe(folder: &Path) -> Recipe {
    std::fs::create_dir_all(folder.join("m")).unwrap();
    std::fs::write(folder.join("a.jsonl"), "").unwrap();
    let mut recipe = parse(SHORT, &[]).unwrap();
    recipe.model.path = folder.join("m");
    recipe.data.train = vec![folder.join("a.jsonl")];
    recipe
}

#[test]
fn a_plan_fills_in_what_was_left_open_and_survives_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let plan = recipe(folder.path()).plan(Path::new("a.toml")).unwrap();
    assert_eq!(plan.recipe().optimiser.learning_rate, Some(2e-4));
    assert_eq!(plan.schedule(100).rate(9), 2e-4);
    let again = parse(&plan.recipe().to_toml(), &[]).unwrap();
    assert_eq!(again.plan(Path::new("b.toml")).unwrap(), plan);
}

#[test]
fn a_plan_refuses_what_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    type Change = fn(&mut Recipe);
    let cases: [(Change, &str); 11] = [
        (|recipe| recipe.model.path = "nowhere/at/all".into(), "model.path"),
        (|recipe| recipe.data.train = vec!["none.jsonl".into()], "data.train"),
        (|recipe| recipe.data.train.clear(), "data.train"),
        (|recipe| recipe.data.heldout = recipe.data.train.clone(), "data.heldout"),
        (|recipe| recipe.model.targets = vec!["lm_head".into()], "`lm_head` is none of q_proj"),
        (|recipe| recipe.model.rank = 0, "model.rank is 0, expected 1 to 4096"),
        (|recipe| recipe.optimiser.beta2 = 1.0, "optimiser.beta2"),
        (|recipe| recipe.optimiser.learning_rate = Some(f64::NAN), "optimiser.learning_rate"),
        (|recipe| recipe.sft.accumulate = 0, "sft.accumulate"),
        (|recipe| recipe.data.max_tokens = Some(1), "data.max_tokens"),
        (
            |recipe| (recipe.model.learn, recipe.model.adapter) = (Learn::All, Some(recipe.model.path.clone())),
            "model.adapter",
        ),
    ];
    for (change, said) in cases {
        let mut recipe = recipe(folder.path());
        change(&mut recipe);
        let error = recipe.plan(Path::new("a.toml")).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}
