//! Values that are refused, for every key, and the exact words of each problem.

mod of_requests;

use super::{sections_keys, told};

const SOCKET: &str = "write IP:PORT, such as 0.0.0.0:443 or [::]:443";
const UPSTREAM: &str =
    "write http://HOST or http://HOST:PORT, such as http://127.0.0.1:8080, or unix:PATH for a Unix socket";

const DURATION: &str = "write a duration such as 250ms, 10s, 5m or 3h";
const ORIGIN: &str =
    "write https://HOST or https://HOST:PORT, such as https://conf.example.org, or \"\" for none";
const LIST: &str = "write a list: [\"…\", \"…\"], or [] for none";

const SOCKET_OR_NONE: &str = "write IP:PORT, such as 0.0.0.0:443 or [::]:443, or \"\" for none";
const UPSTREAM_OR_NONE: &str = "write http://HOST or http://HOST:PORT, such as http://127.0.0.1:8080, or unix:PATH for a Unix socket, or \"\" for none";

const TCP_UPSTREAM_OR_NONE: &str =
    "write HOST:PORT, such as 127.0.0.1:1936, or unix:PATH for a Unix socket, or \"\" for none";

/// A key, its value as in the file, what was found, and what is allowed.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// Keys of the gateway and of those that it speaks with.
const CASES: &[Case] = &[
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
];

fn all_cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(of_requests::CASES)
}

#[test]
fn a_bad_value_is_told_with_its_line_its_key_and_what_is_allowed() {
    for (key, value, found, allowed) in all_cases() {
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
            all_cases().any(|case| case.0 == key || key.starts_with("headers.csp_sources.")),
            "no bad value of {key} is tried"
        );
    }
}
