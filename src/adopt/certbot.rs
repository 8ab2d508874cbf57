//! What certbot left: its renewals, and hooks that start HAProxy again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::AdoptProblem;
use crate::official::{self, Found};

/// More than any machine has.
const MAX_FILES: usize = 1000;

/// How one certificate is renewed.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) name: String,
    pub(super) authenticator: String,
    /// Where certbot's own server listens meanwhile, behind whoever has port 80.
    pub(super) port: Option<Found<String>>,
    pub(super) needs_port_80: bool,
}

pub(super) fn renewals(letsencrypt: &Path) -> Result<Vec<Renewal>, AdoptProblem> {
    let mut found = Vec::new();
    for file in files(&letsencrypt.join("renewal")) {
        let name = file
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".conf"));
        let Some(name) = name.filter(|name| is_plain(name)) else {
            continue;
        };
        let text = official::text(&file)?.unwrap_or_default();
        found.push(Renewal::of(name, &text, &file));
    }
    Ok(found)
}

/// Where our own script is that certbot runs after a renewal.
pub fn hook_in(letsencrypt: &Path) -> PathBuf {
    letsencrypt.join("renewal-hooks/deploy/plugnmeet-gateway")
}

/// Scripts that certbot runs and that name HAProxy, but for our own.
pub fn hooks_of_haproxy(letsencrypt: &Path) -> Vec<PathBuf> {
    let ours = hook_in(letsencrypt);
    let all = ["pre", "deploy", "post"].map(|kind| files(&letsencrypt.join("renewal-hooks").join(kind)));
    let names_haproxy = |file: &PathBuf| {
        fs::read_to_string(file).is_ok_and(|text| text.to_ascii_lowercase().contains("haproxy"))
    };
    all.into_iter()
        .flatten()
        .filter(|file| *file != ours && names_haproxy(file))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.take(MAX_FILES).filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// SECURITY: it stands in a script.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(plain)
}

impl Renewal {
    fn of(name: &str, text: &str, file: &Path) -> Self {
        let value = |wanted: &str| {
            text.lines().enumerate().find_map(|(nth, line)| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == wanted).then(|| Found {
                    value: value.trim().to_owned(),
                    origin: format!("{}:{} {wanted}", file.display(), nth + 1),
                })
            })
        };
        let authenticator = value("authenticator").map_or_else(String::new, |found| found.value);
        let standalone = authenticator == "standalone";
        let is_free =
            |port: &Found<String>| port.value.parse().is_ok_and(|port: u16| !matches!(port, 0 | 80));
        let port = value("http01_port").filter(|port| standalone && is_free(port));
        Self {
            name: name.to_owned(),
            needs_port_80: matches!(
                authenticator.as_str(),
                "standalone" | "webroot" | "nginx" | "apache"
            ),
            authenticator,
            port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_behind_the_front_is_found() {
        let text = include_str!("../../tests/support/official/renewal.conf");
        let of = |text: &str| Renewal::of("a", text, Path::new("/r/a.conf"));
        assert_eq!(
            of(text).port,
            Some(Found {
                value: "9080".into(),
                origin: "/r/a.conf:8 http01_port".into()
            })
        );
        for other in [
            text.replace("http01_port = 9080", ""),
            text.replace("9080", "80"),
            text.replace("standalone", "webroot"),
        ] {
            let renewal = of(&other);
            assert_eq!((renewal.port, renewal.needs_port_80), (None, true), "{other}");
        }
        let dns = of(&text.replace("standalone", "dns-hetzner"));
        assert_eq!((dns.port, dns.needs_port_80), (None, false));
    }
}
