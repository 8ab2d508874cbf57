//! `[client.config]`: any keys of the client's `config.js`, from TOML to JSON.
//!
//! Two keys follow from the rest of the configuration and can't be written here, so that they can't be wrong; but the
//! client's files may be used from another origin, a CDN's.
//! A variable holds an inline table: `PNM_GATEWAY__CLIENT__CONFIG='{ disableDarkMode = true }'`.

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use url::Url;

use super::{
    kind::shown,
    reader::{Given, Reader, Taken},
    source::shown_value,
};
use crate::{
    design::{Rule, flaws_of_customization},
    route::CspSource,
};

const KEY: &str = "client.config";

const SERVER_URL: &str = "serverUrl";
const STATIC_ASSETS_PATH: &str = "staticAssetsPath";
const CUSTOMIZATION: &str = "designCustomization";

/// What is unwise in these keys, and allowed.
pub(super) fn warnings(config: &Map<String, Value>) -> Vec<String> {
    let flaws = config.get(CUSTOMIZATION).map(flaws_of_customization);
    let told = flaws.iter().flatten().map(|flaw| {
        let of_all = matches!(flaw.rule, Rule::NotJson | Rule::NotAnObject);
        let field = if of_all { "" } else { &flaw.field };
        let separator = if field.is_empty() { "" } else { "." };
        format!("{KEY}.{CUSTOMIZATION}{separator}{field}: {}", flaw.told())
    });
    told.collect()
}

/// `https://HOST[:PORT]/PATH`, of a host that a policy can name.
fn is_elsewhere(value: &Value) -> bool {
    let url = value.as_str().and_then(|text| Url::parse(text).ok());
    url.is_some_and(|url| {
        let plain = url.query().is_none() && url.fragment().is_none();
        let origin = url.origin().ascii_serialization();
        url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && plain
            && CspSource::parse(&origin).is_ok()
    })
}

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
            if path == KEY && name.get_ref() == SERVER_URL {
                let why = "is made of public_origin";
                return Err(reader.refuse_part(KEY, name, in_file, &member, why, "leave it out"));
            }
            let json = json(reader, &member, value, in_file)?;
            if path == KEY && name.get_ref() == STATIC_ASSETS_PATH && !is_elsewhere(&json) {
                let why = "is made of client.mount";
                let allowed = "leave it out, or write the address of a copy elsewhere, such as https://cdn.example.org/assets";
                return Err(reader.refuse_part(KEY, name, in_file, &member, why, allowed));
            }
            Ok((name.get_ref().to_string(), json))
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

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, "gateway.toml", &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_clients_files_may_be_elsewhere_and_nowhere_else() {
        let of = |value: &str| parse(&format!("[client.config]\nstaticAssetsPath = {value}\n"));
        let config = of("'https://cdn.example.org:8443/pnm/assets'")
            .unwrap()
            .client
            .config;
        assert_eq!(
            config["staticAssetsPath"],
            "https://cdn.example.org:8443/pnm/assets"
        );
        for bad in [
            "''",
            "7",
            "'./assets'",
            "'http://cdn.example.org/assets'",
            "'https://u:p@cdn.example.org/assets'",
            "'https://cdn.example.org/assets?v=1'",
            "'https://[2001:db8::1]/assets'",
            "'//cdn.example.org/assets'",
        ] {
            assert_eq!(
                of(bad).unwrap_err(),
                "gateway.toml:2: client.config.staticAssetsPath: is made of client.mount; leave it out, or write the \
                 address of a copy elsewhere, such as https://cdn.example.org/assets",
                "{bad}"
            );
        }
    }

    #[test]
    fn a_flaw_in_the_operators_design_is_warned_about() {
        let of = |value: &str| {
            parse(&format!("[client.config]\ndesignCustomization = {value}\n"))
                .unwrap()
                .warnings
        };
        let warned = |value: &str| {
            let all = of(value).into_iter();
            all.filter(|warning| warning.contains("designCustomization"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            warned("{ primary_color = 'red;', header_bg_color = 'rgb(0 77 144)', logo = 'x' }"),
            [
                "client.config.designCustomization.logo: `x` is not a known key",
                "client.config.designCustomization.primary_color: `red;` is not a CSS colour",
            ]
        );
        assert_eq!(
            warned("'null'"),
            ["client.config.designCustomization: must be a JSON object"]
        );
        assert!(warned("'{\"custom_css_url\":\"https://10.0.0.7/a.css\"}'").is_empty());
    }
}
