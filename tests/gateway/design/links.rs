//! Designs that links, bots and the server bring.

use hyper::Response;
use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use serde_json::Value;

use super::{assert_redirect, assert_refused, follow_link, path_of, reload};
use crate::support::{
    self, Gateway,
    binary::{Serving, anywhere},
    client::{Answer, Client, plain_get},
    upstream::{Upstream, text_body},
};

/// plugNmeet's own guide for native apps sends this one.
const GUIDE: &str = "custom_design=%7B%22logo%22%3A%22https%3A%2F%2Fcdn.example.org%2Flogo.png%22%2C%22primary_color%22\
                     %3A%22%23004D90%22%7D";

fn parameter(design: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("custom_design", design)
        .finish()
}

#[tokio::test]
async fn what_the_client_does_not_know_is_taken_out_whatever_becomes_of_bad_fields() {
    let left = parameter(r##"{"primary_color":"#004D90"}"##);
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'")).await;
        let path = path_of(&gateway);
        assert_redirect(&follow_link(&gateway, GUIDE).await, &format!("{path}?{left}"));
        assert_redirect(
            &reload(&gateway, &format!("a&{GUIDE}")).await,
            &format!("{path}?a&{left}"),
        );
        let alone = parameter(r#"{"logo":"https://cdn.example.org/logo.png"}"#);
        assert_redirect(&follow_link(&gateway, &alone).await, &path);
        let counted = r#"plugnmeet_gateway_design_fields_taken_out_total{rule="unknown_key"} 3"#;
        let metrics = plain_get(gateway.admin, "/metrics").await.text();
        assert!(metrics.contains(counted), "{metrics}");
        let known = parameter(
            r#"{"column_camera_width":"medium","column_camera_position":"left","left_side_bg_color":"red","right_side_bg_color":"red"}"#,
        );
        assert_redirect(&follow_link(&gateway, &known).await, &format!("{path}?{known}"));
    }
    let refusing = Gateway::with("design.on_invalid = 'reject'").await;
    let mixed = parameter(r#"{"logo":"x","primary_color":"red;"}"#);
    let answer = follow_link(&refusing, &mixed).await;
    assert_refused(&answer, "primary_color `red;` is not a CSS colour");
    assert!(!answer.text().contains("logo"), "{}", answer.text());
}

async fn follow_as_bot(gateway: &Gateway, user_id: &str, hidden: bool, rest: &str) -> Answer {
    let token = gateway.sign(|claims| {
        claims.is_hidden = hidden;
        claims.name.clear();
        user_id.clone_into(&mut claims.user_id);
        user_id.clone_into(&mut claims.sub);
    });
    gateway.get(&format!("/?access_token={token}&{rest}"), &[]).await
}

/// Nobody reads a page there, and the recording would not begin.
#[tokio::test]
async fn a_recorder_is_never_refused_for_a_design() {
    let gateway = Gateway::with("design.on_invalid = 'reject'").await;
    let bad = parameter(r#"{"primary_color":"red","custom_css_url":"https://lms.example.org/a.css"}"#);
    let left = parameter(r#"{"primary_color":"red"}"#);
    for bot in ["RECORDER_BOT", "RTMP_BOT"] {
        let path = format!("/conference/s/{}/", gateway.keys.tag("room01", bot));
        let answer = follow_as_bot(&gateway, bot, true, &bad).await;
        assert_redirect(&answer, &format!("{path}?{left}"));
        let cookie = answer.set_cookie("pnm_access_token").unwrap();
        let cookie = cookie.split(';').next().unwrap();
        for design in ["null", "[", r#"{"primary_color":"red;"}"#] {
            let answer = follow_as_bot(&gateway, bot, true, &parameter(design)).await;
            assert_redirect(&answer, &path);
            let target = format!("{path}?{}", parameter(design));
            assert_redirect(&gateway.get(&target, &[("Cookie", cookie)]).await, &path);
        }
        let two = format!("{left}&{left}");
        let answer = follow_as_bot(&gateway, bot, true, &two).await;
        assert_refused(&answer, "more than one custom_design");
        let answer = follow_as_bot(&gateway, bot, false, &bad).await;
        assert_refused(&answer, "design.css_hosts");
    }
    let answer = follow_as_bot(&gateway, "ann", true, &bad).await;
    assert_refused(&answer, "design.css_hosts");
}

/// The client sends an object as it is, and of a text all but its white space.
#[tokio::test]
async fn the_operators_own_words_come_back_whole() {
    let named =
        "[designs.dark]\nprimary_color = 'rgb(0 77 144)'\ncustom_css_url = 'https://10.0.0.7/dark.css'\n";
    for customization in [
        "{ header_bg_color = 'rgb(0 77 144)', custom_logo = 'https://10.0.0.7/l.png', own = 'a b' }",
        r#"'{ "header_bg_color": "rgb(0 77 144)", "custom_logo": "https://10.0.0.7/l.png", "own": "a b" }'"#,
    ] {
        let gateway = Gateway::with(&format!(
            "design.on_invalid = 'reject'\n{named}[client.config]\ndesignCustomization = {customization}\n"
        ))
        .await;
        let path = path_of(&gateway);
        for design in [
            r#"{"header_bg_color":"rgb(0 77 144)","custom_logo":"https://10.0.0.7/l.png","own":"a b"}"#,
            r#"{"header_bg_color":"rgb(077144)","custom_logo":"https://10.0.0.7/l.png","own":"ab"}"#,
            r#"{"custom_css_url":"https://10.0.0.7/dark.css","primary_color":"rgb(0 77 144)"}"#,
            r#"{"custom_css_url":"https://10.0.0.7/dark.css","primary_color":"rgb(077144)"}"#,
        ] {
            let design = parameter(design);
            assert_redirect(&follow_link(&gateway, &design).await, &format!("{path}?{design}"));
            assert_eq!(reload(&gateway, &design).await.status, 200);
        }
        let other = r#"{"custom_css_url":"https://10.0.0.7/light.css","primary_color":"rgb(077144)"}"#;
        let answer = follow_link(&gateway, &parameter(other)).await;
        assert_refused(&answer, "private address");
    }
}

async fn redirecting_to(location: String) -> Upstream {
    Upstream::handling(move |_| {
        let location = location.clone();
        async move {
            let mut response = Response::new(text_body(""));
            *response.status_mut() = hyper::StatusCode::SEE_OTHER;
            response
                .headers_mut()
                .insert("location", location.parse().unwrap());
            response
        }
    })
    .await
}

/// Who joins can't mend what somebody gave to the server.
#[tokio::test]
async fn a_design_of_the_servers_is_stripped_whatever_becomes_of_others() {
    let token = Gateway::embedded().await.token("room01", "ann");
    let link = |design: &str| format!("HTTP/1.1://localhost/?access_token={token}&custom_design={design}");
    let colour = parameter(r##"{"primary_color":"#fff"}"##);
    let mixed = r##"{"primary_color":"#fff","custom_logo":"http://a.example/l.png","custom_css_url":"https://b.example/a"}"##;
    for (location, status, query) in [
        (link(mixed), 303, format!("?{colour}")),
        (link(r#"{"custom_logo":"/l.png"}"#), 303, String::new()),
        (link("{broken"), 303, String::new()),
        (link("{}&custom_design={}"), 400, String::new()),
    ] {
        let server = redirecting_to(location.clone()).await;
        let gateway = Gateway::with(&format!(
            "design.on_invalid = 'reject'\nissuer.mode = 'upstream'\nupstreams.server = ['{}']",
            server.url()
        ))
        .await;
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = gateway.post("/lti/v1", &form, b"a=b").await;
        assert_eq!(answer.status, status, "{location} {answer:?}");
        if status == 303 {
            assert_redirect(&answer, &format!("{}{query}", path_of(&gateway)));
        } else {
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[tokio::test]
async fn the_log_says_what_was_taken_out_and_never_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [&anywhere()[..], &[("PLUGNMEET__SECRET", support::SECRET)]].concat();
    let gateway = Serving::start(folder.path(), &[], &variables).await;
    let keys = TokenKeys::new(support::API_KEY.into(), &Secret::new(support::SECRET.into())).unwrap();
    let token = support::sign(&keys, &Clock::system(), |_| {});
    let client = Client::trusting(&folder.path().join("certs/development.pem"), gateway.https);
    let bad = parameter("{\"primary_color\":\"hidden-value;\",\"lo\\ngo\":1}");
    let target = format!("/conference/?access_token={token}&{bad}");
    assert_eq!(client.request("GET", &target, &[], b"").await.status, 303);
    // Whose design this is nobody knows, and anybody could say it.
    client
        .request("GET", &format!("/conference/?{bad}"), &[], b"")
        .await;
    gateway.signal("TERM").await;
    let (_, said) = gateway.end().await;
    assert!(!said.contains("hidden-value"), "{said}");
    let lines: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |message: &str| -> Vec<&Value> {
        let lines = lines.iter().filter(|line| line["message"] == message);
        lines.collect()
    };
    let fields = "primary_color: not_a_colour, lo\\ngo: unknown_key";
    let [warning] = of("Design fields taken out")[..] else {
        panic!("{said}")
    };
    assert_eq!(
        [
            &warning["level"],
            &warning["room"],
            &warning["user"],
            &warning["fields"]
        ],
        ["WARN", "room01", "ann", fields]
    );
    let [audit] = of("Design")[..] else {
        panic!("{said}")
    };
    assert_eq!(audit["id"], of("Request")[0]["id"], "{said}");
    assert_eq!(
        [
            &audit["target"],
            &audit["outcome"],
            &audit["reason"],
            &audit["client"]
        ],
        ["audit", "stripped", fields, "127.0.0.1"]
    );
}
