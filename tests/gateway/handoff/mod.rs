//! Session handoff, over real sockets: a link becomes a cookie and a path, and nothing else ever carries its token.

mod designs;
mod frames;
mod link;
mod page;
mod paths;
mod refusals;
mod secrecy;

use crate::support::{Gateway, client::Answer};

const JSON: (&str, &str) = ("Accept", "application/json");

fn path_of(gateway: &Gateway, room_id: &str, user_id: &str) -> String {
    format!("/conference/s/{}/", gateway.keys.tag(room_id, user_id))
}

fn cookie(token: &str) -> String {
    format!("pnm_access_token={token}")
}

/// The attributes of the token's `Set-Cookie`, in any order; the first part is always name and value.
fn set_cookie(answer: &Answer) -> Vec<String> {
    let cookie = answer
        .set_cookie("pnm_access_token")
        .unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    let mut parts: Vec<String> = cookie.split("; ").map(str::to_owned).collect();
    parts[1..].sort();
    parts
}

/// `Max-Age` of the token's `Set-Cookie`.
fn max_age(answer: &Answer) -> i64 {
    let parts = set_cookie(answer);
    let age = parts.iter().find_map(|part| part.strip_prefix("Max-Age="));
    age.unwrap().parse().unwrap()
}

fn assert_handed_off(answer: &Answer, location: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(location)),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.text(), "");
}

/// An answer in words that hands nothing off.
fn assert_page(answer: &Answer, status: u16, words: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("text/html; charset=utf-8")),
        "{answer:?}"
    );
    assert!(answer.text().contains(words), "{words}: {}", answer.text());
    assert_sets_nothing(answer);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

/// What could pass for a session's cookie may be cleared, and that is all.
fn assert_sets_nothing(answer: &Answer) {
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("; Max-Age=0;"), "{cookie}");
    }
}

fn design_parameter(design: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("custom_design", design)
        .finish()
}
