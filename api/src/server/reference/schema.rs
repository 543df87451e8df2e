//! Schemas as people read them: types in words, fields in tables.

use serde_json::Value;

use super::{code, escape, list, object, prose, table};

/// A schema of its own: a heading that others point to, and what it holds.
pub(super) fn named(name: &str, schema: &Value) -> String {
    let name = escape(name);
    let mut html = format!(
        "<section aria-labelledby=\"schema-{name}\">\n<h3 id=\"schema-{name}\">{name}</h3>\n<p>{}</p>\n",
        prose(&schema["description"])
    );
    if object(&schema["properties"]).is_empty() {
        let kinds = [list(&schema["oneOf"]), list(&schema["anyOf"])].concat();
        if kinds.is_empty() {
            html = html + "<p>" + &shown(schema) + "</p>\n";
        } else {
            html = html + "<ul>\n" + &kinds.iter().map(kind).collect::<String>() + "</ul>\n";
        }
    } else {
        html.push_str(&fields(&format!("Fields of {name}"), schema));
    }
    html.push_str("</section>\n");
    html
}

/// One of several that a value may be.
fn kind(schema: &Value) -> String {
    let title = if schema["title"].is_null() { String::new() } else { format!("{}: ", code(&schema["title"])) };
    let inner = if object(&schema["properties"]).is_empty() { shown(schema) } else { fields("Fields", schema) };
    format!("<li>{title}{} {inner}</li>\n", prose(&schema["description"]))
}

fn fields(caption: &str, schema: &Value) -> String {
    let required = list(&schema["required"]);
    let rows = object(&schema["properties"]).iter().map(|(name, field)| {
        let need = if required.iter().any(|known| known == name) { "required" } else { "optional" };
        [format!("<code>{}</code>", escape(name)), shown(field), need.to_owned(), prose(&field["description"])]
    });
    table(caption, ["Name", "Type", "Needed", "Meaning"], rows)
}

/// A type in words.
pub(super) fn shown(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let parts: Vec<_> = list(&schema[several]).iter().map(shown).collect();
        if !parts.is_empty() {
            return parts.join(" or ");
        }
    }
    let values: Vec<_> = list(&schema["enum"]).iter().map(code).collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    let names: Vec<_> = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let of_name = |name: &&str| match *name {
        "array" => format!("list of {}", shown(&schema["items"])),
        "null" => "nothing".to_owned(),
        other => escape(other),
    };
    if names.is_empty() { "anything".to_owned() } else { names.iter().map(of_name).collect::<Vec<_>>().join(" or ") }
}
