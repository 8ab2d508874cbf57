//! What the person who runs the gateway is told, and the client is not.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ISSUE, WANTED, told};
use crate::support::{
    API_KEY, SECRET,
    addr::{free, own},
    binary::{anywhere, run},
    configured::Configured,
    folder_of, sign,
};
use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{RequestKey, TokenKeys},
};

/// The lines of a log with this message.
fn lines(said: &str, message: &str) -> Vec<Value> {
    said.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == message)
        .collect()
}

async fn said_by(configured: Configured) -> String {
    configured.serving.signal("TERM").await;
    configured.serving.end().await.1
}

#[tokio::test]
async fn a_host_that_is_none_of_ours_is_named_in_the_log() {
    let configured = Configured::with("").await;
    for host in ["192.0.2.7:8443", "192.0.2.7", "Meet.example.org"] {
        assert_eq!(configured.status_at(host, "/conference/").await, 421, "{host}");
    }
    let said = said_by(configured).await;
    let causes: Vec<_> = lines(&said, "Request")
        .iter()
        .map(|line| line["cause"].clone())
        .collect();
    let cause = |host: &str| format!("{host} is neither public_origin's name nor one of hosts");
    let (address, name) = (cause("192.0.2.7"), cause("meet.example.org"));
    assert_eq!(causes, [address.as_str(), &address, &name], "{said}");
    let beginning = "Refused with 421, as this host is none of ours";
    let warned = said.lines().filter(|line| line.contains(beginning));
    let warned: Vec<Value> = warned.map(|line| serde_json::from_str(line).unwrap()).collect();
    let hosts: Vec<_> = warned.iter().map(|line| &line["host"]).collect();
    assert_eq!(hosts, ["192.0.2.7", "meet.example.org"], "{said}");
}

#[tokio::test]
async fn the_mistake_in_a_signature_is_in_the_log_and_not_in_the_answer() {
    let configured = Configured::with("limits.failures = '2/min'").await;
    let body = r#"{"room_id":"room01","user_info":{"name":"Ann","user_id":"ann"}}"#;
    let key = RequestKey::new(&Secret::new(SECRET.into()));
    let signature = key.signature(body.as_bytes());
    let sent = format!("{body}\n");
    let upper = signature.to_uppercase();
    let prefixed = format!("sha256={signature}");
    let mut answers = Vec::new();
    for (given, sent) in [(&upper, body), (&signature, &sent), (&prefixed, body)] {
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", given)];
        let client = configured.client();
        let answer = client.request("POST", ISSUE, &headers, sent.as_bytes()).await;
        answers.push((answer.status, answer.text()));
    }
    let refused = r#"{"status":false,"msg":"Failed to verify provided authentication details.","status_code":"INVALID_TOKEN_OR_SIGNATURE"}"#;
    assert_eq!(answers[0], (401, refused.to_owned()));
    assert_eq!(answers[1], (401, refused.to_owned()));
    assert_eq!(answers[2].0, 429);
    assert!(!answers[2].1.contains("digits"), "{answers:?}");
    let said = said_by(configured).await;
    let audit: Vec<_> = lines(&said, "Token");
    let reasons: Vec<_> = audit.iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["wrong_signature", "wrong_signature", "over_limit"]);
    let expected = [
        "HASH-SIGNATURE is in upper case: send the digits in lower case",
        "HASH-SIGNATURE is of the body without its last line end: sign the very bytes that are sent",
        "HASH-SIGNATURE has a prefix in front of its digits: send the 64 digits alone",
    ];
    let details: Vec<_> = audit.iter().map(|line| &line["detail"]).collect();
    assert_eq!(details, expected, "{said}");
    let records = lines(&said, "Request");
    let ids =
        |lines: &[Value]| -> BTreeSet<String> { lines.iter().map(|line| line["id"].to_string()).collect() };
    assert_eq!(ids(&audit), ids(&records), "{said}");
    let causes: Vec<_> = records.iter().map(|line| line["cause"].clone()).collect();
    assert_eq!(causes, expected, "{said}");
    assert!(!said.contains(&signature) && !said.contains(&upper), "{said}");
}

#[tokio::test]
async fn a_parameter_that_nobody_reads_and_a_design_in_disguise_are_told() {
    let configured = Configured::with("").await;
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    let token = sign(&keys, &Clock::system(), |_| {});
    for query in [
        "design=dark",
        "customDesign=%7B%7D",
        "a=1&amp;custom_design=%7B%7D",
        "custom_design=%257B%2522primary_color%2522%253A%2522red%2522%257D",
        "custom_design={'primary_color':'red'}",
        "custom_design=eyJwcmltYXJ5X2NvbG9yIjoicmVkIn0=",
        "b=2",
    ] {
        let answer = configured
            .get(&format!("/conference/?access_token={token}&{query}"))
            .await;
        assert_eq!(answer.status, 303, "{query}");
    }
    let said = said_by(configured).await;
    let unread = lines(&said, "A link's parameter has no effect");
    let parameters: Vec<_> = unread.iter().map(|line| &line["parameter"]).collect();
    assert_eq!(
        parameters,
        ["design", "customDesign", "amp;custom_design"],
        "{said}"
    );
    let stripped = lines(&said, "Design fields taken out");
    let fields: Vec<_> = stripped.iter().map(|line| &line["fields"]).collect();
    assert_eq!(
        fields,
        [
            "custom_design: not_json (encoded twice)",
            "custom_design: not_json (single quotes)",
            "custom_design: not_json (base64)",
        ],
        "{said}"
    );
}

#[tokio::test]
async fn a_join_link_from_another_folder_says_where_the_gateway_was_not_started() {
    let elsewhere = folder_of(&[]);
    let running = std::net::TcpListener::bind(own()).unwrap();
    let https = running.local_addr().unwrap().to_string();
    let variables = [("LISTEN__HTTPS", https.as_str())];
    let (status, link, errors) = told(&run(elsewhere.path(), &WANTED, &variables).await);
    assert_eq!((status, link.as_str()), (1, ""));
    assert!(
        errors.contains(&format!("A gateway listens on {https}")),
        "{errors}"
    );
    assert!(
        errors.contains("run this in the folder in which it was started"),
        "{errors}"
    );
    assert!(!errors.contains("start the gateway"), "{errors}");
}

#[tokio::test]
async fn a_join_link_with_a_design_that_would_be_refused_is_none() {
    let folder = folder_of(&[
        ("bad.json", r##"{"primary_color":"#00a1f2;"}"##),
        ("list.json", "[]"),
        ("good.json", r##"{"primary_color":"#00a1f2"}"##),
    ]);
    let https = free().to_string();
    let own = [
        ("LISTEN__HTTPS", https.as_str()),
        ("LISTEN__HTTP", ""),
        ("LISTEN__ADMIN", ""),
    ];
    let serving =
        super::Serving::start(folder.path(), &["serve"], &[&own[..], &anywhere()[3..]].concat()).await;
    let bad = "bad.json: primary_color: `#00a1f2;` is not a CSS colour";
    let list = "list.json: custom_design: must be a JSON object\n";
    for (design, on_invalid, status, expected) in [
        ("bad.json", "reject", 1, format!("{bad}\n")),
        (
            "bad.json",
            "strip",
            0,
            format!("warning: {bad}; it is left out\n"),
        ),
        ("list.json", "reject", 1, list.to_owned()),
        ("list.json", "strip", 1, list.to_owned()),
        ("good.json", "reject", 0, String::new()),
    ] {
        let variables = [&own[..], &[("DESIGN__ON_INVALID", on_invalid)]].concat();
        let arguments = [&WANTED[..], &["--design", design]].concat();
        let (ended, link, errors) = told(&run(folder.path(), &arguments, &variables).await);
        assert_eq!((ended, errors), (status, expected), "{design} {on_invalid}");
        assert_eq!(link.is_empty(), status == 1, "{link}");
    }
    drop(serving);
}

/// A pipe to which nobody writes would hold a start up for ever.
#[tokio::test]
async fn a_named_pipe_for_a_secret_stops_check_at_once() {
    let folder = folder_of(&[]);
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "600", "pipe"])
        .current_dir(folder.path())
        .status();
    assert!(made.unwrap().success());
    let variables = [&anywhere()[..], &[("PLUGNMEET__SECRET_FILE", "pipe")]].concat();
    let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
    assert_eq!(status, 1);
    assert!(errors.contains("is no file, but a pipe or a device"), "{errors}");
}
