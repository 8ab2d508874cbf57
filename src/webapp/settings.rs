//! The settings of the client's files.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use serde_json::{Map, Value};
use url::Url;

use super::WebAppProblem;

/// The checked settings of the client's files. A value that can be wrong only once the folder is read is a public
/// field.
#[derive(Clone, Debug, PartialEq)]
pub struct WebAppSettings {
    /// The client's folder, its archive, or a folder of several releases. Without a path the gateway shows a page of
    /// its own.
    pub path: Option<PathBuf>,
    /// The folder that keeps compressed files from one start to the next.
    pub cache: Option<PathBuf>,
    /// The number of releases whose files with a content hash in their names are served.
    pub keep_releases: NonZeroUsize,
    /// The interval between two checks for a new release. None: it is checked for on request alone.
    pub watch: Option<Duration>,
    /// The file that is served in place of `assets/config.js`.
    pub config_file: Option<PathBuf>,
    /// Is `login.html` served? It asks for the API secret in a page.
    pub expose_login: bool,
    /// Does the page tell whoever waits to be let in how many are before?
    pub tells_of_waiting: bool,
    public_origin: String,
    mount: String,
    config: Map<String, Value>,
}

/// The keys of the client's configuration that follow from the origin and the mount.
pub(super) const SERVER_URL: &str = "serverUrl";
pub(super) const STATIC_ASSETS_PATH: &str = "staticAssetsPath";

impl WebAppSettings {
    /// Without a folder; `mount` is `/conference` or the like, or empty for the root, and `config` holds the client's
    /// own keys for `config.js`.
    pub fn new(
        public_origin: String,
        mount: String,
        config: Map<String, Value>,
    ) -> Result<Self, WebAppProblem> {
        if !is_origin(&public_origin) {
            return Err(WebAppProblem::Origin(public_origin));
        }
        if !is_mount(&mount) {
            return Err(WebAppProblem::Mount(mount));
        }
        // The files may be another origin's, a CDN's; of ours there is one place.
        let elsewhere = |path: &Value| path.as_str().is_some_and(|path| path.starts_with("https://"));
        for key in [SERVER_URL, STATIC_ASSETS_PATH] {
            if let Some(value) = config.get(key)
                && (key == SERVER_URL || !elsewhere(value))
            {
                return Err(WebAppProblem::OwnKey(key));
            }
        }
        Ok(Self {
            path: None,
            cache: None,
            keep_releases: NonZeroUsize::MIN,
            watch: None,
            config_file: None,
            expose_login: false,
            tells_of_waiting: false,
            public_origin,
            mount,
            config,
        })
    }

    pub(super) fn public_origin(&self) -> &str {
        &self.public_origin
    }

    pub(super) fn mount(&self) -> &str {
        &self.mount
    }

    pub(super) fn config(&self) -> &Map<String, Value> {
        &self.config
    }
}

/// Is the text a scheme and an authority, without even a slash behind them?
fn is_origin(text: &str) -> bool {
    let authority = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    authority.is_some_and(|authority| !authority.contains(['/', '?', '#', '@', '\\']))
        && Url::parse(text).is_ok_and(|url| url.has_host())
}

/// Is the text a valid mount? SECURITY: it has only characters that need no escape in a path, an attribute or a script.
fn is_mount(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let segment = |s: &str| !matches!(s, "" | "." | "..") && s.bytes().all(plain);
    text.is_empty()
        || text
            .strip_prefix('/')
            .is_some_and(|path| path.split('/').all(segment))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(origin: &str, mount: &str, config: &Value) -> String {
        let config = config.as_object().unwrap().clone();
        match WebAppSettings::new(origin.to_owned(), mount.to_owned(), config) {
            Ok(_) => String::new(),
            Err(problem) => format!("{}: {problem}", problem.key()),
        }
    }

    #[test]
    fn takes_an_origin_alone() {
        for good in ["https://a.example", "http://localhost:8080", "https://[::1]:8443"] {
            assert_eq!(problem(good, "/conference", &json!({})), "");
        }
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://a.example/",
            "https://a.example/pnm",
            "https://a.example?b",
            "https://u:p@a.example",
            "https://a b",
        ] {
            assert_eq!(
                problem(bad, "", &json!({})),
                format!("public_origin: {bad:?} is no origin; write it like \"https://conf.example.org\"")
            );
        }
    }

    #[test]
    fn a_mount_needs_no_escape_anywhere() {
        for good in ["", "/conference", "/a/b-c_d.e~f"] {
            assert_eq!(problem("https://a.example", good, &json!({})), "");
        }
        for bad in [
            "/",
            "conference",
            "/conference/",
            "/a//b",
            "/a/../b",
            "/.",
            "/a\"b",
            "/a<b",
            "/a%20b",
            "/é",
        ] {
            assert_eq!(
                problem("https://a.example", bad, &json!({})),
                format!(
                    "client.mount: {bad:?} is no mount; write a path like \"/conference\", or \"\" for the root"
                )
            );
        }
    }

    #[test]
    fn refuses_a_second_opinion_on_its_own_address() {
        assert_eq!(
            problem(
                "https://a.example",
                "",
                &json!({ "staticAssetsPath": "./assets" })
            ),
            "client.config: staticAssetsPath can't be set here, it follows from the gateway's own configuration"
        );
        assert_eq!(
            problem("https://a.example", "", &json!({ "serverUrl": null })),
            "client.config: serverUrl can't be set here, it follows from the gateway's own configuration"
        );
    }
}
