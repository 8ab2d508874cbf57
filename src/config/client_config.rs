//! `[client.config]`: any keys of the client's `config.js`, from TOML to JSON.
//!
//! Two keys follow from the rest of the configuration and can't be written here, so that they can't be wrong.
//! A variable holds an inline table: `PNM_GATEWAY__CLIENT__CONFIG='{ disableDarkMode = true }'`.
//!
//! Source: product.md "Client files".

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::shown,
    reader::{Given, Reader, Taken},
    source::shown_value,
};

const KEY: &str = "client.config";

/// Keys that are ours, and what decides them.
const OURS: [(&str, &str); 2] = [
    ("serverUrl", "is made of public_origin"),
    ("staticAssetsPath", "is made of client.mount"),
];

pub(super) fn read(reader: &mut Reader<'_>) -> Taken<Map<String, Value>> {
    let allowed = "write [client.config] and keys of the client's config.js below it";
    match reader.take(KEY) {
        None => Ok(Map::new()),
        Some(Given::File(DeValue::Table(table))) => object(reader, KEY, &table, true),
        Some(Given::File(value)) => {
            Err(reader.refuse(KEY, format!("{} is no table", shown_value(&value)), allowed))
        }
        Some(Given::Variable(text)) if text.trim().is_empty() => Ok(Map::new()),
        Some(Given::Variable(text)) => {
            if let Ok(DeValue::Table(table)) = DeValue::parse(text.trim()).map(Spanned::into_inner) {
                return object(reader, KEY, &table, false);
            }
            let found = format!("{} is no TOML table", shown(&text));
            Err(reader.refuse(KEY, found, "write { key = value, … }"))
        }
    }
}

/// `in_file`: do the spans say lines of the file?
fn object(
    reader: &mut Reader<'_>,
    path: &str,
    table: &DeTable<'_>,
    in_file: bool,
) -> Taken<Map<String, Value>> {
    let members: Vec<Taken<(String, Value)>> = table
        .iter()
        .map(|(name, value)| {
            let member = format!("{path}.{name}");
            if path == KEY
                && let Some((_, why)) = OURS.iter().find(|(ours, _)| name.get_ref() == ours)
            {
                return Err(reader.refuse_part(KEY, name, in_file, &member, why, "leave it out"));
            }
            Ok((name.get_ref().to_string(), json(reader, &member, value, in_file)?))
        })
        .collect();
    members.into_iter().collect()
}

fn json(reader: &mut Reader<'_>, path: &str, value: &Spanned<DeValue<'_>>, in_file: bool) -> Taken<Value> {
    let (found, allowed) = match value.get_ref() {
        DeValue::String(text) => return Ok(Value::String(text.to_string())),
        DeValue::Boolean(flag) => return Ok(Value::Bool(*flag)),
        DeValue::Table(table) => return object(reader, path, table, in_file).map(Value::Object),
        DeValue::Array(array) => {
            let items: Vec<Taken<Value>> = array
                .iter()
                .map(|item| json(reader, path, item, in_file))
                .collect();
            return items.into_iter().collect::<Taken<_>>().map(Value::Array);
        }
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => return Ok(Value::Number(integer.into())),
            Err(_) => ("is too large a number", "write a number of 64 bits"),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => return Ok(Value::Number(number)),
            None => ("is no number in JSON", "write a finite number"),
        },
        DeValue::Datetime(_) => ("is a date, which JSON has not", "write it in quotes"),
    };
    let found = format!("{} {found}", shown_value(value.get_ref()));
    Err(reader.refuse_part(KEY, value, in_file, path, &found, allowed))
}
