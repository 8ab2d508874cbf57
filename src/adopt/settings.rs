//! What is to be adopted, and how.

use std::path::PathBuf;

/// What is to be adopted, and how.
#[derive(Clone, Debug)]
pub struct AdoptSettings {
    /// The folder of the official installation.
    pub from: PathBuf,
    pub haproxy: PathBuf,
    pub to: PathBuf,
    pub letsencrypt: PathBuf,
    /// Where drop-ins of systemd's units are.
    pub units: PathBuf,
    /// The gateway orders its certificates itself, and the CA may write to this address.
    pub acme: Option<String>,
    /// HAProxy stays in front for a first try.
    pub behind_haproxy: bool,
    /// Sites that frame meetings: no file tells of them.
    pub frame_ancestors: Vec<String>,
    /// Hosts of style sheets that designs may name: no file tells of them.
    pub css_hosts: Vec<String>,
}
