//! `adopt`: the files of an official installation in a scratch folder, and what comes of them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use super::told;
use crate::support::{binary::run, folder_of};

pub(super) const CONFIG: &str = include_str!("../../support/official/config.yaml");
pub(super) const LIVEKIT: &str = include_str!("../../support/official/livekit.yaml");
pub(super) const INGRESS: &str = include_str!("../../support/official/ingress.yaml");
const SIP: &str = include_str!("../../support/official/sip.yaml");
pub(super) const NATS: &str = include_str!("../../support/official/nats-server.conf");
const COMPOSE: &str = include_str!("../../support/official/docker-compose.yaml");
pub(super) const RENEWAL: &str = include_str!("../../support/official/renewal.conf");
pub(super) const HAPROXY: &str = include_str!("../../support/official/haproxy.cfg");
pub(super) const SCRIPT: &str = include_str!("../../support/official/config.js");

pub(super) fn machine(config: &str, haproxy: &str) -> TempDir {
    folder_of(&[
        ("opt/config.yaml", config),
        ("opt/livekit.yaml", LIVEKIT),
        ("opt/ingress.yaml", INGRESS),
        ("opt/sip.yaml", SIP),
        ("opt/nats-server.conf", NATS),
        ("opt/docker-compose.yaml", COMPOSE),
        ("opt/client/dist/index.html", "<head></head>"),
        ("opt/client/dist/assets/config.js", SCRIPT),
        ("haproxy/haproxy.cfg", haproxy),
    ])
}

pub(super) async fn adopt(folder: &Path, more: &[&str]) -> (i32, String, String) {
    let arguments = [
        "adopt",
        "--from",
        "opt",
        "--haproxy",
        "haproxy",
        "--to",
        "etc",
        "--letsencrypt",
        "letsencrypt",
        "--units",
        "units",
    ];
    let (status, said, errors) = told(&run(folder, &[&arguments[..], more].concat(), &[]).await);
    (status, short(folder, &said), short(folder, &errors))
}

/// As it was written, less the folder's own path.
pub(super) fn short(folder: &Path, text: &str) -> String {
    text.replace(&format!("{}/", folder.display()), "")
}

pub(super) fn written(folder: &Path) -> String {
    fs::read_to_string(folder.join("etc/gateway.toml")).unwrap()
}

#[tokio::test]
async fn an_official_machine_becomes_a_configuration_with_origins() {
    let folder = machine(CONFIG, HAPROXY);
    let (status, said, errors) =
        adopt(folder.path(), &["--frame-ancestors", "https://lms.example.org"]).await;
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    let toml = short(folder.path(), &written(folder.path()));
    for line in [
        "public_origin = \"https://conf.example.org\" # opt/config.yaml:11 client.bbb_join_host",
        "https = \"0.0.0.0:443\" # haproxy/haproxy.cfg:31",
        "http = \"0.0.0.0:80\" # haproxy/haproxy.cfg:18",
        "certs = \"/etc/haproxy/ssl/\" # haproxy/haproxy.cfg:31",
        "api_key = \"PNMkey\" # opt/config.yaml:5 client.api_key",
        "secret_file = \"etc/plugnmeet-secret\" # opt/config.yaml:6 client.secret",
        "server = [\"http://127.0.0.1:8080\"] # opt/config.yaml:3 client.port",
        "nats = \"http://127.0.0.1:8222\" # haproxy/haproxy.cfg:86",
        "etherpad = \"http://127.0.0.1:9001\" # haproxy/haproxy.cfg:78",
        "path = \"opt/client/dist\" # opt/config.yaml:4 client.path",
        "enableSimulcast = true # opt/client/dist/assets/config.js",
        "stopMicTrackOnMute = true # opt/client/dist/assets/config.js",
        "frame_ancestors = [\"https://lms.example.org\"] # --frame-ancestors",
        "body = \"80MiB\" # opt/config.yaml:26 upload_file_settings.max_size",
        "store = \"redis://localhost:6379\" # opt/config.yaml:17 redis_info.host",
        "upstream = \"192.0.2.10:5349\" # haproxy/haproxy.cfg:39",
        "names = [\"turn.example.org\"] # opt/livekit.yaml:14 turn.domain",
        "listen = \"0.0.0.0:1935\" # haproxy/haproxy.cfg:93",
        "pass_to = \"127.0.0.1:9080\" # haproxy/haproxy.cfg:27",
    ] {
        assert!(
            toml.lines().any(|written| written == line),
            "{line} is not in\n{toml}"
        );
    }
    let secret = folder.path().join("etc/plugnmeet-secret");
    assert_eq!(
        fs::read_to_string(&secret).unwrap(),
        "0123456789abcdef0123456789abcdef0123\n"
    );
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        !(said + &toml).contains("0123456789abcdef"),
        "the secret is shown"
    );
    let checked = run(
        folder.path(),
        &["config", "show", "--config", "etc/gateway.toml"],
        &[],
    );
    let (status, shown, errors) = told(&checked.await);
    assert_eq!(status, 0, "{errors}");
    assert!(shown.contains("config.enableDynacast = true"), "{shown}");
}

#[tokio::test]
async fn running_it_twice_changes_nothing_and_what_was_edited_is_left_alone() {
    let folder = machine(CONFIG, HAPROXY);
    // As the package has put it there.
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    fs::copy("config/host.toml", folder.path().join("etc/gateway.toml")).unwrap();
    assert_eq!(adopt(folder.path(), &[]).await.0, 0);
    let first = written(folder.path());
    let (status, said, _) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 0);
    assert!(said.contains("etc/gateway.toml: unchanged"), "{said}");
    assert!(said.contains("etc/plugnmeet-secret: unchanged"), "{said}");
    assert_eq!(written(folder.path()), first);
    // Not edited: what has changed on the machine is taken up.
    let other = CONFIG.replace("max_size: 80", "max_size: 90");
    fs::write(folder.path().join("opt/config.yaml"), &other).unwrap();
    assert_eq!(adopt(folder.path(), &[]).await.0, 0);
    assert!(written(folder.path()).contains("body = \"90MiB\""));
    let edited = format!("{}# by hand\n", written(folder.path()));
    fs::write(folder.path().join("etc/gateway.toml"), &edited).unwrap();
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(
        errors.contains("etc/gateway.toml was edited by hand and is left alone"),
        "{errors}"
    );
    assert_eq!(written(folder.path()), edited);
    let (status, said, _) = adopt(folder.path(), &["--force"]).await;
    assert_eq!(status, 0);
    assert!(
        said.contains("the edited one is etc/gateway.toml.before-adopt-1"),
        "{said}"
    );
    let kept = folder.path().join("etc/gateway.toml.before-adopt-1");
    assert_eq!(fs::read_to_string(kept).unwrap(), edited);
    assert!(!written(folder.path()).contains("by hand"));
}

#[tokio::test]
async fn a_dry_run_shows_all_and_writes_nothing() {
    let folder = machine(CONFIG, HAPROXY);
    let (status, said, errors) = adopt(folder.path(), &["--dry-run"]).await;
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(
        said.contains("haproxy.cfg:31") && said.contains("listen.https and tls.certs"),
        "{said}"
    );
    assert!(
        said.contains("public_origin = \"https://conf.example.org\""),
        "{said}"
    );
    assert!(!said.contains("0123456789abcdef"), "{said}");
    assert!(!folder.path().join("etc").exists());
}

#[tokio::test]
async fn what_cannot_be_carried_over_stops_it() {
    let wiki = "acl nats path_beg /ws\n    acl wiki path_beg /wiki\n    use_backend bk_wiki if wiki";
    let folder = machine(CONFIG, &HAPROXY.replace("acl nats path_beg /ws", wiki));
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(
        errors.contains("haproxy/haproxy.cfg:53: frontend ft_plugnmeet: acl wiki path_beg /wiki"),
        "{errors}"
    );
    assert!(!folder.path().join("etc").exists());
    assert_eq!(adopt(folder.path(), &["--accept-losses"]).await.0, 0);

    let folder = machine(
        &CONFIG.replace("https://conf.example.org/ws", "https://other.example.org/ws"),
        HAPROXY,
    );
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(errors.contains("disagree about its public name"), "{errors}");
    assert!(
        errors.contains("opt/config.yaml:23 nats_info.nats_ws_urls says other.example.org"),
        "{errors}"
    );

    let (status, _, errors) = adopt(folder_of(&[]).path(), &[]).await;
    assert_eq!(status, 1);
    assert!(errors.contains("opt/config.yaml: is not there"), "{errors}");
}

#[tokio::test]
async fn behind_haproxy_one_line_of_its_file_changes() {
    let folder = machine(CONFIG, HAPROXY);
    let (status, said, _) = adopt(folder.path(), &["--behind-haproxy"]).await;
    assert_eq!(status, 0);
    assert!(
        said.contains("server local 127.0.0.1:8443 check send-proxy-v2 ssl verify none"),
        "{said}"
    );
    let toml = written(folder.path());
    for line in [
        "https = \"127.0.0.1:8443\"",
        "http = \"\"",
        "proxy_protocol = true",
        "proxies = [\"127.0.0.1\"]",
    ] {
        assert!(toml.contains(line), "{line} is not in\n{toml}");
    }
    assert!(!toml.contains("[turn]") && !toml.contains("[[tcp]]"), "{toml}");
}

#[tokio::test]
async fn a_password_of_redis_goes_into_a_file_of_its_own() {
    let config = CONFIG.replace("password: \"\"", "password: \"hidden value@\"");
    let folder = machine(&config, HAPROXY);
    let (status, said, _) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 0);
    let toml = short(folder.path(), &written(folder.path()));
    assert!(toml.contains("store_file = \"etc/limits-store\""), "{toml}");
    assert!(!(said + &toml).contains("hidden"), "{toml}");
    let store = fs::read_to_string(folder.path().join("etc/limits-store")).unwrap();
    assert_eq!(store, "redis://:hidden%20value%40@localhost:6379\n");
}

#[tokio::test]
async fn a_password_of_haproxys_file_is_not_shown() {
    let more = HAPROXY.replace(
        "    timeout connect 5000",
        "    stats auth admin:S3cretPass\n    timeout connect 5000",
    ) + "\nuserlist staff\n    user anna insecure-password S3cretPass\n    user otto password $5$S3cretPass\n\
           \nbackend bk_old\n    http-request set-header Authorization \"Basic S3cretPass\"\n    \
           tcp-check send PING\\ S3cretPass\n    stats auth root:S3cretPass\n";
    let folder = machine(CONFIG, &more);
    let (status, said, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    for line in [
        "haproxy/haproxy.cfg:99: userlist staff: user anna ***",
        "haproxy/haproxy.cfg:100: userlist staff: user otto ***",
        "haproxy/haproxy.cfg:103: backend bk_old: http-request set-header ***",
        "haproxy/haproxy.cfg:104: backend bk_old: tcp-check send ***",
        "haproxy/haproxy.cfg:105: backend bk_old: stats auth ***",
    ] {
        assert!(
            errors.lines().any(|told| told == line),
            "{line} is not in\n{errors}"
        );
    }
    let row = errors
        .lines()
        .find(|row| row.starts_with("haproxy.cfg:12 "))
        .unwrap();
    assert!(row.contains(" stats auth *** "), "{row}");
    assert!(!(said + &errors).contains("S3cret"), "{errors}");
    let (status, said, errors) = adopt(folder.path(), &["--accept-losses"]).await;
    assert_eq!(status, 0, "{errors}");
    assert!(!(said + &errors + &written(folder.path())).contains("S3cret"));
}

#[tokio::test]
async fn a_listener_keeps_all_of_its_addresses() {
    let both = HAPROXY
        .replace("    bind :80\n", "    bind :80\n    bind :::80 v6only\n")
        .replace(
            "    bind *:443 ssl crt /etc/haproxy/ssl/\n",
            "    bind *:443 ssl crt /etc/haproxy/ssl/\n    bind :::443 v6only ssl crt /etc/haproxy/ssl/\n",
        )
        .replace("  bind *:1935\n", "  bind *:1935,:::1935 v6only\n");
    let folder = machine(CONFIG, &both);
    let (status, said, errors) = adopt(folder.path(), &[]).await;
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    let toml = short(folder.path(), &written(folder.path()));
    for line in [
        "https = [\"0.0.0.0:443\", \"[::]:443\"] # haproxy/haproxy.cfg:32, haproxy/haproxy.cfg:33",
        "http = [\"0.0.0.0:80\", \"[::]:80\"] # haproxy/haproxy.cfg:18, haproxy/haproxy.cfg:19",
        "certs = \"/etc/haproxy/ssl/\" # haproxy/haproxy.cfg:32",
        "listen = [\"0.0.0.0:1935\", \"[::]:1935\"] # haproxy/haproxy.cfg:95",
        "upstream = \"127.0.0.1:1936\" # haproxy/haproxy.cfg:95",
    ] {
        assert!(
            toml.lines().any(|written| written == line),
            "{line} is not in\n{toml}"
        );
    }
    let row = said.lines().find(|row| row.contains("haproxy.cfg:33 ")).unwrap();
    assert!(row.ends_with("  listen.https and tls.certs"), "{row}");
}

#[tokio::test]
async fn what_is_added_beside_the_official_parts_stops_it() {
    let more = HAPROXY
        .replace(
            "    tcp-request inspect-delay 5s",
            "    bind :::443 v6only ssl crt /etc/haproxy/others/\n    tcp-request inspect-delay 5s",
        )
        .replace(
            "    server local 127.0.0.1:7880 check",
            "    server local 127.0.0.1:7880 check\n    server spare 192.0.2.20:7880 check backup",
        )
        + "\nfrontend wiki\n    bind *:8085\n    default_backend bk_wiki\n\nbackend bk_wiki\n    server local 127.0.0.1:8086\n\
           \nfrontend mqtt\n    mode tcp\n    bind *:8883 ssl crt /etc/haproxy/mqtt.pem verify required ca-file /etc/haproxy/ca.pem\n    \
           default_backend bk_tcp_to_plugnmeet\n";
    let folder = machine(CONFIG, &more);
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    let told = errors.trim_end().rsplit_once("it is:\n").unwrap().1;
    let told: Vec<_> = told.lines().collect();
    assert_eq!(
        told,
        [
            "haproxy/haproxy.cfg:32: frontend ft_ssl: bind :::443 v6only ssl crt /etc/haproxy/others/",
            "haproxy/haproxy.cfg:74: backend bk_livekit_api: server spare 192.0.2.20:7880 check backup",
            "haproxy/haproxy.cfg:100: frontend wiki: bind *:8085",
            "haproxy/haproxy.cfg:101: frontend wiki: default_backend bk_wiki",
            "haproxy/haproxy.cfg:104: backend bk_wiki: server local 127.0.0.1:8086",
            "haproxy/haproxy.cfg:108: frontend mqtt: bind *:8883 ssl crt /etc/haproxy/mqtt.pem verify required ca-file /etc/haproxy/ca.pem",
            "haproxy/haproxy.cfg:109: frontend mqtt: default_backend bk_tcp_to_plugnmeet",
        ]
    );
    assert!(!folder.path().join("etc").exists());
    let (status, said, errors) = adopt(folder.path(), &["--accept-losses"]).await;
    assert_eq!((status, errors.as_str()), (0, ""));
    let row = said.lines().find(|row| row.contains("haproxy.cfg:32 ")).unwrap();
    assert!(row.ends_with("  nothing: it is a loss"), "{row}");
}

#[tokio::test]
async fn words_that_change_what_a_listener_or_a_server_does_stop_it() {
    for (old, new) in [
        (
            "bind *:443 ssl crt /etc/haproxy/ssl/",
            "bind *:443 ssl crt /etc/haproxy/ssl/ verify required",
        ),
        (
            "bind *:443 ssl crt /etc/haproxy/ssl/",
            "bind *:443 accept-proxy ssl crt /etc/haproxy/ssl/",
        ),
        (
            "bind *:443 ssl crt /etc/haproxy/ssl/",
            "bind *:443 ssl crt /etc/haproxy/ssl/ crt /etc/two.pem",
        ),
        ("bind :80", "bind :80 interface eth1"),
        ("bind *:81 accept-proxy", "bind *:8181 accept-proxy"),
        ("bind *:1935", "bind *:1935 ssl crt /etc/haproxy/ssl/"),
        (
            "server local 127.0.0.1:8222 check",
            "server local 127.0.0.1:8222 check ssl verify none",
        ),
        (
            "server local 127.0.0.1:8222 check",
            "server local 127.0.0.1:8222 check send-proxy",
        ),
        (
            "server local 127.0.0.1:8080 check",
            "server local 192.0.2.20:8080 check",
        ),
        ("server certbot 127.0.0.1:9080", "server certbot 192.0.2.20:9080"),
        ("default_backend bk_plugnmeet_server", "default_backend bk_nats"),
    ] {
        let folder = machine(CONFIG, &HAPROXY.replace(old, new));
        let (status, _, errors) = adopt(folder.path(), &["--dry-run"]).await;
        assert_eq!(status, 1, "{new}");
        let told = errors.trim_end().rsplit_once("it is:\n").unwrap().1;
        assert_eq!(told.lines().count(), 1, "{new}: {told}");
        assert!(told.ends_with(&format!(": {new}")), "{new}: {told}");
    }
    // The server's own port counts, wherever it is.
    let folder = machine(
        &CONFIG.replace("port: 8080", "port: 8090"),
        &HAPROXY.replace("127.0.0.1:8080", "localhost:8090"),
    );
    let (status, _, errors) = adopt(folder.path(), &["--dry-run"]).await;
    assert_eq!((status, errors.as_str()), (0, ""));
}

#[tokio::test]
async fn nothing_is_written_before_all_files_are_judged_and_a_rotated_secret_is_told_as_one() {
    let folder = machine(CONFIG, HAPROXY);
    assert_eq!(adopt(folder.path(), &[]).await.0, 0);
    let secret = folder.path().join("etc/plugnmeet-secret");
    let first = fs::read_to_string(&secret).unwrap();
    let rotated = CONFIG.replace(
        "0123456789abcdef0123456789abcdef0123",
        "fedcba9876543210fedcba9876543210fedc",
    );
    fs::write(folder.path().join("opt/config.yaml"), &rotated).unwrap();
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(
        errors.contains("etc/plugnmeet-secret holds another secret than config.yaml and is left alone"),
        "{errors}"
    );
    assert!(
        !errors.contains("by hand") && !errors.contains("fedcba"),
        "{errors}"
    );
    assert_eq!(fs::read_to_string(&secret).unwrap(), first);
    // A secret that is missing would be written, yet not while an edited file stands in the way.
    fs::remove_file(&secret).unwrap();
    let toml = folder.path().join("etc/gateway.toml");
    fs::write(&toml, format!("{}# by hand\n", written(folder.path()))).unwrap();
    let (status, _, errors) = adopt(folder.path(), &[]).await;
    assert_eq!(status, 1);
    assert!(errors.contains("etc/gateway.toml was edited by hand"), "{errors}");
    assert!(!secret.exists());
    assert_eq!(adopt(folder.path(), &["--force"]).await.0, 0);
    assert_eq!(
        fs::read_to_string(&secret).unwrap(),
        "fedcba9876543210fedcba9876543210fedc\n"
    );
}
