//! What becomes of each part of the old front: the table that is shown first.

use super::{AdoptSettings, sources::Sources};
use crate::official::haproxy::{Directive, Section};

/// A part of the old front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// File and line.
    pub at: String,
    /// The old front's directive.
    pub old: String,
    /// The key of the gateway's that takes its place, or why there is none.
    pub new: String,
}

/// What comes of a directive, by how it begins. The first that fits counts.
const BECOMES: [(&[&str], &str); 26] = [
    (&["acl", "is_certbot"], "acme.pass_to"),
    (&["use_backend", "backend-certbot"], "acme.pass_to"),
    (
        &["http-request", "redirect"],
        "listen.http: 308 to HTTPS, for our own names",
    ),
    (&["bind", ":80"], "listen.http"),
    (&["bind", "*:80"], "listen.http"),
    (&["bind", ":::80"], "listen.http"),
    (&["bind", "*:443"], "listen.https and tls.certs"),
    (&["bind", ":443"], "listen.https and tls.certs"),
    (&["bind", ":::443"], "listen.https and tls.certs"),
    (&["bind", "*:81"], "not needed: there is no inner hop"),
    (&["bind", "*:1935"], "[[tcp]]"),
    (&["bind"], "listen.https, or [[tcp]]"),
    (&["tcp-request"], "timeouts.handshake"),
    (&["use_backend", "bk_livekit_turn"], "[turn]"),
    (&["acl"], "a path of the gateway's, whole segments alone"),
    (&["use_backend"], "upstreams.*"),
    (
        &["default_backend"],
        "upstreams.server, for plugNmeet's own paths; others are 404",
    ),
    (
        &["http-response", "set-header", "Access-Control-Allow-Origin"],
        "sent for client files, preflights and errors; else the upstream's own",
    ),
    (
        &["http-request", "set-header", "X-Forwarded-Proto"],
        "X-Forwarded-Proto, and it says https",
    ),
    (&["http-request", "set-path"], "the prefix is taken off"),
    (&["option", "forwardfor"], "X-Forwarded-For, made anew"),
    (&["option", "httpchk"], "an address that fails is asked last"),
    (&["http-check"], "an address that fails is asked last"),
    (
        &["timeout", "tunnel"],
        "timeouts.tunnel_silence; without effect here, as each hop ends after 50 s",
    ),
    (&["server"], "upstreams.*"),
    (&["mode"], ""),
];

/// Whose server it is: those of sections that are no path's.
const SERVERS: [(&str, &str); 4] = [
    ("backend-certbot", "acme.pass_to"),
    ("bk_livekit_turn", "turn.upstream"),
    ("bk_tcp_to_plugnmeet", "not needed: there is no inner hop"),
    ("rtmp", "[[tcp]]"),
];

/// What stands in `global` and `defaults`, and has a counterpart or a loss that somebody may notice.
const GENERAL: [(&[&str], &str); 9] = [
    (&["timeout", "connect"], "timeouts.connect = \"5s\""),
    (&["timeout", "client"], "timeouts.idle = \"75s\""),
    (&["timeout", "server"], "timeouts.response = \"50s\""),
    (&["ssl-default-bind-options"], "tls.min_version = \"1.2\""),
    (&["ssl-default-bind-ciphers"], "forward secrecy and AEAD alone"),
    (&["stats"], "plugnmeet-gateway status, drain, reload"),
    (&["log"], "standard output; the journal keeps it"),
    (
        &["errorfile"],
        "the gateway's own pages, in the reader's language",
    ),
    (&["user"], "the unit's User="),
];

/// What would be lost is told apart from the table too, so that its row promises nothing.
pub(super) fn of(
    settings: &AdoptSettings,
    sources: &Sources<'_>,
    lost: &[(&Section, &Directive)],
) -> Vec<Row> {
    let mut rows = Vec::new();
    for section in &sources.haproxy.sections {
        let general = matches!(section.kind.as_str(), "global" | "defaults");
        let table: &[(&[&str], &'static str)] = if general { &GENERAL } else { &BECOMES };
        for directive in &section.directives {
            let known = table.iter().find(|(beginning, _)| directive.is(beginning));
            let Some((_, new)) = known.filter(|(_, new)| !new.is_empty()) else {
                continue;
            };
            let mut servers = SERVERS.iter().filter(|_| directive.is(&["server"]));
            let new = servers
                .find(|(name, _)| section.name == *name)
                .map_or(*new, |(_, new)| *new);
            rows.push(Row {
                at: format!("haproxy.cfg:{}", directive.line),
                old: directive.shown(),
                new: if settings.behind_haproxy && !general {
                    "stays HAProxy's for now"
                } else if lost.iter().any(|(_, lost)| lost.line == directive.line) {
                    "nothing: it is a loss"
                } else {
                    new
                }
                .to_owned(),
            });
        }
    }
    rows
}

/// The losses, with their places.
pub(super) fn told(sources: &Sources<'_>, lost: &[(&Section, &Directive)]) -> Vec<String> {
    let told = lost.iter().map(|(section, directive)| {
        format!(
            "{}:{}: {} {}: {}",
            sources.haproxy_name,
            directive.line,
            section.kind,
            section.name,
            directive.shown()
        )
    });
    told.collect()
}
