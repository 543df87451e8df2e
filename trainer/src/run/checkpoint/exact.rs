//! Fractions in JSON that come back as they were. Read as numbers, some readers have them off by a bit, and a run that
//! went on from them would not end where it would have ended.

use serde_json::{Number, Value};

/// Begins a text that is a fraction.
const MARK: &str = "f64 ";

/// With every fraction as a text, in the fewest digits that tell it from all others.
pub(super) fn write(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            Value::String(format!("{MARK}{:?}", number.as_f64().unwrap_or(f64::NAN)))
        }
        other => inside(other, write),
    }
}

/// With every such text as a fraction again.
pub(super) fn read(value: Value) -> Value {
    let fraction = |text: &str| text.strip_prefix(MARK)?.parse().ok().and_then(Number::from_f64);
    match value {
        Value::String(text) => fraction(&text).map_or(Value::String(text), Value::Number),
        other => inside(other, read),
    }
}

fn inside(value: Value, change: fn(Value) -> Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(change).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| (name, change(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let floats: Vec<f64> =
            (1..5000_u32).map(|at| 0.1 * (f64::from(at) * 0.37).sin() * 1e-3_f64.powi(at as i32 % 5)).collect();
        let value =
            json!({ "a": floats, "b": { "c": [f64::MIN_POSITIVE, -0.0, 1e300], "d": 7, "e": "f64", "f": null } });
        let text = serde_json::to_string(&write(value.clone())).unwrap();
        let back = read(serde_json::from_str(&text).unwrap());
        assert_eq!(back, value);
        let bits = |value: &Value| {
            value["a"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap().to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(&back), bits(&value));
    }
}
