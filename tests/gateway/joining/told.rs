//! What is told of those who wait: to themselves on the client's page, and to the operator.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Response;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::client::TlsStream;

use super::{Site, UPGRADE, knocks, until};
use crate::support::{
    Gateway,
    addr::free,
    client::{Answer, plain_get},
    folder_of,
    raw::{Raw, RawUpstream},
    upstream::{Upstream, text_body},
    websocket::agreed,
};

/// A client's page with an empty element to fill.
const INDEX: &str = "<!doctype html><html><head></head><body><div id=\"plugNmeet-app\"></div></body></html>";

/// Where somebody's page asks how many are before.
fn place(gateway: &Gateway, room: &str, user: &str) -> String {
    format!("/conference/s/{}/joining", gateway.keys.tag(room, user))
}

fn cookie(token: &str) -> String {
    format!("pnm_access_token={token}")
}

/// A gateway with one place, and a server that answers nobody: whoever is there first has the place for as long as it likes.
struct OnePlace {
    server: Upstream,
    gateway: Gateway,
}

impl OnePlace {
    async fn with(toml: &str) -> Self {
        let server = Upstream::handling(|_| std::future::pending()).await;
        let gateway = Gateway::with(&format!(
            "upstreams.server = ['{}']\nupstreams.nats = 'http://{}'\nupstreams.joining = 1\n\
             timeouts.response = '10m'\ntimeouts.admission = '10m'\n{toml}",
            server.url(),
            free()
        ))
        .await;
        Self { server, gateway }
    }

    /// Somebody who has the place, as long as this is held.
    async fn is_taken_by(&self, token: &str) -> Raw<TlsStream<TcpStream>> {
        let holder = knocks(&self.gateway, token).await;
        until("the server is asked", async || !self.server.saw_nothing()).await;
        holder
    }
}

async fn has_waiting(gateway: &Gateway, count: usize) {
    until("so many wait", async || {
        gateway.joining().status().waiting == count
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_is_told_how_many_are_before_and_nobody_else_is() {
    let site = OnePlace::with("").await;
    let gateway = &site.gateway;
    let token = |user: &str| gateway.token("room01", user);
    let _ann = site.is_taken_by(&token("ann")).await;
    let mut waiting = Vec::new();
    for (nth, user) in ["bob", "cid"].into_iter().enumerate() {
        waiting.push(knocks(gateway, &token(user)).await);
        has_waiting(gateway, nth + 1).await;
    }
    // In another room, and so second by turns.
    waiting.push(knocks(gateway, &gateway.token("room02", "dan")).await);
    has_waiting(gateway, 3).await;

    let ask = async |target: &str, token: &str| gateway.get(target, &[("cookie", &cookie(token))]).await;
    let of = |answer: &Answer| answer.json()["waiting"].take();
    for (room, user, before) in [("room01", "bob", 0), ("room02", "dan", 1), ("room01", "cid", 2)] {
        let answer = ask(&place(gateway, room, user), &gateway.token(room, user)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("set-cookie"), None);
        let waiting = of(&answer);
        assert_eq!(waiting["before"], before, "{user}: {waiting}");
        assert!(waiting["seconds"].as_u64().is_some(), "{waiting}");
    }
    // She has a place.
    let own = place(gateway, "room01", "ann");
    let anns = ask(&own, &token("ann")).await;
    assert_eq!((anns.status, anns.text().as_str()), (200, "{\"waiting\":null}"));

    // Of another's session, of none, and with a token that is over.
    let bobs = place(gateway, "room01", "bob");
    let late = gateway.sign(|claims| claims.exp = claims.nbf - 100);
    for (answer, code) in [
        (ask(&bobs, &token("cid")).await, "no_session"),
        (ask(&bobs, "x").await, "token_not_genuine"),
        (gateway.get(&bobs, &[]).await, "no_session"),
        (
            gateway.get(&bobs, &[("authorization", &token("bob"))]).await,
            "no_session",
        ),
        (ask(&own, &late).await, "token_expired"),
    ] {
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["code"], code, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let posted = gateway
        .post(&bobs, &[("cookie", &cookie(&token("bob")))], b"")
        .await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    let head = gateway
        .client()
        .request("HEAD", &own, &[("cookie", &cookie(&token("ann")))], b"")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for nowhere in ["/conference/joining", "/joining", "/conference/s/joining"] {
        assert_eq!(ask(nowhere, &token("ann")).await.status, 404, "{nowhere}");
    }
    assert_eq!(site.server.requests().len(), 1, "nothing of it in any upstream");

    let row = &gateway.status()["joining"];
    assert_eq!(
        (&row["places"], &row["taken"], &row["waiting"], &row["rooms"]),
        (
            &json!(1),
            &json!(1),
            &json!(3),
            &json!({"room01": 2, "room02": 1})
        ),
        "{row}"
    );
    assert!(row["longest_wait_s"].is_u64(), "{row}");
    drop(waiting);
    has_waiting(gateway, 0).await;
}

/// Where one path is for all sessions the cookie comes there, and the answer is about whoever it is of.
#[tokio::test]
async fn where_sessions_share_a_path_the_cookie_says_who_asks() {
    let site = OnePlace::with("session.scope = 'mount'").await;
    let gateway = &site.gateway;
    let _ann = site.is_taken_by(&gateway.token("room01", "ann")).await;
    let _bob = knocks(gateway, &gateway.token("room01", "bob")).await;
    has_waiting(gateway, 1).await;
    let token = gateway.token("room01", "bob");
    let answer = gateway
        .get("/conference/joining", &[("cookie", &cookie(&token))])
        .await;
    assert_eq!(answer.json()["waiting"]["before"], 0, "{answer:?}");
}

async fn page(toml: &str) -> Answer {
    let folder = folder_of(&[("index.html", INDEX)]);
    let gateway = Gateway::with(&format!("client.path = '{}'\n{toml}", folder.path().display())).await;
    let path = place(&gateway, "room01", "ann").replace("joining", "");
    let token = gateway.token("room01", "ann");
    let fields = [("cookie", cookie(&token)), ("accept-language", "de".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    gateway.get(&path, &fields).await
}

/// Beside the line, and gone with it; the policy allows this very text and no other.
#[tokio::test]
async fn the_page_has_the_script_that_asks_where_people_may_wait() {
    let html = page("upstreams.nats = 'http://127.0.0.1:9'").await;
    let policy = html.header("content-security-policy").unwrap().to_owned();
    let text = html.text();
    let line = text.split_once("<div id=\"plugNmeet-app\">").unwrap().1;
    let (line, script) = line.split_once("<script ").unwrap();
    assert!(line.starts_with("<p lang=\"de\" dir=\"ltr\" style=\""), "{line}");
    assert!(line.ends_with("\">Wird geladen …</p>"), "{line}");
    let (attributes, script) = script.split_once('>').unwrap();
    let words =
        "Gerade treten sehr viele Personen bei. Sie werden automatisch eingelassen. Personen vor Ihnen: {n}";
    let expected = format!("lang=\"de\" dir=\"ltr\" data-words=\"{words}\" data-style=\"");
    assert!(attributes.starts_with(&expected), "{attributes}");
    let (script, rest) = script.split_once("</script>").unwrap();
    assert_eq!(rest, "</div></body></html>");
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, script.as_bytes()));
    let scripts = policy
        .split("; ")
        .find(|part| part.starts_with("script-src "))
        .unwrap();
    assert!(
        scripts.contains(&format!(" 'wasm-unsafe-eval' 'sha256-{hash}'")),
        "{scripts}"
    );
    assert!(!scripts.contains("unsafe-inline"), "{scripts}");
}

#[tokio::test]
async fn the_page_has_no_script_where_nobody_waits_or_the_operator_wants_none() {
    for toml in [
        "",
        "upstreams.nats = 'http://127.0.0.1:9'\nupstreams.joining = 0",
        "upstreams.nats = 'http://127.0.0.1:9'\nupstreams.joining_message = false",
    ] {
        let html = page(toml).await;
        assert!(
            html.text().contains("\">Wird geladen …</p></div>"),
            "{toml}: {html:?}"
        );
        assert!(!html.text().contains("<script"), "{toml}: {html:?}");
        let policy = html.header("content-security-policy").unwrap();
        assert!(!policy.contains("sha256"), "{toml}: {policy}");
    }
}

async fn metric(gateway: &Gateway, name: &str) -> String {
    let text = plain_get(gateway.admin, "/metrics").await.text();
    text.lines()
        .find_map(|line| {
            line.strip_prefix(&format!("plugnmeet_gateway_{name}"))?
                .strip_prefix(' ')
        })
        .unwrap_or_else(|| panic!("{name}: {text}"))
        .to_owned()
}

/// One is at the server, one at NATS, one waits for either.
#[tokio::test]
async fn metrics_say_where_those_are_who_are_on_their_way() {
    let goes_on = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&goes_on);
    let server = Upstream::handling(move |_| {
        let answers = Arc::clone(&answers);
        async move {
            let _answer = answers.acquire().await.unwrap();
            Response::builder()
                .header("content-type", "application/protobuf")
                .body(text_body(&b"\x08\x00\x12\x02no"[..]))
                .unwrap()
        }
    })
    .await;
    let nats = RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        connection.send(b"\x82\x09INFO {}\r\n").await;
        connection.rest().await;
    })
    .await;
    let gateway = Gateway::with(&format!(
        "upstreams.server = ['{}']\nupstreams.nats = '{}'\nupstreams.joining = 2",
        server.url(),
        nats.url()
    ))
    .await;
    let mut socket = gateway.client().raw().await;
    socket
        .send(format!("{}{UPGRADE}", gateway.head("GET /ws HTTP/1.1")))
        .await;
    assert_eq!(socket.answer().await.status, 101);
    assert_eq!(socket.exactly(11).await.unwrap(), b"\x82\x09INFO {}\r\n");
    // It waits for an answer now, for ten seconds. The frame is masked with zeros.
    socket.send(b"\x82\x8c\0\0\0\0CONNECT {}\r\n").await;
    let mut ann = knocks(&gateway, &gateway.token("room01", "ann")).await;
    let mut bob = knocks(&gateway, &gateway.token("room01", "bob")).await;
    has_waiting(&gateway, 1).await;
    for (name, value) in [
        ("joining{upstream=\"server\"}", "1"),
        ("joining{upstream=\"nats\"}", "1"),
        ("joining_places", "2"),
        ("joining_waiting", "1"),
        ("join_wait_seconds_count", "0"),
        ("join_refused_total", "0"),
    ] {
        assert_eq!(metric(&gateway, name).await, value, "{name}");
    }
    drop(socket);
    until("Bob has the place of the WebSocket that is gone", async || {
        metric(&gateway, "joining{upstream=\"server\"}").await == "2"
    })
    .await;
    for (name, value) in [
        ("joining{upstream=\"nats\"}", "0"),
        ("joining_waiting", "0"),
        ("join_wait_seconds_count", "1"),
        ("join_wait_seconds_bucket{le=\"+Inf\"}", "1"),
    ] {
        assert_eq!(metric(&gateway, name).await, value, "{name}");
    }
    goes_on.add_permits(2);
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.answer().await.status, 200);
    }
    // The server has let neither of them in.
    until("nobody has a place", async || {
        gateway.joining().status().joining == 0
    })
    .await;
    assert_eq!(metric(&gateway, "joining{upstream=\"server\"}").await, "0");
}

/// Of two who come at once NATS has an answer for one before it gives up.
#[tokio::test]
async fn whom_nats_refuses_is_counted() {
    let mut site = Site::with(1, 10, "upstreams.joining = 2").await;
    site.callout.say(&json!({"rate": 0.2})).await;
    let seen = site
        .come(&site.comers("room01", 2, &json!({"direct": true})))
        .await;
    assert!(!seen.refused.is_empty(), "{seen:?}");
    let refused: Value = site
        .metric("plugnmeet_gateway_join_refused_total")
        .await
        .parse::<u64>()
        .unwrap()
        .into();
    assert_eq!(refused, seen.refused.len(), "{seen:?}");
}
