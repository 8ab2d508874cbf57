//! Left: by the person alone, and for good.

use std::time::Duration;

use super::{GOING, HOUR, Jar, SAME_ORIGIN, TOKEN, assert_refused, framed, open, path_of, visit};
use crate::support::Gateway;

#[tokio::test]
async fn who_leaves_is_out_and_no_copy_of_the_cookies_is_renewed() {
    for (method, site) in [("GET", "same-origin"), ("POST", "same-origin"), ("GET", "none")] {
        let gateway = Gateway::embedded().await;
        let path = path_of(&gateway, "room01", "ann");
        let token = gateway.token("room01", "ann");
        let jar = open(&gateway, &token).await;
        let logout = format!("{path}logout");
        let line = jar.line();
        let headers = [GOING[0], GOING[1], ("Sec-Fetch-Site", site), ("Cookie", &line)];
        let answer = gateway.client().request(method, &logout, &headers, b"").await;
        assert_refused(&answer, 200, "You have left the meeting");
        let mut emptied = jar.clone();
        emptied.take(&answer);
        assert!(emptied.0.is_empty(), "{emptied:?}");
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_refused(&answer, 401, "You have left the meeting");
        assert_refused(
            &visit(&gateway, &path, &Jar::with(TOKEN, &token)).await,
            401,
            "This link has expired",
        );
        // A link brings one back.
        let back = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(HOUR);
        assert_eq!(visit(&gateway, &path, &back).await.status, 200);
        assert_refused(&visit(&gateway, &path, &jar).await, 401, "You have left");
    }
}

/// A picture in a meeting would log everybody out who sees it, and a frame or a page of somebody else's whoever looks at it.
#[tokio::test]
async fn no_part_of_a_page_ends_a_session_and_who_does_not_plainly_go_there_is_asked() {
    let gateway = Gateway::with(&framed("")).await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let (line, logout) = (jar.line(), format!("{path}logout"));
    for (mode, destination) in [("no-cors", "image"), ("no-cors", "style"), ("cors", "empty")] {
        let headers = [
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", destination),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", &line),
        ];
        let answer = gateway.get(&logout, &headers).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (403, None),
            "{destination}"
        );
    }
    let in_frame = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        SAME_ORIGIN,
    ];
    let mut form = String::new();
    for (method, more) in [("GET", &[][..]), ("POST", &[SAME_ORIGIN]), ("GET", &in_frame)] {
        let headers = [more, &[("Cookie", &line)]].concat();
        let answer = gateway.client().request(method, &logout, &headers, b"").await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (200, None),
            "{headers:?}"
        );
        assert!(answer.text().contains("Leave this meeting?"), "{}", answer.text());
        let action = answer.text();
        let action = action.split("action=\"").nth(1).unwrap();
        form = action.split('"').next().unwrap().replace("&amp;", "&");
    }
    // The form of another session, of another time, and from another site, answers nothing.
    let others = open(&gateway, &gateway.token("room02", "ann")).await.line();
    let other = path_of(&gateway, "room02", "ann");
    let (_, confirm) = form.split_once('?').unwrap();
    let answer = gateway
        .post(
            &format!("{other}logout?{confirm}"),
            &[("Cookie", &others), SAME_ORIGIN],
            b"",
        )
        .await;
    assert!(answer.text().contains("Leave this meeting?"));
    let cross = [("Cookie", &*line), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(gateway.post(&form, &cross, b"").await.status, 403);
    let answer = gateway.post(&form, &[("Cookie", &line), SAME_ORIGIN], b"").await;
    assert_refused(&answer, 200, "You have left the meeting");
    gateway.clock.advance(Duration::from_secs(301));
    let again = open(&gateway, &gateway.token("room01", "ann")).await.line();
    let answer = gateway.post(&form, &[("Cookie", &again), SAME_ORIGIN], b"").await;
    assert!(answer.text().contains("Leave this meeting?"));
}

#[tokio::test]
async fn one_address_ends_the_session_of_the_page_that_leads_there() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let page = format!("{}{path}?x=1", gateway.origin());
    let logout = gateway
        .get("/conference/logout", &[("Referer", &page), SAME_ORIGIN])
        .await;
    assert_eq!(
        (logout.status, logout.header("location")),
        (303, Some(format!("{path}logout").as_str()))
    );
    for referer in [
        "https://localhost/",
        "https://localhost/conference/s/../../evil",
        "x",
    ] {
        let answer = gateway.get("/conference/logout", &[("Referer", referer)]).await;
        assert_refused(&answer, 200, "Use your join link");
    }
}

#[tokio::test]
async fn another_site_can_end_no_session() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    let logout = format!("{path}logout");
    for (method, more) in [
        ("GET", ("Sec-Fetch-Site", "cross-site")),
        ("POST", ("Sec-Fetch-Site", "same-site")),
        ("POST", ("Origin", "https://evil.example")),
        ("GET", ("Purpose", "prefetch")),
    ] {
        let answer = gateway
            .client()
            .request(method, &logout, &[("Cookie", &jar.line()), more], b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (403, None),
            "{more:?}"
        );
    }
    let answer = gateway.client().request("PUT", &logout, &[], b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    gateway.get(&logout, &[]).await;
    gateway.clock.advance(HOUR);
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
}
