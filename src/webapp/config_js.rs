//! `assets/config.js`: the script that tells the client the address of its server and the place of its files.
//!
//! The client's default for the place of its files is `/assets`. Below a mount this would be wrong, and no translation
//! would be found. So the script is made here: of the file that the host has in the client's folder, of `[client.config]`,
//! which wins over that file, and of the two values that follow from the configuration, which win over both. Without the
//! host's own values every meeting would be another: what the official installer's file turns on is off where a key is
//! missing.
//!
//! Sources: docs/plugnmeet.md sections 0.2, 7 and 12.

use std::{fs, time::SystemTime};

use serde_json::{Map, Value};
use tracing::warn;

use super::{
    WebAppProblem, WebAppSettings,
    config_script::{self, AssetsPath, ConfigScript},
    folder::Found,
    settings::{SERVER_URL, STATIC_ASSETS_PATH},
};

/// The largest `config.js` that is read, in bytes. No host has one as large.
const MAX_OWN_BYTES: usize = 1 << 20;

/// What the script is made of.
pub(super) struct ConfigJs {
    /// The operator's file, which is served as it is.
    of_operator: Option<(Vec<u8>, Option<SystemTime>)>,
    /// The client's own keys.
    pub keys: Map<String, Value>,
}

/// Loads the operator's file; without one the script is made, with the keys of the release's own.
pub(super) fn load(settings: &WebAppSettings, of_release: Option<&Found>) -> Result<ConfigJs, WebAppProblem> {
    let Some(path) = &settings.config_file else {
        let mut keys = of_release.and_then(own).map_or_else(Map::new, |own| own.keys);
        keys.extend(settings.config().clone());
        return Ok(ConfigJs {
            of_operator: None,
            keys,
        });
    };
    if !settings.config().is_empty() {
        warn!("The keys of client.config are not used: client.config_file is served as it is");
    }
    let unreadable = |error| WebAppProblem::ConfigFile(path.clone(), error);
    let modified = fs::metadata(path).and_then(|about| about.modified()).ok();
    Ok(ConfigJs {
        of_operator: Some((fs::read(path).map_err(unreadable)?, modified)),
        keys: Map::new(),
    })
}

impl ConfigJs {
    /// The script for a client whose files are at this path, unless the operator has put them elsewhere.
    pub fn with_assets_at(&self, path: &str, settings: &WebAppSettings) -> Found {
        let (content, modified) = match &self.of_operator {
            Some((content, modified)) => (content.clone(), *modified),
            None => (render(settings, &self.keys, path).into(), None),
        };
        Found { content, modified }
    }
}

/// What the release's own file says, and a word to the operator about each part of it that does not count.
fn own(file: &Found) -> Option<ConfigScript> {
    let text = str::from_utf8(&file.content)
        .ok()
        .filter(|text| text.len() <= MAX_OWN_BYTES);
    let Some(script) = text.and_then(config_script::read) else {
        warn!(
            "The client's assets/config.js has no object literal window.plugNmeetConfig that can be read, so that nothing of it \
             counts: write what matters into [client.config]"
        );
        return None;
    };
    for key in &script.left {
        warn!(
            "{key} of the client's assets/config.js is no literal and does not count: write its value into [client.config]"
        );
    }
    if let Some(assets) = script.assets.elsewhere() {
        warn!(
            "staticAssetsPath of the client's assets/config.js does not count: write staticAssetsPath = {assets:?} into \
             [client.config], so that the policy of pages allows that host"
        );
    }
    Some(script)
}

/// Why a client with this script, served as it is, would not find its translations below this mount. None: it finds them, or
/// that can't be told.
pub fn lost_translations(script: &str, mount: &str) -> Option<String> {
    if mount.is_empty() {
        return None;
    }
    let said = match config_script::read(script)?.assets {
        AssetsPath::Computed => return None,
        AssetsPath::Absent => "has no staticAssetsPath, and the client's default is /assets".to_owned(),
        AssetsPath::Written(path) => {
            let path = path.trim_end_matches('/');
            let is_relative = matches!(path, "assets" | "./assets");
            if is_relative || path == format!("{mount}/assets") || path.contains("://") {
                return None;
            }
            format!("has staticAssetsPath {path:?}")
        }
    };
    Some(format!(
        "{said}: the client looks for its translations there and not below {mount}; write staticAssetsPath: \
         '{mount}/assets' into it"
    ))
}

fn render(settings: &WebAppSettings, keys: &Map<String, Value>, assets: &str) -> String {
    let mut config = Map::new();
    config.insert(SERVER_URL.to_owned(), settings.public_origin().into());
    config.insert(STATIC_ASSETS_PATH.to_owned(), assets.into());
    config.extend(keys.clone());
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
        let settings = WebAppSettings::new("https://a.example".to_owned(), mount.to_owned(), config).unwrap();
        let script = load(&settings, None).unwrap();
        let served = script.with_assets_at(&format!("{mount}/assets"), &settings);
        String::from_utf8(served.content).unwrap()
    }

    fn merged(own: &[u8], config: &Value) -> String {
        let config = config.as_object().unwrap().clone();
        let settings = WebAppSettings::new("https://a.example".into(), "/conference".into(), config).unwrap();
        let own = Found {
            content: own.to_vec(),
            modified: None,
        };
        let served = load(&settings, Some(&own)).unwrap();
        String::from_utf8(served.with_assets_at("/conference/assets", &settings).content).unwrap()
    }

    #[test]
    fn the_hosts_own_keys_count_below_those_of_the_configuration() {
        assert_eq!(
            merged(
                b"// the host's\nwindow.plugNmeetConfig = { serverUrl: 'http://localhost:8080', staticAssetsPath: '/assets', \
                  enableSimulcast: true, enableDynacast: true, videoCodec: 'vp8', dbMaxAgeMs: 6 * 60 };",
                &json!({ "videoCodec": "av1" })
            ),
            "window.plugNmeetConfig = {\"serverUrl\":\"https://a.example\",\
             \"staticAssetsPath\":\"/conference/assets\",\"enableSimulcast\":true,\"enableDynacast\":true,\
             \"videoCodec\":\"av1\"};\n"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_the_defaults() {
        let large = [
            b"window.plugNmeetConfig = { a: 1 };".as_slice(),
            b" ".repeat(MAX_OWN_BYTES).as_slice(),
        ]
        .concat();
        for own in [
            &b"window.plugNmeetConfig = other;"[..],
            b"",
            b"\xff window.plugNmeetConfig = { a: 1 }",
            &large,
        ] {
            assert_eq!(
                merged(own, &json!({})),
                "window.plugNmeetConfig = {\"serverUrl\":\"https://a.example\",\
                 \"staticAssetsPath\":\"/conference/assets\"};\n"
            );
        }
    }

    #[test]
    fn a_file_that_loses_translations_below_the_mount_is_found() {
        let lost = |member: &str, mount: &str| {
            lost_translations(&format!("window.plugNmeetConfig = {{ {member} }};"), mount)
        };
        let advice = "the client looks for its translations there and not below /conference; write staticAssetsPath: \
                      '/conference/assets' into it";
        assert_eq!(
            lost("serverUrl: location.origin", "/conference").unwrap(),
            format!("has no staticAssetsPath, and the client's default is /assets: {advice}")
        );
        assert_eq!(
            lost("staticAssetsPath: '/assets/'", "/conference").unwrap(),
            format!("has staticAssetsPath \"/assets\": {advice}")
        );
        for found in [
            "./assets",
            "assets",
            "/conference/assets",
            "/conference/assets/",
            "https://cdn.example.org/a",
        ] {
            assert_eq!(lost(&format!("staticAssetsPath: '{found}'"), "/conference"), None);
        }
        assert_eq!(lost("staticAssetsPath: base", "/conference"), None);
        assert_eq!(lost("a: 1", ""), None);
        assert_eq!(lost_translations("window.x = 1", "/conference"), None);
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
    fn the_operators_word_on_the_place_of_the_files_counts() {
        let script = rendered("", &json!({ "staticAssetsPath": "https://cdn.example/a" }));
        assert!(
            script.contains(r#""staticAssetsPath":"https://cdn.example/a""#),
            "{script}"
        );
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
