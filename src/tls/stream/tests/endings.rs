//! How a connection ends, and what is said of it.

use super::*;

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
    for (by, version) in OURS {
        for (is_said, expected) in [(true, None), (false, Some(io::ErrorKind::UnexpectedEof))] {
            let (mut client, mut server) = pair(by, version, 64 * 1024).await;
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
    for (by, version) in OURS {
        let (mut client, _server) = pair(by, version, 64 * 1024).await;
        let length = client.say(b"text").len();
        for at in 0..length + 5 {
            // Each byte of a record, and those of the next one's header.
            let changed = |client: &mut Client| {
                let mut records = client.say(b"text");
                records.extend(client.say(b"more"));
                records[at] ^= 0x11;
                records
            };
            let (text, ours) = told(by, version, changed).await;
            assert_eq!(
                ours,
                told(By::Rustls, version, changed).await.1,
                "{by:?} {version:?} {at}"
            );
            // The version in a header is not looked at with TLS 1.3.
            let expected = if version == &TLS13 && at % length == 2 {
                "textmore"
            } else if at < length {
                ""
            } else {
                "text"
            };
            assert_eq!(text, expected.as_bytes(), "{by:?} {version:?} {at}");
            let cut = |client: &mut Client| client.say(b"text").split_at(at.min(length)).0.to_vec();
            assert_eq!(
                told(by, version, cut).await,
                told(By::Rustls, version, cut).await,
                "{by:?} {version:?} {at}"
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
                told(by, version, sent).await,
                told(By::Rustls, version, sent).await,
                "{by:?} {version:?} {garbage:?}"
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
