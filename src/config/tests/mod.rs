//! The whole configuration: which problems are told, at which place, and in which order.

mod bad_values;
mod secrets;
mod tables;

use super::*;
use crate::{issue::Mode, limits::StoreSettings};

const DOCUMENTED: &str = include_str!("../../../config/gateway.toml");

const HOST: &str = include_str!("../../../config/host.toml");

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect()
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, "gateway.toml", &[])
}

fn told(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    match Config::parse(text, "gateway.toml", &variables(pairs)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn without_places(mut config: Config) -> String {
    config.places.clear();
    config.in_effect.clear();
    format!("{config:#?}")
}

#[test]
fn the_documented_file_says_every_default() {
    let documented = parse(DOCUMENTED).unwrap();
    let defaults = Config::load(None, &[]).unwrap();
    assert_eq!(
        without_places(documented.clone()),
        without_places(defaults.clone())
    );
    assert_eq!(documented.warnings, [""; 0]);
    let undocumented: Vec<_> = sections_keys()
        .into_iter()
        .filter(|key| !documented.places.contains_key(key))
        .collect();
    assert_eq!(
        undocumented,
        [
            "plugnmeet.secret",
            "plugnmeet.secret_file",
            "callers",
            "designs",
            "check_page.livekit_secret",
            "check_page.livekit_secret_file",
            "limits.store_file",
            "passthrough",
            "tcp"
        ]
    );
    for commented_out in [
        "\n# secret = ",
        "\n# secret_file = ",
        "\n# store_file = ",
        "\n# livekit_secret_file = ",
        "\n# [[callers]]\n",
        "\n# [[passthrough]]\n",
        "\n# [[tcp]]\n",
        "\n# [designs.dark]\n",
    ] {
        assert!(DOCUMENTED.contains(commented_out), "{commented_out}");
    }
}

/// All keys but those in lists of tables and in designs.
fn sections_keys() -> Vec<String> {
    let keys = rows().into_iter().map(|row| row.key);
    let many = ["callers.", "designs.", "passthrough.", "tcp."];
    keys.filter(|key| !many.iter().any(|many| key.starts_with(many)))
        .collect()
}

#[test]
fn the_example_of_a_host_lacks_only_what_its_machine_has() {
    assert_eq!(
        told(HOST, &[]),
        [
            "gateway.toml:18: plugnmeet.secret_file: names a file that can't be read: No such file or directory (os error \
             2); name a readable file that holds the server's client_info.secret",
            "gateway.toml:28: client.path: \"/opt/plugNmeet/client/dist\" cannot be read: No such file or directory (os \
             error 2); name the folder of the client's build, or its client.zip",
        ]
    );
    let secret = "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6";
    let machine = variables(&[
        ("PNM_GATEWAY__PLUGNMEET__SECRET", secret),
        ("PNM_GATEWAY__CLIENT__PATH", "."),
    ]);
    let config = Config::parse(HOST, "host.toml", &machine).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(
        config.public_origin.unwrap().to_string(),
        "https://conf.example.org"
    );
    assert_eq!(
        config.upstreams.nats.unwrap().to_string(),
        "http://127.0.0.1:8222"
    );
    assert_eq!(config.plugnmeet.secret.unwrap().expose(), secret);
    assert!(matches!(config.issuer.mode, Mode::Upstream));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
color = 'red'
[limits]
usr = '20/min'
room = '0/min'
[listen]
https = '443'
[upstreams]
server = [
    'http://127.0.0.1:8080',
    'https://127.0.0.1',
    'a b',
]
[issuer]
mode = 'upstream'
token_validity = 10
coalesced = '10s'
[trust]
proxies = ['a', 'b']
[redis]
[[callers]]
name = 'lms'
";
    let pairs = [
        ("PNM_GATEWAY__LOG__LEVEL", "loud"),
        ("PNM_GATEWAY__LOG__LEVLE", "info"),
    ];
    let lines: Vec<String> = told(text, &pairs)
        .iter()
        .map(|problem| problem.split(';').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "gateway.toml:1: color: is no key of the gateway",
            "gateway.toml:3: limits.usr: is no key of the gateway",
            "gateway.toml:4: limits.room: \"0/min\" would refuse every request",
            "gateway.toml:6: listen.https: \"443\" is no address with a port",
            "gateway.toml:10: upstreams.server: \"https://127.0.0.1\" asks for TLS, which is not supported to upstreams",
            "gateway.toml:11: upstreams.server: \"a b\" is no address",
            "gateway.toml:14: issuer.mode: \"upstream\" needs the server's secret",
            "gateway.toml:15: issuer.token_validity: 10 is no string",
            "gateway.toml:16: issuer.coalesced: is no key of the gateway",
            "gateway.toml:18: trust.proxies: \"a\" is no network",
            "gateway.toml:18: trust.proxies: \"b\" is no network",
            "gateway.toml:19: redis: is no key of the gateway",
            "gateway.toml:20: callers.api_key: is missing",
            "gateway.toml:20: callers.secret: is missing",
            "environment: PNM_GATEWAY__LOG__LEVEL: log.level: \"loud\" is not known here",
            "environment: PNM_GATEWAY__LOG__LEVLE: is no variable of the gateway",
        ]
    );
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    let known = "[limits] has connections, user, room, caller, failures, renewal, design, check_page, store, store_file, redis_timeout, \
                 replicas";
    let cases = [
        (
            "[limits]\nusr = '1/min'",
            "2: limits.usr",
            format!("perhaps limits.user is meant: {known}"),
        ),
        (
            "[limits]\nredis_password = '5ms'",
            "2: limits.redis_password",
            known.to_owned(),
        ),
    ];
    for (text, place, allowed) in cases {
        let expected = format!("gateway.toml:{place}: is no key of the gateway; {allowed}");
        assert_eq!(told(text, &[]), [expected]);
    }
    let root = "there are public_origin, hosts, callers, designs, passthrough, tcp, [listen], [tls], [log], [control], [plugnmeet], \
                [upstreams], [client], [issuer], [session], [design], [headers], [check_page], [limits], [trust], [timeouts], [sizes], [turn], [acme]";
    for (text, name, near) in [
        ("[limit]", "limit", "perhaps limits is meant: "),
        ("api_key = 'k'", "api_key", "perhaps plugnmeet.api_key is meant: "),
        ("[[webhooks]]", "webhooks", ""),
    ] {
        let expected = format!("gateway.toml:1: {name}: is no key of the gateway; {near}{root}");
        assert_eq!(told(text, &[]), [expected]);
    }
    assert_eq!(
        told("plugnmeet = 'zumyyYWqv7KR'", &[]),
        ["gateway.toml:1: plugnmeet: is no section but string; write [plugnmeet] and its keys below it"]
    );
    assert_eq!(
        told(
            "",
            &[
                ("PNM_GATEWAY__LIMITS__USERS", "1/min"),
                ("PNM_GATEWAY__ACTIONS", "")
            ]
        ),
        [
            "environment: PNM_GATEWAY__ACTIONS: is no variable of the gateway; write PNM_GATEWAY__SECTION__KEY, or \
             PNM_GATEWAY__KEY for a key outside of all sections",
            "environment: PNM_GATEWAY__LIMITS__USERS: is no variable of the gateway; perhaps PNM_GATEWAY__LIMITS__USER \
             is meant",
        ]
    );
}

#[test]
fn a_variable_wins_over_the_file() {
    let text = "[listen]\nhttps = 'nonsense'\nhttp = '127.0.0.1:80'\n[sizes]\nheader = 8192\n";
    let config = Config::parse(
        text,
        "gateway.toml",
        &variables(&[
            ("PNM_GATEWAY__LISTEN__HTTPS", "127.0.0.1:0"),
            ("PNM_GATEWAY__LISTEN__HTTP", ""),
            ("PNM_GATEWAY__LOG__ACCESS", "false"),
            ("PNM_GATEWAY__PUBLIC_ORIGIN", "https://a.example"),
            ("PNM_GATEWAY__HOSTS", "b.example, c.example"),
            (
                "PNM_GATEWAY__UPSTREAMS__SERVER",
                "[\"http://a:1\", \"http://b:2\"]",
            ),
            ("PNM_GATEWAY__DESIGN__IMAGE_HOSTS", ""),
            ("PNM_GATEWAY__SIZES__BODY", "1000"),
            ("PNM_GATEWAY__CLIENT__CONFIG", "{ enableSimulcast = true }"),
        ]),
    )
    .unwrap();
    assert_eq!(config.listen.https, ["127.0.0.1:0".parse().unwrap()]);
    assert!(config.listen.http.is_empty());
    assert!(!config.log.access);
    assert_eq!(config.public_origin.unwrap().to_string(), "https://a.example");
    assert_eq!(config.hosts, ["b.example", "c.example"]);
    assert_eq!(config.upstreams.server[1].to_string(), "http://b:2");
    assert_eq!(config.design.image_hosts, [""; 0]);
    assert_eq!((config.sizes.header_bytes, config.sizes.body_bytes), (8192, 1000));
    assert_eq!(config.client.config["enableSimulcast"], true);
}

#[test]
fn a_bad_variable_is_named_as_the_place() {
    assert_eq!(
        told(
            "[limits]\nuser = '1/min'",
            &[("PNM_GATEWAY__LIMITS__USER", "0/min")]
        ),
        [
            "environment: PNM_GATEWAY__LIMITS__USER: limits.user: \"0/min\" would refuse every request; write 1/min or \
             more"
        ]
    );
    assert_eq!(
        told("", &[("PNM_GATEWAY__HOSTS", "[a]")]),
        [
            "environment: PNM_GATEWAY__HOSTS: hosts: \"[a]\" is no TOML array; write [\"…\", \"…\"], or texts with \
             commas between them"
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_told_with_its_lines() {
    assert_eq!(
        told("[limits]\nuser = 10/min\nuser = '1/min'\n", &[])[0],
        "gateway.toml:2: user: column 8: has a value without quotes; write user = \"…\""
    );
    assert_eq!(
        told("[limits]\nuser = '1/min'\nroom = '1/min'\nuser = '1/min'\n", &[]),
        ["gateway.toml:4: user: is given twice; write it once"]
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let problems = Config::load(Some(Path::new("gone.toml")), &[]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "gone.toml: cannot be read: No such file or directory (os error 2); name a readable TOML file"
    );
}

#[test]
fn a_login_that_leads_to_the_client_is_no_login() {
    let with_login = |login: &str| {
        told(
            &format!("public_origin = 'https://conf.example.org'\n[session]\nlogin_url = '{login}'\n"),
            &[],
        )
    };
    for login in [
        "https://conf.example.org/conference/",
        "https://conf.example.org/conference/s/x/?a",
    ] {
        assert_eq!(
            with_login(login),
            [
                "gateway.toml:3: session.login_url: leads to the client, and so to itself; write the address of what \
                 hands links out"
            ]
        );
    }
    for login in [
        "https://conf.example.org/login.html",
        "https://lms.example.org/conference/",
    ] {
        assert!(with_login(login).is_empty(), "{login}");
    }
}

#[test]
fn what_the_upstream_issuer_needs_is_asked_for() {
    assert_eq!(
        told("[upstreams]\nserver = []\n[issuer]\nmode = 'upstream'\n", &[]),
        [
            "gateway.toml:4: issuer.mode: \"upstream\" needs the server's secret; write plugnmeet.secret or \
             plugnmeet.secret_file",
            "gateway.toml:4: issuer.mode: \"upstream\" needs a server to ask; write its address into upstreams.server",
        ]
    );
    // A refused secret is one problem, not two.
    let text = "[plugnmeet]\nsecret = ''\n[issuer]\nmode = 'upstream'\n";
    assert_eq!(told(text, &[]).len(), 1);
}

#[test]
fn a_proxy_header_counts_from_named_proxies_alone() {
    assert_eq!(
        told("[listen]\nproxy_protocol = true\n", &[]),
        [
            "gateway.toml:2: listen.proxy_protocol: true needs to know whose header counts; write the balancer's network \
             into trust.proxies"
        ]
    );
    let config = parse("listen.proxy_protocol = true\ntrust.proxies = ['10.0.0.0/8']\n").unwrap();
    assert!(config.trust.proxies.contains("10.1.2.3".parse().unwrap()));
}

#[test]
fn two_listeners_need_two_addresses() {
    assert_eq!(
        told("[listen]\nhttps = '127.0.0.1:8880'\n", &[]),
        ["gateway.toml: listen.http: \"127.0.0.1:8880\" is listen.https's already; write another port"]
    );
    assert_eq!(
        told("[listen]\nhttps = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n", &[]),
        [""; 0]
    );
    // All of IPv6 has IPv4 too, unless its own list gives IPv4 another place.
    assert_eq!(
        told(
            "listen.https = '[::]:8880'\nlisten.admin = ['0.0.0.0:9180', '127.0.0.1:9180']\n",
            &[]
        ),
        [
            "gateway.toml: listen.http: \"127.0.0.1:8880\" is taken by listen.https's \"[::]:8880\"; write another port",
            "gateway.toml:2: listen.admin: \"127.0.0.1:9180\" is taken by listen.admin's \"0.0.0.0:9180\"; write another port",
        ]
    );
    assert_eq!(
        told(
            "listen.https = ['[::]:443', '0.0.0.0:443']\nlisten.http = ['0.0.0.0:80', '[::1]:80', '[::1]:81']\n",
            &[]
        ),
        [""; 0]
    );
    let many: Vec<String> = (1..100).map(|port| format!("'127.0.0.1:{port}'")).collect();
    assert_eq!(
        told(&format!("listen.https = [{}]\n", many.join(", ")), &[]),
        [
            "gateway.toml: listen.admin: has one address more than the 100 that there may be in all; write fewer"
        ]
    );
}

#[test]
fn keys_of_the_clients_own_become_json_and_ours_stay_ours() {
    let config = parse("[client.config]\na = [1, 2.5, { b = 'c' }]\n[client.config.d]\ne = 0xff\n").unwrap();
    assert_eq!(
        serde_json::Value::Object(config.client.config),
        serde_json::json!({"a": [1, 2.5, {"b": "c"}], "d": {"e": 255}})
    );
    assert_eq!(
        told(
            "[client.config]\nserverUrl = 'x'\nday = 2026-01-01\nstaticAssetsPath = ''\na = [\n1,\n[inf]]\n",
            &[]
        ),
        [
            "gateway.toml:2: client.config.serverUrl: is made of public_origin; leave it out",
            "gateway.toml:3: client.config.day: 2026-01-01 is a date, which JSON has not; write it in quotes",
            "gateway.toml:4: client.config.staticAssetsPath: is made of client.mount; leave it out, or write the address of a \
             copy elsewhere, such as https://cdn.example.org/assets",
            "gateway.toml:7: client.config.a: inf is no number in JSON; write a finite number",
        ]
    );
}

#[test]
fn limits_are_shared_where_a_redis_is_named() {
    let store = |text: &str| parse(&format!("[limits]\n{text}")).unwrap().limits.store;
    assert!(matches!(store(""), StoreSettings::Memory));
    let StoreSettings::Redis(redis) =
        store("store = 'rediss://ann:hunter2@redis.example.org'\nredis_timeout = '5ms'\nreplicas = 3")
    else {
        panic!("a Redis is named");
    };
    assert_eq!(redis.address.to_string(), "rediss://redis.example.org:6379/0");
    assert_eq!((redis.timeout.as_millis(), redis.replicas.get()), (5, 3));
    assert!(!format!("{redis:?}").contains("hunter2"));
    assert_eq!(
        parse("limits.replicas = 3").unwrap().warnings,
        ["limits.replicas has no effect, as with limits.store = \"memory\" each gateway counts for itself"]
    );
}

#[test]
fn a_config_js_of_the_operators_own_replaces_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.js");
    std::fs::write(&file, "window.plugNmeetConfig = {}").unwrap();
    let text = format!(
        "[client]\nconfig_file = '{}'\nconfig = {{ a = 1 }}\n",
        file.display()
    );
    let config = parse(&text).unwrap();
    assert_eq!(
        std::fs::read(config.client.config_file.unwrap()).unwrap(),
        b"window.plugNmeetConfig = {}"
    );
    assert_eq!(
        config.warnings,
        [format!(
            "client.config has no effect, as client.config_file serves \"{}\" instead",
            file.display()
        )]
    );
}

#[test]
fn without_a_public_origin_it_is_localhost_at_our_port() {
    let config = Config::load(None, &[]).unwrap();
    assert_eq!(
        config.public_origin_at(8443).to_string(),
        "https://localhost:8443"
    );
    assert_eq!(config.public_origin_at(443).authority(), "localhost");
}

#[test]
fn a_room_tells_its_problem_where_the_value_stands() {
    let config = parse("\n[tls]\ncerts = 'certs'\n").unwrap();
    assert_eq!(
        config
            .problem("tls.certs", "\"certs\" holds no key", "add NAME.key")
            .to_string(),
        "gateway.toml:3: tls.certs: \"certs\" holds no key; add NAME.key"
    );
    assert_eq!(
        config
            .problem("client.path", "\"\" has no index.html", "name a build")
            .to_string(),
        "built-in defaults: client.path: \"\" has no index.html; name a build"
    );
}
