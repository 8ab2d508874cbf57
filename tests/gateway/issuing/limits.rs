//! How many tokens in which time.

use std::time::Duration;

use super::{PATH, again, assert_refused, status_code, wrong_signature};
use crate::support::{API_KEY, Gateway, client::Answer, plugnmeet, token_request, upstream::Upstream};

/// The 429 of one limit: the server's JSON, and the same wait wherever one is told.
fn assert_over(answer: &Answer, limit: &str, policy: &str, longest: u64) {
    assert_refused(answer, 429, "PERMISSION_DENIED");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&wait), "{wait}");
    let why = if limit == "failures" {
        "; HASH-SIGNATURE does not fit the body"
    } else {
        ""
    };
    assert_eq!(
        answer.json()["msg"],
        format!("too many requests: try again in {wait} s{why}")
    );
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some(format!("\"{limit}\";{policy}").as_str())
    );
    assert_eq!(
        answer.header("ratelimit"),
        Some(format!("\"{limit}\";r=0;t={wait}").as_str())
    );
}

#[tokio::test]
async fn one_user_gets_ten_tokens_at_once_and_then_one_every_six_seconds() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    gateway.clock.stop();
    let ann = token_request("room01", "ann");
    for nth in 0..10 {
        let ann = again(&ann, nth);
        assert_eq!(status_code(&gateway.ask_for_token(&ann, &[]).await), "SUCCESS");
    }
    // The same user in another dress: what is counted is what was asked for.
    let dressed = r#"{"userInfo":{"userId":"ann","name":"Bob"},"roomId":"room01"}"#;
    for body in [ann.as_str(), dressed] {
        let forged = [("X-Forwarded-For", "192.0.2.7"), ("Forwarded", "for=192.0.2.8")];
        assert_over(
            &gateway.ask_for_token(body, &forged).await,
            "user",
            "q=10;w=60",
            6,
        );
    }
    assert_eq!(server.requests().len(), 10);
    for other in [token_request("room01", "bob"), token_request("room02", "ann")] {
        assert_eq!(status_code(&gateway.ask_for_token(&other, &[]).await), "SUCCESS");
    }
    gateway.clock.advance(Duration::from_secs(6));
    assert_eq!(status_code(&gateway.ask_for_token(&ann, &[]).await), "SUCCESS");
    assert_over(&gateway.ask_for_token(&ann, &[]).await, "user", "q=10;w=60", 6);
}

#[tokio::test]
async fn an_empty_user_id_is_not_counted_as_one_user() {
    let server = Upstream::answering("{}").await;
    let gateway = Gateway::in_front_of(&server).await;
    for nth in 0..15 {
        let answer = gateway
            .ask_for_token(&again(&token_request("room01", ""), nth), &[])
            .await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.requests().len(), 15);
}

#[tokio::test]
async fn a_refused_body_takes_nothing_from_the_user() {
    let gateway = Gateway::embedded().await;
    for _ in 0..12 {
        let bad = r#"{"room_id":"room01","user_info":{"name":"","user_id":"ann"}}"#;
        assert_eq!(
            status_code(&gateway.ask_for_token(bad, &[]).await),
            "INVALID_PARAMETERS"
        );
    }
    let good = token_request("room01", "ann");
    assert_eq!(status_code(&gateway.ask_for_token(&good, &[]).await), "SUCCESS");
}

#[tokio::test]
async fn a_room_and_a_caller_have_limits_of_their_own() {
    let gateway = Gateway::with("limits.room = '3/min'\nlimits.caller = '5/min'").await;
    gateway.clock.stop();
    for user in ["a", "b", "c"] {
        let answer = gateway.ask_for_token(&token_request("room01", user), &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS");
    }
    let answer = gateway.ask_for_token(&token_request("room01", "d"), &[]).await;
    assert_over(&answer, "room", "q=3;w=60", 20);
    for user in ["a", "b"] {
        let answer = gateway.ask_for_token(&token_request("room02", user), &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS");
    }
    let answer = gateway.ask_for_token(&token_request("room03", "a"), &[]).await;
    assert_over(&answer, "caller", "q=5;w=60", 12);
}

#[tokio::test]
async fn a_school_of_400_behind_one_address_joins_at_nine_o_clock() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    for user in 0..400 {
        let body = token_request("room01", &format!("pupil-{user}"));
        let answer = gateway.ask_for_token(&body, &[]).await;
        assert_eq!(status_code(&answer), "SUCCESS", "{user}");
    }
    assert_eq!(server.requests().len(), 400);
}

#[tokio::test]
async fn the_21st_bad_signature_is_429_and_a_good_one_still_passes() {
    let server = plugnmeet::server().await;
    let gateway = Gateway::in_front_of(&server).await;
    gateway.clock.stop();
    let body = token_request("room01", "ann");
    let bad = |attempt: u8| {
        let (gateway, body) = (&gateway, &body);
        async move {
            // No word of the client's about its address makes it another one.
            let address = format!("192.0.2.{attempt}");
            let elsewhere = format!("for={address}");
            let headers = [
                ("API-KEY", API_KEY),
                ("HASH-SIGNATURE", "00"),
                ("X-Forwarded-For", address.as_str()),
                ("X-Real-IP", address.as_str()),
                ("Forwarded", elsewhere.as_str()),
            ];
            gateway.post(PATH, &headers, body.as_bytes()).await
        }
    };
    for attempt in 0..20 {
        let answer = bad(attempt).await;
        assert_eq!((answer.status, answer.json()), (401, wrong_signature()));
    }
    assert_over(&bad(20).await, "failures", "q=20;w=60", 3);
    assert_eq!(status_code(&gateway.ask_for_token(&body, &[]).await), "SUCCESS");
    assert_over(&bad(21).await, "failures", "q=20;w=60", 3);
    assert_eq!(server.requests().len(), 1);
    gateway.clock.advance(Duration::from_secs(3));
    assert_eq!(bad(22).await.status, 401);
    assert_eq!(bad(23).await.status, 429);
}

#[tokio::test]
async fn ten_thousand_forged_addresses_are_one_bucket() {
    let gateway = Gateway::embedded().await;
    gateway.clock.stop();
    let statuses = gateway
        .client()
        .statuses(10_000, PATH, |number| {
            let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
            [
                ("API-KEY", API_KEY),
                ("HASH-SIGNATURE", "00"),
                ("X-Forwarded-For", &address),
                ("X-Real-IP", &address),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
        })
        .await;
    let told = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(told, 20);
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        10_000 - told
    );
}
