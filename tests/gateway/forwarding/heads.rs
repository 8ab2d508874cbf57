//! How large a request's head may be.

use super::*;

#[tokio::test]
async fn a_target_or_a_header_over_the_limit_is_refused_by_its_name() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let ask = async |target: &str, fields: &str| {
        let head = gateway.head(&format!("GET {target} HTTP/1.1"));
        let answer = gateway.client().ask_raw(format!("{head}{fields}\r\n")).await;
        (answer.status, answer.message())
    };
    let long = format!("/livekit/rtc?{}", "x".repeat(33_000));
    assert_eq!(
        ask(&long, "").await,
        (414, "the request target is too long".into())
    );
    let one = format!("X: {}\r\n", "y".repeat(33_000));
    let too_large = (431, "the request's header fields are too large".to_owned());
    assert_eq!(ask("/api/x", &one).await, too_large);
    let many = format!("X-Many: {}\r\n", "y".repeat(400)).repeat(90);
    assert_eq!(ask("/api/x", &many).await, too_large);
    let answer = gateway.client().request_h2("GET", &long, &[], b"").await;
    assert_eq!(answer.status, 414);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_head_far_over_the_limit_is_refused_whatever_it_is() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("GET /api/x HTTP/1.1");
    for request in [
        format!("{head}X: {}\r\n\r\n", "y".repeat(300_000)),
        format!("{head}{}\r\n", "X: y\r\n".repeat(500)),
        gateway.head(&format!("GET /{} HTTP/1.1", "x".repeat(300_000))) + "\r\n",
    ] {
        let stream = gateway.client().connect(b"http/1.1").await;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sending = tokio::spawn(async move {
            let _ = writer.write_all(request.as_bytes()).await;
            let _ = writer.flush().await;
            writer
        });
        let mut status = [0; 12];
        timeout(PATIENCE, reader.read_exact(&mut status))
            .await
            .unwrap()
            .unwrap();
        let status = String::from_utf8_lossy(&status).into_owned();
        assert!(
            ["HTTP/1.1 431", "HTTP/1.1 414"].contains(&status.as_str()),
            "{status}"
        );
        sending.abort();
    }
    assert!(upstream.saw_nothing());
}

/// Of the large field nothing is kept, and what follows it still says in which form to answer.
#[tokio::test]
async fn a_large_head_that_comes_slowly_is_answered_in_its_form_when_it_ends() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let large = "y".repeat(40_000);
    for (start, status, words) in [
        (
            format!("GET /conference/ HTTP/1.1\r\nHost: localhost\r\nX: {large}"),
            431,
            "The request's header fields are too large.",
        ),
        (
            format!("GET /conference/?{large} HTTP/1.1\r\nHost: localhost"),
            414,
            "The request target is too long.",
        ),
    ] {
        let mut connection = gateway.client().raw().await;
        for piece in start.as_bytes().chunks(9_000) {
            connection.send(piece).await;
            sleep(Duration::from_millis(20)).await;
        }
        let early = timeout(Duration::from_millis(200), connection.some()).await;
        assert!(early.is_err(), "{early:?}");
        connection
            .send("\r\nAccept: text/html\r\nAccept-Language: de\r\n\r\n")
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("connection"), Some("close"));
        let text = answer.text();
        assert!(text.contains("lang=\"de\"") && text.contains(words), "{text}");
        assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
    }
    assert!(upstream.saw_nothing());
}

/// A LiveKit client's request line alone can have many kilobytes (docs/plugnmeet.md section 5).
#[tokio::test]
async fn a_request_line_of_32_kib_passes() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let target = |length: usize| {
        let path = "/livekit/rtc/v1?access_token=";
        format!("{path}{}", "x".repeat(length - path.len()))
    };
    let line_without_target = "GET  HTTP/1.1\r\n".len();
    for length in [20_000, 32 * 1024 - line_without_target] {
        let target = target(length);
        let answer = gateway.get(&target, &[("x-more", &"y".repeat(8000))]).await;
        assert_eq!(answer.status, 200, "{length}");
        let seen = upstream.heads().pop().unwrap();
        assert!(seen.starts_with(&format!(
            "GET {} HTTP/1.1\r\n",
            target.strip_prefix("/livekit").unwrap()
        )));
        let answer = gateway.client().request_h2("GET", &target, &[], b"").await;
        assert_eq!(answer.status, 200, "{length}");
    }
}
