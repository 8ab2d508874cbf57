//! What an old process has counted and learned is known to the new one, even what it learns in its last requests.

use std::time::Duration;

use plugnmeet_gateway::{
    clock::Clock,
    secret::Secret,
    token::{RequestKey, TokenKeys},
};

use tokio::time::sleep;

use super::{Folder, kill, started};
use crate::support::{API_KEY, SECRET, client::Client, sign, token_request};

const WITH_SECRET: (&str, &str) = ("PLUGNMEET__SECRET", SECRET);

async fn asks_for_token(client: &Client) -> u16 {
    let body = token_request("room01", "ann");
    let signature = RequestKey::new(&Secret::new(SECRET.into())).signature(body.as_bytes());
    let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature.as_str())];
    let answer = client.request("POST", "/auth/room/getJoinToken", &headers, body.as_bytes());
    answer.await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_used_up_a_limit_gets_nothing_more_by_an_upgrade() {
    let folder = Folder::new();
    let mut gateway = started(&folder, &[WITH_SECRET, ("LIMITS__USER", "2/h")]).await;
    let client = folder.client(&gateway);
    assert_eq!(asks_for_token(&client).await, 200);
    kill("USR2", gateway.pid()).await;
    gateway.says("Handed over").await;
    assert_eq!(asks_for_token(&client).await, 200);
    let second = folder.upgrade().await;
    assert_ne!(second, gateway.pid());
    for _ in 0..2 {
        assert_eq!(asks_for_token(&client).await, 429);
    }
}

/// The cookies that an answer sets, as a browser sends them.
fn cookies(head: &str) -> String {
    let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let set = set.filter(|cookie| !cookie.contains("Max-Age=0"));
    let pairs: Vec<&str> = set.filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

/// A person leaves over a connection that the old process has still, and a copy of the cookies is brought to the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_by_the_old_process_has_left_for_the_new_one() {
    let folder = Folder::new();
    let mut gateway = started(&folder, &[WITH_SECRET]).await;
    let client = folder.client(&gateway);
    let keys = TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap();
    let clock = Clock::system();
    let mut sessions = Vec::new();
    for user in ["ann", "bob"] {
        // It has so little left that a visit renews it.
        let token = sign(&keys, &clock, |claims| {
            claims.exp = claims.nbf + 200;
            claims.user_id = user.into();
            claims.sub = user.into();
        });
        let mut connection = client.raw().await;
        let request = format!("GET /conference/?access_token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send(request).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 303);
        let path = format!("/conference/s/{}/", keys.tag("room01", user));
        sessions.push((path, cookies(&answer.head), connection));
    }
    kill("USR2", gateway.pid()).await;
    gateway.says("Handed over").await;
    let (path, cookies, connection) = &mut sessions[0];
    let request = format!(
        "GET {path}logout HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\n\r\n"
    );
    connection.send(request).await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(
        answer.text().contains("You have left the meeting"),
        "{}",
        answer.text()
    );
    let is_renewed = async |(path, cookies, _): &(String, String, _)| {
        let answer = client.request("GET", path, &[("Cookie", cookies)], b"").await;
        assert_eq!(answer.status, 200);
        answer.set_cookie("pnm_access_token").is_some()
    };
    assert!(is_renewed(&sessions[1]).await, "Bob has not left");
    // The word is on its way for a moment; nobody may be renewed more often than that.
    let mut tries = 0;
    while is_renewed(&sessions[0]).await {
        tries += 1;
        assert!(tries < 20, "Ann has left");
        sleep(Duration::from_secs(2)).await;
    }
}
