//! Where a token never is, and who guesses at one.

use std::{fmt::Write as _, time::Duration};

use super::{JSON, assert_handed_off, assert_page, cookie, design_parameter, path_of};
use crate::support::{API_KEY, Gateway, client::plain_get_at};

#[tokio::test]
async fn no_answer_carries_the_token_anywhere_but_in_the_cookie() {
    let gateway = Gateway::with("limits.failures = '1000/min'").await;
    let good = gateway.token("room01", "ann");
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let session = cookie(&good);
    let path = path_of(&gateway, "room01", "ann");
    let bad_design = design_parameter("null");
    for token in [good.as_str(), expired.as_str(), "not-a-token-but-a-secret"] {
        for target in [
            format!("/conference/?access_token={token}"),
            format!("/conference?access_token={token}&a=1"),
            format!("/?access_token={token}"),
            format!("{path}?access_token={token}"),
            format!("/conference/?access_token={token}&access_token={token}"),
            format!("/conference/?access_token={token}&{bad_design}"),
            format!("/conference/assets/{token}?access_token={token}"),
            format!("/conference/s/{token}/?access_token={token}"),
            format!("/nowhere?access_token={token}"),
            format!("//conference/?access_token={token}"),
            format!("/auth/room/getJoinToken?access_token={token}"),
            format!("/livekit/rtc?access_token={token}"),
        ] {
            for more in [&[][..], &[JSON], &[("Cookie", session.as_str())]] {
                for method in ["GET", "POST", "OPTIONS"] {
                    let answer = gateway.client().request(method, &target, more, b"").await;
                    let mut seen = answer.text();
                    for (name, value) in &answer.headers {
                        if name != "set-cookie" {
                            writeln!(seen, "{name}: {}", value.to_str().unwrap()).unwrap();
                        }
                    }
                    let signature = token.rsplit('.').next().unwrap();
                    assert!(!seen.contains(signature), "{method} {target}\n{seen}");
                    assert!(
                        !seen.contains(good.rsplit('.').next().unwrap()),
                        "{target}\n{seen}"
                    );
                }
            }
        }
    }
}

/// A 308 may be kept for ever unless it says otherwise, and this one has the token in its address.
#[tokio::test]
async fn a_link_that_came_over_plain_http_is_sent_on_and_kept_by_nobody() {
    let gateway = Gateway::embedded().await;
    let target = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
    let answer = plain_get_at("localhost", gateway.http, &target).await;
    assert_eq!((answer.status, answer.text()), (308, String::new()));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// A school that clicks on yesterday's link.
#[tokio::test]
async fn genuine_links_of_another_time_are_no_guesses() {
    let gateway = Gateway::embedded().await;
    gateway.clock.stop();
    let expired = gateway.sign(|claims| claims.exp -= 700);
    let early = gateway.sign(|claims| claims.nbf += 700);
    for _ in 0..15 {
        let answer = gateway.get(&format!("/?access_token={expired}"), &[]).await;
        assert_page(&answer, 401, "This link has expired");
        let answer = gateway
            .get(&format!("/conference/?access_token={early}"), &[])
            .await;
        assert_eq!(answer.status, 401);
    }
    for _ in 0..20 {
        let forged = format!("/?access_token={expired}x");
        assert_eq!(gateway.get(&forged, &[]).await.status, 401);
    }
    assert_eq!(gateway.get("/?access_token=a.b.c", &[]).await.status, 429);
    // Nor is anybody told to wait who is only late.
    assert_eq!(
        gateway
            .get(&format!("/?access_token={expired}"), &[])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn the_21st_bad_link_is_429_and_a_good_one_still_passes() {
    let gateway = Gateway::embedded().await;
    gateway.clock.stop();
    let good = format!("/conference/?access_token={}", gateway.token("room01", "ann"));
    for attempt in 0..20 {
        let address = format!("192.0.2.{attempt}");
        let forged = [("X-Forwarded-For", address.as_str()), ("X-Real-IP", &address)];
        let answer = gateway.get("/conference/?access_token=a.b.c", &forged).await;
        assert_page(&answer, 401, "This link is not genuine");
    }
    let answer = gateway.get("/?access_token=a.b.c", &[]).await;
    assert_page(&answer, 429, "Too many attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"failures\";q=20;w=60"));
    let answer = gateway.get("/?access_token=a.b.c", &[JSON]).await;
    assert_eq!(
        (answer.status, answer.json()["status_code"].as_str()),
        (429, Some("PERMISSION_DENIED"))
    );
    // The failures of one address block are counted together, signatures too.
    let guess = [("API-KEY", API_KEY), ("HASH-SIGNATURE", "00")];
    assert_eq!(
        gateway.post("/auth/room/getJoinToken", &guess, b"").await.status,
        429
    );
    assert_handed_off(
        &gateway.get(&good, &[]).await,
        &path_of(&gateway, "room01", "ann"),
    );
    gateway.clock.advance(Duration::from_secs(3));
    assert_eq!(gateway.get("/?access_token=a.b.c", &[]).await.status, 401);
}

/// docs/plugnmeet.md section 0.9: the server takes it for another minute, and so does the cookie.
#[tokio::test]
async fn a_token_within_the_leeway_gets_a_cookie_that_lasts_as_long() {
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    gateway.clock.stop();
    let token = gateway.sign(|claims| claims.exp -= 630);
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let cookie = answer.set_cookie("pnm_access_token").unwrap();
    let lives: i64 = cookie
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((28..=30).contains(&lives), "{cookie}");
}

#[tokio::test]
async fn a_script_without_a_session_is_told_in_json() {
    let gateway = Gateway::embedded().await;
    let answer = gateway
        .get("/conference/", &[("accept", "application/json")])
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(answer.json()["code"], "no_session");
}
