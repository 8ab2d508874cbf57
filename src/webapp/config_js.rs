//! `assets/config.js`: the script that tells the client the address of its server and the place of its files.
//!
//! The client's default for the place of its files is `/assets`. Below a mount this would be wrong, and no translation
//! would be found.
//!
//! Sources: docs/plugnmeet.md sections 0.2 and 12.

use std::fs;

use serde_json::{Map, Value};
use tracing::warn;

use super::{
    WebAppProblem, WebAppSettings,
    folder::Found,
    settings::{SERVER_URL, STATIC_ASSETS_PATH},
};

/// Loads the operator's file, or makes one from the settings if there is none.
pub(super) fn load(settings: &WebAppSettings) -> Result<Found, WebAppProblem> {
    let Some(path) = &settings.config_file else {
        return Ok(Found {
            content: render(settings).into(),
            modified: None,
        });
    };
    if !settings.config().is_empty() {
        warn!("The keys of client.config are not used: client.config_file is served as it is");
    }
    let unreadable = |error| WebAppProblem::ConfigFile(path.clone(), error);
    Ok(Found {
        content: fs::read(path).map_err(unreadable)?,
        modified: fs::metadata(path).and_then(|about| about.modified()).ok(),
    })
}

fn render(settings: &WebAppSettings) -> String {
    let mut config = Map::new();
    config.insert(SERVER_URL.to_owned(), settings.public_origin().into());
    config.insert(
        STATIC_ASSETS_PATH.to_owned(),
        format!("{}/assets", settings.mount()).into(),
    );
    config.extend(settings.config().clone());
    format!(
        "window.plugNmeetConfig = {};\n",
        as_script(&Value::Object(config))
    )
}

/// JSON that is also a script of one line, even within markup: outside of strings none of these occur.
fn as_script(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(mount: &str, config: &Value) -> String {
        let config = config.as_object().unwrap().clone();
        render(&WebAppSettings::new("https://a.example".to_owned(), mount.to_owned(), config).unwrap())
    }

    #[test]
    fn names_the_server_and_the_place_of_the_files_and_then_what_the_operator_adds() {
        assert_eq!(
            rendered(
                "/conference",
                &json!({ "enableSimulcast": true, "videoCodec": "vp8" })
            ),
            "window.plugNmeetConfig = {\"serverUrl\":\"https://a.example\",\
             \"staticAssetsPath\":\"/conference/assets\",\"enableSimulcast\":true,\"videoCodec\":\"vp8\"};\n"
        );
    }

    #[test]
    fn at_the_root_the_files_are_under_assets() {
        assert!(rendered("", &json!({})).contains(r#""staticAssetsPath":"/assets""#));
    }

    #[test]
    fn no_value_ends_the_script_or_its_line() {
        let script = rendered("", &json!({ "a": "</script>\u{2028}\u{2029}\n\"" }));
        assert!(
            script.contains(r#""a":"\u003c/script>\u2028\u2029\n\"""#),
            "{script}"
        );
        assert_eq!(script.lines().count(), 1);
    }
}
