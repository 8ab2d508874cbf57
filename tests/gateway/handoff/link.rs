//! What becomes of a good link, and how its parameters are read.

use std::time::Duration;

use super::{JSON, assert_handed_off, assert_page, cookie, max_age, path_of, set_cookie};
use crate::support::Gateway;

#[tokio::test]
async fn a_link_becomes_a_cookie_on_a_path_of_its_own() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let link = format!("/conference/?access_token={token}");
    let path = path_of(&gateway, "room01", "ann");
    let over_h1 = gateway.get(&link, &[]).await;
    let over_h2 = gateway.client().request_h2("GET", &link, &[], b"").await;
    for answer in [over_h1, over_h2] {
        assert_handed_off(&answer, &path);
        let age = max_age(&answer);
        // Ten minutes of the token, and three hours in which the server would renew it.
        assert!((11_340..=11_400).contains(&age), "{age}");
        assert_eq!(
            set_cookie(&answer),
            [
                cookie(&token),
                format!("Max-Age={age}"),
                format!("Path={path}"),
                "SameSite=Lax".to_owned(),
                "Secure".to_owned()
            ]
        );
    }
}

#[tokio::test]
async fn a_cookie_lives_as_long_as_its_token_and_the_grace() {
    let gateway = Gateway::with("session.renew_grace = '0s'").await;
    gateway.clock.stop();
    let token = gateway.token("room01", "ann");
    gateway.clock.advance(Duration::from_secs(400));
    let answer = gateway
        .get(&format!("/conference/?access_token={token}"), &[])
        .await;
    let age = max_age(&answer);
    assert!((140..=200).contains(&age), "{age}");
}

#[tokio::test]
async fn other_parameters_stay_byte_for_byte_and_in_order() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    for (query, left) in [
        ("b=%7e&x=+%2B&access_token=TOKEN&&d&b=2", "b=%7e&x=+%2B&&d&b=2"),
        ("access_token=TOKEN&a=1", "a=1"),
        ("a=1&access_token=TOKEN", "a=1"),
        ("q=access_token=1&access_token=TOKEN", "q=access_token=1"),
        (
            "access_tokens=1&access_token=TOKEN&Access_Token=2",
            "access_tokens=1&Access_Token=2",
        ),
        ("a='()!*,;:@/?[]{}|^`&access_token=TOKEN", "a='()!*,;:@/?[]{}|^`"),
        (
            "redirect=https://evil.example&access_token=TOKEN",
            "redirect=https://evil.example",
        ),
    ] {
        let query = query.replace("TOKEN", &token);
        let request =
            format!("GET /conference/?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{query} {answer}");
        assert!(
            answer.contains(&format!("location: {path}?{left}\r\n")),
            "{query} {answer}"
        );
    }
}

#[tokio::test]
async fn a_parameter_is_read_as_a_browser_reads_it() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    let dots = token.replace('.', "%2E");
    for query in [
        format!("access%5Ftoken={token}"),
        format!("access%5ftoken={token}"),
        format!("%61ccess_token={token}"),
        format!("access_token={dots}"),
        format!("&access_token={token}&"),
    ] {
        let answer = gateway.get(&format!("/conference/?{query}"), &[]).await;
        assert_eq!(answer.status, 303, "{query}");
        let location = answer.header("location").unwrap();
        assert!(
            location.starts_with(&path) && !location.contains("token"),
            "{location}"
        );
        assert_eq!(set_cookie(&answer)[0], cookie(&token));
    }
    // The client would not find it under these names either.
    for query in [
        "Access_Token",
        "access_token%20",
        "access+token",
        "access%255Ftoken",
    ] {
        let answer = gateway.get(&format!("/conference/?{query}={token}"), &[]).await;
        assert_page(&answer, 200, "Use your join link");
    }
}

#[tokio::test]
async fn two_tokens_are_refused_even_if_one_is_empty() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    for query in [
        "access_token=TOKEN&access_token=TOKEN",
        "access_token=TOKEN&access_token=",
        "access_token=&access_token=TOKEN",
        "access_token&a=1&access_token=TOKEN",
        "access_token=&access_token=",
        "access%5Ftoken=TOKEN&access_token=TOKEN",
        "access_token=TOKEN&%61ccess_toke%6E=",
    ] {
        let query = query.replace("TOKEN", &token);
        for path in ["/conference/", "/conference", "/", "/conference/index.html"] {
            let target = format!("{path}?{query}");
            assert_page(
                &gateway.get(&target, &[]).await,
                400,
                "more than one access_token",
            );
            let answer = gateway.get(&target, &[JSON]).await;
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (400, Some("two_tokens"))
            );
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[tokio::test]
async fn a_single_empty_token_is_none() {
    let gateway = Gateway::embedded().await;
    let path = path_of(&gateway, "room01", "ann");
    let session = cookie(&gateway.token("room01", "ann"));
    for query in ["access_token=", "access_token", "access%5Ftoken=&a=1"] {
        let answer = gateway.get(&format!("/conference/?{query}"), &[]).await;
        assert_page(&answer, 200, "Use your join link");
        let target = format!("{path}?{query}");
        let answer = gateway.get(&target, &[("Cookie", &session)]).await;
        assert_page(&answer, 200, "Your session is ready");
        let answer = gateway.get(&format!("/conference?{query}"), &[]).await;
        let location = format!("/conference/?{query}");
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(location.as_str()))
        );
    }
}

// --- bad tokens ---

/// The server's own leeway of 60 s at either end (docs/plugnmeet.md section 0.9).
#[tokio::test]
async fn a_token_has_a_minute_of_leeway_at_either_end() {
    let gateway = Gateway::embedded().await;
    gateway.clock.stop();
    let path = path_of(&gateway, "room01", "ann");
    let link = |token: &str| format!("/conference/?access_token={token}");

    let token = gateway.token("room01", "ann");
    gateway.clock.advance(Duration::from_secs(655));
    let answer = gateway.get(&link(&token), &[]).await;
    assert_handed_off(&answer, &path);
    let age = max_age(&answer);
    assert!((10_680..=10_745).contains(&age), "{age}");
    gateway.clock.advance(Duration::from_secs(10));
    assert_page(
        &gateway.get(&link(&token), &[]).await,
        401,
        "This link has expired",
    );

    let early = gateway.sign(|claims| claims.nbf += 65);
    assert_page(
        &gateway.get(&link(&early), &[]).await,
        401,
        "This link is not valid yet",
    );
    gateway.clock.advance(Duration::from_secs(10));
    assert_handed_off(&gateway.get(&link(&early), &[]).await, &path);
}
