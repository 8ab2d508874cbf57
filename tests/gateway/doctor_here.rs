//! `doctor` at this machine: the clock against a server of time, and what a folder in the place of the file system says of
//! ports, files, disks and rights.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use plugnmeet_gateway::{clock::Clock, doctor::Verdict};
use tempfile::TempDir;
use tokio::task::AbortHandle;

use crate::{
    doctor::{here, wrong},
    support::{
        addr::{free, nobody_listens, own},
        binary::{PROGRAM, Serving, link, run},
        folder_of,
    },
};
use Verdict::{Fail, Ok as Well, Skip, Warn};

/// A server of time, so many seconds from this machine's; gone when dropped.
struct TimeServer {
    line: String,
    task: AbortHandle,
}

impl TimeServer {
    async fn off_by(seconds: i64, stratum: u8) -> Self {
        let socket = tokio::net::UdpSocket::bind(own()).await.unwrap();
        let at = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut message = [0; 48];
            while let Ok((48, from)) = socket.recv_from(&mut message).await {
                assert_eq!(message[0], 0x23);
                // From 1900 on.
                let there = u32::try_from(Clock::system().unix() + seconds + 2_208_988_800).unwrap();
                message[..2].copy_from_slice(&[0x24, stratum]);
                message[40..44].copy_from_slice(&there.to_be_bytes());
                socket.send_to(&message, from).await.unwrap();
            }
        });
        Self {
            line: format!("server {} port {} iburst\n", at.ip(), at.port()),
            task: task.abort_handle(),
        }
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_by_the_servers_of_this_machine() {
    let silent = UdpSocket::bind(own()).unwrap();
    let silent = silent.local_addr().unwrap();
    let silent = format!("pool {} port {}\n", silent.ip(), silent.port());
    for (off, stratum, keeper, verdict) in [
        (0, 2, "chronyd", Well),
        (59, 2, "chronyd", Well),
        (-70, 2, "chronyd", Fail),
        (70, 2, "init", Fail),
        (0, 2, "init", Warn),
        // It has no time itself.
        (70, 0, "chronyd", Well),
    ] {
        let server = TimeServer::off_by(off, stratum).await;
        // The first one does not answer.
        let conf = format!("# pool\n{silent}{}", server.line);
        let folder = folder_of(&[("etc/chrony/chrony.conf", &conf), ("proc/1/comm", keeper)]);
        let findings = here(folder.path().to_owned(), "", "machine.clock").await;
        assert_eq!(
            findings.0[0].said.verdict, verdict,
            "{off} {stratum} {keeper}: {findings}"
        );
    }
}

#[tokio::test]
async fn ports_and_files_that_others_take_away_are_told() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max open files            1048576              1048576              files     \n";
    let good = [
        ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
        ("proc/7/comm", "nats-server\n"),
        ("proc/7/limits", limits),
        ("opt/livekit.yaml", "port: 7880\n"),
        (
            "opt/nats-server.conf",
            "jetstream { store_dir: /data/jetstream }\n",
        ),
        (
            "opt/docker-compose.yaml",
            "services:\n  nats:\n    image: nats\n    volumes:\n      - ./nats-data:/data/jetstream\n",
        ),
        ("opt/nats-data/.keep", ""),
    ];
    let narrow = "rtc:\n  port_range_start: 50000\n  port_range_end: 50200\n";
    for (file, text, check, verdict) in [
        ("opt/livekit.yaml", "port: 7880\n", "media-ports", Well),
        ("opt/livekit.yaml", narrow, "media-ports", Warn),
        (
            "opt/livekit.yaml",
            "rtc:\n  port_range_start: 61000\n  port_range_end: 61100\n",
            "media-ports",
            Well,
        ),
        ("proc/7/limits", limits, "nats-files", Well),
        (
            "proc/7/limits",
            &limits.replace("1048576", "65536"),
            "nats-files",
            Warn,
        ),
        ("proc/7/comm", "other\n", "nats-files", Skip),
        (
            "opt/nats-server.conf",
            "jetstream { store_dir: /data/jetstream\n max_file_store: 4000PB }\n",
            "jetstream",
            Warn,
        ),
        (
            "opt/nats-server.conf",
            "jetstream { store_dir: /nowhere/at/all }\n",
            "jetstream",
            Skip,
        ),
    ] {
        let folder = folder_of(&good);
        fs::write(folder.path().join(file), text).unwrap();
        let findings = here(folder.path().to_owned(), "", &format!("machine.{check}")).await;
        assert_eq!(findings.0[0].said.verdict, verdict, "{file}: {findings}");
    }
    // The disk that the test is on; how full it is, is not the test's.
    let folder = folder_of(&good);
    let findings = here(folder.path().to_owned(), "", "machine.jetstream").await;
    assert!(findings.0[0].said.found.ends_with(" MiB are free"), "{findings}");
}

/// In a folder that everybody may enter.
fn open_folder(files: &[(&str, &str)]) -> TempDir {
    let folder = folder_of(files);
    may(folder.path(), 0o755);
    folder
}

fn may(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn what_the_gateways_user_can_not_read_is_named() {
    let folder = open_folder(&[
        (
            "etc/passwd",
            "root:x:0:0::/:\nplugnmeet-gateway:x:65534:65534::/:\n",
        ),
        ("secret", "a secret of the server's that is long enough"),
        ("certs/a.pem", ""),
        ("certs/a.key", ""),
        ("client/index.html", "<head></head>"),
    ]);
    let root = folder.path();
    let toml = format!(
        "plugnmeet.secret_file = '{0}/secret'\ntls.certs = '{0}/certs'\nclient.path = '{0}/client'",
        root.display()
    );
    for path in ["secret", "certs/a.key"] {
        may(&root.join(path), 0o600);
    }
    let findings = here(root.to_owned(), &toml, "machine.readable").await;
    if !rustix::process::geteuid().is_root() {
        assert_eq!(wrong(&findings), [("readable", Skip)], "{findings}");
        return;
    }
    let places = |findings: &plugnmeet_gateway::doctor::Findings| -> Vec<String> {
        let wrong = findings.0.iter().filter(|finding| finding.said.verdict == Fail);
        let places = wrong.map(|finding| finding.said.place.clone().unwrap());
        places
            .map(|place| place.replace(&format!("{}/", root.display()), ""))
            .filter(|place| place != "gateway.toml")
            .collect()
    };
    assert_eq!(places(&findings), ["secret", "certs/a.key"], "{findings}");
    for path in ["secret", "certs/a.key"] {
        may(&root.join(path), 0o644);
    }
    may(&root.join("client"), 0o744);
    let findings = here(root.to_owned(), &toml, "machine.readable").await;
    assert_eq!(places(&findings), ["client"], "{findings}");
    may(&root.join("client"), 0o755);
    let findings = here(root.to_owned(), &toml, "machine.readable").await;
    assert_eq!(places(&findings), [""; 0], "{findings}");
    let nobody = open_folder(&[("etc/passwd", "root:x:0:0::/:\n")]);
    let findings = here(nobody.path().to_owned(), &toml, "machine.readable").await;
    assert_eq!(wrong(&findings), [("readable", Skip)], "{findings}");
}

#[tokio::test]
async fn a_client_of_another_release_than_the_servers_is_told() {
    let script =
        |version: &str| format!("x+=e(`plugnmeet-server-client-version`,{{server:t,client:`{version}`}})");
    let program = |version: &str| format!("\0\0plugNmeet version: {version} runtime: go1.26");
    let image = |tag: &str| format!("services:\n  plugnmeet:\n    image: mynaparrot/plugnmeet-server{tag}\n");
    let (runs, other) = ("plugnmeet-serve\n", "plugnmeet-recor\n");
    for (client, process, server, tag, verdict) in [
        (script("2.4.0"), runs, program("2.4.0"), "", Well),
        (script("2.4.1-28"), runs, program("2.4.0"), "", Well),
        (script("2.3.0"), runs, program("2.4.0"), "", Warn),
        // What runs counts more than what is to run.
        (script("2.4.0"), runs, program("2.4.0"), ":v2.3.0", Well),
        (script("2.4.0"), other, program("2.4.0"), ":v2.3.0", Warn),
        (script("2.4.0"), other, program("2.4.0"), ":2.4", Well),
        (script("2.4.0"), other, program("2.3.0"), ":latest", Skip),
        (script("2.4.0"), runs, "another program".to_owned(), "", Skip),
        (
            "{\"plugnmeet-server-client-version\": \"client: {{client}}\"}".to_owned(),
            runs,
            program("2.4.0"),
            "",
            Skip,
        ),
    ] {
        let folder = folder_of(&[
            ("opt/config.yaml", "client:\n  path: ./client/dist\n"),
            (
                "opt/client/dist/assets/js/main-module.AbCd1234.js",
                "plugnmeet-server-client-version",
            ),
            ("opt/client/dist/assets/chunks/room-settings.AbCd1234.js", &client),
            ("opt/docker-compose.yaml", &image(tag)),
            ("proc/7/comm", process),
            ("proc/7/exe", &server),
        ]);
        let findings = here(folder.path().to_owned(), "", "machine.client-version").await;
        assert_eq!(
            findings.0[0].said.verdict, verdict,
            "{client} {process} {server} {tag}: {findings}"
        );
    }
}

/// Nobody calls its file `plugnmeet-gateway` here: it says itself where it listens.
#[tokio::test]
async fn a_gateway_that_runs_is_well_whatever_its_file_is_called() {
    let (https, http, admin) = (free(), free(), free());
    let toml = format!(
        "listen.https = '{https}'\nlisten.http = '{http}'\nlisten.admin = '{admin}'\nlog.format = 'json'\n"
    );
    let folder = folder_of(&[("gateway.toml", &toml)]);
    let program = folder.path().join("gw");
    link(Path::new(PROGRAM), &program);
    let arguments = ["--config", "gateway.toml"];
    let serving = Serving::of(
        &program,
        folder.path(),
        &["serve", "--config", "gateway.toml"],
        &[],
    )
    .await;
    let look = |only: &'static str| {
        let from = ["doctor", "--from", "none", "--haproxy", "none", "--only", only];
        let arguments = [&from[..], &arguments].concat();
        let root = folder.path();
        async move {
            let said = run(root, &arguments, &[]).await;
            (said.status.code(), String::from_utf8(said.stdout).unwrap())
        }
    };
    let (status, said) = look("gateway.configuration").await;
    assert!(!said.contains("can't listen"), "{said}");
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = look("machine.ports").await;
    let ours = format!(
        "[ok  ] machine.ports: {} is the gateway's, {} is the gateway's\n",
        https.port(),
        http.port()
    );
    assert!(said.starts_with(&ours), "{said}");
    assert_eq!(status, Some(0), "{said}");
    // Where none runs, somebody else who listens there is told of.
    drop(serving);
    nobody_listens(https).await;
    let _others = TcpListener::bind(https).unwrap();
    let (status, said) = look("gateway.configuration").await;
    assert!(said.contains(&format!("can't listen on {https}: ")), "{said}");
    assert_eq!(status, Some(1), "{said}");
}
