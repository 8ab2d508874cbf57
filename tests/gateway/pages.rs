//! The small pages that people see when there is no client to show, over real sockets: what they say, in which language,
//! what can be quoted from them, and the same as JSON.

use serde_json::{Value, json};

use crate::support::{
    Gateway, SECRET,
    addr::free,
    binary::{Serving, anywhere},
    client::{Answer, Client},
};

const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const LANGUAGES: [&str; 4] = ["en", "es", "de", "fr"];

/// A page of our own: well-formed, without a script, in this language, under this headline.
fn assert_page(answer: &Answer, status: u16, language: &str, title: &str) {
    let html = answer.text();
    assert_eq!(answer.status, status, "{html}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-language", language),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(
        html.starts_with(&format!(
            "<!DOCTYPE html><html lang=\"{language}\"><head><meta charset=\"utf-8\">"
        )),
        "{html}"
    );
    assert_eq!(text_of(&html, "h1"), title);
    assert_eq!(text_of(&html, "title"), title);
    assert!(!html.contains("<script") && !html.contains(" style="), "{html}");
    assert_well_formed(&html);
}

/// The text of an element that is there once.
fn text_of(html: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    assert_eq!(html.matches(&open).count(), 1, "{element} in {html}");
    let (_, rest) = html.split_once(&open).unwrap();
    rest.split_once(&close).unwrap().0.to_owned()
}

/// Every element that is opened is closed again, in order, and no text has a bare `<`.
fn assert_well_formed(html: &str) {
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("<{tag}"));
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{html}"),
            None if matches!(name, "!DOCTYPE" | "meta") => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, [""; 0], "{html}");
}

/// The name of the request, as it stands in small print.
fn request_id(answer: &Answer) -> String {
    let id = text_of(&answer.text(), "code");
    let is_id = id.len() >= 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(is_id, "{id}");
    id
}

async fn in_language(gateway: &Gateway, target: &str, language: &str) -> Answer {
    gateway.get(target, &[HTML, ("Accept-Language", language)]).await
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of what pages say, in four languages each"
)]
async fn every_reader_is_told_in_their_language() {
    let gateway = Gateway::with(&format!(
        "design.on_invalid = 'reject'\nupstreams.server = ['http://{}']\nlimits.failures = '100/min'",
        free()
    ))
    .await;
    let good = gateway.token("room01", "ann");
    let early = gateway.sign(|claims| claims.nbf += 3600);
    let expired = gateway.sign(|claims| claims.exp = claims.nbf - 100);
    let link = |token: &str| format!("/conference/?access_token={token}");
    let page = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    for (target, status, titles) in [
        (
            link(&expired),
            401,
            [
                "This link has expired",
                "Este enlace ha caducado",
                "Dieser Link ist abgelaufen",
                "Ce lien a expiré",
            ],
        ),
        (
            link(&early),
            401,
            [
                "This link is not valid yet",
                "Este enlace todavía no es válido",
                "Dieser Link ist noch nicht gültig",
                "Ce lien n’est pas encore valable",
            ],
        ),
        (
            link("x"),
            401,
            [
                "This link is not genuine",
                "Este enlace no es auténtico",
                "Dieser Link ist nicht echt",
                "Ce lien n’est pas authentique",
            ],
        ),
        (
            "/conference/".to_owned(),
            200,
            [
                "Use your join link",
                "Use su enlace de acceso",
                "Verwenden Sie Ihren Einladungslink",
                "Utilisez votre lien d’invitation",
            ],
        ),
        (
            format!("{page}?custom_design=null"),
            400,
            [
                "This design can't be used",
                "Este diseño no se puede usar",
                "Diese Gestaltung kann nicht verwendet werden",
                "Cette présentation ne peut pas être utilisée",
            ],
        ),
        (
            format!("{}&access_token={good}", link(&good)),
            400,
            [
                "This request can't be understood",
                "No se puede entender esta solicitud",
                "Diese Anfrage ist nicht zu verstehen",
                "Cette demande est incompréhensible",
            ],
        ),
        (
            "/nowhere".to_owned(),
            404,
            [
                "Nothing here",
                "Aquí no hay nada",
                "Hier ist nichts",
                "Il n’y a rien ici",
            ],
        ),
        (
            "/download/recording/x".to_owned(),
            502,
            [
                "The meeting can't be reached right now",
                "Ahora mismo no se puede acceder a la reunión",
                "Die Besprechung ist gerade nicht erreichbar",
                "La réunion est injoignable pour le moment",
            ],
        ),
    ] {
        for (language, title) in LANGUAGES.into_iter().zip(titles) {
            let answer = in_language(&gateway, &target, language).await;
            assert_page(&answer, status, language, title);
            // What is wrong with a design is said to those who make links, in English, and says so to a screen reader.
            let marked = answer
                .text()
                .contains("<p class=\"soft\" lang=\"en\" dir=\"ltr\">");
            assert_eq!(
                marked,
                language != "en" && target.contains("null"),
                "{}",
                answer.text()
            );
            assert!(
                answer.text().contains(".</p><p class=\"soft small\">"),
                "{}",
                answer.text()
            );
            request_id(&answer);
        }
    }
}

/// The client has 32, three of them from right to left; its own tags have regions.
#[tokio::test]
async fn the_pages_speak_every_language_of_the_client() {
    let gateway = Gateway::embedded().await;
    let tags = "ar-SA bn-BD cs-CZ da-DK de-DE el-GR en es-ES et-EE fa-IR fi-FI fr-FR he-IL hr-HR hu-HU id-ID it-IT ja-JP ko-KR \
                lv-LV nl-NL no-NO pl-PL pt-PT ro-RO ru-RU sv-SE tr-TR uk-UA vi-VN zh-CN zh-TW";
    let mut titles = std::collections::BTreeSet::new();
    for tag in tags.split(' ') {
        let answer = in_language(&gateway, "/conference/", &format!("{tag},en;q=0.5")).await;
        let html = answer.text();
        let language = if tag.starts_with("zh") { tag } else { &tag[..2] };
        let dir = if ["ar", "fa", "he"].contains(&language) {
            " dir=\"rtl\""
        } else {
            ""
        };
        let start = format!("<!DOCTYPE html><html lang=\"{language}\"{dir}><head>");
        assert!(html.starts_with(&start), "{html}");
        assert_eq!(answer.header("content-language"), Some(language));
        // The line below the advice is in the same language.
        assert!(html.contains("</p><p class=\"soft\">"), "{html}");
        assert_eq!(html.contains("Meetings are entered by"), tag == "en", "{html}");
        assert_well_formed(&html);
        titles.insert(text_of(&html, "h1"));
    }
    assert_eq!(titles.len(), 32);
    let limited = Gateway::with("limits.failures = '1/min'").await;
    let japanese = |target| in_language(&limited, target, "ja");
    japanese("/conference/?access_token=x").await;
    let page = japanese("/conference/?access_token=x").await;
    let wait = page.header("retry-after").unwrap();
    let line = format!("<p class=\"soft\">リクエストが多すぎます。{wait} 秒後にもう一度お試しください。</p>");
    assert!(page.text().contains(&line), "{}", page.text());
}

#[tokio::test]
async fn other_refusals_of_a_navigation_are_pages_too() {
    let gateway = Gateway::with("limits.failures = '1/min'").await;
    let german = [HTML, ("Accept-Language", "de-AT,de;q=0.9,en;q=0.5")];
    let form = [
        german[0],
        german[1],
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let post = gateway.post("/conference/", &form, b"").await;
    assert_page(&post, 405, "de", "Diese Anfrage ist nicht zu verstehen");
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
    let elsewhere = [HTML, ("Host", "evil.example")];
    let answer = gateway.get("/conference/", &elsewhere).await;
    assert_page(&answer, 421, "en", "This request can't be understood");
    let prefetched = [german[0], german[1], ("Sec-Purpose", "prefetch")];
    let answer = gateway.get("/conference/?access_token=x", &prefetched).await;
    assert_page(&answer, 403, "de", "Nicht erlaubt");
    gateway.get("/conference/?access_token=x", &german).await;
    let limited = gateway.get("/conference/?access_token=x", &german).await;
    assert_page(&limited, 429, "de", "Zu viele Versuche");
    assert!(limited.header("retry-after").is_some());
}

#[tokio::test]
async fn who_asks_for_json_gets_the_same_as_json() {
    let gateway = Gateway::with("session.login_url = 'https://lms.example.org/login?a=1&b=2'").await;
    let expired = gateway.sign(|claims| claims.exp = claims.nbf - 100);
    let target = format!("/conference/?access_token={expired}");
    let fields = [("Accept", "application/json"), ("Accept-Language", "de")];
    let answer = gateway.get(&target, &fields).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (401, Some("application/json"))
    );
    assert_eq!(answer.header("content-language"), None);
    let mut json = answer.json();
    let id = json["request_id"].take();
    assert!(id.as_str().is_some_and(|id| id.len() >= 16), "{id}");
    assert_eq!(
        json,
        json!({
            "status": false,
            "msg": json["msg"],
            "status_code": "INVALID_TOKEN_OR_SIGNATURE",
            "code": "token_expired",
            "request_id": null,
            "login_url": "https://lms.example.org/login?a=1&b=2",
        })
    );
    let page = in_language(&gateway, &target, "de").await;
    assert_eq!(json["msg"], "the token has expired");
    assert!(
        page.text()
            .contains("<p class=\"soft\">Das Token ist abgelaufen.</p>")
    );
    let page = in_language(&gateway, &target, "en").await;
    assert!(
        page.text()
            .contains("<p class=\"soft\">The token has expired.</p>")
    );
}

#[tokio::test]
async fn a_page_leads_to_where_links_are_handed_out() {
    let with = Gateway::with("session.login_url = 'https://lms.example.org/login?a=1&b=2'").await;
    let without = Gateway::embedded().await;
    for (language, label) in LANGUAGES.into_iter().zip([
        "Go to the login page",
        "Ir a la página de inicio de sesión",
        "Zur Anmeldeseite",
        "Aller à la page de connexion",
    ]) {
        let page = in_language(&with, "/conference/?access_token=x", language).await;
        let link = format!(
            "<a class=\"button\" href=\"https://lms.example.org/login?a=1&amp;b=2\" target=\"_top\">{label}</a>"
        );
        assert!(page.text().contains(&link), "{}", page.text());
    }
    let page = in_language(&without, "/conference/?access_token=x", "en").await;
    assert!(!page.text().contains("<a "), "{}", page.text());
}

/// SDKs break on what the server's answers lack (docs/plugnmeet.md section 0.4).
#[tokio::test]
async fn machines_are_told_nothing_of_it() {
    let gateway = Gateway::with("session.login_url = 'https://lms.example.org/login'").await;
    let fields = [HTML, ("Accept-Language", "de")];
    let bbb = "/plugnmeet/bigbluebutton/api/join?checksum=x";
    for (method, target) in [
        ("POST", "/auth/room/create"),
        ("POST", "/api/nothing"),
        ("GET", bbb),
    ] {
        let answer = gateway.client().request(method, target, &fields, b"").await;
        let text = answer.text();
        for word in ["request_id", "login", "lms.example.org", "Anfrage"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        assert_eq!(answer.header("content-language"), None);
        assert_eq!(answer.header("x-request-id"), None);
    }
}

/// What a person quotes, the operator finds.
#[tokio::test]
async fn the_quoted_name_stands_in_the_access_record() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [&anywhere()[..], &[("PLUGNMEET__SECRET", SECRET)]].concat();
    let serving = Serving::start(folder.path(), &["serve"], &variables).await;
    let client = Client::trusting(&folder.path().join("certs/development.pem"), serving.https);
    let page = client
        .request("GET", "/conference/?access_token=x", &[HTML], b"")
        .await;
    let json = client
        .request("GET", "/nowhere", &[("Accept", "application/json")], b"")
        .await;
    let quoted = [
        request_id(&page),
        json.json()["request_id"].as_str().unwrap().to_owned(),
    ];
    assert_ne!(quoted[0], quoted[1]);
    serving.signal("TERM").await;
    let (_, said) = serving.end().await;
    let records: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["message"] == "Request")
        .collect();
    let found: Vec<_> = records
        .iter()
        .map(|record| (record["id"].as_str().unwrap(), record["path"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (quoted[0].as_str(), "/conference/"),
            (quoted[1].as_str(), "/nowhere")
        ]
    );
}
