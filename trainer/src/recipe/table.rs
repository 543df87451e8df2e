//! A recipe as a table: fields that are set.

use toml::{Table, Value};

/// The array of tables that are known by the name in each.
pub(super) const STAGE: &str = "stage";

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
}
