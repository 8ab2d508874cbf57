//! The operator's own designs, by name.

use super::{assert_redirect, assert_refused, cookie, follow_link, path_of, reload};
use crate::support::Gateway;

const NAMED: &str = "\
[designs.dark]
primary_color = '#00a1f2'
custom_css_url = 'https://10.0.0.7/dark.css'
[designs.light-1]
header_bg_color = 'white'
";

/// `dark`, as a link has it.
const DARK: &str = "custom_design=%7B%22custom_css_url%22%3A%22https%3A%2F%2F10.0.0.7%2Fdark.css%22%2C%22primary_color%22\
                    %3A%22%2300a1f2%22%7D";

/// The client reads `custom_design` alone (docs/plugnmeet.md section 7), so that is what the address has in the end.
#[tokio::test]
async fn a_name_in_a_link_becomes_the_design_in_its_place() {
    let gateway = Gateway::with(NAMED).await;
    let path = path_of(&gateway);
    for (rest, expected) in [
        ("design=dark", DARK.to_owned()),
        ("a=%7e&design=dark&&b=+", format!("a=%7e&{DARK}&&b=+")),
        ("%64esign=d%61rk&b", format!("{DARK}&b")),
        // Nothing is in the way of a name, and does not stay beside it.
        ("custom_design=&design=dark", DARK.to_owned()),
        ("design=dark&custom_design={}&b", format!("{DARK}&b")),
        (
            "design=light-1",
            "custom_design=%7B%22header_bg_color%22%3A%22white%22%7D".to_owned(),
        ),
        ("design=&b", "design=&b".to_owned()),
        ("Design=dark", "Design=dark".to_owned()),
    ] {
        let answer = follow_link(&gateway, rest).await;
        assert_redirect(&answer, &format!("{path}?{expected}"));
        assert!(answer.set_cookie("pnm_access_token").is_some());
    }
}

#[tokio::test]
async fn the_page_of_a_named_design_is_shown_and_reloads() {
    let gateway = Gateway::with(NAMED).await;
    let path = path_of(&gateway);
    assert_redirect(
        &reload(&gateway, "a&design=dark").await,
        &format!("{path}?a&{DARK}"),
    );
    let shown = reload(&gateway, DARK).await;
    assert_eq!(shown.status, 200);
    assert!(
        shown.text().contains("https://10.0.0.7/dark.css"),
        "{}",
        shown.text()
    );
    // Anything but the operator's own text is a link's, and held to the lists.
    let gateway = Gateway::with(&format!("design.on_invalid = 'reject'\n{NAMED}")).await;
    let other = DARK.replace("00a1f2", "00a1f3");
    assert_refused(&reload(&gateway, &other).await, "private address");
}

#[tokio::test]
async fn the_session_of_the_plain_form_has_named_designs_too() {
    let gateway = Gateway::with(&format!("session.scope = 'mount'\n{NAMED}")).await;
    let answer = follow_link(&gateway, "design=dark").await;
    assert_redirect(&answer, &format!("/conference/?{DARK}"));
    let answer = gateway
        .get("/conference/?design=dark", &[("Cookie", &cookie(&gateway))])
        .await;
    assert_redirect(&answer, &format!("/conference/?{DARK}"));
}

#[tokio::test]
async fn without_designs_of_the_operators_the_parameter_is_one_like_all_others() {
    let gateway = Gateway::embedded().await;
    let answer = follow_link(&gateway, "design=dark&design=x").await;
    assert_redirect(&answer, &format!("{}?design=dark&design=x", path_of(&gateway)));
}

#[tokio::test]
async fn an_unknown_name_is_refused_by_name_or_taken_out() {
    let gateway = Gateway::with(&format!("design.on_invalid = 'reject'\n{NAMED}")).await;
    for name in ["Dark", "x%3Cb%3E", "dark+", "__proto__"] {
        let query = format!("design={name}");
        for answer in [
            follow_link(&gateway, &query).await,
            reload(&gateway, &query).await,
        ] {
            assert_refused(&answer, "is not one of the designs here");
            assert!(!answer.text().contains("<b>"));
        }
    }
    let answer = gateway
        .get(
            &format!("{}?design=Dark", path_of(&gateway)),
            &[("Cookie", &cookie(&gateway)), ("Accept", "application/json")],
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("bad_design"))
    );
    assert_eq!(
        answer.json()["msg"],
        "the design is refused: design `Dark` is not one of the designs here"
    );

    let gateway = Gateway::with(NAMED).await;
    let path = path_of(&gateway);
    assert_redirect(
        &follow_link(&gateway, "a=1&design=Dark&b").await,
        &format!("{path}?a=1&b"),
    );
    assert_redirect(&reload(&gateway, "design=Dark").await, &path);
}

#[tokio::test]
async fn of_two_designs_neither_is_taken() {
    for on_invalid in ["reject", "strip"] {
        let gateway = Gateway::with(&format!("design.on_invalid = '{on_invalid}'\n{NAMED}")).await;
        for two in [
            "design=dark&design=dark",
            "design=dark&design=",
            "design=dark&custom_design={%22primary_color%22:%22red%22}",
            "custom_design=null&design=dark",
            &format!("{DARK}&design=dark"),
            "custom_design={}&custom_design={}&design=dark",
        ] {
            assert_refused(
                &follow_link(&gateway, two).await,
                "more than one custom_design or design",
            );
            assert_refused(
                &reload(&gateway, two).await,
                "more than one custom_design or design",
            );
        }
    }
}

#[tokio::test]
async fn links_may_be_kept_from_bringing_designs() {
    let own = "custom_design=%7B%22primary_color%22%3A%22red%22%7D";
    let gateway = Gateway::with(&format!(
        "design.from_links = false\ndesign.on_invalid = 'reject'\n{NAMED}"
    ))
    .await;
    let path = path_of(&gateway);
    for answer in [follow_link(&gateway, own).await, reload(&gateway, own).await] {
        assert_refused(&answer, "custom_design is not taken from links here");
    }
    assert_redirect(
        &follow_link(&gateway, "design=dark").await,
        &format!("{path}?{DARK}"),
    );
    assert_eq!(reload(&gateway, DARK).await.status, 200);
    assert_redirect(
        &follow_link(&gateway, "custom_design={}").await,
        &format!("{path}?custom_design={{}}"),
    );

    let gateway = Gateway::with(&format!("design.from_links = false\n{NAMED}")).await;
    assert_redirect(
        &follow_link(&gateway, &format!("a&{own}&b")).await,
        &format!("{path}?a&b"),
    );
    assert_redirect(&reload(&gateway, own).await, &path);
}
