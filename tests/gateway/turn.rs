//! TURN on the port of HTTPS, over real sockets: what is TURN's, how LiveKit wants it, and that silence is normal. LiveKit is
//! a script here, and coturn.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    Gateway,
    addr::own,
    binary::{Serving, anywhere, run},
    client::plain_get,
    peer::Peer,
    raw::Raw,
};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// How LiveKit takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// A PROXY header; without one it closes.
    Header,
    /// None; with one it closes.
    Plain,
    /// A header, and not from us: it resets.
    HeaderOfOthers,
    /// A hello, for which it waits.
    Tls,
}

/// LiveKit's TURN, as far as Binding requests go.
struct LiveKit {
    peer: Peer,
    wants: Arc<Mutex<Wants>>,
    headers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl LiveKit {
    async fn that(wants: Wants) -> Self {
        Self::at(&own(), wants).await
    }

    async fn at(addr: &str, wants: Wants) -> Self {
        let (wants, headers) = (Arc::new(Mutex::new(wants)), Arc::default());
        let (now, record) = (Arc::clone(&wants), Arc::clone(&headers));
        let peer = Peer::at(addr, move |stream| {
            let wants = *now.lock().unwrap();
            serve(stream, wants, Arc::clone(&record))
        })
        .await;
        Self { peer, wants, headers }
    }

    fn toml(&self) -> String {
        format!("turn.upstream = '{}'\n", self.peer.addr)
    }

    /// The headers of clients; those of the gateway's own questions are left out.
    fn headers_of_clients(&self) -> Vec<Vec<u8>> {
        let asked = Ipv4Addr::new(192, 0, 2, 1).octets();
        let headers = self.headers.lock().unwrap();
        headers
            .iter()
            .filter(|header| header[16..20] != asked)
            .cloned()
            .collect()
    }
}

async fn serve(mut stream: TcpStream, wants: Wants, headers: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut first = [0; 16];
    let mut seen = 0;
    while seen < 12 {
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => seen = bytes,
        }
    }
    let mut source = stream.peer_addr().unwrap();
    match (wants, first.starts_with(SIGNATURE)) {
        (Wants::Header, true) => {
            let mut header = vec![0; 16];
            stream.read_exact(&mut header).await.unwrap();
            header.resize(16 + usize::from(header[15]), 0);
            stream.read_exact(&mut header[16..]).await.unwrap();
            source = source_of(&header);
            headers.lock().unwrap().push(header);
        }
        (Wants::Plain, false) => {}
        (Wants::Header, false) | (Wants::Plain, true) => {
            let mut all = [0; 1024];
            let _: Option<usize> = stream.read(&mut all).await.ok();
            return;
        }
        (Wants::HeaderOfOthers, _) => {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            return;
        }
        (Wants::Tls, _) => {
            sleep(Duration::from_secs(60)).await;
            return;
        }
    }
    let mut request = [0; 20];
    while stream.read_exact(&mut request).await.is_ok() {
        stream.write_all(&success(&request, source)).await.unwrap();
    }
}

fn source_of(header: &[u8]) -> SocketAddr {
    let (ip, ports) = match header[13] {
        0x11 => (IpAddr::from(<[u8; 4]>::try_from(&header[16..20]).unwrap()), 24),
        _ => (IpAddr::from(<[u8; 16]>::try_from(&header[16..32]).unwrap()), 48),
    };
    SocketAddr::new(ip, u16::from_be_bytes([header[ports], header[ports + 1]]))
}

fn destination_of(header: &[u8]) -> IpAddr {
    match header[13] {
        0x11 => <[u8; 4]>::try_from(&header[20..24]).unwrap().into(),
        _ => <[u8; 16]>::try_from(&header[32..48]).unwrap().into(),
    }
}

fn mask(request: &[u8], bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .zip(&request[4..])
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// Binding, answered with who asked.
fn success(request: &[u8], source: SocketAddr) -> Vec<u8> {
    let (family, ip) = match source.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let length = u8::try_from(ip.len()).unwrap() + 4;
    let mut answer = vec![1, 1, 0, length + 4];
    answer.extend(&request[4..20]);
    answer.extend([0, 0x20, 0, length, 0, family]);
    answer.extend(mask(request, &source.port().to_be_bytes()));
    answer.extend(mask(request, &ip));
    answer
}

const BINDING: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

async fn over_tls(gateway: &Gateway, name: &str, alpn: &[&str]) -> (TlsStream<TcpStream>, SocketAddr) {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(gateway.certificate()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(gateway.https).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let own = stream.local_addr().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    (stream, own)
}

/// Who we are to TURN, over this connection.
async fn bind(stream: &mut TlsStream<TcpStream>) -> SocketAddr {
    stream.write_all(&BINDING).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut TlsStream<TcpStream>) -> SocketAddr {
    let mut got = vec![0; 20];
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&got[..2], &got[4..8], &got[8..20]),
        (&[1, 1][..], &COOKIE[..], &BINDING[8..])
    );
    got.resize(20 + usize::from(got[3]), 0);
    stream.read_exact(&mut got[20..]).await.unwrap();
    let port = mask(&BINDING, &got[26..28]);
    let ip = mask(&BINDING, &got[28..]);
    let ip = match got[25] {
        1 => IpAddr::from(<[u8; 4]>::try_from(&ip[..]).unwrap()),
        _ => IpAddr::from(<[u8; 16]>::try_from(&ip[..]).unwrap()),
    };
    SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
}

#[tokio::test]
async fn one_name_serves_turn_and_https() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::with(&livekit.toml()).await;
    for alpn in [
        &[][..],
        &["http/1.1"],
        &["stun.turn"],
        &["stun.nat-discovery", "stun.turn"],
        &["h2", "http/1.1", "stun.turn"],
    ] {
        let (mut stream, own) = over_tls(&gateway, "localhost", alpn).await;
        assert_eq!(bind(&mut stream).await, own, "{alpn:?}");
        // Each side ends for itself.
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    assert_eq!(livekit.headers_of_clients().len(), 5);
    // HTTP as ever, an empty line before it included, and however it comes.
    let request = format!("{}\r\n", gateway.head("GET /conference HTTP/1.1"));
    for (alpn, before) in [(&[][..], ""), (&["http/1.1"], ""), (&[], "\r\n"), (&[], "\n")] {
        let (stream, _) = over_tls(&gateway, "localhost", alpn).await;
        let mut connection = Raw::over(stream);
        for byte in format!("{before}{request}").into_bytes() {
            connection.send([byte]).await;
        }
        assert_eq!(connection.answer().await.status, 308, "{alpn:?} {before:?}");
        connection.send(&request).await;
        assert_eq!(connection.answer().await.status, 308, "and again");
    }
    let (stream, _) = over_tls(&gateway, "localhost", &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(livekit.headers_of_clients().len(), 5);
}

/// The cookie decides, which is in the fifth to eighth byte.
#[tokio::test]
async fn a_message_in_pieces_is_one_and_what_only_looks_like_one_is_none() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::with(&livekit.toml()).await;
    let (mut stream, own) = over_tls(&gateway, "localhost", &[]).await;
    for byte in BINDING {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(answer(&mut stream).await, own);
    // And many at once are as many.
    stream.write_all(&BINDING.repeat(2000)).await.unwrap();
    for _ in 0..2000 {
        assert_eq!(answer(&mut stream).await, own);
    }
    let (mut stream, _) = over_tls(&gateway, "localhost", &[]).await;
    let mut odd = BINDING;
    odd[7] ^= 1;
    stream.write_all(&odd).await.unwrap();
    let mut connection = Raw::over(stream);
    connection.try_send("\r\n\r\n").await.ok();
    assert_eq!(connection.answer().await.status, 400);
    assert_eq!(livekit.headers_of_clients().len(), 1);
}

#[tokio::test]
async fn without_turn_nothing_is_turns() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::embedded().await;
    let (mut stream, _) = over_tls(&gateway, "localhost", &[]).await;
    stream.write_all(&BINDING).await.unwrap();
    let mut connection = Raw::over(stream);
    connection.try_send("\r\n\r\n").await.ok();
    assert_eq!(connection.answer().await.status, 400);
    assert_eq!(livekit.peer.connections(), 0);
}

#[tokio::test]
async fn a_name_of_turns_own_serves_nothing_else() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::with(&format!("{}turn.names = ['turn.localhost']\n", livekit.toml())).await;
    for alpn in [&[][..], &["http/1.1"], &["h2"]] {
        let (mut stream, own) = over_tls(&gateway, "turn.localhost", alpn).await;
        assert_eq!(bind(&mut stream).await, own, "{alpn:?}");
    }
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
}

/// Browsers open one connection for each of their addresses, and leave most of them without a word.
#[tokio::test]
async fn silence_is_normal_and_ends_without_a_word() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::with(&format!("{}timeouts.idle = '4s'\n", livekit.toml())).await;
    let (mut first, own) = over_tls(&gateway, "localhost", &[]).await;
    assert_eq!(bind(&mut first).await, own);
    for alpn in [&[][..], &["stun.turn"]] {
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(over_tls(&gateway, "localhost", alpn).await.0);
        }
        let mut late = silent.pop().unwrap();
        sleep(Duration::from_millis(300)).await;
        bind(&mut late).await;
        for stream in silent {
            let (bytes, _) = Raw::over(stream).rest().await;
            assert!(bytes.is_empty(), "{bytes:?}");
        }
        // An open relay is not held to that.
        sleep(Duration::from_millis(4500)).await;
        bind(&mut late).await;
    }
    bind(&mut first).await;
    assert_eq!(livekit.headers_of_clients().len(), 3);
    let metrics = plain_get(gateway.admin, "/metrics").await.text();
    assert!(!metrics.contains("connections_refused_total{"), "{metrics}");
}

/// LiveKit takes the family of a relay from the header's destination, and its relays have IPv4 alone.
#[tokio::test]
async fn an_ipv6_client_has_its_own_address_and_an_ipv4_destination() {
    let livekit = LiveKit::that(Wants::Header).await;
    let clock = plugnmeet_gateway::clock::Clock::system();
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder, &clock, "[::1]:0", &livekit.toml()).await;
    let (mut stream, own) = over_tls(&gateway, "localhost", &[]).await;
    assert_eq!(own.ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
    assert_eq!(bind(&mut stream).await, own);
    let headers = livekit.headers_of_clients();
    let IpAddr::V6(destination) = destination_of(&headers[0]) else {
        panic!("{headers:?}");
    };
    assert!(destination.to_ipv4_mapped().is_some(), "{destination}");
}

#[tokio::test]
async fn a_livekit_that_comes_back_otherwise_is_asked_again() {
    let livekit = LiveKit::that(Wants::Header).await;
    let gateway = Gateway::with(&livekit.toml()).await;
    let (mut stream, own) = over_tls(&gateway, "localhost", &[]).await;
    assert_eq!(bind(&mut stream).await, own);
    let addr = livekit.peer.addr.to_string();
    drop(livekit);
    drop(stream);
    let other = loop {
        sleep(Duration::from_millis(300)).await;
        if TcpStream::connect(&addr).await.is_err() {
            break LiveKit::at(&addr, Wants::Plain).await;
        }
    };
    let started = Instant::now();
    loop {
        let (mut stream, own) = over_tls(&gateway, "localhost", &[]).await;
        stream.write_all(&BINDING).await.unwrap();
        let mut got = vec![0; 32];
        if stream.read_exact(&mut got).await.is_ok() {
            assert_eq!(&got[..2], [1, 1]);
            assert_ne!(
                mask(&BINDING, &got[26..28]),
                own.port().to_be_bytes(),
                "it sees the gateway"
            );
            break;
        }
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(*other.wants.lock().unwrap(), Wants::Plain);
}

/// What is found is told once, as LiveKit says nothing about it.
#[tokio::test]
async fn the_log_says_how_livekit_takes_connections() {
    for (wants, addr, word, expected) in [
        (
            Wants::Header,
            own(),
            "proxy_header",
            "LiveKit reads PROXY headers, and so knows",
        ),
        (
            Wants::Plain,
            own(),
            "plain",
            "LiveKit reads no PROXY header and is reached over loopback",
        ),
        (
            Wants::Plain,
            "0.0.0.0:0".to_owned(),
            "plain",
            "LiveKit reads no PROXY header, and so takes this machine",
        ),
        (
            Wants::HeaderOfOthers,
            own(),
            "not_trusted",
            "LiveKit reads PROXY headers, and not from this machine",
        ),
        (Wants::Tls, own(), "tls_inside", "LiveKit ends TLS itself"),
    ] {
        let livekit = LiveKit::at(&addr, wants).await;
        let upstream = livekit.peer.addr.to_string().replace("0.0.0.0", "127.0.0.1");
        let folder = tempfile::tempdir().unwrap();
        let variables = [&anywhere()[..], &[("TURN__UPSTREAM", upstream.as_str())]].concat();
        let mut serving = Serving::start(folder.path(), &["serve"], &variables).await;
        serving.says("TURN: ").await;
        sleep(Duration::from_millis(2500)).await;
        let told = run(folder.path(), &["status", "--json"], &[]).await;
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        let status = told["turn"].as_str().unwrap().to_owned();
        serving.signal("TERM").await;
        let (_, said) = serving.end().await;
        assert!(said.contains(expected), "{wants:?}: {said}");
        assert_eq!(status, word, "{wants:?}");
        assert_eq!(said.matches("TURN: ").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_livekit_that_ends_tls_gets_its_names_connections_as_they_came() {
    let livekit = LiveKit::that(Wants::Tls).await;
    let gateway = Gateway::with(&format!("{}turn.names = ['turn.localhost']\n", livekit.toml())).await;
    // The questions of the gateway have waited for their second by then.
    sleep(Duration::from_millis(1500)).await;
    let asked = livekit.peer.connections();
    let mut stream = TcpStream::connect(gateway.https).await.unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("turn.localhost").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    stream.write_all(&hello).await.unwrap();
    let started = Instant::now();
    while livekit.peer.connections() == asked {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
}
