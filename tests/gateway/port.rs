//! What shares the gateway's ports with HTTPS, over real sockets: plain TCP that goes on as it is, names whose TLS is ended
//! elsewhere, and balancers that end TLS themselves.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::support::{
    Gateway,
    addr::{nobody_listens, own},
    client::plain_get,
    peer::Peer,
    raw::{Raw, RawUpstream, header},
};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

fn tcp_to(peer: &Peer, more: &str) -> String {
    format!(
        "{more}\n[[tcp]]\nlisten = '{}'\nupstream = '{}'\n",
        own(),
        peer.addr
    )
}

/// How many tunnels of a name are open.
async fn tunnels(gateway: &Gateway, name: &str) -> usize {
    let metrics = plain_get(gateway.admin, "/metrics").await.text();
    let before = format!("plugnmeet_gateway_tunnels{{upstream=\"{name}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&before));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

async fn until_tunnels(gateway: &Gateway, name: &str, expected: usize) {
    let started = Instant::now();
    while tunnels(gateway, name).await != expected {
        assert!(started.elapsed() < PATIENCE, "{expected} of {name}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_side_ends_for_itself() {
    let peer = Peer::echoing().await;
    let gateway = Gateway::with(&tcp_to(&peer, "")).await;
    let mut connection = TcpStream::connect(gateway.tcp()[0]).await.unwrap();
    connection.write_all(b"a").await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), b'a');
    until_tunnels(&gateway, "tcp", 1).await;
    // More than all buffers between the two hold.
    let sent: Vec<u8> = (0..20_000_000_u32)
        .map(|nth| (nth >> 5).to_le_bytes()[0])
        .collect();
    let (mut from, mut to) = connection.into_split();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
        to
    });
    let mut echo = Vec::new();
    from.read_to_end(&mut echo).await.unwrap();
    assert!(echo.strip_suffix(b"end").unwrap() == expected);
    sending.await.unwrap();
    until_tunnels(&gateway, "tcp", 0).await;
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn who_speaks_first_is_heard_and_whose_end_comes_first_is_told() {
    let greeting = Peer::acting(|mut stream| async move {
        stream.write_all(b"220 ready").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"still heard");
    })
    .await;
    let gateway = Gateway::with(&tcp_to(&greeting, "")).await;
    let mut connection = TcpStream::connect(gateway.tcp()[0]).await.unwrap();
    let mut all = Vec::new();
    connection.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"220 ready");
    connection.write_all(b"still heard").await.unwrap();
    drop(connection);
    until_tunnels(&gateway, "tcp", 0).await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_who_finds_nobody_is_let_go() {
    let peer = Peer::echoing().await;
    let more = "limits.connections = 2\ntimeouts.connect = '3s'";
    let gateway = Gateway::with(&tcp_to(&peer, more)).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = TcpStream::connect(gateway.tcp()[0]).await.unwrap();
        connection.write_all(b"a").await.unwrap();
        connection.read_u8().await.unwrap();
        open.push(connection);
    }
    let third = TcpStream::connect(gateway.tcp()[0]).await.unwrap();
    assert!(Raw::over(third).rest().await.0.is_empty());
    assert_eq!(peer.connections(), 2);
    drop(open);
    until_tunnels(&gateway, "tcp", 0).await;
    let addr = peer.addr;
    drop(peer);
    nobody_listens(addr).await;
    let nobody = TcpStream::connect(gateway.tcp()[0]).await.unwrap();
    assert!(Raw::over(nobody).rest().await.0.is_empty());
}

#[tokio::test]
async fn a_stop_waits_for_relays_and_then_closes_them() {
    let peer = Peer::echoing().await;
    let gateway = Gateway::with(&tcp_to(&peer, "timeouts.drain = '20s'")).await;
    let port = gateway.tcp()[0];
    let mut ends = TcpStream::connect(port).await.unwrap();
    let mut stays = TcpStream::connect(port).await.unwrap();
    for connection in [&mut ends, &mut stays] {
        connection.write_all(b"a").await.unwrap();
        connection.read_u8().await.unwrap();
    }
    let started = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    nobody_listens(port).await;
    // Of two one closes after a third of that time, and the other at its end.
    for connection in [&mut ends, &mut stays] {
        connection.write_all(b"b").await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'b', "what is open goes on");
    }
    drop(ends);
    stays.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(6), "it closed at once");
    stopping.await.unwrap();
}

/// Writes `NAME.pem` and `NAME.key` for these names.
fn certificate_for(folder: &Path, name: &str, hosts: &[&str]) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name).with_extension("pem"), certificate.pem()).unwrap();
    fs::write(folder.join(name).with_extension("key"), key.serialize_pem()).unwrap();
}

/// Ends TLS by a certificate of its own, and says what came before the hello, and the first line inside.
async fn other_server(folder: &TempDir) -> Peer {
    certificate_for(folder.path(), "other", &["other.example.org", "a.x.example"]);
    let certificate = CertificateDer::from_pem_file(folder.path().join("other.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.path().join("other.key")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Peer::acting(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut header = Vec::new();
            let mut first = [0; 16];
            while stream.peek(&mut first).await.unwrap() < 16 {}
            if first.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
                header.resize(16 + usize::from(first[15]), 0);
                stream.read_exact(&mut header).await.unwrap();
            }
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut asked = [0; 5];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(&asked).await.unwrap();
            stream.write_all(&header).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await
}

async fn hello_over(stream: TcpStream, pem: &Path, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn asked(at: SocketAddr, pem: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut stream = hello_over(TcpStream::connect(at).await?, pem, name).await?;
    stream.write_all(b"hello").await?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    Ok(all)
}

#[tokio::test]
async fn names_of_others_are_passed_through_and_all_else_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let other = other_server(&folder).await;
    let gateway = Gateway::with(&format!(
        "[[passthrough]]\nnames = ['other.example.org', '*.x.example']\nupstream = '{}'\n",
        other.addr
    ))
    .await;
    let pem = folder.path().join("other.pem");
    for name in ["other.example.org", "OTHER.example.org", "a.x.example"] {
        assert_eq!(
            asked(gateway.https, &pem, name).await.unwrap(),
            b"hello",
            "{name}"
        );
    }
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
    // One level, and no other.
    assert!(asked(gateway.https, &pem, "b.a.x.example").await.is_err());
    assert!(asked(gateway.https, &pem, "x.example").await.is_err());
    assert_eq!(other.connections(), 3);
    until_tunnels(&gateway, "passthrough", 0).await;
}

#[tokio::test]
async fn who_is_passed_through_is_told_the_clients_address() {
    let folder = tempfile::tempdir().unwrap();
    let other = other_server(&folder).await;
    let gateway = Gateway::with(&format!(
        "[[passthrough]]\nnames = ['other.example.org']\nupstream = '{}'\nproxy_protocol = true\n",
        other.addr
    ))
    .await;
    let stream = TcpStream::connect(gateway.https).await.unwrap();
    let client = stream.local_addr().unwrap();
    let pem = folder.path().join("other.pem");
    let mut stream = hello_over(stream, &pem, "other.example.org").await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01".to_vec();
    let SocketAddr::V4(own) = gateway.https else {
        panic!("{}", gateway.https);
    };
    header.extend(own.ip().octets());
    header.extend(client.port().to_be_bytes());
    header.extend(gateway.https.port().to_be_bytes());
    assert_eq!(all, [&b"hello"[..], &header].concat());
}

/// A hello as a client sends it, whole.
async fn hello_for(name: &str) -> Vec<u8> {
    let recorder = Peer::recalling().await;
    let stream = TcpStream::connect(recorder.addr).await.unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    drop(stream);
    hello
}

/// Where names are passed through a hello is read here first, in whatever pieces it comes.
#[tokio::test]
async fn a_hello_in_pieces_arrives_byte_for_byte() {
    let peer = Peer::recalling().await;
    let gateway = Gateway::with(&format!(
        "timeouts.handshake = '10m'\n[[passthrough]]\nnames = ['other.example.org']\nupstream = '{}'\n",
        peer.addr
    ))
    .await;
    let hello = hello_for("other.example.org").await;
    let passed = async |pieces: Vec<Vec<u8>>| {
        let mut stream = TcpStream::connect(gateway.https).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    let cuts = (1..hello.len()).step_by(7).chain(1..40);
    for cut in cuts {
        let (first, rest) = hello.split_at(cut);
        let pieces = vec![first.to_vec(), rest.to_vec()];
        assert_eq!(passed(pieces).await, hello, "{cut}");
    }
    let bytes = hello.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(passed(bytes).await, hello);
    // Each byte of the message in a record of its own, and more behind it.
    let mut records: Vec<u8> = hello[5..]
        .iter()
        .flat_map(|byte| [0x16, 3, 1, 0, 1, *byte])
        .collect();
    records.extend(b"\x17\x03\x03\0\x04more");
    assert_eq!(passed(vec![records.clone()]).await, records);
}

/// Nothing that is no hello reaches an upstream, and nobody is waited for beyond the deadline.
#[tokio::test]
async fn a_hello_that_is_none_goes_nowhere() {
    let peer = Peer::recalling().await;
    let gateway = Gateway::with(&format!(
        "timeouts.handshake = '1s'\n[[passthrough]]\nnames = ['other.example.org']\nupstream = '{}'\n",
        peer.addr
    ))
    .await;
    let hello = hello_for("other.example.org").await;
    let endless: Vec<u8> = [&b"\x16\x03\x01\x40\0\x01\0\xff\xf0\x03\x03"[..], &[7; 16_373]]
        .concat()
        .repeat(4);
    let long = format!("{}.example.org", ["a".repeat(60).as_str(); 4].join("."));
    let mut ssl2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec();
    ssl2.extend([1; 37]);
    let name_of_255 = {
        let at = memchr::memmem::find(&hello, b"other.example.org").unwrap();
        let mut hello = hello.clone();
        hello[at..at + 17].copy_from_slice(&long.as_bytes()[..17]);
        hello[at] = b'.';
        hello
    };
    for (what, sent) in [
        ("nothing", Vec::new()),
        ("half of it", hello[..hello.len() / 2].to_vec()),
        ("the head of a record", hello[..5].to_vec()),
        ("more than 16 KiB", endless),
        ("SSLv2", ssl2),
        ("no name that is one", name_of_255),
        ("an alert", b"\x15\x03\x01\0\x02\x02\x28".to_vec()),
        ("zeros", vec![0; 100]),
    ] {
        let mut connection = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
        connection.try_send(&sent).await.ok();
        let (answer, _) = timeout(PATIENCE, connection.rest()).await.unwrap();
        assert!(
            answer.is_empty() || answer[0] == 0x15,
            "{what}: an alert or nothing: {answer:?}"
        );
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn those_who_say_half_a_hello_keep_nobody_out() {
    let peer = Peer::recalling().await;
    let gateway = Gateway::with(&format!(
        "timeouts.handshake = '10m'\n[[passthrough]]\nnames = ['other.example.org']\nupstream = '{}'\n",
        peer.addr
    ))
    .await;
    let hello = hello_for("other.example.org").await;
    let mut half_open = Vec::new();
    for nth in 0..300 {
        let mut stream = TcpStream::connect(gateway.https).await.unwrap();
        stream.write_all(&hello[..nth % hello.len()]).await.unwrap();
        half_open.push(stream);
    }
    assert_eq!(gateway.get("/conference", &[]).await.status, 308);
    assert_eq!(peer.connections(), 0);
}

/// Who ends TLS says what it was; whoever comes from elsewhere would be believed as well, and so does not come in.
#[tokio::test]
async fn a_balancer_that_ends_tls_calls_without_it_and_nobody_else_does() {
    let upstream = RawUpstream::content().await;
    let toml = |trusted: &str| format!("listen.plain = '{}'\ntrust.proxies = ['{trusted}']", own());
    let gateway = Gateway::everything_to(&upstream.url(), &toml("127.0.0.1")).await;
    let ask = async |fields: &str| {
        let mut connection = Raw::over(TcpStream::connect(gateway.plain()).await.unwrap());
        let head = gateway.head("GET /api/x HTTP/1.1");
        connection
            .send(format!("{head}X-Forwarded-For: 192.0.2.7\r\n{fields}\r\n"))
            .await;
        assert_eq!(connection.answer().await.status, 200);
        let seen = upstream.heads().pop().unwrap();
        assert_eq!(header(&seen, "x-forwarded-for"), Some("192.0.2.7"));
        header(&seen, "x-forwarded-proto").unwrap().to_owned()
    };
    assert_eq!(ask("X-Forwarded-Proto: https\r\n").await, "https");
    assert_eq!(ask("X-Forwarded-Proto: http\r\n").await, "http");
    let closed = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&closed.url(), &toml("192.0.2.0/24")).await;
    let mut connection = Raw::over(TcpStream::connect(gateway.plain()).await.unwrap());
    connection
        .try_send(format!("{}\r\n", gateway.head("GET /api/x HTTP/1.1")))
        .await
        .ok();
    assert!(connection.rest().await.0.is_empty());
    assert!(closed.saw_nothing());
}
