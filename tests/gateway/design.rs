//! Designs, over real sockets: those that the operator has named, who may bring one, and the door at which integrators
//! have theirs checked.

use std::{path::Path, process::Stdio, time::Duration};

use hyper::Response;
use plugnmeet_gateway::{clock::Clock, secret::Secret, token::TokenKeys};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    self, Gateway,
    binary::{ANYWHERE, Serving, program},
    client::{Answer, Client, plain_get},
    folder_of,
    upstream::{Upstream, text_body},
};

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

fn path_of(gateway: &Gateway) -> String {
    format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"))
}

fn cookie(gateway: &Gateway) -> String {
    format!("pnm_access_token={}", gateway.token("room01", "ann"))
}

async fn follow_link(gateway: &Gateway, rest: &str) -> Answer {
    let token = gateway.token("room01", "ann");
    gateway
        .get(&format!("/conference/?access_token={token}&{rest}"), &[])
        .await
}

async fn reload(gateway: &Gateway, query: &str) -> Answer {
    let target = format!("{}?{query}", path_of(gateway));
    gateway.get(&target, &[("Cookie", &cookie(gateway))]).await
}

fn assert_redirect(answer: &Answer, location: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(location)),
        "{answer:?}"
    );
}

fn assert_refused(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains(words), "{words}: {}", answer.text());
    assert_eq!(answer.header("set-cookie"), None);
}

// --- named designs ---

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

// --- what is taken out, and of whom ---

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
    let variables = [&ANYWHERE[..], &[("PLUGNMEET__SECRET", support::SECRET)]].concat();
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

// --- check-design ---

async fn check_design(folder: &Path, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = program(folder, &[&["check-design"], arguments].concat(), &[])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).await.ok();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn a_design_is_checked_on_the_command_line() {
    let folder = folder_of(&[
        ("good.json", "{\"primary_color\": \"Navy\"}\n"),
        ("pale.json", "{\"header_bg_color\": \"#222\"}\n"),
        (
            "bad.json",
            "{\"primary_color\": \"navy;\", \"secondary_color\": \"aqua\"}",
        ),
        ("gateway.toml", "design.css_hosts = ['cdn.example.org']\n"),
    ]);
    let ask = |arguments: &'static [&'static str], input: &'static [u8]| {
        check_design(folder.path(), arguments, input)
    };
    let good = (0, "design can be used\n".to_owned(), String::new());
    assert_eq!(ask(&["good.json"], b"").await, good);
    assert_eq!(ask(&["-"], b"{\"primary_color\":\"navy\"}").await, good);
    assert_eq!(
        ask(&["--canonical", "good.json"], b"").await,
        (0, "{\"primary_color\":\"#000080\"}\n".to_owned(), String::new())
    );
    let (status, out, err) = ask(&["-"], b"{\"logo\":\"https://cdn.example.org/l.png\"}").await;
    assert_eq!((status, out.as_str()), (0, "design can be used\n"));
    assert_eq!(
        err,
        "check-design: logo: warning: `https://cdn.example.org/l.png` is not a known key\n"
    );
    let (status, out, err) = ask(&["pale.json"], b"").await;
    assert_eq!((status, out.as_str()), (0, "design can be used\n"));
    assert!(
        err.starts_with(
            "check-design: header_bg_color: warning: the client's own colour on header_bg_color `#222` has"
        ) && err.lines().count() == 1,
        "{err}"
    );
    assert_eq!(
        ask(&["bad.json", "--canonical"], b"").await,
        (
            1,
            "{\"secondary_color\":\"#00ffff\"}\n".to_owned(),
            "check-design: primary_color: `navy;` is not a CSS colour\n".to_owned()
        )
    );
    let styled = b"{\"custom_css_url\":\"https://cdn.example.org/a.css\"}";
    assert_eq!(ask(&["-"], styled).await.0, 1);
    assert_eq!(ask(&["-", "--config", "gateway.toml"], styled).await.0, 0);
    for refused in [&b"null"[..], b"", b"\xff", b"\xef\xbb\xbf{}"] {
        let (status, _, err) = ask(&["-"], refused).await;
        // Nothing at all is no design, and nothing is wrong with it.
        assert_eq!(status, i32::from(!refused.is_empty()), "{refused:?} {err}");
    }
    let (status, out, err) = ask(&["gone.json"], b"").await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.starts_with("gone.json: cannot be read: "), "{err}");
    assert_eq!(ask(&[], b"").await.0, 2);
}

// --- POST {mount}/design/check ---

const CHECK: &str = "/conference/design/check";

async fn ask(gateway: &Gateway, design: &[u8]) -> Value {
    let answer = gateway.post(CHECK, &[], design).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    answer.json()
}

#[tokio::test]
async fn an_integrator_hears_everything_about_a_design() {
    let gateway = Gateway::embedded().await;
    assert_eq!(
        ask(
            &gateway,
            br##"{"primary_color":"#00A1F2","custom_logo":"https://cdn.example.org/a.png"}"##
        )
        .await,
        json!({
            "status": true,
            "problems": [],
            "warnings": [{
                "field": "primary_color",
                "value": "#00A1F2",
                "rule": "contrast",
                "message": "the client's own colour on primary_color `#00A1F2` has a contrast of 2.84:1, and WCAG 2.2 AA \
                            asks for 4.5:1",
            }],
            "canonical": {"primary_color": "#00a1f2", "custom_logo": "https://cdn.example.org/a.png"},
        })
    );
    assert_eq!(
        ask(
            &gateway,
            br#"{"header_bg_color":"white","primary_color":"red;}","__proto__":{"a":1},"custom_logo":null}"#
        )
        .await,
        json!({
            "status": false,
            "problems": [
                {"field": "primary_color", "value": "red;}", "rule": "not_a_colour",
                 "message": "primary_color `red;}` is not a CSS colour"},
                {"field": "custom_logo", "value": "null", "rule": "not_text",
                 "message": "custom_logo `null` must be a string"},
            ],
            "warnings": [
                {"field": "__proto__", "value": "{\"a\":1}", "rule": "unknown_key",
                 "message": "__proto__ `{\"a\":1}` is not a known key"},
            ],
            "canonical": {"header_bg_color": "#ffffff"},
        })
    );
    // plugNmeet's own guide for native apps sends `logo`.
    assert_eq!(
        ask(
            &gateway,
            br#"{"logo":"https://cdn.example.org/l.png","column_camera_position":"up","left_side_bg_color":"navy"}"#
        )
        .await,
        json!({
            "status": true,
            "problems": [],
            "warnings": [
                {"field": "logo", "value": "https://cdn.example.org/l.png", "rule": "unknown_key",
                 "message": "logo `https://cdn.example.org/l.png` is not a known key"},
                {"field": "column_camera_position", "value": "up", "rule": "unknown_word",
                 "message": "column_camera_position `up` is not a word that the client knows here"},
            ],
            "canonical": {"column_camera_position": "up", "left_side_bg_color": "#000080"},
        })
    );
    let nothing = json!({"status": true, "problems": [], "warnings": [], "canonical": {}});
    for empty in [&b""[..], b"{}", b" {} \n"] {
        assert_eq!(ask(&gateway, empty).await, nothing);
    }
}

#[tokio::test]
async fn what_is_no_design_is_a_problem_and_not_an_error() {
    let gateway = Gateway::embedded().await;
    for (body, rule) in [
        (&b"null"[..], "not_an_object"),
        (b"[]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{\"primary_color\":\"\xff\"}", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"custom_design=%7B%7D", "not_json"),
        (
            b"{\"primary_color\":\"red\",\"primary_\\u0063olor\":\"red\"}",
            "repeated",
        ),
    ] {
        let told = ask(&gateway, body).await;
        assert_eq!(
            (&told["status"], &told["problems"][0]["rule"], &told["canonical"]),
            (&json!(false), &json!(rule), &json!({})),
            "{body:?}"
        );
    }
    let long = format!("{{\"x\":\"{}\u{202e}\"}}", "a".repeat(3000));
    let told = ask(&gateway, long.as_bytes()).await;
    assert_eq!(told["status"], true);
    assert_eq!(told["warnings"][0]["value"].as_str().unwrap().chars().count(), 64);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(
        ask(&gateway, deep.as_bytes()).await["problems"][0]["rule"],
        "not_json"
    );
}

#[tokio::test]
async fn where_links_bring_no_designs_the_answer_says_so() {
    let gateway = Gateway::with("design.from_links = false").await;
    let told = ask(&gateway, br#"{"header_bg_color":"white"}"#).await;
    assert_eq!(
        (&told["status"], &told["problems"][0]["rule"]),
        (&json!(false), &json!("not_from_links"))
    );
    assert_eq!(ask(&gateway, b"{}").await["status"], true);
}

#[tokio::test]
async fn a_question_that_can_not_be_read_is_an_error_in_json() {
    let gateway = Gateway::embedded().await;
    let padded = |bytes: usize| format!("{:bytes$}", "{}").into_bytes();
    assert_eq!(ask(&gateway, &padded(4096)).await["status"], true);
    let html = [("Accept", "text/html")];
    let large = gateway.post(CHECK, &html, &padded(4097)).await;
    assert_eq!(
        (large.status, &large.json()["code"], &large.json()["msg"]),
        (
            413,
            &json!("body_too_large"),
            &json!("a design is at most 4096 bytes")
        )
    );
    let chunked =
        gateway.head(&format!("POST {CHECK} HTTP/1.1")) + "Transfer-Encoding: chunked\r\n\r\n1001\r\n";
    let mut chunked = chunked.into_bytes();
    chunked.extend(padded(4097));
    chunked.extend(b"\r\n0\r\n\r\n");
    assert_eq!(gateway.client().ask_raw(chunked).await.status, 413);
    for method in ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"] {
        let answer = gateway.client().request(method, CHECK, &html, b"").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
    let beside = gateway.post("/conference/design/check/", &[], b"{}").await;
    assert_ne!(beside.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let gateway = Gateway::with("timeouts.header = '300ms'").await;
    let started = gateway.head(&format!("POST {CHECK} HTTP/1.1")) + "Content-Length: 20\r\n\r\n{";
    let answer = gateway.client().ask_raw(started).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("body_too_slow"))
    );
}

#[tokio::test]
async fn questions_are_limited_by_household() {
    let gateway = Gateway::with("limits.design = '3/min'\ntrust.proxies = ['127.0.0.0/8']").await;
    let from = |client: &'static str| {
        let gateway = &gateway;
        async move { gateway.post(CHECK, &[("X-Forwarded-For", client)], b"null").await }
    };
    for _ in 0..3 {
        assert_eq!(from("2001:db8::1").await.status, 200);
    }
    let over = from("2001:db8::2").await;
    assert_eq!(
        (
            over.status,
            over.header("retry-after"),
            over.header("ratelimit-policy")
        ),
        (429, Some("20"), Some("\"design\";q=3;w=60"))
    );
    assert_eq!(over.json()["code"], "over_limit");
    assert_eq!(from("2001:db8:1::1").await.status, 200);
    gateway.clock.advance(Duration::from_secs(20));
    assert_eq!(from("2001:db8::2").await.status, 200);
}
