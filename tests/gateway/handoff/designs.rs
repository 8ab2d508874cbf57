//! `custom_design` in a link: kept, refused, or stripped.

use super::{JSON, assert_handed_off, assert_page, assert_sets_nothing, cookie, design_parameter, path_of};
use crate::support::Gateway;

fn design_link(token: &str, design: &str) -> String {
    format!("/conference/?access_token={token}&{}", design_parameter(design))
}

const GOOD: &str = r##"{"primary_color":"#00a1f2","custom_logo":"https://cdn.example.org/a.png"}"##;

#[tokio::test]
async fn a_good_design_stays_as_it_came() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let path = path_of(&gateway, "room01", "ann");
    // Neither of these spellings is the other.
    for design in [
        design_parameter(GOOD),
        "custom_design=%7b%22primary_color%22:%22red%22%7d".to_owned(),
        "custom%5Fdesign={%22primary_color%22:+%22rgb(1,+2,+3)%22}".to_owned(),
    ] {
        let answer = gateway
            .get(&format!("/conference/?{design}&access_token={token}&a=1"), &[])
            .await;
        assert_handed_off(&answer, &format!("{path}?{design}&a=1"));
        assert!(answer.set_cookie("pnm_access_token").is_some());
        let answer = gateway
            .get(&format!("{path}?{design}"), &[("Cookie", &cookie(&token))])
            .await;
        assert_page(&answer, 200, "primary_color");
    }
}

/// docs/plugnmeet.md section 7: an empty one is none to the client either.
#[tokio::test]
async fn an_empty_design_is_none() {
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'")).await;
        let token = gateway.token("room01", "ann");
        let path = path_of(&gateway, "room01", "ann");
        for design in [
            "custom_design=",
            "custom_design",
            "custom_design=%7B%7D",
            "custom_design={+}",
        ] {
            let answer = gateway
                .get(&format!("/conference/?access_token={token}&{design}"), &[])
                .await;
            assert_handed_off(&answer, &format!("{path}?{design}"));
            let answer = gateway
                .get(&format!("{path}?{design}"), &[("Cookie", &cookie(&token))])
                .await;
            assert_page(&answer, 200, "Your session is ready");
        }
    }
}

#[tokio::test]
async fn a_bad_design_is_refused_with_field_value_and_rule() {
    let gateway = Gateway::with("design.on_invalid = 'reject'").await;
    let token = gateway.token("room01", "ann");
    let session = cookie(&token);
    let path = path_of(&gateway, "room01", "ann");
    let long = format!(r#"{{"primary_color":"red","x":"{}"}}"#, "a".repeat(4096));
    for (design, words) in [
        (r#"{"primary_color":"red}body{display:none"}"#, "primary_color"),
        (
            r#"{"primary_color":"url(https://a.example)"}"#,
            "is not a CSS colour",
        ),
        (r#"{"primary_color":{"a":"red"}}"#, "must be a string"),
        (r#"{"primary_color":7}"#, "must be a string"),
        (r#"{"primary_color":null}"#, "must be a string"),
        (
            r#"{"primary_color":"red","primary_color":"blue"}"#,
            "appears more than once",
        ),
        (
            r#"{"custom_logo":"http://a.example/a.png"}"#,
            "must be an https URL",
        ),
        (
            r#"{"custom_logo":"https://u:p@a.example/a.png"}"#,
            "user name or password",
        ),
        (
            r#"{"custom_logo":"https://192.168.0.1/a.png"}"#,
            "private address",
        ),
        (
            r#"{"background_image":"https://169.254.169.254/"}"#,
            "private address",
        ),
        (
            r#"{"custom_css_url":"https://evil.example/a.css"}"#,
            "is not in design.css_hosts",
        ),
        (
            r#"{"background_image":"https://a.example/a\"b"}"#,
            "must be percent-encoded",
        ),
        ("null", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("\"red\"", "must be a JSON object"),
        ("{\"primary_color\":\"red\"", "is not valid JSON"),
        ("{\"primary_color\":\"red\"} x", "is not valid JSON"),
        (&long, "must be at most 4096 bytes"),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[]).await;
        assert_page(&answer, 400, words);
        assert!(!answer.text().contains(&token));
        let target = format!("{path}?{}", design_parameter(design));
        assert_page(&gateway.get(&target, &[("Cookie", &session)]).await, 400, words);
        let answer = gateway.get(&target, &[("Cookie", &session), JSON]).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("bad_design"))
        );
    }
    let answer = gateway
        .get(
            &design_link(&token, r#"{"primary_color":"<b>","footer_icon_color":"x y"}"#),
            &[],
        )
        .await;
    let text = answer.text();
    for part in [
        "primary_color `&lt;b&gt;` is not",
        "footer_icon_color `x y` is not a CSS colour",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn two_designs_are_refused_whatever_becomes_of_bad_ones() {
    let good = design_parameter(GOOD);
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'")).await;
        let token = gateway.token("room01", "ann");
        let path = path_of(&gateway, "room01", "ann");
        for two in [
            format!("{good}&{good}"),
            format!("custom_design=&{good}"),
            format!("{good}&custom%5Fdesign"),
        ] {
            let answer = gateway
                .get(&format!("/conference/?access_token={token}&{two}"), &[])
                .await;
            assert_page(&answer, 400, "more than one custom_design");
            let answer = gateway
                .get(&format!("{path}?{two}"), &[("Cookie", &cookie(&token))])
                .await;
            assert_page(&answer, 400, "more than one custom_design");
        }
    }
}

#[tokio::test]
async fn bad_fields_can_be_stripped_and_the_rest_stays() {
    let gateway = Gateway::embedded().await;
    let token = gateway.token("room01", "ann");
    let session = cookie(&token);
    let path = path_of(&gateway, "room01", "ann");
    let mixed = r##"{"primary_color":"#00a1f2","secondary_color":"}x","odd":1}"##;
    let left = "custom_design=%7B%22primary_color%22%3A%22%2300a1f2%22%7D";
    let answer = gateway
        .get(
            &format!(
                "/conference/?a=%7e&{}&access_token={token}&b",
                design_parameter(mixed)
            ),
            &[],
        )
        .await;
    assert_handed_off(&answer, &format!("{path}?a=%7e&{left}&b"));
    assert!(answer.set_cookie("pnm_access_token").is_some());
    // The page itself must not be shown under an address that the client would read otherwise.
    let target = format!("{path}?a=%7e&{}", design_parameter(mixed));
    let answer = gateway.get(&target, &[("Cookie", &session)]).await;
    assert_handed_off(&answer, &format!("{path}?a=%7e&{left}"));
    let answer = gateway
        .get(&format!("{path}?a=%7e&{left}"), &[("Cookie", &session)])
        .await;
    assert_page(&answer, 200, "primary_color");

    for hopeless in ["null", "[]", "{", r#"{"odd":1}"#, r#"{"primary_color":null}"#] {
        let answer = gateway.get(&design_link(&token, hopeless), &[]).await;
        assert_handed_off(&answer, &path);
        let target = format!("{path}?x&{}", design_parameter(hopeless));
        let answer = gateway.get(&target, &[("Cookie", &session)]).await;
        assert_handed_off(&answer, &format!("{path}?x"));
    }
}

#[tokio::test]
async fn hosts_of_style_sheets_and_images_are_the_operators_choice() {
    let gateway = Gateway::with(
        "public_origin = 'https://conf.example.org'\ndesign.on_invalid = 'reject'\n\
         design.css_hosts = ['*.example.net']\ndesign.image_hosts = ['cdn.example.org']",
    )
    .await;
    let token = gateway.token("room01", "ann");
    let host = ("Host", "conf.example.org");
    for (design, status) in [
        (r#"{"custom_css_url":"https://a.example.net/a.css"}"#, 303),
        (r#"{"custom_css_url":"https://example.net/a.css"}"#, 400),
        (r#"{"custom_css_url":"https://conf.example.org/a.css"}"#, 400),
        (r#"{"custom_logo":"https://cdn.example.org/a.png"}"#, 303),
        (r#"{"custom_logo":"https://a.cdn.example.org/a.png"}"#, 400),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[host]).await;
        assert_eq!(answer.status, status, "{design}");
    }
    let gateway =
        Gateway::with("public_origin = 'https://conf.example.org'\ndesign.on_invalid = 'reject'").await;
    for (design, status) in [
        (
            r#"{"custom_css_url":"https://conf.example.org/assets/a.css"}"#,
            303,
        ),
        (
            r#"{"custom_css_url":"https://conf.example.org/conference/assets/a.css"}"#,
            303,
        ),
        (r#"{"custom_css_url":"https://conf.example.org/a.css"}"#, 400),
        (
            r#"{"custom_logo":"https://conf.example.org/conference/logout"}"#,
            400,
        ),
        (r#"{"custom_css_url":"https://cdn.example.org/a.css"}"#, 400),
        (r#"{"custom_logo":"https://anything.example.org/a.png"}"#, 303),
    ] {
        let answer = gateway.get(&design_link(&token, design), &[host]).await;
        assert_eq!(answer.status, status, "{design}");
    }
}

/// A browser is led away from the token first, and says there what is wrong with the design. Who asks otherwise reads it at
/// once.
#[tokio::test]
async fn a_navigation_with_a_bad_design_loses_the_token_first() {
    let gateway = Gateway::with("design.on_invalid = 'reject'").await;
    let token = gateway.token("room01", "ann");
    let link = format!("{}&a=%20b", design_link(&token, "null"));
    let target = format!(
        "{}?{}&a=%20b",
        path_of(&gateway, "room01", "ann"),
        design_parameter("null")
    );
    for accept in [
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json;q=0.5, text/html",
    ] {
        let answer = gateway.get(&link, &[("Accept", accept)]).await;
        assert_handed_off(&answer, &target);
        assert!(answer.set_cookie("pnm_access_token").is_some(), "{accept}");
        let page = [("Accept", accept), ("Cookie", &*cookie(&token))];
        assert_page(&gateway.get(&target, &page).await, 400, "must be a JSON object");
    }
    for fields in [
        &[][..],
        &[("Accept", "*/*")],
        &[("Accept", "text/html;q=0, */*")],
        &[JSON],
        &[
            ("Accept", "text/html"),
            ("Sec-Fetch-Dest", "image"),
            ("Sec-Fetch-Mode", "no-cors"),
        ],
    ] {
        let answer = gateway.get(&link, fields).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (400, None),
            "{fields:?}"
        );
        assert_sets_nothing(&answer);
    }
    let head = gateway
        .client()
        .request("HEAD", &link, &[("Accept", "text/html")], b"")
        .await;
    assert_eq!(
        (head.status, head.header("location")),
        (303, Some(target.as_str()))
    );
    assert_sets_nothing(&head);
}
