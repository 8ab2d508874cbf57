//! Guarded against cookies and links that somebody else brought.

use super::{GOING, SAME_ORIGIN, TOKEN, assert_refused, path_of};
use crate::support::{self, Gateway};

#[tokio::test]
async fn cookies_that_could_pass_for_the_sessions_are_ignored_cleared_and_counted() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let own = gateway.token("room01", "ann");
    let bobs = gateway.token("room01", "bob");
    let mut count = 0;
    for (line, expected) in [
        (format!("{TOKEN}={bobs}; {TOKEN}={own}"), &own),
        (format!("{TOKEN}={own}; {TOKEN}={bobs}"), &own),
        (format!("{TOKEN}=garbage; {TOKEN}={own}"), &own),
        (format!("{TOKEN}=; {TOKEN}={own}"), &own),
        (format!("{TOKEN} ={bobs}; {TOKEN}={own}"), &own),
        (format!("\t{TOKEN}={bobs}; {TOKEN}={own}"), &own),
    ] {
        let answer = gateway.get(&path, &[("Cookie", &line)]).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("<dd>ann</dd>"), "{line}");
        let set: Vec<&str> = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        let (last, cleared) = set.split_last().unwrap();
        assert!(last.starts_with(&format!("{TOKEN}={expected};")), "{last}");
        assert!(
            cleared.iter().all(|cookie| cookie.contains("Max-Age=0")),
            "{cleared:?}"
        );
        for expected in [
            format!("{TOKEN}=; Path=/; Max-Age=0; Secure"),
            format!("{TOKEN}=; Path=/conference; Max-Age=0; Secure"),
            format!("=gone; Path={path}; Max-Age=0; Secure"),
        ] {
            assert!(cleared.contains(&expected.as_str()), "{expected}: {cleared:?}");
        }
        count += 1;
        let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
        assert!(
            metrics.contains(&format!("plugnmeet_gateway_stray_cookies_total {count}\n")),
            "{metrics}"
        );
    }
    // Whoever changes nothing clears nothing either.
    let alone = format!("{TOKEN}={bobs}");
    let both = format!("{alone}; {TOKEN}={own}");
    for line in [&alone, &both] {
        let head = gateway
            .client()
            .request("HEAD", &path, &[("Cookie", line)], b"")
            .await;
        let guess = gateway
            .get(&path, &[("Cookie", line), ("Sec-Purpose", "prefetch")])
            .await;
        for answer in [head, guess] {
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (200, None),
                "{line}"
            );
        }
    }
    // The same twice is no stray: a browser may have it in two jars.
    let answer = gateway
        .get(&path, &[("Cookie", &format!("{TOKEN}={own}; {TOKEN}={own}"))])
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
}

/// Sessions have paths of their own, and so has every cookie that comes from us.
#[tokio::test]
async fn a_browser_that_goes_to_the_mount_is_in_nobodys_session() {
    let gateway = Gateway::embedded().await;
    let tossed = format!("{TOKEN}={}", gateway.token("room01", "mallory"));
    let fields = [("Cookie", tossed.as_str()), ("Sec-Fetch-Mode", "navigate")];
    let answer = gateway.get("/conference/", &fields).await;
    assert_refused(&answer, 200, "Use your join link");
    assert!(answer.headers.contains_key("set-cookie"), "it is cleared");
}

#[tokio::test]
async fn at_one_path_for_all_the_companion_says_whose_session_runs() {
    let gateway = Gateway::with("session.scope = 'mount'").await;
    let own = gateway.token("room01", "ann");
    let answer = gateway
        .get(&format!("/conference/?access_token={own}"), &[])
        .await;
    assert_eq!(answer.header("location"), Some("/conference/"));
    let companion = answer.set_cookie("__Host-pnm_session").unwrap();
    assert!(
        companion.contains("; Path=/;") && companion.contains("HttpOnly") && !companion.contains("Domain")
    );
    let companion = companion.split(';').next().unwrap();
    let mallory = gateway.token("room01", "mallory");
    let line = format!("{TOKEN}={mallory}; {TOKEN}={own}; {companion}");
    let answer = gateway.get("/conference/", &[("Cookie", &line)]).await;
    assert!(answer.text().contains("<dd>ann</dd>"), "{}", answer.text());
    // The client would take the one with the longest path, so that has to go before its script runs.
    for (page, paths) in [
        ("/conference/", &["/", "/conference/"][..]),
        (
            "/conference/index.html",
            &["/", "/conference/", "/conference/index.html"],
        ),
    ] {
        let answer = gateway.get(page, &[("Cookie", &line)]).await;
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        for path in paths {
            let ended = format!("{TOKEN}=; Path={path}; Max-Age=0; Secure");
            assert!(
                set.iter().any(|cookie| *cookie == ended.as_str()),
                "{ended}: {set:?}"
            );
        }
        let own = format!("{TOKEN}=; Path=/conference; Max-Age=0; Secure");
        assert!(set.iter().all(|cookie| *cookie != own.as_str()), "{set:?}");
    }
    let line = format!("{TOKEN}={mallory}; {companion}");
    let answer = gateway.get("/conference/", &[("Cookie", &line)]).await;
    assert_refused(&answer, 200, "Use your join link");
    // Without one there is nothing to tell by.
    let answer = gateway
        .get("/conference/", &[("Cookie", &format!("{TOKEN}={own}"))])
        .await;
    assert!(answer.text().contains("<dd>ann</dd>"));
}

// --- switching ---

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told once for each way of asking"
)]
async fn somebody_elses_link_does_not_silently_replace_a_running_session() {
    let gateway = Gateway::with("session.scope = 'mount'").await;
    let (anns, mallorys) = (gateway.token("room01", "ann"), gateway.token("room02", "mallory"));
    let link = format!("/conference/?access_token={mallorys}&x=1");
    let running = format!("{TOKEN}={anns}");
    // Who goes on from a page of ours, who has a newer link of the same session, and who is in none, are not asked.
    let newer = gateway.sign(|claims| claims.exp += 1);
    let by_our_page = [&GOING[..], &[("Cookie", running.as_str())]].concat();
    for (target, fields) in [
        (link.clone(), by_our_page),
        (link.clone(), vec![("Sec-Fetch-Site", "cross-site")]),
        (
            format!("/conference/?access_token={newer}&x=1"),
            vec![("Cookie", running.as_str()), ("Sec-Fetch-Site", "cross-site")],
        ),
    ] {
        let answer = gateway.get(&target, &fields).await;
        assert_eq!(answer.header("location"), Some("/conference/?x=1"), "{fields:?}");
        assert!(answer.set_cookie(TOKEN).is_some());
    }
    // The same person in another room is another session too; a frame of a page of ours may show anybody's link.
    let other_room = gateway.token("room02", "ann");
    for (token, more) in [
        (&mallorys, ("Sec-Fetch-Site", "cross-site")),
        (&mallorys, ("Sec-Fetch-Site", "none")),
        (&mallorys, ("Sec-Fetch-Dest", "iframe")),
        (&mallorys, ("X", "nothing is said")),
        (&other_room, ("Sec-Fetch-Site", "none")),
    ] {
        let link = format!("/conference/?access_token={token}&x=1");
        let answer = gateway.get(&link, &[("Cookie", &running), more]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/conference/switch?x=1"))
        );
        assert_eq!(answer.set_cookie(TOKEN), None);
        let waiting = answer.header("set-cookie").unwrap();
        for part in [
            "HttpOnly",
            "Secure",
            "SameSite=Lax",
            "Path=/conference/switch",
            "Max-Age=300",
        ] {
            assert!(waiting.contains(part), "{waiting}");
        }
        let cookies = format!("{running}; {}", waiting.split(';').next().unwrap());
        let page = gateway
            .get("/conference/switch?x=1", &[("Cookie", &cookies)])
            .await;
        assert_eq!(
            (page.status, page.header("cache-control")),
            (200, Some("no-store"))
        );
        let text = page.text();
        for part in [
            "You are in another meeting",
            "Ann (room01)",
            "Ann (room02)",
            "href=\"/conference/\"",
            "action=\"/conference/switch?x=1&amp;pnm_confirm=",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(token.as_str()));
        assert!(
            page.header("content-security-policy")
                .unwrap()
                .contains("form-action 'self'")
        );
        let foreign = [("Cookie", cookies.as_str()), ("Sec-Fetch-Site", "cross-site")];
        let refused = gateway.post("/conference/switch?x=1", &foreign, b"").await;
        assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
        let action = text.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let action = action.replace("&amp;", "&");
        // The form is the answer about this very link, and to nothing else.
        let waiting_other = format!(
            "{running}; __Secure-pnm_waiting={}",
            gateway.token("room03", "eve")
        );
        for (action, cookies) in [("/conference/switch?x=1", &cookies), (&action, &waiting_other)] {
            let asked_again = gateway
                .post(action, &[("Cookie", cookies), SAME_ORIGIN], b"")
                .await;
            assert_eq!(
                (asked_again.status, asked_again.header("location")),
                (303, Some("/conference/switch?x=1"))
            );
            assert_eq!(asked_again.header("set-cookie"), None);
        }
        let with_another = format!("{action}&access_token={mallorys}");
        let switched = gateway
            .post(&with_another, &[("Cookie", &cookies), SAME_ORIGIN], b"")
            .await;
        assert_eq!(
            (switched.status, switched.header("location")),
            (303, Some("/conference/?x=1"))
        );
        assert!(
            switched
                .set_cookie(TOKEN)
                .unwrap()
                .starts_with(&format!("{TOKEN}={token};"))
        );
        assert!(
            switched
                .set_cookie("__Secure-pnm_waiting")
                .unwrap()
                .contains("Max-Age=0")
        );
    }
    let answer = gateway.get("/conference/switch", &[("Cookie", &running)]).await;
    assert_refused(&answer, 200, "Use your join link");
}
