//! Values that are refused, for every key, and the exact words of each problem.

use super::{sections_keys, told};

const SOCKET: &str = "write IP:PORT, such as 0.0.0.0:443 or [::]:443";
const UPSTREAM: &str =
    "write http://HOST or http://HOST:PORT, such as http://127.0.0.1:8080, or unix:PATH for a Unix socket";
const COALESCE: &str =
    "write true, or false for what was \"0s\"; no answer is kept any more, so there is no time to write";

const DURATION: &str = "write a duration such as 250ms, 10s, 5m or 3h";
const SIZE: &str = "write a size such as 512B, 32KiB or 64MiB";
const RATE: &str = "write a rate such as 10/min, 1/s or 500/h";
const DESIGN_HOST: &str =
    "write a host such as cdn.example.org, all below one as *.example.org, or * for any";
const ORIGIN: &str =
    "write https://HOST or https://HOST:PORT, such as https://conf.example.org, or \"\" for none";
const STORE: &str = "write \"memory\", redis://HOST:PORT, rediss://HOST:PORT or \
                     redis+sentinel://HOST:PORT,HOST:PORT/NAME";
const LIST: &str = "write a list: [\"…\", \"…\"], or [] for none";

const SOCKET_OR_NONE: &str = "write IP:PORT, such as 0.0.0.0:443 or [::]:443, or \"\" for none";
const UPSTREAM_OR_NONE: &str = "write http://HOST or http://HOST:PORT, such as http://127.0.0.1:8080, or unix:PATH for a Unix socket, or \"\" for none";

const TCP_UPSTREAM_OR_NONE: &str =
    "write HOST:PORT, such as 127.0.0.1:1936, or unix:PATH for a Unix socket, or \"\" for none";

/// Each row has a key, its value as in the file, what was found, and what is allowed.
const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "public_origin",
        "\"http://a.example\"",
        "\"http://a.example\" is not https",
        ORIGIN,
    ),
    ("public_origin", "7", "7 is no string", ORIGIN),
    ("hosts", "\"a.example\"", "\"a.example\" is no list", LIST),
    (
        "hosts",
        "[\"a.example:443\"]",
        "\"a.example:443\" is no host",
        "write a host name or an IP address without a port, such as conf.example.org",
    ),
    (
        "listen.https",
        "\":443\"",
        "\":443\" is no address with a port",
        SOCKET,
    ),
    ("listen.https", "\"\"", "\"\" is no address with a port", SOCKET),
    (
        "listen.http",
        "\"localhost:80\"",
        "\"localhost:80\" is no address with a port",
        SOCKET_OR_NONE,
    ),
    ("listen.plain", "80", "80 is no string", SOCKET_OR_NONE),
    ("listen.admin", "9180", "9180 is no string", SOCKET_OR_NONE),
    (
        "listen.admin_hosts",
        "[\"gateway:9180\"]",
        "\"gateway:9180\" is no host",
        "write a host name or an IP address without a port, such as conf.example.org",
    ),
    (
        "listen.proxy_protocol",
        "\"yes\"",
        "\"yes\" is neither true nor false",
        "write true or false",
    ),
    (
        "listen.threads",
        "0",
        "\"0\" is no number of threads",
        "write how many: 1 to 256, or \"auto\" for one for each core",
    ),
    (
        "limits.connections",
        "-1",
        "\"-1\" is no number of connections",
        "write how many: 1 to 1000000, or 0 for any number",
    ),
    ("tls.certs", "\"\"", "\"\" is no path", "write a path"),
    (
        "acme.accept_terms",
        "\"yes\"",
        "\"yes\" is neither true nor false",
        "write true or false",
    ),
    (
        "acme.directory",
        "\"http://ca.example/dir\"",
        "\"http://ca.example/dir\" is not https",
        "write the https address of a CA's ACME directory",
    ),
    (
        "acme.staging",
        "\"on\"",
        "\"on\" is no address",
        "write \"auto\", the https address of an ACME directory for trials, or \"\" for none",
    ),
    (
        "acme.email",
        "\"admin\"",
        "\"admin\" is no address of mail",
        "write an address such as admin@example.org, or \"\" for none",
    ),
    (
        "acme.names",
        "[\"a.example:443\"]",
        "\"a.example:443\" is no host",
        "write a host name or an IP address without a port, such as conf.example.org",
    ),
    (
        "acme.profile",
        "\"short lived\"",
        "\"short lived\" is no name of a profile",
        "write the name of a profile of the CA's, such as shortlived, or \"\" for none",
    ),
    ("acme.storage", "\"\"", "\"\" is no path", "write a path"),
    (
        "acme.roots",
        "7",
        "7 is no string",
        "write a path, or \"\" for none",
    ),
    (
        "acme.preflight",
        "\"no\"",
        "\"no\" is neither true nor false",
        "write true or false",
    ),
    (
        "acme.pass_to",
        "\"9080\"",
        "\"9080\" has no port",
        "write HOST:PORT, such as 127.0.0.1:9080, or \"\" for none",
    ),
    (
        "control.socket",
        "7",
        "7 is no string",
        "write a path, \"auto\", or \"\" for none",
    ),
    (
        "tls.min_version",
        "\"1.1\"",
        "\"1.1\" is not known here",
        "write \"1.2\" or \"1.3\"",
    ),
    (
        "turn.upstream",
        "\"127.0.0.1\"",
        "\"127.0.0.1\" has no port",
        TCP_UPSTREAM_OR_NONE,
    ),
    (
        "turn.upstream",
        "\"::1:5349\"",
        "\"::1:5349\" is no host with a port",
        TCP_UPSTREAM_OR_NONE,
    ),
    (
        "turn.names",
        "[\"turn.example.org:443\"]",
        "\"turn.example.org:443\" is no host",
        "write a host name or an IP address without a port, such as conf.example.org",
    ),
    (
        "turn.proxy_protocol",
        "\"v1\"",
        "\"v1\" is not known here",
        "write \"auto\", \"v2\" or \"off\"",
    ),
    (
        "passthrough",
        "true",
        "is no list of tables",
        "write [[passthrough]]",
    ),
    ("tcp", "true", "is no list of tables", "write [[tcp]]"),
    (
        "log.level",
        "\"INFO\"",
        "\"INFO\" is not known here",
        "write \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    ),
    (
        "log.format",
        "\"xml\"",
        "\"xml\" is not known here",
        "write \"auto\", \"text\" or \"json\"",
    ),
    (
        "log.access",
        "1",
        "1 is neither true nor false",
        "write true or false",
    ),
    (
        "plugnmeet.api_key",
        "\"\"",
        "\"\" is empty",
        "write the server's client_info.api_key",
    ),
    (
        "plugnmeet.api_key",
        "\"a b\"",
        "\"a b\" can't be sent in a header",
        "write the server's client_info.api_key",
    ),
    (
        "plugnmeet.secret",
        "\" \"",
        "is empty, so anybody could sign",
        "write the server's client_info.secret",
    ),
    (
        "plugnmeet.secret",
        "4711",
        "is no string but integer",
        "write the server's client_info.secret",
    ),
    (
        "plugnmeet.secret_file",
        "\"gone\"",
        "names a file that can't be read: No such file or directory (os error 2)",
        "name a readable file that holds the server's client_info.secret",
    ),
    (
        "upstreams.server",
        "\"http://a\"",
        "\"http://a\" is no list",
        LIST,
    ),
    ("upstreams.server", "[7]", "7 is no string", UPSTREAM),
    (
        "upstreams.server",
        "[\"https://a\"]",
        "\"https://a\" asks for TLS, which is not supported to upstreams",
        UPSTREAM,
    ),
    (
        "upstreams.livekit",
        "\"127.0.0.1:7880\"",
        "\"127.0.0.1:7880\" is no address",
        UPSTREAM_OR_NONE,
    ),
    (
        "upstreams.nats",
        "\"ws://a/ws\"",
        "\"ws://a/ws\" has more than a host and a port",
        UPSTREAM_OR_NONE,
    ),
    (
        "upstreams.etherpad",
        "\"ftp://a\"",
        "\"ftp://a\" is not http",
        UPSTREAM_OR_NONE,
    ),
    (
        "upstreams.ingress",
        "\"http://ann:hunter2@a\"",
        "\"http://***@a\" has credentials, which have no use here",
        UPSTREAM_OR_NONE,
    ),
    (
        "upstreams.ingress",
        "\"unix:ingress.sock\"",
        "\"unix:ingress.sock\" has no path from the root on to a socket",
        UPSTREAM_OR_NONE,
    ),
    (
        "upstreams.max_connections",
        "0",
        "\"0\" is no number of connections",
        "write how many: 1 to 1000000",
    ),
    (
        "upstreams.joining",
        "-1",
        "\"-1\" is no number of people",
        "write \"auto\", how many: 1 to 100000, or 0 for everybody at once",
    ),
    (
        "upstreams.joining_message",
        "\"no\"",
        "\"no\" is neither true nor false",
        "write true or false",
    ),
    (
        "upstreams.expose",
        "[\"webhook\"]",
        "\"webhook\" is not known here",
        "write \"login\", \"metrics\", \"ws\", \"livekit\" or \"etherpad_admin\"",
    ),
    (
        "client.path",
        "\"gone\"",
        "\"gone\" cannot be read: No such file or directory (os error 2)",
        "name the folder of the client's build, or its client.zip",
    ),
    (
        "client.cache",
        "7",
        "7 is no string",
        "write a path, or \"\" for none",
    ),
    (
        "client.keep_releases",
        "0",
        "\"0\" is no number of releases",
        "write how many: 1 to 20",
    ),
    ("client.watch", "\"often\"", "\"often\" is no duration", DURATION),
    (
        "client.mount",
        "\"/auth\"",
        "\"/auth\" is a path of plugNmeet's own",
        "write / or a path of letters, digits and . _ ~ - such as /conference",
    ),
    (
        "client.config",
        "7",
        "7 is no table",
        "write [client.config] and keys of the client's config.js below it",
    ),
    (
        "client.config_file",
        "\"gone\"",
        "\"gone\" cannot be read: No such file or directory (os error 2)",
        "name a readable config.js",
    ),
    (
        "issuer.mode",
        "\"server\"",
        "\"server\" is not known here",
        "write \"embedded\" or \"upstream\"",
    ),
    (
        "issuer.token_validity",
        "\"0s\"",
        "\"0s\" is out of range",
        "write 1s to 24h",
    ),
    (
        "issuer.token_validity",
        "\"25h\"",
        "\"25h\" is out of range",
        "write 1s to 24h",
    ),
    (
        "session.scope",
        "\"tab\"",
        "\"tab\" is not known here",
        "write \"session\" or \"mount\"",
    ),
    (
        "session.renew_grace",
        "\"3 h\"",
        "\"3 h\" is no duration",
        DURATION,
    ),
    ("session.max_age", "12", "12 is no string", DURATION),
    (
        "session.login_url",
        "\"/login\"",
        "\"/login\" is no address",
        "write an https or http address, such as https://lms.example.org/login, or \"\" for none",
    ),
    (
        "session.frame_ancestors",
        "[\"*\"]",
        "\"*\" is no address",
        "write 'self' or an origin, such as https://lms.example.org or https://*.example.org",
    ),
    (
        "design.on_invalid",
        "\"ignore\"",
        "\"ignore\" is not known here",
        "write \"reject\" or \"strip\"",
    ),
    (
        "design.css_hosts",
        "[\"https://a\"]",
        "\"https://a\" is no host",
        DESIGN_HOST,
    ),
    (
        "design.image_hosts",
        "[\"*.*.a\"]",
        "\"*.*.a\" is no host",
        DESIGN_HOST,
    ),
    (
        "design.from_links",
        "\"no\"",
        "\"no\" is neither true nor false",
        "write true or false",
    ),
    (
        "designs",
        "\"dark\"",
        "is no table of designs",
        "write [designs.NAME] in the file",
    ),
    (
        "limits.user",
        "\"0/min\"",
        "\"0/min\" would refuse every request",
        "write 1/min or more",
    ),
    ("limits.room", "\"10\"", "\"10\" is not a rate", RATE),
    ("limits.caller", "10", "10 is no string", RATE),
    ("limits.failures", "\"1/day\"", "\"1/day\" is not a rate", RATE),
    ("limits.renewal", "\"\"", "\"\" is not a rate", RATE),
    (
        "limits.design",
        "\"0/s\"",
        "\"0/s\" would refuse every request",
        "write 1/min or more",
    ),
    ("limits.store", "\"redis\"", "\"redis\" is not known here", STORE),
    (
        "limits.store",
        "\"redis://:hunter2\"",
        "\"redis://***\" has no host that could be called",
        STORE,
    ),
    (
        "limits.store",
        "\"redis://hunter2@127.0.0.1\"",
        "\"redis://***\" has no :PASSWORD or USER:PASSWORD before the @",
        STORE,
    ),
    (
        "limits.store",
        "\"ann:hunter2@127.0.0.1\"",
        "\"***\" is not known here",
        STORE,
    ),
    ("limits.store", "7", "is no string but integer", STORE),
    (
        "limits.store_file",
        "\"gone\"",
        "names a file that can't be read: No such file or directory (os error 2)",
        "name a readable file that holds the address of Redis",
    ),
    (
        "limits.redis_timeout",
        "\"0ms\"",
        "\"0ms\" is out of range",
        "write 1ms to 1s",
    ),
    (
        "limits.redis_timeout",
        "\"1001ms\"",
        "\"1001ms\" is out of range",
        "write 1ms to 1s",
    ),
    ("limits.redis_timeout", "20", "20 is no string", DURATION),
    (
        "limits.replicas",
        "0",
        "\"0\" is no number of gateways",
        "write how many there are: 1 or more",
    ),
    (
        "limits.replicas",
        "\"+3\"",
        "\"+3\" is no number of gateways",
        "write how many there are: 1 or more",
    ),
    (
        "trust.proxies",
        "[\"self\"]",
        "\"self\" is no network",
        "write a network such as 10.0.0.0/8 or an address such as 192.0.2.7",
    ),
    (
        "trust.internal",
        "[\"10.0.0.0/33\"]",
        "\"10.0.0.0/33\" is no network",
        "write a network such as 10.0.0.0/8, an address such as 192.0.2.7, or self for this machine's own",
    ),
    ("timeouts.handshake", "10", "10 is no string", DURATION),
    (
        "timeouts.header",
        "\"0ms\"",
        "\"0ms\" leaves no time at all",
        "write 1ms or more",
    ),
    ("timeouts.idle", "\"75\"", "\"75\" is no duration", DURATION),
    ("timeouts.connect", "\"-1s\"", "\"-1s\" is no duration", DURATION),
    ("timeouts.upgrade", "12", "12 is no string", DURATION),
    (
        "timeouts.admission",
        "\"0s\"",
        "\"0s\" leaves no time at all",
        "write 1ms or more",
    ),
    (
        "timeouts.response",
        "\"900h\"",
        "\"900h\" is too long",
        "write 720h or less",
    ),
    ("timeouts.drain", "true", "true is no string", DURATION),
    ("timeouts.drain_delay", "true", "true is no string", DURATION),
    ("timeouts.handover", "true", "true is no string", DURATION),
    (
        "timeouts.tunnel_silence",
        "\"999ms\"",
        "\"999ms\" would close WebSockets that are in use",
        "write 1s or more, or 0s for never",
    ),
    (
        "sizes.header",
        "\"4095B\"",
        "\"4095B\" is out of range",
        "write 4KiB to 1MiB",
    ),
    (
        "sizes.token_body",
        "0",
        "\"0\" is out of range",
        "write 1B to 16MiB",
    ),
    (
        "issuer.coalesce",
        "\"10s\"",
        "\"10s\" is neither true nor false",
        COALESCE,
    ),
    ("issuer.coalesce", "10", "10 is neither true nor false", COALESCE),
    (
        "callers",
        "\"moodle\"",
        "is no list of tables",
        "write [[callers]] in the file",
    ),
    ("sizes.body", "\"64MB\"", "\"64MB\" is no size", SIZE),
    (
        "sizes.body",
        "0",
        "\"0\" would refuse every body",
        "write 1B or more",
    ),
    (
        "sizes.least_rate",
        "\"1KiB\"",
        "\"1KiB\" is no rate of bytes",
        "write a size for each second, such as 1KiB/s",
    ),
    (
        "sizes.least_rate",
        "\"0B/s\"",
        "\"0B/s\" would let a body trickle for ever",
        "write 1B/s or more",
    ),
    (
        "headers.csp",
        "\"on\"",
        "\"on\" is not known here",
        "write \"enforce\", \"report\" or \"off\"",
    ),
    (
        "headers.csp_report",
        "\"http://a.example\"",
        "\"http://a.example\" is not https",
        REPORT,
    ),
    (
        "headers.csp_report",
        "\"https://a.example/a;b\"",
        "\"https://a.example/a;b\" would end the policy that names it",
        REPORT,
    ),
    (
        "headers.hsts",
        "\"half a year\"",
        "\"half a year\" is no duration",
        "write a duration such as 180d or 12h",
    ),
    (
        "headers.csp_sources",
        "\"https:\"",
        "\"https:\" is no table",
        "write [headers.csp_sources] and directives below it, such as img-src = [\"https:\"]",
    ),
];

const REPORT: &str =
    "write an https address without ; and , such as https://reports.example.org/csp, or \"\" for none";

#[test]
fn a_bad_value_is_told_with_its_line_its_key_and_what_is_allowed() {
    for (key, value, found, allowed) in CASES {
        let text = format!("\n{key} = {value}\n");
        assert_eq!(
            told(&text, &[]),
            [format!("gateway.toml:2: {key}: {found}; {allowed}")]
        );
    }
}

#[test]
fn no_key_is_left_untried() {
    for key in sections_keys() {
        assert!(
            CASES
                .iter()
                .any(|case| case.0 == key || key.starts_with("headers.csp_sources.")),
            "no bad value of {key} is tried"
        );
    }
}
