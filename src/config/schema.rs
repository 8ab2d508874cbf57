//! `config/gateway.schema.json`: every row as JSON Schema, so that editors complete and check the file.
//!
//! It says no more than the rows do: names, types, words, and what a text looks like. `check` alone knows the rest.
//!
//! Source: JSON Schema draft 7, which the language servers for TOML read.

use serde_json::{Map, Value, json};

use super::{
    reference::rows,
    rows::{Form, LISTS, Row},
};

/// The designs' name in the rows.
const ANY_DESIGN: &str = "NAME";

pub fn schema() -> String {
    let mut root = Map::new();
    for row in rows() {
        put(&mut root, &row.key.split('.').collect::<Vec<_>>(), "", &row);
    }
    let mut schema = object(root);
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), "plugnmeet-gateway".into());
    for pair in [
        "properties.plugnmeet",
        "properties.limits",
        "properties.check_page",
        "properties.callers.items",
    ] {
        one_of_each_secret(&mut schema, pair);
    }
    let mut text = serde_json::to_string_pretty(&Value::Object(schema)).unwrap_or_default();
    text.push('\n');
    text
}

/// A secret stands at its key or in a file, and not in both.
fn one_of_each_secret(schema: &mut Map<String, Value>, path: &str) {
    let mut at = Some(schema);
    for name in path.split('.') {
        at = at
            .and_then(|map| map.get_mut(name))
            .and_then(Value::as_object_mut);
    }
    let Some(table) = at else { return };
    let names: Vec<String> = table
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default();
    let pairs = names.iter().filter_map(|name| {
        let file = format!("{name}_file");
        names
            .contains(&file)
            .then(|| json!({ "not": { "required": [name, file] } }))
    });
    let pairs: Vec<Value> = pairs.collect();
    if !pairs.is_empty() {
        table.insert("allOf".into(), pairs.into());
    }
}

/// The members of an object, none beside them.
fn object(properties: Map<String, Value>) -> Map<String, Value> {
    let members = [
        ("type", json!("object")),
        ("properties", Value::Object(properties)),
        ("additionalProperties", json!(false)),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Puts a row at its place below these properties; `above` is the key of their table.
fn put(properties: &mut Map<String, Value>, path: &[&str], above: &str, row: &Row) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let key = if above.is_empty() {
        (*first).to_owned()
    } else {
        format!("{above}.{first}")
    };
    let is_list = LISTS.contains(&key.as_str());
    if rest.is_empty() {
        let described = described(row, is_list);
        properties.insert((*first).to_owned(), Value::Object(described));
        return;
    }
    let table = properties
        .entry((*first).to_owned())
        .or_insert_with(|| Value::Object(object(Map::new())));
    let table = if is_list {
        table.get_mut("items")
    } else {
        Some(table)
    };
    let Some(Value::Object(table)) = table else { return };
    // A row of its own may have been there first, and says only what the table is for.
    if !table.contains_key("properties") {
        table.extend(object(Map::new()));
    }
    if let ([name, rest @ ..], "designs") = (rest, key.as_str())
        && *name == ANY_DESIGN
    {
        // Each design has a name of its own.
        let design = table
            .entry("additionalProperties")
            .and_modify(|any| {
                if !any.is_object() {
                    *any = Value::Object(object(Map::new()));
                }
            })
            .or_insert_with(|| Value::Object(object(Map::new())));
        if let Some(Value::Object(of_design)) = design.get_mut("properties") {
            put(of_design, rest, "designs.NAME", row);
        }
        return;
    }
    if row.required
        && let [name] = rest
    {
        let required = table.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = required {
            names.push((*name).into());
        }
    }
    if let Some(Value::Object(below)) = table.get_mut("properties") {
        put(below, rest, &key, row);
    }
}

fn described(row: &Row, is_list: bool) -> Map<String, Value> {
    let mut schema = if is_list {
        let mut list = Map::new();
        list.insert("type".into(), "array".into());
        list.insert("items".into(), Value::Object(object(Map::new())));
        list
    } else {
        of_form(&row.form)
    };
    let doc = if row.doc.is_empty() {
        row.allowed.clone()
    } else {
        row.doc.to_owned()
    };
    if !doc.is_empty() {
        schema.insert("description".into(), doc.into());
    }
    // Defaults are written as in the file; all of them are JSON too.
    if let Some(default) = row
        .default
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
    {
        schema.insert("default".into(), default);
    }
    schema
}

fn of_form(form: &Form) -> Map<String, Value> {
    let schema = match form {
        Form::Any => return Map::new(),
        Form::Open => json!({ "type": "object" }),
        Form::Secret => json!({ "type": "string", "minLength": 1 }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::List(of) => json!({ "type": "array", "items": of_form(of) }),
        Form::Several(of) => {
            let mut item = (**of).clone();
            let mut least = 1;
            if let Form::Text { optional, .. } = &mut item {
                least -= u8::from(std::mem::take(optional));
            }
            let list = json!({ "type": "array", "items": of_form(&item), "minItems": least });
            json!({ "anyOf": [of_form(of), list] })
        }
        Form::Text { words, .. } if !words.is_empty() => json!({ "enum": words }),
        Form::Text {
            integers,
            optional,
            pattern,
            ..
        } => {
            let mut text = if *integers {
                json!({ "type": ["string", "integer"], "minimum": 0 })
            } else {
                json!({ "type": "string" })
            };
            let pattern = match pattern {
                Some(pattern) if *optional => Some(format!("^$|{pattern}")),
                pattern => pattern.map(str::to_owned),
            };
            if let (Some(pattern), Value::Object(text)) = (pattern, &mut text) {
                text.insert("pattern".into(), pattern.into());
            }
            text
        }
    };
    let Value::Object(schema) = schema else {
        return Map::new();
    };
    schema
}
