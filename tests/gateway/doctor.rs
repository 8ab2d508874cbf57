//! `doctor --from-outside` against a running gateway: with a real NATS, coturn, and stand-ins for the other parts. And this
//! machine, with listeners of the test's.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use hyper::{Response, StatusCode};
use plugnmeet_gateway::{
    clock::Clock,
    config::Config,
    doctor::{DoctorSettings, Finding, Findings, Ours, OutsideSettings, Places, Standpoint, Verdict, look},
    secret::Secret,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::support::{
    API_KEY, Gateway, SECRET,
    addr::free_port,
    binary::run,
    coturn::Coturn,
    folder_of,
    nats::NatsServer,
    peer::Peer,
    plugnmeet,
    upstream::{Upstream, text_body},
    websocket::agreed,
};
use Verdict::{Fail, Ok as Well, Skip, Warn};

const PAGE: &str = "<!doctype html><head><script src=\"./assets/config.js\"></script>\
                    <script type=\"module\" src=\"./assets/js/main-module.AbCd1234.js\"></script></head><body></body>";

/// LiveKit, as far as a token is asked about.
async fn livekit() -> Upstream {
    Upstream::handling(|seen| {
        let knows = seen.target.starts_with("/rtc/validate?access_token=ey");
        async move {
            let mut answer = Response::new(text_body(if knows { "success" } else { "no token" }));
            if !knows {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
            }
            answer
        }
    })
    .await
}

/// The address of this gateway, with all that can be named.
pub fn door(gateway: &Gateway, turn_udp: u16) -> OutsideSettings {
    OutsideSettings {
        url: gateway.origin().parse().unwrap(),
        roots: Some(gateway.certificate()),
        api_key: API_KEY.into(),
        secret: Some(Secret::new(SECRET.into())),
        livekit: Some((
            "key".into(),
            Secret::new("a secret of LiveKit's, long enough".into()),
        )),
        frame: None,
        turn: None,
        turn_udp,
        http: gateway.http.port(),
        body_bytes: 50 << 20,
        resolver: None,
        silence: Duration::from_secs(1),
        now: Clock::system().unix(),
    }
}

/// Where a name of this machine leads.
async fn coturn(reads_headers: bool) -> Coturn {
    Coturn::at((Ipv4Addr::LOCALHOST, free_port()).into(), reads_headers).await
}

/// As `Gateway::with`, where a name of this machine leads.
pub async fn gateway_with(toml: &str) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    Gateway::start(folder, &Clock::system(), "127.0.0.1:0", toml).await
}

/// No part answers.
async fn nothing_behind(toml: &str) -> Gateway {
    let nobody = "http://127.0.0.1:9";
    let all =
        ["livekit", "nats", "etherpad", "ingress"].map(|name| format!("upstreams.{name} = '{nobody}'\n"));
    gateway_with(&format!(
        "upstreams.server = ['{nobody}']\n{}{toml}",
        all.concat()
    ))
    .await
}

pub async fn from_outside(door: OutsideSettings, only: Option<&str>) -> Findings {
    let asked = DoctorSettings {
        places: Places {
            from: "nowhere".into(),
            haproxy: "nowhere".into(),
            root: "nowhere".into(),
        },
        only: only.map(str::to_owned),
        without: Vec::new(),
        from: Standpoint::Outside(Box::new(door)),
    };
    let ours = Ours {
        config: Ok(None),
        checked: Vec::new(),
        running: Vec::new(),
    };
    look(&asked, &ours, &Clock::system()).await.unwrap()
}

/// The checks that are not as well as can be, without their area.
pub fn wrong(findings: &Findings) -> Vec<(&str, Verdict)> {
    let all = findings.0.iter();
    let wrong = all.filter(|finding| finding.said.verdict != Well);
    wrong
        .map(|Finding { id, said }| (id.split_once('.').unwrap().1, said.verdict))
        .collect()
}

#[tokio::test]
async fn where_people_get_in_all_is_well_from_outside() {
    let (server, livekit, nats) = (
        plugnmeet::server().await,
        livekit().await,
        NatsServer::start().await,
    );
    let coturn = coturn(false).await;
    let ingress = Upstream::answering("no such stream").await;
    let client = folder_of(&[
        ("index.html", PAGE),
        (
            "assets/js/main-module.AbCd1234.js",
            &"export const a = 1;\n".repeat(500),
        ),
    ]);
    let gateway = gateway_with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nupstreams.livekit = '{}'\nupstreams.nats = 'http://{}'\n\
         upstreams.ingress = '{}'\nturn.upstream = '127.0.0.1:{}'\nclient.path = '{}'\n\
         session.frame_ancestors = ['https://lms.example.org']",
        server.url(),
        livekit.url(),
        nats.address(),
        ingress.url(),
        coturn.port(),
        client.path().display(),
    ))
    .await;
    let mut there = door(&gateway, coturn.port());
    there.frame = Some("https://lms.example.org".into());
    let mut findings = from_outside(there.clone(), None).await;
    // Compressing takes its time.
    for _ in 0..100 {
        if findings
            .0
            .iter()
            .all(|finding| finding.id != "outside.files" || finding.said.verdict == Well)
        {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        findings = from_outside(there.clone(), None).await;
    }
    // This NATS lets anybody in, and so stays open without a login.
    assert_eq!(
        wrong(&findings),
        [("caa", Skip), ("wasm", Skip), ("websocket", Fail)],
        "{findings}"
    );
    for said in [
        "sees us as 127.0.0.1",
        "whom LiveKit takes people for is not seen from the gateway's own address (127.0.0.1)",
        "open after 1 s, with a ping each 10 s, as the client has it",
    ] {
        assert!(findings.to_string().contains(said), "{findings}");
    }
    let all = format!("{findings}{}", findings.json());
    assert!(!all.contains(SECRET) && !all.contains("eyJ"), "{all}");
    // Nothing was made: no room was created, nobody was given a token.
    for seen in server.requests() {
        assert!(
            !seen.target.contains("create") && !seen.target.contains("getJoinToken"),
            "{}",
            seen.target
        );
    }

    let strange = from_outside(
        OutsideSettings {
            secret: Some(Secret::new("another secret that is long enough".into())),
            frame: Some("https://other.example.org".into()),
            ..there
        },
        None,
    )
    .await;
    let named: Vec<(&str, Verdict)> = wrong(&strange)
        .into_iter()
        .filter(|(id, _)| !["files", "caa", "wasm"].contains(id))
        .collect();
    assert_eq!(
        named,
        [
            ("frames", Fail),
            ("websocket", Fail),
            ("api-key", Fail),
            ("join", Fail),
            ("scheme", Fail)
        ],
        "{strange}"
    );
}

#[tokio::test]
async fn a_nats_that_asks_for_a_login_is_well_and_ends_who_gives_none() {
    for nats in [
        NatsServer::with_password("a", "b").await,
        NatsServer::with_callout(120).await,
    ] {
        let gateway = gateway_with(&format!("upstreams.nats = 'http://{}'", nats.address())).await;
        let mut there = door(&gateway, 9);
        there.silence = Duration::from_secs(30);
        let findings = from_outside(there.clone(), Some("outside.websocket")).await;
        assert_eq!(wrong(&findings), [], "{findings}");
        let findings = from_outside(there, Some("outside.websocket-stays")).await;
        assert_eq!(wrong(&findings), [("websocket-stays", Skip)], "{findings}");
        let said = &findings.0[0].said.found;
        assert!(
            said.starts_with("NATS ends whoever does not log in, here after "),
            "{said}"
        );
        assert!(
            said.ends_with(" open one from outside, and see whether its /ws stays for 30 s"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn whoever_cuts_silent_connections_is_found() {
    let peer = Peer::at("127.0.0.1:0", |mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = agreed(&String::from_utf8(head).unwrap());
        stream.write_all(answer.as_bytes()).await.unwrap();
        let info = b"INFO {\"auth_required\":true} \r\n";
        stream
            .write_all(&[&[0x82, u8::try_from(info.len()).unwrap()][..], info].concat())
            .await
            .unwrap();
        sleep(Duration::from_millis(300)).await;
    })
    .await;
    let gateway = gateway_with(&format!("upstreams.nats = 'http://{}'", peer.addr)).await;
    let mut there = door(&gateway, 9);
    there.silence = Duration::from_secs(60);
    let findings = from_outside(there, Some("outside.websocket-stays")).await;
    assert_eq!(wrong(&findings), [("websocket-stays", Fail)], "{findings}");
}

#[tokio::test]
async fn parts_that_are_away_are_each_told() {
    let gateway = nothing_behind("turn.upstream = '127.0.0.1:9'").await;
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let findings = from_outside(door(&gateway, free.local_addr().unwrap().port()), None).await;
    assert_eq!(
        wrong(&findings),
        [
            ("caa", Skip),
            ("files", Skip),
            ("wasm", Skip),
            ("health", Fail),
            ("websocket", Fail),
            ("websocket-stays", Skip),
            ("livekit", Fail),
            ("turn-tls", Fail),
            ("turn-udp", Warn),
            ("webhook", Fail),
            ("whip", Fail),
            ("api-key", Fail),
            ("scheme", Fail)
        ],
        "{findings}"
    );
    assert_eq!(findings.status(), 2);
}

/// SECURITY: no token and no signature goes to somebody whose certificate is not trusted.
#[tokio::test]
async fn nothing_is_sent_to_whoever_is_not_trusted() {
    let (gateway, other) = (gateway_with("").await, gateway_with("").await);
    let mut there = door(&gateway, 9);
    there.roots = Some(other.certificate());
    let findings = from_outside(there, None).await;
    let skipped = wrong(&findings)
        .into_iter()
        .filter(|(_, verdict)| *verdict == Skip)
        .count();
    assert_eq!(skipped, 17, "{findings}");
    assert!(wrong(&findings).contains(&("tls", Fail)), "{findings}");
}

// --- this machine ---

/// A machine whose files are in this folder, and whose gateway is configured so.
pub async fn here(root: PathBuf, toml: &str, only: &str) -> Findings {
    let config = Config::parse(toml, "gateway.toml", &[]).unwrap();
    let asked = DoctorSettings {
        places: Places {
            from: root.join("opt"),
            haproxy: root.join("haproxy"),
            root,
        },
        only: Some(only.to_owned()),
        without: Vec::new(),
        from: Standpoint::Here,
    };
    let ours = Ours {
        config: Ok(Some(&config)),
        checked: Vec::new(),
        running: Vec::new(),
    };
    look(&asked, &ours, &Clock::system()).await.unwrap()
}

#[tokio::test]
async fn parts_and_ports_of_this_machine_are_found_by_real_listeners() {
    let (server, held) = (Upstream::answering("ok").await, NatsServer::start().await);
    let port = held.address().port();
    let toml = format!(
        "listen.https = '127.0.0.1:{port}'\nlisten.http = ''\nupstreams.server = ['{}']\nupstreams.livekit = 'http://127.0.0.1:9'\n",
        server.url()
    );
    let findings = here("/".into(), &toml, "machine.ports").await;
    assert_eq!(wrong(&findings), [("ports", Fail)], "{findings}");
    let holder = format!("port {port} is held by nats-server (process ");
    assert!(findings.0[0].said.found.starts_with(&holder), "{findings}");
    // Who looks here is the test's own program.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let ours = format!("listen.https = '127.0.0.1:{own}'\nlisten.http = ''");
    let findings = here("/".into(), &ours, "machine.ports").await;
    assert_eq!(findings.0[0].said.found, format!("{own} is the gateway's"));
    let free = "listen.https = '127.0.0.1:9'\nlisten.http = ''";
    let findings = here("/".into(), free, "machine.ports").await;
    assert_eq!(findings.0[0].said.found, "9 is free");
    let findings = here("/".into(), &toml, "machine.parts").await;
    let [only] = &findings.0[..] else {
        panic!("{findings}")
    };
    assert!(
        only.said
            .found
            .starts_with("LiveKit does not answer at 127.0.0.1:9: "),
        "{findings}"
    );
}

#[tokio::test]
async fn how_livekit_takes_turn_is_found_by_asking_it() {
    for (reads_headers, verdict) in [(true, Well), (false, Warn)] {
        let coturn = coturn(reads_headers).await;
        let toml = format!("turn.upstream = '127.0.0.1:{}'", coturn.port());
        let findings = here("/".into(), &toml, "machine.turn").await;
        assert_eq!(findings.0[0].said.verdict, verdict, "{findings}");
    }
    let findings = here("/".into(), "turn.upstream = '127.0.0.1:9'", "machine.turn").await;
    assert_eq!(wrong(&findings), [("turn", Fail)], "{findings}");
}

#[tokio::test]
async fn what_the_kernel_and_the_firewall_say_is_read() {
    let livekit = "port: 7880\nturn:\n  enabled: true\n  udp_port: 443\n  domain: turn.example.org\n";
    let rules = "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in\n\
                 ### tuple ### allow tcp 7881 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### allow udp 443 0.0.0.0/0 any 0.0.0.0/0 in\n\
                 ### tuple ### allow udp 50000:60000 0.0.0.0/0 any 0.0.0.0/0 in\n";
    let good = [
        ("proc/sys/net/core/somaxconn", "4096\n"),
        ("proc/sys/net/core/rmem_max", "5000000\n"),
        ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
        ("proc/sys/net/ipv4/ip_local_reserved_ports", "40000-40010\n"),
        ("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n"),
        ("proc/1/comm", "chronyd\n"),
        ("etc/ufw/ufw.conf", "ENABLED=yes\n"),
        ("etc/ufw/user.rules", rules),
        ("opt/livekit.yaml", livekit),
    ];
    let toml = "listen.https = '0.0.0.0:40001'";
    let asked = [
        "somaxconn",
        "udp-buffers",
        "local-ports",
        "memory",
        "clock",
        "firewall",
        "haproxy",
    ];
    let folder = folder_of(&good);
    for check in asked {
        let findings = here(folder.path().to_owned(), toml, &format!("machine.{check}")).await;
        assert_eq!(wrong(&findings), [], "{findings}");
    }
    for (file, text, check, verdict) in [
        ("proc/sys/net/core/somaxconn", "128\n", "somaxconn", Warn),
        ("proc/sys/net/core/rmem_max", "212992\n", "udp-buffers", Warn),
        (
            "proc/sys/net/ipv4/ip_local_reserved_ports",
            "\n",
            "local-ports",
            Warn,
        ),
        (
            "proc/meminfo",
            "MemTotal: 8000000 kB\nMemAvailable: 100000 kB\n",
            "memory",
            Warn,
        ),
        ("proc/1/comm", "init\n", "clock", Warn),
        ("proc/1/comm", "haproxy\n", "haproxy", Warn),
        (
            "etc/ufw/user.rules",
            &rules.replace("udp 50000:60000", "udp 50000:50100"),
            "firewall",
            Fail,
        ),
        (
            "etc/ufw/user.rules",
            &rules.replace("allow udp 443", "deny udp 443"),
            "firewall",
            Fail,
        ),
    ] {
        let folder = folder_of(&good);
        fs::write(folder.path().join(file), text).unwrap();
        let findings = here(folder.path().to_owned(), toml, &format!("machine.{check}")).await;
        assert_eq!(wrong(&findings), [(check, verdict)], "{findings}");
    }
}

// --- the command ---

#[tokio::test]
async fn the_command_prints_lines_or_json_and_ends_with_its_status() {
    let folder = folder_of(&[("opt/config.yaml", "client:\n  port: 8080\n  debug: true\n")]);
    let doctor = |more: &'static [&'static str]| {
        let arguments = [&["doctor", "--from", "opt", "--haproxy", "none", "--files"], more].concat();
        let root = folder.path();
        async move {
            let said = run(root, &arguments, &[]).await;
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (said.status.code(), text(said.stdout), text(said.stderr))
        }
    };
    let found = "is on: the server logs what people send";
    let (status, said, errors) = doctor(&["--only", "server.debug"]).await;
    assert_eq!((status, errors.as_str()), (Some(1), ""));
    assert_eq!(
        said,
        format!(
            "[warn] server.debug: {found} -> write false and restart plugnmeet (opt/config.yaml:3 client.debug)\n\
             0 fail, 1 to look at, 0 ok, 0 skipped; docs/doctor.md has each of them\n"
        )
    );
    let (status, said, _) = doctor(&["--only", "server.debug", "--json"]).await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status, Some(1));
    assert_eq!(said["findings"][0]["found"], found);
    assert_eq!(
        (said["findings"][0]["area"].as_str(), said["status"].as_u64()),
        (Some("server"), Some(1))
    );
    // There is no gateway here, and nothing is said of one.
    let (_, said, _) = doctor(&["--only", "gateway.configuration"]).await;
    assert!(
        said.starts_with("[skip] gateway.configuration: there is no configuration"),
        "{said}"
    );
    let (status, _, errors) = doctor(&["--only", "nothing"]).await;
    assert_eq!(status, Some(2));
    assert!(errors.starts_with("there is no check nothing; "), "{errors}");
    let (status, said, _) = doctor(&["--explain", "nats.port"]).await;
    assert_eq!(
        (status, said.as_str()),
        (Some(0), "`websocket.port` and `upstreams.nats` have to agree\n")
    );
}
