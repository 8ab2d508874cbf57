//! The writes of a handshake.

use super::*;

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

/// HTTP/2 reads until nothing comes, and more than once, before what it has to say itself is written.
#[tokio::test]
async fn tickets_go_out_with_what_is_written_in_the_run_in_which_nothing_has_come() {
    let (near, far) = duplex(1 << 20);
    let writes = Arc::<std::sync::Mutex<Vec<usize>>>::default();
    let noted = Noted {
        wire: far,
        writes: Arc::clone(&writes),
    };
    let connecting = TlsConnector::from(client(&TLS13)).connect(name(), near);
    let accepting = TlsStream::accept(noted, Vec::new(), configured(), Arc::default(), None);
    let (client, server) = tokio::join!(connecting, accepting);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    std::future::poll_fn(|cx| {
        let mut byte = [0];
        for _ in 0..3 {
            assert!(
                Pin::new(&mut server)
                    .poll_read(cx, &mut ReadBuf::new(&mut byte))
                    .is_pending()
            );
        }
        Pin::new(&mut server).poll_write(cx, b"settings")
    })
    .await
    .unwrap();
    assert_eq!(writes.lock().unwrap().len(), 2);
    client.read_exact(&mut [0; 8]).await.unwrap();
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 2);
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
