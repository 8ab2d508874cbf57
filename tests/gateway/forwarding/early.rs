//! Answers that are there before a request's body is: they arrive, and what is left of the body does no harm.

use tokio::process::Command;

use super::*;

/// What curl makes of a POST whose body is this file: its exit status, and the status and version of the answer.
async fn curl(gateway: &Gateway, target: &str, file: &std::path::Path, more: &[&str]) -> (i32, String) {
    let output = Command::new("curl")
        .args([
            "--http2",
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
            "--cacert",
        ])
        .arg(gateway.certificate())
        .args(["-H", "Expect:", "--data-binary"])
        .arg(format!("@{}", file.display()))
        .args(more)
        .args([
            "--resolve",
            &format!("localhost:{}:{}", gateway.https.port(), gateway.https.ip()),
        ])
        .arg(format!("{}{target}", gateway.origin()))
        .output()
        .await
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), said)
}

/// libcurl before 8.0 loses an answer that comes with the reset of its stream (PHP's on Debian 12 is one).
#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_every_early_answer_over_http_2() {
    let upstream = Upstream::answering("reached").await;
    let gateway = Gateway::everything_to(&upstream.url(), "limits.failures = '100000/min'\n").await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, length: usize| {
        let path = folder.path().join(name);
        std::fs::write(&path, noise(length)).unwrap();
        path
    };
    let (small, medium, large) = (
        file("small", 2),
        file("medium", 100_000),
        file("large", 3_000_000),
    );
    let token = "/auth/room/getJoinToken";
    let keys = &["-H", "API-KEY: plugnmeet", "-H", "HASH-SIGNATURE: 00"][..];
    for (target, more, status) in [
        (token, &[][..], "401 2"),
        ("/auth/room/create", &["-H", "Content-Encoding: gzip"], "415 2"),
        ("/nowhere", &[], "404 2"),
        ("/conference/", &["-X", "PUT"], "405 2"),
        ("/conference//x", &[], "400 2"),
        (token, keys, ""),
    ] {
        for body in [&small, &medium, &large] {
            let expected = match status {
                // The size is looked at first.
                "" if *body == large => "413 2",
                "" => "401 2",
                status => status,
            };
            for round in 0..30 {
                let found = curl(&gateway, target, body, more).await;
                assert_eq!(found, (0, expected.into()), "{target} {} {round}", body.display());
            }
        }
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_small_body_that_comes_behind_its_answers_cause_keeps_the_connection() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let head = gateway.head("POST /nowhere HTTP/1.1");
    for framed in [
        "Content-Length: 10\r\n\r\n01234",
        "Transfer-Encoding: chunked\r\n\r\na\r\n01234",
    ] {
        let rest = if framed.contains("chunked") {
            "56789\r\n0\r\n\r\n"
        } else {
            "56789"
        };
        keeps(&gateway, 404, &format!("{head}{framed}"), FEW, rest).await;
    }
}

const FEW: Duration = Duration::from_millis(50);

/// Twice over one connection: a request's beginning, a pause, and its rest keep the connection.
///
/// The rest is waited for a second, so a machine that stands still for that long is asked again.
async fn keeps(gateway: &Gateway, status: u16, beginning: &str, pause: Duration, rest: &str) {
    for attempt in 1.. {
        let mut connection = gateway.client().raw().await;
        let mut kept = 0;
        for _ in 0..2 {
            connection.send(beginning).await;
            sleep(pause).await;
            connection.send(rest).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{answer:?}");
            if answer.header("connection").is_some() {
                break;
            }
            kept += 1;
        }
        if kept == 2 {
            return;
        }
        assert!(attempt < 6, "closed behind {beginning:?}");
    }
}

/// Whoever sends on a connection that was about to close gets nothing, and a POST is not sent again.
#[tokio::test]
async fn an_answer_to_a_body_that_is_not_read_to_its_end_says_that_the_connection_closes() {
    let upstream = Upstream::answering("reached").await;
    // Whoever waits for the rest of a body waits in vain.
    let toml = "timeouts.header = '10m'\ntimeouts.idle = '10m'\ntimeouts.response = '10m'";
    let gateway = Gateway::everything_to(&upstream.url(), toml).await;
    for (fields, body) in [
        ("Content-Length: 1000000\r\n", noise(10)),
        ("Content-Length: 10\r\n", Vec::new()),
        ("Content-Length: 10\r\nExpect: 100-continue\r\n", Vec::new()),
        ("Transfer-Encoding: chunked\r\n", b"fffff\r\nx".to_vec()),
    ] {
        let mut connection = gateway.client().raw().await;
        let head = gateway.head("POST /nowhere HTTP/1.1");
        connection
            .send([format!("{head}{fields}\r\n").as_bytes(), &body].concat())
            .await;
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (404, Some("close")),
            "{fields}"
        );
        assert_eq!(connection.rest().await, (Vec::new(), Ended::Cleanly), "{fields}");
    }
    assert!(upstream.saw_nothing());
}

/// Where such a body ends nobody knows, nor where the next request begins.
#[tokio::test]
async fn an_answer_to_a_body_that_breaks_off_says_that_the_connection_closes() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let long = "x".repeat(20_000);
    for target in ["/api/x", "/nowhere", "/k/bigbluebutton/api/create"] {
        let head = gateway.head(&format!("POST {target} HTTP/1.1"));
        for body in [
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\nno field\r\n\r\n",
            "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
            &format!("3;{long}\r\nabc\r\n0\r\n\r\n"),
        ] {
            let mut connection = gateway.client().raw().await;
            let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
            // It may be closed before it has been sent whole.
            let _ = connection.try_send(chunked).await;
            let answer = connection.answer().await;
            assert_eq!(answer.header("connection"), Some("close"), "{target} {body:.30}");
            assert_eq!(connection.rest().await.0, b"", "{target} {body:.30}");
        }
    }
}

/// Of a server that is away nothing is known until its body has half come.
#[tokio::test]
async fn a_body_that_had_not_all_come_when_upstream_failed_keeps_the_connection() {
    let gateway = Gateway::everything_to(&nobody(), "timeouts.connect = '100ms'").await;
    let head = gateway.head("POST /api/x HTTP/1.1");
    let beginning = format!("{head}Content-Length: 4\r\n\r\n01");
    keeps(&gateway, 502, &beginning, Duration::from_millis(300), "23").await;
}

#[tokio::test]
async fn a_large_body_over_http_2_is_stopped_a_while_after_its_answer() {
    let upstream = Upstream::answering("reached").await;
    let gateway = to(&upstream.url()).await;
    let mut connection = H2::connect(&gateway.client(), 65_535).await;
    let host = format!("localhost:{}", gateway.https.port());
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/nowhere"),
        (":authority", host.as_str()),
        ("content-length", "1000000"),
    ];
    let started = Instant::now();
    connection.request_with_body_to_come(1, &fields).await;
    assert_eq!(connection.outcome(1).await, Outcome::Status(404));
    assert_eq!(connection.outcome(1).await, Outcome::Reset(0));
    let took = started.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
    // And the others of the connection go on.
    connection.request(3, &fields[..4]).await;
    assert_eq!(connection.outcome(3).await, Outcome::Status(404));
}
