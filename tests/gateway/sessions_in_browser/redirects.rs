//! Links that the server makes: where they can be finished here, the browser never asks for an address with a token.

use serde_json::json;

use super::{
    HOUR, READY, Stage, assert_in,
    support::{
        API_KEY,
        browser::{Snapshot, assert_no_leak, is_in_files, text},
        plugnmeet::{bbb_target, lti_room_id},
    },
    token_in,
};

const JOIN: &str = "fullName=Ann%20B&meetingID=room01&userID=ann&role=MODERATOR";

/// The learning platform's page with a link, and the click on it.
async fn clicked(stage: &Stage, browser: &mut super::support::browser::Browser, href: &str) -> Vec<Snapshot> {
    let html = format!("<a href=\"{}\">Join</a>", href.replace('&', "&amp;"));
    stage.lms.page("/course", &html);
    browser
        .steps(json!([
            {"tab": 1, "goto": "https://lms.test/course"},
            {"tab": 1, "click": "a", "until": READY},
        ]))
        .await
}

#[tokio::test]
async fn a_bbb_join_lands_in_the_session_without_an_address_that_has_a_token() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let link = format!("{}{}", stage.origin(), bbb_target("join", JOIN));
    let seen = clicked(&stage, &mut browser, &link).await;
    let token = token_in(&seen[1]);
    assert_in(&stage, &seen[1], ("room01", "ann"), &token);
    assert_eq!(seen[1].url(), stage.page("room01", "ann"));
    let documents = |snapshot: &Snapshot| {
        let requests = snapshot.requests().iter();
        let documents = requests.filter(|request| text(request, "type") == "document");
        documents
            .map(|request| {
                (
                    text(request, "url").to_owned(),
                    request["status"].as_u64().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    let one_hop = [(link.clone(), 303), (stage.page("room01", "ann"), 200)];
    assert_eq!(documents(&seen[1]), one_hop);
    assert_eq!(
        seen[1].0["history"],
        json!([
            "about:blank",
            "https://lms.test/course",
            stage.page("room01", "ann")
        ])
    );
    let all: Vec<&Snapshot> = seen.iter().collect();
    assert_no_leak(&all, &token, 0);

    stage.clock.advance(HOUR);
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &again, ("room01", "ann"), &token_in(&again));
    // Nor is one anywhere in what the browser keeps: it encrypts the values of cookies.
    let profile = browser.close().await;
    for token in [token, token_in(&again)] {
        assert_eq!(is_in_files(profile.path(), &token), Vec::<String>::new());
    }
    // Here is how one would be found.
    assert_ne!(is_in_files(profile.path(), "lms.test"), Vec::<String>::new());
}

#[tokio::test]
async fn a_design_that_bbb_writes_as_raw_json_reaches_the_client_whole() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let (logo, css) = (
        "https://img.example/%C3%A9.png?a=1&b=2#c",
        "https://conf.test/assets/x.css",
    );
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let query = |logo: &str| {
        format!(
            "{JOIN}&userdata-bbb_custom_logo={}&userdata-bbb_custom_style_url={}",
            encoded(logo),
            encoded(css)
        )
    };
    let link = format!("{}{}", stage.origin(), bbb_target("join", &query(logo)));
    let seen = clicked(&stage, &mut browser, &link).await;
    assert_in(&stage, &seen[1], ("room01", "ann"), &token_in(&seen[1]));
    let design = browser.step(json!({"tab": 1, "run": "client.design()"})).await;
    assert_eq!(
        design.value(),
        &json!({"custom_logo": logo, "custom_css_url": css}),
        "{design}"
    );
    assert_no_leak(&[&seen[0], &seen[1]], &token_in(&seen[1]), 0);

    // What is bad in it goes, as whoever joins can't mend it; the way to its end is not taken for the end of the parameter.
    let bad = format!(
        "{}{}",
        stage.origin(),
        bbb_target("join", &query("https://a\"}&x={\"y"))
    );
    let bent = browser
        .steps(json!([
            {"tab": 2, "goto": bad, "until": READY},
            {"tab": 2, "run": "client.design()"},
        ]))
        .await;
    assert_eq!(bent[1].value(), &json!({"custom_css_url": css}), "{}", bent[1]);
}

#[tokio::test]
async fn an_lti_form_leads_into_the_session() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let form = format!(
        "<form method=\"post\" action=\"{}/lti/v1\"><input name=\"context_id\" value=\"course7\">\
         <input name=\"user_id\" value=\"ann\"><input name=\"custom_primary_color\" value=\"#00a1f2\">\
         <button>Open</button></form>",
        stage.origin()
    );
    stage.lms.page("/course", &form);
    let seen = browser
        .steps(json!([
            {"tab": 1, "goto": "https://lms.test/course"},
            {"tab": 1, "click": "button", "until": "document.title === 'LTI'"},
            {"tab": 1, "click": ".join"},
            {"tab": 2, "once": READY, "run": "client.design()"},
            {"tab": 2, "reload": true, "until": READY},
        ]))
        .await;
    assert_eq!(seen[1].url(), format!("{}/lti/v1", stage.origin()));
    let token = token_in(&seen[3]);
    let room = lti_room_id("", "course7", "");
    for snapshot in &seen[3..] {
        assert_in(&stage, snapshot, (&room, "ann"), &token);
    }
    assert_eq!(seen[3].value(), &json!({"primary_color": "#00a1f2"}));
    let all: Vec<&Snapshot> = seen.iter().collect();
    // LTI's page makes a link of its token by script: that link and no more.
    assert_no_leak(&all, &token, 1);
}

#[tokio::test]
async fn a_link_to_the_root_leads_into_the_session() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let token = stage.token("room01", "ann");
    let link = format!("{}/?access_token={token}", stage.origin());
    let seen = clicked(&stage, &mut browser, &link).await;
    assert_in(&stage, &seen[1], ("room01", "ann"), &token);
    assert_no_leak(&[&seen[1]], &token, 1);
    let again = browser
        .step(json!({"tab": 1, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &again, ("room01", "ann"), &token);
}

#[tokio::test]
async fn a_bbb_join_that_is_not_signed_leads_nowhere() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let link = format!(
        "{}/{API_KEY}/bigbluebutton/api/join?{JOIN}&checksum=00",
        stage.origin()
    );
    let refused = browser.step(json!({"tab": 1, "goto": link})).await;
    assert!(refused.text().contains("checksumError"), "{refused}");
    assert!(refused.jar().is_empty() && stage.server.saw_nothing());
}
