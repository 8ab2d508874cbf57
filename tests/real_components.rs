//! The real SDK, the real NATS and a real browser around the gateway.
//!
//! Not here: what the drivers do (`tests/node`), and where it all comes from (`tests/install`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::{
    API_KEY, Gateway, SECRET, folder_of,
    nats::NatsServer,
    node::{NodeProcess, run_node},
    plugnmeet,
};

// --- the SDK ---

#[tokio::test]
async fn the_real_sdk_gets_a_token_from_either_issuer_and_it_opens_the_page() {
    let server = plugnmeet::server().await;
    for gateway in [Gateway::embedded().await, Gateway::in_front_of(&server).await] {
        let certificate = gateway.certificate();
        let trust = [("NODE_EXTRA_CA_CERTS", certificate.to_str().unwrap())];
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
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_real_sdk_can_read_that_it_has_to_wait() {
    let gateway = Gateway::with("limits.user = '1/min'").await;
    let certificate = gateway.certificate();
    let trust = [("NODE_EXTRA_CA_CERTS", certificate.to_str().unwrap())];
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
    let certificate = gateway.certificate();
    let trust = [("NODE_EXTRA_CA_CERTS", certificate.to_str().unwrap())];
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
    let certificate = gateway.certificate();
    let trust = [("NODE_EXTRA_CA_CERTS", certificate.to_str().unwrap())];
    let url = websocket(&gateway, "/ws");
    let mut bare = NodeProcess::start("ws-close.mjs", &json!({"url": url}), &trust);
    assert_eq!(bare.next_line().await["open"], json!(true));
    let mut client = NodeProcess::start("nats.mjs", &json!({"url": url, "hold": true}), &trust);
    assert_eq!(client.next_line().await["connected"], json!(true));
    let started = tokio::time::Instant::now();
    gateway.stop().await;
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
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
    let certificate = gateway.certificate();
    let trust = [("NODE_EXTRA_CA_CERTS", certificate.to_str().unwrap())];
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

// --- the browser ---

/// Runs the steps in Chromium; a step that failed fails the test.
async fn browse(steps: Value) -> Vec<Value> {
    let report = run_node("browser.mjs", &json!({"steps": steps}), &[]).await;
    let snapshots = report["snapshots"].as_array().unwrap().clone();
    for snapshot in &snapshots {
        assert_eq!(snapshot["error"], Value::Null, "{snapshot}");
    }
    snapshots
}

fn text<'a>(snapshot: &'a Value, name: &str) -> &'a str {
    snapshot[name].as_str().unwrap()
}

/// Every request of these steps; the token may be in the address of the link itself, and in cookies, nowhere else.
fn assert_no_leak(snapshots: &[Value], token: &str, links: usize) {
    let mut requests = 0;
    let mut with_token = 0;
    for request in snapshots
        .iter()
        .flat_map(|snapshot| snapshot["requests"].as_array().unwrap())
    {
        requests += 1;
        with_token += usize::from(text(request, "url").contains(token));
        for (name, value) in request["headers"].as_object().unwrap() {
            let said = value.as_str().unwrap();
            // `:path` is the address itself, which is counted above.
            let own = name == "cookie" || name.starts_with(':');
            assert!(own || !said.contains(token), "{name}: {request}");
            assert!(name != "referer" || !said.contains("access_token"), "{request}");
        }
        let answered = request["responseHeaders"].as_object();
        for (name, value) in answered.into_iter().flatten() {
            assert!(
                name == "set-cookie" || !value.as_str().unwrap().contains(token),
                "{name}: {request}"
            );
        }
    }
    assert!(requests > 0);
    assert_eq!(
        with_token, links,
        "only the link itself has the token in its address"
    );
    for snapshot in snapshots {
        for name in ["url", "referrer", "title"] {
            assert!(!text(snapshot, name).contains(token), "{name}: {snapshot}");
        }
    }
}

#[tokio::test]
async fn a_browser_that_opens_a_link_is_in_its_session_and_the_address_bar_has_no_token() {
    let gateway = Gateway::embedded().await;
    let origin = gateway.origin();
    let (anns, bobs) = (gateway.token("room01", "ann"), gateway.token("room02", "bob"));
    let link = |token: &str| format!("{origin}/conference/?access_token={token}&lang=de");
    let page =
        |room: &str, user: &str| format!("{origin}/conference/s/{}/?lang=de", gateway.keys.tag(room, user));
    let snapshots = browse(json!([
        {"tab": 1, "goto": link(&anns)},
        {"tab": 1, "reload": true},
        {"tab": 2, "goto": link(&bobs)},
        {"tab": 1, "reload": true},
        {"tab": 2, "reload": true},
        {"tab": 1, "goto": format!("{origin}/conference/")},
        {"tab": 1, "back": true},
    ]))
    .await;
    for (at, room, user, token) in [
        (0, "room01", "ann", &anns),
        (1, "room01", "ann", &anns),
        (2, "room02", "bob", &bobs),
        (3, "room01", "ann", &anns),
        (4, "room02", "bob", &bobs),
        (6, "room01", "ann", &anns),
    ] {
        let snapshot = &snapshots[at];
        assert_eq!(text(snapshot, "url"), page(room, user), "step {at}");
        assert_eq!(
            text(snapshot, "cookie"),
            format!("pnm_access_token={token}"),
            "step {at}"
        );
        for shown in ["Your session is ready", room, "Ann", user] {
            assert!(text(snapshot, "text").contains(shown), "step {at}: {snapshot}");
        }
    }
    // At the mount itself there is no session, as both live on paths of their own.
    assert!(text(&snapshots[5], "text").contains("Use your join link"));
    assert_eq!(text(&snapshots[5], "cookie"), "");
    let jar = snapshots[6]["cookies"].as_array().unwrap();
    let mut kept: Vec<_> = jar
        .iter()
        .map(|cookie| {
            assert_eq!(
                (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
                (&json!(true), &json!(false), &json!("Lax")),
                "{cookie}"
            );
            (text(cookie, "path"), text(cookie, "value"))
        })
        .collect();
    kept.sort_unstable();
    let path = |room: &str, user: &str| format!("/conference/s/{}/", gateway.keys.tag(room, user));
    let (of_ann, of_bob) = (path("room01", "ann"), path("room02", "bob"));
    let mut expected = [(of_ann.as_str(), anns.as_str()), (of_bob.as_str(), bobs.as_str())];
    expected.sort_unstable();
    assert_eq!(kept, expected);
    assert_no_leak(&snapshots, &anns, 1);
    assert_no_leak(&snapshots, &bobs, 1);
    for snapshot in &snapshots {
        assert_eq!(snapshot["console"], json!([]), "{snapshot}");
    }
}

/// As small as a client can be, and as relative as the real one's build.
const INDEX: &str = r#"<!doctype html>
<html><head><title>client</title><link rel="stylesheet" href="./assets/css/main.css">
<script src="./assets/config.js"></script></head>
<body><p id="where"></p><img src="./assets/imgs/missing.png">
<script type="module" src="./assets/js/main.js"></script></body></html>"#;

const MAIN_JS: &str = r#"
import { word } from "./chunk.js";
const translation = await (await fetch(window.plugNmeetConfig.staticAssetsPath + "/locales/en.json")).json();
await fetch("/nowhere", { method: "POST", body: "{}" });
document.getElementById("where").innerText = [
  word, translation.word, document.cookie, location.pathname + location.search, document.baseURI,
  window.plugNmeetConfig.serverUrl, getComputedStyle(document.body).color,
].join("\n");
document.title = "ready";
"#;

fn client() -> tempfile::TempDir {
    folder_of(&[
        ("index.html", INDEX),
        ("assets/js/main.js", MAIN_JS),
        ("assets/js/chunk.js", "export const word = 'chunk';"),
        ("assets/css/main.css", "body { color: rgb(1, 2, 3) }"),
        ("assets/locales/en.json", "{\"word\": \"translated\"}"),
    ])
}

#[tokio::test]
async fn a_client_of_relative_links_works_at_the_path_of_any_session() {
    let folder = client();
    let gateway = Gateway::with(&format!("client.path = '{}'", folder.path().display())).await;
    let origin = gateway.origin();
    let (anns, other) = (
        gateway.token("room01", "ann"),
        gateway.token("room01-breakout", "ann"),
    );
    let design = "custom_design=%7B%22primary_color%22%3A%22red%22%7D";
    let ready = "document.title === 'ready'";
    let snapshots = browse(json!([
        {"tab": 1, "goto": format!("{origin}/?access_token={anns}&{design}"), "until": ready},
        // As the real client opens a breakout room: the page's own path, its search, and another token.
        {"tab": 1, "run": format!(
            "const to = new URLSearchParams(location.search); to.set('access_token', {other:?}); \
             window.open(location.pathname + '?' + to.toString(), '_blank') !== null")},
        {"tab": 2, "reload": true, "until": ready},
        {"tab": 1, "reload": true, "until": ready},
    ]))
    .await;
    assert_eq!(snapshots[1]["value"], json!(true));
    for (at, room, token) in [
        (0, "room01", &anns),
        (2, "room01-breakout", &other),
        (3, "room01", &anns),
    ] {
        let path = format!("/conference/s/{}/", gateway.keys.tag(room, "ann"));
        let snapshot = &snapshots[at];
        assert_eq!(
            text(snapshot, "url"),
            format!("{origin}{path}?{design}"),
            "step {at}"
        );
        let expected = [
            "chunk",
            "translated",
            &format!("pnm_access_token={token}"),
            &format!("{path}?{design}"),
            &format!("{origin}/conference/"),
            &origin,
            "rgb(1, 2, 3)",
        ];
        let lines: Vec<_> = text(snapshot, "text").lines().collect();
        assert_eq!(lines, expected, "step {at}");
    }
    assert_no_leak(&snapshots, &anns, 1);
    assert_no_leak(&snapshots, &other, 1);
    // The cookie is for the page alone: no file and no call of a script ever sees it.
    for request in snapshots
        .iter()
        .flat_map(|snapshot| snapshot["requests"].as_array().unwrap())
    {
        if text(request, "type") != "document" {
            assert_eq!(request["headers"]["cookie"], Value::Null, "{request}");
        }
    }
}

#[tokio::test]
async fn in_a_frame_of_another_site_the_session_works_if_that_site_may_frame_us() {
    let pages = folder_of(&[
        ("index.html", "<head></head>"),
        (
            "assets/lms.html",
            "<!doctype html><title>a learning platform</title>",
        ),
    ]);
    // To a browser, an address and a name are two sites.
    let lms = Gateway::with(&format!("client.path = '{}'", pages.path().display())).await;
    let site = format!("https://127.0.0.1:{}", lms.https.port());
    let stranger = format!("https://[::1]:{}", lms.https.port());
    let gateway = Gateway::with(&format!("session.frame_ancestors = ['{site}']")).await;
    let closed = Gateway::with(&format!("session.frame_ancestors = ['{stranger}']")).await;
    let token = gateway.token("room01", "ann");
    let framed = |gateway: &Gateway| {
        let link = format!("{}/conference/?access_token={token}", gateway.origin());
        format!(
            "new Promise((done) => {{ const frame = document.createElement('iframe'); frame.onload = done; \
             frame.src = {link:?}; document.body.append(frame); }}).then(() => true)"
        )
    };
    let outer = format!("{site}/conference/assets/lms.html");
    let snapshots = browse(json!([
        {"tab": 1, "goto": outer},
        {"tab": 1, "run": framed(&gateway)},
        {"tab": 2, "goto": outer},
        {"tab": 2, "run": framed(&closed)},
    ]))
    .await;
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let frame = &snapshots[1]["frames"][1];
    assert_eq!(text(frame, "url"), format!("{}{path}", gateway.origin()));
    assert_eq!(text(frame, "cookie"), format!("pnm_access_token={token}"));
    let page = snapshots[1]["requests"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (text(page, "url"), &page["status"]),
        (text(frame, "url"), &json!(200))
    );
    let blocked = &snapshots[3]["frames"][1];
    assert!(!text(blocked, "url").contains(&closed.origin()), "{blocked}");
    assert_no_leak(&snapshots, &token, 2);
}

#[tokio::test]
async fn a_bad_link_shows_a_page_that_nothing_can_be_loaded_into() {
    let gateway = Gateway::embedded().await;
    let origin = gateway.origin();
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let design = "%7B%22primary_color%22%3A%22%3Cimg+src%3Dx%3E%22%7D";
    let good = gateway.token("room01", "ann");
    let snapshots = browse(json!([
        {"tab": 1, "goto": format!("{origin}/conference/?access_token={expired}")},
        {"tab": 1, "goto": format!("{origin}/conference/?access_token={good}&custom_design={design}")},
        {"tab": 1, "run": "document.images.length + document.scripts.length"},
    ]))
    .await;
    assert!(text(&snapshots[0], "text").contains("This link has expired"));
    assert!(text(&snapshots[1], "text").contains("primary_color `<img src=x>` is not a CSS colour"));
    assert_eq!(snapshots[2]["value"], json!(0));
    for snapshot in &snapshots {
        assert_eq!(snapshot["cookies"], json!([]));
    }
}
