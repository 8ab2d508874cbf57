//! The gateway's own origin. A design may name only the client's files there.

use url::Url;

/// The path of the client's files if the client is at the root.
const ASSETS: &str = "/assets/";

/// Host and port that the gateway is reached by; it may be on a private network, and then its own URLs may be too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnOrigin {
    host: String,
    port: Option<u16>,
    /// Other names that lead to the gateway.
    others: Vec<String>,
    /// The paths on the gateway's own host below which a design may name files.
    folders: Vec<String>,
}

impl OwnOrigin {
    pub(super) fn of(url: &Url) -> Option<Self> {
        Some(Self {
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default(),
            others: Vec::new(),
            folders: vec![ASSETS.to_owned()],
        })
    }

    pub(super) fn serve(&mut self, hosts: &[String], mount: &str) {
        self.others = hosts.to_vec();
        self.folders = vec![ASSETS.to_owned(), format!("{mount}{ASSETS}")];
    }

    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.host) && url.port_or_known_default() == self.port
    }

    /// May a design name this URL on our own host? SECURITY: everybody who sees a design requests what it names, with
    /// their cookies. Beside the client's files there are addresses here that end a session or begin another. The port
    /// is ignored, because cookies ignore it too.
    pub(super) fn keeps(&self, url: &Url, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let is_here = |name: &String| name.eq_ignore_ascii_case(host);
        let is_here = is_here(&self.host) || self.others.iter().any(is_here);
        !is_here
            || self
                .folders
                .iter()
                .any(|folder| url.path().starts_with(folder.as_str()))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}
