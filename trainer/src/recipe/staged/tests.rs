//! Recipes of several stages that are read, changed, refused, and made into plans.

use std::fs;

use super::*;

const TEXT: &str = r#"
[task]
kind = "lookup"
drugs = 20
[model]
path = "task:model"
learn = "all"
[data]
documents = "task:formulary.jsonl"
[run]
seed = 4
[[stage]]
name = "copying"
kind = "sft"
data.train = ["task:warm/copying.jsonl"]
sft.epochs = 2
[[stage]]
name = "demonstrations"
kind = "sft"
outcome = "best"
data.train = ["task:warm/demonstrations.jsonl"]
model.learn = "adapter"
[[stage]]
name = "grpo"
kind = "grpo"
data.train = ["task:questions-train.jsonl"]
"#;

fn parse(text: &str, sets: &[&str]) -> Result<Stages> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Ok(Stages::parse(Path::new("a.toml"), text, &sets)?.unwrap())
}

/// A folder with what the task would have made, as far as a recipe is concerned.
fn run() -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    for folder in ["task/model", "task/warm"] {
        fs::create_dir_all(run.path().join(folder)).unwrap();
    }
    for file in ["formulary.jsonl", "questions-train.jsonl", "warm/copying.jsonl", "warm/demonstrations.jsonl"] {
        fs::write(run.path().join("task").join(file), "").unwrap();
    }
    run
}

#[test]
fn a_stage_is_its_sections_over_those_of_all() {
    let stages =
        parse(TEXT, &["run.seed=5", "stage.grpo.rollout.budget.turns=2", "stage.copying.sft.epochs=7"]).unwrap();
    let Some((Task::Lookup(size), 5)) = &stages.task else { panic!("{:?}", stages.task) };
    assert_eq!((size.drugs, size.train), (20, crate::task::lookup::Size::default().train));
    let run = run();
    let run = run.path();
    stages.check(run).unwrap();
    let [copying, demonstrations, grpo] = &stages.stages[..] else { panic!() };
    assert_eq!((copying.outcome, demonstrations.outcome, grpo.outcome), (Which::Last, Which::Best, Which::Best));
    let plan = stages.plan(copying, run).unwrap();
    let recipe = plan.recipe();
    assert_eq!((recipe.sft.epochs, recipe.run.seed, recipe.model.learn), (7, 5, crate::recipe::Learn::All));
    assert_eq!(recipe.model.path, run.join("task/model"));
    assert_eq!(recipe.data.train, [run.join("task/warm/copying.jsonl")]);

    // The next ones begin with what was given before them.
    assert!(stages.plan(demonstrations, run).unwrap_err().to_string().contains("stages/01-copying/outcome"));
    fs::create_dir_all(run.join("stages/01-copying/outcome")).unwrap();
    let plan = stages.plan(demonstrations, run).unwrap();
    assert_eq!(plan.recipe().model.path, run.join("stages/01-copying/outcome"));
    assert_eq!((plan.recipe().sft.epochs, plan.recipe().model.learn), (3, crate::recipe::Learn::Adapter));
    fs::create_dir_all(run.join("stages/02-demonstrations/outcome")).unwrap();
    assert_eq!(stages.plan(grpo, run).unwrap().recipe().rollout.budget.turns, 2);
    // One may begin elsewhere.
    let stages = parse(TEXT, &["stage.grpo.model.path=stage:copying/outcome"]).unwrap();
    let plan = stages.plan(stages.last(), run).unwrap();
    assert_eq!(plan.recipe().model.path, run.join("stages/01-copying/outcome"));
    stages.check(run).unwrap();
    // What is written is read again as the same.
    let again = parse(&stages.to_toml(), &[]).unwrap();
    assert_eq!((again.to_toml(), again.stages), (stages.to_toml(), stages.stages));
}

#[test]
fn what_cannot_be_is_refused_with_its_stage() {
    let refused = |text: &str, sets: &[&str]| parse(text, sets).unwrap_err().to_string();
    for (from, to, said) in [
        ("sft.epochs = 2", "sft.epoch = 2", "stage `copying`:"),
        ("sft.epochs = 2", "sft.epoch = 2", "epoch"),
        ("name = \"grpo\"", "name = \"copying\"", "stage 3: the name `copying` is taken"),
        ("name = \"grpo\"", "name = \"../up\"", "`../up` is not of small letters"),
        ("name = \"grpo\"\n", "", "stage 3: has no name"),
        ("kind = \"grpo\"", "kind = \"gpro\"", "stage 3: `grpo`: kind: unknown variant `gpro`"),
        ("kind = \"grpo\"\n", "", "stage 3: `grpo` has no kind"),
        ("outcome = \"best\"", "outcome = \"first\"", "it may be best or last"),
        ("drugs = 20", "drogs = 20", "task: unknown field `drogs`"),
        ("kind = \"lookup\"", "kind = \"lockup\"", "task: unknown variant `lockup`"),
        ("[task]\nkind = \"lookup\"\ndrugs = 20\n", "", "there is no [task]"),
        ("task:questions-train.jsonl", "stage:grpo/x", "`stage:grpo` is none of the stages before"),
        ("[run]\nseed = 4", "[run]\nseeds = 4", "stage `copying`: "),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let error = refused(&TEXT.replacen(from, to, 1), &[]);
        assert!(error.starts_with("a.toml: ") && error.contains(said), "{said}: {error}");
    }
    assert!(refused(TEXT, &["stage.rl.rollout.steps=3"]).contains("no stage is called `rl`"));
    assert!(refused("stage = []", &[]).contains("[[stage]]"));
    assert!(Stages::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap().is_none());
    // What only shows once the task is there is refused before anything is trained.
    let run = run();
    let late = |sets: &[&str]| parse(TEXT, sets).unwrap().check(run.path()).unwrap_err().to_string();
    let error = late(&["stage.grpo.rollout.group=0"]);
    assert!(error.contains("stage `grpo`: rollout.group"), "{error}");
    let error = late(&["stage.demonstrations.data.train=[\"task:warm/nothing.jsonl\"]"]);
    assert!(error.contains("stage `demonstrations`: data.train: there is no file"), "{error}");
}

#[test]
fn paths_are_of_where_the_command_is_typed() {
    let stages = parse(&TEXT.replace("task:formulary.jsonl", "documents/all.jsonl"), &[]).unwrap();
    let here = std::env::current_dir().unwrap().join("documents/all.jsonl");
    assert!(stages.to_toml().contains(here.to_str().unwrap()), "{}", stages.to_toml());
}
