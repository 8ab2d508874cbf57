//! What people read when there is no meeting to show.

use serde_json::json;

use super::{
    HOUR, READY, Stage, assert_in,
    support::{browser::Snapshot, plugnmeet::bbb_target},
    token_in,
};

#[track_caller]
fn assert_page(snapshot: &Snapshot, status: u16, title: &str) {
    assert_eq!(snapshot.title(), title, "{snapshot}");
    assert!(snapshot.text().starts_with(title), "{snapshot}");
    let document = snapshot
        .requests()
        .iter()
        .find(|request| request["type"] == "document");
    assert_eq!(document.unwrap()["status"], status, "{snapshot}");
}

#[tokio::test]
async fn each_page_speaks_the_language_of_the_browser() {
    let stage = Stage::with("").await;
    let expired = stage.gateway.sign(|claims| claims.exp = claims.nbf - 100);
    let early = stage.gateway.sign(|claims| claims.nbf += 3600);
    for (language, titles) in [
        (
            "de-AT,de,en",
            [
                "Dieser Link ist abgelaufen",
                "Dieser Link ist noch nicht gültig",
                "Dieser Link ist nicht echt",
                "Verwenden Sie Ihren Einladungslink",
            ],
        ),
        (
            "fr-CA,fr",
            [
                "Ce lien a expiré",
                "Ce lien n’est pas encore valable",
                "Ce lien n’est pas authentique",
                "Utilisez votre lien d’invitation",
            ],
        ),
        (
            "es-419,es",
            [
                "Este enlace ha caducado",
                "Este enlace todavía no es válido",
                "Este enlace no es auténtico",
                "Use su enlace de acceso",
            ],
        ),
        (
            "sv-SE,sv",
            [
                "Länken har gått ut",
                "Länken gäller inte än",
                "Länken är inte äkta",
                "Använd din möteslänk",
            ],
        ),
        // A language that the client does not speak either.
        (
            "is-IS,is",
            [
                "This link has expired",
                "This link is not valid yet",
                "This link is not genuine",
                "Use your join link",
            ],
        ),
    ] {
        let mut browser = stage.browser_with(&[&format!("--accept-lang={language}")], &json!({}));
        let addresses = [
            (stage.link(&expired), 401),
            (stage.link(&early), 401),
            (stage.link("x"), 401),
            (format!("{}/conference/", stage.origin()), 200),
        ];
        for ((address, status), title) in addresses.into_iter().zip(titles) {
            let page = browser.step(json!({"tab": 1, "goto": address})).await;
            assert_page(&page, status, title);
            assert_eq!(page.jar(), [], "{page}");
        }
        let html = browser
            .step(json!({"tab": 1, "run": "[document.documentElement.lang, document.scripts.length]"}))
            .await;
        let spoken = if language.starts_with("is") {
            "en"
        } else {
            &language[..2]
        };
        assert_eq!(html.value(), &json!([spoken, 0]));
        browser.close().await;
    }
}

#[tokio::test]
async fn the_request_on_a_page_can_be_quoted_and_scripts_are_told_the_same_as_json() {
    let stage = Stage::with("session.login_url = 'https://lms.test/login'").await;
    let mut browser = stage.browser();
    let expired = stage.gateway.sign(|claims| claims.exp = claims.nbf - 100);
    let link = stage.link(&expired);
    let seen = browser
        .steps(json!([
            {"tab": 1, "goto": link},
            {"tab": 1, "run": "document.querySelector('code').innerText"},
            {"tab": 2, "goto": "https://conf.test/assets/css/main.css"},
            {"tab": 2, "run": format!("fetch('{link}', {{ headers: {{ Accept: 'application/json' }} }}).then(async (answer) => \
                              [answer.status, answer.headers.get('content-type'), await answer.json()])")},
            {"tab": 1, "click": "a", "until": "location.host === 'lms.test'"},
        ]))
        .await;
    let id = seen[1].value().as_str().unwrap();
    assert!(
        id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    let answer = seen[3].value();
    assert_eq!(
        (&answer[0], &answer[1]),
        (&json!(401), &json!("application/json")),
        "{answer}"
    );
    assert_eq!(answer[2]["code"], "token_expired", "{answer}");
    assert!(!answer.to_string().contains(&expired));
    assert_eq!(seen[4].url(), "https://lms.test/login");
    let asked = stage.lms.requests();
    let referrer = asked
        .iter()
        .find(|seen| seen.target == "/login")
        .unwrap()
        .header("referer");
    assert_eq!(referrer, None);
}

#[tokio::test]
async fn a_room_that_was_closed_meanwhile_has_ended() {
    let stage = Stage::with("").await;
    let mut browser = stage.browser();
    let (anns, bobs) = (stage.token("room01", "ann"), stage.token("room02", "bob"));
    for (tab, token) in [(1, &anns), (2, &bobs)] {
        browser
            .step(json!({"tab": tab, "goto": stage.link(token), "until": READY}))
            .await;
    }
    stage.clock.advance(HOUR);
    stage.server.close("room01");
    let ended = browser.step(json!({"tab": 1, "reload": true})).await;
    assert_page(&ended, 410, "This meeting has ended");
    let goes_on = browser
        .step(json!({"tab": 2, "reload": true, "until": READY}))
        .await;
    assert_in(&stage, &goes_on, ("room02", "bob"), &token_in(&goes_on));
}

#[tokio::test]
async fn when_the_server_is_down_a_link_of_its_own_says_so_and_the_client_does_not_hang() {
    let stage = Stage::with("").await;
    stage.server.stop();
    let mut browser = stage.browser();
    let join = bbb_target("join", "fullName=Ann&meetingID=room01&userID=ann&role=VIEWER");
    let down = browser
        .step(json!({"tab": 1, "goto": format!("{}/download/uploadedFile/a/b.pdf", stage.origin())}))
        .await;
    assert_page(&down, 502, "The meeting can't be reached right now");
    let bbb = browser
        .step(json!({"tab": 1, "goto": format!("{}{join}", stage.origin())}))
        .await;
    assert!(bbb.text().contains("FAILED"), "{bbb}");
    let token = stage.token("room01", "ann");
    for hours in [0, 1] {
        stage.clock.advance(hours * HOUR);
        let address = if hours == 0 {
            stage.link(&token)
        } else {
            stage.page("room01", "ann")
        };
        let client = browser
            .step(json!({"tab": 1, "goto": address, "until": READY}))
            .await;
        assert_eq!(client.url(), stage.page("room01", "ann"));
        assert!(client.text().contains("server"), "{client}");
    }
}

#[tokio::test]
async fn a_bad_link_is_a_page_that_nothing_can_be_loaded_into_and_too_many_are_told_to_wait() {
    let stage = Stage::with("design.on_invalid = 'reject'\nlimits.failures = '3/min'").await;
    let mut browser = stage.browser();
    let design = "%7B%22primary_color%22%3A%22%3Cimg+src%3Dx%3E%22%7D";
    let link = format!(
        "{}&custom_design={design}",
        stage.link(&stage.token("room01", "ann"))
    );
    let bad = browser.step(json!({"tab": 1, "goto": link})).await;
    assert!(
        bad.text()
            .contains("primary_color `<img src=x>` is not a CSS colour"),
        "{bad}"
    );
    let elements = browser
        .step(json!({"tab": 1, "run": "document.images.length + document.scripts.length"}))
        .await;
    assert_eq!(elements.value(), 0);
    let mut last: Option<Snapshot> = None;
    for _ in 0..4 {
        last = Some(browser.step(json!({"tab": 1, "goto": stage.link("x")})).await);
    }
    let last = last.unwrap();
    assert_page(&last, 429, "Too many attempts");
    // The link's token was good: it is in the jar, and so in no address.
    assert_eq!(last.jar().len(), 1);
    assert!(!bad.url().contains("access_token"), "{bad}");
}
