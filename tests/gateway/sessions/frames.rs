//! In another site's frame, where a browser may keep no cookie.

use std::time::Duration;

use serde_json::{Value, json};

use super::{COMPANION, HOUR, Jar, TOKEN, framed, path_of, visit};
use crate::support::{Gateway, folder_of};

const FRAME: [(&str, &str); 3] = [
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
];

#[tokio::test]
async fn a_frame_whose_browser_keeps_no_cookie_gets_its_token_in_the_page_once() {
    let client = folder_of(&[(
        "index.html",
        "<!doctype html><head><script src=\"x\"></script></head>",
    )]);
    let gateway = Gateway::with(&framed(&format!("client.path = '{}'", client.path().display()))).await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let mine = gateway.get(&format!("{link}&lang=de"), &FRAME).await;
    let ticket = mine.header("location").unwrap().to_owned();
    assert!(
        ticket.starts_with(&format!("{path}?lang=de&pnm_ticket=")),
        "{ticket}"
    );
    // It waits for a page that somebody will see.
    gateway.client().request("HEAD", &ticket, &FRAME, b"").await;
    let guess = [&FRAME[..], &[("Sec-Purpose", "prefetch")]].concat();
    assert!(!gateway.get(&ticket, &guess).await.text().contains(&token));
    // Another replica knows it too.
    let replica = Gateway::with(&framed(&format!("client.path = '{}'", client.path().display()))).await;
    assert!(replica.get(&ticket, &FRAME).await.text().contains(&token));
    let page = gateway.get(&ticket, &FRAME).await;
    assert_eq!(
        (page.status, page.header("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(page.header("etag"), None);
    let text = page.text();
    let script = text.find(&token).unwrap();
    assert!(script < text.find("<script src").unwrap(), "{text}");
    let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let policy: Vec<_> = page.headers.get_all("content-security-policy").iter().collect();
    let allowed = format!("'nonce-{nonce}'");
    assert!(
        policy
            .iter()
            .any(|policy| policy.to_str().unwrap().contains(&allowed)),
        "{policy:?}"
    );
    // Once.
    let again = gateway.get(&ticket, &FRAME).await;
    assert!(!again.text().contains(&token));
    assert!(again.text().contains("keeps no cookies"), "{}", again.text());
    // Not to a page of its own, nor to a script, nor at another session's path, nor later than a minute.
    let fresh = || async {
        let answer = gateway.get(&link, &FRAME).await;
        answer.header("location").unwrap().to_owned()
    };
    let ticket = fresh().await;
    for fields in [
        &[
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Site", "none"),
        ][..],
        &[
            ("Sec-Fetch-Dest", "empty"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        &[],
    ] {
        assert!(!gateway.get(&ticket, fields).await.text().contains(&token));
    }
    let other = ticket.replace(&path, &path_of(&gateway, "room01", "bob"));
    assert!(!gateway.get(&other, &FRAME).await.text().contains(&token));
    // Where the cookie came back it has no place in an address.
    let jar = Jar::with(TOKEN, &token);
    let answer = visit(&gateway, &ticket.replace("pnm_ticket", "a=1&pnm_ticket"), &jar).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(format!("{path}?a=1").as_str()))
    );
    gateway.clock.advance(Duration::from_secs(61));
    assert!(!gateway.get(&ticket, &FRAME).await.text().contains(&token));
}

/// `session.scope = "mount"`: the page is at the mount, whosesoever it is.
#[tokio::test]
async fn at_one_path_for_all_a_frame_without_cookies_gets_its_token_too() {
    let client = folder_of(&[("index.html", "<!doctype html><head></head>")]);
    let of_client = format!("client.path = '{}'", client.path().display());
    let gateway = Gateway::with(&framed(&format!("session.scope = 'mount'\n{of_client}"))).await;
    let token = gateway.token("room01", "ann");
    let link = format!("/conference/?access_token={token}&lang=de");
    let to = gateway.get(&link, &FRAME).await;
    let ticket = to.header("location").unwrap();
    assert!(ticket.starts_with("/conference/?lang=de&pnm_ticket="), "{ticket}");
    // For a frame alone.
    let page = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];
    assert!(!gateway.get(ticket, &page).await.text().contains(&token));
    let shown = gateway.get(ticket, &FRAME).await;
    assert_eq!(
        (shown.status, shown.header("cache-control")),
        (200, Some("no-store"))
    );
    assert!(shown.text().contains(&token), "{}", shown.text());
    assert!(
        !gateway.get(ticket, &FRAME).await.text().contains(&token),
        "it was used"
    );
}

#[tokio::test]
async fn nobody_goes_in_circles_between_a_login_and_a_browser_without_cookies() {
    let gateway = Gateway::with("session.login_url = 'https://lms.example.org/login'").await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let navigation = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let link = format!("/conference/?access_token={token}");
    gateway.get(&link, &navigation).await;
    let answer = gateway.get(&path, &navigation).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("https://lms.example.org/login"))
    );
    gateway.get(&link, &navigation).await;
    let answer = gateway.get(&path, &navigation).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(answer.text().contains("keeps no cookies"), "{}", answer.text());
}

#[tokio::test]
async fn a_reload_of_a_frame_keeps_its_cookies_the_frames() {
    let gateway = Gateway::with(&framed("")).await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &FRAME)
        .await;
    for name in [TOKEN, COMPANION] {
        assert!(
            answer.set_cookie(name).unwrap().contains("; Partitioned"),
            "{answer:?}"
        );
    }
    let mut jar = Jar::default();
    jar.take(&answer);
    gateway.clock.advance(HOUR);
    // A frame that reloads itself does so on its own behalf.
    let reload = [
        ("Cookie", jar.line()),
        ("Sec-Fetch-Dest", "iframe".into()),
        ("Sec-Fetch-Site", "same-origin".into()),
    ];
    let reload = reload.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = gateway.get(&path, &reload).await;
    assert_eq!(answer.status, 200);
    for name in [TOKEN, COMPANION] {
        let line = answer.set_cookie(name).unwrap();
        assert!(
            line.contains("SameSite=None") && line.contains("; Partitioned"),
            "{line}"
        );
    }
}

/// Nothing that is said of a session says its token.
#[tokio::test]
async fn no_answer_shows_a_token_but_in_its_cookie() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let companion = answer.set_cookie(COMPANION).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert!(parts.iter().all(|part| !companion.contains(part)));
    let said: Value = json!(
        answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "set-cookie")
            .map(|(_, value)| value.to_str().unwrap())
            .collect::<Vec<_>>()
    );
    assert!(!said.to_string().contains(parts[2]));
}
