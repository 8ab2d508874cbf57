//! In frames, and as a part of a page.

use super::{cookie, max_age, path_of, set_cookie};
use crate::support::{Gateway, folder_of};

const FRAME: [(&str, &str); 2] = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")];

#[tokio::test]
async fn in_a_frame_of_a_site_that_may_frame_us_the_cookie_is_partitioned() {
    let gateway = Gateway::with("session.frame_ancestors = ['https://lms.example.org', \"'self'\"]").await;
    let token = gateway.token("room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway.get(&link, &FRAME).await;
    let (to, ticket) = answer.header("location").unwrap().split_once('?').unwrap();
    assert_eq!((answer.status, to), (303, &*path));
    assert!(
        ticket.starts_with("pnm_ticket=") && !ticket.contains(&token),
        "{ticket}"
    );
    let age = max_age(&answer);
    assert_eq!(
        set_cookie(&answer),
        [
            cookie(&token),
            format!("Max-Age={age}"),
            "Partitioned".to_owned(),
            format!("Path={path}"),
            "SameSite=None".to_owned(),
            "Secure".to_owned()
        ]
    );
    // Who frames the frame is not said, so whatever is framed may be in a page of another site.
    for destination in ["iframe", "frame", "object", "embed"] {
        for site in ["cross-site", "same-site", "same-origin", "none"] {
            let headers = [
                ("Sec-Fetch-Dest", destination),
                ("Sec-Fetch-Site", site),
                ("Sec-Fetch-Mode", "navigate"),
            ];
            let parts = set_cookie(&gateway.get(&link, &headers).await);
            assert!(
                parts.contains(&"SameSite=None".to_owned()) && parts.contains(&"Partitioned".to_owned()),
                "{headers:?} {parts:?}"
            );
        }
    }
    for headers in [
        vec![],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")],
    ] {
        let parts = set_cookie(&gateway.get(&link, &headers).await);
        assert!(
            parts.contains(&"SameSite=Lax".to_owned()) && !parts.contains(&"Partitioned".to_owned()),
            "{headers:?} {parts:?}"
        );
    }
}

/// Only somebody who goes there begins a session: a picture in a meeting's page does not.
#[tokio::test]
async fn a_part_of_a_page_hands_nothing_off() {
    for scope in ["session", "mount"] {
        let gateway = Gateway::with(&format!("session.scope = '{scope}'")).await;
        let link = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
        for (mode, destination) in [
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("no-cors", "style"),
            ("cors", "empty"),
            ("no-cors", "object"),
        ] {
            let headers = [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination)];
            let answer = gateway.get(&link, &headers).await;
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (403, None),
                "{destination}"
            );
        }
    }
}

#[tokio::test]
async fn where_nobody_may_frame_us_a_frame_changes_nothing() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &FRAME)
        .await;
    assert!(set_cookie(&answer).contains(&"SameSite=Lax".to_owned()));
}

#[tokio::test]
async fn pages_say_who_may_frame_them() {
    let client = folder_of(&[("index.html", "<head></head>")]);
    let path = format!("client.path = '{}'\n", client.path().display());
    for (ancestors, expected) in [
        ("", "frame-ancestors 'none'"),
        (
            "session.frame_ancestors = ['https://lms.example.org', 'https://*.example.net']\n",
            "frame-ancestors https://lms.example.org https://*.example.net",
        ),
    ] {
        let with_client = Gateway::with(&format!("{ancestors}{path}")).await;
        let without = Gateway::with(ancestors).await;
        let session = cookie(&with_client.token("room01", "ann"));
        let at = path_of(&with_client, "room01", "ann");
        let answer = with_client.get(&at, &[("Cookie", &session)]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.ends_with(&format!("; {expected}")), "{policy}");
        assert_eq!(answer.header("x-frame-options"), None);
        let demo = without.get(&at, &[("Cookie", &session)]).await;
        let light = with_client.get("/conference/", &[]).await;
        let refused = with_client.get("/conference/?access_token=x", &[]).await;
        for answer in [demo, light, refused] {
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(policy.ends_with(&format!("; {expected}")), "{policy}");
        }
    }
}
