//! docs/set-ups.md: every configuration on the page, taken from the page itself, with the real front before the gateway.
//!
//! Through each of them a person opens a join link, gets the page, has a WebSocket that carries bytes both ways, and is seen
//! by plugNmeet under the own address, whatever that person claims.

mod front;
mod page;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use plugnmeet_gateway::clock::Clock;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use self::{
    front::{Front, Prepared},
    page::{block, blocks, changed},
};
use crate::support::{
    Gateway,
    addr::{free, own, own_ip},
    client::Client,
    plugnmeet::{self, oauth},
    raw::{Raw, RawAnswer, RawUpstream, header},
    websocket::agreed,
};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

const BEHIND: &str = "Behind a front that is there already";

/// All of plugNmeet: WebSockets send back what comes, requests get an empty answer.
async fn plugnmeet() -> RawUpstream {
    RawUpstream::acting(|head, mut connection| async move {
        if header(&head, "upgrade").is_none() {
            let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.try_send(empty).await.ok();
            return;
        }
        connection.send(agreed(&head)).await;
        while let Ok(bytes) = connection.some().await {
            if connection.try_send(bytes).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// A gateway whose people come by `addr`, with the page's configuration.
async fn gateway(upstream: &RawUpstream, toml: &str, addr: SocketAddr) -> Gateway {
    let origin = format!("https://localhost:{}", addr.port());
    let mut changes = vec![("https://conf.example.org", origin.as_str())];
    let plain = own();
    if toml.contains("plain") {
        changes.push(("127.0.0.1:8081", &plain));
    }
    Gateway::everything_to(&upstream.url(), &changed(toml, &changes)).await
}

/// Who meets through a front.
struct Person {
    client: Client,
    addr: SocketAddr,
    from: Ipv4Addr,
}

impl Person {
    fn new(client: Client, addr: SocketAddr) -> Self {
        let from = own_ip();
        Self { client, addr, from }
    }

    /// None while the front is not there yet.
    async fn connected(&self) -> Option<Raw<TlsStream<TcpStream>>> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((self.from, 0).into()).unwrap();
        let stream = socket.connect(self.addr).await.ok()?;
        let name = "localhost".try_into().unwrap();
        let tls = TlsConnector::from(self.client.config(b"http/1.1")).connect(name, stream);
        Some(Raw::over(tls.await.ok()?))
    }

    /// A head with an address that is not this person's.
    fn head(&self, target: &str, more: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:{}\r\nX-Forwarded-For: 192.0.2.9\r\n{more}\r\n",
            self.addr.port()
        )
    }

    async fn get(&self, target: &str, more: &str) -> RawAnswer {
        let mut connection = self.connected().await.expect("nobody there");
        connection.send(self.head(target, more)).await;
        connection.answer().await
    }

    /// Waits until a request comes through.
    async fn until_open(&self, front: &Front) {
        let started = Instant::now();
        loop {
            if let Some(mut connection) = self.connected().await
                && connection.try_send(self.head("/api/open", "")).await.is_ok()
                && let Ok(answer) = connection.try_answer().await
                && answer.status == 200
            {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "never open: {}", front.said());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// From the link to the page.
    async fn joins(&self, gateway: &Gateway) {
        let token = gateway.token("room01", "ann");
        let link = self.get(&format!("/conference/?access_token={token}"), "").await;
        let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
        assert_eq!(
            (link.status, link.header("location")),
            (303, Some(path.as_str())),
            "{link:?}"
        );
        let cookies: Vec<&str> = link
            .head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, cookie)| cookie.split(';').next())
            .collect();
        assert!(
            cookies.contains(&format!("pnm_access_token={token}").as_str()),
            "{link:?}"
        );
        let page = self
            .get(&path, &format!("Cookie: {}\r\n", cookies.join("; ")))
            .await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{page:?}"
        );
    }

    /// A WebSocket that carries bytes both ways.
    async fn talks(&self) {
        let mut socket = self.connected().await.unwrap();
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        socket.send(self.head("/livekit/rtc", upgrade)).await;
        let answer = socket.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        // A text of five letters, masked with zeros.
        let frame = [&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat();
        socket.send(&frame).await;
        assert_eq!(socket.exactly(frame.len()).await.unwrap(), frame);
    }

    /// plugNmeet sees this person's own address and the scheme, and a request line as long as LiveKit's.
    async fn is_seen_by(&self, upstream: &RawUpstream) {
        let target = format!("/api/seen?{}", "a".repeat(17_000));
        assert_eq!(self.get(&target, "").await.status, 200);
        let heads = upstream.heads();
        let line = format!("GET {target} HTTP/1.1\r\n");
        let seen = heads.iter().find(|head| head.starts_with(&line)).unwrap();
        assert_eq!(
            header(seen, "x-forwarded-for"),
            Some(self.from.to_string().as_str())
        );
        assert_eq!(header(seen, "x-forwarded-proto"), Some("https"));
        let host = format!("localhost:{}", self.addr.port());
        assert_eq!(header(seen, "host"), Some(host.as_str()));
    }

    async fn meets_through(&self, front: &Front, gateway: &Gateway, upstream: &RawUpstream) {
        let all = async {
            self.until_open(front).await;
            self.joins(gateway).await;
            self.talks().await;
            self.is_seen_by(upstream).await;
        };
        timeout(PATIENCE, all)
            .await
            .unwrap_or_else(|_| panic!("hangs: {}", front.said()));
    }
}

/// The front's own certificate, or the gateway's where TLS passes it.
fn trusting(certificate: &Path, addr: SocketAddr) -> Person {
    Person::new(Client::trusting(certificate, addr), addr)
}

#[tokio::test]
async fn behind_an_nginx_that_ends_tls() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 0), addr).await;
    let person = trusting(&front.certificate(), addr);
    let certificate = front.certificate().display().to_string();
    let site = changed(
        &block("nginx", "nginx", 0),
        &[
            ("127.0.0.1:8081", &gateway.plain().to_string()),
            ("listen 443", &format!("listen {addr}")),
            (
                "/etc/letsencrypt/live/conf.example.org/fullchain.pem",
                &certificate,
            ),
            (
                "/etc/letsencrypt/live/conf.example.org/privkey.pem",
                &front.key().display().to_string(),
            ),
            ("conf.example.org", "localhost"),
        ],
    );
    let front = front.nginx(&format!("http {{\naccess_log off;\n{site}}}\n"));
    person.meets_through(&front, &gateway, &upstream).await;
}

#[tokio::test]
async fn behind_an_nginx_that_passes_tls_on() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 1), addr).await;
    let person = trusting(&gateway.certificate(), addr);
    let stream = changed(
        &block("nginx", "nginx", 1),
        &[
            ("127.0.0.1:8443", &gateway.https.to_string()),
            ("listen 443", &format!("listen {addr}")),
            ("conf.example.org", "localhost"),
        ],
    );
    let front = front.nginx(&stream);
    person.meets_through(&front, &gateway, &upstream).await;
}

/// The page's Caddyfile with a certificate that is there, at the test's address.
fn caddyfile(nth: usize, front: &Prepared, addr: SocketAddr, upstream: (&str, SocketAddr)) -> String {
    let site = format!(
        "https://localhost:{} {{\n\tbind {}\n\ttls {} {}\n",
        addr.port(),
        addr.ip(),
        front.certificate().display(),
        front.key().display()
    );
    let quiet = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tservers {";
    let text = changed(
        &block("Caddy", "caddyfile", nth),
        &[
            ("{\n\tservers {", quiet),
            ("conf.example.org {\n", &site),
            (upstream.0, &upstream.1.to_string()),
        ],
    );
    text.replace("conf.example.org", "localhost")
}

#[tokio::test]
async fn behind_a_caddy_that_ends_tls() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 0), addr).await;
    let person = trusting(&front.certificate(), addr);
    let caddyfile = caddyfile(0, &front, addr, ("127.0.0.1:8081", gateway.plain()));
    let front = front.caddy(&caddyfile);
    person.meets_through(&front, &gateway, &upstream).await;
}

#[tokio::test]
async fn behind_a_caddy_that_sends_proxy_headers() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 1), addr).await;
    let person = trusting(&front.certificate(), addr);
    let caddyfile = caddyfile(1, &front, addr, ("127.0.0.1:8443", gateway.https));
    let front = front.caddy(&caddyfile);
    person.meets_through(&front, &gateway, &upstream).await;
}

#[tokio::test]
async fn behind_a_traefik_that_ends_tls() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 0), addr).await;
    let person = trusting(&front.certificate(), addr);
    let routes = changed(
        &block("Traefik", "yaml", 0),
        &[
            ("127.0.0.1:8081", &gateway.plain().to_string()),
            ("conf.example.org", "localhost"),
        ],
    );
    let certificates = format!(
        "tls:\n  certificates:\n    - certFile: {}\n      keyFile: {}\n",
        front.certificate().display(),
        front.key().display()
    );
    let front = front.traefik(addr, &(routes + &certificates));
    person.meets_through(&front, &gateway, &upstream).await;
}

#[tokio::test]
async fn behind_a_traefik_that_passes_tls_on() {
    let (upstream, addr, front) = (plugnmeet().await, free(), Prepared::new());
    let gateway = gateway(&upstream, &block(BEHIND, "toml", 1), addr).await;
    let person = trusting(&gateway.certificate(), addr);
    let routes = changed(
        &block("Traefik", "yaml", 1),
        &[
            ("127.0.0.1:8443", &gateway.https.to_string()),
            ("conf.example.org", "localhost"),
        ],
    );
    let front = front.traefik(addr, &routes);
    person.meets_through(&front, &gateway, &upstream).await;
}

/// Whoever comes past the front gets nothing, at either address.
#[tokio::test]
async fn who_is_no_front_gets_nothing() {
    let upstream = plugnmeet().await;
    for (nth, with_tls) in [(0, false), (1, true)] {
        let toml = changed(
            &block(BEHIND, "toml", nth),
            &[("proxies = [\"127.0.0.1\"]", "proxies = [\"192.0.2.1\"]")],
        );
        let gateway = gateway(&upstream, &toml, free()).await;
        let addr = if with_tls { gateway.https } else { gateway.plain() };
        let mut connection = Raw::over(TcpStream::connect(addr).await.unwrap());
        connection
            .try_send(gateway.head("GET /api/x HTTP/1.1") + "\r\n")
            .await
            .ok();
        assert!(connection.rest().await.0.is_empty(), "{nth}");
    }
    assert!(upstream.saw_nothing());
}

/// Links, pages and WebSockets have the port; an LTI launch is refused by plugnmeet-server, which checks another address than
/// was signed.
#[tokio::test]
async fn on_another_port_people_meet_and_lti_does_not_work() {
    let (upstream, addr) = (plugnmeet().await, free());
    let toml = |addr: SocketAddr| {
        changed(
            &block("Another port than 443", "toml", 0),
            &[
                (
                    "https://conf.example.org:8443",
                    &format!("https://localhost:{}", addr.port()),
                ),
                ("0.0.0.0:8443", &addr.to_string()),
            ],
        )
    };
    let all = format!(
        "upstreams.server = ['{0}']\nupstreams.livekit = '{0}'\n",
        upstream.url()
    );
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let gateway = Gateway::start(folder, &clock, &addr.to_string(), &(all + &toml(addr))).await;
    let person = trusting(&gateway.certificate(), addr);
    person.joins(&gateway).await;
    person.talks().await;
    person.is_seen_by(&upstream).await;

    let server = plugnmeet::PlugNmeet::as_installed(&clock, "https://localhost").await;
    let addr = free();
    let toml = format!("upstreams.server = ['{}']\n{}", server.url(), toml(addr));
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder, &clock, &addr.to_string(), &toml).await;
    for (signed_for, status) in [
        (format!("https://localhost:{}", addr.port()), 500),
        ("https://localhost".to_owned(), 200),
    ] {
        let form = "user_id=7&roles=Instructor&oauth_consumer_key=plugnmeet&oauth_signature_method=HMAC-SHA1";
        let form = oauth::signed(&format!("{signed_for}/lti/v1"), form);
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = gateway.post("/lti/v1", &kind, form.as_bytes()).await;
        assert_eq!(answer.status, status, "{signed_for}: {}", answer.text());
        if status == 500 {
            assert_eq!(answer.text(), "verification failed");
        }
    }
}

/// No configuration stands on the page that no test reads.
#[test]
fn every_configuration_on_the_page_is_tried() {
    let found: Vec<(String, String)> = blocks()
        .into_iter()
        .map(|(heading, language, _)| (heading, language))
        .collect();
    let expected = [
        (BEHIND, "toml"),
        (BEHIND, "toml"),
        ("nginx", "nginx"),
        ("nginx", "nginx"),
        ("Caddy", "caddyfile"),
        ("Caddy", "caddyfile"),
        ("Traefik", "yaml"),
        ("Traefik", "yaml"),
        ("Another port than 443", "toml"),
    ];
    assert_eq!(
        found,
        expected.map(|(heading, language)| (heading.to_owned(), language.to_owned()))
    );
}
