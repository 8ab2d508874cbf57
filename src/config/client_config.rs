//! `[client.config]`: any keys of the client's `config.js`, turned from TOML into JSON.
//!
//! Two keys follow from the rest of the configuration, so that they can't be wrong. `serverUrl` can't be written at
//! all; `staticAssetsPath` only for a copy of the client's files at another origin, such as a CDN. A variable holds an
//! inline table (`PNM_GATEWAY__CLIENT__CONFIG='{ disableDarkMode = true }'`), or one key of those in `BY_NAME`.

use serde_json::{Map, Number, Value};
use url::Url;

use super::{
    reader::{Shape, Table, Taken},
    rows::Form,
    tree::{self, Node},
};
use crate::{
    design::{Rule, flaws_of_customization},
    route::CspSource,
};

const KEY: &str = "client.config";

const SERVER_URL: &str = "serverUrl";
const STATIC_ASSETS_PATH: &str = "staticAssetsPath";
const CUSTOMIZATION: &str = "designCustomization";

/// Warnings about values of these keys that are allowed and unwise.
pub(super) fn warnings(config: &Map<String, Value>) -> Vec<String> {
    let flaws = config.get(CUSTOMIZATION).map(flaws_of_customization);
    let told = flaws.iter().flatten().map(|flaw| {
        let of_all = flaw.rule.is_not_json() || flaw.rule == Rule::NotAnObject;
        let field = if of_all { "" } else { &flaw.field };
        let separator = if field.is_empty() { "" } else { "." };
        format!("{KEY}.{CUSTOMIZATION}{separator}{field}: {}", flaw.told())
    });
    told.collect()
}

/// Is the value `https://HOST[:PORT]/PATH`, with a host that a content security policy can name?
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

const SHAPE: Shape = Shape {
    allowed: "write [client.config] and keys of the client's config.js below it",
    inline: "write { key = value, … }",
};

const DOC: &str = "Any other keys of the client's `config.js`, such as `enableSimulcast = true`, in a table of their own. \
    They win over those of the host's own `assets/config.js` in the client's folder, an object literal on `window.plugNmeetConfig`. \
    `serverUrl` follows from `public_origin` and can't be written. `staticAssetsPath` follows from `client.mount`; write it only \
    as the address of a copy of the client's assets on another host, whose scripts the policy of pages then allows. \
    `designCustomization` is the design of meetings that bring none.";

/// Keys that can be written as a variable of their own, although variables have no case: those of the client's own
/// sample (docs/plugnmeet.md section 12). The client may have more.
pub(super) const BY_NAME: [&str; 15] = [
    "customLogo",
    CUSTOMIZATION,
    "defaultAudioPreset",
    "defaultScreenShareResolution",
    "defaultWebcamResolution",
    "disableDarkMode",
    "enableAdaptiveStream",
    "enableDynacast",
    "enableSimulcast",
    "focusActiveSpeakerWebcam",
    "force_hybrid_web",
    "maxNumDisplayWebcams",
    STATIC_ASSETS_PATH,
    "stopMicTrackOnMute",
    "videoCodec",
];

/// Reads `[client.config]` and returns the keys without a problem.
pub(super) fn read(client: &mut Table<'_>) -> Map<String, Value> {
    let table = client.table("config", SHAPE, DOC);
    client.found.describe(KEY, |row| row.form = Form::Open);
    let mut config = Map::new();
    for (name, node) in &table.keys {
        let is_variable = matches!(node.value, tree::Value::Variable(_));
        let name = match by_name(name) {
            Some(known) if is_variable => known,
            None if is_variable => {
                let allowed = format!(
                    "keys that a variable can have by name are {}; write others in the file, or all in {}",
                    BY_NAME.join(", "),
                    "PNM_GATEWAY__CLIENT__CONFIG='{ key = value }'"
                );
                table.refuse(
                    &node.place,
                    name,
                    "is not known by name, and variables have no case",
                    &allowed,
                );
                continue;
            }
            Some(_) | None => name,
        };
        if name == SERVER_URL {
            table.refuse(&node.place, name, "is made of public_origin", "leave it out");
            continue;
        }
        let Ok(json) = json(&table, name, node) else {
            continue;
        };
        if name == STATIC_ASSETS_PATH && !is_elsewhere(&json) {
            let allowed = "leave it out, or write the address of a copy elsewhere, such as https://cdn.example.org/assets";
            table.refuse(&node.place, name, "is made of client.mount", allowed);
            continue;
        }
        config.insert(name.to_owned(), json);
    }
    config
}

fn by_name(name: &str) -> Option<&'static str> {
    let all = BY_NAME.into_iter().chain([SERVER_URL]);
    all.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// The value as JSON. `path` is the name of the value below `client.config`.
fn json(table: &Table<'_>, path: &str, node: &Node) -> Taken<Value> {
    let (found, allowed) = match &node.value {
        tree::Value::String(text) => return Ok(Value::String(text.clone())),
        tree::Value::Boolean(flag) => return Ok(Value::Bool(*flag)),
        tree::Value::Table(keys) => {
            let members: Vec<Taken<(String, Value)>> = keys
                .iter()
                .map(|(name, node)| Ok((name.clone(), json(table, &format!("{path}.{name}"), node)?)))
                .collect();
            return members.into_iter().collect::<Taken<_>>().map(Value::Object);
        }
        tree::Value::Array(items) => {
            let items: Vec<Taken<Value>> = items.iter().map(|item| json(table, path, item)).collect();
            return items.into_iter().collect::<Taken<_>>().map(Value::Array);
        }
        // A variable that is no TOML is a text without quotes, as people write variables.
        tree::Value::Variable(text) => {
            return match Node::of_variable(text, &node.place) {
                Some(node) => json(table, path, &node),
                None => Ok(Value::String(text.clone())),
            };
        }
        tree::Value::Integer {
            number: Some(integer),
            ..
        } => return Ok(Value::Number((*integer).into())),
        tree::Value::Integer { number: None, .. } => ("is too large a number", "write a number of 64 bits"),
        tree::Value::Float(float) => match float.parse().ok().and_then(Number::from_f64) {
            Some(number) => return Ok(Value::Number(number)),
            None => ("is no number in JSON", "write a finite number"),
        },
        tree::Value::Datetime(_) => ("is a date, which JSON has not", "write it in quotes"),
    };
    Err(table.refuse(
        &node.place,
        path,
        format!("{} {found}", node.value.shown()),
        allowed,
    ))
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
