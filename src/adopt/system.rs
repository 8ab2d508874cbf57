//! What the machine has to know beside `gateway.toml`: drop-ins of the units, and certbot's hook.

use std::{fmt::Write as _, path::Path};

use super::{AdoptSettings, Wanted, certbot::hook_in, files::Kind, sources::Sources};
use crate::secret::GATEWAYS_USER;

/// The drop-ins of the unit and of its socket; none where there is no systemd. `https` are the addresses of `listen.https`.
pub(super) fn units(settings: &AdoptSettings, https: &[String]) -> Vec<Wanted> {
    if !settings.units.is_dir() {
        return Vec::new();
    }
    let drop_in = |unit: &str, text: String| Wanted {
        path: settings.units.join(format!("{unit}.d/adopt.conf")),
        text,
        kind: Kind::Text,
    };
    let service = "[Unit]\n# The parts behind it, where they are services of this machine.\nAfter=docker.service redis-server.service\n\n\
                   [Service]\n# client.cache\nCacheDirectory=plugnmeet-gateway\nCacheDirectoryMode=0750\n";
    let mut socket = "[Socket]\n# listen.https\nListenStream=\n".to_owned();
    for addr in https {
        writeln!(socket, "ListenStream={addr}").ok();
    }
    if https.len() > 1 {
        // An address of IPv4 stands beside that of IPv6.
        socket.push_str("BindIPv6Only=ipv6-only\n");
    }
    vec![
        drop_in("plugnmeet-gateway.service", service.to_owned()),
        drop_in("plugnmeet-gateway.socket", socket),
    ]
}

/// The hook, where certbot renews certificates.
pub(super) fn hook(settings: &AdoptSettings, sources: &Sources<'_>) -> Option<Wanted> {
    if sources.renewals.is_empty() || settings.acme.is_some() {
        return None;
    }
    let folder = settings.letsencrypt.display();
    let mut text = format!(
        "# certbot runs this after a renewal, and swap before the gateway's first start: its user may read the certificates,\n\
         # and a running gateway takes them up.\nset -e\n\
         for folder in live archive; do\n    chgrp {GATEWAYS_USER} \"{folder}/$folder\"\n    chmod g+rx \"{folder}/$folder\"\ndone\n"
    );
    for renewal in &sources.renewals {
        let archive = format!("\"{folder}/archive/{}\"", renewal.name);
        write!(
            text,
            "chgrp -R {GATEWAYS_USER} {archive}\nchmod -R g+rX {archive}\n"
        )
        .ok();
    }
    text.push_str(
        "if systemctl --quiet is-active plugnmeet-gateway.service; then\n    systemctl reload plugnmeet-gateway.service\nfi\n",
    );
    Some(Wanted {
        path: hook_in(&settings.letsencrypt),
        text,
        kind: Kind::Script,
    })
}

/// SECURITY: a folder's name stands in a script.
pub(super) fn can_stand_in_a_script(folder: &Path) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    folder.to_str().is_some_and(|folder| folder.bytes().all(plain))
}
