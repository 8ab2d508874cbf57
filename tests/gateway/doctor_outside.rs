//! `doctor --from-outside` against whatever else may answer a public address: a HAProxy that takes old TLS, cuts uploads and
//! changes media types, and records of DNS that keep a CA out.

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};

use hyper::{Response, StatusCode};
use plugnmeet_gateway::doctor::{OutsideSettings, Verdict};
use rcgen::{CertificateParams, DnType, KeyPair};
use simple_dns::{
    CLASS, Name, Packet, ResourceRecord, TYPE,
    rdata::{CAA, RData},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpStream, UdpSocket},
    process::{Child, Command},
    task::AbortHandle,
    time::{Instant, sleep},
};

use crate::{
    doctor::{door, from_outside, gateway_with, wrong},
    support::{
        addr::free_port,
        folder_of,
        upstream::{Upstream, text_body},
    },
};
use Verdict::{Fail, Ok as Well, Skip, Warn};

/// HAProxy on localhost, gone when dropped.
struct Proxy {
    port: u16,
    folder: TempDir,
    _child: Child,
}

impl Proxy {
    /// With these words on its `bind` line, and these lines of a frontend.
    async fn with(bind: &str, lines: &[String]) -> Self {
        let port = free_port();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "Let's Encrypt");
        let key = KeyPair::generate().unwrap();
        let (certificate, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let folder = folder_of(&[
            ("both.pem", &format!("{certificate}{key}")),
            ("root.pem", &certificate),
        ]);
        let config = format!(
            "global\n    tune.ssl.default-dh-param 2048\ndefaults\n    mode http\n    timeout connect 9s\n    timeout client \
             99s\n    timeout server 99s\nfrontend front\n    bind 127.0.0.1:{port} ssl crt {}/both.pem {bind}\n    {}\n",
            folder.path().display(),
            lines.join("\n    ")
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "HAProxy does not start"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            port,
            folder,
            _child: child,
        }
    }

    /// This address in the place of the gateway's.
    fn door(&self, door: OutsideSettings) -> OutsideSettings {
        OutsideSettings {
            url: format!("https://localhost:{}", self.port).parse().unwrap(),
            roots: Some(self.folder.path().join("root.pem")),
            ..door
        }
    }
}

/// In front of a gateway, as a backend.
fn to(gateway: SocketAddr) -> [String; 3] {
    [
        "default_backend back".to_owned(),
        "backend back".to_owned(),
        format!("server it {gateway} ssl verify none sni str(localhost)"),
    ]
}

#[tokio::test]
async fn old_tls_is_found_and_the_gateway_takes_none() {
    let gateway = gateway_with("").await;
    let findings = from_outside(door(&gateway, 9), Some("outside.old-tls")).await;
    assert_eq!(wrong(&findings), [], "{findings}");
    let lines = ["http-request return status 200".to_owned()];
    for (min, said) in [
        (
            "ssl-min-ver TLSv1.0 ciphers DEFAULT:@SECLEVEL=0",
            "TLS 1.0 and TLS 1.1 is accepted",
        ),
        (
            "ssl-min-ver TLSv1.1 ciphers DEFAULT:@SECLEVEL=0",
            "TLS 1.1 is accepted",
        ),
    ] {
        let proxy = Proxy::with(min, &lines).await;
        let findings = from_outside(proxy.door(door(&gateway, 9)), Some("outside.old-tls")).await;
        assert_eq!(wrong(&findings), [("old-tls", Warn)], "{findings}");
        assert!(findings.0[0].said.found.starts_with(said), "{findings}");
    }
    let proxy = Proxy::with("ssl-min-ver TLSv1.2", &lines).await;
    let findings = from_outside(proxy.door(door(&gateway, 9)), Some("outside.old-tls")).await;
    assert_eq!(wrong(&findings), [], "{findings}");
}

#[tokio::test]
async fn an_upload_of_one_byte_too_many_is_413_or_somebody_is_told_of() {
    let gateway = gateway_with("sizes.body = '300KiB'").await;
    let door = |bytes| OutsideSettings {
        body_bytes: bytes,
        ..door(&gateway, 9)
    };
    let findings = from_outside(door(300 << 10), Some("outside.sizes")).await;
    assert_eq!(findings.0[0].said.found, "413 for a body of 307201 bytes");
    // One byte less goes through, to a server that is not there.
    let findings = from_outside(door((300 << 10) - 1), Some("outside.sizes")).await;
    assert_eq!(wrong(&findings), [("sizes", Warn)], "{findings}");
    let cut = "http-request reject if { req.hdr_val(content-length) gt 100000 }".to_owned();
    let lines = [&[cut][..], &to(gateway.https)].concat();
    let proxy = Proxy::with("", &lines).await;
    let findings = from_outside(proxy.door(door(300 << 10)), Some("outside.sizes")).await;
    assert_eq!(wrong(&findings), [("sizes", Fail)], "{findings}");
}

#[tokio::test]
async fn a_module_of_another_media_type_is_found() {
    let page = "<head><script type=\"module\" src=\"./assets/js/main-module.AbCd1234.js\"></script></head>";
    let client = folder_of(&[
        ("index.html", page),
        (
            "assets/js/main-module.AbCd1234.js",
            "fetch('assets/back/simd.wasm')",
        ),
        ("assets/back/simd.wasm", "\0asm"),
    ]);
    let gateway = gateway_with(&format!("client.path = '{}'", client.path().display())).await;
    let findings = from_outside(door(&gateway, 9), Some("outside.wasm")).await;
    assert_eq!(findings.0[0].said.verdict, Well, "{findings}");
    let change = "http-response set-header content-type application/octet-stream if { res.hdr(content-type) application/wasm }";
    let [backend, name, server] = to(gateway.https);
    let proxy = Proxy::with("", &[backend, name, change.to_owned(), server]).await;
    let mut there = proxy.door(door(&gateway, 9));
    let findings = from_outside(there.clone(), Some("outside.wasm")).await;
    assert_eq!(wrong(&findings), [("wasm", Warn)], "{findings}");
    fs::remove_file(client.path().join("assets/back/simd.wasm")).unwrap();
    there.secret = None;
    let findings = from_outside(there, Some("outside.wasm")).await;
    assert_eq!(wrong(&findings), [("wasm", Skip)], "{findings}");
}

#[tokio::test]
async fn what_the_gateway_says_itself_is_not_taken_for_an_upstreams_answer() {
    let no_stream = Upstream::handling(|_| async {
        let mut answer = Response::new(text_body("no such stream"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
    })
    .await;
    let forbids = Upstream::handling(|_| async {
        let mut answer = Response::new(text_body("Forbidden"));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        answer
    })
    .await;
    let nowhere = "upstreams.ingress = ''\nupstreams.livekit = ''\ntrust.internal = ['192.0.2.1']".to_owned();
    let there = format!(
        "upstreams.ingress = '{}'\nupstreams.server = ['{}']",
        no_stream.url(),
        forbids.url()
    );
    for (toml, check, verdict, said) in [
        (
            &nowhere,
            "whip",
            Skip,
            "the gateway has no ingress (upstreams.ingress)",
        ),
        (&there, "whip", Well, "404 for a stream that is none"),
        (&nowhere, "livekit", Fail, "the gateway leads nowhere here"),
        (
            &nowhere,
            "webhook",
            Skip,
            "the gateway lets plugNmeet's own machines alone there (trust.internal), and not this one",
        ),
        (&there, "webhook", Well, "403 without a signature"),
    ] {
        let gateway = gateway_with(toml).await;
        let findings = from_outside(door(&gateway, 9), Some(&format!("outside.{check}"))).await;
        let [only] = &findings.0[..] else {
            panic!("{findings}")
        };
        assert_eq!(
            (only.said.verdict, only.said.found.as_str()),
            (verdict, said),
            "{check}: {findings}"
        );
    }
}

/// A server of DNS with these CAA records; gone when dropped.
struct Dns {
    addr: SocketAddr,
    task: AbortHandle,
}

impl Dns {
    /// A name, and the values of its `issue` records.
    async fn with(records: &'static [(&'static str, &'static str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut got = [0; 512];
            while let Ok((read, from)) = socket.recv_from(&mut got).await {
                let question = Packet::parse(&got[..read]).unwrap();
                let asked = question.questions[0].clone();
                assert_eq!(asked.qtype, TYPE::CAA.into());
                let name = asked.qname.to_string();
                let mut answer = question.into_reply();
                for (_, value) in records.iter().filter(|(of, _)| *of == name) {
                    let caa = CAA {
                        flag: 0,
                        tag: "issue".try_into().unwrap(),
                        value: value.as_bytes().into(),
                    };
                    let of = Name::new(&name).unwrap().into_owned();
                    answer
                        .answers
                        .push(ResourceRecord::new(of, CLASS::IN, 60, RData::CAA(caa)));
                }
                let bytes = answer.build_bytes_vec().unwrap();
                socket.send_to(&bytes, from).await.unwrap();
            }
        });
        Self {
            addr,
            task: task.abort_handle(),
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn records_that_keep_the_ca_out_are_found() {
    let gateway = gateway_with("").await;
    let proxy = Proxy::with("", &["http-request return status 200".to_owned()]).await;
    for (records, verdict, said) in [
        (&[][..], Well, "no CAA record, so that any CA may"),
        (
            &[("localhost", "letsencrypt.org; validationmethods=http-01")],
            Well,
            "the CAA records of localhost let in Let's Encrypt",
        ),
        (
            &[("localhost", "digicert.com"), ("localhost", "letsencrypt.org")],
            Well,
            "the CAA records of localhost let in Let's Encrypt",
        ),
        (
            &[("localhost", "digicert.com")],
            Fail,
            "the CAA records of localhost let in digicert.com, and the certificate is of Let's Encrypt: the next one is refused",
        ),
        (
            &[("localhost", ";")],
            Fail,
            "the CAA records of localhost let in no CA at all, and the certificate is of Let's Encrypt: the next one is refused",
        ),
        (&[("other", ";")], Well, "no CAA record, so that any CA may"),
    ] {
        let dns = Dns::with(records).await;
        let mut there = proxy.door(door(&gateway, 9));
        there.resolver = Some(dns.addr);
        let findings = from_outside(there, Some("outside.caa")).await;
        let [only] = &findings.0[..] else {
            panic!("{findings}")
        };
        assert_eq!(
            (only.said.verdict, only.said.found.as_str()),
            (verdict, said),
            "{findings}"
        );
    }
    let findings = from_outside(proxy.door(door(&gateway, 9)), Some("outside.caa")).await;
    assert_eq!(wrong(&findings), [("caa", Skip)], "{findings}");
}
