//! What would be lost: parts of HAProxy's file that the official installer has not written and that nothing was made of.
//!
//! A directive that is not known here may do something on which somebody relies; it is told with its line and not passed over.
//! A listener, a server or a default backend is known by its value: the gateway has taken it over, or it is one of the
//! official file's that need no counterpart.
//!
//! Source: docs/plugnmeet.md section 9.

use std::collections::BTreeSet;

use crate::official::haproxy::{Directive, FAMILIES, HaProxy, Section};

/// What the official file has outside of `global` and `defaults`, whatever follows.
const KNOWN: [&[&str]; 12] = [
    &["mode"],
    &["http-request", "redirect", "scheme", "https"],
    &["http-request", "set-header", "X-Forwarded-Proto", "http"],
    &["http-request", "set-path"],
    &["http-response", "set-header", "Access-Control-Allow-Origin"],
    &["tcp-request", "inspect-delay"],
    &["tcp-request", "content", "accept"],
    &["option", "forwardfor"],
    &["option", "httpchk"],
    &["option", "http-server-close"],
    &["timeout", "tunnel"],
    &["http-check"],
];

/// The official conditions, whole: one more word in such a line is somebody's own rule.
const CONDITIONS: [&[&str]; 10] = [
    &["acl", "is_certbot", "path_beg", "/.well-known/acme-challenge/"],
    &["acl", "etherpad", "path_beg", "/etherpad"],
    &["acl", "livekit", "path_beg", "/livekit"],
    &["acl", "ingress", "path_beg", "/whip"],
    &["acl", "nats", "path_beg", "/ws"],
    &["use_backend", "backend-certbot", "if", "is_certbot"],
    &["use_backend", "bk_etherpad", "if", "etherpad"],
    &["use_backend", "bk_livekit_api", "if", "livekit"],
    &["use_backend", "bk_ingress", "if", "ingress"],
    &["use_backend", "bk_nats", "if", "nats"],
];

/// The condition for TURN, before and after the name.
const BY_NAME: [&str; 6] = ["use_backend", TURN, "if", "{", "ssl_fc_sni", "-i"];

/// What stands in the official file's sections and need not be taken over: the section, the directive, its address or target.
const OFFICIAL: [(&str, &str, &str); 9] = [
    ("frontend-http", "default_backend", "backend-certbot"),
    ("backend-certbot", "server", "127.0.0.1:9080"),
    ("ft_ssl", "default_backend", "bk_tcp_to_plugnmeet"),
    ("bk_tcp_to_plugnmeet", "server", "127.0.0.1:81"),
    (INNER, "bind", "*:81"),
    (INNER, "default_backend", "bk_plugnmeet_server"),
    ("bk_etherpad", "server", "127.0.0.1:9001"),
    ("bk_ingress", "server", "127.0.0.1:8089"),
    (TURN, "server", ":5349"),
];

/// The frontend behind the one that ends TLS.
const INNER: &str = "ft_plugnmeet";
/// The backend at the machine's own address, whatever that is.
const TURN: &str = "bk_livekit_turn";

/// What nothing was made of. `used` are the lines of the directives that were taken over.
pub(super) fn losses<'h>(haproxy: &'h HaProxy, used: &BTreeSet<usize>) -> Vec<(&'h Section, &'h Directive)> {
    let all = haproxy.sections.iter().flat_map(|section| {
        let directives = section.directives.iter();
        directives.map(move |directive| (section, directive))
    });
    all.filter(|(section, directive)| !is_known(section, directive, used))
        .collect()
}

fn is_known(section: &Section, directive: &Directive, used: &BTreeSet<usize>) -> bool {
    let taken = used.contains(&directive.line) || is_official(section, directive);
    match (section.kind.as_str(), directive.word(0)) {
        ("global" | "defaults", _) => true,
        (_, "bind") => {
            let is_ours = used.contains(&directive.line)
                || (is_official(section, directive) && is_first(section, directive));
            is_ours && is_plain_bind(section, directive)
        }
        (_, "server") => taken && is_first(section, directive) && is_plain_server(section, directive),
        (_, "default_backend") => taken,
        (_, "acl" | "use_backend") => {
            let whole = |known: &&[&str]| directive.words.len() == known.len() && directive.is(known);
            CONDITIONS.iter().any(whole) || is_by_name(directive)
        }
        _ => KNOWN.iter().any(|known| directive.is(known)),
    }
}

fn is_by_name(directive: &Directive) -> bool {
    directive.is(&BY_NAME) && directive.words.len() == BY_NAME.len() + 2 && directive.word(7) == "}"
}

fn is_official(section: &Section, directive: &Directive) -> bool {
    let value = match directive.word(0) {
        "server" => directive.word(2),
        _ => directive.word(1),
    };
    OFFICIAL.iter().any(|(name, first, official)| {
        let fits = if *name == TURN {
            value.ends_with(official)
        } else {
            value == *official
        };
        fits && section.name == *name && directive.word(0) == *first
    })
}

/// The first of its kind in its section: the gateway takes over no other.
fn is_first(section: &Section, directive: &Directive) -> bool {
    let first = section
        .directives
        .iter()
        .find(|one| one.word(0) == directive.word(0));
    first.is_some_and(|first| first.line == directive.line)
}

/// Has it only words that the gateway follows? A frontend's TLS becomes `listen.https`; the PROXY protocol stands at the inner
/// hop alone.
fn is_plain_bind(section: &Section, directive: &Directive) -> bool {
    let mut words = directive.words.iter().skip(2).map(String::as_str);
    let mut certificates = 0;
    while let Some(word) = words.next() {
        let follows = match word {
            "ssl" => section.kind == "frontend",
            "crt" => {
                certificates += 1;
                section.kind == "frontend" && words.next().is_some() && certificates == 1
            }
            "accept-proxy" => section.name == INNER,
            word if FAMILIES.contains(&word) => true,
            _ => false,
        };
        if !follows {
            return false;
        }
    }
    true
}

fn is_plain_server(section: &Section, directive: &Directive) -> bool {
    let mut words = directive.words.iter().skip(3);
    words.all(|word| match word.as_str() {
        "check" => true,
        "send-proxy" => section.name == "bk_tcp_to_plugnmeet",
        "send-proxy-v2" => matches!(section.name.as_str(), TURN | "bk_tcp_to_plugnmeet"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../tests/support/official/haproxy.cfg");

    /// The lines that are taken over from the official file.
    fn used() -> BTreeSet<usize> {
        BTreeSet::from([18, 31, 39, 66, 72, 78, 86, 90, 93, 95])
    }

    fn told(text: &str) -> Vec<String> {
        let haproxy = HaProxy::parse(text);
        let losses = losses(&haproxy, &used());
        losses.iter().map(|(_, one)| one.text()).collect()
    }

    #[test]
    fn the_official_file_loses_nothing() {
        assert_eq!(told(FILE), Vec::<String>::new());
    }

    #[test]
    fn what_somebody_has_added_is_told() {
        let more = format!(
            "{FILE}\nfrontend ft_wiki\n    acl wiki path_beg /wiki\n    use_backend bk_wiki if wiki\n    \
             http-request deny if {{ src 192.0.2.7 }} # not him\n    default_backend bk_tcp_to_plugnmeet\n    bind *:81\n"
        );
        assert_eq!(
            told(&more),
            [
                "acl wiki path_beg /wiki",
                "use_backend bk_wiki if wiki",
                "http-request deny if { src 192.0.2.7 }",
                "default_backend bk_tcp_to_plugnmeet",
                "bind *:81",
            ]
        );
    }

    #[test]
    fn an_official_rule_with_one_more_condition_is_told() {
        for (old, new) in [
            (
                "use_backend bk_nats if nats",
                "use_backend bk_nats if nats { src 192.0.2.0/24 }",
            ),
            (
                "use_backend bk_etherpad if etherpad",
                "use_backend bk_etherpad if etherpad !nats",
            ),
            (
                "use_backend bk_ingress if ingress",
                "use_backend bk_ingress unless nats",
            ),
            (
                "if { ssl_fc_sni -i turn.example.org }",
                "if { ssl_fc_sni -i turn.example.org } { src 192.0.2.7 }",
            ),
            (
                "acl livekit path_beg /livekit",
                "acl livekit path_beg /livekit /sfu",
            ),
        ] {
            let lines = told(&FILE.replace(old, new));
            let [line] = lines.as_slice() else {
                panic!("{new}: {lines:?}");
            };
            assert!(line.ends_with(new), "{line}");
        }
    }

    #[test]
    fn what_was_not_taken_over_is_told() {
        let haproxy = HaProxy::parse(FILE);
        let losses = losses(&haproxy, &BTreeSet::new());
        let lines: Vec<_> = losses.iter().map(|(_, one)| one.line).collect();
        assert_eq!(lines, [18, 31, 66, 72, 86, 93, 95]);
    }
}
