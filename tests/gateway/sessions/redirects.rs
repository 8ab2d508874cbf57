//! Begun by a redirect of the server's.

use hyper::Response;

use super::{TOKEN, path_of};
use crate::support::{
    Gateway,
    plugnmeet::bbb_target,
    upstream::{Upstream, text_body},
};

async fn joining(location: String) -> Upstream {
    Upstream::handling(move |_| {
        let location = location.clone();
        async move {
            let mut response = Response::new(text_body(""));
            *response.status_mut() = hyper::StatusCode::FOUND;
            response.headers_mut().insert(
                "location",
                hyper::header::HeaderValue::from_bytes(location.as_bytes()).unwrap(),
            );
            response
        }
    })
    .await
}

#[tokio::test]
async fn a_bbb_join_ends_at_the_session_in_one_hop() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let design = r#"{"custom_logo":"https://cdn.example/e.png?a=1&b=2"}"#;
    for (location, query) in [
        (format!("https://localhost/?access_token={token}"), String::new()),
        (format!("HTTP/1.1://localhost/?access_token={token}"), String::new()),
        (format!("https://LOCALHOST:8443/conference/?access_token={token}"), String::new()),
        (
            format!("https://localhost/?access_token={token}&custom_design={design}"),
            "?custom_design=%7B%22custom_logo%22%3A%22https%3A%2F%2Fcdn.example%2Fe.png%3Fa%3D1%26b%3D2%22%7D".to_owned(),
        ),
    ] {
        let server = joining(location.clone()).await;
        let gateway = Gateway::in_front_of(&server).await;
        let target = bbb_target("join", "fullName=Ann&meetingID=room01&role=viewer&userID=ann");
        let answer = gateway.get(&target, &[]).await;
        let path = path_of(&gateway, "room01", "ann");
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(format!("{path}{query}").as_str())),
            "{location}"
        );
        assert!(answer.set_cookie(TOKEN).unwrap().starts_with(&format!("{TOKEN}={token};")));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let prefetched = gateway.get(&target, &[("Sec-Purpose", "prefetch")]).await;
        assert_eq!(prefetched.status, 403);
        let joins = server.requests();
        let joins = joins.iter().filter(|seen| seen.target == target).count();
        assert_eq!(joins, 1, "a guess of the browser's issues no token");
    }
}

#[tokio::test]
async fn a_link_of_the_servers_is_checked_like_any_other_and_others_pass_as_they_are() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let target = bbb_target("join", "fullName=Ann&meetingID=room01&role=viewer&userID=ann");
    let forged = format!("https://localhost/?access_token={token}x");
    let server = joining(forged).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.get(&target, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(answer.text().contains("<returncode>FAILED</returncode>"));
    assert!(!answer.text().contains(&token));
    for location in [
        format!("https://elsewhere.example/?access_token={token}"),
        format!("https://localhost/download/x?access_token={token}"),
        "https://localhost/?x=1".to_owned(),
    ] {
        let server = joining(location.clone()).await;
        let gateway = Gateway::in_front_of(&server).await;
        let answer = gateway.get(&target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(location.as_str()))
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn a_learning_platforms_redirect_ends_at_the_session_too() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let server = joining(format!("https://localhost/?access_token={token}&lang=de")).await;
    let gateway = Gateway::in_front_of(&server).await;
    let answer = gateway.post("/lti/v1", &[], b"oauth=1").await;
    let expected = format!("{}?lang=de", path_of(&gateway, "room01", "ann"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(expected.as_str()))
    );
    assert!(answer.set_cookie(TOKEN).is_some());
}
