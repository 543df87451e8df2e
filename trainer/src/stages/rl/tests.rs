//! Policies that learn from their own episodes, and from nothing where rewards are noise; runs that go on
//! to the byte, leave out what teaches nothing, and stop where they must.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use agent::journal;
use agent::trace::Author;

use super::*;
use crate::learner::schedule::Decay;
use crate::objective::Kl;
use crate::recipe::LearntTokens;
use crate::reward::{Reward, Term};
use crate::run::OnAlarm;
use crate::task::lookup::init;
use crate::testing::{self, assert_same, copied_after};

mod objectives;

struct Fixture {
    folder: tempfile::TempDir,
    recipe: Recipe,
    objective: Objective,
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A small lookup task with its random model, made once.
fn task() -> &'static Path {
    static TASK: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = TASK.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("task");
        let size = testing::LOOKUP;
        init(&path, 3, size).unwrap();
        (home, path)
    });
    path
}

/// A random model that writes eight tokens an episode, six questions to learn from and three that are held out.
fn fixture(learn: Learn, steps: u64) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let model = task().join("model");
    let write = |name: &str, lines: String| {
        let path = folder.path().join(name);
        fs::write(&path, lines).unwrap();
        path
    };
    let question = |number: usize| {
        format!("{{\"id\": \"{number}\", \"question\": \"Dose {number}?\", \"gold\": {{\"exact\": [\"40 mg\"]}}}}\n")
    };
    let train = write("train.jsonl", (0..6).map(question).collect());
    let heldout = write("heldout.jsonl", (6..9).map(question).collect());
    let mut recipe = Recipe::parse(Path::new("a.toml"), crate::recipe::TEMPLATE, &[]).unwrap();
    (recipe.model.path, recipe.model.learn) = (model, learn);
    (recipe.data.train, recipe.data.heldout) = (vec![train], vec![heldout]);
    recipe.data.documents = Some(task().join("formulary.jsonl"));
    recipe.optimiser.learning_rate = Some(1e-3);
    recipe.optimiser.decay = Decay::Constant;
    recipe.optimiser.warmup_steps = 2;
    let rollout = &mut recipe.rollout;
    (rollout.steps, rollout.questions, rollout.group, rollout.micro_tokens) = (steps, 3, 8, 200);
    rollout.temperature = 2.0;
    (rollout.budget.turns, rollout.budget.generated_tokens, rollout.budget.evidence_tokens) = (0, 8, 1);
    (recipe.run.evaluate_every, recipe.run.checkpoint_every) = (0, 0);
    Fixture { folder, recipe, objective: Objective::Grpo }
}

/// A reward of one term.
fn worth(value: f64) -> Reward {
    Reward::of(vec![Term { name: "correctness".to_owned(), value, weight: 1.0, reason: String::new() }])
}

/// The share of odd tokens in what the policy wrote.
fn odd(trace: &Trace) -> f64 {
    let own = trace.segments.iter().filter(|segment| segment.author == Author::Policy);
    let ids: Vec<u32> = own.filter_map(|segment| segment.token_ids.as_deref()).flatten().copied().collect();
    ids.iter().filter(|id| **id % 2 == 1).count() as f64 / ids.len().max(1) as f64
}

fn of_odd(_: &Question, trace: &Trace) -> Reward {
    worth(odd(trace))
}

/// What one episode is worth.
type Worth<'a> = dyn Fn(&Question, &Trace) -> Reward + Sync + 'a;

fn each(worth: &Worth<'_>) -> impl Fn(&[(&Question, &Trace)]) -> Result<Vec<Reward>> + Sync {
    move |episodes| Ok(episodes.iter().map(|(question, trace)| worth(question, trace)).collect())
}

impl Fixture {
    fn plan(&self) -> Plan {
        self.recipe.clone().plan(Path::new("a.toml")).unwrap()
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, name: &str, resume: bool, worth: &Worth<'_>, told: &mut dyn FnMut(Progress)) -> Result<State> {
        train(self.objective, &self.plan(), &self.out(name), resume, (&each(worth), &now), told)
    }
}

/// The steps that a run told.
fn steps(run: &Path) -> Vec<journal::Step> {
    let entries = journal::read(run).unwrap().into_iter();
    entries.filter_map(|entry| if let Entry::Step(step) = entry { Some(step) } else { None }).collect()
}

#[test]
fn rewards_rise_on_the_numbers_that_were_sampled_with() {
    let fixture = fixture(Learn::All, 30);
    let mut notes = Vec::new();
    let state = fixture.run("run", false, &of_odd, &mut |progress| notes.push(progress.note)).unwrap();
    let rewards: Vec<f64> = steps(&fixture.out("run")).iter().map(|step| step.values["reward"]).collect();
    assert_eq!(notes[29], format!("reward {:.4}", rewards[29]));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&rewards[..4]), mean(&rewards[26..]));
    assert!(first < 0.65 && last > first + 0.25, "{first} to {last}");
    assert_eq!((state.step, state.updates, state.cursor.epoch), (30, 30, 15));

    let told = steps(&fixture.out("run"));
    assert!(told.iter().all(|step| step.values["mismatch_max"] < 1e-3), "{:?}", told[0].values);
    assert_eq!(told[7].values["version"], 7.0);
    for name in ["reward_std", "reward_correctness", "zero_spread", "entropy", "search_rate", "faults", "clip_high"] {
        assert!(told[0].values.contains_key(name), "{name}");
    }
    let summary = crate::Summary::read(&fixture.out("run")).unwrap();
    let accuracy = |phase: &str| summary.heldout[phase]["accuracy"];
    assert!(accuracy("final") > accuracy("before") && accuracy("after_grpo") == accuracy("final"));
    assert_eq!(summary.best_step, Some(30));
    assert_eq!(summary.first_reward, Some(rewards[0]));
    assert!((summary.last_reward.unwrap() - mean(&rewards[27..])).abs() < 1e-12);
    let episodes = fs::read_to_string(fixture.out("run").join("traces/step-00000030.jsonl")).unwrap();
    assert_eq!(episodes.lines().count(), 24);
    let line: serde_json::Value = serde_json::from_str(episodes.lines().next().unwrap()).unwrap();
    assert!(line["reward"]["total"].is_number() && line["trace"]["segments"].is_array());
}

#[test]
fn rewards_that_are_noise_teach_nothing() {
    let fixture = fixture(Learn::All, 30);
    let seen = Mutex::new(Vec::new());
    let noise = |_: &Question, trace: &Trace| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(odd(trace));
        worth(f64::from(blake3::hash(&trace.seed.to_le_bytes()).as_bytes()[0]) / 255.0)
    };
    fixture.run("run", false, &noise, &mut |_| {}).unwrap();
    let seen = seen.into_inner().unwrap();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&seen[..99]), mean(&seen[seen.len() - 99..]));
    assert!((last - first).abs() < 0.2, "{first} to {last}");
}

#[test]
fn a_resumed_run_ends_in_the_same_bytes() {
    for learn in [Learn::All, Learn::Adapter] {
        let mut fixture = fixture(learn, 4);
        fixture.recipe.run.checkpoint_every = 2;
        // A reference of either kind, from which the first update of the run begins.
        fixture.recipe.rollout.epochs = if learn == Learn::All { 2 } else { 1 };
        fixture.recipe.grpo.kl = Kl { coefficient: 0.01, ..Kl::default() };
        let (whole, half) = (fixture.out("whole"), fixture.out("half"));
        let copy_at_three = &mut copied_after(3, &whole, &half);
        let state = fixture.run("whole", false, &of_odd, copy_at_three).unwrap();
        assert_eq!((state.step, state.updates), (4, 4 * fixture.recipe.rollout.epochs));
        assert_eq!(fixture.run("half", true, &of_odd, &mut |_| {}).unwrap(), state);
        assert_same(&whole.join("checkpoints"), &half.join("checkpoints"));
        assert_eq!(steps(&whole), steps(&half));
        assert_eq!(steps(&whole).iter().map(|step| step.epoch).collect::<Vec<_>>(), [0.5, 1.0, 1.5, 2.0]);
        // A run that is done stays as it is.
        assert_eq!(fixture.run("half", true, &of_odd, &mut |_| {}).unwrap(), state);
        let ends = journal::read(&half).unwrap().into_iter().filter(|entry| matches!(entry, Entry::End { .. }));
        assert_eq!(ends.count(), 1);
        let kl: Vec<f64> = steps(&whole).iter().map(|step| step.values["kl"]).collect();
        assert!(kl[3] > 0.0 && (kl[0] < 1e-9) == (learn == Learn::Adapter), "{kl:?}");

        fixture.recipe.run.seed = 1;
        let refused = fixture.run("half", true, &of_odd, &mut |_| {}).unwrap_err().to_string();
        assert!(refused.contains("another recipe"), "{refused}");
    }
}

#[test]
fn without_the_mask_what_was_retrieved_is_learnt_too() {
    let mut fixture = fixture(Learn::Adapter, 1);
    let budget = &mut fixture.recipe.rollout.budget;
    (budget.turns, budget.generated_tokens, budget.evidence_tokens) = (2, 40, 100);
    let mut run = |name: &str, learn: LearntTokens| {
        fixture.recipe.rollout.learn = learn;
        fixture.run(name, false, &of_odd, &mut |_| {}).unwrap();
        steps(&fixture.out(name))[0].clone()
    };
    let (own, all) = (run("own", LearntTokens::Policy), run("all", LearntTokens::All));
    assert_eq!((own.tokens, own.values["reward"]), (all.tokens, all.values["reward"]), "the episodes are the same");
    assert!(all.learnt > own.learnt && all.learnt < all.tokens, "{} {} {}", own.learnt, all.learnt, all.tokens);
    assert!(all.values["mismatch_max"] < 1e-3 && all.values["version"] == 0.0);
}

#[test]
fn groups_of_equal_rewards_and_episodes_out_of_time_are_left_out() {
    let mut fixture = fixture(Learn::Adapter, 2);
    fixture.recipe.rollout.questions = 6;
    // Every other question is worth the same whoever answers it.
    let half = |question: &Question, trace: &Trace| {
        worth(if question.id.parse::<u32>().unwrap() % 2 == 0 { 0.5 } else { odd(trace) })
    };
    fixture.run("half", false, &half, &mut |_| {}).unwrap();
    for step in steps(&fixture.out("half")) {
        assert_eq!((step.values["zero_spread"], step.values["samples"]), (0.5, 24.0));
        assert!(step.learnt > 0 && step.gradient_norm.unwrap() > 0.0);
    }
    // Nothing at all to learn from: no update, and no fault.
    let state = fixture.run("none", false, &|_, _| worth(0.5), &mut |_| {}).unwrap();
    assert_eq!((state.step, state.updates, state.skipped, state.tokens, state.alarms.quiet), (2, 0, 0, 0, 2));
    let told = steps(&fixture.out("none"));
    assert_eq!((told[0].loss, told[0].learnt, told[0].values["zero_spread"]), (Some(0.0), 0, 1.0));

    // A clock so fast that episodes end by it.
    let seconds = AtomicU64::new(0);
    let fast = || Timestamp::from_second(seconds.fetch_add(1, Ordering::Relaxed) as i64).unwrap();
    fixture.recipe.rollout.budget.wall_ms = 40_000;
    fixture.recipe.data.heldout.clear();
    let plan = fixture.plan();
    train(Objective::Grpo, &plan, &fixture.out("late"), false, (&each(&of_odd), &fast), &mut |_| {}).unwrap();
    let told = steps(&fixture.out("late"));
    assert!(told.iter().any(|step| step.values["masked"] > 0.0));
    assert!(told.iter().all(|step| step.values["samples"] <= 48.0 * (1.0 - step.values["masked"]) + 1e-9));
}

#[test]
fn a_run_that_learns_nothing_is_put_back_and_goes_on_with_a_change_alone() {
    let mut fixture = fixture(Learn::Adapter, 50);
    fixture.recipe.rollout.group = 2;
    fixture.recipe.rollout.questions = 1;
    fixture.recipe.run.checkpoint_every = 7;
    let error = fixture.run("run", false, &|_, _| worth(0.5), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("step 20") && error.contains("put back to") && error.contains("step-00000014"), "{error}");
    let again = |fixture: &Fixture| fixture.run("run", true, &|_, _| worth(0.5), &mut |_| {}).unwrap_err().to_string();
    let refused = again(&fixture);
    assert!(refused.contains("would end there again") && refused.contains("--set"), "{refused}");
    fixture.recipe.model.learn = Learn::All;
    assert!(again(&fixture).contains("model and its data"));
    fixture.recipe.model.learn = Learn::Adapter;

    // With a change it goes on from the checkpoint, and tells of it.
    (fixture.recipe.rollout.temperature, fixture.recipe.rollout.steps) = (1.5, 16);
    let state = fixture.run("run", true, &of_odd, &mut |_| {}).unwrap();
    assert_eq!((state.step, state.alarms.quiet), (16, 0));
    let out = fixture.out("run");
    assert_eq!(steps(&out).len(), 16);
    let notices = crate::Summary::read(&out).unwrap().notices;
    assert!(notices[0].contains("from step 20 to step 14"), "{notices:?}");
    assert!(!out.join("alarm.json").is_file());
    assert_eq!(crate::run::plan(&out).unwrap(), fixture.plan());
    // What it was changed to is its recipe from now on.
    assert_eq!(fixture.run("run", true, &of_odd, &mut |_| {}).unwrap(), state);
}

#[test]
fn an_alarm_halts_or_is_only_told_where_the_recipe_says_so() {
    let mut fixture = fixture(Learn::Adapter, 42);
    fixture.recipe.rollout.group = 2;
    fixture.recipe.rollout.questions = 1;
    fixture.recipe.run.checkpoint_every = 7;
    fixture.recipe.run.on_alarm = OnAlarm::Halt;
    let error = fixture.run("halt", false, &|_, _| worth(0.5), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("step 20") && error.contains("last is") && error.contains("step-00000014"), "{error}");
    fixture.recipe.run.on_alarm = OnAlarm::Warn;
    let state = fixture.run("warn", false, &|_, _| worth(0.5), &mut |_| {}).unwrap();
    let notices = crate::Summary::read(&fixture.out("warn")).unwrap().notices;
    assert_eq!((state.step, notices.len()), (42, 2), "{notices:?}");
}

#[test]
fn a_server_that_is_down_is_told_once_and_stops_no_run() {
    let mut fixture = fixture(Learn::Adapter, 2);
    fixture.recipe.run.mlflow = Some("http://127.0.0.1:9".to_owned());
    assert_eq!(fixture.run("run", false, &of_odd, &mut |_| {}).unwrap().step, 2);
    let summary = crate::Summary::read(&fixture.out("run")).unwrap();
    assert!(summary.is_done && summary.notices.len() == 1, "{:?}", summary.notices);
    assert!(summary.notices[0].contains("127.0.0.1:9 takes no numbers"), "{:?}", summary.notices);
    fixture.recipe.run.mlflow = Some("nowhere".to_owned());
    let refused = fixture.recipe.clone().plan(Path::new("a.toml")).unwrap_err().to_string();
    assert!(refused.contains("run.mlflow"), "{refused}");
}

#[test]
fn a_run_whose_answers_are_all_right_ends_early_and_well() {
    let mut fixture = fixture(Learn::Adapter, 50);
    fixture.recipe.rollout.group = 2;
    fixture.recipe.rollout.questions = 1;
    let state = fixture.run("run", false, &|_, _| worth(1.0), &mut |_| {}).unwrap();
    let summary = crate::Summary::read(&fixture.out("run")).unwrap();
    assert_eq!((state.step, summary.is_done), (20, true));
    assert!(summary.notices[0].contains("every answer"), "{:?}", summary.notices);
    assert!(summary.heldout.contains_key("after_grpo"));
    assert_eq!(fixture.run("run", true, &|_, _| worth(1.0), &mut |_| {}).unwrap(), state);
}

#[test]
fn losses_beyond_numbers_are_skipped_kept_and_stop_the_run() {
    let fixture = fixture(Learn::All, 9);
    let vast = |_: &Question, trace: &Trace| worth(odd(trace) * 1e300);
    let error = fixture.run("run", false, &vast, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("step 3") && error.contains("3 times in a row"), "{error}");
    let out = fixture.out("run");
    let dumped: Vec<Sample> = serde_json::from_slice(&fs::read(out.join("dumps/step-00000002.json")).unwrap()).unwrap();
    assert!(!dumped.is_empty());
    let told = steps(&out);
    assert!(told.iter().all(|step| step.skipped && step.values["version"] == 0.0));
}

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_made() {
    let refused = |change: &dyn Fn(&mut Recipe)| {
        let mut fixture = fixture(Learn::Adapter, 2);
        change(&mut fixture.recipe);
        let error = fixture.run("run", false, &of_odd, &mut |_| {}).unwrap_err().to_string();
        assert!(!fixture.out("run").is_dir(), "{error}");
        error
    };
    assert!(refused(&|recipe| recipe.data.documents = None).contains("data.home"));
    let twice = refused(&|recipe| {
        let path = recipe.data.train[0].with_file_name("again.jsonl");
        fs::copy(&recipe.data.train[0], &path).unwrap();
        recipe.data.train.push(path);
    });
    assert!(twice.contains("in two files"), "{twice}");
    let both = refused(&|recipe| {
        let path = recipe.data.train[0].with_file_name("again.jsonl");
        fs::copy(&recipe.data.train[0], &path).unwrap();
        recipe.data.heldout = vec![path];
    });
    assert!(both.contains("data.heldout is in data.train too"), "{both}");
    let home = refused(&|recipe| {
        recipe.data.home = Some(recipe.model.path.clone());
        recipe.data.documents = None;
    });
    assert!(home.contains("index build"), "{home}");
}
