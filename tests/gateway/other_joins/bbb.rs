//! BBB's API: what is signed passes, whole.

use super::{FORM, JOIN, assert_failed_xml, assert_over_limit, failed, server};
use crate::support::{Gateway, plugnmeet::bbb_target};

const JOIN_SUM: &str = "711e4955c622ccd4cd84be4353d6c9dd074e9137";

#[tokio::test]
async fn signed_calls_reach_the_server_byte_for_byte() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let mut sent = Vec::new();
    for target in [
        format!("/plugnmeet/bigbluebutton/api/join?{JOIN}&checksum={JOIN_SUM}"),
        bbb_target("getMeetings", ""),
        bbb_target(
            "create",
            "name=a+b&meetingID=%7e%7E&welcome=x%3Fy%23;z&meta_a=%C3%A9&&logoutURL=https://x/y",
        ),
        bbb_target("end", "meetingID=m&password="),
        format!("/plugnmeet/BigBlueButton/API/join?{JOIN}&checksum={JOIN_SUM}"),
        "/plugnmeet/bigbluebutton/api".into(),
        "/plugnmeet/bigbluebutton/api/".into(),
    ] {
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "the server"),
            "{target}"
        );
        sent.push(target);
    }
    let seen: Vec<_> = server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, sent);
    assert!(server.requests()[0].header("content-length").is_none());
}

#[tokio::test]
async fn a_signed_form_reaches_the_server_and_so_does_a_presentation_of_any_size() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let form = format!("{JOIN}&checksum={JOIN_SUM}");
    let path = "/plugnmeet/bigbluebutton/api/join";
    assert_eq!(gateway.post(path, &[FORM], form.as_bytes()).await.status, 200);
    let slides = format!("<modules>{}</modules>", " ".repeat(300_000));
    let create = bbb_target("create", "meetingID=m&name=n");
    let xml = [("Content-Type", "application/xml")];
    assert_eq!(gateway.post(&create, &xml, slides.as_bytes()).await.status, 200);
    let seen = server.requests();
    assert_eq!(
        (seen[0].target.as_str(), &seen[0].body[..]),
        (path, form.as_bytes())
    );
    assert_eq!((&seen[1].target, &seen[1].body[..]), (&create, slides.as_bytes()));
}

#[tokio::test]
async fn no_manipulated_call_reaches_the_server() {
    let server = server().await;
    let gateway = Gateway::with(&format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nlimits.failures = '1000/min'",
        server.url()
    ))
    .await;
    let api = "/plugnmeet/bigbluebutton/api";
    let good = format!("{JOIN}&checksum={JOIN_SUM}");
    for target in [
        format!("{api}/join"),
        format!("{api}/join?"),
        format!("{api}/join?{JOIN}"),
        format!("{api}/join?{JOIN_SUM}"),
        format!("{api}/join?{good}?&role=MODERATOR"),
        format!("{api}/join?{good}checksum=&role=MODERATOR"),
        format!("{api}/join?{good}&role=MODERATOR"),
        format!("{api}/join?role=MODERATOR&{good}"),
        format!("{api}/join?{JOIN}&Checksum={JOIN_SUM}"),
        format!("{api}/join?{JOIN}&check%73um={JOIN_SUM}"),
        format!("{api}/join?checksum=&{good}"),
        format!("{api}/join?{JOIN}&checksum="),
        format!("{api}/join?checksum={JOIN_SUM}&{JOIN}"),
        format!("{api}/join?{JOIN};checksum={JOIN_SUM}"),
        format!("{api}/join/?{good}"),
        format!("{api}/end/?join{good}"),
        format!("{api}/create?{good}"),
        format!("/other/bigbluebutton/api/join?{good}"),
        format!("/PlugNmeet/bigbluebutton/api/join?{good}"),
        bbb_target("join", "meetingID=a&meetingid=b"),
    ] {
        for method in ["GET", "POST", "HEAD", "PUT"] {
            let answer = gateway.client().request(method, &target, &[], b"").await;
            if method == "HEAD" {
                assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{target}");
            } else {
                assert_failed_xml(&answer);
            }
        }
    }
    let form = format!("{JOIN}&checksum={JOIN_SUM}");
    let unsigned = JOIN.as_bytes();
    let large = vec![b'a'; 300_000];
    for (target, headers, body, key) in [
        (format!("{api}/join"), vec![FORM], unsigned, "checksumError"),
        (
            format!("{api}/join?role=MODERATOR"),
            vec![FORM],
            form.as_bytes(),
            "parsingError",
        ),
        (
            format!("{api}/join?{form}"),
            vec![FORM],
            form.as_bytes(),
            "parsingError",
        ),
        (
            format!("{api}/join"),
            vec![("Content-Type", "text/plain")],
            form.as_bytes(),
            "checksumError",
        ),
        (
            format!("{api}/join"),
            vec![FORM, FORM],
            form.as_bytes(),
            "media_type",
        ),
        (
            format!("{api}/join"),
            vec![FORM, ("Content-Encoding", "identity")],
            form.as_bytes(),
            "content_encoding",
        ),
        (
            format!("{api}/join?{form}"),
            vec![("Content-Encoding", "gzip")],
            b"",
            "content_encoding",
        ),
        (
            format!("{api}/join?{form}"),
            vec![("Content-Type", "multipart/form-data")],
            b"",
            "media_type",
        ),
        (format!("{api}/join"), vec![FORM], &large, "body_too_large"),
    ] {
        let answer = gateway.post(&target, &headers, body).await;
        assert_failed_xml(&answer);
        let key = format!("<messageKey>{key}</messageKey>");
        assert!(answer.text().contains(&key), "{target} {headers:?} {answer:?}");
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

/// Two `?` and a `#` as bytes on the wire: a client library might tidy them up.
#[tokio::test]
async fn what_a_library_would_tidy_up_is_refused_too() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    for (query, status) in [
        (format!("?{JOIN}&checksum={JOIN_SUM}"), 200),
        (format!("{JOIN}&checksum={JOIN_SUM}#&role=MODERATOR"), 400),
        (format!("{JOIN}&checksum={JOIN_SUM}\t"), 400),
    ] {
        let request = format!(
            "GET /plugnmeet/bigbluebutton/api/join?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{query} {answer}"
        );
    }
    assert!(server.saw_nothing());
}

#[tokio::test]
async fn guesses_at_a_checksum_are_limited_and_good_calls_are_not() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let guess = format!(
        "/plugnmeet/bigbluebutton/api/getMeetings?checksum={}",
        "0".repeat(40)
    );
    for _ in 0..20 {
        let answer = gateway.get(&guess, &[]).await;
        assert_eq!(answer.text(), failed("checksumError", "Checksums do not match"));
    }
    let answer = gateway.get(&guess, &[]).await;
    assert_over_limit(&answer);
    assert_failed_xml(&answer);
    assert!(server.saw_nothing());
    assert_eq!(gateway.get(&bbb_target("getMeetings", ""), &[]).await.status, 200);
}
