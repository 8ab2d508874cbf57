//! Another configuration is taken up while the gateway runs: by the program itself, with its file in a folder of its own.

use std::{fs, path::Path, sync::Arc, time::Duration};

use hyper::Response;
use plugnmeet_gateway::{
    clock::Clock,
    config::{Config, Plan},
    secret::Secret,
    token::RequestKey,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{
    SECRET,
    binary::run,
    client::{Answer, Client},
    configured::{Configured as Gateway, Said},
    folder_of, plugnmeet, token_request,
    upstream::{Upstream, text_body},
    websocket::echo,
};

const UPGRADE: &str = "GET /livekit/rtc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client's frame with four bytes, masked with zeros.
const FRAME: [u8; 10] = [0x82, 0x84, 0, 0, 0, 0, b'p', b'i', b'n', b'g'];

/// The issue's own measure: nobody notices anything of a hundred reloads, and they leave nothing behind.
#[tokio::test]
async fn a_hundred_reloads_close_nothing_fail_nothing_and_leave_nothing_behind() {
    // It keeps no connection, so that all descriptors that are open are known.
    let server = Upstream::handling(|_| async {
        let answer = Response::builder().header("Connection", "close");
        answer.body(text_body("hello")).unwrap()
    })
    .await;
    let livekit = echo().await;
    let toml = |user: usize| {
        format!(
            "upstreams = {{ server = ['{}'], livekit = '{}' }}\nlimits.user = '{user}/min'\n",
            server.url(),
            livekit.url()
        )
    };
    let gateway = Gateway::with(&toml(10)).await;
    let mut socket = gateway.client().raw().await;
    socket.send(UPGRADE).await;
    assert_eq!(socket.answer().await.status, 101);

    // Warm: everything that is made once is made.
    for user in 0..10 {
        gateway.take_up(&toml(user + 11)).await;
        assert_eq!(gateway.get("/api/anything").await.status, 200);
    }
    sleep(Duration::from_secs(1)).await;
    let (descriptors, memory) = (gateway.descriptors(), gateway.memory());

    let client = gateway.client();
    let asking = tokio::spawn(async move {
        let mut answered = 0;
        loop {
            // Over connections that are kept, and over new ones.
            let statuses = client.statuses(20, "/api/anything", |_| Vec::new()).await;
            assert_eq!(statuses, [200; 20]);
            answered += statuses.len();
            tokio::task::yield_now().await;
            if answered >= 100_000 {
                return answered;
            }
        }
    });
    for user in 0..100 {
        gateway.write(&toml(user + 30));
        gateway.reload_at_once().await;
        socket.send(FRAME).await;
        assert_eq!(socket.exactly(FRAME.len()).await.unwrap(), FRAME);
    }
    assert!(!asking.is_finished(), "a request failed, or they were too few");
    asking.abort();
    assert!(server.requests().len() > 100, "{}", server.requests().len());

    let began = Instant::now();
    while gateway.descriptors() > descriptors && began.elapsed() < Duration::from_secs(90) {
        sleep(Duration::from_millis(200)).await;
    }
    assert!(gateway.descriptors() <= descriptors, "{descriptors}");
    let grown = gateway.memory().saturating_sub(memory);
    assert!(grown < 12 << 20, "{grown} bytes more than {memory}");
    let status = gateway.status().await;
    assert_eq!(status["tunnels"]["livekit"], 1);
    assert!(status["requests"].as_u64().unwrap() < 10, "{status}");
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("plugnmeet_gateway_config_reloads_total{outcome=\"taken\"} 110\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_tells_all_that_is_wrong() {
    let server = Upstream::answering("hello").await;
    let sound = format!("upstreams.server = ['{}']\nlimits.user = '20/min'", server.url());
    let mut gateway = Gateway::with(&sound).await;
    let before = gateway.status().await;

    gateway.write(
        "hosts = ['a.example']\nlimits.user = '0/min'\nno_such_key = 1\ntls.certs = 'gateway.toml'\n\
         upstreams.server = ['ftp://x']",
    );
    let said = gateway.reload().await;
    assert_eq!(said.status, Some(1));
    assert_eq!(said.out, "");
    let check = gateway.command("check").await;
    // `check` has no ports of the system's choice; what it says of the file is the same.
    let problems: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.contains("gateway.toml"))
        .collect();
    assert_eq!(problems.len(), 4, "{said:?}");
    for problem in &problems {
        assert!(check.err.contains(problem), "{problem} is not in {check:?}");
    }
    for key in ["limits.user", "no_such_key", "tls.certs", "upstreams.server"] {
        assert!(problems.iter().any(|line| line.contains(key)), "{key}: {said:?}");
    }
    assert!(
        said.err
            .ends_with("the configuration is refused, and nothing has changed\n")
    );
    gateway
        .serving
        .says("The configuration is refused, and nothing has changed")
        .await;
    for problem in &problems {
        assert!(
            gateway.serving.said.contains(&problem.replace('"', "\\\"")),
            "{problem}"
        );
    }

    // Not even a part of it: the name is a stranger's still, and the upstream the old one.
    assert_eq!(gateway.status_at("a.example", "/api/x").await, 421);
    assert_eq!(gateway.get("/api/x").await.text(), "hello");
    let after = gateway.status().await;
    assert_eq!(after["configuration"], before["configuration"]);

    // A file that is no TOML, and one that is gone.
    gateway.write("limits = ");
    assert_eq!(gateway.reload().await.status, Some(1));
    fs::remove_file(gateway.folder.path().join("gateway.toml")).unwrap();
    let said = gateway.reload().await;
    assert!(said.err.contains("gateway.toml: cannot be read"), "{said:?}");
    assert_eq!(gateway.hash().await, before["configuration"]["hash"]);
    let metrics = gateway.metrics().await;
    for line in [
        "plugnmeet_gateway_config_reloads_total{outcome=\"refused\"} 3\n",
        "plugnmeet_gateway_config_reloads_total{outcome=\"taken\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    // And the next that is sound is taken up.
    gateway.take_up(&format!("{sound}\nhosts = ['a.example']")).await;
    assert_eq!(gateway.status_at("a.example", "/api/x").await, 200);
}

#[tokio::test]
async fn what_only_a_start_reads_is_named_and_the_rest_is_taken_up() {
    let mut gateway = Gateway::with("").await;
    let before = gateway.hash().await;
    gateway.write(
        "listen.threads = 7\nlog.level = 'debug'\ncontrol.socket = 'elsewhere.sock'\nhosts = ['a.example']",
    );
    // Where the running gateway has its socket, the file no longer says.
    let variables = [("CONTROL__SOCKET", "auto")];
    let arguments = ["--config", "gateway.toml", "reload"];
    let said: Said = run(gateway.folder.path(), &arguments, &variables).await.into();
    assert_eq!(said.status, Some(0), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "listen.threads waits for a restart",
            "control.socket waits for a restart"
        ],
        "{said:?}"
    );
    gateway.serving.says("A changed key waits for a restart").await;
    let status = run(
        gateway.folder.path(),
        &["--config", "gateway.toml", "status", "--json"],
        &variables,
    )
    .await;
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let configuration = &status["configuration"];
    assert_eq!(
        configuration["waiting_for_restart"],
        serde_json::json!(["listen.threads", "control.socket"])
    );
    assert_ne!(configuration["hash"], *before);
    assert_eq!(
        lines[2],
        format!(
            "the configuration is taken up: {}",
            configuration["hash"].as_str().unwrap()
        )
    );
    assert_eq!(gateway.status_at("a.example", "/").await, 302);

    // Written as it was, nothing waits, and the hash is the first one.
    gateway.take_up("# as at the start\n").await;
    assert_eq!(gateway.hash().await, before);
}

#[tokio::test]
async fn the_next_request_goes_to_the_new_upstream_and_the_old_ones_connections_end() {
    let (old, new) = (Upstream::answering("old").await, Upstream::answering("new").await);
    let toml = |server: &Upstream, more: &str| format!("upstreams.server = ['{}']\n{more}", server.url());
    let gateway = Gateway::with(&toml(&old, "")).await;
    // Over one connection, which is there all the time.
    let mut connection = gateway.client().raw().await;
    let ask = gateway_request(&gateway);
    connection.send(&ask).await;
    assert_eq!(connection.answer().await.text(), "old");
    gateway.take_up(&toml(&new, "")).await;
    connection.send(&ask).await;
    assert_eq!(connection.answer().await.text(), "new");
    assert_eq!(old.requests().len(), 1);
    let metrics = gateway.metrics().await;
    let open = format!(
        "upstream_connections{{upstream=\"server\",address=\"{}\"}} 1\n",
        new.addr
    );
    assert!(metrics.contains(&open), "{metrics}");
    let ended = format!(
        "upstream_connections{{upstream=\"server\",address=\"{}\"}} 1\n",
        old.addr
    );
    assert!(!metrics.contains(&ended), "{metrics}");

    // Without any, its paths lead nowhere; with a mount of its own the client is somewhere else.
    gateway
        .take_up("upstreams.server = []\nclient.mount = '/meet'")
        .await;
    connection.send(&ask).await;
    assert_eq!(connection.answer().await.status, 404);
    assert_eq!(gateway.get("/meet").await.status, 308);
    gateway.take_up(&toml(&old, "sizes.body = '1KiB'")).await;
    connection.send(&ask).await;
    assert_eq!(connection.answer().await.text(), "old");
    let large = gateway.client().request("POST", "/api/x", &[], &[0; 2048]).await;
    assert_eq!(large.status, 413);
    assert_eq!(gateway.get("/meet").await.status, 404);
}

fn gateway_request(gateway: &Gateway) -> String {
    let port = gateway.serving.https.port();
    format!("GET /api/x HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
}

const MOODLE: &str = "secret-of-moodle-0123456789abcdefghij";
const OTHER: &str = "secret-of-another-0123456789abcdefghi";

fn caller(name: &str, secret: &str) -> String {
    format!(
        "[[callers]]\nname = '{name}'\napi_key = '{name}-key'\nsecret = '{secret}'\nlimits.user = '2/min'\n"
    )
}

#[tokio::test]
async fn counts_survive_and_who_is_taken_out_of_the_file_is_out_at_once() {
    let server = plugnmeet::server().await;
    let head = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.user = '2/min'\n",
        server.url()
    );
    let (moodle, other) = (caller("moodle", MOODLE), caller("other", OTHER));
    let gateway = Gateway::with(&format!("{head}{moodle}{other}")).await;
    let body = token_request("room01", "ann");
    let code = |answer: &Answer| answer.json()["status_code"].clone();
    let key = "plugnmeet";
    for (key, secret) in [("moodle-key", MOODLE), (key, SECRET)] {
        for _ in 0..2 {
            let answer = gateway.ask_for_token(key, secret, &body).await;
            assert_eq!(code(&answer), "SUCCESS", "{answer:?}");
        }
        assert_eq!(gateway.ask_for_token(key, secret, &body).await.status, 429);
    }

    // In another order, and with another rate for all others.
    let reordered = format!("{head}limits.room = '900/min'\n{other}{moodle}");
    gateway.take_up(&reordered).await;
    for (key, secret) in [("moodle-key", MOODLE), (key, SECRET)] {
        assert_eq!(
            gateway.ask_for_token(key, secret, &body).await.status,
            429,
            "{key}"
        );
    }
    let answer = gateway.ask_for_token("other-key", OTHER, &body).await;
    assert_eq!(code(&answer), "SUCCESS");
    let reached = server.requests().len();

    // A connection that is open already is no way in either.
    let signature = RequestKey::new(&Secret::new(OTHER.into())).signature(body.as_bytes());
    let ask = format!(
        "POST /auth/room/getJoinToken HTTP/1.1\r\nHost: localhost:{}\r\nAPI-KEY: other-key\r\n\
         HASH-SIGNATURE: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        gateway.serving.https.port(),
        body.len()
    );
    let mut connection = gateway.client().raw().await;
    connection.send(&ask).await;
    assert_eq!(connection.answer().await.json()["status_code"], "SUCCESS");
    gateway.take_up(&format!("{head}{moodle}")).await;
    connection.send(&ask).await;
    let refused = connection.answer().await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(server.requests().len(), reached + 1);
    assert_eq!(
        gateway.ask_for_token("moodle-key", MOODLE, &body).await.status,
        429
    );
}

#[tokio::test]
async fn a_secret_of_a_file_is_read_again_and_stands_in_no_answer() {
    let folder = folder_of(&[("moodle", MOODLE)]);
    let toml = "[[callers]]\nname = 'moodle'\napi_key = 'moodle-key'\nsecret_file = 'moodle'\n";
    restrict(&folder.path().join("moodle"));
    let gateway = Gateway::in_folder(folder, toml).await;
    let body = token_request("room01", "ann");
    assert_eq!(
        gateway.ask_for_token("moodle-key", MOODLE, &body).await.status,
        200
    );
    let hash = gateway.hash().await;
    fs::write(gateway.folder.path().join("moodle"), OTHER).unwrap();
    let said = gateway.reload().await;
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(
        gateway.ask_for_token("moodle-key", MOODLE, &body).await.status,
        401
    );
    assert_eq!(
        gateway.ask_for_token("moodle-key", OTHER, &body).await.status,
        200
    );
    // Nothing can be learned of a secret by its hash.
    assert_eq!(gateway.hash().await, hash);
    let (_, everything) = {
        gateway.serving.signal("TERM").await;
        gateway.serving.end().await
    };
    for secret in [MOODLE, OTHER, SECRET] {
        assert!(!everything.contains(secret) && !said.out.contains(secret) && !said.err.contains(secret));
    }
}

fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn sighup_takes_the_configuration_the_client_and_the_certificates_up() {
    let folder = folder_of(&[
        ("first/index.html", "<head></head>first"),
        ("second/index.html", "<head></head>second"),
        ("first/assets/a.css", "a { color: red }"),
    ]);
    let mut gateway = Gateway::in_folder(folder, "client = { path = 'first', watch = '0s' }").await;
    let css = "/conference/assets/a.css";
    assert_eq!(gateway.get(css).await.text(), "a { color: red }");
    gateway.write("[client]\npath = 'second'\nwatch = '0s'\nconfig.enableSimulcast = false");
    gateway.serving.signal("HUP").await;
    gateway.serving.says("The configuration is taken up").await;
    assert_eq!(gateway.get(css).await.status, 404);
    let config = gateway.get("/conference/assets/config.js").await.text();
    assert!(config.contains("enableSimulcast"), "{config}");

    // The same configuration: what lies in the client's folder is read again, as it ever was.
    let new = gateway.folder.path().join("second/assets");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("b.css"), "b { color: red }").unwrap();
    gateway.serving.signal("HUP").await;
    gateway.serving.says("Took up a new client").await;
    assert_eq!(
        gateway.get("/conference/assets/b.css").await.text(),
        "b { color: red }"
    );

    // Another folder of certificates: with none in it one is made, and new handshakes get it.
    let before = gateway.status().await["certificates"].clone();
    gateway.write("client = { path = 'second', watch = '0s' }\ntls.certs = 'others'");
    gateway.serving.signal("HUP").await;
    gateway.serving.says("The configuration is taken up").await;
    let made = gateway.folder.path().join("others/development.pem");
    let client = Client::trusting(&made, gateway.serving.https);
    assert_eq!(client.request("GET", css, &[], b"").await.status, 404);
    assert!(before["localhost"].is_string());
}

#[tokio::test]
async fn reloads_come_one_after_the_other_and_the_last_file_stands() {
    let gateway = Gateway::with("").await;
    gateway.write("hosts = ['last.example']");
    let (one, two, three) = tokio::join!(gateway.reload(), gateway.reload(), gateway.reload());
    for said in [one, two, three] {
        assert_eq!(said.status, Some(0), "{said:?}");
    }
    for _ in 0..3 {
        gateway.serving.signal("HUP").await;
    }
    assert_eq!(gateway.status_at("last.example", "/").await, 302);
}

#[tokio::test]
async fn the_level_of_the_log_and_its_records_change_at_once() {
    let gateway = Gateway::with("").await;
    gateway.get("/first").await;
    gateway.write("log = { level = 'warn', access = false }");
    gateway.reload_at_once().await;
    gateway.get("/second").await;
    // Told by the level that was there before.
    gateway.write("log.level = 'info'");
    gateway.reload_at_once().await;
    gateway.get("/third").await;
    gateway.reload_at_once().await;
    gateway.serving.signal("TERM").await;
    let (_, said) = gateway.serving.end().await;
    let has = |path: &str| said.contains(&format!("\"path\":\"{path}\""));
    assert!(has("/first") && !has("/second") && has("/third"), "{said}");
    assert_eq!(said.matches("The configuration is taken up").count(), 2, "{said}");
}

#[test]
fn a_client_is_read_again_only_where_something_else_is_wanted() {
    let folder = folder_of(&[
        ("client/index.html", "<head></head>"),
        ("certs/plugnmeet-secret", SECRET),
    ]);
    restrict(&folder.path().join("certs/plugnmeet-secret"));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let head = format!(
        "client.path = '{}'\ntls.certs = '{}'\nclient.cache = '{}'\n",
        path("client"),
        path("certs"),
        path("cache")
    );
    let clock = Clock::system();
    let config = |more: &str| Config::parse(&format!("{head}{more}"), "gateway.toml", &[]).unwrap();
    let first = Plan::of(&config(""), 8443, &clock).unwrap();
    let again = |more: &str| Plan::again(&config(more), 8443, &clock, &first.webapp).unwrap();
    for same in ["", "limits.user = '11/min'", "hosts = ['a.example']"] {
        assert!(Arc::ptr_eq(&again(same).webapp, &first.webapp), "{same}");
    }
    for other in [
        "client.mount = '/'",
        "client.keep_releases = 2",
        "client.config.enableSimulcast = true",
        "public_origin = 'https://a.example'",
    ] {
        assert!(!Arc::ptr_eq(&again(other).webapp, &first.webapp), "{other}");
    }
}
