//! What a client's body may be: size, rate, and an end.

use super::*;

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread_and_the_client_hears_it() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "sizes.body = '1MiB'").await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let stream = gateway.client().connect(b"http/1.1").await;
    let (reader, mut writer) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let length = 50 << 20;
        writer
            .write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let piece = vec![b'x'; 1 << 16];
        let mut sent = 0;
        while sent < length && writer.write_all(&piece).await.is_ok() {
            sent += 1 << 16;
        }
        (writer, sent)
    });
    let mut connection = Raw::over(tokio::io::join(reader, tokio::io::sink()));
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (413, "the body is too large")
    );
    assert!(upstream.saw_nothing());
    sending.abort();
    let answer = gateway
        .client()
        .request_h2(
            "POST",
            "/api/x",
            &[("content-length", "2000000")],
            &noise(2_000_000),
        )
        .await;
    assert_eq!(answer.status, 413);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_chunked_body_is_cut_off_at_the_limit_and_the_client_hears_it() {
    let upstream = Upstream::answering("whole").await;
    let gateway = Gateway::everything_to(&upstream.url(), "sizes.body = '100KiB'").await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let stream = gateway.client().connect(b"http/1.1").await;
    let (reader, mut writer) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        writer
            .write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
        for _ in 0..2000 {
            if writer.write_all(&chunk).await.is_err() {
                break;
            }
        }
        writer
    });
    let mut connection = Raw::over(tokio::io::join(reader, tokio::io::sink()));
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (413, "the body is too large")
    );
    assert!(upstream.saw_nothing(), "a body that was cut off is none");
    sending.abort();

    let exactly = noise(100 << 10);
    assert_eq!(
        gateway
            .post("/api/x", &[("transfer-encoding", "chunked")], &exactly)
            .await
            .text(),
        "whole"
    );
    assert_eq!(gateway.post("/api/x", &[], &exactly).await.text(), "whole");
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_408() {
    let upstream = Upstream::answering("whole").await;
    let gateway = Gateway::everything_to(&upstream.url(), "sizes.least_rate = '1KiB/s'").await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let mut connection = gateway.client().raw().await;
    connection
        .send(format!("{head}Content-Length: 1000\r\n\r\n"))
        .await;
    let (reader, mut writer) = tokio::io::split(connection.into_inner());
    let trickling = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() && writer.flush().await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    let mut connection = Raw::over(tokio::io::join(reader, tokio::io::sink()));
    let answer = connection.answer().await;
    trickling.abort();
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (408, "the body came too slowly")
    );
    assert!(upstream.saw_nothing());
}

/// An upload that breaks off must not look whole to upstream.
#[tokio::test]
async fn an_upload_that_breaks_off_is_not_taken_for_whole() {
    for (framing, first) in [
        ("Content-Length: 100", "first"),
        ("Transfer-Encoding: chunked", "5\r\nfirst\r\n"),
    ] {
        let (log, mut lines) = mpsc::unbounded_channel();
        let upstream = RawUpstream::acting(move |_, mut connection| {
            let log = log.clone();
            async move { log.send(connection.rest().await.0).unwrap() }
        })
        .await;
        let gateway = to(&upstream.url()).await;
        let mut connection = gateway.client().raw().await;
        let head = gateway.head("POST /api/x HTTP/1.1");
        connection.send(format!("{head}{framing}\r\n\r\n{first}")).await;
        upstream.arrival().await;
        sleep(Duration::from_millis(50)).await;
        drop(connection);
        let line = timeout(PATIENCE, lines.recv())
            .await
            .expect("upstream is let go")
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&line), first, "no end was made up");
    }
}
