//! `gateway.toml` as it is written: sections, keys, and behind each value where it comes from.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The file in the making. Keys before the first section stand at the top.
#[derive(Debug, Default)]
pub(super) struct TomlWriter(String);

impl TomlWriter {
    pub(super) fn note(&mut self, text: &str) {
        for line in text.lines() {
            writeln!(self.0, "# {line}").ok();
        }
    }

    pub(super) fn section(&mut self, heading: &str) {
        write!(self.0, "\n{heading}\n").ok();
    }

    /// A value that is TOML already.
    pub(super) fn raw(&mut self, key: &str, value: &str, origin: &str) {
        let origin = origin.replace(char::is_control, " ");
        writeln!(self.0, "{key} = {value} # {origin}").ok();
    }

    pub(super) fn text(&mut self, key: &str, value: &str, origin: &str) {
        self.raw(key, &quoted(value), origin);
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String], origin: &str) {
        let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        self.raw(key, &format!("[{}]", values.join(", ")), origin);
    }

    /// The members of a JSON object; the names of those that TOML can't hold (a null) come back.
    pub(super) fn members(&mut self, object: &Map<String, Value>, origin: &str) -> Vec<String> {
        let mut left = Vec::new();
        for (name, value) in object {
            match toml_of(value) {
                Some(value) => self.raw(&key(name), &value, origin),
                None => left.push(name.clone()),
            }
        }
        left
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn toml_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(quoted(text)),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(toml_of).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Object(members) => {
            let members: Option<Vec<String>> = members
                .iter()
                .map(|(name, value)| Some(format!("{} = {}", key(name), toml_of(value)?)))
                .collect();
            Some(format!("{{ {} }}", members?.join(", ")))
        }
    }
}
