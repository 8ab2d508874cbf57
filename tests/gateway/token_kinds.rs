//! One secret signs three kinds of tokens, and the server takes any of them anywhere. The gateway does not.

use serde_json::{Value, json};

use crate::support::{Gateway, plugnmeet::signed_payload, upstream::Upstream};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/protobuf");

async fn pair() -> (Upstream, Gateway) {
    let server = Upstream::answering("the server").await;
    let gateway = Gateway::in_front_of(&server).await;
    (server, gateway)
}

fn lti(gateway: &Gateway) -> String {
    let exp = gateway.clock.unix() + 7200;
    signed_payload(
        &json!({"iss": "plugnmeet", "sub": "ann", "user_id": "ann", "room_id": "room01", "exp": exp,
                            "lti_custom_parameters": {"lti_custom_design": {}}}),
    )
}

fn download(gateway: &Gateway) -> String {
    let exp = gateway.clock.unix() + 600;
    signed_payload(&json!({"iss": "plugnmeet", "sub": "node/room01.mp4", "exp": exp}))
}

const LTI_CALLS: [&str; 6] = [
    "room/join",
    "room/isActive",
    "room/end",
    "recording/fetch",
    "recording/download",
    "recording/delete",
];

#[tokio::test]
async fn the_api_of_learning_platforms_takes_their_tokens_alone() {
    let (server, gateway) = pair().await;
    for call in LTI_CALLS {
        for target in [
            format!("/lti/v1/api/{call}"),
            format!("/LTI/v1/API/{}/", call.to_uppercase()),
        ] {
            for token in [gateway.token("room01", "ann"), download(&gateway)] {
                for (query, header) in [("", &*token), (&*format!("?Authorization={token}"), "")] {
                    let headers = [("Authorization", header), ("Content-Type", "application/json")];
                    let answer = gateway.post(&format!("{target}{query}"), &headers, b"{}").await;
                    assert_eq!(answer.status, 401, "{target}{query}");
                    let told: Value = serde_json::from_str(&answer.text()).unwrap();
                    assert_eq!(told["status"], false);
                    assert_eq!(told["msg"], "this token is for something else");
                }
            }
        }
    }
    assert!(server.saw_nothing());
    for call in LTI_CALLS {
        let headers = [("Authorization", &*lti(&gateway))];
        let answer = gateway
            .post(&format!("/lti/v1/api/{call}"), &headers, b"{}")
            .await;
        assert_eq!(answer.text(), "the server", "{call}");
    }
}

#[tokio::test]
async fn the_api_of_rooms_takes_join_tokens_alone() {
    let (server, gateway) = pair().await;
    for target in [
        "/api/verifyToken",
        "/api/recording",
        "/API/breakoutRoom/join/",
        "/api/removeParticipant",
    ] {
        for token in [lti(&gateway), download(&gateway)] {
            let headers = [("Authorization", &*token), PROTOBUF];
            let answer = gateway.post(target, &headers, b"").await;
            assert_eq!(answer.status, 401, "{target}");
            assert_eq!(answer.header("content-type"), Some("application/protobuf"));
            let twice = [("Authorization", "x"), ("Authorization", &*token), PROTOBUF];
            assert_eq!(gateway.post(target, &twice, b"").await.status, 401, "{target}");
            let upload = format!("/api/fileUpload?roomSid=x&Authorization={token}");
            assert_eq!(gateway.get(&upload, &[]).await.status, 400);
        }
    }
    assert!(server.saw_nothing());
    let headers = [("Authorization", &*gateway.token("room01", "ann")), PROTOBUF];
    let answer = gateway.post("/api/verifyToken", &headers, b"\x08\x01").await;
    assert_eq!(answer.text(), "the server");
}

#[tokio::test]
async fn a_token_in_a_form_is_looked_at_while_the_form_goes_by() {
    let (server, gateway) = pair().await;
    let form = |token: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.png\"\r\n\r\n{}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"Authorization\"\r\n\r\n{token}\r\n--b--\r\n",
            "x".repeat(100_000)
        )
    };
    let multipart = ("Content-Type", "multipart/form-data; boundary=b");
    let refused = form(&lti(&gateway));
    let answer = gateway
        .post("/api/whiteboard/export", &[multipart], refused.as_bytes())
        .await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let answer = gateway
        .post("/api/fileUpload", &[multipart], refused.as_bytes())
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let urlencoded = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("a=b&Authorization={}", gateway.token("room01", "ann"));
    let answer = gateway
        .post("/lti/v1/api/recording/delete", &urlencoded, body.as_bytes())
        .await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let packed = [multipart, ("Content-Encoding", "gzip")];
    assert_eq!(gateway.post("/api/fileUpload", &packed, b"x").await.status, 400);
    assert!(server.saw_nothing());

    let taken = form(&gateway.token("room01", "ann"));
    let answer = gateway
        .post("/api/whiteboard/export", &[multipart], taken.as_bytes())
        .await;
    assert_eq!(answer.text(), "the server");
    assert_eq!(server.only_request().body, taken);
}

/// The server would read another part than was looked at.
#[tokio::test]
async fn a_form_that_can_be_read_in_two_ways_hides_no_token() {
    let (server, gateway) = pair().await;
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"Authorization\"\r\n\r\n{}\r\n--b--\r\n",
        lti(&gateway)
    );
    let multipart = "multipart/form-data; boundary=b";
    for media_types in [
        &["multipart/form-data; xboundary=a; boundary=b"][..],
        &["multipart/form-data; Boundary=a; boundary=b"],
        &["application/x-www-form-urlencoded; multipart/"],
        &["multipart/form-data; boundary=a", multipart],
        &["application/json", multipart],
    ] {
        let fields: Vec<_> = media_types.iter().map(|one| ("Content-Type", *one)).collect();
        for (target, status) in [("/api/whiteboard/export", 415), ("/api/fileUpload", 400)] {
            let answer = gateway.post(target, &fields, form.as_bytes()).await;
            assert_eq!(answer.status, status, "{target} {media_types:?}");
        }
    }
    assert!(server.saw_nothing());
}

/// Something in the head that the server passes over does not keep the form from being looked at.
#[tokio::test]
async fn a_form_is_looked_at_unless_the_server_reads_the_token_in_the_head() {
    let (server, gateway) = pair().await;
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"Authorization\"\r\n\r\n{}\r\n--b--\r\n",
        lti(&gateway)
    );
    let multipart = ("Content-Type", "multipart/form-data; boundary=b");
    for (query, tokens) in [
        ("?authorization=x", &[][..]),
        ("?AUTHORIZATION=x", &[]),
        ("?Authorization=&Authorization=x", &[]),
        ("", &["", "x"]),
    ] {
        let tokens = tokens.iter().map(|token| ("Authorization", *token));
        let fields: Vec<_> = tokens.chain([multipart]).collect();
        let target = format!("/api/whiteboard/export{query}");
        let answer = gateway.post(&target, &fields, form.as_bytes()).await;
        assert_eq!(answer.status, 401, "{fields:?} {query}");
    }
    assert!(server.saw_nothing());
    let answer = gateway
        .post(
            "/api/x?Authorization=x&Authorization=",
            &[multipart],
            form.as_bytes(),
        )
        .await;
    assert_eq!(answer.text(), "the server");
}

#[tokio::test]
async fn a_download_takes_a_token_that_is_for_one() {
    let (server, gateway) = pair().await;
    for kind in ["recording", "analytics", "artifact", "Recording"] {
        for token in [lti(&gateway), gateway.token("room01", "ann")] {
            for target in [
                format!("/download/{kind}/{token}"),
                format!("/download/{kind}/{token}/"),
                format!("/download/{kind}/{}", token.replace('.', "%2E")),
            ] {
                let answer = gateway.get(&target, &[]).await;
                assert_eq!(answer.status, 401, "{kind}");
                assert!(!answer.text().contains(&token));
            }
        }
    }
    assert!(server.saw_nothing());
    let target = format!("/download/recording/{}", download(&gateway));
    assert_eq!(gateway.get(&target, &[]).await.text(), "the server");
}

/// The server refuses these in its own words.
#[tokio::test]
async fn no_token_and_one_that_cannot_be_read_go_on() {
    let (server, gateway) = pair().await;
    let expired = gateway.clock.unix() - 100;
    let expired = signed_payload(&json!({"iss": "plugnmeet", "sub": "node/x.mp4", "exp": expired}));
    let forged = format!("{}x", lti(&gateway));
    let tokens = ["", "nonsense", "a.b.c", &expired, &forged];
    for token in tokens {
        for target in ["/api/verifyToken", "/lti/v1/api/room/isActive"] {
            let answer = gateway.post(target, &[("Authorization", token)], b"").await;
            assert_eq!(answer.text(), "the server", "{target} {token}");
        }
    }
    assert_eq!(
        gateway.get("/download/recording/nonsense", &[]).await.text(),
        "the server"
    );
    assert_eq!(server.requests().len(), 2 * tokens.len() + 1);
}
