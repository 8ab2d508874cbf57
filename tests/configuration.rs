//! What the program says of its own keys: `docs/configuration.md`, and the schema by which editors check the file.
//!
//! `UPDATE_DOCS=1 cargo test --test configuration` writes both anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

use plugnmeet_gateway::config::{Config, reference, schema};
use serde_json::Value;

fn is_current(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, made).unwrap_or_else(|error| panic!("{error}"));
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "{file} is stale: write it with UPDATE_DOCS=1 cargo test --test configuration"
    );
}

#[test]
fn the_page_of_all_keys_is_current() {
    is_current("docs/configuration.md", &reference());
}

#[test]
fn the_schema_is_current() {
    is_current("config/gateway.schema.json", &schema());
}

#[test]
fn both_example_files_name_their_schema_and_are_sound_by_it() {
    for file in ["config/gateway.toml", "config/host.toml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.starts_with("#:schema ./gateway.schema.json\n"), "{file}");
        assert_eq!(by_schema(&text), Vec::<String>::new(), "{file}");
    }
}

/// What the schema finds wrong in a file.
fn by_schema(text: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let file: toml::Table = toml::from_str(text).unwrap();
    let file = serde_json::to_value(file).unwrap();
    validator
        .iter_errors(&file)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

const GOOD: &[&str] = &[
    "",
    "public_origin = ''",
    "public_origin = 'https://conf.example.org'",
    "public_origin = 'https://conf.example.org:444'",
    "hosts = ['a.example', '192.0.2.7']",
    "listen.https = '[::]:443'",
    "listen.https = ['0.0.0.0:443', '[::]:443']",
    "listen = { http = [], admin = ['127.0.0.1:9180'] }",
    "listen.http = ''",
    "listen.threads = 4",
    "listen.threads = 'auto'",
    "tls.min_version = '1.3'",
    "log = { level = 'debug', access = false }",
    "control.socket = ''",
    "plugnmeet.api_key = 'plugNmeet'",
    "plugnmeet.secret = '0123456789abcdef0123456789abcdef'",
    "upstreams.server = ['http://127.0.0.1:8080', 'unix:/run/server.sock']",
    "upstreams.livekit = 'ws://127.0.0.1:7880'",
    "upstreams.nats = ''",
    "upstreams.expose = ['login', 'metrics']",
    "upstreams.max_connections = '100'",
    "client.mount = '/'",
    "client.config = { enableSimulcast = true, nested = { a = [1, 'x'] } }",
    "session = { scope = 'mount', max_age = '0s' }",
    "design.image_hosts = ['*.example.org']",
    "headers.csp_sources = { img-src = ['https:'] }",
    "headers.hsts = '365d'",
    "[designs.dark]\nprimary_color = '#000'",
    "limits = { user = '5/s', connections = 0 }",
    "trust = { proxies = ['10.0.0.0/8'], internal = ['self'] }",
    "timeouts.drain = '0s'",
    "sizes = { body = 1048576, header = '16KiB' }",
    "sizes.least_rate = '512B/s'",
    "turn = { upstream = '127.0.0.1:5349', names = ['turn.example.org'] }",
    "[[passthrough]]\nnames = ['*.example.org']\nupstream = 'a:1'",
    "[[tcp]]\nlisten = '0.0.0.0:1935'\nupstream = '127.0.0.1:1936'",
    "[[tcp]]\nlisten = ['0.0.0.0:1935', '[::]:1935']\nupstream = '127.0.0.1:1936'",
    "[[callers]]\nname = 'a'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'\nlimits.user = '1/min'\nrooms = ['a-*']",
];

const BAD: &[&str] = &[
    "public_orgin = 'https://conf.example.org'",
    "public_origin = 'http://conf.example.org'",
    "public_origin = 7",
    "hosts = 'a.example'",
    "hosts = [7]",
    "listen.https = ''",
    "listen.https = []",
    "listen.https = ['']",
    "listen.https = ['443']",
    "listen.https = 443",
    "listen.http = 'localhost'",
    "listen.threads = 'many'",
    "listen.threads = -1",
    "listen = 7",
    "tls.min_version = '1.1'",
    "log.level = 'loud'",
    "log.access = 'yes'",
    "plugnmeet.api_key = ''",
    "plugnmeet.secret = ''",
    "plugnmeet.secret = 7",
    "plugnmeet.secret = '0123456789abcdef0123456789abcdef'\nplugnmeet.secret_file = '/dev/null'",
    "upstreams.server = 'http://127.0.0.1:8080'",
    "upstreams.livekit = 'https://127.0.0.1:7880'",
    "upstreams.expose = ['everything']",
    "upstreams.max_connections = 'x'",
    "client.mount = 'conference'",
    "client.config = 7",
    "client.watch = '5'",
    "issuer.mode = 'both'",
    "issuer.coalesce = '0s'",
    "session.scope = 'room'",
    "session.frame_ancestors = 'https://lms.example.org'",
    "design.on_invalid = 'ignore'",
    "design.from_links = 'no'",
    "headers.csp = 'on'",
    "headers.csp_sources = { img-src = 'https:' }",
    "headers.csp_sources = { image-src = ['https:'] }",
    "headers.hsts = '365'",
    "[designs.dark]\nprimary_color = 7",
    "[designs.dark]\nmain_color = '#000'",
    "limits.user = '0/min'",
    "limits.user = '10'",
    "limits.connections = -1",
    "limits.replicas = 'x'",
    "trust.proxies = true",
    "timeouts.idle = '75'",
    "timeouts.idle = 75",
    "timeouts.nothing = '1s'",
    "sizes.body = '1KB'",
    "sizes.least_rate = '1KiB'",
    "turn.proxy_protocol = 'v1'",
    "[[tcp]]\nlisten = '0.0.0.0:1935'",
    "[[passthrough]]\nnames = ['a.example']\nupstream = 'a:1'\nport = 1",
    "[callers]\nname = 'a'",
    "[[callers]]\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'",
    "[[callers]]\nname = 'two words'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'",
    "[[callers]]\nname = 'a'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'\nlimits.users = '1/min'",
];

#[test]
fn the_schema_and_check_agree_on_files_that_are_sound_and_on_files_that_are_not() {
    assert!(GOOD.len() + BAD.len() > 80);
    for text in GOOD {
        let checked = Config::parse(text, "gateway.toml", &[]).map(drop);
        assert_eq!(checked, Ok(()), "{text}");
        assert_eq!(by_schema(text), Vec::<String>::new(), "{text}");
    }
    for text in BAD {
        assert!(Config::parse(text, "gateway.toml", &[]).is_err(), "{text}");
        assert!(!by_schema(text).is_empty(), "{text}");
    }
}

/// A key is there because the gateway reads it, with what it reads by default.
#[test]
fn what_is_in_effect_by_default_is_what_the_example_has() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/gateway.toml")).unwrap();
    let values = |config: &Config| {
        let shown = config.in_effect();
        shown
            .lines()
            // A number may stand without quotes.
            .map(|line| line.split("  # ").next().unwrap_or_default().replace('"', ""))
            .filter(|line| !line.starts_with('#') && line.contains(" = "))
            .collect::<Vec<_>>()
    };
    let of_example = values(&Config::parse(&text, "gateway.toml", &[]).unwrap());
    for line in values(&Config::parse("", "gateway.toml", &[]).unwrap()) {
        assert!(of_example.contains(&line), "{line}");
    }
}
