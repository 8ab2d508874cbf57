//! The first start, links, signatures, and what `check` says.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::{ISSUE, WANTED, client_of, empty, serving, told};
use crate::support::{
    SECRET,
    addr::free,
    binary::{Serving, anywhere, program, run},
    client::{plain_get, plain_get_at},
    folder_of, token_request,
};

#[tokio::test]
async fn a_newcomer_starts_it_in_an_empty_folder_and_it_serves() {
    let folder = empty();
    let mut serving = Serving::start(folder.path(), &[], &anywhere()).await;
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
    let plain = plain_get_at("127.0.0.1", at("HTTP on ", &serving), "/conference/?a=1").await;
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
    let https = free().to_string();
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
    // Nobody listens there, whatever else runs on this machine.
    let https = free().to_string();
    let variables = [("LISTEN__HTTPS", https.as_str())];
    let (status, link, errors) = told(&run(folder.path(), &WANTED, &variables).await);
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
        let variables = [&anywhere()[..], &[("TIMEOUTS__DRAIN", "soon")]].concat();
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
        errors.contains("config/host.toml:18: plugnmeet.secret_file: "),
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
