//! Designs checked, on the command line and for integrators.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{Gateway, binary::program, folder_of};

async fn check_design(folder: &Path, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = program(folder, &[&["check-design"], arguments].concat(), &[])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).await.ok();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn a_design_is_checked_on_the_command_line() {
    let folder = folder_of(&[
        ("good.json", "{\"primary_color\": \"Navy\"}\n"),
        ("pale.json", "{\"header_bg_color\": \"#222\"}\n"),
        (
            "bad.json",
            "{\"primary_color\": \"navy;\", \"secondary_color\": \"aqua\"}",
        ),
        ("gateway.toml", "design.css_hosts = ['cdn.example.org']\n"),
    ]);
    let ask = |arguments: &'static [&'static str], input: &'static [u8]| {
        check_design(folder.path(), arguments, input)
    };
    let good = (0, "design can be used\n".to_owned(), String::new());
    assert_eq!(ask(&["good.json"], b"").await, good);
    assert_eq!(ask(&["-"], b"{\"primary_color\":\"navy\"}").await, good);
    assert_eq!(
        ask(&["--canonical", "good.json"], b"").await,
        (0, "{\"primary_color\":\"#000080\"}\n".to_owned(), String::new())
    );
    let (status, out, err) = ask(&["-"], b"{\"logo\":\"https://cdn.example.org/l.png\"}").await;
    assert_eq!((status, out.as_str()), (0, "design can be used\n"));
    assert_eq!(
        err,
        "check-design: logo: warning: `https://cdn.example.org/l.png` is not a known key\n"
    );
    let (status, out, err) = ask(&["pale.json"], b"").await;
    assert_eq!((status, out.as_str()), (0, "design can be used\n"));
    assert!(
        err.starts_with(
            "check-design: header_bg_color: warning: the client's own colour on header_bg_color `#222` has"
        ) && err.lines().count() == 1,
        "{err}"
    );
    assert_eq!(
        ask(&["bad.json", "--canonical"], b"").await,
        (
            1,
            "{\"secondary_color\":\"#00ffff\"}\n".to_owned(),
            "check-design: primary_color: `navy;` is not a CSS colour\n".to_owned()
        )
    );
    let styled = b"{\"custom_css_url\":\"https://cdn.example.org/a.css\"}";
    assert_eq!(ask(&["-"], styled).await.0, 1);
    assert_eq!(ask(&["-", "--config", "gateway.toml"], styled).await.0, 0);
    for refused in [&b"null"[..], b"", b"\xff", b"\xef\xbb\xbf{}"] {
        let (status, _, err) = ask(&["-"], refused).await;
        // Nothing at all is no design, and nothing is wrong with it.
        assert_eq!(status, i32::from(!refused.is_empty()), "{refused:?} {err}");
    }
    let (status, out, err) = ask(&["gone.json"], b"").await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.starts_with("gone.json: cannot be read: "), "{err}");
    assert_eq!(ask(&[], b"").await.0, 2);
}

// --- POST {mount}/design/check ---

const CHECK: &str = "/conference/design/check";

async fn ask(gateway: &Gateway, design: &[u8]) -> Value {
    let answer = gateway.post(CHECK, &[], design).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    answer.json()
}

#[tokio::test]
async fn an_integrator_hears_everything_about_a_design() {
    let gateway = Gateway::embedded().await;
    assert_eq!(
        ask(
            &gateway,
            br##"{"primary_color":"#00A1F2","custom_logo":"https://cdn.example.org/a.png"}"##
        )
        .await,
        json!({
            "status": true,
            "problems": [],
            "warnings": [{
                "field": "primary_color",
                "value": "#00A1F2",
                "rule": "contrast",
                "message": "the client's own colour on primary_color `#00A1F2` has a contrast of 2.84:1, and WCAG 2.2 AA \
                            asks for 4.5:1",
            }],
            "canonical": {"primary_color": "#00a1f2", "custom_logo": "https://cdn.example.org/a.png"},
        })
    );
    assert_eq!(
        ask(
            &gateway,
            br#"{"header_bg_color":"white","primary_color":"red;}","__proto__":{"a":1},"custom_logo":null}"#
        )
        .await,
        json!({
            "status": false,
            "problems": [
                {"field": "primary_color", "value": "red;}", "rule": "not_a_colour",
                 "message": "primary_color `red;}` is not a CSS colour"},
                {"field": "custom_logo", "value": "null", "rule": "not_text",
                 "message": "custom_logo `null` must be a string"},
            ],
            "warnings": [
                {"field": "__proto__", "value": "{\"a\":1}", "rule": "unknown_key",
                 "message": "__proto__ `{\"a\":1}` is not a known key"},
            ],
            "canonical": {"header_bg_color": "#ffffff"},
        })
    );
    // plugNmeet's own guide for native apps sends `logo`.
    assert_eq!(
        ask(
            &gateway,
            br#"{"logo":"https://cdn.example.org/l.png","column_camera_position":"up","left_side_bg_color":"navy"}"#
        )
        .await,
        json!({
            "status": true,
            "problems": [],
            "warnings": [
                {"field": "logo", "value": "https://cdn.example.org/l.png", "rule": "unknown_key",
                 "message": "logo `https://cdn.example.org/l.png` is not a known key"},
                {"field": "column_camera_position", "value": "up", "rule": "unknown_word",
                 "message": "column_camera_position `up` is not a word that the client knows here"},
            ],
            "canonical": {"column_camera_position": "up", "left_side_bg_color": "#000080"},
        })
    );
    let nothing = json!({"status": true, "problems": [], "warnings": [], "canonical": {}});
    for empty in [&b""[..], b"{}", b" {} \n"] {
        assert_eq!(ask(&gateway, empty).await, nothing);
    }
}

#[tokio::test]
async fn what_is_no_design_is_a_problem_and_not_an_error() {
    let gateway = Gateway::embedded().await;
    for (body, rule) in [
        (&b"null"[..], "not_an_object"),
        (b"[]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{\"primary_color\":\"\xff\"}", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"custom_design=%7B%7D", "not_json"),
        (
            b"{\"primary_color\":\"red\",\"primary_\\u0063olor\":\"red\"}",
            "repeated",
        ),
    ] {
        let told = ask(&gateway, body).await;
        assert_eq!(
            (&told["status"], &told["problems"][0]["rule"], &told["canonical"]),
            (&json!(false), &json!(rule), &json!({})),
            "{body:?}"
        );
    }
    let long = format!("{{\"x\":\"{}\u{202e}\"}}", "a".repeat(3000));
    let told = ask(&gateway, long.as_bytes()).await;
    assert_eq!(told["status"], true);
    assert_eq!(told["warnings"][0]["value"].as_str().unwrap().chars().count(), 64);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(
        ask(&gateway, deep.as_bytes()).await["problems"][0]["rule"],
        "not_json"
    );
}

#[tokio::test]
async fn where_links_bring_no_designs_the_answer_says_so() {
    let gateway = Gateway::with("design.from_links = false").await;
    let told = ask(&gateway, br#"{"header_bg_color":"white"}"#).await;
    assert_eq!(
        (&told["status"], &told["problems"][0]["rule"]),
        (&json!(false), &json!("not_from_links"))
    );
    assert_eq!(ask(&gateway, b"{}").await["status"], true);
}

#[tokio::test]
async fn a_question_that_can_not_be_read_is_an_error_in_json() {
    let gateway = Gateway::embedded().await;
    let padded = |bytes: usize| format!("{:bytes$}", "{}").into_bytes();
    assert_eq!(ask(&gateway, &padded(4096)).await["status"], true);
    let html = [("Accept", "text/html")];
    let large = gateway.post(CHECK, &html, &padded(4097)).await;
    assert_eq!(
        (large.status, &large.json()["code"], &large.json()["msg"]),
        (
            413,
            &json!("body_too_large"),
            &json!("a design is at most 4096 bytes")
        )
    );
    let chunked =
        gateway.head(&format!("POST {CHECK} HTTP/1.1")) + "Transfer-Encoding: chunked\r\n\r\n1001\r\n";
    let mut chunked = chunked.into_bytes();
    chunked.extend(padded(4097));
    chunked.extend(b"\r\n0\r\n\r\n");
    assert_eq!(gateway.client().ask_raw(chunked).await.status, 413);
    for method in ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"] {
        let answer = gateway.client().request(method, CHECK, &html, b"").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
    let beside = gateway.post("/conference/design/check/", &[], b"{}").await;
    assert_ne!(beside.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let gateway = Gateway::with("timeouts.header = '300ms'").await;
    let started = gateway.head(&format!("POST {CHECK} HTTP/1.1")) + "Content-Length: 20\r\n\r\n{";
    let answer = gateway.client().ask_raw(started).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("body_too_slow"))
    );
}

#[tokio::test]
async fn questions_are_limited_by_address_block() {
    let gateway = Gateway::with("limits.design = '3/min'\ntrust.proxies = ['127.0.0.0/8']").await;
    gateway.clock.stop();
    let from = |client: &'static str| {
        let gateway = &gateway;
        async move { gateway.post(CHECK, &[("X-Forwarded-For", client)], b"null").await }
    };
    for _ in 0..3 {
        assert_eq!(from("2001:db8::1").await.status, 200);
    }
    let over = from("2001:db8::2").await;
    assert_eq!(
        (
            over.status,
            over.header("retry-after"),
            over.header("ratelimit-policy")
        ),
        (429, Some("20"), Some("\"design\";q=3;w=60"))
    );
    assert_eq!(over.json()["code"], "over_limit");
    assert_eq!(from("2001:db8:1::1").await.status, 200);
    gateway.clock.advance(Duration::from_secs(20));
    assert_eq!(from("2001:db8::2").await.status, 200);
}
