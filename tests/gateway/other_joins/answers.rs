//! Answers of the server's and of the gateway's.

use super::{assert_failed_xml, bbb_join, failed, server};
use crate::support::{self, Gateway, addr::free, plugnmeet::bbb_target, upstream::Upstream};

/// In the server's order and words: the key, the method, the checksum.
#[tokio::test]
async fn bbb_calls_are_refused_as_the_server_refuses_them() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let api = "/plugnmeet/bigbluebutton/api";
    let good = bbb_target("getMeetings", "");
    let foreign = good.replace("/plugnmeet/", "/other/");
    let create = bbb_target("create", "name=a&meetingID=m");
    let none = format!("{api}/create?name=a&meetingID=m");
    let slash = good.replace("getMeetings", "getMeetings/");
    let (wrong_key, method) = (
        failed("apiKeyError", "invalid api key"),
        failed("error", "unsupported http method"),
    );
    let checksum = failed("checksumError", "Checksums do not match");
    for (verb, target, expected) in [
        ("GET", foreign.as_str(), &wrong_key),
        ("OPTIONS", &foreign, &wrong_key),
        ("GET", "/other/bigbluebutton/api", &wrong_key),
        ("OPTIONS", &create, &method),
        ("PUT", &create, &method),
        ("DELETE", &none, &method),
        ("OPTIONS", api, &method),
        ("GET", &none, &checksum),
        ("POST", &none, &checksum),
        ("GET", &format!("{good}&x=1"), &checksum),
        ("GET", &slash, &checksum),
    ] {
        let answer = gateway.client().request(verb, target, &[], b"").await;
        assert_failed_xml(&answer);
        assert_eq!(&answer.text(), expected, "{verb} {target}");
    }
    assert!(server.saw_nothing(), "{:?}", server.requests());
}

#[tokio::test]
async fn a_server_that_is_down_is_failed_xml_for_bbb_too() {
    let url = format!("http://{}", free());
    let toml = format!("issuer.mode = 'upstream'\nupstreams.server = ['{url}']\ntimeouts.connect = '1s'");
    let gateway = Gateway::with(&toml).await;
    for target in [bbb_target("getMeetings", ""), bbb_join("room-1", "u1")] {
        assert_failed_xml(&gateway.get(&target, &[]).await);
    }
}

/// Of a list of slides nothing is signed: it goes where the server reads one, and nothing like it anywhere else.
#[tokio::test]
async fn an_unsigned_body_is_taken_where_slides_are_and_nowhere_else() {
    let server = server().await;
    let gateway = Gateway::in_front_of(&server).await;
    let slides = b"<modules><module name=\"presentation\"><document url=\"https://a.example/a.pdf\"/></module></modules>";
    let create = bbb_target("create", "meetingID=m&name=n");
    for media in ["application/xml", "text/xml", "Application/XML; charset=utf-8"] {
        let answer = gateway.post(&create, &[("Content-Type", media)], slides).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "the server"),
            "{media}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    for (verb, target, headers) in [
        ("POST", create.as_str(), vec![]),
        ("POST", &create, vec![("Content-Type", "text/plain")]),
        ("POST", &create, vec![("Content-Type", "application/xml+x")]),
        ("GET", &create, vec![("Content-Type", "application/xml")]),
        (
            "POST",
            &bbb_join("room-1", "u1"),
            vec![("Content-Type", "application/xml")],
        ),
        (
            "POST",
            &bbb_target("end", "meetingID=m"),
            vec![("Content-Type", "text/xml")],
        ),
    ] {
        let answer = gateway.client().request(verb, target, &headers, slides).await;
        assert_failed_xml(&answer);
        assert!(
            answer.text().contains("<messageKey>parsingError</messageKey>"),
            "{answer:?}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    let empty = gateway.post(&bbb_target("end", "meetingID=m"), &[], b"").await;
    assert_eq!(empty.text(), "the server");
}

/// What the server writes into XML where an address belongs.
async fn answering_xml(xml: &str) -> Upstream {
    let xml = xml.to_owned();
    Upstream::handling(move |_| {
        let xml = xml.clone();
        async move {
            hyper::Response::builder()
                .header("content-type", "application/xml; charset=utf-8")
                .body(support::upstream::text_body(xml))
                .unwrap()
        }
    })
    .await
}

#[tokio::test]
async fn addresses_in_recordings_and_joins_can_be_followed() {
    let recordings = "<response><returncode>SUCCESS</returncode><recordings><recording><name>HTTP/1.1</name><playback>\
        <format><url>HTTP/1.1://localhost/download/recording/a.b.c</url></format></playback></recording><recording>\
        <playback><format><url>HTTP/1.1://localhost/download/recording/d.e.f</url></format></playback></recording>\
        </recordings></response>";
    let server = answering_xml(recordings).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.get(&bbb_target("getRecordings", ""), &[]).await;
    let expected = recordings.replace("HTTP/1.1://", "https://");
    assert_eq!((answer.status, answer.text()), (200, expected.clone()));
    assert_eq!(
        answer.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
    // Other calls have none of ours to mend.
    let other = gateway.get(&bbb_target("getMeetings", ""), &[]).await;
    assert_eq!(other.text(), recordings);

    let join = |url: &str| {
        format!(
            "<response><returncode>SUCCESS</returncode><session_token>a.b.c</session_token><url>{url}</url></response>"
        )
    };
    let raw = |fields: &str| {
        let fields = fields.replace('"', "&#34;");
        join(&format!(
            "HTTP/1.1://localhost/?access_token=a.b.c&amp;custom_design={fields}"
        ))
    };
    let start = "https://localhost/?access_token=a.b.c";
    for (xml, url) in [
        (join("HTTP/1.1://localhost/?access_token=a.b.c"), start.to_owned()),
        (
            raw(r##"{"primary_color":"#fff"}"##),
            format!("{start}&amp;custom_design=%7B%22primary_color%22%3A%22%23fff%22%7D"),
        ),
    ] {
        let server = answering_xml(&xml).await;
        let gateway = Gateway::in_front_of(&server).await;
        let target = bbb_target("join", "meetingID=m&fullName=x&redirect=false");
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(answer.text(), join(&url), "{xml}");
        let length = answer.text().len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        let answer = gateway.client().request_h2("GET", &target, &[], b"").await;
        assert_eq!(answer.text(), join(&url), "{xml}");
    }
    for on_invalid in ["strip", "reject"] {
        let server = answering_xml(&raw(r#"{"primary_color":"}body{"}"#)).await;
        let toml = format!(
            "issuer.mode = 'upstream'\nupstreams.server = ['{}']\ndesign.on_invalid = '{on_invalid}'",
            server.url()
        );
        let gateway = Gateway::with(&toml).await;
        let answer = gateway
            .get(&bbb_target("join", "meetingID=m&fullName=x&redirect=false"), &[])
            .await;
        assert_eq!(answer.text(), join(start), "{on_invalid}");
    }
}
