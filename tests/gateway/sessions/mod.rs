//! Sessions that last: renewed at a reload, refreshed by the client's own calls, left, and guarded against cookies and
//! links that somebody else brought.

mod frames;
mod leaving;
mod meeting;
mod redirects;
mod refresh;
mod renewal;
mod strangers;

use std::time::Duration;

use hyper::Response;
use plugnmeet_gateway::token::{Claims, Unverified};

use crate::support::{
    Gateway,
    client::Answer,
    upstream::{Seen, Upstream, text_body},
};

const HOUR: Duration = Duration::from_secs(3600);

const TOKEN: &str = "pnm_access_token";

const COMPANION: &str = "__Secure-pnm_session";

const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

/// Somebody goes there, from a page of ours.
const GOING: [(&str, &str); 3] = [
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// A browser's cookies for one path.
#[derive(Clone, Debug, Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn with(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), value.to_owned())])
    }

    /// Takes what an answer sets, and drops what it ends.
    fn take(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let of_another_path = line.contains("; Domain=") || !line.contains("; Path=/conference/s/");
            if line.contains("; Max-Age=0") && of_another_path {
                continue;
            }
            self.0.retain(|(kept, _)| kept != name);
            if !line.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn line(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, value)| value.as_str())
    }
}

fn path_of(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    format!("/conference/s/{}/", gateway.keys.tag(room_id, user_id))
}

/// Opens a link.
async fn open(gateway: &Gateway, token: &str) -> Jar {
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let mut jar = Jar::default();
    jar.take(&answer);
    jar
}

async fn visit(gateway: &Gateway, path: &str, jar: &Jar) -> Answer {
    gateway.get(path, &[("Cookie", &jar.line())]).await
}

fn claims(gateway: &Gateway, token: &str) -> Claims {
    let verified = gateway.keys.verify(Unverified(token), gateway.clock.unix());
    verified.unwrap().claims
}

/// Ten minutes and three hours; a second may pass in between.
fn assert_lives_for_token_and_grace(cookie: &str) {
    let age = cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    let age: i64 = age.unwrap().parse().unwrap();
    assert!((11_340..=11_400).contains(&age), "{cookie}");
}

fn assert_refused(answer: &Answer, status: u16, title: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.text().contains(title), "{title}: {}", answer.text());
    for cookie in answer.headers.get_all("set-cookie") {
        assert!(cookie.to_str().unwrap().contains("; Max-Age=0"), "{cookie:?}");
    }
}

/// A server that takes every token, but on one path.
async fn taking_tokens() -> Upstream {
    Upstream::handling(|seen: Seen| async move {
        let mut response = Response::new(text_body("{}"));
        if seen.target.starts_with("/api/refused") {
            *response.status_mut() = hyper::StatusCode::UNAUTHORIZED;
        }
        response
    })
    .await
}

fn framed(toml: &str) -> String {
    format!("session.frame_ancestors = ['https://lms.example.org']\n{toml}")
}
