//! How connections end, whoever ends them.

use super::*;

const PING: u8 = 6;
const SETTINGS: u8 = 4;

#[tokio::test]
async fn an_idle_http_2_connection_is_closed_in_order() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.idle = '600ms'\n").await;
    let mut connection = H2::connect(&gateway.client(), 65_535).await;
    let host = format!("localhost:{}", gateway.https.port());
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/api/x"),
        (":authority", host.as_str()),
    ];
    connection.request(5, &fields).await;
    assert_eq!(connection.outcome(5).await, Outcome::Status(200));
    assert_eq!(connection.goodbye().await, (Some((5, 0)), Ended::Cleanly));
}

#[tokio::test]
async fn an_idle_http_1_connection_is_closed_in_order() {
    let upstream = RawUpstream::content().await;
    let gateway = Gateway::everything_to(&upstream.url(), "timeouts.idle = '600ms'\n").await;
    let mut connection = gateway.client().raw().await;
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));
}

#[tokio::test]
async fn floods_of_frames_that_carry_nothing_end_the_connection() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[])] {
        let mut connection = H2::connect(&gateway.client(), 65_535).await;
        connection.flood(kind, payload, 9_000).await;
        let host = format!("localhost:{}", gateway.https.port());
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/api/x"),
            (":authority", host.as_str()),
        ];
        connection.request(1, &fields).await;
        assert_eq!(connection.outcome(1).await, Outcome::Status(200));
        connection.flood(kind, payload, 1_500).await;
        assert_eq!(
            connection.goodbye().await,
            (Some((1, 0xb)), Ended::Cleanly),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_more_still_gets_its_answer() {
    let upstream = RawUpstream::acting(|_, mut connection| async move {
        sleep(Duration::from_millis(300)).await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
            .await;
    })
    .await;
    let gateway = to(&upstream.url()).await;
    let mut connection = gateway.client().raw().await;
    connection
        .send(gateway.head("GET /api/x HTTP/1.1") + "\r\n")
        .await;
    connection.half_close().await;
    assert_eq!(connection.answer().await.text(), "here");
    assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly));

    let mut connection = gateway.client().raw().await;
    connection
        .send(gateway.head("POST /api/x HTTP/1.1") + "Content-Length: 2\r\n\r\nab")
        .await;
    connection.half_close().await;
    assert_eq!(connection.answer().await.text(), "here");

    let mut plain = Raw::over(TcpStream::connect(gateway.http).await.unwrap());
    plain.send(gateway.head("GET /a HTTP/1.1") + "\r\n").await;
    plain.half_close().await;
    assert_eq!(plain.answer().await.status, 308);
}

/// For such a connection a stop waits a second, so a machine that stands still for that long is asked again.
#[tokio::test]
async fn a_connection_that_was_taken_before_a_stop_gets_its_answer() {
    let close = |status| Some((status, Some("close".to_owned())));
    let mut seen = (None, None);
    for _ in 0..6 {
        seen = asked_in_a_stop().await;
        if seen == (close(200), close(308)) {
            return;
        }
    }
    panic!("{seen:?}");
}

/// Status and `Connection` of an answer, if there is one.
type Told = Option<(u16, Option<String>)>;

/// What is answered over HTTPS and over HTTP to those who were there before the stop and ask within it.
async fn asked_in_a_stop() -> (Told, Told) {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    let (https, http) = (gateway.https, gateway.http);
    let mut secure = gateway.client().raw().await;
    let request = gateway.head("GET /api/x HTTP/1.1") + "\r\n";
    let mut plain = Raw::over(TcpStream::connect(http).await.unwrap());
    sleep(Duration::from_millis(100)).await;
    let stopping = tokio::spawn(gateway.stop());
    nobody_listens(https).await;
    let seen = tokio::join!(asked(&mut secure, &request), asked(&mut plain, &request));
    stopping.await.unwrap();
    seen
}

async fn asked<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    connection: &mut Raw<S>,
    request: &str,
) -> Told {
    connection.try_send(request).await.ok()?;
    let answer = connection.try_answer().await.ok()?;
    Some((answer.status, answer.header("connection").map(str::to_owned)))
}

#[tokio::test]
async fn who_says_nothing_does_not_hold_up_a_stop() {
    let upstream = RawUpstream::content().await;
    // Whoever waits for one of them waits in vain.
    let toml = ["drain", "handshake", "header", "idle"].map(|name| format!("timeouts.{name} = '10m'\n"));
    let gateway = Gateway::everything_to(&upstream.url(), &toml.concat()).await;
    let silent = gateway.client().raw().await;
    let silent_h2 = H2::connect(&gateway.client(), 65_535).await;
    let no_hello = TcpStream::connect(gateway.https).await.unwrap();
    let mut half_a_hello = Raw::over(TcpStream::connect(gateway.https).await.unwrap());
    half_a_hello.send(b"\x16\x03\x01\x02\x00\x01\x00").await;
    let mut half_a_head = gateway.client().raw().await;
    half_a_head.send(gateway.head("GET /api/x HTTP/1.1")).await;
    sleep(Duration::from_millis(100)).await;
    timeout(PATIENCE, gateway.stop()).await.expect("a stop that ends");
    drop((silent, silent_h2, no_hello, half_a_hello, half_a_head));
}
