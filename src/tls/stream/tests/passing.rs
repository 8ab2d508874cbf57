//! What passes, in whatever pieces it comes.

use super::*;

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
    for (by, version) in OURS {
        for (wire_bytes, at_a_time) in [(64 * 1024, 1), (10, 7), (1000, 64 * 1024), (64 * 1024, 64 * 1024)] {
            let (near, wire) = duplex(wire_bytes);
            let far = Dribble { wire, at_a_time };
            let connecting = TlsConnector::from(client(version)).connect(name(), near);
            let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
            let (client, server) = tokio::join!(connecting, accepting);
            let (client, mut server) = (client.unwrap(), server.unwrap());
            if by == By::Settled {
                settle(&mut server);
            }
            let (mut from_server, mut to_server) = tokio::io::split(client);
            let (mut from_client, mut to_client) = tokio::io::split(server);
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
                    "{by:?} {version:?} {wire_bytes} {at_a_time} {length}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_record_may_be_cut_anywhere() {
    for (by, version) in OURS {
        let (mut client, mut server) = pair(by, version, 64 * 1024).await;
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
    for (by, version) in OURS {
        let (client, mut server) = pair(by, version, 1 << 20).await;
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
}

#[tokio::test]
async fn keys_are_renewed_as_often_as_somebody_speaks_between() {
    for by in [By::Rustls, By::Us, By::Settled] {
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

#[tokio::test]
async fn a_peer_that_reads_nothing_is_written_no_more_to_and_loses_nothing() {
    for by in [By::Us, By::Settled] {
        loses_nothing(by).await;
    }
}

async fn loses_nothing(by: By) {
    let (near, far) = duplex(1000);
    let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
    let (client, server) = tokio::join!(connecting, accept(by, far));
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
        server.settle();
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
        assert_eq!(server.session.agreed().is_none(), version == &TLS13);
    }
}

#[tokio::test]
async fn a_connection_settles_when_it_is_to_last_or_has_said_much() {
    for (lasts, bytes, is_settled) in [
        (false, 1000, false),
        (true, 1000, true),
        (false, MUCH_BYTES, true),
    ] {
        let (near, far) = duplex(1 << 20);
        let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
        let accepting = TlsStream::accept(far, Vec::new(), configured(), Arc::default(), None);
        let (client, server) = tokio::join!(connecting, accepting);
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        if lasts {
            server.settle();
        }
        server.write_all(&some_bytes(bytes)).await.unwrap();
        client.write_all(b"text").await.unwrap();
        client.flush().await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(server.session.agreed().is_none(), is_settled, "{lasts} {bytes}");
        let mut read = vec![0; bytes];
        client.read_exact(&mut read).await.unwrap();
        assert!(read == some_bytes(bytes));
    }
}
