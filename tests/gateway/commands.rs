//! The program itself: its commands, what it writes, its exit status, and how it stops.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plugnmeet_gateway::{
    secret::Secret,
    token::{Claims, RequestKey, TokenKeys},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::support::{
    API_KEY, SECRET,
    binary::{ANYWHERE, Serving, free_port, program, run},
    client::{Client, plain_get},
    folder_of, plugnmeet, token_request,
};

const ISSUE: &str = "/auth/room/getJoinToken";

fn empty() -> TempDir {
    folder_of(&[])
}

/// A gateway on ports of its own, with more variables.
async fn serving(directory: &Path, more: &[(&str, &str)]) -> Serving {
    let variables = [&ANYWHERE[..], more].concat();
    Serving::start(directory, &["serve"], &variables).await
}

fn client_of(directory: &Path, serving: &Serving) -> Client {
    Client::trusting(&directory.join("certs/development.pem"), serving.https)
}

/// Status, standard output and standard error of a command.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn keys() -> TokenKeys {
    TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap()
}

#[tokio::test]
async fn a_newcomer_starts_it_in_an_empty_folder_and_it_serves() {
    let folder = empty();
    let mut serving = Serving::start(folder.path(), &[], &ANYWHERE).await;
    let answer = client_of(folder.path(), &serving)
        .request("GET", "/conference/", &[], b"")
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("Use your join link"));

    let at = |beginning: &str, serving: &Serving| {
        let line = serving
            .said
            .lines()
            .find(|line| line.contains(beginning))
            .unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let rest = line["message"].as_str().unwrap().strip_prefix(beginning).unwrap();
        let addr = rest.split([',', ' ']).next().unwrap().trim_end_matches(':');
        addr.parse::<SocketAddr>().unwrap()
    };
    let plain = plain_get(at("HTTP on ", &serving), "/conference/?a=1").await;
    let location = format!("https://127.0.0.1:{}/conference/?a=1", serving.https.port());
    assert_eq!(
        (plain.status, plain.header("location")),
        (308, Some(location.as_str()))
    );
    let alive = plain_get(at("Admin on ", &serving), "/livez").await;
    assert_eq!(alive.status, 200);
    serving.signal("TERM").await;
    serving.says("Stopped").await;
    assert_eq!(serving.end().await.0, Some(0));
}

#[tokio::test]
async fn certificate_and_secret_are_made_once_and_for_their_owner_alone() {
    let folder = empty();
    let files = ["development.pem", "development.key", "plugnmeet-secret"];
    let content = || files.map(|name| std::fs::read(folder.path().join("certs").join(name)).unwrap());
    let mut made = None;
    for _ in 0..2 {
        let serving = serving(folder.path(), &[]).await;
        assert_eq!(*made.get_or_insert_with(content), content());
        for name in &files[1..] {
            let about = std::fs::metadata(folder.path().join("certs").join(name)).unwrap();
            assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
        }
        serving.signal("TERM").await;
        assert_eq!(serving.end().await.0, Some(0));
    }
    let other = empty();
    let second = serving(other.path(), &[]).await;
    let secret = std::fs::read(other.path().join("certs/plugnmeet-secret")).unwrap();
    assert_ne!(secret, made.unwrap()[2], "a secret is nobody else's");
    drop(second);
}

#[tokio::test]
async fn the_file_in_config_is_read_and_variables_win_over_it() {
    let folder = folder_of(&[(
        "config/gateway.toml",
        "client.mount = '/meet'\nlog.level = 'error'\n",
    )]);
    let serving = serving(folder.path(), &[("LOG__LEVEL", "info")]).await;
    let answer = client_of(folder.path(), &serving)
        .request("GET", "/meet/", &[], b"")
        .await;
    assert_eq!(answer.status, 200);
    let answer = client_of(folder.path(), &serving)
        .request("GET", "/conference/", &[], b"")
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_join_link_is_one_line_and_opens() {
    let folder = folder_of(&[
        ("design.json", "{ \"primary_color\": \"#00a1f2\" }\n"),
        ("client/index.html", "<head></head>"),
    ]);
    let https = format!("127.0.0.1:{}", free_port());
    let variables = [
        ("LISTEN__HTTPS", https.as_str()),
        ("LISTEN__HTTP", ""),
        ("LISTEN__ADMIN", ""),
    ];
    let log = [&variables[..], &[("LOG__FORMAT", "json")]].concat();
    let serving = Serving::start(folder.path(), &["serve"], &log).await;
    let client = client_of(folder.path(), &serving);
    let wanted = [
        "join-link",
        "--room",
        "room01",
        "--name",
        "Ann & <Bob>",
        "--user-id",
        "ann",
    ];
    let design = ["--admin", "--design", "design.json"];
    for (more, role) in [(&[][..], "participant"), (&design[..], "admin")] {
        let output = run(folder.path(), &[&wanted[..], more].concat(), &variables).await;
        let (status, link, errors) = told(&output);
        assert_eq!((status, errors.as_str()), (0, ""), "{link}");
        assert_eq!(link.lines().count(), 1, "{link}");
        let origin = format!("https://localhost:{}", serving.https.port());
        let target = link.trim_end().strip_prefix(&origin).unwrap();
        assert!(target.starts_with("/conference/?access_token=ey"), "{target}");
        let handed = client.request("GET", target, &[], b"").await;
        assert_eq!(handed.status, 303);
        let path = handed.header("location").unwrap();
        let cookie = handed
            .set_cookie("pnm_access_token")
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let page = client.request("GET", path, &[("Cookie", cookie)], b"").await;
        assert_eq!(page.status, 200);
        for part in ["room01", "Ann &amp; &lt;Bob&gt;", &format!("<dd>{role}</dd>")] {
            assert!(page.text().contains(part), "{part}: {}", page.text());
        }
        assert_eq!(page.text().contains("#00a1f2"), !more.is_empty());
    }
    let reserved = [
        "join-link",
        "--room",
        "room01",
        "--name",
        "Ann",
        "--user-id",
        "sip_1",
    ];
    let (status, link, errors) = told(&run(folder.path(), &reserved, &variables).await);
    assert_eq!((status, link.as_str()), (1, ""));
    assert_eq!(errors, "user_id: sip_1 is reserved for internal use only\n");
}

#[tokio::test]
async fn a_join_link_without_a_gateway_says_what_to_do() {
    let folder = empty();
    let wanted = [
        "join-link",
        "--room",
        "room01",
        "--name",
        "Ann",
        "--user-id",
        "ann",
    ];
    let (status, link, errors) = told(&run(folder.path(), &wanted, &[]).await);
    assert_eq!((status, link.as_str()), (1, ""));
    assert!(errors.contains("start the gateway"), "{errors}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is made"
    );
}

#[tokio::test]
async fn what_is_signed_by_hand_is_taken() {
    let body = token_request("room01", "ann") + "\n";
    let folder = folder_of(&[("body.json", &body)]);
    let serving = serving(folder.path(), &[]).await;
    let client = client_of(folder.path(), &serving);
    let of_file = run(folder.path(), &["sign", "body.json"], &[]).await;
    let mut piped = program(folder.path(), &["sign", "-"], &[]);
    let mut child = piped.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .await
        .unwrap();
    let of_pipe = child.wait_with_output().await.unwrap();
    assert_eq!(told(&of_file), told(&of_pipe));
    let (status, text, errors) = told(&of_file);
    assert_eq!((status, errors.as_str()), (0, ""));
    let headers: Vec<_> = text.lines().map(|line| line.split_once(": ").unwrap()).collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["API-KEY", "HASH-SIGNATURE"]);
    let answer = client.request("POST", ISSUE, &headers, body.as_bytes()).await;
    assert_eq!(answer.json()["status_code"], "SUCCESS");
    let answer = client.request("POST", ISSUE, &headers, b"{}").await;
    assert_eq!(answer.status, 401);

    let (status, text, errors) = told(&run(folder.path(), &["sign", "none.json"], &[]).await);
    assert_eq!((status, text.as_str()), (1, ""));
    assert!(errors.starts_with("none.json: cannot be read: "), "{errors}");
}

#[tokio::test]
async fn check_tells_every_problem_with_file_line_and_key() {
    let folder = folder_of(&[(
        "bad.toml",
        "public_origin = \"http://conf.example.org\"\n\
         [limits]\nuser = \"0/min\"\nusr = \"1/min\"\n\
         [client]\npath = \"missing\"\n\
         [issuer]\nmode = \"both\"\n\
         [plugnmeet]\nsecret = \"\"\n",
    )]);
    for command in [
        &["check", "--config", "bad.toml"][..],
        &["--config=bad.toml", "serve"],
    ] {
        let variables = [&ANYWHERE[..], &[("TIMEOUTS__DRAIN", "soon")]].concat();
        let output = run(folder.path(), command, &variables).await;
        let (status, text, errors) = told(&output);
        assert_eq!((status, text.as_str()), (1, ""));
        for beginning in [
            "bad.toml:1: public_origin: \"http://conf.example.org\" is not https",
            "bad.toml:3: limits.user: \"0/min\" would refuse every request",
            "bad.toml:4: limits.usr: is no key of the gateway; perhaps limits.user is meant",
            "bad.toml:6: client.path: \"missing\" cannot be read",
            "bad.toml:8: issuer.mode: \"both\" is",
            "bad.toml:10: plugnmeet.secret: is empty",
            "environment: PNM_GATEWAY__TIMEOUTS__DRAIN: timeouts.drain: \"soon\" is",
        ] {
            let found = errors.lines().filter(|line| line.starts_with(beginning)).count();
            assert_eq!(found, 1, "{beginning}\n{errors}");
        }
        assert_eq!(errors.lines().count(), 7, "{errors}");
        // What is allowed is said as well.
        assert!(errors.lines().all(|line| line.contains("; ")), "{errors}");
    }
    let (status, _, errors) = told(&run(folder.path(), &["check", "--config", "none.toml"], &[]).await);
    assert_eq!(status, 1);
    assert!(errors.starts_with("none.toml: cannot be read: "), "{errors}");
}

#[tokio::test]
async fn the_configurations_that_come_along_are_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sound = (0, "configuration is sound\n".to_owned(), String::new());
    let folder = empty();
    // Whoever listens on this machine is no matter of the configurations.
    let told = |output: &Output| {
        let (status, out, errors) = told(output);
        let own = errors.lines().filter(|line| !line.contains("can't listen on"));
        (
            status,
            out,
            own.fold(String::new(), |all, line| all + line + "\n"),
        )
    };
    assert_eq!(told(&run(folder.path(), &["check"], &[]).await), sound);
    let gateway = root.join("config/gateway.toml");
    let command = ["check", "--config", gateway.to_str().unwrap()];
    assert_eq!(told(&run(folder.path(), &command, &[]).await), sound);

    // The host's own secret and client are not on this machine.
    let host = root.join("config/host.toml");
    let command = ["check", "--config", host.to_str().unwrap()];
    let client = folder_of(&[("index.html", "<head></head>")]);
    let here = [
        ("PLUGNMEET__SECRET", SECRET),
        ("CLIENT__PATH", client.path().to_str().unwrap()),
        ("TLS__CERTS", "certs"),
    ];
    let (status, out, notes) = told(&run(folder.path(), &command, &here).await);
    assert_eq!((status, out), (sound.0, sound.1.clone()), "{notes}");
    // The certificate is the host's own; which learning platforms there are, the host has to say.
    let own_certificate = "tls.certs: the gateway's own certificate is served for conf.example.org";
    let platforms = "note: design.css_hosts is empty, so that the style sheet of a learning platform";
    let lines: Vec<&str> = notes.lines().collect();
    assert!(
        lines[0].contains(own_certificate) && lines[1].starts_with(platforms),
        "{notes}"
    );
    assert_eq!(lines.len(), 2, "{notes}");
    let named = [&here[..], &[("DESIGN__CSS_HOSTS", "lms.example.org")]].concat();
    let (status, _, warnings) = told(&run(folder.path(), &command, &named).await);
    assert_eq!((status, warnings.lines().count()), (0, 1), "{warnings}");
    let (status, _, errors) = told(&run(folder.path(), &command, &[]).await);
    assert_eq!(status, 1);
    assert!(
        errors.contains("config/host.toml:17: plugnmeet.secret_file: "),
        "{errors}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is made"
    );
}

#[tokio::test]
async fn check_finds_what_only_the_rooms_can_find() {
    let folder = folder_of(&[
        ("certs/a.pem", "no certificate"),
        ("client/index.html", "<title>no head</title>"),
        ("a.toml", "[tls]\ncerts = 'certs'\n[client]\npath = 'client'\n"),
    ]);
    let (status, _, errors) = told(&run(folder.path(), &["check", "--config", "a.toml"], &[]).await);
    assert_eq!(status, 1);
    for beginning in ["a.toml:2: tls.certs: ", "a.toml:4: client.path: "] {
        assert!(errors.lines().any(|line| line.starts_with(beginning)), "{errors}");
    }
}

#[tokio::test]
async fn bad_usage_is_exit_status_2_and_help_is_0() {
    let folder = empty();
    for arguments in [
        &["nonsense"][..],
        &["--nonsense"],
        &["serve", "now"],
        &["check", "--config"],
        &["join-link"],
        &["join-link", "--room", "r", "--name", "n"],
        &["sign", "a", "b"],
    ] {
        let (status, text, errors) = told(&run(folder.path(), arguments, &[]).await);
        assert_eq!((status, text.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains("--help"), "{errors}");
    }
    for arguments in [&["--help"][..], &["join-link", "--help"], &["--version"]] {
        let (status, text, errors) = told(&run(folder.path(), arguments, &[]).await);
        assert_eq!((status, errors.as_str()), (0, ""), "{arguments:?}");
        assert!(text.contains("plugnmeet-gateway"), "{text}");
    }
}

#[tokio::test]
async fn an_empty_secret_stops_the_start() {
    let folder = folder_of(&[("empty", ""), ("line", "\n")]);
    for variable in [
        ("PLUGNMEET__SECRET", ""),
        ("PLUGNMEET__SECRET_FILE", "empty"),
        ("PLUGNMEET__SECRET_FILE", "line"),
    ] {
        let output = run(folder.path(), &["serve"], &[&ANYWHERE[..], &[variable]].concat()).await;
        let (status, text, errors) = told(&output);
        assert_eq!((status, text.as_str()), (1, ""), "{variable:?}");
        assert!(
            errors.contains("empty, so anybody could sign"),
            "{variable:?} {errors}"
        );
    }
    assert!(!folder.path().join("certs").exists());
}

#[tokio::test]
async fn a_short_secret_is_warned_about_at_every_start() {
    let folder = empty();
    let secret = [("PLUGNMEET__SECRET", "thirty-one-bytes-are-too-short!")];
    for _ in 0..2 {
        let serving = serving(folder.path(), &secret).await;
        let warning = serving
            .said
            .lines()
            .find(|line| line.contains("\"WARN\""))
            .unwrap();
        assert!(
            warning.contains("plugnmeet.secret") && warning.contains("32"),
            "{warning}"
        );
        assert!(!serving.said.contains(secret[0].1));
    }
    let long = serving(
        folder.path(),
        &[("PLUGNMEET__SECRET", "thirty-two-bytes-are-long-enough")],
    )
    .await;
    assert!(!long.said.contains("\"WARN\""), "{}", long.said);
}

/// certbot's and the official installer's keys are their groups'; what others may write is nobody's secret.
#[tokio::test]
async fn secrets_that_others_may_read_are_warned_about_and_those_that_they_may_write_are_refused() {
    let folder = folder_of(&[("secret", "a-secret-in-a-file-of-its-own-0123456789")]);
    let chmod = |file: &str, mode| {
        let file = folder.path().join(file);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // The first start makes certificate and key.
    serving(folder.path(), &[]).await.signal("TERM").await;
    let by_file = [("PLUGNMEET__SECRET_FILE", "secret")];
    let none = [("TLS__CERTS", "certs")];
    for (file, variables) in [
        ("secret", by_file),
        ("certs/development.key", by_file),
        ("certs/plugnmeet-secret", none),
    ] {
        for file in ["secret", "certs/development.key", "certs/plugnmeet-secret"] {
            chmod(file, 0o600);
        }
        let name = file.rsplit('/').next().unwrap();
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!((status, errors.as_str()), (0, ""), "{file}");

        chmod(file, 0o640);
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!((status, errors.lines().count()), (0, 1), "{errors}");
        let warned = |text: &str| {
            text.contains(name) && text.contains("can be read by others than its owner (mode 640)")
        };
        assert!(errors.starts_with("warning: ") && warned(&errors), "{errors}");
        for _ in 0..2 {
            let serving = serving(folder.path(), &variables).await;
            let warnings: Vec<_> = serving
                .said
                .lines()
                .filter(|line| line.contains("\"WARN\""))
                .collect();
            assert!(warnings.len() == 1 && warned(warnings[0]), "{file} {warnings:?}");
            serving.signal("TERM").await;
        }

        chmod(file, 0o660);
        let variables = [&ANYWHERE[..], &variables].concat();
        for command in ["check", "serve"] {
            let (status, text, errors) = told(&run(folder.path(), &[command], &variables).await);
            let said = text + &errors;
            assert_eq!(status, 1, "{command} {file} {said}");
            assert!(
                said.contains("may be written by others (mode 660)"),
                "{command} {file} {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_secret_at_the_key_of_its_file_is_not_printed() {
    let folder = empty();
    for command in ["check", "serve"] {
        let variables = [&ANYWHERE[..], &[("PLUGNMEET__SECRET_FILE", SECRET)]].concat();
        let (status, text, errors) = told(&run(folder.path(), &[command], &variables).await);
        assert_eq!(status, 1);
        assert!(
            errors.contains("plugnmeet.secret_file: names a file that can't be read: "),
            "{errors}"
        );
        assert!(!(text + &errors).contains(SECRET), "{errors}");
    }
}

/// The server checks the address of a launch without its port (docs/plugnmeet.md section 5).
#[tokio::test]
async fn an_origin_with_a_port_is_warned_about_as_lti_fails_there() {
    let folder = empty();
    for (origin, warned) in [
        ("https://conf.example.org:8443", true),
        ("https://conf.example.org", false),
        ("https://conf.example.org:443", false),
        ("", false),
    ] {
        let variables = [("PUBLIC_ORIGIN", origin)];
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!(status, 0, "{errors}");
        let begins = "warning: environment: PNM_GATEWAY__PUBLIC_ORIGIN: public_origin: has port 8443, and LTI launches";
        assert_eq!(errors.starts_with(begins), warned, "{errors}");
        assert_eq!(errors.contains("LTI"), warned, "{errors}");
    }
    let serving = serving(folder.path(), &[("PUBLIC_ORIGIN", "https://localhost:8443")]).await;
    let warning = serving
        .said
        .lines()
        .find(|line| line.contains("\"WARN\""))
        .unwrap();
    assert!(
        warning.contains("public_origin") && warning.contains("LTI"),
        "{warning}"
    );
}

#[tokio::test]
async fn text_in_a_file_or_a_pipe_has_no_escape_codes() {
    let folder = folder_of(&[("certs/a.pem", "no certificate")]);
    let variables = [&ANYWHERE[..3], &[("LOG__FORMAT", "text")]].concat();
    let (status, text, errors) = told(&run(folder.path(), &["serve"], &variables).await);
    assert_eq!(status, 1);
    assert!(text.contains("ERROR"), "{text}");
    assert!(!(text + &errors).contains('\u{1b}'));
}

/// On a terminal there are colours, unless somebody wants none (<https://no-color.org>).
#[tokio::test]
async fn text_on_a_terminal_has_colours_unless_no_color_is_set() {
    let folder = folder_of(&[("certs/a.pem", "no certificate")]);
    for (no_color, coloured) in [("", true), ("1", false)] {
        let variables = [&ANYWHERE[..3], &[("LOG__FORMAT", "text")]].concat();
        // `script` gives its command a terminal of its own.
        let mut command = tokio::process::Command::new("script");
        let ours = program(folder.path(), &[], &variables);
        for (name, value) in ours.as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command
            .args(["-qec", env!("CARGO_BIN_EXE_plugnmeet-gateway"), "/dev/null"])
            .env("NO_COLOR", no_color)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output();
        let Ok(output) = timeout(Duration::from_secs(20), output).await.unwrap() else {
            // No such program here.
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("ERROR"), "{text}");
        assert_eq!(text.contains('\u{1b}'), coloured, "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_stops_the_start() {
    let folder = empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let variables = [&ANYWHERE[..], &[("LISTEN__HTTPS", addr.as_str())]].concat();
    let (status, text, errors) = told(&run(folder.path(), &[], &variables).await);
    assert_eq!(status, 1);
    let all = text + &errors;
    assert!(
        all.contains(&format!("listen.https: can't listen on {addr}")),
        "{all}"
    );
}

/// Asks a gateway to stop, to which a connection is open that asks for nothing.
async fn stops_at_once(signal: &str, mut serving: Serving) {
    let started = Instant::now();
    serving.signal(signal).await;
    serving.says("Draining").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(said.contains("\"Stopped\""), "{said}");
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_does_not_hold_up_a_stop() {
    let folder = empty();
    for signal in ["TERM", "INT"] {
        let serving = serving(folder.path(), &[]).await;
        let mut kept = client_of(folder.path(), &serving).connect(b"http/1.1").await;
        let request = b"GET /conference/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        kept.write_all(request).await.unwrap();
        kept.read_u8().await.unwrap();
        stops_at_once(signal, serving).await;
    }
}

fn records(said: &str) -> usize {
    said.matches("\"message\":\"Request\"").count()
}

/// Lines wait a moment for others, to be written with them.
#[tokio::test]
async fn the_log_is_read_while_it_runs_and_is_whole_at_the_end() {
    let folder = empty();
    let mut serving = serving(folder.path(), &[]).await;
    let client = client_of(folder.path(), &serving);
    client.request("GET", "/conference/", &[], b"").await;
    serving.says("Request").await;
    client.statuses(300, "/nowhere", |_| Vec::new()).await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!((status, records(&said)), (Some(0), 301));
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "Stopped");
}

/// Several times what fits into a pipe is logged before anybody reads on, if at all.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_request_and_no_stop() {
    let requests = 800;
    let long = format!("/{}", "x".repeat(250));
    for read in [true, false] {
        let folder = empty();
        let serving = serving(folder.path(), &[]).await;
        let client = client_of(folder.path(), &serving);
        let statuses = client.statuses(requests, &long, |_| Vec::new()).await;
        assert_eq!(statuses, vec![404; requests as usize]);
        serving.signal("TERM").await;
        if read {
            let (status, said) = serving.end().await;
            assert_eq!((status, records(&said)), (Some(0), requests as usize));
        } else {
            let (status, words) = serving.end_unread().await;
            assert_eq!(status, Some(0));
            assert!(words.contains("the end of the log is lost"), "{words}");
        }
    }
}

#[tokio::test]
async fn requests_are_logged_only_where_that_is_wanted() {
    let folder = empty();
    let serving = serving(folder.path(), &[("LOG__ACCESS", "false")]).await;
    let client = client_of(folder.path(), &serving);
    client.request("GET", "/conference/", &[], b"").await;
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!((status, records(&said)), (Some(0), 0));
    assert!(said.contains("\"Stopped\""), "{said}");
}

/// Browsers open connections ahead of time.
#[tokio::test]
async fn a_connection_that_never_asked_for_anything_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &[]).await;
    let _silent = client_of(folder.path(), &serving).connect(b"http/1.1").await;
    stops_at_once("TERM", serving).await;
}

#[tokio::test]
async fn an_open_page_over_http_2_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &[]).await;
    let stream = client_of(folder.path(), &serving).connect(b"h2").await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let uri = format!("https://localhost:{}/conference/", serving.https.port());
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    stops_at_once("TERM", serving).await;
}

/// A laptop that was closed: its connection is there, and nobody answers on it any more.
#[tokio::test]
async fn a_client_over_http_2_that_fell_silent_does_not_hold_up_a_stop() {
    let folder = empty();
    let serving = serving(folder.path(), &[]).await;
    let mut asleep = client_of(folder.path(), &serving).connect(b"h2").await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    asleep.write_all(preface).await.unwrap();
    asleep.read_u8().await.unwrap();
    stops_at_once("TERM", serving).await;
}

/// A token request of which the body is still to come.
async fn half_a_request(client: &Client, body: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut stream = client.connect(b"http/1.1").await;
    let head = format!(
        "POST {ISSUE} HTTP/1.1\r\nHost: localhost\r\nAPI-KEY: {API_KEY}\r\nHASH-SIGNATURE: {}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        keys().requests().signature(body.as_bytes()),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let folder = empty();
    let mut serving = serving(folder.path(), &[("PLUGNMEET__SECRET", SECRET)]).await;
    let body = token_request("room01", "ann");
    let mut stream = half_a_request(&client_of(folder.path(), &serving), &body).await;
    serving.signal("TERM").await;
    serving.says("Draining").await;
    // Nobody new is let in, from a moment after the word on.
    timeout(Duration::from_secs(5), async {
        while TcpStream::connect(serving.https).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the gateway still listens");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .ok();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"SUCCESS\""), "{answer}");
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("\"WARN\""), "{said}");
}

#[tokio::test]
async fn a_second_signal_cuts_the_drain_short() {
    let folder = empty();
    let variables = [("PLUGNMEET__SECRET", SECRET), ("TIMEOUTS__HEADER", "60s")];
    let mut serving = serving(folder.path(), &variables).await;
    let _stream = half_a_request(&client_of(folder.path(), &serving), "{}").await;
    serving.signal("TERM").await;
    serving.says("Draining").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert!(said.contains("Closed what had not ended by itself"), "{said}");
}

#[tokio::test]
async fn the_deadline_of_a_drain_is_kept() {
    let folder = empty();
    let variables = [("PLUGNMEET__SECRET", SECRET), ("TIMEOUTS__DRAIN", "1s")];
    let serving = serving(folder.path(), &variables).await;
    let _stream = half_a_request(&client_of(folder.path(), &serving), "{}").await;
    let started = Instant::now();
    serving.signal("TERM").await;
    assert_eq!(serving.end().await.0, Some(0));
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(8)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn no_secret_token_or_signature_is_ever_written() {
    let folder = empty();
    let variables = [
        ("PLUGNMEET__SECRET", SECRET),
        ("LOG__LEVEL", "trace"),
        ("UPSTREAMS__LIVEKIT", "http://127.0.0.1:1"),
    ];
    let serving = serving(folder.path(), &variables).await;
    let client = client_of(folder.path(), &serving);
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let claims = |exp| Claims {
        client_type: 0,
        exp,
        is_admin: false,
        is_hidden: false,
        iss: API_KEY.into(),
        name: "Ann".into(),
        nbf: now,
        room_id: "room01".into(),
        sub: "ann".into(),
        user_id: "ann".into(),
    };
    let token = |exp| keys().sign(&claims(exp)).unwrap().expose().clone();
    let (good, expired) = (token(now + 600), token(now - 700));
    let body = token_request("room01", "ann");
    let signature = keys().requests().signature(body.as_bytes());
    let guessed = "0123456789abcdef0123456789abcdef";

    for token in [&good, &expired] {
        for target in [
            format!("/conference/?access_token={token}"),
            format!("/conference/?access_token={token}&access_token={token}"),
            format!("/conference/assets/{token}"),
            format!("/livekit/rtc?access_token={token}"),
            format!("/download/recording/{token}"),
            format!("/{token}/bigbluebutton/api/join?checksum={guessed}"),
            format!("/nowhere/{token}?{token}"),
            format!("//{token}"),
            format!("//download/recording/{guessed}"),
            format!("/download//uploadedFile/{guessed}/a.pdf"),
            format!("/%64ownload/recording/{guessed}"),
            format!("/download%2Frecording%2F{guessed}"),
            format!("/x/../download/artifact/{guessed}"),
            format!("/whip/{guessed}"),
            format!("/whip/{guessed}/resource"),
            format!("//whip/{guessed}"),
            format!("/conference/whip/{guessed}"),
            format!("/{guessed}//bigbluebutton/api/join"),
            format!("/conference/{guessed}/bigbluebutton/api/join"),
        ] {
            let cookie = format!("pnm_access_token={token}");
            let headers = [("Cookie", cookie.as_str()), ("Authorization", token)];
            client.request("GET", &target, &headers, b"").await;
        }
    }
    for signature in [signature.as_str(), guessed] {
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature)];
        client.request("POST", ISSUE, &headers, body.as_bytes()).await;
        client
            .request("POST", "/auth/room/create", &headers, body.as_bytes())
            .await;
    }
    let issued = client
        .request(
            "POST",
            ISSUE,
            &[("API-KEY", API_KEY), ("HASH-SIGNATURE", &signature)],
            body.as_bytes(),
        )
        .await
        .json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let wrong_key = [("API-KEY", guessed), ("HASH-SIGNATURE", signature.as_str())];
    client.request("POST", ISSUE, &wrong_key, body.as_bytes()).await;

    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    assert!(said.matches("\"Request\"").count() >= 20, "{said}");
    let last_part = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [
        SECRET.to_owned(),
        last_part(&good),
        last_part(&expired),
        last_part(&issued),
        signature,
        guessed.to_owned(),
    ] {
        assert!(!said.contains(&secret), "{secret} in\n{said}");
    }

    let made = empty();
    let serving = self::serving(made.path(), &[("LOG__LEVEL", "trace")]).await;
    let secret = std::fs::read_to_string(made.path().join("certs/plugnmeet-secret")).unwrap();
    serving.signal("TERM").await;
    assert!(!serving.end().await.1.contains(secret.trim()));
}

/// With callers, whose requests are signed anew, and the other joins, whose credentials stand elsewhere.
#[tokio::test]
async fn no_callers_secret_token_or_checksum_is_ever_written() {
    let server = plugnmeet::server().await;
    let folder = empty();
    let caller = "callers-own-secret-0123456789abcdef";
    let file = folder.path().join("gateway.toml");
    let text = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nplugnmeet.secret = '{SECRET}'\nlog.level = 'trace'\n\
         [[callers]]\nname = 'lms'\napi_key = 'lms-key'\nsecret = '{caller}'\n",
        server.url()
    );
    std::fs::write(&file, text).unwrap();
    let arguments = ["serve", "--config", file.to_str().unwrap()];
    let serving = Serving::start(folder.path(), &arguments, &ANYWHERE).await;
    let client = client_of(folder.path(), &serving);

    let own = RequestKey::new(&Secret::new(caller.into()));
    let body = token_request("room01", "ann");
    let (given, anew) = (
        own.signature(body.as_bytes()),
        keys().requests().signature(body.as_bytes()),
    );
    let headers = [("API-KEY", "lms-key"), ("HASH-SIGNATURE", given.as_str())];
    let mut tokens = Vec::new();
    for path in [ISSUE, "/auth/room/isRoomActive"] {
        let answer = client.request("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tokens.extend(answer.json()["token"].as_str().map(str::to_owned));
    }
    let join = plugnmeet::bbb_target("join", "meetingID=room01&userID=ann");
    let checksum = join.rsplit('=').next().unwrap();
    client.request("GET", &join, &[], b"").await;
    let authorization = [
        ("Authorization", tokens[0].as_str()),
        ("Content-Type", "application/protobuf"),
    ];
    for path in ["/api/breakoutRoom/join", "/lti/v1/api/room/join"] {
        client.request("POST", path, &authorization, b"").await;
        let in_query = format!("{path}?Authorization={}", tokens[0]);
        client.request("POST", &in_query, &[], b"").await;
    }

    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    assert!(
        said.contains("\"passed_on\"") && said.contains("\"issued\""),
        "{said}"
    );
    let parts = tokens[0].split('.').skip(1).map(str::to_owned);
    for secret in [SECRET, caller, given.as_str(), anew.as_str(), checksum]
        .map(str::to_owned)
        .into_iter()
        .chain(parts)
    {
        assert!(!said.contains(&secret), "{secret} in\n{said}");
    }
}
