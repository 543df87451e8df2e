//! A recipe as a table: fields that are set, tables that are laid one over another, and paths.

use toml::{Table, Value};

/// The array of tables that are known by the name in each.
pub(super) const STAGE: &str = "stage";

/// Fields that hold paths, which are relative to where the command is typed.
const PATHS: [&str; 9] = [
    "model.path",
    "model.adapter",
    "data.train",
    "data.heldout",
    "data.questions",
    "data.home",
    "data.documents",
    "task.home",
    "task.trials",
];

/// Puts `section.field=value` into a table, however deep: `rollout.budget.turns=3`. In `stage.NAME.sft.epochs=2`
/// the name selects the stage.
pub(super) fn set(table: &mut Table, set: &str) -> Result<(), String> {
    let shape = || format!("`--set {set}` is not of the form section.field=value");
    let (key, value) = set.split_once('=').ok_or_else(shape)?;
    let value = value.trim();
    let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut names: Vec<&str> = key.split('.').map(str::trim).collect();
    let field = names.pop().ok_or_else(shape)?;
    if names.is_empty() || field.is_empty() || names.contains(&"") {
        return Err(shape());
    }
    let mut names = names.into_iter();
    let mut inner = table;
    if key.trim_start().starts_with("stage.") {
        names.next();
        let name = names.next().ok_or_else(shape)?;
        inner = stage(inner, name).map_err(|reason| format!("`--set {set}`: {reason}"))?;
    }
    for name in names {
        let entry = inner.entry(name).or_insert_with(|| Value::Table(Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| format!("`--set {set}`: `{name}` has no fields"))?;
    }
    inner.insert(field.to_owned(), value);
    Ok(())
}

/// The stage of this name.
fn stage<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table, String> {
    let stages = table.get_mut(STAGE).and_then(Value::as_array_mut).ok_or("the recipe has no stages")?;
    let is_it = |stage: &Value| stage.get("name").and_then(Value::as_str) == Some(name);
    let known: Vec<_> = stages.iter().filter_map(|stage| stage.get("name")?.as_str().map(str::to_owned)).collect();
    let found = stages.iter_mut().find(|stage| is_it(stage)).and_then(Value::as_table_mut);
    found.ok_or_else(|| format!("no stage is called `{name}`, there are {}", known.join(", ")))
}

/// Lays `over` over `table`: tables are merged, everything else is replaced.
pub(super) fn merge(table: &mut Table, over: &Table) {
    for (name, value) in over {
        match (table.get_mut(name), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            _ => {
                table.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Makes every path of a recipe's sections absolute, but for those that begin with the name of a place in the run.
pub(super) fn absolute(table: &mut Table) -> Result<(), String> {
    for field in PATHS {
        let mut inner = Some(&mut *table);
        let (sections, name) = field.rsplit_once('.').unwrap_or(("", field));
        for section in sections.split('.') {
            inner = inner.and_then(|inner| inner.get_mut(section)).and_then(Value::as_table_mut);
        }
        let Some(value) = inner.and_then(|inner| inner.get_mut(name)) else { continue };
        each_text(value, &mut |text| {
            if place(text).is_some() {
                return Ok(());
            }
            let path = std::path::absolute(&*text).map_err(|error| format!("{field}: {error}"))?;
            path.to_str().ok_or_else(|| format!("{field}: the path is no Unicode"))?.clone_into(text);
            Ok(())
        })?;
    }
    Ok(())
}

/// Puts paths in the place of texts that begin with `task:` or `stage:`.
pub(super) fn resolve(
    table: &mut Table,
    to: &mut dyn FnMut(Place<'_>) -> Result<String, String>,
) -> Result<(), String> {
    for (_, value) in table.iter_mut() {
        each_text(value, &mut |text| {
            let Some(place) = place(text) else { return Ok(()) };
            *text = to(place)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// A place in a run, as paths name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// `task:REST`: in the folder of what was generated.
    Task(&'a str),
    /// `stage:NAME/REST`: in the folder of a stage.
    Stage(&'a str, &'a str),
}

fn place(text: &str) -> Option<Place<'_>> {
    if let Some(rest) = text.strip_prefix("task:") {
        return Some(Place::Task(rest));
    }
    let rest = text.strip_prefix("stage:")?;
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    Some(Place::Stage(name, rest))
}

/// Every text in a table.
pub(super) fn texts(table: &Table) -> Vec<String> {
    fn gather(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
            Value::Table(table) => table.values().for_each(|value| gather(value, texts)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    table.values().for_each(|value| gather(value, &mut all));
    all
}

fn each_text(value: &mut Value, to: &mut dyn FnMut(&mut String) -> Result<(), String>) -> Result<(), String> {
    match value {
        Value::String(text) => to(text),
        Value::Array(values) => values.iter_mut().try_for_each(|value| each_text(value, to)),
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| each_text(value, to)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        [a]
        x = 1
        y = { z = [1, 2], w = 3 }
        [[stage]]
        name = \"first\"
        [[stage]]
        name = \"second\"
        a.x = 5
    ";

    #[test]
    fn fields_of_any_depth_and_of_one_stage_are_set() {
        let mut table: Table = TEXT.parse().unwrap();
        for one in ["a.x=2", "a.y.z = [7]", "b.c.d=deep in", "stage.second.a.x=6", "stage.second.a.y.w=1.5"] {
            set(&mut table, one).unwrap();
        }
        let second = table[STAGE][1].clone();
        assert_eq!((table["a"]["x"].as_integer(), table["a"]["y"]["w"].as_integer()), (Some(2), Some(3)));
        assert_eq!(table["a"]["y"]["z"].as_array().map(Vec::len), Some(1));
        assert_eq!(table["b"]["c"]["d"].as_str(), Some("deep in"));
        assert_eq!((second["a"]["x"].as_integer(), second["a"]["y"]["w"].as_float()), (Some(6), Some(1.5)));
        assert_eq!(table[STAGE][0].as_table().map(Table::len), Some(1));
        for (bad, said) in [
            ("a=1", "section.field=value"),
            ("a..x=1", "section.field=value"),
            ("a.x", "section.field=value"),
            ("stage.third.a.x=1", "no stage is called `third`, there are first, second"),
            ("stage.x=1", "section.field=value"),
            ("a.x.y=1", "`x` has no fields"),
        ] {
            let error = set(&mut table, bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
        assert!(set(&mut Table::new(), "stage.first.a.x=1").unwrap_err().contains("no stages"));
    }

    #[test]
    fn tables_are_merged_and_values_replaced() {
        let mut table: Table = TEXT.parse().unwrap();
        let over: Table = "a.y.z = [3]\na.y.v = 4\nb = 1".parse().unwrap();
        merge(&mut table, &over);
        let y = &table["a"]["y"];
        assert_eq!(
            (y["z"].as_array().map(Vec::len), y["w"].as_integer(), y["v"].as_integer()),
            (Some(1), Some(3), Some(4))
        );
        assert_eq!((table["a"]["x"].as_integer(), table["b"].as_integer()), (Some(1), Some(1)));
    }

    #[test]
    fn paths_are_made_absolute_and_places_found() {
        let text = "[model]\npath = \"m\"\n[data]\ntrain = [\"a\", \"task:b/c\"]\nhome = \"stage:x/outcome\"\n[run]\nname = \"m\"";
        let mut table: Table = text.parse().unwrap();
        absolute(&mut table).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(table["model"]["path"].as_str(), here.join("m").to_str());
        assert_eq!(table["data"]["train"][0].as_str(), here.join("a").to_str());
        assert_eq!((table["data"]["train"][1].as_str(), table["run"]["name"].as_str()), (Some("task:b/c"), Some("m")));
        let mut seen = Vec::new();
        resolve(&mut table, &mut |place| {
            seen.push(format!("{place:?}"));
            Ok("here".to_owned())
        })
        .unwrap();
        assert_eq!(seen, ["Stage(\"x\", \"outcome\")", "Task(\"b/c\")"]);
        assert_eq!((table["data"]["train"][1].as_str(), table["data"]["home"].as_str()), (Some("here"), Some("here")));
        assert!(resolve(&mut "a = \"task:b\"".parse().unwrap(), &mut |_| Err("no".to_owned())).is_err());
    }
}
