//! Renewed at a reload: who is, who is not, and for how long.

use std::time::Duration;

use plugnmeet_gateway::token::Claims;

use super::{
    COMPANION, HOUR, Jar, TOKEN, assert_lives_for_token_and_grace, assert_refused, claims, open, path_of,
    taking_tokens, visit,
};
use crate::support::{self, Gateway, folder_of, token_request};

#[tokio::test]
async fn a_reload_in_the_second_hour_gets_the_same_claims_signed_anew() {
    let client = folder_of(&[("index.html", "<head></head>client")]);
    let gateway = Gateway::with(&format!("client.path = '{}'", client.path().display())).await;
    let path = path_of(&gateway, "room01", "ann");
    let first = gateway.sign(|claims| {
        claims.is_admin = true;
        claims.name = "Ann & <Bob>".into();
    });
    let mut jar = open(&gateway, &first).await;
    let before = claims(&gateway, &first);
    gateway.clock.advance(HOUR);
    let conditional = [("Cookie", jar.line()), ("If-None-Match", "*".to_owned())];
    let conditional = conditional
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let answer = gateway.get(&path, &conditional).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    assert!(answer.text().ends_with("client"));
    jar.take(&answer);
    let second = jar.value(TOKEN).unwrap();
    assert_ne!(second, first);
    let now = gateway.clock.unix();
    let after = claims(&gateway, second);
    assert!((now - 2..=now).contains(&after.nbf));
    assert_eq!(after.exp - after.nbf, 600);
    assert_eq!(
        after,
        Claims {
            nbf: after.nbf,
            exp: after.exp,
            ..before
        }
    );
    let line = answer.set_cookie(TOKEN).unwrap();
    for part in [
        format!("; Path={path}"),
        "; SameSite=Lax".into(),
        "; Secure".into(),
    ] {
        assert!(line.contains(&part), "{line}");
    }
    assert_lives_for_token_and_grace(line);
    assert!(!line.contains("HttpOnly"));
    assert!(answer.set_cookie(COMPANION).unwrap().contains("; HttpOnly"));
    // And that one is good for as long as any.
    let again = visit(&gateway, &path, &jar).await;
    assert_eq!((again.status, again.set_cookie(TOKEN)), (200, None));
    assert_eq!(again.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn a_token_without_its_companion_is_never_renewed_nor_is_one_in_a_link() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let companion = open(&gateway, &gateway.token("room01", "ann")).await;
    let recorder = |claims: &mut Claims| {
        claims.is_hidden = true;
        claims.name = String::new();
    };
    for ago in [61, 3600, 10_790, 10_801] {
        for hidden in [false, true] {
            let token = gateway.sign(|claims| {
                claims.exp -= 600 + ago;
                claims.nbf -= 600 + ago;
                if hidden {
                    recorder(claims);
                }
            });
            let alone = Jar::with(TOKEN, &token);
            let answer = visit(&gateway, &path, &alone).await;
            assert_refused(&answer, 401, "This link has expired");
            let link = format!("{path}?access_token={token}");
            for jar in [&alone, &companion] {
                let answer = gateway.get(&link, &[("Cookie", &jar.line())]).await;
                assert_refused(&answer, 401, "This link has expired");
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_renewed_until_the_grace_is_over() {
    for (ago, status) in [(10_790, 200), (10_801, 401)] {
        let gateway = Gateway::embedded().await;
        gateway.clock.stop();
        let path = path_of(&gateway, "room01", "ann");
        let jar = open(&gateway, &gateway.token("room01", "ann")).await;
        gateway.clock.advance(Duration::from_secs(600 + ago));
        assert_eq!(visit(&gateway, &path, &jar).await.status, status, "{ago}");
    }
}

/// The client has its token renewed by the server every three minutes: a page must not begin with one that ends before.
#[tokio::test]
async fn a_page_that_begins_with_less_than_four_minutes_begins_with_a_new_token() {
    let gateway = Gateway::with("limits.renewal = '1/min'").await;
    gateway.clock.stop();
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(Duration::from_secs(350));
    let early = visit(&gateway, &path, &jar).await;
    assert_eq!((early.status, early.header("set-cookie")), (200, None));
    gateway.clock.advance(Duration::from_secs(15));
    let alone = Jar::with(TOKEN, jar.value(TOKEN).unwrap());
    let answer = visit(&gateway, &path, &alone).await;
    assert_eq!(
        (answer.status, answer.set_cookie(TOKEN)),
        (200, None),
        "it is still valid"
    );
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    jar.take(&answer);
    let left = claims(&gateway, jar.value(TOKEN).unwrap()).exp - gateway.clock.unix();
    assert!(left > 590, "{left}");
    // Within the leeway it opens the page, and would fail the first upload.
    gateway.clock.advance(Duration::from_secs(640));
    jar.take(&visit(&gateway, &path, &jar).await);
    let left = claims(&gateway, jar.value(TOKEN).unwrap()).exp - gateway.clock.unix();
    assert!(left > 590, "{left}");
    // What is refused is not yet over: the old token is still good.
    gateway.clock.advance(Duration::from_secs(400));
    jar.take(&visit(&gateway, &path, &jar).await);
    gateway.clock.advance(Duration::from_secs(365));
    let before = jar.value(TOKEN).unwrap().to_owned();
    gateway.clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, 200);
        jar.take(&answer);
    }
    assert_ne!(jar.value(TOKEN).unwrap(), before);
}

#[tokio::test]
async fn head_answers_as_get_would_and_renews_nothing() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let answer = gateway
        .client()
        .request("HEAD", &path, &[("Cookie", &jar.line())], b"")
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "as of GET");
}

#[tokio::test]
async fn what_no_person_asked_for_renews_nothing() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    let cookie = jar.line();
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Fetch-Mode", "cors")])
        .await;
    assert_refused(&answer, 401, "This link has expired");
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Purpose", "prefetch")])
        .await;
    assert_refused(&answer, 403, "");
    let answer = gateway
        .get(&path, &[("Cookie", &cookie), ("Sec-Fetch-Mode", "navigate")])
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_session_is_renewed_until_its_greatest_age_and_not_a_second_longer() {
    let gateway = Gateway::with("session.max_age = '5h'").await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    for hour in 1..5 {
        gateway.clock.advance(HOUR);
        let answer = visit(&gateway, &path, &jar).await;
        assert_eq!(answer.status, 200, "{hour}");
        jar.take(&answer);
    }
    // Without the companion nobody knows how old a renewed token's session is.
    let alone = Jar::with(TOKEN, jar.value(TOKEN).unwrap());
    gateway.clock.advance(Duration::from_secs(3540));
    assert_refused(
        &visit(&gateway, &path, &alone).await,
        401,
        "This link has expired",
    );
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 200);
    jar.take(&answer);
    let last = claims(&gateway, jar.value(TOKEN).unwrap());
    assert!(last.exp - last.nbf <= 60, "{last:?}");
    gateway.clock.advance(Duration::from_secs(125));
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("as long as one may"), "{}", answer.text());
    // Another session's companion, or a made-up one, says nothing.
    let other = open(&gateway, &gateway.token("room02", "ann")).await;
    let mut mixed = alone.clone();
    mixed
        .0
        .push((COMPANION.into(), other.value(COMPANION).unwrap().into()));
    mixed.0.push((COMPANION.into(), "AAAA".into()));
    assert_refused(
        &visit(&gateway, &path, &mixed).await,
        401,
        "This link has expired",
    );
}

#[tokio::test]
async fn a_token_that_the_server_renewed_does_not_begin_a_session_anew() {
    let server = taking_tokens().await;
    let toml = format!(
        "session.max_age = '2h'\nissuer.mode = 'upstream'\nupstreams.server = ['{}']",
        server.url()
    );
    let gateway = Gateway::with(&toml).await;
    let path = path_of(&gateway, "room01", "ann");
    let answer = gateway
        .get(
            &format!("/conference/?access_token={}", gateway.token("room01", "ann")),
            &[],
        )
        .await;
    let companion = answer.set_cookie(COMPANION).unwrap();
    let lives = companion.split("; Max-Age=").nth(1).unwrap();
    let lives: u64 = lives.split(';').next().unwrap().parse().unwrap();
    let mut jar = Jar::default();
    jar.take(&answer);
    // The page stays open, and the server renews what the client has.
    gateway.clock.advance(HOUR * 5 / 2);
    let fields = [
        ("Authorization", &*gateway.token("room01", "ann")),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    jar.take(&gateway.post("/api/polls/create", &fields, b"").await);
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
    gateway.clock.advance(HOUR / 2);
    if HOUR * 3 >= Duration::from_secs(lives) {
        jar.0.retain(|(name, _)| name != COMPANION);
    }
    let answer = visit(&gateway, &path, &jar).await;
    assert_eq!(answer.status, 401, "the companion lives for {lives} s");
    assert!(answer.text().contains("as long as one may"), "{}", answer.text());
}

#[tokio::test]
async fn a_renewed_token_in_a_link_does_not_begin_a_session_anew() {
    let gateway = Gateway::with("session.max_age = '2h'").await;
    let path = path_of(&gateway, "room01", "ann");
    let mut jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    jar.take(&visit(&gateway, &path, &jar).await);
    let renewed = jar.value(TOKEN).unwrap().to_owned();
    let elsewhere = open(&gateway, &renewed).await;
    assert_eq!(elsewhere.value(TOKEN), Some(renewed.as_str()));
    gateway.clock.advance(HOUR / 2);
    assert_refused(&visit(&gateway, &path, &elsewhere).await, 401, "expired");
    assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
}

#[tokio::test]
async fn renewals_have_a_limit_of_their_own_and_stand_in_the_audit_log() {
    let gateway = Gateway::with("limits.renewal = '2/min'\nlimits.user = '1/min'").await;
    gateway.clock.stop();
    let path = path_of(&gateway, "room01", "ann");
    let jar = open(&gateway, &gateway.token("room01", "ann")).await;
    gateway.clock.advance(HOUR);
    for _ in 0..2 {
        assert_eq!(visit(&gateway, &path, &jar).await.status, 200);
    }
    let answer = visit(&gateway, &path, &jar).await;
    assert_refused(&answer, 429, "Too many attempts");
    assert!(answer.header("retry-after").is_some());
    let metrics = support::client::plain_get(gateway.admin, "/metrics").await.text();
    for line in [
        r#"plugnmeet_gateway_tokens_total{caller="server",outcome="issued",reason="renewed"} 2"#,
        r#"plugnmeet_gateway_tokens_total{caller="server",outcome="refused",reason="over_limit"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let asked = gateway.ask_for_token(&token_request("room01", "ann"), &[]).await;
    assert_eq!(
        asked.json()["status"],
        true,
        "reloads take nothing from who joins"
    );
}
