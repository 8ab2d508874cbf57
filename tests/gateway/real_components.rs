//! The real SDK and the real NATS around the gateway.
//!
//! Not here: a real browser (`tests/gateway/sessions_in_browser`), what the drivers do (`tests/node`), and where it all comes
//! from (`tests/install`).

use std::time::Duration;

use serde_json::json;

use crate::support::{
    API_KEY, Gateway, SECRET,
    nats::NatsServer,
    node::{NodeProcess, run_node, trust},
    plugnmeet,
};

// --- the SDK ---

#[tokio::test]
async fn the_real_sdk_gets_a_token_from_either_issuer_and_it_opens_the_page() {
    let server = plugnmeet::server().await;
    for gateway in [Gateway::embedded().await, Gateway::in_front_of(&server).await] {
        let trust = trust(&gateway.certificate(), gateway.https);
        let ask = |secret: &str, user_id: &str| {
            json!({"url": gateway.origin(), "apiKey": API_KEY, "secret": secret,
                   "params": {"room_id": "room01",
                              "user_info": {"name": "Ännchen", "user_id": user_id, "is_admin": true}}})
        };
        let got = run_node("sdk.mjs", &ask(SECRET, "ann"), &trust).await;
        assert_eq!(
            (&got["status"], &got["msg"]),
            (&json!(true), &json!("success")),
            "{got}"
        );
        let token = got["token"].as_str().unwrap();
        let handed = gateway
            .get(&format!("/conference/?access_token={token}"), &[])
            .await;
        let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
        assert_eq!(
            (handed.status, handed.header("location")),
            (303, Some(path.as_str()))
        );

        let refused = run_node("sdk.mjs", &ask("another secret", "ann"), &trust).await;
        assert_eq!(refused["status"], json!(false), "{refused}");
        assert_eq!(
            refused["msg"],
            json!("Failed to verify provided authentication details.")
        );
        let refused = run_node("sdk.mjs", &ask(SECRET, "sip_1"), &trust).await;
        assert_eq!(
            (&refused["status"], &refused["msg"]),
            (
                &json!(false),
                &json!("user_id: sip_1 is reserved for internal use only")
            ),
            "{refused}"
        );
    }
    // A reserved name is the server's to judge; the gateway itself asks which meeting a link is for.
    let asked = server.requests();
    let of = |path: &str| asked.iter().filter(|seen| seen.target == path).count();
    let questions = of("/auth/room/getActiveRoomInfo");
    assert_eq!(
        (of("/auth/room/getJoinToken"), asked.len()),
        (2, 2 + questions),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_real_sdk_can_read_that_it_has_to_wait() {
    let gateway = Gateway::with("limits.user = '1/min'").await;
    let trust = trust(&gateway.certificate(), gateway.https);
    let ask = json!({"url": gateway.origin(), "apiKey": API_KEY, "secret": SECRET,
                     "params": {"room_id": "room01", "user_info": {"name": "Ann", "user_id": "ann"}}});
    let got = run_node("sdk.mjs", &ask, &trust).await;
    assert_eq!(got["status"], json!(true), "{got}");
    let over = run_node("sdk.mjs", &ask, &trust).await;
    assert_eq!(over["status"], json!(false), "{over}");
    let message = over["msg"].as_str().unwrap();
    assert!(message.starts_with("too many requests: try again in "), "{over}");
}

// --- NATS ---

async fn in_front_of(nats: &NatsServer) -> Gateway {
    Gateway::with(&format!("upstreams.nats = 'http://{}'", nats.address())).await
}

fn websocket(gateway: &Gateway, path: &str) -> String {
    format!("wss://localhost:{}{path}", gateway.https.port())
}

#[tokio::test]
async fn the_real_nats_client_talks_through_the_gateway() {
    let nats = NatsServer::with_password("ann", "s3cret").await;
    let gateway = in_front_of(&nats).await;
    let trust = trust(&gateway.certificate(), gateway.https);
    for (path, messages, size) in [("/ws", 5000, 100), ("/ws", 64, 512 * 1024), ("/ws/", 1, 0)] {
        let talk = json!({"url": websocket(&gateway, path), "user": "ann", "pass": "s3cret",
                          "messages": messages, "size": size});
        let seen = run_node("nats.mjs", &talk, &trust).await;
        assert_eq!(
            (&seen["connected"], &seen["received"], &seen["intact"]),
            (&json!(true), &json!(messages), &json!(messages)),
            "{seen}"
        );
    }
    let stranger = json!({"url": websocket(&gateway, "/ws"), "user": "ann", "pass": "guess"});
    let seen = run_node("nats.mjs", &stranger, &trust).await;
    assert_eq!(seen["connected"], json!(false), "{seen}");
    let elsewhere = json!({"url": websocket(&gateway, "/wsx"), "user": "ann", "pass": "s3cret"});
    let seen = run_node("nats.mjs", &elsewhere, &trust).await;
    assert_eq!(seen["connected"], json!(false), "{seen}");
}

/// RFC 6455 section 7.4.1: 1001 is "going away", and clients come back.
#[tokio::test]
async fn a_gateway_that_stops_tells_open_websockets_that_it_is_going_away() {
    let nats = NatsServer::start().await;
    let gateway = Gateway::with(&format!(
        "upstreams.nats = 'http://{}'\ntimeouts.drain = '1s'",
        nats.address()
    ))
    .await;
    let trust = trust(&gateway.certificate(), gateway.https);
    let url = websocket(&gateway, "/ws");
    let mut bare = NodeProcess::start("ws-close.mjs", &json!({"url": url}), &trust);
    assert_eq!(bare.next_line().await["open"], json!(true));
    let mut client = NodeProcess::start("nats.mjs", &json!({"url": url, "hold": true}), &trust);
    assert_eq!(client.next_line().await["connected"], json!(true));
    let started = tokio::time::Instant::now();
    gateway.stop().await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(800), "{took:?}");
    let ended = bare.next_line().await;
    assert_eq!(
        (&ended["code"], &ended["clean"]),
        (&json!(1001), &json!(true)),
        "{ended}"
    );
    bare.finish().await;
    assert_eq!(client.next_line().await["closed"], json!(true));
    client.finish().await;
}

#[tokio::test]
async fn a_nats_server_that_dies_ends_the_websocket_and_not_the_gateway() {
    let nats = NatsServer::start().await;
    let gateway = in_front_of(&nats).await;
    let trust = trust(&gateway.certificate(), gateway.https);
    let url = websocket(&gateway, "/ws");
    let mut bare = NodeProcess::start("ws-close.mjs", &json!({"url": url}), &trust);
    assert_eq!(bare.next_line().await["open"], json!(true));
    nats.kill().await;
    assert_eq!(bare.next_line().await["code"], json!(1006));
    bare.finish().await;
    let refused = run_node("ws-close.mjs", &json!({"url": url}), &trust).await;
    assert_eq!(refused["open"], json!(false));
    assert_eq!(gateway.get("/conference/", &[]).await.status, 200);
}
