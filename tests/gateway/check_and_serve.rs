//! `check` and `serve` say the same of a configuration: what is wrong, what is unwise, and that nothing is.
//!
//! The program itself is asked, in a folder of its own for each configuration. `check` leaves nothing behind.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::support::{
    SECRET,
    binary::{ANYWHERE, free_port, program, run},
};

/// What both have to say: nothing, a warning with these words, or problems with each of these words.
enum Said {
    Nothing,
    Warning(&'static str),
    Note(&'static str),
    Problems(&'static [&'static str]),
}

use Said::{Note, Nothing, Problems, Warning};

/// What is to be there, the configuration, what is said.
type Case = (fn(&Path), &'static str, Said);

const DAY: i64 = 24 * 3600;

const SECRETS: &str = "plugnmeet.secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'\n";

fn nothing(_: &Path) {}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn secret_file(folder: &Path, mode: u32) {
    write(folder, "secret", SECRET, mode);
}

/// `certs/a.pem` and its key, for a host, with so many days before its last.
fn certificate(folder: &Path, host: &str, days: i64) {
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let at = |unix: i64| {
        x509_parser::time::ASN1Time::from_timestamp(unix)
            .unwrap()
            .to_datetime()
    };
    let now = i64::try_from(now).unwrap();
    params.not_before = at(now - 30 * DAY);
    params.not_after = at(now + days * DAY);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    write(folder, "certs/a.pem", &made.pem(), 0o644);
    write(folder, "certs/a.key", &key.serialize_pem(), 0o600);
}

fn good_certificate(folder: &Path) {
    certificate(folder, "conf.example.org", 90);
}

fn client(folder: &Path) {
    write(folder, "client/index.html", "<head></head>", 0o644);
}

const PUBLIC: &str = "public_origin = 'https://conf.example.org'\n";

const CASES: &[Case] = &[
    (nothing, "", Nothing),
    (nothing, SECRETS, Nothing),
    (
        nothing,
        "plugnmeet.secret = 'short'",
        Warning("short secrets can be guessed"),
    ),
    (
        nothing,
        "plugnmeet.secret = ' '",
        Problems(&["gateway.toml:1: plugnmeet.secret: is empty"]),
    ),
    (
        |folder| secret_file(folder, 0o640),
        "plugnmeet.secret_file = 'secret'",
        Warning(
            "gateway.toml:1: plugnmeet.secret_file: \"secret\" can be read by others than its owner (mode 640)",
        ),
    ),
    (
        |folder| secret_file(folder, 0o666),
        "plugnmeet.secret_file = 'secret'",
        Problems(&["gateway.toml:1: plugnmeet.secret_file: \"secret\" may be written by others"]),
    ),
    (
        nothing,
        "plugnmeet.secret_file = 'secret'",
        Problems(&["gateway.toml:1: plugnmeet.secret_file: names a file that can't be read"]),
    ),
    (
        |folder| write(folder, "certs/plugnmeet-secret", SECRET, 0o640),
        "",
        Warning(
            "built-in defaults: tls.certs: certs/plugnmeet-secret: can be read by others than its owner (mode 640)",
        ),
    ),
    (
        |folder| write(folder, "certs/plugnmeet-secret", "x", 0o600),
        "[tls]\ncerts = 'certs'",
        Problems(&["gateway.toml:2: tls.certs: plugnmeet-secret: it is too short for a secret"]),
    ),
    (
        nothing,
        "limits.user = '0/min'",
        Problems(&["gateway.toml:1: limits.user: \"0/min\" would refuse"]),
    ),
    (
        nothing,
        "limits.usr = '1/min'",
        Problems(&["gateway.toml:1: limits.usr: is no key of the gateway"]),
    ),
    (nothing, "[limits\n", Problems(&["gateway.toml:1"])),
    (
        nothing,
        "limits.replicas = 2",
        Warning("limits.replicas has no effect"),
    ),
    // Certificates.
    (good_certificate, PUBLIC, Nothing),
    (
        |folder| certificate(folder, "other.example.org", 90),
        PUBLIC,
        Warning("tls.certs: no certificate covers conf.example.org: certs/a.pem is served there"),
    ),
    (
        good_certificate,
        "public_origin = 'https://conf.example.org'\nhosts = ['meet.example.org']",
        Warning("tls.certs: no certificate covers meet.example.org"),
    ),
    (
        |folder| certificate(folder, "conf.example.org", 3),
        PUBLIC,
        Warning("tls.certs: certs/a.pem: expires on "),
    ),
    (
        |folder| certificate(folder, "conf.example.org", -1),
        PUBLIC,
        Warning("clients of conf.example.org get it and refuse it"),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::set_permissions(folder.join("certs/a.key"), Permissions::from_mode(0o644)).unwrap();
        },
        PUBLIC,
        Warning("tls.certs: certs/a.key: can be read by others than its owner (mode 644)"),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::set_permissions(folder.join("certs/a.key"), Permissions::from_mode(0o666)).unwrap();
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.key: may be written by others"]),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::remove_file(folder.join("certs/a.key")).unwrap();
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.pem: is a certificate without a key"]),
    ),
    (
        |folder| {
            good_certificate(folder);
            let other = rcgen::KeyPair::generate().unwrap();
            write(folder, "certs/a.key", &other.serialize_pem(), 0o600);
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.key: is not the key of the first certificate in a.pem"]),
    ),
    (
        good_certificate,
        "tls.certs = 'certs/a.pem'",
        Problems(&[
            "gateway.toml:1: tls.certs: certs/a.pem: is a file, and no folder of certificates; name the folder",
        ]),
    ),
    (
        good_certificate,
        "tls.certs = 'certs/a.pem/b'",
        Problems(&["gateway.toml:1: tls.certs: certs/a.pem/b: "]),
    ),
    (
        nothing,
        "public_origin = 'https://conf.example.org'\ntls.certs = 'missing'",
        Warning(
            "tls.certs: the gateway's own certificate is served for conf.example.org, and browsers warn of it",
        ),
    ),
    (
        nothing,
        "public_origin = 'https://conf.example.org:PORT'\nlisten.https = '0.0.0.0:PORT'\ntls.certs = 'missing'",
        Problems(&["gateway.toml:3: tls.certs: missing: holds no certificate for conf.example.org"]),
    ),
    (
        |folder| write(folder, "live/README", "", 0o644),
        "public_origin = 'https://conf.example.org:PORT'\nlisten.https = '0.0.0.0:PORT'\ntls.certs = 'live'",
        Problems(&["gateway.toml:3: tls.certs: live: holds no certificate for conf.example.org"]),
    ),
    // The client.
    (
        nothing,
        "client.path = 'gone'",
        Problems(&["gateway.toml:1: client.path: \"gone\" cannot be read"]),
    ),
    (client, "client.path = 'client'", Nothing),
    (
        |folder| write(folder, "client/other.html", "", 0o644),
        "client.path = 'client'",
        Problems(&["gateway.toml:1: client.path: client has no index.html"]),
    ),
    (
        |folder| {
            write(folder, "client/2.0/index.html", "<title>no head</title>", 0o644);
            write(folder, "client/1.0/index.html", "<head></head>", 0o644);
        },
        "client.path = 'client'",
        Warning("Refused a release of the client"),
    ),
    (
        |folder| {
            client(folder);
            fs::create_dir(folder.join("cache")).unwrap();
            fs::set_permissions(folder.join("cache"), Permissions::from_mode(0o777)).unwrap();
        },
        "[client]\npath = 'client'\ncache = 'cache'",
        Warning(
            "gateway.toml:3: client.cache: cache may be written by others (mode 777), and what lies there is served",
        ),
    ),
    (
        |folder| {
            client(folder);
            write(folder, "cache/file", "", 0o644);
        },
        "[client]\npath = 'client'\ncache = 'cache/file/below'",
        Warning("gateway.toml:3: client.cache: cache/file/below can't be written, so every start compresses"),
    ),
    (
        nothing,
        "client.config_file = 'gone.js'",
        Problems(&["gateway.toml:1: client.config_file: \"gone.js\" cannot"]),
    ),
    (
        |folder| write(folder, "config.js", "window.a = 1", 0o644),
        "client.config_file = 'config.js'\nclient.config.a = 1",
        Warning("client.config has no effect, as client.config_file serves"),
    ),
    (
        nothing,
        "client.config.designCustomization = { primary_color = 'red;' }",
        Warning("client.config.designCustomization.primary_color: `red;` is not a CSS colour"),
    ),
    // Addresses.
    (
        nothing,
        "public_origin = 'https://localhost'\nlisten.https = '127.0.0.1:PORT'",
        Warning("gateway.toml:1: public_origin: is called at port 443, and listen.https is at port "),
    ),
    (
        nothing,
        "public_origin = 'https://localhost:8443'",
        Warning("gateway.toml:1: public_origin: has port 8443, and LTI launches"),
    ),
    (
        nothing,
        "listen.https = '192.0.2.1:PORT'",
        Problems(&["gateway.toml:1: listen.https: can't listen on 192.0.2.1:"]),
    ),
    (
        nothing,
        "[listen]\nhttps = '127.0.0.1:PORT'\nhttp = '127.0.0.1:PORT'",
        Problems(&["gateway.toml:3: listen.http: "]),
    ),
    (
        nothing,
        "listen.proxy_protocol = true",
        Problems(&["gateway.toml:1: listen.proxy_protocol: true needs to know"]),
    ),
    // Issuers, callers, designs, pages.
    (
        nothing,
        "issuer.mode = 'upstream'",
        Problems(&["gateway.toml:1: issuer.mode: \"upstream\" needs the server's secret"]),
    ),
    (
        nothing,
        "issuer.mode = 'upstream'\nplugnmeet.secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'",
        Note("design.css_hosts is empty"),
    ),
    (
        nothing,
        "public_origin = 'https://localhost'\nsession.login_url = 'https://localhost/conference/'",
        Problems(&["gateway.toml:2: session.login_url: leads to the client"]),
    ),
    (
        nothing,
        "[[callers]]\nname = 'a b'",
        Problems(&["callers.name", "callers.api_key", "callers.secret"]),
    ),
    (
        nothing,
        "[designs.dark]\nprimary_color = 'red;'",
        Problems(&["gateway.toml:2: designs.dark.primary_color: "]),
    ),
    (
        nothing,
        "headers.csp_sources.img-src = [\"'none'\"]",
        Problems(&["gateway.toml:1: headers.csp_sources.img-src: "]),
    ),
    // Several modules at once.
    (
        |folder| {
            good_certificate(folder);
            fs::create_dir(folder.join("client")).unwrap();
        },
        "listen.https = '192.0.2.1:PORT'\nclient.path = 'client'\ntls.certs = 'certs/a.pem'",
        Problems(&[
            "gateway.toml:1: listen.https: ",
            "gateway.toml:2: client.path: ",
            "gateway.toml:3: tls.certs: ",
        ]),
    ),
];

/// What `check` and `serve` have in common.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    sound: bool,
    /// Each in a line, without what kind it is.
    problems: BTreeSet<String>,
    warnings: BTreeSet<String>,
    notes: BTreeSet<String>,
}

impl Verdict {
    fn of(sound: bool, lines: &str) -> Self {
        let mut verdict = Self {
            sound,
            problems: BTreeSet::new(),
            warnings: BTreeSet::new(),
            notes: BTreeSet::new(),
        };
        for line in lines.lines() {
            if let Some(warning) = line.strip_prefix("warning: ") {
                verdict.warnings.insert(warning.to_owned());
            } else if let Some(note) = line.strip_prefix("note: ") {
                verdict.notes.insert(note.to_owned());
            } else {
                verdict.problems.insert(line.to_owned());
            }
        }
        verdict
    }
}

async fn check(folder: &Path, variables: &[(&str, &str)]) -> Verdict {
    let output = run(folder, &["check", "--config", "gateway.toml"], variables).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    Verdict::of(output.status.success(), &errors)
}

async fn serve(folder: &Path, variables: &[(&str, &str)]) -> Verdict {
    let mut child = program(folder, &["serve", "--config", "gateway.toml"], variables)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    let mut started = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let message = line["message"].as_str().unwrap().to_owned();
        let mut words = vec![message.clone()];
        for (name, value) in line.as_object().unwrap() {
            if !["timestamp", "level", "target", "message"].contains(&name.as_str()) {
                words.push(format!("{name}={value}").replace('"', ""));
            }
        }
        if line["level"] == "WARN" {
            told.push(format!("warning: {}", words.join(" ")));
        } else if line["level"] == "ERROR" {
            told.push(message.clone());
        } else if message.starts_with("design.css_hosts is empty") {
            told.push(format!("note: {message}"));
        }
        if message.starts_with("Try next") {
            started = true;
            break;
        }
    }
    child.start_kill().unwrap();
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .await
        .unwrap();
    child.wait().await.unwrap();
    told.push(errors);
    Verdict::of(started, &told.join("\n"))
}

fn all_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        }
        found.insert(path);
    }
    found
}

#[tokio::test]
async fn check_and_serve_say_the_same_of_every_configuration() {
    assert!(CASES.len() >= 40, "{}", CASES.len());
    let mut wrong = Vec::new();
    for (prepare, toml, said) in CASES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        prepare(folder);
        let toml = toml.replace("PORT", &free_port().to_string());
        write(folder, "gateway.toml", &toml, 0o644);
        // What the file says of listeners counts.
        let variables: Vec<_> = ANYWHERE
            .into_iter()
            .filter(|(name, _)| {
                let key = name.to_lowercase().replace("__", ".");
                let (section, key) = key.split_once('.').unwrap();
                !toml.contains(&format!("{section}.{key}")) && !toml.contains(&format!("\n{key} ="))
            })
            .collect();
        let before = all_files(folder);
        let checked = check(folder, &variables).await;
        assert_eq!(all_files(folder), before, "left behind: {toml}");
        let served = serve(folder, &variables).await;
        if checked != served {
            wrong.push(format!("{toml}\ncheck {checked:#?}\nserve {served:#?}"));
        } else if !said.is_what(&checked) {
            wrong.push(format!("{toml}\n{checked:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

impl Said {
    fn is_what(&self, told: &Verdict) -> bool {
        let all = |lines: &BTreeSet<String>| lines.iter().cloned().collect::<Vec<_>>().join("\n");
        let problems = all(&told.problems);
        match self {
            Nothing => told.sound && told.warnings.is_empty() && told.notes.is_empty(),
            Warning(words) => told.sound && all(&told.warnings).contains(words),
            Note(words) => told.sound && all(&told.notes).contains(words),
            // What is allowed is said as well.
            Problems(words) => {
                !told.sound
                    && words.iter().all(|words| problems.contains(words))
                    && problems.lines().all(|line| line.contains("; "))
            }
        }
    }
}

/// Who looks whether the configuration is sound has the gateway running, mostly.
#[tokio::test]
async fn a_port_that_is_taken_stops_a_start_and_is_a_warning_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    write(
        folder,
        "gateway.toml",
        &format!("listen.https = '{addr}'\n"),
        0o644,
    );
    let variables = &ANYWHERE[1..];
    let told = format!(
        "gateway.toml:1: listen.https: can't listen on {addr}: Address already in use (os error 98); unless it is this \
         gateway, stop what listens there, or write another port"
    );
    assert_eq!(
        check(folder, variables).await,
        Verdict::of(true, &format!("warning: {told}"))
    );
    assert_eq!(serve(folder, variables).await, Verdict::of(false, &told));
}
