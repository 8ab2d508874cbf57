//! The stream beside rustls' own buffered connection: the same bytes, ends, errors and alerts, however they come in.

use std::io::Read as _;

use rustls::{
    ClientConfig, ClientConnection, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::tls::testing::{configured, credulous};

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rustls,
    Us,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

fn client(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(credulous(aws_lc_rs::default_provider(), &[version]))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("conf.example.org").unwrap()
}

async fn accept(by: By, stream: DuplexStream) -> io::Result<Box<dyn Stream>> {
    let config = configured();
    Ok(match by {
        By::Rustls => Box::new(TlsAcceptor::from(config).accept(stream).await?),
        By::Us => Box::new(TlsStream::accept(stream, Vec::new(), config, Arc::default(), None).await?),
    })
}

/// A client of rustls', whose records are handed over by the test.
struct Client {
    tls: ClientConnection,
    wire: DuplexStream,
}

impl Client {
    /// The records that are to be sent.
    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    fn say(&mut self, text: &[u8]) -> Vec<u8> {
        io::Write::write_all(&mut self.tls.writer(), text).unwrap();
        self.records()
    }

    async fn send(&mut self, records: &[u8]) {
        self.wire.write_all(records).await.unwrap();
    }

    /// Reads all that comes until the server is gone: the plaintext, and how it ended.
    async fn all(mut self) -> (Vec<u8>, Result<(), String>) {
        let mut records = Vec::new();
        self.wire.read_to_end(&mut records).await.unwrap();
        let (mut records, mut plain) = (&records[..], Vec::new());
        loop {
            let read = self.tls.read_tls(&mut records).unwrap();
            if let Err(error) = self.tls.process_new_packets() {
                return (plain, Err(error.to_string()));
            }
            if let Err(error) = self.tls.reader().read_to_end(&mut plain)
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return (plain, Err(error.to_string()));
            }
            if read == 0 {
                return (plain, Ok(()));
            }
        }
    }
}

/// A connection whose handshake is done, over a wire that holds this many bytes.
async fn pair(
    by: By,
    version: &'static SupportedProtocolVersion,
    wire_bytes: usize,
) -> (Client, Box<dyn Stream>) {
    let (near, far) = duplex(wire_bytes);
    let connecting = TlsConnector::from(client(version)).connect(name(), near);
    let (client, server) = tokio::join!(connecting, accept(by, far));
    let (wire, tls) = client.unwrap().into_inner();
    (Client { tls, wire }, server.unwrap())
}

fn some_bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// What a server reads until nothing more comes.
async fn heard(server: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Option<(io::ErrorKind, String)>) {
    let mut plain = Vec::new();
    let ended = server.read_to_end(&mut plain).await;
    (plain, ended.err().map(|error| (error.kind(), error.to_string())))
}

/// A wire of which so much is read at a time.
struct Dribble {
    wire: DuplexStream,
    at_a_time: usize,
}

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut some = vec![0; self.at_a_time.min(buf.remaining())];
        let mut some = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.wire).poll_read(cx, &mut some))?;
        buf.put_slice(some.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Dribble {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn any_amount_passes_both_ways_in_any_pieces() {
    for version in BOTH {
        for (wire_bytes, at_a_time) in [(64 * 1024, 1), (10, 7), (1000, 64 * 1024), (64 * 1024, 64 * 1024)] {
            let (near, wire) = duplex(wire_bytes);
            let far = Dribble { wire, at_a_time };
            let connecting = TlsConnector::from(client(version)).connect(name(), near);
            let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
            let (client, server) = tokio::join!(connecting, accepting);
            let (mut from_server, mut to_server) = tokio::io::split(client.unwrap());
            let (mut from_client, mut to_client) = tokio::io::split(server.unwrap());
            for length in [1, 100, 16_383, 16_384, 16_385, 70_000, 300_000] {
                // Byte by byte it takes a while.
                if length > wire_bytes.min(at_a_time) * 2000 {
                    continue;
                }
                let sent = some_bytes(length);
                let (mut up, mut down) = (vec![0; length], vec![0; length]);
                let all = async {
                    tokio::try_join!(
                        async {
                            to_server.write_all(&sent).await?;
                            to_server.flush().await
                        },
                        async {
                            to_client.write_all(&sent).await?;
                            to_client.flush().await
                        },
                        async { from_client.read_exact(&mut up).await.map(drop) },
                        async { from_server.read_exact(&mut down).await.map(drop) },
                    )
                };
                all.await.unwrap();
                assert!(
                    up == sent && down == sent,
                    "{version:?} {wire_bytes} {at_a_time} {length}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_record_may_be_cut_anywhere() {
    for version in BOTH {
        let (mut client, mut server) = pair(By::Us, version, 64 * 1024).await;
        let mut at = 0;
        loop {
            let mut records = client.say(b"first");
            if version == &TLS13 {
                client.tls.refresh_traffic_keys().unwrap();
            }
            records.extend(client.say(b"and last"));
            let Some((one, other)) = records.split_at_checked(at) else {
                break;
            };
            client.send(one).await;
            let mut read = [0; 13];
            let (sent, got) = tokio::join!(
                async {
                    tokio::task::yield_now().await;
                    client.wire.write_all(other).await
                },
                server.read_exact(&mut read)
            );
            sent.unwrap();
            got.unwrap();
            assert_eq!(&read, b"firstand last", "{at}");
            at += 1;
        }
        assert!(at > 40);
    }
}

#[tokio::test]
async fn slices_are_written_as_if_they_were_one() {
    let (client, mut server) = pair(By::Us, &TLS13, 1 << 20).await;
    let all = some_bytes(50_000);
    let (first, rest) = all.split_at(10);
    let (second, third) = rest.split_at(30_000);
    let mut slices = [
        IoSlice::new(first),
        IoSlice::new(&[]),
        IoSlice::new(second),
        IoSlice::new(third),
    ];
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = server.write_vectored(left).await.unwrap();
        IoSlice::advance_slices(&mut left, written);
    }
    server.shutdown().await.unwrap();
    drop(server);
    assert!(client.all().await == (all, Ok(())));
}

#[tokio::test]
async fn keys_are_renewed_as_often_as_somebody_speaks_between() {
    for by in [By::Rustls, By::Us] {
        let (mut client, mut server) = pair(by, &TLS13, 64 * 1024).await;
        for turn in 0..100_u8 {
            client.tls.refresh_traffic_keys().unwrap();
            let records = client.say(&[turn]);
            client.send(&records).await;
            assert_eq!(server.read_u8().await.unwrap(), turn);
            server.write_u8(turn).await.unwrap();
        }
        server.shutdown().await.unwrap();
        drop(server);
        assert_eq!(client.all().await, ((0..100).collect(), Ok(())));
        // Whoever does nothing else is sent away.
        let (mut client, mut server) = pair(by, &TLS13, 64 * 1024).await;
        for _ in 0..33 {
            client.tls.refresh_traffic_keys().unwrap();
        }
        let records = client.records();
        client.send(&records).await;
        let what = "peer misbehaved: TooManyKeyUpdateRequests".to_owned();
        assert_eq!(
            heard(&mut server).await,
            (Vec::new(), Some((io::ErrorKind::InvalidData, what))),
            "{by:?}"
        );
    }
}

/// What a server reads of a connection on which the client sends these records and then nothing; and how that ended, for both
/// sides. rustls' buffered connection gives an error before the text that came with what is wrong, so that texts may differ.
async fn told(
    by: By,
    version: &'static SupportedProtocolVersion,
    records: impl FnOnce(&mut Client) -> Vec<u8>,
) -> (Vec<u8>, impl PartialEq + fmt::Debug) {
    let (mut client, mut server) = pair(by, version, 1 << 20).await;
    let records = records(&mut client);
    client.send(&records).await;
    client.wire.shutdown().await.unwrap();
    let (text, ended) = heard(&mut server).await;
    server.flush().await.ok();
    drop(server);
    // The words for an end that was not said have a link in them with rustls.
    let ended = ended.map(|(kind, what)| (kind, Some(what).filter(|_| kind != io::ErrorKind::UnexpectedEof)));
    (text, (ended, client.all().await))
}

#[tokio::test]
async fn an_end_that_is_said_is_an_end_and_any_other_an_error() {
    for version in BOTH {
        for (is_said, expected) in [(true, None), (false, Some(io::ErrorKind::UnexpectedEof))] {
            let (mut client, mut server) = pair(By::Us, version, 64 * 1024).await;
            let mut records = client.say(b"text");
            if is_said {
                client.tls.send_close_notify();
                records.extend(client.records());
                records.extend(b"and whatever");
            }
            client.send(&records).await;
            client.wire.shutdown().await.unwrap();
            for read in [&b"text"[..], b"", b""] {
                let (heard, error) = heard(&mut server).await;
                assert_eq!((&heard[..], error.map(|(kind, _)| kind)), (read, expected));
            }
            // The other way is still open.
            server.write_all(b"answer").await.unwrap();
            server.shutdown().await.unwrap();
            assert_eq!(
                server.write(b"more").await.map_err(|error| error.kind()),
                Err(io::ErrorKind::BrokenPipe)
            );
            drop(server);
            assert_eq!(client.all().await, (b"answer".to_vec(), Ok(())));
        }
    }
}

#[tokio::test]
async fn what_is_no_sound_record_ends_as_it_does_with_rustls() {
    for version in BOTH {
        let (mut client, _server) = pair(By::Us, version, 64 * 1024).await;
        let length = client.say(b"text").len();
        for at in 0..length + 5 {
            // Each byte of a record, and those of the next one's header.
            let changed = |client: &mut Client| {
                let mut records = client.say(b"text");
                records.extend(client.say(b"more"));
                records[at] ^= 0x11;
                records
            };
            let (text, ours) = told(By::Us, version, changed).await;
            assert_eq!(
                ours,
                told(By::Rustls, version, changed).await.1,
                "{version:?} {at}"
            );
            // The version in a header is not looked at with TLS 1.3.
            let expected = if version == &TLS13 && at % length == 2 {
                "textmore"
            } else if at < length {
                ""
            } else {
                "text"
            };
            assert_eq!(text, expected.as_bytes(), "{version:?} {at}");
            let cut = |client: &mut Client| client.say(b"text").split_at(at.min(length)).0.to_vec();
            assert_eq!(
                told(By::Us, version, cut).await,
                told(By::Rustls, version, cut).await,
                "{version:?} {at}"
            );
        }
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0x17, 3, 3, 0xff, 0xff],
            &[0x17, 3, 3, 0, 0],
            &[0x16, 3, 3, 0, 4, 0, 0, 0, 0],
            &[0x14, 3, 3, 0, 1, 1],
            &[0x15, 3, 3, 0, 2, 2, 40],
            &[0x15, 3, 3, 0, 2, 1, 0],
        ] {
            let sent = |_: &mut Client| garbage.to_vec();
            assert_eq!(
                told(By::Us, version, sent).await,
                told(By::Rustls, version, sent).await,
                "{version:?} {garbage:?}"
            );
        }
    }
}

/// What a server sends and says when these are the first bytes and the last.
async fn greeted(by: By, hello: &[u8]) -> (Option<(io::ErrorKind, String)>, Vec<u8>) {
    let (mut client, server) = duplex(1 << 20);
    client.write_all(hello).await.unwrap();
    client.shutdown().await.unwrap();
    let refused = accept(by, server).await.err();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    // What begins a handshake has random bytes in it; an alert has none.
    answer.truncate(if answer.first() == Some(&0x15) {
        answer.len()
    } else {
        1
    });
    (refused.map(|error| (error.kind(), error.to_string())), answer)
}

#[tokio::test]
async fn a_bad_hello_is_answered_as_rustls_answers_it() {
    for version in BOTH {
        let mut hello = Vec::new();
        let mut client = ClientConnection::new(client(version), name()).unwrap();
        client.write_tls(&mut hello).unwrap();
        // The key shares are long, and any byte of them is as good as any other.
        for at in (0..hello.len()).filter(|at| *at < 300 || at % 50 == 0 || *at > hello.len() - 100) {
            let (cut, _) = hello.split_at(at);
            assert_eq!(greeted(By::Us, cut).await, greeted(By::Rustls, cut).await, "{at}");
            let mut changed = hello.clone();
            changed[at] ^= 0x24;
            assert_eq!(
                greeted(By::Us, &changed).await,
                greeted(By::Rustls, &changed).await,
                "{at}"
            );
        }
    }
}

/// A wire that takes whatever is written, and notes how much at a time.
struct Noted<S> {
    wire: S,
    writes: Arc<std::sync::Mutex<Vec<usize>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.wire).poll_write(cx, bytes))?;
        self.writes.lock().unwrap().push(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_handshake_is_one_write_and_its_tickets_go_out_with_the_first_answer() {
    for (version, of_handshake) in [(&TLS13, 1), (&TLS12, 2)] {
        let (near, far) = duplex(1 << 20);
        let writes = Arc::<std::sync::Mutex<Vec<usize>>>::default();
        let noted = Noted {
            wire: far,
            writes: Arc::clone(&writes),
        };
        let connecting = TlsConnector::from(client(version)).connect(name(), near);
        let accepting = TlsStream::accept(noted, Vec::new(), configured(), Arc::default(), None);
        let (client, server) = tokio::join!(connecting, accepting);
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        assert_eq!(writes.lock().unwrap().len(), of_handshake);
        client.write_all(b"question").await.unwrap();
        server.read_exact(&mut [0; 8]).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(writes.lock().unwrap().len(), of_handshake + 1);
        client.read_exact(&mut [0; 6]).await.unwrap();
        if version == &TLS13 {
            assert_eq!(client.get_ref().1.tls13_tickets_received(), 2);
        }
        // Four records at a time.
        server.write_all(&some_bytes(200_000)).await.unwrap();
        assert!(writes.lock().unwrap().len() <= of_handshake + 1 + 4);
    }
}

#[tokio::test]
async fn whoever_asks_nothing_gets_the_tickets_too() {
    let (near, far) = duplex(1 << 20);
    let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
    let (client, server) = tokio::join!(connecting, accept(By::Us, far));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let (mut one, mut other) = ([0], [0]);
    tokio::select! {
        biased;
        _ = server.read(&mut one) => panic!("nothing was sent"),
        _ = client.read(&mut other) => panic!("nothing was sent"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 2);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_written_no_more_to_and_loses_nothing() {
    let (near, far) = duplex(1000);
    let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
    let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
    let (client, server) = tokio::join!(connecting, accepting);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let sent = some_bytes(1 << 20);
    let mut written = 0;
    while let Some(now) = tokio::select! {
        biased;
        now = server.write(&sent[written..]) => Some(now.unwrap()),
        () = std::future::ready(()) => None,
    } {
        written += now;
    }
    assert!((1..2 * sizes::LIMIT_BYTES).contains(&written), "{written}");
    let mut read = vec![0; sent.len()];
    let (wrote, got) = tokio::join!(
        async {
            server.write_all(&sent[written..]).await?;
            server.flush().await
        },
        client.read_exact(&mut read)
    );
    wrote.unwrap();
    got.unwrap();
    assert!(read == sent);
}

#[tokio::test]
async fn nothing_is_held_while_nothing_happens() {
    for version in BOTH {
        let (near, far) = duplex(1 << 20);
        let connecting = TlsConnector::from(client(version)).connect(name(), near);
        let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
        let (client, server) = tokio::join!(connecting, accepting);
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        for length in [1, 100_000] {
            let mut read = vec![0; length];
            client.write_all(&some_bytes(length)).await.unwrap();
            client.flush().await.unwrap();
            server.read_exact(&mut read).await.unwrap();
            server.write_all(&read).await.unwrap();
            server.flush().await.unwrap();
            client.read_exact(&mut read).await.unwrap();
            assert!(read == some_bytes(length));
            assert_eq!(server.incoming.capacity() + server.plain.capacity(), 0);
            assert!(server.outgoing.holds_nothing());
        }
    }
}
