//! The form of a wire type as a JSON Schema that stands for itself.

use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Where the interface's document keeps what types refer to, and where a schema of its own does.
const REFERENCES: (&str, &str) = ("#/components/schemas/", "#/$defs/");

/// The schema of `T`, with all that it refers to.
pub(super) fn schema_of<T: ToSchema>() -> Value {
    let mut types = Vec::new();
    T::schemas(&mut types);
    let mut schema = to_value(&T::schema());
    let parts: Map<_, _> = types.iter().map(|(name, schema)| (name.clone(), to_value(schema))).collect();
    if let (false, Some(fields)) = (parts.is_empty(), schema.as_object_mut()) {
        fields.insert("$defs".to_owned(), Value::Object(parts));
    }
    schema
}

fn to_value(schema: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(schema).expect("a schema is plain data");
    turn_references(&mut value);
    value
}

fn turn_references(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(target) if name == "$ref" => *target = target.replace(REFERENCES.0, REFERENCES.1),
                    _ => turn_references(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(turn_references),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::wire::Answer;
    use crate::server::wire::mcp::AskArguments;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn a_schema_refers_to_nothing_outside_itself() {
        for schema in [schema_of::<Answer>(), schema_of::<AskArguments>()] {
            assert_eq!(schema["type"], "object");
            let mut found = Vec::new();
            references(&schema, &mut found);
            assert!(!found.is_empty());
            for target in found {
                let name = target.strip_prefix("#/$defs/").unwrap_or_else(|| panic!("{target} lies elsewhere"));
                assert!(schema["$defs"].get(name).is_some(), "{name} is missing");
            }
        }
    }
}
